//! The lineage of each segment: when it was made, sealed, in the ring, doomed and gone, and where it stands after each step.
//!
//! Told from saves, operations, commits, and what the harness took down after each step; [`class`] judges that.

use super::class::{Class, class};
use super::rings::{Saved, number};
use segment_sim::lineage::{Listed, Standing, Views};
use segment_sim::site::Site;
use segment_sim::trace::What;
use segment_sim::world::Story;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The lineage of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its number.
    pub number: u64,
    /// It was there before the run.
    pub was_there: bool,
    /// Its file was made.
    pub created: Vec<At>,
    /// Another one became active in its place.
    pub sealed: Vec<At>,
    /// A save named it as a member and the one before had not.
    pub in_ring: Vec<At>,
    /// A save put it on the doomed list.
    pub doomed: Vec<At>,
    /// Rows that named it were deleted.
    pub rows_deleted: Vec<At>,
    /// An unlink of its file was handed in.
    pub unlink_begun: Vec<At>,
    /// An unlink took its file away.
    pub unlinked: Vec<At>,
    /// An unlink failed.
    pub unlink_failed: Vec<At>,
    /// A crash took its file away, or brought it back.
    pub by_crash: Vec<At>,
    /// The length of its file at the end of the run, if it has one.
    pub on_disk: Option<u64>,
    /// How the saved ring names it at the end: a generation, doomed, or nothing.
    pub in_rocksdb: String,
    /// Rows that name it at the end.
    pub rows: u32,
    /// Where it stood: stretches that follow each other.
    pub stretches: Vec<Stretch>,
}

/// When something was done, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    /// The step.
    pub step: u64,
    /// The lane; none for the set-up and a crash.
    pub lane: Option<usize>,
    /// What else there is to say.
    pub says: String,
}

/// How a segment stood for some steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// After this step.
    pub from: u64,
    /// Until the end of this one.
    pub to: u64,
    /// Whether the three agree.
    pub class: Class,
    /// Why it is called so.
    pub why: String,
}

impl Segment {
    /// The first stretch in which the three do not agree.
    pub fn first_disagreement(&self) -> Option<&Stretch> {
        self.stretches.iter().find(|stretch| stretch.class != Class::Agrees)
    }

    /// The first one that is not legal.
    pub fn first_illegal(&self) -> Option<&Stretch> {
        self.stretches.iter().find(|stretch| stretch.class.is_illegal())
    }
}

/// What the three said after a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The step.
    pub step: u64,
    /// The version in memory; none while the engine is not open.
    pub memory: Option<u64>,
    /// The version in RocksDB.
    pub rocksdb: u64,
    /// Each segment.
    pub places: Vec<Place>,
}

/// What they said of one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its number.
    pub segment: u64,
    /// In the ring in memory: `m`ember, `d`oomed, or nothing.
    pub memory: String,
    /// In the ring in RocksDB.
    pub rocksdb: String,
    /// The length of its file.
    pub file: Option<u64>,
    /// Rows that name it.
    pub rows: u32,
    /// Whether the three agree.
    pub class: Class,
}

fn letter(listed: Listed) -> String {
    match listed {
        Listed::Member => "m",
        Listed::Doomed => "d",
        Listed::Nowhere => "",
    }
    .to_string()
}

/// What the three said, each time any of it changed.
pub fn seen(story: &Story) -> Vec<Seen> {
    let label = |lane: usize| story.labels.get(lane).cloned().unwrap_or_default();
    let seen = |views: &Views| Seen {
        step: views.step,
        memory: views.published,
        rocksdb: views.saved,
        places: views
            .standings
            .iter()
            .map(|standing| Place {
                segment: number(standing.segment),
                memory: letter(standing.memory),
                rocksdb: letter(standing.catalog),
                file: standing.file_bytes,
                rows: standing.rows,
                class: class(views, standing, label).0,
            })
            .filter(|place| place.class != Class::Agrees || !place.is_gone())
            .collect(),
    };
    story.lineage.views.iter().map(seen).collect()
}

impl Place {
    /// Nothing names it and it has no file.
    fn is_gone(&self) -> bool {
        self.memory.is_empty() && self.rocksdb.is_empty() && self.file.is_none() && self.rows == 0
    }
}

/// How a segment stood: they are in the order of their numbers.
fn standing(views: &Views, segment: u64) -> Option<&Standing> {
    let place = views.standings.binary_search_by_key(&segment, |standing| number(standing.segment));
    place.ok().map(|place| &views.standings[place])
}

