//! What the steps of segment-engine touch, told by where its tasks wait: for exhaustive searches.
//!
//! Each stretch, what a task runs from one wait to the next, was read in the engine's sources. It says what that code may
//! look at, change, hear or keep, besides locks and operations, which the conductor sees, and values, which the catalog
//! tells. What is not here touches everything: errors, retries, reads, refreshes, pressure; so does every step after a
//! fault. The oracles are covered, too: what a caller is told is judged by ring, rows and syncs.
//!
//! It holds for the workloads of exhaustive searches alone: evictions name their segment, no two artifacts are equal, the
//! disk never runs full, so few segments are doomed that rotations never wait, and no process ends.

use crate::footprint::{BLOCKED, ENDED, Footprint, Footprints, Operation, Stretch};
use crate::vocabulary::FREE_TOLD;

/// The published ring, its row, and which segments are members or doomed. The value is told.
pub const RING: u32 = 1;
/// Which of them is the active one. The value is told.
pub const ACTIVE: u32 = 1 << 1;
/// The rows of manifests and of the index. The value is told.
pub const ROWS: u32 = 1 << 2;
/// Which commits there are. The value is told.
pub const LOG: u32 = 1 << 3;
/// Which of them are durable. The value is told.
pub const DURABLE: u32 = 1 << 4;
/// Which files were created and unlinked. No two writes are of one range, and what was written is its writer's to know.
const DISK: u32 = 1 << 5;
/// Which ranges were reserved.
const RESERVED: u32 = 1 << 6;
/// Who owns the bytes of a range: changed by those who reserved it.
const OWNERS: u32 = 1 << 7;
/// Who waits for a sync of a segment.
const DATA_SYNCS: u32 = 1 << 8;
/// Who waits for a sync of the catalog.
const CATALOG_SYNCS: u32 = 1 << 9;
/// Whether the evictor has been told.
const EVICTOR: u32 = 1 << 10;
/// Which ids are taken.
const IDS: u32 = 1 << 11;
/// The doomed list of the ring. The value is told.
pub const DOOMED: u32 = 1 << 12;

const NOTHING: Footprint = Footprint::NOTHING;
/// What it gets from whoever woke it is more than a wake-up.
const HEARS: Footprint = Footprint { hears: true, ..NOTHING };
/// It gets the active segment, and whether that is new.
const HEARS_ACTIVE: Footprint = Footprint { hears_site: true, reads: ACTIVE, ..NOTHING };
/// It keeps nothing of what it saw before.
const FORGETS: Footprint = Footprint { forgets: true, ..NOTHING };

const fn reads(things: u32) -> Footprint {
    Footprint { reads: things, ..NOTHING }
}

const fn writes(things: u32) -> Footprint {
    Footprint { writes: things, ..NOTHING }
}

const fn derives(things: u32) -> Footprint {
    Footprint { derives: things, ..NOTHING }
}

const fn adds(things: u32) -> Footprint {
    Footprint { adds: things, ..NOTHING }
}

const fn empties(things: u32) -> Footprint {
    Footprint { empties: things, ..NOTHING }
}

const fn operation(point: &'static str, begins: Footprint, lands: Footprint) -> Operation {
    Operation { point, begins, lands }
}

const fn stretch(kinds: &'static [&'static str], from: &'static str, to: &'static str, touches: Footprint) -> Stretch {
    Stretch { kinds, from, to, touches }
}

const PUT: &[&str] = &["put"];
const SYNC: &[&str] = &["sync"];
const EVICT: &[&str] = &["evict"];
const ROTATE: &[&str] = &["rotate"];
const ROTATION: &[&str] = &["rotation"];
const EVICTS: &[&str] = &["evictor"];
/// Those that take the write lock.
const WRITERS: &[&str] = &["put", "rotation"];
/// Those that change the ring.
const CHANGERS: &[&str] = &["evict", "rotation", "evictor"];

