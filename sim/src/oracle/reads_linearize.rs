//! reads-linearize: a read answers with what could be seen at some moment between its call and its answer.
//!
//! Asked at each answer of a read. What can be seen of a key is the artifact of its row while the row's segment is in the
//! ring. So a key that is always present never misses, and no read goes back to what was replaced before it began. Legal:
//! anything that could be seen for a moment meanwhile. A read in pieces may end half way only if what could be seen has
//! changed: one that was merely moved goes on. Does not verify two reads of one caller against each other: the
//! second begins after the first has ended.

use super::scene::{ACTOR, Scene};
use super::{Finding, Oracle, View, When};
use crate::history::Answer;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "reads-linearize",
    claim: "a read answers with what could be seen at some moment meanwhile",
    when: When::Answer,
    check,
    bad_scene: || Scene::with(|scene| scene.answer = (ACTOR, Answer::Read { key: 1, content: None, since: 4 })),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let (task, answer) = view.answer?;
    let told = match answer {
        Answer::Read { key, content, since } if !view.history.was_seen(*key, *since, |seen| seen == *content) => {
            let what = match content {
                None => "missed".to_string(),
                Some(content) if view.history.contents.contains_key(content) => "was read as it was before".to_string(),
                Some(_) => "was read as bytes that nobody put".to_string(),
            };
            format!("key {key} {what}")
        }
        Answer::CutOff { key, since } if view.history.is_steady(*key, *since) => {
            let (label, race) = (view.label(Some(task)), format!("{}: read", view.kind(Some(task))));
            let sentence =
                format!("{label} was told that key {key} went while it was read, and it was there all the time");
            return Some(Finding { race, sentence });
        }
        Answer::Contains { key, found, since }
            if !view.history.was_seen(*key, *since, |seen| seen.is_some() == *found) =>
        {
            format!("key {key} is {}", if *found { "there" } else { "not there" })
        }
        _ => return None,
    };
    let label = view.label(Some(task));
    let sentence = format!("{label} was told that {told}, and at no moment meanwhile it was so");
    Some(Finding { race: format!("{}: read", view.kind(Some(task))), sentence })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Sight;

    #[test]
    fn a_read_is_cut_off_only_if_what_could_be_seen_has_changed() {
        let accepts = |later: Option<Option<u64>>| {
            let change = |scene: &mut Scene| {
                let sights = scene.history.sights.get_mut(&1).expect("key 1 is there");
                sights.extend(later.map(|content| Sight { step: 5, content, ..sights[0] }));
                scene.answer = (ACTOR, Answer::CutOff { key: 1, since: 4 });
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        assert!(accepts(Some(None)) && accepts(Some(Some(7))), "evicted, or replaced");
        assert!(!accepts(None));
    }
}
