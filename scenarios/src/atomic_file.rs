//! Files that are written as a whole or not at all.
#![allow(clippy::disallowed_methods, reason = "plans, searches and reports are files")]

use crate::output;
use rustix::fs::{Access, access};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The links that lead to a file, at most: as many as Linux follows.
const LINKS_MAX: usize = 40;

/// Writes a file as a whole or not at all. A link stays, and the file that it leads to is written.
///
/// # Errors
/// What the system says, and a path that is there and is no regular file: that one would be replaced.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let path = place(path)?;
    let mut file = new_in(parent(&path))?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A new file, which is removed unless it gets a name.
fn new_in(directory: &Path) -> Result<NamedTempFile<fs::File>> {
    // not by the builder's own way to make a file: its errors have no number, and read otherwise than all others
    let make = |path: &Path| fs::File::options().write(true).create_new(true).open(path);
    tempfile::Builder::new().make_in(directory, make)
}

/// The same; but a device or a pipe that is there gets the bytes, and stdout does where the path is `-`.
///
/// # Errors
/// What the system says.
pub fn write_or_send(path: &Path, bytes: &[u8]) -> Result<()> {
    if is_stdout(path) {
        return output::send(bytes);
    }
    // at its end: what is open as stderr may be a file, which holds what was said so far
    if is_device(path) { fs::File::options().append(true).open(path)?.write_all(bytes) } else { write(path, bytes) }
}

/// Whether the path is `-`, or a name of what is open as stdout, such as /dev/stdout. A file called `-` is `./-`.
pub fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-" || descriptor(path).is_some_and(|descriptor| descriptor == "1")
}

/// Whether something is there that takes bytes and is not to be replaced by a file: stdout, a device, a pipe, or whatever
/// else this process has open, a file too.
pub fn is_device(path: &Path) -> bool {
    let is_special = |there: fs::Metadata| !there.is_file() && !there.is_dir();
    is_stdout(path) || descriptor(path).is_some() || fs::metadata(path).is_ok_and(is_special)
}

/// The number of the open file that a path leads to, if it does by that number: /dev/stdout does, by 1. Its links must be
/// followed one by one, for the last of them leads on to the file itself.
fn descriptor(path: &Path) -> Option<OsString> {
    let open = fs::canonicalize("/dev/fd").ok()?;
    let mut path = path.to_path_buf();
    for _ in 0..LINKS_MAX {
        let directory = fs::canonicalize(parent(&path)).ok()?;
        if directory == open {
            return path.file_name().map(OsStr::to_os_string);
        }
        path = directory.join(fs::read_link(&path).ok()?);
    }
    None
}

/// Sees whether [`write_or_send`] has a place there, and changes nothing: a pipe would take an open for the beginning.
///
/// # Errors
/// What the system says.
pub fn check_place(path: &Path) -> Result<()> {
    if is_stdout(path) {
        return output::check_stdout();
    }
    if is_device(path) {
        return Ok(access(path, Access::WRITE_OK)?);
    }
    Ok(access(parent(&place(path)?), Access::WRITE_OK)?)
}

/// Sees that a path is a regular file.
///
/// # Errors
/// What the system says, and that it is none.
pub fn check(path: &Path) -> Result<()> {
    if fs::metadata(path)?.is_file() { Ok(()) } else { Err(Error::other("it is no regular file")) }
}

/// Sees that a directory takes a file, or where none is there yet, the one that it would be made in. No trace is left.
///
/// # Errors
/// What the system says, and that it is something else.
pub fn check_directory(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(there) if !there.is_dir() => Err(Error::from(ErrorKind::NotADirectory)),
        // a file, and no question of its mode: that says nothing where root asks, or of what cannot be written at all
        Ok(_) => new_in(path).map(drop),
        Err(_) if path.is_symlink() => Err(Error::other("it is a link that leads nowhere")),
        Err(error) if error.kind() == ErrorKind::NotFound => check_directory(parent(path)),
        Err(error) => Err(error),
    }
}

/// Whether both paths lead to one file, or would if it were there.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let id = |there: fs::Metadata| (there.dev(), there.ino());
    let place = |path: &Path| Some((fs::canonicalize(parent(path)).ok()?, path.file_name()?.to_os_string()));
    if is_stdout(one) || is_stdout(other) {
        return is_stdout(one) && is_stdout(other);
    }
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => id(one) == id(other),
        (Err(_), Err(_)) => place(one).is_some_and(|one| place(other) == Some(one)),
        _ => false,
    }
}

