//! Rotation: a full active segment is followed by a new one.
//!
//! Under the write lock: decide on a snapshot, create the file, make its directory entry durable, then push it onto the
//! ring. The snapshot is older than the state lock; that is safe because an eviction never takes the active segment, so
//! only another rotation, which needs the write lock, can change what is active.
//!
//! Too many doomed bytes make a rotation wait for the evictor, outside of every lock, and give up when the disk keeps all of them.

use crate::disk::Disk;
use crate::engine::{Engine, Shared};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::eviction::Wake;
use crate::lock::LockPoints;
use crate::point::Point;
use crate::ring::Ring;
use crate::segment::SegmentId;
use crate::usage::Reservation;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::oneshot;

pub(crate) const WRITE_LOCK: LockPoints =
    LockPoints { wanted: Point::WRITE_WANTED, held: Some(Point::WRITE_LOCKED), released: Point::WRITE_RELEASED };

/// What a rotation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// This call made the new active segment.
    Rotated(SegmentId),
    /// Another call was first; this is the active segment now.
    Overtaken(SegmentId),
}

/// What a rotation that reserves came to.
pub(crate) enum Made {
    /// This call made the segment, and has the range.
    Here(SegmentId, Reservation),
    /// Another call was first.
    Elsewhere(SegmentId),
    /// The disk has no room for the range; the ring is as it was.
    NoRoom,
}

/// What a rotation came to under the write lock.
pub(crate) enum Tried {
    /// This.
    Made(Made),
    /// Too much is doomed; the ring is as it was.
    Crowded,
}

impl<E: Env> Engine<E> {
    /// Replaces the active segment `full` by a new one. Runs to its end even when the caller stops waiting: dropped
    /// between the file and the ring it would leave a file that no list names. Waits while more bytes are doomed than
    /// [`Limits::doomed_bytes_max`](crate::Limits::doomed_bytes_max).
    ///
    /// # Errors
    /// [`Error::Io`] when the file or its directory entry cannot be made: the ring is unchanged, and the file is unlinked
    /// again, or else by the next open. [`Error::Crowded`]. Those of
    /// [`RingState::mutate`](crate::ring_state::RingState::mutate).
    pub async fn rotate(&self, full: SegmentId) -> Result<Rotation> {
        Ok(match make_segment(&self.shared, &self.wake, full, 0).await? {
            Made::Here(segment, _) => Rotation::Rotated(segment),
            Made::Elsewhere(segment) => Rotation::Overtaken(segment),
            Made::NoRoom => unreachable!("no bytes always have room"),
        })
    }
}

/// The same as [`try_segment`], and waits while too much is doomed.
pub(crate) async fn make_segment<E: Env>(
    shared: &Arc<Shared<E>>,
    wake: &Wake,
    full: SegmentId,
    length: u64,
) -> Result<Made> {
    loop {
        match try_segment(shared, wake, full, length).await? {
            Tried::Made(made) => return Ok(made),
            Tried::Crowded => shared.uncrowded().await?,
        }
    }
}

/// Replaces `full`, and reserves `length` bytes of the new segment, which is as large as that takes. The caller holds no
/// lock.
pub(crate) async fn try_segment<E: Env>(
    shared: &Arc<Shared<E>>,
    wake: &Wake,
    full: SegmentId,
    length: u64,
) -> Result<Tried> {
    let (answer, answered) = oneshot::channel();
    let (rotating, wake) = (shared.clone(), wake.clone());
    shared.spawn("rotation", async move {
        let tried = rotating.rotate(full, length).await;
        wake.evictor();
        // a caller that stopped waiting wants no answer; what was reserved for it is abandoned
        let _ = answer.send(tried);
    });
    let tried = answered.await.map_err(|_| Error::Closed)?;
    shared.env.reach(Point::ROTATION_JOINED).await;
    tried
}

impl<E: Env> Shared<E> {
    async fn rotate(&self, full: SegmentId, length: u64) -> Result<Tried> {
        let _write = self.write.acquire(&self.env).await;
        match self.active() {
            active if active != full => return Ok(Tried::Made(Made::Elsewhere(active))),
            _ if self.is_crowded() => return Ok(Tried::Crowded),
            // before the ring changes, and as large as what comes: a segment that cannot be written is a rotation for
            // nothing. Nothing else is reserved meanwhile
            _ if length > 0 && !self.has_room(length).await? => return Ok(Tried::Made(Made::NoRoom)),
            _ => {}
        }
        // after the look at the disk, which took its time: behind the fence no ring will ever name the file
        self.ring.check_fence()?;
        let segment = self.push_new_segment(length).await?;
        let reserved = self.books.of(segment).and_then(|book| book.reserve(length));
        let range = reserved.expect("a new segment is as large as its first range");
        if let Some(outgoing) = self.books.of(full).filter(|book| book.has_work()) {
            // its writers wait for syncs of their own; this one spares most of them the wait
            outgoing.syncs.request(&self.env);
        }
        Ok(Tried::Made(Made::Here(segment, range)))
    }

    /// Makes a segment for at least `length` bytes and pushes it. The caller holds the write lock, or is alone.
    pub(crate) async fn push_new_segment(&self, length: u64) -> Result<SegmentId> {
        let segment = self.env.segment_id();
        let bytes = self.limits.segment_bytes.max(length);
        if let Err(error) = self.make_file(segment).await {
            if !error.is_taken_name() {
                // no save names it, and none will: a disk that refuses again and again is not to fill up with such files.
                // What this leaves, or a power loss brings back, the next open removes
                let _ = self.env.disk().unlink(segment).await;
            }
            return Err(error);
        }
        let change = |ring: &mut Ring| {
            let outgoing = ring.active().and_then(|active| self.books.of(active));
            // a disk that fails each sync is not to empty the ring, one segment a put: what leaves is what is of no use
            match outgoing.is_some_and(|book| book.is_stillborn()) {
                true => ring.replace_active(segment, bytes),
                false => ring.push(segment, bytes),
            }
        };
        self.ring.mutate(change).await?;
        self.books.open_new(segment, bytes);
        Ok(segment)
    }

    async fn make_file(&self, segment: SegmentId) -> Result<()> {
        // may be torn here: the file exists, its directory entry may not survive a power loss
        self.env.disk().create(segment).await?;
        // trusted next: the file outlives any save that names it, and a buffered save may become durable at any moment
        self.env.disk().sync_directory().await
    }

    fn is_crowded(&self) -> bool {
        self.ring.snapshot().ring.doomed_bytes() > self.limits.doomed_bytes_max
    }

    /// Waits until fewer bytes are doomed. The caller holds no lock.
    async fn uncrowded(&self) -> Result<()> {
        let mut has_waited = false;
        loop {
            let mut pass = pin!(self.passes.notified());
            pass.as_mut().enable(); // before the look: a pass that ends in between is not missed
            self.ring.check_fence()?;
            let latest = self.ring.snapshot();
            let doomed_bytes = latest.ring.doomed_bytes();
            if doomed_bytes <= self.limits.doomed_bytes_max {
                return Ok(());
            }
            // not before a pass: it may unlink one that was stuck
            if has_waited && latest.ring.doomed().iter().all(|doomed| self.books.is_stuck(doomed.segment)) {
                return Err(Error::Crowded { doomed_bytes });
            }
            pass.await;
            self.env.reach(Point::EVICTOR_AWAITED).await;
            has_waited = true;
        }
    }
}
