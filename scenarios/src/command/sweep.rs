//! `segsim sweep`: many seeds of each scenario, and what became of them.
#![allow(clippy::disallowed_methods, reason = "a command: it measures itself and makes the directory of plans")]

use super::progress::Progress;
use super::shrink::shrink_beside;
use super::{STOP, Selection, StrategyName, check_plans, scenario};
use crate::ci::{Suite, annotations, junit};
use crate::error::{Error, Result};
use crate::output::{say, take_stdout};
use crate::plan_file::{Expected, PlanFile};
use crate::report::{
    FLOOR_SEEDS_MIN, Failure, GROUPS_MAX, Measured, Repeat, Report, SweepRecord, SweepResult, counted, grouped,
    plan_path,
};
use crate::scenario::Scenario;
use crate::{atomic_file, say, shell, tell};
use rustix::time::{ClockId, clock_gettime};
use segment_sim::record::{Group, Record};
use segment_sim::shrink::RUNS_MAX;
use segment_sim::strategy::Strategy;
use segment_sim::sweep::{Ends, Range, Swept, sweep};
use segment_sim::verdict::{Verdict, Violation};
use segment_sim::world::{Mode, Worker};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// madsim's seed of second runs: it must not matter.
const OTHER_MADSIM_SEED: u64 = 0x5e95;

/// Run many seeds of each scenario and judge every run
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    segsim sweep --scenario same-key --seeds 100000\n  \
    segsim sweep --for 10m --max-failures 1 --shrink    ten minutes, or up to the first failure, which is made small\n\n\
    Where --for or --max-failures end a scenario, it says how many seeds that were; --seeds of as many gives the same.")]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Sweep for so long, such as 90s, 10m or 2h, in place of a number of seeds. The time is split evenly over the scenarios;
    /// each runs at least 200 seeds, also if that takes longer than its part
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "seeds", value_parser = duration)]
    time: Option<Duration>,
    /// End with the Nth seed that fails, counted over all scenarios [default: end with the last seed]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_failures: Option<u64>,
    /// How seeds look for races
    #[arg(long, alias = "base", value_name = "S", value_enum, default_value_t = StrategyName::Portfolio)]
    strategy: StrategyName,
    /// Print one line for each scenario, and failures in full
    #[arg(long)]
    quiet: bool,
    /// Also write everything as JSON to this file, rewritten after each scenario; its verdict is VOID or FAIL until the
    /// last one is done
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
    /// Also write a JUnit report to this file, for CI systems, in the same way
    #[arg(long, value_name = "FILE.xml")]
    junit: Option<PathBuf>,
    /// At the end make the plan of the first failure of each kind small, and tell what raced in that, too: seconds each, at
    /// most 12 kinds of a scenario
    #[arg(long)]
    shrink: bool,
    /// Write the plan of each kind of failure to this directory
    #[arg(long, value_name = "DIR", default_value = "target/plans")]
    plans: PathBuf,
}

