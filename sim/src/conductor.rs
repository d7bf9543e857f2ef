//! The conductor owns the schedule: it alone says which parked task or waiting operation goes next.
//!
//! Tasks park at every point; submitted operations wait to land. Between two steps everything is parked, so a run's
//! order is the conductor's choices and nothing else: which task an executor polls first, when several were woken,
//! cannot matter, because each parks again before it acts. The conductor knows neither the executor nor the clock: it
//! counts the tasks that were woken and not yet polled, and steps as soon as there are none. (A virtual sleep, which
//! also returns only then, costs a fifth of all runs a second.)
//!
//! It does not check anything itself: oracles look at what it recorded.

use crate::decision::{Decisions, Draws, Ratio, below};
use crate::locks::{LockFacts, LockKind, Locks};
use crate::plan::{Action, Base, Injection, Schedule, Until};
use crate::site::{Site, SiteName, TaskId, has_kind, label_key, site_key};
use crate::trace::{Trace, What};
use crate::window::{Window, WindowCount, Windows};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// EIO: the error of an operation that a knob, and not an injection, makes fail.
const ERRNO_IO: i32 = 5;

/// The longest hold that a knob makes, in steps.
const HOLD_STEPS_MAX: u64 = 40;

/// One hold of this many lasts until nothing else can run.
const HOLD_IDLE: Ratio = Ratio::new(1, 3);

/// What is watched in a run.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary {
    /// The windows to count.
    pub windows: &'static [Window],
    /// The locks to follow.
    pub locks: &'static [LockKind],
}

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
    /// It panicked, saying this.
    Panicked(String),
}

/// How a submitted operation comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// It takes effect.
    Done,
    /// It has no effect and this error number.
    Failed(i32),
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Something went on.
    Moved,
    /// Nothing can: every task has ended or waits for something that no step brings.
    Idle,
}

/// What may happen to an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationTraits {
    /// It can be slow: the knob `slow` holds it.
    pub slow: bool,
    /// It can fail: the knob `fail` and error injections apply to it.
    pub fails: bool,
}

/// How often the plan interfered, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interference {
    /// Sites that were held.
    pub holds: u64,
    /// Operations that were slow.
    pub slow: u64,
    /// Operations that failed.
    pub failures: u64,
    /// Callers that were dropped.
    pub cancels: u64,
}

/// The run between two steps.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    /// Steps so far.
    pub step: u64,
    /// Tasks that have ended.
    pub ended: usize,
    /// What is wrong with the locks.
    pub locks: LockFacts,
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
    state: Arc<Mutex<State>>,
    /// Tasks that were woken and not yet polled. While there are none, everything is parked.
    ready: Arc<AtomicUsize>,
    between: Arc<Mutex<Option<Between>>>,
}

/// Called between two steps.
type Between = Box<dyn FnMut(&Pulse) -> Proceed + Send>;

struct State {
    schedule: Schedule,
    decisions: Decisions,
    injected: BTreeMap<u64, Action>,
    /// Sites that a hold waits for, and those of them that have passed.
    awaited: BTreeSet<u64>,
    passed: BTreeSet<u64>,
    conducting: bool,
    waits_for_end: Option<Waker>,
    tasks: Vec<Task>,
    waiting: Vec<Waiting>,
    next_ticket: u64,
    current: Option<TaskId>,
    last: TaskId,
    step: u64,
    now_ms: u64,
    trace: Trace,
    windows: Windows,
    locks: Locks,
    ended: usize,
    interference: Interference,
    /// Kept with the trace.
    fired: Option<Vec<Injection>>,
}

