//! A lane for each task, and what happened in it.
//!
//! Made from the trace (what went on) and its arrivals (who waited where since when).

use super::rings::{Saved, number};
use crate::plan_words;
use crate::sentence;
use segment_sim::lineage::Moved;
use segment_sim::plan::Action;
use segment_sim::site::{Site, SiteName, TaskId};
use segment_sim::trace::{Event, ProcessEnd, What};
use segment_sim::world::Story;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Its label.
    pub label: String,
    /// The lane of whoever started it, if a task did.
    pub parent: Option<usize>,
    /// The step in which it was started.
    pub from: u64,
    /// The step in which it ended; none when it was still there at the end.
    pub to: Option<u64>,
    /// How: finished, dropped, panicked, gone with the process; nothing when it did not.
    pub end: String,
}

/// One thing that happened in a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The step.
    pub step: u64,
    /// The lane.
    pub lane: usize,
    /// The site, as plans name it; for the end of a task just its label.
    pub site: String,
    /// The point.
    pub point: String,
    /// What happened there.
    pub what: Happened,
    /// The step since which it had waited there, if it had to.
    pub since: Option<u64>,
    /// The segments that it is about.
    pub segments: Vec<u64>,
    /// What there is to say about it.
    pub says: String,
    /// The place of the ring that was saved here.
    pub save: Option<usize>,
    /// It is part of the race.
    pub is_race: bool,
    /// It is shown where not all are.
    pub is_brief: bool,
    /// What was found wrong here: oracles by name, segments with what they became.
    pub found: Vec<String>,
}

/// What happened at a site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happened {
    /// A task came here, and the plan holds it. Not in the trace: it goes on later.
    Held,
    /// A task cloned the ring here, and saved the clone after another save. Not in the trace.
    Cloned,
    /// A parked task went on.
    #[default]
    Passed,
    /// A task went by.
    Noted,
    /// An operation took effect.
    Landed,
    /// An operation failed.
    Failed,
    /// A commit.
    Committed,
    /// The caller was dropped here.
    Dropped,
    /// The process ended here.
    Crashed,
    /// The task returned.
    Finished,
    /// The task panicked.
    Panicked,
}

/// The ends of the process: after which step, and how.
pub fn ends(story: &Story) -> Vec<(u64, String)> {
    let told = |(ProcessEnd { step, kind, .. }, at): (&ProcessEnd, &_)| {
        (*step, plan_words::ended(*kind, &plan_words::moment(at)))
    };
    sentence::ends(story).map(told).collect()
}

/// The lanes, in the order of the spawns.
pub fn lanes(story: &Story, ends: &[(u64, String)]) -> Vec<Lane> {
    let mut starts: BTreeMap<TaskId, u64> = BTreeMap::new();
    for arrival in story.trace.arrivals() {
        starts.entry(arrival.site.task).or_insert(arrival.step);
    }
    let mut stops: BTreeMap<TaskId, (u64, &str)> = BTreeMap::new();
    for event in story.trace.events() {
        let how = match event.what {
            What::Finished => "finished",
            What::Panicked => "panicked",
            What::Cancelled => "dropped",
            _ => continue,
        };
        stops.insert(event.site.task, (event.step, how));
    }
    let lane = |(id, label): (u16, &String)| {
        let from = starts.get(&TaskId(id)).copied().unwrap_or(0);
        let gone = ends.iter().map(|(step, _)| *step).find(|step| *step > from);
        let stop = stops.get(&TaskId(id)).copied().or(gone.map(|step| (step, "gone with the process")));
        let parent = label.rsplit_once('/').map(|(parent, _)| parent);
        Lane {
            label: label.clone(),
            parent: parent.and_then(|parent| story.labels.iter().position(|label| label == parent)),
            from,
            to: stop.map(|(step, _)| step),
            end: stop.map_or(String::new(), |(_, how)| how.to_string()),
        }
    };
    (0u16..).zip(&story.labels).map(lane).collect()
}

/// What happened, in order.
pub fn moments(story: &Story, saves: &[Saved]) -> Vec<Moment> {
    let since: BTreeMap<Site, u64> =
        story.trace.arrivals().iter().map(|arrival| (arrival.site, arrival.step)).collect();
    let mut saved: Vec<bool> = saves.iter().map(|save| save.lane.is_none()).collect();
    let mut moments: Vec<Moment> = Vec::new();
    for event in story.trace.events() {
        let mut moment = plain(story, event.site, event.step);
        moment.what = happened(event.what);
        moment.since = since.get(&event.site).copied().filter(|since| *since < event.step);
        moment.says = says(story, event);
        if let What::Changed(_) = event.what {
            let is_it = |(place, save): &(usize, &Saved)| {
                !saved[*place] && save.step == event.step && save.lane == Some(usize::from(event.site.task.0))
            };
            moment.save = saves.iter().enumerate().find(is_it).map(|(place, _)| place);
            if let Some(place) = moment.save {
                saved[place] = true;
                tell_save(&mut moment, &saves[place]);
            }
        }
        moments.push(moment);
    }
    for (site, hold) in held(story) {
        if let Some(step) = since.get(&site) {
            let says = format!("held {hold}");
            insert(&mut moments, Moment { what: Happened::Held, says, ..plain(story, site, *step) });
        }
    }
    for save in saves.iter().filter(|save| save.is_stale) {
        let is_clone = |(site, step): &(&Site, &u64)| {
            Some(usize::from(site.task.0)) == save.lane && site.point == "RingCloned" && **step <= save.step
        };
        if let Some((site, step)) = since.iter().filter(is_clone).max_by_key(|(site, _)| site.hit) {
            let says = format!("clones version {}", save.base);
            let cloned = Moment { what: Happened::Cloned, says, ..plain(story, *site, *step) };
            match moments.iter_mut().find(|moment| moment.what == Happened::Held && moment.site == cloned.site) {
                Some(held) => held.says = format!("{}, {}", cloned.says, held.says),
                None => insert(&mut moments, cloned),
            }
        }
    }
    moments
}

