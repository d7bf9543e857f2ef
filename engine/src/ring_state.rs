//! The one place that changes the ring: lock, clone the latest, mutate, save if changed, publish.
//!
//! Owns the state lock, the published snapshot and the saved record. Readers take the snapshot without the lock. The
//! only await under the lock is the one at `RingCloned`; save and publish are one synchronous step, so a caller dropped
//! anywhere leaves both or neither. A save that errs is unknown: it is not published and writes are fenced.

use crate::catalog::{Catalog, Commit, Table, Write};
use crate::env::Env;
use crate::error::{Error, RecordFault, Result};
use crate::limits::RingLimits;
use crate::lock::{Lock, LockPoints};
use crate::point::Point;
use crate::ring::{Doomed, Generation, Member, Ring};
use crate::segment::SegmentId;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The key of the ring's row in [`Table::Ring`].
pub const RING_KEY: &[u8] = b"ring";

const RECORD_FORMAT: u8 = 1;

/// Format, version, base and the lengths of both lists.
const HEAD_BYTES: usize = 1 + 8 + 8 + 4 + 4;
/// Id, bytes and generation.
const MEMBER_BYTES: usize = 16 + 8 + 1;
/// Id and bytes.
const DOOMED_BYTES: usize = 16 + 8;

/// No engine saves as often, and no disk holds as many bytes: a row that says so is damaged, and could not be added to.
const COUNT_MAX: u64 = u64::MAX / 2;

const STATE_LOCK: LockPoints = LockPoints { wanted: Point::RING_WANTED, held: None, released: Point::RING_RELEASED };

/// A ring as it is saved: which version it is and which one it was cloned from. On a correct engine `base` is always
/// the version saved before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingRecord {
    /// Counts the saves; 0 is the ring of a new data directory, never saved.
    pub version: u64,
    /// The version this one was cloned from.
    pub base: u64,
    /// The ring.
    pub ring: Ring,
}

/// The ring of one node and the only way to change it.
pub struct RingState<E: Env> {
    env: E,
    lock: Lock,
    published: RwLock<Arc<RingRecord>>,
    fenced: AtomicBool,
}

impl<E: Env> RingState<E> {
    /// Reads the saved ring; an empty one where none is saved.
    ///
    /// # Errors
    /// [`Error::Catalog`], or [`Error::DamagedRing`] when the row cannot be decoded.
    pub fn open(env: E, limits: RingLimits) -> Result<RingState<E>> {
        let record = RingRecord::saved(env.catalog(), limits)?;
        let published = RwLock::new(Arc::new(record));
        Ok(RingState { env, lock: Lock::new(&STATE_LOCK), published, fenced: AtomicBool::new(false) })
    }

