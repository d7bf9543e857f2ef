//! no-dangling: every artifact in the catalog has its bytes.
//!
//! Asked after each step. Legal meanwhile: a row whose segment was doomed after its commit and still has its file; the
//! evictor deletes the row first. A row that is committed later may come after the evictor. Does not
//! verify what the bytes are (bytes-match does).

use super::scene::{Scene, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::is_doomed;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "no-dangling",
    claim: "every row's segment is listed and its file long enough",
    when: When::Step,
    check,
    bad_scene: || Scene::with(|scene| scene.history.rows[0].manifest.segment = segment(9)),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let rows = &view.history.rows;
    let saved = if rows.is_empty() { return None } else { view.history.saved()? };
    rows.iter().find_map(|row| {
        let manifest = row.manifest;
        let length = view.history.files.bytes(manifest.segment).map(|bytes| bytes.len() as u64);
        let is_member = saved.ring.generation_of(manifest.segment).is_some();
        let is_listed = is_member || is_doomed(saved, manifest.segment);
        let what = match length {
            None => "has no file",
            Some(_) if !is_listed => "is in no list",
            // since the last commit no ring was saved
            Some(_) if !is_member && row.commit == view.history.commits => "had left the ring already",
            Some(length) if manifest.length > 0 && length < manifest.offset + manifest.length => "has a shorter file",
            Some(_) => return None,
        };
        let sentence = format!("key {} dangles: segment {} {what}", row.key, number(manifest.segment));
        Some(Finding { race: format!("row of a segment that {what}"), sentence })
    })
}

#[cfg(test)]
mod tests {
    use super::super::scene::{ring_to, save};
    use super::*;

    #[test]
    fn a_row_of_a_doomed_segment_is_legal_only_if_it_was_there_before() {
        let doomed_after = |commits| {
            Scene::with(|scene| {
                let mut ring = ring_to(4);
                ring.doom(segment(3));
                scene.history.save(save(3, 2, ring));
                scene.history.commits += commits;
            })
        };
        assert!(doomed_after(1).ask(&ORACLE).is_none());
        assert!(doomed_after(0).ask(&ORACLE).is_some());
    }
}
