//! The scenarios: what each is about, and what a sweep of it must have met.

use crate::error::{Error, Result};
use crate::generate;
use crate::workload::{Subject, Workload};
use segment_sim::choice::Guide;
use segment_sim::decision::Decisions;
use segment_sim::plan::{CrashKind, Plan};
use segment_sim::strategy::{self, CrashWhen, Crashes, Options, Strategy};
use segment_sim::vocabulary::{
    CRASH_SITES, CRASH_SITES_AFTER_A_LOSS, CRASH_SITES_OF_OPEN, CRASH_SITES_WHERE_THE_DISK_FAILS,
};
use segment_sim::world::{Mode, Outcome, Reopen, Stage, Worker};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

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
    /// Whether writes may meet a full disk that is not.
    pub fills: bool,
    /// Whether any operation of disk or catalog may fail.
    pub breaks: bool,
    /// Whether reads may find a bit flipped.
    pub rots: bool,
    /// How the process may end.
    pub crashes: Option<Crashes>,
    /// What must happen in some seed of a sweep: interference, segments that joined or departed.
    pub must_happen: &'static [&'static str],
    /// The exclusive windows that it is about: each needs arrivals.
    pub windows: &'static [&'static str],
    /// The optimistic windows that it is about: each needs landings.
    pub landings: &'static [&'static str],
    generate: fn(&Decisions) -> Workload,
}

/// What most have, and nothing that has to be met: a scenario says what it adds.
const BASE: Scenario = Scenario {
    name: "",
    summary: "",
    subject: Subject::Engine,
    cancels: false,
    fills: false,
    breaks: false,
    rots: false,
    crashes: None,
    must_happen: &[],
    windows: &[],
    landings: &[],
    generate: generate::concurrent_pushes,
};

/// The same of how a process ends.
const CRASHES: Crashes = Crashes {
    kinds: &[],
    at_most: 3,
    when: CrashWhen::Anywhere,
    sites: CRASH_SITES,
    own_sites: &[],
    later_sites: CRASH_SITES_OF_OPEN,
};

