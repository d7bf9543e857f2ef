//! `segsim mutants`: puts bugs into the engine, historical ones and our own, one at a time, and shows that the harness catches them.
#![allow(clippy::disallowed_methods, reason = "writes patches, and says how long it takes")]

use super::corpus::fails_on;
use super::detect::{CRASHES, Detection};
use super::shrink::operations;
use crate::ci::written::Written;
use crate::ci::{Case, Outcome, Suite};
use crate::corpus::{self, Kept};
use crate::error::{Error, Result};
use crate::mutant::{Expectation, Expected, Mutant, read_all};
use crate::output::take_stdout;
use crate::patched_build::{Program, WorkspaceCopy, absolute, git, last_line, mirror, output, repository, workspace};
use crate::plan_file::PlanFile;
use crate::report::{counted, grouped, percent};
use crate::{say, tell};
use segment_sim::verdict::Verdict;
use std::fs;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

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
    /// Shrink each mutant's first failure by its oracle to DIR/ID.json instead
    #[arg(long, value_name = "DIR", conflicts_with = "rebase")]
    shrink: Option<PathBuf>,
    /// Merge the patches with the engine of today (3-way, through git) and rewrite them; run nothing
    #[arg(long)]
    rebase: bool,
    /// Also write a JUnit report to this file, for CI systems: a case for each row of the table
    #[arg(long, value_name = "FILE.xml", conflicts_with_all = ["shrink", "rebase"])]
    junit: Option<PathBuf>,
}

/// Runs the mutants and prints a table.
///
/// # Errors
/// The first patch that does not apply or does not build, once the others have run, and the like.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let root = workspace()?;
    let directory = arguments.dir.clone().unwrap_or_else(|| root.join("scenarios/mutants"));
    let mutants = select(directory, &arguments.only)?;
    if arguments.rebase {
        mutants.iter().try_for_each(|mutant| rebase(&root, mutant))?;
        return Ok(Verdict::Pass);
    }
    if let Some(directory) = &arguments.shrink {
        fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
        let (copy, mut missed) = (WorkspaceCopy::new(&root)?, 0);
        for mutant in &mutants {
            missed += u64::from(!shrink(&copy, mutant, &absolute(directory)?)?);
        }
        if missed > 0 {
            let (word, all) = (Verdict::Void.word(), counted(mutants.len() as u64, "mutant"));
            say!("{word}  {missed} of {all} not caught, and no plan of it written");
            return Ok(Verdict::Void);
        }
        return Ok(Verdict::Pass);
    }
    let corpus = corpus::read_all(&root.join(corpus::DIRECTORY))?;
    take_stdout(arguments.junit.as_deref());
    let junit = Written::begin("mutants", arguments.junit.as_deref())?;
    let copy = WorkspaceCopy::new(&root)?;
    say!("{:<32}{:<28}{:<18}{:<25}{:>7}{:>7}", "mutant", "scenario", "outcome", "oracle", "median", "p95");
    let (mut cases, mut broken, mut is_interrupted) = (Vec::new(), None, false);
    for mutant in &mutants {
        match examine(&copy, mutant, &corpus, &mut cases) {
            Ok(()) => {}
            Err(Error::Interrupted) => {
                is_interrupted = true;
                break;
            }
            Err(error) => {
                say!("{:<32}did not run: {error}", mutant.id);
                let outcome = Outcome::Error { why: format!("did not run: {error}") };
                cases.push(Case { name: mutant.id.clone(), outcome });
                broken.get_or_insert(error);
            }
        }
    }
    let as_expected = !is_interrupted && cases.iter().all(|case| case.outcome == Outcome::Pass);
    let verdict = if as_expected { Verdict::Pass } else { Verdict::Void };
    if is_interrupted {
        say!("{}  interrupted", verdict.word());
        // without a case that says so, it would read as all of them
        cases.push(Case { name: "mutants".to_string(), outcome: Outcome::Void { why: "interrupted".to_string() } });
    } else if broken.is_none() {
        let count = counted(mutants.len() as u64, "mutant");
        say!("{}  {count}; median and p95 are seeds to detection over {RANGES} seed ranges", verdict.word());
    }
    junit.end(&Suite { name: "mutants".to_string(), seconds: None, cases })?;
    match broken {
        Some(error) if !is_interrupted => Err(error),
        _ => Ok(verdict),
    }
}

