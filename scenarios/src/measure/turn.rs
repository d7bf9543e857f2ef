//! A turn: some workers take numbers until there are none, or the time is over. What they did, and how long it took.
#![allow(clippy::disallowed_methods, reason = "measures: real time, tasks and threads")]

use crate::command::STOP;
use crate::error::{Error, Result};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When a turn ends: at whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Numbers to hand out.
    pub artifacts: u64,
    /// No number is handed out after this time. What is under way is waited for, and counted.
    pub time: Duration,
}

/// What was done in a turn.
#[derive(Clone, Debug)]
pub struct Turn {
    /// From the first number handed out to the last answer.
    pub elapsed: Duration,
    /// From a number handed out to its answer, of each.
    pub latencies: Vec<Duration>,
}

impl Turn {
    /// Answers.
    pub fn count(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// Hands out numbers: 0, 1, 2 and so on.
struct Numbers {
    next: AtomicU64,
    bound: Bound,
    start: Instant,
}

impl Numbers {
    fn new(bound: Bound) -> Numbers {
        Numbers { next: AtomicU64::new(0), bound, start: Instant::now() }
    }

    fn take(&self) -> Option<u64> {
        if STOP.load(Ordering::Relaxed) || self.start.elapsed() >= self.bound.time {
            return None;
        }
        Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < self.bound.artifacts)
    }

    /// What the workers make together.
    fn turn(&self, workers: impl IntoIterator<Item = Result<Vec<Duration>>>) -> Result<Turn> {
        let elapsed = self.start.elapsed();
        let mut latencies = Vec::new();
        for worker in workers {
            latencies.append(&mut worker?);
        }
        if STOP.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(Turn { elapsed, latencies }) }
    }
}

/// A turn of tasks. Must be called from a runtime.
///
/// # Errors
/// The first of a worker, and [`Error::Interrupted`].
pub async fn tasks<F, Step>(workers: usize, bound: Bound, step: F) -> Result<Turn>
where
    F: Fn(u64) -> Step + Send + Sync + 'static,
    Step: Future<Output = Result<()>> + Send,
{
    let shared = std::sync::Arc::new((Numbers::new(bound), step));
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let shared = shared.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while let Some(number) = shared.0.take() {
                    let start = Instant::now();
                    (shared.1)(number).await?;
                    latencies.push(start.elapsed());
                }
                Ok(latencies)
            })
        })
        .collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.expect("a worker does not panic"));
    }
    shared.0.turn(done)
}

/// A turn of threads.
///
/// # Errors
/// The first of a worker, and [`Error::Interrupted`].
pub fn threads(workers: usize, bound: Bound, step: impl Fn(u64) -> Result<()> + Sync) -> Result<Turn> {
    let numbers = Numbers::new(bound);
    let work = || {
        let mut latencies = Vec::new();
        while let Some(number) = numbers.take() {
            let start = Instant::now();
            step(number)?;
            latencies.push(start.elapsed());
        }
        Ok(latencies)
    };
    let done: Vec<Result<Vec<Duration>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a worker does not panic")).collect()
    });
    numbers.turn(done)
}
