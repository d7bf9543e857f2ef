//! What the conductor knows: the tasks, what waits, and which of it goes next.

use super::crash::Killed;
use super::guided::Guided;
use super::points::{POINTS_USUAL, Point, Points};
use super::task::Conducted;
use super::{
    CANCEL_AT_ONCE, CANCEL_STEPS_MAX, ERRNO_FULL, ERRNO_IO, End, Failure, HOLD_IDLE, HOLD_STEPS_MAX, Landing,
    OperationTraits, Role,
};
use crate::decision::{Decisions, Question, Ratio, below};
use crate::footprint::Footprint;
use crate::interference::{self, Interference};
use crate::locks::{LockPoint, Locks};
use crate::plan::{Action, Base, CrashKind, Injection, Moment, Schedule, Until};
use crate::site::{Site, SiteName, TaskId, label_key, numbered, site_key};
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
    pub(super) ended: usize,
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
    /// Where each life has ended; nowhere, when nothing could go on.
    pub(super) ends: Vec<Option<SiteName>>,
    /// The run's choices are given.
    pub(super) guided: Option<Box<Guided>>,
}

pub(super) struct Task {
    pub(super) label: String,
    pub(super) parent: Option<TaskId>,
    pub(super) key: u64,
    pub(super) role: Role,
    /// Base `priority`: the lowest goes first.
    rank: u64,
    /// Absent while it is polled, and once it has ended.
    pub(super) conducted: Option<Conducted>,
    waker: Waker,
    pub(super) is_cancelled: bool,
    pub(super) end: Option<End>,
    /// The locks that it must never wait for, one bit a lock.
    pub(super) never_waits: u8,
    /// The point that it has got to last.
    pub(super) place: &'static str,
    /// How often it was at each point, by the point's number.
    pub(super) hits: Vec<u32>,
    /// How many tasks it has started under each name.
    children: Vec<(&'static str, u32)>,
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

pub(super) enum Kind {
    Parked(Wakes),
    Asleep(Wakes, u64),
    Operation(OperationTraits, Box<dyn FnOnce(Landing) + Send>),
}

/// Whom a step wakes: the task (a waker of its own for each visit costs a fortieth of all runs a second), or a part of it
/// that is polled by another waker.
pub(super) enum Wakes {
    Task,
    Part(Waker),
}

/// The lowest goes first: those awake, then those that are held, then the sleepers by when they are due; among them the
/// task's rank, then its own.
type Order = (u64, u64, u64);

#[derive(Clone, Copy)]
pub(super) enum Hold {
    Passed(u64),
    UntilStep(u64),
    Idle,
}

/// When a caller is dropped.
#[derive(Clone, Copy)]
pub(super) enum Due {
    /// From this step on.
    Step(u64),
    /// Once this site has passed.
    Passed(u64),
}

/// What a step sets going, to be done while nothing is borrowed.
pub(super) enum Move {
    /// The task is woken.
    Woken,
    Wake(Waker),
    Land(Box<dyn FnOnce(Landing) + Send>, Landing),
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
    pub(super) fn task(&self, id: TaskId) -> &Task {
        &self.tasks[usize::from(id.0)]
    }

    pub(super) fn task_mut(&mut self, id: TaskId) -> &mut Task {
        &mut self.tasks[usize::from(id.0)]
    }

    /// Takes a new task in, and parks it: it does nothing before it is chosen.
    pub(super) fn add_task(&mut self, label: String, role: Role, conducted: impl FnOnce(TaskId) -> Conducted) {
        let id = TaskId(u16::try_from(self.tasks.len()).expect("a run has fewer than 65,536 tasks"));
        let key = label_key(&label);
        let rank = match self.schedule.base {
            Base::Priority => self.decisions.draw(Question::Rank, key) >> 1,
            Base::Keyed | Base::Sequential => 0,
        };
        let (hits, children) = (Vec::with_capacity(POINTS_USUAL), Vec::new());
        let parent = self.current;
        let conducted = conducted(id);
        let waker = conducted.waker();
        let conducted = Some(conducted);
        let (is_cancelled, end) = (false, None);
        let (place, never_waits) = (START, self.locks.never_by(&label));
        self.tasks.push(Task {
            label,
            parent,
            key,
            role,
            rank,
            conducted,
            waker,
            is_cancelled,
            end,
            never_waits,
            place,
            hits,
            children,
        });
        if let Some(clocks) = self.clocks() {
            clocks.starts(id);
        }
        let visit = self.visit(id, START);
        self.wait(visit, Kind::Parked(Wakes::Task));
    }

    /// The label of a task that the running one starts under `name`.
    pub(super) fn child_label(&mut self, name: &'static str) -> String {
        let Some(parent) = self.current else {
            return name.to_string();
        };
        let parent = self.task_mut(parent);
        let number = match parent.children.iter_mut().find(|(counted, _)| *counted == name) {
            Some((_, number)) => {
                *number += 1;
                *number
            }
            None => {
                parent.children.push((name, 1));
                1
            }
        };
        numbered(Some(&parent.label), name, number)
    }

    /// A task runs from now on; `None` when it is no more.
    pub(super) fn enter(&mut self, task: TaskId) -> Option<Conducted> {
        let conducted = self.task_mut(task).conducted.take()?;
        self.current = Some(task);
        if let Some(clocks) = self.clocks() {
            clocks.polls(task);
        }
        Some(conducted)
    }

    /// It has parked.
    pub(super) fn leave(&mut self, task: TaskId, conducted: Conducted) {
        self.current = None;
        self.task_mut(task).conducted = Some(conducted);
    }

    /// What is left to be polled, at the end of a run.
    pub(super) fn take_conducted(&mut self) -> Vec<Conducted> {
        self.tasks.iter_mut().filter_map(|task| task.conducted.take()).collect()
    }

    /// A task is no more.
    pub(super) fn end(&mut self, id: TaskId, end: End) {
        self.current = None;
        self.ended += 1;
        self.windows.ended(id);
        self.locks.ended(id);
        let site = Site { task: id, point: "end", hit: 1 };
        let key = site_key(self.task(id).key, site.point, site.hit);
        match &end {
            End::Finished => self.trace.push(self.step, site, key, What::Finished),
            End::Panicked(_) => self.trace.push(self.step, site, key, What::Panicked),
            End::Cancelled | End::Killed => {} // traced where it happened
        }
        self.task_mut(id).end = Some(end);
    }

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
        if self.injected.contains_key(&visit.key) {
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
        match self.cancels(best) {
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
                    Landing::Done => What::Landed,
                    Landing::Failed(Failure { errno, .. }) => What::Failed(errno),
                };
                self.pass(visit, what);
                Move::Land(land, landing)
            }
        }
    }

