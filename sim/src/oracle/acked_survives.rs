//! acked-survives: what a key shows is changed only by a put under way, or goes with its segment.
//!
//! Asked after each step, of the sights that it brought: what nobody puts, and nothing while the segment that it was in
//! is in the ring. Legal meanwhile: a put that was dropped before its answer takes effect later. An answered put that comes
//! back has undone another. Does not verify that an evicted artifact had to go; retention does.
//!
//! After a crash each key shows what it has shown at some moment since the last put that was answered and since the last
//! open, byte by byte, or what a put was to store whose commit failed and is there. Legal: nothing, where its segment was
//! evicted since, also by a commit that failed and is there. Anything, where the plan has removed the file, or cut it before
//! the end of the bytes; other bytes, where it has flipped a bit.

use super::scene::{ACTOR, Scene, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::{Change, Sight, is_doomed};
use crate::site::{OPEN, has_kind};
use segment_engine::manifest::Manifest;
use xxhash_rust::xxh3::xxh3_64;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "acked-survives",
    claim: "what a key shows is changed only by a put under way, or goes with its segment",
    when: When::Step,
    check,
    bad_scene: || {
        Scene::with(|scene| {
            let mut manifest = scene.history.rows[0].manifest;
            (manifest.checksum, manifest.segment) = (7, segment(3));
            scene.history.change(&[Change::Row(1, Some(manifest))]);
            scene.history.see(scene.steps, Some(ACTOR));
        })
    },
};

/// The same after a crash.
pub const AFTER_A_CRASH: Oracle = Oracle {
    name: "acked-survives",
    claim: "each key shows what it has shown since the last answered put and the last open, or nothing if it was evicted",
    when: When::CrashImage,
    check: survives,
    bad_scene: || {
        Scene::with(|scene| {
            scene.history.acked.insert(1, 1);
            scene.history.change(&[Change::Row(1, None)]);
        })
    },
};

fn survives(view: &View<'_>) -> Option<Finding> {
    let history = view.history;
    history.acked.iter().find_map(|(key, acked)| {
        let row = history.rows.iter().find(|row| row.key == *key).map(|row| row.manifest);
        let is_cut =
            |manifest: &Manifest| history.rows_cut.contains(&(*key, *manifest)) && history.artifact(manifest).is_none();
        if row.is_some_and(|manifest| history.files_lost.contains(&manifest.segment) || is_cut(&manifest)) {
            return None;
        }
        let is_doomed_late = history.image.is_late
            && row.is_some_and(|manifest| history.saved().is_some_and(|saved| is_doomed(saved, manifest.segment)));
        let row = row.filter(|manifest| {
            history.saved().is_some_and(|saved| saved.ring.generation_of(manifest.segment).is_some())
        });
        let shown = row.map(|manifest| manifest.checksum);
        let sights = history.sights.get(key).map_or(&[][..], Vec::as_slice);
        let before = |sight: &&Sight| sight.commit >= *acked && sight.step < view.steps;
        let is_sight = sights.iter().filter(before).any(|sight| sight.content == shown);
        let is_unanswered =
            history.image.is_late && history.putting.iter().any(|put| put.key == *key && Some(put.content) == shown);
        let what = match row {
            _ if is_doomed_late => return None,
            _ if !is_sight && !is_unanswered => "does not show the put that was answered last, or a later one",
            Some(manifest) if history.artifact(&manifest).map(xxh3_64) != shown && !history.rot.is_in(&manifest) => {
                "has lost the bytes of a put that was answered"
            }
            _ => return None,
        };
        Some(Finding { race: "crash: lost".to_string(), sentence: format!("after the crash key {key} {what}") })
    })
}

fn check(view: &View<'_>) -> Option<Finding> {
    let history = view.history;
    history.sights.iter().find_map(|(key, sights)| {
        let Sight { step, content, task, segment, .. } = *sights.last()?;
        if step != view.steps || step == 0 {
            return None;
        }
        let Some(content) = content else {
            // an open that finds no file deletes the rows that name it
            let saved = history.saved().filter(|_| !history.is_recovering)?;
            let segment = segment.filter(|segment| saved.ring.generation_of(*segment).is_some())?;
            // or the bytes that it names
            if has_kind(view.label(task), OPEN) && history.image.rows_lost.contains_key(&segment) {
                return None;
            }
            let (by, place) = (view.label(task), number(segment));
            let sentence =
                format!("{by} made key {key} show nothing, and segment {place}, which it was in, is in the ring");
            return Some(Finding { race: format!("{}: a row vanishes", view.kind(task)), sentence });
        };
        if history.putting.iter().any(|put| (put.key, put.content) == (*key, content)) {
            return None;
        }
        let before = sights.iter().rev().nth(1).filter(|sight| sight.content.is_some());
        let undone = before.map(|sight| format!(", in the place of what {} committed", view.label(sight.task)));
        let row = history.rows.iter().find(|row| row.key == *key);
        let place = row.map(|row| format!(" in segment {}", number(row.manifest.segment)));
        let (by, place, undone) = (view.label(task), place.unwrap_or_default(), undone.unwrap_or_default());
        let sentence = format!("{by} made key {key} show{place} what nobody puts{undone}");
        Some(Finding { race: format!("{}: a row comes back", view.kind(task)), sentence })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_may_drop_the_row_of_bytes_that_are_gone_and_nobody_else_may() {
        let dropped_by = |actor, is_lost: bool| {
            let mut scene = Scene { actor, ..Scene::good() };
            let segment = scene.history.rows[0].manifest.segment;
            scene.history.see(1, Some(ACTOR));
            scene.history.change(&[Change::Row(1, None)]);
            scene.history.see(scene.steps, Some(ACTOR));
            scene.history.image.rows_lost.extend(is_lost.then_some((segment, 1)));
            scene.ask(&ORACLE)
        };
        assert!(dropped_by("open#1", false).is_some());
        assert_eq!(dropped_by("open#1", true), None);
        assert!(dropped_by("refresh#1", true).is_some());
    }
}
