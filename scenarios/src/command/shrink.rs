//! `segsim shrink`: a failing plan made as small as it goes, and the sentence that tells of it.
#![allow(clippy::disallowed_methods, reason = "a command: it measures itself")]

use super::progress::Progress;
use super::{STOP, interruptible, scenario};
use crate::corpus::is_only_there;
use crate::error::{Error, Result};
use crate::export::is_drawn;
use crate::output::{say, shown, take_stdout};
use crate::plan_file::{Expected, PlanFile};
use crate::report::{Small, counted};
use crate::scenario::Scenario;
use crate::sentence;
use crate::shrink_workload::{size, smaller};
use crate::workload::{Operation, Workload};
use crate::{atomic_file, plan_words, say, shell};
use segment_sim::plan::{Action, Injection, Plan, Schedule};
use segment_sim::shrink::{self, Passed, RUNS_MAX, Ran, Shrinkable, Shrunk, Smaller};
use segment_sim::site::SiteName;
use segment_sim::trace::{Event, Trace, What};
use segment_sim::verdict::Verdict;
use segment_sim::vocabulary::WINDOWS;
use segment_sim::world::{Mode, Outcome, Story, Worker};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Make a failing plan as small as it goes
///
/// Takes away callers, calls, artifacts, faults and preemptions as long as the same oracle finds the same damage, and
/// writes what is left as order: holds "this site until that one", with nothing drawn. The plan that it begins with is
/// left as it is.
///
/// Exits with 1 when the small plan is written: it fails, and that is what it is for. With 2 when there is nothing to
/// shrink, and on Ctrl-C, which keeps what is small so far.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  segsim sweep --scenario same-key             a failure writes its plan, and says where\n  \
                        segsim shrink target/plans/same-key-17.json  makes target/plans/same-key-17.shrunk.json"
)]
pub struct Arguments {
    /// The plan
    #[arg(value_name = "PLAN.json")]
    plan: PathBuf,
    /// Write the small one here, - for stdout [default: beside it, as PLAN.shrunk.json]
    #[arg(short, long, value_name = "FILE.json")]
    output: Option<PathBuf>,
}

/// Shrinks, writes, and tells.
///
/// # Errors
/// Bad input, or a harness that failed.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let file = PlanFile::read(&arguments.plan)?;
    let path = arguments.output.clone().unwrap_or_else(|| beside(&arguments.plan));
    if atomic_file::is_same(&path, &arguments.plan) {
        return Err(Error::SamePlan { path });
    }
    atomic_file::check_place(&path).map_err(Error::io("write", &path))?;
    take_stdout([path.as_path()]);
    let started = std::time::Instant::now();
    let bar = Progress::new("shrink", RUNS_MAX, "runs at most");
    let shrunk = shrunk(&file.plan, |runs| bar.tell(runs, started.elapsed()));
    bar.end();
    let Some((Shrunk { plan, runs, .. }, expected)) = shrunk? else {
        let (plan, word) = (shown(&arguments.plan), Verdict::Void.word());
        let ran = scenario(&file.plan.scenario)?.run(&mut interruptible()?, &file.plan, Mode::default())?;
        match ran.unreached.iter().find(|site| !is_only_there(Some(&file.expected), site)) {
            Some(site) => say!("{word}  the run of {plan} does not come to {site}: there is nothing to shrink"),
            None => say!("{word}  {plan} does not fail on this engine: there is nothing to shrink"),
        }
        return Ok(Verdict::Void);
    };
    let Schedule { injections, crashes, .. } = &plan.schedule;
    say!(
        "{} -> {}, {}; {}, {:.1} s",
        operations(&file.plan.workload),
        counted(operations(&plan.workload) as u64, "call"),
        counted((injections.len() + crashes.len()) as u64, "injection"),
        counted(runs, "run"),
        started.elapsed().as_secs_f64()
    );
    say(format_args!("{}", plan_words::plan(&plan)));
    if let Some(sentence) = &expected.sentence {
        say!("{sentence}");
    }
    let interrupted = STOP.load(Ordering::Relaxed);
    let shrunk = PlanFile { mutant: file.mutant, ..PlanFile::new(plan, expected) };
    if interrupted && is_no_smaller(&shrunk, &path) {
        say!("{}  interrupted: {} is no larger, and stays", Verdict::Void.word(), shown(&path));
        return Ok(Verdict::Void);
    }
    shrunk.write(&path)?;
    if !atomic_file::is_device(&path) {
        say!("{} replay {}", shell::program(), shell::quoted(&path));
        say!("{}", explain(&path));
    }
    if interrupted {
        say!("{}  interrupted: it may become smaller still", Verdict::Void.word());
        return Ok(Verdict::Void);
    }
    Ok(Verdict::Fail)
}

