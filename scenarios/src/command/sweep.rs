//! `segsim sweep`: many seeds of each scenario, and what became of them.
#![allow(clippy::disallowed_methods, reason = "a command: it measures itself and writes the report that was asked for")]

use super::progress::Progress;
use super::{ENGINE, STOP, Selection, StrategyName, scenario};
use crate::error::{Error, Result};
use crate::output::say;
use crate::plan_file::{Expected, PlanFile};
use crate::report::{Measured, Report, SweepRecord, SweepResult, grouped, plan_path};
use crate::scenario::Scenario;
use crate::{say, shell};
use rustix::time::{ClockId, clock_gettime};
use segment_sim::record::{Group, Tally};
use segment_sim::strategy::Strategy;
use segment_sim::sweep::{Range, sweep};
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
    /// Also write everything as JSON to this file
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
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
    if let Some(path) = &arguments.report {
        // now, not after minutes of work
        std::fs::File::options().create(true).append(true).open(path).map_err(Error::io("write", path))?;
    }
    let mut sweeps = Vec::new();
    for scenario in scenarios {
        let record = sweep_one(scenario, range, arguments.strategy.strategy())?;
        say(format_args!("{}{}", record.result.text(), record.measured.text(&record.result.tally)));
        sweeps.push(record);
        if STOP.load(Ordering::Relaxed) {
            break;
        }
    }
    let interrupted = STOP.load(Ordering::Relaxed);
    let worst = sweeps.iter().map(|record| record.result.verdict).max().unwrap_or(Verdict::Void);
    // also where the interruption cut short nothing but second runs, or scenarios that had not begun
    let verdict = if interrupted { worst.max(Verdict::Void) } else { worst };
    let (runs, failed) = sweeps
        .iter()
        .map(|record| &record.result.tally)
        .fold((0, 0), |(runs, failed), tally| (runs + tally.runs, failed + tally.failed));
    let end = if interrupted { "; interrupted" } else { "" };
    say!("{}  {} runs, {} failed{end}", verdict.word(), grouped(runs), grouped(failed));
    let report = Report { format: 1, engine: ENGINE.to_string(), verdict, sweeps };
    let program = shell::program();
    for record in &report.sweeps {
        say(format_args!("{}", record.result.failures(&program, &arguments.plans)));
    }
    // after all is told, and the plans also where the report cannot be written
    let plans = report.sweeps.iter().try_for_each(|record| write_plans(&record.result, arguments));
    write_report(&report, arguments.report.as_deref()).and(plans)?;
    Ok(verdict)
}

/// Writes the report where it is asked for.
fn write_report(report: &Report, path: Option<&Path>) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string_pretty(report).expect("a report is plain data");
    std::fs::write(path, text + "\n").map_err(Error::io("write", path))
}

/// Writes the first plan of each group of failures.
fn write_plans(result: &SweepResult, arguments: &Arguments) -> Result<()> {
    if result.tally.groups.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(&arguments.plans).map_err(Error::io("create", &arguments.plans))?;
    for Group { oracle, sentence, seed, .. } in result.tally.groups.values() {
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
pub fn sweep_one(scenario: &Scenario, range: Range, strategy: Option<Strategy>) -> Result<SweepRecord> {
    let (wall, cpu) = (Instant::now(), cpu_time());
    let bar = Progress::new(scenario.name, range.seeds, "seeds");
    let tally: Tally = sweep(
        range,
        &STOP,
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
    let result = SweepResult::judge(scenario, range.from, range.seeds, strategy, tally);
    Ok(SweepRecord { result, measured })
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