struct Task {
    label: String,
    key: u64,
    role: Role,
    /// Base `priority`: the lowest goes first.
    rank: u64,
    waker: Waker,
    cancelled: bool,
    end: Option<End>,
    hits: Vec<(&'static str, u32)>,
    children: Vec<(&'static str, u32)>,
}

struct Waiting {
    ticket: u64,
    site: Site,
    key: u64,
    draws: Draws,
    hold: Option<Hold>,
    kind: Kind,
}

enum Kind {
    Parked(Waker),
    Asleep(Waker, u64),
    Operation(OperationTraits, Box<dyn FnOnce(Landing) + Send>),
}

#[derive(Clone, Copy)]
enum Hold {
    Passed(u64),
    UntilStep(u64),
    Idle,
}

impl Conductor {
    /// A conductor for one run, which keeps the trace's events or only their hash. Until [`Conductor::start`] nothing parks and every operation lands at once.
    pub fn new(schedule: &Schedule, vocabulary: Vocabulary, keep_trace: bool) -> Conductor {
        let mut injected = BTreeMap::new();
        let mut awaited = BTreeSet::new();
        for Injection { site, action } in &schedule.injections {
            if let Action::Hold(Until::Passed(until)) = action {
                awaited.insert(until.key());
            }
            injected.insert(site.key(), action.clone());
        }
        let state = State {
            decisions: Decisions::new(schedule.seed, "schedule"),
            schedule: schedule.clone(),
            injected,
            awaited,
            passed: BTreeSet::new(),
            conducting: false,
            waits_for_end: None,
            tasks: Vec::new(),
            waiting: Vec::new(),
            next_ticket: 0,
            current: None,
            last: TaskId(0),
            step: 0,
            now_ms: 0,
            trace: Trace::new(keep_trace),
            windows: Windows::new(vocabulary.windows),
            locks: Locks::new(vocabulary.locks),
            ended: 0,
            interference: Interference::default(),
            fired: keep_trace.then(Vec::new),
        };
        Conductor { state: Arc::new(Mutex::new(state)), ready: Arc::default(), between: Arc::default() }
    }

    /// From now on tasks park and operations wait. Steps until nothing can go on or `between`, which is called between
    /// any two steps and after the last, stops it.
    pub fn conduct<B>(&self, between: B) -> impl Future<Output = ()> + use<B>
    where
        B: FnMut(&Pulse) -> Proceed + Send + 'static,
    {
        self.lock().conducting = true;
        *self.between.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(between));
        self.step_if_settled();
        let conductor = self.clone();
        std::future::poll_fn(move |context| {
            let mut state = conductor.lock();
            if !state.conducting {
                return Poll::Ready(());
            }
            state.waits_for_end = Some(context.waker().clone());
            Poll::Pending
        })
    }

    /// If everything is parked, looks, and lets something go on.
    fn step_if_settled(&self) {
        let mut between = self.between.lock().unwrap_or_else(PoisonError::into_inner);
        while self.ready.load(Ordering::Relaxed) == 0
            && let Some(look) = between.as_mut()
        {
            if look(&self.pulse()) == Proceed::Stop || self.step() == Step::Idle {
                *between = None;
                let mut state = self.lock();
                state.conducting = false;
                if let Some(waker) = state.waits_for_end.take() {
                    waker.wake();
                }
            }
        }
    }

    /// Drops what still waits. What is called from now on does nothing.
    pub fn stop(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        drop(waiting); // without the lock: a dropped operation may drop futures that use it
    }

    /// Takes a task in: parks it at `Start`, then polls it under `label`, and records how it ends. The executor runs
    /// what is returned.
    pub fn adopt<F>(&self, label: String, role: Role, task: F) -> impl Future<Output = ()> + Send + use<F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // a spawn is a wake-up too: several tasks may start in the same step, in an order that is the executor's
        let start = self.reach("Start");
        let started = async move {
            start.await;
            task.await;
        };
        let mut state = self.lock();
        let key = label_key(&label);
        let id = TaskId(u16::try_from(state.tasks.len()).expect("a run has fewer than 65,536 tasks"));
        let rank = state.decisions.draws(key).rank >> 1;
        let ready = Readiness::of_new_task(&self.ready);
        let waker = Waker::from(ready.clone());
        state.tasks.push(Task {
            label,
            key,
            role,
            rank,
            waker: waker.clone(),
            cancelled: false,
            end: None,
            hits: Vec::new(),
            children: Vec::new(),
        });
        Conducted { conductor: self.clone(), task: id, ready, waker, future: Some(Box::pin(started)) }
    }

