//! recover-converges: an open leaves nothing to mend, and takes nothing away that was sound.
//!
//! Asked when an open is answered. The members that had a file are in the ring, in their order, and no others, but for
//! one new segment where there was none; each file is a member's or a doomed segment's; nothing is doomed any more,
//! unless an unlink has failed; what it has unlinked stays away; a row of a member that had its bytes is there as it
//! was. That the others are gone is for no-dangling and index-agrees, which are asked in the same step. Legal before
//! the answer: anything that a crash may leave.

use super::scene::{ACTOR, Scene, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::{Answer, is_doomed};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "recover-converges",
    claim: "after an open nothing is left to mend, and nothing sound is gone",
    when: When::Answer,
    check,
    bad_scene: || {
        Scene::with(|scene| {
            scene.answer = (ACTOR, Answer::Opened(Vec::new()));
            scene.history.image.members = vec![segment(1), segment(3)];
        })
    },
};

fn check(view: &View<'_>) -> Option<Finding> {
    let (task, Answer::Opened(_)) = view.answer? else {
        return None;
    };
    let history = view.history;
    let saved = history.saved()?;
    let image = &history.image;
    let members: Vec<_> = saved.ring.members().iter().map(|member| member.segment).collect();
    let is_first = image.members.is_empty() && members.len() == 1;
    let what = if members != image.members && !is_first {
        let numbers =
            |members: &[_]| members.iter().map(|segment| number(*segment).to_string()).collect::<Vec<_>>().join(" ");
        format!("left the ring [{}], and [{}] had their files", numbers(&members), numbers(&image.members))
    } else if let Some(doomed) = saved.ring.doomed().first()
        && history.evictor.unlinks_failed == image.unlinks_failed
    {
        format!("left segment {} doomed, and no unlink has failed", number(doomed.segment))
    } else if let Some(stray) = history.files.iter().find(|file| !members.contains(file) && !is_doomed(saved, *file)) {
        format!("left the file of segment {}, which is in no list", number(stray))
    } else if let Some(back) =
        history.files.may_come_back().find(|file| image.doomed.contains(file) || image.strays.contains(file))
    {
        format!("unlinked segment {}, and a power loss would bring it back", number(back))
    } else if let Some((key, _)) = image
        .sound
        .iter()
        .find(|(key, manifest)| !history.rows.iter().any(|row| (row.key, row.manifest) == (*key, *manifest)))
    {
        format!("took away key {key}, whose bytes were there")
    } else {
        return None;
    };
    let sentence = format!("{} {what}", view.label(Some(task)));
    Some(Finding { race: "open: converges".to_string(), sentence })
}
