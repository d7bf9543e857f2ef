//! The stretches of each lane: a task held by the plan, waiting for a lock, holding one, asleep, or waiting for another task.
//!
//! Locks are told as the harness follows them: wanted from one point on, held from another, until a third.

use super::lanes::held;
use segment_sim::site::{Site, TaskId};
use segment_sim::trace::{Event, What};
use segment_sim::vocabulary::LOCKS;
use segment_sim::world::Story;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A stretch of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The lane.
    pub lane: usize,
    /// What the task did.
    pub kind: Doing,
    /// From the end of this step.
    pub from: u64,
    /// To this step.
    pub to: u64,
    /// The lock, or how long the plan holds.
    pub label: String,
}

/// What a task does for some steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doing {
    /// It holds a lock.
    Locks,
    /// It waits for a lock that somebody else holds.
    LockWait,
    /// The plan holds it.
    Held,
    /// It sleeps.
    Asleep,
    /// It waits for another task.
    Joins,
}

/// The stretches of all lanes. `ends` are those of the process, `steps` is the end of the run.
pub fn spans(story: &Story, ends: &[(u64, String)], steps: u64) -> Vec<Span> {
    let mut lanes: Vec<Progress> = vec![Progress::default(); story.labels.len()];
    let mut spans = Vec::new();
    let held: BTreeMap<Site, String> = held(story).into_iter().collect();
    // in each step what goes on comes before what then waits
    let mut arrivals = story.trace.arrivals().iter().peekable();
    let mut ends = ends.iter().map(|(step, _)| *step).peekable();
    for event in story.trace.events() {
        // a process that ends while nothing goes on leaves no event
        while let Some(ended) = ends.next_if(|ended| *ended < event.step) {
            while let Some(arrival) = arrivals.next_if(|arrival| arrival.step < ended) {
                lanes[usize::from(arrival.site.task.0)].arrive(arrival.step, arrival.site, &mut spans);
            }
            end_all(&mut lanes, ended, &held, &mut spans);
        }
        while let Some(arrival) = arrivals.next_if(|arrival| arrival.step < event.step) {
            lanes[usize::from(arrival.site.task.0)].arrive(arrival.step, arrival.site, &mut spans);
        }
        lanes[usize::from(event.site.task.0)].go_on(event, &held, &mut spans);
    }
    for arrival in arrivals {
        lanes[usize::from(arrival.site.task.0)].arrive(arrival.step, arrival.site, &mut spans);
    }
    end_all(&mut lanes, steps, &held, &mut spans);
    spans.retain(|span| span.from < span.to);
    spans.sort_by_key(|span| (span.from, span.to, span.lane, span.kind));
    spans
}

fn end_all(lanes: &mut [Progress], step: u64, held: &BTreeMap<Site, String>, spans: &mut Vec<Span>) {
    for (number, lane) in (0u16..).zip(lanes) {
        lane.end(TaskId(number), step, held, spans);
    }
}

/// A task on its way through the trace.
#[derive(Clone, Default)]
struct Progress {
    /// Where it waits, and since when.
    waits: Vec<(Site, u64)>,
    /// Locks that it wants and locks that it holds, by their place, and since when.
    wants: Vec<(usize, u64)>,
    holds: Vec<(usize, u64)>,
    /// When it did something last.
    last: u64,
}

impl Progress {
    /// It waits at a site from now on.
    fn arrive(&mut self, step: u64, site: Site, spans: &mut Vec<Span>) {
        let lane = usize::from(site.task.0);
        let held = LOCKS.iter().position(|lock| lock.held == site.point);
        let wanted = held.and_then(|place| self.wants.iter().position(|(wanted, _)| *wanted == place));
        if let Some(place) = held {
            if let Some(wanted) = wanted {
                let (_, from) = self.wants.remove(wanted);
                let label = LOCKS[place].name.to_string();
                spans.push(Span { lane, kind: Doing::LockWait, from, to: step, label });
            }
            if !self.holds.iter().any(|(held, _)| *held == place) {
                self.holds.push((place, step));
            }
        } else if self.waits.is_empty() && self.last > 0 && self.wants.is_empty() {
            spans.push(Span { lane, kind: Doing::Joins, from: self.last, to: step, label: String::new() });
        }
        self.waits.push((site, step));
        self.last = step;
    }

    /// It goes on from a site.
    fn go_on(&mut self, event: &Event, held: &BTreeMap<Site, String>, spans: &mut Vec<Span>) {
        let Event { step, site, what } = *event;
        if matches!(what, What::Finished | What::Panicked | What::Cancelled) {
            self.end(site.task, step, held, spans);
            return;
        }
        if let Some(place) = self.waits.iter().position(|(at, _)| *at == site) {
            let (_, from) = self.waits.remove(place);
            spans.extend(waited(site, from, step, held));
        }
        let lane = usize::from(site.task.0);
        for (place, lock) in LOCKS.iter().enumerate() {
            if lock.wanted == site.point {
                self.wants.push((place, step));
            }
            if lock.released == site.point {
                let label = || lock.name.to_string();
                let released = self.holds.extract_if(.., |(held, _)| *held == place);
                spans.extend(released.map(|(_, from)| Span {
                    lane,
                    kind: Doing::Locks,
                    from,
                    to: step,
                    label: label(),
                }));
            }
        }
        self.last = step;
    }

    /// It is no more, or the run is over.
    fn end(&mut self, task: TaskId, step: u64, held: &BTreeMap<Site, String>, spans: &mut Vec<Span>) {
        let lane = usize::from(task.0);
        // an operation outlives its caller, and lands in its lane
        for (site, from) in &self.waits {
            if !site.point.starts_with("Disk") && !site.point.starts_with("Catalog") {
                spans.extend(waited(*site, *from, step, held));
            }
        }
        self.waits.retain(|(site, _)| site.point.starts_with("Disk") || site.point.starts_with("Catalog"));
        let label = |place: usize| LOCKS[place].name.to_string();
        let of = |kind| move |(place, from): (usize, u64)| Span { lane, kind, from, to: step, label: label(place) };
        spans.extend(self.wants.drain(..).map(of(Doing::LockWait)));
        spans.extend(self.holds.drain(..).map(of(Doing::Locks)));
    }
}

/// The stretch that a task has waited at a site, if it is one of its own.
fn waited(site: Site, from: u64, to: u64, held: &BTreeMap<Site, String>) -> Option<Span> {
    let lane = usize::from(site.task.0);
    let span = |kind, label: &str| Span { lane, kind, from, to, label: label.to_string() };
    match held.get(&site) {
        Some(hold) => Some(span(Doing::Held, hold)),
        None if site.point == "Sleep" => Some(span(Doing::Asleep, "")),
        None => None,
    }
}
