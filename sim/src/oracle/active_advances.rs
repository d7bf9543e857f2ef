//! active-advances: what is active changes only to a segment that was never in the ring before.
//!
//! Asked at each save. Legal meanwhile: nothing. An active segment that falls back is a full one, and forces a rotation
//! that nobody needed. Does not verify that a rotation was due.

use super::scene::{Scene, ring, save, segment};
use super::{Finding, Oracle, View, When, number};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "active-advances",
    when: When::Save,
    check,
    bad_scene: || Scene::with(|scene| scene.saving = save(2, 1, ring(|ring| ring.push(segment(2), 1)))),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let saving = view.saving?;
    let before = view.history.saved()?.ring.active();
    let after = saving.record.ring.active();
    if after == before || after.is_some_and(|active| !view.history.joined.contains(&active)) {
        return None;
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
