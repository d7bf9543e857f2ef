//! One run: the engine on simulated surroundings, on madsim, under a conductor and a watch.
//!
//! The surroundings are set up with nothing parked; then the conductor starts, steps whenever nothing runs, and ends the
//! run when nothing can, and drops all tasks, so that nothing outlives it. A run may have several lives of the process: a
//! crash drops every task, the disk and the catalog keep what survives it, the oracles judge that, and a task of the next
//! life opens the engine again. madsim supplies repeatable clocks and randomness for whoever asks the system for them,
//! forbids threads, and picks which of several woken tasks is polled.

mod env;
mod lives;
mod quiet;
mod teller;

pub use env::SimEnv;
pub use teller::Teller;

use crate::catalog::{KeptCommit, SimCatalog, Store, Written};
use crate::choice::{Guide, Walk};
use crate::conductor::{Conductor, Points, Role, panic_message};
use crate::confined::Confined;
use crate::disk::SimDisk;
use crate::history::{Key, Told};
use crate::lineage::Lineage;
use crate::plan::{Injection, Moment, Schedule};
use crate::record::Record;
use crate::site::SiteName;
use crate::trace::Trace;
use crate::vocabulary::{CRASH_POINTS, VOCABULARY};
use crate::watch::Watch;
use env::Parts;
use madsim::runtime::Runtime;
use quiet::{Quiet, quiet_panics_of_runs};
use segment_engine::catalog::{Catalog, Commit, Table, Write};
use segment_engine::manifest::{Manifest, index_key};
use segment_engine::ring_state::{RING_KEY, RingRecord};
use segment_engine::{Engine, Limits, Result, Ring, RingState, SegmentId};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// What runs on one thread, one after the other, share: an open database, and what need not be looked up again.
pub struct Worker {
    store: Store,
    points: Points,
    /// The executor, its seed, and how many runs it has had.
    executor: Option<(Runtime, u64, u32)>,
    /// Cuts its runs off.
    cut: Option<&'static AtomicBool>,
}

/// Runs on one executor. It remembers each of them, so now and then it is replaced.
const RUNS_OF_EXECUTOR: u32 = 100;

/// What a run starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The engine's limits.
    pub limits: Limits,
    /// Segments 1 to this are in the ring and on disk before the run. At least the active one.
    pub segments: u32,
    /// Artifacts that are there before the run, one for each key.
    pub stored: Vec<Stored>,
    /// The size of the disk.
    pub disk_bytes: u64,
    /// The later lives of the process. What the schedule says of crashes beyond them is as for one without a change.
    pub lives: Vec<Life>,
    /// Steps that the run may take.
    pub steps_max: u64,
}

/// What a later life of the process starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The engine's limits.
    pub limits: Limits,
    /// Places in the ring whose files are removed before it, oldest first, counted modulo the ring.
    pub lost: Vec<u32>,
    /// Places in the same ring, youngest first, whose files are cut before it, each to so many bytes.
    pub cut: Vec<(u32, u32)>,
}

/// Opens the engine in a later life, which is counted from 1, and puts its callers on the stage.
pub type Reopen = Box<dyn Fn(Stage, usize) -> Pin<Box<dyn Future<Output = ()> + Send>>>;

/// An artifact that is there before the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its key.
    pub key: Key,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The number of its segment.
    pub segment: u32,
}

/// How a run is made; none of it may change what happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// madsim's own seed.
    pub madsim_seed: u64,
    /// Keep the trace and the fired injections.
    pub keep_trace: bool,
    /// Keep the commits.
    pub keep_commits: bool,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The result.
    pub record: Record,
    /// Sites that the plan names and the run did not come to.
    pub unreached: Vec<SiteName>,
    /// Kept on request: the run in full.
    pub story: Option<Story>,
    /// Kept on request: the catalog's commits.
    pub commits: Vec<KeptCommit>,
    /// The choices of a guided run.
    pub walk: Walk,
}

/// A run, told in full.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The events.
    pub trace: Trace,
    /// The tasks' labels, by id.
    pub labels: Vec<String>,
    /// Every saved ring, with the step of its save.
    pub saves: Vec<(u64, RingRecord)>,
    /// What callers were told, in order.
    pub answers: Vec<Told>,
    /// Everything that the plan did to the run, as injections by name.
    pub fired: Vec<Injection>,
    /// When each life of the process ended but the last: at a site, by itself, or as its callers were gone.
    pub ends: Vec<Moment>,
    /// What befell each segment.
    pub lineage: Lineage,
}

/// Where a scenario puts its callers. Clones are the same.
#[derive(Clone)]
pub struct Stage {
    env: SimEnv,
    watch: Watch,
    ring: Arc<Confined<Option<Arc<RingState<SimEnv>>>>>,
    engine: Arc<Confined<Option<Arc<Engine<SimEnv>>>>>,
    cut: Option<&'static AtomicBool>,
}

