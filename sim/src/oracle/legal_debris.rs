//! legal-debris: what a crash leaves can be mended without loss.
//!
//! Asked after each crash, of what it left, before anything is mended. Legal: a file that no list names, and a doomed
//! segment with its file and rows, without rows, or without both. Illegal, unless the plan has removed the file or flipped a bit: a member
//! without a file, a row without its bytes or with others, a row of a segment in no list, and a row whose file is
//! unlinked already. Does not verify that what was answered is there (acked-survives does).

use super::scene::{Scene, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::is_doomed;
use xxhash_rust::xxh3::xxh3_64;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "legal-debris",
    claim: "no member without a file, no row without its bytes",
    when: When::CrashImage,
    check,
    bad_scene: || Scene::with(|scene| scene.history.files.remove(segment(2))),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let history = view.history;
    let saved = history.saved()?;
    let by_the_plan = |segment| history.files_lost.contains(&segment);
    let found =
        |what: String| Some(Finding { race: "crash: debris".to_string(), sentence: format!("the crash left {what}") });
    let members = saved.ring.members().iter().map(|member| member.segment);
    let lost = members.into_iter().find(|segment| !history.files.contains(*segment) && !by_the_plan(*segment));
    if let Some(lost) = lost {
        let unlinked = history.unlinkers.iter().find(|(segment, _)| *segment == lost);
        let unlinked = unlinked.map(|(_, by)| format!(", which {} has unlinked", view.label(Some(*by))));
        return found(format!("segment {} in the ring without a file{}", number(lost), unlinked.unwrap_or_default()));
    }
    history.rows.iter().filter(|row| !by_the_plan(row.manifest.segment)).find_map(|row| {
        let segment = row.manifest.segment;
        let what = match history.artifact(&row.manifest) {
            None if !history.files.contains(segment) => "which has no file",
            None if history.rows_cut.contains(&(row.key, row.manifest)) => return None,
            None => "whose file does not have its bytes",
            Some(bytes) if xxh3_64(bytes) != row.manifest.checksum && !history.rot.is_in(&row.manifest) => {
                "where its bytes are others"
            }
            Some(_) if saved.ring.generation_of(segment).is_none() && !is_doomed(saved, segment) => {
                "which is in no list"
            }
            Some(_) => return None,
        };
        found(format!("a row of key {} in segment {}, {what}", row.key, number(segment)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_file_that_was_cut_only_the_bytes_behind_its_end_may_be_missing() {
        let after = |written: &[u8], is_known: bool| {
            let mut scene = Scene::good();
            let manifest = scene.history.rows[0].manifest;
            scene.history.files.cut(manifest.segment, manifest.offset as usize);
            scene.history.files.write(manifest.segment, manifest.offset as usize, written);
            scene.history.rows_cut.extend(is_known.then_some((scene.history.rows[0].key, manifest)));
            scene.ask(&ORACLE)
        };
        assert!(after(b"", false).is_some(), "nobody has cut it");
        assert_eq!(after(b"", true), None);
        let longer = vec![7; 100];
        assert!(after(&longer, true).is_some(), "what was written there since is not what the row names");
    }
}
