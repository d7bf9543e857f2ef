//! The engine on a real directory, driven by real threads.
#![allow(clippy::disallowed_methods, reason = "real files and real threads are what these tests are about")]

use bytes::Bytes;
use proptest::prelude::*;
use segment_engine::catalog::{Catalog, Commit, Table, Write};
use segment_engine::disk::Disk;
use segment_engine::env::Env;
use segment_engine::manifest::index_key;
use segment_engine::usage::Owners;
use segment_engine::{
    Body, Disagreement, Engine, Error, Eviction, Limits, LocalEnv, Put, Repair, Ring, RingLimits, RingState, Rotation,
    SegmentId,
};
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const LIMITS: Limits = Limits::new(RingLimits { old: 1, current: 1, new: 1 }, 1 << 20);
const WIDE: RingLimits = RingLimits { old: 8, current: 8, new: 8 };

fn files(directory: &Path) -> Vec<SegmentId> {
    let entries = std::fs::read_dir(directory.join("segments")).unwrap();
    let mut files: Vec<_> =
        entries.map(|entry| SegmentId::from_file_name(entry.unwrap().file_name().to_str().unwrap()).unwrap()).collect();
    files.sort();
    files
}

async fn open(directory: &Path) -> Engine<LocalEnv> {
    Engine::open(LocalEnv::open(directory).unwrap(), LIMITS).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rotations_evictions_and_pressure_survive_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    let first = engine.active();
    assert_eq!(engine.evict(first).await.unwrap(), Eviction::Active);
    let mut pushed = vec![first];
    for _ in 0..4 {
        let full = engine.active();
        let Rotation::Rotated(new) = engine.rotate(full).await.unwrap() else { panic!("nobody else rotates") };
        assert_eq!(engine.active(), new);
        assert_eq!(engine.rotate(full).await.unwrap(), Rotation::Overtaken(new));
        pushed.push(new);
    }
    assert_eq!(engine.usage().ring_bytes, 3 << 20);
    assert_eq!(engine.evict(pushed[3]).await.unwrap(), Eviction::Doomed);
    assert_eq!(engine.evict(pushed[3]).await.unwrap(), Eviction::NotInRing);
    engine.close().await.unwrap();
    assert_eq!(files(directory.path()), [pushed[2], pushed[4]]);

    let engine = open(directory.path()).await;
    assert_eq!(engine.active(), pushed[4]);
    assert!(engine.repairs().is_empty());
    assert_eq!(engine.relieve(0).await.unwrap(), [pushed[2]]);
    engine.close().await.unwrap();
    assert_eq!(files(directory.path()), [pushed[4]]);
}

#[tokio::test]
async fn a_second_open_of_the_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = LocalEnv::open(directory.path()).unwrap();
    let Err(Error::DirectoryInUse { path }) = LocalEnv::open(directory.path()) else { panic!("opened twice") };
    assert_eq!(path, directory.path());
    drop(first);
    LocalEnv::open(directory.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_directory_that_was_closed_can_be_opened_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..60u8 {
        let engine = open(directory.path()).await;
        engine.put(&[round], artifact(100)).await.unwrap();
        engine.rotate(engine.active()).await.unwrap();
        engine.close().await.unwrap();
    }
}

#[tokio::test]
async fn the_directory_stays_locked_while_an_operation_of_a_dropped_owner_is_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("a/b/c");
    for _ in 0..50 {
        let env = LocalEnv::open(&deep).unwrap();
        let segment = env.segment_id();
        // polled once, so that the operation is on its way, then dropped with its owner
        let mut create = Box::pin(async move { env.disk().create(segment).await });
        let _ = std::future::poll_fn(|context| std::task::Poll::Ready(create.as_mut().poll(context).is_ready())).await;
        drop(create);
        let reopened = loop {
            match LocalEnv::open(&deep) {
                Ok(env) => break env,
                Err(Error::DirectoryInUse { .. }) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        };
        assert!(reopened.disk().list().await.unwrap().contains(&segment), "it landed before the directory was free");
    }
}

