//! Printing that outlives its reader: `segsim sweep | head -1` ends with its verdict, not with a panic.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

/// Set when something was printed that nobody will ever read, though somebody wanted to.
pub static LOST: AtomicBool = AtomicBool::new(false);

/// Prints to stdout.
pub fn say(text: Arguments<'_>) {
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
