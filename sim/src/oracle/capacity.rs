//! capacity: every byte of a segment has an owner, and the engine's count of them is right.
//!
//! Asked when drained. The live bytes of a segment are those of the rows that name it; nothing is under way; the owners
//! add up to what was reserved, which is the length of the file, but for abandoned bytes at its end that were never
//! written. Legal meanwhile: counts that are behind. Legal when a commit or a sync of the catalog has failed: what became of
//! its bytes is unknown until the next open. Does not verify who, among those that are not live, owns what.

use super::scene::{Scene, segment};
use super::{Finding, Oracle, View, When, number};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "capacity",
    when: When::Drained,
    check,
    bad_scene: || Scene::with(|scene| scene.owners.retain(|(other, _)| *other != segment(3))),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let counted = view.owners.filter(|_| view.history.errors.catalog == 0)?;
    let rows = |segment| view.history.rows.iter().filter(move |row| row.manifest.segment == segment);
    view.history.saved()?.ring.members().iter().find_map(|member| {
        let segment = member.segment;
        let owners = counted.iter().find(|(other, _)| *other == segment).map(|(_, owners)| *owners).unwrap_or_default();
        let live: u64 = rows(segment).map(|row| row.manifest.length).sum();
        let length = view.history.files.bytes(segment).map_or(0, Vec::len) as u64;
        let what = if owners.live != live {
            format!("{} bytes are counted as live, and rows name {live}", owners.live)
        } else if owners.under_way != 0 {
            format!("{} bytes are under way, and nothing is", owners.under_way)
        } else if owners.sum() < length {
            format!("{} bytes belong to nobody", length - owners.sum())
        } else if owners.sum() - owners.abandoned > length {
            format!("{} bytes have an owner and are not there", owners.sum() - owners.abandoned - length)
        } else {
            return None;
        };
        let sentence = format!("in segment {}, {what}", number(segment));
        Some(Finding { race: "byte owners".to_string(), sentence })
    })
}