    /// The latest published ring. Never waits for a change in progress, and may be stale when it is looked at.
    pub fn snapshot(&self) -> Arc<RingRecord> {
        // a panic in `publish` cannot leave a half-written Arc
        self.published.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this is still the latest published ring. Cheaper than another [`RingState::snapshot`], for who looks often.
    pub fn is_latest(&self, known: &Arc<RingRecord>) -> bool {
        Arc::ptr_eq(&self.published.read().unwrap_or_else(PoisonError::into_inner), known)
    }

    /// Applies `change` to the latest ring, saves the result if it differs, and publishes it. `change` decides on the
    /// ring that it is given and on nothing read earlier.
    ///
    /// # Errors
    /// [`Error::Catalog`] when the save fails, and [`Error::Fenced`] from then on.
    pub async fn mutate<T>(&self, change: impl FnOnce(&mut Ring) -> T) -> Result<T> {
        let _held = self.lock.acquire(&self.env).await;
        let latest = self.snapshot();
        let mut ring = latest.ring.clone();
        self.env.reach(Point::RING_CLONED).await;
        self.check_fence()?;
        let answer = change(&mut ring);
        if ring != latest.ring {
            let record = RingRecord { version: latest.version + 1, base: latest.version, ring };
            self.save(&record)?;
            self.env.note(Point::RING_SAVED);
            self.publish(record);
        }
        Ok(answer)
    }

    /// Refuses changes from now on: what is saved or durable is unknown.
    pub(crate) fn fence(&self) {
        self.fenced.store(true, Ordering::Release);
    }

    /// Whether changes are still possible.
    ///
    /// # Errors
    /// [`Error::Fenced`] after a failed save.
    pub(crate) fn check_fence(&self) -> Result<()> {
        if self.fenced.load(Ordering::Acquire) { Err(Error::Fenced) } else { Ok(()) }
    }

    fn save(&self, record: &RingRecord) -> Result<()> {
        let row = Write::Put { table: Table::Ring, key: RING_KEY.to_vec(), value: record.encode() };
        // buffered: a power loss may undo it together with everything after it, never alone. Trusted next: that every
        // later clone sees it. Whoever needs it durable (the evictor, before it unlinks) syncs the catalog.
        match self.env.catalog().commit(vec![row], &[]) {
            Ok(Commit::Buffered) => Ok(()),
            Ok(Commit::Refused) => unreachable!("a commit without requirements is never refused"),
            Err(error) => {
                // it may have been written: publishing could show a ring that is not saved, going on could overwrite
                // one that is
                self.fence();
                Err(error)
            }
        }
    }

    fn publish(&self, record: RingRecord) {
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(record);
    }
}

impl RingRecord {
    /// The ring in the catalog; an empty one where none is saved.
    ///
    /// # Errors
    /// [`Error::Catalog`], or [`Error::DamagedRing`] when the row cannot be decoded.
    pub fn saved(catalog: &impl Catalog, limits: RingLimits) -> Result<RingRecord> {
        Ok(match catalog.get(Table::Ring, RING_KEY)? {
            Some(row) => RingRecord::decode(&row, limits).map_err(Error::DamagedRing)?,
            None => RingRecord { version: 0, base: 0, ring: Ring::new(limits) },
        })
    }

    /// The row: format (1 byte), version and base (8 each), then members and doomed, each list with its length (4) in
    /// front; a member is id (16), bytes (8), generation (1), a doomed one id (16), bytes (8). Little endian.
    pub fn encode(&self) -> Vec<u8> {
        let (members, doomed) = (self.ring.members(), self.ring.doomed());
        let mut row = Vec::with_capacity(HEAD_BYTES + MEMBER_BYTES * members.len() + DOOMED_BYTES * doomed.len());
        row.push(RECORD_FORMAT);
        row.extend_from_slice(&self.version.to_le_bytes());
        row.extend_from_slice(&self.base.to_le_bytes());
        let length = |list: usize| u32::try_from(list).expect("a ring has fewer than 2^32 segments").to_le_bytes();
        row.extend_from_slice(&length(members.len()));
        for member in members {
            row.extend_from_slice(&member.segment.as_u128().to_le_bytes());
            row.extend_from_slice(&member.bytes.to_le_bytes());
            row.push(match member.generation {
                Generation::Old => 0,
                Generation::Current => 1,
                Generation::New => 2,
            });
        }
        row.extend_from_slice(&length(doomed.len()));
        for doomed in doomed {
            row.extend_from_slice(&doomed.segment.as_u128().to_le_bytes());
            row.extend_from_slice(&doomed.bytes.to_le_bytes());
        }
        row
    }

