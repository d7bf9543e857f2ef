//! Who owns each byte of a segment, counted as it happens.
//!
//! A range is reserved once and never again, so the owners of a segment's bytes add up to what is reserved of it. Counts
//! are exact when nothing is under way; meanwhile two changes of one range may be counted in either order.

use crate::error::Result;
use crate::group_commit::{GroupCommit, Target};
use crate::limits::{STUCK_IN_A_ROW_MAX, UNLINKS_REFUSED_MAX};
use crate::segment::SegmentId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::task::TaskTracker;

/// Whose bytes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Of an operation under way; or of a commit whose outcome is unknown.
    UnderWay,
    /// Of an artifact that can be read.
    Live,
    /// Of an artifact that was replaced or moved; or, after a reopen, of nobody.
    Superseded,
    /// Of a put that did not end.
    Abandoned,
    /// Of a refresh that lost to a put or an eviction.
    LostCopy,
}

/// Bytes by owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// See [`Owner::UnderWay`].
    pub under_way: u64,
    /// See [`Owner::Live`].
    pub live: u64,
    /// See [`Owner::Superseded`].
    pub superseded: u64,
    /// See [`Owner::Abandoned`].
    pub abandoned: u64,
    /// See [`Owner::LostCopy`].
    pub lost_copies: u64,
}

impl Owners {
    /// All bytes.
    pub fn sum(&self) -> u64 {
        // wrapping: a count that was overtaken is below 0 for a moment, the sum never is
        [self.live, self.superseded, self.abandoned, self.lost_copies]
            .into_iter()
            .fold(self.under_way, u64::wrapping_add)
    }

    /// Adds those of another segment.
    pub fn add(&mut self, other: &Owners) {
        let Owners { under_way, live, superseded, abandoned, lost_copies } = *other;
        self.under_way = self.under_way.wrapping_add(under_way);
        self.live = self.live.wrapping_add(live);
        self.superseded = self.superseded.wrapping_add(superseded);
        self.abandoned = self.abandoned.wrapping_add(abandoned);
        self.lost_copies = self.lost_copies.wrapping_add(lost_copies);
    }

    fn of(&mut self, owner: Owner) -> &mut u64 {
        match owner {
            Owner::UnderWay => &mut self.under_way,
            Owner::Live => &mut self.live,
            Owner::Superseded => &mut self.superseded,
            Owner::Abandoned => &mut self.abandoned,
            Owner::LostCopy => &mut self.lost_copies,
        }
    }

    fn move_bytes(&mut self, bytes: u64, from: Owner, to: Owner) {
        // a change that overtook the one before it takes from what is not there yet; the other puts it back
        let source = self.of(from);
        *source = source.wrapping_sub(bytes);
        let target = self.of(to);
        *target = target.wrapping_add(bytes);
    }
}

/// The books of the segments that have a file.
#[derive(Debug, Default)]
pub(crate) struct Books {
    books: Mutex<BTreeMap<SegmentId, Arc<Book>>>,
    /// Segments that got stuck since an unlink has succeeded.
    stuck_in_a_row: AtomicU32,
    counts: Arc<Mutex<Counts>>,
    tasks: TaskTracker,
}

/// Bytes since the open, of all segments. They change together with what is counted of each, in one step: who measures room
/// by both would miss bytes otherwise, or count them twice, and evict for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// They were reserved.
    pub(crate) reserved: u64,
    /// Of these, the disk has yet to find room for them. Those of a file that is gone need none.
    pub(crate) unwritten: u64,
    /// Nobody will write them any more, and their file is there.
    pub(crate) given_up: u64,
    /// Their files went.
    pub(crate) freed: u64,
}

/// The book of one segment.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) segment: SegmentId,
    capacity: u64,
    /// It was made by this engine.
    is_new: bool,
    owners: Mutex<Owners>,
    /// What of the bytes under way the disk does not have. Changes under `counts`, as the next two do.
    unwritten: AtomicU64,
    /// What of the others it never will.
    holes: AtomicU64,
    /// Its file is gone.
    is_gone: AtomicBool,
    /// How often the disk has refused to unlink it.
    refusals: AtomicU32,
    /// Those of all segments. Taken before `owners`, and after the lock over the books.
    counts: Arc<Mutex<Counts>>,
    /// Where the artifacts begin whose bytes a read has found to be others than were stored.
    damaged: Mutex<BTreeSet<u64>>,
    /// Its data syncs. One that failed poisons the segment: nothing is reserved in it any more.
    pub(crate) syncs: Arc<GroupCommit>,
}

