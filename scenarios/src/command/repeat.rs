//! `segsim repeat`: shows that a run is a function of its plan and of nothing else.
#![allow(clippy::disallowed_methods, reason = "a command: it starts a second process of itself")]

use super::progress::Progress;
use super::{STOP, Selection};
use crate::error::{Error, Result};
use crate::patched_build::last_line;
use crate::report::grouped;
use crate::scenario::Scenario;
use crate::{say, shell};
use segment_sim::sweep::Range;
use segment_sim::verdict::Verdict;
use segment_sim::world::{Mode, Worker};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many seeds of madsim's own each plan is run under.
const MADSIM_SEEDS: u64 = 8;

/// Seeds of each scenario at most: the hashes of all are kept in memory, about 100 bytes a seed.
const SEEDS_MAX: u64 = 10_000_000;

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Run each seed under 8 seeds of madsim's own, on used threads, all cores busy, and in a second process; compare
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Print the hashes of one pass and compare nothing: what the second process does
    #[arg(long, hide = true)]
    hashes: bool,
}

/// Compares and prints.
///
/// # Errors
/// Bad input, or a harness that failed.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let (mut verdict, mut whole) = (Verdict::Pass, 0);
    let range = arguments.selection.range()?;
    let Range { from, seeds, .. } = range;
    if seeds > SEEDS_MAX {
        let fault = format!("{seeds} are too many: repeat keeps the hashes of all, so {} at most", grouped(SEEDS_MAX));
        return Err(Error::Argument { option: "--seeds", fault });
    }
    let scenarios = arguments.selection.scenarios()?;
    for scenario in &scenarios {
        if STOP.load(Ordering::Relaxed) {
            break;
        }
        if arguments.hashes {
            print_hashes(scenario, range)?;
            continue;
        }
        let (start, bar) = (Instant::now(), Progress::new(scenario.name, (MADSIM_SEEDS + 1) * seeds, "runs"));
        let here = hashes(scenario, range, |runs| bar.tell(runs, start.elapsed()))?;
        if STOP.load(Ordering::Relaxed) {
            // nothing to compare it with
            bar.end();
            break;
        }
        let there = second_process(scenario, range, |runs| bar.tell(MADSIM_SEEDS * seeds + runs, start.elapsed()))?;
        bar.end();
        let compared = here.len().min(there.len());
        let differs = |(index, run): (usize, &Vec<u64>)| {
            let same = run.iter().all(|hash| *hash == run[0]) && there.get(index) == Some(&run[0]);
            (!same).then_some(from.wrapping_add(index as u64))
        };
        let different: Vec<u64> = here.iter().enumerate().take(compared).filter_map(differs).collect();
        say!(
            "{:<28}{} of {} seeds differ ({MADSIM_SEEDS} madsim seeds, two processes)",
            scenario.name,
            different.len(),
            grouped(compared as u64)
        );
        if let Some(first) = different.first() {
            say!("  the first: {} replay {} {first}", shell::program(), scenario.name);
        }
        if !different.is_empty() || compared as u64 != seeds {
            verdict = Verdict::Void;
        }
        whole += usize::from(compared as u64 == seeds);
    }
    if STOP.load(Ordering::Relaxed) && !arguments.hashes {
        say!("{}  interrupted after {whole} of {} scenarios", Verdict::Void.word(), scenarios.len());
        return Ok(Verdict::Void);
    }
    if !arguments.hashes {
        say!("{}", verdict.word());
    }
    Ok(verdict)
}

/// For each seed its trace hashes under each madsim seed. `progress` is told of the runs that are done.
fn hashes(scenario: &Scenario, range: Range, mut progress: impl FnMut(u64)) -> Result<Vec<Vec<u64>>> {
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let all = Mutex::new(vec![Vec::new(); usize::try_from(range.seeds).unwrap_or(usize::MAX)]);
    let work = || -> Result<()> {
        let mut worker = Worker::new()?;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= range.seeds || STOP.load(Ordering::Relaxed) {
                return Ok(());
            }
            let of = |madsim_seed| hash(scenario, &mut worker, range.from.wrapping_add(index), madsim_seed);
            let hashes = (0..MADSIM_SEEDS).map(of).collect::<Result<_>>()?;
            all.lock().unwrap_or_else(PoisonError::into_inner)[index as usize] = hashes;
            done.fetch_add(MADSIM_SEEDS, Ordering::Relaxed);
        }
    };
    let ended: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..range.jobs).map(|_| scope.spawn(work)).collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            let done = done.load(Ordering::Relaxed);
            progress(done);
            std::thread::park_timeout(PROGRESS_EVERY.min(Duration::from_millis(1 + done)));
        }
        threads.into_iter().map(|thread| thread.join().expect("a worker records panics")).collect()
    });
    ended.into_iter().collect::<Result<()>>()?;
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(all.into_iter().take_while(|run| !run.is_empty()).collect())
}

/// The trace hash of a run.
fn hash(scenario: &Scenario, worker: &mut Worker, seed: u64, madsim_seed: u64) -> Result<u64> {
    let mode = Mode { madsim_seed, ..Mode::default() };
    Ok(scenario.run(worker, &scenario.plan(seed, None), mode)?.record.trace_hash)
}

/// Prints the trace hash of each seed. One thread, each run on a thread of its own age: another history than in the first
/// process.
fn print_hashes(scenario: &Scenario, Range { from, seeds, .. }: Range) -> Result<()> {
    let mut worker = Worker::new()?;
    for index in (0..seeds).take_while(|_| !STOP.load(Ordering::Relaxed)) {
        say!("{:016x}", hash(scenario, &mut worker, from.wrapping_add(index), 0)?);
    }
    Ok(())
}

/// The trace hash of each seed in another process.
fn second_process(scenario: &Scenario, range: Range, mut progress: impl FnMut(u64)) -> Result<Vec<u64>> {
    let program = std::env::current_exe().map_err(Error::io("find", "the running program"))?;
    let failed = || Error::io("run", &program);
    let (from, seeds) = (range.from.to_string(), range.seeds.to_string());
    let mut process = Command::new(&program);
    process.args(["repeat", "--hashes", "--scenario", scenario.name, "--from", &from, "--seeds", &seeds]);
    let mut process = process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed())?;
    let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines().map_while(|line| line.ok());
    let mut hashes = Vec::new();
    for hash in lines.filter_map(|line| u64::from_str_radix(&line, 16).ok()) {
        hashes.push(hash);
        progress(hashes.len() as u64);
    }
    let output = process.wait_with_output().map_err(failed())?;
    if !output.status.success() {
        return Err(Error::Process {
            command: "segsim repeat --hashes".to_string(),
            status: output.status,
            last_words: last_line(&output.stderr),
        });
    }
    Ok(hashes)
}
