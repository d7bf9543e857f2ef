//! The segment directory of a run: its files, and what of them a power loss leaves.
//!
//! Bytes, directory entries and unlinks become durable separately: a write by a sync of its file, an entry or an unlink by a
//! sync of the directory, each only if it had landed when that sync was asked for. What is not durable is lost or kept by
//! itself at a power loss, and a write may be torn at any byte.

use crate::decision::below;
use crate::interference::{Interference, Kind};
use segment_engine::SegmentId;

/// The segments that have a file, and what is in it, in no order that means anything: they are few, and looked up after
/// each step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    files: Vec<File>,
    /// Unlinked, and not yet durably, or not yet closed.
    unlinked: Vec<File>,
    /// Counts the changes.
    now: u64,
    /// How much longer those files were that are gone than the room that they took.
    holes_gone: u64,
    /// Whether the power may fail: otherwise nothing is kept for it.
    pub may_lose_power: bool,
}

/// A segment's file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    segment: SegmentId,
    bytes: Vec<u8>,
    /// How many of these were written: a hole takes no room.
    used: u64,
    /// What a power loss leaves for sure.
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
    /// The change that made its directory entry, while that is not durable.
    created: Option<u64>,
    /// The change that unlinked it.
    unlinked: u64,
    is_unlink_durable: bool,
    /// A failed sync has dropped its entry, or its unlink: no later one makes it durable.
    is_dropped: bool,
    /// Names the file, whatever becomes of its name in the directory.
    inode: Inode,
    /// Operations under way that have it open.
    open: u32,
}

/// A file that may have been unlinked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode(u64);

/// A write that no sync has covered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unsynced {
    change: u64,
    offset: usize,
    bytes: Vec<u8>,
}

/// A moment in the life of a directory: a sync covers what happened before it.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

impl Files {
    /// Adds a file; whether there was none.
    pub fn insert(&mut self, segment: SegmentId) -> bool {
        let is_new = !self.contains(segment);
        if is_new {
            self.now += 1;
            let created = self.may_lose_power.then_some(self.now);
            let (bytes, durable) = (Vec::new(), Vec::new());
            self.files.push(File {
                segment,
                bytes,
                used: 0,
                durable,
                unsynced: Vec::new(),
                created,
                unlinked: 0,
                is_unlink_durable: !self.may_lose_power,
                is_dropped: false,
                inode: Inode(self.now),
                open: 0,
            });
        }
        is_new
    }

    /// Removes a file, if there is one.
    pub fn remove(&mut self, segment: SegmentId) {
        let Some(place) = self.files.iter().position(|file| file.segment == segment) else {
            return;
        };
        self.now += 1;
        let file = self.files.remove(place);
        self.holes_gone += (file.bytes.len() as u64).saturating_sub(file.used);
        if self.may_lose_power || file.open > 0 {
            self.unlinked.push(File { unlinked: self.now, ..file });
        }
    }

    /// Opens the segment's file, if it has one: it takes room until it is closed, unlinked or not.
    pub fn open(&mut self, segment: SegmentId) -> Option<Inode> {
        let file = self.files.iter_mut().find(|file| file.segment == segment)?;
        file.open += 1;
        Some(file.inode)
    }

    /// The segment's file, as an operation finds it that has perhaps opened it before.
    pub fn find(&self, segment: SegmentId, open: Option<Inode>) -> Option<Inode> {
        open.or_else(|| self.files.iter().find(|file| file.segment == segment).map(|file| file.inode))
    }

    /// Closes it again.
    pub fn close(&mut self, inode: Inode) {
        if let Some(file) = self.inode_mut(inode) {
            file.open -= 1;
        }
        self.unlinked.retain(|file| file.open > 0 || !file.is_unlink_durable);
    }

    /// Removes a file as if it had never been.
    pub fn destroy(&mut self, segment: SegmentId) {
        self.files.retain(|file| file.segment != segment);
    }

