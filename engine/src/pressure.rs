//! Pressure: the disk is to shrink, so the oldest members go.

use crate::engine::Engine;
use crate::env::Env;
use crate::error::Result;
use crate::segment::SegmentId;

impl<E: Env> Engine<E> {
    /// Evicts the oldest members until the ring counts at most `target_bytes`, and returns them. A segment counts as large
    /// as it may grow, whatever its file has so far: see [`Usage::ring_bytes`](crate::capacity::Usage::ring_bytes). The
    /// active segment stays. Doomed segments count as freed, however long their unlinks take. The victims are chosen under
    /// the state lock, so two passes at once evict no more than one would.
    ///
    /// # Errors
    /// Those of [`RingState::mutate`](crate::ring_state::RingState::mutate).
    pub async fn relieve(&self, target_bytes: u64) -> Result<Vec<SegmentId>> {
        let victims = self.shared.ring.mutate(|ring| ring.doom_oldest_until(target_bytes)).await?;
        self.wake.evictor();
        Ok(victims)
    }
}
