//! The conductor owns the schedule: it alone says which parked task or waiting operation goes next.
//!
//! Tasks park at every point; submitted operations wait to land. Between two steps everything is parked, so a run's
//! order is the conductor's choices and nothing else: which task is polled first, when several were woken, cannot
//! matter, because each parks again before it acts. The conductor polls them itself, in an order that somebody else
//! picks, and steps as soon as none is left. (A task of an executor for each costs a tenth of all runs a second.)
//!
//! It does not check anything itself: oracles look at what it recorded.

mod cancel;
mod choose;
mod crash;
mod guided;
mod meaning;
mod points;
mod pulse;
mod state;
mod task;
mod tasks;
mod wait;

pub use meaning::Vocabulary;
pub use points::Points;
pub use pulse::Pulse;
pub use task::panic_message;

use crate::choice::{Guide, Walk};
use crate::confined::Confined;
use crate::decision::{Decisions, Question, Ratio};
use crate::interference::Interference;
use crate::locks::Locks;
use crate::plan::{CrashKind, Injection, Moment, Schedule};
use crate::site::{Site, SiteName, TaskId};
use crate::trace::{Trace, What};
use crate::window::Windows;
use guided::Guided;
use state::{Kind, State, Visit};
use std::cell::RefMut;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use task::{Conducted, Woken};
use wait::{Answered, Park};

/// EIO: the error of an operation that a knob, and not an injection, makes fail.
const ERRNO_IO: i32 = 5;

/// ENOSPC: the same, of one that needs room.
pub(crate) const ERRNO_FULL: i32 = 28;

/// The longest hold that a knob makes, in steps.
const HOLD_STEPS_MAX: u64 = 40;

/// Of the callers that a knob drops, the share that is dropped where it is; the others go on for some steps.
const CANCEL_AT_ONCE: Ratio = Ratio::new(1, 2);

/// The most steps that they go on.
const CANCEL_STEPS_MAX: u64 = 12;

/// One hold of this many lasts until nothing else can run.
const HOLD_IDLE: Ratio = Ratio::new(1, 3);

/// Of the reads that the knob `rot` hits, the share that fails; the others find a bit flipped.
const UNREADABLE: Ratio = Ratio::new(1, 3);

/// Tasks of a usual run.
const TASKS_USUAL: usize = 32;

/// What a task is to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Does something for the workload, may be cancelled, must end.
    Caller,
    /// Was started by another task and must end.
    Worker,
    /// Was started by another task and may wait for more work for ever.
    Daemon,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It returned.
    Finished,
    /// It was dropped by the plan.
    Cancelled,
    /// Its process ended.
    Killed,
    /// It panicked, saying this.
    Panicked(String),
}

/// How a submitted operation comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// It takes effect.
    Done,
    /// A part of it takes effect, as this draw says: it ends with the process.
    Cut(u64),
    /// It takes effect, and finds a bit flipped, as this draw says.
    Rotten(u64),
    /// It fails.
    Failed(Failure),
}

impl Landing {
    /// How it fails, if it does.
    pub fn failure(self) -> Option<Failure> {
        match self {
            Landing::Failed(failure) => Some(failure),
            Landing::Done | Landing::Cut(_) | Landing::Rotten(_) => None,
        }
    }
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The error number.
    pub errno: i32,
    /// What else there is to decide about it.
    pub draw: u64,
}

/// What may happen to an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationTraits {
    /// It can be slow: the knob `slow` holds it.
    pub slow: bool,
    /// It can fail: the knob `fail` and error injections apply to it.
    pub fails: bool,
    /// It needs room: the knob `full` and error injections apply to it.
    pub fills: bool,
    /// The knob `broken` and error injections apply to it.
    pub breaks: bool,
    /// It reads what may be rotten: the knob `rot` and its injections apply to it.
    pub rots: bool,
    /// It fails, whatever the plan says, unless that has it fail in another way.
    pub stuck: bool,
}

impl OperationTraits {
    /// Of an operation like any other.
    pub const USUAL: OperationTraits =
        OperationTraits { slow: false, fails: false, fills: false, breaks: true, rots: false, stuck: false };
}

/// An operation that takes effect at once, and how it comes out.
pub struct Begun {
    visit: Option<Visit>,
    /// How it comes out.
    pub landing: Landing,
}

impl Begun {
    /// Where it begins, if a task under the conductor does.
    pub fn site(&self) -> Option<Site> {
        self.visit.as_ref().map(|visit| visit.site)
    }
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proceed {
    /// It does, if anything can.
    On,
    /// It is cut off.
    Stop,
}

/// A handle to the conductor of one run. Clones are the same conductor.
#[derive(Clone)]
pub struct Conductor {
    shared: Arc<Shared>,
}

struct Shared {
    state: Confined<State>,
    /// While there are none, everything is parked.
    woken: Arc<Woken>,
}

impl Conductor {
    /// A conductor for one run, which keeps the trace's events or only their hash. Until [`Conductor::conduct`] nothing
    /// parks and every operation lands at once.
    pub fn new(schedule: &Schedule, vocabulary: &'static Vocabulary, keep_trace: bool) -> Conductor {
        Conductor::knowing(Points::new(vocabulary), schedule, keep_trace)
    }

