//! Every bound of the engine, by name.

/// Segments that must fit a disk budget: one in each generation, and one that is doomed but not yet unlinked while its
/// successor already exists.
pub const BUDGET_SEGMENTS_MIN: u64 = 4;

/// Share of a disk budget that is left to the catalog (its tables and write-ahead log): 1/16.
pub const CATALOG_SHARE_DIVISOR: u64 = 16;

/// Segments leave that share of their disk to the catalog, too, and no more than so many bytes: on a disk of 4 GiB or more
/// a few times what its log is flushed at. A commit that a full disk refuses would fence writes, and eviction with them.
pub const CATALOG_RESERVE_BYTES_MAX: u64 = 256 << 20;

/// What a segment may grow to where nobody has a reason for another size.
pub const SEGMENT_BYTES: u64 = 512 << 20;

/// No segment is larger: the sum of all sizes does not overflow.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 40;

/// No artifact is larger: the sum of all sizes does not overflow.
pub const ARTIFACT_BYTES_MAX: u64 = SEGMENT_BYTES_MAX;

/// The longest key of an artifact.
pub const KEY_BYTES_MAX: usize = 1024;

/// How often a put whose segment was evicted meanwhile is tried.
pub const PUT_ATTEMPTS_MAX: u32 = 4;

/// Bytes that are read or written at once, unless the limits say otherwise: what a reader or writer holds in memory.
pub const IO_BYTES: usize = 1 << 20;

/// No more, whatever the limits say.
pub const IO_BYTES_MAX: usize = 1 << 30;

/// Locks that keep puts of one key apart, unless the limits say otherwise.
pub const STRIPES: usize = 1024;

/// No more, whatever the limits say.
pub const STRIPES_MAX: usize = 1 << 20;

/// Rows that an eviction deletes in one commit, unless the limits say otherwise.
pub const BATCH_ROWS: usize = 256;

/// Artifacts that wait to be copied out of the oldest generation; more are not copied.
pub const REFRESH_QUEUE_MAX: usize = 64;

/// How often a put that needs room waits for the evictor.
pub const ROOM_ROUNDS_MAX: u32 = 16;

/// How often it looks again for what has gone and does not show, after 1 ms, 2 ms, 4 ms and so on: half a second in all.
pub const ROOM_LOOKS_MAX: u32 = 9;

/// Rows that an open reads at once.
pub const OPEN_PAGE_ROWS: usize = 1024;

/// A doomed segment whose unlink has failed so often is stuck: a put that needs room evicts others and does not wait for it,
/// and a rotation gives up where all are.
pub const UNLINKS_REFUSED_MAX: u32 = 4;

/// So many may get stuck with no unlink in between that succeeds. Where more do, the disk keeps all: a put waits for them,
/// and evicts no others for nothing.
pub const STUCK_IN_A_ROW_MAX: u32 = 1;

/// A data sync waits for others while so many bytes are being written: fewer are written and synced faster than waited for.
pub const GATHERED_BYTES_MIN: u64 = 8 << 20;

/// How long it waits for them.
pub const GATHER_MS: u64 = 10;

/// Wait before a failed unlink is tried again.
pub const UNLINK_RETRY_MS: u64 = 1_000;

/// How many segments each generation of the ring may hold. In [`Limits`] 0 counts as 1.
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
    /// Bytes that a segment may grow to, and is counted as from its creation on; usually [`SEGMENT_BYTES`]. An artifact
    /// that is larger gets a segment of its own. More than [`SEGMENT_BYTES_MAX`] counts as that.
    pub segment_bytes: u64,
    /// More doomed bytes than this make rotations wait for the evictor, and refuse them where the unlink of each doomed
    /// segment has failed [`UNLINKS_REFUSED_MAX`] times.
    pub doomed_bytes_max: u64,
    /// Bytes that are read or written at once. 0 counts as 1, and more than [`IO_BYTES_MAX`] as that.
    pub io_bytes: usize,
    /// Locks that keep puts of one key apart. 0 counts as 1, and more than [`STRIPES_MAX`] as that.
    pub stripes: usize,
    /// Rows that an eviction deletes in one commit. 0 counts as 1.
    pub batch_rows: usize,
}

impl Limits {
    /// The same, with 1 where less would stand still, and nothing larger than can be counted or held in memory.
    pub(crate) fn in_bounds(self) -> Limits {
        let RingLimits { old, current, new } = self.ring;
        Limits {
            ring: RingLimits { old: old.max(1), current: current.max(1), new: new.max(1) },
            segment_bytes: self.segment_bytes.min(SEGMENT_BYTES_MAX),
            io_bytes: self.io_bytes.clamp(1, IO_BYTES_MAX),
            stripes: self.stripes.clamp(1, STRIPES_MAX),
            batch_rows: self.batch_rows.max(1),
            ..self
        }
    }

    /// The limits of a ring of segments of `segment_bytes`, everything else as usual: one segment may be doomed before
    /// rotations wait.
    pub const fn new(ring: RingLimits, segment_bytes: u64) -> Limits {
        Limits {
            ring,
            segment_bytes,
            doomed_bytes_max: segment_bytes,
            io_bytes: IO_BYTES,
            stripes: STRIPES,
            batch_rows: BATCH_ROWS,
        }
    }
}