/// Makes the failing plan of a file small, and writes that beside it; nothing where it does not fail, or was interrupted.
///
/// # Errors
/// A file that cannot be read or written, or a harness that failed.
pub fn shrink_beside(path: &Path, progress: impl FnMut(u64)) -> Result<Option<Small>> {
    let small = beside(path);
    let shrunk = shrunk(&PlanFile::read(path)?.plan, progress)?.filter(|_| !STOP.load(Ordering::Relaxed));
    let Some((Shrunk { plan, .. }, expected)) = shrunk else {
        return Ok(None);
    };
    let (program, quoted) = (shell::program(), shell::quoted(&small));
    let told = Small {
        plan: small.to_string_lossy().into_owned(),
        sentence: expected.sentence.clone().unwrap_or_default(),
        explain: explain(&small),
        replay: format!("{program} replay {quoted}"),
    };
    PlanFile::new(plan, expected).write(&small)?;
    Ok(Some(told))
}

/// The command that draws a plan.
fn explain(path: &Path) -> String {
    let page = shell::quoted(&path.with_extension("html"));
    format!("{} explain {} --html {page}", shell::program(), shell::quoted(path))
}

/// The smallest plan found, and what came of it; `None` when the plan does not fail.
///
/// # Errors
/// When the harness fails.
pub fn shrunk(plan: &Plan<Workload>, progress: impl FnMut(u64)) -> Result<Option<(Shrunk<Workload>, Expected)>> {
    let scenario = scenario(&plan.scenario)?;
    let mut runs = Runs::new(scenario, interruptible()?, &STOP);
    let Some(shrunk) = shrink::shrink(&mut runs, plan, progress)? else {
        return Ok(None);
    };
    let expected = match scenario.run(&mut runs.worker, &shrunk.plan, Mode { keep_trace: true, ..Mode::default() }) {
        // it has failed before, and by which oracle is known
        Err(Error::Interrupted) => {
            let oracle = Some(shrunk.failure.oracle.clone());
            Expected { verdict: Verdict::Fail, oracle, ..Expected::pass() }
        }
        outcome => {
            let Outcome { record, story, .. } = outcome?;
            let sentence = story.as_ref().map(|story| sentence::of(&shrunk.plan, story, &record));
            Expected { sentence, ..Expected::of(&record) }
        }
    };
    Ok(Some((shrunk, expected)))
}

/// Whether an earlier shrink of the same failure has left a plan there that is as small.
fn is_no_smaller(shrunk: &PlanFile, there: &Path) -> bool {
    let size_of = |file: &PlanFile| {
        let Schedule { injections, crashes, .. } = &file.plan.schedule;
        (size(&file.plan.workload), injections.len() + crashes.len())
    };
    let is_same = |there: &PlanFile| {
        let of = |file: &PlanFile| {
            (file.plan.scenario.clone(), file.expected.oracle.clone(), file.engine.clone(), file.mutant.clone())
        };
        of(there) == of(shrunk)
    };
    // what is no file is not read: it may be a pipe
    let there = there.is_file().then(|| PlanFile::read(there).ok()).flatten().filter(is_same);
    there.is_some_and(|there| !is_drawn(&there.plan.schedule) && size_of(&there) <= size_of(shrunk))
}

