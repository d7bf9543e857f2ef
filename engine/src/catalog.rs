//! The metadata store as the engine sees it: rows in tables, and commits that check what they build on.

use crate::error::Result;
use crate::segment::SegmentId;
use std::future::Future;

/// A table of the catalog; a column family in RocksDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// One row: the saved ring.
    Ring,
    /// One row: the format of the data directory.
    Store,
    /// A row for each artifact, by its key.
    Manifest,
    /// A row for each artifact, by its segment and its key.
    Index,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 4] = [Table::Ring, Table::Store, Table::Manifest, Table::Index];

    /// The name on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Ring => "ring",
            Table::Store => "store",
            Table::Manifest => "manifest",
            Table::Index => "index",
        }
    }
}

/// One row's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// The row's value from now on.
    Put {
        /// The table.
        table: Table,
        /// The row's key.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// The row is gone, if it was there.
    Delete {
        /// The table.
        table: Table,
        /// The row's key.
        key: Vec<u8>,
    },
}

/// Changes that become visible, and survive a crash, together or not at all.
pub type Batch = Vec<Write>;

/// What must hold at the moment of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Require {
    /// The row has no value.
    RowAbsent {
        /// The table.
        table: Table,
        /// The row's key.
        key: Vec<u8>,
    },
    /// The row has exactly this value.
    RowIs {
        /// The table.
        table: Table,
        /// The row's key.
        key: Vec<u8>,
        /// The value.
        value: Vec<u8>,
    },
    /// The saved ring has the segment in one of its generations.
    InRing {
        /// The segment.
        segment: SegmentId,
    },
}

/// A row: its key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// What a commit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    /// Written: visible, and durable after the next [`Catalog::sync`].
    Buffered,
    /// A requirement did not hold; nothing was written.
    Refused,
}

/// The metadata of one node.
pub trait Catalog: Send + Sync + 'static {
    /// The row's value.
    ///
    /// # Errors
    /// When the store refuses.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Up to `limit` rows whose keys begin with `prefix`, in the order of their keys, from the first one after `after`.
    ///
    /// # Errors
    /// When the store refuses.
    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>>;

    /// Checks `requires` and writes `batch` in one step, without waiting for a disk. After a power loss the commits
    /// that survive are a prefix of those made; a killed process loses none. (RocksDB keeps to that when its log loses its
    /// end. When a page in the middle of what was not synced reads as zeros, it can skip a commit there: the conformance
    /// tests of the simulation pin it.)
    ///
    /// # Errors
    /// When the store refuses. Whether the batch was written is then unknown.
    fn commit(&self, batch: Batch, requires: &[Require]) -> Result<Commit>;

    /// Makes every commit that has returned durable.
    ///
    /// # Errors
    /// When the store refuses; which commits are durable is then unknown.
    fn sync(&self) -> impl Future<Output = Result<()>> + Send;
}