    /// The same, with the points that earlier runs have come to: nothing has to be looked up again.
    pub fn knowing(points: Points, schedule: &Schedule, keep_trace: bool) -> Conductor {
        let vocabulary = points.vocabulary();
        let mut injected = BTreeMap::new();
        let mut awaited = BTreeSet::new();
        for Injection { site, action } in &schedule.injections {
            awaited.extend(action.awaits().map(SiteName::key));
            injected.insert(site.key(), action.clone());
        }
        let state = State {
            decisions: Decisions::new(schedule.seed, "schedule"),
            schedule: schedule.clone(),
            crash_keys: schedule.crashes.iter().map(|crash| crash.at.key()).collect(),
            injected,
            awaited,
            passed: BTreeSet::new(),
            reached: BTreeSet::new(),
            conducting: false,
            is_over: false,
            points,
            tasks: Vec::with_capacity(TASKS_USUAL),
            waiting: Vec::with_capacity(TASKS_USUAL),
            to_cancel: Vec::new(),
            next_ticket: 0,
            current: None,
            last: TaskId(0),
            step: 0,
            now_ms: 0,
            trace: Trace::new(keep_trace),
            windows: Windows::new(vocabulary.windows),
            locks: Locks::new(vocabulary.locks),
            ended: Vec::with_capacity(TASKS_USUAL),
            life: 0,
            life_began: 0,
            crash_site_met: 0,
            crashed: None,
            crash_sites: Vec::new(),
            interference: Interference::default(),
            fired: keep_trace.then(Vec::new),
            ends: Vec::new(),
            guided: None,
        };
        Conductor { shared: Arc::new(Shared { state: Confined::new(state), woken: Arc::default() }) }
    }

    /// The choices of the run come from this guide, and not from the schedule's base, knobs and injections. To be called
    /// before anything else.
    pub fn follow(&self, guide: Guide) {
        self.state().guided = Some(Box::new(Guided::new(guide)));
    }

    /// Whether its choices come from a guide.
    pub fn is_guided(&self) -> bool {
        self.state().guided.is_some()
    }

    /// In a guided run: a thing that the step changes has this value now.
    pub fn is_now(&self, thing: u32, value: u128) {
        if let Some(clocks) = self.state().clocks() {
            clocks.is_now(thing.trailing_zeros() as usize, value);
        }
    }

    /// How a guided run went.
    pub fn take_walk(&self) -> Walk {
        self.state().guided.as_mut().map(|guided| std::mem::take(&mut guided.walk)).unwrap_or_default()
    }

