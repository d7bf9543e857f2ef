//! A data directory as it is on disk, read by nobody's engine.

use crate::soak::child::LIMITS;
use crate::soak::inspect::told;
use crate::soak::telling::{told_place, told_ring};
use crate::soak::wire::{Place, Ring};
use segment_engine::catalog::{Catalog, Table};
use segment_engine::manifest::Manifest;
use segment_engine::ring_state::{RING_KEY, RingRecord};
use segment_engine::{Env, LocalEnv, SegmentId};
use std::collections::BTreeMap;

/// Rows that are read at once: more than there are keys.
const ROWS_MAX: usize = 1 << 16;

/// A data directory as it is on disk.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The saved ring.
    pub ring: Option<Ring>,
    /// The rows, by key.
    pub rows: BTreeMap<Vec<u8>, Place>,
}

impl Survey {
    /// What there is now.
    ///
    /// # Errors
    /// A sentence: what refused, or cannot be decoded.
    pub fn read(env: &LocalEnv) -> Result<Survey, String> {
        let ring = env.catalog().get(Table::Ring, RING_KEY).map_err(told("the catalog"))?;
        let ring = ring.map(|row| RingRecord::decode(&row, LIMITS.ring)).transpose().map_err(told("the saved ring"))?;
        let mut rows = BTreeMap::new();
        for (key, row) in env.catalog().scan(Table::Manifest, &[], None, ROWS_MAX).map_err(told("the catalog"))? {
            let manifest = Manifest::decode(&row).map_err(told("a row"))?;
            rows.insert(key, told_place(&manifest));
        }
        Ok(Survey { ring: ring.as_ref().map(told_ring), rows })
    }

    /// Whether the ring has the segment.
    pub fn holds(&self, segment: SegmentId) -> bool {
        self.ring.as_ref().is_some_and(|ring| ring.members.contains(&segment))
    }

    /// Where a key is, if it is not absent.
    pub fn shown(&self, key: &[u8]) -> Option<&Place> {
        self.rows.get(key).filter(|place| self.holds(place.segment))
    }
}
