//! Bits that have flipped on the disk, and reads that have failed: where, who has met them, who was told, and what was
//! stored anew for it.

use super::{History, Key};
use crate::decision::below;
use crate::files::Inode;
use crate::interference::Kind;
use crate::site::TaskId;
use segment_engine::SegmentId;
use segment_engine::manifest::Manifest;

/// A byte of a segment in which a bit has flipped, or where a read that has failed begins.
pub type Rotten = (SegmentId, u64);

/// The flipped bits of a run, and what came of them.
#[derive(Clone, Debug, Default)]
pub struct Rot {
    /// Where they are.
    pub bytes: Vec<Rotten>,
    /// Who has read them since it began what it does.
    pub met: Vec<(TaskId, Rotten)>,
    /// Where reads have failed in this life of the process.
    pub unread: Vec<Rotten>,
    /// Whose they were, since it began what it does.
    pub refused: Vec<(TaskId, Rotten)>,
    /// What of all this a caller was told of in this life of the process.
    pub told: Vec<Rotten>,
    /// Reads that have met one.
    pub reads: u64,
    /// Puts that the engine says have stored anew what was damaged.
    pub mended: u64,
    /// Commits that replaced an artifact that was damaged, or could not be read, with one by the same bytes elsewhere.
    pub replaced: u64,
    /// Of these, those of artifacts that were in the ring.
    pub replaced_in_ring: u64,
    /// The same of artifacts in the ring that were sound.
    pub sound_replaced: u64,
    /// The keys of what was replaced, until that is seen.
    pub(super) unseen: Vec<Key>,
}

impl Rot {
    /// Whether one is in what the manifest names.
    pub fn is_in(&self, manifest: &Manifest) -> bool {
        self.bytes.iter().any(|rotten| is_of(manifest, rotten))
    }

    /// Whether a read of that has failed in this life of the process.
    fn is_unread(&self, manifest: &Manifest) -> bool {
        self.unread.iter().any(|unread| is_of(manifest, unread))
    }

    /// Whether one is there of which callers were told, of the first so many that they were told of.
    pub fn is_known_in(&self, manifest: &Manifest, told: usize) -> bool {
        self.told.iter().take(told).any(|rotten| is_of(manifest, rotten))
    }

    /// Whether the task has read one since it began what it does.
    pub fn has_met(&self, task: TaskId) -> bool {
        self.met.iter().any(|(met, _)| *met == task)
    }

    /// The task begins something: what it has read before does not count.
    pub fn begin(&mut self, task: TaskId) {
        self.met.retain(|(met, _)| *met != task);
        self.refused.retain(|(refused, _)| *refused != task);
    }

    /// A read fails that begins there.
    pub fn refuse(&mut self, task: Option<TaskId>, segment: SegmentId, offset: u64) {
        self.unread.push((segment, offset));
        self.refused.extend(task.map(|task| (task, (segment, offset))));
    }

    /// The process has ended: the next one knows nothing of what was told and refused.
    pub(super) fn forget(&mut self) {
        self.told.clear();
        self.unread.clear();
        self.refused.clear();
    }

    /// The task reads these bytes.
    pub fn read(&mut self, task: TaskId, segment: SegmentId, offset: u64, length: u64) {
        let before = self.met.len();
        let is_read = |(other, at): &&Rotten| *other == segment && (offset..offset + length).contains(at);
        self.met.extend(self.bytes.iter().filter(is_read).map(|rotten| (task, *rotten)));
        self.reads += u64::from(self.met.len() > before);
    }

    /// The task was told of damage.
    pub(super) fn tell(&mut self, task: TaskId) {
        self.told.extend(self.met.iter().filter(|(met, _)| *met == task).map(|(_, rotten)| *rotten));
    }

    /// The task was told of an error.
    pub(super) fn tell_refused(&mut self, task: TaskId) {
        self.told.extend(self.refused.iter().filter(|(refused, _)| *refused == task).map(|(_, unread)| *unread));
    }
}

impl History {
    /// The task goes on with its read elsewhere. A get has to be right there, whatever it has read before: nobody has seen
    /// that.
    pub fn read_elsewhere(&mut self, task: TaskId) {
        if self.begun.get(&task).is_some_and(|begun| begun.reads && !begun.is_stream) {
            self.rot.begin(task);
        }
    }

    /// A bit of these `length` bytes of a file flips, as `draw` says.
    pub fn flip_bit(&mut self, segment: SegmentId, inode: Inode, offset: u64, length: u64, draw: u64) {
        let at = offset + below(draw, length.max(1));
        if length > 0 && self.files.flip(inode, at as usize, (draw & 7) as u8) {
            self.rot.bytes.push((segment, at));
            self.interference.add(Kind::RottenBit, 1);
        }
    }

    /// Takes down whether the row of `key` gives way to one of the same bytes, put elsewhere.
    pub(super) fn replace(&mut self, key: Key, next: Option<Manifest>) {
        let before = self.rows.iter().find(|row| row.key == key).map(|row| row.manifest);
        let is_anew = |before: &Manifest, next: &Manifest| {
            (before.checksum, before.length) == (next.checksum, next.length) && before.version != next.version
        };
        let Some((before, _)) = before.zip(next).filter(|(before, next)| is_anew(before, next)) else {
            return;
        };
        let is_in_ring = self.saved().is_some_and(|saved| saved.ring.generation_of(before.segment).is_some());
        if self.rot.is_in(&before) || self.rot.is_unread(&before) {
            self.rot.replaced += 1;
            self.rot.replaced_in_ring += u64::from(is_in_ring);
            self.rot.unseen.push(key);
        } else {
            self.rot.sound_replaced += u64::from(is_in_ring);
        }
    }
}

/// Whether the byte is one of those that the manifest names.
fn is_of(manifest: &Manifest, (segment, at): &Rotten) -> bool {
    *segment == manifest.segment && (manifest.offset..manifest.offset + manifest.length).contains(at)
}
