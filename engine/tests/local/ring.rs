//! Ring, directory and recovery: who may open what, what an open mends, and that no change of the ring is lost.

use super::{LIMITS, WIDE, artifact, files, keep_from_unlinks, open, verify};
use bytes::Bytes;
use proptest::prelude::*;
use segment_engine::catalog::{Catalog, Commit, Table, Write};
use segment_engine::disk::Disk;
use segment_engine::env::Env;
use segment_engine::manifest::index_key;
use segment_engine::{Error, Eviction, LocalEnv, Repair, Ring, RingState, Rotation, SegmentId};
use std::sync::Arc;

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
async fn segments_without_their_catalog_and_a_catalog_without_its_segments_are_left_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    engine.put(b"a", "a".into()).await.unwrap();
    engine.close().await.unwrap();
    let aside = tempfile::tempdir_in(directory.path()).unwrap();
    for (gone, left) in [("catalog", "segments"), ("segments", "catalog")] {
        let [gone, left] = [gone, left].map(|part| directory.path().join(part));
        let kept = aside.path().join("kept");
        std::fs::rename(&gone, &kept).unwrap();
        for is_empty in [false, true] {
            if is_empty {
                std::fs::create_dir(&gone).unwrap(); // where a disk is to be mounted
            }
            let opened = LocalEnv::open(directory.path()).err();
            let is_told = |error: Error| matches!(error, Error::MissingPart { missing, present } if (&missing, &present) == (&gone, &left));
            assert!(opened.is_some_and(is_told));
        }
        std::fs::remove_dir(&gone).unwrap();
        std::fs::rename(&kept, &gone).unwrap();
        let engine = open(directory.path()).await;
        assert_eq!((engine.repairs(), engine.get(b"a").await.unwrap()), (&[][..], Some("a".into())));
        engine.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_first_open_that_was_cut_off_is_no_loss() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("segments")).unwrap();
    std::fs::write(directory.path().join("segments").join(SegmentId::from_u128(7).file_name()), b"").unwrap();
    std::fs::create_dir_all(directory.path().join("catalog")).unwrap();
    let engine = open(directory.path()).await;
    assert_eq!(engine.repairs(), [Repair::StrayFile { segment: SegmentId::from_u128(7) }]);
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
#[tokio::test]
async fn a_failed_unlink_keeps_the_segment_doomed_until_a_later_open() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    let victim = engine.active();
    engine.rotate(victim).await.unwrap();
    let in_the_way = keep_from_unlinks(directory.path(), victim);
    assert_eq!(engine.evict(victim).await.unwrap(), Eviction::Doomed);
    engine.close().await.unwrap();
    let engine = open(directory.path()).await;
    assert_eq!(engine.usage().doomed_bytes, 1 << 20);
    std::fs::remove_dir(in_the_way).unwrap();
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
