//! `segsim corpus`: the plans that are kept, run on this engine or on their mutants.
#![allow(clippy::disallowed_methods, reason = "plans are files")]

use super::mutants::{ids, select};
use super::{STOP, interruptible};
use crate::ci::written::Written;
use crate::ci::{Case, Outcome, Suite};
use crate::corpus::{DIRECTORY, Judged, Kept, judge, name, paths};
use crate::error::{Error, Result};
use crate::export::is_drawn;
use crate::mutant::{self, Mutant};
use crate::output::{printable, take_stdout};
use crate::patched_build::{Program, WorkspaceCopy, workspace};
use crate::plan_file::PlanFile;
use crate::report::{counted, grouped};
use crate::{say, shell, tell};
use segment_sim::site::SiteName;
use segment_sim::verdict::Verdict;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// A point and an operation that change nothing.
pub const DRIFT: &str = "scenarios/drift/operation.patch";

/// Run the plans that are kept: each passes on this engine, and with --on-mutants fails on its mutant
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    add: Option<Command>,
    /// Only this plan, by name or by its mutant; may be given several times [default: all]
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Take the plans from here [default: scenarios/corpus of the workspace]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Build each plan's mutant, and run it there
    #[arg(long)]
    on_mutants: bool,
    /// Patch a point and a disk operation that change nothing in besides: the plans must fail all the same
    #[arg(long, requires = "on_mutants")]
    drift: bool,
    /// Also write a JUnit report to this file, for CI systems: a case for each plan
    #[arg(long, value_name = "FILE.xml")]
    junit: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Keep a shrunk plan that once failed and passes on this engine
    Add {
        /// The plan
        #[arg(value_name = "PLAN.json")]
        plan: PathBuf,
        /// Its name in the corpus [default: that of the file]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// The mutant that it fails on
        #[arg(long, value_name = "ID")]
        mutant: Option<String>,
    },
}

/// Runs the plans, or keeps one. A file that is no plan is told, and the others are run.
///
/// # Errors
/// Bad input, or a harness that failed.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    if let Some(Command::Add { plan, name, mutant }) = &arguments.add {
        return add(plan, name.as_deref(), mutant.as_deref());
    }
    let directory = match &arguments.dir {
        Some(directory) => directory.clone(),
        None => workspace()?.join(DIRECTORY),
    };
    // of one that cannot be read no more than its name is known
    let (mut plans, mut unreadable) = (Vec::new(), Vec::new());
    for path in paths(&directory)? {
        match Kept::read(&path) {
            Ok(kept) => plans.push(kept),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => unreadable.push((name(&path), error)),
        }
    }
    let is_named = |kept: &Kept, name: &String| kept.name == *name || kept.file.mutant.as_ref() == Some(name);
    let is_there = |name: &&String| {
        plans.iter().any(|kept| is_named(kept, name)) || unreadable.iter().any(|(other, _)| other == *name)
    };
    if let Some(name) = arguments.only.iter().find(|name| !is_there(name)) {
        return Err(Error::UnknownPlan { name: name.clone(), directory });
    }
    plans.retain(|kept| arguments.only.is_empty() || arguments.only.iter().any(|name| is_named(kept, name)));
    unreadable.retain(|(name, _)| arguments.only.is_empty() || arguments.only.contains(name));
    take_stdout(arguments.junit.as_deref());
    let junit = Written::begin("corpus", arguments.junit.as_deref())?;
    let mut cases: Vec<Case> = unreadable.into_iter().map(|(name, error)| unread(name, &error)).collect();
    let unread = cases.len() as u64;
    let (verdict, ran) = match arguments.on_mutants {
        true => on_mutants(&plans, arguments.drift, unread)?,
        false => on_this_engine(&plans, unread)?,
    };
    cases.extend(ran);
    let suite = match cases.is_empty() {
        true => Suite::void("corpus", "no plan was run"),
        false => Suite { name: "corpus".to_string(), seconds: None, cases },
    };
    junit.end(&suite)?;
    Ok(verdict)
}