/// The mutants of these ids in a directory; all where none is named.
pub(super) fn select(directory: PathBuf, only: &[String]) -> Result<Vec<Mutant>> {
    let mut mutants = read_all(&directory)?;
    if let Some(unknown) = only.iter().find(|id| !mutants.iter().any(|mutant| mutant.id == **id)) {
        return Err(Error::UnknownMutant { name: unknown.clone(), directory, known: ids(&mutants) });
    }
    mutants.retain(|mutant| only.is_empty() || only.contains(&mutant.id));
    Ok(mutants)
}

/// The ids of mutants, for a message.
pub(super) fn ids(mutants: &[Mutant]) -> String {
    mutants.iter().map(|mutant| mutant.id.as_str()).collect::<Vec<_>>().join(", ")
}

/// Builds a mutant, and prints a row for each scenario and each plan that is kept for it: these are its cases.
fn examine(copy: &WorkspaceCopy, mutant: &Mutant, corpus: &[Kept], cases: &mut Vec<Case>) -> Result<()> {
    let program = copy.build(&mutant.id, &[&mutant.path])?;
    let mut case = |of: &str, as_expected: bool, text: &str| {
        // columns are for people
        let why = || text.split_whitespace().collect::<Vec<_>>().join(" ");
        let outcome = if as_expected { Outcome::Pass } else { Outcome::Void { why: why() } };
        cases.push(Case { name: format!("{}: {of}", mutant.id), outcome });
    };
    for expectation in &mutant.expectations {
        tell!("{}: sweeping {}", mutant.id, expectation.scenario.name);
        let row = row(&program, expectation)?;
        say!("{:<32}{:<28}{}", mutant.id, expectation.scenario.name, row.text);
        case(expectation.scenario.name, row.as_expected, &row.text);
    }
    for kept in corpus.iter().filter(|kept| kept.file.mutant.as_ref() == Some(&mutant.id)) {
        let (fails, text) = fails_on(&program, kept, mutant)?;
        say!("{text}");
        case(&kept.name, fails, &text);
    }
    Ok(())
}

/// Shrinks the first failure of a mutant in the first scenario that is to catch it; `false` when nothing catches it.
fn shrink(copy: &WorkspaceCopy, mutant: &Mutant, directory: &Path) -> Result<bool> {
    let caught = mutant.expectations.iter().find_map(|expectation| match &expectation.outcome {
        Expected::Caught { first, .. } => Some((expectation.scenario.name, first.join(","))),
        Expected::Pass(_) => None,
    });
    let Some((scenario, by)) = caught else {
        return Ok(true); // nothing is to
    };
    let program = copy.build(&mutant.id, &[&mutant.path])?;
    let path = directory.join(format!("{}.json", mutant.id));
    let (seeds, start) = ((RANGES * SEEDS_MAX).to_string(), Instant::now());
    let shrunk = [scenario, "--by", &by, "--seeds", &seeds, "--shrink", &path.to_string_lossy()];
    let Some(failure) = program.detect(&shrunk)?.list.pop() else {
        say!("{:<32}{scenario}: {by} finds nothing in {seeds} seeds", mutant.id);
        return Ok(false);
    };
    let mut file = PlanFile::read(&path)?;
    file.mutant = Some(mutant.id.clone());
    file.write(&path)?;
    let schedule = &file.plan.schedule;
    say!(
        "{:<32}seed {:<7}{}, {}, {:.1} s: {}",
        mutant.id,
        failure.seed,
        counted(operations(&file.plan.workload) as u64, "call"),
        counted((schedule.injections.len() + schedule.crashes.len()) as u64, "injection"),
        start.elapsed().as_secs_f64(),
        file.expected.sentence.unwrap_or_default()
    );
    Ok(true)
}

struct Row {
    text: String,
    as_expected: bool,
}

