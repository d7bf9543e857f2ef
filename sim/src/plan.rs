//! What a run is a pure function of: a seed, a base, keyed knobs, injections by site, and a workload.

use crate::decision::Ratio;
use crate::site::SiteName;
use serde::{Deserialize, Serialize};

/// A whole run: which scenario, on which schedule, doing what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct Schedule {
    /// The seed of every keyed decision.
    pub seed: u64,
    /// Who goes next when several can.
    pub base: Base,
    /// What happens at sites that no injection names.
    pub knobs: Knobs,
    /// What happens at named sites.
    pub injections: Vec<Injection>,
    /// How each life of the process ends but the last, which ends when nothing can go on.
    pub crashes: Vec<Crash>,
}

/// The end of one life of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The process ends: what it had handed in lands before the next open, or never.
    Kill,
    /// The machine ends: what is not durable is lost, kept or torn, each by itself.
    PowerLoss,
    /// The engine is closed, when nothing else can go on, and then the machine ends.
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
    /// When nothing can go on.
    Idle,
}

/// The rule by which the next site is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// The parked site with the best hash of (seed, site): partial-order sampling (Yuan, Yang, Gu, CAV 2018).
    Keyed,
    /// The task with the best priority; a few change sites send their task to the back: PCT (Burckhardt et al.,
    /// ASPLOS 2010).
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
pub struct Knobs {
    /// A site is held for some steps or until nothing else can run.
    pub hold: Ratio,
    /// A slow operation (an unlink) is held.
    pub slow: Ratio,
    /// An operation that can fail (an unlink) fails.
    pub fail: Ratio,
    /// An operation that needs room (a write) meets a full disk.
    pub full: Ratio,
    /// Any operation of disk or catalog fails, in every life of the process but the last.
    pub broken: Ratio,
    /// A caller is dropped at the site.
    pub cancel: Ratio,
    /// Base `priority`: the task goes to the back.
    pub change: Ratio,
}

/// What happens at one site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The caller that is there is dropped. The operation that it had submitted lands later.
    Cancel,
    /// The caller that is there goes on, and is dropped so many steps later, wherever it is then: also where it is
    /// parked nowhere, but waits for a lock or for another task.
    CancelAfter(u32),
    /// The process ends there.
    Crash(CrashKind),
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
