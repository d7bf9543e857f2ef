//! views-agree: memory, catalog and directory tell the same story.
//!
//! Asked after each step. Legal meanwhile: the catalog one save ahead of memory while the task that saved it holds
//! the state lock; a file that no list names while the task that created it, or whose save dropped it, goes on, or if
//! its unlink or an operation of the catalog has failed; a doomed segment with or without its file. Does not verify
//! that a member has a file (no-phantom does), nor anything about contents.

use super::scene::{GONE, Scene, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::is_doomed;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "views-agree",
    claim: "memory, catalog and directory tell the same story",
    when: When::Step,
    check,
    bad_scene: || {
        Scene::with(|scene| {
            scene.history.files.insert(segment(9));
            scene.history.answerable.insert(segment(9), GONE);
        })
    },
};

fn check(view: &View<'_>) -> Option<Finding> {
    let last = view.history.saves.last()?;
    let saved = &last.record;
    if let Some(published) = view.published
        && !(last.task.is_some() && view.state_holder == last.task && saved.version == published.version + 1)
    {
        let sentence = format!(
            "readers see the ring at version {}, the catalog has version {}, and {}, which saved it, is not about to publish it",
            published.version,
            saved.version,
            view.label(last.task)
        );
        return Some(Finding { race: format!("{}: memory behind catalog", view.kind(last.task)), sentence });
    }
    for file in view.history.files.iter() {
        if saved.ring.generation_of(file).is_some() || is_doomed(saved, file) {
            continue;
        }
        let owner = view.history.answerable.get(&file).copied();
        if owner.is_some_and(|owner| view.tasks.is_alive(owner)) || view.history.may_be_stray(file) {
            continue;
        }
        let sentence = format!(
            "segment {} has a file, no list names it, and {}, which answers for it, has ended",
            number(file),
            view.label(owner)
        );
        return Some(Finding { race: format!("{}: file without an owner", view.kind(owner)), sentence });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_may_be_one_save_ahead_only_while_its_saver_holds_the_lock() {
        let mut scene = Scene::with(|scene| scene.published = scene.history.saves[0].record.clone());
        assert!(scene.ask(&ORACLE).is_some());
        scene.state_holder = Some(GONE);
        assert!(scene.ask(&ORACLE).is_some());
        scene.state_holder = Some(super::super::scene::ACTOR);
        assert!(scene.ask(&ORACLE).is_none());
        scene.published.version = 0;
        assert!(scene.ask(&ORACLE).is_some());
    }

    #[test]
    fn a_file_is_legal_while_the_task_that_answers_for_it_goes_on() {
        let mut scene = (ORACLE.bad_scene)();
        scene.history.answerable.insert(segment(9), super::super::scene::ACTOR);
        assert!(scene.ask(&ORACLE).is_none());
    }
}
