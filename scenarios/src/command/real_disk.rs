//! The commands that run the engine on a real disk. A binary that only simulates, as those of the mutants, is built without
//! them: for each of their surroundings the engine is compiled once more.

use super::{disk, soak};
use crate::error::Result;
use crate::soak::{child, serve};
use clap::Subcommand;
use segment_sim::verdict::Verdict;

/// One of them.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "it would be told as help, in the place of that of the arguments")]
pub enum Command {
    Disk(disk::Arguments),
    Soak(soak::Arguments),
    #[command(hide = true)]
    SoakChild(child::Arguments),
    #[command(hide = true)]
    SoakDevice(serve::Arguments),
}

impl Command {
    /// Runs it.
    ///
    /// # Errors
    /// Bad input, or a harness that failed.
    pub fn run(&self) -> Result<Verdict> {
        match self {
            Command::Disk(arguments) => disk::run(arguments),
            Command::Soak(arguments) => soak::run(arguments),
            Command::SoakChild(arguments) => child::run(arguments),
            Command::SoakDevice(arguments) => serve::run(arguments),
        }
    }

    /// Whether a signal ends it at once, as of a kill: what a soak's child would say on stderr its parent would take for its
    /// last words.
    pub fn is_soak_child(&self) -> bool {
        matches!(self, Command::SoakChild(_))
    }
}
