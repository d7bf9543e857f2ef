//! copies-fit: a refresh takes a range for its copy only where the disk has room for that, and forgoes none that fits.
//! It copies nothing but what is of the oldest generation, and not in the active segment: all else has time.
//!
//! Asked after the step in which the copy is begun, or is not. Nothing is evicted for a copy: begun without room it
//! would fail, and its range be lost to the segment; each read would lose another. Legal: not to begin one while puts
//! and copies under way have yet to write what is free. That room goes while a copy is under way, to the catalog's log,
//! or to puts, which ask for none beforehand; or between a rotation that asked for it and the copy. So a worker that
//! has rotated is not judged any more, nor a copy whose row is replaced by now. Does not verify that a copy is begun.

use super::scene::{ACTOR, Scene};
use super::{Finding, Oracle, View, When};
use crate::history::Copying;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "copies-fit",
    claim: "the disk has room for a copy that is begun; one that is forgone for want of room would not have fitted; what is copied was of the oldest generation",
    when: When::Step,
    check,
    bad_scene: || Scene::with(|scene| scene.history.copying = Some(Copying { task: ACTOR, length: Some(5), free: 4 })),
};

fn check(view: &View<'_>) -> Option<Finding> {
    if view.history.young_copied > 0 {
        let sentence =
            "an artifact was copied that is in the active segment, or not of the oldest generation".to_string();
        return Some(Finding { race: "row: copied too early".to_string(), sentence });
    }
    let Copying { task, length, free } = view.history.copying?;
    let label = view.label(Some(task));
    let found =
        |what: &str, sentence| Some(Finding { race: format!("{}: copy {what}", view.kind(Some(task))), sentence });
    let Some(length) = length else {
        // it may have ended since, and counts all the same
        let needed = view.bytes_under_way(None) + view.longest();
        let sentence = || {
            format!("{label} forgoes a copy, though {free} bytes are free and no more than {needed} are to be written")
        };
        return if free >= needed { found("forgone", sentence()) } else { None };
    };
    let has_rotated =
        || view.history.saves.iter().any(|save| save.task.and_then(|by| view.tasks.parent(by)) == Some(task));
    if free >= length || has_rotated() {
        return None;
    }
    found("in vain", format!("{label} begins to copy {length} bytes on a disk that has room for {free}"))
}

#[cfg(test)]
mod tests {
    use super::super::scene::{ring_to, save, segment};
    use super::*;
    use crate::history::Change;
    use segment_engine::manifest::Manifest;

    #[test]
    fn only_what_is_of_the_oldest_generation_is_copied() {
        // of 1 to 6 the first two are
        let accepts = |from, changed| {
            let change = |scene: &mut Scene| {
                scene.history.save(save(3, 2, ring_to(6)));
                scene.history.rows[0].manifest.segment = segment(from);
                let before = scene.history.rows[0].manifest;
                let to = Manifest { segment: segment(3), checksum: before.checksum ^ changed, ..before };
                scene.history.copy(&[Change::Row(1, Some(to))]);
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        assert!(accepts(1, 0) && accepts(2, 0) && !accepts(3, 0) && !accepts(6, 0));
        // overwritten, and not copied
        assert!(accepts(3, 1));
    }

    #[test]
    fn a_copy_is_forgone_only_where_it_does_not_fit() {
        // the only content has 8 bytes
        let accepts = |length, free| {
            let copying = Some(Copying { task: ACTOR, length, free });
            Scene::with(|scene| scene.history.copying = copying).ask(&ORACLE).is_none()
        };
        assert!(accepts(Some(8), 8) && !accepts(Some(8), 7));
        assert!(accepts(None, 7) && !accepts(None, 8));
    }
}
