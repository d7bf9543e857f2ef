//! RocksDB's BlobDB beside the engine: the same artifacts, each put synced before it returns.
//!
//! A put goes to the write-ahead log; later, in the background, the memory table goes to a blob file. Puts that were
//! answered are counted as done, so a turn leaves out what is still to be written twice: that favours BlobDB.

use crate::error::{Error, Result};
use crate::measure::artifacts::{Artifacts, key};
use crate::measure::turn::{Bound, Turn, threads};
use rocksdb::{DB, DBCompressionType, Options, WriteOptions};
use std::path::Path;

/// A BlobDB on a new directory.
pub struct BlobDb {
    database: DB,
    artifacts: Artifacts,
}

impl BlobDb {
    /// Opens it: every value in a blob file, no compression, everything else as RocksDB has it.
    ///
    /// # Errors
    /// [`Error::BlobDb`].
    pub fn open(directory: &Path, artifacts: Artifacts) -> Result<BlobDb> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_enable_blob_files(true);
        options.set_min_blob_size(0);
        options.set_compression_type(DBCompressionType::None);
        options.set_blob_compression_type(DBCompressionType::None);
        let database = DB::open(&options, directory).map_err(failed("open"))?;
        Ok(BlobDb { database, artifacts })
    }

    /// Puts artifacts of `bytes`.
    ///
    /// # Errors
    /// [`Error::BlobDb`] and [`Error::Interrupted`].
    pub fn puts(&self, writers: usize, bytes: usize, bound: Bound) -> Result<Turn> {
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        threads(writers, bound, |number| {
            let artifact = self.artifacts.artifact(number, bytes);
            self.database.put_opt(key(number), artifact, &synced).map_err(failed("put into"))
        })
    }

    /// Gets the artifacts `0..there`, again and again, from blob files.
    ///
    /// # Errors
    /// [`Error::BlobDb`] and [`Error::Interrupted`].
    pub fn gets(&self, readers: usize, bytes: usize, there: u64, bound: Bound) -> Result<Turn> {
        self.database.flush().map_err(failed("flush"))?;
        threads(readers, bound, |number| {
            // pinned: it spares BlobDB a copy
            let got = self.database.get_pinned(key(number % there)).map_err(failed("get from"))?;
            assert_eq!(got.map(|artifact| artifact.len()), Some(bytes), "what was put is got");
            Ok(())
        })
    }
}

fn failed(operation: &'static str) -> impl Fn(rocksdb::Error) -> Error {
    move |source| Error::BlobDb { operation, source: Box::new(source) }
}
