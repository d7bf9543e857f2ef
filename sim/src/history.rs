//! What a run has done to the ring so far: saves, files and answers. The oracles judge by this alone.

mod evictor;
mod facts;
mod image;
mod number;
mod retries;
mod room;
mod rot;
mod rows;
mod syncs;

pub use evictor::Evictor;
pub use facts::{Answer, Begun, Cause, Change, Copying, Errors, Key, Putting, Rotated, Row, Save, Sight, ToCopy, Told};
pub use image::Image;
pub use retries::Retries;
pub use room::{Measured, Room};
pub use rot::{Rot, Rotten};
pub use syncs::Syncs;

use crate::files::Files;
use crate::interference::Interference;
use crate::lineage::Lineage;
use crate::site::TaskId;
use segment_engine::manifest::Manifest;
use segment_engine::ring_state::RingRecord;
use segment_engine::{Limits, SegmentId};
use std::collections::{BTreeMap, BTreeSet};

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
    pub answers: Vec<Told>,
    /// Segments whose files were unlinked, and by whom.
    pub unlinkers: Vec<(SegmentId, TaskId)>,
    /// The active segment that was replaced last, until it has been looked at.
    pub rotated: Option<Rotated>,
    /// The active segments that puts on a full disk have left, so that they can be evicted.
    pub left: BTreeSet<(TaskId, SegmentId)>,
    /// The last of them, until it has been looked at.
    pub leaving: Option<(TaskId, SegmentId)>,
    /// The copy that was begun last, or not, until it has been looked at.
    pub copying: Option<Copying>,
    /// What was read and is to be copied, unless a copy was forgone since for want of room.
    pub to_copy: Vec<ToCopy>,
    /// Bytes that were written since the engine began to close: what is reserved beside what was then.
    pub written_while_closed: u64,
    /// Files of nobody whose unlink has failed in this life of the process.
    pub strays_left: BTreeSet<SegmentId>,
    /// The engine knows that a commit or a sync of the catalog has failed.
    pub is_fenced: bool,
    /// Files that were begun after that.
    pub files_behind_the_fence: u64,
    /// The manifests in the catalog.
    pub rows: Vec<Row>,
    /// Rows of artifacts that came to name another place, with everything else as before.
    pub rows_moved: u64,
    /// Rows of a refresh that were not in the oldest generation before, or were in the active segment.
    pub young_copied: u64,
    /// The entries of the index in the catalog.
    pub index: Vec<(SegmentId, Key)>,
    /// What readers could see of each key, in order. Before the first there is nothing to see.
    pub sights: BTreeMap<Key, Vec<Sight>>,
    /// The bytes that were put, by their hash.
    pub contents: BTreeMap<u64, Vec<u8>>,
    /// Commits so far.
    pub commits: u64,
    /// Commits that were tried after one, or a sync of the catalog, had failed in the same life of the process.
    pub commits_after_a_failed: u64,
    /// Of all commits, those that a sync of the catalog has covered.
    pub durable_commits: u64,
    /// What the plan has done to disk and catalog.
    pub interference: Interference,
    /// The syncs.
    pub syncs: Syncs,
    /// The evictor.
    pub evictor: Evictor,
    /// The room on the disk.
    pub room: Room,
    /// What was begun again.
    pub retries: Retries,
    /// Operations that failed in this life of the process.
    pub errors: Errors,
    /// From a crash until the engine is open again: it mends what there is.
    pub is_recovering: bool,
    /// What the last crash left.
    pub image: Image,
    /// Segments whose files the plan has removed while nothing had them open.
    pub files_lost: BTreeSet<SegmentId>,
    /// Rows of bytes that it has cut off a file then.
    pub rows_cut: Vec<(Key, Manifest)>,
    /// Bits that have flipped on the disk.
    pub rot: Rot,
    /// For each key the commit that no crash may take back: of the last put that was answered, or of what was shown when
    /// the run or this life of the process began.
    pub acked: BTreeMap<Key, u64>,
    /// What each caller has begun last.
    pub begun: BTreeMap<TaskId, Begun>,
    /// Puts that have begun and were not answered; some of them never will be.
    pub putting: Vec<Putting>,
    /// Writes that have landed in each segment.
    pub writes: BTreeMap<SegmentId, u64>,
    /// Keys whose bytes were written over after the commit of their row.
    pub overwritten: Vec<Key>,
    /// The most bytes that the engine may read or write at once.
    pub io_bytes: u64,
    /// The most that it has.
    pub io_most: u64,
    /// Counts the changes that an oracle of every step may want to see.
    pub changes: u64,
    /// Kept with the trace: what befell each segment. No oracle looks at it.
    pub lineage: Option<Lineage>,
}

impl History {
    /// The ring in the catalog.
    pub fn saved(&self) -> Option<&RingRecord> {
        self.saves.last().map(|save| &save.record)
    }

    /// The engine has these limits from now on.
    pub fn limit(&mut self, limits: &Limits) {
        self.room.doomed_bytes_max = limits.doomed_bytes_max;
        self.evictor.batch_rows = limits.batch_rows as u64;
        self.io_bytes = limits.io_bytes as u64;
    }

