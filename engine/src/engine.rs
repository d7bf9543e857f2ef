//! The engine of one node: opening, looking, closing. Rotation, eviction and pressure are in files of their own.

use crate::capacity::Usage;
use crate::catalog::{Batch, Catalog, Commit, Require, Table, Write};
use crate::cut_short::CutShort;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::eviction::{Wake, run_evictor};
use crate::group_commit::{GroupCommit, Target};
use crate::limits::Limits;
use crate::lock::Lock;
use crate::put::STRIPE_LOCK;
use crate::recovery::Repair;
use crate::refresh::Refreshes;
use crate::ring_state::RingState;
use crate::rotation::WRITE_LOCK;
use crate::segment::SegmentId;
use crate::usage::{Books, Owners};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Notify, oneshot};
use tokio_util::task::TaskTracker;
use xxhash_rust::xxh3::xxh3_64;

const FORMAT_KEY: &[u8] = b"format";
const FORMAT: u8 = 1;

/// An open engine. Dropping it stops the evictor after its current pass; what is doomed stays on the saved list.
///
/// A call that was begun is polled to its end or dropped. One that is kept and not polled, as by a `select!` on `&mut call` or a
/// stream of calls whose consumer awaits another one, may hold a lock that everybody waits for: spawn it instead.
pub struct Engine<E: Env> {
    pub(crate) shared: Arc<Shared<E>>,
    pub(crate) wake: Wake,
    repairs: Vec<Repair>,
    evictor_ended: oneshot::Receiver<Result<()>>,
}

pub(crate) struct Shared<E: Env> {
    pub(crate) env: E,
    pub(crate) limits: Limits,
    pub(crate) ring: Arc<RingState<E>>,
    pub(crate) write: Lock,
    pub(crate) stripes: Vec<Lock>,
    pub(crate) books: Books,
    pub(crate) catalog_syncs: Arc<GroupCommit>,
    pub(crate) refreshes: Refreshes,
    /// Told whenever the evictor has got somewhere, or has tried.
    pub(crate) passes: Notify,
    pub(crate) unlinks_failed: AtomicU64,
    /// Everything that was spawned and has not let go of what it holds.
    tasks: TaskTracker,
}

impl<E: Env> Engine<E> {
    /// Opens the node's engine: checks the format, recovers what an earlier run has left, and makes the first segment where
    /// there is none. Only then anything is served. An environment serves one engine: another on a clone of it would meet
    /// writes and a ring of the first.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`], [`Error::DamagedRing`], [`Error::DamagedManifest`], and what the disk and the catalog say.
    /// It may be tried again, in surroundings that were opened again: operations of the first may be under way, and what it
    /// has mended is durable only then.
    pub async fn open(env: E, limits: Limits) -> Result<Engine<E>> {
        let limits = limits.in_bounds();
        check_format(env.catalog())?;
        let ring = Arc::new(RingState::open(env.clone(), limits.ring)?);
        let tasks = TaskTracker::new();
        let shared = Arc::new(Shared {
            env: env.clone(),
            limits,
            ring,
            write: Lock::new(&WRITE_LOCK),
            stripes: (0..limits.stripes).map(|_| Lock::new(&STRIPE_LOCK)).collect(),
            books: Books::new(tasks.clone()),
            catalog_syncs: GroupCommit::new(Target::Catalog, tasks.clone()),
            refreshes: Refreshes::new(),
            passes: Notify::new(),
            unlinks_failed: AtomicU64::new(0),
            tasks,
        });
        let repairs = shared.recover().await?;
        if shared.ring.snapshot().ring.active().is_none() {
            shared.push_new_segment(0).await?;
        }
        let (wake, woken) = Wake::channel();
        let waited_for = shared.clone();
        let cut_short = CutShort::then(move || {
            // nothing makes room any more. Trusted next: whoever waits for a pass looks at the fence before it waits again
            waited_for.ring.fence();
            waited_for.passes.notify_waiters();
        });
        let (ended, evictor_ended) = oneshot::channel();
        let evicting = shared.clone();
        shared.spawn("evictor", async move {
            // fenced before they are told: whoever waits for the evictor would wait for ever
            let end = run_evictor(evicting.clone(), woken).await.inspect_err(|_| evicting.ring.fence());
            evicting.passes.notify_waiters();
            // an engine that was dropped and not closed does not listen
            let _ = ended.send(end);
            cut_short.disarm();
        });
        wake.evictor();
        Ok(Engine { shared, wake, repairs, evictor_ended })
    }

