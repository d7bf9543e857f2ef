//! Which moments of a run are its race: what a reader has to see first.
//!
//! These: the sites that the plan names; the clone and the save of the first stale save, and the saves that it overwrites;
//! the moments at which an oracle found something; and for each segment that ends up wrong the moment since which it is.
//! In brief a run is its race and, if there is room, what befell those segments until then.

use super::Told;
use super::lanes::{Happened, Moment};
use super::spans::{Doing, Span};
use segment_sim::oracle::{ORACLES, When as Asked};
use segment_sim::plan::{Crash, Injection, Moment as When, Schedule};
use std::collections::BTreeSet;

/// More moments than this are not brief.
const BRIEF_MAX: usize = 16;

/// Marks the race of a failing run, or what the plan orders in a passing one.
pub fn mark(told: &mut Told, schedule: &Schedule) {
    let mut race: BTreeSet<usize> = BTreeSet::new();
    let sites = named(schedule);
    let is_named = |(_, moment): &(usize, &Moment)| sites.contains(&moment.site) && moment.what != Happened::Cloned;
    race.extend(told.moments.iter().enumerate().filter(is_named).map(|(place, _)| place));
    race.extend(first_stale_save(told));
    race.extend(first_intrusion(told));
    let found = found(told);
    race.extend(found.iter().map(|(place, _)| *place));
    for place in race {
        told.moments[place].is_race = true;
    }
    for (place, what) in found {
        told.moments[place].found.push(what);
    }
    let wrong = wrong(told);
    abridge(told, &wrong);
}

/// What was found wrong, each with the place of the moment that made it so: the first oracle, the segments, the others.
fn found(told: &Told) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for violation in &told.violations {
        let in_step = |moment: &Moment| moment.step == violation.step;
        // what is found when all is over was not done by whoever came last
        let place = match ORACLES.iter().find(|oracle| oracle.name == violation.oracle).map(|oracle| oracle.when) {
            Some(Asked::Save) => told.moments.iter().rposition(|moment| in_step(moment) && moment.save.is_some()),
            Some(Asked::Step | Asked::Answer) => effect_of(told, violation.step, None),
            Some(Asked::Drained | Asked::CrashImage) => None,
            None => {
                told.moments.iter().position(|moment| moment.what == Happened::Panicked && violation.oracle == "panic")
            }
        };
        found.extend(place.map(|place| (place, violation.oracle.clone())));
    }
    let others = found.split_off(found.len().min(1));
    for segment in &told.segments {
        if let Some(stretch) = segment.first_illegal().filter(|stretch| stretch.from < told.steps) {
            let effect = effect_of(told, stretch.from, Some(segment.number));
            found.extend(effect.map(|place| (place, format!("{} {}", segment.number, stretch.class.word()))));
        }
    }
    found.into_iter().chain(others).collect()
}

/// Marks in the run that passes what was the race in the one that fails.
pub fn mark_like(twin: &mut Told, failing: &Told) {
    let race: BTreeSet<&str> =
        failing.moments.iter().filter(|moment| moment.is_race).map(|moment| moment.site.as_str()).collect();
    for moment in &mut twin.moments {
        moment.is_race = race.contains(moment.site.as_str());
    }
    abridge(twin, &wrong(failing));
}

/// The segments that end up wrong.
fn wrong(told: &Told) -> BTreeSet<u64> {
    let wrong = told.segments.iter().filter(|segment| segment.first_illegal().is_some());
    wrong.map(|segment| segment.number).collect()
}

/// Says which moments are shown where not all are.
fn abridge(told: &mut Told, wrong: &BTreeSet<u64>) {
    let first = told.moments.iter().find(|moment| !moment.found.is_empty()).map_or(u64::MAX, |moment| moment.step);
    let befalls = |moment: &Moment| {
        moment.save.is_some() || matches!(moment.point.as_str(), "DiskCreate" | "DiskUnlink" | "CatalogCommit")
    };
    let is_about = |moment: &Moment| wrong.is_empty() || moment.segments.iter().any(|number| wrong.contains(number));
    let is_brief = |moment: &Moment| moment.is_race || (befalls(moment) && is_about(moment) && moment.step <= first);
    let has_race = told.moments.iter().any(|moment| moment.is_race);
    let is_crowded = has_race && told.moments.iter().filter(|moment| is_brief(moment)).count() > BRIEF_MAX;
    for moment in &mut told.moments {
        moment.is_brief = if is_crowded { moment.is_race && moment.step <= first } else { is_brief(moment) };
    }
}

