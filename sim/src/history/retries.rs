//! What the engine says it has begun again in a run, and what it may have done that for.

use crate::site::TaskId;
use std::collections::BTreeMap;

/// What was begun again, and why.
#[derive(Clone, Debug, Default)]
pub struct Retries {
    /// Puts that the engine says began again.
    pub puts: u64,
    /// How often one of them did at most.
    pub puts_most: u64,
    /// How many puts came too late for their segment, at most: those whose write met no file or whose commit was refused,
    /// and for a sync that met none, all that had written to it, or had nothing to write.
    pub puts_too_late: u64,
    /// Puts that began again after a full disk had refused a write, without another look at what is free.
    pub puts_without_a_look: u64,
    /// Reads that the engine says went on elsewhere.
    pub reads: u64,
    /// Reads of a file that was not there.
    pub reads_lost: u64,
    /// Look-ups that the engine says began again.
    pub look_ups: u64,
    /// How many of them found a row before another was written.
    pub look_ups_overtaken: u64,
    /// Rows of artifacts that were written or deleted so far.
    pub row_changes: u64,
    /// How many they were when each task last found one.
    pub found: BTreeMap<TaskId, u64>,
}
