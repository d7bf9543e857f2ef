//! What of segment-engine is watched: its windows and its locks, by the names of its points.

use crate::conductor::{Role, Vocabulary};
use crate::locks::LockKind;
use crate::touches::TOUCHES;
use crate::window::Window;
use segment_engine::Point;

/// The name of the state lock.
pub const STATE_LOCK: &str = "state";

/// Where a caller waits for the next piece of a body.
pub const BODY: &str = "BodyAwaited";

/// Where a caller has a piece of what it reads.
pub const PIECE: &str = "PieceTaken";

/// Where a task sleeps.
pub const SLEEP: &str = "Sleep";

/// What was free a moment ago is told.
pub const FREE_TOLD: &str = "FreeTold";

/// Everything that is watched.
pub static VOCABULARY: Vocabulary = Vocabulary::declaring(WINDOWS, LOCKS, &TOUCHES);

/// The windows.
pub const WINDOWS: &[Window] = &[
    Window {
        name: "clone-to-save",
        about: "a task has cloned the ring and has yet to save it: another save would be lost",
        exclusive: true,
        opens: Point::RING_CLONED.name(),
        closes: &[Point::RING_SAVED.name(), Point::RING_RELEASED.name()],
        wants: Some(Point::RING_WANTED.name()),
        lands: &[Point::RING_SAVED.name()],
    },
    Window {
        name: "write-locked",
        about: "a task holds the write lock",
        exclusive: true,
        opens: Point::WRITE_LOCKED.name(),
        closes: &[Point::WRITE_RELEASED.name()],
        wants: Some(Point::WRITE_WANTED.name()),
        lands: &[Point::WRITE_LOCKED.name()],
    },
    Window {
        name: "eviction-pass",
        about: "the evictor works from a list of the doomed, and others go on changing the ring",
        exclusive: false,
        opens: Point::DOOMED_LISTED.name(),
        closes: &[Point::RING_CLONED.name()],
        wants: None,
        lands: &[Point::RING_SAVED.name()],
    },
    Window {
        name: "failed-unlink",
        about: "an unlink has failed, and the segment is still doomed",
        exclusive: false,
        opens: Point::UNLINK_FAILED.name(),
        closes: &[Point::RING_CLONED.name(), SLEEP],
        wants: None,
        lands: &[Point::RING_SAVED.name()],
    },
    Window {
        name: "append-to-commit",
        about: "bytes are on their way into a segment, and the ring changes before their row is committed",
        exclusive: false,
        opens: "DiskWrite",
        closes: &[Point::ROW_COMMITTED.name(), Point::STRIPE_RELEASED.name()],
        wants: None,
        lands: &[Point::RING_SAVED.name()],
    },
    Window {
        name: "left-to-push",
        about: "a put on a full disk has left the active segment, and no other has taken its place yet",
        exclusive: false,
        opens: Point::ACTIVE_LEFT.name(),
        closes: &[Point::ROTATION_JOINED.name()],
        wants: None,
        lands: &[Point::RING_SAVED.name()],
    },
    Window {
        name: "look-to-use",
        about: "what was free is known, and others write before that is used",
        exclusive: false,
        opens: FREE_TOLD,
        closes: &["DiskCreate", "DiskRead", Point::RING_WANTED.name(), Point::WRITE_RELEASED.name()],
        wants: None,
        lands: &["DiskWrite"],
    },
    Window {
        name: "row-to-commit",
        about: "a put has read the row that it is to replace, and somebody else replaces or deletes it",
        exclusive: false,
        opens: Point::ROW_READ.name(),
        closes: &[Point::ROW_COMMITTED.name(), Point::STRIPE_RELEASED.name()],
        wants: None,
        lands: &[Point::ROW_COMMITTED.name(), Point::ROW_MOVED.name(), Point::ROWS_DELETED.name()],
    },
    Window {
        name: "scan-to-delete",
        about: "the evictor has read the rows of a segment, and one of them moves on before it is deleted",
        exclusive: false,
        opens: Point::ROWS_SCANNED.name(),
        closes: &[Point::ROWS_DELETED.name(), "DiskUnlink"],
        wants: None,
        lands: &[Point::ROW_COMMITTED.name(), Point::ROW_MOVED.name()],
    },
    Window {
        name: "copy-to-commit",
        about: "an artifact is being copied, and its row is replaced or deleted",
        exclusive: false,
        opens: Point::REFRESH_LOCKED.name(),
        closes: &[Point::ROW_MOVED.name(), Point::COPY_LOST.name(), Point::REFRESH_RELEASED.name()],
        wants: None,
        lands: &[Point::ROW_COMMITTED.name(), Point::ROWS_DELETED.name()],
    },
    Window {
        name: "row-to-ring",
        about: "a row is found, and moves on before the ring is asked for its segment",
        exclusive: false,
        opens: Point::ROW_FOUND.name(),
        closes: &[Point::ROW_CHECKED.name()],
        wants: None,
        lands: &[Point::ROW_COMMITTED.name(), Point::ROW_MOVED.name()],
    },
    Window {
        name: "row-to-read",
        about: "a read knows where the bytes are, and their file goes, or they are copied",
        exclusive: false,
        opens: Point::ROW_LOOKED_UP.name(),
        closes: &["DiskRead"],
        wants: None,
        lands: &["DiskUnlink", Point::ROW_MOVED.name()],
    },
    Window {
        name: "piece-to-piece",
        about: "a caller has a piece of an artifact, and the file goes before the next one is read",
        exclusive: false,
        opens: PIECE,
        closes: &["DiskRead"],
        wants: None,
        lands: &["DiskUnlink", Point::ROW_MOVED.name()],
    },
];

