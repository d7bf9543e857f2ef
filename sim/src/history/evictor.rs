//! The evictor of a run: its passes over the doomed list, its unlinks, and the rows that it deletes.

use segment_engine::SegmentId;
use segment_engine::limits::{STUCK_IN_A_ROW_MAX, UNLINK_RETRY_MS, UNLINKS_REFUSED_MAX};
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
    /// When each segment was doomed in this life of the process.
    pub doomed_ms: BTreeMap<SegmentId, u64>,
    /// When the evictor's last unlink of each has failed.
    pub failed_ms: BTreeMap<SegmentId, u64>,
    /// Unlinks that were tried again too soon after that.
    pub unlinks_too_soon: u64,
    /// First unlinks before which the evictor was idle, or slept.
    pub unlinks_too_late: u64,
    /// Unlinks of doomed segments that had failed, and were not tried again for longer than two pauses.
    pub unlinks_too_rare: u64,
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
    /// The engine is being closed: what has failed once is left to the next open.
    pub is_closing: bool,
}

impl Evictor {
    /// The process has begun anew.
    pub fn forget(&mut self) {
        self.doomed_ms.clear();
        self.failed_ms.clear();
        self.stuck.clear();
        self.failed.clear();
        (self.stuck_reported, self.stuck_in_a_row, self.kept_all, self.is_closing) = (0, 0, None, false);
    }

    /// These are doomed.
    pub fn doom(&mut self, doomed: impl Iterator<Item = SegmentId>, now_ms: u64) {
        doomed.for_each(|segment| _ = self.doomed_ms.entry(segment).or_insert(now_ms));
    }

    /// An unlink of a segment begins. Time passes only when everybody sleeps.
    pub fn unlink(&mut self, segment: SegmentId, now_ms: u64) {
        let failed_ms = self.failed_ms.get(&segment);
        self.unlinks_too_soon += u64::from(failed_ms.is_some_and(|failed_ms| now_ms < failed_ms + UNLINK_RETRY_MS));
        // what fails during a pause rests for that one and the next
        self.unlinks_too_rare += u64::from(failed_ms.is_some_and(|failed_ms| now_ms > failed_ms + 2 * UNLINK_RETRY_MS));
        let is_first = !self.failed.contains_key(&segment);
        let is_late = self.doomed_ms.get(&segment).is_some_and(|doomed_ms| *doomed_ms < now_ms);
        self.unlinks_too_late += u64::from(is_first && is_late);
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

    /// Whether nobody tries its unlink again.
    pub fn is_left(&self, segment: SegmentId) -> bool {
        self.is_closing && self.failed.contains_key(&segment)
    }

    /// Whether the unlink of this segment has failed so often that it is stuck.
    pub fn has_failed_often(&self, segment: SegmentId) -> bool {
        self.failed.get(&segment).is_some_and(|times| *times >= UNLINKS_REFUSED_MAX)
    }

    /// How many there are of these.
    pub fn stuck_at_most(&self) -> u64 {
        self.failed.keys().filter(|segment| self.has_failed_often(**segment)).count() as u64
    }
}