    /// The inverse of [`RingRecord::encode`], under the limits of today.
    ///
    /// # Errors
    /// What is wrong with the row. A record that decodes satisfies the invariants of [`Ring`], its limits apart.
    pub fn decode(row: &[u8], limits: RingLimits) -> std::result::Result<RingRecord, RecordFault> {
        let mut rest = row;
        let [format] = take(&mut rest)?;
        if format != RECORD_FORMAT {
            return Err(RecordFault::UnknownFormat(format));
        }
        let version = u64::from_le_bytes(take(&mut rest)?);
        let base = u64::from_le_bytes(take(&mut rest)?);
        if version > COUNT_MAX {
            return Err(RecordFault::VersionOverflows);
        }
        let count = u32::from_le_bytes(take(&mut rest)?);
        // a damaged count must not ask for more memory than the row could fill
        let mut members: Vec<Member> = Vec::with_capacity((count as usize).min(rest.len() / MEMBER_BYTES));
        for _ in 0..count {
            let (segment, bytes) = take_segment(&mut rest)?;
            let generation = match take(&mut rest)? {
                [0] => Generation::Old,
                [1] => Generation::Current,
                [2] => Generation::New,
                [other] => return Err(RecordFault::UnknownGeneration(other)),
            };
            if members.last().is_some_and(|last| last.generation > generation) {
                return Err(RecordFault::OutOfOrder);
            }
            members.push(Member { segment, bytes, generation });
        }
        let count = u32::from_le_bytes(take(&mut rest)?);
        let mut doomed = Vec::with_capacity((count as usize).min(rest.len() / DOOMED_BYTES));
        for _ in 0..count {
            let (segment, bytes) = take_segment(&mut rest)?;
            doomed.push(Doomed { segment, bytes });
        }
        if !rest.is_empty() {
            return Err(RecordFault::TrailingBytes);
        }
        let mut sizes = members.iter().map(|member| member.bytes).chain(doomed.iter().map(|doomed| doomed.bytes));
        if sizes.try_fold(0u64, u64::checked_add).is_none_or(|sum| sum > COUNT_MAX) {
            return Err(RecordFault::SizesOverflow);
        }
        let doomed_ids = doomed.iter().map(|doomed: &Doomed| doomed.segment);
        let mut ids: Vec<SegmentId> = Vec::with_capacity(members.len() + doomed.len());
        ids.extend(members.iter().map(|member| member.segment).chain(doomed_ids));
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(RecordFault::Duplicate(pair[0]));
        }
        Ok(RingRecord { version, base, ring: Ring::from_parts(limits, members, doomed) })
    }
}

/// Whether the saved ring has the segment in one of its generations. Looks at the row where `read` has it: it is asked for
/// every commit of an artifact.
///
/// # Errors
/// Those of `read`.
pub(crate) fn is_saved_member<R: Deref<Target = [u8]>>(
    segment: SegmentId,
    read: impl FnOnce(Table, &[u8]) -> Result<Option<R>>,
) -> Result<bool> {
    Ok(read(Table::Ring, RING_KEY)?.is_some_and(|row| names_member(&row, segment)))
}

/// The same of a row. The youngest members first: what is asked for is written to, or was just now.
fn names_member(row: &[u8], segment: SegmentId) -> bool {
    let id = segment.as_u128().to_le_bytes();
    let count = row
        .get(HEAD_BYTES - 8..HEAD_BYTES - 4)
        .map_or(0, |count| u32::from_le_bytes(count.try_into().expect("four bytes were taken")) as usize);
    let members = row.get(HEAD_BYTES - 4..).unwrap_or_default();
    members.chunks_exact(MEMBER_BYTES).take(count).rev().any(|member| member.starts_with(&id))
}

fn take<const N: usize>(rest: &mut &[u8]) -> std::result::Result<[u8; N], RecordFault> {
    let (head, tail) = rest.split_first_chunk().ok_or(RecordFault::Truncated)?;
    *rest = tail;
    Ok(*head)
}