/// The directory that a file is in.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where the file is, or will be.
fn place(path: &Path) -> Result<PathBuf> {
    match check(path) {
        Ok(()) => fs::canonicalize(path),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Err(_) if path.is_symlink() => Err(Error::other("it is a link that leads nowhere")),
        Err(_) => Ok(path.to_path_buf()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_file_has_the_mode_of_any_other_and_a_link_stays() {
        let directory = tempfile::tempdir().unwrap();
        let [file, other, link] = ["file", "other", "link"].map(|name| directory.path().join(name));
        fs::write(&other, "").unwrap();
        write(&file, b"one").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&file), mode(&other));
        symlink("file", &link).unwrap();
        write(&link, b"two").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"two");
    }

    #[test]
    fn a_place_is_seen_without_a_trace_and_a_pipe_gets_the_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        check_place(&file).unwrap();
        assert!(!file.exists());
        let (mut reader, writer) = std::io::pipe().unwrap();
        let pipe = PathBuf::from(format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer)));
        check_place(&pipe).unwrap();
        write_or_send(&pipe, b"sent").unwrap();
        drop(writer);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
        assert_eq!(text, "sent");
        for (path, words) in [
            (directory.path(), "it is no regular file"),
            (&directory.path().join("no/file"), "No such file or directory (os error 2)"),
            (Path::new("/dev/null/file"), "Not a directory (os error 20)"),
        ] {
            assert_eq!(check_place(path).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn a_directory_that_takes_no_file_is_refused_also_where_it_is_not_there_yet() {
        let directory = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| directory.path().join(name));
        fs::write(&file, "").unwrap();
        symlink("no-such-directory", &link).unwrap();
        for path in [directory.path(), &directory.path().join("not/yet"), Path::new("not-yet")] {
            check_directory(path).unwrap();
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "no trace");
        for (path, words) in [
            (&file, "not a directory"),
            (&file.join("plans"), "Not a directory (os error 20)"),
            (&link, "it is a link that leads nowhere"),
        ] {
            assert_eq!(check_directory(path).unwrap_err().to_string(), words);
        }
        for path in ["/proc", "/proc/plans", "/proc/no/plans"] {
            check_directory(Path::new(path)).unwrap_err();
        }
    }

    #[test]
    fn a_file_that_is_open_is_written_to_and_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| directory.path().join(name));
        fs::write(&file, "said, ").unwrap();
        let open = fs::File::options().append(true).open(&file).unwrap();
        let named = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open)));
        symlink(&named, &link).unwrap();
        for path in [&named, &link] {
            assert!(is_device(path) && !is_stdout(path), "{}", path.display());
            write_or_send(path, b"sent ").unwrap();
        }
        assert_eq!(fs::read(&file).unwrap(), b"said, sent sent ");
        assert_eq!(open.metadata().unwrap().nlink(), 1, "it is still the file of that name");
        assert!(!is_device(&file) && is_stdout(Path::new("/dev/stdout")) && !is_stdout(Path::new("/dev/stderr")));
    }

    #[test]
    fn one_file_has_many_spellings() {
        let [stdout, named] = ["-", "./-"].map(Path::new);
        assert!(is_same(stdout, stdout) && !is_same(stdout, named));
        let directory = tempfile::tempdir().unwrap();
        let [file, link, hard, other] = ["file", "link", "hard", "other"].map(|name| directory.path().join(name));
        fs::create_dir(directory.path().join("in")).unwrap();
        let spelled = |name: &str| directory.path().join("in/../.").join(name);
        // neither is there
        assert!(is_same(&file, &spelled("file")) && !is_same(&file, &other));
        assert!(!is_same(Path::new("no/file"), Path::new("nor/file")));
        fs::write(&file, "").unwrap();
        symlink("file", &link).unwrap();
        fs::hard_link(&file, &hard).unwrap();
        for spelling in [&file, &spelled("file"), &link, &hard] {
            assert!(is_same(&file, spelling) && is_same(spelling, &file), "{}", spelling.display());
        }
        assert!(!is_same(&file, &other));
    }

    #[test]
    fn a_file_that_cannot_be_made_is_refused_in_the_words_of_the_system() {
        for path in ["/no/such/directory/file", "/dev/null/file", "/proc/file"] {
            assert_eq!(
                write(Path::new(path), b"").unwrap_err().to_string(),
                fs::write(path, "").unwrap_err().to_string()
            );
        }
    }

    #[test]
    fn what_is_no_regular_file_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let [nowhere, socket, link] = ["nowhere", "socket", "link"].map(|name| directory.path().join(name));
        symlink("no-such-file", &nowhere).unwrap();
        symlink("socket", &link).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        for (path, words) in [
            (directory.path(), "it is no regular file"),
            (&socket, "it is no regular file"),
            (&link, "it is no regular file"),
            (&nowhere, "it is a link that leads nowhere"),
        ] {
            assert_eq!(write(path, b"text").unwrap_err().to_string(), words);
        }
        assert!(nowhere.is_symlink() && link.is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
    }
}
