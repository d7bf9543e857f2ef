//! What is done for those who wait when a task does not get to its end.
//!
//! A task that panics, as tokio's `spawn_blocking` does when the system gives it no more threads, or that goes with its
//! runtime, answers nobody and leaves what it had begun marked as under way. So whoever would be waited for has one of these
//! from before it can be waited for until it has answered.

/// Does what it was given when it is dropped, unless it was disarmed before.
pub(crate) struct CutShort<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> CutShort<F> {
    /// `then` must not panic: it runs while a panic unwinds.
    pub(crate) fn then(then: F) -> CutShort<F> {
        CutShort(Some(then))
    }

    /// The end was reached.
    pub(crate) fn disarm(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for CutShort<F> {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then();
        }
    }
}
