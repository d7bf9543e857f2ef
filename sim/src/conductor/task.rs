//! A task under its label: woken, and polled by the conductor.

use super::{Conductor, End};
use crate::confined::Confined;
use crate::site::TaskId;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// The tasks that were woken and not yet polled, once each.
pub(super) type Woken = Confined<Vec<TaskId>>;

/// Wakes a task. A waker must be `Sync`, hence the atomic; a run has one thread, so that a load and a store will do.
pub(super) struct Call {
    task: TaskId,
    is_woken: AtomicBool,
    woken: Arc<Woken>,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.load(Ordering::Relaxed) {
            self.is_woken.store(true, Ordering::Relaxed);
            self.woken.borrow_mut().push(self.task);
        }
    }
}

/// What is polled of a task, between two polls.
pub(super) struct Conducted {
    call: Arc<Call>,
    waker: Waker,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Conducted {
    pub(super) fn new(task: TaskId, woken: &Arc<Woken>, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Conducted {
        let call = Arc::new(Call { task, is_woken: AtomicBool::new(false), woken: woken.clone() });
        Conducted { waker: Waker::from(call.clone()), call, future }
    }

    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

impl Conductor {
    /// Polls a task that was woken, until it parks or ends.
    pub(super) fn poll(&self, task: TaskId) {
        let mut state = self.state();
        let Some(mut conducted) = state.enter(task) else {
            return; // it has ended, or was dropped
        };
        let is_cancelled = state.task(task).is_cancelled;
        drop(state);
        conducted.call.is_woken.store(false, Ordering::Relaxed);
        let mut context = Context::from_waker(&conducted.waker);
        let polled = if is_cancelled {
            Ok(Poll::Pending)
        } else {
            catch_unwind(AssertUnwindSafe(|| conducted.future.as_mut().poll(&mut context)))
        };
        let end = match polled {
            Ok(Poll::Pending) if !is_cancelled => return self.state().leave(task, conducted),
            Ok(Poll::Pending) => End::Cancelled,
            Ok(Poll::Ready(())) => End::Finished,
            Err(panic) => End::Panicked(panic_message(panic.as_ref())),
        };
        // its destructors still speak under its label
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(conducted)));
        let end = dropped.map_or_else(|panic| End::Panicked(panic_message(panic.as_ref())), |()| end);
        self.state().end(task, end);
    }
}

/// What a panic said.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_string())
}
