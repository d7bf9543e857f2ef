//! Eviction: the ring first, the file last.
//!
//! One mutate moves the victim to the doomed list; whoever's mutate moved it owns it. The evictor, one background task,
//! then deletes its artifacts' rows, makes doom and deletions durable, unlinks the file and takes the segment off the
//! list. It takes no lock but the state lock, and needs no free space. A failed unlink keeps the segment doomed and is tried
//! again after a pause, which delays no other.

use crate::catalog::{Catalog, Commit, Table, Write};
use crate::disk::Disk;
use crate::engine::{Engine, Shared};
use crate::env::Env;
use crate::error::Result;
use crate::limits::UNLINK_RETRY_MS;
use crate::manifest::{artifact_key, as_read, index_prefix};
use crate::point::Point;
use crate::ring::Eviction;
use crate::segment::SegmentId;
use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc;

impl<E: Env> Engine<E> {
    /// Evicts one segment, wherever in the ring it is; the active one is refused. Returns once the doom is saved; the
    /// file goes in the background.
    ///
    /// # Errors
    /// Those of [`RingState::mutate`](crate::ring_state::RingState::mutate).
    pub async fn evict(&self, segment: SegmentId) -> Result<Eviction> {
        let eviction = self.shared.ring.mutate(|ring| ring.doom(segment)).await?;
        self.wake.evictor();
        Ok(eviction)
    }
}

/// Tells the evictor that there may be doomed segments. Clones tell the same evictor; it stops when all are gone.
#[derive(Clone)]
pub(crate) struct Wake(mpsc::Sender<()>);

impl Wake {
    /// The two ends: one to tell, one for the evictor.
    pub(crate) fn channel() -> (Wake, mpsc::Receiver<()>) {
        let (wake, woken) = mpsc::channel(1);
        (Wake(wake), woken)
    }

    /// The same for who must not keep the evictor.
    pub(crate) fn downgrade(&self) -> WeakWake {
        WeakWake(self.0.downgrade())
    }

    pub(crate) fn evictor(&self) {
        // full: it has been told and not looked yet. Closed: the evictor is gone with the process's tasks, and the
        // doomed list is saved for the next open
        let _ = self.0.try_send(());
    }
}

/// A [`Wake`] that the evictor does not wait for.
pub(crate) struct WeakWake(mpsc::WeakSender<()>);

impl WeakWake {
    /// `None` once the engine closes.
    pub(crate) fn upgrade(&self) -> Option<Wake> {
        self.0.upgrade().map(Wake)
    }
}

/// Runs until the last [`Wake`] is gone and the doomed list, failed unlinks apart, is empty.
///
/// # Errors
/// A catalog that refuses ends it: a sync that is tried again may succeed with the dooms gone, and an unlink must never
/// be durable before its doom. The list is saved for the next open.
pub(crate) async fn run_evictor<E: Env>(shared: Arc<Shared<E>>, mut woken: mpsc::Receiver<()>) -> Result<()> {
    let mut failed = BTreeSet::new();
    while woken.recv().await.is_some() {
        shared.env.reach(Point::EVICTOR_WOKEN).await;
        shared.pass(&mut failed).await?;
        while !failed.is_empty() && shared.pause(&mut woken, &mut failed).await? {
            shared.pass(&mut failed).await?;
        }
    }
    Ok(())
}

