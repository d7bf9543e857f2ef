//! progress: the run ends: within its steps, with every caller and worker at its end, and with nothing queued.
//!
//! Asked when drained, or when the run was cut off at its bound: a constant for each operation of the workload. (A hold
//! takes no steps: it ends when nothing else can run.) Legal meanwhile: a daemon that waits for more work. Does not
//! verify fairness.

use super::scene::{ACTOR, Scene};
use super::{Finding, Oracle, View, When};
use crate::site::TaskId;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "progress",
    claim: "the run ended within its bound, so did every caller, and nothing is queued",
    when: When::Drained,
    check,
    bad_scene: || Scene::with(|scene| scene.unfinished = vec![ACTOR]),
};

fn check(view: &View<'_>) -> Option<Finding> {
    if view.steps > view.steps_max {
        let sentence = format!("the run does not end: {} steps, {} would do", view.steps, view.steps_max);
        return Some(Finding { race: "livelock".to_string(), sentence });
    }
    let Some(stalled) = view.unfinished.first().copied() else {
        let waiting = view.refreshes_waiting;
        let sentence = format!("nothing can run, and {waiting} artifacts are queued to be copied");
        return (waiting > 0).then(|| Finding { race: "refresh: stalled".to_string(), sentence });
    };
    let place = |task: &TaskId| format!("{} never goes on from {}", view.label(Some(*task)), view.tasks.place(*task));
    let stuck: Vec<String> = view.unfinished.iter().map(place).collect();
    let sentence = format!("nothing can run, and {}", stuck.join(", "));
    Some(Finding { race: format!("{}: stalled", view.kind(Some(stalled))), sentence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_nobody_works_on_is_rejected() {
        assert!(Scene::with(|scene| scene.refreshes_waiting = 1).ask(&ORACLE).is_some());
    }

    #[test]
    fn a_run_beyond_its_bound_is_rejected() {
        assert!(Scene::with(|scene| scene.steps = Scene::STEPS_MAX).ask(&ORACLE).is_none());
        assert!(Scene::with(|scene| scene.steps = Scene::STEPS_MAX + 1).ask(&ORACLE).is_some());
    }
}
