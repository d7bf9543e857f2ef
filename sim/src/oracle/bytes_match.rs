//! bytes-match: what a row names is, byte by byte, what somebody put.
//!
//! Asked after each step, of the rows that it committed and of those whose bytes were written over since. Legal
//! meanwhile: a bit that the plan has flipped there; the bytes are written before the row, and nobody writes there again. Does not verify that they are
//! there (no-dangling does).

use super::scene::{Scene, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::Row;
use xxhash_rust::xxh3::xxh3_64;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "bytes-match",
    claim: "a row names, byte by byte, what somebody put",
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
    let is_new = |row: &&Row| row.commit == history.commits || history.overwritten.contains(&row.key);
    let is_sound = |row: &&Row| !history.rot.is_in(&row.manifest);
    history.rows.iter().filter(is_new).filter(is_sound).find_map(|row| {
        let manifest = row.manifest;
        let bytes = history.artifact(&manifest)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_written_over_later_are_looked_at_again() {
        let written_over = |bytes: &[u8], at: u64| {
            Scene::with(|scene| {
                scene.history.commits += 1;
                scene.history.files.write(segment(3), at as usize, bytes);
                scene.history.write_over(segment(3), at, bytes.len() as u64);
            })
        };
        assert!(written_over(b"A", 0).ask(&ORACLE).is_some());
        assert!(written_over(b"artifact", 0).ask(&ORACLE).is_none(), "by the same");
        assert!(written_over(b"A", 8).ask(&ORACLE).is_none(), "behind it");
    }
}
