//! no-resurrection: a segment that left the ring never comes back.
//!
//! Asked at each save. Legal meanwhile: nothing (without power losses a doom is never undone). Does not verify that the
//! segment should have left.

use super::scene::{Scene, segment};
use super::{Finding, Oracle, View, When, number};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "no-resurrection",
    claim: "nothing in it has left the ring before",
    when: When::Save,
    check,
    bad_scene: || {
        Scene::with(|scene| {
            scene.history.departed.insert(segment(2));
        })
    },
};

fn check(view: &View<'_>) -> Option<Finding> {
    let saving = view.saving?;
    let members = saving.record.ring.members();
    let back = members.iter().find(|member| view.history.departed.contains(&member.segment))?;
    let sentence =
        format!("{} saved a ring in which segment {} is resurrected", view.label(saving.task), number(back.segment));
    Some(Finding { race: format!("{}@RingSaved", view.kind(saving.task)), sentence })
}