/// Sweeps, prints, and returns the worst verdict.
///
/// # Errors
/// Bad input, or a harness that failed.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let scenarios = arguments.selection.scenarios()?;
    let range = match arguments.time {
        Some(_) => arguments.selection.endless(),
        None => arguments.selection.range()?,
    };
    let outputs = Outputs { report: arguments.report.as_deref(), junit: arguments.junit.as_deref() };
    outputs.check()?;
    check_plans(&arguments.plans)?;
    take_stdout([outputs.report, outputs.junit].into_iter().flatten());
    let mut report = Report::new();
    let unfinished = |done: usize| {
        (done < scenarios.len()).then(|| format!("not finished: {done} of {} scenarios are done", scenarios.len()))
    };
    report.judge(unfinished(0));
    // now: a path that is none is told before minutes of work, and who ends this process leaves no report of an earlier one
    outputs.keep(&report)?;
    let mut written = Ok(());
    let program = shell::program();
    let repeat = Repeat { program: &program, plans: &arguments.plans };
    let (started, mut stopped) = (Instant::now(), None);
    for (scenario, left) in scenarios.iter().zip((1..=scenarios.len()).rev()) {
        let until = Until {
            // what one leaves of its part, or takes besides, is shared by those that follow
            time: arguments.time.map(|time| time.saturating_sub(started.elapsed()).div_f64(left as f64)),
            failures: arguments.max_failures.map(|most| most - report.failed()),
        };
        let (record, early) = sweep_one(scenario, range, until, arguments.strategy.strategy(), repeat)?;
        if arguments.quiet {
            say(format_args!("{}", record.result.brief()));
        } else {
            say(format_args!("{}{}", record.result.text(), record.measured.text(&record.result.tally)));
        }
        written = written.and(write_plans(&record.result, &arguments.plans, early));
        report.sweeps.push(record);
        if STOP.load(Ordering::Relaxed) {
            break;
        }
        if arguments.max_failures == Some(report.failed()) {
            stopped = report.stopped(range.seeds, scenarios.len());
            break;
        }
        report.judge(unfinished(report.sweeps.len()));
        // what cannot be written now is told at the end, when it still cannot
        let _ = outputs.keep(&report);
    }
    // also where the interruption cut short nothing but second runs, or scenarios that had not begun
    let interrupted = STOP.load(Ordering::Relaxed);
    let end = if interrupted { Some("interrupted".to_string()) } else { stopped };
    report.judge(end.clone());
    let verdict = report.verdict;
    if arguments.shrink && written.is_ok() {
        let _ = outputs.keep(&report); // as it is, whatever becomes of this
        written = report.sweeps.iter_mut().try_for_each(|record| make_small(&mut record.result));
    }
    let end = end.map(|end| format!("; {end}")).unwrap_or_default();
    say!("{}  {}, {} failed{end}", verdict.word(), counted(report.runs(), "run"), grouped(report.failed()));
    say(format_args!("{}", report.kinds()));
    for record in &report.sweeps {
        say(format_args!("{}", record.result.failures()));
    }
    annotations::print(&Suite::of_sweep(&report));
    // after all is told
    match outputs.write(&report).and(written) {
        // FAIL is what counts, and 1 what says so
        Err(error) if verdict == Verdict::Fail => tell!("segsim: {error}"),
        written => written?,
    }
    Ok(verdict)
}

/// The files that a sweep writes besides its plans.
struct Outputs<'a> {
    report: Option<&'a Path>,
    junit: Option<&'a Path>,
}

impl Outputs<'_> {
    /// Sees that they are two files.
    fn check(&self) -> Result<()> {
        match (self.report, self.junit) {
            (Some(report), Some(junit)) if atomic_file::is_same(report, junit) => {
                Err(Error::SameOutput { path: junit.to_path_buf() })
            }
            _ => Ok(()),
        }
    }

    /// Writes them while the sweep is not over. A device or a pipe gets the last ones alone.
    fn keep(&self, report: &Report) -> Result<()> {
        let lasts = |path: &&Path| !atomic_file::is_device(path);
        let sent = [self.report, self.junit].into_iter().flatten().filter(|path| atomic_file::is_device(path));
        let places = sent.map(|path| atomic_file::check_place(path).map_err(Error::io("write", path)));
        let kept = Outputs { report: self.report.filter(lasts), junit: self.junit.filter(lasts) }.write(report);
        places.fold(kept, Result::and)
    }

    /// Writes each where it is asked for, also where the other cannot be.
    fn write(&self, report: &Report) -> Result<()> {
        let write = |path: Option<&Path>, text: &dyn Fn() -> String| match path {
            Some(path) => atomic_file::write_or_send(path, text().as_bytes()).map_err(Error::io("write", path)),
            None => Ok(()),
        };
        let json = write(self.report, &|| serde_json::to_string_pretty(report).expect("a report is plain data") + "\n");
        json.and(write(self.junit, &|| junit::xml("segsim sweep", &Suite::of_sweep(report))))
    }
}

/// Writes the first plan of each group of failures. The one that was written `early` goes, if it is none of them.
fn write_plans(result: &SweepResult, plans: &Path, mut early: Option<PathBuf>) -> Result<()> {
    let scenario = scenario(&result.scenario)?;
    for Failure { group: Group { oracle, sentence, seed, .. }, .. } in &result.failures {
        let path = write_plan(scenario, plans, *seed, result.strategy, Expected::fail(oracle, sentence))?;
        early = early.filter(|early| *early != path);
    }
    // one that stays is a plan all the same
    early.map_or(Ok(()), |early| std::fs::remove_file(early).or(Ok(())))
}

