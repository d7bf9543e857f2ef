//! Panics of runs print nothing: the conductor records them. Those of the harness are as loud as ever.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

thread_local! {
    static IN_RUN: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, a panic of this thread prints nothing.
pub(super) struct Quiet;

impl Quiet {
    pub(super) fn on() -> Quiet {
        IN_RUN.set(true);
        Quiet
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        IN_RUN.set(false);
    }
}

pub(super) fn quiet_panics_of_runs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IN_RUN.get() {
                loud(info);
            }
        }));
    });
}
