//! A run whose choices are given, and which writes down what else it could have chosen.
//!
//! Between two steps everything that waits could go next. The task of the last step goes on if it can; letting another
//! one go instead is a preemption, and possible only at the points that the guide names. When it cannot, because it has
//! ended or waits for another task, everything that waits is a free choice. An operation is where its task is: to let it
//! land is to let its task go on, and to let others go before is a preemption. Sleepers can go when nothing else can,
//! those that are due first.

use super::state::{Kind, Move, State};
use super::tasks::START;
use super::{ERRNO_FULL, ERRNO_IO, End, OperationTraits, Role};
use crate::choice::{self, Choice, Faults, Guide, Walk};
use crate::clocks::{Clocks, Known, Place, edge};
use crate::footprint::{Footprint, Stretches};
use crate::plan::Action;
use crate::site::{TaskId, site_key};
use xxhash_rust::xxh3::xxh3_128;

/// Ways to go on in a usual state.
const WAYS_USUAL: usize = 16;

pub(super) struct Guided {
    guide: Guide,
    /// Deviations taken.
    taken: usize,
    /// Choices met.
    met: u16,
    /// Faults so far.
    faults: u32,
    pub(super) clocks: Clocks,
    pub(super) walk: Walk,
    options: Vec<Way>,
}

/// What may happen next: the index of what waits goes on, or fails in this way.
struct Way {
    index: usize,
    fault: Option<Action>,
    is_preemption: bool,
}

impl Guided {
    pub(super) fn new(guide: Guide) -> Guided {
        let options = Vec::with_capacity(WAYS_USUAL);
        let (clocks, walk) = (Clocks::new(), Walk::default());
        Guided { guide, taken: 0, met: 0, faults: 0, clocks, walk, options }
    }

    /// Takes the alternative that the guide names; `None` ends the run. `edges` tells the number of each.
    fn choose(&mut self, edges: impl FnOnce(&mut Clocks, u32, &[Way]) -> Vec<choice::Alternative>) -> Option<usize> {
        let count = self.options.len();
        if count < 2 {
            return count.checked_sub(1);
        }
        let deviation = self.guide.deviations.get(self.taken).filter(|deviation| deviation.at == self.met).copied();
        let is_last = self.taken + 1 >= self.guide.deviations.len();
        if self.taken == self.guide.deviations.len() || (deviation.is_some() && is_last) {
            let alternatives = edges(&mut self.clocks, self.faults, &self.options);
            if deviation.is_none() && self.is_known(alternatives[0].edge) {
                self.walk.is_joined = true;
            }
            self.walk.choices.push(Choice { alternatives });
            if self.walk.is_joined {
                return None;
            }
        }
        self.met += 1;
        self.taken += usize::from(deviation.is_some());
        let takes = deviation.map_or(0, |deviation| usize::from(deviation.takes));
        self.walk.has_strayed |= takes >= count;
        self.options.get(takes).map(|_| takes)
    }

    fn is_known(&self, edge: u128) -> bool {
        // whoever panics while it writes ends the search
        self.guide.known.as_ref().is_some_and(|known| known.read().is_ok_and(|known| known.contains(edge)))
    }

    fn may_preempt(&self, point: &str) -> bool {
        self.guide.points.as_ref().is_none_or(|points| points.iter().any(|name| name == point))
    }
}

impl State {
    /// The same as a step, by the choices of a guide.
    pub(super) fn guided_step(&mut self, mut guided: Box<Guided>) -> Option<Move> {
        guided.clocks.end(
            self.points.vocabulary().stretches(),
            |task| self.known(task),
            |task| self.place(task),
            |place| self.lock_number(place),
        );
        self.list(&mut guided);
        if guided.guide.trace_from == Some(guided.met) && guided.options.len() > 1 {
            self.trace.begin_anew();
        }
        let taken = guided.choose(|clocks, faults, ways| {
            let state = clocks.state(u64::from(faults));
            let alternative = |way: &Way| choice::Alternative {
                edge: edge(state, self.waiting[way.index].visit.key, number(way.fault.as_ref())),
                preempts: way.is_preemption,
                fails: way.fault.is_some(),
            };
            ways.iter().map(alternative).collect()
        });
        let taken = taken.map(|taken| guided.options.swap_remove(taken));
        guided.faults += u32::from(taken.as_ref().is_some_and(|taken| taken.fault.is_some()));
        let faults = guided.faults;
        self.guided = Some(guided);
        let Way { index, fault, .. } = taken?;
        self.step += 1;
        Some(self.take(index, fault, faults))
    }

    /// Lets what waits there go on, or fail.
    fn take(&mut self, index: usize, fault: Option<Action>, faults: u32) -> Move {
        let visit = self.waiting[index].visit;
        let is_operation = matches!(self.waiting[index].kind, Kind::Operation(..));
        let clocks = self.clocks().expect("only guided runs come here");
        clocks.begin(visit.site.task, visit.site.point, visit.key, number(fault.as_ref()));
        if faults > 0 {
            clocks.touch(Footprint::EVERYTHING);
        } else if is_operation {
            self.touch_operation(visit.site.point, true);
        }
        match fault {
            Some(error @ Action::Error(_)) => _ = self.injected.insert(visit.key, error),
            Some(drop) => {
                self.fire(visit.site, drop);
                if visit.site.point == START {
                    self.waiting.swap_remove(index); // nobody else withdraws it
                }
                return self.cancel(&visit);
            }
            None => {}
        }
        self.go_on(index, &visit)
    }

