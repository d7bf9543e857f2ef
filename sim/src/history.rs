//! What a run has done to the ring so far: saves, files and answers. The oracles judge by this alone.

use crate::site::TaskId;
use segment_engine::SegmentId;
use segment_engine::catalog::Table;
use segment_engine::error::ManifestFault;
use segment_engine::manifest::Manifest;
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
    /// Its artifact is stored, or was there already.
    Put {
        /// The artifact's key.
        key: Key,
        /// The hash of its bytes.
        content: u64,
        /// The step in which it was asked for.
        since: u64,
    },
    /// It read this.
    Read {
        /// The artifact's key.
        key: Key,
        /// The hash of its bytes; `None` when there was none.
        content: Option<u64>,
        /// The step in which it was asked for.
        since: u64,
    },
    /// It was told whether there is an artifact.
    Contains {
        /// The artifact's key.
        key: Key,
        /// Whether there is.
        found: bool,
        /// The step in which it was asked for.
        since: u64,
    },
    /// Its artifact was not stored: each time its segment was evicted or a write was refused.
    GaveUp(Key),
    /// Its artifact was not stored: the disk has no room for so many bytes, whatever is evicted.
    NoRoom(u64),
    /// A write was refused, the disk was full.
    Full,
    /// The operation ended in an error.
    Failed(String),
}

/// An artifact's key in a simulation.
pub type Key = u8;

/// A put under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Putting {
    /// Whose it is.
    pub task: TaskId,
    /// The artifact's key.
    pub key: Key,
    /// The hash of its bytes.
    pub content: u64,
    /// How many they are.
    pub bytes: u64,
}

/// An artifact that readers can see, from one step on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// From when on.
    pub step: u64,
    /// The hash of its bytes; `None` when there is none.
    pub content: Option<u64>,
    /// The commit that made it so, counted from 1.
    pub commit: u64,
}

/// A saved manifest and the commit that wrote it, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose it is.
    pub key: Key,
    /// The row.
    pub manifest: Manifest,
    /// The commit.
    pub commit: u64,
}

/// What a commit changes of the artifacts' rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A manifest: the key's, or none any more.
    Row(Key, Option<Manifest>),
    /// A manifest that cannot be decoded.
    Damaged(Key, ManifestFault),
    /// An entry of the index: there from now on, or no longer.
    Index(SegmentId, Key, bool),
}

impl Change {
    /// The change of one row, if it is an artifact's.
    pub fn of(table: Table, key: &[u8], value: Option<&[u8]>) -> Option<Change> {
        match table {
            Table::Ring | Table::Store => None,
            Table::Manifest => Some(match value.map(Manifest::decode).transpose() {
                Ok(manifest) => Change::Row(short(key), manifest),
                Err(fault) => Change::Damaged(short(key), fault),
            }),
            Table::Index => {
                let (segment, key) = key.split_first_chunk()?;
                Some(Change::Index(SegmentId::from_u128(u128::from_be_bytes(*segment)), short(key), value.is_some()))
            }
        }
    }
}

/// A simulated key has one byte.
fn short(key: &[u8]) -> Key {
    key.first().copied().unwrap_or_default()
}

/// The segments that have a file, and what is in it, in no order that means anything: they are few, and looked up after
/// each step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(Vec<File>);

/// A segment's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Whose it is.
    pub segment: SegmentId,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// How many of these were written: a hole takes no room.
    pub used: u64,
}

impl Files {
    /// Adds a file; whether there was none.
    pub fn insert(&mut self, segment: SegmentId) -> bool {
        let is_new = !self.contains(segment);
        if is_new {
            self.0.push(File { segment, bytes: Vec::new(), used: 0 });
        }
        is_new
    }

    /// Removes a file, if there is one.
    pub fn remove(&mut self, segment: SegmentId) {
        self.0.retain(|file| file.segment != segment);
    }

    /// Whether the segment has a file.
    pub fn contains(&self, segment: SegmentId) -> bool {
        self.0.iter().any(|file| file.segment == segment)
    }

