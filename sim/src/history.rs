//! What a run has done to the ring so far: saves, files and answers. The oracles judge by this alone.

use crate::site::TaskId;
use segment_engine::SegmentId;
use segment_engine::ring_state::RingRecord;
use std::collections::{BTreeMap, BTreeSet};

/// A ring as it was saved.
#[derive(Clone, Debug)]
pub struct Save {
    /// In which step.
    pub step: u64,
    /// By whom; `None` before the run started.
    pub task: Option<TaskId>,
    /// What was saved.
    pub record: RingRecord,
}

/// What a caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its segment is in the ring.
    Pushed(SegmentId),
    /// Its victim has left the ring by this call.
    Evicted(SegmentId),
    /// Its victim was not in the ring.
    Absent(SegmentId),
    /// Its victim is the active segment and stays.
    RefusedActive(SegmentId),
    /// At most so many segments are left, and these are gone by this call.
    Relieved {
        /// The target.
        left_max: usize,
        /// The victims.
        victims: Vec<SegmentId>,
    },
    /// The operation ended in an error.
    Failed(String),
}

/// The segments that have a file, in no order that means anything: they are few, and looked up after each step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(Vec<SegmentId>);

impl Files {
    /// Adds a file; whether there was none.
    pub fn insert(&mut self, segment: SegmentId) -> bool {
        let is_new = !self.contains(segment);
        if is_new {
            self.0.push(segment);
        }
        is_new
    }

    /// Removes a file, if there is one.
    pub fn remove(&mut self, segment: SegmentId) {
        self.0.retain(|file| *file != segment);
    }

    /// Whether the segment has a file.
    pub fn contains(&self, segment: SegmentId) -> bool {
        self.0.contains(&segment)
    }

    /// The files.
    pub fn iter(&self) -> impl Iterator<Item = SegmentId> + '_ {
        self.0.iter().copied()
    }
}

impl Extend<SegmentId> for Files {
    fn extend<T: IntoIterator<Item = SegmentId>>(&mut self, segments: T) {
        for segment in segments {
            self.insert(segment);
        }
    }
}

/// The run so far.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Every saved ring, in order; the first is the one that the run started from.
    pub saves: Vec<Save>,
    /// The segments that have a file.
    pub files: Files,
    /// Who answers for a file that neither the ring nor the doomed list names: the task that created it, or whose save
    /// dropped it.
    pub answerable: BTreeMap<SegmentId, TaskId>,
    /// Segments in the order in which they first joined a saved ring.
    pub joined: Vec<SegmentId>,
    /// Segments that left the ring on purpose: doomed, or dropped by a save that was based on the one before it.
    pub departed: BTreeSet<SegmentId>,
    /// What callers were told, in order.
    pub answers: Vec<(TaskId, Answer)>,
    /// Unlinks that the plan made fail.
    pub unlinks_failed: u64,
    /// Unlinks that the engine says have failed.
    pub unlinks_reported: u64,
    /// Counts the changes that an oracle of every step may want to see.
    pub changes: u64,
}

impl History {
    /// The ring in the catalog.
    pub fn saved(&self) -> Option<&RingRecord> {
        self.saves.last().map(|save| &save.record)
    }

    /// Takes a save in. The oracles of a save are asked before, while the history still ends with the previous one.
    pub fn save(&mut self, save: Save) {
        for member in save.record.ring.members() {
            if !self.joined.contains(&member.segment) {
                self.joined.push(member.segment);
            }
        }
        if let Some(previous) = self.saves.last() {
            let next = &save.record;
            let honest = next.base == previous.record.version;
            for member in previous.record.ring.members() {
                let segment = member.segment;
                if next.ring.generation_of(segment).is_some() {
                    continue;
                }
                let doomed = is_doomed(next, segment);
                if honest || doomed {
                    self.departed.insert(segment);
                }
                if !doomed && let Some(task) = save.task {
                    self.answerable.insert(segment, task);
                }
            }
        }
        self.saves.push(save);
        self.changes += 1;
    }
}

/// Whether the record lists the segment as doomed.
pub fn is_doomed(record: &RingRecord, segment: SegmentId) -> bool {
    record.ring.doomed().iter().any(|doomed| doomed.segment == segment)
}
