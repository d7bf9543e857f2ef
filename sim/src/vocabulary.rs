//! What of segment-engine is watched: its windows and its locks, by the names of its points.

use crate::conductor::{Role, Vocabulary};
use crate::locks::LockKind;
use crate::window::Window;
use segment_engine::Point;

/// The name of the state lock.
pub const STATE_LOCK: &str = "state";

/// Everything that is watched.
pub const VOCABULARY: Vocabulary = Vocabulary { windows: WINDOWS, locks: LOCKS };

/// The windows.
pub const WINDOWS: &[Window] = &[
    Window {
        name: "clone-to-save",
        exclusive: true,
        opens: Point::RING_CLONED.name(),
        closes: &[Point::RING_SAVED.name(), Point::RING_RELEASED.name()],
        wants: Some(Point::RING_WANTED.name()),
        lands: Point::RING_SAVED.name(),
    },
    Window {
        name: "rotation",
        exclusive: true,
        opens: Point::WRITE_LOCKED.name(),
        closes: &[Point::WRITE_RELEASED.name()],
        wants: Some(Point::WRITE_WANTED.name()),
        lands: Point::WRITE_LOCKED.name(),
    },
    // the doomed list that the evictor works from is a snapshot; others go on changing the ring meanwhile
    Window {
        name: "eviction-pass",
        exclusive: false,
        opens: "CatalogSync",
        closes: &[Point::RING_CLONED.name()],
        wants: None,
        lands: Point::RING_SAVED.name(),
    },
    Window {
        name: "failed-unlink",
        exclusive: false,
        opens: Point::UNLINK_FAILED.name(),
        closes: &[Point::RING_CLONED.name(), "Sleep"],
        wants: None,
        lands: Point::RING_SAVED.name(),
    },
];

/// The locks, outermost first.
pub const LOCKS: &[LockKind] = &[
    LockKind {
        name: "write",
        wanted: Point::WRITE_WANTED.name(),
        held: Point::WRITE_LOCKED.name(),
        released: Point::WRITE_RELEASED.name(),
        rank: 1,
        never_by: &["evict", "pressure", "evictor"],
    },
    LockKind {
        name: STATE_LOCK,
        wanted: Point::RING_WANTED.name(),
        held: Point::RING_CLONED.name(),
        released: Point::RING_RELEASED.name(),
        rank: 2,
        never_by: &[],
    },
];

/// What a task that the engine spawns under this name is to a run.
pub fn role(name: &str) -> Role {
    if name == "evictor" { Role::Daemon } else { Role::Worker }
}
