//! stored-once: of what is there already a put writes nothing.
//!
//! Asked when a put is answered whose bytes were there at once: if it has written since it began, or began again, then what
//! readers see is what it wrote. Two puts of the same bytes under one key wait for each other, so the second finds the first
//! one's. Legal: a row that a copy has moved meanwhile, and whose old segment was evicted before that was seen. Does not
//! verify streams, which are written before they are known.

use super::scene::{ACTOR, Scene, segment};
use super::{Finding, Oracle, View, When};
use crate::history::{Answer, Begun, Change, Putting};
use segment_engine::manifest::Manifest;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "stored-once",
    claim: "what a put wrote is what is there: of what was there already it writes nothing",
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
    let (task, Answer::Put { key, content, since, .. }) = view.answer? else {
        return None;
    };
    let begun = history.begun.get(&task)?;
    let written = history.putting.iter().rfind(|put| put.task == task).map_or(0, |put| put.written);
    let is_own = history
        .sights_since(*key, *since)
        .any(|sight| sight.step >= *since && sight.task == Some(task) && sight.content == Some(*content));
    if written == 0 || is_own || begun.is_stream || begun.rows_moved != history.rows_moved {
        return None;
    }
    let label = view.label(Some(task));
    let sentence = format!("{label} wrote {written} bytes for key {key}, and what is there is of another");
    Some(Finding { race: format!("{}: stored twice", view.kind(Some(task))), sentence })
}
