//! What a sweep without a failure says, by the rule of three: where none of n tries has failed, it is 95 % certain that
//! fewer than 3 of n do (Hanley, Lippman-Hand, JAMA 1983).
//!
//! A try is a seed, and of a window one in which somebody came by: what comes by in one run depends on the rest of it, so
//! a seed counts once. Both are about this scenario and the failures that the oracles see, nothing else.

use crate::report::grouped;
use segment_sim::record::{Tally, WindowTally};
use segment_sim::window::Window;

/// Fewer tries than this say nothing.
const TRIES_MIN: u64 = 30;

/// How much longer a sweep could be.
const LONGER: u64 = 10;

/// The bound of a window: a failure in fewer than one of so many seeds with an arrival, or with a landing where arrivals are
/// not counted.
pub fn of_window(window: &Window, sum: &WindowTally) -> String {
    let seeds = if window.wants.is_some() { sum.arrived } else { sum.landed };
    one_in(seeds).map_or_else(|| "-".to_string(), |of| format!("{} seeds that met it", grouped(of)))
}

/// The bound of a seed in words, and what more seeds would add; nothing where something failed or too little was tried.
pub fn of_seeds(tally: &Tally) -> Option<String> {
    let of = one_in(tally.runs).filter(|_| tally.failed == 0)?;
    let longer = one_in(tally.runs * LONGER)?;
    Some(format!(
        "  no seed failed, so with 95 % confidence fewer than 1 in {} seeds does (rule of three); the last column says so of \
         those seeds in which something arrived at a window, or landed in it\n  ten times the seeds without a failure \
         would lower that to 1 in {}, and the last column likewise\n",
        grouped(of),
        grouped(longer)
    ))
}

/// How long the seeds take that make a sweep ten times as long.
pub fn longer(wall_seconds: f64) -> String {
    let seconds = wall_seconds * (LONGER - 1) as f64;
    let time = match seconds {
        ..100.0 => format!("{seconds:.0} s"),
        ..6000.0 => format!("{:.0} minutes", seconds / 60.0),
        _ => format!("{:.1} hours", seconds / 3600.0),
    };
    format!("ten times the seeds would take {time} more")
}

/// Fewer than one of so many tries fails, if none of `tries` has.
fn one_in(tries: u64) -> Option<u64> {
    (tries >= TRIES_MIN).then_some(tries / 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_sim::vocabulary::WINDOWS;
    use segment_sim::window::WindowCount;

    #[test]
    fn the_rule_of_three_is_close_to_the_exact_bound_and_never_promises_more_than_three_of_n() {
        for tries in [TRIES_MIN, 31, 100, 12_345] {
            let of = one_in(tries).unwrap() as f64;
            // if one in `of` failed, then all would pass so often
            let all_pass = (1.0 - 1.0 / of).powi(i32::try_from(tries).unwrap());
            assert!((0.035..0.05).contains(&all_pass), "{tries}: {all_pass}");
        }
        assert_eq!(one_in(TRIES_MIN - 1), None);
    }

    #[test]
    fn a_sweep_with_a_failure_claims_nothing() {
        let clean = Tally { runs: 600, ..Tally::default() };
        let text = of_seeds(&clean).unwrap();
        assert!(text.contains("1 in 200 seeds") && text.contains("1 in 2,000"), "{text}");
        assert_eq!(of_seeds(&Tally { failed: 1, ..clean.clone() }), None);
        assert_eq!(of_seeds(&Tally { runs: 3, ..clean }), None);
    }

    #[test]
    fn a_window_counts_the_seeds_in_which_something_arrived_and_an_optimistic_one_landed() {
        let count = WindowCount { openings: 900, arrivals: 3000, landings: 600 };
        let sum = WindowTally { count, opened: 500, arrived: 300, landed: 60 };
        let of = |name: &str| of_window(WINDOWS.iter().find(|window| window.name == name).unwrap(), &sum);
        assert_eq!([of("clone-to-save"), of("row-to-read")], ["100 seeds that met it", "20 seeds that met it"]);
        assert_eq!(of_window(&WINDOWS[0], &WindowTally::default()), "-");
    }

    #[test]
    fn ten_times_the_seeds_take_nine_times_as_long_more() {
        assert_eq!(longer(1.0), "ten times the seeds would take 9 s more");
        assert_eq!(longer(60.0), "ten times the seeds would take 9 minutes more");
        assert_eq!(longer(6000.0), "ten times the seeds would take 15.0 hours more");
    }
}
