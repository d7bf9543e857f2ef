//! One sync for everyone who waits for one.
//!
//! Whoever has written something asks for a sync that starts from now on. All who ask while one is under way share the
//! next, which waits a little for those who are still writing. The sync is owned by a task of its own, so that a waiter
//! who is dropped takes nobody's sync away. A sync that failed is never tried again: it could succeed with the pages gone.
//! From then on everyone is refused.

use crate::catalog::Catalog;
use crate::disk::Disk;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::point::Point;
use crate::segment::SegmentId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};
use tokio_util::task::TaskTracker;

/// What is synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// The bytes of one segment.
    Segment(SegmentId),
    /// The commits of the catalog.
    Catalog,
}

/// Those who wait for a sync of one thing.
#[derive(Debug)]
pub(crate) struct GroupCommit {
    target: Target,
    tasks: TaskTracker,
    queue: Mutex<Queue>,
    /// Told whenever somebody has joined the queue or ended a write.
    moved: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    /// Their writes are complete: any sync that starts from now on covers them.
    waiters: Vec<oneshot::Sender<Outcome>>,
    /// Writes that have not ended: who writes is about to wait.
    writing: usize,
    is_running: bool,
    /// Asked for by someone who does not wait.
    is_wanted: bool,
    failed: Option<Arc<Error>>,
}

/// A sync is put off while more than so many write for each that waits. It is a compromise, measured with 64 writers of
/// 4 MiB: at 3 there are 21 puts a sync in place of 8, and a tenth less MB/s, as the disk idles while they write; at 1 there
/// are no more puts a sync, and a sixth less MB/s.
const WRITES_PER_WAITER: usize = 3;

type Outcome = std::result::Result<(), Arc<Error>>;

impl GroupCommit {
    pub(crate) fn new(target: Target, tasks: TaskTracker) -> Arc<GroupCommit> {
        Arc::new(GroupCommit { target, tasks, queue: Mutex::default(), moved: Notify::new() })
    }

    /// Waits for a sync that starts after this call, and so covers every write that is complete now.
    ///
    /// # Errors
    /// [`Error::Unsynced`] when that sync, or one before it, failed.
    pub(crate) async fn covered<E: Env>(self: &Arc<Self>, env: &E) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.lock().waiters.push(answer);
        self.start(env);
        let outcome = answered.await.map_err(|_| Error::Closed)?;
        env.reach(Point::SYNC_JOINED).await;
        outcome.map_err(Error::Unsynced)
    }

    /// The same for a task that nobody drops: it syncs by itself, at once.
    ///
    /// # Errors
    /// Those of [`GroupCommit::covered`].
    pub(crate) async fn covered_alone<E: Env>(&self, env: &E) -> Result<()> {
        let outcome = match self.failure() {
            Some(failed) => Err(failed),
            None => self.sync(env).await,
        };
        self.settle(Vec::new(), outcome.clone());
        outcome.map_err(Error::Unsynced)
    }

    /// Has what is written now synced some time soon.
    pub(crate) fn request<E: Env>(self: &Arc<Self>, env: &E) {
        self.lock().is_wanted = true;
        self.start(env);
    }

    /// How a sync has failed, if one has.
    pub(crate) fn failure(&self) -> Option<Arc<Error>> {
        self.lock().failed.clone()
    }

    /// Counts a write until its end or its caller's, for the next sync to wait for.
    pub(crate) fn writing(&self) -> Writing<'_> {
        self.lock().writing += 1;
        Writing { group: self }
    }

    fn start<E: Env>(self: &Arc<Self>, env: &E) {
        if std::mem::replace(&mut self.lock().is_running, true) {
            self.moved.notify_one();
            return;
        }
        let (group, own) = (self.clone(), env.clone());
        let syncing = async move {
            while let Some(waiters) = group.next_round().await {
                let outcome = match group.failure() {
                    Some(failed) => Err(failed),
                    None => group.sync(&own).await,
                };
                group.settle(waiters, outcome);
            }
        };
        env.spawn("sync", self.tasks.track_future(syncing));
    }

    async fn sync<E: Env>(&self, env: &E) -> Outcome {
        // trusted next: that what its waiters wrote survives a power loss. They joined before it started, and whoever
        // joins from now on waits for the next one
        let synced = match self.target {
            Target::Segment(segment) => env.disk().sync_file(segment).await,
            Target::Catalog => env.catalog().sync().await,
        };
        synced.map_err(Arc::new)
    }

    /// The waiters of the next sync, when it is due; `None` when nobody wants one.
    async fn next_round(&self) -> Option<Vec<oneshot::Sender<Outcome>>> {
        while !self.lock().is_due() {
            self.moved.notified().await;
        }
        let mut queue = self.lock();
        let waiters = std::mem::take(&mut queue.waiters);
        let is_wanted = std::mem::take(&mut queue.is_wanted);
        queue.is_running = is_wanted || !waiters.is_empty();
        queue.is_running.then_some(waiters)
    }

    fn settle(&self, waiters: Vec<oneshot::Sender<Outcome>>, outcome: Outcome) {
        if let Err(failed) = &outcome {
            self.lock().failed = Some(failed.clone());
        }
        for waiter in waiters {
            // whoever stopped waiting wants no answer
            let _ = waiter.send(outcome.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // nothing under the lock can panic half way
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Not while far more write than wait: each sync costs a flush of the disk. Only writes that the disk has are waited
    /// for, none that waits for a body or a lock.
    fn is_due(&self) -> bool {
        self.is_wanted || self.waiters.is_empty() || self.waiters.len() * WRITES_PER_WAITER >= self.writing
    }
}

/// A write under way. Dropped with a caller it is counted no more, wherever the bytes are.
pub(crate) struct Writing<'a> {
    group: &'a GroupCommit,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.group.lock().writing -= 1; // counted up by who made this
        self.group.moved.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(waiting: usize, writing: usize) -> Queue {
        Queue { waiters: (0..waiting).map(|_| oneshot::channel().0).collect(), writing, ..Queue::default() }
    }

    #[test]
    fn a_sync_waits_while_more_than_three_write_for_each_that_waits() {
        assert!(queue(1, 0).is_due());
        assert!(queue(1, 3).is_due());
        assert!(!queue(1, 4).is_due());
        assert!(queue(16, 48).is_due());
        assert!(!queue(15, 49).is_due());
    }

    #[test]
    fn nobody_waits_for_writers_when_nobody_waits_for_the_sync() {
        assert!(queue(0, 9).is_due());
        assert!(Queue { is_wanted: true, ..queue(0, 9) }.is_due());
    }
}
