//! The one seam between the engine and its surroundings.

use crate::catalog::Catalog;
use crate::disk::Disk;
use crate::point::Point;
use crate::segment::SegmentId;
use std::{future::Future, time::Duration};

/// What the engine is given by hand: disk, catalog, time, ids and tasks. There is nothing ambient beside it.
pub trait Env: Clone + Send + Sync + 'static {
    /// The segment files.
    type Disk: Disk;
    /// The metadata.
    type Catalog: Catalog;

    /// The segment files.
    fn disk(&self) -> &Self::Disk;

    /// The metadata.
    fn catalog(&self) -> &Self::Catalog;

    /// An id that no segment has had.
    fn segment_id(&self) -> SegmentId;

    /// Waits for at least `duration`.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Runs `task` to its end, whoever stops waiting for it. `name` says what it does.
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static);

    /// Passes a named moment. In production it waits for nobody; it may let others go first.
    fn reach(&self, point: Point) -> impl Future<Output = ()> + Send;

    /// Tells of a named moment that has just passed and that nothing waits at.
    fn note(&self, point: Point);
}
