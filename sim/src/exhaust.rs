//! Every order there is, within bounds: a search over the choices of runs.
//!
//! Each run begins at the start, takes the choices that it is given, and from then on the first alternative of each. What
//! it did not take is for later runs. Runs without a preemption come first, then those with one, and so on (iterative
//! context bounding: Musuvathi and Qadeer, PLDI 2007): the first failure has the fewest preemptions that there are.
//!
//! A run that comes to a state which an earlier run has gone on from ends there: whatever follows is, or will be, run
//! from the earlier one, which came there with no more preemptions. What counts as the same state: [`crate::footprint`].
//! Everything that is found does not depend on the number of threads: they make the runs, one thread takes them in, in
//! an order of its own.

mod crew;
mod saved;

pub use crew::{Ended, exhaust};
pub use saved::Damaged;

use crate::choice::{Choice, Deviation, Walk};
use crate::known::Known;
use crate::verdict::Violation;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, RwLock};

/// Of the steps that were taken before, so many are taken again all the same, beside the first of their kind: spread over
/// the whole search by their numbers, at first one of so many.
const AUDITS_MAX: usize = 2_000;
const AUDIT_FIRST: u64 = 16;

/// What a search may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Preemptions of a run; `None` is any number.
    pub preemptions: Option<u32>,
    /// Faults of a run.
    pub faults: u32,
    /// Runs end in states that are known.
    pub joins: bool,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its choices.
    pub walk: Walk,
    /// What the oracles found.
    pub violations: Vec<Violation>,
    /// The hash of its trace.
    pub trace_hash: u64,
    /// Its steps.
    pub steps: u64,
    /// It did not come to its end.
    pub is_cut_short: bool,
}

/// A moment of a run: its deviations, and the choice that it comes to then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The choices that are not the first alternative.
    pub deviations: Box<[Deviation]>,
    /// The how many-th choice.
    pub at: u16,
}

/// A run that is to be made.
#[derive(Clone, Debug, PartialEq)]
struct Item {
    deviations: Box<[Deviation]>,
    /// The last of them, by its number.
    edge: u128,
    faults: u32,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Runs, by their preemptions.
    pub runs: Vec<u64>,
    /// Runs that ended in a known state.
    pub joined: u64,
    /// Runs that did not come to their end.
    pub cut_short: u64,
    /// Choices in different states.
    pub choices: u64,
    /// Alternatives that were left out because they had been taken already.
    pub skipped: u64,
    /// Alternatives that were left out because of a bound.
    pub out_of_bounds: u64,
    /// Runs that were made a second time.
    pub repeated: u64,
    /// The longest run, in steps.
    pub steps_max: u64,
}

impl Counts {
    /// All runs.
    pub fn runs(&self) -> u64 {
        self.runs.iter().sum()
    }
}

/// A search: what is done and what is left.
#[derive(Clone, Debug)]
pub struct Search {
    bounds: Bounds,
    /// Preemptions of the runs that are made now.
    round: u32,
    /// Runs with so many preemptions, the next ones last.
    now: Vec<Item>,
    /// Runs with one more.
    later: Vec<Item>,
    /// Runs that were handed out and not taken in.
    under_way: VecDeque<Arc<Vec<Item>>>,
    known: Arc<RwLock<Known>>,
    counts: Counts,
    /// How some steps were come to first: those whose number is a multiple of `audit_every`.
    firsts: BTreeMap<u128, Path>,
    /// The same steps, come to again.
    audits: BTreeMap<u128, Path>,
    audit_every: u64,
}

impl Search {
    /// Nothing is done yet.
    pub fn new(bounds: Bounds) -> Search {
        Search {
            bounds,
            round: 0,
            now: vec![Item { deviations: Box::default(), edge: 0, faults: 0 }],
            later: Vec::new(),
            under_way: VecDeque::new(),
            known: Arc::default(),
            counts: Counts { runs: vec![0], ..Counts::default() },
            firsts: BTreeMap::new(),
            audits: BTreeMap::new(),
            audit_every: AUDIT_FIRST,
        }
    }

    /// What it may do.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// What was counted so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Preemptions of the runs that are made now.
    pub fn round(&self) -> u32 {
        self.round
    }

    /// Runs that are known to be left.
    pub fn left(&self) -> usize {
        self.now.len() + self.later.len() + self.under_way.iter().map(|items| items.len()).sum::<usize>()
    }

