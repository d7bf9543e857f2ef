//! The futures of what waits for a step: a task parked at a point, and the answer of an operation.

use super::Conductor;
use super::state::Kind;
use crate::confined::Confined;
use std::borrow::Borrow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A task parked at a point, or asleep.
pub(super) struct Park<C: Borrow<Conductor>> {
    conductor: C,
    point: &'static str,
    due_ms: Option<u64>,
    ticket: Option<u64>,
}

impl<C: Borrow<Conductor>> Park<C> {
    /// Parks whoever polls it first. With a due time it sleeps until then.
    pub(super) fn new(conductor: C, point: &'static str, due_ms: Option<u64>) -> Park<C> {
        Park { conductor, point, due_ms, ticket: None }
    }
}

impl<C: Borrow<Conductor> + Unpin> Future for Park<C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut state = this.conductor.borrow().state();
        match this.ticket {
            None => {
                let Some(visit) = state.arrive(this.point) else {
                    return Poll::Ready(());
                };
                state.got_to(&visit);
                let wakes = state.wakes(visit.site.task, context.waker());
                let kind = match this.due_ms {
                    Some(due_ms) => Kind::Asleep(wakes, due_ms),
                    None => Kind::Parked(wakes),
                };
                this.ticket = Some(state.wait(visit, kind));
                Poll::Pending
            }
            Some(ticket) if state.is_waiting(ticket) => Poll::Pending,
            Some(_) => {
                this.ticket = None;
                Poll::Ready(())
            }
        }
    }
}

impl<C: Borrow<Conductor>> Drop for Park<C> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let waiting = self.conductor.borrow().state().withdraw(ticket);
            drop(waiting); // not while the state is borrowed: it may be the last to hold a task
        }
    }
}

struct Answer<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// The answer of an operation, once it has landed.
pub(super) struct Answered<T> {
    answer: Arc<Confined<Answer<T>>>,
}

impl<T> Answered<T> {
    /// No answer yet.
    pub(super) fn new() -> Answered<T> {
        Answered { answer: Arc::new(Confined::new(Answer { value: None, waker: None })) }
    }

    /// The other end of the same answer.
    pub(super) fn other_end(&self) -> Answered<T> {
        Answered { answer: self.answer.clone() }
    }

    /// Answers.
    pub(super) fn answer(&self, value: T) {
        let mut answer = self.answer.borrow_mut();
        answer.value = Some(value);
        if let Some(waker) = answer.waker.take() {
            waker.wake();
        }
    }
}

impl<T> Future for Answered<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut answer = self.answer.borrow_mut();
        match answer.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                answer.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
