//! The engine of one node: opening, looking, closing. Rotation, eviction and pressure are in files of their own.

use crate::capacity::Usage;
use crate::catalog::{Catalog, Commit, Require, Table, Write};
use crate::disk::Disk;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::eviction::{Wake, run_evictor};
use crate::limits::Limits;
use crate::lock::Lock;
use crate::ring_state::{RingRecord, RingState};
use crate::rotation::WRITE_LOCK;
use crate::segment::SegmentId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

const FORMAT_KEY: &[u8] = b"format";
const FORMAT: u8 = 1;

/// An open engine. Dropping it stops the evictor after its current pass; what is doomed stays on the saved list.
pub struct Engine<E: Env> {
    pub(crate) shared: Arc<Shared<E>>,
    pub(crate) wake: Wake,
    strays: Vec<SegmentId>,
    evictor_ended: oneshot::Receiver<Result<()>>,
}

pub(crate) struct Shared<E: Env> {
    pub(crate) env: E,
    pub(crate) limits: Limits,
    pub(crate) ring: Arc<RingState<E>>,
    pub(crate) write: Lock,
    pub(crate) unlinks_failed: AtomicU64,
}

impl<E: Env> Engine<E> {
    /// Opens the node's engine: checks the format, compares ring and directory, makes the first segment where there is
    /// none, and goes on with the unlinks of an earlier run.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`], [`Error::DamagedRing`], [`Error::MissingSegment`], and what the disk and the catalog
    /// say.
    pub async fn open(env: E, limits: Limits) -> Result<Engine<E>> {
        check_format(env.catalog())?;
        let ring = Arc::new(RingState::open(env.clone(), limits.ring)?);
        let strays = compare(&ring.snapshot(), &env.disk().list().await?)?;
        let write = Lock::new(&WRITE_LOCK);
        let shared = Arc::new(Shared { env: env.clone(), limits, ring, write, unlinks_failed: AtomicU64::new(0) });
        if shared.ring.snapshot().ring.active().is_none() {
            shared.push_new_segment().await?;
        }
        let (wake, woken) = Wake::channel();
        let (ended, evictor_ended) = oneshot::channel();
        let evicting = shared.clone();
        env.spawn("evictor", async move {
            let end = run_evictor(evicting, woken).await;
            // an engine that was dropped and not closed does not listen
            let _ = ended.send(end);
        });
        wake.evictor();
        Ok(Engine { shared, wake, strays, evictor_ended })
    }

    /// The ring and the only way to change it.
    pub fn ring_state(&self) -> &Arc<RingState<E>> {
        &self.shared.ring
    }

    /// The segment that is written to.
    pub fn active(&self) -> SegmentId {
        self.shared.ring.snapshot().ring.active().expect("an open engine has an active segment")
    }

    /// Bytes that the ring accounts for.
    pub fn usage(&self) -> Usage {
        Usage::of(&self.shared.ring.snapshot().ring)
    }

    /// Files found at open that neither the ring nor the doomed list names: a rotation that did not end. They are left
    /// alone.
    pub fn strays(&self) -> &[SegmentId] {
        &self.strays
    }

    /// Unlinks that failed since the open. Each is tried again.
    pub fn unlinks_failed(&self) -> u64 {
        self.shared.unlinks_failed.load(Ordering::Relaxed)
    }

    /// Waits until the doomed segments are unlinked, those whose unlink fails apart, and makes the catalog durable.
    ///
    /// # Errors
    /// [`Error::Catalog`] when the last sync fails, or one failed for the evictor before; [`Error::Closed`] when the
    /// evictor is gone without a word, by a panic or with its runtime. The doomed list is saved in any case.
    pub async fn close(self) -> Result<()> {
        let Engine { shared, wake, evictor_ended, .. } = self;
        drop(wake);
        evictor_ended.await.map_err(|_| Error::Closed)??;
        // trusted next: a reopen finds the ring as it was left, also after a power loss
        shared.env.catalog().sync().await
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

/// Files that no list names; an error where the ring names one that has no file. A doomed segment without a file is
/// legal: its unlink was durable before its removal from the list.
fn compare(record: &RingRecord, files: &[SegmentId]) -> Result<Vec<SegmentId>> {
    if let Some(lost) = record.ring.members().iter().find(|member| !files.contains(&member.segment)) {
        return Err(Error::MissingSegment { segment: lost.segment });
    }
    let doomed = |file: &SegmentId| record.ring.doomed().iter().any(|doomed| doomed.segment == *file);
    let named = |file: &SegmentId| record.ring.generation_of(*file).is_some() || doomed(file);
    Ok(files.iter().copied().filter(|file| !named(file)).collect())
}