#[tokio::test]
async fn an_open_evicts_a_stray_file_and_drops_what_has_lost_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    engine.put(b"kept", "kept".into()).await.unwrap();
    let kept = engine.active();
    engine.rotate(kept).await.unwrap();
    engine.put(b"lost", "lost".into()).await.unwrap();
    let lost = engine.active();
    engine.close().await.unwrap();
    let path = |segment: SegmentId| directory.path().join("segments").join(segment.file_name());
    let stray = SegmentId::from_u128(7);
    std::fs::write(path(stray), b"").unwrap();
    std::fs::remove_file(path(lost)).unwrap();
    let told: Vec<String> = verify(directory.path()).await.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            format!("segment {lost} is in the ring and has no file"),
            format!("segment {stray} has a file and is in no list"),
            format!("lost is in segment {lost}, whose file does not have its bytes"),
        ]
    );
    let engine = open(directory.path()).await;
    let repairs = [
        Repair::LostSegment { segment: lost },
        Repair::StrayFile { segment: stray },
        Repair::LostArtifacts { segment: lost, rows: 1 },
    ];
    assert_eq!(engine.repairs(), repairs);
    assert_eq!(engine.get(b"lost").await.unwrap(), None);
    assert_eq!(engine.get(b"kept").await.unwrap(), Some("kept".into()));
    engine.close().await.unwrap();
    assert_eq!(files(directory.path()), [kept]);
    assert_eq!(verify(directory.path()).await, []);
    let engine = open(directory.path()).await;
    assert_eq!(engine.repairs(), [], "a second open finds nothing");
    engine.close().await.unwrap();
}

#[tokio::test]
async fn verify_tells_of_damaged_bytes_and_rows_that_do_not_agree() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    for key in ["damaged", "cut", "unlisted", "rowless"] {
        engine.put(key.as_bytes(), Bytes::from(vec![1; 100])).await.unwrap();
    }
    let segment = engine.active();
    engine.close().await.unwrap();
    let path = directory.path().join("segments").join(segment.file_name());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[7] = 2;
    std::fs::write(&path, bytes).unwrap();
    {
        let env = LocalEnv::open(directory.path()).unwrap();
        let row = |table, key: &[u8]| env.catalog().get(table, key).unwrap().unwrap();
        let mut cut = row(Table::Manifest, b"cut");
        cut.truncate(9);
        let delete = |table, key: Vec<u8>| Write::Delete { table, key };
        let batch = vec![
            Write::Put { table: Table::Manifest, key: b"cut".to_vec(), value: cut },
            delete(Table::Index, index_key(segment, b"unlisted")),
            delete(Table::Manifest, b"rowless".to_vec()),
        ];
        assert_eq!(env.catalog().commit(batch, &[]).unwrap(), Commit::Buffered);
        env.catalog().sync().await.unwrap();
    }
    let told: Vec<String> = verify(directory.path()).await.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "the manifest of cut is damaged: it has 9 bytes".to_string(),
            format!("the bytes of damaged in segment {segment} are not those that were stored"),
            format!("unlisted is in segment {segment} and not in its index"),
            format!("the index of segment {segment} has cut, whose manifest is not there"),
            format!("the index of segment {segment} has rowless, whose manifest is not there"),
        ]
    );
}