/// A range of a segment that one operation writes. Dropped before [`Reservation::settle`] it is abandoned.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) book: Arc<Book>,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    unwritten: u64,
    /// Of these, those of the write under way, which lands also when nobody waits for it any more.
    pub(crate) submitted: u64,
    fate: Owner,
}

impl Books {
    /// No books yet; the syncs of their segments will be among `tasks`.
    pub(crate) fn new(tasks: TaskTracker) -> Books {
        Books { tasks, ..Books::default() }
    }

    /// Opens the book of a new segment.
    pub(crate) fn open_new(&self, segment: SegmentId, capacity: u64) {
        self.insert(segment, capacity, Owners::default(), true);
    }

    /// Opens the book of a segment that an engine before this one has made, which holds `owners`' bytes and may hold
    /// `capacity`.
    pub(crate) fn open(&self, segment: SegmentId, capacity: u64, owners: Owners) {
        self.insert(segment, capacity, owners, false);
    }

    fn insert(&self, segment: SegmentId, capacity: u64, owners: Owners, is_new: bool) {
        let syncs = GroupCommit::new(Target::Segment(segment), self.tasks.clone());
        let book = Arc::new(Book {
            segment,
            capacity,
            is_new,
            owners: Mutex::new(owners),
            unwritten: AtomicU64::new(0),
            holes: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
            refusals: AtomicU32::new(0),
            counts: self.counts.clone(),
            damaged: Mutex::default(),
            syncs,
        });
        lock(&self.books).insert(segment, book);
    }

    /// Closes the books of segments that are no more.
    pub(crate) fn close(&self, segments: &[SegmentId]) {
        lock(&self.books).retain(|segment, _| !segments.contains(segment));
    }

    /// The file of this segment is gone, its book still open.
    pub(crate) fn free(&self, segment: SegmentId) {
        // in one step for who takes this lock, as for what is written off: where this unlink ends a row of stuck ones, this
        // one is written off and freed at once, or a put would evict another in its place
        let books = lock(&self.books);
        self.stuck_in_a_row.store(0, Ordering::Relaxed);
        let Some(book) = books.get(&segment) else {
            return;
        };
        let mut counts = lock(&self.counts);
        counts.freed += book.disk_bytes();
        counts.unwritten -= book.unwritten.load(Ordering::Relaxed);
        book.is_gone.store(true, Ordering::Relaxed);
    }

    /// The disk has refused to unlink it; whether with that it has become stuck.
    pub(crate) fn refuse(&self, segment: SegmentId) -> bool {
        // in one step, too: it is not written off before it counts in the row
        let books = lock(&self.books);
        let refusals = books.get(&segment).map_or(0, |book| book.refusals.fetch_add(1, Ordering::Relaxed) + 1);
        let is_stuck = refusals == UNLINKS_REFUSED_MAX;
        self.stuck_in_a_row.fetch_add(u32::from(is_stuck), Ordering::Relaxed);
        is_stuck
    }

    /// Whether the disk keeps what it was told again and again to unlink: its bytes may never come free.
    pub(crate) fn is_stuck(&self, segment: SegmentId) -> bool {
        self.of(segment).is_some_and(|book| book.is_stuck())
    }

    /// The stuck segments, whose room nobody is to count on; none where the disk unlinks no other either, for whatever is
    /// evicted in their place would go for nothing.
    pub(crate) fn written_off(&self) -> BTreeSet<SegmentId> {
        let books = lock(&self.books);
        if self.stuck_in_a_row.load(Ordering::Relaxed) > STUCK_IN_A_ROW_MAX {
            return BTreeSet::new();
        }
        books.values().filter(|book| book.is_stuck()).map(|book| book.segment).collect()
    }