/// Calls of all lives.
pub fn operations(workload: &Workload) -> usize {
    let callers = workload.lives.iter().flat_map(|life| &life.callers).chain(&workload.callers);
    callers.map(Vec::<Operation>::len).sum()
}

/// A caller that was dropped some steps later, dropped once that had passed which came before it.
fn once(injection: Injection, trace: &Trace, labels: &[String]) -> Injection {
    let events = trace.events();
    let name = |event: &Event| SiteName {
        task: labels[usize::from(event.site.task.0)].clone(),
        point: event.site.point.to_string(),
        hit: event.site.hit,
    };
    let dropped = events.iter().position(|event| event.what == What::Cancelled && name(event) == injection.site);
    let before = dropped.and_then(|dropped| events[..dropped].iter().rfind(|event| has_passed(event.what)));
    match before {
        Some(event) => Injection { action: Action::CancelOnce(name(event)), ..injection },
        None => injection,
    }
}

fn has_passed(what: What) -> bool {
    !matches!(what, What::Cancelled | What::Crashed | What::Finished | What::Panicked)
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("shrunk.json")
}

/// A scenario's runs, as shrinking wants them.
pub(super) struct Runs<'a> {
    scenario: &'static Scenario,
    pub(super) worker: Worker,
    stop: &'a AtomicBool,
    has_run: bool,
}

impl<'a> Runs<'a> {
    pub(super) fn new(scenario: &'static Scenario, worker: Worker, stop: &'a AtomicBool) -> Runs<'a> {
        Runs { scenario, worker, stop, has_run: false }
    }
}

impl Shrinkable for Runs<'_> {
    type Workload = Workload;
    type Error = Error;

    fn run(&mut self, plan: &Plan<Workload>, keep: bool) -> Result<Ran> {
        self.has_run = true;
        let outcome = self.scenario.run(&mut self.worker, plan, Mode { keep_trace: keep, ..Mode::default() })?;
        Ok(told(outcome))
    }

    fn schedule(&self, seed: u64) -> Schedule {
        self.scenario.plan(seed, None).schedule
    }

    fn smaller(&self, workload: &Workload) -> Vec<Smaller<Workload>> {
        smaller(workload)
    }

    fn size(&self, workload: &Workload) -> usize {
        size(workload)
    }

    fn is_commit(&self, point: &str) -> bool {
        WINDOWS.iter().any(|window| window.lands.contains(&point))
    }

    // the first run shows that there is a failure: a Ctrl-C that came before takes that from nobody
    fn is_interrupted(&self) -> bool {
        self.has_run && self.stop.load(Ordering::Relaxed)
    }
}

/// What a run came to, as shrinking wants it.
pub(super) fn told(outcome: Outcome) -> Ran {
    let Story { trace, labels, fired, ends, .. } = outcome.story.unwrap_or_default();
    let order = trace.events().iter().filter(|event| has_passed(event.what)).map(|event| Passed {
        site: SiteName {
            task: labels[usize::from(event.site.task.0)].clone(),
            point: event.site.point.to_string(),
            hit: event.site.hit,
        },
        task: event.site.task,
        waits: matches!(event.what, What::Passed | What::Landed | What::Rotten | What::Failed(_)),
    });
    let order = order.collect();
    let fired = fired.into_iter().map(|injection| match injection.action {
        Action::CancelAfter(_) => once(injection, &trace, &labels),
        _ => injection,
    });
    let fired = fired.collect();
    Ran { violations: outcome.record.violations, sites: outcome.record.sites, order, fired, ends }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interruption_leaves_the_one_run_that_shows_the_failure() {
        let stop = AtomicBool::new(true);
        let scenario = scenario("concurrent-pushes").unwrap();
        let mut runs = Runs::new(scenario, Worker::new().unwrap(), &stop);
        assert!(!runs.is_interrupted());
        runs.run(&scenario.plan(0, None), false).unwrap();
        assert!(runs.is_interrupted());
        stop.store(false, Ordering::Relaxed);
        assert!(!runs.is_interrupted());
    }
}
