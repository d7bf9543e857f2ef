//! capacity: every byte of a segment has an owner, and the engine's count of them is right.
//!
//! Asked when drained. The live bytes of a segment are those of the rows that name it; nothing is under way; the owners
//! add up to what was reserved, which is the length of the file, but for abandoned bytes at its end that were never
//! written, and are no more than the segment counts as. What is gone is not counted. The usage is what a recount gives.
//! Legal meanwhile: counts that are behind. Legal when a commit or a sync of the catalog has failed: what became of its
//! bytes is unknown until the next open. Does not verify who, among those that are not live, owns what.
//!
//! At each save of a rotation it is asked what was doomed when that looked. Legal: what is doomed between its look and
//! its push.
//!
//! After each step it is asked whether a stream has reserved bytes before its body has given any. Legal: when its put has
//! begun again.

use super::scene::{ACTOR, Scene, save, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::Begun;
use segment_engine::capacity::Usage;
use segment_engine::usage::Owners;
use segment_engine::{Ring, SegmentId};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "capacity",
    claim: "every byte of a segment has an owner, and the engine's count is right",
    when: When::Drained,
    check,
    bad_scene: || Scene::with(|scene| scene.owners.retain(|(other, _)| *other != segment(3))),
};

/// What is doomed is bounded: a rotation makes a segment only if, when it looked, no more was doomed than may be.
pub const OF_THE_DOOMED: Oracle = Oracle {
    name: "capacity",
    claim: "a rotation went on with no more doomed than may be",
    when: When::Save,
    check: is_bounded,
    bad_scene: || {
        Scene::with(|scene| {
            let mut larger = scene.published.ring.clone();
            larger.push(segment(4), 1);
            scene.saving = save(3, 2, larger);
            scene.history.room.doomed_looked_at.insert(ACTOR, scene.history.room.doomed_bytes_max + 1);
        })
    },
};

/// A body that never comes takes no room.
pub const OF_A_BODY: Oracle = Oracle {
    name: "capacity",
    claim: "a stream has reserved bytes of a segment only after its body has given some",
    when: When::Step,
    check: is_there_first,
    bad_scene: || {
        Scene::with(|scene| {
            scene.history.begun.insert(ACTOR, Begun { is_stream: true, ..Begun::default() });
            scene.history.reserves(ACTOR);
            scene.history.awaits_body(Some(ACTOR));
        })
    },
};

fn is_there_first(view: &View<'_>) -> Option<Finding> {
    let task = view.history.room.reserved_early;
    task?;
    let sentence = format!("{} reserved room for a body that had not given a byte, and may never", view.label(task));
    Some(Finding { race: format!("{}: room for nothing", view.kind(task)), sentence })
}

fn is_bounded(view: &View<'_>) -> Option<Finding> {
    let saving = view.saving?;
    let is_push = saving.record.ring.active() != view.history.saved()?.ring.active();
    let doomed = *view.history.room.doomed_looked_at.get(&saving.task.filter(|_| is_push)?)?;
    let bound = view.history.room.doomed_bytes_max;
    if doomed <= bound {
        return None;
    }
    let label = view.label(saving.task);
    let sentence = format!("{label} made a segment while {doomed} bytes were doomed, and {bound} may be");
    Some(Finding { race: format!("{}: too much is doomed", view.kind(saving.task)), sentence })
}

