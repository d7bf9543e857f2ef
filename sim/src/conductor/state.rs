//! What the conductor knows: what waits, what a step does with it, and what has come of it.

use super::cancel::Due;
use super::choose::Hold;
use super::crash::Killed;
use super::guided::Guided;
use super::points::{Point, Points};
use super::tasks::{START, Task};
use super::{ERRNO_FULL, ERRNO_IO, Failure, HOLD_IDLE, HOLD_STEPS_MAX, Landing, OperationTraits, UNREADABLE};
use crate::decision::{Decisions, Question, Ratio, below};
use crate::footprint::Footprint;
use crate::interference::{self, Interference};
use crate::locks::{LockPoint, Locks};
use crate::plan::{Action, Base, CrashKind, Injection, Moment, Schedule, Until};
use crate::site::{Site, SiteName, TaskId, site_key};
use crate::trace::{Trace, What};
use crate::window::{WindowPoint, Windows};
use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

pub(super) struct State {
    pub(super) schedule: Schedule,
    pub(super) decisions: Decisions,
    pub(super) injected: BTreeMap<u64, Action>,
    /// Sites that a hold waits for, and those of them that have passed.
    pub(super) awaited: BTreeSet<u64>,
    pub(super) passed: BTreeSet<u64>,
    /// Sites of injections, and of crashes that are to come at one site, that were met.
    pub(super) reached: BTreeSet<u64>,
    /// The site at which each life is to end, where it is one.
    pub(super) crash_keys: Vec<Option<u64>>,
    pub(super) conducting: bool,
    pub(super) is_over: bool,
    pub(super) points: Points,
    pub(super) tasks: Vec<Task>,
    pub(super) waiting: Vec<Waiting>,
    /// Callers that are to be dropped: when, and where that was decided.
    pub(super) to_cancel: Vec<(Due, Visit)>,
    pub(super) next_ticket: u64,
    pub(super) current: Option<TaskId>,
    pub(super) last: TaskId,
    pub(super) step: u64,
    pub(super) now_ms: u64,
    pub(super) trace: Trace,
    pub(super) windows: Windows,
    pub(super) locks: Locks,
    /// The tasks that have ended, in order.
    pub(super) ended: Vec<TaskId>,
    /// Lives of the process before this one, and the step in which this one began.
    pub(super) life: usize,
    pub(super) life_began: u64,
    /// How often the site at which this life is to end was met.
    pub(super) crash_site_met: u32,
    /// How this life has ended.
    pub(super) crashed: Option<CrashKind>,
    pub(super) crash_sites: Vec<String>,
    pub(super) interference: Interference,
    /// Kept with the trace.
    pub(super) fired: Option<Vec<Injection>>,
    /// When each life has ended: at a site, by itself, or as its callers were gone.
    pub(super) ends: Vec<Moment>,
    /// The run's choices are given.
    pub(super) guided: Option<Box<Guided>>,
}

/// A task at a point.
#[derive(Clone, Copy)]
pub(super) struct Visit {
    pub(super) site: Site,
    /// The site's number in keyed decisions.
    pub(super) key: u64,
    pub(super) window: WindowPoint,
    pub(super) lock: LockPoint,
}

pub(super) struct Waiting {
    pub(super) ticket: u64,
    pub(super) visit: Visit,
    pub(super) rank: u64,
    pub(super) hold: Option<Hold>,
    pub(super) kind: Kind,
}

/// What an operation does once it lands.
pub(super) type Effect = Box<dyn FnOnce(Landing) + Send>;

pub(super) enum Kind {
    Parked(Wakes),
    Asleep(Wakes, u64),
    Operation(OperationTraits, Effect),
}

/// Whom a step wakes: the task (a waker of its own for each visit costs a fortieth of all runs a second), or a part of it
/// that is polled by another waker.
pub(super) enum Wakes {
    Task,
    Part(Waker),
}

/// What a step sets going, to be done while nothing is borrowed.
pub(super) enum Move {
    /// The task is woken.
    Woken,
    Wake(Waker),
    Land(Effect, Landing),
    Kill(Killed),
}

