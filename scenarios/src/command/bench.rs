//! `segsim bench`: how fast runs are, beside the floor: the same commits on the same database, with no simulation.
#![allow(clippy::disallowed_methods, reason = "a command that measures")]

use super::{STOP, jobs, scenarios};
use crate::error::{Error, Result};
use crate::report::grouped;
use crate::say;
use crate::scenario::Scenario;
use segment_engine::catalog::{Batch, Catalog, Commit, Table, Write};
use segment_sim::sweep::{Range, sweep};
use segment_sim::verdict::Verdict;
use segment_sim::world::{Mode, Worker};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Rounds of which the median counts.
const ROUNDS: usize = 5;

/// Measure runs a second beside the floor: the same catalog commits without a simulation
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only this scenario; may be given several times [default: all]
    #[arg(long, value_name = "S")]
    scenario: Vec<String>,
    /// Seeds in each of five rounds
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

/// Measures and prints.
///
/// # Errors
/// Bad input, or a harness that failed.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let jobs = jobs(arguments.jobs);
    say!("medians of {ROUNDS} rounds of {} seeds on {jobs} threads", grouped(arguments.seeds));
    say!(
        "{:<24}{:>12}{:>14}{:>12}{:>10}{:>12}",
        "scenario",
        "runs/s",
        "floor runs/s",
        "runs/floor",
        "sites",
        "commits"
    );
    for scenario in scenarios(&arguments.scenario)? {
        if STOP.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let (mut runs, mut floors) = (Vec::new(), Vec::new());
        let (mut sites, mut commits) = (0, 0);
        for round in 0..ROUNDS as u64 {
            let range = Range { from: round * arguments.seeds, seeds: arguments.seeds, jobs };
            let start = Instant::now();
            let run = |worker: &mut Worker, seed, _| {
                Ok::<_, segment_engine::Error>(
                    scenario.run(worker, &scenario.plan(seed, None), Mode::default())?.record,
                )
            };
            let tally = sweep(range, &STOP, |_| {}, Worker::new, run)?;
            // second runs are runs
            runs.push((tally.runs + tally.repeated) as f64 / start.elapsed().as_secs_f64());
            sites = tally.sites / tally.runs.max(1);
            let (floor, mean) = floor(scenario, range)?;
            floors.push(floor);
            commits = mean;
        }
        let (runs, floor) = (median(runs), median(floors));
        say!(
            "{:<24}{:>12}{:>14}{:>12.2}{sites:>10}{commits:>12}",
            scenario.name,
            grouped(runs as u64),
            grouped(floor as u64),
            floor / runs
        );
    }
    Ok(Verdict::Pass)
}

/// Runs a second of a sample's commits replayed, and the mean number of commits of a run.
fn floor(scenario: &Scenario, range: Range) -> Result<(f64, usize)> {
    let sample = range.seeds.min(1000);
    let mut worker = Worker::new()?;
    let mut runs: Vec<Vec<Batch>> = Vec::new();
    for seed in range.from..range.from + sample {
        let mode = Mode { keep_commits: true, ..Mode::default() };
        runs.push(scenario.run(&mut worker, &scenario.plan(seed, None), mode)?.commits);
    }
    let commits = runs.iter().map(Vec::len).sum::<usize>() / runs.len();
    let rounds = range.seeds.div_ceil(sample);
    let start = Instant::now();
    let threads: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..range.jobs).map(|_| scope.spawn(|| replay_commits(&runs, rounds))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a replay of commits does not panic")).collect()
    });
    threads.into_iter().collect::<Result<()>>()?;
    let made = (range.jobs as u64 * rounds * sample) as f64;
    Ok((made / start.elapsed().as_secs_f64(), commits))
}

/// What a run asks of its database, and nothing else: its commits, then the deletion of its rows.
fn replay_commits(runs: &[Vec<Batch>], rounds: u64) -> Result<()> {
    let mut worker = Worker::new()?;
    let store = worker.store();
    for _ in 0..rounds {
        for commits in runs {
            let mut rows: Vec<(Table, Vec<u8>)> = Vec::new();
            for batch in commits {
                for write in batch {
                    let (Write::Put { table, key, .. } | Write::Delete { table, key }) = write;
                    if !rows.iter().any(|row| (row.0, &row.1) == (*table, key)) {
                        rows.push((*table, key.clone()));
                    }
                }
                let Commit::Buffered = store.catalog().commit(batch.clone(), &[])? else {
                    unreachable!("a commit without requirements is never refused");
                };
            }
            store.emptied(rows, commits.len() as u64)?;
        }
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
