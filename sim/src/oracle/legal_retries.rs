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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;

    /// Retries of a kind, and the reasons for them.
    type Counts = fn(&mut History) -> (&mut u64, &mut u64);

    #[test]
    fn each_retry_needs_a_reason_of_its_own_kind() {
        let kinds: [Counts; 4] = [
            |history| (&mut history.unlinks_reported, &mut history.unlinks_failed),
            |history| (&mut history.puts_retried, &mut history.puts_too_late),
            |history| (&mut history.reads_retried, &mut history.reads_lost),
            |history| (&mut history.look_ups_retried, &mut history.look_ups_overtaken),
        ];
        for (at, kind) in kinds.iter().enumerate() {
            let told = |reason: usize| {
                Scene::with(|scene| {
                    *kind(&mut scene.history).0 = 1;
                    *kinds[reason](&mut scene.history).1 = 1;
                })
            };
            assert!(told(at).ask(&ORACLE).is_none());
            assert!(told((at + 1) % kinds.len()).ask(&ORACLE).is_some());
        }
    }
}
