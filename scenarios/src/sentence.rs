//! One sentence for a failing plan: who was where, what came meanwhile, and what is wrong since.
//!
//! Built from what the plan's injections did in the run, from how its lives of the process ended, and from what the oracle
//! found. Where the oracle's own sentence names everybody who was held, it says all there is to say.

use crate::plan_words::{befalls, end, ended, error, how_long, moment};
use crate::report::counted;
use crate::workload::Workload;
use segment_engine::ring_state::RingRecord;
use segment_sim::plan::{Action, Injection, Moment, Plan, Until};
use segment_sim::record::Record;
use segment_sim::site::{Site, SiteName};
use segment_sim::trace::ProcessEnd;
use segment_sim::world::Story;
use std::iter::repeat;

/// The sentence of a run of a plan; of one that passes, that it does.
pub fn of(plan: &Plan<Workload>, story: &Story, record: &Record) -> String {
    let Some(first) = record.violations.first() else {
        return "nothing is wrong".to_string();
    };
    // of one step the end of the process comes last: nothing goes on after it
    let mut clauses: Vec<(u64, bool, String)> = Vec::new();
    for Injection { site, action } in &plan.schedule.injections {
        // a wait is told where it begins
        let step = if let Action::Hold(_) = action { arrival_of(story, site) } else { step_of(story, site) };
        let Some(step) = step else {
            continue;
        };
        let doing = doing(&site.point);
        let task = &site.task;
        let clause = match action {
            Action::Hold(_) if first.sentence.contains(task.as_str()) && says_all(plan, &first.sentence) => continue,
            Action::Hold(Until::Passed(until)) => {
                format!("{task}, {doing}, waits until {} {}", until.task, deed(story, until))
            }
            Action::Hold(until) => format!("{task}, {doing}, waits {}", how_long(until)),
            Action::Error(errno) => format!("{task} fails {doing}: {}", error(*errno)),
            Action::Rot => format!("{task}, {doing}, finds a bit flipped"),
            Action::Cancel => format!("the caller of {task} is dropped with it {doing}"),
            Action::CancelAfter(steps) => {
                format!("the caller of {task} is dropped {} later", counted((*steps).into(), "step"))
            }
            Action::CancelOnce(site) => {
                format!("the caller of {task} is dropped once {} {}", site.task, deed(story, site))
            }
            // told below, with the other ends
            Action::Crash(_) => continue,
        };
        clauses.push((step, false, clause));
    }
    // one that comes after what is wrong has no part in it; what a crash has left is wrong in the step of the crash. A panic
    // outside of every task has no step, and is the end
    let last = if first.step == 0 { u64::MAX } else { first.step };
    let lives = ends(story).zip(plan.workload.lives.iter().map(Some).chain(repeat(None)));
    for ((ProcessEnd { step, kind, .. }, at), next) in lives.filter(|((end, _), _)| end.step <= last) {
        let mut clause = match at {
            Moment::At(SiteName { task, point, .. }) => format!("{} with {task} {}", end(*kind), doing(point)),
            other => ended(*kind, &moment(other)),
        };
        clause.extend(next.into_iter().flat_map(befalls).map(|file| format!(", and {file}")));
        clauses.push((*step, true, clause));
    }
    clauses.sort();
    let mut said: Vec<String> = Vec::new();
    for (_, _, clause) in clauses {
        said.push(if said.contains(&clause) { format!("{clause} again") } else { clause });
    }
    let mut sentence = said.join(", then ");
    if !sentence.is_empty() {
        sentence += ": ";
    }
    sentence + &first.sentence
}

/// Whether a sentence names everybody whom the plan holds.
fn says_all(plan: &Plan<Workload>, sentence: &str) -> bool {
    let mut holds = plan.schedule.injections.iter().filter(|injection| matches!(injection.action, Action::Hold(_)));
    sentence.contains("cloned the ring") && holds.all(|hold| sentence.contains(hold.site.task.as_str()))
}

fn is_at(story: &Story, at: Site, site: &SiteName) -> bool {
    at.point == site.point && at.hit == site.hit && story.labels[usize::from(at.task.0)] == site.task
}

fn arrival_of(story: &Story, site: &SiteName) -> Option<u64> {
    story.trace.arrivals().iter().find(|arrival| is_at(story, arrival.site, site)).map(|arrival| arrival.step)
}

fn step_of(story: &Story, site: &SiteName) -> Option<u64> {
    story.trace.events().iter().find(|event| is_at(story, event.site, site)).map(|event| event.step)
}

