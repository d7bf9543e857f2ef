//! active-advances: what is active changes only to a segment that was never in the ring before, and not in vain.
//!
//! Asked at each save. Legal meanwhile: nothing. An active segment that falls back is a full one, and forces a rotation
//! that nobody needed. A rotation for a put whose bytes the disk has no room for is one, too.
//!
//! After the step of a rotation for a put it is asked whether the segment before was full: what is reserved of it and the put
//! were more than it may hold. Legal: to leave one whose sync has failed, or one that a put says it leaves for want of room.
//! That one is judged as it says so: without that segment's bytes the disk has too little room for what puts under way have
//! yet to write, whatever else is evicted, and with them it has enough for this one. Does not verify rotations by name and
//! for copies.

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

/// A put leaves the active segment only where nothing else makes room.
pub const OF_ONE_LEFT: Oracle = Oracle {
    name: "active-advances",
    claim: "a put on a full disk left its active segment, and nothing else would have made room, but that would",
    when: When::Step,
    check: is_needed,
    bad_scene: || {
        Scene::with(|scene| {
            scene.history.begun.insert(ACTOR, Begun { puts: Some(1), ..Begun::default() });
            scene.history.leaving = Some((ACTOR, segment(3)));
        })
    },
};

fn is_needed(view: &View<'_>) -> Option<Finding> {
    let history = view.history;
    let (task, active) = history.leaving?;
    let length = history.begun.get(&task)?.puts?;
    let measured = history.room.measured.get(&task).copied().unwrap_or_default();
    let closed = measured.open_bytes.saturating_sub(history.files.used_by_unlinked());
    let members = history.saved()?.ring.members().iter().map(|member| member.segment);
    let others: u64 = members.filter(|member| *member != active).map(|member| history.files.used(member)).sum();
    let without = view.room_to_come() + others.cast_signed() - closed.cast_signed();
    let needed = view.bytes_under_way(None) + view.written_meanwhile(Some(task));
    let with = others + view.known_of_doomed() + history.files.used(active);
    let with = view.room_at_most(task) + with.cast_signed();
    let (label, number) = (view.label(Some(task)), number(active));
    let sentence = if without >= needed.cast_signed() {
        format!(
            "{label} left segment {number}, and without it {without} bytes were to be had; puts need at most {needed}"
        )
    } else if with < length.cast_signed() {
        format!("{label} left segment {number} for {length} bytes, and with it {with} are to be had")
    } else {
        return None;
    };
    Some(Finding { race: format!("{}: needless rotation", view.kind(Some(task))), sentence })
}

fn is_full(view: &View<'_>) -> Option<Finding> {
    let Rotated { task, segment, bytes } = view.history.rotated?;
    let putter = view.tasks.parent(task)?;
    let length = view.history.begun.get(&putter)?.puts?;
    let (_, owners) = view.owners?.iter().find(|(other, _)| *other == segment)?;
    // it may have grown since, and never shrinks
    let held = owners.sum();
    let is_left = view.history.left.contains(&(putter, segment));
    if held + length > bytes || view.history.syncs.failed.contains(&segment) || is_left {
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
        let is_left = before.is_some_and(|active| view.history.left.contains(&(putter, active)));
        let free = view.room_at_most(saving.task.filter(|_| !is_left)?);
        let sentence = || {
            let label = view.label(saving.task);
            format!("{label} made a segment for {length} bytes on a disk that has room for {free}")
        };
        // one of no bytes needs no room, not on an overdrawn disk either
        return (length > 0 && free < length.cast_signed())
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
