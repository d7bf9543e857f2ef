//! no-orphan: when everything has ended, each file belongs to a segment in the ring, and no doom is left undone.
//!
//! Asked when drained. Legal meanwhile: everything; views-agree watches the way there. Legal when a commit or a
//! sync of the catalog has failed, or a read of the evictor's, or the unlink of what could not be made, or the open did, or
//! the engine was closed after an unlink had failed: the next open removes the file, and goes on with the doom. Does not verify that members have files.

use super::scene::{Scene, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::is_doomed;
use segment_engine::SegmentId;
use segment_engine::ring::Doomed;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "no-orphan",
    claim: "every file belongs to the ring, and no doom is left undone",
    when: When::Drained,
    check,
    bad_scene: || {
        Scene::with(|scene| {
            scene.history.files.insert(segment(9));
        })
    },
};

fn check(view: &View<'_>) -> Option<Finding> {
    let history = view.history;
    let is_unknown = history.is_recovering || history.errors.catalog > 0;
    let saved = history.saved().filter(|_| !is_unknown)?;
    let is_undone = |doomed: &&Doomed| history.errors.evictor == 0 && !history.evictor.is_left(doomed.segment);
    if let Some(doomed) = saved.ring.doomed().iter().find(is_undone) {
        let sentence = format!("segment {} is doomed and nobody unlinks it", number(doomed.segment));
        return Some(Finding { race: "evictor: doomed for ever".to_string(), sentence });
    }
    let is_left = |file| is_doomed(saved, file) && history.evictor.is_left(file);
    let is_orphan =
        |file: &SegmentId| saved.ring.generation_of(*file).is_none() && !history.may_be_stray(*file) && !is_left(*file);
    let orphan = history.files.iter().find(is_orphan)?;
    let owner = view.history.answerable.get(&orphan).copied();
    let sentence = format!(
        "segment {} is orphaned: it has a file and no list names it; {} answers for it",
        number(orphan),
        view.label(owner)
    );
    Some(Finding { race: format!("{}: orphan", view.kind(owner)), sentence })
}

#[cfg(test)]
mod tests {
    use super::super::scene::save;
    use super::*;

    #[test]
    fn a_close_leaves_what_could_not_be_unlinked_and_nothing_else() {
        let accepts = |has_failed: bool, is_closing: bool| {
            let change = |scene: &mut Scene| {
                let mut ring = scene.published.ring.clone();
                ring.doom(segment(1));
                scene.history.save(save(3, 2, ring));
                if has_failed {
                    scene.history.evictor.refuse(segment(1));
                }
                scene.history.evictor.is_closing = is_closing;
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        assert!(accepts(true, true));
        assert!(!accepts(true, false) && !accepts(false, true) && !accepts(false, false));
    }
}
