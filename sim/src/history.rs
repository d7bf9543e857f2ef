//! What a run has done to the ring so far: saves, files and answers. The oracles judge by this alone.

mod facts;
mod image;
mod number;
mod rot;

pub use facts::{
    Answer, Begun, Cause, Change, Copying, Errors, Key, Measured, Pass, Putting, Rotated, Row, Save, Sight, Told,
};
pub use image::Image;
pub use rot::{Rot, Rotten};

use crate::files::Files;
use crate::interference::Interference;
use crate::lineage::Lineage;
use crate::site::TaskId;
use segment_engine::SegmentId;
use segment_engine::manifest::Manifest;
use segment_engine::ring_state::RingRecord;
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
    /// Unlinks that the plan made fail.
    pub unlinks_failed: u64,
    /// Of these, those of doomed segments, which the engine has to tell of.
    pub dooms_failed: u64,
    /// Unlinks that the engine says have failed.
    pub unlinks_reported: u64,
    /// The last pass of the evictor over the doomed list.
    pub pass: Pass,
    /// Passes before it, one after the other, in which every unlink failed.
    pub passes_in_vain: u64,
    /// Passes that began at once after one in vain of the same task, but for a close.
    pub passes_at_once: u64,
    /// The engine was told to close.
    pub is_closing: bool,
    /// The active segment that was replaced last, until it has been looked at.
    pub rotated: Option<Rotated>,
    /// The active segments that puts on a full disk have left, so that they can be evicted.
    pub left: BTreeSet<(TaskId, SegmentId)>,
    /// The last of them, until it has been looked at.
    pub leaving: Option<(TaskId, SegmentId)>,
    /// The copy that was begun last, or not, until it has been looked at.
    pub copying: Option<Copying>,
    /// Segments of which a data sync has failed in this life of the process.
    pub unsynced: BTreeSet<SegmentId>,
    /// Segments of which one has succeeded, or that were there when this life of the process began.
    pub synced: BTreeSet<SegmentId>,
    /// Files of nobody whose unlink has failed in this life of the process.
    pub strays_left: BTreeSet<SegmentId>,
    /// The engine knows that a sync of the catalog has failed.
    pub is_fenced: bool,
    /// The manifests in the catalog.
    pub rows: Vec<Row>,
    /// Rows of artifacts that came to name another place, with everything else as before.
    pub rows_moved: u64,
    /// The entries of the index in the catalog.
    pub index: Vec<(SegmentId, Key)>,
    /// What readers could see of each key, in order. Before the first there is nothing to see.
    pub sights: BTreeMap<Key, Vec<Sight>>,
    /// The bytes that were put, by their hash.
    pub contents: BTreeMap<u64, Vec<u8>>,
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
    /// Commits so far.
    pub commits: u64,
    /// Commits that were tried after one, or a sync of the catalog, had failed in the same life of the process.
    pub commits_after_a_failed: u64,
    /// What is being synced now: the bytes of a segment, or the catalog.
    pub syncing: Vec<Option<SegmentId>>,
    /// Syncs that began while one of the same thing was under way, or after one of the catalog had failed.
    pub syncs_again: u64,
    /// Of all commits, those that a sync of the catalog has covered.
    pub durable_commits: u64,
    /// Puts that the engine says began again.
    pub puts_retried: u64,
    /// How often one of them did at most.
    pub retries_most: u64,
    /// How many entries of the index the evictor may delete in one commit.
    pub batch_rows: u64,
    /// How many it has at most.
    pub rows_most: u64,
    /// How many puts came too late for their segment, at most: those whose write met no file or whose commit was refused,
    /// and for a sync that met none, all that had written to it, or had nothing to write.
    pub puts_too_late: u64,
    /// Writes that were refused because the disk was full.
    pub writes_refused: u64,
    /// What the plan has done to disk and catalog.
    pub interference: Interference,
    /// Operations that failed in this life of the process.
    pub errors: Errors,
    /// From a crash until the engine is open again: it mends what there is.
    pub is_recovering: bool,
    /// What the last crash left.
    pub image: Image,
    /// Segments whose files the plan has removed while nothing had them open.
    pub files_lost: BTreeSet<SegmentId>,
    /// Bits that have flipped on the disk.
    pub rot: Rot,
    /// For each key the commit that no crash may take back: of the last put that was answered, or of what was shown when
    /// the run or this life of the process began.
    pub acked: BTreeMap<Key, u64>,
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
    /// What each caller has begun last.
    pub begun: BTreeMap<TaskId, Begun>,
    /// Puts that have begun and were not answered; some of them never will be.
    pub putting: Vec<Putting>,
    /// Reads that the engine says went on elsewhere.
    pub reads_retried: u64,
    /// Reads of a file that was not there.
    pub reads_lost: u64,
    /// Rows of artifacts that were written or deleted so far, and how many they were when each task last found one.
    pub row_changes: u64,
    /// See [`History::row_changes`].
    pub found: BTreeMap<TaskId, u64>,
    /// Look-ups that the engine says began again.
    pub look_ups_retried: u64,
    /// How many of them found a row before another was written.
    pub look_ups_overtaken: u64,
    /// Writes that have landed in each segment.
    pub writes: BTreeMap<SegmentId, u64>,
    /// Keys whose bytes were written over after the commit of their row.
    pub overwritten: Vec<Key>,
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

    /// Bytes that can still be written.
    pub fn free_bytes(&self) -> u64 {
        self.disk_bytes.saturating_sub(self.log_bytes).saturating_sub(self.files.used_by_all())
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
                self.synced.insert(member.segment);
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
        self.saves.push(save);
        self.changes += 1;
        self.see(step, task);
    }

    /// A task looks at the doomed list: with that a pass of it over the list begins.
    pub fn begin_pass(&mut self, task: Option<TaskId>, now_ms: u64) {
        let is_in_vain = self.is_in_vain();
        let is_at_once = is_in_vain && self.pass.task == task && self.pass.began_ms == now_ms && !self.is_closing;
        self.passes_at_once += u64::from(is_at_once);
        self.changes += u64::from(is_at_once);
        self.passes_in_vain = if is_in_vain { self.passes_in_vain + 1 } else { 0 };
        let doomed = self.saved().map_or(0, |saved| saved.ring.doomed().len()) as u64;
        self.pass = Pass { task, doomed, unlinks_reported: self.unlinks_reported, began_ms: now_ms };
    }

    /// Passes over the doomed list, one after the other up to now, in which every unlink failed.
    pub fn passes_in_vain(&self) -> u64 {
        self.passes_in_vain + u64::from(self.is_in_vain())
    }

    /// Whether every unlink of the last pass has failed.
    fn is_in_vain(&self) -> bool {
        let Pass { doomed, unlinks_reported, .. } = self.pass;
        doomed > 0 && self.unlinks_reported - unlinks_reported == doomed
    }

    /// A sync begins, of a segment's bytes or the catalog.
    pub fn begin_sync(&mut self, target: Option<SegmentId>) {
        if self.syncing.contains(&target) {
            self.sync_again();
        }
        self.syncing.push(target);
    }

    /// What a sync does has been tried before, and the other has failed or may fail yet.
    pub fn sync_again(&mut self) {
        self.syncs_again += 1;
        self.changes += 1;
    }

    /// It has ended.
    pub fn end_sync(&mut self, target: Option<SegmentId>) {
        if let Some(at) = self.syncing.iter().position(|syncing| *syncing == target) {
            self.syncing.swap_remove(at);
        }
    }

    /// Whether a file may be there that no list names: its unlink has failed, or what is saved is unknown, or writing was
    /// fenced before it was saved.
    pub fn may_be_stray(&self, segment: SegmentId) -> bool {
        self.errors.catalog > 0 || self.errors.evictor > 0 || self.strays_left.contains(&segment)
    }

    /// Whether a segment is of no use: the first sync of it has failed, so that no row may ever name it.
    pub fn is_stillborn(&self, segment: SegmentId) -> bool {
        self.unsynced.contains(&segment) && !self.synced.contains(&segment)
    }

    /// What a segment counts that is or was in the ring.
    pub fn bytes_of(&self, segment: SegmentId) -> u64 {
        let members = self.saves.iter().rev().flat_map(|save| save.record.ring.members());
        members.into_iter().find(|member| member.segment == segment).map_or(0, |member| member.bytes)
    }

    /// The bytes that a manifest names, if they are there.
    pub fn artifact(&self, manifest: &Manifest) -> Option<&[u8]> {
        let start = usize::try_from(manifest.offset).ok()?;
        let end = usize::try_from(manifest.offset + manifest.length).ok()?;
        let file = self.files.bytes(manifest.segment)?;
        if manifest.length == 0 { Some(&[]) } else { file.get(start..end) }
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
            _ => {}
        }
        // a put that failed may have been stored all the same, and be seen after the next open
        if !matches!(answer, Answer::Failed(..)) {
            self.putting.retain(|put| put.task != task);
        }
        self.answers.push(Told { task, answer, after });
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
        self.copying = Some(Copying { task, length, free: self.free_bytes() });
        self.changes += 1;
    }

    /// Takes a write in that has landed.
    pub fn write_over(&mut self, segment: SegmentId, offset: u64, length: u64) {
        let is_over = |manifest: &Manifest| {
            manifest.segment == segment
                && offset < manifest.offset + manifest.length
                && manifest.offset < offset + length
        };
        for row in self.rows.iter().filter(|row| is_over(&row.manifest)) {
            self.overwritten.push(row.key);
            self.changes += 1;
        }
    }

    /// Takes a commit's changes of artifacts' rows in.
    pub fn change(&mut self, changes: &[Change]) {
        for change in changes {
            match *change {
                Change::Row(key, manifest) => {
                    self.row_changes += 1;
                    let is_same =
                        |row: &&Row| row.key == key && Some(row.manifest.version) == manifest.map(|new| new.version);
                    self.rows_moved += self.rows.iter().filter(is_same).count() as u64;
                    self.replace(key, manifest);
                    self.rows.retain(|row| row.key != key);
                    self.rows.extend(manifest.map(|manifest| Row { key, manifest, commit: self.commits }));
                }
                Change::Damaged(key, _) => self.rows.retain(|row| row.key != key),
                Change::Index(segment, key, is_there) => {
                    self.index.retain(|entry| *entry != (segment, key));
                    if is_there {
                        self.index.push((segment, key));
                    }
                }
            }
        }
    }

    /// Takes in what readers can see from this step on: a row whose segment is in the ring. `task` made it so.
    pub fn see(&mut self, step: u64, task: Option<TaskId>) {
        let Some(Save { record, .. }) = self.saves.last() else {
            return;
        };
        let commit = self.commits;
        for row in &self.rows {
            self.sights.entry(row.key).or_default();
        }
        for (key, sights) in &mut self.sights {
            let row = self.rows.iter().find(|row| row.key == *key);
            let seen = row.filter(|row| record.ring.generation_of(row.manifest.segment).is_some());
            let content = seen.map(|row| row.manifest.checksum);
            let segment = seen.map(|row| row.manifest.segment).or_else(|| sights.last()?.segment);
            if sights.last().and_then(|last| last.content) != content || self.rot.unseen.contains(key) {
                sights.push(Sight { step, content, commit, task, segment });
            } else if let Some(last) = sights.last_mut() {
                last.segment = segment; // a refresh may have moved it
            }
        }
        self.rot.unseen.clear();
    }

    /// What readers could see of a key since that step, what they could see when it began included.
    pub fn sights_since(&self, key: Key, since: u64) -> impl Iterator<Item = Sight> + '_ {
        let sights = self.sights.get(&key).map_or(&[][..], Vec::as_slice);
        let first = sights.partition_point(|sight| sight.step < since);
        let nothing = Sight { step: 0, content: None, commit: 0, task: None, segment: None };
        let before = first.checked_sub(1).map_or(nothing, |before| sights[before]);
        std::iter::once(before).chain(sights[first..].iter().copied())
    }

    /// Whether readers have seen one and the same artifact of a key since that step.
    pub fn is_steady(&self, key: Key, since: u64) -> bool {
        let mut seen = self.sights_since(key, since).map(|sight| sight.content);
        seen.next().flatten().is_some_and(|first| seen.all(|next| next == Some(first)))
    }

    /// Whether readers could see such a thing of a key at some moment since that step.
    pub fn was_seen(&self, key: Key, since: u64, is: impl Fn(Option<u64>) -> bool) -> bool {
        self.sights_since(key, since).any(|sight| is(sight.content))
    }
}

/// Whether the record lists the segment as doomed.
pub fn is_doomed(record: &RingRecord, segment: SegmentId) -> bool {
    record.ring.doomed().iter().any(|doomed| doomed.segment == segment)
}