fn row(program: &Program, expectation: &Expectation) -> Result<Row> {
    let scenario = expectation.scenario.name;
    let all = |seeds: u64| program.detect(&[scenario, "--all", &seeds.to_string()]);
    match &expectation.outcome {
        Expected::Pass(seeds) => {
            let Detection { failed, runs, .. } = all(*seeds)?;
            let as_expected = failed == 0 && runs == *seeds;
            let outcome = if as_expected { "PASS, as it must" } else { "FALSE ALARM" };
            let text = format!("{outcome:<18}{} of {} seeds fail", grouped(failed), grouped(runs));
            Ok(Row { text, as_expected })
        }
        Expected::Caught { first, seen, median_max, over } => {
            let (ranges, seeds, by) = (RANGES.to_string(), SEEDS_MAX.to_string(), first.join(","));
            let detection = program.detect(&[scenario, "--ranges", &ranges, "--seeds", &seeds, "--by", &by])?;
            if detection.ranges.len() as u64 != RANGES {
                return Err(Error::Interrupted);
            }
            let mut row = caught(&detection, *median_max);
            if seen.is_empty() && over.is_none() {
                return Ok(row);
            }
            let Detection { failed, runs, oracles, .. } = all(over.unwrap_or(SEEN_SEEDS))?;
            row.as_expected &= runs == over.unwrap_or(SEEN_SEEDS);
            row.text += &format!("   {} of {} seeds fail", percent(failed, runs), grouped(runs));
            for oracle in seen {
                let found = oracles.get(oracle).copied().unwrap_or(0);
                let missed = if found == 0 { " (it must be seen)" } else { "" };
                row.text += &format!(", {oracle} in {}{missed}", percent(found, runs));
                row.as_expected &= found > 0;
            }
            Ok(row)
        }
    }
}

/// The row of a mutant that is to be caught: in every range, by its own oracle. Another oracle may come first in a seed
/// before that (a landing in an exclusive window may do no damage yet), but not a stall or a panic.
fn caught(detection: &Detection, median_max: Option<u64>) -> Row {
    let ranges = &detection.ranges;
    let mut oracles: Vec<&str> =
        ranges.iter().flat_map(|range| &range.detected).map(|failure| failure.oracle.as_str()).collect();
    oracles.sort_unstable();
    oracles.dedup();
    let missed = ranges.iter().filter(|range| range.detected.is_none()).count();
    // a range without a detection takes longer than any with one
    let [median, p95] = [50, 95].map(|percent| detection.seeds_at(percent).unwrap_or(SEEDS_MAX));
    let mut otherwise = ranges.iter().flat_map(|range| &range.otherwise);
    let crash = otherwise.clone().find(|failure| CRASHES.contains(&failure.oracle.as_str()));
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
        text += &format!("   too slow: the median must be at most {}", median_max.unwrap_or(0));
    }
    Row { text, as_expected: outcome == "CAUGHT" && !slow }
}

