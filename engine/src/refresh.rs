//! Refresh: an artifact that is read whole from the oldest generation is copied into the active segment, so that what is
//! used does not go. A damaged one is not, nor one for which the disk has no room: each read of it would take a range of
//! the active segment for a copy in vain.
//!
//! Readers ask and do not wait: a bounded queue, and a worker that is there while something is in it. The copy's commit
//! requires the row that was copied and both segments in the ring, so a put or an eviction in between wins, and the copy
//! is lost.

use crate::append::Room;
use crate::catalog::{Commit, Require};
use crate::cut_short::CutShort;
use crate::engine::Shared;
use crate::env::Env;
use crate::error::Result;
use crate::eviction::{Wake, WeakWake};
use crate::limits::REFRESH_QUEUE_MAX;
use crate::lock::{Lock, LockPoints};
use crate::manifest::{Manifest, replacement};
use crate::point::Point;
use crate::ring::Generation;
use crate::rotation::{Made, Tried, try_segment};
use crate::usage::{Owner, Reservation};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use xxhash_rust::xxh3::Xxh3;

const REFRESH_LOCK: LockPoints =
    LockPoints { wanted: Point::REFRESH_WANTED, held: Some(Point::REFRESH_LOCKED), released: Point::REFRESH_RELEASED };

/// What waits to be refreshed.
#[derive(Debug)]
pub(crate) struct Refreshes {
    /// One copy at a time, whoever asks: copies must not crowd out puts.
    lock: Lock,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    keys: VecDeque<Vec<u8>>,
    is_running: bool,
}

impl Refreshes {
    pub(crate) fn new() -> Refreshes {
        Refreshes { lock: Lock::new(&REFRESH_LOCK), queue: Mutex::default() }
    }

    /// How many keys are queued.
    pub(crate) fn waiting(&self) -> usize {
        self.queue().keys.len()
    }

    /// Queues a key; whether a worker is to be started for it.
    fn ask(&self, key: &[u8]) -> bool {
        let mut queue = self.queue();
        // full: it is read again if it matters
        if queue.keys.len() == REFRESH_QUEUE_MAX || queue.keys.iter().any(|queued| queued == key) {
            return false;
        }
        queue.keys.push_back(key.to_vec());
        !std::mem::replace(&mut queue.is_running, true)
    }

    fn next(&self) -> Option<Vec<u8>> {
        let mut queue = self.queue();
        let key = queue.keys.pop_front();
        queue.is_running = key.is_some();
        key
    }

    /// The worker is gone: those that it leaves are queued again when they are read again, and start another one.
    fn forget(&self) {
        *self.queue() = Queue::default();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // nothing under the lock can panic half way
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Env> Shared<E> {
    /// An artifact was read here, and is what was stored: if that is in the oldest generation, has it copied some time soon.
    pub(crate) fn was_read(self: &Arc<Self>, wake: &WeakWake, key: &[u8], manifest: &Manifest) {
        if self.is_old(manifest)
            && let Some(wake) = wake.upgrade()
            && self.refreshes.ask(key)
        {
            let abandoned = self.clone();
            // or nothing would be copied until a reopen
            let cut_short = CutShort::then(move || abandoned.refreshes.forget());
            let shared = self.clone();
            self.spawn("refresh", async move {
                while let Some(key) = shared.refreshes.next() {
                    // whatever went wrong, the artifact is where it was; a failed save or sync has fenced writes
                    let _ = refresh(&shared, &wake, &key).await;
                }
                cut_short.disarm();
            });
        }
    }
}

/// Copies one artifact, if it still has to be.
async fn refresh<E: Env>(shared: &Arc<Shared<E>>, wake: &Wake, key: &[u8]) -> Result<()> {
    let mut reserved = None;
    loop {
        let held = shared.refreshes.lock.acquire(&shared.env).await;
        let Some(manifest) = shared.look_up(key).await?.filter(|manifest| shared.is_old(manifest)) else {
            return Ok(());
        };
        let fits = |range: &Reservation| range.length == manifest.length;
        let room = match reserved.take().filter(fits) {
            Some(range) => Room::Reserved(range),
            None => match shared.reserve_where_free(manifest.length).await? {
                Some(room) => room,
                None => {
                    shared.env.note(Point::COPY_FORGONE);
                    return Ok(());
                }
            },
        };
        match room {
            Room::Reserved(range) => return shared.copy(key, &manifest, range).await,
            // one that needs a segment of its own would push others out
            Room::Full(_) if manifest.length > shared.limits.segment_bytes => return Ok(()),
            // nothing is evicted for a copy: the push would doom the oldest segment, perhaps the very one that it is read
            // from. The ring fills up by rotations alone, and whoever is faster than this one takes its place
            Room::Full(_) if shared.ring.snapshot().ring.is_full() => return Ok(()),
            Room::Full(full) => {
                drop(held); // nobody waits for a rotation, and so for the evictor, under a lock
                match try_segment(shared, wake, full, manifest.length).await? {
                    Tried::Made(Made::Here(_, range)) => reserved = Some(range),
                    Tried::Made(Made::Elsewhere(_)) => {}
                    // nor does a copy wait for the evictor: a close waits for both
                    Tried::Made(Made::NoRoom) | Tried::Crowded => return Ok(()),
                }
            }
        }
    }
}

impl<E: Env> Shared<E> {
    fn is_old(&self, manifest: &Manifest) -> bool {
        self.ring.snapshot().ring.generation_of(manifest.segment) == Some(Generation::Old)
            && manifest.segment != self.active()
    }

    /// Copies the bytes that `manifest` names into `range` and makes that the artifact's place.
    async fn copy(&self, key: &[u8], manifest: &Manifest, mut range: Reservation) -> Result<()> {
        let (mut position, mut hash) = (0, Xxh3::new());
        while position < manifest.length {
            let piece = self.read_piece(key, manifest, position).await?;
            hash.update(&piece);
            let length = piece.len() as u64;
            self.write(&mut range, position, piece).await?;
            position += length;
        }
        if hash.digest() != manifest.checksum {
            return Err(self.damaged(key, manifest));
        }
        // trusted next: the copy survives a power loss; the row that names it may become durable at any moment
        range.book.syncs.covered(&self.env).await?;
        self.ring.check_fence()?;
        let next = Manifest { segment: range.book.segment, offset: range.offset, ..*manifest };
        let (batch, [in_ring, as_read]) = replacement(key, Some(manifest), &next);
        // what is evicted stays evicted: until the evictor gets to it, its row is still there
        let requires = [Require::InRing { segment: manifest.segment }, in_ring, as_read];
        // buffered: a power loss may undo it; the old place is unlinked only after a sync that covers this, too
        let (commit, range) = range.unless_unknown(self.committed(batch, &requires))?;
        match commit {
            Commit::Buffered => {
                range.settle(Owner::Live);
                self.books.move_bytes(manifest.segment, manifest.length, Owner::Live, Owner::Superseded);
                self.env.note(Point::ROW_MOVED);
            }
            Commit::Refused => {
                range.settle(Owner::LostCopy);
                self.env.note(Point::COPY_LOST);
            }
        }
        Ok(())
    }
}
