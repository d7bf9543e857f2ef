//! Many seeds on several threads, added up in memory that does not grow with them.
//!
//! What ends a sweep early leaves the seeds up to some one of them, and what is told of these is what a sweep of so many
//! tells; but for an interruption, which leaves gaps.

mod seeds;

use crate::record::{Record, Tally};
use seeds::{REPEAT_EVERY, Seeds, repeat_every};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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

/// What ends a sweep before it is through its range.
#[derive(Clone, Copy)]
pub struct Ends<'a> {
    /// An interruption: once it is set, at once.
    pub stop: &'a AtomicBool,
    /// Once it says so of how many seeds have been begun, no more are. The first ones are begun whatever it says.
    pub is_enough: Option<&'a (dyn Fn(u64) -> bool + Sync)>,
    /// With this failure, counted in the order of seeds; the first is 1.
    pub failures_max: Option<u64>,
}

/// What became of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// The runs, added up.
    pub tally: Tally,
    /// How many seeds it came to, from the first one on. Fewer runs than that were interrupted.
    pub seeds: u64,
}

impl<'a> Ends<'a> {
    /// An interruption alone.
    pub fn on(stop: &'a AtomicBool) -> Ends<'a> {
        Ends { stop, is_enough: None, failures_max: None }
    }
}

/// Runs a range of seeds. Each thread gets a worker of its own. `run` makes one run; its last argument is `true` for a
/// second run, which may do nothing different but what must not matter.
///
/// # Errors
/// The first error of a worker.
#[allow(clippy::disallowed_methods, reason = "a sweep is what the threads are for; runs never see them")]
pub fn sweep<W, E: Send>(
    range: Range,
    ends: Ends<'_>,
    mut progress: impl FnMut(u64),
    worker: impl Fn() -> Result<W, E> + Sync,
    run: impl Fn(&mut W, u64, bool) -> Result<Record, E> + Sync,
) -> Result<Swept, E> {
    let seeds = Seeds::of(range, ends);
    let live = AtomicU64::new(range.jobs as u64);
    let parts: Mutex<Result<Vec<Part>, E>> = Mutex::new(Ok(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..range.jobs {
            scope.spawn(|| {
                // also when it panics: the scope passes that on as soon as nobody waits for this thread any more
                let _leaving = Leaving { live: &live, stop: ends.stop };
                let part = work(&seeds, &worker, &run);
                let mut parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
                match (part, &mut *parts) {
                    (Ok(part), Ok(parts)) => parts.push(part),
                    (Err(error), Ok(_)) => {
                        ends.stop.store(true, Ordering::Relaxed);
                        *parts = Err(error);
                    }
                    (_, Err(_)) => {}
                }
            });
        }
        let done = || seeds.done.load(Ordering::Relaxed);
        while live.load(Ordering::Acquire) > 0 {
            progress(done());
            std::thread::park_timeout(PROGRESS_EVERY.min(Duration::from_millis(10 + done())));
        }
        progress(done());
    });
    let parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    let end = seeds.end();
    Ok(Swept { tally: sum(range.from, end, parts), seeds: end })
}

/// Counts a thread out; the others stop where it panics.
struct Leaving<'a> {
    live: &'a AtomicU64,
    stop: &'a AtomicBool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.live.fetch_sub(1, Ordering::Release);
    }
}

/// What a thread has, each by its offset.
#[derive(Default)]
struct Part {
    /// The runs to which the sweep comes for certain.
    tally: Tally,
    /// Those that may be behind its end.
    held: Vec<(u64, Record)>,
    /// Second runs, and whether they were the same.
    repeated: Vec<(u64, bool)>,
}

impl Part {
    /// Adds up what is below.
    fn settle(&mut self, settled: u64) {
        let count = self.held.partition_point(|(offset, _)| *offset < settled);
        self.held.drain(..count).for_each(|(_, record)| self.tally.add(&record));
    }
}

fn work<W, E>(
    seeds: &Seeds<'_>,
    worker: impl Fn() -> Result<W, E>,
    run: impl Fn(&mut W, u64, bool) -> Result<Record, E>,
) -> Result<Part, E> {
    let mut worker = worker()?;
    let mut part = Part::default();
    let mut samples: Vec<(u64, Record)> = Vec::new();
    let thin = |samples: &mut Vec<(u64, Record)>, settled| {
        let every = repeat_every(settled);
        samples.retain(|(offset, _)| offset.is_multiple_of(every));
    };
    while let Some(chunk) = seeds.take() {
        let (start, mut failed) = (chunk.start, Vec::new());
        for offset in chunk.take_while(|_| !seeds.is_stopped()) {
            let record = run(&mut worker, seeds.from.wrapping_add(offset), false)?;
            seeds.done.fetch_add(1, Ordering::Relaxed);
            if !record.violations.is_empty() {
                failed.push(offset);
            }
            if offset.is_multiple_of(REPEAT_EVERY) {
                samples.push((offset, record.clone()));
            }
            part.held.push((offset, record));
        }
        seeds.finish(start, failed);
        let settled = seeds.settled();
        part.settle(settled);
        thin(&mut samples, settled);
    }
    thin(&mut samples, seeds.settled());
    for (offset, sample) in samples {
        if seeds.is_stopped() {
            break;
        }
        part.repeated.push((offset, run(&mut worker, sample.seed, true)? == sample));
    }
    Ok(part)
}

