//! The production surroundings, with the syncs counted: a wrapper, so that the engine needs no counters.

use bytes::Bytes;
use segment_engine::catalog::{Batch, Catalog, Commit, Require, Row, Table};
use segment_engine::disk::{Disk, ShortWrite};
use segment_engine::local::LocalDisk;
use segment_engine::rocks::RocksCatalog;
use segment_engine::{Env, LocalEnv, Point, Result, SegmentId};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Syncs so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Syncs {
    /// Of segments' bytes.
    pub data: u64,
    /// Of the catalog.
    pub catalog: u64,
}

/// [`LocalEnv`], counted.
#[derive(Clone)]
pub struct CountedEnv {
    inner: LocalEnv,
    disk: CountedDisk,
    catalog: CountedCatalog,
}

/// Its disk.
#[derive(Clone)]
pub struct CountedDisk {
    inner: LocalDisk,
    syncs: Arc<AtomicU64>,
}

/// Its catalog.
#[derive(Clone)]
pub struct CountedCatalog {
    inner: RocksCatalog,
    syncs: Arc<AtomicU64>,
}

impl CountedEnv {
    /// Counts what happens in `inner` from now on.
    pub fn new(inner: LocalEnv) -> CountedEnv {
        let disk = CountedDisk { inner: inner.disk().clone(), syncs: Arc::default() };
        let catalog = CountedCatalog { inner: inner.catalog().clone(), syncs: Arc::default() };
        CountedEnv { inner, disk, catalog }
    }

    /// Syncs that were begun.
    pub fn syncs(&self) -> Syncs {
        let count = |syncs: &AtomicU64| syncs.load(Ordering::Relaxed);
        Syncs { data: count(&self.disk.syncs), catalog: count(&self.catalog.syncs) }
    }
}

impl Env for CountedEnv {
    type Disk = CountedDisk;
    type Catalog = CountedCatalog;

    fn disk(&self) -> &CountedDisk {
        &self.disk
    }

    fn catalog(&self) -> &CountedCatalog {
        &self.catalog
    }

    fn segment_id(&self) -> SegmentId {
        self.inner.segment_id()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        self.inner.sleep(duration)
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.spawn(name, task);
    }

    fn reach(&self, point: Point) -> impl Future<Output = ()> + Send {
        self.inner.reach(point)
    }

    fn note(&self, point: Point) {
        self.inner.note(point);
    }
}

impl Disk for CountedDisk {
    fn create(&self, segment: SegmentId) -> impl Future<Output = Result<()>> + Send {
        self.inner.create(segment)
    }

    fn sync_directory(&self) -> impl Future<Output = Result<()>> + Send {
        self.inner.sync_directory()
    }

    fn write_at(
        &self,
        segment: SegmentId,
        offset: u64,
        bytes: Bytes,
    ) -> impl Future<Output = std::result::Result<(), ShortWrite>> + Send {
        self.inner.write_at(segment, offset, bytes)
    }

    fn read_at(&self, segment: SegmentId, offset: u64, length: usize) -> impl Future<Output = Result<Bytes>> + Send {
        self.inner.read_at(segment, offset, length)
    }

    fn len(&self, segment: SegmentId) -> impl Future<Output = Result<u64>> + Send {
        self.inner.len(segment)
    }

    fn gather(&self, segment: SegmentId) -> impl Future<Output = ()> + Send {
        self.inner.gather(segment)
    }

    fn sync_file(&self, segment: SegmentId) -> impl Future<Output = Result<()>> + Send {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.inner.sync_file(segment)
    }

    fn free_bytes(&self) -> impl Future<Output = Result<u64>> + Send {
        self.inner.free_bytes()
    }

    fn unlink(&self, segment: SegmentId) -> impl Future<Output = Result<()>> + Send {
        self.inner.unlink(segment)
    }

    fn list(&self) -> impl Future<Output = Result<Vec<SegmentId>>> + Send {
        self.inner.list()
    }
}

impl Catalog for CountedCatalog {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.inner.get(table, key)
    }

    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>> {
        self.inner.scan(table, prefix, after, limit)
    }

    fn commit(&self, batch: Batch, requires: &[Require]) -> Result<Commit> {
        self.inner.commit(batch, requires)
    }

    fn sync(&self) -> impl Future<Output = Result<()>> + Send {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.inner.sync()
    }
}
