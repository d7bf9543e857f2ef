//! How a seed becomes a schedule.
//!
//! Each seed gets a strategy and a subset of the knobs (swarm testing: Groce et al., ISSTA 2012): what is off in a seed
//! cannot crowd out what is on. A portfolio splits the seeds over the strategies: none is best at everything.

use crate::decision::{Decisions, Ratio};
use crate::plan::{Base, Crash, CrashKind, Knobs, Moment, Schedule};
use serde::{Deserialize, Serialize};

/// Crashes at a step come before this one; a life that does not take so many ends when nothing can go on.
const CRASH_STEP_MAX: u64 = 160;

/// Crashes early in a life come before this step: most of them while what the last one left is mended.
const EARLY_STEP_MAX: u64 = 24;

/// A kind of site with a larger weight is seldom met.
const SELDOM_WEIGHT: u64 = 20;

/// Crashes at a kind of site are mostly at its first time, and else at one of so many.
const CRASH_NTH_MAX: u64 = 3;

/// The sites of a usual run: a priority seed of depth d changes priorities at (d - 1) out of so many. PCT picks d - 1
/// steps; here each site draws for itself, so that d - 1 are expected and a new point moves no other change.
const SITES_USUAL: u32 = 100;

/// The depths of priority seeds.
const DEPTHS: [u32; 4] = [2, 3, 5, 8];

/// A way to look for races.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Any order: base `keyed`.
    Keyed,
    /// Any order of the tasks and a few changes: base `priority`, with a depth for each seed.
    Priority,
    /// A few holds on the sequential base, most of them where a window opens.
    Holds,
}

impl Strategy {
    /// Every strategy. A portfolio gives them the seeds in turn.
    pub const ALL: [Strategy; 3] = [Strategy::Keyed, Strategy::Priority, Strategy::Holds];

    /// The strategy of a seed of a portfolio.
    pub fn of(seed: u64) -> Strategy {
        Strategy::ALL[(seed % 3) as usize]
    }

    /// The strategy that runs on a base.
    pub fn on(base: Base) -> Strategy {
        match base {
            Base::Keyed => Strategy::Keyed,
            Base::Priority => Strategy::Priority,
            Base::Sequential => Strategy::Holds,
        }
    }

    /// The base that it runs on.
    pub fn base(self) -> Base {
        match self {
            Strategy::Keyed => Base::Keyed,
            Strategy::Priority => Base::Priority,
            Strategy::Holds => Base::Sequential,
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Keyed => "keyed",
            Strategy::Priority => "priority",
            Strategy::Holds => "holds",
        }
    }
}

/// What a schedule may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The strategy of every seed; `None` is the portfolio.
    pub strategy: Option<Strategy>,
    /// Callers may be dropped.
    pub cancels: bool,
    /// Writes may meet a full disk that is not.
    pub fills: bool,
    /// Any operation may fail, in every life of the process but the last.
    pub breaks: bool,
    /// Reads may find a bit flipped.
    pub rots: bool,
    /// The process may end.
    pub crashes: Option<Crashes>,
}

/// How the process may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crashes {
    /// What survives.
    pub kinds: &'static [CrashKind],
    /// At most so often; at least once.
    pub at_most: u64,
    /// When.
    pub when: CrashWhen,
    /// The kinds of sites that it is aimed at, and their weights.
    pub sites: &'static [(&'static str, u64)],
    /// Those that there are in this scenario besides.
    pub own_sites: &'static [(&'static str, u64)],
    /// Those that there are in later lives besides.
    pub later_sites: &'static [(&'static str, u64)],
}

/// When the process may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashWhen {
    /// Anywhere.
    Anywhere,
    /// Anywhere, and then again soon.
    Again,
    /// In one of the first steps of each life, but of the first one when nothing can go on.
    Soon,
    /// When all callers are gone.
    CallersGone,
    /// When nothing can go on.
    Idle,
}

impl Crashes {
    fn of(&self, decisions: &Decisions) -> Vec<Crash> {
        (0..decisions.between("crashes", 1, self.at_most)).map(|life| self.crash(decisions, life)).collect()
    }

