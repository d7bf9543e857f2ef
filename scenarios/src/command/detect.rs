//! `segsim detect`: how many seeds it takes until something fails, over several seed ranges. `segsim mutants` asks this
//! of each mutant's binary.

use super::shrink::shrunk;
use super::{ENGINE, STOP, StrategyName, interruptible, jobs, scenario};
use crate::corpus::is_only_there;
use crate::error::{Error, Result};
use crate::plan_file::PlanFile;
use crate::say;
use crate::scenario::Scenario;
use crate::workload::Workload;
use segment_sim::plan::Plan;
use segment_sim::record::Record;
use segment_sim::shrink::Shrunk;
use segment_sim::site::SiteName;
use segment_sim::strategy::Strategy;
use segment_sim::sweep::{Ends, Range, sweep};
use segment_sim::verdict::Verdict;
use segment_sim::world::{Mode, Outcome, Worker};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Seed ranges lie so far apart.
pub const RANGE_STRIDE: u64 = 1_000_000;

/// Oracles whose finding is never the bug itself.
pub const CRASHES: [&str; 2] = ["panic", "progress"];

/// Print, as JSON, the seeds to detection in several seed ranges
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The scenario
    scenario: String,
    /// How many seed ranges
    #[arg(long, value_name = "N", default_value_t = 30)]
    ranges: u64,
    /// The oracles of which one must be the first to find something [default: any]
    #[arg(long, value_name = "O,O", value_delimiter = ',')]
    by: Vec<String>,
    /// How many seeds of each range at most
    #[arg(long, value_name = "N", default_value_t = 1000)]
    seeds: u64,
    /// Sweep so many seeds in one go instead, and count all failures
    #[arg(long, value_name = "N")]
    all: Option<u64>,
    /// Shrink the first failure of so many seeds into this file instead
    #[arg(long, value_name = "FILE.json")]
    shrink: Option<PathBuf>,
    /// Run these plans instead
    #[arg(long, value_name = "PLAN.json", num_args = 1..)]
    plans: Vec<PathBuf>,
    /// List the failures of so many seeds instead
    #[arg(long, value_name = "N")]
    list: Option<u64>,
    /// How seeds look for races
    #[arg(long, alias = "base", value_name = "S", value_enum, default_value_t = StrategyName::Portfolio)]
    strategy: StrategyName,
}

/// What was detected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detection {
    /// The hash of the engine's sources.
    pub engine: String,
    /// One for each seed range.
    pub ranges: Vec<RangeDetection>,
    /// Runs made.
    pub runs: u64,
    /// With `--all`: runs that failed.
    pub failed: u64,
    /// Runs in which each oracle found something.
    pub oracles: BTreeMap<String, u64>,
    /// With `--list` and `--plans`: every failure.
    pub list: Vec<Failure>,
    /// With `--plans`: the first site that each does not come to, if there is one.
    pub unreached: Vec<SiteName>,
}

/// What was detected in one seed range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeDetection {
    /// The first failure in which an oracle that was asked for came first.
    pub detected: Option<Failure>,
    /// The first failure before that one in which another did.
    pub otherwise: Option<Failure>,
}

/// A failed run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The how many-th seed of its range, from 1.
    pub seeds: u64,
    /// The seed.
    pub seed: u64,
    /// The oracle that came first.
    pub oracle: String,
    /// What raced with what.
    pub race: String,
}

/// Detects and prints.
///
/// # Errors
/// Bad input, or a harness that failed.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let scenario = scenario(&arguments.scenario)?;
    let strategy = arguments.strategy.strategy();
    let detection = match (arguments.all, arguments.list, &arguments.shrink) {
        (Some(seeds), ..) => sweep_all(scenario, seeds, strategy)?,
        (None, Some(seeds), _) => list_failures(scenario, seeds, strategy)?,
        (None, None, Some(path)) => shrink_first(scenario, arguments, path)?,
        (None, None, None) if !arguments.plans.is_empty() => run_plans(&arguments.plans)?,
        (None, None, None) => first_failures(scenario, arguments)?,
    };
    say!("{}", serde_json::to_string(&detection).expect("a detection is plain data"));
    Ok(Verdict::Pass)
}

fn first_failures(scenario: &Scenario, arguments: &Arguments) -> Result<Detection> {
    let mut worker = Worker::new()?;
    let mut detection = Detection::default();
    for range in 0..arguments.ranges {
        let mut found = RangeDetection::default();
        for index in 0..arguments.seeds {
            if STOP.load(Ordering::Relaxed) {
                return Ok(detection);
            }
            let seed = range * RANGE_STRIDE + index;
            let plan = scenario.plan(seed, arguments.strategy.strategy());
            let Some(failure) = detection.run(scenario, &mut worker, &plan, index + 1)? else {
                continue;
            };
            if arguments.by.is_empty() || arguments.by.contains(&failure.oracle) {
                found.detected = Some(failure);
                break;
            }
            // a crash is told even when something milder came before it
            let is_crash = CRASHES.contains(&failure.oracle.as_str());
            if found.otherwise.is_none() || is_crash {
                found.otherwise = Some(failure);
            }
        }
        detection.ranges.push(found);
    }
    Ok(detection)
}