impl Move {
    pub(super) fn go(self) {
        match self {
            Move::Woken => {}
            Move::Wake(waker) => waker.wake(),
            Move::Land(land, landing) => land(landing),
            Move::Kill(killed) => killed.go(),
        }
    }
}

impl State {
    /// Numbers the running task's visit of a point; `None` outside a conducted task.
    pub(super) fn arrive(&mut self, point: &'static str) -> Option<Visit> {
        let task = self.current.filter(|_| self.conducting)?;
        Some(self.visit(task, point))
    }

    /// Numbers a task's visit of a point.
    pub(super) fn visit(&mut self, task: TaskId, point: &'static str) -> Visit {
        let (number, Point { window, lock, .. }) = self.points.number(point);
        let state = &mut self.tasks[usize::from(task.0)];
        if state.hits.len() <= number {
            state.hits.resize(number + 1, 0);
        }
        state.place = point;
        state.hits[number] += 1;
        let hit = state.hits[number];
        Visit { site: Site { task, point, hit }, key: site_key(state.key, point, hit), window, lock }
    }

    /// The running task's next visit of a point.
    pub(super) fn coming(&mut self, point: &'static str) -> Option<Site> {
        let task = self.current.filter(|_| self.conducting)?;
        let (number, _) = self.points.number(point);
        let hit = self.task(task).hits.get(number).copied().unwrap_or_default() + 1;
        Some(Site { task, point, hit })
    }

    /// The answer to a question about the running task's next visit of a point.
    pub(super) fn foresee(&mut self, point: &'static str, question: Question) -> Option<u64> {
        let Site { task, point, hit } = self.coming(point)?;
        Some(self.decisions.draw(question, site_key(self.task(task).key, point, hit)))
    }

    /// The running task has got to a point: it parks there, passes without parking, or hands in an operation.
    pub(super) fn got_to(&mut self, visit: &Visit) {
        if let Some(clocks) = self.clocks() {
            clocks.touch(Footprint::of_locks(visit.lock));
        }
        self.windows.got_to(visit.site.task, visit.window);
        self.locks.got_to(visit.site.task, visit.lock, visit.site.point);
    }

    /// Queues what waits, held or not, and returns its ticket.
    pub(super) fn wait(&mut self, visit: Visit, kind: Kind) -> u64 {
        let rank = self.decisions.draw(Question::Rank, visit.key);
        let knobs = self.schedule.knobs;
        let slow = matches!(kind, Kind::Operation(OperationTraits { slow: true, .. }, _));
        // whatever else is injected is reached where it takes effect, if it comes to that
        if matches!(self.injected.get(&visit.key), Some(Action::Hold(_))) {
            self.reached.insert(visit.key);
        }
        let until = match self.injected.get(&visit.key) {
            Some(Action::Hold(until)) => Some(until.clone()),
            Some(_) => None,
            None if self.takes(knobs.hold, Question::Hold, &visit)
                || (visit.window.opens() && self.takes(knobs.hold_opening, Question::Hold, &visit))
                || (slow && self.takes(knobs.slow, Question::Hold, &visit)) =>
            {
                Some(if self.takes(HOLD_IDLE, Question::HoldIdle, &visit) {
                    Until::Idle
                } else {
                    let steps = below(self.decisions.draw(Question::HoldSteps, visit.key), HOLD_STEPS_MAX);
                    Until::Steps(steps as u32 + 1)
                })
            }
            None => None,
        };
        let hold = until.map(|until| {
            self.interference.add(interference::Kind::Hold, 1);
            self.interference.add(interference::Kind::SlowUnlink, u64::from(slow));
            let hold = match &until {
                Until::Passed(site) => Hold::Passed(site.key()),
                Until::Steps(steps) => Hold::UntilStep(self.step + u64::from(*steps)),
                Until::Idle => Hold::Idle,
            };
            self.fire(visit.site, Action::Hold(until));
            hold
        });
        self.trace.arrive(self.step, visit.site);
        self.next_ticket += 1;
        self.waiting.push(Waiting { ticket: self.next_ticket, visit, rank, hold, kind });
        self.next_ticket
    }

