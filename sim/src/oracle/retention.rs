//! retention: a segment goes only when it must, and the oldest goes first.
//!
//! Asked at each save. A push dooms only what its generations cannot hold, each of them full; one that follows a segment
//! whose first sync has failed takes the place of that, and dooms nothing else. A put dooms only when the disk has less
//! room than all puts under way have yet to write, or have written while it asked what is free, doomed bytes counted as
//! freed, unless they are stuck and the disk unlinks others, and no segment more than that takes; and nothing where all
//! segments together would not be enough for it. What it has evicted before and somebody still has open counts as freed,
//! too, unless it has slept since and looked again. Both take the oldest. An eviction by name dooms what it names and no
//! more, a pressure pass the oldest; how many those are is honest's. Nobody else dooms anything: no open, no evictor, and
//! no refresh, not by a push either.

use super::scene::{Scene, save, segment};
use super::{Finding, Oracle, View, When, number};
use crate::site::{TaskId, has_kind, kind};
use segment_engine::ring::Generation;
use segment_engine::{Ring, RingLimits};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "retention",
    claim: "what a push or a put evicts had to go, and no more than that; an eviction by name takes what it names; the oldest go first",
    when: When::Save,
    check,
    bad_scene: || {
        Scene::with(|scene| {
            let mut smaller = scene.published.ring.clone();
            smaller.push(segment(4), 1);
            smaller.doom(segment(1));
            scene.saving = save(3, 2, smaller);
        })
    },
};

fn check(view: &View<'_>) -> Option<Finding> {
    let saving = view.saving?;
    let (before, after) = (&view.history.saved()?.ring, &saving.record.ring);
    let gone = |segment| after.generation_of(segment).is_none() && !view.history.files_lost.contains(&segment);
    let first = before.members().iter().find(|member| gone(member.segment))?.segment;
    let label = view.label(saving.task);
    let is_push = after.active() != before.active();
    let is_put = !is_push && has_kind(label, "put");
    let is_for_a_copy = label.rsplit_once('/').is_some_and(|(starter, _)| has_kind(starter, "refresh"));
    let found = |what: String| {
        let sentence = format!("{label} evicted segment {}, and {what}", number(first));
        Some(Finding { race: format!("{}: needless eviction", kind(label)), sentence })
    };
    let stays = before.members().iter().position(|member| !gone(member.segment)).unwrap_or(before.members().len());
    let younger = before.members()[stays..].iter().find(|member| gone(member.segment)).map(|member| member.segment);
    if !is_push && !is_put {
        // or a task that the caller has started for it
        let callers = [saving.task, saving.task.and_then(|task| view.tasks.parent(task))];
        let asked = callers.into_iter().flatten().find_map(|caller| view.history.begun.get(&caller)?.evicts);
        let is_pressure = has_kind(label.split('/').next().unwrap_or(label), "pressure");
        let mut others = before.members().iter().filter(|member| gone(member.segment) && Some(member.segment) != asked);
        return match (others.next(), younger) {
            (None, _) => None,
            (Some(_), None) if is_pressure => None,
            (Some(_), Some(_)) if is_pressure => found("an older one stays".to_string()),
            (Some(other), _) => found(match asked {
                None => "nobody asked for it".to_string(),
                Some(asked) if other.segment == first => format!("was to evict {} alone", number(asked)),
                Some(_) => format!("segment {} besides", number(other.segment)),
            }),
        };
    }
    let stillborn = before.active().filter(|active| is_push && view.history.is_stillborn(*active));
    if let Some(stillborn) = stillborn {
        let other = before.members().iter().find(|member| gone(member.segment) && member.segment != stillborn)?.segment;
        let sentence = format!(
            "{label} evicted segment {}, and {}, of which no sync has succeeded, was to go in its place",
            number(other),
            number(stillborn)
        );
        return Some(Finding { race: format!("{}: needless eviction", kind(label)), sentence });
    }
    if is_for_a_copy {
        return found("it is to copy an artifact".to_string());
    }
    if let Some(younger) = younger {
        return found(match younger == first {
            true => "an older one stays".to_string(),
            false => format!("segment {}, though an older one stays", number(younger)),
        });
    }
    let old = after.members().iter().filter(|member| member.generation == Generation::Old).count();
    if is_push && old < after.limits().old {
        return found(format!("the oldest generation holds {old} segments and may hold {}", after.limits().old));
    }
    if is_push && let Some((generation, held, limit)) = younger_with_room(before, after) {
        let name = if generation == Generation::Current { "current" } else { "new" };
        return found(format!("the {name} generation holds {held} segments and may hold {limit}"));
    }
    let history = view.history;
    // a file that was unlinked and open when the put measured, and is closed now, is room that it could not know of
    let open = saving.task.and_then(|task| history.room.measured.get(&task)).map_or(0, |then| then.open_bytes);
    let closed = open.saturating_sub(history.files.used_by_unlinked());
    let held = held_by_own(view, saving.task.filter(|_| is_put));
    let room = view.room_to_come() - closed.cast_signed() + held.cast_signed();
    let needed = (view.bytes_under_way(None) + view.written_meanwhile(saving.task)).cast_signed();
    if is_put && room >= needed {
        return found(format!("{room} bytes are free or about to be, and puts need at most {needed}"));
    }
    let putter = saving.task.filter(|_| is_put);
    let length = putter.and_then(|task| history.begun.get(&task)?.puts).unwrap_or_default();
    let all: u64 = before.members().iter().map(|member| history.files.used(member.segment)).sum();
    let with_all = |task| view.room_at_most(task) + (view.known_of_doomed() + all).cast_signed();
    if let Some(most) = putter.map(with_all).filter(|most| *most < length.cast_signed()) {
        return found(format!("if all go {most} bytes are to be had, and the put needs {length}"));
    }
    // without the last of them: what it takes with it was not needed
    let but_the_last: u64 = before.members()[..stays - 1].iter().map(|victim| history.files.used(victim.segment)).sum();
    let but_the_last = but_the_last.cast_signed();
    if is_put && room + but_the_last >= needed {
        let last = number(before.members()[stays - 1].segment);
        let room = room + but_the_last;
        return found(format!(
            "segment {last} besides, when {room} bytes were to be free and puts need at most {needed}"
        ));
    }
    None
}

