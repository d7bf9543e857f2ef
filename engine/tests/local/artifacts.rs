//! Artifacts: what is put is got back, whatever comes between.

use super::{LIMITS, artifact, keep_from_unlinks, open, verify};
use bytes::Bytes;
use segment_engine::limits::OPEN_PAGE_ROWS;
use segment_engine::usage::Owners;
use segment_engine::{Body, Engine, Error, Eviction, Limits, LocalEnv, Put, Repair, RingLimits};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

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

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_evicted_for_a_copy_least_of_all_what_is_to_be_copied() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    engine.put(b"used", artifact(600_000)).await.unwrap();
    for _ in 0..2 {
        engine.rotate(engine.active()).await.unwrap();
    }
    engine.put(b"full", artifact(600_000)).await.unwrap();
    assert_eq!(engine.get(b"used").await.unwrap(), Some(artifact(600_000)));
    engine.close().await.unwrap(); // by then what was to be copied is copied, or given up

    let engine = open(directory.path()).await;
    assert_eq!(engine.get(b"used").await.unwrap(), Some(artifact(600_000)));
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
    let broken = Pieces { left: artifact(1_100), breaks_off_at: 1_000 };
    assert!(matches!(engine.put_stream(b"broken", 1_100, broken).await, Err(Error::Body { .. })));
    assert_eq!(engine.put(b"empty", Bytes::new()).await.unwrap(), Put::Stored);
    engine.close().await.unwrap();
    assert_eq!(verify(directory.path()).await, []);

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
    keep_from_unlinks(directory.path(), stuck);
    assert_eq!(engine.evict(stuck).await.unwrap(), Eviction::Doomed);
    assert_eq!(engine.get(b"old").await.unwrap(), Some(artifact(1_000)));
    tokio::time::timeout(Duration::from_secs(60), engine.close()).await.expect("nothing is waited for").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_is_refused_while_what_was_evicted_cannot_be_unlinked() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { doomed_bytes_max: 0, ..LIMITS };
    let engine = Engine::open(LocalEnv::open(directory.path()).unwrap(), limits).await.unwrap();
    let stuck = engine.active();
    engine.rotate(stuck).await.unwrap();
    engine.put(b"full", artifact(1 << 20)).await.unwrap();
    let in_the_way = keep_from_unlinks(directory.path(), stuck);
    assert_eq!(engine.evict(stuck).await.unwrap(), Eviction::Doomed);
    let put = tokio::time::timeout(Duration::from_secs(60), engine.put(b"more", artifact(1_000)));
    let refused = put.await.expect("it does not wait for ever");
    assert!(matches!(refused, Err(Error::Crowded { doomed_bytes: 1_048_576 })), "{refused:?}");
    std::fs::remove_dir(in_the_way).unwrap();
    assert_eq!(engine.put(b"more", artifact(1_000)).await.unwrap(), Put::Stored);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_room_is_taken_for_copies_of_a_damaged_artifact() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    let oldest = engine.active();
    engine.put(b"a", artifact(1_000)).await.unwrap();
    engine.put(b"b", artifact(1_000)).await.unwrap();
    for _ in 0..2 {
        engine.rotate(engine.active()).await.unwrap();
    }
    let file = std::fs::File::options().write(true).open(directory.path().join("segments").join(oldest.file_name()));
    file.unwrap().write_all_at(b"x", 10).unwrap();
    for _ in 0..3 {
        assert!(matches!(engine.get(b"a").await, Err(Error::DamagedArtifact { .. })));
    }
    assert_eq!(engine.get(b"b").await.unwrap(), Some(artifact(1_000)));
    let active = engine.active();
    engine.close().await.unwrap();
    let copies = std::fs::metadata(directory.path().join("segments").join(active.file_name())).unwrap();
    assert_eq!(copies.len(), 1_000, "the sound one alone is copied");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_read_has_found_damaged_is_stored_anew_by_a_put_of_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    engine.put(b"a", artifact(1_000)).await.unwrap();
    let path = directory.path().join("segments").join(engine.active().file_name());
    std::fs::File::options().write(true).open(&path).unwrap().write_all_at(b"x", 10).unwrap();
    assert_eq!(engine.put(b"a", artifact(1_000)).await.unwrap(), Put::AlreadyHere, "nobody has read it");
    assert!(matches!(engine.get(b"a").await, Err(Error::DamagedArtifact { .. })));
    assert_eq!(engine.put(b"a", artifact(1_000)).await.unwrap(), Put::Stored);
    assert_eq!(engine.get(b"a").await.unwrap(), Some(artifact(1_000)));
    assert_eq!(engine.put(b"a", artifact(1_000)).await.unwrap(), Put::AlreadyHere);
    let owners = engine.usage().owners;
    assert_eq!((owners.live, owners.superseded), (1_000, 1_000));

    std::fs::File::options().write(true).open(path).unwrap().set_len(1_500).unwrap();
    assert!(matches!(engine.get(b"a").await, Err(Error::DamagedArtifact { .. })), "its end is gone");
    assert_eq!(engine.put(b"a", artifact(1_000)).await.unwrap(), Put::Stored);
    assert_eq!(engine.get(b"a").await.unwrap(), Some(artifact(1_000)));
    engine.close().await.unwrap();
    assert_eq!(verify(directory.path()).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_0_count_as_1() {
    let directory = tempfile::tempdir().unwrap();
    let ring = RingLimits { old: 0, current: 1, new: 0 };
    let limits = Limits { ring, io_bytes: 0, stripes: 0, batch_rows: 0, ..LIMITS };
    let engine = Engine::open(LocalEnv::open(directory.path()).unwrap(), limits).await.unwrap();
    let first = engine.active();
    engine.put(b"gone", artifact(10)).await.unwrap();
    engine.rotate(first).await.unwrap();
    engine.put(b"kept", artifact(20)).await.unwrap();
    assert_eq!(engine.evict(first).await.unwrap(), Eviction::Doomed);
    engine.close().await.unwrap();
    assert_eq!(verify(directory.path()).await, []);
    let engine = open(directory.path()).await;
    assert_eq!(engine.repairs(), []);
    assert_eq!(engine.get(b"kept").await.unwrap(), Some(artifact(20)));
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_of_any_size_can_be_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits::new(LIMITS.ring, u64::MAX);
    let engine = Engine::open(LocalEnv::open(directory.path()).unwrap(), limits).await.unwrap();
    for _ in 0..4 {
        engine.rotate(engine.active()).await.unwrap();
    }
    engine.put(b"a", artifact(10)).await.unwrap();
    engine.close().await.unwrap();
    let engine = Engine::open(LocalEnv::open(directory.path()).unwrap(), limits).await.unwrap();
    assert_eq!(engine.get(b"a").await.unwrap(), Some(artifact(10)));
    engine.close().await.unwrap();
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

/// Comes to life, as a connection does, and gives no byte before it breaks off.
struct Silent {
    has_begun: bool,
}

impl Body for Silent {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(Some(Bytes::new()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_break_off_before_their_first_byte_evict_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    engine.put(b"a", artifact(1_000)).await.unwrap();
    let before = engine.usage();
    for length in [900_000; 20] {
        let broken = Pieces { left: artifact(10), breaks_off_at: 11 };
        assert!(matches!(engine.put_stream(b"b", length, broken).await, Err(Error::Body { .. })));
    }
    let silent = Silent { has_begun: false };
    assert!(matches!(engine.put_stream(b"b", 900_000, silent).await, Err(Error::Body { .. })));
    let empty = Pieces { left: Bytes::new(), breaks_off_at: 0 };
    assert!(matches!(engine.put_stream(b"b", 900_000, empty).await, Err(Error::Body { .. })));
    assert_eq!(engine.usage(), before);
    assert_eq!(engine.get(b"a").await.unwrap(), Some(artifact(1_000)));
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_said_to_be_longer_than_any_artifact_is_refused_before_anything_is_evicted() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    let before = engine.usage();
    let body = || Pieces { left: artifact(10), breaks_off_at: 0 };
    assert!(matches!(engine.put_stream(b"a", u64::MAX, body()).await, Err(Error::ArtifactLength { .. })));
    assert_eq!(engine.usage(), before);
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
    let mut reader = engine.read(b"a").await.unwrap().unwrap();
    for _ in 0..2 {
        assert!(matches!(reader.next().await, Err(Error::DamagedArtifact { .. })), "never an end");
    }
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_left_keeps_no_close_waiting_and_reads_on() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    engine.put(b"large", artifact(3 << 20)).await.unwrap();
    let mut reader = engine.read(b"large").await.unwrap().unwrap();
    let mut read = reader.next().await.unwrap().unwrap().to_vec();
    assert!(read.len() < 3 << 20, "in pieces");
    tokio::time::timeout(Duration::from_secs(60), engine.close()).await.expect("it returns").unwrap();
    assert!(matches!(LocalEnv::open(directory.path()), Err(Error::DirectoryInUse { .. })), "it holds the directory");
    while let Some(piece) = reader.next().await.unwrap() {
        read.extend_from_slice(&piece);
    }
    assert_eq!(read, artifact(3 << 20));
    drop(reader);
    open(directory.path()).await.close().await.unwrap();
}

#[tokio::test]
async fn what_was_cut_off_its_file_is_gone_after_a_reopen_and_can_be_put_again() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    engine.put(b"whole", artifact(100)).await.unwrap();
    engine.put(b"cut", artifact(200)).await.unwrap();
    let segment = engine.active();
    engine.close().await.unwrap();
    let path = directory.path().join("segments").join(segment.file_name());
    std::fs::File::options().write(true).open(path).unwrap().set_len(299).unwrap();
    let engine = open(directory.path()).await;
    assert_eq!(engine.repairs(), [Repair::LostArtifacts { segment, rows: 1 }]);
    assert_eq!(engine.get(b"whole").await.unwrap(), Some(artifact(100)));
    assert_eq!(engine.get(b"cut").await.unwrap(), None);
    assert_eq!(engine.put(b"cut", artifact(200)).await.unwrap(), Put::Stored);
    assert_eq!(engine.get(b"cut").await.unwrap(), Some(artifact(200)));
    engine.close().await.unwrap();
}

#[tokio::test]
async fn an_open_mends_more_rows_than_it_reads_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Arc::new(open(directory.path()).await);
    let rows = OPEN_PAGE_ROWS + 10;
    let puts = (0..rows).map(|number| {
        let engine = engine.clone();
        tokio::spawn(async move { engine.put(number.to_string().as_bytes(), artifact(10)).await.unwrap() })
    });
    for put in puts.collect::<Vec<_>>() {
        assert_eq!(put.await.unwrap(), Put::Stored);
    }
    let segment = engine.active();
    Arc::into_inner(engine).unwrap().close().await.unwrap();
    std::fs::remove_file(directory.path().join("segments").join(segment.file_name())).unwrap();
    let engine = open(directory.path()).await;
    let rows = rows as u64;
    assert_eq!(engine.repairs(), [Repair::LostSegment { segment }, Repair::LostArtifacts { segment, rows }]);
    engine.close().await.unwrap();
    assert_eq!(verify(directory.path()).await, []);
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