/// The locks, outermost first.
pub const LOCKS: &[LockKind] = &[
    LockKind {
        name: "stripe",
        wanted: Point::STRIPE_WANTED.name(),
        held: Point::STRIPE_LOCKED.name(),
        released: Point::STRIPE_RELEASED.name(),
        rank: 1,
        never_by: &["evict", "pressure", "evictor"],
        never_under: &[Point::ROTATION_JOINED.name(), Point::EVICTOR_AWAITED.name(), BODY],
    },
    LockKind {
        name: "refresh",
        wanted: Point::REFRESH_WANTED.name(),
        held: Point::REFRESH_LOCKED.name(),
        released: Point::REFRESH_RELEASED.name(),
        rank: 2,
        never_by: &["put", "read", "evict", "pressure", "evictor"],
        never_under: &[Point::ROTATION_JOINED.name(), Point::EVICTOR_AWAITED.name(), BODY],
    },
    LockKind {
        name: "write",
        wanted: Point::WRITE_WANTED.name(),
        held: Point::WRITE_LOCKED.name(),
        released: Point::WRITE_RELEASED.name(),
        rank: 3,
        never_by: &["evict", "pressure", "evictor"],
        never_under: &[
            SLEEP,
            "DiskWrite",
            "DiskSync",
            "CatalogSync",
            Point::SYNC_JOINED.name(),
            Point::ROTATION_JOINED.name(),
            Point::EVICTOR_AWAITED.name(),
            BODY,
        ],
    },
    LockKind {
        name: STATE_LOCK,
        wanted: Point::RING_WANTED.name(),
        held: Point::RING_CLONED.name(),
        released: Point::RING_RELEASED.name(),
        rank: 4,
        never_by: &[],
        never_under: &[
            SLEEP,
            "DiskCreate",
            "DiskSyncDirectory",
            "DiskWrite",
            "DiskRead",
            "DiskLen",
            "DiskSync",
            "DiskFree",
            "DiskUnlink",
            "DiskList",
            "CatalogRead",
            "CatalogSync",
            Point::SYNC_JOINED.name(),
            Point::ROTATION_JOINED.name(),
            Point::EVICTOR_AWAITED.name(),
            BODY,
        ],
    },
];

/// The points at which tasks park that are about to change the ring.
pub const RING_POINTS: &[&str] = &[Point::RING_WANTED.name(), Point::RING_CLONED.name()];

/// The points at which tasks park and operations wait: where a process can end.
pub const CRASH_POINTS: &[&str] = &[
    "Start",
    SLEEP,
    BODY,
    PIECE,
    "DiskCreate",
    "DiskSyncDirectory",
    "DiskWrite",
    "DiskRead",
    "DiskLen",
    "DiskSync",
    "DiskFree",
    FREE_TOLD,
    "DiskUnlink",
    "DiskList",
    "CatalogSync",
    Point::RING_WANTED.name(),
    Point::RING_CLONED.name(),
    Point::WRITE_WANTED.name(),
    Point::WRITE_LOCKED.name(),
    Point::STRIPE_WANTED.name(),
    Point::STRIPE_LOCKED.name(),
    Point::SYNC_WANTED.name(),
    Point::SYNC_JOINED.name(),
    Point::ROW_READ.name(),
    Point::ROW_FOUND.name(),
    Point::ROW_LOOKED_UP.name(),
    Point::REFRESH_WANTED.name(),
    Point::REFRESH_LOCKED.name(),
    Point::ROTATION_JOINED.name(),
    Point::EVICTOR_WOKEN.name(),
    Point::ROWS_SCANNED.name(),
    Point::EVICTOR_AWAITED.name(),
];

