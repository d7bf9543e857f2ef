//! How much disk the ring may use, how much it does, and what goes when there is no more.

use crate::disk::Disk;
use crate::engine::Shared;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::eviction::Wake;
use crate::limits::{BUDGET_SEGMENTS_MIN, CATALOG_SHARE_DIVISOR, Limits, ROOM_LOOKS_MAX, ROOM_ROUNDS_MAX, RingLimits};
use crate::point::Point;
use crate::ring::Ring;
use crate::rotation::make_segment;
use crate::segment::SegmentId;
use crate::usage::{Counts, Owners};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

impl Limits {
    /// The limits of a node that may use `budget_bytes` of disk in segments of `segment_bytes`.
    ///
    /// A sixteenth is left to the catalog, and one segment to the doomed one that is still on disk while its successor is
    /// already written; so that there is never a second one, a rotation waits until nothing is doomed. (Segments leave a
    /// sixteenth of any disk besides, [`CATALOG_RESERVE_BYTES_MAX`](crate::limits::CATALOG_RESERVE_BYTES_MAX) at most: where
    /// the budget is all of a small disk, that is full before the ring is.) The rest is split evenly; what does not divide by three goes to the oldest generation. An artifact that is larger than a
    /// segment gets one of its size, and the budget is exceeded by what it is larger; by more with each such artifact, as
    /// segments are counted and not their bytes. So a segment should hold the largest that is usual.
    ///
    /// # Errors
    /// [`Error::BudgetTooSmall`] when the budget does not hold a ring of 1/1/1 and a doomed segment.
    pub fn for_budget(budget_bytes: u64, segment_bytes: u64) -> Result<Limits> {
        let segments_bytes = budget_bytes - budget_bytes / CATALOG_SHARE_DIVISOR;
        let segments = segments_bytes.checked_div(segment_bytes).unwrap_or(0);
        if segments < BUDGET_SEGMENTS_MIN {
            return Err(Error::BudgetTooSmall { budget_bytes, segment_bytes, segments_min: BUDGET_SEGMENTS_MIN });
        }
        let members = usize::try_from(segments - 1).unwrap_or(usize::MAX);
        let third = members / 3;
        let ring = RingLimits { old: members - 2 * third, current: third, new: third };
        Ok(Limits { doomed_bytes_max: 0, ..Limits::new(ring, segment_bytes) })
    }
}

impl<E: Env> Shared<E> {
    /// Sees to it that `length` more bytes can be written. The oldest segments go if that helps and nothing less does: what
    /// is doomed counts as freed, and is waited for, unless it is stuck. So does what has gone since a call first asked for
    /// room, in `short`, and is looked for again for a while: a file system may show it later. The active segment is never
    /// evicted; where all others are not enough, and it would be, an empty one takes its place first. Needs no free bytes
    /// itself, but for that one's directory entry. The caller holds no lock.
    ///
    /// # Errors
    /// [`Error::DiskFull`] when evicting everything would not be enough, or the disk keeps what it was told to unlink.
    /// Those of a rotation.
    pub(crate) async fn make_room(self: &Arc<Self>, wake: &Wake, length: u64, short: &mut Shortage) -> Result<()> {
        let mut rounds = 0;
        while rounds < ROOM_ROUNDS_MAX {
            let mut pass = pin!(self.passes.notified());
            pass.as_mut().enable(); // before the look: a pass that ends in between is not missed
            self.ring.check_fence()?;
            let Some(measured) = self.missing(length).await? else {
                return Ok(());
            };
            let first = *short.first.get_or_insert(measured);
            let room = self.ring.mutate(|ring| {
                // one that the disk keeps is not on its way out: waited for, it would have every put refused. Before the counts:
                // one that goes now, and ends a row of stuck ones with that, would be written off and not yet freed
                let written_off = self.books.written_off();
                // the lock took its time: others may have reserved some, given up, or made room. What they wrote is no
                // news: there are as many free bytes less
                let (bytes, now) = self.books.disk_bytes();
                let of = |segment| bytes.get(&segment).copied().unwrap_or_default();
                let is_coming = |segment| !written_off.contains(&segment);
                let doomed = ring.doomed().iter().map(|doomed| doomed.segment);
                let doomed: u64 = doomed.filter(|segment| is_coming(*segment)).map(of).sum();
                let still = |measured: Measured, since: Counts| {
                    let needed = measured.missing.saturating_add(now.reserved - measured.after.reserved);
                    let came = (now.freed - since.freed).saturating_add(now.given_up - since.given_up);
                    needed.saturating_sub(doomed).saturating_sub(came)
                };
                // what came while the free bytes were looked at, they may have with them: at most, and at least, so much
                let (most, least) = (still(measured, measured.after), still(measured, measured.before));
                // XFS frees the blocks of an unlinked file in the background, btrfs with its next commit, and whoever has it
                // open keeps them: what went for this put is not to be evicted for again
                let yet = still(first, first.before);
                let (is_late, least) = (least > 0 && yet == 0, least.min(yet));
                let all: u64 = ring.members().iter().map(|member| of(member.segment)).sum();
                let others = all - ring.active().map_or(0, of);
                // all or nothing: what goes without being enough goes for nothing. And no more than may do
                let suffices = most <= others && ring.doom_oldest_freeing(least, of);
                let left = ring.active().filter(|_| !suffices && most <= all);
                let Measured { before, is_sure, .. } = measured;
                let has_come = !is_sure || now.freed > before.freed || now.given_up > before.given_up;
                let is_coming = ring.doomed().iter().any(|doomed| is_coming(doomed.segment));
                Room { suffices, is_coming, is_late, has_come, left }
            });
            match room.await? {
                Room { is_coming: true, .. } => {
                    wake.evictor();
                    pass.await;
                    self.env.reach(Point::EVICTOR_AWAITED).await;
                }
                Room { is_late: true, .. } if short.looks < ROOM_LOOKS_MAX => {
                    self.env.sleep(Duration::from_millis(1 << short.looks)).await;
                    short.looks += 1;
                    continue; // looks have a bound of their own
                }
                Room { is_late: true, .. } => short.first = None, // others have it, or nobody ever will
                Room { suffices: false, has_come: false, left: None, .. } => break,
                Room { suffices: false, has_come: false, left: Some(active), .. } => {
                    self.env.note(Point::ACTIVE_LEFT);
                    // or a node whose disk others fill up would refuse every put for ever, for bytes that it may evict
                    make_segment(self, wake, active, 0).await?;
                }
                Room { .. } => {}
            }
            rounds += 1;
        }
        Err(Error::DiskFull { length })
    }

