//! How much memory streamed puts take: the process's peak, before and after.

use crate::error::{Error, Result};
use crate::measure::artifacts::{Artifacts, key};
use crate::measure::engine::Subject;
use crate::measure::turn::{Bound, tasks};
use bytes::Bytes;
use segment_engine::Body;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Bytes that a body gives at once.
const PIECE_BYTES: usize = 1 << 20;

const STATUS: &str = "/proc/self/status";

/// A body whose pieces are made as they are asked for, each in memory of its own, as from a network.
struct Pieces {
    artifact: Artifacts,
    number: u64,
    left: usize,
}

impl Body for Pieces {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let length = self.left.min(PIECE_BYTES);
        self.left -= length;
        let piece = Bytes::copy_from_slice(&self.artifact.artifact(self.number + self.left as u64, length));
        Ok((length > 0).then_some(piece))
    }
}

/// Each of `writers` streams one artifact of `bytes` into `subject`.
///
/// # Errors
/// What the engine says, and [`Error::Interrupted`].
pub async fn stream(subject: &Subject, artifacts: &Artifacts, writers: usize, bytes: usize) -> Result<()> {
    let (engine, artifacts) = (subject.engine().clone(), artifacts.clone());
    let put = move |number| {
        let engine = engine.clone();
        let body = Pieces { artifact: artifacts.clone(), number, left: bytes };
        async move {
            engine.put_stream(&key(number), bytes as u64, body).await?;
            Ok(())
        }
    };
    tasks(writers, Bound { artifacts: writers as u64, time: Duration::MAX }, put).await?;
    Ok(())
}

/// Bytes of memory that the process holds now.
///
/// # Errors
/// Where the system does not tell.
pub fn resident() -> Result<u64> {
    status("VmRSS:")
}

/// The most it has held so far.
///
/// # Errors
/// Where the system does not tell.
pub fn peak() -> Result<u64> {
    status("VmHWM:")
}

fn status(name: &str) -> Result<u64> {
    let path = Path::new(STATUS);
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| Error::io("read", path)(io::ErrorKind::InvalidData.into()))
}
