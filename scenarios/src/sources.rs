//! Hashes of sources: names and contents of every file, in order. One is of the engine, `engine/src`; the other of the
//! harness around it, which decides what a run of that engine is.
#![allow(clippy::disallowed_methods, reason = "reads source files, not simulated ones")]

use std::path::{Path, PathBuf};
use std::{fs, io};
use xxhash_rust::xxh3::xxh3_64;

/// What of a workspace is the harness: the simulator, the scenarios, and the versions of all that they are built with.
pub const HARNESS: [&str; 3] = ["sim/src", "scenarios/src", "Cargo.lock"];

/// The hash of the sources of the engine in this directory.
///
/// # Errors
/// When they cannot be read.
pub fn hash(engine: &Path) -> io::Result<u64> {
    hash_of(engine, &["src"])
}

/// The hash of the harness of this workspace.
///
/// # Errors
/// When it cannot be read.
pub fn harness(workspace: &Path) -> io::Result<u64> {
    hash_of(workspace, &HARNESS)
}

fn hash_of(root: &Path, parts: &[&str]) -> io::Result<u64> {
    let mut files = Vec::new();
    for part in parts {
        list(&root.join(part), &mut files)?;
    }
    files.sort();
    let mut bytes = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
        let text = fs::read(&file)?;
        for part in [name.as_bytes(), &text] {
            bytes.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            bytes.extend(part);
        }
    }
    Ok(xxh3_64(&bytes))
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        list(&entry?.path(), files)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command;

    #[test]
    fn the_harness_is_another_one_when_any_part_of_it_is_and_not_when_the_engine_is() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let files = ["engine/src/lib.rs", "sim/src/world/env.rs", "scenarios/src/size.rs", "Cargo.lock"];
        files.iter().for_each(|name| write(name, "one"));
        let before = harness(root.path()).unwrap();
        for name in files {
            write(name, "other");
            assert_eq!(harness(root.path()).unwrap() != before, !name.starts_with("engine"), "{name}");
            write(name, "one");
        }
        assert_eq!(harness(root.path()).unwrap(), before);
    }

    #[test]
    fn this_program_names_the_sources_that_are_here() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert_eq!(command::HARNESS, format!("{:016x}", harness(&root).unwrap()));
        assert_eq!(command::ENGINE, format!("{:016x}", hash(&root.join("engine")).unwrap()));
    }
}
