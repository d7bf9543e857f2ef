//! active-is-never-evicted: no save takes the active segment out of the ring.
//!
//! Asked at each save. Legal meanwhile: a stale save that loses the active segment by accident; that is save-chain's;
//! one that puts another in the place of an active segment that was never synced, and never can be. Does not verify
//! that writers use the active segment.

use super::scene::{Scene, ring, save, segment};
use super::{Finding, Oracle, View, When, number};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "active-is-never-evicted",
    claim: "the active segment is still in it",
    when: When::Save,
    check,
    bad_scene: || {
        Scene::with(|scene| {
            let evicted = ring(|ring| (1..=2).for_each(|number| ring.push(segment(number), 1)));
            scene.saving = save(3, 2, evicted);
        })
    },
};

fn check(view: &View<'_>) -> Option<Finding> {
    let saving = view.saving?;
    let previous = view.history.saved()?;
    let active = previous.ring.active()?;
    let stays = saving.record.ring.generation_of(active).is_some();
    let may_go = view.history.files_lost.contains(&active) || view.history.is_stillborn(active);
    if saving.record.base != previous.version || stays || may_go {
        return None;
    }
    let sentence = format!("{} evicted segment {}, the active one", view.label(saving.task), number(active));
    Some(Finding { race: format!("{}@RingSaved", view.kind(saving.task)), sentence })
}
