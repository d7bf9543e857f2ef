//! no-dangling: every artifact in the catalog has its bytes.
//!
//! Asked after each step. Legal meanwhile: a row whose segment is doomed and still has its file; the evictor deletes the
//! row first. Does not verify what the bytes are (bytes-match does).

use super::scene::{Scene, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::is_doomed;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "no-dangling",
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
        let listed = saved.ring.generation_of(manifest.segment).is_some() || is_doomed(saved, manifest.segment);
        let what = match length {
            None => "has no file",
            Some(_) if !listed => "is in no list",
            Some(length) if length < manifest.offset + manifest.length => "has a shorter file",
            Some(_) => return None,
        };
        let sentence = format!("key {} dangles: segment {} {what}", row.key, number(manifest.segment));
        Some(Finding { race: format!("row of a segment that {what}"), sentence })
    })
}