    fn crash(&self, decisions: &Decisions, life: u64) -> Crash {
        let draw = |name: &str, bound: usize| decisions.between_of(name, life, 0, bound as u64 - 1) as usize;
        let step = |max| Moment::Step(decisions.between_of("crash step", life, 0, max) as u32);
        let at = match (self.when, draw("crash at", 8)) {
            (CrashWhen::CallersGone, _) => Moment::CallersGone,
            (CrashWhen::Idle, _) | (CrashWhen::Anywhere, 0) => Moment::Idle,
            (CrashWhen::Soon, 0) => Moment::Idle,
            (CrashWhen::Soon, _) if life == 0 => Moment::Idle,
            (CrashWhen::Soon, _) => step(EARLY_STEP_MAX),
            (CrashWhen::Again, 0..=5) if life > 0 => step(EARLY_STEP_MAX),
            (_, 1..=2) if life > 0 => step(EARLY_STEP_MAX),
            (_, 1..=2) => step(CRASH_STEP_MAX),
            _ => {
                let nth = decisions.between_of("crash nth", life, 1, 2 * CRASH_NTH_MAX).saturating_sub(CRASH_NTH_MAX);
                let is_later = life > 0 && draw("crash later", 3) > 0;
                let [sites, own] = if is_later { [self.later_sites, &[]] } else { [self.sites, self.own_sites] };
                let mut sites = sites.iter().chain(own);
                let weights: u64 = sites.clone().map(|(_, weight)| weight).sum();
                let mut drawn = decisions.between_of("crash site", life, 1, weights);
                let is_drawn = |(_, weight): &&(&str, u64)| {
                    let is_here = drawn <= *weight;
                    drawn = drawn.saturating_sub(*weight);
                    is_here
                };
                let (site, weight) = sites.find(is_drawn).expect("the draw is not above the sum of all weights");
                // what is seldom met is hardly met twice
                let nth = if *weight > SELDOM_WEIGHT { 1 } else { nth.max(1) };
                Moment::Site(site.to_string(), nth as u32)
            }
        };
        // an engine is closed only where nobody calls it
        let is_uncalled = matches!(at, Moment::CallersGone | Moment::Idle);
        let kinds = self.kinds.iter().filter(|kind| is_uncalled || **kind != CrashKind::Close);
        let kinds: Vec<CrashKind> = kinds.copied().collect();
        let kind = kinds[draw("crash kind", kinds.len())];
        let has_work_left = kind == CrashKind::Close && draw("close at", 2) > 0;
        Crash { kind, at: if has_work_left { Moment::CallersGone } else { at } }
    }
}

