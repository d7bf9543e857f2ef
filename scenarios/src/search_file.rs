//! Searches on disk, to go on with them: a line that says what is searched, the search, and a checksum of both. Who works
//! on one has locked a file beside it, as each write replaces the search's own.
#![allow(clippy::disallowed_methods, reason = "searches are files")]

use crate::atomic_file;
use crate::error::{Error, Result};
use segment_sim::exhaust::Search;
use std::fs::{File, Metadata, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_128;

/// The beginning of every file, with the version of the form.
const HEAD: &str = "segsim exhaust 1";

/// The longest line that says what is searched.
const SUBJECT_BYTES_MAX: usize = 4096;

/// Keeps others out of a search as long as it is there.
#[derive(Debug)]
pub struct InUse {
    path: PathBuf,
    _lock: File,
}

/// Takes a search for this process, whether or not there is one yet.
///
/// # Errors
/// [`Error::Io`], and [`Error::SearchInUse`].
pub fn take(path: &Path) -> Result<InUse> {
    // whatever links lead to it; and nothing is made beside what is no search
    let place = match atomic_file::check(path).and_then(|()| std::fs::canonicalize(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_path_buf(),
        place => place.map_err(Error::io("read", path))?,
    };
    let mut beside = place.into_os_string();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    loop {
        let lock = File::options().create(true).truncate(false).write(true).open(&beside);
        let lock = lock.map_err(Error::io("write", path))?;
        lock.try_lock().map_err(|refused| match refused {
            TryLockError::WouldBlock => Error::SearchInUse { path: path.to_path_buf() },
            TryLockError::Error(source) => Error::io("lock", &beside)(source),
        })?;
        let id = |there: Metadata| (there.dev(), there.ino());
        let locked = lock.metadata().map(id).map_err(Error::io("read", &beside))?;
        // else who had it before has removed it meanwhile, and the next one makes another
        if std::fs::metadata(&beside).is_ok_and(|there| id(there) == locked) {
            return Ok(InUse { path: beside, _lock: lock });
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        // before it is unlocked; one that stays is taken again
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Reads a search of this subject; `None` when there is no file.
///
/// # Errors
/// [`Error::Io`], and [`Error::Search`], which says what is wrong with it.
pub fn read(path: &Path, subject: &str) -> Result<Option<Search>> {
    // a pipe or a device might have no end
    let bytes = match atomic_file::check(path).and_then(|()| std::fs::read(path)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
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