/// The ends of the process as they came, each with its moment.
pub(crate) fn ends(story: &Story) -> impl Iterator<Item = (&ProcessEnd, &Moment)> {
    story.trace.process_ends().iter().zip(&story.ends)
}

/// What a task is about that has got to a point and not gone on.
fn doing(point: &str) -> String {
    let doing = match point {
        "Start" => "about to begin",
        "Sleep" => "asleep",
        "RingWanted" => "about to change the ring",
        "RingCloned" => "with its clone of the ring",
        "WriteWanted" => "about to take the write lock",
        "WriteLocked" => "holding the write lock",
        "StripeWanted" => "about to take its stripe lock",
        "StripeLocked" => "holding its stripe lock",
        "SyncWanted" => "about to wait for a sync",
        "SyncJoined" => "back from its sync",
        "RowRead" => "with the row that it read",
        "RowFound" => "with the row, about to look for its segment in the ring",
        "RowLookedUp" => "knowing where the bytes are",
        "RefreshWanted" => "about to refresh",
        "RefreshLocked" => "holding the refresh lock",
        "RotationJoined" => "back from its rotation",
        "EvictorWoken" => "just woken",
        "EvictorAwaited" => "back from its wait for the evictor",
        "RowsScanned" => "about to delete the rows of a doomed segment",
        "DiskCreate" => "making a file",
        "DiskSyncDirectory" => "syncing the directory",
        "BodyAwaited" => "waiting for its body",
        "PieceTaken" => "with a piece of what it reads",
        "DiskWrite" => "writing its bytes",
        "DiskRead" => "reading its bytes",
        "DiskSync" => "syncing its bytes",
        "DiskUnlink" => "unlinking a file",
        "DiskLen" => "asking for a file's length",
        "DiskFree" => "asking for free space",
        "FreeTold" => "told what was free",
        "DiskList" => "listing the directory",
        "CatalogCommit" => "committing to the catalog",
        "CatalogSync" => "syncing the catalog",
        other => return format!("at {other}"),
    };
    doing.to_string()
}

/// What a task has done at a site that others waited for.
fn deed(story: &Story, site: &SiteName) -> String {
    let step = step_of(story, site);
    let deed = match site.point.as_str() {
        "Start" => "has begun",
        "RingCloned" | "RingSaved" => {
            let saved = |(saved, _): &&(u64, RingRecord)| Some(*saved) == step;
            return match story.saves.iter().position(|save| saved(&save)) {
                Some(index) => change(story, index),
                None => "has looked at the ring".to_string(),
            };
        }
        "WriteLocked" => "has taken the write lock",
        "StripeLocked" => "has taken its stripe lock",
        "RefreshLocked" => "has taken the refresh lock",
        "RowCommitted" => "has committed its row",
        "RowMended" => "has stored anew what was damaged",
        "RowMoved" => "has moved a row to its copy",
        "CopyForgone" => "has forgone a copy",
        "ActiveLeft" => "has left the active segment",
        "RowsDeleted" => "has deleted rows",
        "DoomedListed" => "has looked what is doomed",
        "UnlinkFailed" => "has failed to unlink",
        "SegmentStuck" => "has found a segment stuck",
        "DiskCreate" => "has made a file",
        "DiskSyncDirectory" => "has synced the directory",
        "BodyAwaited" => "has got more of its body",
        "PieceTaken" => "has taken a piece of what it reads",
        "FreeTold" => "has heard what was free",
        "DiskWrite" => "has written its bytes",
        "DiskRead" => "has read its bytes",
        "DiskSync" => "has synced its bytes",
        "DiskUnlink" => "has unlinked a file",
        "CatalogSync" => "has synced the catalog",
        other => return format!("has passed {other}"),
    };
    deed.to_string()
}

