//! The run at one moment, for whoever looks on: the oracles, and the record at its end.

use super::state::State;
use super::tasks::Task;
use super::{End, Role};
use crate::interference::Interference;
use crate::locks::LockFacts;
use crate::plan::CrashKind;
use crate::site::{OPEN, TaskId, has_kind};
use crate::window::{Window, WindowCount};
use std::collections::BTreeSet;

/// The run at one moment, seen while the conductor's state is borrowed: whoever looks must not call the conductor.
#[derive(Clone, Copy)]
pub struct Pulse<'a> {
    pub(super) state: &'a State,
}

impl<'a> Pulse<'a> {
    /// Steps so far.
    pub fn step(self) -> u64 {
        self.state.step
    }

    /// The virtual time, from the start of the run.
    pub fn now_ms(self) -> u64 {
        self.state.now_ms
    }

    /// Events of the trace so far, if they are kept.
    pub fn events(self) -> usize {
        self.state.trace.events().len()
    }

    /// The task that runs, if one does.
    pub fn current(self) -> Option<TaskId> {
        self.state.current
    }

    /// The tasks that have ended, in order.
    pub fn ended(self) -> &'a [TaskId] {
        &self.state.ended
    }

    /// What is wrong with the locks.
    pub fn locks(self) -> LockFacts {
        self.state.locks.facts(|task| self.state.task(task).never_waits)
    }

    /// How the process ended, if it has.
    pub fn crashed(self) -> Option<CrashKind> {
        self.state.crashed
    }

    /// Whether a guided run has ended in a state that is known.
    pub fn is_joined(self) -> bool {
        self.state.guided.as_ref().is_some_and(|guided| guided.walk.is_joined)
    }

    /// The points at which the process ended, each with the kind of task that was there.
    pub fn crash_sites(self) -> &'a [String] {
        &self.state.crash_sites
    }

    /// Each of these points that a task has been at, with the kind of that task, in order.
    pub fn sites_met(self, points: &[&'static str]) -> Vec<String> {
        let met = self.state.tasks.iter().flat_map(|task| self.state.sites_met(task, points));
        met.collect::<BTreeSet<String>>().into_iter().collect()
    }

    /// Grows whenever [`Pulse::locks`] may tell something new.
    pub fn lock_changes(self) -> u64 {
        self.state.locks.changes()
    }

    /// The task that holds the lock of this name.
    pub fn holder(self, lock: &str) -> Option<TaskId> {
        self.state.locks.holder(lock)
    }

    /// A task's label.
    pub fn label(self, task: TaskId) -> &'a str {
        &self.state.task(task).label
    }

    /// Whether a task goes on.
    pub fn is_alive(self, task: TaskId) -> bool {
        self.state.task(task).end.is_none()
    }

    /// Who started a task, if a task did.
    pub fn parent(self, task: TaskId) -> Option<TaskId> {
        self.state.task(task).parent
    }

    /// The point that a task has got to last.
    pub fn place(self, task: TaskId) -> &'static str {
        self.state.task(task).place
    }

    /// A task that goes on beside this one.
    pub fn beside(self, task: TaskId) -> Option<TaskId> {
        let ids = (0u16..).map(TaskId).zip(&self.state.tasks);
        ids.filter(|(_, other)| other.end.is_none()).map(|(id, _)| id).find(|id| *id != task)
    }

    /// How many tasks that others have started under this name go on.
    pub fn alive_children(self, name: &str) -> usize {
        let is_child = |label: &str| label.contains('/') && has_kind(label, name);
        self.state.tasks.iter().filter(|task| task.end.is_none() && is_child(&task.label)).count()
    }

    /// The labels of all tasks, in the order of their ids.
    pub fn labels(self) -> Vec<String> {
        self.state.tasks.iter().map(|task| task.label.clone()).collect()
    }

    /// Callers and workers that have not ended.
    pub fn unfinished(self) -> Vec<TaskId> {
        let ids = (0u16..).map(TaskId).zip(&self.state.tasks);
        ids.filter(|(_, task)| task.end.is_none() && task.role != Role::Daemon).map(|(id, _)| id).collect()
    }

    /// Whether each caller has ended or was dropped, and who opens the engine, too.
    pub fn are_callers_gone(self) -> bool {
        let stays = |task: &Task| task.role == Role::Caller || has_kind(&task.label, OPEN);
        !self.state.tasks.iter().any(|task| task.end.is_none() && stays(task))
    }

    /// Whether any of them goes on.
    pub fn is_busy(self) -> bool {
        !self.unfinished().is_empty()
    }

    /// The panics of the run: which task, saying what.
    pub fn panics(self) -> impl Iterator<Item = (TaskId, &'a str)> {
        (0u16..).map(TaskId).zip(&self.state.tasks).filter_map(|(id, task)| match &task.end {
            Some(End::Panicked(message)) => Some((id, message.as_str())),
            _ => None,
        })
    }

    /// The first landing in an exclusive window: in which kind, whose it was, who landed.
    pub fn first_intrusion(self) -> Option<(&'static Window, TaskId, TaskId)> {
        self.state.windows.first_intrusion()
    }

    /// What was counted of each window.
    pub fn window_counts(self) -> Vec<WindowCount> {
        self.state.windows.counts()
    }

    /// How often the plan interfered.
    pub fn interference(self) -> Interference {
        self.state.interference
    }
}
