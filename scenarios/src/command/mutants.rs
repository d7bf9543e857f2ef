//! `segsim mutants`: puts historical bugs back into the engine, one at a time, and shows that the harness catches them.
//!
//! Each patch is applied to a copy of the workspace under `target/mutants`, built there in a target directory that no
//! other checkout uses, and asked to `detect`. The binary reports the hash of its engine's sources; cargo has been seen
//! to serve one checkout the other's build, so a wrong hash is refused.
#![allow(clippy::disallowed_methods, reason = "copies a workspace and runs git and cargo")]

use super::STOP;
use super::detect::Detection;
use super::repeat::last_line;
use crate::error::{Error, Result};
use crate::mutant::{Expectation, Expected, Mutant, read_all};
use crate::report::{grouped, percent};
use crate::sources;
use segment_sim::verdict::Verdict;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::Ordering;

/// What of the workspace is copied.
const COPIED: [&str; 6] = ["Cargo.toml", "Cargo.lock", ".cargo", "engine", "sim", "scenarios"];

/// Seed ranges, and the most seeds of each.
const RANGES: u64 = 30;
const SEEDS_MAX: u64 = 1000;

/// Seeds in which the oracles under `seen` must find something, where no `over` says otherwise.
const SEEN_SEEDS: u64 = 3000;

/// Put known bugs back into the engine, one at a time, and show that each is caught by its oracle
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only this mutant; may be given several times [default: all]
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// Take the patches from here [default: scenarios/mutants of the workspace]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Merge the patches with the engine of today (3-way, through git) and rewrite them; run nothing
    #[arg(long)]
    rebase: bool,
}

/// Runs the mutants and prints a table.
///
/// # Errors
/// A patch that does not apply or does not build, and the like.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let root = workspace()?;
    let directory = arguments.dir.clone().unwrap_or_else(|| root.join("scenarios/mutants"));
    let mut mutants = read_all(&directory)?;
    if let Some(unknown) = arguments.only.iter().find(|id| !mutants.iter().any(|mutant| mutant.id == **id)) {
        return Err(Error::UnknownMutant {
            name: unknown.clone(),
            directory,
            known: mutants.iter().map(|mutant| mutant.id.as_str()).collect::<Vec<_>>().join(", "),
        });
    }
    mutants.retain(|mutant| arguments.only.is_empty() || arguments.only.contains(&mutant.id));
    if arguments.rebase {
        mutants.iter().try_for_each(|mutant| rebase(&root, mutant))?;
        return Ok(Verdict::Pass);
    }
    let yard = Yard::new(&root)?;
    println!("{:<32}{:<24}{:<18}{:<25}{:>7}{:>7}", "mutant", "scenario", "outcome", "oracle", "median", "p95");
    let mut verdict = Verdict::Pass;
    for mutant in &mutants {
        let program = yard.build(mutant)?;
        for expectation in &mutant.expectations {
            if STOP.load(Ordering::Relaxed) {
                println!("interrupted");
                return Ok(Verdict::Void);
            }
            let row = yard.examine(mutant, &program, expectation)?;
            println!("{:<32}{:<24}{}", mutant.id, expectation.scenario.name, row.text);
            if !row.as_expected {
                verdict = Verdict::Void;
            }
        }
    }
    println!(
        "{}  {} mutants; median and p95 are seeds to detection over {RANGES} seed ranges",
        verdict.word(),
        mutants.len()
    );
    Ok(verdict)
}

struct Row {
    text: String,
    as_expected: bool,
}

/// Where mutants are built: a copy of the workspace and a target directory of its own.
struct Yard {
    root: PathBuf,
    work: PathBuf,
    target: PathBuf,
}

/// A mutant's binary and the hash that it must report.
struct Program {
    path: PathBuf,
    engine: String,
}

impl Yard {
    fn new(root: &Path) -> Result<Yard> {
        let yard = root.join("target/mutants");
        fs::create_dir_all(yard.join("work")).map_err(Error::io("create", &yard))?;
        Ok(Yard { root: root.to_path_buf(), work: yard.join("work"), target: yard.join("target") })
    }

