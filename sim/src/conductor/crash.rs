//! The end of a process: when it comes, what of it still lands, and where it came.

use super::state::{Effect, Kind, State, Visit, Waiting};
use super::task::Conducted;
use super::tasks::Task;
use super::{End, Landing};
use crate::decision::Question;
use crate::interference;
use crate::plan::{Action, Crash, CrashKind, Moment};
use crate::site::{CLOSE, TaskId, has_kind, name};
use crate::trace::What;

/// A process that ends: what still lands, what does not, and its tasks.
pub(super) struct Killed {
    landing: Vec<(Landing, Effect)>,
    vanished: Vec<Waiting>,
    tasks: Vec<Conducted>,
}

impl Killed {
    pub(super) fn go(self) {
        self.landing.into_iter().for_each(|(landing, land)| land(landing));
        drop(self.vanished);
        drop(self.tasks);
    }
}

impl State {
    /// Whether this life is to end in a crash.
    pub(super) fn has_next_life(&self) -> bool {
        self.life < self.schedule.crashes.len()
    }

    /// Whether the process ends before that site passes, and how.
    pub(super) fn crashes(&mut self, visit: &Visit) -> Option<CrashKind> {
        let Crash { kind, at } = self.schedule.crashes.get(self.life)?;
        if let Some(Action::Crash(kind)) = self.injected.get(&visit.key) {
            self.reached.insert(visit.key);
            return Some(*kind);
        }
        let is_now = match at {
            Moment::Step(step) => self.step - self.life_began >= u64::from(*step),
            Moment::Site(site, nth) if is_of_kind(&self.tasks[usize::from(visit.site.task.0)], visit, site) => {
                self.crash_site_met += 1;
                self.crash_site_met == *nth
            }
            Moment::At(_) if self.crash_keys[self.life] == Some(visit.key) => {
                self.reached.insert(visit.key);
                true
            }
            Moment::At(_) | Moment::Site(..) | Moment::CallersGone | Moment::Idle => false,
        };
        Some(*kind).filter(|kind| is_now && *kind != CrashKind::Close)
    }

    /// The process ends while that site waits.
    pub(super) fn crash(&mut self, visit: &Visit, kind: CrashKind) -> Killed {
        self.fire(visit.site, Action::Crash(kind));
        self.trace.push(self.step, visit.site, visit.key, What::Crashed);
        let site = kind_of_site(self.task(visit.site.task), visit.site.point);
        self.crash_sites.push(site);
        self.ends.push(Moment::At(self.name_of(visit.site)));
        self.kill(kind)
    }

    /// The process ends: its tasks are dropped, and what they had handed in lands now or never.
    pub(super) fn kill(&mut self, kind: CrashKind) -> Killed {
        self.crashed = Some(kind);
        self.trace.process_ended(self.step, kind);
        self.interference.add(
            match kind {
                CrashKind::Kill => interference::Kind::Kill,
                CrashKind::PowerLoss => interference::Kind::PowerLoss,
                CrashKind::Close => interference::Kind::Close,
            },
            1,
        );
        self.to_cancel.clear();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_by_key(|waiting| (waiting.rank, waiting.visit.site));
        let mut killed = Killed { landing: Vec::new(), vanished: Vec::new(), tasks: Vec::new() };
        for Waiting { ticket, visit, rank, hold, kind } in waiting {
            let draw = self.decisions.draw(Question::Outlive, visit.key);
            match kind {
                Kind::Operation(traits, land) if draw & 1 == 0 => {
                    self.pass(&visit, What::Landed);
                    // a write is cut where the signal finds it; whatever else the kernel has begun, it ends
                    killed.landing.push((if traits.fills { Landing::Cut(draw << 1) } else { Landing::Done }, land));
                }
                kind => {
                    let is_operation = matches!(kind, Kind::Operation(..));
                    self.interference.add(interference::Kind::Vanished, u64::from(is_operation));
                    killed.vanished.push(Waiting { ticket, visit, rank, hold, kind });
                }
            }
        }
        for id in (0..self.tasks.len() as u16).map(TaskId) {
            if self.task(id).end.is_none() {
                killed.tasks.extend(self.task_mut(id).conducted.take());
                self.end(id, End::Killed);
            }
        }
        killed
    }

    /// Each of these points that the task has been at, with its kind. None where the engine is closed: the process ends
    /// after that.
    pub(super) fn sites_met(&self, task: &Task, points: &[&'static str]) -> impl Iterator<Item = String> {
        let met =
            self.points.known().iter().zip(&task.hits).filter(|(_, hits)| **hits > 0).map(|(point, _)| point.name);
        let ends_later = has_kind(&task.label, CLOSE);
        met.filter(move |name| !ends_later && points.contains(name)).map(|name| kind_of_site(task, name))
    }
}

/// Whether the visit is at a site of this kind.
fn is_of_kind(task: &Task, visit: &Visit, site: &str) -> bool {
    site.split_once('@').is_some_and(|(kind, point)| point == visit.site.point && has_kind(&task.label, kind))
}

/// A point and the kind of the task that is there, whoever started it.
fn kind_of_site(task: &Task, point: &str) -> String {
    format!("{}@{point}", name(&task.label))
}
