//! Rotation: a full active segment is followed by a new one.
//!
//! Under the write lock: decide on a snapshot, create the file, make its directory entry durable, then push it onto the
//! ring. The snapshot is older than the state lock; that is safe because an eviction never takes the active segment, so
//! only another rotation, which needs the write lock, can change what is active.

use crate::disk::Disk;
use crate::engine::{Engine, Shared};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::lock::LockPoints;
use crate::point::Point;
use crate::segment::SegmentId;
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

impl<E: Env> Engine<E> {
    /// Replaces the active segment `full` by a new one. Runs to its end even when the caller stops waiting: dropped
    /// between the file and the ring it would leave a file that no list names.
    ///
    /// # Errors
    /// [`Error::Io`] when the file or its directory entry cannot be made: the ring is unchanged, a file without an
    /// entry in the ring may be left (see [`Engine::strays`]). Those of
    /// [`RingState::mutate`](crate::ring_state::RingState::mutate).
    pub async fn rotate(&self, full: SegmentId) -> Result<Rotation> {
        let (answer, answered) = oneshot::channel();
        let shared = self.shared.clone();
        let wake = self.wake.clone();
        self.shared.env.spawn("rotation", async move {
            let rotation = shared.rotate(full).await;
            wake.evictor();
            // a caller that stopped waiting wants no answer
            let _ = answer.send(rotation);
        });
        let rotation = answered.await.map_err(|_| Error::Closed)?;
        self.shared.env.reach(Point::ROTATION_JOINED).await;
        rotation
    }
}

impl<E: Env> Shared<E> {
    async fn rotate(&self, full: SegmentId) -> Result<Rotation> {
        let _write = self.write.acquire(&self.env).await;
        // before the file: behind the fence no ring will ever name it
        self.ring.check_fence()?;
        match self.ring.snapshot().ring.active() {
            Some(active) if active != full => return Ok(Rotation::Overtaken(active)),
            Some(_) => {}
            None => unreachable!("an open engine has an active segment"),
        }
        self.push_new_segment().await.map(Rotation::Rotated)
    }

    /// Makes a segment and pushes it. The caller holds the write lock, or is alone.
    pub(crate) async fn push_new_segment(&self) -> Result<SegmentId> {
        let segment = self.env.segment_id();
        // may be torn here: the file exists, its directory entry may not survive a power loss
        self.env.disk().create(segment).await?;
        // trusted next: the file outlives any save that names it, and a buffered save may become durable at any moment
        self.env.disk().sync_directory().await?;
        self.ring.mutate(|ring| ring.push(segment, self.limits.segment_bytes)).await?;
        Ok(segment)
    }
}
