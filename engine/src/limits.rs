//! Every bound of the engine, by name.

/// Segments that must fit a disk budget: one in each generation, and one that is doomed but not yet unlinked while its
/// successor already exists.
pub const BUDGET_SEGMENTS_MIN: u64 = 4;

/// Share of a disk budget that is left to the catalog (its tables and write-ahead log): 1/16.
pub const CATALOG_SHARE_DIVISOR: u64 = 16;

/// Wait before a failed unlink is tried again.
pub const UNLINK_RETRY_MS: u64 = 1_000;

/// How many segments each generation of the ring may hold. Each is at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingLimits {
    /// Segments in the oldest generation; one more and the oldest of them is doomed.
    pub old: usize,
    /// Segments in the middle generation.
    pub current: usize,
    /// Segments in the youngest generation, the active one included.
    pub new: usize,
}

impl RingLimits {
    /// Segments in the whole ring.
    pub fn segments(&self) -> usize {
        self.old + self.current + self.new
    }
}

/// What an engine is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bounds of the ring.
    pub ring: RingLimits,
    /// Bytes that a segment may grow to, and is counted as from its creation on.
    pub segment_bytes: u64,
}
