//! The syncs that the engine makes, counted.

use crate::observed::Observer;
use segment_engine::{Result, SegmentId};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Syncs so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Syncs {
    /// Of segments' bytes.
    pub data: u64,
    /// Of the catalog.
    pub catalog: u64,
}

/// Counts them. Clones share one count.
#[derive(Clone, Default)]
pub struct Counter {
    data: Arc<AtomicU64>,
    catalog: Arc<AtomicU64>,
}

impl Counter {
    /// Syncs that were begun.
    pub fn syncs(&self) -> Syncs {
        let count = |syncs: &AtomicU64| syncs.load(Ordering::Relaxed);
        Syncs { data: count(&self.data), catalog: count(&self.catalog) }
    }
}

impl Observer for Counter {
    fn sync_file(&self, _segment: SegmentId) {
        self.data.fetch_add(1, Ordering::Relaxed);
    }

    fn sync(&self, sync: impl Future<Output = Result<()>> + Send) -> impl Future<Output = Result<()>> + Send {
        self.catalog.fetch_add(1, Ordering::Relaxed);
        sync
    }
}
