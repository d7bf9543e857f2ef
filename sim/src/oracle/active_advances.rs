//! active-advances: what is active changes only to a segment that was never in the ring before, and not in vain.
//!
//! Asked at each save. Legal meanwhile: nothing. An active segment that falls back is a full one, and forces a rotation
//! that nobody needed. A rotation for a put whose bytes the disk has no room for is one, too.
//!
//! After the step of a rotation for a put it is asked whether the segment before was full: what is reserved of it and the put
//! were more than it may hold. Legal: to leave one whose sync has failed. Does not verify rotations by name and for copies.

use super::scene::{ACTOR, GONE, Scene, ring, save, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::{Begun, Rotated};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "active-advances",
    claim: "its active segment is the same or a new one",
    when: When::Save,
    check,
    bad_scene: || Scene::with(|scene| scene.saving = save(2, 1, ring(|ring| ring.push(segment(2), 1)))),
};

/// A rotation for a put leaves a full segment.
pub const OF_A_FULL_ONE: Oracle = Oracle {
    name: "active-advances",
    claim: "a rotation for a put left a segment that was too full for it",
    when: When::Step,
    check: is_full,
    bad_scene: || {
        Scene::with(|scene| {
            scene.history.begun.insert(GONE, Begun { puts: Some(1), ..Begun::default() });
            scene.history.rotated = Some(Rotated { task: ACTOR, segment: segment(3), bytes: 100 });
        })
    },
};

fn is_full(view: &View<'_>) -> Option<Finding> {
    let Rotated { task, segment, bytes } = view.history.rotated?;
    let length = view.history.begun.get(&view.tasks.parent(task)?)?.puts?;
    let (_, owners) = view.owners?.iter().find(|(other, _)| *other == segment)?;
    // it may have grown since, and never shrinks
    let held = owners.sum();
    if held + length > bytes || view.history.unsynced.contains(&segment) {
        return None;
    }
    let (label, number) = (view.label(Some(task)), number(segment));
    let sentence = format!("{label} left segment {number} for {length} bytes, and {held} of its {bytes} were taken");
    Some(Finding { race: format!("{}: needless rotation", view.kind(Some(task))), sentence })
}

fn check(view: &View<'_>) -> Option<Finding> {
    let saving = view.saving?;
    let before = view.history.saved()?.ring.active();
    let after = saving.record.ring.active();
    // a lost file takes the active segment with it
    if after == before || before.is_some_and(|active| view.history.files_lost.contains(&active)) {
        return None;
    }
    if after.is_some_and(|active| !view.history.joined.contains(&active)) {
        let putter = saving.task.and_then(|task| view.tasks.parent(task))?;
        let length = view.history.begun.get(&putter)?.puts?;
        // what a dropped caller had submitted is nobody's any more, and takes its room when it lands; nor is room reserved
        // for the catalog's log
        let measured = saving.task.and_then(|task| view.history.measured.get(&task)).map(|then| then.log_bytes);
        let logged_since = view.history.log_bytes - measured.unwrap_or(view.history.log_bytes);
        let free = view.history.free_bytes() + view.history.written_late + logged_since;
        let sentence = || {
            let label = view.label(saving.task);
            format!("{label} made a segment for {length} bytes on a disk that has room for {free}")
        };
        return (free < length)
            .then(|| Finding { race: format!("{}: rotation in vain", view.kind(saving.task)), sentence: sentence() });
    }
    let name = |active: Option<_>| active.map_or("none".to_string(), |segment| number(segment).to_string());
    let sentence = format!(
        "{} saved a ring whose active segment falls back from {} to {}",
        view.label(saving.task),
        name(before),
        name(after)
    );
    Some(Finding { race: format!("{}@RingSaved", view.kind(saving.task)), sentence })
}
