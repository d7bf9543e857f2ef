//! How a seed becomes a schedule.
//!
//! Each seed gets a base and a subset of the knobs (swarm testing: Groce et al., ISSTA 2012): what is off in a seed
//! cannot crowd out what is on.

use crate::decision::{Decisions, Ratio};
use crate::plan::{Base, Knobs, Schedule};

/// What a strategy may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The base of every seed; `None` takes each in turn.
    pub base: Option<Base>,
    /// Callers may be dropped.
    pub cancels: bool,
    /// Writes may meet a full disk that is not.
    pub fills: bool,
}

/// The schedule of a seed.
pub fn schedule(seed: u64, options: Options) -> Schedule {
    let decisions = Decisions::new(seed, "strategy");
    let base = options.base.unwrap_or(Base::ALL[(seed % 3) as usize]);
    let pick = |name: &str, choices: &[Ratio]| choices[decisions.between(name, 0, choices.len() as u64 - 1) as usize];
    let holds = match base {
        // nothing but holds preempts it
        Base::Sequential => pick("hold", &[Ratio::new(2, 100), Ratio::new(5, 100), Ratio::new(15, 100)]),
        Base::Keyed | Base::Priority => pick("hold", &[Ratio::NEVER, Ratio::NEVER, Ratio::new(3, 100)]),
    };
    let knobs = Knobs {
        hold: holds,
        slow: pick("slow", &[Ratio::NEVER, Ratio::new(1, 2), Ratio::new(1, 1)]),
        fail: pick("fail", &[Ratio::NEVER, Ratio::NEVER, Ratio::NEVER, Ratio::new(1, 4)]),
        full: if options.fills {
            pick("full", &[Ratio::NEVER, Ratio::NEVER, Ratio::new(5, 100), Ratio::new(20, 100)])
        } else {
            Ratio::NEVER
        },
        cancel: if options.cancels {
            pick("cancel", &[Ratio::NEVER, Ratio::NEVER, Ratio::new(2, 100)])
        } else {
            Ratio::NEVER
        },
        change: match base {
            Base::Priority => pick("change", &[Ratio::new(2, 100), Ratio::new(5, 100), Ratio::new(10, 100)]),
            Base::Keyed | Base::Sequential => Ratio::NEVER,
        },
    };
    Schedule { seed, base, knobs, injections: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_seeds_in_a_row_take_the_three_bases() {
        let options = Options { base: None, cancels: true, fills: true };
        let bases: Vec<Base> = (30..33).map(|seed| schedule(seed, options).base).collect();
        assert_eq!(bases, Base::ALL);
    }

    #[test]
    fn every_knob_is_off_in_some_seeds_and_on_in_others() {
        let schedules: Vec<Schedule> =
            (0..200).map(|seed| schedule(seed, Options { base: None, cancels: true, fills: true })).collect();
        let knobs: [fn(&Knobs) -> Ratio; 6] = [
            |knobs| knobs.hold,
            |knobs| knobs.slow,
            |knobs| knobs.fail,
            |knobs| knobs.full,
            |knobs| knobs.cancel,
            |knobs| knobs.change,
        ];
        for knob in knobs {
            assert!(schedules.iter().any(|schedule| knob(&schedule.knobs).hits == 0));
            assert!(schedules.iter().any(|schedule| knob(&schedule.knobs).hits > 0));
        }
        let without = Options { base: None, cancels: false, fills: false };
        assert!((0..200).all(|seed| schedule(seed, without).knobs.cancel == Ratio::NEVER));
    }
}