    /// The ring and the only way to change it.
    pub fn ring_state(&self) -> &Arc<RingState<E>> {
        &self.shared.ring
    }

    /// The segment that is written to.
    pub fn active(&self) -> SegmentId {
        self.shared.active()
    }

    /// Bytes that the ring accounts for, and whose they are.
    pub fn usage(&self) -> Usage {
        Usage::of(&self.shared.ring.snapshot().ring, &self.shared.books.usage())
    }

    /// Each segment that has a file, and whose its bytes are.
    pub fn owners(&self) -> Vec<(SegmentId, Owners)> {
        self.shared.books.usage()
    }

    /// What the open has mended. After an engine that was closed: nothing, failed unlinks apart, and files that a power loss
    /// has brought back.
    pub fn repairs(&self) -> &[Repair] {
        &self.repairs
    }

    /// Artifacts of the oldest generation that were read and are queued to be copied.
    pub fn refreshes_waiting(&self) -> usize {
        self.shared.refreshes.waiting()
    }

    /// Unlinks that failed since the open. Each is tried again.
    pub fn unlinks_failed(&self) -> u64 {
        self.shared.unlinks_failed.load(Ordering::Relaxed)
    }

    /// Waits until the refreshes that are queued have ended and the doomed segments are unlinked, those whose unlink fails
    /// apart, and makes the catalog durable. On return, with an error too, no task of the engine holds the environment any
    /// more: a directory can be opened again at once, as surroundings of its own, unless a [`Reader`](crate::Reader) is left,
    /// or a read or write of a dropped caller is still under way: until that is gone the answer is [`Error::DirectoryInUse`].
    ///
    /// # Errors
    /// [`Error::Fenced`] and [`Error::Unsynced`] when the last sync or one before it failed, and what ended the evictor if
    /// something did; [`Error::Closed`] when the evictor is gone without a word, by a panic or with its runtime. The doomed
    /// list is saved in any case.
    pub async fn close(self) -> Result<()> {
        let Engine { shared, wake, evictor_ended, .. } = self;
        drop(wake);
        let closed = shared.settled(evictor_ended).await;
        let tasks = shared.tasks.clone();
        drop(shared);
        // whoever waited for a task has its answer before the task has let go of the environment: opened again now, the
        // directory would be in use
        tasks.close();
        tasks.wait().await;
        closed
    }
}

impl<E: Env> Shared<E> {
    /// Waits for the evictor, and makes the catalog durable.
    async fn settled(&self, evictor_ended: oneshot::Receiver<Result<()>>) -> Result<()> {
        evictor_ended.await.map_err(|_| Error::Closed)??;
        // a sync after one that failed would say nothing
        self.ring.check_fence()?;
        // trusted next: a reopen finds the ring as it was left, also after a power loss
        self.sync_catalog().await
    }

    /// Spawns a task that a close waits for.
    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.env.spawn(name, self.tasks.track_future(task));
    }

    /// The segment that is written to.
    pub(crate) fn active(&self) -> SegmentId {
        self.ring.snapshot().ring.active().expect("an open engine has an active segment")
    }

    /// The lock that keeps puts of this key apart.
    pub(crate) fn stripe(&self, key: &[u8]) -> &Lock {
        &self.stripes[(xxh3_64(key) % self.stripes.len() as u64) as usize]
    }

    /// Commits; an error leaves it unknown whether it was written, and fences writes.
    pub(crate) fn committed(&self, batch: Batch, requires: &[Require]) -> Result<Commit> {
        self.env.catalog().commit(batch, requires).inspect_err(|_| self.ring.fence())
    }

    /// Waits for a sync of the catalog that covers every commit so far; a failed one fences writes.
    pub(crate) async fn sync_catalog(&self) -> Result<()> {
        self.catalog_syncs.covered(&self.env).await.inspect_err(|_| self.ring.fence())
    }
}

fn check_format(catalog: &impl Catalog) -> Result<()> {
    let write = Write::Put { table: Table::Store, key: FORMAT_KEY.to_vec(), value: vec![FORMAT] };
    let absent = Require::RowAbsent { table: Table::Store, key: FORMAT_KEY.to_vec() };
    // may be torn here: a power loss can undo it, together with every commit after it
    match catalog.commit(vec![write], &[absent])? {
        Commit::Buffered => Ok(()),
        Commit::Refused => match catalog.get(Table::Store, FORMAT_KEY)?.as_deref() {
            Some([FORMAT]) => Ok(()),
            found => Err(Error::UnknownFormat { found: format!("{found:?}"), expected: FORMAT }),
        },
    }
}