/// The kinds of sites at which crashes are aimed, each with its weight: those that are seldom met are crashed at, too.
pub const CRASH_SITES: &[(&str, u64)] = &[
    ("put@DiskFree", 3),
    ("put@FreeTold", 3),
    ("put@RingWanted", 16),
    ("put@RingCloned", 16),
    ("put@EvictorAwaited", 9),
    ("put@Start", 1),
    ("put@StripeWanted", 1),
    ("put@StripeLocked", 1),
    ("put@RowRead", 1),
    ("put@WriteWanted", 1),
    ("put@WriteLocked", 1),
    ("put@BodyAwaited", 1),
    ("put@DiskWrite", 1),
    ("put@SyncJoined", 1),
    ("put@RotationJoined", 1),
    ("refresh@RotationJoined", 42),
    ("evictor@Sleep", 5),
    ("rotate@Start", 1),
    ("rotate@RotationJoined", 1),
    ("rotate@EvictorAwaited", 6),
    ("rotation@Start", 1),
    ("rotation@WriteWanted", 1),
    ("rotation@WriteLocked", 1),
    ("rotation@DiskFree", 1),
    ("rotation@FreeTold", 2),
    ("rotation@DiskCreate", 1),
    ("rotation@DiskSyncDirectory", 14),
    ("rotation@RingWanted", 1),
    ("rotation@RingCloned", 1),
    ("evict@Start", 1),
    ("evict@RingWanted", 1),
    ("evict@RingCloned", 1),
    ("evictor@Start", 1),
    ("evictor@EvictorWoken", 1),
    ("evictor@RowsScanned", 2),
    ("evictor@CatalogSync", 6),
    ("evictor@SyncWanted", 7),
    ("evictor@SyncJoined", 7),
    ("evictor@DiskUnlink", 5),
    ("evictor@RingWanted", 1),
    ("evictor@RingCloned", 3),
    ("sync@Start", 1),
    ("sync@DiskSync", 1),
    ("sync@CatalogSync", 1),
    ("read@Start", 1),
    ("read@PieceTaken", 4),
    ("read@RowFound", 1),
    ("read@RowLookedUp", 1),
    ("read@DiskRead", 1),
    ("refresh@Start", 2),
    ("refresh@RefreshWanted", 2),
    ("refresh@RefreshLocked", 2),
    ("refresh@RowFound", 2),
    ("refresh@DiskFree", 4),
    ("refresh@FreeTold", 5),
    ("refresh@DiskRead", 6),
    ("refresh@WriteWanted", 2),
    ("refresh@WriteLocked", 2),
    ("refresh@DiskWrite", 5),
    ("refresh@SyncJoined", 5),
];

/// Those of a disk that fails.
pub const CRASH_SITES_WHERE_THE_DISK_FAILS: &[(&str, u64)] = &[
    ("rotation@DiskUnlink", 7),
    ("rotation@DiskFree", 1),
    ("put@Sleep", 10),
    ("others@Start", 2),
    ("refresh@SyncJoined", 1),
    ("evictor@RowsScanned", 1),
    ("evictor@SyncWanted", 2),
];

/// Those of an open.
pub const CRASH_SITES_OF_OPEN: &[(&str, u64)] = &[
    ("open@RowsScanned", 70),
    ("open@DiskCreate", 24),
    ("open@Start", 1),
    ("open@DiskList", 1),
    ("open@DiskLen", 1),
    ("open@RingWanted", 4),
    ("open@RingCloned", 4),
    ("open@CatalogSync", 4),
    ("open@DiskUnlink", 3),
    ("open@DiskSyncDirectory", 5),
];

/// Those of an open that finds files lost. It leaves room in the ring, and so a copy may rotate.
pub const CRASH_SITES_AFTER_A_LOSS: &[(&str, u64)] = &[
    ("refresh@RotationJoined", 110),
    ("open@RowsScanned", 105),
    ("open@DiskCreate", 40),
    ("open@Start", 1),
    ("open@DiskList", 1),
    ("open@DiskLen", 1),
    ("open@RingWanted", 4),
    ("open@RingCloned", 4),
    ("open@CatalogSync", 4),
    ("open@DiskUnlink", 5),
    ("open@DiskSyncDirectory", 8),
];

/// What a task that the engine spawns under this name is to a run.
pub fn role(name: &str) -> Role {
    if name == "evictor" { Role::Daemon } else { Role::Worker }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_are_aimed_at_points_where_a_process_can_end() {
        let kinds = [CRASH_SITES, CRASH_SITES_WHERE_THE_DISK_FAILS, CRASH_SITES_OF_OPEN, CRASH_SITES_AFTER_A_LOSS];
        for (site, _) in kinds.concat() {
            let (_, point) = site.split_once('@').unwrap();
            assert!(CRASH_POINTS.contains(&point), "{site}");
        }
    }
}
