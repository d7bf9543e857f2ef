//! What a run is a pure function of: a seed, a base, keyed knobs, injections by site, and a workload.

use crate::decision::Ratio;
use crate::site::SiteName;
use serde::{Deserialize, Serialize};

/// A whole run: which scenario, on which schedule, doing what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan<W> {
    /// The scenario's name.
    pub scenario: String,
    /// In which order things happen.
    pub schedule: Schedule,
    /// What the callers do.
    pub workload: W,
}

/// Everything that decides the order of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The seed of every keyed decision.
    pub seed: u64,
    /// Who goes next when several can.
    pub base: Base,
    /// What happens at sites that no injection names.
    #[serde(default, skip_serializing_if = "Knobs::are_off")]
    pub knobs: Knobs,
    /// What happens at named sites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub injections: Vec<Injection>,
    /// How each life of the process ends but the last, which ends when nothing can go on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crashes: Vec<Crash>,
}

/// A schedule of order alone, as exported tests write it down.
///
/// # Panics
/// Each of these when the text is no site: a test then says so.
impl Schedule {
    /// One task after the other, and what is added; `seed` decides what nobody orders: what a power loss tears.
    pub fn in_order(seed: u64) -> Schedule {
        Schedule { seed, base: Base::Sequential, knobs: Knobs::default(), injections: Vec::new(), crashes: Vec::new() }
    }

    /// A site waits until another has passed.
    pub fn hold(self, at: &str, until: &str) -> Schedule {
        self.with(at, Action::Hold(Until::Passed(site(until))))
    }

    /// A site waits for so many steps.
    pub fn hold_for(self, at: &str, steps: u32) -> Schedule {
        self.with(at, Action::Hold(Until::Steps(steps)))
    }

    /// A site waits until nothing else can run.
    pub fn hold_until_idle(self, at: &str) -> Schedule {
        self.with(at, Action::Hold(Until::Idle))
    }

    /// An operation fails.
    pub fn fail(self, at: &str, errno: i32) -> Schedule {
        self.with(at, Action::Error(errno))
    }

    /// A read finds a bit of what it reads flipped.
    pub fn rot(self, at: &str) -> Schedule {
        self.with(at, Action::Rot)
    }

    /// A caller is dropped.
    pub fn drop_caller(self, at: &str) -> Schedule {
        self.with(at, Action::Cancel)
    }

    /// A caller is dropped so many steps later.
    pub fn drop_caller_after(self, at: &str, steps: u32) -> Schedule {
        self.with(at, Action::CancelAfter(steps))
    }

    /// A caller is dropped once another site has passed.
    pub fn drop_caller_once(self, at: &str, passed: &str) -> Schedule {
        self.with(at, Action::CancelOnce(site(passed)))
    }

    /// The next life of the process ends at a site.
    pub fn crash(mut self, kind: CrashKind, at: &str) -> Schedule {
        self.crashes.push(Crash { kind, at: Moment::At(site(at)) });
        self
    }

    /// The next life of the process ends when its callers are gone.
    pub fn crash_when_callers_are_gone(mut self, kind: CrashKind) -> Schedule {
        self.crashes.push(Crash { kind, at: Moment::CallersGone });
        self
    }

    /// The next life of the process ends when nothing can go on.
    pub fn crash_when_idle(mut self, kind: CrashKind) -> Schedule {
        self.crashes.push(Crash { kind, at: Moment::Idle });
        self
    }

    fn with(mut self, at: &str, action: Action) -> Schedule {
        self.injections.push(Injection { site: site(at), action });
        self
    }
}

fn site(text: &str) -> SiteName {
    text.parse().unwrap_or_else(|fault| panic!("{fault}"))
}

/// The end of one life of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// What survives it.
    pub kind: CrashKind,
    /// When; when nothing can go on, if it does not come to that.
    pub at: Moment,
}

/// What survives the end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrashKind {
    /// The process ends: what it had handed in lands before the next open, or never; of a write perhaps a part.
    Kill,
    /// The machine ends: what is not durable is lost, kept or torn, each by itself.
    PowerLoss,
    /// The engine is closed, when its callers are gone or nothing can go on, and when nothing is left to do the machine ends.
    Close,
}

/// A moment in one life of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// The so many-th step.
    Step(u32),
    /// The so many-th time that any task of a kind is about to go on from a point, such as `evictor@DiskUnlink`.
    Site(String, u32),
    /// At this very site.
    At(SiteName),
    /// As soon as it is open and each of its callers has ended or was dropped, whatever the engine still does by itself.
    CallersGone,
    /// When nothing can go on.
    Idle,
}

