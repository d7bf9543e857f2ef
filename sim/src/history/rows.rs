//! The artifacts of a run: their rows as commits change them, and what readers can see of each key because of that.

use super::{Change, History, Key, Row, Save, Sight, ToCopy};
use crate::interference::Kind;
use crate::site::TaskId;
use segment_engine::SegmentId;
use segment_engine::manifest::Manifest;
use segment_engine::ring::Generation;
use segment_engine::ring_state::RingRecord;

impl History {
    /// Takes a commit's changes of artifacts' rows in.
    pub fn change(&mut self, changes: &[Change]) {
        for change in changes {
            match *change {
                Change::Row(key, manifest) => {
                    self.retries.row_changes += 1;
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

    /// A refresh is about to make these changes.
    pub fn copy(&mut self, changes: &[Change]) {
        let moved = changes.iter().filter_map(|change| match change {
            // one of other bytes was not copied but overwritten: acked-survives has that
            Change::Row(key, Some(to)) => {
                self.rows.iter().find(|row| row.key == *key && row.manifest.checksum == to.checksum)
            }
            _ => None,
        });
        self.young_copied += moved.filter(|row| !self.is_oldest(row.manifest.segment)).count() as u64;
    }

    /// A caller has just read an artifact whole. Where rows have changed since its look-up, it may have read another.
    pub fn read_whole(&mut self, task: TaskId, key: Key, content: u64) {
        let is_latest = self.retries.found.get(&task) == Some(&self.retries.row_changes);
        let row = self.rows.iter().find(|row| row.key == key && row.manifest.checksum == content);
        if let Some(Row { manifest, .. }) = row.copied().filter(|row| self.is_oldest(row.manifest.segment))
            && let Some(active) = self.saved().and_then(|saved| saved.ring.active())
            && is_latest
        {
            self.to_copy.push(ToCopy { key, manifest, active, writes_refused: self.room.writes_refused });
        }
    }

    /// Whether a segment is of the oldest generation, and not the active one.
    pub fn is_oldest(&self, segment: SegmentId) -> bool {
        let is_old = |saved: &RingRecord| {
            saved.ring.generation_of(segment) == Some(Generation::Old) && saved.ring.active() != Some(segment)
        };
        self.saved().is_some_and(is_old)
    }

    /// Cuts a file short, and takes down which of these rows lose their bytes by that: what is stored there later does not.
    pub fn cut_file(&mut self, segment: SegmentId, length: u64, rows: &[(Key, Manifest)]) {
        let loses = |(_, manifest): &&(Key, Manifest)| {
            manifest.segment == segment && !manifest.is_within(length) && self.artifact(manifest).is_some()
        };
        let lost: Vec<(Key, Manifest)> = rows.iter().filter(loses).copied().collect();
        if self.files.cut(segment, length as usize) {
            self.rows_cut.extend(lost);
            self.interference.add(Kind::CutFile, 1);
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

    /// The bytes that a manifest names, if they are there.
    pub fn artifact(&self, manifest: &Manifest) -> Option<&[u8]> {
        let start = usize::try_from(manifest.offset).ok()?;
        let end = usize::try_from(manifest.offset + manifest.length).ok()?;
        let file = self.files.bytes(manifest.segment)?;
        if manifest.length == 0 { Some(&[]) } else { file.get(start..end) }
    }
}