fn check(view: &View<'_>) -> Option<Finding> {
    let counted = view.owners.filter(|_| view.history.errors.catalog == 0)?;
    let ring = &view.history.saved()?.ring;
    let is_doomed = |segment| ring.doomed().iter().any(|doomed| doomed.segment == segment);
    let is_gone = |segment: &SegmentId| ring.generation_of(*segment).is_none() && !is_doomed(*segment);
    if let Some(gone) = counted.iter().map(|(segment, _)| *segment).find(is_gone) {
        let sentence = format!("bytes of segment {} are counted, and it is gone", number(gone));
        return Some(Finding { race: "byte owners".to_string(), sentence });
    }
    if let Some(usage) = view.usage.filter(|usage| **usage != recount(ring, counted)) {
        let sentence = format!("the engine tells of {usage:?}, and it is {:?}", recount(ring, counted));
        return Some(Finding { race: "usage".to_string(), sentence });
    }
    let rows = |segment| view.history.rows.iter().filter(move |row| row.manifest.segment == segment);
    ring.members().iter().find_map(|member| {
        let segment = member.segment;
        let owners = counted.iter().find(|(other, _)| *other == segment).map(|(_, owners)| *owners).unwrap_or_default();
        let live: u64 = rows(segment).map(|row| row.manifest.length).sum();
        let length = view.history.files.bytes(segment).map_or(0, Vec::len) as u64;
        let what = if owners.live != live {
            format!("{} bytes are counted as live, and rows name {live}", owners.live)
        } else if owners.sum() > member.bytes {
            format!("{} bytes are reserved, and it counts as {}", owners.sum(), member.bytes)
        } else if owners.under_way != 0 {
            format!("{} bytes are under way, and nothing is", owners.under_way)
        } else if owners.sum() < length {
            format!("{} bytes belong to nobody", length - owners.sum())
        } else if owners.sum() - owners.abandoned > length {
            format!("{} bytes have an owner and are not there", owners.sum() - owners.abandoned - length)
        } else {
            return None;
        };
        let sentence = format!("in segment {}, {what}", number(segment));
        Some(Finding { race: "byte owners".to_string(), sentence })
    })
}

/// What the ring accounts for.
fn recount(ring: &Ring, counted: &[(SegmentId, Owners)]) -> Usage {
    let mut usage = Usage::default();
    for member in ring.members() {
        usage.ring_bytes += member.bytes;
        counted
            .iter()
            .filter(|(segment, _)| *segment == member.segment)
            .for_each(|(_, owners)| usage.owners.add(owners));
    }
    for doomed in ring.doomed() {
        usage.doomed_bytes += doomed.bytes;
        let files = counted.iter().filter(|(segment, _)| *segment == doomed.segment);
        usage.doomed_file_bytes += files.map(|(_, owners)| owners.sum()).sum::<u64>();
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_that_the_engine_tells_is_counted_again() {
        let asked = |change: fn(&mut Usage)| {
            let usage = |scene: &mut Scene| {
                let mut usage = recount(&scene.published.ring, &scene.owners);
                assert_eq!((usage.ring_bytes, usage.owners.live), (30, 8));
                change(&mut usage);
                scene.usage = Some(usage);
            };
            Scene::with(usage).ask(&ORACLE)
        };
        assert!(asked(|_| {}).is_none());
        assert!(asked(|usage| usage.ring_bytes += 1).is_some() && asked(|usage| usage.owners.live += 1).is_some());
    }

    #[test]
    fn a_segment_holds_no_more_than_it_counts_as() {
        let asked = |reserved| {
            let change = |scene: &mut Scene| {
                scene.usage = None;
                scene.owners[0].1.abandoned = reserved;
            };
            Scene::with(change).ask(&ORACLE).map(|finding| finding.sentence)
        };
        assert_eq!(asked(2), None);
        assert_eq!(asked(3).as_deref(), Some("in segment 3, 11 bytes are reserved, and it counts as 10"));
    }

    #[test]
    fn a_put_that_begins_again_may_have_reserved_before_it_asks_for_its_body() {
        let change = |scene: &mut Scene| {
            scene.history.begun.insert(ACTOR, Begun { is_stream: true, ..Begun::default() });
            scene.history.awaits_body(Some(ACTOR));
            scene.history.reserves(ACTOR);
            scene.history.awaits_body(Some(ACTOR));
        };
        assert!(Scene::with(change).ask(&OF_A_BODY).is_none());
    }

    #[test]
    fn what_is_gone_is_not_counted() {
        let counted = Scene::with(|scene| scene.owners.push((segment(9), Owners::default()))).ask(&ORACLE);
        assert_eq!(
            counted.map(|finding| finding.sentence).as_deref(),
            Some("bytes of segment 9 are counted, and it is gone")
        );
    }
}
