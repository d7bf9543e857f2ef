//! no-phantom: every segment in the ring, saved or published, has a file.
//!
//! Asked after each step. Legal meanwhile: nothing; the file comes before the ring and goes after it. Does not verify
//! what is in the file.

use super::scene::{Scene, segment};
use super::{Finding, Oracle, View, When, number};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "no-phantom",
    claim: "every segment in the ring has a file",
    when: When::Step,
    check,
    bad_scene: || {
        Scene::with(|scene| {
            scene.history.files.remove(segment(2));
        })
    },
};

fn check(view: &View<'_>) -> Option<Finding> {
    let last = view.history.saves.last()?;
    let lists = [Some((&last.record, "catalog")), view.published.map(|published| (published, "memory"))];
    for (record, place) in lists.into_iter().flatten() {
        let phantom = record.ring.members().iter().find(|member| !view.history.files.contains(member.segment));
        if let Some(phantom) = phantom {
            let sentence = format!(
                "segment {} is a phantom: the ring in {place}, last saved by {}, names it and it has no file",
                number(phantom.segment),
                view.label(last.task)
            );
            return Some(Finding { race: format!("{}@RingSaved", view.kind(last.task)), sentence });
        }
    }
    None
}
