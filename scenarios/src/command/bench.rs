//! `segsim bench`: how fast runs are, beside the floor: the same commits on the same database, with no simulation.
#![allow(clippy::disallowed_methods, reason = "a command that measures")]

use super::{STOP, jobs, scenarios};
use crate::error::{Error, Result};
use crate::report::{counted, grouped};
use crate::say;
use crate::scenario::Scenario;
use segment_engine::catalog::{Catalog, Table, Write};
use segment_sim::catalog::{KeptCommit, Store};
use segment_sim::verdict::Verdict;
use segment_sim::world::{Mode, Worker};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Seeds between two changes from runs to floor.
const CHUNK: u64 = 250;

/// Measure simulated runs a second, beside the floor: the same RocksDB commits with no simulation
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only this scenario; may be given several times [default: all]
    #[arg(long, value_name = "S")]
    scenario: Vec<String>,
    /// How many seeds of each scenario
    #[arg(long, value_name = "N", default_value_t = 40_000, value_parser = clap::value_parser!(u64).range(1..))]
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
    // a thread without a chunk would be counted as one that runs at the pace of the others
    let chunks = usize::try_from(arguments.seeds.div_ceil(CHUNK)).unwrap_or(usize::MAX);
    let jobs = jobs(arguments.jobs).min(chunks);
    let (seeds, chosen) = (arguments.seeds, scenarios(&arguments.scenario)?);
    let (of, on) = (counted(seeds, "seed"), counted(jobs as u64, "thread"));
    say!("{of} on {on}; runs and floor alternate every {CHUNK} seeds");
    say!(
        "{:<28}{:>12}{:>14}{:>12}{:>10}{:>12}",
        "scenario",
        "runs/s",
        "floor runs/s",
        "floor/runs",
        "sites",
        "commits"
    );
    for (done, scenario) in chosen.iter().enumerate() {
        let sum = match measured(scenario, seeds, jobs) {
            Err(Error::Interrupted) => {
                let (word, all) = (Verdict::Void.word(), counted(chosen.len() as u64, "scenario"));
                say!("{word}  interrupted after {done} of {all}");
                return Ok(Verdict::Void);
            }
            sum => sum?,
        };
        let a_second = |spent: Duration| sum.runs as f64 * jobs as f64 / spent.as_secs_f64();
        say!(
            "{:<28}{:>12}{:>14}{:>12.2}{:>10}{:>12}",
            scenario.name,
            grouped(a_second(sum.simulated) as u64),
            grouped(a_second(sum.floor) as u64),
            sum.simulated.as_secs_f64() / sum.floor.as_secs_f64(),
            sum.sites / sum.runs.max(1),
            sum.commits / sum.runs.max(1)
        );
    }
    Ok(Verdict::Pass)
}

/// What a thread has done, and how long it took.
#[derive(Default)]
struct Spent {
    runs: u64,
    sites: u64,
    commits: u64,
    simulated: Duration,
    floor: Duration,
}

impl Spent {
    fn add(&mut self, other: &Spent) {
        self.runs += other.runs;
        self.sites += other.sites;
        self.commits += other.commits;
        self.simulated += other.simulated;
        self.floor += other.floor;
    }
}

/// What all threads have done of one scenario.
fn measured(scenario: &Scenario, seeds: u64, jobs: usize) -> Result<Spent> {
    let next = AtomicU64::new(0);
    let threads: Vec<Result<Spent>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(|| measure(scenario, seeds, &next))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a measurement does not panic")).collect()
    });
    let mut sum = Spent::default();
    for thread in threads {
        sum.add(&thread?);
    }
    Ok(sum)
}

/// Takes chunks of seeds: runs them, then replays their commits. The machine's moods meet both.
fn measure(scenario: &Scenario, seeds: u64, next: &AtomicU64) -> Result<Spent> {
    let (mut worker, mut floor) = (Worker::new()?, Store::open()?);
    let mut spent = Spent::default();
    loop {
        let first = next.fetch_add(CHUNK, Ordering::Relaxed);
        if first >= seeds {
            return Ok(spent);
        }
        if STOP.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let chunk = first..seeds.min(first + CHUNK);
        let start = Instant::now();
        for seed in chunk.clone() {
            spent.sites += scenario.run(&mut worker, &scenario.plan(seed, None), Mode::default())?.record.sites;
        }
        spent.simulated += start.elapsed();
        let mut runs = Vec::new();
        for seed in chunk {
            let mode = Mode { keep_commits: true, ..Mode::default() };
            runs.push(scenario.run(&mut worker, &scenario.plan(seed, None), mode)?.commits);
        }
        spent.runs += runs.len() as u64;
        spent.commits += runs.iter().map(|commits| commits.len() as u64).sum::<u64>();
        let start = Instant::now();
        for commits in runs {
            replay(&mut floor, commits)?;
        }
        spent.floor += start.elapsed();
    }
}

/// What a run asks of its database, and nothing else: its commits, then the deletion of its rows.
fn replay(store: &mut Store, commits: Vec<KeptCommit>) -> Result<()> {
    let mut rows: Vec<(Table, Vec<u8>)> = Vec::new();
    let count = commits.len() as u64;
    for KeptCommit { batch, requires } in commits {
        for write in &batch {
            let (Write::Put { table, key, .. } | Write::Delete { table, key }) = write;
            if !rows.iter().any(|row| (row.0, &row.1) == (*table, key)) {
                rows.push((*table, key.clone()));
            }
        }
        // refused or not: it was asked
        let _ = store.catalog().commit(batch, &requires)?;
    }
    Ok(store.emptied(rows, count)?)
}
