//! What a history is made of: saved rings, answers, rows, and what readers can see.

use crate::site::TaskId;
use segment_engine::catalog::Table;
use segment_engine::error::ManifestFault;
use segment_engine::manifest::Manifest;
use segment_engine::ring_state::RingRecord;
use segment_engine::{Error, Repair, SegmentId};

/// A ring as it was saved.
#[derive(Clone, Debug)]
pub struct Save {
    /// In which step.
    pub step: u64,
    /// By whom; `None` before the run started.
    pub task: Option<TaskId>,
    /// What was saved.
    pub record: RingRecord,
}

/// What a caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its segment is in the ring.
    Pushed(SegmentId),
    /// Its victim has left the ring by this call.
    Evicted(SegmentId),
    /// Its victim was not in the ring.
    Absent(SegmentId),
    /// Its victim is the active segment and stays.
    RefusedActive(SegmentId),
    /// What is left counts at most so many bytes, and these are gone by this call.
    Relieved {
        /// The target.
        target_bytes: u64,
        /// The victims.
        victims: Vec<SegmentId>,
    },
    /// Its artifact is stored, or was there already.
    Put {
        /// It is this call that has stored it.
        is_new: bool,
        /// The artifact's key.
        key: Key,
        /// The hash of its bytes.
        content: u64,
        /// The step in which it was asked for.
        since: u64,
    },
    /// It read this.
    Read {
        /// The artifact's key.
        key: Key,
        /// The hash of its bytes; `None` when there was none.
        content: Option<u64>,
        /// The step in which it was asked for.
        since: u64,
    },
    /// It had read a part of it when that was gone.
    CutOff {
        /// The artifact's key.
        key: Key,
        /// The step in which it was asked for.
        since: u64,
    },
    /// It was told whether there is an artifact.
    Contains {
        /// The artifact's key.
        key: Key,
        /// Whether there is.
        found: bool,
        /// The step in which it was asked for.
        since: u64,
    },
    /// It is none of the engine's: others have done something to the disk.
    Others,
    /// The engine is open; it has mended this.
    Opened(Vec<Repair>),
    /// The engine is closed: nothing is left to do, and everything is durable.
    Closed,
    /// Its artifact was not stored: each time its segment was evicted or a write was refused.
    GaveUp(Key),
    /// Its artifact was not stored: the disk has no room for so many bytes, whatever is evicted.
    NoRoom(u64),
    /// An operation was refused, the disk was full.
    Full,
    /// The operation ended in this error.
    Failed(Cause, String),
}

impl Answer {
    /// That the operation ended in this error.
    pub fn failed(error: &Error) -> Answer {
        let cause = match error {
            Error::DamagedRing(_) | Error::DamagedManifest { .. } => Cause::Damage,
            Error::DamagedArtifact { .. } => Cause::Rot,
            Error::Catalog { .. } => Cause::Catalog,
            Error::Fenced => Cause::Fence,
            Error::Crowded { .. } => Cause::Unlinks,
            Error::Unsynced(source) if matches!(**source, Error::Catalog { .. }) => Cause::Fence,
            _ => Cause::Other,
        };
        Answer::Failed(cause, error.to_string())
    }
}

/// What a caller was told, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Who.
    pub task: TaskId,
    /// What.
    pub answer: Answer,
    /// Events of the trace before it, if they are kept.
    pub after: usize,
}

/// An artifact's key in a simulation.
pub type Key = u8;

/// A put under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Putting {
    /// Whose it is.
    pub task: TaskId,
    /// The artifact's key.
    pub key: Key,
    /// The hash of its bytes.
    pub content: u64,
    /// How many they are.
    pub bytes: u64,
    /// Of these, those that have been written since it began, or began again.
    pub written: u64,
}

