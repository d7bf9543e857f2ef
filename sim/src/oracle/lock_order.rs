//! lock-order: a task that holds a lock takes only locks below it.
//!
//! Asked after each step. Legal meanwhile: nothing. Does not verify that a lock is taken at all.

use super::scene::{ACTOR, Scene};
use super::{Finding, Oracle, View, When};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "lock-order",
    claim: "locks are taken downwards",
    when: When::Step,
    check,
    bad_scene: || Scene::with(|scene| scene.locks.out_of_order = Some((ACTOR, "state", "write"))),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let (task, holds, wants) = view.locks.out_of_order?;
    let sentence = format!("{} wants the {wants} lock while it holds the {holds} lock", view.label(Some(task)));
    Some(Finding { race: format!("{}: {wants} under {holds}", view.kind(Some(task))), sentence })
}