/// What is known of the engine's steps.
pub static TOUCHES: Footprints = Footprints {
    operations: &[
        operation("CatalogRead", NOTHING, reads(ROWS)),
        // in no order: a sync covers those before it
        operation("CatalogCommit", NOTHING, adds(LOG)),
        operation("CatalogSync", reads(LOG), adds(DURABLE)),
        operation("DiskCreate", reads(IDS).and(adds(IDS)), adds(DISK)),
        operation("DiskWrite", reads(DISK), reads(DISK)),
        operation("DiskSync", reads(DISK), reads(DISK)),
        operation("DiskSyncDirectory", NOTHING, NOTHING),
        operation("DiskFree", NOTHING, NOTHING),
        operation("DiskUnlink", NOTHING, adds(DISK)),
    ],
    stretches: &[
        // RingState::mutate
        stretch(CHANGERS, "RingWanted", BLOCKED, NOTHING),
        stretch(CHANGERS, "RingWanted", "RingCloned", reads(RING)),
        stretch(CHANGERS, BLOCKED, "RingCloned", reads(RING)),
        // Engine::evict of a segment by its id, and the answer
        stretch(EVICT, "Start", "RingWanted", NOTHING),
        stretch(EVICT, "RingCloned", ENDED, adds(EVICTOR)),
        // Engine::rotate, and the answer
        stretch(ROTATE, "Start", BLOCKED, reads(ACTIVE)),
        stretch(ROTATE, "RotationJoined", ENDED, NOTHING),
        stretch(&["rotate", "put"], BLOCKED, "RotationJoined", HEARS_ACTIVE),
        // Shared::rotate
        stretch(ROTATION, "Start", "WriteWanted", NOTHING),
        stretch(WRITERS, "WriteWanted", "WriteLocked", NOTHING),
        stretch(WRITERS, "WriteWanted", BLOCKED, NOTHING),
        stretch(WRITERS, BLOCKED, "WriteLocked", NOTHING),
        stretch(ROTATION, "WriteLocked", "DiskFree", reads(ACTIVE)),
        stretch(ROTATION, "WriteLocked", "DiskCreate", reads(ACTIVE)),
        stretch(ROTATION, "WriteLocked", ENDED, reads(ACTIVE).and(adds(EVICTOR))),
        stretch(ROTATION, "DiskFree", FREE_TOLD, NOTHING),
        stretch(ROTATION, FREE_TOLD, "DiskCreate", NOTHING),
        stretch(ROTATION, "DiskCreate", "DiskSyncDirectory", NOTHING),
        stretch(ROTATION, "DiskSyncDirectory", "RingWanted", NOTHING),
        // opens the book, reserves, and has the outgoing segment synced if somebody still writes to it
        stretch(
            ROTATION,
            "RingCloned",
            ENDED,
            reads(RESERVED | OWNERS | DATA_SYNCS).and(derives(DATA_SYNCS)).and(adds(RESERVED | EVICTOR)),
        ),
        // Engine::put of bytes that are nowhere yet
        stretch(PUT, "Start", "StripeWanted", NOTHING),
        stretch(PUT, "StripeWanted", "StripeLocked", NOTHING),
        stretch(PUT, "StripeWanted", BLOCKED, NOTHING),
        stretch(PUT, BLOCKED, "StripeLocked", NOTHING),
        stretch(PUT, "StripeLocked", "RowRead", NOTHING),
        stretch(PUT, "RowRead", "WriteWanted", NOTHING),
        stretch(PUT, "RowRead", "DiskWrite", NOTHING),
        stretch(PUT, "RowRead", BLOCKED, COMMITS),
        stretch(PUT, "WriteLocked", "DiskWrite", reads(ACTIVE | RESERVED).and(adds(RESERVED))),
        stretch(PUT, "WriteLocked", BLOCKED, reads(ACTIVE | RESERVED)),
        stretch(PUT, "RotationJoined", "StripeWanted", NOTHING),
        stretch(PUT, "DiskWrite", "DiskWrite", NOTHING),
        stretch(PUT, "DiskWrite", BLOCKED, reads(DATA_SYNCS).and(adds(DATA_SYNCS))),
        stretch(PUT, BLOCKED, "SyncJoined", HEARS),
        stretch(PUT, "SyncJoined", "RowRead", reads(RING | ROWS)),
        stretch(PUT, "SyncJoined", "StripeWanted", reads(RING | ROWS).and(adds(OWNERS))),
        stretch(PUT, "SyncJoined", BLOCKED, COMMITS),
        stretch(PUT, "SyncJoined", ENDED, reads(DURABLE)),
        // GroupCommit: a round takes all who wait; a failed one would be told by the files
        stretch(SYNC, "Start", "DiskSync", reads(DATA_SYNCS).and(derives(DATA_SYNCS))),
        stretch(SYNC, "DiskSync", "DiskSync", writes(DATA_SYNCS)),
        stretch(SYNC, "DiskSync", ENDED, writes(DATA_SYNCS)),
        stretch(SYNC, "Start", "CatalogSync", FORGETS.and(empties(CATALOG_SYNCS))),
        stretch(SYNC, "CatalogSync", "CatalogSync", FORGETS.and(empties(CATALOG_SYNCS))),
        stretch(SYNC, "CatalogSync", ENDED, empties(CATALOG_SYNCS)),
        // run_evictor
        stretch(EVICTS, "Start", BLOCKED, FORGETS.and(empties(EVICTOR))),
        stretch(EVICTS, "Start", "EvictorWoken", FORGETS.and(empties(EVICTOR))),
        stretch(EVICTS, BLOCKED, "EvictorWoken", FORGETS.and(empties(EVICTOR))),
        stretch(EVICTS, "EvictorWoken", BLOCKED, FORGETS.and(empties(EVICTOR))),
        stretch(EVICTS, "EvictorWoken", "EvictorWoken", FORGETS.and(empties(EVICTOR))),
        stretch(EVICTS, "EvictorWoken", "RowsScanned", FORGETS.and(reads(DOOMED | ROWS))),
        stretch(EVICTS, "EvictorWoken", "CatalogSync", FORGETS.and(reads(DOOMED)).and(SYNCS_ALONE)),
        stretch(EVICTS, "RowsScanned", "RowsScanned", reads(ROWS)),
        stretch(EVICTS, "RowsScanned", "CatalogSync", reads(ROWS).and(SYNCS_ALONE)),
        stretch(EVICTS, "CatalogSync", "DiskUnlink", SYNCS_ALONE),
        // one is under way: it waits with the others
        stretch(EVICTS, "EvictorWoken", "SyncWanted", FORGETS.and(reads(DOOMED | CATALOG_SYNCS))),
        stretch(EVICTS, "RowsScanned", "SyncWanted", reads(ROWS | CATALOG_SYNCS)),
        stretch(EVICTS, "RingCloned", "SyncWanted", FORGETS.and(reads(DOOMED | CATALOG_SYNCS)).and(adds(OWNERS))),
        stretch(EVICTS, "SyncWanted", BLOCKED, adds(CATALOG_SYNCS)),
        stretch(EVICTS, BLOCKED, "SyncJoined", HEARS),
        stretch(EVICTS, "SyncJoined", "DiskUnlink", NOTHING),
        stretch(EVICTS, "DiskUnlink", "DiskUnlink", adds(OWNERS)),
        stretch(EVICTS, "DiskUnlink", "RingWanted", adds(OWNERS)),
        stretch(EVICTS, "RingCloned", BLOCKED, FORGETS.and(adds(OWNERS)).and(empties(EVICTOR))),
        stretch(EVICTS, "RingCloned", "EvictorWoken", FORGETS.and(adds(OWNERS)).and(empties(EVICTOR))),
        stretch(EVICTS, "RingCloned", "RowsScanned", FORGETS.and(reads(DOOMED | ROWS)).and(adds(OWNERS))),
        stretch(EVICTS, "RingCloned", "CatalogSync", FORGETS.and(reads(DOOMED)).and(adds(OWNERS)).and(SYNCS_ALONE)),
    ],
};

/// The evictor takes it on itself to sync the catalog, or has done so: who comes meanwhile waits until it has.
const SYNCS_ALONE: Footprint = reads(CATALOG_SYNCS).and(derives(CATALOG_SYNCS));

/// A put that commits its row, lets its stripe go, and asks for a sync of the catalog. All that is left to it is an answer.
const COMMITS: Footprint = FORGETS.and(adds(OWNERS | CATALOG_SYNCS));
