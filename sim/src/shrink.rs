//! Shrinking: from a plan that fails to the smallest one found that fails in the same way.
//!
//! Workload and schedule shrink together. A smaller workload is tried on the plan as it is, and where that passes, on
//! other seeds: a race that is still there is found again. What has failed is written down as order: every site waits
//! for the one before it, on the base `sequential`, which makes the same run without any draw. Of these holds, and of
//! the errors, drops and crashes beside them, all go that do not matter (delta debugging: Zeller and Hildebrandt, TSE
//! 2002), and each hold that stays ends at the first commit that will do. Whatever is returned has failed in its last run.
//!
//! It does not find the smallest plan there is, and a run counts for at most [`RUNS_MAX`].

mod less;

pub use less::Smaller;

use crate::plan::{Action, Base, Crash, Injection, Knobs, Moment, Plan, Schedule, Until};
use crate::site::{SiteName, TaskId};
use crate::verdict::Violation;
use less::on_less;

/// Runs that shrinking makes at most.
pub const RUNS_MAX: u64 = 60_000;

/// Seeds on which a smaller workload is tried, and those that a race in the smallest is looked for on again.
const SEEDS_OF_WORKLOAD: u64 = 600;
const SEEDS_OF_VARIANT: u64 = 12;
const SEEDS_OF_ORDER: u64 = 2_000;

/// Failing schedules of the smallest workload that are turned into order.
const ORDERS_MAX: usize = 12;

/// What is shrunk.
pub trait Shrinkable {
    /// What callers do.
    type Workload: Clone;
    /// Why the harness failed.
    type Error;

    /// Makes the run of a plan, and keeps its order on request.
    ///
    /// # Errors
    /// When the harness fails, and when an interruption cuts it off.
    fn run(&mut self, plan: &Plan<Self::Workload>, keep: bool) -> Result<Ran, Self::Error>;

    /// A schedule of this seed.
    fn schedule(&self, seed: u64) -> Schedule;

    /// The workloads that are one thing smaller, those that lack most first.
    fn smaller(&self, workload: &Self::Workload) -> Vec<Smaller<Self::Workload>>;

    /// How much is left to be told of a workload.
    fn size(&self, workload: &Self::Workload) -> usize;

    /// Whether what others wait for is mostly this point: somebody's change takes effect there.
    fn is_commit(&self, point: &str) -> bool;

    /// Whether to end with what there is.
    fn is_interrupted(&self) -> bool;
}

/// What a run came to.
pub struct Ran {
    /// What the oracles found.
    pub violations: Vec<Violation>,
    /// Sites that passed.
    pub sites: u64,
    /// Kept on request: what passed, in order.
    pub order: Vec<Passed>,
    /// Kept on request: everything that the plan did, as injections by name.
    pub fired: Vec<Injection>,
    /// Kept on request: when each life of the process ended but the last: at a site, by itself, or as its callers were gone.
    pub ends: Vec<Moment>,
}

/// A site that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Where.
    pub site: SiteName,
    /// Who.
    pub task: TaskId,
    /// Whether it can be held: something waited there.
    pub waits: bool,
}

/// What makes two failures the same: the oracle that came first, and the damage that it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The oracle that came first.
    pub oracle: String,
    /// The one that came next, if one did.
    pub damage: Option<String>,
}

impl Failure {
    /// The failure of a run, if it failed.
    pub fn of(violations: &[Violation]) -> Option<Failure> {
        let (first, rest) = violations.split_first()?;
        Some(Failure { oracle: first.oracle.clone(), damage: rest.first().map(|next| next.oracle.clone()) })
    }

    /// Whether a run failed in this way: the same oracle first, the same damage some time.
    pub fn is_in(&self, violations: &[Violation]) -> bool {
        let is_damaged = |damage: &String| violations.iter().any(|violation| violation.oracle == *damage);
        violations.first().is_some_and(|first| first.oracle == self.oracle)
            && self.damage.as_ref().is_none_or(is_damaged)
    }
}

