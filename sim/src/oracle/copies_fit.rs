//! copies-fit: a refresh takes a range for its copy only where the disk has room for that, and forgoes none that fits.
//! It copies nothing but what is of the oldest generation, and not in the active segment: all else has time.
//!
//! Asked after the step in which the copy is begun, or is not. Nothing is evicted for a copy: begun without room it
//! would fail, and its range be lost to the segment; each read would lose another. Legal: not to begin one while puts
//! and copies under way have yet to write what is free, or have written it since the disk was asked. To begin one for which
//! there was room when it was asked, and which the catalog's log, others, or late writes of dropped callers have taken
//! since. To run out of room while the copy is under way, or between a rotation that asked and the copy: so a worker that
//! has rotated is not judged any more, nor a copy whose row is replaced by now.
//!
//! When drained: what was read in the oldest generation is there no more, if the segment that was active then still is,
//! and has room for it: so the copy found room at once. A close waits for such copies. Legal: not to make it, or to
//! lose it, after anything has failed or was refused, or a copy was forgone, or where a bit has flipped. Does not
//! verify that a copy is made for which there must be a rotation.

use super::scene::{ACTOR, Scene, ring_to, save, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::{Copying, ToCopy};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "copies-fit",
    claim: "the disk has room for a copy that is begun; one that is forgone for want of room would not have fitted; what is copied was of the oldest generation",
    when: When::Step,
    check,
    bad_scene: || Scene::with(|scene| scene.history.copying = Some(Copying { task: ACTOR, length: Some(5), free: 4 })),
};

/// What is used does not go with the oldest: it is copied.
pub const OF_WHAT_WAS_READ: Oracle = Oracle {
    name: "copies-fit",
    claim: "what was read whole in the oldest generation is copied, where the active segment has room for it",
    when: When::Drained,
    check: is_copied,
    bad_scene: || Scene::with(read_in_segment_1),
};

/// Segments 1 to 6 are in the ring, and key 1, which is in the first of them, has been read.
fn read_in_segment_1(scene: &mut Scene) {
    scene.history.save(save(3, 2, ring_to(6)));
    let row = &mut scene.history.rows[0];
    row.manifest.segment = segment(1);
    scene.history.to_copy =
        vec![ToCopy { key: row.key, manifest: row.manifest, active: segment(6), writes_refused: 0 }];
}

fn is_copied(view: &View<'_>) -> Option<Finding> {
    let owners = view.owners.or(view.closing).filter(|_| view.history.errors.all == 0)?;
    let active = view.history.saved()?.ring.members().last()?;
    let reserved = owners.iter().find(|(segment, _)| *segment == active.segment).map_or(0, |(_, owners)| owners.sum());
    let reserved = reserved + view.history.written_while_closed;
    let is_left = |read: &&ToCopy| {
        let is_there = view.history.rows.iter().any(|row| (row.key, row.manifest) == (read.key, read.manifest));
        is_there
            && read.active == active.segment
            && reserved + read.manifest.length <= active.bytes
            && read.writes_refused == view.history.room.writes_refused
            && view.history.is_oldest(read.manifest.segment)
            && !view.history.rot.is_in(&read.manifest)
    };
    let ToCopy { key, manifest, .. } = view.history.to_copy.iter().find(is_left)?;
    let (from, to) = (number(manifest.segment), number(active.segment));
    let sentence =
        format!("key {key} was read in segment {from}, and is not copied, though segment {to} has room for it");
    Some(Finding { race: "refresh: no copy".to_string(), sentence })
}

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
    use super::*;
    use crate::history::Change;
    use segment_engine::manifest::Manifest;
    use segment_engine::usage::Owners;

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

    #[test]
    fn what_was_read_is_copied_unless_something_is_in_the_way() {
        let accepts = |change: &dyn Fn(&mut Scene)| {
            let scene = Scene::with(|scene| {
                read_in_segment_1(scene);
                change(scene);
            });
            scene.ask(&OF_WHAT_WAS_READ).is_none()
        };
        assert!(!accepts(&|_| {}));
        assert!(accepts(&|scene| scene.history.rows[0].manifest.segment = segment(6)), "it is copied");
        assert!(accepts(&|scene| scene.history.rows.clear()), "it is evicted");
        assert!(accepts(&|scene| scene.history.to_copy[0].active = segment(5)), "that was full, and the ring, too");
        assert!(accepts(&|scene| scene.history.errors.all = 1));
        assert!(accepts(&|scene| scene.history.room.writes_refused = 1));
        assert!(accepts(&|scene| scene.history.copies(ACTOR, None)));
        assert!(accepts(&|scene| scene.history.rot.bytes.push((segment(1), 0))));
        // the artifact has 8 bytes, and a segment 10
        let reserved = |live| accepts(&|scene| scene.owners.push((segment(6), Owners { live, ..Owners::default() })));
        assert!(!reserved(2) && reserved(3));
        let closed = |live, written| {
            accepts(&|scene| {
                scene.history.written_while_closed = written;
                scene.closing = Some(vec![(segment(6), Owners { live, ..Owners::default() })]);
            })
        };
        assert!(!closed(2, 0) && closed(3, 0) && closed(2, 1));
    }

    #[test]
    fn what_is_to_be_copied_was_read_whole_and_in_the_oldest_generation() {
        let is_to_be = |change: &dyn Fn(&mut Scene)| {
            let scene = Scene::with(|scene| {
                read_in_segment_1(scene);
                scene.history.to_copy.clear();
                scene.history.retries.found.insert(ACTOR, scene.history.retries.row_changes);
                change(scene);
                let content = scene.history.rows[0].manifest.checksum;
                scene.history.read_whole(ACTOR, scene.history.rows[0].key, content);
            });
            !scene.history.to_copy.is_empty()
        };
        assert!(is_to_be(&|_| {}));
        assert!(!is_to_be(&|scene| scene.history.rows[0].manifest.segment = segment(3)));
        assert!(!is_to_be(&|scene| scene.history.retries.row_changes += 1), "it may have read another");
    }
}