/// Makes the plans of the largest groups of failures small, as they were written.
fn make_small(result: &mut SweepResult) -> Result<()> {
    let has_time = |_: &&mut Failure| !STOP.load(Ordering::Relaxed);
    for failure in result.failures.iter_mut().take(GROUPS_MAX).take_while(has_time) {
        let started = Instant::now();
        let bar = Progress::new("shrink", RUNS_MAX, "runs at most");
        failure.shrunk = shrink_beside(Path::new(&failure.plan), |runs| bar.tell(runs, started.elapsed()))?;
        bar.end();
    }
    Ok(())
}

/// Writes the plan of a seed.
fn write_plan(
    scenario: &Scenario,
    plans: &Path,
    seed: u64,
    strategy: Option<Strategy>,
    expected: Expected,
) -> Result<PathBuf> {
    std::fs::create_dir_all(plans).map_err(Error::io("create", plans))?;
    let path = plan_path(plans, scenario.name, seed, strategy);
    PlanFile::new(scenario.plan(seed, strategy), expected).write(&path)?;
    Ok(path)
}

/// The failures of a sweep that is not over: whatever ends this process, the first one that was seen is not lost.
#[derive(Default)]
struct Failing {
    count: AtomicU64,
    /// Its seed, and by which oracle; until it is written down.
    first: Mutex<Option<(u64, Violation)>>,
}

impl Failing {
    fn see(&self, record: &Record) {
        if let Some(violation) = record.violations.first()
            && self.count.fetch_add(1, Ordering::Relaxed) == 0
        {
            *self.first.lock().unwrap_or_else(PoisonError::into_inner) = Some((record.seed, violation.clone()));
        }
    }

    fn take_first(&self) -> Option<(u64, Violation)> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How many, for who waits.
    fn words(&self) -> String {
        match self.count.load(Ordering::Relaxed) {
            0 => String::new(),
            count => format!(", {} failed", grouped(count)),
        }
    }
}

/// What ends the seeds of a scenario before their range does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Until {
    /// This time is over.
    pub time: Option<Duration>,
    /// So many seeds have failed.
    pub failures: Option<u64>,
}