    pub(super) fn is_waiting(&self, ticket: u64) -> bool {
        self.waiting.iter().any(|waiting| waiting.ticket == ticket)
    }

    /// Takes back what waits under this ticket, if it still does.
    pub(super) fn withdraw(&mut self, ticket: u64) -> Option<Waiting> {
        let index = self.waiting.iter().position(|waiting| waiting.ticket == ticket)?;
        Some(self.waiting.swap_remove(index))
    }

    /// Lets the best of what waits go on; `None` when nothing does. To be called only when nothing runs.
    pub(super) fn step(&mut self) -> Option<Move> {
        if let Some(guided) = self.guided.take() {
            return self.guided_step(guided);
        }
        if let Some(visit) = self.due_cancel() {
            self.step += 1;
            return Some(self.cancel(&visit));
        }
        let index = self.choose()?;
        self.step += 1;
        let best = &self.waiting[index];
        let visit = best.visit;
        if let Some(kind) = self.crashes(&visit) {
            return Some(Move::Kill(self.crash(&visit, kind)));
        }
        let best = &self.waiting[index];
        let cancels = self.cancels(best);
        if cancels.is_some() && self.injected.contains_key(&visit.key) {
            self.reached.insert(visit.key);
        }
        match cancels {
            Some(Action::Cancel) => {
                self.fire(visit.site, Action::Cancel);
                if visit.site.point == START {
                    self.waiting.swap_remove(index); // nobody else withdraws it
                }
                return Some(self.cancel(&visit));
            }
            Some(later) => {
                match &later {
                    Action::CancelAfter(steps) => {
                        self.to_cancel.push((Due::Step(self.step + u64::from(*steps)), visit));
                    }
                    other => self.to_cancel.extend(other.awaits().map(|site| (Due::Passed(site.key()), visit))),
                }
                self.fire(visit.site, later);
            }
            None => {}
        }
        Some(self.go_on(index, &visit))
    }

    /// Lets what waits there go on.
    pub(super) fn go_on(&mut self, index: usize, visit: &Visit) -> Move {
        self.last = visit.site.task;
        self.demote(visit);
        match self.waiting.swap_remove(index).kind {
            Kind::Parked(wakes) => {
                self.pass(visit, What::Passed);
                self.wake(visit.site.task, wakes)
            }
            Kind::Asleep(wakes, due_ms) => {
                self.now_ms = self.now_ms.max(due_ms);
                self.pass(visit, What::Passed);
                self.wake(visit.site.task, wakes)
            }
            Kind::Operation(traits, land) => {
                let landing = self.landing(visit, traits);
                let what = match landing {
                    Landing::Done | Landing::Cut(_) => What::Landed,
                    Landing::Rotten(_) => What::Rotten,
                    Landing::Failed(Failure { errno, .. }) => What::Failed(errno),
                };
                self.pass(visit, what);
                Move::Land(land, landing)
            }
        }
    }

    pub(super) fn wake(&self, task: TaskId, wakes: Wakes) -> Move {
        match wakes {
            Wakes::Task => {
                self.task(task).waker.wake_by_ref();
                Move::Woken
            }
            Wakes::Part(waker) => Move::Wake(waker),
        }
    }

    /// Whom to wake where a task parks that is polled with this waker.
    pub(super) fn wakes(&self, task: TaskId, waker: &Waker) -> Wakes {
        if self.task(task).waker.will_wake(waker) { Wakes::Task } else { Wakes::Part(waker.clone()) }
    }

    /// Whether a knob that is set so takes this site.
    pub(super) fn takes(&self, knob: Ratio, question: Question, visit: &Visit) -> bool {
        knob.hits > 0 && knob.takes(self.decisions.draw(question, visit.key))
    }

