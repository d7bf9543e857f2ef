//! The scenarios: what each is about, and the generator of its workloads.

use crate::workload::{Operation, Subject, Workload};
use segment_engine::Result;
use segment_sim::decision::Decisions;
use segment_sim::plan::{Base, Plan};
use segment_sim::strategy::{self, Options};
use segment_sim::world::{Mode, Outcome, Worker};

/// A scenario.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about, in one line.
    pub summary: &'static str,
    /// What its workloads run on.
    pub subject: Subject,
    /// Whether callers may be dropped.
    pub cancels: bool,
    /// What must happen in some seed of a sweep: interference, segments that joined or departed.
    pub must_happen: &'static [&'static str],
    /// The exclusive windows that it is about: each needs arrivals.
    pub windows: &'static [&'static str],
    generate: fn(&Decisions) -> Workload,
}

/// Every scenario.
pub const SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "concurrent-pushes",
        summary: "16 pushes straight on the ring state; every one survives",
        subject: Subject::RingState,
        cancels: false,
        must_happen: &["joined", "holds"],
        windows: &["clone-to-save"],
        generate: concurrent_pushes,
    },
    Scenario {
        name: "concurrent-evictions",
        summary: "16 evictions against a full ring; all gone, none back",
        subject: Subject::Engine,
        cancels: true,
        must_happen: &["departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save"],
        generate: concurrent_evictions,
    },
    Scenario {
        name: "rotation-vs-eviction",
        summary: "rotations, pressure passes and evictions of ring members overlap; unlinks are slow",
        subject: Subject::Engine,
        cancels: true,
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save", "rotation"],
        generate: rotation_vs_eviction,
    },
    Scenario {
        name: "rotation-overflow-only",
        summary: "rotations alone; only a full ring evicts, and no caller names a member",
        subject: Subject::Engine,
        cancels: true,
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save", "rotation"],
        generate: rotation_overflow_only,
    },
];

impl Scenario {
    /// The scenario of this name.
    pub fn named(name: &str) -> Option<&'static Scenario> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// The plan of a seed. Without a base each seed gets its own.
    pub fn plan(&self, seed: u64, base: Option<Base>) -> Plan<Workload> {
        Plan {
            scenario: self.name.to_string(),
            schedule: strategy::schedule(seed, Options { base, cancels: self.cancels }),
            workload: (self.generate)(&Decisions::new(seed, self.name)),
        }
    }

    /// Makes the run of a plan.
    ///
    /// # Errors
    /// When the harness itself fails.
    pub fn run(&self, worker: &mut Worker, plan: &Plan<Workload>, mode: Mode) -> Result<Outcome> {
        let workload = &plan.workload;
        worker.run(&plan.schedule, &workload.setting(), mode, async |stage| workload.cast(self.subject, stage).await)
    }
}

fn concurrent_pushes(_: &Decisions) -> Workload {
    Workload { generations: [8, 8, 8], segments: 1, callers: vec![vec![Operation::Push]; 16] }
}

fn concurrent_evictions(_: &Decisions) -> Workload {
    let callers = (1..=16).map(|number| vec![Operation::EvictSegment(number)]).collect();
    Workload { generations: [6, 6, 6], segments: 17, callers }
}

/// At least four rotations and four evictions.
fn rotation_vs_eviction(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let mut callers = Vec::new();
    for rotator in 0..2 {
        let rotations = if decisions.between_of("rotations", rotator, 1, 8) == 8 { 3 } else { 2 };
        callers.push(vec![Operation::Rotate; rotations]);
    }
    for evictor in 0..4 {
        let place = decisions.between_of("place", evictor, 0, 5) as u32;
        callers.push(vec![Operation::EvictPlace(place)]);
    }
    let passes = decisions.between("passes", 1, 2);
    for pass in 0..passes {
        let left = decisions.between_of("left", pass, 1, u64::from(room)) as u32;
        callers.push(vec![Operation::Relieve(left)]);
    }
    Workload { generations, segments: room, callers }
}

fn rotation_overflow_only(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let rotators = decisions.between("rotators", 2, 3);
    let rotations = |rotator| decisions.between_of("rotations", rotator, 2, 3) as usize;
    Workload {
        generations,
        segments: room,
        callers: (0..rotators).map(|rotator| vec![Operation::Rotate; rotations(rotator)]).collect(),
    }
}

/// Small rings: what goes wrong in them goes wrong in large ones, and they get there sooner.
fn generations(decisions: &Decisions) -> [u32; 3] {
    ["old", "current", "new"].map(|name| decisions.between(name, 1, 2) as u32)
}