    /// Cuts a file to so many bytes, durably, as if it had never been longer; whether it was.
    pub fn cut(&mut self, segment: SegmentId, length: usize) -> bool {
        let Some(file) = self.files.iter_mut().find(|file| file.segment == segment && file.bytes.len() > length) else {
            return false;
        };
        file.bytes.truncate(length);
        file.durable.truncate(length);
        file.unsynced.retain_mut(|unsynced| {
            unsynced.bytes.truncate(length.saturating_sub(unsynced.offset));
            !unsynced.bytes.is_empty()
        });
        file.used = file.used.min(length as u64);
        true
    }

    /// Whether the segment has a file.
    pub fn contains(&self, segment: SegmentId) -> bool {
        self.file(segment).is_some()
    }

    /// The segments.
    pub fn iter(&self) -> impl Iterator<Item = SegmentId> + '_ {
        self.files.iter().map(|file| file.segment)
    }

    /// What is in the segment's file, if it has one.
    pub fn bytes(&self, segment: SegmentId) -> Option<&Vec<u8>> {
        self.file(segment).map(|file| &file.bytes)
    }

    /// Room that the segment's file takes.
    pub fn used(&self, segment: SegmentId) -> u64 {
        self.file(segment).map_or(0, |file| file.used)
    }

    /// Room that all files take, those that are unlinked and still open with them.
    pub fn used_by_all(&self) -> u64 {
        self.files.iter().map(|file| file.used).sum::<u64>() + self.used_by_unlinked()
    }

    /// Room that files of this segment take which are unlinked and still open.
    pub fn held(&self, segment: SegmentId) -> u64 {
        self.unlinked.iter().filter(|file| file.segment == segment && file.open > 0).map(|file| file.used).sum()
    }

    /// The holes in those that are gone.
    pub fn holes_gone(&self) -> u64 {
        self.holes_gone
    }

    /// Room that those take which are unlinked and still open.
    pub fn used_by_unlinked(&self) -> u64 {
        self.unlinked.iter().filter(|file| file.open > 0).map(|file| file.used).sum()
    }

    /// What is in this file.
    pub fn contents(&self, inode: Inode) -> Option<&Vec<u8>> {
        self.files.iter().chain(&self.unlinked).find(|file| file.inode == inode).map(|file| &file.bytes)
    }

    /// Writes to the segment's file, if it has one.
    pub fn write(&mut self, segment: SegmentId, offset: usize, bytes: &[u8]) {
        if let Some(inode) = self.find(segment, None) {
            self.write_to(inode, offset, bytes);
        }
    }

    /// Writes to a file.
    pub fn write_to(&mut self, inode: Inode, offset: usize, bytes: &[u8]) {
        self.now += 1;
        let (change, may_lose_power) = (self.now, self.may_lose_power);
        let Some(file) = self.inode_mut(inode) else {
            return;
        };
        write(&mut file.bytes, offset, bytes);
        file.used += bytes.len() as u64;
        if may_lose_power {
            file.unsynced.push(Unsynced { change, offset, bytes: bytes.to_vec() });
        }
    }

    /// Flips a bit of this byte, if it is there; whether it is.
    pub fn flip(&mut self, inode: Inode, at: usize, bit: u8) -> bool {
        let Some(file) = self.inode_mut(inode) else {
            return false;
        };
        // what no sync has covered is in memory alone, and a power loss takes the flip with it
        let kept = file.durable.get_mut(at).filter(|kept| Some(&**kept) == file.bytes.get(at));
        kept.into_iter().chain(file.bytes.get_mut(at)).map(|byte| *byte ^= 1 << bit).count() > 0
    }

    /// Now. A sync that is asked for now covers everything before.
    pub fn mark(&self) -> Mark {
        Mark(self.now)
    }

    /// The writes to a file before `mark` are durable.
    pub fn sync(&mut self, inode: Inode, mark: Mark) {
        self.settle(inode, mark, |_| true);
    }

    /// A sync failed: of the writes before `mark` each is durable, or its pages are dropped. Readers go on seeing it, and no
    /// later sync makes it durable. Returns how many were dropped.
    pub fn fail_sync(&mut self, inode: Inode, mark: Mark, mut draw: impl FnMut(u64) -> u64) -> u64 {
        let mut dropped = 0;
        self.settle(inode, mark, |change| {
            let is_kept = draw(change) & 1 == 0;
            dropped += u64::from(!is_kept);
            is_kept
        });
        dropped
    }

    fn settle(&mut self, inode: Inode, mark: Mark, mut is_kept: impl FnMut(u64) -> bool) {
        let Some(file) = self.inode_mut(inode) else {
            return;
        };
        let later = file.unsynced.partition_point(|unsynced| unsynced.change <= mark.0);
        for Unsynced { change, offset, bytes } in file.unsynced.drain(..later) {
            if is_kept(change) {
                write(&mut file.durable, offset, &bytes);
            }
        }
    }

    /// A sync of the directory failed: of the entries and unlinks before `mark` each is durable, or dropped. Everybody goes
    /// on seeing it, and no later sync makes it durable. Returns how many were dropped.
    pub fn fail_sync_directory(&mut self, mark: Mark, mut draw: impl FnMut(u64) -> u64) -> u64 {
        let mut dropped = 0;
        for file in self.files.iter_mut().chain(&mut self.unlinked).filter(|file| !file.is_dropped) {
            let change = file.created.unwrap_or(0).max(file.unlinked);
            let is_covered =
                change <= mark.0 && (file.created.is_some() || (file.unlinked > 0 && !file.is_unlink_durable));
            file.is_dropped = is_covered && draw(change) & 1 == 1;
            dropped += u64::from(file.is_dropped);
        }
        self.sync_directory(mark);
        dropped
    }

    /// Entries and unlinks before `mark` are durable.
    pub fn sync_directory(&mut self, mark: Mark) {
        for file in self.files.iter_mut().chain(&mut self.unlinked).filter(|file| !file.is_dropped) {
            file.created = file.created.filter(|created| *created > mark.0);
        }
        for file in self.unlinked.iter_mut().filter(|file| !file.is_dropped) {
            file.is_unlink_durable |= file.unlinked <= mark.0;
        }
        self.unlinked.retain(|file| file.open > 0 || !file.is_unlink_durable);
    }

    /// The files that were unlinked and that a power loss can bring back, though no sync of the directory has failed.
    pub fn may_come_back(&self) -> impl Iterator<Item = SegmentId> + '_ {
        self.unlinked.iter().filter(|file| !file.is_unlink_durable && !file.is_dropped).map(|file| file.segment)
    }

    /// The process ends: it has nothing open any more.
    pub fn close_all(&mut self) {
        self.files.iter_mut().chain(&mut self.unlinked).for_each(|file| file.open = 0);
        self.unlinked.retain(|file| !file.is_unlink_durable);
    }

    /// Everything that is there is durable.
    pub fn sync_all(&mut self) {
        self.unlinked.clear();
        for file in &mut self.files {
            file.unsynced.clear();
            (file.created, file.is_dropped, file.durable) = (None, false, file.bytes.clone());
        }
    }

    /// The power fails: what is not durable is kept, torn or lost, as `draw` says of each change by its number.
    pub fn lose_power(&mut self, mut draw: impl FnMut(u64) -> u64, counts: &mut Interference) {
        let mut left = Vec::new();
        let unlinked = self.unlinked.drain(..).map(|file| (file, true));
        for (mut file, is_unlinked) in self.files.drain(..).map(|file| (file, false)).chain(unlinked) {
            if is_unlinked {
                if file.is_unlink_durable || draw(file.unlinked) & 1 == 0 {
                    continue;
                }
                counts.add(Kind::UndoneUnlink, 1);
            }
            if file.created.is_some_and(|created| draw(created) & 1 == 0) {
                counts.add(Kind::LostEntry, 1);
                continue;
            }
            for Unsynced { change, offset, bytes } in std::mem::take(&mut file.unsynced) {
                let drawn = draw(change);
                match drawn & 3 {
                    0 => write(&mut file.durable, offset, &bytes),
                    1 => {
                        counts.add(Kind::TornWrite, 1);
                        let torn = below(drawn << 2, bytes.len() as u64) as usize;
                        write(&mut file.durable, offset, &bytes[..torn]);
                    }
                    _ => counts.add(Kind::LostWrite, 1),
                }
            }
            file.bytes.clone_from(&file.durable);
            (file.used, file.created, file.unlinked) = (file.bytes.len() as u64, None, 0);
            file.is_dropped = false;
            left.push(file);
        }
        self.files = left;
    }

    fn file(&self, segment: SegmentId) -> Option<&File> {
        self.files.iter().find(|file| file.segment == segment)
    }

    fn inode_mut(&mut self, inode: Inode) -> Option<&mut File> {
        self.files.iter_mut().chain(&mut self.unlinked).find(|file| file.inode == inode)
    }
}