/// Merges a patch with the engine of today and rewrites it.
fn rebase(root: &Path, mutant: &Mutant) -> Result<()> {
    let directory = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
    let work = directory.path().join("work");
    let patch = absolute(&mutant.path)?;
    let must = |command: &mut Command| -> Result<Output> {
        let ran = output(command)?;
        if ran.status.success() {
            return Ok(ran);
        }
        Err(Error::PatchDoesNotApply { path: mutant.path.clone(), reason: last_line(&ran.stderr) })
    };
    // the history holds the files that the patch was made from
    let (top, place) = repository(root)?;
    must(git(&top, &["clone", "--quiet", "--shared", "."]).arg(&work))?;
    let copy = work.join(&place);
    mirror(&root.join("engine"), &copy.join("engine"))?;
    must(&mut git(&work, &["add", "--all"]))?;
    let identity = ["-c", "user.name=segsim", "-c", "user.email=segsim@localhost"];
    must(git(&work, &identity).args(["commit", "--quiet", "--allow-empty", "--message", "the engine of today"]))?;
    let mut apply = git(&work, &["apply", "--3way"]);
    if !place.as_os_str().is_empty() {
        apply.arg("--directory").arg(&place);
    }
    if !output(apply.arg(&patch))?.status.success() {
        let unmerged = must(&mut git(&work, &["diff", "--name-only", "--diff-filter=U"]))?;
        let files: Vec<_> = unmerged.stdout.lines().map_while(std::result::Result::ok).collect();
        let files = if files.is_empty() { "a file that git does not know".to_string() } else { files.join(", ") };
        return Err(Error::PatchConflicts { path: mutant.path.clone(), files });
    }
    let diff = must(&mut git(&copy, &["diff", "--relative", "--full-index", "HEAD", "--", "engine"]))?;
    let text = mutant.header.clone() + &String::from_utf8_lossy(&diff.stdout);
    fs::write(&patch, text).map_err(Error::io("write", &patch))?;
    say!("{} is rebased", mutant.id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::detect::{Failure, RangeDetection};
    use super::*;

    fn failure(seeds: u64, oracle: &str) -> Option<Failure> {
        Some(Failure { seeds, seed: seeds, oracle: oracle.to_string(), race: String::new() })
    }

    fn row(ranges: Vec<RangeDetection>) -> Row {
        caught(&Detection { ranges, ..Detection::default() }, Some(3))
    }

    #[test]
    fn caught_needs_its_oracle_in_every_range() {
        let found = |seeds| RangeDetection { detected: failure(seeds, "save-chain"), otherwise: None };
        assert!(row(vec![found(1), found(9), found(3)]).as_expected);
        let too_slow = row(vec![found(4), found(9), found(3)]);
        let words = "too slow: the median must be at most 3";
        assert!(!too_slow.as_expected && too_slow.text.contains(words), "{}", too_slow.text);
        let survived = row(vec![found(1), RangeDetection::default()]);
        assert!(!survived.as_expected && survived.text.starts_with("SURVIVED"), "{}", survived.text);
    }

    /// A repository, the workspace at `place` in it, with an engine of one file, and a mutant that changes its sixth line.
    fn a_workspace(place: &str) -> (tempfile::TempDir, PathBuf, Mutant) {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().join(place);
        let file = root.join("engine/src/lines.rs");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let lines = |sixth: &str| ["1", "2", "3", "4", "5", sixth, "7", "8", "9", ""].join("\n");
        fs::write(&file, lines("6")).unwrap();
        let run = |arguments: &[&str]| {
            let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
            let ran = output(git(&root, &identity).args(arguments)).unwrap();
            assert!(ran.status.success(), "{}", last_line(&ran.stderr));
            ran.stdout
        };
        assert!(output(&mut git(top.path(), &["init", "--quiet"])).unwrap().status.success());
        run(&["add", "engine"]);
        run(&["commit", "--quiet", "--message", "engine"]);
        fs::write(&file, lines("six")).unwrap();
        let diff = String::from_utf8(run(&["diff", "--relative", "--full-index"])).unwrap();
        run(&["checkout", "--quiet", "."]);
        let header = "source: s\nbreaks: b\nremoves: r\nexpect: rotation-vs-eviction pass 1\n\n";
        let path = root.join("six.patch");
        fs::write(&path, header.to_string() + &diff).unwrap();
        let mutant = Mutant::parse(&path, &fs::read_to_string(&path).unwrap()).unwrap();
        (top, root, mutant)
    }

    fn applies(root: &Path, mutant: &Mutant) -> bool {
        let mut apply = git(root, &["apply", "--check"]);
        apply.env("GIT_CEILING_DIRECTORIES", root.parent().unwrap());
        output(apply.arg(&mutant.path)).unwrap().status.success()
    }

    #[test]
    fn rebase_merges_a_patch_whose_surroundings_changed_and_keeps_its_header() {
        for place in ["", "storage/engine of ours"] {
            let (_top, root, mutant) = a_workspace(place);
            fs::write(root.join("engine/src/lines.rs"), "0\n1\n2\n3\nfour\n5\n6\n7\n8\n9\n").unwrap();
            assert!(!applies(&root, &mutant));
            rebase(&root, &mutant).unwrap();
            assert!(applies(&root, &mutant));
            assert!(fs::read_to_string(&mutant.path).unwrap().starts_with(&mutant.header));
        }
    }

    #[test]
    fn rebase_of_a_patch_whose_own_line_changed_names_the_file_and_leaves_the_patch_alone() {
        let (_top, root, mutant) = a_workspace("");
        fs::write(root.join("engine/src/lines.rs"), "1\n2\n3\n4\n5\nVI\n7\n8\n9\n").unwrap();
        let before = fs::read(&mutant.path).unwrap();
        let error = rebase(&root, &mutant).unwrap_err().to_string();
        assert!(error.contains("conflicts") && error.contains("engine/src/lines.rs"), "{error}");
        assert_eq!(fs::read(&mutant.path).unwrap(), before);
    }

    #[test]
    fn another_oracle_first_is_no_catch_and_a_panic_never_is() {
        let missed = RangeDetection { detected: None, otherwise: failure(2, "no-orphan") };
        assert!(row(vec![missed]).text.starts_with("CAUGHT-OTHERWISE"));
        let before = |oracle| RangeDetection { detected: failure(3, "save-chain"), otherwise: failure(2, oracle) };
        assert!(row(vec![before("exclusive-window")]).as_expected);
        assert!(!row(vec![before("panic")]).as_expected);
    }
}