/// The sites at which the plan has held somebody, each with how long.
pub(super) fn held(story: &Story) -> Vec<(Site, String)> {
    let place = |site: &SiteName| {
        let task = story.labels.iter().position(|label| *label == site.task)?;
        let is_it = |at: &Site| usize::from(at.task.0) == task && at.point == site.point && at.hit == site.hit;
        story.trace.arrivals().iter().map(|arrival| arrival.site).find(is_it)
    };
    let holds = story.fired.iter().filter_map(|injection| match &injection.action {
        Action::Hold(until) => Some((place(&injection.site)?, plan_words::how_long(until))),
        _ => None,
    });
    holds.collect()
}

/// Puts what is not in the trace behind everything of its step and before.
fn insert(moments: &mut Vec<Moment>, moment: Moment) {
    let place = moments.partition_point(|other| other.step <= moment.step);
    moments.insert(place, moment);
}

fn plain(story: &Story, site: Site, step: u64) -> Moment {
    let task = &story.labels[usize::from(site.task.0)];
    let name = SiteName { task: task.clone(), point: site.point.to_string(), hit: site.hit };
    let touched = story.lineage.touched.iter().filter(|(at, _)| *at == site).map(|(_, segment)| number(*segment));
    let moved = story.lineage.moved.iter().filter(|moved| moved.site == site);
    let moved = moved.flat_map(|moved| moved.from.into_iter().chain(moved.to)).map(number);
    let mut segments: Vec<u64> = touched.chain(moved).collect();
    segments.sort_unstable();
    segments.dedup();
    Moment {
        step,
        lane: usize::from(site.task.0),
        site: if site.point == "end" { task.clone() } else { name.to_string() },
        point: site.point.to_string(),
        segments,
        ..Moment::default()
    }
}

fn happened(what: What) -> Happened {
    match what {
        What::Passed => Happened::Passed,
        What::Noted => Happened::Noted,
        What::Landed => Happened::Landed,
        What::Failed(_) | What::Rotten => Happened::Failed,
        What::Cancelled => Happened::Dropped,
        What::Crashed => Happened::Crashed,
        What::Finished => Happened::Finished,
        What::Panicked => Happened::Panicked,
        What::Changed(_) => Happened::Committed,
    }
}

fn says(story: &Story, event: &Event) -> String {
    let touched = story.lineage.touched.iter().find(|(at, _)| *at == event.site).map(|(_, segment)| number(*segment));
    let segment = touched.map(|segment| format!("segment {segment}")).unwrap_or_default();
    match event.what {
        What::Passed | What::Noted => String::new(),
        What::Landed => segment,
        What::Rotten => format!("{segment} has a bit flipped"),
        What::Failed(errno) => {
            format!("{segment}{}fails: {}", if segment.is_empty() { "" } else { " " }, plan_words::error(errno))
        }
        What::Cancelled => "its caller is dropped".to_string(),
        What::Crashed => "the process ends".to_string(),
        What::Finished => "returns".to_string(),
        What::Panicked => "panics".to_string(),
        What::Changed(_) => {
            let moved = story.lineage.moved.iter().filter(|moved| moved.site == event.site);
            moved.map(row_words).collect::<Vec<_>>().join(", ")
        }
    }
}

fn row_words(moved: &Moved) -> String {
    let Moved { key, from, to, .. } = moved;
    match (from.map(number), to.map(number)) {
        (None, Some(to)) => format!("row {key} in {to}"),
        (Some(from), Some(to)) => format!("row {key} from {from} to {to}"),
        (Some(from), None) => format!("row {key} of {from} deleted"),
        (None, None) => format!("row {key} deleted"),
    }
}

fn tell_save(moment: &mut Moment, save: &Saved) {
    let changes: Vec<String> = save.changes.iter().map(super::rings::Change::words).collect();
    let stale = if save.is_stale { format!(" on {}, stale", save.base) } else { String::new() };
    let colon = if changes.is_empty() { "" } else { ": " };
    moment.says = format!("version {}{stale}{colon}{}", save.version, changes.join(", "));
    moment.segments = save.changes.iter().map(|change| change.segment).collect();
    moment.segments.sort_unstable();
    moment.segments.dedup();
}