    /// Lists what may happen next. The first goes on with the last task, if that can.
    fn list(&self, guided: &mut Guided) {
        let is_asleep = |kind: &Kind| matches!(kind, Kind::Asleep(..));
        let all_sleep = self.waiting.iter().all(|waiting| is_asleep(&waiting.kind));
        let due = |kind: &Kind| if let Kind::Asleep(_, due_ms) = kind { *due_ms } else { 0 };
        let first_due = self.waiting.iter().map(|waiting| due(&waiting.kind)).min().unwrap_or_default();
        let is_ready = |kind: &Kind| if all_sleep { due(kind) == first_due } else { !is_asleep(kind) };
        let mut ready: Vec<usize> = Vec::with_capacity(self.waiting.len());
        ready.extend((0..self.waiting.len()).filter(|index| is_ready(&self.waiting[*index].kind)));
        let is_last = |index: usize| self.step > 0 && self.waiting[index].visit.site.task == self.last;
        let order = |index: usize| {
            let visit = &self.waiting[index].visit;
            (!is_last(index), self.task(visit.site.task).label.as_str(), visit.site.hit, visit.site.point)
        };
        ready.sort_by(|one, other| order(*one).cmp(&order(*other)));
        let goes_on = ready.first().copied().filter(|first| is_last(*first));
        if let Some(first) = goes_on
            && !guided.may_preempt(self.waiting[first].visit.site.point)
        {
            ready.retain(|index| is_last(*index));
        }
        let alternative =
            |index: usize, fault| Way { index, fault, is_preemption: goes_on.is_some() && !is_last(index) };
        guided.options.clear();
        guided.options.extend(ready.iter().map(|index| alternative(*index, None)));
        if guided.faults < guided.guide.faults.at_most {
            for index in ready {
                let faults = self.faults(index, guided.guide.faults);
                guided.options.extend(faults.into_iter().flatten().map(|fault| alternative(index, Some(fault))));
            }
        }
    }

    /// How what waits there may fail.
    fn faults(&self, index: usize, faults: Faults) -> [Option<Action>; 2] {
        let waiting = &self.waiting[index];
        let id = waiting.visit.site.task;
        match waiting.kind {
            Kind::Operation(OperationTraits { fails, fills, .. }, _) => {
                let full = (fills && faults.fills).then_some(Action::Error(ERRNO_FULL));
                [fails.then_some(Action::Error(ERRNO_IO)), full]
            }
            Kind::Parked(_) | Kind::Asleep(..) => {
                let is_caller = self.task(id).role == Role::Caller && self.is_droppable(id);
                [(faults.cancels && is_caller).then_some(Action::Cancel), None]
            }
        }
    }

    /// What is known of a task.
    fn known(&self, id: TaskId) -> Known<'_> {
        let task = self.task(id);
        let hits = self.points.known().iter().zip(&task.hits).filter(|(_, hits)| **hits > 0);
        let hits = hits.fold(0u64, |sum, (point, hits)| sum.wrapping_add(site_key(task.key, point.name, *hits)));
        let at = if let Place::At(point) = self.place(id) { site_key(0, point, 1) } else { 0 };
        Known { label: &task.label, key: task.key, where_to: hits.wrapping_add(at) }
    }

    /// Where a task is between two steps.
    fn place(&self, id: TaskId) -> Place {
        let mut waits = self.waiting.iter().filter(|waiting| waiting.visit.site.task == id);
        match (waits.next(), waits.next()) {
            (Some(_), Some(_)) => Place::Scattered,
            (Some(waiting), None) => Place::At(waiting.visit.site.point),
            (None, _) if self.task(id).end == Some(End::Finished) => Place::Finished,
            (None, _) if self.task(id).end.is_some() => Place::Ended,
            (None, _) => Place::Blocked,
        }
    }

    /// The running task hands in an operation at a point, or begins one that takes effect at once.
    pub(super) fn touch_operation(&mut self, point: &str, lands: bool) {
        let stretches = self.points.vocabulary().stretches();
        if let Some(clocks) = self.clocks() {
            let of = |known: &Stretches| if lands { known.lands(point) } else { known.begins(point) };
            clocks.touch(stretches.map_or(Footprint::EVERYTHING, of));
        }
    }

    /// A number for who has the locks of a kind, and who waits for them.
    fn lock_number(&self, place: usize) -> u128 {
        let [held, wanted] = self.locks.held_and_wanted(place);
        let mut held: Vec<u64> = held.map(|task| self.task(task).key).collect();
        held.sort_unstable();
        let wanted = wanted.map(|task| self.task(task).key);
        let bytes: Vec<u8> = held.into_iter().chain([0]).chain(wanted).flat_map(u64::to_le_bytes).collect();
        xxh3_128(&bytes)
    }

    /// The numbers of the run's state, if it is guided.
    pub(super) fn clocks(&mut self) -> Option<&mut Clocks> {
        self.guided.as_deref_mut().map(|guided| &mut guided.clocks)
    }
}

/// The number of a way to go on.
fn number(fault: Option<&Action>) -> u64 {
    match fault {
        None => 0,
        Some(Action::Error(errno)) => 1 + u64::from(errno.unsigned_abs()),
        Some(_) => u64::MAX,
    }
}