async fn verify(directory: &Path) -> Vec<Disagreement> {
    Engine::verify(&LocalEnv::open(directory).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_failed_unlink_keeps_the_segment_doomed_until_a_later_open() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    let victim = engine.active();
    engine.rotate(victim).await.unwrap();
    let path = directory.path().join("segments").join(victim.file_name());
    // a directory of that name: unlink refuses it, whoever asks
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(engine.evict(victim).await.unwrap(), Eviction::Doomed);
    engine.close().await.unwrap();
    let engine = open(directory.path()).await;
    assert_eq!(engine.usage().doomed_bytes, 1 << 20);
    std::fs::remove_dir(&path).unwrap();
    engine.close().await.unwrap();
    let engine = open(directory.path()).await;
    assert_eq!(engine.usage().doomed_bytes, 0);
    engine.close().await.unwrap();
}

/// The first of the two tests that the helper under the state lock was first published with.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_concurrent_pushes_all_survive() {
    let directory = tempfile::tempdir().unwrap();
    let ring = Arc::new(RingState::open(LocalEnv::open(directory.path()).unwrap(), WIDE).unwrap());
    let pushes: Vec<_> = (0..16u128)
        .map(|id| {
            let ring = ring.clone();
            tokio::spawn(async move { ring.mutate(|ring| ring.push(SegmentId::from_u128(id), 1)).await.unwrap() })
        })
        .collect();
    for push in pushes {
        push.await.unwrap();
    }
    assert_members(&ring.snapshot().ring, 0..16);
    drop(ring);
    let reopened = RingState::open(LocalEnv::open(directory.path()).unwrap(), WIDE).unwrap();
    assert_eq!(reopened.snapshot().version, 16);
    assert_members(&reopened.snapshot().ring, 0..16);
}

/// The second.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_concurrent_evictions_are_all_gone_and_none_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let env = LocalEnv::open(directory.path()).unwrap();
    let ring = Arc::new(RingState::open(env.clone(), WIDE).unwrap());
    let ids: Vec<SegmentId> = (0..17).map(|_| env.segment_id()).collect();
    ring.mutate(|ring| ids.iter().for_each(|id| ring.push(*id, 1))).await.unwrap();
    let evictions: Vec<_> = ids[..16]
        .iter()
        .map(|&id| {
            let ring = ring.clone();
            tokio::spawn(async move { ring.mutate(|ring| ring.doom(id)).await.unwrap() })
        })
        .collect();
    for eviction in evictions {
        assert_eq!(eviction.await.unwrap(), Eviction::Doomed);
    }
    let left = ring.snapshot();
    assert_eq!(left.ring.members().iter().map(|member| member.segment).collect::<Vec<_>>(), ids[16..]);
    assert_eq!(left.ring.doomed().len(), 16);
}

fn assert_members(ring: &Ring, expected: std::ops::Range<u128>) {
    let mut members: Vec<u128> = ring.members().iter().map(|member| member.segment.as_u128()).collect();
    members.sort_unstable();
    assert_eq!(members, expected.collect::<Vec<_>>());
}

#[derive(Clone, Debug)]
enum Change {
    Push,
    Doom(u128),
    Until(u64),
    Forget,
    Nothing,
    Reopen,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        4 => Just(Change::Push),
        2 => (1u128..20).prop_map(Change::Doom),
        1 => (0u64..8).prop_map(Change::Until),
        1 => Just(Change::Forget),
        1 => Just(Change::Nothing),
        1 => Just(Change::Reopen),
    ];
    proptest::collection::vec(change, 1..30)
}

/// What a change does to a plain ring.
fn apply(change: &Change, ring: &mut Ring, next: u128) {
    match change {
        Change::Push => ring.push(SegmentId::from_u128(next), 1),
        Change::Doom(id) => {
            ring.doom(SegmentId::from_u128(*id));
        }
        Change::Until(target) => {
            ring.doom_oldest_until(*target);
        }
        Change::Forget => {
            let unlinked: Vec<SegmentId> = ring.doomed().iter().map(|doomed| doomed.segment).collect();
            ring.forget(&unlinked);
        }
        Change::Nothing | Change::Reopen => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn ring_state_is_a_ring_that_survives_and_saves_only_changes(changes in changes()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let open = || RingState::open(LocalEnv::open(directory.path()).unwrap(), LIMITS.ring).unwrap();
            let (mut state, mut model, mut version) = (open(), Ring::new(LIMITS.ring), 0);
            for (change, next) in changes.iter().zip(1u128..) {
                let before = model.clone();
                apply(change, &mut model, next);
                version += u64::from(model != before);
                if matches!(change, Change::Reopen) {
                    drop(state);
                    state = open();
                } else {
                    state.mutate(|ring| apply(change, ring, next)).await.unwrap();
                }
                let record = state.snapshot();
                assert_eq!(record.ring, model);
                assert_eq!(record.version, version);
                assert_eq!(record.base, version.saturating_sub(1));
            }
        });
    }
}