/// Adds up what is below the end.
fn sum(from: u64, end: u64, parts: Vec<Part>) -> Tally {
    let (mut sum, every) = (Tally::default(), repeat_every(end));
    for mut part in parts {
        part.settle(end);
        sum.merge(part.tally);
        let is_twice = |(offset, _): &(u64, bool)| *offset < end && offset.is_multiple_of(every);
        for (offset, is_same) in part.repeated.into_iter().filter(is_twice) {
            sum.repeated += 1;
            if !is_same {
                sum.unrepeatable.push(from.wrapping_add(offset));
            }
        }
    }
    sum.unrepeatable.sort_unstable();
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interference::Interference;
    use crate::plan::Base;
    use crate::verdict::Violation;

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
        let never = AtomicBool::new(false);
        let swept = sweep(range, Ends::on(&never), |_| {}, || Ok(()), |(), seed, again| run(seed, again));
        swept.map(|Swept { tally, .. }| tally)
    }

    /// Every 97th seed fails, and the second run of every 1,000th differs.
    fn sweep_some(range: Range, is_enough: Option<&(dyn Fn(u64) -> bool + Sync)>, failures_max: Option<u64>) -> Swept {
        let run = |(): &mut (), seed: u64, again| {
            let violation = || Violation {
                oracle: "oracle".to_string(),
                step: 1,
                race: "race".to_string(),
                sentence: format!("seed {seed} fails"),
            };
            let mut record = record(seed);
            record.violations = seed.is_multiple_of(97).then(violation).into_iter().collect();
            record.trace_hash += u64::from(again && seed.is_multiple_of(1000));
            Ok::<_, String>(record)
        };
        let stop = &AtomicBool::new(false);
        sweep(range, Ends { stop, is_enough, failures_max }, |_| {}, || Ok(()), run).unwrap()
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
        for (seeds, repeated) in [(1, 1), (1000, 20), (20_000, 400), (20_001, 201), (40_000, 400), (100_001, 251)] {
            for jobs in [1, 3] {
                let Swept { tally, seeds: swept } = sweep_some(Range { from: 7, seeds, jobs }, None, None);
                assert_eq!((tally.runs, tally.repeated, swept), (seeds, repeated, seeds), "{seeds} on {jobs}");
            }
        }
    }

    #[test]
    fn a_sweep_that_has_enough_is_the_sweep_of_the_seeds_that_it_came_to() {
        for jobs in [1, 3] {
            // asked before each chunk but the first
            for (chunks, seeds) in [(1, 32), (10, 320), (700, 22_400), (1400, 44_800)] {
                let left = AtomicU64::new(chunks);
                let is_enough = |_| left.fetch_sub(1, Ordering::Relaxed) <= 1;
                let open = Range { from: 3000, seeds: u64::MAX - 3000, jobs };
                let swept = sweep_some(open, Some(&is_enough), None);
                assert_eq!(swept.seeds, seeds, "{chunks} on {jobs}");
                assert_eq!(swept, sweep_some(Range { from: 3000, seeds, jobs: 2 }, None, None));
            }
        }
    }

    #[test]
    fn with_the_last_failure_that_is_let_be_the_seeds_end_on_any_number_of_threads() {
        // seeds 97, 194 and so on; the second run of seed 1,000 is counted where it comes before the end
        for (failures_max, seeds) in [(1, 88), (2, 185), (11, 1058), (300, 29_091), (311, 30_000)] {
            for jobs in [1, 2, 7] {
                let range = Range { from: 10, seeds: 30_000, jobs };
                let swept = sweep_some(range, None, Some(failures_max));
                assert_eq!(swept.seeds, seeds, "{failures_max} on {jobs}");
                assert_eq!(swept, sweep_some(Range { from: 10, seeds, jobs: 3 }, None, None));
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
        let Swept { tally, seeds } = sweep(range, Ends::on(&stop), |_| {}, || Ok(()), run).unwrap();
        assert!((50..1000).contains(&tally.runs) && seeds == u64::MAX, "{} of {seeds}", tally.runs);
    }

    #[test]
    fn a_sweep_without_a_number_of_seeds_that_is_stopped_says_how_many_it_had_begun() {
        for (first, seeds) in [(0, 1), (40, 64)] {
            let stop = AtomicBool::new(first == 0);
            let range = Range { from: 0, seeds: u64::MAX, jobs: 1 };
            let run = |(): &mut (), seed, _| {
                stop.store(seed == first, Ordering::Relaxed);
                Ok::<_, String>(record(seed))
            };
            let ends = Ends { is_enough: Some(&|_| false), ..Ends::on(&stop) };
            let swept = sweep(range, ends, |_| {}, || Ok(()), run).unwrap();
            assert_eq!((swept.tally.runs, swept.seeds), (if first == 0 { 0 } else { first + 1 }, seeds));
        }
    }
}
