//! What goes next, where no guide says it.

use super::state::{Kind, State, Waiting};
use crate::plan::Base;
use crate::site::Site;

/// The lowest goes first: those awake, then those that are held, then the sleepers by when they are due; among them the
/// task's rank, then its own.
type Order = (u64, u64, u64);

#[derive(Clone, Copy)]
pub(super) enum Hold {
    Passed(u64),
    UntilStep(u64),
    Idle,
}

impl State {
    /// The index of what goes next: the best that is not held; if all are held, the best of those; if all sleep, the
    /// first that is due.
    pub(super) fn choose(&self) -> Option<usize> {
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
}
