//! `segsim repeat`: shows that a run is a function of its plan and of nothing else.
#![allow(clippy::disallowed_methods, reason = "a command: it starts a second process of itself")]

use super::{STOP, Selection};
use crate::error::{Error, Result};
use crate::report::grouped;
use crate::say;
use crate::scenario::Scenario;
use crate::yard::last_line;
use segment_sim::sweep::Range;
use segment_sim::verdict::Verdict;
use segment_sim::world::{Mode, Worker};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many seeds of madsim's own each plan is run under.
const MADSIM_SEEDS: u64 = 8;

/// Seeds of each scenario at most: the hashes of all are kept in memory, about 100 bytes a seed.
const SEEDS_MAX: u64 = 10_000_000;

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
    let Range { from, seeds, jobs } = arguments.selection.range()?;
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
            // one thread, each run on a thread of its own age: another history than in the first process
            let hashes = hashes(scenario, from, seeds, 1, 1)?;
            hashes.iter().for_each(|run| say!("{:016x}", run[0]));
            continue;
        }
        let here = hashes(scenario, from, seeds, MADSIM_SEEDS, jobs)?;
        if STOP.load(Ordering::Relaxed) {
            // nothing to compare it with
            break;
        }
        let there = second_process(scenario, from, seeds)?;
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
            say!("  the first: segsim replay {} {first}", scenario.name);
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

/// For each seed its trace hashes under each madsim seed.
fn hashes(scenario: &Scenario, from: u64, seeds: u64, madsim_seeds: u64, jobs: usize) -> Result<Vec<Vec<u64>>> {
    let next = AtomicU64::new(0);
    let all = Mutex::new(vec![Vec::new(); usize::try_from(seeds).unwrap_or(usize::MAX)]);
    let work = || -> Result<()> {
        let mut worker = Worker::new()?;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= seeds || STOP.load(Ordering::Relaxed) {
                return Ok(());
            }
            let plan = scenario.plan(from.wrapping_add(index), None);
            let mut hashes = Vec::new();
            for madsim_seed in 0..madsim_seeds {
                let mode = Mode { madsim_seed, ..Mode::default() };
                hashes.push(scenario.run(&mut worker, &plan, mode)?.record.trace_hash);
            }
            all.lock().unwrap_or_else(PoisonError::into_inner)[index as usize] = hashes;
        }
    };
    let ended: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a worker records panics")).collect()
    });
    ended.into_iter().collect::<Result<()>>()?;
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(all.into_iter().take_while(|run| !run.is_empty()).collect())
}

fn second_process(scenario: &Scenario, from: u64, seeds: u64) -> Result<Vec<u64>> {
    let program = std::env::current_exe().map_err(Error::io("find", "the running program"))?;
    let (from, seeds) = (from.to_string(), seeds.to_string());
    let arguments = ["repeat", "--hashes", "--scenario", scenario.name, "--from", &from, "--seeds", &seeds];
    let output = Command::new(&program).args(arguments).output().map_err(Error::io("run", &program))?;
    if !output.status.success() {
        return Err(Error::Process {
            command: "segsim repeat --hashes".to_string(),
            status: output.status,
            last_words: last_line(&output.stderr),
        });
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    Ok(lines.lines().filter_map(|line| u64::from_str_radix(line, 16).ok()).collect())
}