/// The case of a plan that cannot be read, which is told.
fn unread(name: String, error: &Error) -> Case {
    let why = printable(&error.to_string());
    tell!("segsim: {why}");
    Case { name, outcome: Outcome::Error { why } }
}

/// What it has come to before the first plan is run.
fn before(to_run: usize, unread: u64) -> Verdict {
    match (to_run, unread) {
        (_, 1..) => Verdict::Error,
        (0, 0) => Verdict::Void,
        _ => Verdict::Pass,
    }
}

/// Runs the plans; so many others cannot be read.
fn on_this_engine(plans: &[Kept], unread: u64) -> Result<(Verdict, Vec<Case>)> {
    let mut worker = interruptible()?;
    let mut worst = before(plans.len(), unread);
    let mut cases = Vec::new();
    for kept in plans {
        if STOP.load(Ordering::Relaxed) {
            return Ok(interrupted(worst, cases, plans.len()));
        }
        let judged = match judge(&mut worker, &kept.file) {
            Err(Error::Interrupted) => return Ok(interrupted(worst, cases, plans.len())),
            judged => judged?,
        };
        worst = worst.max(judged.verdict);
        let outcome = outcome(kept, &judged);
        if outcome != Outcome::Pass {
            say!("{}", line(judged.verdict, &kept.name, &outcome));
        }
        cases.push(Case { name: kept.name.clone(), outcome });
    }
    say!("{}  {} of the corpus{}", worst.word(), counted(plans.len() as u64, "plan"), apart(&cases, unread));
    if cases.iter().any(|case| matches!(case.outcome, Outcome::Void { .. })) {
        say!(
            "  VOID plans test nothing. Where the engine was changed on purpose, find such a failure again on the mutant:"
        );
        say!("  {} mutants --only ID --shrink DIR, and corpus add DIR/ID.json", shell::program());
    }
    Ok((worst, cases))
}

/// What there is of so many plans after a Ctrl-C: VOID, where nothing has failed.
fn interrupted(worst: Verdict, mut cases: Vec<Case>, plans: usize) -> (Verdict, Vec<Case>) {
    let worst = worst.max(Verdict::Void);
    let why = format!("interrupted after {} of {}", cases.len(), counted(plans as u64, "plan"));
    say!("{}  {why}", worst.word());
    // without a case that says so, it would read as a corpus that passed
    cases.push(Case { name: "corpus".to_string(), outcome: Outcome::Void { why } });
    (worst, cases)
}

/// How many of them are not as they must.
fn apart(cases: &[Case], unread: u64) -> String {
    let count = |is: fn(&Outcome) -> bool| cases.iter().filter(|case| is(&case.outcome)).count() as u64;
    let failed = count(|outcome| matches!(outcome, Outcome::Fail { .. }));
    let void = count(|outcome| matches!(outcome, Outcome::Void { .. }));
    let told = [(failed, "failed"), (void, "VOID"), (unread, "more cannot be read")]
        .into_iter()
        .filter(|(count, _)| *count > 0);
    let told: Vec<String> = told.map(|(count, what)| format!("{} {what}", grouped(count))).collect();
    if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) }
}

/// What came of a plan.
fn outcome(kept: &Kept, judged: &Judged) -> Outcome {
    match (judged.verdict, judged.violations.first(), judged.unreached.first()) {
        (Verdict::Pass, ..) => Outcome::Pass,
        (Verdict::Fail, Some(violation), _) => Outcome::Fail {
            oracle: violation.oracle.clone(),
            sentence: violation.sentence.clone(),
            commands: vec![format!("{} replay {}", shell::program(), shell::quoted(&kept.path))],
        },
        (_, _, Some(site)) => Outcome::Void { why: format!("the run no longer comes to {site}") },
        (_, _, None) => Outcome::Void { why: "a second run differs".to_string() },
    }
}

