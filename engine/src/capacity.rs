//! How much disk the ring may use, and how much it does.

use crate::error::{Error, Result};
use crate::limits::{BUDGET_SEGMENTS_MIN, CATALOG_SHARE_DIVISOR, Limits, RingLimits};
use crate::ring::Ring;
use crate::segment::SegmentId;
use crate::usage::Owners;

impl Limits {
    /// The limits of a node that may use `budget_bytes` of disk in segments of `segment_bytes`.
    ///
    /// A sixteenth is left to the catalog, and one segment to the doomed one that is still on disk while its successor
    /// is already written. The rest is split evenly; what does not divide by three goes to the oldest generation.
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
        Ok(Limits::new(ring, segment_bytes))
    }
}

/// Bytes that the ring accounts for, by what will become of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Segments in one of the generations.
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
            doomed_bytes: ring.doomed().iter().map(|doomed| doomed.bytes).sum(),
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