impl Moment {
    /// The number of the one site that it is at, if it is.
    pub fn key(&self) -> Option<u64> {
        match self {
            Moment::At(site) => Some(site.key()),
            Moment::Step(_) | Moment::Site(..) | Moment::CallersGone | Moment::Idle => None,
        }
    }
}

/// The rule by which the next site is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// The parked site with the best hash of (seed, site): partial-order sampling (Yuan, Yang, Gu, CAV 2018).
    Keyed,
    /// The task with the best priority; at a few change sites a task gets one below all first ones: PCT (Burckhardt
    /// et al., ASPLOS 2010).
    Priority,
    /// The last task runs on until it is blocked, then the next one: no preemption but by holds.
    Sequential,
}

impl Base {
    /// Every base.
    pub const ALL: [Base; 3] = [Base::Keyed, Base::Priority, Base::Sequential];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Base::Keyed => "keyed",
            Base::Priority => "priority",
            Base::Sequential => "sequential",
        }
    }
}

/// How often something happens at a site, decided by that site's own draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Knobs {
    /// A site is held for some steps or until nothing else can run.
    #[serde(skip_serializing_if = "Ratio::is_never")]
    pub hold: Ratio,
    /// So is a site at which a window opens, if `hold` does not take it.
    #[serde(skip_serializing_if = "Ratio::is_never")]
    pub hold_opening: Ratio,
    /// A slow operation (an unlink) is held.
    #[serde(skip_serializing_if = "Ratio::is_never")]
    pub slow: Ratio,
    /// An operation that can fail (an unlink) fails.
    #[serde(skip_serializing_if = "Ratio::is_never")]
    pub fail: Ratio,
    /// An operation that needs room (a write) meets a full disk.
    #[serde(skip_serializing_if = "Ratio::is_never")]
    pub full: Ratio,
    /// Any operation of disk or catalog fails, in every life of the process but the last.
    #[serde(skip_serializing_if = "Ratio::is_never")]
    pub broken: Ratio,
    /// A read finds a bit of what it reads flipped, as every later one does.
    #[serde(skip_serializing_if = "Ratio::is_never")]
    pub rot: Ratio,
    /// A caller is dropped at the site.
    #[serde(skip_serializing_if = "Ratio::is_never")]
    pub cancel: Ratio,
    /// Base `priority`: the task goes behind all that were not changed.
    #[serde(skip_serializing_if = "Ratio::is_never")]
    pub change: Ratio,
}

impl Knobs {
    /// Whether nothing happens but at named sites.
    pub fn are_off(&self) -> bool {
        self.named().iter().all(|(_, ratio)| ratio.is_never())
    }

    /// Each of them, by name.
    pub fn named(&self) -> [(&'static str, Ratio); 9] {
        let Knobs { hold, hold_opening, slow, fail, full, broken, rot, cancel, change } = *self;
        [
            ("hold", hold),
            ("hold_opening", hold_opening),
            ("slow", slow),
            ("fail", fail),
            ("full", full),
            ("broken", broken),
            ("rot", rot),
            ("cancel", cancel),
            ("change", change),
        ]
    }
}

/// What happens at one site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Injection {
    /// Where.
    pub site: SiteName,
    /// What.
    pub action: Action,
}

/// What can happen at a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It waits.
    Hold(Until),
    /// The operation fails with this error number.
    Error(i32),
    /// The read finds a bit of what it reads flipped. It stays so on the disk; which one, the site draws.
    Rot,
    /// The caller that is there is dropped. The operation that it had submitted lands later.
    Cancel,
    /// The caller that is there goes on, and is dropped so many steps later, wherever it is then: also where it is
    /// parked nowhere, but waits for a lock or for another task.
    CancelAfter(u32),
    /// The caller that is there goes on, and is dropped once that site has passed, wherever it is then.
    CancelOnce(SiteName),
    /// The process ends there.
    Crash(CrashKind),
}

impl Action {
    /// The site that this waits for, if it waits for one.
    pub fn awaits(&self) -> Option<&SiteName> {
        match self {
            Action::Hold(Until::Passed(site)) | Action::CancelOnce(site) => Some(site),
            _ => None,
        }
    }

    /// The same, waiting for another site.
    pub fn awaiting(&self, site: SiteName) -> Action {
        match self {
            Action::Hold(Until::Passed(_)) => Action::Hold(Until::Passed(site)),
            Action::CancelOnce(_) => Action::CancelOnce(site),
            other => other.clone(),
        }
    }
}

/// How long a hold lasts. Every hold ends when nothing else can run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// Until that site has passed.
    Passed(SiteName),
    /// For so many steps.
    Steps(u32),
    /// Until nothing else can run.
    Idle,
}
