//! What ends a command before it could judge anything. Each is one line on stderr and exit code 3.

use segment_sim::verdict::Verdict;
use std::path::PathBuf;
use std::{io, process};

/// The command's result.
pub type Result<T> = std::result::Result<T, Error>;

/// What can be wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A scenario that does not exist.
    #[error("no scenario {name:?}; there are {known}")]
    UnknownScenario {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// An option that says what cannot be.
    #[error("{option}: {fault}")]
    Argument {
        /// The option.
        option: &'static str,
        /// What is wrong with it, in one line.
        fault: String,
    },
    /// A file that is not the search that is to go on.
    #[error("cannot go on with {path}: {fault}", path = path.display())]
    Search {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, in one line.
        fault: String,
    },
    /// A search that another process works on.
    #[error("{path} is in use by another exhaust; name another file with --state", path = path.display())]
    SearchInUse {
        /// The file.
        path: PathBuf,
    },
    /// A mutant that does not exist.
    #[error("no mutant {name:?} in {directory}; there are {known}", directory = directory.display())]
    UnknownMutant {
        /// What was asked for.
        name: String,
        /// Where.
        directory: PathBuf,
        /// What there is.
        known: String,
    },
    /// A kept plan that is for a mutant which does not exist.
    #[error("{plan} is kept for {mutant:?}, and no mutant is called so; there are {known}", plan = plan.display())]
    MutantOfPlan {
        /// The plan.
        plan: PathBuf,
        /// The mutant that it names.
        mutant: String,
        /// What there is.
        known: String,
    },
    /// A directory that must hold mutants holds none.
    #[error("no *.patch in {directory}", directory = directory.display())]
    NoMutants {
        /// The directory.
        directory: PathBuf,
    },
    /// A patch's header is not as it must be.
    #[error("{path}: {problem}", path = path.display())]
    PatchHeader {
        /// The patch.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A patch does not fit the engine any more.
    #[error("{path} does not apply; try --rebase, or mend it by hand: {reason}", path = path.display())]
    PatchDoesNotApply {
        /// The patch.
        path: PathBuf,
        /// What git said, in one line.
        reason: String,
    },
    /// A patch leaves the engine as it is.
    #[error("{id}: the patch changes nothing in engine/src")]
    PatchChangesNothing {
        /// The mutant.
        id: String,
    },
    /// A patch cannot be merged with the engine of today.
    #[error("{path} conflicts with the engine of today in {files}; mend it by hand", path = path.display())]
    PatchConflicts {
        /// The patch.
        path: PathBuf,
        /// In which files.
        files: String,
    },
    /// A patched workspace does not build.
    #[error("{id} does not build; the compiler's words are in {log}", log = log.display())]
    MutantDoesNotBuild {
        /// The mutant.
        id: String,
        /// Where they are.
        log: PathBuf,
    },
    /// A binary was built from other sources than it should have been.
    #[error("{id}: the binary was built from engine {found}, not {expected}; remove {target} and try again", target = target.display())]
    WrongEngine {
        /// The mutant.
        id: String,
        /// The hash that the binary reports.
        found: String,
        /// The hash of the patched sources.
        expected: String,
        /// The target directory.
        target: PathBuf,
    },
    /// Ctrl-C and the like, where nothing is worth printing yet.
    #[error("interrupted")]
    Interrupted,
    /// No workspace to patch.
    #[error("no segsim workspace here or above; run this inside a checkout")]
    NoWorkspace,
    /// Another process of ours ended badly.
    #[error("{command}: {status}: {last_words}")]
    Process {
        /// What was run.
        command: String,
        /// How it ended.
        status: process::ExitStatus,
        /// The last line of what it said.
        last_words: String,
    },
    /// Another process of ours printed what we cannot read.
    #[error("{command} printed what is no report: {source}")]
    Garbled {
        /// What was run.
        command: String,
        /// Why it cannot be read.
        source: serde_json::Error,
    },
    /// A file or directory refused.
    #[error("cannot {operation} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A plan that cannot be run.
    #[error("{path} is no plan: {fault}", path = path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, in one line.
        fault: String,
    },
    /// A directory that plans cannot be written to.
    #[error("cannot use {path}: {source}; name another directory with --plans", path = path.display())]
    PlansDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A scenario without a seed.
    #[error("{scenario} is a scenario: give a plan file, or, where the command takes one, a seed, too")]
    SeedMissing {
        /// The scenario.
        scenario: String,
    },
    /// A plan with a seed beside it.
    #[error("{plan} is a plan and has a seed and a strategy of its own: leave out what follows it", plan = plan.display())]
    PlanAndSeed {
        /// What was asked for.
        plan: PathBuf,
    },
    /// A plan that is not kept.
    #[error("no plan of {directory} is called {name} or kept for a mutant of that name", directory = directory.display())]
    UnknownPlan {
        /// What was asked for.
        name: String,
        /// Where plans are kept.
        directory: PathBuf,
    },
    /// A plan that is to be kept and has never failed.
    #[error("{path} has not failed: it was written as one that came to {}, and only what once failed is kept", .verdict.word(), path = path.display())]
    NeverFailed {
        /// The plan.
        path: PathBuf,
        /// What came of it when it was written.
        verdict: Verdict,
    },
    /// A name that another plan is kept under.
    #[error("{path} is there: give the plan another name with --name", path = path.display())]
    PlanName {
        /// Where it would be.
        path: PathBuf,
    },
    /// A plan that is not order alone.
    #[error("{path} is not shrunk: some of it is drawn from its seed; segsim shrink makes it order", path = path.display())]
    PlanIsDrawn {
        /// The plan.
        path: PathBuf,
    },
    /// A range that cannot be bisected.
    #[error("cannot bisect {range}: {reason}")]
    Bisect {
        /// The range.
        range: String,
        /// Why.
        reason: String,
    },
    /// A plan that would be written over.
    #[error("{path} is the plan itself: the original is kept; name another file", path = path.display())]
    SamePlan {
        /// The file.
        path: PathBuf,
    },
    /// Two outputs in one file.
    #[error("{path} is to hold two outputs: name another file for one of them", path = path.display())]
    SameOutput {
        /// The file.
        path: PathBuf,
    },
    /// A directory that a soak must not use.
    #[error("{directory} is not empty, and no soak has made it", directory = directory.display())]
    ForeignDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// A directory that another soak works in.
    #[error("{directory} is in use by another soak", directory = directory.display())]
    SoakedDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// A directory of an earlier soak that cannot be used again.
    #[error("{directory} of an earlier soak: {why}", directory = directory.display())]
    SpoiledDirectory {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Power losses where they cannot be had.
    #[error("power losses cannot be run: {}", lacks.join(", "))]
    NoPowerLoss {
        /// What is missing, each a clause.
        lacks: Vec<String>,
    },
    /// BlobDB, which the engine is measured beside, refused.
    #[error("cannot {operation} BlobDB: {source}")]
    BlobDb {
        /// What was tried, as a verb.
        operation: &'static str,
        /// What RocksDB said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The harness itself failed.
    #[error("the harness failed: {0}")]
    Harness(#[from] segment_engine::Error),
}

impl Error {
    /// An operation on a path that was refused.
    pub fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { operation, path, source }
    }
}
