//! legal-retries: the engine reports a failed unlink only when the disk failed one.
//!
//! Asked after each step. Legal meanwhile: as many reports as failures. A retry that nobody needed would hide what
//! called for it. Does not verify that a failed unlink is tried again; no-orphan and progress do.

use super::scene::Scene;
use super::{Finding, Oracle, View, When};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "legal-retries",
    when: When::Step,
    check,
    bad_scene: || Scene::with(|scene| scene.history.unlinks_reported = 1),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let (reported, failed) = (view.history.unlinks_reported, view.history.unlinks_failed);
    (reported > failed).then(|| Finding {
        race: "evictor@UnlinkFailed".to_string(),
        sentence: format!("the evictor reports {reported} failed unlinks, the disk failed {failed}"),
    })
}