    /// The segments.
    pub fn iter(&self) -> impl Iterator<Item = SegmentId> + '_ {
        self.0.iter().map(|file| file.segment)
    }

    /// What is in the segment's file, if it has one.
    pub fn bytes(&self, segment: SegmentId) -> Option<&Vec<u8>> {
        self.0.iter().find(|file| file.segment == segment).map(|file| &file.bytes)
    }

    /// Room that the segment's file takes.
    pub fn used(&self, segment: SegmentId) -> u64 {
        self.0.iter().find(|file| file.segment == segment).map_or(0, |file| file.used)
    }

    /// Room that all files take.
    pub fn used_by_all(&self) -> u64 {
        self.0.iter().map(|file| file.used).sum()
    }

    /// Writes to the segment's file; `false` when it has none.
    pub fn write(&mut self, segment: SegmentId, offset: usize, bytes: &[u8]) -> bool {
        let Some(file) = self.0.iter_mut().find(|file| file.segment == segment) else {
            return false;
        };
        let end = offset + bytes.len();
        if file.bytes.len() < end {
            file.bytes.resize(end, 0);
        }
        file.bytes[offset..end].copy_from_slice(bytes);
        file.used += bytes.len() as u64;
        true
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
    /// The manifests in the catalog.
    pub rows: Vec<Row>,
    /// The entries of the index in the catalog.
    pub index: Vec<(SegmentId, Key)>,
    /// What readers could see of each key, in order. Before the first there is nothing to see.
    pub sights: BTreeMap<Key, Vec<Sight>>,
    /// The bytes that were put, by their hash.
    pub contents: BTreeMap<u64, Vec<u8>>,
    /// The size of the disk.
    pub disk_bytes: u64,
    /// Commits so far.
    pub commits: u64,
    /// Of these, those that a sync of the catalog has covered.
    pub durable_commits: u64,
    /// Puts that the engine says began again.
    pub puts_retried: u64,
    /// How many puts came too late for their segment, at most: those whose write met no file or whose commit was refused,
    /// and for a sync that met none, all that had written to it.
    pub puts_too_late: u64,
    /// Writes that were refused because the disk was full.
    pub writes_refused: u64,
    /// Bytes that were written after their writer was dropped.
    pub written_late: u64,
    /// Puts that have begun and were not answered; some of them never will be.
    pub putting: Vec<Putting>,
    /// Reads that the engine says went on elsewhere.
    pub reads_retried: u64,
    /// Reads of a file that was not there.
    pub reads_lost: u64,
    /// Writes that have landed in each segment.
    pub writes: BTreeMap<SegmentId, u64>,
    /// Keys whose bytes were written over after the commit of their row.
    pub overwritten: Vec<Key>,
    /// Counts the changes that an oracle of every step may want to see.
    pub changes: u64,
}

impl History {
    /// The ring in the catalog.
    pub fn saved(&self) -> Option<&RingRecord> {
        self.saves.last().map(|save| &save.record)
    }

    /// Bytes that can still be written.
    pub fn free_bytes(&self) -> u64 {
        self.disk_bytes.saturating_sub(self.files.used_by_all())
    }

    /// Bytes that the puts under way could need at most.
    pub fn bytes_being_put(&self, is_alive: impl Fn(TaskId) -> bool) -> u64 {
        self.putting.iter().filter(|put| is_alive(put.task)).map(|put| put.bytes).sum()
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
        let step = save.step;
        self.saves.push(save);
        self.changes += 1;
        self.see(step);
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

    /// Takes in what readers can see from this step on: a row whose segment is in the ring.
    pub fn see(&mut self, step: u64) {
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
            if sights.last().and_then(|sight| sight.content) != content {
                sights.push(Sight { step, content, commit });
            }
        }
    }

    /// What readers could see of a key since that step, what they could see when it began included.
    pub fn sights_since(&self, key: Key, since: u64) -> impl Iterator<Item = Sight> + '_ {
        let sights = self.sights.get(&key).map_or(&[][..], Vec::as_slice);
        let first = sights.partition_point(|sight| sight.step < since);
        let nothing = Sight { step: 0, content: None, commit: 0 };
        let before = first.checked_sub(1).map_or(nothing, |before| sights[before]);
        std::iter::once(before).chain(sights[first..].iter().copied())
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
