//! The tasks of a run: taken in, polled, ended.

use super::points::POINTS_USUAL;
use super::state::{Kind, State, Wakes};
use super::task::Conducted;
use super::{End, Role};
use crate::decision::Question;
use crate::plan::Base;
use crate::site::{Site, TaskId, label_key, numbered, site_key};
use crate::trace::What;
use std::task::Waker;

/// Where a new task is parked.
pub(super) const START: &str = "Start";

pub(super) struct Task {
    pub(super) label: String,
    pub(super) parent: Option<TaskId>,
    pub(super) key: u64,
    pub(super) role: Role,
    /// Base `priority`: the lowest goes first.
    pub(super) rank: u64,
    /// Absent while it is polled, and once it has ended.
    pub(super) conducted: Option<Conducted>,
    pub(super) waker: Waker,
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
        self.ended.push(id);
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
}