/// What shrinking came to.
pub struct Shrunk<W> {
    /// The smallest plan found.
    pub plan: Plan<W>,
    /// How it has failed.
    pub failure: Failure,
    /// Its last run; `None` where an interruption has cut that off.
    pub ran: Option<Ran>,
    /// Runs made.
    pub runs: u64,
}

/// Shrinks a plan; `None` when it does not fail.
///
/// # Errors
/// When the harness fails.
pub fn shrink<S: Shrinkable>(
    subject: &mut S,
    plan: &Plan<S::Workload>,
    progress: impl FnMut(u64),
) -> Result<Option<Shrunk<S::Workload>>, S::Error> {
    let Some(failure) = Failure::of(&subject.run(plan, false)?.violations) else {
        return Ok(None);
    };
    let mut search = Search { subject, failure, runs: 1, progress };
    let mut best = search.settled(plan.clone())?.unwrap_or_else(|| plan.clone());
    loop {
        let before = search.weight(&best);
        search.shrink_workload(&mut best, SEEDS_OF_WORKLOAD)?;
        search.put_in_order(&mut best)?;
        if search.weight(&best) >= before {
            break;
        }
    }
    let ran = search.whole(&best, true)?;
    let (plan, ran) = if ran.as_ref().is_none_or(|ran| search.failure.is_in(&ran.violations)) {
        (best, ran)
    } else {
        (plan.clone(), search.whole(plan, true)?) // runs do not repeat: nothing is claimed of them
    };
    Ok(Some(Shrunk { plan, failure: search.failure, ran, runs: search.runs }))
}

/// The same plan with everything by name that its knobs did in a run, and its knobs off; those that change priorities stay.
pub fn settled<W>(mut plan: Plan<W>, fired: &[Injection], ends: &[Moment]) -> Plan<W> {
    let change = plan.schedule.knobs.change;
    plan.schedule.knobs = Knobs { change, ..Knobs::default() };
    plan.schedule.injections = beside_crashes(fired);
    end_at(&mut plan.schedule.crashes, ends);
    plan.schedule.injections.sort_by(|one, other| one.site.cmp(&other.site));
    plan.schedule.injections.dedup_by(|one, other| one.site == other.site);
    plan
}

/// A run that has failed, as order: the same failure on the base `sequential`, with nothing but the holds and faults that
/// it needs. The plan says on which workload, and whatever else is the same; `None` when order alone does not repeat it.
///
/// # Errors
/// When the harness fails.
pub fn in_order<S: Shrinkable>(
    subject: &mut S,
    plan: &Plan<S::Workload>,
    ran: &Ran,
) -> Result<Option<Plan<S::Workload>>, S::Error> {
    let Some(failure) = Failure::of(&ran.violations) else {
        return Ok(None);
    };
    Search { subject, failure, runs: 0, progress: |_| {} }.order_of(plan, ran)
}

struct Search<'a, S, P> {
    subject: &'a mut S,
    failure: Failure,
    runs: u64,
    progress: P,
}

