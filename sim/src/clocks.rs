//! Numbers for the states of a run: equal numbers, equal states.
//!
//! A step sees the task that makes it and the things that it reads, and leaves that task and the things that it changes
//! otherwise than they were. So a task has the number of all that it has seen so far, and a thing the number of its
//! value, where that is known, or else of the step that changed it last. Whatever order the steps came in: with equal
//! numbers of all tasks and all things, everything that follows is equal, too. (Like the happens-before caching of
//! Musuvathi and Qadeer, MSR-TR-2007-12; values merge more.) Numbers are hashes of 128 bits.

use crate::footprint::{BLOCKED, ENDED, FIRST_LOCK, Footprint, Stretches, THINGS};
use crate::site::TaskId;
use xxhash_rust::xxh3::xxh3_128;

#[derive(Debug)]
pub(crate) struct Clocks {
    things: [u128; THINGS],
    tasks: Vec<u128>,
    /// Of all tasks together, in no order.
    sum: u128,
    step: Step,
    bytes: Vec<u8>,
}

/// The step under way.
#[derive(Debug, Default)]
struct Step {
    /// Whose it is and where it went on from; nobody's before the first.
    chosen: Option<(TaskId, &'static str)>,
    key: u64,
    /// What operations touch, and locks.
    touched: Footprint,
    /// The tasks that were polled in it, its own perhaps among them.
    polled: Vec<TaskId>,
    started: Vec<TaskId>,
    /// Things whose values are known.
    values: Vec<(usize, u128)>,
}

/// Where a task is between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It waits at this point, and at no other.
    At(&'static str),
    /// It waits for another task.
    Blocked,
    /// It waits at several points.
    Scattered,
    /// It has returned.
    Finished,
    /// It was dropped, or has panicked.
    Ended,
}

/// What is known of a task between two steps.
pub(crate) struct Known<'a> {
    pub(crate) label: &'a str,
    /// The label's number.
    pub(crate) key: u64,
    /// A number for where it waits, and for how often it was at which point: its next sites.
    pub(crate) where_to: u64,
}

impl Clocks {
    pub(crate) fn new() -> Clocks {
        let bytes = Vec::with_capacity(THINGS * 16 + 64);
        Clocks { things: [0; THINGS], tasks: Vec::new(), sum: 0, step: Step::default(), bytes }
    }

    /// A step begins: this task goes on from this point, in the way that `how` numbers.
    pub(crate) fn begin(&mut self, task: TaskId, point: &'static str, site_key: u64, how: u64) {
        self.step.chosen = Some((task, point));
        self.step.key = site_key ^ how.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// The step touches this.
    pub(crate) fn touch(&mut self, footprint: Footprint) {
        self.step.touched = self.step.touched.and(footprint);
    }

    /// A thing that the step changes has this value now.
    pub(crate) fn is_now(&mut self, thing: usize, value: u128) {
        self.step.values.push((thing, value));
    }

    /// The step polls this task.
    pub(crate) fn polls(&mut self, task: TaskId) {
        if !self.step.polled.contains(&task) {
            self.step.polled.push(task);
        }
    }

    /// The step starts this task.
    pub(crate) fn starts(&mut self, task: TaskId) {
        self.step.started.push(task);
    }

    /// The step is over. `tasks` tells of a task, `place` where it is now, `lock` the number of who has the locks of a kind.
    pub(crate) fn end<'a>(
        &mut self,
        stretches: Option<&Stretches>,
        tasks: impl Fn(TaskId) -> Known<'a>,
        place: impl Fn(TaskId) -> Place,
        lock: impl Fn(usize) -> u128,
    ) {
        let Step { chosen, key, touched, mut polled, started, values } = std::mem::take(&mut self.step);
        let of = |task: TaskId| {
            let from = chosen.filter(|(chosen, _)| *chosen == task).map_or(BLOCKED, |(_, point)| point);
            let to = match place(task) {
                Place::At(point) => point,
                Place::Blocked => BLOCKED,
                Place::Finished | Place::Ended => ENDED,
                Place::Scattered => return Footprint::EVERYTHING,
            };
            stretches.map_or(Footprint::EVERYTHING, |stretches| stretches.of(tasks(task).label, from, to))
        };
        let whose = chosen.map(|(task, _)| task);
        polled.retain(|task| Some(*task) != whose);
        polled.sort_by_key(|task| tasks(*task).key); // the order in which they were polled cannot matter
        // its own task comes first, polled or not: what waited for it is gone
        let own = whose.map_or(touched, |task| of(task).and(touched));
        let known = whose.map(|task| (task, tasks(task)));
        let (before, derived) = (self.number(known.as_ref(), key, own, 0), self.seen(own.reads));
        self.change(own, before, derived, key);
        for kind in 0..THINGS - FIRST_LOCK {
            // who has it and who waits for it is all that there is to a lock
            if touched.writes >> (FIRST_LOCK + kind) & 1 == 1 {
                self.things[FIRST_LOCK + kind] = lock(kind);
            }
        }
        for (thing, value) in values {
            self.things[thing] = value;
        }
        let number = if own.forgets { self.number(known.as_ref(), key, own, 0) } else { before };
        if let Some((task, known)) = &known {
            self.set(*task, number, known, place(*task));
        }
        let mut all = number;
        let mut changes = Vec::new();
        for task in polled {
            let footprint = of(task);
            let heard = if footprint.hears { before } else { u128::from(key) * u128::from(footprint.hears_site) };
            let known = (task, tasks(task));
            let number = self.number(Some(&known), 0, footprint, heard);
            all = all.wrapping_add(mixed(number, known.1.key));
            self.set(task, number, &known.1, place(task));
            changes.push((footprint, number, self.seen(footprint.reads)));
        }
        for (footprint, number, derived) in changes {
            self.change(footprint, number, derived, key);
        }
        for task in started {
            self.set(task, all, &tasks(task), place(task));
        }
    }