/// What a save has changed.
fn change(story: &Story, index: usize) -> String {
    let Some((_, before)) = index.checked_sub(1).and_then(|before| story.saves.get(before)) else {
        return "has saved the ring".to_string();
    };
    let (old, new) = (&before.ring, &story.saves[index].1.ring);
    let mut changes = Vec::new();
    for member in new.members().iter().filter(|member| old.generation_of(member.segment).is_none()) {
        changes.push(format!("pushed segment {}", member.segment.as_u128()));
    }
    let is_old = |segment| old.doomed().iter().any(|doomed| doomed.segment == segment);
    for doomed in new.doomed().iter().filter(|doomed| !is_old(doomed.segment)) {
        changes.push(format!("doomed segment {}", doomed.segment.as_u128()));
    }
    let is_new = |segment| new.doomed().iter().any(|doomed| doomed.segment == segment);
    for doomed in old.doomed().iter().filter(|doomed| !is_new(doomed.segment)) {
        changes.push(format!("taken segment {} off the list", doomed.segment.as_u128()));
    }
    match changes.as_slice() {
        [] => "has saved the ring".to_string(),
        changes => format!("has {} and saved", changes.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use segment_sim::plan::{Crash, CrashKind, Moment, Schedule};
    use segment_sim::verdict::Violation;
    use segment_sim::world::{Mode, Worker};

    /// The sentence of a run whose lives end so, were something wrong in its `step`; and the steps of the ends.
    fn told(crashes: &[(CrashKind, Moment)], injections: Vec<Injection>, step: u64) -> (String, Vec<u64>) {
        let scenario = Scenario::named("power-loss-anywhere").unwrap();
        let mut plan = scenario.plan(7, None);
        let crashes = crashes.iter().map(|(kind, at)| Crash { kind: *kind, at: at.clone() }).collect();
        plan.schedule = Schedule { injections, crashes, ..Schedule::in_order(7) };
        let mode = Mode { keep_trace: true, ..Mode::default() };
        let outcome = scenario.run(&mut Worker::new().unwrap(), &plan, mode).unwrap();
        let mut record = outcome.record;
        let [oracle, race, sentence] = ["oracle", "race", "it is wrong"].map(str::to_string);
        record.violations = vec![Violation { oracle, step, race, sentence }];
        let story = outcome.story.unwrap();
        (of(&plan, &story, &record), ends(&story).map(|(end, _)| end.step).collect())
    }

    fn site(text: &str) -> SiteName {
        text.parse().unwrap()
    }

    #[test]
    fn a_crash_is_told_where_it_came_whatever_the_plan_says_of_its_moment() {
        for (kind, at, words) in [
            (CrashKind::Kill, Moment::Step(1), "the process is killed with "),
            (
                CrashKind::PowerLoss,
                Moment::Site("evictor@EvictorWoken".to_string(), 1),
                "the power fails with evictor just woken: ",
            ),
            (
                CrashKind::Kill,
                Moment::At(site("evictor@EvictorWoken")),
                "the process is killed with evictor just woken: ",
            ),
            (CrashKind::PowerLoss, Moment::Idle, "the power fails when nothing can go on: "),
            (CrashKind::Close, Moment::Idle, "the engine is closed when nothing can go on, and then the power fails: "),
            (
                CrashKind::Close,
                Moment::CallersGone,
                "the engine is closed when all callers are gone, and then the power fails: ",
            ),
            // what a life does not come to leaves it to its end
            (CrashKind::Kill, Moment::Step(100_000), "the process is killed when nothing can go on: "),
        ] {
            let (sentence, ends) = told(&[(kind, at)], Vec::new(), u64::MAX);
            assert!(sentence.starts_with(words) && sentence.ends_with(": it is wrong"), "{sentence}");
            assert_eq!(
                (ends.len(), sentence.matches("when nothing can go on").count()),
                (1, words.matches("when nothing").count())
            );
        }
    }

    #[test]
    fn an_end_has_its_place_among_the_others_and_each_is_told_once() {
        let wakes = site("open#1/evictor#1@EvictorWoken");
        let injections = vec![Injection { site: wakes, action: Action::Crash(CrashKind::Kill) }];
        let idle = |kind| (kind, Moment::Idle);
        let crashes = [idle(CrashKind::Kill), idle(CrashKind::PowerLoss), idle(CrashKind::PowerLoss)];
        let (sentence, ends) = told(&crashes, injections, u64::MAX);
        assert_eq!(
            sentence,
            "the process is killed when nothing can go on, then the process is killed with open#1/evictor#1 just woken, \
             then the power fails when nothing can go on: it is wrong"
        );
        assert_eq!(ends.len(), 3);
    }

    #[test]
    fn an_end_after_what_is_wrong_is_left_out() {
        let crashes = [(CrashKind::Kill, Moment::Idle), (CrashKind::Kill, Moment::Idle)];
        let (sentence, ends) = told(&crashes, Vec::new(), u64::MAX);
        assert_eq!(
            sentence,
            "the process is killed when nothing can go on, then the process is killed when nothing can go on again: it is wrong"
        );
        let at = |step| told(&crashes, Vec::new(), step).0;
        assert_eq!(at(ends[0] - 1), "it is wrong");
        assert_eq!([at(ends[0]), at(ends[1] - 1)], ["the process is killed when nothing can go on: it is wrong"; 2]);
        assert_eq!(at(ends[1]), sentence);
        assert_eq!(at(0), sentence, "a panic outside of every task");
    }
}
