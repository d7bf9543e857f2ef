//! A task under its label: polled for the conductor, and counted while it is ready.

use super::wait::Park;
use super::{Conductor, End};
use crate::site::TaskId;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

/// Counts a task among the ready ones from its wake-up to its next poll. A waker must be `Sync`, hence the atomics; a
/// run has one thread, so that a load and a store will do.
pub(super) struct Readiness {
    is_ready: AtomicBool,
    /// Its poll goes on by itself when it is woken meanwhile, without the executor.
    is_running: AtomicBool,
    all: Arc<AtomicUsize>,
    /// Known from the first poll on; the executor owes a new task that one anyway.
    executor: OnceLock<Waker>,
}

impl Readiness {
    pub(super) fn of_new_task(all: &Arc<AtomicUsize>) -> Arc<Readiness> {
        let new = Readiness {
            is_ready: AtomicBool::new(false),
            is_running: AtomicBool::new(false),
            all: all.clone(),
            executor: OnceLock::new(),
        };
        new.become_ready();
        Arc::new(new)
    }

    fn become_ready(&self) {
        if !self.is_ready.load(Ordering::Relaxed) {
            self.is_ready.store(true, Ordering::Relaxed);
            self.all.store(self.all.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// Is polled, if it was ready.
    fn take(&self) -> bool {
        let was_ready = self.is_ready.load(Ordering::Relaxed);
        if was_ready {
            self.is_ready.store(false, Ordering::Relaxed);
            self.all.store(self.all.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        }
        was_ready
    }

    /// Will not be polled again: a late wake-up must not count.
    fn ended(&self) {
        self.take();
        self.is_ready.store(true, Ordering::Relaxed);
    }
}

impl Wake for Readiness {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.become_ready();
        if !self.is_running.load(Ordering::Relaxed)
            && let Some(executor) = self.executor.get()
        {
            executor.wake_by_ref();
        }
    }
}

/// A task under its label.
pub(super) struct Conducted {
    conductor: Conductor,
    task: TaskId,
    ready: Arc<Readiness>,
    waker: Waker,
    future: Option<Started>,
}

/// A spawn is a wake-up too: several tasks may start in the same step, in an order that is the executor's. So a task
/// parks before it does anything.
struct Started {
    start: Option<Park<Conductor>>,
    task: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Started {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(start) = &mut self.start {
            std::task::ready!(Pin::new(start).poll(context));
            self.start = None;
        }
        self.task.as_mut().poll(context)
    }
}

impl Conducted {
    pub(super) fn new(
        conductor: Conductor,
        id: TaskId,
        ready: Arc<Readiness>,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Conducted {
        let start = Some(Park::new(conductor.clone(), "Start", None));
        let future = Some(Started { start, task: Box::pin(task) });
        Conducted { conductor, task: id, waker: Waker::from(ready.clone()), ready, future }
    }
}

impl Future for Conducted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.ready.executor.get_or_init(|| context.waker().clone());
        this.ready.take();
        this.ready.is_running.store(true, Ordering::Relaxed);
        // often the next step is its own, and going on here spares it a round trip through the executor
        while let Some(future) = &mut this.future {
            let end = this.conductor.run(this.task, &this.waker, future);
            if end.is_some() {
                // its destructors still speak under its label
                let future = this.future.take();
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
                let end = dropped.map_or_else(|panic| Some(End::Panicked(panic_message(panic.as_ref()))), |()| end);
                this.ready.ended();
                this.conductor.go_on_from(end.map(|end| (this.task, end)));
                break;
            }
            this.conductor.go_on_from(None);
            if !this.ready.take() {
                this.ready.is_running.store(false, Ordering::Relaxed);
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

impl Conductor {
    /// Runs a task until it parks or ends.
    fn run(&self, task: TaskId, waker: &Waker, future: &mut Started) -> Option<End> {
        if self.state().enter(task).is_cancelled {
            return Some(End::Cancelled);
        }
        match catch_unwind(AssertUnwindSafe(|| future.poll(&mut Context::from_waker(waker)))) {
            Ok(Poll::Pending) => None,
            Ok(Poll::Ready(())) => Some(End::Finished),
            Err(panic) => Some(End::Panicked(panic_message(panic.as_ref()))),
        }
    }
}

/// What a panic said.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_string())
}
