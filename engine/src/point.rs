//! The named moments of the engine. A harness can hold a task at one of them; production passes through.
//!
//! Every wake-up (a lock granted, a task joined) reaches a point before it acts, so whoever decides which point goes
//! next decides the whole schedule.

use std::fmt;

/// A named moment: a newtype over a static name, so that any engine can have points of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point(&'static str);

impl Point {
    /// A caller wants the state lock.
    pub const RING_WANTED: Point = Point("RingWanted");
    /// Under the state lock: the latest ring is cloned and not yet changed. Clone-to-save starts here.
    pub const RING_CLONED: Point = Point("RingCloned");
    /// The changed ring is in the catalog. Clone-to-save ends here. Noted, not reached.
    pub const RING_SAVED: Point = Point("RingSaved");
    /// The state lock is free again. Noted.
    pub const RING_RELEASED: Point = Point("RingReleased");
    /// A rotation wants the write lock.
    pub const WRITE_WANTED: Point = Point("WriteWanted");
    /// A rotation holds the write lock.
    pub const WRITE_LOCKED: Point = Point("WriteLocked");
    /// The write lock is free again. Noted.
    pub const WRITE_RELEASED: Point = Point("WriteReleased");
    /// A put wants its key's stripe.
    pub const STRIPE_WANTED: Point = Point("StripeWanted");
    /// A put holds its key's stripe.
    pub const STRIPE_LOCKED: Point = Point("StripeLocked");
    /// The stripe is free again. Noted.
    pub const STRIPE_RELEASED: Point = Point("StripeReleased");
    /// A task that would sync by itself finds a sync under way, and waits for the next.
    pub const SYNC_WANTED: Point = Point("SyncWanted");
    /// Whoever waited for a sync has its answer.
    pub const SYNC_JOINED: Point = Point("SyncJoined");
    /// The row that a commit will require is read.
    pub const ROW_READ: Point = Point("RowRead");
    /// An artifact's row is committed. Noted.
    pub const ROW_COMMITTED: Point = Point("RowCommitted");
    /// A put begins again, its segment was evicted. Noted.
    pub const PUT_RETRIED: Point = Point("PutRetried");
    /// A read knows where the bytes are.
    pub const ROW_LOOKED_UP: Point = Point("RowLookedUp");
    /// The row of an artifact is read; next it is asked whether the ring has its segment.
    pub const ROW_FOUND: Point = Point("RowFound");
    /// That is known. Noted.
    pub const ROW_CHECKED: Point = Point("RowChecked");
    /// The ring has it no more, and the row is another by now, which is asked about in its place. Noted.
    pub const LOOK_UP_RETRIED: Point = Point("LookUpRetried");
    /// A put has stored anew what a read had found damaged. Noted.
    pub const ROW_MENDED: Point = Point("RowMended");
    /// A read goes on elsewhere, or begins again: its file was gone, or half of what it read was of one that is. Noted.
    pub const READ_RETRIED: Point = Point("ReadRetried");
    /// A refresh wants the refresh lock.
    pub const REFRESH_WANTED: Point = Point("RefreshWanted");
    /// A refresh holds the refresh lock.
    pub const REFRESH_LOCKED: Point = Point("RefreshLocked");
    /// The refresh lock is free again. Noted.
    pub const REFRESH_RELEASED: Point = Point("RefreshReleased");
    /// An artifact's row is committed with its copy. Noted.
    pub const ROW_MOVED: Point = Point("RowMoved");
    /// A refresh lost to a put or an eviction. Noted.
    pub const COPY_LOST: Point = Point("CopyLost");
    /// A copy is not begun: the disk has no room for it. Noted.
    pub const COPY_FORGONE: Point = Point("CopyForgone");
    /// A put on a full disk leaves the active segment, so that it can be evicted. Noted.
    pub const ACTIVE_LEFT: Point = Point("ActiveLeft");
    /// The caller of a rotation has its answer.
    pub const ROTATION_JOINED: Point = Point("RotationJoined");
    /// The evictor has been told of doomed segments.
    pub const EVICTOR_WOKEN: Point = Point("EvictorWoken");
    /// The evictor begins with the segments that are doomed now. Noted.
    pub const DOOMED_LISTED: Point = Point("DoomedListed");
    /// The evictor has read a page of a doomed segment's rows.
    pub const ROWS_SCANNED: Point = Point("RowsScanned");
    /// Rows of a doomed segment are deleted. Noted.
    pub const ROWS_DELETED: Point = Point("RowsDeleted");
    /// A rotation, or a put that needs room, has waited for the evictor and looks again.
    pub const EVICTOR_AWAITED: Point = Point("EvictorAwaited");
    /// An unlink failed; the segment stays doomed. Noted.
    pub const UNLINK_FAILED: Point = Point("UnlinkFailed");
    /// It has failed so often that puts which need room count on others. Noted.
    pub const SEGMENT_STUCK: Point = Point("SegmentStuck");

    /// An open has mended what there was to mend, and serves from now on. Noted.
    pub const RECOVERED: Point = Point("Recovered");

    /// A point of another engine, or of a test.
    pub const fn named(name: &'static str) -> Self {
        Point(name)
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
