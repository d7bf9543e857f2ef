//! What is under way in a child when it ends, and so what its end hits.

use crate::soak::wire::Ring;
use segment_engine::SegmentId;
use std::collections::{BTreeMap, BTreeSet};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It was killed, and the machine went on.
    Killed,
    /// The machine's power was cut.
    PowerLost,
    /// The same, after the device had refused something.
    DeviceFailed,
    /// The same, and the file system had given up. From then on ext4 answers some syncs with success that have made nothing
    /// durable.
    FileSystemFailed,
}

/// What a kill or a power loss hit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hits {
    /// A put that was begun and not answered.
    pub put: bool,
    /// A rotation, between its file and its ring.
    pub rotation: bool,
    /// An eviction, between its first row and the end of its doom.
    pub eviction: bool,
    /// A recovery.
    pub recovery: bool,
    /// An open of the catalog, before any recovery.
    pub opening: bool,
}

/// How far a child has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// It has told nothing.
    #[default]
    Born,
    /// It opens the data directory.
    Opening,
    /// It opens the engine.
    Recovering,
    /// The engine is open.
    Serving,
}

/// What is under way in the child that lives now.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// How far it has come.
    pub stage: Stage,
    /// The keys of puts.
    pub puts: BTreeMap<u64, u32>,
    /// The keys of rows that are committed.
    pub rows: BTreeMap<u64, u32>,
    /// When syncs began.
    pub syncs: BTreeMap<u64, u64>,
    /// The ring that is saved.
    pub saving: Option<Ring>,
    /// Segments whose file is begun and that no ring names.
    pub rotating: BTreeSet<SegmentId>,
    /// Whether others have filled the disk.
    pub is_crowded: bool,
    /// Whether a write has met that.
    pub has_met_full_disk: bool,
    /// Segments that were made in this life, and whether a sync of their bytes has succeeded, or else failed.
    pub made: BTreeMap<SegmentId, Option<bool>>,
    /// What has ended in an error of the disk, a sentence each.
    pub refused: Vec<String>,
    /// Gets that have, the same.
    pub unread: Vec<String>,
    /// Whether the evictor is between a first row and the end of a doom.
    pub is_evicting: bool,
}

impl Life {
    /// Whether nothing of this segment can be read, and never will: not even its first sync has succeeded.
    pub fn is_stillborn(&self, segment: SegmentId) -> bool {
        self.made.get(&segment) == Some(&Some(false))
    }

    /// What it is in the middle of.
    pub fn hits(&self) -> Hits {
        Hits {
            put: !self.puts.is_empty(),
            rotation: !self.rotating.is_empty(),
            eviction: self.is_evicting,
            recovery: self.stage == Stage::Recovering,
            opening: self.stage == Stage::Opening,
        }
    }
}