/// Sweeps one scenario. The plan of the first failure that is seen is written at once, and named if it was not there
/// before.
///
/// # Errors
/// A harness that failed.
pub fn sweep_one(
    scenario: &Scenario,
    range: Range,
    until: Until,
    strategy: Option<Strategy>,
    repeat: Repeat<'_>,
) -> Result<(SweepRecord, Option<PathBuf>)> {
    let (failing, mut early) = (Failing::default(), None);
    let (wall, cpu) = (Instant::now(), cpu_time());
    let bar = match until.time {
        Some(_) => Progress::of_share(scenario.name),
        None => Progress::new(scenario.name, range.seeds, "seeds"),
    };
    // a sweep of fewer would not be judged by its floors
    let is_over = |begun: u64| begun >= FLOOR_SEEDS_MIN && until.time.is_some_and(|time| wall.elapsed() >= time);
    let is_enough = until.time.map(|_| &is_over as &(dyn Fn(u64) -> bool + Sync));
    let Swept { tally, seeds } = sweep(
        range,
        Ends { stop: &STOP, is_enough, failures_max: until.failures },
        |done| {
            if let Some((seed, Violation { oracle, sentence, .. })) = failing.take_first() {
                let was_there = plan_path(repeat.plans, scenario.name, seed, strategy).exists();
                let expected = Expected::fail(&oracle, &sentence);
                // where it cannot be written, the end tells
                let written = write_plan(scenario, repeat.plans, seed, strategy, expected).ok();
                early = written.filter(|_| !was_there);
            }
            match (until.time, wall.elapsed()) {
                (Some(time), elapsed) => bar.tell_share(elapsed.div_duration_f64(time), elapsed, || {
                    let [elapsed, time] = [elapsed, time].map(|time| time.as_secs_f64());
                    format!("{}{} after {elapsed:.0} of {time:.0} s", counted(done, "seed"), failing.words())
                }),
                (None, elapsed) => bar.tell_besides(done, elapsed, &failing.words()),
            }
        },
        || Worker::new().map_err(Error::from),
        |worker, seed, again| {
            let madsim_seed = if again { OTHER_MADSIM_SEED } else { 0 };
            let mode = Mode { madsim_seed, ..Mode::default() };
            let record = scenario.run(worker, &scenario.plan(seed, strategy), mode)?.record;
            if !again {
                failing.see(&record);
            }
            Ok(record)
        },
    )?;
    bar.end();
    let measured = Measured {
        wall_seconds: wall.elapsed().as_secs_f64(),
        cpu_seconds: (cpu_time() - cpu).as_secs_f64(),
        jobs: range.jobs,
    };
    let asked = until.time.is_none().then_some(range.seeds);
    let result = SweepResult::judge(scenario, Range { seeds, ..range }, asked, strategy, tally, repeat);
    Ok((SweepRecord { result, measured }, early))
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Reads a duration: a number, and s, m or h.
fn duration(text: &str) -> std::result::Result<Duration, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600)];
    let number = |digits: &str| digits.parse::<u32>().ok().filter(|_| !digits.starts_with('+'));
    let read = |(unit, seconds)| Some(u64::from(number(text.strip_suffix(unit)?)?) * seconds);
    let seconds = units.into_iter().find_map(read).filter(|seconds| *seconds > 0);
    let fault = || format!("expected a number from 1 to {} and s, m or h, such as 90s", u32::MAX);
    seconds.map(Duration::from_secs).ok_or_else(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_kept_at_once_and_the_first_of_each_kind_at_the_end() {
        let result: SweepResult = serde_json::from_str(include_str!("../../tests/failing-sweep.json")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let scenario = scenario(&result.scenario).unwrap();
        let keep = |seed| {
            let expected = Expected::fail("oracle", "sentence");
            write_plan(scenario, directory.path(), seed, result.strategy, expected).unwrap()
        };
        let of_kind =
            |failure: &Failure| plan_path(directory.path(), scenario.name, failure.group.seed, result.strategy);
        let kept = || std::fs::read_dir(directory.path()).unwrap().count();
        let other = keep(u64::MAX);
        assert!(other.exists(), "before the end");
        write_plans(&result, directory.path(), Some(other.clone())).unwrap();
        assert!(
            !other.exists()
                && kept() == result.failures.len()
                && result.failures.iter().map(of_kind).all(|path| path.exists())
        );
        write_plans(&result, directory.path(), Some(keep(result.failures[0].group.seed))).unwrap();
        assert_eq!(kept(), result.failures.len());
    }

    #[test]
    fn what_does_not_fail_is_not_made_small() {
        let mut result: SweepResult = serde_json::from_str(include_str!("../../tests/failing-sweep.json")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        result.failures.truncate(1);
        write_plans(&result, directory.path(), None).unwrap();
        let plan = plan_path(directory.path(), &result.scenario, result.failures[0].group.seed, result.strategy);
        result.failures[0].plan = plan.to_string_lossy().into_owned();
        make_small(&mut result).unwrap();
        assert_eq!(result.failures[0].shrunk, None);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn of_failures_the_first_that_is_seen_is_taken_once_and_all_are_counted() {
        let failing = Failing::default();
        let sound = Scenario::named("same-key").unwrap();
        let record = sound.run(&mut Worker::new().unwrap(), &sound.plan(0, None), Mode::default()).unwrap().record;
        failing.see(&record);
        assert_eq!((failing.take_first(), failing.words()), (None, String::new()));
        let [oracle, race, sentence] = ["oracle", "race", "sentence"].map(str::to_string);
        let violations = vec![Violation { oracle, step: 1, race, sentence }];
        for seed in [7, 3] {
            failing.see(&Record { seed, violations: violations.clone(), ..record.clone() });
        }
        assert_eq!(failing.take_first().map(|(seed, _)| seed), Some(7));
        assert_eq!((failing.take_first(), failing.words().as_str()), (None, ", 2 failed"));
    }

    #[test]
    fn a_duration_has_a_number_above_0_and_a_unit() {
        let seconds = |text| duration(text).map(|duration| duration.as_secs());
        assert_eq!(["90s", "10m", "2h"].map(seconds), [90, 600, 7200].map(Ok));
        assert_eq!(seconds("4294967295h"), Ok(4_294_967_295 * 3600));
        for text in
            ["", "s", "90", "0s", "00m", "1.5h", "-1s", "+5s", "1h30m", "90 s", "90S", "4294967296s", "1d", "1\u{308}"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