/// A generation before the oldest that a push has left with room, how many it holds and may hold: each passes on only what it
/// has no room for. Nothing is said of a ring that had outgrown smaller limits.
fn younger_with_room(before: &Ring, after: &Ring) -> Option<(Generation, usize, usize)> {
    let held = |ring: &Ring, generation| ring.members().iter().filter(|member| member.generation == generation).count();
    let RingLimits { old, current, new } = after.limits();
    let bounds = [(Generation::Current, current), (Generation::New, new)];
    let had_outgrown = |(generation, limit)| held(before, generation) > limit;
    if had_outgrown((Generation::Old, old)) || bounds.into_iter().any(had_outgrown) {
        return None;
    }
    let mut held = bounds.map(|(generation, limit)| (generation, held(after, generation), limit)).into_iter();
    held.find(|(_, held, limit)| held < limit)
}

/// Room that the disk has yet to show of what the put has evicted before, unless it has slept since: somebody has it open.
fn held_by_own(view: &View<'_>, putter: Option<TaskId>) -> u64 {
    let has_slept = |task| view.history.begun.get(&task).is_some_and(|begun| begun.has_slept);
    let waits_for = putter.filter(|task| !has_slept(*task)).into_iter().flat_map(|task| view.victims_of(task));
    waits_for.map(|victim| view.history.files.held(victim)).sum()
}

#[cfg(test)]
mod tests {
    use super::super::scene::ACTOR;
    use super::*;
    use crate::history::{Begun, Putting};

    #[test]
    fn nobody_evicts_who_was_not_asked_to() {
        let after = |change: fn(&mut segment_engine::Ring)| {
            let change = |scene: &mut Scene| {
                let mut ring = scene.published.ring.clone();
                change(&mut ring);
                scene.saving = save(3, 2, ring);
            };
            Scene::with(change).ask(&ORACLE).map(|finding| finding.sentence)
        };
        let doomed = after(|ring| assert_eq!(ring.doom(segment(1)), segment_engine::Eviction::Doomed));
        assert_eq!(doomed.as_deref(), Some("actor#1 evicted segment 1, and nobody asked for it"));
        assert_eq!(after(|ring| ring.forget(&[segment(1)])), None);
    }

    #[test]
    fn a_put_does_not_evict_for_what_it_has_evicted_and_somebody_has_open() {
        let after = |has_slept| {
            let change = |scene: &mut Scene| {
                let history = &mut scene.history;
                history.files.write(segment(1), 0, b"ten bytes.");
                history.files.write(segment(2), 0, b"ten bytes.");
                history.files.open(segment(1));
                history.files.remove(segment(1));
                history.room.disk_bytes = history.files.used_by_all();
                history.putting.push(Putting { task: ACTOR, key: 2, content: 0, bytes: 10, written: 0 });
                let mut ring = scene.published.ring.clone();
                ring.doom(segment(1));
                ring.forget(&[segment(1)]);
                history.save(save(3, 2, ring.clone()));
                history.begun.insert(ACTOR, Begun { puts: Some(10), has_slept, ..Begun::default() });
                ring.doom(segment(2));
                (scene.actor, scene.saving) = ("put#1", save(4, 3, ring));
            };
            Scene::with(change).ask(&ORACLE).map(|finding| finding.sentence)
        };
        let sentence = "put#1 evicted segment 2, and 10 bytes are free or about to be, and puts need at most 10";
        assert_eq!(after(false).as_deref(), Some(sentence));
        assert_eq!(after(true), None, "it has looked again, and in vain");
    }