    /// What has become of bytes since the open, up to now.
    pub(crate) fn counts(&self) -> Counts {
        *lock(&self.counts)
    }

    /// The book of a segment.
    pub(crate) fn of(&self, segment: SegmentId) -> Option<Arc<Book>> {
        lock(&self.books).get(&segment).cloned()
    }

    /// The bytes of an artifact in this segment have a new owner.
    pub(crate) fn move_bytes(&self, segment: SegmentId, bytes: u64, from: Owner, to: Owner) {
        // without a book the segment is gone, and its bytes with it
        if let Some(book) = self.of(segment) {
            lock(&book.owners).move_bytes(bytes, from, to);
        }
    }

    /// What each segment takes of the disk, and what has become of bytes up to the same moment.
    pub(crate) fn disk_bytes(&self) -> (BTreeMap<SegmentId, u64>, Counts) {
        let (books, counts) = (lock(&self.books), lock(&self.counts));
        (books.values().map(|book| (book.segment, book.disk_bytes())).collect(), *counts)
    }

    /// Bytes by segment and owner.
    pub(crate) fn usage(&self) -> Vec<(SegmentId, Owners)> {
        lock(&self.books).values().map(|book| (book.segment, *lock(&book.owners))).collect()
    }
}

impl Book {
    /// What it takes of the disk, or will when what is under way is written. Of a segment that an engine before this one has
    /// made: what its file is long, holes and all.
    fn disk_bytes(&self) -> u64 {
        if self.is_gone.load(Ordering::Relaxed) {
            return 0;
        }
        let sum = lock(&self.owners).sum();
        sum.saturating_sub(self.holes.load(Ordering::Relaxed))
    }

    fn is_stuck(&self) -> bool {
        self.refusals.load(Ordering::Relaxed) >= UNLINKS_REFUSED_MAX
    }

    /// So many fewer of its bytes are unwritten; whether its file is there. Where it is gone, they came free with it.
    fn needs_less(&self, counts: &mut Counts, bytes: u64) -> bool {
        self.unwritten.fetch_sub(bytes, Ordering::Relaxed);
        let is_there = !self.is_gone.load(Ordering::Relaxed);
        counts.unwritten -= if is_there { bytes } else { 0 };
        is_there
    }

    /// Whether operations that reserved bytes are under way.
    pub(crate) fn has_work(&self) -> bool {
        lock(&self.owners).under_way != 0
    }

    /// The artifact that begins there is damaged.
    pub(crate) fn set_damaged(&self, offset: u64) {
        lock(&self.damaged).insert(offset);
    }

    /// Whether it is known to be.
    pub(crate) fn is_damaged(&self, offset: u64) -> bool {
        lock(&self.damaged).contains(&offset)
    }

    /// Whether nothing can be read of it, and never will: its first sync has failed, and a row names only what was synced.
    pub(crate) fn is_stillborn(&self) -> bool {
        // in this order: no sync succeeds after one that failed, but the first may between the two looks
        self.is_new && self.syncs.failure().is_some() && !self.syncs.has_succeeded()
    }

    /// Reserves the next `length` bytes; `None` when they do not fit, or the segment is poisoned. The caller holds the
    /// write lock.
    pub(crate) fn reserve(self: &Arc<Self>, length: u64) -> Option<Reservation> {
        if self.syncs.failure().is_some() {
            return None;
        }
        let (mut counts, mut owners) = (lock(&self.counts), lock(&self.owners));
        let offset = owners.sum();
        if offset.checked_add(length)? > self.capacity {
            return None;
        }
        owners.under_way += length;
        self.unwritten.fetch_add(length, Ordering::Relaxed);
        counts.reserved += length;
        if !self.is_gone.load(Ordering::Relaxed) {
            counts.unwritten += length;
        }
        drop((counts, owners));
        Some(Reservation {
            book: self.clone(),
            offset,
            length,
            unwritten: length,
            submitted: 0,
            fate: Owner::Abandoned,
        })
    }
}

impl Reservation {
    /// So many more of its bytes take room now.
    pub(crate) fn wrote(&mut self, bytes: u64) {
        self.unwritten -= bytes;
        self.book.needs_less(&mut lock(&self.book.counts), bytes);
    }