    fn build(&self, mutant: &Mutant) -> Result<Program> {
        for part in COPIED {
            mirror(&self.root.join(part), &self.work.join(part))?;
        }
        // without a repository of its own git would look for these paths in the one around
        let mut apply = git(&self.work, &["apply", "--whitespace=nowarn"]);
        apply.env("GIT_CEILING_DIRECTORIES", self.work.parent().unwrap_or(&self.work)).arg(absolute(&mutant.path)?);
        let applied = output(&mut apply)?;
        if !applied.status.success() {
            return Err(Error::PatchDoesNotApply { path: mutant.path.clone(), reason: last_line(&applied.stderr) });
        }
        let engine = self.work.join("engine");
        let hash = sources::hash(&engine).map_err(Error::io("read", &engine))?;
        eprintln!("{}: building", mutant.id);
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.work).args(["build", "--release", "--locked", "--quiet", "--bin", "segsim"]);
        // its own, whatever the caller's cargo uses
        cargo.env("CARGO_TARGET_DIR", &self.target);
        let built = output(&mut cargo)?;
        if !built.status.success() {
            let log = self.target.join(format!("{}.log", mutant.id));
            fs::create_dir_all(&self.target).map_err(Error::io("create", &self.target))?;
            fs::write(&log, &built.stderr).map_err(Error::io("write", &log))?;
            return Err(Error::MutantDoesNotBuild { id: mutant.id.clone(), log });
        }
        Ok(Program { path: self.target.join("release/segsim"), engine: format!("{hash:016x}") })
    }

    fn examine(&self, mutant: &Mutant, program: &Program, expectation: &Expectation) -> Result<Row> {
        let scenario = expectation.scenario.name;
        eprintln!("{}: sweeping {scenario}", mutant.id);
        let all = |seeds: u64| self.detect(mutant, program, &["detect", scenario, "--all", &seeds.to_string()]);
        match &expectation.outcome {
            Expected::Pass(seeds) => {
                let detection = all(*seeds)?;
                let (failed, runs) = (detection.failed, detection.runs);
                let as_expected = failed == 0 && runs == *seeds;
                let outcome = if as_expected { "PASS, as it must" } else { "FALSE ALARM" };
                let text = format!("{outcome:<18}{} of {} seeds fail", grouped(failed), grouped(runs));
                Ok(Row { text, as_expected })
            }
            Expected::Caught { first, seen, median_max, over } => {
                let (ranges, seeds) = (RANGES.to_string(), SEEDS_MAX.to_string());
                let by = first.join(",");
                let arguments = ["detect", scenario, "--ranges", &ranges, "--seeds", &seeds, "--by", &by];
                let mut row = caught(&self.detect(mutant, program, &arguments)?, *median_max);
                if !seen.is_empty() || over.is_some() {
                    let detection = all(over.unwrap_or(SEEN_SEEDS))?;
                    let unseen: Vec<&str> = seen
                        .iter()
                        .filter(|oracle| !detection.oracles.contains_key(*oracle))
                        .map(String::as_str)
                        .collect();
                    let share = percent(detection.failed, detection.runs);
                    row.text += &format!("   {share} of {} seeds fail", grouped(detection.runs));
                    for oracle in seen {
                        let runs = detection.oracles.get(oracle).copied().unwrap_or(0);
                        row.text += &format!(", {oracle} in {}", percent(runs, detection.runs));
                    }
                    row.as_expected &= unseen.is_empty();
                }
                Ok(row)
            }
        }
    }

    fn detect(&self, mutant: &Mutant, program: &Program, arguments: &[&str]) -> Result<Detection> {
        let output = output(Command::new(&program.path).args(arguments))?;
        let command = || format!("{} {}", mutant.id, arguments.join(" "));
        if !output.status.success() {
            let last_words = last_line(&output.stderr);
            return Err(Error::Process { command: command(), status: output.status, last_words });
        }
        let detection: Detection =
            serde_json::from_slice(&output.stdout).map_err(|source| Error::Garbled { command: command(), source })?;
        if detection.engine != program.engine {
            return Err(Error::WrongEngine {
                id: mutant.id.clone(),
                found: detection.engine,
                expected: program.engine.clone(),
                target: self.target.clone(),
            });
        }
        Ok(detection)
    }
}