/// It in a line.
fn line(verdict: Verdict, name: &str, outcome: &Outcome) -> String {
    let word = verdict.word();
    match outcome {
        Outcome::Pass => format!("{word}  {name}"),
        Outcome::Void { why } | Outcome::Error { why } => format!("{word}  {name}: {why}"),
        Outcome::Fail { oracle, sentence, commands } => {
            format!("{word}  {name}: {oracle}: {sentence} ({})", commands.join("; "))
        }
    }
}

fn on_mutants(plans: &[Kept], drift: bool, unread: u64) -> Result<(Verdict, Vec<Case>)> {
    let root = workspace()?;
    let mutants = mutant::read_all(&root.join("scenarios/mutants"))?;
    // now: told after the builds of all the others it would be late
    known(plans, &mutants)?;
    let drift = drift.then(|| root.join(DRIFT));
    let none: Vec<&str> =
        plans.iter().filter(|kept| kept.file.mutant.is_none()).map(|kept| kept.name.as_str()).collect();
    if !none.is_empty() {
        say!("not run, kept for no mutant: {}", none.join(", "));
    }
    let to_run = plans.len() - none.len();
    let copy = WorkspaceCopy::new(&root)?;
    let mut verdict = before(to_run, unread);
    let mut cases = Vec::new();
    for mutant in &mutants {
        let own: Vec<&Kept> = plans.iter().filter(|kept| kept.file.mutant.as_ref() == Some(&mutant.id)).collect();
        if own.is_empty() {
            continue;
        }
        let patches: Vec<&Path> = [&mutant.path].into_iter().chain(&drift).map(PathBuf::as_path).collect();
        let program = match copy.build(&mutant.id, &patches) {
            Err(Error::Interrupted) => return Ok(interrupted(verdict, cases, to_run)),
            built => built?,
        };
        for kept in own {
            let (fails, text) = match fails_on(&program, kept, mutant) {
                Err(Error::Interrupted) => return Ok(interrupted(verdict, cases, to_run)),
                ran => ran?,
            };
            verdict = verdict.max(if fails { Verdict::Pass } else { Verdict::Void });
            say!("{text}");
            let outcome = if fails { Outcome::Pass } else { Outcome::Void { why: text } };
            cases.push(Case { name: kept.name.clone(), outcome });
        }
    }
    say!("{}  {} of the corpus, each on its mutant", verdict.word(), counted(cases.len() as u64, "plan"));
    Ok((verdict, cases))
}

/// Sees that each plan's mutant is there, where it names one.
fn known(plans: &[Kept], mutants: &[Mutant]) -> Result<()> {
    for kept in plans {
        if let Some(id) = kept.file.mutant.as_ref().filter(|id| !mutants.iter().any(|mutant| mutant.id == **id)) {
            let (plan, mutant) = (kept.path.clone(), id.clone());
            return Err(Error::MutantOfPlan { plan, mutant, known: ids(mutants) });
        }
    }
    Ok(())
}

/// Whether a plan fails on its mutant as it is kept for, and a line that says so.
///
/// # Errors
/// When the mutant's program fails.
pub fn fails_on(program: &Program, kept: &Kept, mutant: &Mutant) -> Result<(bool, String)> {
    let (fails, outcome) = match come_to(program, &kept.path, &kept.file)? {
        CameTo::Failure(oracle) if Some(&oracle) == kept.file.expected.oracle.as_ref() => {
            (true, format!("FAIL, as it must  {oracle}"))
        }
        CameTo::Failure(oracle) => (false, format!("FAIL BY ANOTHER   {oracle}")),
        CameTo::Pass => (false, "PASS, wrongly".to_string()),
        CameTo::Unreached(site) => (false, format!("PASS, wrongly     it does not come to {site}")),
    };
    Ok((fails, format!("{:<32}{:<40}{outcome}", mutant.id, format!("corpus/{}", kept.name))))
}

/// What a plan comes to on a built engine.
pub enum CameTo {
    /// This oracle was the first to find something.
    Failure(String),
    /// Nothing fails.
    Pass,
    /// Nothing fails, but the run does not come to this site of the plan.
    Unreached(SiteName),
}

