//! The raw floor: one thread appends the same artifacts to one file and syncs it. No engine can do with less. And the floor
//! of those whose metadata names nothing that is not durable: two syncs, one after the other.
#![allow(clippy::disallowed_methods, reason = "measures a real file")]

use crate::error::{Error, Result};
use crate::measure::artifacts::Artifacts;
use crate::measure::turn::{Bound, Turn, threads};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// What the second file gets of each artifact: as much as a commit takes of RocksDB's log.
const RECORD_BYTES: usize = 300;

/// Appends artifacts of `bytes` to a new file in `directory`, with an fdatasync after every `batch` of them and at the
/// end. Where an artifact waits for the sync of a later one, only the rate means something, no latency.
///
/// # Errors
/// What the disk says, and [`Error::Interrupted`].
pub fn appends(directory: &Path, artifacts: &Artifacts, bytes: usize, batch: u64, bound: Bound) -> Result<Turn> {
    let path = directory.join("floor");
    let file = File::create_new(&path).map_err(Error::io("create", &path))?;
    let sync = || file.sync_data().map_err(Error::io("sync", &path));
    let mut turn = threads(1, bound, |number| {
        (&file).write_all(&artifacts.artifact(number, bytes)).map_err(Error::io("write", &path))?;
        if (number + 1).is_multiple_of(batch) { sync() } else { Ok(()) }
    })?;
    let end = Instant::now();
    sync()?;
    turn.elapsed += end.elapsed();
    Ok(turn)
}

/// Appends artifacts of `bytes` to a new file in `directory`, and for each a record to a second one when the first is synced.
/// The artifact is there when the second is synced, too.
///
/// # Errors
/// What the disk says, and [`Error::Interrupted`].
pub fn ordered(directory: &Path, artifacts: &Artifacts, bytes: usize, bound: Bound) -> Result<Turn> {
    let (data, records) = (directory.join("data"), directory.join("records"));
    let create = |path| File::create_new(path).map_err(Error::io("create", path));
    let (data_file, records_file) = (create(&data)?, create(&records)?);
    let append = |mut file: &File, path, bytes: &[u8]| {
        file.write_all(bytes).map_err(Error::io("write", path))?;
        file.sync_data().map_err(Error::io("sync", path))
    };
    threads(1, bound, |number| {
        let artifact = artifacts.artifact(number, bytes);
        append(&data_file, &data, &artifact)?;
        append(&records_file, &records, &artifact[..RECORD_BYTES.min(bytes)])
    })
}
