//! ring-shape: members stand in the order in which they were pushed, no generation holds more than its limit, and a segment
//! counts as many bytes as when it joined, also when it is doomed; one that is doomed and never joined, as many as its file
//! has.
//!
//! Asked at each save. Legal meanwhile: a generation that was larger before the engine was opened with smaller limits, until
//! the next push. That no segment is listed twice and that generations do not get younger
//! along the list is checked by the record's decoding. Does not verify which members there are.

use super::scene::{Scene, ring, save, segment};
use super::{Finding, Oracle, View, When, number};
use segment_engine::ring::{Doomed, Generation};
use segment_engine::{Ring, SegmentId};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "ring-shape",
    claim: "push order and generation limits hold; a segment counts the bytes that it joined with, a stray one those of its file",
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
    // the active segment may be another one because its file is lost, too
    let is_member = |segment| before.is_some_and(|before| before.generation_of(segment).is_some());
    let is_push = ring.active().is_some_and(|active| !is_member(active));
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
    for (segment, bytes) in counted(ring) {
        let was = before.and_then(|before| counted(before).find(|(other, _)| *other == segment));
        if let Some((_, other)) = was.filter(|(_, other)| *other != bytes) {
            return found(format!("segment {} counts {bytes} bytes, and counted {other}", number(segment)));
        }
    }
    let is_counted = |segment| before.is_some_and(|before| counted(before).any(|(other, _)| other == segment));
    for Doomed { segment, bytes } in ring.doomed().iter().filter(|doomed| !is_counted(doomed.segment)) {
        let length = view.history.files.bytes(*segment).map_or(*bytes, |file| file.len() as u64);
        if length != *bytes {
            return found(format!("the stray segment {} counts {bytes} bytes, and has {length}", number(*segment)));
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

/// The segments of a ring, the doomed too, and how many bytes each counts.
fn counted(ring: &Ring) -> impl Iterator<Item = (SegmentId, u64)> {
    let members = ring.members().iter().map(|member| (member.segment, member.bytes));
    members.chain(ring.doomed().iter().map(|doomed| (doomed.segment, doomed.bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::scene::ring_to;
    use super::*;
    use segment_engine::RingLimits;

    #[test]
    fn a_stray_file_counts_what_it_has() {
        let doomed_as = |bytes| {
            let change = |scene: &mut Scene| {
                scene.history.files.insert(segment(9));
                scene.history.files.write(segment(9), 0, b"stray");
                let mut ring = scene.published.ring.clone();
                ring.doom_stray(segment(9), bytes);
                scene.saving = save(3, 2, ring);
            };
            Scene::with(change).ask(&ORACLE).map(|finding| finding.sentence)
        };
        assert_eq!(doomed_as(5), None);
        let sentence = "actor#1 saved a ring in which the stray segment 9 counts 0 bytes, and has 5";
        assert_eq!(doomed_as(0).as_deref(), Some(sentence));
    }

    #[test]
    fn a_generation_may_be_too_large_for_new_limits_until_the_next_push() {
        let before = ring_to(4);
        let narrow = |change: &dyn Fn(&mut Ring)| {
            let limits = RingLimits { old: 1, current: 1, new: 1 };
            let mut ring = Ring::from_parts(limits, before.members().to_vec(), Vec::new());
            change(&mut ring);
            let scene = Scene::with(|scene| {
                (scene.history.saves, scene.saving) = (vec![save(2, 1, before.clone())], save(3, 2, ring));
            });
            scene.ask(&ORACLE).map(|finding| finding.sentence)
        };
        assert_eq!(narrow(&|_| {}), None);
        assert_eq!(
            narrow(&|ring| ring.lose(&[segment(4)])),
            None,
            "the active segment is another one, and none joined"
        );
    }

    #[test]
    fn what_is_doomed_counts_as_it_did() {
        let doomed_as = |bytes| {
            let before = ring(|ring| [1, 2].into_iter().for_each(|number| ring.push(segment(number), 5)));
            let mut after = ring(|ring| {
                [(1, bytes), (2, 5)].into_iter().for_each(|(number, bytes)| ring.push(segment(number), bytes))
            });
            after.doom(segment(1));
            let scene = Scene::with(|scene| {
                (scene.history.saves, scene.saving) = (vec![save(2, 1, before)], save(3, 2, after))
            });
            scene.ask(&ORACLE).map(|finding| finding.sentence)
        };
        assert_eq!(doomed_as(5), None);
        assert_eq!(
            doomed_as(4).as_deref(),
            Some("actor#1 saved a ring in which segment 1 counts 4 bytes, and counted 5")
        );
    }
}
