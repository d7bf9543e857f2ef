//! One sync for everyone who waits for one.
//!
//! Whoever has written something asks for a sync that starts from now on. All who ask while one is under way share the
//! next. The sync is owned by a task of its own, so that a waiter who is dropped takes nobody's sync away. A sync that
//! failed is never tried again: it could succeed with the pages gone. From then on everyone is refused; and no two syncs
//! of one thing are under way at once, as the second would be such a try. One that did not get to its end has failed.
//!
//! A disk that is being written much may put a sync off for a moment, so that it covers more (PostgreSQL's `commit_delay`).

use crate::catalog::Catalog;
use crate::cut_short::CutShort;
use crate::disk::Disk;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::point::Point;
use crate::segment::SegmentId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
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
}

#[derive(Debug, Default)]
struct Queue {
    /// Their writes are complete: any sync that starts from now on covers them.
    waiters: Vec<oneshot::Sender<Outcome>>,
    is_running: bool,
    /// Asked for by someone who does not wait.
    is_wanted: bool,
    has_succeeded: bool,
    failed: Option<Arc<Error>>,
}

type Outcome = std::result::Result<(), Arc<Error>>;

impl GroupCommit {
    pub(crate) fn new(target: Target, tasks: TaskTracker) -> Arc<GroupCommit> {
        Arc::new(GroupCommit { target, tasks, queue: Mutex::default() })
    }

    /// Waits for a sync that starts after this call, and so covers every write that is complete now.
    ///
    /// # Errors
    /// [`Error::Unsynced`] when that sync, or one before it, failed.
    pub(crate) async fn covered<E: Env>(self: &Arc<Self>, env: &E) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.lock().waiters.push(answer);
        self.start(env);
        // nobody is left to answer: it was cut short
        let outcome = answered.await.unwrap_or_else(|_| Err(Arc::new(Error::Closed)));
        env.reach(Point::SYNC_JOINED).await;
        outcome.map_err(Error::Unsynced)
    }

    /// The same for a task that nobody drops: where no sync is under way it makes one by itself, at once.
    ///
    /// # Errors
    /// Those of [`GroupCommit::covered`].
    pub(crate) async fn covered_alone<E: Env>(self: &Arc<Self>, env: &E) -> Result<()> {
        // never beside another: if that one fails, this one has tried it again
        if std::mem::replace(&mut self.lock().is_running, true) {
            env.reach(Point::SYNC_WANTED).await;
            return self.covered(env).await;
        }
        let cut_short = self.fails_if_cut_short();
        let outcome = match self.failure() {
            Some(failed) => Err(failed),
            None => self.sync(env).await,
        };
        cut_short.disarm();
        self.settle(Vec::new(), outcome.clone());
        let is_awaited = {
            let mut queue = self.lock();
            queue.is_running = false;
            queue.is_wanted || !queue.waiters.is_empty()
        };
        if is_awaited {
            self.start(env); // for those who came meanwhile
        }
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

    /// Whether a sync has succeeded.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.lock().has_succeeded
    }

    fn start<E: Env>(self: &Arc<Self>, env: &E) {
        if std::mem::replace(&mut self.lock().is_running, true) {
            return;
        }
        let cut_short = self.fails_if_cut_short();
        let (group, own) = (self.clone(), env.clone());
        let syncing = async move {
            while let Some(waiters) = group.gathered(&own).await {
                let outcome = match group.failure() {
                    Some(failed) => Err(failed),
                    None => group.sync(&own).await,
                };
                group.settle(waiters, outcome);
            }
            cut_short.disarm();
        };
        env.spawn("sync", self.tasks.track_future(syncing));
    }

    /// For whoever has set `is_running`: until it is disarmed, its drop is a sync that failed.
    fn fails_if_cut_short(self: &Arc<Self>) -> CutShort<impl FnOnce() + Send + use<>> {
        let group = self.clone();
        CutShort::then(move || {
            let mut queue = group.lock();
            // a sync may have begun: what it has made durable is unknown. Trusted next: none follows it
            queue.failed.get_or_insert_with(|| Arc::new(Error::Closed));
            queue.is_running = false;
            // these were to be in the next one; whoever was in this one is refused in the same way, by its drop
            let waiters = std::mem::take(&mut queue.waiters);
            drop(queue);
            drop(waiters);
        })
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

    /// The waiters of the next sync, with those who get to the end of a write within a moment; `None` when nobody wants one.
    async fn gathered<E: Env>(&self, env: &E) -> Option<Vec<oneshot::Sender<Outcome>>> {
        if let Target::Segment(segment) = self.target {
            env.disk().gather(segment).await;
        }
        self.next_round()
    }

    /// The same, of now.
    fn next_round(&self) -> Option<Vec<oneshot::Sender<Outcome>>> {
        let mut queue = self.lock();
        let waiters = std::mem::take(&mut queue.waiters);
        let is_wanted = std::mem::take(&mut queue.is_wanted);
        queue.is_running = is_wanted || !waiters.is_empty();
        queue.is_running.then_some(waiters)
    }

    fn settle(&self, waiters: Vec<oneshot::Sender<Outcome>>, outcome: Outcome) {
        match &outcome {
            Ok(()) => self.lock().has_succeeded = true,
            Err(failed) => self.lock().failed = Some(failed.clone()),
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
