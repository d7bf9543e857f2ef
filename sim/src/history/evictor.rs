//! The evictor of a run: its passes over the doomed list, its unlinks, and the rows that it deletes.

use super::History;
use crate::site::TaskId;
use segment_engine::SegmentId;
use segment_engine::limits::{STUCK_IN_A_ROW_MAX, UNLINKS_REFUSED_MAX};
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
    /// Passes that began at once after one in vain of the same task, but for a close.
    pub passes_at_once: u64,
    /// The engine was told to close.
    pub is_closing: bool,
    /// How many entries of the index it may delete in one commit.
    pub batch_rows: u64,
    /// How many it has at most.
    pub rows_most: u64,
    /// What the disk keeps, this segment or, without one, all; and how many more unlinks of it fail in any case.
    pub stuck: BTreeMap<Option<SegmentId>, u64>,
    /// How often the unlink of each doomed segment has failed in this life of the process.
    pub failed: BTreeMap<SegmentId, u32>,
    /// Segments that the engine calls stuck in it.
    pub stuck_reported: u64,
    /// Those that may be, since the unlink of a doomed one has succeeded.
    pub stuck_in_a_row: u32,
    /// The last step in which those were more than a put makes up for.
    pub kept_all: Option<u64>,
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
        (self.pass, self.is_closing) = (Pass::default(), false);
        self.stuck.clear();
        self.failed.clear();
        (self.stuck_reported, self.stuck_in_a_row, self.kept_all) = (0, 0, None);
    }

    /// Whether the next unlink of this segment fails because it is stuck.
    pub fn is_stuck(&mut self, segment: SegmentId, is_busy: impl Fn() -> bool) -> bool {
        [Some(segment), None].into_iter().any(|kept| {
            let Some(tries) = self.stuck.get_mut(&kept) else { return false };
            let is_owed = *tries > 0;
            *tries = tries.saturating_sub(1);
            is_owed || is_busy()
        })
    }

    /// The unlink of a doomed segment has failed.
    pub fn refuse(&mut self, segment: SegmentId) {
        let times = self.failed.entry(segment).or_default();
        *times += 1;
        self.stuck_in_a_row += u32::from(*times == UNLINKS_REFUSED_MAX);
    }

    /// The unlink of a doomed segment has succeeded.
    pub fn unlinked(&mut self, step: u64) {
        self.kept_all = Some(step).filter(|_| self.stuck_in_a_row > STUCK_IN_A_ROW_MAX).or(self.kept_all);
        self.stuck_in_a_row = 0;
    }

    /// Whether, at some time since that step, the disk unlinked nothing.
    pub fn has_kept_all_since(&self, step: u64) -> bool {
        self.stuck_in_a_row > STUCK_IN_A_ROW_MAX || self.kept_all.is_some_and(|last| last >= step)
    }

    /// Whether nobody has to wait for this segment: its unlink has failed so often, and not that of every other.
    pub fn is_written_off(&self, segment: SegmentId) -> bool {
        self.stuck_in_a_row <= STUCK_IN_A_ROW_MAX && self.has_failed_often(segment)
    }

    /// Whether the unlink of this segment has failed so often that it is stuck.
    pub fn has_failed_often(&self, segment: SegmentId) -> bool {
        self.failed.get(&segment).is_some_and(|times| *times >= UNLINKS_REFUSED_MAX)
    }

    /// How many there are of these.
    pub fn stuck_at_most(&self) -> u64 {
        self.failed.keys().filter(|segment| self.has_failed_often(**segment)).count() as u64
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
        self.evictor.pass = Pass { task, doomed, unlinks_reported, began_ms: now_ms };
    }
}