/// The lineage of every segment that the run has heard of.
pub fn segments(story: &Story, saves: &[Saved], steps: u64, is_drained: bool) -> Vec<Segment> {
    let mut segments: BTreeMap<u64, Segment> = BTreeMap::new();
    let views = &story.lineage.views;
    for standing in views.iter().flat_map(|views| &views.standings) {
        let number = number(standing.segment);
        segments.entry(number).or_insert_with(|| Segment { number, ..Segment::default() });
    }
    for segment in segments.values_mut() {
        tell_ring(segment, saves);
        tell_files(segment, story);
        segment.stretches = stretches(segment.number, story, steps);
        if let Some(last) = views.last()
            && let Some(standing) = standing(last, segment.number)
        {
            (segment.on_disk, segment.rows) = (standing.file_bytes, standing.rows);
            let has_failed = last.has_failed || last.is_recovering;
            if is_drained && standing.catalog == Listed::Doomed && !has_failed && segment.first_illegal().is_none() {
                let why = "it is doomed, and at the end of the run nobody unlinks it".to_string();
                segment.stretches.push(Stretch { from: steps, to: steps, class: Class::Orphaned, why });
            }
        }
        if let Some(last) = saves.last() {
            let names = ["old", "current", "new"];
            let doomed = if last.doomed.contains(&segment.number) { "doomed" } else { "" };
            segment.in_rocksdb = last.generation(segment.number).map_or(doomed, |place| names[place]).to_string();
        }
    }
    segments.into_values().collect()
}

/// What the saves did with it.
fn tell_ring(segment: &mut Segment, saves: &[Saved]) {
    let number = segment.number;
    segment.was_there = saves.first().is_some_and(|save| save.generation(number).is_some());
    for pair in saves.windows(2) {
        let [before, save] = pair else { unreachable!("windows of two have two") };
        let says = match (save.is_left_by_crash, save.is_stale) {
            (true, _) => "by the crash",
            (_, true) => "by a stale save",
            _ => "",
        };
        let at = || At { step: save.step, lane: save.lane, says: says.to_string() };
        if before.active() == Some(number) && save.active() != Some(number) && save.generation(number).is_some() {
            segment.sealed.push(at());
        }
        if before.generation(number).is_none() && save.generation(number).is_some() {
            segment.in_ring.push(at());
        }
        if !before.doomed.contains(&number) && save.doomed.contains(&number) {
            segment.doomed.push(at());
        }
    }
}

/// What operations and commits did with it.
fn tell_files(segment: &mut Segment, story: &Story) {
    let number_of = segment.number;
    // a run may touch thousands, of which each segment has a few
    let touched = story.lineage.touched.iter().filter(|(_, about)| number(*about) == number_of);
    let touched: Vec<&Site> = touched.map(|(at, _)| at).collect();
    let is_it = |site: &Site| touched.contains(&site);
    let views = &story.lineage.views;
    let had_file = |step: u64, is_before: bool| {
        let end = views.partition_point(|views| if is_before { views.step < step } else { views.step <= step });
        let standing = views[..end].last().and_then(|view| standing(view, number_of));
        standing.is_some_and(|standing| standing.file_bytes.is_some())
    };
    for arrival in story.trace.arrivals().iter().filter(|arrival| arrival.site.point == "DiskUnlink") {
        if is_it(&arrival.site) {
            let lane = Some(usize::from(arrival.site.task.0));
            segment.unlink_begun.push(At { step: arrival.step, lane, says: String::new() });
        }
    }
    let mut operated: Vec<u64> = Vec::new();
    for event in story.trace.events() {
        let at =
            |says: &str| At { step: event.step, lane: Some(usize::from(event.site.task.0)), says: says.to_string() };
        match (event.site.point, event.what) {
            ("DiskCreate", What::Landed) if is_it(&event.site) => segment.created.push(at("")),
            ("DiskUnlink", What::Landed) if is_it(&event.site) => segment.unlinked.push(at("")),
            ("DiskUnlink", What::Failed(_)) if is_it(&event.site) => {
                let is_gone = had_file(event.step, true) && !had_file(event.step, false);
                segment.unlink_failed.push(at(if is_gone { "and the file is gone all the same" } else { "" }));
            }
            ("DiskCreate", What::Failed(_)) if is_it(&event.site) => {}
            ("CatalogCommit", What::Changed(_)) => {
                let deleted = story.lineage.moved.iter().filter(|moved| {
                    moved.site == event.site && moved.to.is_none() && moved.from.map(number) == Some(number_of)
                });
                match deleted.count() {
                    0 => {}
                    1 => segment.rows_deleted.push(at("1 row")),
                    count => segment.rows_deleted.push(at(&format!("{count} rows"))),
                }
                continue;
            }
            _ => continue,
        }
        operated.push(event.step);
    }
    for pair in views.windows(2) {
        let step = pair[1].step;
        let (before, after) = (had_file(step, true), had_file(step, false));
        if before != after && !operated.contains(&step) {
            let says = if after { "its file is back" } else { "its file is gone" };
            segment.by_crash.push(At { step, lane: None, says: says.to_string() });
        }
    }
}

/// Where it stood, from its first view to the end.
fn stretches(segment: u64, story: &Story, steps: u64) -> Vec<Stretch> {
    let label = |lane: usize| story.labels.get(lane).cloned().unwrap_or_default();
    let mut stretches: Vec<Stretch> = Vec::new();
    for views in &story.lineage.views {
        let Some(standing) = standing(views, segment) else {
            continue;
        };
        let (class, why) = class(views, standing, label);
        if let Some(last) = stretches.last_mut() {
            last.to = views.step;
            if (last.class, last.why.as_str()) == (class, why.as_str()) {
                continue;
            }
        }
        stretches.push(Stretch { from: views.step, to: views.step, class, why });
    }
    if let Some(last) = stretches.last_mut() {
        last.to = steps;
    }
    stretches
}
