//! Searches on disk, to go on with them: a line that says what is searched, the search, and a checksum of both.
#![allow(clippy::disallowed_methods, reason = "searches are files")]

use crate::atomic_file;
use crate::error::{Error, Result};
use segment_sim::exhaust::Search;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_128;

/// The beginning of every file, with the version of the form.
const HEAD: &str = "segsim exhaust 1";

/// The longest line that says what is searched.
const SUBJECT_BYTES_MAX: usize = 4096;

/// Reads a search of this subject; `None` when there is no file.
///
/// # Errors
/// [`Error::Io`], and [`Error::Search`], which says what is wrong with it.
pub fn read(path: &Path, subject: &str) -> Result<Option<Search>> {
    // a pipe or a device might have no end
    let bytes = match atomic_file::check(path).and_then(|()| std::fs::read(path)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    parse(&bytes, subject).map(Some).map_err(|fault| Error::Search { path: path.to_path_buf(), fault })
}

/// Reads a file's bytes.
///
/// # Errors
/// What is wrong with them, in one line.
pub fn parse(bytes: &[u8], subject: &str) -> std::result::Result<Search, String> {
    let line = format!("{HEAD} ");
    let Some(rest) = bytes.strip_prefix(line.as_bytes()) else {
        return Err(format!("it does not begin with {HEAD:?}: no search, or one of another segsim"));
    };
    let (content, checksum) = bytes.split_last_chunk().ok_or("it is damaged or was cut off")?;
    if u128::from_le_bytes(*checksum) != xxh3_128(content) {
        return Err("it is damaged or was cut off".to_string());
    }
    let end =
        rest.iter().take(SUBJECT_BYTES_MAX).position(|byte| *byte == b'\n').ok_or("it says nowhere what it is")?;
    let other = String::from_utf8_lossy(&rest[..end]);
    if other != subject {
        return Err(format!("it is of another search ({other}); name another file with --state"));
    }
    Search::decode(&content[line.len() + end + 1..]).map_err(|damaged| damaged.to_string())
}

/// Writes a search to a file, as a whole or not at all.
///
/// # Errors
/// [`Error::Io`].
pub fn write(path: &Path, subject: &str, search: &Search) -> Result<()> {
    let mut bytes = format!("{HEAD} {subject}\n").into_bytes();
    bytes.extend_from_slice(&search.encode());
    let checksum = xxh3_128(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    atomic_file::write(path, &bytes).map_err(Error::io("write", path))
}