/// The schedule of a seed.
pub fn schedule(seed: u64, options: Options) -> Schedule {
    let decisions = Decisions::new(seed, "strategy");
    let strategy = options.strategy.unwrap_or(Strategy::of(seed));
    let pick = |name: &str, choices: &[Ratio]| choices[decisions.between(name, 0, choices.len() as u64 - 1) as usize];
    let (hold, hold_opening) = match strategy {
        // nothing but holds preempts it
        Strategy::Holds => (
            pick("hold", &[Ratio::NEVER, Ratio::new(2, 100), Ratio::new(5, 100)]),
            pick("hold opening", &[Ratio::new(10, 100), Ratio::new(20, 100), Ratio::new(40, 100)]),
        ),
        Strategy::Keyed | Strategy::Priority => {
            (pick("hold", &[Ratio::NEVER, Ratio::NEVER, Ratio::new(3, 100)]), Ratio::NEVER)
        }
    };
    let knobs = Knobs {
        hold,
        hold_opening,
        slow: pick("slow", &[Ratio::NEVER, Ratio::new(1, 2), Ratio::new(1, 1)]),
        fail: pick("fail", &[Ratio::NEVER, Ratio::NEVER, Ratio::NEVER, Ratio::new(1, 4)]),
        full: if options.fills {
            pick("full", &[Ratio::NEVER, Ratio::NEVER, Ratio::new(5, 100), Ratio::new(20, 100)])
        } else {
            Ratio::NEVER
        },
        broken: if options.breaks {
            pick("broken", &[Ratio::new(1, 100), Ratio::new(3, 100), Ratio::new(10, 100)])
        } else {
            Ratio::NEVER
        },
        rot: if options.rots {
            pick("rot", &[Ratio::NEVER, Ratio::new(5, 100), Ratio::new(20, 100), Ratio::new(1, 2)])
        } else {
            Ratio::NEVER
        },
        cancel: match options.crashes {
            _ if !options.cancels => Ratio::NEVER,
            // what callers that are dropped leave behind is what it is about
            Some(Crashes { when: CrashWhen::CallersGone, .. }) => {
                pick("cancel", &[Ratio::NEVER, Ratio::new(5, 100), Ratio::new(10, 100)])
            }
            _ => pick("cancel", &[Ratio::NEVER, Ratio::NEVER, Ratio::new(2, 100)]),
        },
        change: match strategy {
            Strategy::Priority => pick("change", &DEPTHS.map(|depth| Ratio::new(depth - 1, SITES_USUAL))),
            Strategy::Keyed | Strategy::Holds => Ratio::NEVER,
        },
    };
    let crashes = options.crashes.map_or_else(Vec::new, |crashes| crashes.of(&decisions));
    Schedule { seed, base: strategy.base(), knobs, injections: Vec::new(), crashes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const CRASHES: Crashes = Crashes {
        kinds: &[CrashKind::Kill, CrashKind::PowerLoss],
        at_most: 2,
        when: CrashWhen::Anywhere,
        sites: &[("put@A", 1), ("put@B", 2)],
        own_sites: &[],
        later_sites: &[("open@A", 1)],
    };
    const ALL: Options =
        Options { strategy: None, cancels: true, fills: true, breaks: true, rots: true, crashes: Some(CRASHES) };

    #[test]
    fn three_seeds_in_a_row_take_the_three_strategies_and_a_given_one_takes_all() {
        let of = |strategy| (30..33).map(move |seed| schedule(seed, Options { strategy, ..ALL }).base);
        assert!(of(None).eq(Base::ALL));
        for strategy in Strategy::ALL {
            assert!(of(Some(strategy)).all(|base| Strategy::on(base) == strategy));
        }
    }

    #[test]
    fn every_depth_is_drawn_and_other_strategies_change_nothing() {
        let depths: BTreeSet<u32> = (0..100).map(|seed| schedule(3 * seed + 1, ALL).knobs.change.hits + 1).collect();
        assert!(depths.into_iter().eq(DEPTHS));
        let others = (0..100).filter(|seed| seed % 3 != 1);
        assert!(others.map(|seed| schedule(seed, ALL).knobs.change).all(|change| change == Ratio::NEVER));
    }

    #[test]
    fn holds_are_few_and_most_of_them_where_a_window_opens() {
        for seed in 0..100 {
            let Knobs { hold, hold_opening, .. } = schedule(seed, ALL).knobs;
            let is_holds = Strategy::of(seed) == Strategy::Holds;
            assert_eq!(hold_opening.hits > 0, is_holds);
            assert!(hold.hits * 20 <= hold.of, "{hold:?}");
            assert!(!is_holds || 2 * hold.hits * hold_opening.of <= hold_opening.hits * hold.of);
        }
    }

    #[test]
    fn every_knob_is_off_in_some_seeds_and_on_in_others() {
        let schedules: Vec<Schedule> = (0..200).map(|seed| schedule(seed, ALL)).collect();
        let knobs: [fn(&Knobs) -> Ratio; 8] = [
            |knobs| knobs.hold,
            |knobs| knobs.hold_opening,
            |knobs| knobs.slow,
            |knobs| knobs.fail,
            |knobs| knobs.full,
            |knobs| knobs.rot,
            |knobs| knobs.cancel,
            |knobs| knobs.change,
        ];
        for knob in knobs {
            assert!(schedules.iter().any(|schedule| knob(&schedule.knobs).hits == 0));
            assert!(schedules.iter().any(|schedule| knob(&schedule.knobs).hits > 0));
        }
        let without =
            Options { strategy: None, cancels: false, fills: false, breaks: false, rots: false, crashes: None };
        assert!((0..200).all(|seed| schedule(seed, without).knobs.cancel == Ratio::NEVER));
        assert!((0..200).all(|seed| schedule(seed, without).crashes.is_empty()));
    }

    #[test]
    fn the_process_ends_at_every_kind_of_moment() {
        let crashes: Vec<Crash> = (0..200).flat_map(|seed| schedule(seed, ALL).crashes).collect();
        let is_some = |is: fn(&Crash) -> bool| assert!(crashes.iter().any(is));
        is_some(|crash| crash.kind == CrashKind::Kill && crash.at == Moment::Idle);
        is_some(|crash| crash.kind == CrashKind::PowerLoss && matches!(crash.at, Moment::Step(_)));
        is_some(|crash| crash.at == Moment::Site("put@B".to_string(), 3));
        let again = Crashes { when: CrashWhen::Again, ..CRASHES };
        let second: Vec<Crash> = (0..200)
            .filter_map(|seed| schedule(seed, Options { crashes: Some(again), ..ALL }).crashes.into_iter().nth(1))
            .collect();
        let early =
            second.iter().filter(|crash| matches!(crash.at, Moment::Step(step) if u64::from(step) <= EARLY_STEP_MAX));
        assert!(early.count() * 2 > second.len());
    }

    #[test]
    fn the_engine_is_closed_only_where_nobody_calls_it() {
        let closing = Crashes { kinds: &[CrashKind::Kill, CrashKind::PowerLoss, CrashKind::Close], ..CRASHES };
        let of =
            |crashes| (0..200).flat_map(move |seed| schedule(seed, Options { crashes: Some(crashes), ..ALL }).crashes);
        for at in [Moment::CallersGone, Moment::Idle] {
            assert!(of(closing).any(|crash| crash == Crash { kind: CrashKind::Close, at: at.clone() }));
        }
        for (crash, without) in of(closing).zip(of(CRASHES)) {
            let is_closed = crash.kind == CrashKind::Close;
            assert!(if without.at == Moment::Idle { is_closed || crash.at == without.at } else { crash == without });
        }
    }
}