/// The row of a mutant that is to be caught: in every range, by its own oracle. Another oracle may come first in a seed
/// before that (a landing in an exclusive window may do no damage yet), but not a stall or a panic.
fn caught(detection: &Detection, median_max: Option<u64>) -> Row {
    let ranges = &detection.ranges;
    let mut seeds: Vec<u64> = ranges.iter().flat_map(|range| &range.detected).map(|failure| failure.seeds).collect();
    let mut oracles: Vec<&str> =
        ranges.iter().flat_map(|range| &range.detected).map(|failure| failure.oracle.as_str()).collect();
    oracles.sort_unstable();
    oracles.dedup();
    let missed = ranges.len() - seeds.len();
    seeds.sort_unstable();
    // a range without a detection takes longer than any with one
    seeds.resize(ranges.len(), SEEDS_MAX);
    let at = |percent: usize| seeds.get((seeds.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0);
    let (median, p95) = (at(50), at(95));
    let mut otherwise = ranges.iter().flat_map(|range| &range.otherwise);
    let crash = otherwise.clone().find(|failure| ["panic", "progress"].contains(&failure.oracle.as_str()));
    let (outcome, detail) = match (missed, crash, otherwise.next()) {
        (0, None, _) => ("CAUGHT", oracles.join(",")),
        (_, Some(failure), _) | (_, None, Some(failure)) => {
            ("CAUGHT-OTHERWISE", format!("{}, seed {}", failure.oracle, failure.seed))
        }
        (missed, None, None) => ("SURVIVED", format!("in {missed} of {} ranges", ranges.len())),
    };
    let slow = median_max.is_some_and(|max| median > max);
    let mut text = format!("{outcome:<18}{detail:<25}{median:>7}{p95:>7}");
    if slow {
        text += &format!("   too late: the median may be {}", median_max.unwrap_or(0));
    }
    Row { text, as_expected: outcome == "CAUGHT" && !slow }
}

/// Merges a patch with the engine of today and rewrites it.
fn rebase(root: &Path, mutant: &Mutant) -> Result<()> {
    let yard = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
    let work = yard.path().join("work");
    let patch = absolute(&mutant.path)?;
    let must = |command: &mut Command| -> Result<Output> {
        let ran = output(command)?;
        if ran.status.success() {
            return Ok(ran);
        }
        Err(Error::PatchDoesNotApply { path: mutant.path.clone(), reason: last_line(&ran.stderr) })
    };
    // the history holds the files that the patch was made from
    must(git(root, &["clone", "--quiet", "--shared", "."]).arg(&work))?;
    mirror(&root.join("engine"), &work.join("engine"))?;
    must(&mut git(&work, &["add", "--all"]))?;
    let identity = ["-c", "user.name=segsim", "-c", "user.email=segsim@localhost"];
    must(git(&work, &identity).args(["commit", "--quiet", "--allow-empty", "--message", "the engine of today"]))?;
    must(git(&work, &["apply", "--3way"]).arg(&patch))?;
    let diff = must(&mut git(&work, &["diff", "--full-index", "HEAD", "--", "engine"]))?;
    let text = mutant.header.clone() + &String::from_utf8_lossy(&diff.stdout);
    fs::write(&patch, text).map_err(Error::io("write", &patch))?;
    println!("{} is rebased", mutant.id);
    Ok(())
}

fn git(directory: &Path, arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.current_dir(directory).args(arguments);
    git
}

fn output(command: &mut Command) -> Result<Output> {
    let program = PathBuf::from(command.get_program());
    command.output().map_err(Error::io("run", program))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(Error::io("read", path))
}

/// The workspace around the current directory.
fn workspace() -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(Error::io("find", "."))?;
    let is_workspace =
        |directory: &&Path| directory.join("engine/src").is_dir() && directory.join("Cargo.lock").is_file();
    here.ancestors().find(is_workspace).map(Path::to_path_buf).ok_or(Error::NoWorkspace)
}

