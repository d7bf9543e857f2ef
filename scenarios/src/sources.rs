//! The hash of the engine's sources: names and contents of every file under `engine/src`, in order.
#![allow(clippy::disallowed_methods, reason = "reads source files, not simulated ones")]

use std::path::{Path, PathBuf};
use std::{fs, io};
use xxhash_rust::xxh3::xxh3_64;

/// The hash of the sources of the engine in this directory.
///
/// # Errors
/// When they cannot be read.
pub fn hash(engine: &Path) -> io::Result<u64> {
    let mut files = Vec::new();
    list(&engine.join("src"), &mut files)?;
    files.sort();
    let mut bytes = Vec::new();
    for file in files {
        let name = file.strip_prefix(engine).unwrap_or(&file).to_string_lossy().into_owned();
        let text = fs::read(&file)?;
        for part in [name.as_bytes(), &text] {
            bytes.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            bytes.extend(part);
        }
    }
    Ok(xxh3_64(&bytes))
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
