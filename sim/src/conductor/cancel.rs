//! Callers that stop waiting: when each is dropped, and that it is.

use super::state::{Move, State, Visit, Waiting, Wakes};
use super::{CANCEL_AT_ONCE, CANCEL_STEPS_MAX, Role};
use crate::decision::{Question, below};
use crate::interference;
use crate::plan::Action;
use crate::site::TaskId;
use crate::trace::What;

/// When a caller is dropped.
#[derive(Clone, Copy)]
pub(super) enum Due {
    /// From this step on.
    Step(u64),
    /// Once this site has passed.
    Passed(u64),
}

impl State {
    /// How the caller that is there is to be dropped, if it is.
    pub(super) fn cancels(&self, waiting: &Waiting) -> Option<Action> {
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
    pub(super) fn due_cancel(&mut self) -> Option<Visit> {
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
}
