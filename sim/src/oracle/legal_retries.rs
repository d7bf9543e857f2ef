//! legal-retries: the engine tries again only what failed: an unlink that the disk refused, a put whose segment was
//! evicted or whose write met a full disk, a read whose file was gone, a look-up whose row was no longer the one that it
//! had found.
//!
//! Asked after each step. Legal meanwhile: as many retries as reasons. A retry that nobody needed would hide what called
//! for it. Does not verify that something is tried again; no-orphan, progress and honest do.

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
    let history = view.history;
    let retries = [
        ("unlinks", history.unlinks_reported, history.unlinks_failed),
        ("puts", history.puts_retried, history.puts_too_late + history.writes_refused),
        ("reads", history.reads_retried, history.reads_lost),
        ("look-ups", history.look_ups_retried, history.look_ups_overtaken),
    ];
    let (what, told, reasons) = retries.into_iter().find(|(_, told, reasons)| told > reasons)?;
    let sentence = format!("the engine tells of {told} {what} that it tries again, and has reasons for {reasons}");
    Some(Finding { race: format!("{what}: tried again"), sentence })
}