impl<S: Shrinkable, P: FnMut(u64)> Search<'_, S, P> {
    /// Whether the plan still fails in the same way.
    fn fails(&mut self, plan: &Plan<S::Workload>) -> Result<bool, S::Error> {
        Ok(self.run(plan, false)?.is_some())
    }

    fn run(&mut self, plan: &Plan<S::Workload>, keep: bool) -> Result<Option<Ran>, S::Error> {
        if self.is_over() {
            return Ok(None);
        }
        self.runs += 1;
        (self.progress)(self.runs);
        let ran = self.whole(plan, keep)?;
        Ok(ran.filter(|ran| self.failure.is_in(&ran.violations)))
    }

    /// Makes a run; `None` when that is interrupted: what it ends in then is no fault of the harness.
    fn whole(&mut self, plan: &Plan<S::Workload>, keep: bool) -> Result<Option<Ran>, S::Error> {
        match self.subject.run(plan, keep) {
            Err(_) if self.subject.is_interrupted() => Ok(None),
            ran => ran.map(Some),
        }
    }

    fn is_over(&self) -> bool {
        self.runs >= RUNS_MAX || self.subject.is_interrupted()
    }

    /// The smaller, the better: what callers do, what the plan does, how long it takes to read.
    fn weight(&self, plan: &Plan<S::Workload>) -> (usize, usize) {
        let Schedule { injections, crashes, knobs, base, .. } = &plan.schedule;
        let drawn = knobs.named().iter().filter(|(_, ratio)| !ratio.is_never()).count();
        let is_drawn = usize::from(*base != Base::Sequential);
        (self.subject.size(&plan.workload), 100 * (drawn + is_drawn) + injections.len() + crashes.len())
    }

    /// The same plan with everything that its knobs did by name, and its knobs off; `None` when that does not fail.
    fn settled(&mut self, plan: Plan<S::Workload>) -> Result<Option<Plan<S::Workload>>, S::Error> {
        let Some(ran) = self.run(&plan, true)? else {
            return Ok(None);
        };
        let plan = settled(plan, &ran.fired, &ran.ends);
        Ok(self.fails(&plan)?.then_some(plan))
    }

    /// Takes away what callers do, as far as the failure stays.
    fn shrink_workload(&mut self, best: &mut Plan<S::Workload>, seeds: u64) -> Result<(), S::Error> {
        'smaller: loop {
            let smaller = self.subject.smaller(&best.workload);
            // what the plan itself still fails on costs one run, what needs another seed hundreds
            for smaller in &smaller {
                let less = on_less(best, smaller);
                if self.fails(&less)? {
                    *best = less;
                    continue 'smaller;
                }
            }
            for smaller in &smaller {
                let seeds = if smaller.is_variant { SEEDS_OF_VARIANT } else { seeds };
                if let Some(plan) = self.on_other_seeds(&on_less(best, smaller), seeds)? {
                    *best = plan;
                    continue 'smaller;
                }
            }
            return Ok(());
        }
    }

    /// A plan that fails on the workload of this one, from another seed.
    fn on_other_seeds(&mut self, less: &Plan<S::Workload>, seeds: u64) -> Result<Option<Plan<S::Workload>>, S::Error> {
        for seed in 0..seeds {
            if self.is_over() {
                break; // each costs a copy of the plan
            }
            let schedule = self.schedule(seed, less.schedule.crashes.len());
            if let Some(found) = self.settled(Plan { schedule, ..less.clone() })? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A schedule of a seed with at most so many crashes.
    fn schedule(&self, seed: u64, crashes: usize) -> Schedule {
        let mut schedule = self.subject.schedule(seed);
        schedule.crashes.truncate(crashes);
        schedule
    }

    /// Turns the plan, and others that fail on the same workload, into order, and takes the best.
    fn put_in_order(&mut self, best: &mut Plan<S::Workload>) -> Result<(), S::Error> {
        let mut orders = Vec::new();
        orders.extend(self.in_order(best)?);
        let mut found = 0;
        for seed in 0..SEEDS_OF_ORDER {
            if found == ORDERS_MAX || self.is_over() {
                break;
            }
            let schedule = self.schedule(seed, best.schedule.crashes.len());
            if let Some(plan) = self.settled(Plan { schedule, ..best.clone() })? {
                found += 1;
                orders.extend(self.in_order(&plan)?);
            }
        }
        if let Some(order) = orders.into_iter().min_by_key(|plan| self.weight(plan))
            && self.weight(&order) < self.weight(best)
        {
            *best = order;
        }
        Ok(())
    }

    /// The same failure on the base `sequential`, with nothing but what it needs.
    fn in_order(&mut self, plan: &Plan<S::Workload>) -> Result<Option<Plan<S::Workload>>, S::Error> {
        let ran = self.run(plan, true)?;
        ran.map_or(Ok(None), |ran| self.order_of(plan, &ran))
    }

    /// The same of a run of the plan.
    fn order_of(&mut self, plan: &Plan<S::Workload>, ran: &Ran) -> Result<Option<Plan<S::Workload>>, S::Error> {
        let mut ordered = plan.clone();
        ordered.schedule.base = Base::Sequential;
        ordered.schedule.knobs = Knobs::default();
        let is_hold = |injection: &Injection| matches!(injection.action, Action::Hold(_));
        let done = beside_crashes(&ran.fired).into_iter().filter(|injection| !is_hold(injection));
        ordered.schedule.injections = done.collect();
        end_at(&mut ordered.schedule.crashes, &ran.ends);
        let taken: Vec<SiteName> = ordered.schedule.injections.iter().map(|injection| injection.site.clone()).collect();
        let holds = holds(&ran.order).into_iter().filter(|hold| !taken.contains(&hold.site));
        ordered.schedule.injections.extend(holds);
        if !self.fails(&ordered)? {
            return Ok(None);
        }
        self.drop_injections(&mut ordered)?;
        self.end_holds_early(&mut ordered)?;
        self.drop_injections(&mut ordered)?;
        self.drop_crashes(&mut ordered)?;
        Ok(Some(ordered))
    }

    /// Delta debugging: halves, quarters, and so on down to single ones.
    fn drop_injections(&mut self, plan: &mut Plan<S::Workload>) -> Result<(), S::Error> {
        let mut length = plan.schedule.injections.len();
        while length > 0 {
            let mut from = 0;
            while from < plan.schedule.injections.len() {
                let mut less = plan.clone();
                let to = less.schedule.injections.len().min(from + length);
                less.schedule.injections.drain(from..to);
                if self.fails(&less)? { *plan = less } else { from += length }
            }
            length /= 2;
        }
        Ok(())
    }

    /// Each crash that does not matter goes, and a later one takes its place.
    fn drop_crashes(&mut self, plan: &mut Plan<S::Workload>) -> Result<(), S::Error> {
        for index in (0..plan.schedule.crashes.len()).rev() {
            let mut less = plan.clone();
            less.schedule.crashes.remove(index);
            if self.fails(&less)? {
                *plan = less;
            }
        }
        Ok(())
    }

    /// Each hold ends at the first commit that will do, or else at the first site: that is the one that matters.
    fn end_holds_early(&mut self, plan: &mut Plan<S::Workload>) -> Result<(), S::Error> {
        for index in 0..plan.schedule.injections.len() {
            let Some(ran) = self.run(plan, true)? else {
                return Ok(());
            };
            let Injection { site, action } = plan.schedule.injections[index].clone();
            let Some(own) = ran.order.iter().position(|passed| passed.site == site) else {
                continue;
            };
            let task = ran.order[own].task;
            let before = ran.order[..own].iter().rposition(|passed| passed.task == task);
            // a hold ends before its site passes, a caller is dropped after it
            let (begin, end) = match action {
                Action::CancelOnce(_) => (own, ran.order.len()),
                Action::Hold(Until::Passed(_)) => (before.map_or(0, |before| before + 1), own),
                _ => continue,
            };
            let meanwhile = ran.order.get(begin..end).unwrap_or_default();
            let (commits, others): (Vec<_>, Vec<_>) =
                meanwhile.iter().partition(|passed| self.subject.is_commit(&passed.site.point));
            for earlier in commits.into_iter().chain(others).map(|passed| passed.site.clone()) {
                let mut sooner = plan.clone();
                sooner.schedule.injections[index].action = action.awaiting(earlier);
                if self.fails(&sooner)? {
                    *plan = sooner;
                    break;
                }
            }
        }
        Ok(())
    }
}

/// What the plan did but end the process.
fn beside_crashes(fired: &[Injection]) -> Vec<Injection> {
    fired.iter().filter(|injection| !matches!(injection.action, Action::Crash(_))).cloned().collect()
}

/// Each crash when it came: at a site, by name.
fn end_at(crashes: &mut [Crash], ends: &[Moment]) {
    for (index, crash) in crashes.iter_mut().enumerate() {
        crash.at = ends.get(index).cloned().unwrap_or(Moment::Idle);
    }
}

/// Holds that force an order: each site waits for the last one of another task since its own task's last.
fn holds(order: &[Passed]) -> Vec<Injection> {
    let mut holds = Vec::new();
    for (index, passed) in order.iter().enumerate().filter(|(_, passed)| passed.waits) {
        if let Some(before) = order[..index].last().filter(|before| before.task != passed.task) {
            let until = Until::Passed(before.site.clone());
            holds.push(Injection { site: passed.site.clone(), action: Action::Hold(until) });
        }
    }
    holds
}