    /// The label of a task that the running one starts under `name`: its own, a slash, the name and a number; outside a
    /// task just the name.
    pub fn child_label(&self, name: &'static str) -> String {
        let mut state = self.lock();
        let Some(parent) = state.current else {
            return name.to_string();
        };
        let parent = &mut state.tasks[usize::from(parent.0)];
        let number = count(&mut parent.children, name);
        format!("{}/{name}#{number}", parent.label)
    }

    /// Parks the running task at a point until a step lets it pass.
    pub fn reach(&self, point: &'static str) -> impl Future<Output = ()> + Send + use<> {
        Park { conductor: self.clone(), point, due_ms: None, ticket: None }
    }

    /// Parks the running task until nothing else can run and `duration_ms` of virtual time have gone.
    pub fn sleep(&self, point: &'static str, duration_ms: u64) -> impl Future<Output = ()> + Send + use<> {
        let due_ms = Some(self.lock().now_ms + duration_ms);
        Park { conductor: self.clone(), point, due_ms, ticket: None }
    }

    /// Records that the running task passes a point, without parking. Does nothing outside a task: a destructor that
    /// runs after a kill has nothing to tell.
    pub fn note(&self, point: &'static str) {
        let mut state = self.lock();
        if let Some((site, key)) = state.arrive(point) {
            state.windows.got_to(site.task, point);
            state.locks.got_to(site.task, point);
            state.pass(site, key, What::Noted);
        }
    }

    /// Records that the running task changed something whose content has this number.
    pub fn changed(&self, point: &'static str, content: u64) {
        let mut state = self.lock();
        if let Some((site, key)) = state.arrive(point) {
            state.pass(site, key, What::Changed(content));
        }
    }

    /// Hands in an operation. It lands when a step says so, also when the returned future is dropped before.
    pub fn submit<T: Send + 'static, F: FnOnce(Landing) -> T + Send + 'static>(
        &self,
        point: &'static str,
        traits: OperationTraits,
        effect: F,
    ) -> impl Future<Output = T> + Send + use<T, F> {
        let answer = Arc::new(Mutex::new(Answer { value: None, waker: None }));
        let mut state = self.lock();
        match state.arrive(point) {
            Some((site, key)) => {
                state.windows.got_to(site.task, point);
                let slot = answer.clone();
                let land = move |landing| {
                    let value = effect(landing);
                    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
                    slot.value = Some(value);
                    if let Some(waker) = slot.waker.take() {
                        waker.wake();
                    }
                };
                state.wait(site, key, Kind::Operation(traits, Box::new(land)));
            }
            None => {
                drop(state);
                let value = effect(Landing::Done);
                answer.lock().unwrap_or_else(PoisonError::into_inner).value = Some(value);
            }
        }
        Answered { answer }
    }

    /// Lets the best of what waits go on. To be called only when nothing runs.
    fn step(&self) -> Step {
        let mut state = self.lock();
        let Some(index) = state.choose() else {
            return Step::Idle;
        };
        state.step += 1;
        let waiting = state.waiting.swap_remove(index);
        let site = waiting.site;
        if state.cancels(&waiting) {
            state.trace_push(site, waiting.key, What::Cancelled);
            state.fire(site, Action::Cancel);
            state.interference.cancels += 1;
            let task = &mut state.tasks[usize::from(site.task.0)];
            task.cancelled = true;
            let waker = task.waker.clone();
            if let Kind::Operation(..) = waiting.kind {
                // the operation outlives its caller
                state.waiting.push(waiting);
            }
            drop(state);
            waker.wake();
            return Step::Moved;
        }
        state.last = site.task;
        state.demote(site.task, waiting.draws);
        match waiting.kind {
            Kind::Parked(waker) => {
                state.pass(site, waiting.key, What::Passed);
                drop(state);
                waker.wake();
            }
            Kind::Asleep(waker, due_ms) => {
                state.now_ms = state.now_ms.max(due_ms);
                state.pass(site, waiting.key, What::Passed);
                drop(state);
                waker.wake();
            }
            Kind::Operation(traits, land) => {
                let landing = state.landing(site, waiting.key, waiting.draws, traits);
                let what = match landing {
                    Landing::Done => What::Landed,
                    Landing::Failed(errno) => What::Failed(errno),
                };
                state.pass(site, waiting.key, what);
                drop(state);
                land(landing);
            }
        }
        Step::Moved
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.lock().step
    }

