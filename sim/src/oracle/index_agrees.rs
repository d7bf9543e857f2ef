//! index-agrees: each manifest has one entry in the index, in its own segment, and each entry a manifest.
//!
//! Asked after each step. Legal meanwhile: nothing; one commit writes both. Does not verify the segments.

use super::scene::{Scene, segment};
use super::{Finding, Oracle, View, When, number};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "index-agrees",
    claim: "manifests and index entries are one to one",
    when: When::Step,
    check,
    bad_scene: || Scene::with(|scene| scene.history.index.push((segment(2), 7))),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let (rows, index) = (&view.history.rows, &view.history.index);
    let unlisted = rows.iter().find(|row| !index.contains(&(row.manifest.segment, row.key)));
    if let Some(row) = unlisted {
        let sentence = format!("key {} is in segment {}, and not in its index", row.key, number(row.manifest.segment));
        return Some(Finding { race: "manifest without an index entry".to_string(), sentence });
    }
    // each row has its entry; as many entries as rows leave none over
    let row_of = |segment, key| rows.iter().any(|row| (row.manifest.segment, row.key) == (segment, key));
    let (segment, key) = index.iter().find(|(segment, key)| rows.len() != index.len() && !row_of(*segment, *key))?;
    let sentence = format!("the index of segment {} has key {key}, whose manifest is not there", number(*segment));
    Some(Finding { race: "index entry without a manifest".to_string(), sentence })
}