impl Worker {
    /// A worker with an empty database.
    ///
    /// # Errors
    /// When RocksDB cannot be opened.
    pub fn new() -> Result<Worker> {
        quiet_panics_of_runs();
        Ok(Worker { store: Store::open()?, points: Points::new(&VOCABULARY), executor: None, cut: None })
    }

    /// The same worker, whose runs are cut off once this is set. It must stay so.
    pub fn cut_by(self, cut: &'static AtomicBool) -> Worker {
        Worker { cut: Some(cut), ..self }
    }

    /// Makes one run. `cast` opens the engine and puts the callers on the stage, `reopen` does so after a crash, in a task
    /// under the conductor. A guide's choices come before those of the schedule. `None` where it was cut off: such a run
    /// has come to nothing.
    ///
    /// # Errors
    /// When the harness itself fails: RocksDB refuses, or the engine does not open on a sound directory.
    pub fn run(
        &mut self,
        schedule: &Schedule,
        setting: &Setting,
        mode: Mode,
        cast: impl AsyncFnOnce(&Stage) -> Result<()>,
        reopen: Option<Reopen>,
        guide: Option<Guide>,
    ) -> Result<Option<Outcome>> {
        let (runtime, mut runs) = self.executor(mode.madsim_seed);
        let points = std::mem::replace(&mut self.points, Points::new(&VOCABULARY));
        let conductor = Conductor::knowing(points, schedule, mode.keep_trace);
        if let Some(guide) = guide {
            conductor.follow(guide);
        }
        let watch = Watch::new(setting.limits.ring, setting.steps_max);
        let parts = Parts {
            disk: SimDisk::new(conductor.clone(), watch.history().clone()),
            catalog: SimCatalog::new(
                &self.store,
                conductor.clone(),
                watch.clone(),
                mode.keep_commits,
                reopen.is_some(),
            ),
            next_segment: AtomicU64::new(u64::from(setting.segments) + 1),
            conductor,
            watch: watch.clone(),
        };
        let env = SimEnv { parts: Arc::new(parts) };
        {
            let mut history = watch.history().borrow_mut();
            history.files.may_lose_power = reopen.is_some();
            history.lineage = mode.keep_trace.then(Lineage::default);
        }
        let stage = Stage { env: env.clone(), watch, ring: Arc::default(), engine: Arc::default(), cut: self.cut };
        let quiet = Quiet::on();
        let run = async {
            let mut ran = match stage.furnish(setting) {
                Ok(()) => cast(&stage).await,
                Err(error) => Err(error),
            };
            if ran.is_ok() {
                ran = stage.live(schedule, setting, reopen.as_ref());
            }
            stage.strike();
            ran
        };
        // a task's panic is caught by the conductor; what comes here is the set-up's, or an oracle's
        let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on(run))).unwrap_or_else(|panic| {
            stage.watch.panicked(&panic_message(panic.as_ref()));
            stage.strike();
            runs = RUNS_OF_EXECUTOR; // whatever it left there
            Ok(())
        });
        if runs < RUNS_OF_EXECUTOR {
            self.executor = Some((runtime, mode.madsim_seed, runs));
        }
        drop(quiet);
        let Written { rows, commits, kept, .. } = env.parts.catalog.take_written();
        self.store.emptied(rows, commits)?;
        let outcome = ran
            .map(|()| (!stage.is_cut_off()).then(|| stage.outcome(schedule, setting, mode, kept.unwrap_or_default())));
        self.points = env.parts.conductor.take_points();
        outcome
    }

    /// An executor of this seed, and the how many-th run this is on it.
    fn executor(&mut self, seed: u64) -> (Runtime, u32) {
        match self.executor.take() {
            Some((runtime, made_with, runs)) if made_with == seed => (runtime, runs + 1),
            _ => (Runtime::with_seed_and_config(seed, madsim::Config::default()), 1),
        }
    }
}

impl Stage {
    /// The engine's surroundings.
    pub fn env(&self) -> &SimEnv {
        &self.env
    }

    /// Watches this engine from now on, and keeps it to the end of the run.
    pub fn watch_engine(&self, engine: &Arc<Engine<SimEnv>>) {
        self.watch_ring(engine.ring_state());
        *self.engine.borrow_mut() = Some(engine.clone());
    }

    /// Watches this ring from now on.
    pub fn watch_ring(&self, ring: &Arc<RingState<SimEnv>>) {
        *self.ring.borrow_mut() = Some(ring.clone());
    }

