//! `segsim sweep`: many seeds of each scenario, and what became of them.
#![allow(clippy::disallowed_methods, reason = "a command: it measures itself and makes the directory of plans")]

use super::progress::Progress;
use super::{STOP, Selection, StrategyName, scenario};
use crate::ci::{Suite, annotations, junit};
use crate::error::{Error, Result};
use crate::output::{say, take_stdout};
use crate::plan_file::{Expected, PlanFile};
use crate::report::{Failure, Measured, Repeat, Report, SweepRecord, SweepResult, counted, grouped, plan_path};
use crate::scenario::Scenario;
use crate::{say, shell, whole};
use rustix::time::{ClockId, clock_gettime};
use segment_sim::record::Group;
use segment_sim::strategy::Strategy;
use segment_sim::sweep::{Ends, Range, Swept, sweep};
use segment_sim::verdict::Verdict;
use segment_sim::world::{Mode, Worker};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// madsim's seed of second runs: it must not matter.
const OTHER_MADSIM_SEED: u64 = 0x5e95;

/// Run many seeds of each scenario and judge every run
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// How seeds look for races
    #[arg(long, alias = "base", value_name = "S", value_enum, default_value_t = StrategyName::Portfolio)]
    strategy: StrategyName,
    /// Also write everything as JSON to this file, rewritten after each scenario; its verdict is VOID or FAIL until the
    /// last one is done
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
    /// Also write a JUnit report to this file, for CI systems, in the same way
    #[arg(long, value_name = "FILE.xml")]
    junit: Option<PathBuf>,
    /// Write the plan of each kind of failure to this directory
    #[arg(long, value_name = "DIR", default_value = "target/plans")]
    plans: PathBuf,
}

/// Sweeps, prints, and returns the worst verdict.
///
/// # Errors
/// Bad input, or a harness that failed.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let (scenarios, range) = (arguments.selection.scenarios()?, arguments.selection.range()?);
    let outputs = Outputs { report: arguments.report.as_deref(), junit: arguments.junit.as_deref() };
    outputs.check()?;
    // now: only a failure writes there
    whole::check_directory(&arguments.plans).map_err(Error::io("use", &arguments.plans))?;
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
    for scenario in &scenarios {
        let record = sweep_one(scenario, range, arguments.strategy.strategy(), repeat)?;
        say(format_args!("{}{}", record.result.text(), record.measured.text(&record.result.tally)));
        written = written.and(write_plans(&record.result, arguments));
        report.sweeps.push(record);
        if STOP.load(Ordering::Relaxed) {
            break;
        }
        report.judge(unfinished(report.sweeps.len()));
        // what cannot be written now is told at the end, when it still cannot
        let _ = outputs.keep(&report);
    }
    // also where the interruption cut short nothing but second runs, or scenarios that had not begun
    let interrupted = STOP.load(Ordering::Relaxed);
    report.judge(interrupted.then(|| "interrupted".to_string()));
    let verdict = report.verdict;
    let (runs, failed) = report
        .sweeps
        .iter()
        .map(|record| &record.result.tally)
        .fold((0, 0), |(runs, failed), tally| (runs + tally.runs, failed + tally.failed));
    let end = if interrupted { "; interrupted" } else { "" };
    say!("{}  {}, {} failed{end}", verdict.word(), counted(runs, "run"), grouped(failed));
    for record in &report.sweeps {
        say(format_args!("{}", record.result.failures()));
    }
    annotations::print(&Suite::of_sweep(&report));
    // after all is told
    outputs.write(&report).and(written)?;
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
            (Some(report), Some(junit)) if whole::is_same(report, junit) => {
                Err(Error::SameOutput { path: junit.to_path_buf() })
            }
            _ => Ok(()),
        }
    }

    /// Writes them while the sweep is not over. A device or a pipe gets the last ones alone.
    fn keep(&self, report: &Report) -> Result<()> {
        let lasts = |path: &&Path| !whole::is_device(path);
        let sent = [self.report, self.junit].into_iter().flatten().filter(|path| whole::is_device(path));
        let places = sent.map(|path| whole::check_place(path).map_err(Error::io("write", path)));
        let kept = Outputs { report: self.report.filter(lasts), junit: self.junit.filter(lasts) }.write(report);
        places.fold(kept, Result::and)
    }

    /// Writes each where it is asked for, also where the other cannot be.
    fn write(&self, report: &Report) -> Result<()> {
        let write = |path: Option<&Path>, text: &dyn Fn() -> String| match path {
            Some(path) => whole::write_or_send(path, text().as_bytes()).map_err(Error::io("write", path)),
            None => Ok(()),
        };
        let json = write(self.report, &|| serde_json::to_string_pretty(report).expect("a report is plain data") + "\n");
        json.and(write(self.junit, &|| junit::xml("segsim sweep", &Suite::of_sweep(report))))
    }
}

/// Writes the first plan of each group of failures.
fn write_plans(result: &SweepResult, arguments: &Arguments) -> Result<()> {
    if result.failures.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(&arguments.plans).map_err(Error::io("create", &arguments.plans))?;
    for Failure { group: Group { oracle, sentence, seed, .. }, .. } in &result.failures {
        let plan = scenario(&result.scenario)?.plan(*seed, arguments.strategy.strategy());
        PlanFile::new(plan, Expected::fail(oracle, sentence)).write(&plan_path(
            &arguments.plans,
            &result.scenario,
            *seed,
        ))?;
    }
    Ok(())
}

/// Sweeps one scenario.
///
/// # Errors
/// A harness that failed.
pub fn sweep_one(
    scenario: &Scenario,
    range: Range,
    strategy: Option<Strategy>,
    repeat: Repeat<'_>,
) -> Result<SweepRecord> {
    let (wall, cpu) = (Instant::now(), cpu_time());
    let bar = Progress::new(scenario.name, range.seeds, "seeds");
    let Swept { tally, .. } = sweep(
        range,
        Ends::on(&STOP),
        |done| bar.tell(done, wall.elapsed()),
        Worker::new,
        |worker, seed, again| {
            let madsim_seed = if again { OTHER_MADSIM_SEED } else { 0 };
            let mode = Mode { madsim_seed, ..Mode::default() };
            Ok(scenario.run(worker, &scenario.plan(seed, strategy), mode)?.record)
        },
    )?;
    bar.end();
    let measured = Measured {
        wall_seconds: wall.elapsed().as_secs_f64(),
        cpu_seconds: (cpu_time() - cpu).as_secs_f64(),
        jobs: range.jobs,
    };
    let result = SweepResult::judge(scenario, range, strategy, tally, repeat);
    Ok(SweepRecord { result, measured })
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
