//! bytes-match: what a row names is, byte by byte, what somebody put.
//!
//! Asked after each step, of the rows that it committed. Legal meanwhile: nothing; the bytes are written before the row.
//! Does not verify that they stay: no-dangling and reads-linearize do.

use super::scene::{Scene, segment};
use super::{Finding, Oracle, View, When, number};
use xxhash_rust::xxh3::xxh3_64;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "bytes-match",
    when: When::Step,
    check,
    bad_scene: || {
        Scene::with(|scene| {
            scene.history.files.write(segment(3), 0, b"A");
        })
    },
};

fn check(view: &View<'_>) -> Option<Finding> {
    let history = view.history;
    history.rows.iter().filter(|row| row.commit == history.commits).find_map(|row| {
        let manifest = row.manifest;
        let file = history.files.bytes(manifest.segment)?;
        let range = usize::try_from(manifest.offset).ok()?..usize::try_from(manifest.offset + manifest.length).ok()?;
        let bytes = file.get(range)?;
        if history.contents.contains_key(&manifest.checksum) && xxh3_64(bytes) == manifest.checksum {
            return None;
        }
        let sentence = format!(
            "the bytes of key {} at {} of segment {} are not those that were put",
            row.key,
            manifest.offset,
            number(manifest.segment)
        );
        Some(Finding { race: "row of other bytes".to_string(), sentence })
    })
}
