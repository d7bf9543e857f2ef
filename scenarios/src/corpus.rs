//! The corpus: small plans that are kept. Each passes on the engine, and fails on the mutant that it names; one that names
//! none has failed on an engine of the past.
#![allow(clippy::disallowed_methods, reason = "plans are files")]

use crate::error::{Error, Result};
use crate::plan_file::{Expected, PlanFile};
use crate::scenario::Scenario;
use segment_sim::site::SiteName;
use segment_sim::verdict::{Verdict, Violation};
use segment_sim::world::{Mode, Outcome, Worker};
use std::path::{Path, PathBuf};

/// Where it is, in the workspace.
pub const DIRECTORY: &str = "scenarios/corpus";

/// A plan of the corpus.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its name: that of the file, without its ending.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The plan.
    pub file: PlanFile,
}

/// What came of a kept plan.
#[derive(Clone, Debug)]
pub struct Judged {
    /// PASS, FAIL, or VOID when it names a site that is not there or does not repeat.
    pub verdict: Verdict,
    /// What the oracles found.
    pub violations: Vec<Violation>,
    /// Sites that should have been reached and were not.
    pub unreached: Vec<SiteName>,
}

impl Kept {
    /// Reads one of them.
    ///
    /// # Errors
    /// When it cannot be read, or is no plan.
    pub fn read(path: &Path) -> Result<Kept> {
        Ok(Kept { name: name(path), file: PlanFile::read(path)?, path: path.to_path_buf() })
    }
}

/// The name of a plan that is kept there.
pub fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads every plan in a directory, in the order of their names.
///
/// # Errors
/// When the directory cannot be read, or one of them is no plan.
pub fn read_all(directory: &Path) -> Result<Vec<Kept>> {
    paths(directory)?.iter().map(|path| Kept::read(path)).collect()
}

/// The files in a directory that are to be plans, in the order of their names.
///
/// # Errors
/// When the directory cannot be read.
pub fn paths(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(Error::io("read", directory))? {
        let path = entry.map_err(Error::io("read", directory))?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Runs a plan twice and judges it.
///
/// # Errors
/// When the harness fails.
pub fn judge(worker: &mut Worker, file: &PlanFile) -> Result<Judged> {
    let scenario = Scenario::named(&file.plan.scenario).expect("a plan that was read names a scenario");
    let first = scenario.run(worker, &file.plan, Mode::default())?;
    let second = scenario.run(worker, &file.plan, Mode { madsim_seed: 1, ..Mode::default() })?;
    let expected = Some(&file.expected);
    let verdict = verdict(&first, &second, expected);
    let unreached = first.unreached.into_iter().filter(|site| !is_only_there(expected, site)).collect();
    Ok(Judged { verdict, violations: first.record.violations, unreached })
}

/// The verdict of a plan that was run twice.
pub fn verdict(first: &Outcome, second: &Outcome, expected: Option<&Expected>) -> Verdict {
    match first.record.violations.is_empty() {
        _ if first.record != second.record => Verdict::Void,
        false => Verdict::Fail,
        true if !first.unreached.iter().all(|site| is_only_there(expected, site)) => Verdict::Void,
        true => Verdict::Pass,
    }
}

/// Whether only the engine has this site on which the plan failed.
pub fn is_only_there(expected: Option<&Expected>, site: &SiteName) -> bool {
    expected.is_some_and(|expected| expected.only_there.contains(site))
}