fn artifact(length: usize) -> Bytes {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_got_back_also_after_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    assert_eq!(engine.get(b"a").await.unwrap(), None);
    assert_eq!(engine.put(b"a", artifact(300_000)).await.unwrap(), Put::Stored);
    assert_eq!(engine.put(b"a", artifact(300_000)).await.unwrap(), Put::AlreadyHere);
    assert_eq!(engine.put(b"empty", Bytes::new()).await.unwrap(), Put::Stored);
    assert_eq!(engine.put(b"b", artifact(10)).await.unwrap(), Put::Stored);
    assert_eq!(engine.put(b"b", artifact(20)).await.unwrap(), Put::Stored);
    let owners = Owners { live: 300_020, superseded: 10, ..Owners::default() };
    assert_eq!(engine.usage().owners, owners);
    engine.close().await.unwrap();

    let engine = open(directory.path()).await;
    assert_eq!(engine.get(b"a").await.unwrap(), Some(artifact(300_000)));
    assert_eq!(engine.get(b"empty").await.unwrap(), Some(Bytes::new()));
    assert_eq!(engine.get(b"b").await.unwrap(), Some(artifact(20)));
    assert_eq!((engine.contains(b"b").await.unwrap(), engine.contains(b"c").await.unwrap()), (true, false));
    assert_eq!(engine.usage().owners, owners);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_larger_than_a_segment_gets_one_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    let first = engine.active();
    assert_eq!(engine.put(b"large", artifact(3 << 20)).await.unwrap(), Put::Stored);
    assert_ne!(engine.active(), first);
    assert_eq!(engine.put(b"small", artifact(7)).await.unwrap(), Put::Stored);
    assert_eq!(engine.get(b"large").await.unwrap(), Some(artifact(3 << 20)));
    assert_eq!(engine.usage().ring_bytes, 5 << 20);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_is_read_in_the_oldest_generation_outlives_its_segment() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    engine.put(b"used", artifact(1_000)).await.unwrap();
    engine.put(b"idle", artifact(2_000)).await.unwrap();
    for _ in 0..2 {
        engine.rotate(engine.active()).await.unwrap();
    }
    assert_eq!(engine.get(b"used").await.unwrap(), Some(artifact(1_000)));
    while engine.usage().owners.superseded == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let owners = Owners { live: 3_000, superseded: 1_000, ..Owners::default() };
    assert_eq!(engine.usage().owners, owners);
    engine.rotate(engine.active()).await.unwrap();
    assert_eq!(engine.get(b"used").await.unwrap(), Some(artifact(1_000)));
    assert_eq!(engine.get(b"idle").await.unwrap(), None);
    engine.close().await.unwrap();
}

/// A body of pieces of 1,000 bytes.
struct Pieces {
    left: Bytes,
    breaks_off_at: usize,
}

impl Body for Pieces {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.left.len() < self.breaks_off_at {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let piece = self.left.split_to(self.left.len().min(1000));
        Ok((!piece.is_empty()).then_some(piece))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_artifact_behind_bytes_that_were_never_written_is_there_after_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    let broken = Pieces { left: artifact(100), breaks_off_at: 1_000 };
    assert!(matches!(engine.put_stream(b"broken", 100, broken).await, Err(Error::Body { .. })));
    assert_eq!(engine.put(b"empty", Bytes::new()).await.unwrap(), Put::Stored);
    engine.close().await.unwrap();

