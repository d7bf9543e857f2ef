//! stored-once: of what is there already a put writes nothing, and reserves nothing for it.
//!
//! Asked when a put is answered whose bytes were there at once: if it has written since it began, or began again, then what
//! readers see is what it wrote. Two puts of the same bytes under one key wait for each other, so the second finds the first
//! one's. Legal: a row that a copy has moved meanwhile, and whose old segment was evicted before that was seen; what was
//! reserved after a first look, by a put that looked again. Does not verify streams, which are written before they are
//! known.

use super::scene::{ACTOR, Scene, segment};
use super::{Finding, Oracle, View, When};
use crate::history::{Answer, Begun, Change, Putting};
use segment_engine::manifest::Manifest;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "stored-once",
    claim: "what a put wrote is what is there: for what was there already it writes and reserves nothing",
    when: When::Answer,
    check,
    bad_scene: || {
        Scene::with(|scene| {
            let (content, bytes) = scene.history.contents.first_key_value().expect("there is an artifact");
            let (content, bytes) = (*content, bytes.len() as u64);
            scene.history.putting.push(Putting { task: ACTOR, key: 1, content, bytes, written: bytes });
            scene.history.begun.insert(ACTOR, Begun { puts: Some(bytes), ..Begun::default() });
            scene.history.durable_commits = scene.history.commits;
            scene.answer = (ACTOR, Answer::Put { is_new: true, key: 1, content, since: 4 });
        })
    },
};

/// Nor does it store anew what is sound.
pub const OF_WHAT_IS_SOUND: Oracle = Oracle {
    name: "stored-once",
    claim: "a put stores what is there anew only where a bit of it has flipped, or a read of it has failed",
    when: When::Step,
    check: is_sound,
    bad_scene: || {
        Scene::with(|scene| {
            let before = scene.history.rows[0].manifest;
            let anew = Manifest { version: before.version + 1, segment: segment(2), ..before };
            scene.history.change(&[Change::Row(1, Some(anew))]);
        })
    },
};

fn is_sound(view: &View<'_>) -> Option<Finding> {
    (view.history.rot.sound_replaced > 0).then(|| Finding {
        race: "row: stored anew".to_string(),
        sentence:
            "an artifact in the ring gave way to the same bytes elsewhere, it was sound, and no read of it had failed"
                .to_string(),
    })
}

fn check(view: &View<'_>) -> Option<Finding> {
    let history = view.history;
    let (task, Answer::Put { is_new, key, content, since }) = view.answer? else {
        return None;
    };
    let begun = history.begun.get(&task).filter(|begun| begun.rows_moved == history.rows_moved)?;
    if !is_new && !begun.is_stream && begun.has_reserved && begun.looks == 1 {
        let label = view.label(Some(task));
        let sentence = format!("{label} reserved bytes for key {key}, and what is there was there when it looked");
        return Some(Finding { race: format!("{}: reserved for nothing", view.kind(Some(task))), sentence });
    }
    let written = history.putting.iter().rfind(|put| put.task == task).map_or(0, |put| put.written);
    let is_own = history
        .sights_since(*key, *since)
        .any(|sight| sight.step >= *since && sight.task == Some(task) && sight.content == Some(*content));
    if written == 0 || is_own || begun.is_stream {
        return None;
    }
    let label = view.label(Some(task));
    let sentence = format!("{label} wrote {written} bytes for key {key}, and what is there is of another");
    Some(Finding { race: format!("{}: stored twice", view.kind(Some(task))), sentence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_looked_for_before_bytes_are_reserved() {
        let told = |looks, is_stream| {
            let mut scene = Scene::good();
            let content = *scene.history.contents.first_key_value().expect("there is an artifact").0;
            let begun = Begun { puts: Some(8), has_reserved: true, looks, is_stream, ..Begun::default() };
            scene.history.begun.insert(ACTOR, begun);
            scene.answer = (ACTOR, Answer::Put { is_new: false, key: 1, content, since: 4 });
            scene.ask(&ORACLE)
        };
        assert!(told(1, false).is_some());
        assert_eq!(told(2, false), None, "it came to be there while the put waited for room");
        assert_eq!(told(1, true), None, "a stream is known when it is written");
    }
}