    /// Whether the disk has room for `length` more bytes beside those that others will write.
    pub(crate) async fn has_room(&self, length: u64) -> Result<bool> {
        Ok(self.missing(length).await?.is_none())
    }

    /// What it is short of for them, at most; `None` when it has them.
    async fn missing(&self, length: u64) -> Result<Option<Measured>> {
        // before the question: the answer is of some moment until it is here. What is written meanwhile, and is still free by
        // the answer, would be neither taken nor to come if it were looked at after it
        let before = self.books.counts();
        let free = self.env.disk().free_bytes().await?;
        let after = self.books.counts();
        let to_come = before.unwritten + (after.reserved - before.reserved);
        let missing = to_come.saturating_add(length).cast_signed().saturating_sub(free);
        let measured =
            Measured { missing: missing.cast_unsigned(), before, after, is_sure: after.unwritten == to_come };
        Ok((missing > 0).then_some(measured))
    }
}

/// What a put is short of.
#[derive(Default)]
pub(crate) struct Shortage {
    /// Where it first asked for room, or no longer waits for what has gone since.
    first: Option<Measured>,
    /// How often it has looked for that again.
    looks: u32,
}

/// Bytes that the disk was short of at most, and the counts before and after it was asked.
#[derive(Clone, Copy)]
struct Measured {
    missing: u64,
    before: Counts,
    after: Counts,
    /// Nothing was written while it was asked, nor given up: it is short of no less.
    is_sure: bool,
}

/// What becomes of room under the state lock.
struct Room {
    /// What was asked for is there, or will be when the doomed are gone.
    suffices: bool,
    /// Something is doomed, and not written off.
    is_coming: bool,
    /// As much as was missing has gone, and the disk does not show it.
    is_late: bool,
    /// There is more than when it was measured, or may have been.
    has_come: bool,
    /// The active segment, where nothing is enough without its bytes.
    left: Option<SegmentId>,
}

/// Bytes that the ring accounts for, by what will become of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Segments in one of the generations, each as large as it may grow, whatever its file has so far.
    pub ring_bytes: u64,
    /// Segments on their way out: still on disk, already counted as freed by pressure.
    pub doomed_bytes: u64,
    /// Bytes in the ring's segments, by owner.
    pub owners: Owners,
    /// Bytes in doomed segments, whoever's they were.
    pub doomed_file_bytes: u64,
}

impl Usage {
    /// Counts a ring, and the bytes of its segments.
    pub fn of(ring: &Ring, segments: &[(SegmentId, Owners)]) -> Usage {
        let mut usage = Usage {
            ring_bytes: ring.members().iter().map(|member| member.bytes).sum(),
            doomed_bytes: ring.doomed_bytes(),
            ..Usage::default()
        };
        for (segment, owners) in segments {
            if ring.generation_of(*segment).is_some() {
                usage.owners.add(owners);
            } else {
                usage.doomed_file_bytes += owners.sum();
            }
        }
        usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_full_ring_and_one_doomed_segment_fit_the_budget(budget in 0u64..1 << 50, segment in 0u64..1 << 40) {
            match Limits::for_budget(budget, segment) {
                Ok(limits) => {
                    let RingLimits { old, current, new } = limits.ring;
                    prop_assert!(old >= 1 && current >= 1 && new >= 1);
                    prop_assert_eq!(limits.doomed_bytes_max, 0);
                    prop_assert!((limits.ring.segments() as u64 + 1) * segment <= budget - budget / CATALOG_SHARE_DIVISOR);
                    prop_assert!((limits.ring.segments() as u64 + 2) * segment > budget - budget / CATALOG_SHARE_DIVISOR);
                }
                Err(Error::BudgetTooSmall { .. }) => {
                    prop_assert!(segment == 0 || (budget - budget / CATALOG_SHARE_DIVISOR) / segment < BUDGET_SEGMENTS_MIN);
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}
