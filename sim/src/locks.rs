//! Who holds which lock and who waits for it, told from points alone.

use crate::site::{TaskId, name};

/// A kind of lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockKind {
    /// Its name in reports.
    pub name: &'static str,
    /// Passing this, a task waits for it.
    pub wanted: &'static str,
    /// Getting here, a task holds it.
    pub held: &'static str,
    /// Passing this, it no longer does.
    pub released: &'static str,
    /// A task that holds it may not take one of an equal or lower rank.
    pub rank: u32,
    /// Kinds of tasks that must never wait for it.
    pub never_by: &'static [&'static str],
    /// Points that a task which holds it must not get to: what it would wait for there takes too long, or for ever.
    pub never_under: &'static [&'static str],
}

/// A lock taken out of order: by whom, what it held, what it then wanted.
pub type OutOfOrder = (TaskId, &'static str, &'static str);

/// What is wrong with the locks at one moment, if anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockFacts {
    /// The first lock that was taken out of order.
    pub out_of_order: Option<OutOfOrder>,
    /// A waiter that must never wait, the lock, and its holder.
    pub forbidden: Option<(TaskId, &'static str, TaskId)>,
    /// A task that waits for itself through others.
    pub cycle: Option<TaskId>,
    /// The first task that held a lock where it must not: the task, the lock, the point.
    pub held_at: Option<(TaskId, &'static str, &'static str)>,
}

/// The locks of one run.
#[derive(Debug)]
pub struct Locks {
    kinds: &'static [LockKind],
    held: Vec<(TaskId, Place)>,
    wanted: Vec<(TaskId, Place)>,
    changes: u64,
    out_of_order: Option<OutOfOrder>,
    held_at: Option<(TaskId, &'static str, &'static str)>,
}

/// The place of a lock among the kinds.
type Place = u8;

/// What a point is to the locks: which is wanted, held or released there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockPoint {
    wanted: Option<Place>,
    held: Option<Place>,
    released: Option<Place>,
    /// Locks that must not be held there, one bit a lock.
    never_under: u8,
}

impl LockPoint {
    /// The locks that are wanted, held or released there, one bit each.
    pub(crate) fn bits(self) -> u16 {
        [self.wanted, self.held, self.released].into_iter().flatten().fold(0, |bits, place| bits | 1 << place)
    }
}

impl Locks {
    /// All free.
    pub fn new(kinds: &'static [LockKind]) -> Locks {
        Locks { kinds, held: Vec::new(), wanted: Vec::new(), changes: 0, out_of_order: None, held_at: None }
    }

    /// What the point of this name is to the locks.
    pub fn point(&self, name: &str) -> LockPoint {
        let place = |is: fn(&LockKind, &str) -> bool| {
            (0..).zip(self.kinds).find(|(_, kind)| is(kind, name)).map(|(place, _)| place)
        };
        let never_under = (0u8..).zip(self.kinds).filter(|(_, kind)| kind.never_under.contains(&name));
        LockPoint {
            never_under: never_under.fold(0, |bits, (place, _)| bits | 1 << place),
            wanted: place(|kind, name| kind.wanted == name),
            held: place(|kind, name| kind.held == name),
            released: place(|kind, name| kind.released == name),
        }
    }

    /// A task got to a point, or hands in an operation there.
    pub fn got_to(&mut self, task: TaskId, point: LockPoint, name: &'static str) {
        if point.never_under != 0
            && self.held_at.is_none()
            && let Some((_, held)) =
                // who wanted a lock and goes on has it, though it has not said so yet
                self
                    .held
                    .iter()
                    .chain(&self.wanted)
                    .find(|(holder, held)| *holder == task && point.never_under >> held & 1 == 1)
        {
            self.held_at = Some((task, self.kind(*held).name, name));
            self.changes += 1;
        }
        if let Some(kind) = point.held
            && !self.held.contains(&(task, kind))
        {
            self.wanted.retain(|wanted| *wanted != (task, kind));
            self.held.push((task, kind));
            self.changes += 1;
        }
    }

    /// A task went on from a point.
    pub fn passed(&mut self, task: TaskId, point: LockPoint) {
        if let Some(kind) = point.wanted {
            let rank = self.kind(kind).rank;
            let above = self.held.iter().find(|(holder, held)| *holder == task && self.kind(*held).rank >= rank);
            if let (None, Some((_, holds))) = (self.out_of_order, above) {
                self.out_of_order = Some((task, self.kind(*holds).name, self.kind(kind).name));
            }
            self.wanted.push((task, kind));
            self.changes += 1;
        }
        if let Some(kind) = point.released {
            self.held.retain(|held| *held != (task, kind));
            self.changes += 1;
        }
    }

    /// A task is no more.
    pub fn ended(&mut self, task: TaskId) {
        self.held.retain(|(holder, _)| *holder != task);
        self.wanted.retain(|(waiter, _)| *waiter != task);
        self.changes += 1;
    }

