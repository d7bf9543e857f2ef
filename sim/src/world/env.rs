//! The surroundings that the engine is given in a run: every wait, every operation and every task is the conductor's.

use crate::catalog::SimCatalog;
use crate::conductor::Conductor;
use crate::disk::SimDisk;
use crate::vocabulary::{SLEEP, role};
use crate::watch::Watch;
use segment_engine::env::Env;
use segment_engine::{Point, SegmentId};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What tells of a rotation that another has overtaken, and of who waits for it all the same.
const ROTATES: [Point; 5] =
    [Point::WRITE_WANTED, Point::WRITE_LOCKED, Point::EVICTOR_AWAITED, Point::STRIPE_WANTED, Point::RING_WANTED];

/// The engine's surroundings in a run. Clones are the same.
#[derive(Clone)]
pub struct SimEnv {
    pub(super) parts: Arc<Parts>,
}

pub(super) struct Parts {
    pub(super) conductor: Conductor,
    pub(super) disk: SimDisk,
    pub(super) catalog: SimCatalog,
    pub(super) watch: Watch,
    pub(super) next_segment: AtomicU64,
}

impl Env for SimEnv {
    type Disk = SimDisk;
    type Catalog = SimCatalog;

    fn disk(&self) -> &SimDisk {
        &self.parts.disk
    }

    fn catalog(&self) -> &SimCatalog {
        &self.parts.catalog
    }

    fn segment_id(&self) -> SegmentId {
        SegmentId::from_u128(u128::from(self.parts.next_segment.fetch_add(1, Ordering::Relaxed)))
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        self.parts.watch.slept(self.parts.conductor.current());
        self.parts.conductor.sleep(SLEEP, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let label = self.parts.conductor.child_label(name);
        self.parts.conductor.adopt(label, role(name), task);
    }

    fn reach(&self, point: Point) -> impl Future<Output = ()> + Send {
        if point == Point::ROW_FOUND {
            self.parts.watch.found(self.parts.conductor.current());
        }
        if ROTATES.contains(&point) {
            self.parts.conductor.look(|pulse| self.parts.watch.rotates(pulse, point));
        }
        self.parts.conductor.reach(point.name())
    }

    fn note(&self, point: Point) {
        let conductor = &self.parts.conductor;
        self.parts.watch.noted(point, || conductor.current());
        self.parts.conductor.note(point.name());
    }
}