impl Extend<SegmentId> for Files {
    fn extend<T: IntoIterator<Item = SegmentId>>(&mut self, segments: T) {
        for segment in segments {
            self.insert(segment);
        }
    }
}

/// Writes; what lies between the end and `offset` is a hole.
fn write(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const SEGMENT: SegmentId = SegmentId::from_u128(1);

    /// A directory with one durable, empty file.
    fn files() -> Files {
        let mut files = Files { may_lose_power: true, ..Files::default() };
        files.insert(SEGMENT);
        files.sync_all();
        files
    }

    /// What may be left of the file after a power loss, over many draws; `None` for no file.
    fn left(files: &Files) -> BTreeSet<Option<Vec<u8>>> {
        let lose = |seed: u64| {
            let mut files = files.clone();
            let draw = |change: u64| {
                crate::decision::Decisions::new(seed, "test").draw(crate::decision::Question::Value, change)
            };
            files.lose_power(draw, &mut Interference::default());
            files.bytes(SEGMENT).cloned()
        };
        (0..400).map(lose).collect()
    }

    fn sync(files: &mut Files) {
        files.sync(files.find(SEGMENT, None).unwrap(), files.mark());
    }

    #[test]
    fn a_file_that_is_unlinked_while_it_is_open_takes_room_until_it_is_closed() {
        let mut files = Files::default();
        files.insert(SEGMENT);
        let open = files.open(SEGMENT).unwrap();
        files.write(SEGMENT, 0, b"abc");
        files.remove(SEGMENT);
        assert_eq!((files.contains(SEGMENT), files.used_by_all()), (false, 3));
        files.write_to(open, 3, b"d");
        assert_eq!((files.contents(open), files.used_by_all()), (Some(&b"abcd".to_vec()), 4));
        files.close(open);
        assert_eq!((files.contents(open), files.used_by_all()), (None, 0));
    }

    fn some(contents: &[&[u8]]) -> BTreeSet<Option<Vec<u8>>> {
        contents.iter().map(|bytes| Some(bytes.to_vec())).collect()
    }

    #[test]
    fn an_unsynced_write_is_kept_lost_or_torn_at_any_byte() {
        let mut files = files();
        files.write(SEGMENT, 0, b"abc");
        assert_eq!(left(&files), some(&[b"", b"a", b"ab", b"abc"]));
        sync(&mut files);
        assert_eq!(left(&files), some(&[b"abc"]));
    }

    #[test]
    fn writes_are_lost_independently_and_leave_holes() {
        let mut files = files();
        files.write(SEGMENT, 0, b"a");
        files.write(SEGMENT, 1, b"b");
        assert_eq!(left(&files), some(&[b"", b"a", b"\0b", b"ab"]));
    }

    #[test]
    fn what_a_cut_takes_off_no_power_loss_brings_back() {
        let mut files = files();
        files.write(SEGMENT, 0, b"ab");
        sync(&mut files);
        files.write(SEGMENT, 1, b"cd");
        files.write(SEGMENT, 3, b"e");
        assert!(!files.cut(SEGMENT, 4), "it is no longer than that");
        assert!(files.cut(SEGMENT, 2));
        assert_eq!((files.bytes(SEGMENT).unwrap().as_slice(), files.used(SEGMENT)), (&b"ac"[..], 2));
        assert_eq!(left(&files), some(&[b"ab", b"ac"]));
    }

    #[test]
    fn a_sync_covers_what_had_landed_when_it_was_asked_for() {
        let mut files = files();
        files.write(SEGMENT, 0, b"a");
        let asked = files.mark();
        files.write(SEGMENT, 1, b"b");
        files.sync(files.find(SEGMENT, None).unwrap(), asked);
        assert_eq!(left(&files), some(&[b"a", b"ab"]));
    }

    #[test]
    fn a_bit_that_has_flipped_stays_so_unless_it_was_in_memory_alone() {
        let mut files = files();
        files.write(SEGMENT, 0, b"a");
        sync(&mut files);
        files.write(SEGMENT, 1, b"b");
        let inode = files.find(SEGMENT, None).unwrap();
        assert!(files.flip(inode, 0, 1) && files.flip(inode, 1, 0) && !files.flip(inode, 2, 0));
        assert_eq!(files.bytes(SEGMENT), Some(&b"cc".to_vec()));
        assert_eq!(left(&files), some(&[b"c", b"cb"]));
    }

    #[test]
    fn a_write_whose_pages_were_dropped_is_seen_and_no_sync_saves_it() {
        let mut files = files();
        files.write(SEGMENT, 0, b"a");
        assert_eq!(files.fail_sync(files.find(SEGMENT, None).unwrap(), files.mark(), |_| 1), 1);
        assert_eq!(files.bytes(SEGMENT), Some(&b"a".to_vec()));
        sync(&mut files);
        assert_eq!(left(&files), some(&[b""]));
    }

    #[test]
    fn an_entry_and_an_unlink_are_durable_by_a_sync_of_the_directory_alone() {
        let mut files = Files { may_lose_power: true, ..Files::default() };
        files.insert(SEGMENT);
        sync(&mut files);
        assert_eq!(left(&files), BTreeSet::from([None, Some(Vec::new())]));
        files.sync_directory(files.mark());
        assert_eq!(left(&files), some(&[b""]));
        files.remove(SEGMENT);
        assert_eq!(left(&files), BTreeSet::from([None, Some(Vec::new())]));
        files.sync_directory(files.mark());
        assert_eq!(left(&files), BTreeSet::from([None]));
    }

    #[test]
    fn an_entry_or_an_unlink_that_a_failed_sync_has_dropped_is_seen_and_no_later_one_saves_it() {
        let mut files = Files { may_lose_power: true, ..Files::default() };
        files.insert(SEGMENT);
        assert_eq!(files.fail_sync_directory(files.mark(), |_| 1), 1);
        files.sync_directory(files.mark());
        assert!(files.contains(SEGMENT));
        assert_eq!(left(&files), BTreeSet::from([None, Some(Vec::new())]));
        let mut files = Files { may_lose_power: true, ..Files::default() };
        files.insert(SEGMENT);
        assert_eq!(files.fail_sync_directory(files.mark(), |_| 0), 0);
        assert_eq!(left(&files), some(&[b""]));
        files.remove(SEGMENT);
        assert_eq!(files.fail_sync_directory(files.mark(), |_| 1), 1);
        files.sync_directory(files.mark());
        assert!(!files.contains(SEGMENT));
        assert_eq!(left(&files), BTreeSet::from([None, Some(Vec::new())]));
    }
}
