//! honest: a caller that was told of an eviction finds the segment gone, and nobody is told of an error that no fault
//! explains.
//!
//! Asked when drained. Legal meanwhile: nothing. The faults of today (failed unlinks) stay in the background, so that
//! every error is one too many. Does not verify pushes; no-lost-push does.

use super::scene::{ACTOR, Scene, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::Answer;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "honest",
    when: When::Drained,
    check,
    bad_scene: || Scene::with(|scene| scene.history.answers.push((ACTOR, Answer::Evicted(segment(2))))),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let saved = view.history.saved()?;
    view.history.answers.iter().find_map(|(task, answer)| {
        let label = view.label(Some(*task));
        let sentence = match answer {
            Answer::Evicted(segment) if saved.ring.generation_of(*segment).is_some() => {
                format!("{label} was told that segment {} is evicted, and it is in the ring", number(*segment))
            }
            Answer::Failed(error) => format!("{label} was told of an error that no fault explains: {error}"),
            Answer::Evicted(_) | Answer::Pushed(_) => return None,
        };
        Some(Finding { race: format!("{}: answer", view.kind(Some(*task))), sentence })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_a_fault_is_rejected_and_a_true_answer_is_not() {
        let told = |answer| Scene::with(|scene| scene.history.answers.push((ACTOR, answer)));
        assert!(told(Answer::Failed("no".to_string())).ask(&ORACLE).is_some());
        assert!(told(Answer::Evicted(segment(9))).ask(&ORACLE).is_none());
    }
}