fn take_segment(rest: &mut &[u8]) -> std::result::Result<(SegmentId, u64), RecordFault> {
    let segment = SegmentId::from_u128(u128::from_le_bytes(take(rest)?));
    Ok((segment, u64::from_le_bytes(take(rest)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Batch, Require, Row};
    use crate::disk::{Disk, ShortWrite};
    use crate::rocks::RocksCatalog;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::future::Future;
    use std::time::Duration;

    const LIMITS: RingLimits = RingLimits { old: 2, current: 2, new: 2 };

    fn record(pushes: u128, dooms: &[u128]) -> RingRecord {
        let mut ring = Ring::new(LIMITS);
        for id in 0..pushes {
            ring.push(SegmentId::from_u128(id), 7);
        }
        for id in dooms {
            ring.doom(SegmentId::from_u128(*id));
        }
        RingRecord { version: 9, base: 8, ring }
    }

    proptest! {
        #[test]
        fn record_survives_its_encoding(pushes in 0u128..20, dooms in proptest::collection::vec(0u128..20, 0..6)) {
            let record = record(pushes, &dooms);
            prop_assert_eq!(RingRecord::decode(&record.encode(), LIMITS), Ok(record));
        }

        #[test]
        fn any_bytes_decode_to_a_record_or_a_fault(row in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(record) = RingRecord::decode(&row, LIMITS) {
                prop_assert_eq!(record.encode(), row);
            }
        }

        #[test]
        fn a_record_that_cannot_be_added_to_is_refused(version in any::<u64>(), bytes in any::<u64>()) {
            let mut ring = Ring::new(LIMITS);
            ring.push(SegmentId::from_u128(1), bytes);
            let decoded = RingRecord::decode(&RingRecord { version, base: 0, ring }.encode(), LIMITS);
            prop_assert_eq!(decoded.is_ok(), version <= COUNT_MAX && bytes <= COUNT_MAX);
        }

        #[test]
        fn a_cut_or_lengthened_record_is_refused(pushes in 0u128..20, cut in 0usize..400) {
            let mut row = record(pushes, &[]).encode();
            if cut < row.len() {
                prop_assert!(RingRecord::decode(&row[..cut], LIMITS).is_err());
            }
            row.push(0);
            prop_assert_eq!(RingRecord::decode(&row, LIMITS), Err(RecordFault::TrailingBytes));
        }
    }

    proptest! {
        #[test]
        fn a_member_is_found_in_the_row_and_nothing_else_is(pushes in 0u128..20, dooms in proptest::collection::vec(0u128..20, 0..6)) {
            let record = record(pushes, &dooms);
            let row = record.encode();
            for id in (0..22).map(SegmentId::from_u128) {
                prop_assert_eq!(names_member(&row, id), record.ring.generation_of(id).is_some());
            }
        }
    }

    /// An environment whose catalog refuses every commit, once told to, after writing it.
    #[derive(Clone)]
    struct RefusingEnv(Arc<(RocksCatalog, AtomicBool)>);

    impl Catalog for RefusingEnv {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
            self.0.0.get(table, key)
        }

        fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>> {
            self.0.0.scan(table, prefix, after, limit)
        }

        fn commit(&self, batch: Batch, requires: &[Require]) -> Result<Commit> {
            let commit = self.0.0.commit(batch, requires)?;
            if self.0.1.load(Ordering::Relaxed) {
                return Err(Error::Catalog { operation: "commit to", source: "told to".into() });
            }
            Ok(commit)
        }

        async fn sync(&self) -> Result<()> {
            Ok(())
        }
    }

    impl Disk for RefusingEnv {
        async fn create(&self, _segment: SegmentId) -> Result<()> {
            Ok(())
        }

        async fn sync_directory(&self) -> Result<()> {
            Ok(())
        }

        async fn write_at(
            &self,
            _segment: SegmentId,
            _offset: u64,
            _bytes: Bytes,
        ) -> std::result::Result<(), ShortWrite> {
            Ok(())
        }

        async fn read_at(&self, _segment: SegmentId, _offset: u64, _length: usize) -> Result<Bytes> {
            Ok(Bytes::new())
        }

        async fn len(&self, _segment: SegmentId) -> Result<u64> {
            Ok(0)
        }

        async fn gather(&self, _segment: SegmentId) {}

        async fn sync_file(&self, _segment: SegmentId) -> Result<()> {
            Ok(())
        }

        async fn free_bytes(&self) -> Result<i64> {
            Ok(0)
        }

        async fn unlink(&self, _segment: SegmentId) -> Result<()> {
            Ok(())
        }

        async fn list(&self) -> Result<Vec<SegmentId>> {
            Ok(Vec::new())
        }
    }

    impl Env for RefusingEnv {
        type Disk = RefusingEnv;
        type Catalog = RefusingEnv;

        fn disk(&self) -> &RefusingEnv {
            self
        }

        fn catalog(&self) -> &RefusingEnv {
            self
        }

        fn segment_id(&self) -> SegmentId {
            SegmentId::from_u128(0)
        }

        async fn sleep(&self, _duration: Duration) {}

        fn spawn(&self, _name: &'static str, _task: impl Future<Output = ()> + Send + 'static) {}

        async fn reach(&self, _point: Point) {}

        fn note(&self, _point: Point) {}
    }

    #[tokio::test]
    async fn a_failed_save_is_not_published_and_fences_writes_until_reopen() {
        let env = RefusingEnv(Arc::new((RocksCatalog::in_memory().unwrap(), AtomicBool::new(false))));
        let state = RingState::open(env.clone(), LIMITS).unwrap();
        let push = |id| state.mutate(move |ring: &mut Ring| ring.push(SegmentId::from_u128(id), 1));
        push(1).await.unwrap();
        env.0.1.store(true, Ordering::Relaxed);
        assert!(matches!(push(2).await, Err(Error::Catalog { .. })));
        env.0.1.store(false, Ordering::Relaxed);
        assert!(matches!(push(3).await, Err(Error::Fenced)));
        assert_eq!(state.snapshot().ring.active(), Some(SegmentId::from_u128(1)));
        // the save that erred was written after all: a reopen takes what there is
        let reopened = RingState::open(env, LIMITS).unwrap();
        assert_eq!(reopened.snapshot().ring.active(), Some(SegmentId::from_u128(2)));
        reopened.mutate(|ring| ring.push(SegmentId::from_u128(4), 1)).await.unwrap();
    }

    #[test]
    fn a_commit_into_a_segment_that_is_not_in_the_ring_is_refused() {
        let catalog = RocksCatalog::in_memory().unwrap();
        let [member, doomed] = [1, 2].map(SegmentId::from_u128);
        let mut ring = Ring::new(LIMITS);
        ring.push(doomed, 1);
        ring.push(member, 1);
        ring.doom(doomed);
        let row = Write::Put { table: Table::Store, key: b"a".to_vec(), value: Vec::new() };
        let into = |segment| catalog.commit(vec![row.clone()], &[Require::InRing { segment }]).unwrap();
        assert_eq!(into(member), Commit::Refused, "no ring is saved yet");
        let value = RingRecord { version: 1, base: 0, ring }.encode();
        let save = Write::Put { table: Table::Ring, key: RING_KEY.to_vec(), value };
        assert_eq!(catalog.commit(vec![save], &[]).unwrap(), Commit::Buffered);
        assert_eq!(into(doomed), Commit::Refused);
        assert_eq!(into(member), Commit::Buffered);
    }

    #[test]
    fn each_fault_of_a_record_is_named() {
        let row = record(6, &[1]).encode();
        let member = |index: usize| 21 + 25 * index;
        let patched = |at: usize, bytes: &[u8]| {
            let mut row = row.clone();
            row[at..at + bytes.len()].copy_from_slice(bytes);
            RingRecord::decode(&row, LIMITS).unwrap_err()
        };
        assert_eq!(patched(0, &[9]), RecordFault::UnknownFormat(9));
        assert_eq!(patched(member(0) + 24, &[3]), RecordFault::UnknownGeneration(3));
        assert_eq!(patched(member(0) + 24, &[2]), RecordFault::OutOfOrder);
        assert_eq!(patched(member(1) + 16, &u64::MAX.to_le_bytes()), RecordFault::SizesOverflow);
        assert_eq!(patched(member(0), &5u128.to_le_bytes()), RecordFault::Duplicate(SegmentId::from_u128(5)));
    }
}