/// Makes `to` equal to `from`. Files that are equal already keep their times, so that cargo builds no more than it must.
fn mirror(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to).map_err(Error::io("create", to))?;
        for entry in fs::read_dir(to).map_err(Error::io("read", to))? {
            let stale = entry.map_err(Error::io("read", to))?.path();
            let source = from.join(stale.file_name().unwrap_or_default());
            if source.is_dir() != stale.is_dir() || !source.exists() {
                let removed = if stale.is_dir() { fs::remove_dir_all(&stale) } else { fs::remove_file(&stale) };
                removed.map_err(Error::io("remove", &stale))?;
            }
        }
        for entry in fs::read_dir(from).map_err(Error::io("read", from))? {
            let source = entry.map_err(Error::io("read", from))?.path();
            mirror(&source, &to.join(source.file_name().unwrap_or_default()))?;
        }
        return Ok(());
    }
    let wanted = fs::read(from).map_err(Error::io("read", from))?;
    if fs::read(to).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    fs::write(to, wanted).map_err(Error::io("write", to))
}

#[cfg(test)]
mod tests {
    use super::super::detect::{Failure, RangeDetection};
    use super::*;
    use std::collections::BTreeMap;

    fn failure(seeds: u64, oracle: &str) -> Option<Failure> {
        Some(Failure { seeds, seed: seeds, oracle: oracle.to_string() })
    }

    fn row(ranges: Vec<RangeDetection>) -> Row {
        caught(&Detection { engine: String::new(), ranges, runs: 0, failed: 0, oracles: BTreeMap::new() }, Some(3))
    }

    #[test]
    fn caught_needs_its_oracle_in_every_range() {
        let found = |seeds| RangeDetection { detected: failure(seeds, "save-chain"), otherwise: None };
        assert!(row(vec![found(1), found(9), found(3)]).as_expected);
        let too_late = row(vec![found(4), found(9), found(3)]);
        assert!(!too_late.as_expected && too_late.text.contains("too late"), "{}", too_late.text);
        let survived = row(vec![found(1), RangeDetection::default()]);
        assert!(!survived.as_expected && survived.text.starts_with("SURVIVED"), "{}", survived.text);
    }

    #[test]
    fn another_oracle_first_is_no_catch_and_a_panic_never_is() {
        let missed = RangeDetection { detected: None, otherwise: failure(2, "no-orphan") };
        assert!(row(vec![missed]).text.starts_with("CAUGHT-OTHERWISE"));
        let before = |oracle| RangeDetection { detected: failure(3, "save-chain"), otherwise: failure(2, oracle) };
        assert!(row(vec![before("exclusive-window")]).as_expected);
        assert!(!row(vec![before("panic")]).as_expected);
    }

    #[test]
    fn mirror_copies_removes_and_leaves_equal_files_alone() {
        let yard = tempfile::tempdir().unwrap();
        let (from, to) = (yard.path().join("from"), yard.path().join("to"));
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::create_dir_all(to.join("old")).unwrap();
        fs::write(from.join("sub/a"), "new").unwrap();
        fs::write(from.join("same"), "same").unwrap();
        fs::write(to.join("same"), "same").unwrap();
        fs::write(to.join("stale"), "stale").unwrap();
        let before = fs::metadata(to.join("same")).unwrap().modified().unwrap();
        mirror(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("sub/a")).unwrap(), "new");
        assert_eq!(fs::metadata(to.join("same")).unwrap().modified().unwrap(), before);
        assert!(!to.join("stale").exists() && !to.join("old").exists());
    }
}
