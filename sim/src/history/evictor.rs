//! The evictor of a run: its passes over the doomed list, its unlinks, and the rows that it deletes.

use super::History;
use crate::site::TaskId;
use segment_engine::SegmentId;
use segment_engine::limits::UNLINKS_REFUSED_MAX;
use std::collections::BTreeMap;

/// What the evictor does.
#[derive(Clone, Debug, Default)]
pub struct Evictor {
    /// Unlinks that the plan made fail.
    pub unlinks_failed: u64,
    /// Of these, those of doomed segments, which the engine has to tell of.
    pub dooms_failed: u64,
    /// Unlinks that the engine says have failed.
    pub unlinks_reported: u64,
    /// The last pass over the doomed list.
    pub pass: Pass,
    /// Passes before it, one after the other, in which every unlink failed.
    pub in_vain_before: u64,
    /// Passes that began at once after one in vain of the same task, but for a close.
    pub passes_at_once: u64,
    /// The engine was told to close.
    pub is_closing: bool,
    /// How many entries of the index it may delete in one commit.
    pub batch_rows: u64,
    /// How many it has at most.
    pub rows_most: u64,
    /// Doomed segments that are stuck, and how many more unlinks of each fail at least.
    pub stuck: BTreeMap<SegmentId, u64>,
    /// How often the unlink of each doomed segment has failed in this life of the process.
    pub failed: BTreeMap<SegmentId, u32>,
    /// Segments that the engine calls stuck in it.
    pub stuck_reported: u64,
}

/// A pass of the evictor over the doomed list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Whose it is.
    pub task: Option<TaskId>,
    /// How many segments it is about.
    pub doomed: u64,
    /// Unlinks that the engine had said have failed before.
    pub unlinks_reported: u64,
    /// When it began.
    pub began_ms: u64,
}

impl Evictor {
    /// The process has begun anew.
    pub fn forget(&mut self) {
        (self.pass, self.in_vain_before, self.is_closing) = (Pass::default(), 0, false);
        self.stuck.clear();
        self.failed.clear();
        self.stuck_reported = 0;
    }

    /// Whether the unlink of this segment has failed so often that nobody has to wait for it.
    pub fn may_be_stuck(&self, segment: SegmentId) -> bool {
        self.failed.get(&segment).is_some_and(|times| *times >= UNLINKS_REFUSED_MAX)
    }

    /// How many there are of these.
    pub fn stuck_at_most(&self) -> u64 {
        self.failed.keys().filter(|segment| self.may_be_stuck(**segment)).count() as u64
    }

    /// Passes over the doomed list, one after the other up to now, in which every unlink failed.
    pub fn passes_in_vain(&self) -> u64 {
        self.in_vain_before + u64::from(self.is_in_vain())
    }

    /// Whether every unlink of the last pass has failed.
    fn is_in_vain(&self) -> bool {
        let Pass { doomed, unlinks_reported, .. } = self.pass;
        doomed > 0 && self.unlinks_reported - unlinks_reported == doomed
    }
}

impl History {
    /// A task looks at the doomed list: with that a pass of it over the list begins.
    pub fn begin_pass(&mut self, task: Option<TaskId>, now_ms: u64) {
        let doomed = self.saved().map_or(0, |saved| saved.ring.doomed().len()) as u64;
        let Evictor { pass, is_closing, unlinks_reported, .. } = self.evictor;
        let is_at_once = self.evictor.is_in_vain() && (pass.task, pass.began_ms) == (task, now_ms) && !is_closing;
        self.evictor.passes_at_once += u64::from(is_at_once);
        self.changes += u64::from(is_at_once);
        self.evictor.in_vain_before = if self.evictor.is_in_vain() { self.evictor.in_vain_before + 1 } else { 0 };
        self.evictor.pass = Pass { task, doomed, unlinks_reported, began_ms: now_ms };
    }
}
