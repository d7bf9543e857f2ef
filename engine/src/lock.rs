//! A lock that tells of itself: wanted, held and released are points. Every lock of the engine is taken here.
//!
//! Order, outermost first: stripe, refresh lock, write lock, state lock. The state lock is a leaf: nothing is awaited or taken under it.

use crate::env::Env;
use crate::point::Point;
use tokio::sync::{Mutex, MutexGuard};

/// The moments of one lock.
#[derive(Debug)]
pub struct LockPoints {
    /// Reached before waiting.
    pub wanted: Point,
    /// Reached once held, before anything is done under the lock. `None` where the holder reaches a point of its own
    /// first thing.
    pub held: Option<Point>,
    /// Noted after the release.
    pub released: Point,
}

/// A fair lock around nothing but an order of events.
#[derive(Debug)]
pub(crate) struct Lock {
    mutex: Mutex<()>,
    points: &'static LockPoints,
}

impl Lock {
    pub(crate) fn new(points: &'static LockPoints) -> Lock {
        Lock { mutex: Mutex::new(()), points }
    }

    /// Waits for the lock. Dropping the future gives up the place in the queue.
    pub(crate) async fn acquire<'a, E: Env>(&'a self, env: &'a E) -> Held<'a, E> {
        env.reach(self.points.wanted).await;
        let held = Held { guard: Some(self.mutex.lock().await), env, released: self.points.released };
        if let Some(point) = self.points.held {
            env.reach(point).await;
        }
        held
    }
}

/// The lock is held until this is dropped.
pub(crate) struct Held<'a, E: Env> {
    guard: Option<MutexGuard<'a, ()>>,
    env: &'a E,
    released: Point,
}

impl<E: Env> Drop for Held<'_, E> {
    fn drop(&mut self) {
        drop(self.guard.take());
        self.env.note(self.released);
    }
}