    /// The task that runs, if one does.
    pub fn current(&self) -> Option<TaskId> {
        self.lock().current
    }

    /// Whether a task goes on.
    pub fn is_alive(&self, task: TaskId) -> bool {
        self.lock().tasks[usize::from(task.0)].end.is_none()
    }

    /// Looks at the run between two steps.
    fn pulse(&self) -> Pulse {
        let state = self.lock();
        let is_kind = |task: TaskId, name: &str| has_kind(&state.tasks[usize::from(task.0)].label, name);
        Pulse { step: state.step, ended: state.ended, locks: state.locks.facts(is_kind) }
    }

    /// The task that holds the lock of this name.
    pub fn holder(&self, lock: &str) -> Option<TaskId> {
        self.lock().locks.holder(lock)
    }

    /// A task's label.
    pub fn label(&self, task: TaskId) -> String {
        self.lock().tasks[usize::from(task.0)].label.clone()
    }

    /// The labels of all tasks, in the order of their ids.
    pub fn labels(&self) -> Vec<String> {
        self.lock().tasks.iter().map(|task| task.label.clone()).collect()
    }

    /// Callers and workers that have not ended.
    pub fn unfinished(&self) -> Vec<TaskId> {
        let state = self.lock();
        let ids = (0u16..).map(TaskId).zip(&state.tasks);
        ids.filter(|(_, task)| task.end.is_none() && task.role != Role::Daemon).map(|(id, _)| id).collect()
    }

    /// The panics of the run: which task, saying what.
    pub fn panics(&self) -> Vec<(TaskId, String)> {
        let state = self.lock();
        let ids = (0u16..).map(TaskId).zip(&state.tasks);
        ids.filter_map(|(id, task)| match &task.end {
            Some(End::Panicked(message)) => Some((id, message.clone())),
            _ => None,
        })
        .collect()
    }

    /// Takes the trace out, at the end of a run.
    pub fn take_trace(&self) -> Trace {
        std::mem::take(&mut self.lock().trace)
    }

    /// What was counted of each window.
    pub fn window_counts(&self) -> Vec<WindowCount> {
        self.lock().windows.counts()
    }

    /// How often the plan interfered.
    pub fn interference(&self) -> Interference {
        self.lock().interference
    }

