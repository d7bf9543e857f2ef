//! `segsim bisect`: the commit since which a plan fails.
//!
//! Goes through the history of `engine/` alone: each engine is built with the harness of this checkout, so a plan means
//! the same on all of them. One that does not build with it is skipped, as `git bisect run` does, and so is one on which the
//! run does not come to a site of the plan: whether it has the bug is not known.

use super::corpus::{CameTo, come_to};
use super::replay::read;
use crate::error::{Error, Result};
use crate::output::printable;
use crate::patched_build::{WorkspaceCopy, absolute, git, last_line, output, output_told, repository, workspace};
use crate::{say, tell};
use segment_sim::verdict::Verdict;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `git bisect run` takes as: this one is good; it is bad; it cannot be tested.
const PASSES: u8 = 0;
const FAILS: u8 = 1;
const SKIP: u8 = 125;

/// What it ends at.
pub const ABORT: u8 = 128;

/// Find the commit since which a plan fails, through git bisect
///
/// The harness stays that of this checkout; the engine is each commit's. A commit on which the plan fails by another oracle
/// is skipped.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  segsim bisect HEAD~20..HEAD target/plans/same-key-17.shrunk.json")]
pub struct Arguments {
    /// A commit on which the plan passes, and one on which it fails
    #[arg(value_name = "GOOD..BAD")]
    range: String,
    /// The plan
    #[arg(value_name = "PLAN.json")]
    plan: PathBuf,
}

/// One step of it
#[derive(Debug, clap::Args)]
pub struct StepArguments {
    /// The workspace whose harness is used
    root: PathBuf,
    /// The plan
    plan: PathBuf,
    /// Where the engine is in a checkout
    engine: PathBuf,
}

/// Bisects, and prints the first commit on which the plan fails.
///
/// # Errors
/// A range that git does not know, and the like.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let root = workspace()?;
    read(&arguments.plan)?;
    let plan = absolute(&arguments.plan)?;
    let wrong = |reason: String| Error::Bisect { range: arguments.range.clone(), reason };
    let (good, bad) = ends(&arguments.range).map_err(wrong)?;
    let history = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
    let work = history.path().join("work");
    let must = |mut command: Command| -> Result<Vec<u8>> {
        let ran = output(&mut command)?;
        if ran.status.success() { Ok(ran.stdout) } else { Err(wrong(last_line(&ran.stderr))) }
    };
    let mut commits = Vec::new();
    for name in [good, bad] {
        let commit =
            must(git(&root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")]));
        let commit = commit.map_err(|_| {
            let hint =
                if is_shallow(&root) { ": this clone is shallow, git fetch --unshallow brings the others" } else { "" };
            wrong(format!("git knows no commit {name:?}{hint}"))
        })?;
        commits.push(String::from_utf8_lossy(&commit).trim().to_string());
    }
    if commits[0] == commits[1] {
        return Err(wrong("both ends are the same commit".to_string()));
    }
    // git would find that out only after the builds of both ends
    if output(&mut git(&root, &["merge-base", "--is-ancestor", &commits[1], &commits[0]]))?.status.success() {
        return Err(wrong(format!("{bad} comes before {good}: the older one goes first, GOOD..BAD")));
    }
    let (top, place) = repository(&root)?;
    let engine = place.join("engine");
    let mut clone = git(&top, &["clone", "--quiet", "--shared", "."]);
    clone.arg(&work);
    must(clone)?;
    let program = std::env::current_exe().map_err(Error::io("find", "segsim"))?;
    tell!("bisecting {}, its ends first; each engine takes a build", arguments.range);
    // git believes what it is told of the ends: of a plan that fails nowhere it would blame the last commit
    for (name, commit, expected) in [(bad, &commits[1], FAILS), (good, &commits[0], PASSES)] {
        must(git(&work, &["checkout", "--quiet", commit]))?;
        let mut step = Command::new(&program);
        step.arg("bisect-step").args([&root, &plan, &engine]).current_dir(&work);
        let tried = output_told(&mut step, pass_on)?;
        match tried.status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(code) if code == expected => {}
            Some(PASSES) => return Err(wrong(format!("the plan passes on {name}"))),
            Some(FAILS) => return Err(wrong(format!("the plan fails on {name}"))),
            _ => return Err(wrong(last_line(&tried.stderr))), // also of one that would be skipped
        }
    }
    let mut start = git(&work, &["bisect", "start", &commits[1], &commits[0], "--"]);
    start.arg(&engine);
    must(start)?;
    let mut steps = git(&work, &["bisect", "run"]);
    steps.arg(&program).arg("bisect-step").args([&root, &plan, &engine]);
    let ran = output_told(&mut steps, pass_on)?;
    let told = String::from_utf8_lossy(&ran.stdout);
    let Some(first) = told.lines().find_map(|line| line.strip_suffix(" is the first bad commit")) else {
        // where it was left with commits that were skipped, it names them line by line
        let Some((_, candidates)) = told.split_once("could be any of:\n") else {
            return Err(wrong(last_line(&ran.stderr)));
        };
        let candidates = candidates.lines().take_while(|line| line.chars().all(|digit| digit.is_ascii_hexdigit()));
        for commit in candidates {
            let subject = must(git(&work, &["log", "-1", "--format=%h %s", commit]))?;
            say!("{}", String::from_utf8_lossy(&subject).trim());
        }
        say!("{}  it came with one of these: the others were skipped", Verdict::Void.word());
        return Ok(Verdict::Void);
    };
    let subject = must(git(&work, &["log", "-1", "--format=%h %s", first]))?;
    say!("{}", String::from_utf8_lossy(&subject).trim());
    say!("{}  it came with this one", Verdict::Pass.word());
    Ok(Verdict::Pass)
}

