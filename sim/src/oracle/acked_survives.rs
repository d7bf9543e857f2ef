//! acked-survives: what a key shows is changed only by a put under way, or goes with its segment.
//!
//! Asked after each step, of the sights that it brought. Legal meanwhile: a put that was dropped before its answer takes
//! effect later. An answered put that comes back has undone another. Does not verify that an evicted artifact had to go;
//! retention does.

use super::scene::{Scene, segment};
use super::{Finding, Oracle, View, When};
use crate::history::{Change, Sight};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "acked-survives",
    when: When::Step,
    check,
    bad_scene: || {
        Scene::with(|scene| {
            let mut manifest = scene.history.rows[0].manifest;
            (manifest.checksum, manifest.segment) = (7, segment(3));
            scene.history.change(&[Change::Row(1, Some(manifest))]);
            scene.history.see(scene.steps);
        })
    },
};

fn check(view: &View<'_>) -> Option<Finding> {
    let history = view.history;
    history.sights.iter().find_map(|(key, sights)| {
        let Sight { step, content, .. } = *sights.last()?;
        let content = content.filter(|_| step == view.steps && step > 0)?;
        if history.putting.iter().any(|put| (put.key, put.content) == (*key, content)) {
            return None;
        }
        let sentence = format!("key {key} shows what nobody puts: an answered put is undone");
        Some(Finding { race: "a row comes back".to_string(), sentence })
    })
}
