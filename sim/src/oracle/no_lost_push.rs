//! no-lost-push: a segment whose push was answered is in the ring, or left it on purpose.
//!
//! Asked when drained. Legal meanwhile: nothing. Does not verify pushes that were never answered.

use super::scene::{ACTOR, Scene, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::{Answer, Told};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "no-lost-push",
    claim: "an answered push is in the ring or left it on purpose",
    when: When::Drained,
    check,
    bad_scene: || Scene::with(|scene| scene.history.answer(ACTOR, Answer::Pushed(segment(9)), 0)),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let saved = view.history.saved()?;
    view.history.answers.iter().find_map(|Told { task, answer, .. }| {
        let Answer::Pushed(segment) = answer else {
            return None;
        };
        if saved.ring.generation_of(*segment).is_some() || view.history.departed.contains(segment) {
            return None;
        }
        let sentence = format!(
            "segment {} is lost: {} was told that it is in the ring, and it never left on purpose",
            number(*segment),
            view.label(Some(*task))
        );
        Some(Finding { race: format!("{}: lost", view.kind(Some(*task))), sentence })
    })
}