/// Tells what a step says of its commit: COMMIT: WORDS. git says other things besides.
fn pass_on(line: &str) {
    let is_of_commit = |name: &str| !name.is_empty() && name.chars().all(|digit| digit.is_ascii_hexdigit());
    if line.split_once(": ").is_some_and(|(name, _)| is_of_commit(name)) {
        tell!("{}", printable(line));
    }
}

/// Whether the clone lacks commits.
fn is_shallow(root: &Path) -> bool {
    let told = output(&mut git(root, &["rev-parse", "--is-shallow-repository"]));
    told.is_ok_and(|told| told.stdout.trim_ascii() == b"true")
}

/// The two ends of a range; one that is not given is HEAD.
fn ends(range: &str) -> std::result::Result<(&str, &str), String> {
    match range.split_once("..") {
        Some((_, bad)) if bad.starts_with('.') => Err("write it with two dots, GOOD..BAD".to_string()),
        Some((good, bad)) => Ok([good, bad].map(|end| if end.is_empty() { "HEAD" } else { end }).into()),
        None => Err("a range is GOOD..BAD".to_string()),
    }
}

/// Builds the engine of the current directory, and says by the exit code whether the plan fails on it.
pub fn step(arguments: &StepArguments) -> u8 {
    tried(arguments).unwrap_or_else(|error| {
        tell!("segsim: {error}");
        ABORT
    })
}

fn tried(arguments: &StepArguments) -> Result<u8> {
    let copy = WorkspaceCopy::new(&arguments.root)?;
    let here = std::env::current_dir().map_err(Error::io("find", "."))?;
    let name = output(&mut git(&here, &["rev-parse", "--short", "HEAD"]))?;
    let name = String::from_utf8_lossy(&name.stdout).trim().to_string();
    match copy.build_engine(&name, &here.join(&arguments.engine)) {
        Err(Error::MutantDoesNotBuild { .. }) => {
            tell!("{name}: does not build with this harness");
            Ok(SKIP)
        }
        Err(error) => Err(error),
        Ok(program) => {
            let file = read(&arguments.plan)?;
            // another failure is another bug, and would get the blame
            let is_other = |oracle: &String| file.expected.oracle.as_ref().is_some_and(|expected| expected != oracle);
            let (code, outcome) = match come_to(&program, &arguments.plan, &file)? {
                CameTo::Failure(oracle) if is_other(&oracle) => (SKIP, format!("fails by another oracle, {oracle}")),
                CameTo::Failure(oracle) => (FAILS, format!("fails by {oracle}")),
                CameTo::Pass => (PASSES, "passes".to_string()),
                CameTo::Unreached(site) => (SKIP, format!("the run does not come to {site}")),
            };
            tell!("{name}: {outcome}");
            Ok(code)
        }
    }
}