    /// Takes the next runs; those with one more preemption when there are none left or under way. Those whose first own
    /// step was taken meanwhile are left out.
    fn take(&mut self, most: usize) -> Vec<Item> {
        let mut items = Vec::with_capacity(most);
        while items.len() < most {
            let is_over = self.now.is_empty() && self.under_way.is_empty() && items.is_empty();
            if is_over && !self.later.is_empty() {
                self.round += 1;
                self.counts.runs.push(0);
                self.now = std::mem::take(&mut self.later);
                self.now.reverse();
            }
            let Some(item) = self.now.pop() else {
                break;
            };
            if self.bounds.joins && !item.deviations.is_empty() && self.is_known(item.edge) {
                self.counts.skipped += 1;
            } else {
                items.push(item);
            }
        }
        items
    }

    fn is_known(&self, edge: u128) -> bool {
        self.known.read().expect("nobody panics under it").contains(edge)
    }

    /// Takes in what a run came to. Whether it repeated what it had to.
    fn add(&mut self, item: &Item, ran: &Ran) -> bool {
        self.counts.runs[self.round as usize] += 1;
        self.counts.cut_short += u64::from(ran.is_cut_short);
        self.counts.steps_max = self.counts.steps_max.max(ran.steps);
        let mut choices = ran.walk.choices.as_slice();
        let (mut at, mut is_joined) = (0, false);
        if let Some(last) = item.deviations.last() {
            let taken = |choice: &Choice| choice.alternatives.get(usize::from(last.takes)).map(|taken| taken.edge);
            match choices.split_first() {
                Some((first, rest)) if taken(first) == Some(item.edge) && !ran.walk.has_strayed => choices = rest,
                _ => return false,
            }
            at = last.at + 1;
            is_joined = self.bounds.joins && !self.is_new(item.edge, &item.deviations, last.at);
        }
        for choice in choices {
            if is_joined {
                break;
            }
            is_joined = self.bounds.joins && !self.is_new(choice.alternatives[0].edge, &item.deviations, at);
            self.counts.choices += u64::from(!is_joined);
            // also then: the others may have been dearer where the first was taken before
            self.branch(item, at, choice);
            at += 1;
        }
        self.counts.joined += u64::from(is_joined);
        true
    }

    /// Lists the runs that take another alternative of a choice.
    fn branch(&mut self, item: &Item, at: u16, choice: &Choice) {
        let mut wanted = Vec::with_capacity(choice.alternatives.len());
        for (takes, alternative) in (1..).zip(&choice.alternatives[1..]) {
            let preemptions = self.round + u32::from(alternative.preempts);
            let faults = item.faults + u32::from(alternative.fails);
            if self.bounds.preemptions.is_some_and(|most| preemptions > most) || faults > self.bounds.faults {
                self.counts.out_of_bounds += 1;
            } else if self.bounds.joins && self.is_known(alternative.edge) {
                self.counts.skipped += 1;
            } else {
                wanted.push((takes, alternative, faults));
            }
        }
        for (takes, alternative, faults) in wanted.into_iter().rev() {
            let mut deviations = Vec::with_capacity(item.deviations.len() + 1);
            deviations.extend_from_slice(&item.deviations);
            deviations.push(Deviation { at, takes });
            let list = if alternative.preempts { &mut self.later } else { &mut self.now };
            list.push(Item { deviations: deviations.into(), edge: alternative.edge, faults });
        }
    }

    /// Whether an alternative is new. Some are kept, with how they were come to, and taken again at the end.
    fn is_new(&mut self, edge: u128, deviations: &[Deviation], at: u16) -> bool {
        let is_new = self.known.write().expect("nobody panics under it").insert(edge);
        if edge.is_multiple_of(u128::from(self.audit_every)) {
            let path = Path { deviations: deviations.into(), at };
            let list = if is_new { &mut self.firsts } else { &mut self.audits };
            list.entry(edge).or_insert(path);
            if self.firsts.len() > AUDITS_MAX {
                self.audit_every *= 2;
                let every = u128::from(self.audit_every);
                self.firsts.retain(|edge, _| edge.is_multiple_of(every));
                self.audits.retain(|edge, _| edge.is_multiple_of(every));
            }
        }
        is_new
    }
}
