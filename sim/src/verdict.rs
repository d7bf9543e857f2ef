//! Verdicts, and what a violation says.

use serde::{Deserialize, Serialize};

/// The outcome of a command. Of several, the greatest is the whole's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Everything was checked and held.
    Pass,
    /// It measured nothing, or not what it claims: a floor missed, a mutant survived, a run that did not repeat.
    Void,
    /// A violation, a stall or a panic.
    Fail,
    /// Bad input, or the harness itself.
    Error,
}

impl Verdict {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Pass => 0,
            Verdict::Fail => 1,
            Verdict::Void => 2,
            Verdict::Error => 3,
        }
    }

    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Void => "VOID",
            Verdict::Error => "ERROR",
        }
    }
}

/// One oracle's finding in one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which oracle.
    pub oracle: String,
    /// At which step.
    pub step: u64,
    /// What raced with what, by the kinds of tasks and points: failures are grouped by it.
    pub race: String,
    /// What happened, in one sentence.
    pub sentence: String,
}
