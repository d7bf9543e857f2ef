//! The JUnit report of a command that writes it at its end, with what GitHub is told then.

use super::{Suite, annotations, junit};
use crate::atomic_file;
use crate::error::{Error, Result};
use std::path::Path;

/// Where the report goes, if it is asked for.
pub struct Written<'a> {
    command: &'static str,
    path: Option<&'a Path>,
}

impl Written<'_> {
    /// Has it say that the command is not finished: a path that is none is told before minutes of work, and who ends this
    /// process leaves no report of an earlier one. A device or a pipe gets the last one alone.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin<'a>(command: &'static str, path: Option<&'a Path>) -> Result<Written<'a>> {
        let written = Written { command, path };
        match path {
            Some(path) if atomic_file::is_device(path) => {
                atomic_file::check_place(path).map_err(Error::io("write", path))?;
            }
            _ => written.write(&Suite::void(command, "not finished"))?,
        }
        Ok(written)
    }

    /// Tells what has come of it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn end(self, suite: &Suite) -> Result<()> {
        annotations::print(std::slice::from_ref(suite));
        self.write(suite)
    }

    fn write(&self, suite: &Suite) -> Result<()> {
        let Some(path) = self.path else { return Ok(()) };
        let text = junit::xml(&format!("segsim {}", self.command), std::slice::from_ref(suite));
        atomic_file::write_or_send(path, text.as_bytes()).map_err(Error::io("write", path))
    }
}
