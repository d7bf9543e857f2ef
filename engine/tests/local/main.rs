//! The engine on a real directory, driven by real threads.
#![allow(clippy::disallowed_methods, reason = "real files and real threads are what these tests are about")]

mod artifacts;
mod cut_short;
mod ring;

use bytes::Bytes;
use segment_engine::{Disagreement, Engine, Limits, LocalEnv, RingLimits, SegmentId};
use std::path::{Path, PathBuf};

const LIMITS: Limits = Limits::new(RingLimits { old: 1, current: 1, new: 1 }, 1 << 20);
const WIDE: RingLimits = RingLimits { old: 8, current: 8, new: 8 };

fn files(directory: &Path) -> Vec<SegmentId> {
    let entries = std::fs::read_dir(directory.join("segments")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = names.filter_map(|name| SegmentId::from_file_name(&name)).collect();
    files.sort();
    files
}

async fn open(directory: &Path) -> Engine<LocalEnv> {
    Engine::open(LocalEnv::open(directory).unwrap(), LIMITS).await.unwrap()
}

async fn verify(directory: &Path) -> Vec<Disagreement> {
    Engine::verify(&LocalEnv::open(directory).unwrap()).await.unwrap()
}

fn artifact(length: usize) -> Bytes {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

/// Puts a directory in the place of a segment's file: no unlink removes it.
fn keep_from_unlinks(directory: &Path, segment: SegmentId) -> PathBuf {
    let path = directory.join("segments").join(segment.file_name());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    path
}
