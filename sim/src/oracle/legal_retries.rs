//! legal-retries: the engine tries again only what failed: an unlink that the disk refused, a put whose segment was
//! evicted or whose write met a full disk, a read whose file was gone or that met a flipped bit, a look-up whose row
//! was no longer the one that it had found, the storing of an artifact of which a bit has flipped or a read has failed.
//! It calls a segment stuck only after so many unlinks of it that failed.
//!
//! Asked after each step. Legal meanwhile: as many retries as reasons. A retry that nobody needed would hide what
//! called for it. An unlink that has failed is tried again after a pause, but for one of an open, and delays no first
//! unlink of another. A put that a full disk has refused looks at what is free before it tries again. After a commit that
//! failed there is no other, nor a new segment's file, until the process has begun anew; nor after a sync of the catalog
//! that failed, from when the engine knows on: at once where a task syncs by itself, or with the first caller who is
//! told. Nor is there a sync of the catalog after one that failed, nor one of a segment, or of the catalog, beside
//! another of the same: where that fails, this one has tried it again, and may tell of success. An unlink of a doomed
//! segment that fails is told in the same step, and so is that a damaged artifact was stored anew. Does not verify that
//! something is tried again; no-orphan, progress and honest do.

use super::scene::Scene;
use super::{Finding, Oracle, View, When};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "legal-retries",
    claim: "an unlink, put or read is tried again only for a reason, an unlink after a pause, in which others are not delayed; behind a failed commit or sync of the catalog there is no commit and no new file, and behind a failed sync of it, or beside any sync, no other of the same",
    when: When::Step,
    check,
    bad_scene: || Scene::with(|scene| scene.history.evictor.unlinks_reported = 1),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let history = view.history;
    let retries = [
        ("unlink", "tries again", history.evictor.unlinks_reported, history.evictor.unlinks_failed),
        ("segment", "calls stuck", history.evictor.stuck_reported, history.evictor.stuck_at_most()),
        ("put", "tries again", history.retries.puts, history.retries.puts_too_late + history.room.writes_refused),
        ("read", "tries again", history.retries.reads, history.retries.reads_lost + history.rot.reads),
        ("look-up", "tries again", history.retries.look_ups, history.retries.look_ups_overtaken),
        ("artifact", "stores anew", history.rot.mended, history.rot.replaced),
    ];
    let found = |race: String, sentence| Some(Finding { race, sentence });
    if let Some((what, does, told, reasons)) = retries.into_iter().find(|(.., told, reasons)| told > reasons) {
        let plural = if told == 1 { "" } else { "s" };
        let sentence =
            format!("the engine tells of {told} {what}{plural} that it {does}, and has reasons for {reasons}");
        return found(format!("{what}s: tried again"), sentence);
    }
    if history.evictor.dooms_failed > history.evictor.unlinks_reported {
        let (failed, told) = (history.evictor.dooms_failed, history.evictor.unlinks_reported);
        let sentence = format!("{failed} unlinks of doomed segments have failed, and the engine tells of {told}");
        return found("unlinks: not told".to_string(), sentence);
    }
    if history.rot.replaced_in_ring > history.rot.mended {
        let (mended, told) = (history.rot.replaced_in_ring, history.rot.mended);
        let sentence = format!(
            "{mended} artifacts that were damaged or could not be read were stored anew, and the engine tells of {told}"
        );
        return found("artifacts: not told".to_string(), sentence);
    }
    if history.retries.puts_without_a_look > 0 {
        let sentence = "a put tries again on a disk that was full, and has not asked since what is free".to_string();
        return found("puts: no look".to_string(), sentence);
    }
    if history.files_behind_the_fence > 0 {
        let sentence =
            "a segment's file is made after a commit or a sync of the catalog has failed, and no ring will name it"
                .to_string();
        return found("files: behind the fence".to_string(), sentence);
    }
    if history.evictor.unlinks_too_soon > 0 {
        let sentence = "the evictor tries again what it could not unlink, without a pause".to_string();
        return found("unlinks: no pause".to_string(), sentence);
    }
    if history.evictor.unlinks_too_rare > 0 {
        let sentence = "the evictor has not tried again for two pauses what it could not unlink".to_string();
        return found("unlinks: too rare".to_string(), sentence);
    }
    if history.evictor.unlinks_too_late > 0 {
        let sentence = "the evictor unlinks a segment that was doomed before it paused for others".to_string();
        return found("unlinks: delayed".to_string(), sentence);
    }
    if history.commits_after_a_failed > 0 {
        let sentence = "the engine commits after a commit or a sync of the catalog has failed, and nobody knows what that one wrote".to_string();
        return found("commits: after one that failed".to_string(), sentence);
    }
    if history.syncs.again > 0 {
        let sentence = "a sync begins after one of the same has failed, or beside one that may: a second try may tell of success, and has made nothing durable".to_string();
        return found("syncs: tried again".to_string(), sentence);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Evictor, History};
    use segment_engine::SegmentId;

    /// Retries of a kind, and the reasons for them.
    type Counts = fn(&mut History) -> (&mut u64, &mut u64);

    #[test]
    fn what_failed_is_not_tried_again_at_once_and_nothing_is_committed_after_it() {
        let asked = |change: fn(&mut History)| Scene::with(|scene| change(&mut scene.history)).ask(&ORACLE);
        assert!(asked(|history| history.evictor.dooms_failed = 1).is_some(), "nobody was told");
        assert!(asked(|history| history.rot.replaced_in_ring = 1).is_some(), "nor of this");
        assert!(asked(|history| history.evictor.unlinks_too_soon = 1).is_some());
        assert!(asked(|history| history.evictor.unlinks_too_late = 1).is_some());
        assert!(asked(|history| history.evictor.unlinks_too_rare = 1).is_some());
        let stuck_after = |times| {
            let failed = move |scene: &mut Scene| {
                scene.history.evictor.failed.insert(SegmentId::from_u128(1), times);
                scene.history.evictor.stuck_reported = 1;
            };
            Scene::with(failed).ask(&ORACLE).is_some()
        };
        assert!(stuck_after(3) && !stuck_after(4));
        assert!(asked(|history| history.commits_after_a_failed = 1).is_some());
        assert!(asked(|history| history.retries.puts_without_a_look = 1).is_some());
        assert!(asked(History::begin_file).is_none());
        assert!(asked(|history| (history.is_fenced = true, history.begin_file()).1).is_some());
        let mut history = Scene::good().history;
        let targets = [None, Some(SegmentId::from_u128(1)), Some(SegmentId::from_u128(2))];
        targets.iter().for_each(|target| history.begin_sync(*target));
        history.end_sync(None);
        history.begin_sync(None);
        assert_eq!(history.syncs.again, 0, "they are of different things, or one after the other");
        history.begin_sync(targets[1]);
        assert_eq!(history.syncs.again, 1);
        assert!(asked(|history| history.syncs.again = 1).is_some());
    }

    #[test]
    fn what_failed_rests_for_a_second_or_two_and_delays_no_other() {
        let [kept, other] = [1, 2].map(SegmentId::from_u128);
        let unlinks = |segment, now_ms| {
            let mut evictor = Evictor::default();
            evictor.doom([kept].into_iter(), 1);
            evictor.refuse(kept);
            evictor.failed_ms.insert(kept, 5);
            evictor.doom([kept, other].into_iter(), 7);
            evictor.unlink(segment, now_ms);
            (evictor.unlinks_too_soon, evictor.unlinks_too_rare, evictor.unlinks_too_late)
        };
        assert_eq!((unlinks(kept, 1_004), unlinks(kept, 1_005)), ((1, 0, 0), (0, 0, 0)));
        assert_eq!((unlinks(kept, 2_005), unlinks(kept, 2_006)), ((0, 0, 0), (0, 1, 0)));
        assert_eq!((unlinks(other, 7), unlinks(other, 8)), ((0, 0, 0), (0, 0, 1)));
    }

    #[test]
    fn each_retry_needs_a_reason_of_its_own_kind() {
        let kinds: [Counts; 5] = [
            |history| (&mut history.evictor.unlinks_reported, &mut history.evictor.unlinks_failed),
            |history| (&mut history.retries.puts, &mut history.retries.puts_too_late),
            |history| (&mut history.retries.reads, &mut history.retries.reads_lost),
            |history| (&mut history.retries.look_ups, &mut history.retries.look_ups_overtaken),
            |history| (&mut history.rot.mended, &mut history.rot.replaced),
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