    /// How an operation comes out.
    pub(super) fn landing(&mut self, visit: &Visit, traits: OperationTraits) -> Landing {
        let OperationTraits { fails, fills, breaks, rots, .. } = traits;
        let knobs = self.schedule.knobs;
        let is_bad = rots && self.takes(knobs.rot, Question::Rot, visit);
        let is_unreadable = is_bad && self.takes(UNREADABLE, Question::Unreadable, visit);
        let is_rotten = match self.injected.get(&visit.key) {
            Some(action) => rots && *action == Action::Rot,
            None => is_bad && !is_unreadable,
        };
        if is_rotten {
            self.reached.insert(visit.key);
            self.fire(visit.site, Action::Rot);
            return Landing::Rotten(self.decisions.draw(Question::Value, visit.key));
        }
        let errno = match self.injected.get(&visit.key) {
            Some(Action::Error(errno)) if fails || fills || breaks => {
                self.reached.insert(visit.key);
                Some(*errno)
            }
            Some(_) => None,
            None if is_unreadable => Some(ERRNO_IO),
            None if fails && self.takes(knobs.fail, Question::Fail, visit) => Some(ERRNO_IO),
            None if fills && self.takes(knobs.full, Question::Fail, visit) => Some(ERRNO_FULL),
            None if breaks && self.has_next_life() && self.takes(knobs.broken, Question::Break, visit) => {
                Some(ERRNO_IO)
            }
            None => None,
        };
        let Some(errno) = errno else {
            // by what has befallen another one before it: no choice of the plan
            return if traits.stuck { Landing::Failed(Failure { errno: ERRNO_IO, draw: 0 }) } else { Landing::Done };
        };
        if fails {
            self.interference.add(interference::Kind::FailedUnlink, 1);
        } else if errno != ERRNO_FULL {
            self.interference.add(interference::Kind::IoError, 1);
        }
        self.fire(visit.site, Action::Error(errno));
        Landing::Failed(Failure { errno, draw: self.decisions.draw(Question::Failure, visit.key) })
    }

    /// A task goes on from a point, or an operation lands.
    pub(super) fn pass(&mut self, visit: &Visit, what: What) {
        if let Some(clocks) = self.clocks() {
            clocks.touch(Footprint::of_locks(visit.lock));
        }
        self.windows.passed(visit.site.task, visit.window);
        self.locks.passed(visit.site.task, visit.lock);
        self.trace.push(self.step, visit.site, visit.key, what);
        if !self.awaited.is_empty() && self.awaited.contains(&visit.key) {
            self.passed.insert(visit.key);
        }
    }

    /// Base `priority`: at a few sites a task gets a priority below all first ones, drawn by that site.
    fn demote(&mut self, visit: &Visit) {
        if self.schedule.base == Base::Priority && self.takes(self.schedule.knobs.change, Question::Change, visit) {
            self.task_mut(visit.site.task).rank = 1 << 63 | self.decisions.draw(Question::Rank, visit.key) >> 1;
        }
    }

    /// The sites that the plan names and the run did not come to.
    pub(super) fn unreached(&self) -> Vec<SiteName> {
        let mut sites = Vec::new();
        for Injection { site, action } in &self.schedule.injections {
            sites.extend((!self.reached.contains(&site.key())).then_some(site));
            sites.extend(action.awaits().filter(|until| !self.passed.contains(&until.key())));
        }
        for (crash, key) in self.schedule.crashes.iter().zip(&self.crash_keys) {
            if let (Moment::At(site), Some(key)) = (&crash.at, key) {
                sites.extend((!self.reached.contains(key)).then_some(site));
            }
        }
        let mut unreached: Vec<SiteName> = sites.into_iter().cloned().collect();
        unreached.sort();
        unreached.dedup();
        unreached
    }

    pub(super) fn fire(&mut self, site: Site, action: Action) {
        if let Some(mut fired) = self.fired.take() {
            fired.push(Injection { site: self.name_of(site), action });
            self.fired = Some(fired);
        }
    }

    /// The name of a site.
    pub(super) fn name_of(&self, site: Site) -> SiteName {
        let task = self.task(site.task).label.clone();
        SiteName { task, point: site.point.to_string(), hit: site.hit }
    }
}
