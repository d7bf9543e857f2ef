//! Where the oracles stand during a run: asks each at its moment and keeps the first finding of each.

use crate::conductor::{Conductor, Pulse};
use crate::history::{Answer, History, Save};
use crate::locks::LockFacts;
use crate::oracle::{Finding, ORACLES, Tasks, View, When};
use crate::site::{TaskId, kind};
use crate::verdict::Violation;
use crate::vocabulary::{STATE_LOCK, WINDOWS};
use segment_engine::RingLimits;
use segment_engine::error::RecordFault;
use segment_engine::ring_state::RingRecord;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The watch over one run. Clones watch the same.
#[derive(Clone)]
pub struct Watch {
    /// The limits under which saved rings are read.
    pub limits: RingLimits,
    steps_max: u64,
    history: Arc<Mutex<History>>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    violations: Vec<Violation>,
    changes: u64,
    ended: usize,
    published: Option<Arc<RingRecord>>,
}

impl Tasks for Conductor {
    fn label(&self, task: TaskId) -> String {
        Conductor::label(self, task)
    }

    fn is_alive(&self, task: TaskId) -> bool {
        Conductor::is_alive(self, task)
    }
}

impl Watch {
    /// A watch over a run that has not begun.
    pub fn new(limits: RingLimits, steps_max: u64) -> Watch {
        Watch { limits, steps_max, history: Arc::default(), seen: Arc::default() }
    }

    /// The run so far.
    pub fn history(&self) -> &Arc<Mutex<History>> {
        &self.history
    }

    /// A ring was saved by the running task.
    pub fn saved(&self, conductor: &Conductor, record: RingRecord) {
        let save = Save { step: conductor.steps(), task: conductor.current(), record };
        self.ask(conductor, When::Save, Some(&save), None, LockFacts::default(), &[]);
        self.lock_history().save(save);
    }

    /// A ring was saved that cannot be decoded.
    pub fn undecodable(&self, conductor: &Conductor, fault: RecordFault) {
        let label = conductor.current().map_or_else(String::new, |task| conductor.label(task));
        let race = format!("{}@RingSaved", kind(&label));
        let sentence = format!("{label} saved a ring that cannot be read back: {fault}");
        self.report("ring-shape", conductor.steps(), Finding { race, sentence });
    }

    /// A caller was told something.
    pub fn answered(&self, task: TaskId, answer: Answer) {
        self.lock_history().answers.push((task, answer));
    }

    /// A step is over. Oracles are asked only if there is something new to see.
    pub fn after_step(&self, conductor: &Conductor, pulse: &Pulse, published: Option<Arc<RingRecord>>) {
        let is_new = {
            let (mut seen, history) = (self.lock_seen(), self.lock_history());
            let same_ring = match (&seen.published, &published) {
                (Some(seen), Some(now)) => Arc::ptr_eq(seen, now),
                (seen, now) => seen.is_none() && now.is_none(),
            };
            let is_new = !same_ring || seen.changes != history.changes || seen.ended != pulse.ended;
            (seen.changes, seen.ended, seen.published) = (history.changes, pulse.ended, published.clone());
            is_new
        };
        if is_new || pulse.locks != LockFacts::default() {
            self.ask(conductor, When::Step, None, published.as_deref(), pulse.locks, &[]);
        }
    }

    /// Nothing more can run, or the run was cut off at its bound.
    pub fn drained(&self, conductor: &Conductor, published: Option<Arc<RingRecord>>) {
        for (task, message) in conductor.panics() {
            let label = conductor.label(task);
            let sentence = format!("{label} panicked: {}", message.lines().next().unwrap_or_default());
            self.report("panic", conductor.steps(), Finding { race: kind(&label), sentence });
        }
        let unfinished = conductor.unfinished();
        self.ask(conductor, When::Drained, None, published.as_deref(), LockFacts::default(), &unfinished);
        let counts = conductor.window_counts();
        if self.lock_seen().violations.is_empty()
            && let Some((window, _)) =
                WINDOWS.iter().zip(&counts).find(|(kind, count)| kind.exclusive && count.landings > 0)
        {
            let sentence = format!("another task's commit landed inside the exclusive window {}", window.name);
            self.report("exclusive-window", conductor.steps(), Finding { race: window.name.to_string(), sentence });
        }
    }

    /// The findings, in the order in which they were made.
    pub fn take_violations(&self) -> Vec<Violation> {
        std::mem::take(&mut self.lock_seen().violations)
    }

    fn ask(
        &self,
        conductor: &Conductor,
        when: When,
        saving: Option<&Save>,
        published: Option<&RingRecord>,
        locks: LockFacts,
        unfinished: &[TaskId],
    ) {
        let history = self.lock_history();
        let view = View {
            history: &history,
            saving,
            published,
            locks,
            state_holder: conductor.holder(STATE_LOCK),
            tasks: conductor,
            steps: conductor.steps(),
            steps_max: self.steps_max,
            unfinished,
        };
        for oracle in ORACLES.iter().filter(|oracle| oracle.when == when) {
            if let Some(finding) = (oracle.check)(&view) {
                self.report(oracle.name, view.steps, finding);
            }
        }
    }

    fn report(&self, oracle: &str, step: u64, Finding { race, sentence }: Finding) {
        let mut seen = self.lock_seen();
        if !seen.violations.iter().any(|violation| violation.oracle == oracle) {
            seen.violations.push(Violation { oracle: oracle.to_string(), step, race, sentence });
        }
    }

    fn lock_history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