    /// Says whose the bytes are from now on.
    pub(crate) fn settle(mut self, owner: Owner) {
        self.fate = owner;
    }

    /// Keeps the range as under way for good when `result` is an error: whether it is in use is unknown.
    pub(crate) fn unless_unknown<T>(self, result: Result<T>) -> Result<(T, Reservation)> {
        match result {
            Ok(value) => Ok((value, self)),
            Err(error) => {
                self.settle(Owner::UnderWay);
                Err(error)
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Reservation { book, length, unwritten, submitted, fate, .. } = self;
        let mut counts = lock(&book.counts);
        // what is not written will not be, but for an operation that outlives its caller
        book.holes.fetch_add(*unwritten - *submitted, Ordering::Relaxed);
        if book.needs_less(&mut counts, *unwritten) {
            counts.given_up += *unwritten;
        }
        drop(counts);
        lock(&book.owners).move_bytes(*length, Owner::UnderWay, *fate);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // nothing under these locks can panic half way
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: SegmentId = SegmentId::from_u128(1);

    #[test]
    fn a_range_is_reserved_once_and_has_one_owner() {
        let books = Books::default();
        books.open(SEGMENT, 10, Owners::default());
        let book = books.of(SEGMENT).unwrap();
        let first = book.reserve(4).unwrap();
        let second = book.reserve(6).unwrap();
        assert_eq!((first.offset, second.offset), (0, 4));
        assert!(book.reserve(1).is_none(), "it is full");
        drop(second);
        assert!(book.reserve(1).is_none(), "an abandoned range is not used again");
        first.settle(Owner::Live);
        assert_eq!(books.usage(), [(SEGMENT, Owners { live: 4, abandoned: 6, ..Owners::default() })]);
    }

    #[test]
    fn what_was_never_written_takes_no_room_but_a_write_under_way_will() {
        let books = Books::default();
        books.open(SEGMENT, 20, Owners::default());
        let reserve = |length| books.of(SEGMENT).unwrap().reserve(length).unwrap();
        let (mut broken_off, mut dropped) = (reserve(8), reserve(4));
        assert_eq!(books.disk_bytes().0[&SEGMENT], 12, "they are on their way");
        broken_off.wrote(3);
        dropped.submitted = 2;
        drop((broken_off, dropped));
        assert_eq!((books.disk_bytes().0[&SEGMENT], books.usage()[0].1.abandoned), (3 + 2, 12));
        let under_way = reserve(2);
        assert_eq!(books.counts().unwritten, 2);
        books.free(SEGMENT);
        assert_eq!(books.counts().unwritten, 0, "it has no file to write to");
        drop(under_way);
        assert_eq!(books.counts(), Counts { reserved: 14, unwritten: 0, given_up: 5 + 4, freed: 5 + 2 });
    }

    #[test]
    fn whoever_looks_finds_each_byte_in_one_place_on_real_threads() {
        let books = Books::default();
        books.open(SEGMENT, 1 << 40, Owners::default());
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let puts = || {
                for _ in 0..500_000 {
                    let mut range = books.of(SEGMENT).unwrap().reserve(3).unwrap();
                    range.wrote(1);
                }
            };
            let putters = [scope.spawn(puts), scope.spawn(puts)];
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let (bytes, counts) = books.disk_bytes();
                    assert_eq!(bytes[&SEGMENT] + counts.given_up, counts.reserved);
                    assert!(counts.unwritten <= 2 * 3, "of two that are under way");
                }
            });
            for putter in putters {
                putter.join().unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(books.counts(), Counts { reserved: 3_000_000, given_up: 2_000_000, ..Counts::default() });
    }

    #[test]
    fn changes_counted_in_the_wrong_order_come_out_right() {
        let books = Books::default();
        books.open(SEGMENT, 10, Owners::default());
        let put = books.of(SEGMENT).unwrap().reserve(4).unwrap();
        books.move_bytes(SEGMENT, 4, Owner::Live, Owner::Superseded);
        put.settle(Owner::Live);
        assert_eq!(books.usage(), [(SEGMENT, Owners { superseded: 4, ..Owners::default() })]);
    }
}
