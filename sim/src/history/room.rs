//! The room on the disk of a run: who takes it, and what is known of that.

use super::History;
use crate::site::TaskId;
use segment_engine::SegmentId;
use std::collections::BTreeMap;

/// The room on the disk.
#[derive(Clone, Debug, Default)]
pub struct Room {
    /// The size of the disk.
    pub disk_bytes: u64,
    /// What the catalog's log takes of it.
    pub log_bytes: u64,
    /// How many bytes may be doomed before a rotation waits.
    pub doomed_bytes_max: u64,
    /// How many were when each rotation looked, that then went on.
    pub doomed_looked_at: BTreeMap<TaskId, u64>,
    /// What each task met that asked for the free bytes, the last time.
    pub measured: BTreeMap<TaskId, Measured>,
    /// Bytes that were written after their writer was dropped.
    pub written_late: u64,
    /// Bytes that each task has handed in to be written, while that has not landed.
    pub writing: BTreeMap<TaskId, u64>,
    /// What the disk did not take of writes whose writer was dropped, by segment: nobody has heard of that.
    pub refused_late: BTreeMap<SegmentId, u64>,
    /// Files that went by an unlink that said it had failed, and the room that they took, until another one succeeds.
    pub gone_unheard: BTreeMap<SegmentId, u64>,
    /// The room of those for which one has.
    pub gone_heard: u64,
    /// Writes that were refused because the disk was full.
    pub writes_refused: u64,
}

/// What took room on the disk, and is neither a put's nor to be had back by an eviction, when a task asked for the free bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// The catalog's log.
    pub log_bytes: u64,
    /// Files that were unlinked and still open.
    pub open_bytes: u64,
    /// What the catalog's log had taken that was not there.
    pub overdrawn: u64,
    /// What had been heard so far of files that went by an unlink that said it had failed.
    pub gone_heard: u64,
    /// What had been written so far after its writer was dropped.
    pub written_late: u64,
}

impl History {
    /// Bytes that can still be written.
    pub fn free_bytes(&self) -> u64 {
        self.room.disk_bytes.saturating_sub(self.room.log_bytes).saturating_sub(self.files.used_by_all())
    }
}
