//! How the surroundings under test are made: simulated ones outside of a run, where each operation lands at once, and
//! real ones in a temporary directory.

use segment_engine::{LocalEnv, RingLimits};
use segment_sim::catalog::{SimCatalog, Store};
use segment_sim::conductor::Conductor;
use segment_sim::disk::SimDisk;
use segment_sim::plan::{Base, Knobs, Schedule};
use segment_sim::vocabulary::VOCABULARY;
use segment_sim::watch::Watch;
use std::future::Future;
use tempfile::TempDir;

/// The limits of every ring here.
pub const LIMITS: RingLimits = RingLimits { old: 2, current: 2, new: 2 };

/// More than any test writes.
const DISK_BYTES: u64 = 1 << 40;

/// An empty simulated directory.
pub fn sim_disk() -> SimDisk {
    let watch = watch();
    watch.history().borrow_mut().room.disk_bytes = DISK_BYTES;
    SimDisk::new(conductor(), watch.history().clone())
}

/// A simulated catalog on `store`, which is empty.
pub fn sim_catalog(store: &Store) -> SimCatalog {
    SimCatalog::new(store, conductor(), watch(), false, false)
}

/// The production surroundings, empty.
pub fn local() -> (LocalEnv, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (LocalEnv::open(directory.path()).unwrap(), directory)
}

/// Runs a future where production operations may block.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn conductor() -> Conductor {
    let schedule =
        Schedule { seed: 0, base: Base::Keyed, knobs: Knobs::default(), injections: Vec::new(), crashes: Vec::new() };
    Conductor::new(&schedule, &VOCABULARY, false)
}

fn watch() -> Watch {
    Watch::new(LIMITS, 0)
}