/// Runs a plan on a built engine.
///
/// # Errors
/// When the program fails.
pub fn come_to(program: &Program, path: &Path, file: &PlanFile) -> Result<CameTo> {
    let mut detection = program.detect(&[&file.plan.scenario, "--plans", &path.to_string_lossy()])?;
    Ok(match (detection.list.pop(), detection.unreached.pop()) {
        (Some(failure), _) => CameTo::Failure(failure.oracle),
        (None, Some(site)) => CameTo::Unreached(site),
        (None, None) => CameTo::Pass,
    })
}

fn add(plan: &Path, name: Option<&str>, mutant: Option<&str>) -> Result<Verdict> {
    let mut file = PlanFile::read(plan)?;
    if file.expected.verdict != Verdict::Fail {
        return Err(Error::NeverFailed { path: plan.to_path_buf(), verdict: file.expected.verdict });
    }
    if is_drawn(&file.plan.schedule) {
        return Err(Error::PlanIsDrawn { path: plan.to_path_buf() });
    }
    file.mutant = mutant.map(str::to_string).or(file.mutant);
    let mutants = match &file.mutant {
        Some(id) => select(workspace()?.join("scenarios/mutants"), std::slice::from_ref(id))?,
        None => Vec::new(),
    };
    let stem = || plan.file_stem().unwrap_or_default().to_string_lossy().replace(".shrunk", "");
    let name = name.map_or_else(stem, str::to_string);
    if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter)) {
        let fault = format!("a plan's name is of a-z, A-Z, 0-9, - and _, and {name:?} is not");
        return Err(Error::Argument { option: "--name", fault });
    }
    let path = workspace()?.join(DIRECTORY).join(format!("{name}.json"));
    if path.exists() {
        return Err(Error::PlanName { path });
    }
    let mut worker = interruptible()?;
    let mut judged = judge(&mut worker, &file)?;
    if judged.verdict == Verdict::Void && !judged.unreached.is_empty() && mutant.is_some() {
        // what the mutant has besides, or what is mistyped: the mutant shows which
        if let Some(why) = why_not_on(&mutants[0], &file)? {
            say!("{}  {name}: {why}", Verdict::Void.word());
            return Ok(Verdict::Void);
        }
        file.expected.only_there.extend(judged.unreached);
        judged = judge(&mut worker, &file)?;
    }
    if judged.verdict != Verdict::Pass {
        let kept = Kept { name, path: plan.to_path_buf(), file };
        say!("{}", line(judged.verdict, &kept.name, &outcome(&kept, &judged)));
        say!("{}  only what passes on this engine is kept", judged.verdict.word());
        if !judged.unreached.is_empty() {
            say!("  correct the site, or where a mutant alone comes to it, name that: --mutant ID builds it and sees");
        }
        return Ok(judged.verdict);
    }
    file.write(&path)?;
    for site in &file.expected.only_there {
        say!("only the mutant comes to {site}");
    }
    say!("{}  kept as {}", Verdict::Pass.word(), path.display());
    Ok(Verdict::Pass)
}

/// Why a plan cannot be kept for a mutant that is said to come to sites which this engine has not: the mutant is built,
/// and must come to all of them and fail.
fn why_not_on(mutant: &Mutant, file: &PlanFile) -> Result<Option<String>> {
    let copy = WorkspaceCopy::new(&workspace()?)?;
    let program = copy.build(&mutant.id, &[&mutant.path])?;
    let directory = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
    let path = directory.path().join("plan.json");
    file.write(&path)?;
    let mut detection = program.detect(&[&file.plan.scenario, "--plans", &path.to_string_lossy()])?;
    let id = &mutant.id;
    Ok(match (detection.unreached.pop(), detection.list.pop().map(|failure| failure.oracle)) {
        (Some(site), _) => Some(format!("not even {id} comes to {site}")),
        (None, None) => Some(format!("it passes on {id}")),
        (None, oracle) if oracle == file.expected.oracle => None,
        (None, Some(oracle)) => Some(format!("on {id} it fails by {oracle}")),
    })
}
