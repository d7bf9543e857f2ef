//! Which seeds a sweep runs: handed out in chunks from the first one on, until one of its ends is met.

use super::{Ends, Range};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Seeds that a thread takes at a time.
const CHUNK: u64 = 32;

/// One seed out of so many is run a second time, late on its thread; or out of twice as many, or four times, and so on.
pub const REPEAT_EVERY: u64 = 50;

/// At most so many seeds of a sweep are run a second time.
const REPEATS_MAX: u64 = 400;

/// Hands out the seeds of a range, as offsets from the first, and knows to which of them the sweep comes.
pub struct Seeds<'a> {
    /// The first seed.
    pub from: u64,
    ends: Ends<'a>,
    handed: Mutex<Handed>,
    /// Runs made.
    pub done: AtomicU64,
}

/// How far that is.
struct Handed {
    /// The first that nobody has taken.
    next: u64,
    /// The sweep comes to those below. It never rises.
    end: u64,
    /// Where the chunks begin that are being run.
    under_way: BTreeSet<u64>,
    /// The lowest of those that failed: no more than end the sweep.
    failed: BTreeSet<u64>,
}

impl<'a> Seeds<'a> {
    /// Of this range none is handed out.
    pub fn of(range: Range, ends: Ends<'a>) -> Seeds<'a> {
        let handed = Handed { next: 0, end: range.seeds, under_way: BTreeSet::new(), failed: BTreeSet::new() };
        Seeds { from: range.from, ends, handed: Mutex::new(handed), done: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Handed> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was interrupted.
    pub fn is_stopped(&self) -> bool {
        self.ends.stop.load(Ordering::Relaxed)
    }

    /// Takes a chunk. All of it is run, but for an interruption: so those that have been taken have no gap.
    pub fn take(&self) -> Option<std::ops::Range<u64>> {
        let mut handed = self.lock();
        let is_enough = self.ends.is_enough.map(|is_enough| handed.next > 0 && is_enough(handed.next));
        let is_over = self.is_stopped() || is_enough == Some(true);
        if is_over && is_enough.is_some() {
            // how many were asked for nobody knows; where none has been begun, one was
            handed.end = handed.end.min(handed.next.max(1));
        }
        if is_over || handed.next >= handed.end {
            return None;
        }
        let chunk = handed.next..handed.end.min(handed.next.saturating_add(CHUNK));
        handed.next = chunk.end;
        handed.under_way.insert(chunk.start);
        Some(chunk)
    }

    /// Takes in that the chunk which begins there is done, and what failed in it.
    pub fn finish(&self, start: u64, failed: Vec<u64>) {
        let mut handed = self.lock();
        handed.under_way.remove(&start);
        let Some(failures_max) = self.ends.failures_max else { return };
        handed.failed.extend(failed);
        while handed.failed.len() as u64 > failures_max {
            handed.failed.pop_last();
        }
        if handed.failed.len() as u64 == failures_max
            && let Some(last) = handed.failed.last()
        {
            handed.end = handed.end.min(last + 1);
        }
    }

    /// So many seeds the sweep comes to, now that nobody runs any.
    pub fn end(&self) -> u64 {
        self.lock().end
    }

    /// Of those that have been taken, the sweep comes for certain to all below this one: whatever fails from now on is
    /// not below it.
    pub fn settled(&self) -> u64 {
        let handed = self.lock();
        let first = match self.ends.failures_max {
            Some(_) => handed.under_way.first().copied().unwrap_or(handed.next),
            None => handed.next,
        };
        first.min(handed.end)
    }
}

/// In a sweep of so many seeds, one out of how many is run a second time. The threads have no say in it: what a sweep counts
/// is the same on any machine. In a longer sweep these are some of the same, so one whose end is not known yet keeps few.
pub fn repeat_every(seeds: u64) -> u64 {
    REPEAT_EVERY * seeds.div_ceil(REPEAT_EVERY * REPEATS_MAX).next_power_of_two()
}