/// The sites that the plan names.
fn named(schedule: &Schedule) -> BTreeSet<String> {
    let mut sites = BTreeSet::new();
    for Injection { site, action } in &schedule.injections {
        sites.insert(site.to_string());
        sites.extend(action.awaits().map(ToString::to_string));
    }
    for Crash { at, .. } in &schedule.crashes {
        if let When::At(site) = at {
            sites.insert(site.to_string());
        }
    }
    sites
}

/// The clone of the first stale save, the saves that it overwrites, and itself.
fn first_stale_save(told: &Told) -> Vec<usize> {
    let Some(stale) = told.saves.iter().position(|save| save.is_stale) else {
        return Vec::new();
    };
    let save = &told.saves[stale];
    let overwritten =
        told.saves[..stale].iter().rposition(|before| before.version == save.base).map_or(0, |base| base + 1);
    let of_save = |moment: &Moment| moment.save.is_some_and(|place| (overwritten..=stale).contains(&place));
    let is_clone =
        |moment: &Moment| Some(moment.lane) == save.lane && moment.point == "RingCloned" && moment.step <= save.step;
    let clone = told.moments.iter().rposition(|moment| is_clone(moment) && moment.what == Happened::Passed);
    let cloned = told.moments.iter().rposition(|moment| is_clone(moment) && moment.what == Happened::Cloned);
    let saves = told.moments.iter().enumerate().filter(|(_, moment)| of_save(moment)).map(|(place, _)| place);
    saves.chain(clone).chain(cloned).collect()
}

/// The first time that a task got a lock while another one held it: where both got it, and what was saved meanwhile.
fn first_intrusion(told: &Told) -> Vec<usize> {
    // stripes are several locks
    let is_one = |span: &&Span| span.kind == Doing::Locks && matches!(span.label.as_str(), "state" | "write");
    let holds: Vec<&Span> = told.spans.iter().filter(is_one).collect();
    let is_inside = |outer: &Span, inner: &Span| {
        outer.lane != inner.lane && outer.label == inner.label && outer.from < inner.from && inner.from < outer.to
    };
    let intruded = |outer: &'_ Span| holds.iter().find(|inner| is_inside(outer, inner)).map(|inner| inner.from);
    let Some(outer) = holds.iter().filter(|outer| intruded(outer).is_some()).min_by_key(|outer| intruded(outer)) else {
        return Vec::new();
    };
    let inner = holds.iter().find(|inner| is_inside(outer, inner)).expect("it was just found");
    let of = |moment: &Moment| {
        let span = if moment.lane == outer.lane { outer } else { inner };
        let is_there = moment.lane == span.lane && (span.from..=span.to).contains(&moment.step);
        is_there && (moment.save.is_some() || matches!(moment.point.as_str(), "RingCloned" | "WriteLocked"))
    };
    told.moments.iter().enumerate().filter(|(_, moment)| of(moment)).map(|(place, _)| place).collect()
}

/// What a step has done: its commit, its operation, or what came last in it; of a segment what is about that.
fn effect_of(told: &Told, step: u64, segment: Option<u64>) -> Option<usize> {
    let in_step =
        |moment: &Moment| moment.step == step && segment.is_none_or(|number| moment.segments.contains(&number));
    let is_effect = |moment: &Moment| {
        use Happened::{Committed, Crashed, Dropped, Failed, Landed, Panicked};
        matches!(moment.what, Committed | Landed | Failed | Crashed | Dropped | Panicked)
    };
    let effect = told.moments.iter().rposition(|moment| in_step(moment) && is_effect(moment));
    effect.or_else(|| told.moments.iter().rposition(in_step))
}