    /// So many bytes are read or written at once.
    pub fn moves(&mut self, bytes: u64) {
        self.io_most = self.io_most.max(bytes);
        self.changes += u64::from(bytes > self.io_bytes);
    }

    /// Bytes that the puts under way have yet to write at most.
    pub fn bytes_being_put(&self, is_alive: impl Fn(TaskId) -> bool) -> u64 {
        self.putting.iter().filter(|put| is_alive(put.task)).map(|put| put.bytes.saturating_sub(put.written)).sum()
    }

    /// Of the put of this task so many more bytes are written; `None`: it begins again, and writes all of them.
    pub fn put_wrote(&mut self, task: Option<TaskId>, bytes: Option<u64>) {
        if let Some(put) = self.putting.iter_mut().rfind(|put| Some(put.task) == task) {
            put.written = bytes.map_or(0, |bytes| put.written + bytes);
        }
    }

    /// Takes a save in. The oracles of a save are asked before, while the history still ends with the previous one.
    pub fn save(&mut self, save: Save) {
        for member in save.record.ring.members() {
            if !self.joined.contains(&member.segment) {
                self.joined.push(member.segment);
            }
            if self.saves.is_empty() {
                self.syncs.succeeded.insert(member.segment);
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
        let active = |save: &Save| save.record.ring.members().last().copied();
        if let (Some(before), Some(task)) = (self.saves.last().and_then(active), save.task)
            && save.record.ring.active() != Some(before.segment)
        {
            self.rotated = Some(Rotated { task, segment: before.segment, bytes: before.bytes });
        }
        let (step, task) = (save.step, save.task);
        if let Some(begun) = task.and_then(|task| self.begun.get_mut(&task)) {
            begun.has_slept = false;
        }
        self.saves.push(save);
        self.changes += 1;
        self.see(step, task);
    }

    /// Whether a file may be there that no list names: its unlink has failed, or what is saved is unknown, or writing was
    /// fenced before it was saved.
    pub fn may_be_stray(&self, segment: SegmentId) -> bool {
        self.errors.catalog > 0 || self.errors.evictor > 0 || self.strays_left.contains(&segment)
    }

    /// What a segment counts that is or was in the ring.
    pub fn bytes_of(&self, segment: SegmentId) -> u64 {
        let members = self.saves.iter().rev().flat_map(|save| save.record.ring.members());
        members.into_iter().find(|member| member.segment == segment).map_or(0, |member| member.bytes)
    }

    /// A caller is told something, after so many events.
    pub fn answer(&mut self, task: TaskId, answer: Answer, after: usize) {
        match &answer {
            Answer::Opened(_) => {
                self.is_recovering = false;
                self.changes += 1;
            }
            Answer::Put { key, content, since, .. } => {
                let seen = self.sights_since(*key, *since).filter(|sight| sight.content == Some(*content));
                if let Some(commit) = seen.map(|sight| sight.commit).min() {
                    let acked = self.acked.entry(*key).or_default();
                    *acked = commit.max(*acked);
                }
            }
            Answer::Failed(Cause::Fence, _) => self.is_fenced = true,
            Answer::Failed(Cause::Rot, _) => self.rot.tell(task),
            Answer::Failed(Cause::Other, _) => self.rot.tell_refused(task),
            _ => {}
        }
        // a put that failed may have been stored all the same, and be seen after the next open
        if !matches!(answer, Answer::Failed(..)) {
            self.putting.retain(|put| put.task != task);
        }
        self.answers.push(Told { task, answer, after });
    }

    /// A segment's file is about to be made.
    pub fn begin_file(&mut self) {
        self.files_behind_the_fence += u64::from(self.is_fenced);
        self.changes += u64::from(self.is_fenced);
    }

    /// A put leaves the active segment for want of room.
    pub fn leave_active(&mut self, task: TaskId) {
        let active = self.saved().and_then(|saved| saved.ring.active());
        self.leaving = active.map(|segment| (task, segment));
        self.left.extend(self.leaving);
        self.changes += 1;
    }

    /// A refresh goes on to copy so many bytes, or, for want of room, none.
    pub fn copies(&mut self, task: TaskId, length: Option<u64>) {
        if length.is_none() {
            self.to_copy.clear(); // one of these, and whether the others will fit is not known
        }
        let free = match (self.room.measured.get(&task), length) {
            (None, _) => self.free_bytes(),
            (Some(then), Some(_)) => (self.left() + self.room.taken_since(then).cast_signed()).max(0).cast_unsigned(),
            (Some(then), None) => {
                let written = self.room.written - then.written_before;
                (then.left - written.cast_signed()).max(0).cast_unsigned()
            }
        };
        self.copying = Some(Copying { task, length, free });
        self.changes += 1;
    }
}

/// Whether the record lists the segment as doomed.
pub fn is_doomed(record: &RingRecord, segment: SegmentId) -> bool {
    record.ring.doomed().iter().any(|doomed| doomed.segment == segment)
}
