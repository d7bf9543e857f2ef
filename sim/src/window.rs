//! Windows: the stretches of time in which the races live, and who came by while one was open.
//!
//! A window opens when a task gets to one point and closes when the same task passes another, or ends. Another task
//! *arrives* when it wants what the window guards while the window is open, and *lands* when its conflicting commit
//! falls inside. A window without arrivals has tested nothing; that is why they are counted.

use crate::site::TaskId;
use serde::{Deserialize, Serialize};

/// A kind of window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its name in reports.
    pub name: &'static str,
    /// What is under way while it is open.
    pub about: &'static str,
    /// Exclusive: a landing is a failure, arrivals have a floor. Otherwise optimistic: landings are legal.
    pub exclusive: bool,
    /// Getting here opens it.
    pub opens: &'static str,
    /// Passing one of these closes it.
    pub closes: &'static [&'static str],
    /// Another task that passed this, and has not opened a window itself since, wants in.
    pub wants: Option<&'static str>,
    /// Another task at one of these has landed.
    pub lands: &'static [&'static str],
}

impl Window {
    /// Its kind in reports.
    pub fn kind(&self) -> &'static str {
        if self.exclusive { "exclusive" } else { "optimistic" }
    }
}

/// What was counted of one window, in one run or in many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowCount {
    /// How often it opened.
    pub openings: u64,
    /// Tasks that arrived, summed over the openings.
    pub arrivals: u64,
    /// Tasks that landed, summed over the openings.
    pub landings: u64,
}

/// The windows of one run.
#[derive(Debug)]
pub struct Windows {
    kinds: &'static [Window],
    states: Vec<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    count: WindowCount,
    open: Vec<TaskId>,
    wanting: Vec<TaskId>,
    /// Whose window the first landing fell into, and who landed.
    first_landing: Option<(TaskId, TaskId)>,
}

/// What a point is to each window, one bit a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowPoint {
    opens: u16,
    closes: u16,
    wants: u16,
    lands: u16,
}

impl WindowPoint {
    /// Whether a task that gets here opens a window.
    pub fn opens(self) -> bool {
        self.opens != 0
    }
}

impl Windows {
    /// None open yet.
    pub fn new(kinds: &'static [Window]) -> Windows {
        assert!(kinds.len() <= 16, "a point has 16 bits for windows");
        Windows { kinds, states: vec![State::default(); kinds.len()] }
    }

    /// What the point of this name is to each window.
    pub fn point(&self, name: &str) -> WindowPoint {
        let mut point = WindowPoint { opens: 0, closes: 0, wants: 0, lands: 0 };
        for (index, kind) in self.kinds.iter().enumerate() {
            point.opens |= u16::from(kind.opens == name) << index;
            point.closes |= u16::from(kind.closes.contains(&name)) << index;
            point.wants |= u16::from(kind.wants == Some(name)) << index;
            point.lands |= u16::from(kind.lands.contains(&name)) << index;
        }
        point
    }

    /// A task got to a point: it is parked there, or passes without parking.
    pub fn got_to(&mut self, task: TaskId, point: WindowPoint) {
        for place in places(point.opens) {
            let state = &mut self.states[place];
            if !state.open.contains(&task) {
                state.wanting.retain(|other| *other != task);
                state.open.push(task);
                state.count.openings += 1;
                state.count.arrivals += state.wanting.len() as u64;
            }
        }
    }

    /// A task went on from a point.
    pub fn passed(&mut self, task: TaskId, point: WindowPoint) {
        let others = |state: &State| state.open.iter().filter(|other| **other != task).count() as u64;
        for place in places(point.lands) {
            let state = &mut self.states[place];
            state.count.landings += others(state);
            let inside = state.open.iter().find(|other| **other != task);
            state.first_landing = state.first_landing.or(inside.map(|holder| (*holder, task)));
        }
        for place in places(point.wants) {
            let state = &mut self.states[place];
            if !state.wanting.contains(&task) {
                state.count.arrivals += others(state);
                state.wanting.push(task);
            }
        }
        for place in places(point.closes) {
            self.states[place].open.retain(|other| *other != task);
        }
    }

    /// A task is no more.
    pub fn ended(&mut self, task: TaskId) {
        for state in &mut self.states {
            state.open.retain(|other| *other != task);
            state.wanting.retain(|other| *other != task);
        }
    }

    /// The first landing in an exclusive window: in which kind, whose it was, who landed.
    pub fn first_intrusion(&self) -> Option<(&'static Window, TaskId, TaskId)> {
        let exclusive = self.kinds.iter().zip(&self.states).filter(|(kind, _)| kind.exclusive);
        exclusive.filter_map(|(kind, state)| state.first_landing.map(|(holder, lander)| (kind, holder, lander))).next()
    }

    /// The counts, in the order of the kinds.
    pub fn counts(&self) -> Vec<WindowCount> {
        self.states.iter().map(|state| state.count).collect()
    }
}

/// The places of the windows that have their bit set.
fn places(mut bits: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: &[Window] = &[Window {
        name: "clone-to-save",
        about: "",
        exclusive: true,
        opens: "Cloned",
        closes: &["Saved", "Released"],
        wants: Some("Wanted"),
        lands: &["Saved"],
    }];
    const A: TaskId = TaskId(0);
    const B: TaskId = TaskId(1);

    fn count(moves: &[(TaskId, &str, bool)]) -> WindowCount {
        let mut windows = Windows::new(KINDS);
        for (task, point, parks) in moves {
            let point = windows.point(point);
            if *parks { windows.got_to(*task, point) } else { windows.passed(*task, point) }
        }
        windows.counts()[0]
    }

    #[test]
    fn a_task_that_wanted_before_or_during_the_window_has_arrived() {
        let during = [(A, "Wanted", false), (A, "Cloned", true), (B, "Wanted", false), (A, "Saved", false)];
        assert_eq!(count(&during), WindowCount { openings: 1, arrivals: 1, landings: 0 });
        let before = [(A, "Wanted", false), (B, "Wanted", false), (A, "Cloned", true), (A, "Saved", false)];
        assert_eq!(count(&before), WindowCount { openings: 1, arrivals: 1, landings: 0 });
        let after = [(A, "Wanted", false), (A, "Cloned", true), (A, "Saved", false), (B, "Wanted", false)];
        assert_eq!(count(&after), WindowCount { openings: 1, arrivals: 0, landings: 0 });
    }

    #[test]
    fn a_commit_of_another_task_inside_the_window_has_landed() {
        let moves = [(A, "Cloned", true), (B, "Cloned", true), (B, "Saved", false), (A, "Saved", false)];
        assert_eq!(count(&moves), WindowCount { openings: 2, arrivals: 0, landings: 1 });
    }

    #[test]
    fn an_ended_task_leaves_no_window_open() {
        let mut windows = Windows::new(KINDS);
        windows.got_to(A, windows.point("Cloned"));
        windows.ended(A);
        windows.passed(B, windows.point("Saved"));
        assert_eq!(windows.counts()[0].landings, 0);
    }
}