/// What a caller has begun last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// The operations that had failed before.
    pub errors: Errors,
    /// The segment that it evicts, if it does.
    pub evicts: Option<SegmentId>,
    /// How many bytes it puts, if it does.
    pub puts: Option<u64>,
    /// Whether what it puts or reads is had one piece after the other: written before it is known, or seen before it is
    /// whole.
    pub is_stream: bool,
    /// It has asked for the first piece of what it puts.
    pub has_body: bool,
    /// It has had the write lock, and may have reserved bytes.
    pub has_reserved: bool,
    /// How often it has wanted the lock of its key: each time it looks anew what is there.
    pub looks: u32,
    /// Rows that had been moved before.
    pub rows_moved: u64,
    /// Flipped bits of which callers had been told before.
    pub rot_told: usize,
    /// How often the put has begun again.
    pub retries: u64,
    /// A full disk has refused a write of it since it last asked for what is free.
    pub is_refused: bool,
    /// How often it has looked at what is free, looks after a sleep apart.
    pub rounds: u32,
    /// It has slept since it last saved a ring.
    pub has_slept: bool,
    /// It reads.
    pub reads: bool,
    /// The step in which it began.
    pub step: u64,
}

/// An active segment that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// By whom.
    pub task: TaskId,
    /// The segment.
    pub segment: SegmentId,
    /// What it might have held.
    pub bytes: u64,
}

/// A copy of an artifact, as a refresh begins it, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copying {
    /// The refresh.
    pub task: TaskId,
    /// The bytes to copy; `None`: it is not begun, for want of room.
    pub length: Option<u64>,
    /// The bytes that it could take for free: at most, where it is begun; at least, where it is not.
    pub free: u64,
}

/// An artifact of the oldest generation that was read whole, and so is to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToCopy {
    /// Its key.
    pub key: Key,
    /// Where it was.
    pub manifest: Manifest,
    /// The segment that was written to.
    pub active: SegmentId,
    /// Writes that a full disk had refused before.
    pub writes_refused: u64,
}

/// An artifact that readers can see, from one step on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// From when on.
    pub step: u64,
    /// The hash of its bytes; `None` when there is none.
    pub content: Option<u64>,
    /// The commit that made it so, counted from 1.
    pub commit: u64,
    /// Whose commit that was.
    pub task: Option<TaskId>,
    /// The segment that it is in; of nothing, the one that it was in before.
    pub segment: Option<SegmentId>,
}

/// A saved manifest and the commit that wrote it, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose it is.
    pub key: Key,
    /// The row.
    pub manifest: Manifest,
    /// The commit.
    pub commit: u64,
}

/// What a commit changes of the artifacts' rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A manifest: the key's, or none any more.
    Row(Key, Option<Manifest>),
    /// A manifest that cannot be decoded.
    Damaged(Key, ManifestFault),
    /// An entry of the index: there from now on, or no longer.
    Index(SegmentId, Key, bool),
}

impl Change {
    /// The change of one row, if it is an artifact's.
    pub fn of(table: Table, key: &[u8], value: Option<&[u8]>) -> Option<Change> {
        match table {
            Table::Ring | Table::Store => None,
            Table::Manifest => Some(match value.map(Manifest::decode).transpose() {
                Ok(manifest) => Change::Row(short(key), manifest),
                Err(fault) => Change::Damaged(short(key), fault),
            }),
            Table::Index => {
                let (segment, key) = key.split_first_chunk()?;
                Some(Change::Index(SegmentId::from_u128(u128::from_be_bytes(*segment)), short(key), value.is_some()))
            }
        }
    }
}

/// A simulated key has one byte.
fn short(key: &[u8]) -> Key {
    key.first().copied().unwrap_or_default()
}

/// Operations of disk and catalog that failed, in one life of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// All of them.
    pub all: u64,
    /// Operations that a full disk refused, writes apart.
    pub full: u64,
    /// Commits and syncs of the catalog: what is saved is unknown.
    pub catalog: u64,
    /// Reads of the catalog.
    pub reads: u64,
    /// Of these, the evictor's: it ends, and with it all writing.
    pub evictor: u64,
}

/// Why an operation ended in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A row is damaged.
    Damage,
    /// The bytes of an artifact are.
    Rot,
    /// The catalog has failed.
    Catalog,
    /// It had, and so writing is fenced.
    Fence,
    /// Unlinks that fail, again and again.
    Unlinks,
    /// The disk, or what follows from it.
    Other,
}