/// Every scenario.
pub const SCENARIOS: [Scenario; 20] = [
    Scenario {
        name: "concurrent-pushes",
        summary: "16 pushes straight on the ring state; every one survives",
        subject: Subject::RingState,
        must_happen: &["joined", "holds"],
        windows: &["clone-to-save"],
        generate: generate::concurrent_pushes,
        ..BASE
    },
    Scenario {
        name: "concurrent-evictions",
        summary: "16 evictions against a full ring; all gone, none back",
        cancels: true,
        must_happen: &["departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save"],
        generate: generate::concurrent_evictions,
        ..BASE
    },
    Scenario {
        name: "rotation-vs-eviction",
        summary: "rotations, pressure passes and evictions of ring members overlap; unlinks are slow",
        cancels: true,
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "stuck files", "cancels"],
        windows: &["clone-to-save", "write-locked"],
        generate: generate::rotation_vs_eviction,
        ..BASE
    },
    Scenario {
        name: "rotation-overflow-only",
        summary: "rotations alone; only a full ring evicts, and no caller names a member",
        cancels: true,
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save", "write-locked"],
        generate: generate::rotation_overflow_only,
        ..BASE
    },
    Scenario {
        name: "put-vs-eviction",
        summary: "8 puts, 4 evictions and 4 reads overlap; no artifact dangles, no read goes wrong",
        cancels: true,
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save", "write-locked"],
        landings: &["append-to-commit", "row-to-commit", "scan-to-delete", "row-to-read"],
        generate: generate::put_vs_eviction,
        ..BASE
    },
    Scenario {
        name: "same-key",
        summary: "puts of one or two keys, often of the same bytes, and reads of them; nothing is stored twice",
        cancels: true,
        must_happen: &["joined", "holds", "cancels"],
        windows: &["write-locked"],
        landings: &["append-to-commit"],
        generate: generate::same_key,
        ..BASE
    },
    Scenario {
        name: "refresh-vs-put",
        summary: "artifacts read from the oldest generation are copied while puts replace them; no put is undone",
        cancels: true,
        must_happen: &["joined", "departed", "holds", "cancels"],
        windows: &["write-locked"],
        landings: &["copy-to-commit", "row-to-commit"],
        generate: generate::refresh_vs_put,
        ..BASE
    },
    Scenario {
        name: "read-vs-refresh",
        summary: "reads of artifacts that are being copied and whose segments go; no read misses or goes wrong",
        cancels: true,
        must_happen: &["departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save"],
        landings: &["copy-to-commit", "row-to-ring", "row-to-read"],
        generate: generate::read_vs_refresh,
        ..BASE
    },
    Scenario {
        name: "cancelled-work",
        summary: "puts, streams, reads and evictions whose callers are dropped at any point; nothing leaks, no lock stays",
        cancels: true,
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save", "write-locked"],
        landings: &["append-to-commit", "row-to-commit"],
        generate: generate::cancelled_work,
        ..BASE
    },
    Scenario {
        name: "full-disk",
        summary: "puts on a disk that is nearly full, and writes that are refused; the ring shrinks, no more than it must",
        cancels: true,
        fills: true,
        must_happen: &[
            "joined",
            "departed",
            "holds",
            "slow unlinks",
            "failed unlinks",
            "stuck files",
            "full disk",
            "taken room",
            "cancels",
        ],
        windows: &["clone-to-save", "write-locked"],
        landings: &["append-to-commit", "row-to-commit", "left-to-push", "look-to-use"],
        generate: generate::full_disk,
        ..BASE
    },
    Scenario {
        name: "pressure-with-slow-unlinks",
        summary: "puts, rotations and pressure passes while the doomed are slow to go; what is doomed counts as freed",
        cancels: true,
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "stuck files", "cancels"],
        windows: &["clone-to-save", "write-locked"],
        landings: &["append-to-commit", "row-to-commit"],
        generate: generate::pressure_with_slow_unlinks,
        ..BASE
    },
    Scenario {
        name: "crash-anywhere",
        summary: "the process is killed at any point, and the engine opened again; nothing answered is lost, nothing is left",
        crashes: Some(Crashes { kinds: &[CrashKind::Kill], ..CRASHES }),
        must_happen: &[
            "joined",
            "departed",
            "holds",
            "slow unlinks",
            "failed unlinks",
            "kills",
            "vanished operations",
            "cut writes",
        ],
        windows: &["clone-to-save", "write-locked"],
        landings: &["append-to-commit", "row-to-commit"],
        generate: generate::crash_anywhere,
        ..BASE
    },
    Scenario {
        name: "power-loss-anywhere",
        summary: "the power fails at any point: what no sync has covered is lost, kept or torn",
        crashes: Some(Crashes { kinds: &[CrashKind::PowerLoss], ..CRASHES }),
        must_happen: &[
            "joined",
            "departed",
            "holds",
            "slow unlinks",
            "failed unlinks",
            "power losses",
            "vanished operations",
            "lost writes",
            "torn writes",
            "lost entries",
            "undone unlinks",
            "lost commits",
        ],
        windows: &["clone-to-save", "write-locked"],
        landings: &["append-to-commit", "row-to-commit"],
        generate: generate::crash_anywhere,
        ..BASE
    },
    Scenario {
        name: "failing-disk",
        summary: "any operation of disk or catalog fails, then the process ends or the engine is closed; what was answered is there",
        cancels: true,
        fills: true,
        breaks: true,
        crashes: Some(Crashes {
            kinds: &[CrashKind::Kill, CrashKind::PowerLoss, CrashKind::Close],
            own_sites: CRASH_SITES_WHERE_THE_DISK_FAILS,
            ..CRASHES
        }),
        must_happen: &[
            "joined",
            "departed",
            "holds",
            "slow unlinks",
            "failed unlinks",
            "stuck files",
            "full disk",
            "cancels",
            "kills",
            "power losses",
            "closes",
            "io errors",
            "short writes",
            "dropped pages",
            "dropped entries",
            "late commits",
        ],
        windows: &["clone-to-save", "write-locked"],
        landings: &["append-to-commit"],
        generate: generate::failing_disk,
        ..BASE
    },
    Scenario {
        name: "recovery-interrupted",
        summary: "the process ends again while it mends what its last end has left",
        crashes: Some(Crashes {
            kinds: &[CrashKind::Kill, CrashKind::PowerLoss],
            at_most: 4,
            when: CrashWhen::Again,
            ..CRASHES
        }),
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "kills", "power losses"],
        windows: &["clone-to-save", "write-locked"],
        generate: generate::recovery_interrupted,
        ..BASE
    },
    Scenario {
        name: "lost-file",
        summary: "files of segments are removed while the engine is closed; it drops what named them, tells, and goes on",
        crashes: Some(Crashes { kinds: &[CrashKind::Kill], later_sites: CRASH_SITES_AFTER_A_LOSS, ..CRASHES }),
        must_happen: &["joined", "holds", "kills", "lost files"],
        generate: generate::lost_file,
        ..BASE
    },
    Scenario {
        name: "cut-file",
        summary: "files are cut short while the engine is closed; what their bytes were is dropped, told, and never taken for what is written there next",
        crashes: Some(Crashes {
            kinds: &[CrashKind::Kill, CrashKind::PowerLoss, CrashKind::PowerLoss],
            at_most: 4,
            when: CrashWhen::Soon,
            ..CRASHES
        }),
        must_happen: &["holds", "kills", "power losses", "cut files"],
        generate: generate::cut_file,
        ..BASE
    },
    Scenario {
        name: "bit-rot",
        summary: "reads find flipped bits, or fail; that is told, never answered and never copied, and what is put anew is whole",
        cancels: true,
        rots: true,
        crashes: Some(Crashes {
            kinds: &[CrashKind::Kill, CrashKind::PowerLoss],
            at_most: 2,
            own_sites: &[("evictor@Sleep", 5)],
            ..CRASHES
        }),
        must_happen: &["joined", "departed", "holds", "cancels", "kills", "power losses", "rotten bits", "io errors"],
        windows: &["clone-to-save", "write-locked"],
        landings: &["row-to-read"],
        generate: generate::bit_rot,
        ..BASE
    },
    Scenario {
        name: "restart-and-shrink",
        summary: "the engine is closed or killed, and opened again with smaller limits; it evicts nothing before somebody puts",
        crashes: Some(Crashes {
            kinds: &[CrashKind::Kill, CrashKind::PowerLoss, CrashKind::Close],
            at_most: 4,
            when: CrashWhen::Idle,
            ..CRASHES
        }),
        must_happen: &[
            "joined",
            "departed",
            "holds",
            "slow unlinks",
            "failed unlinks",
            "kills",
            "power losses",
            "closes",
            "lost files",
        ],
        generate: generate::restart_and_shrink,
        ..BASE
    },
    Scenario {
        name: "close-with-work-left",
        summary: "the engine is closed as soon as its callers are gone, many of them dropped; what is under way ends before the close does",
        cancels: true,
        crashes: Some(Crashes { kinds: &[CrashKind::Close], when: CrashWhen::CallersGone, ..CRASHES }),
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "cancels", "closes"],
        windows: &["clone-to-save", "write-locked"],
        generate: generate::close_with_work_left,
        ..BASE
    },
];