    /// Puts a caller on the stage. It starts with the conductor, and tells each answer in the step in which it gets it.
    pub fn caller<F>(&self, label: String, act: impl FnOnce(Teller) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let conductor = &self.env.parts.conductor;
        conductor.adopt(label, Role::Caller, act(self.teller()));
    }

    /// Takes down what the running task is told.
    pub fn teller(&self) -> Teller {
        Teller::new(self.env.parts.conductor.clone(), self.watch.clone())
    }

    /// Ring and files as the setting says, saved as version 1.
    fn furnish(&self, setting: &Setting) -> Result<()> {
        let mut ring = Ring::new(setting.limits.ring);
        for number in 1..=setting.segments {
            ring.push(SegmentId::from_u128(u128::from(number)), setting.limits.segment_bytes);
        }
        {
            let mut history = self.watch.history().borrow_mut();
            history.room.disk_bytes = setting.disk_bytes;
            history.limit(&setting.limits);
            history.files.extend(ring.members().iter().map(|member| member.segment));
        }
        // what does not fit the limits is long gone
        let doomed: Vec<SegmentId> = ring.doomed().iter().map(|doomed| doomed.segment).collect();
        ring.forget(&doomed);
        let stored = setting.stored.iter().filter_map(|stored| self.store(&ring, stored));
        let stored: Vec<Write> = stored.flatten().collect();
        let value = RingRecord { version: 1, base: 0, ring }.encode();
        let row = Write::Put { table: Table::Ring, key: RING_KEY.to_vec(), value };
        // the ring first: what is seen of an artifact depends on it
        for batch in [vec![row], stored].into_iter().filter(|batch| !batch.is_empty()) {
            let Commit::Buffered = self.env.parts.catalog.commit(batch, &[])? else {
                unreachable!("a commit without requirements is never refused");
            };
        }
        let mut history = self.watch.history().borrow_mut();
        history.files.sync_all();
        history.room.log_bytes = 0; // the disk is as large as it is beside what was there
        history.durable_commits = history.commits;
        history.hold_fast();
        Ok(())
    }

    /// Writes an artifact's bytes and returns its rows; `None` when its segment is not in the ring.
    fn store(&self, ring: &Ring, stored: &Stored) -> Option<[Write; 2]> {
        let segment = SegmentId::from_u128(u128::from(stored.segment));
        ring.generation_of(segment)?;
        let mut history = self.watch.history().borrow_mut();
        let checksum = xxh3_64(&stored.bytes);
        history.contents.insert(checksum, stored.bytes.clone());
        let (offset, length) = (history.files.bytes(segment)?.len(), stored.bytes.len() as u64);
        history.files.write(segment, offset, &stored.bytes);
        let value = Manifest { version: 1, segment, offset: offset as u64, length, checksum }.encode();
        Some([
            Write::Put { table: Table::Manifest, key: vec![stored.key], value },
            Write::Put { table: Table::Index, key: index_key(segment, &[stored.key]), value: Vec::new() },
        ])
    }

    fn is_cut_off(&self) -> bool {
        self.cut.is_some_and(|cut| cut.load(Ordering::Relaxed))
    }

    /// Ends everything that is still there.
    fn strike(&self) {
        self.env.parts.conductor.stop();
        self.leave();
    }

    fn outcome(&self, schedule: &Schedule, setting: &Setting, mode: Mode, commits: Vec<KeptCommit>) -> Outcome {
        let conductor = &self.env.parts.conductor;
        let mut history = self.watch.history().borrow_mut();
        let lineage = history.lineage.take().unwrap_or_default();
        let trace = conductor.take_trace();
        let furnished = setting.limits.ring.segments().min(setting.segments as usize);
        let record = conductor.look(|pulse| Record {
            seed: schedule.seed,
            base: schedule.base,
            violations: self.watch.take_violations(),
            trace_hash: trace.hash(),
            sites: pulse.step(),
            joined: history.joined.len().saturating_sub(furnished) as u64,
            departed: history.departed.len() as u64,
            windows: pulse.window_counts(),
            interference: pulse.interference().and(&history.interference),
            crash_sites: pulse.crash_sites().to_vec(),
            sites_met: if schedule.crashes.is_empty() { Vec::new() } else { pulse.sites_met(CRASH_POINTS) },
        });
        let story = mode.keep_trace.then(|| Story {
            trace,
            labels: conductor.look(|pulse| pulse.labels()),
            saves: history.saves.iter().map(|save| (save.step, save.record.clone())).collect(),
            answers: history.answers.clone(),
            fired: conductor.take_fired(),
            ends: conductor.take_ends(),
            lineage: Lineage { savers: history.saves.iter().map(|save| save.task).collect(), ..lineage },
        });
        Outcome { record, unreached: conductor.unreached(), story, commits, walk: conductor.take_walk() }
    }
}
