//! The syncs of a run: which are under way, and what has come of them.

use super::History;
use segment_engine::SegmentId;
use std::collections::BTreeSet;

/// The syncs of segments and of the catalog.
#[derive(Clone, Debug, Default)]
pub struct Syncs {
    /// What is being synced now: the bytes of a segment, or the catalog.
    pub under_way: Vec<Option<SegmentId>>,
    /// Syncs that began while one of the same thing was under way, or after one of the catalog had failed.
    pub again: u64,
    /// Segments of which a data sync has failed in this life of the process.
    pub failed: BTreeSet<SegmentId>,
    /// Segments of which one has succeeded, or that were there when this life of the process began.
    pub succeeded: BTreeSet<SegmentId>,
}

impl History {
    /// A sync begins, of a segment's bytes or the catalog.
    pub fn begin_sync(&mut self, target: Option<SegmentId>) {
        if self.syncs.under_way.contains(&target) {
            self.sync_again();
        }
        self.syncs.under_way.push(target);
    }

    /// What a sync does has been tried before, and the other has failed or may fail yet.
    pub fn sync_again(&mut self) {
        self.syncs.again += 1;
        self.changes += 1;
    }

    /// It has ended.
    pub fn end_sync(&mut self, target: Option<SegmentId>) {
        if let Some(at) = self.syncs.under_way.iter().position(|syncing| *syncing == target) {
            self.syncs.under_way.swap_remove(at);
        }
    }

    /// Whether a segment is of no use: the first sync of it has failed, so that no row may ever name it.
    pub fn is_stillborn(&self, segment: SegmentId) -> bool {
        self.syncs.failed.contains(&segment) && !self.syncs.succeeded.contains(&segment)
    }
}