    let engine = open(directory.path()).await;
    assert_eq!(engine.repairs(), []);
    assert_eq!(engine.get(b"empty").await.unwrap(), Some(Bytes::new()));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_closes_while_a_file_cannot_be_unlinked_and_a_copy_wants_a_segment() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { doomed_bytes_max: 0, ..LIMITS };
    let engine = Engine::open(LocalEnv::open(directory.path()).unwrap(), limits).await.unwrap();
    engine.put(b"old", artifact(1_000)).await.unwrap();
    engine.rotate(engine.active()).await.unwrap();
    let stuck = engine.active();
    engine.rotate(stuck).await.unwrap();
    engine.put(b"full", artifact(1 << 20)).await.unwrap();
    // a directory in its place: no unlink removes it
    let path = directory.path().join("segments").join(stuck.file_name());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(engine.evict(stuck).await.unwrap(), Eviction::Doomed);
    assert_eq!(engine.get(b"old").await.unwrap(), Some(artifact(1_000)));
    tokio::time::timeout(Duration::from_secs(60), engine.close()).await.expect("nothing is waited for").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_or_has_another_length_stores_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    let put = |length, breaks_off_at| engine.put_stream(b"a", length, Pieces { left: artifact(5_500), breaks_off_at });
    for (length, breaks_off_at) in [(5_500, 3_000), (5_499, 0), (5_501, 0)] {
        assert!(matches!(put(length, breaks_off_at).await, Err(Error::Body { .. })));
        assert!(!engine.contains(b"a").await.unwrap());
    }
    assert_eq!(put(5_500, 0).await.unwrap(), Put::Stored);
    assert_eq!(engine.get(b"a").await.unwrap(), Some(artifact(5_500)));
    assert_eq!(engine.usage().owners, Owners { live: 5_500, abandoned: 16_500, ..Owners::default() });
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_key_has_1_to_1024_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    for key in [&[][..], &[7; 1025]] {
        assert!(matches!(engine.put(key, Bytes::new()).await, Err(Error::KeyLength { .. })));
        assert!(matches!(engine.get(key).await, Err(Error::KeyLength { .. })));
        assert!(matches!(engine.contains(key).await, Err(Error::KeyLength { .. })));
    }
    assert_eq!(engine.put(&[7; 1024], Bytes::new()).await.unwrap(), Put::Stored);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_bytes_are_told_and_not_returned() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    engine.put(b"a", artifact(100)).await.unwrap();
    let path = directory.path().join("segments").join(engine.active().file_name());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[50] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(engine.get(b"a").await, Err(Error::DamagedArtifact { .. })));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_readers_and_evictions_on_real_threads() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits::new(RingLimits { old: 2, current: 2, new: 2 }, 64 << 10);
    let engine = Arc::new(Engine::open(LocalEnv::open(directory.path()).unwrap(), limits).await.unwrap());
    let tasks = (0..16u8).map(|writer| {
        let engine = engine.clone();
        tokio::spawn(async move {
            for round in 0..12usize {
                let bytes = artifact(1_000 + 700 * round + usize::from(writer));
                engine.put(&[writer % 4, writer], bytes.clone()).await.unwrap();
                if let Some(found) = engine.get(&[writer % 4, writer]).await.unwrap() {
                    assert_eq!(found, bytes);
                }
                if writer == 0 && round % 4 == 3 {
                    engine.relieve(128 << 10).await.unwrap();
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let usage = engine.usage();
    assert_eq!(usage.owners.under_way, 0);
    let engine = Arc::into_inner(engine).unwrap();
    engine.close().await.unwrap();
    let engine = Engine::open(LocalEnv::open(directory.path()).unwrap(), limits).await.unwrap();
    assert_eq!(engine.usage().owners.live, usage.owners.live);
}