    /// The number of a task's step: what it was, and what it saw.
    fn number(&mut self, task: Option<&(TaskId, Known<'_>)>, key: u64, footprint: Footprint, heard: u128) -> u128 {
        let (last, key, things) = match task {
            Some((_, known)) if footprint.forgets => (0, 0, footprint.reads),
            Some((task, _)) => {
                let last = self.tasks.get(usize::from(task.0)).copied().unwrap_or_default();
                (last, key, footprint.reads | footprint.writes)
            }
            None => (0, key, footprint.reads | footprint.writes),
        };
        // what it sees of a lock is whether it has it: where it is tells that
        let seen = self.seen(things & ((1 << FIRST_LOCK) - 1));
        let where_to = task.map_or(0, |(_, known)| known.where_to);
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(&key.to_le_bytes());
        bytes[8..24].copy_from_slice(&last.to_le_bytes());
        bytes[24..40].copy_from_slice(&heard.to_le_bytes());
        bytes[40..56].copy_from_slice(&seen.to_le_bytes());
        bytes[56..].copy_from_slice(&where_to.to_le_bytes());
        xxh3_128(&bytes)
    }

    /// The number of what these things are now.
    fn seen(&mut self, things: u32) -> u128 {
        self.bytes.clear();
        self.bytes.extend_from_slice(&things.to_le_bytes());
        for (place, value) in self.things.iter().enumerate() {
            if things >> place & 1 == 1 {
                self.bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
        xxh3_128(&self.bytes)
    }

    /// A step changes things.
    fn change(&mut self, footprint: Footprint, number: u128, derived: u128, key: u64) {
        let Footprint { writes, derives, adds, empties, .. } = footprint;
        for (place, thing) in self.things[..FIRST_LOCK].iter_mut().enumerate() {
            let is = |things: u32| things >> place & 1 == 1;
            if is(writes) {
                *thing = number;
            } else if is(derives) {
                *thing = derived;
            } else if is(empties) {
                *thing = 0;
            }
            if is(adds) {
                *thing = thing.wrapping_add(mixed(1, key));
            }
        }
    }

    fn set(&mut self, task: TaskId, number: u128, known: &Known<'_>, place: Place) {
        // whoever has returned sees nothing more
        let (number, key) = (if place == Place::Finished { 1 } else { number }, known.key);
        let index = usize::from(task.0);
        if self.tasks.len() <= index {
            self.tasks.resize(index + 1, 0);
        }
        let before = std::mem::replace(&mut self.tasks[index], number);
        self.sum = self.sum.wrapping_sub(mixed(before, key)).wrapping_add(mixed(number, key));
    }

    /// The number of the state, beside what `rest` tells of it.
    pub(crate) fn state(&mut self, rest: u64) -> u128 {
        self.bytes.clear();
        self.bytes.extend_from_slice(&self.sum.to_le_bytes());
        self.things.iter().for_each(|thing| self.bytes.extend_from_slice(&thing.to_le_bytes()));
        self.bytes.extend_from_slice(&rest.to_le_bytes());
        xxh3_128(&self.bytes)
    }
}

/// The number of going on from a state in one way.
pub(crate) fn edge(state: u128, site_key: u64, how: u64) -> u128 {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&state.to_le_bytes());
    bytes[16..24].copy_from_slice(&site_key.to_le_bytes());
    bytes[24..].copy_from_slice(&how.to_le_bytes());
    xxh3_128(&bytes)
}

/// A task's number, told apart from those of others that saw the same; 0 before its first step.
fn mixed(number: u128, key: u64) -> u128 {
    if number == 0 {
        return 0;
    }
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(&number.to_le_bytes());
    bytes[16..].copy_from_slice(&key.to_le_bytes());
    xxh3_128(&bytes)
}
