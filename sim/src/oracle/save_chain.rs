//! save-chain: each saved ring was cloned from the one saved before it.
//!
//! Asked at each save. Legal meanwhile: nothing. Does not verify what the save says, only what it was built on.

use super::scene::{Scene, ring_to, save};
use super::{Finding, Oracle, View, When, number};
use crate::history::is_doomed;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "save-chain",
    claim: "it was cloned from the ring saved before it",
    when: When::Save,
    check,
    bad_scene: || Scene::with(|scene| scene.saving = save(2, 1, ring_to(4))),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let saving = view.saving?;
    let previous = view.history.saves.last()?;
    let (old, new) = (&previous.record, &saving.record);
    if new.base == old.version && new.version == new.base + 1 {
        return None;
    }
    let mut damage = Vec::new();
    for member in old.ring.members() {
        if new.ring.generation_of(member.segment).is_none() && !is_doomed(new, member.segment) {
            damage.push(format!("segment {} is orphaned", number(member.segment)));
        }
    }
    for member in new.ring.members() {
        if view.history.departed.contains(&member.segment) {
            damage.push(format!("segment {} is resurrected", number(member.segment)));
        }
    }
    for doomed in old.ring.doomed() {
        if !is_doomed(new, doomed.segment) && new.ring.generation_of(doomed.segment).is_none() {
            damage.push(format!("the doom of segment {} is lost", number(doomed.segment)));
        }
    }
    for doomed in new.ring.doomed() {
        if !is_doomed(old, doomed.segment) && old.ring.generation_of(doomed.segment).is_none() {
            damage.push(format!("segment {} is doomed a second time", number(doomed.segment)));
        }
    }
    if damage.is_empty() {
        damage.push("a save is overwritten".to_string());
    }
    let stale = view.label(saving.task);
    let sentence = format!(
        "{stale} cloned the ring at version {}, {} saved version {}, {stale} saved its stale clone: {}",
        new.base,
        view.label(previous.task),
        old.version,
        damage.join(", ")
    );
    let race = format!("{}@RingCloned x {}@RingSaved", view.kind(saving.task), view.kind(previous.task));
    Some(Finding { race, sentence })
}