impl<E: Env> Shared<E> {
    /// Waits until what has `failed` before may be tried again, and takes it out. What is doomed meanwhile is tried at once,
    /// so that one that the disk keeps delays no other. `false` when the engine closes: nobody waits for a close.
    async fn pause(&self, woken: &mut mpsc::Receiver<()>, failed: &mut BTreeSet<SegmentId>) -> Result<bool> {
        let resting = failed.clone();
        let mut rest = pin!(self.env.sleep(Duration::from_millis(UNLINK_RETRY_MS)));
        loop {
            // the rest first: who wakes the evictor again and again does not make it longer
            let told = poll_fn(|context| match rest.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => woken.poll_recv(context).map(Some),
            });
            match told.await {
                None => break,
                Some(None) => return Ok(false),
                Some(Some(())) => {}
            }
            self.env.reach(Point::EVICTOR_WOKEN).await;
            self.pass(failed).await?;
        }
        // what has failed meanwhile rests as long
        failed.retain(|segment| !resting.contains(segment));
        Ok(true)
    }

    /// Evicts what is doomed and has not `failed`, until there is no more of that. What fails now joins those.
    pub(crate) async fn pass(&self, failed: &mut BTreeSet<SegmentId>) -> Result<()> {
        loop {
            let latest = self.ring.snapshot();
            let doomed = latest.ring.doomed().iter().map(|doomed| doomed.segment);
            let untried: Vec<SegmentId> = doomed.filter(|segment| !failed.contains(segment)).collect();
            if untried.is_empty() {
                return Ok(()); // and nobody is told: who waits for a pass waits for one that has tried something
            }
            self.env.note(Point::DOOMED_LISTED);
            for segment in &untried {
                self.delete_rows(*segment).await?;
            }
            // trusted next: the dooms and the deletions survive a power loss. Without it an unlink could be durable and
            // its doom not, and the ring, or a row, would name a segment that has no file
            self.catalog_syncs.covered_alone(&self.env).await.inspect_err(|_| self.ring.fence())?;
            let mut unlinked = Vec::new();
            for segment in untried {
                // the entry may come back after a power loss; the list still names it then, or recovery finds the file
                match self.env.disk().unlink(segment).await {
                    Ok(()) => {
                        self.books.free(segment);
                        unlinked.push(segment);
                    }
                    Err(_) => {
                        self.unlinks_failed.fetch_add(1, Ordering::Relaxed);
                        self.env.note(Point::UNLINK_FAILED);
                        if self.books.refuse(segment) {
                            self.env.note(Point::SEGMENT_STUCK);
                        }
                        failed.insert(segment);
                    }
                }
            }
            if !unlinked.is_empty() {
                self.ring.mutate(|ring| ring.forget(&unlinked)).await?;
                self.books.close(&unlinked);
            }
            self.passes.notify_waiters();
        }
    }

    /// Deletes the rows of a doomed segment's artifacts. None can be added to it any more; some may leave meanwhile.
    async fn delete_rows(&self, segment: SegmentId) -> Result<()> {
        let prefix = index_prefix(segment);
        // goes on behind what it has deleted: from the first entry on, each page would step over all deletions before it
        let mut after = None;
        loop {
            let page = self.env.catalog().scan(Table::Index, &prefix, after.as_deref(), self.limits.batch_rows)?;
            let Some((last, _)) = page.last().cloned() else {
                return Ok(());
            };
            let is_last = page.len() < self.limits.batch_rows;
            let (mut batch, mut requires) = (Vec::new(), Vec::new());
            for (entry, _) in page {
                if let Some(key) = artifact_key(&entry)
                    && let Some(manifest) = self.manifest(key)?.filter(|manifest| manifest.segment == segment)
                {
                    requires.push(as_read(key, Some(&manifest)));
                    batch.push(Write::Delete { table: Table::Manifest, key: key.to_vec() });
                }
                batch.push(Write::Delete { table: Table::Index, key: entry });
            }
            self.env.reach(Point::ROWS_SCANNED).await;
            self.ring.check_fence()?;
            // buffered: a power loss may undo it, together with the doom at most. The sync before the unlink covers it
            match self.committed(batch, &requires)? {
                Commit::Buffered => {
                    self.env.note(Point::ROWS_DELETED);
                    after = Some(last);
                }
                Commit::Refused => continue, // a row has moved on: the same page again has those that are left
            }
            if is_last {
                return Ok(());
            }
        }
    }
}
