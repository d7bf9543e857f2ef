//! Printing that outlives its reader: `segsim sweep | head -1` ends with its verdict, not with a panic.

use crate::atomic_file;
use rustix::fs::{OFlags, fcntl_getfl, fstat, makedev};
use std::fmt::Arguments;
use std::io::{Error, ErrorKind, Result, Write, stderr, stdout};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set when something was printed that nobody will ever read, though somebody wanted to.
pub static LOST: AtomicBool = AtomicBool::new(false);

/// Set when stdout is for a file: what people read goes to stderr then.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes stdout for a file, if one of these is `-`.
pub fn take_stdout<'a>(files: impl IntoIterator<Item = &'a Path>) {
    if files.into_iter().any(atomic_file::is_stdout) {
        TAKEN.store(true, Ordering::Relaxed);
    }
}

/// Sends a file to stdout. A reader that has left has seen what it wanted.
///
/// # Errors
/// What the system says.
pub fn send(bytes: &[u8]) -> Result<()> {
    check_stdout()?;
    let mut stdout = stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Sees that stdout was open when this process began. Where it was not, Rust has opened /dev/null in its place, and as
/// nobody does for output: for reading, too.
///
/// # Errors
/// That it was not.
pub fn check_stdout() -> Result<()> {
    let stdout = stdout();
    let is_null = fstat(&stdout).is_ok_and(|there| there.st_rdev == makedev(1, 3));
    let is_both = fcntl_getfl(&stdout).is_ok_and(|flags| flags.contains(OFlags::RDWR));
    if is_null && is_both { Err(Error::other("stdout is closed")) } else { Ok(()) }
}

/// Prints to stdout, or where that is for a file, to stderr.
pub fn say(text: Arguments<'_>) {
    if TAKEN.load(Ordering::Relaxed) {
        return tell(text);
    }
    if let Err(error) = stdout().write_fmt(text)
        && error.kind() != ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        tell(format_args!("segsim: cannot print to stdout: {error}\n"));
    }
}

/// Prints to stderr.
pub fn tell(text: Arguments<'_>) {
    // nobody is left to tell
    let _ = stderr().write_fmt(text);
}

/// The text in one line, whatever it holds.
pub fn printable(text: &str) -> String {
    let escaped = |letter: char| {
        if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() }
    };
    text.chars().map(escaped).collect()
}

/// A path in one line, whatever its name holds.
pub fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// Prints a line to stdout.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => { $crate::output::say(format_args!("{}\n", format_args!($($part)*))) };
}

/// Prints a line to stderr.
#[macro_export]
macro_rules! tell {
    ($($part:tt)*) => { $crate::output::tell(format_args!("{}\n", format_args!($($part)*))) };
}