    /// Everything that the plan did to the run, knobs included, as injections by name. Kept with the trace.
    pub fn take_fired(&self) -> Vec<Injection> {
        self.lock().fired.take().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // the state is never left half changed: nothing under the lock calls out
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Numbers the running task's visit of a point; `None` outside a conducted task.
    fn arrive(&mut self, point: &'static str) -> Option<(Site, u64)> {
        let task = self.current.filter(|_| self.conducting)?;
        let state = &mut self.tasks[usize::from(task.0)];
        let hit = count(&mut state.hits, point);
        Some((Site { task, point, hit }, site_key(state.key, point, hit)))
    }

    /// Queues what waits, held or not.
    fn wait(&mut self, site: Site, key: u64, kind: Kind) -> u64 {
        let draws = self.decisions.draws(key);
        let knobs = self.schedule.knobs;
        let slow = matches!(kind, Kind::Operation(OperationTraits { slow: true, .. }, _));
        let Draws { hold: held, length, .. } = draws;
        let until = match self.injected.get(&key) {
            Some(Action::Hold(until)) => Some(until.clone()),
            Some(_) => None,
            None if knobs.hold.takes(held) || (slow && knobs.slow.takes(held)) => Some(if HOLD_IDLE.takes(length) {
                Until::Idle
            } else {
                Until::Steps(below(length.rotate_left(32), HOLD_STEPS_MAX) as u32 + 1)
            }),
            None => None,
        };
        let hold = until.map(|until| {
            self.interference.holds += 1;
            self.interference.slow += u64::from(slow);
            let hold = match &until {
                Until::Passed(site) => Hold::Passed(site.key()),
                Until::Steps(steps) => Hold::UntilStep(self.step + u64::from(*steps)),
                Until::Idle => Hold::Idle,
            };
            self.fire(site, Action::Hold(until));
            hold
        });
        self.next_ticket += 1;
        self.waiting.push(Waiting { ticket: self.next_ticket, site, key, draws, hold, kind });
        self.next_ticket
    }

    /// The index of what goes next: the best that is not held; if all are held, the best of those; if all sleep, the
    /// first that is due.
    fn choose(&self) -> Option<usize> {
        let order = |waiting: &Waiting| {
            let asleep = match &waiting.kind {
                Kind::Asleep(_, due_ms) => Some(*due_ms),
                _ => None,
            };
            (asleep, self.is_held(waiting), self.rank(waiting), waiting.site)
        };
        self.waiting.iter().enumerate().min_by_key(|(_, waiting)| order(waiting)).map(|(index, _)| index)
    }

    fn is_held(&self, waiting: &Waiting) -> bool {
        match waiting.hold {
            None => false,
            Some(Hold::Passed(site)) => !self.passed.contains(&site),
            Some(Hold::UntilStep(step)) => self.step < step,
            Some(Hold::Idle) => true,
        }
    }

    fn rank(&self, waiting: &Waiting) -> (u64, u64) {
        let task = waiting.site.task;
        match self.schedule.base {
            Base::Keyed => (0, waiting.draws.rank),
            Base::Priority => (self.tasks[usize::from(task.0)].rank, waiting.draws.rank),
            Base::Sequential => (u64::from(task.0.wrapping_sub(self.last.0)), u64::from(waiting.site.hit)),
        }
    }

    fn cancels(&self, waiting: &Waiting) -> bool {
        let task = &self.tasks[usize::from(waiting.site.task.0)];
        if task.role != Role::Caller || task.cancelled || task.end.is_some() {
            return false;
        }
        match self.injected.get(&waiting.key) {
            Some(action) => *action == Action::Cancel,
            None => self.schedule.knobs.cancel.takes(waiting.draws.cancel),
        }
    }

    fn landing(&mut self, site: Site, key: u64, draws: Draws, traits: OperationTraits) -> Landing {
        let errno = match self.injected.get(&key) {
            Some(Action::Error(errno)) => Some(*errno),
            Some(_) => None,
            None => (traits.fails && self.schedule.knobs.fail.takes(draws.fail)).then_some(ERRNO_IO),
        };
        let Some(errno) = errno else {
            return Landing::Done;
        };
        self.interference.failures += 1;
        self.fire(site, Action::Error(errno));
        Landing::Failed(errno)
    }

    fn pass(&mut self, site: Site, key: u64, what: What) {
        self.windows.passed(site.task, site.point);
        self.locks.passed(site.task, site.point);
        self.trace_push(site, key, what);
        if !self.awaited.is_empty() && self.awaited.contains(&key) {
            self.passed.insert(key);
        }
    }

    /// Base `priority`: a few sites send their task to the back.
    fn demote(&mut self, task: TaskId, draws: Draws) {
        if self.schedule.base == Base::Priority && self.schedule.knobs.change.takes(draws.change) {
            self.tasks[usize::from(task.0)].rank = (1 << 63) + self.step;
        }
    }

    fn trace_push(&mut self, site: Site, key: u64, what: What) {
        self.trace.push(self.step, site, key, what);
    }

    fn fire(&mut self, site: Site, action: Action) {
        let Some(fired) = &mut self.fired else {
            return;
        };
        let task = self.tasks[usize::from(site.task.0)].label.clone();
        fired.push(Injection { site: SiteName { task, point: site.point.to_string(), hit: site.hit }, action });
    }
}

/// Counts one more of `name`.
fn count(counts: &mut Vec<(&'static str, u32)>, name: &'static str) -> u32 {
    match counts.iter_mut().find(|(counted, _)| *counted == name) {
        Some((_, number)) => {
            *number += 1;
            *number
        }
        None => {
            counts.push((name, 1));
            1
        }
    }
}

/// Counts a task among the ready ones from its wake-up to its next poll.
struct Readiness {
    is_ready: AtomicBool,
    all: Arc<AtomicUsize>,
    /// Known from the first poll on; the executor owes a new task that one anyway.
    executor: OnceLock<Waker>,
}

impl Readiness {
    fn of_new_task(all: &Arc<AtomicUsize>) -> Arc<Readiness> {
        all.fetch_add(1, Ordering::Relaxed);
        Arc::new(Readiness { is_ready: AtomicBool::new(true), all: all.clone(), executor: OnceLock::new() })
    }

    fn polled(&self) {
        if self.is_ready.swap(false, Ordering::Relaxed) {
            self.all.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Will not be polled again: a late wake-up must not count.
    fn ended(&self) {
        self.polled();
        self.is_ready.store(true, Ordering::Relaxed);
    }
}

impl Wake for Readiness {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_ready.swap(true, Ordering::Relaxed) {
            self.all.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(executor) = self.executor.get() {
            executor.wake_by_ref();
        }
    }
}

/// A task under its label.
struct Conducted {
    conductor: Conductor,
    task: TaskId,
    ready: Arc<Readiness>,
    waker: Waker,
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Future for Conducted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(future) = &mut this.future else {
            return Poll::Ready(());
        };
        this.ready.executor.get_or_init(|| context.waker().clone());
        this.ready.polled();
        let context = &mut Context::from_waker(&this.waker);
        let cancelled = {
            let mut state = this.conductor.lock();
            state.current = Some(this.task);
            state.tasks[usize::from(this.task.0)].cancelled
        };
        let end = if cancelled {
            Some(End::Cancelled)
        } else {
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
                Ok(Poll::Pending) => None,
                Ok(Poll::Ready(())) => Some(End::Finished),
                Err(panic) => Some(End::Panicked(panic_message(panic.as_ref()))),
            }
        };
        let poll = match end {
            Some(end) => {
                // its destructors still speak under its label
                let future = this.future.take();
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
                this.finish(dropped.map_or_else(|panic| End::Panicked(panic_message(panic.as_ref())), |()| end));
                Poll::Ready(())
            }
            None => {
                this.conductor.lock().current = None;
                Poll::Pending
            }
        };
        this.conductor.step_if_settled();
        poll
    }
}

impl Conducted {
    fn finish(&self, end: End) {
        self.ready.ended();
        let mut state = self.conductor.lock();
        state.current = None;
        state.ended += 1;
        state.windows.ended(self.task);
        state.locks.ended(self.task);
        let site = Site { task: self.task, point: "end", hit: 1 };
        let key = site_key(state.tasks[usize::from(self.task.0)].key, site.point, site.hit);
        match &end {
            End::Finished => state.trace_push(site, key, What::Finished),
            End::Panicked(_) => state.trace_push(site, key, What::Panicked),
            End::Cancelled => {} // traced where it happened
        }
        state.tasks[usize::from(self.task.0)].end = Some(end);
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_string())
}

/// A task parked at a point, or asleep.
struct Park {
    conductor: Conductor,
    point: &'static str,
    due_ms: Option<u64>,
    ticket: Option<u64>,
}

impl Future for Park {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let conductor = self.conductor.clone();
        let mut state = conductor.lock();
        match self.ticket {
            None => {
                let Some((site, key)) = state.arrive(self.point) else {
                    return Poll::Ready(());
                };
                state.windows.got_to(site.task, site.point);
                state.locks.got_to(site.task, site.point);
                let waker = context.waker().clone();
                let kind = match self.due_ms {
                    Some(due_ms) => Kind::Asleep(waker, due_ms),
                    None => Kind::Parked(waker),
                };
                self.ticket = Some(state.wait(site, key, kind));
                Poll::Pending
            }
            Some(ticket) if state.waiting.iter().any(|waiting| waiting.ticket == ticket) => Poll::Pending,
            Some(_) => {
                self.ticket = None;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Park {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut state = self.conductor.lock();
            if let Some(index) = state.waiting.iter().position(|waiting| waiting.ticket == ticket) {
                let waiting = state.waiting.swap_remove(index);
                drop(state);
                drop(waiting);
            }
        }
    }
}

struct Answer<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// The answer of an operation, once it has landed.
struct Answered<T> {
    answer: Arc<Mutex<Answer<T>>>,
}

impl<T> Future for Answered<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        match answer.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                answer.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
