//! ring-shape: members stand in the order in which they were pushed, and no generation holds more than its limit.
//!
//! Asked at each save. Legal meanwhile: a generation that was larger before the engine was opened with smaller limits, until
//! the next push. That no segment is listed twice and that generations do not get younger
//! along the list is checked by the record's decoding. Does not verify which members there are.

use super::scene::{Scene, ring, save, segment};
use super::{Finding, Oracle, View, When, number};
use segment_engine::Ring;
use segment_engine::ring::Generation;

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "ring-shape",
    when: When::Save,
    check,
    bad_scene: || {
        Scene::with(|scene| {
            let swapped = ring(|ring| [2, 1, 3, 4].into_iter().for_each(|number| ring.push(segment(number), 1)));
            scene.saving = save(3, 2, swapped);
        })
    },
};

fn check(view: &View<'_>) -> Option<Finding> {
    let saving = view.saving?;
    let (ring, joined) = (&saving.record.ring, &view.history.joined);
    let limits = ring.limits();
    let found = |what: String| {
        let sentence = format!("{} saved a ring in which {what}", view.label(saving.task));
        Some(Finding { race: format!("{}@RingSaved", view.kind(saving.task)), sentence })
    };
    let generations =
        [(Generation::Old, limits.old), (Generation::Current, limits.current), (Generation::New, limits.new)];
    let before = view.history.saved().map(|saved| &saved.ring);
    let is_push = before.and_then(Ring::active) != ring.active();
    let held = |generation| {
        let members = before.map_or(&[][..], Ring::members);
        members.iter().filter(|member| member.generation == generation).count()
    };
    for (generation, limit) in generations {
        let count = ring.members().iter().filter(|member| member.generation == generation).count();
        if count > limit && (is_push || count > held(generation)) {
            return found(format!("generation {generation:?} holds {count} segments, its limit is {limit}"));
        }
    }
    let mut last = 0;
    for member in ring.members() {
        // a new segment comes after all that joined before it
        let place = joined.iter().position(|other| *other == member.segment).unwrap_or(joined.len());
        if place < last {
            return found(format!("segment {} stands after a younger one", number(member.segment)));
        }
        last = place;
    }
    None
}
