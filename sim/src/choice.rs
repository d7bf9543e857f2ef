//! Choices: where a run could have gone on differently, and how another run is told to.
//!
//! A run is its choices: with the same ones it goes the same way. A [`Guide`] names those that are not the first
//! alternative; everywhere else the first is taken. The run writes down each choice that it met, as a [`Walk`].

use crate::known::Known;
use std::sync::{Arc, RwLock};

/// A choice that is not the first alternative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deviation {
    /// The how many-th choice of the run, from 0.
    pub at: u16,
    /// Which alternative, from 1.
    pub takes: u16,
}

/// A choice that a run met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its alternatives, at least two. The first costs nothing, and is what the run took unless a deviation says otherwise.
    pub alternatives: Vec<Alternative>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// A number for the state that it was met in and what goes on in it: equal numbers have the same future.
    pub edge: u128,
    /// It lets others go on while the last task could.
    pub preempts: bool,
    /// Something fails.
    pub fails: bool,
}

/// What may fail in a guided run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// At most so many.
    pub at_most: u32,
    /// A write may meet a full disk.
    pub fills: bool,
    /// A caller may be dropped where it waits.
    pub cancels: bool,
}

/// How a run is to go.
#[derive(Clone, Debug, Default)]
pub struct Guide {
    /// Where a task may be preempted; `None` is everywhere.
    pub points: Option<Arc<[String]>>,
    /// The choices that are not the first alternative, in order.
    pub deviations: Box<[Deviation]>,
    /// What may fail.
    pub faults: Faults,
    /// Alternatives that were taken already: behind the last deviation the run ends where it would take one again.
    pub known: Option<Arc<RwLock<Known>>>,
    /// The trace begins anew at this choice.
    pub trace_from: Option<u16>,
}

/// How a guided run went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// The choice of the last deviation, and all that came behind it.
    pub choices: Vec<Choice>,
    /// It ended where all that would follow is known.
    pub is_joined: bool,
    /// A deviation named an alternative that was not there: the run did not repeat.
    pub has_strayed: bool,
}