    #[test]
    fn a_put_does_not_wait_for_what_is_stuck_unless_everything_is() {
        let after = |failed, stuck_in_a_row| {
            let change = |scene: &mut Scene| {
                let history = &mut scene.history;
                history.evictor.stuck_in_a_row = stuck_in_a_row;
                history.files.write(segment(1), 0, b"ten bytes.");
                history.files.write(segment(2), 0, b"ten bytes.");
                history.room.disk_bytes = history.files.used_by_all();
                history.putting.push(Putting { task: ACTOR, key: 2, content: 0, bytes: 10, written: 0 });
                let mut ring = scene.published.ring.clone();
                ring.doom(segment(1));
                history.save(save(3, 2, ring.clone()));
                history.evictor.failed.insert(segment(1), failed);
                ring.doom(segment(2));
                (scene.actor, scene.saving) = ("put#1", save(4, 3, ring));
            };
            Scene::with(change).ask(&ORACLE).map(|finding| finding.sentence)
        };
        let sentence = "put#1 evicted segment 2, and 10 bytes are free or about to be, and puts need at most 10";
        assert_eq!(after(3, 0).as_deref(), Some(sentence));
        assert_eq!(after(4, 1), None);
        assert_eq!(after(4, 2).as_deref(), Some(sentence), "the disk keeps whatever is evicted");
    }

    #[test]
    fn an_eviction_takes_what_it_names_and_pressure_the_oldest() {
        let after = |actor: &'static str, asked: Option<u128>, gone: &[u128]| {
            let change = |scene: &mut Scene| {
                let mut ring = scene.published.ring.clone();
                gone.iter().for_each(|number| _ = ring.doom(segment(*number)));
                scene.saving = save(3, 2, ring);
                scene.actor = actor;
                scene.history.begun.insert(ACTOR, Begun { evicts: asked.map(segment), ..Begun::default() });
            };
            Scene::with(change).ask(&ORACLE).map(|finding| finding.sentence)
        };
        assert_eq!(after("evict#1", Some(2), &[2]), None);
        assert_eq!(after("evict#1", Some(2), &[1, 2]).unwrap(), "evict#1 evicted segment 1, and was to evict 2 alone");
        assert_eq!(after("pressure#1", None, &[1]), None);
        assert_eq!(after("pressure#1", None, &[2]).unwrap(), "pressure#1 evicted segment 2, and an older one stays");
        assert_eq!(after("rotate#1", None, &[1]).unwrap(), "rotate#1 evicted segment 1, and nobody asked for it");
    }

    #[test]
    fn a_push_takes_the_place_of_what_was_never_synced() {
        let after = |is_replaced: bool| {
            let change = |scene: &mut Scene| {
                (4..=6).for_each(|number| scene.published.ring.push(segment(number), 1));
                scene.history.save(save(3, 2, scene.published.ring.clone()));
                scene.history.syncs.failed.insert(segment(6));
                let mut ring = scene.published.ring.clone();
                if is_replaced {
                    ring.replace_active(segment(7), 1)
                } else {
                    ring.push(segment(7), 1)
                }
                scene.saving = save(4, 3, ring);
            };
            Scene::with(change).ask(&ORACLE).map(|finding| finding.sentence)
        };
        assert_eq!(after(true), None);
        let sentence = "actor#1 evicted segment 1, and 6, of which no sync has succeeded, was to go in its place";
        assert_eq!(after(false).as_deref(), Some(sentence));
    }

    #[test]
    fn who_evicts_what_is_not_the_oldest_is_told_which_once() {
        let after = |evicted: &[u128]| {
            let change = |scene: &mut Scene| {
                let mut ring = scene.published.ring.clone();
                ring.push(segment(4), 1);
                for number in evicted {
                    ring.doom(segment(*number));
                }
                scene.saving = save(3, 2, ring);
            };
            Scene::with(change).ask(&ORACLE).unwrap().sentence
        };
        assert_eq!(after(&[2]), "actor#1 evicted segment 2, and an older one stays");
        assert_eq!(after(&[1, 3]), "actor#1 evicted segment 1, and segment 3, though an older one stays");
    }
}
