//! Many seeds on several threads, added up in memory that does not grow with them.

use crate::record::{Record, Tally};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Seeds that a thread takes at a time.
const CHUNK: u64 = 32;

/// One seed out of at least this many is run a second time, late on its thread.
const REPEAT_EVERY: u64 = 50;

/// At most so many seeds of a sweep are run a second time.
const REPEATS_MAX: u64 = 400;

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Which seeds, on how many threads.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// Threads.
    pub jobs: usize,
}

impl Range {
    /// Whether the seed at this offset is run a second time. The threads have no say in it: what a sweep counts is the same
    /// on any machine.
    fn is_twice(self, offset: u64) -> bool {
        offset.is_multiple_of(self.seeds.div_ceil(REPEATS_MAX).max(REPEAT_EVERY))
    }
}

/// Runs a range of seeds. Each thread gets a worker of its own. `run` makes one run; its last argument is `true` for a
/// second run, which may do nothing different but what must not matter. A set `stop` ends the sweep early with what it
/// has.
///
/// # Errors
/// The first error of a worker.
#[allow(clippy::disallowed_methods, reason = "a sweep is what the threads are for; runs never see them")]
pub fn sweep<W, E: Send>(
    range: Range,
    stop: &AtomicBool,
    mut progress: impl FnMut(u64),
    worker: impl Fn() -> Result<W, E> + Sync,
    run: impl Fn(&mut W, u64, bool) -> Result<Record, E> + Sync,
) -> Result<Tally, E> {
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let live = AtomicU64::new(range.jobs as u64);
    let sum: Mutex<Result<Tally, E>> = Mutex::new(Ok(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..range.jobs {
            scope.spawn(|| {
                // also when it panics: the scope passes that on as soon as nobody waits for this thread any more
                let _leaving = Leaving(&live);
                let tally = work(range, stop, &next, &done, &worker, &run);
                let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                match (tally, &mut *sum) {
                    (Ok(tally), Ok(sum)) => sum.merge(tally),
                    (Err(error), Ok(_)) => {
                        stop.store(true, Ordering::Relaxed);
                        *sum = Err(error);
                    }
                    (_, Err(_)) => {}
                }
            });
        }
        while live.load(Ordering::Acquire) > 0 {
            progress(done.load(Ordering::Relaxed));
            std::thread::park_timeout(PROGRESS_EVERY.min(Duration::from_millis(10 + done.load(Ordering::Relaxed))));
        }
    });
    progress(done.load(Ordering::Relaxed));
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a thread out.
struct Leaving<'a>(&'a AtomicU64);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

fn work<W, E>(
    range: Range,
    stop: &AtomicBool,
    next: &AtomicU64,
    done: &AtomicU64,
    worker: impl Fn() -> Result<W, E>,
    run: impl Fn(&mut W, u64, bool) -> Result<Record, E>,
) -> Result<Tally, E> {
    let mut worker = worker()?;
    let mut tally = Tally::default();
    let mut samples: Vec<Record> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let first = next.fetch_add(CHUNK, Ordering::Relaxed);
        if first >= range.seeds {
            break;
        }
        for offset in first..range.seeds.min(first + CHUNK) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let record = run(&mut worker, range.from.wrapping_add(offset), false)?;
            tally.add(&record);
            done.fetch_add(1, Ordering::Relaxed);
            if range.is_twice(offset) {
                samples.push(record);
            }
        }
    }
    for sample in &samples {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        tally.repeated += 1;
        if run(&mut worker, sample.seed, true)? != *sample {
            tally.unrepeatable.push(sample.seed);
        }
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interference::Interference;
    use crate::plan::Base;

    fn record(seed: u64) -> Record {
        Record {
            seed,
            base: Base::Keyed,
            violations: Vec::new(),
            trace_hash: seed,
            sites: 1,
            joined: 0,
            departed: 0,
            windows: Vec::new(),
            interference: Interference::default(),
            crash_sites: Vec::new(),
            sites_met: Vec::new(),
        }
    }

    fn sweep_with(jobs: usize, run: impl Fn(u64, bool) -> Result<Record, String> + Sync) -> Result<Tally, String> {
        let range = Range { from: 5, seeds: 1000, jobs };
        sweep(range, &AtomicBool::new(false), |_| {}, || Ok(()), |(), seed, again| run(seed, again))
    }

    #[test]
    fn every_seed_runs_once_on_any_number_of_threads() {
        let one = sweep_with(1, |seed, _| Ok(record(seed))).unwrap();
        assert_eq!((one.runs, one.repeated), (1000, 20));
        for jobs in [2, 3, 7] {
            assert_eq!(sweep_with(jobs, |seed, _| Ok(record(seed))).unwrap(), one);
        }
    }

    #[test]
    fn which_seeds_run_twice_depends_on_the_range_alone() {
        for (seeds, repeated) in [(1, 1), (1000, 20), (20_000, 400), (20_001, 393), (100_000, 400), (100_001, 399)] {
            for jobs in [1, 3] {
                let range = Range { from: 7, seeds, jobs };
                let run = |(): &mut (), seed, _| Ok::<_, String>(record(seed));
                let tally = sweep(range, &AtomicBool::new(false), |_| {}, || Ok(()), run).unwrap();
                assert_eq!((tally.runs, tally.repeated), (seeds, repeated), "{seeds} on {jobs}");
            }
        }
    }

    #[test]
    fn a_run_that_does_not_repeat_is_named() {
        let tally = sweep_with(2, |seed, again| Ok(record(if again && seed == 105 { 0 } else { seed }))).unwrap();
        assert_eq!(tally.unrepeatable, [105]);
    }

    #[test]
    fn an_error_ends_the_sweep() {
        let refused = sweep_with(2, |seed, _| if seed == 40 { Err("refused".to_string()) } else { Ok(record(seed)) });
        assert_eq!(refused, Err("refused".to_string()));
    }

    #[test]
    fn a_panicking_worker_ends_the_sweep_and_hangs_nobody() {
        let panics = |seed, _| if seed == 40 { panic!("the harness gives up") } else { Ok(record(seed)) };
        assert!(std::panic::catch_unwind(|| sweep_with(2, panics)).is_err());
    }

    #[test]
    fn a_stopped_sweep_returns_what_it_has() {
        let stop = AtomicBool::new(false);
        let range = Range { from: 0, seeds: u64::MAX, jobs: 2 };
        let run = |(): &mut (), seed, _| {
            if seed >= 100 {
                stop.store(true, Ordering::Relaxed);
            }
            Ok::<_, String>(record(seed))
        };
        let tally = sweep(range, &stop, |_| {}, || Ok(()), run).unwrap();
        assert!((50..1000).contains(&tally.runs), "{}", tally.runs);
    }
}