    fn wake(&self, task: TaskId, wakes: Wakes) -> Move {
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

    /// The index of what goes next: the best that is not held; if all are held, the best of those; if all sleep, the
    /// first that is due.
    fn choose(&self) -> Option<usize> {
        let mut best: Option<(Order, usize)> = None;
        for (index, waiting) in self.waiting.iter().enumerate() {
            let order = self.order(waiting);
            let is_better = best.is_none_or(|(least, place)| {
                // two visits of one task may be equal in all but their sites
                order < least || (order == least && waiting.visit.site < self.waiting[place].visit.site)
            });
            if is_better {
                best = Some((order, index));
            }
        }
        best.map(|(_, index)| index)
    }

    fn order(&self, waiting: &Waiting) -> Order {
        let asleep_until = match waiting.kind {
            Kind::Asleep(_, due_ms) => due_ms + 1,
            Kind::Parked(_) | Kind::Operation(..) => 0,
        };
        let late = asleep_until << 1 | u64::from(waiting.hold.is_some() && self.is_held(waiting));
        let Site { task, hit, .. } = waiting.visit.site;
        let (task_rank, rank) = match self.schedule.base {
            Base::Keyed => (0, waiting.rank),
            Base::Priority => (self.task(task).rank, waiting.rank),
            Base::Sequential => (u64::from(task.0.wrapping_sub(self.last.0)), u64::from(hit)),
        };
        (late, task_rank, rank)
    }

    fn is_held(&self, waiting: &Waiting) -> bool {
        match waiting.hold {
            None => false,
            Some(Hold::Passed(site)) => !self.passed.contains(&site),
            Some(Hold::UntilStep(step)) => self.step < step,
            Some(Hold::Idle) => true,
        }
    }

    /// Whether a knob that is set so takes this site.
    fn takes(&self, knob: Ratio, question: Question, visit: &Visit) -> bool {
        knob.hits > 0 && knob.takes(self.decisions.draw(question, visit.key))
    }

    /// How the caller that is there is to be dropped, if it is.
    fn cancels(&self, waiting: &Waiting) -> Option<Action> {
        let id = waiting.visit.site.task;
        let is_marked = self.to_cancel.iter().any(|(_, visit)| visit.site.task == id);
        if self.task(id).role != Role::Caller || !self.is_droppable(id) || is_marked {
            return None;
        }
        match self.injected.get(&waiting.visit.key) {
            Some(Action::CancelAfter(0)) => Some(Action::Cancel),
            Some(drop @ (Action::Cancel | Action::CancelAfter(_) | Action::CancelOnce(_))) => Some(drop.clone()),
            Some(_) => None,
            None if !self.takes(self.schedule.knobs.cancel, Question::Cancel, &waiting.visit) => None,
            None if self.takes(CANCEL_AT_ONCE, Question::CancelAtOnce, &waiting.visit) => Some(Action::Cancel),
            None => {
                let steps = below(self.decisions.draw(Question::CancelSteps, waiting.visit.key), CANCEL_STEPS_MAX);
                Some(Action::CancelAfter(steps as u32 + 1))
            }
        }
    }

    fn is_due(&self, due: Due) -> bool {
        match due {
            Due::Step(step) => step <= self.step,
            Due::Passed(site) => self.passed.contains(&site),
        }
    }

    pub(super) fn is_droppable(&self, id: TaskId) -> bool {
        let task = self.task(id);
        !task.is_cancelled && task.end.is_none()
    }

    /// Takes out a drop that is due, of a caller that is still there.
    fn due_cancel(&mut self) -> Option<Visit> {
        while let Some(index) = self.to_cancel.iter().position(|(due, _)| self.is_due(*due)) {
            let (_, visit) = self.to_cancel.remove(index);
            if self.is_droppable(visit.site.task) {
                return Some(visit);
            }
        }
        None
    }

    /// Drops the caller that is there, once it is polled. If it is parked, that is withdrawn with it; an operation
    /// outlives its caller.
    pub(super) fn cancel(&mut self, visit: &Visit) -> Move {
        self.trace.push(self.step, visit.site, visit.key, What::Cancelled);
        self.interference.add(interference::Kind::Cancel, 1);
        let task = self.task_mut(visit.site.task);
        task.is_cancelled = true;
        self.wake(visit.site.task, Wakes::Task)
    }

    /// How an operation comes out.
    pub(super) fn landing(&mut self, visit: &Visit, traits: OperationTraits) -> Landing {
        let OperationTraits { fails, fills, breaks, .. } = traits;
        let knobs = self.schedule.knobs;
        if self.injected.contains_key(&visit.key) {
            self.reached.insert(visit.key); // also where it takes effect at once, and never waits
        }
        let errno = match self.injected.get(&visit.key) {
            Some(Action::Error(errno)) if fails || fills || breaks => Some(*errno),
            Some(_) => None,
            None if fails && self.takes(knobs.fail, Question::Fail, visit) => Some(ERRNO_IO),
            None if fills && self.takes(knobs.full, Question::Fail, visit) => Some(ERRNO_FULL),
            None if breaks && self.has_next_life() && self.takes(knobs.broken, Question::Break, visit) => {
                Some(ERRNO_IO)
            }
            None => None,
        };
        let Some(errno) = errno else {
            return Landing::Done;
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

/// Where a new task is parked.
pub(super) const START: &str = "Start";