    /// Grows whenever something that [`Locks::facts`] tells may be new.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    fn kind(&self, place: Place) -> &'static LockKind {
        &self.kinds[usize::from(place)]
    }

    /// Who holds locks of the kind at this place, and who waits for one, in the order in which they came.
    pub(crate) fn held_and_wanted(&self, place: usize) -> [impl Iterator<Item = TaskId> + '_; 2] {
        [&self.held, &self.wanted]
            .map(|list| list.iter().filter(move |(_, kind)| usize::from(*kind) == place).map(|(task, _)| *task))
    }

    /// Who holds the lock of this kind.
    pub fn holder(&self, name: &str) -> Option<TaskId> {
        self.held.iter().find(|(_, kind)| self.kind(*kind).name == name).map(|(holder, _)| *holder)
    }

    /// The locks that a task of this label must never wait for, one bit a lock.
    pub fn never_by(&self, label: &str) -> u8 {
        let name = name(label);
        let kinds = (0u8..).zip(self.kinds).filter(|(_, kind)| kind.never_by.contains(&name));
        kinds.fold(0, |bits, (place, _)| bits | 1 << place)
    }

    /// What is wrong. `never_by` says of each task which locks it must never wait for.
    pub fn facts(&self, never_by: impl Fn(TaskId) -> u8) -> LockFacts {
        if self.wanted.is_empty() || self.held.is_empty() {
            return LockFacts { out_of_order: self.out_of_order, held_at: self.held_at, ..LockFacts::default() };
        }
        let never = |waiter: TaskId, kind: Place| never_by(waiter) >> kind & 1 == 1;
        let forbidden = self.wanted.iter().find_map(|&(waiter, kind)| {
            let (holder, _) = self.held.iter().find(|(holder, held)| *held == kind && *holder != waiter)?;
            never(waiter, kind).then_some((waiter, kind, *holder))
        });
        LockFacts {
            out_of_order: self.out_of_order,
            forbidden: forbidden.map(|(waiter, kind, holder)| (waiter, self.kind(kind).name, holder)),
            cycle: self.cycle(),
            held_at: self.held_at,
        }
    }

    /// Every (waiter, kind, holder) where the waiter waits for a lock that another task holds.
    fn waits(&self) -> impl Iterator<Item = (TaskId, Place, TaskId)> + '_ {
        self.wanted.iter().flat_map(move |&(waiter, kind)| {
            let holders = self.held.iter().filter(move |&&(holder, held)| held == kind && holder != waiter);
            holders.map(move |&(holder, _)| (waiter, kind, holder))
        })
    }

    fn cycle(&self) -> Option<TaskId> {
        // whom nobody can wait for closes no cycle
        let holds = |task: TaskId| self.held.iter().any(|(holder, _)| *holder == task);
        self.wanted.iter().map(|(waiter, _)| *waiter).filter(|waiter| holds(*waiter)).find(|&start| {
            let mut reached = vec![start];
            let mut next = 0;
            while next < reached.len() {
                let from = reached[next];
                for (_, _, holder) in self.waits().filter(|(waiter, _, _)| *waiter == from) {
                    if holder == start {
                        return true;
                    }
                    if !reached.contains(&holder) {
                        reached.push(holder);
                    }
                }
                next += 1;
            }
            false
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn kind(name: &'static str, points: [&'static str; 3], rank: u32) -> LockKind {
        LockKind {
            name,
            wanted: points[0],
            held: points[1],
            released: points[2],
            rank,
            never_by: &[],
            never_under: &["Sync"],
        }
    }
    const KINDS: &[LockKind] =
        &[kind("outer", ["OuterWanted", "OuterHeld", "OuterFree"], 1), kind("inner", ["Wanted", "Held", "Free"], 2)];
    const A: TaskId = TaskId(0);
    const B: TaskId = TaskId(1);

    fn got_to(locks: &mut Locks, task: TaskId, name: &'static str) {
        locks.got_to(task, locks.point(name), name);
    }

    #[test]
    fn a_task_that_syncs_under_a_lock_is_told() {
        let mut locks = Locks::new(KINDS);
        got_to(&mut locks, A, "Held");
        got_to(&mut locks, B, "Sync");
        assert_eq!(locks.facts(|_| 0).held_at, None);
        got_to(&mut locks, A, "Sync");
        assert_eq!(locks.facts(|_| 0).held_at, Some((A, "inner", "Sync")));
    }

    #[test]
    fn inner_after_outer_is_in_order_and_the_reverse_is_not() {
        let mut locks = Locks::new(KINDS);
        locks.passed(A, locks.point("OuterWanted"));
        got_to(&mut locks, A, "OuterHeld");
        locks.passed(A, locks.point("Wanted"));
        got_to(&mut locks, A, "Held");
        assert_eq!(locks.out_of_order, None);
        locks.passed(A, locks.point("OuterFree"));
        locks.passed(A, locks.point("OuterWanted"));
        assert_eq!(locks.facts(|_| 0).out_of_order, Some((A, "inner", "outer")));
    }

    #[test]
    fn two_tasks_that_wait_for_each_other_are_a_cycle() {
        let mut locks = Locks::new(KINDS);
        got_to(&mut locks, A, "OuterHeld");
        got_to(&mut locks, B, "Held");
        locks.passed(A, locks.point("Wanted"));
        assert_eq!(locks.cycle(), None);
        assert_eq!(locks.waits().collect::<Vec<_>>(), [(A, 1, B)]);
        locks.passed(B, locks.point("OuterWanted"));
        assert!(locks.cycle().is_some());
        locks.passed(B, locks.point("Free"));
        assert_eq!(locks.cycle(), None);
    }
}