impl Scenario {
    /// The scenario of this name.
    pub fn named(name: &str) -> Option<&'static Scenario> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// The plan of a seed. `None` is the portfolio: each seed gets a strategy of its own.
    pub fn plan(&self, seed: u64, strategy: Option<Strategy>) -> Plan<Workload> {
        Plan {
            scenario: self.name.to_string(),
            schedule: strategy::schedule(seed, self.options(strategy)),
            workload: (self.generate)(&Decisions::new(seed, self.name)),
        }
    }

    /// Whether its crashes are aimed at every usual kind of site, so that each has a floor.
    pub fn crashes_midway(&self) -> bool {
        self.crashes
            .is_some_and(|crashes| !matches!(crashes.when, CrashWhen::Soon | CrashWhen::CallersGone | CrashWhen::Idle))
    }

    fn options(&self, strategy: Option<Strategy>) -> Options {
        let Scenario { cancels, fills, breaks, rots, crashes, .. } = *self;
        Options { strategy, cancels, fills, breaks, rots, crashes }
    }

    /// Makes the run of a plan.
    ///
    /// # Errors
    /// When the harness itself fails, and [`Error::Interrupted`], of a worker whose runs are cut off.
    pub fn run(&self, worker: &mut Worker, plan: &Plan<Workload>, mode: Mode) -> Result<Outcome> {
        self.run_by(worker, plan, mode, None)
    }

    /// The same; a guide's choices come before those of the plan.
    ///
    /// # Errors
    /// When the harness itself fails, and [`Error::Interrupted`], of a worker whose runs are cut off.
    pub fn run_by(
        &self,
        worker: &mut Worker,
        plan: &Plan<Workload>,
        mode: Mode,
        guide: Option<Guide>,
    ) -> Result<Outcome> {
        let workload = &plan.workload;
        let may_crash = !plan.schedule.crashes.is_empty();
        let reopen = may_crash.then(|| {
            let workload = Arc::new(workload.clone());
            let reopen = move |stage: Stage, life| -> Pin<Box<dyn Future<Output = ()> + Send>> {
                let workload = workload.clone();
                Box::pin(async move { workload.reopen(&stage, life).await })
            };
            Box::new(reopen) as Reopen
        });
        let cast = async |stage: &Stage| workload.cast(self.subject, stage).await;
        worker.run(&plan.schedule, &workload.setting(), mode, cast, reopen, guide)?.ok_or(Error::Interrupted)
    }
}