fn sweep_all(scenario: &Scenario, seeds: u64, strategy: Option<Strategy>) -> Result<Detection> {
    let range = Range { from: 0, seeds, jobs: jobs(None) };
    let run = |worker: &mut Worker, seed, _| {
        Ok(scenario.run(worker, &scenario.plan(seed, strategy), Mode::default())?.record)
    };
    let tally = sweep(range, Ends::on(&STOP), |_| {}, || Worker::new().map_err(Error::from), run)?.tally;
    let mut oracles = BTreeMap::new();
    for group in tally.groups.values() {
        for (oracle, runs) in &group.oracles {
            *oracles.entry(oracle.clone()).or_default() += runs;
        }
    }
    Ok(Detection { runs: tally.runs, failed: tally.failed, oracles, ..Detection::default() })
}

fn list_failures(scenario: &Scenario, seeds: u64, strategy: Option<Strategy>) -> Result<Detection> {
    let mut worker = Worker::new()?;
    let mut detection = Detection::default();
    for seed in (0..seeds).take_while(|_| !STOP.load(Ordering::Relaxed)) {
        let failure = detection.run(scenario, &mut worker, &scenario.plan(seed, strategy), seed + 1)?;
        detection.list.extend(failure);
    }
    Ok(detection)
}

/// The plan of the first failure by an oracle that was asked for, shrunk.
fn shrink_first(scenario: &Scenario, arguments: &Arguments, path: &Path) -> Result<Detection> {
    let mut worker = Worker::new()?;
    let mut detection = Detection::default();
    for seed in (0..arguments.seeds).take_while(|_| !STOP.load(Ordering::Relaxed)) {
        let plan = scenario.plan(seed, arguments.strategy.strategy());
        let Some(failure) = detection.run(scenario, &mut worker, &plan, seed + 1)? else {
            continue;
        };
        if !arguments.by.is_empty() && !arguments.by.contains(&failure.oracle) {
            continue;
        }
        if let Some((Shrunk { plan, .. }, expected)) = shrunk(&plan, |_| {})? {
            PlanFile::new(plan, expected).write(path)?;
            detection.list.push(failure);
        }
        break;
    }
    Ok(detection)
}

/// Runs plans, and lists those that fail: the how many-th of the list, and its own seed.
fn run_plans(paths: &[PathBuf]) -> Result<Detection> {
    let mut worker = interruptible()?;
    let mut detection = Detection::default();
    for (number, path) in (1..).zip(paths) {
        let PlanFile { plan, expected, .. } = PlanFile::read(path)?;
        let Outcome { record, unreached, .. } = scenario(&plan.scenario)?.run(&mut worker, &plan, Mode::default())?;
        let failure = detection.count(&record, number);
        detection.list.extend(failure);
        detection.unreached.extend(unreached.into_iter().find(|site| !is_only_there(Some(&expected), site)));
    }
    Ok(detection)
}

impl Default for Detection {
    fn default() -> Detection {
        Detection {
            engine: ENGINE.to_string(),
            ranges: Vec::new(),
            runs: 0,
            failed: 0,
            oracles: BTreeMap::new(),
            list: Vec::new(),
            unreached: Vec::new(),
        }
    }
}

impl Detection {
    /// Seeds to detection in the worst of the best so many percent of the ranges; `None` if nothing is detected there.
    pub fn seeds_at(&self, percent: usize) -> Option<u64> {
        let mut seeds: Vec<u64> =
            self.ranges.iter().flat_map(|range| &range.detected).map(|first| first.seeds).collect();
        seeds.sort_unstable();
        seeds.get((self.ranges.len() * percent).div_ceil(100).saturating_sub(1)).copied()
    }

    /// Runs one plan, counts it, and returns its failure, found after so many `seeds`.
    fn run(
        &mut self,
        scenario: &Scenario,
        worker: &mut Worker,
        plan: &Plan<Workload>,
        seeds: u64,
    ) -> Result<Option<Failure>> {
        Ok(self.count(&scenario.run(worker, plan, Mode::default())?.record, seeds))
    }

    /// Counts one run, and returns its failure.
    fn count(&mut self, record: &Record, seeds: u64) -> Option<Failure> {
        self.runs += 1;
        let first = record.violations.first()?;
        self.failed += 1;
        for violation in &record.violations {
            *self.oracles.entry(violation.oracle.clone()).or_default() += 1;
        }
        Some(Failure { seeds, seed: record.seed, oracle: first.oracle.clone(), race: first.race.clone() })
    }
}