    /// From now on tasks park and operations wait. Steps until nothing can go on or `between`, which is called between
    /// any two steps and after the last, stops it. `pick` picks one of so many woken tasks: it must not matter which.
    pub fn conduct(&self, mut between: impl FnMut(Pulse<'_>) -> Proceed, mut pick: impl FnMut(usize) -> usize) {
        self.state().conducting = true;
        loop {
            while let Some(task) = self.next_woken(&mut pick) {
                self.poll(task);
            }
            let mut state = self.state();
            let proceed = between(Pulse { state: &state });
            let next = if proceed == Proceed::On { state.step() } else { None };
            let Some(next) = next else {
                state.conducting = false;
                return;
            };
            drop(state);
            next.go();
        }
    }

    fn next_woken(&self, pick: impl FnOnce(usize) -> usize) -> Option<TaskId> {
        let mut woken = self.shared.woken.borrow_mut();
        match woken.len() {
            0 | 1 => woken.pop(),
            count => Some(woken.swap_remove(pick(count))),
        }
    }

    /// Drops what still waits and every task. From now on nothing starts, nothing parks and nothing is recorded.
    pub fn stop(&self) {
        let mut state = self.state();
        state.is_over = true;
        let waiting = std::mem::take(&mut state.waiting);
        let tasks = state.take_conducted();
        drop(state); // what is dropped may use it
        drop(waiting);
        drop(tasks);
    }

    /// Ends the process, as a crash does, with no site to end at; `at` is kept as its end.
    pub fn kill(&self, kind: CrashKind, at: Moment) {
        let killed = {
            let mut state = self.state();
            state.step += 1;
            state.ends.push(at);
            state.kill(kind)
        };
        killed.go();
    }

    /// A crash is over: the next life of the process begins.
    pub fn revive(&self) {
        let mut state = self.state();
        state.crashed = None;
        state.life += 1;
        state.step += 1; // what the next life finds was not made in the last step of this one
        (state.life_began, state.crash_site_met) = (state.step, 0);
    }

    /// Takes a task in: parks it at `Start`, then polls it under `label`, and records how it ends.
    pub fn adopt(&self, label: String, role: Role, task: impl Future<Output = ()> + Send + 'static) {
        let task = Box::pin(task); // at once: it may be large, and each move copies it
        let mut state = self.state();
        if !state.is_over {
            state.add_task(label, role, |id| Conducted::new(id, &self.shared.woken, task));
        }
    }

    /// The label of a task that the running one starts under `name`: its own, a slash, the name and a number; outside a
    /// task just the name.
    pub fn child_label(&self, name: &'static str) -> String {
        self.state().child_label(name)
    }

    /// Parks the running task at a point until a step lets it pass.
    pub fn reach(&self, point: &'static str) -> impl Future<Output = ()> + Send + use<'_> {
        Park::new(self, point, None)
    }

    /// The virtual time, from the start of the run.
    pub fn now_ms(&self) -> u64 {
        self.state().now_ms
    }

    /// Parks the running task until nothing else can run and `duration_ms` of virtual time have gone.
    pub fn sleep(&self, point: &'static str, duration_ms: u64) -> impl Future<Output = ()> + Send + use<'_> {
        let due_ms = self.state().now_ms + duration_ms;
        Park::new(self, point, Some(due_ms))
    }

    /// Records that the running task passes a point, without parking. Does nothing outside a task: a destructor that
    /// runs after a kill has nothing to tell.
    pub fn note(&self, point: &'static str) {
        let mut state = self.state();
        if let Some(visit) = state.arrive(point) {
            state.got_to(&visit);
            state.pass(&visit, What::Noted);
        }
    }

    /// The answer to a question about the running task's next visit of a point, if it runs under the conductor.
    pub fn foresee(&self, point: &'static str, question: Question) -> Option<u64> {
        self.state().foresee(point, question)
    }

    /// The running task's next visit of a point, if it runs under the conductor.
    pub fn coming(&self, point: &'static str) -> Option<Site> {
        self.state().coming(point)
    }

    /// The running task begins something that takes effect at once.
    pub fn begin(&self, point: &'static str, traits: OperationTraits) -> Begun {
        let mut state = self.state();
        let visit = state.arrive(point);
        state.touch_operation(point, true);
        if let Some(Visit { site, lock, .. }) = &visit {
            let (task, lock) = (site.task, *lock);
            state.locks.got_to(task, lock, point);
        }
        let landing = visit.as_ref().map_or(Landing::Done, |visit| state.landing(visit, traits));
        Begun { visit, landing }
    }

    /// Records that it changed something whose content has this number, and looks.
    pub fn changed(&self, begun: Begun, content: u64, look: impl FnOnce(Pulse<'_>)) {
        let mut state = self.state();
        if let Some(visit) = begun.visit {
            let failed = begun.landing.failure().map(|failure| What::Failed(failure.errno));
            let what = failed.unwrap_or(What::Changed(content));
            state.pass(&visit, what);
        }
        look(Pulse { state: &state });
    }

    /// Hands in an operation. It lands when a step says so, also when the returned future is dropped before.
    pub fn submit<T: Send + 'static, F: FnOnce(Landing) -> T + Send + 'static>(
        &self,
        point: &'static str,
        traits: OperationTraits,
        effect: F,
    ) -> impl Future<Output = T> + Send + use<T, F> {
        let answered = Answered::new();
        let mut state = self.state();
        match state.arrive(point) {
            Some(visit) => {
                state.got_to(&visit);
                state.touch_operation(point, false);
                let answer = answered.other_end();
                let land = move |landing| answer.answer(effect(landing));
                state.wait(visit, Kind::Operation(traits, Box::new(land)));
            }
            None => {
                drop(state);
                answered.answer(effect(Landing::Done));
            }
        }
        answered
    }

    /// The task that runs, if one does.
    pub fn current(&self) -> Option<TaskId> {
        self.state().current
    }

    /// Looks at the run as it is.
    pub fn look<T>(&self, look: impl FnOnce(Pulse<'_>) -> T) -> T {
        look(Pulse { state: &self.state() })
    }

    /// Takes the trace out, at the end of a run.
    pub fn take_trace(&self) -> Trace {
        std::mem::take(&mut self.state().trace)
    }

    /// Takes the points out, at the end of a run.
    pub fn take_points(&self) -> Points {
        let mut state = self.state();
        let none = Points::new(state.points.vocabulary());
        std::mem::replace(&mut state.points, none)
    }

    /// Everything that the plan did to the run, knobs included, as injections by name. Kept with the trace.
    pub fn take_fired(&self) -> Vec<Injection> {
        self.state().fired.take().unwrap_or_default()
    }

    /// When each life of the process ended but the last: at a site, by itself, or as its callers were gone.
    pub fn take_ends(&self) -> Vec<Moment> {
        std::mem::take(&mut self.state().ends)
    }

    /// The sites that the plan names and the run did not come to: an injection's, the end of a hold, a crash's.
    pub fn unreached(&self) -> Vec<SiteName> {
        self.state().unreached()
    }

    fn state(&self) -> RefMut<'_, State> {
        self.shared.state.borrow_mut()
    }
}
