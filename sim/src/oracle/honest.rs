//! honest: what a caller is told is so at the moment it is told.
//!
//! Asked at each answer, which an operation gives in the same step as its last change. An eviction: the segment is
//! gone, by a save of its own. Absent: it is not there. Refused: it is the active one. A pressure pass: no more than
//! the target is left, or only the active segment, and with its last victim it was more; what it says are its victims
//! left by a save of its own. A put: since its call its artifact could be seen, by a commit that a sync of the catalog
//! has covered; it has stored that itself if it says so, and not if it says that it was there, nor after somebody was
//! told that its bytes are damaged or cannot be read. A close: no other task goes on, also where it fails; a sync has
//! covered every commit, none of either has failed, and nothing is doomed whose unlink has not failed. Evicted again
//! and again: as often as the engine tries. A full disk: only if since the call it refused something else than a write,
//! for which room is made. No room: only if evicting all would not make it, but for what is doomed and the disk keeps,
//! or where it unlinked nothing. That unlinks fail: only when that of each doomed segment has, as often as makes it
//! stuck, and more is doomed than may be. Any other error: only if an operation has failed since the call; that writing
//! is fenced, only after a commit or a sync of the catalog in this life of the process, or a read of the evictor's,
//! which ends it, and never one who reads; that an artifact is damaged, only if it has read a bit since the call that
//! has flipped, and a get, that nobody sees before it is whole, since it last went on elsewhere; that a row is, never.
//! Does not verify pushes; no-lost-push does.

use super::scene::{ACTOR, Scene, segment};
use super::{Finding, Oracle, View, When, number};
use crate::history::{Answer, Cause, Key, Sight};
use crate::site::{CLOSE, has_kind};
use segment_engine::SegmentId;
use segment_engine::limits::{PUT_ATTEMPTS_MAX, ROOM_ROUNDS_MAX};

/// The oracle.
pub const ORACLE: Oracle = Oracle {
    name: "honest",
    claim: "what a caller is told is so; a put's commit is durable",
    when: When::Answer,
    check,
    bad_scene: || Scene::with(|scene| scene.answer = (ACTOR, Answer::Evicted(segment(2)))),
};

fn check(view: &View<'_>) -> Option<Finding> {
    let ring = &view.history.saved()?.ring;
    let (task, answer) = view.answer?;
    let is_member = |segment| ring.generation_of(segment).is_some();
    let left: u64 = ring.members().iter().map(|member| member.bytes).sum();
    let doomed_now = || view.saved_doomed().iter().map(|doomed| doomed.segment);
    let never_refused = doomed_now().find(|segment| !view.history.evictor.failed.contains_key(segment));
    let are_stuck = doomed_now().all(|segment| view.history.evictor.has_failed_often(segment));
    let begun = view.history.begun.get(&task).copied().unwrap_or_default();
    let before = begun.errors;
    let doomed: u64 = view.saved_doomed().iter().map(|doomed| doomed.bytes).sum();
    let is_crowded = doomed > view.history.room.doomed_bytes_max;
    let has_ended = view.history.errors.evictor > 0;
    let setbacks = view.history.retries.puts_too_late + view.history.room.writes_refused;
    let is_known_rotten = |key: Key| {
        let mut rows = view.history.rows.iter().filter(|row| row.key == key);
        rows.any(|row| view.history.rot.is_known_in(&row.manifest, begun.rot_told))
    };
    let has_evicted = |segment: SegmentId| view.victims_of(task).any(|victim| victim == segment);
    let beside = view.tasks.beside(task).filter(|_| has_kind(view.label(Some(task)), CLOSE));
    let lie = match answer {
        _ if beside.is_some() => format!("the engine is closed, and {} goes on", view.label(beside)),
        Answer::Evicted(segment) if is_member(*segment) => {
            format!("segment {} is evicted, and it is in the ring", number(*segment))
        }
        Answer::Evicted(segment) if !has_evicted(*segment) => {
            format!("segment {} is evicted, and that another has done", number(*segment))
        }
        Answer::Absent(segment) if is_member(*segment) => {
            format!("segment {} is not in the ring, and it is", number(*segment))
        }
        Answer::RefusedActive(segment) if ring.active() != Some(*segment) => {
            format!("segment {} is the active one, and it is not", number(*segment))
        }
        Answer::Relieved { target_bytes, .. } if left > *target_bytes && ring.members().len() > 1 => {
            format!("at most {target_bytes} bytes are left, and there are {left}")
        }
        Answer::Relieved { target_bytes, victims }
            if victims.last().is_some_and(|last| left + view.history.bytes_of(*last) <= *target_bytes) =>
        {
            format!("{} segments had to go for {target_bytes} bytes to be left, and {left} are", victims.len())
        }
        Answer::Relieved { victims, .. } if victims.iter().any(|victim| is_member(*victim)) => {
            "they are evicted, and one of them is in the ring".to_string()
        }
        Answer::Relieved { victims, .. } if victims.iter().any(|victim| !has_evicted(*victim)) => {
            "they are evicted, and another has evicted one of them".to_string()
        }
        Answer::Put { is_new, key, content, since } => {
            let is_own =
                |sight: &Sight| sight.task == Some(task) && sight.content == Some(*content) && sight.step >= *since;
            // what it has stored itself, or, where that was there, whoever has
            let is_seen = |sight: &Sight| if *is_new { is_own(sight) } else { sight.content == Some(*content) };
            let was_there = view.history.was_seen(*key, *since, |seen| seen == Some(*content));
            let has_own = view.history.sights_since(*key, *since).any(|sight| is_own(&sight));
            let mut seen = view.history.sights_since(*key, *since).filter(is_seen);
            match seen.next().map(|first| seen.fold(first.commit, |least, sight| least.min(sight.commit))) {
                None if *is_new && was_there => format!("it has stored key {key}, and it was there already"),
                None => format!("key {key} is stored, and it could not be seen"),
                Some(commit) if commit > view.history.durable_commits => {
                    format!("key {key} is durable, and no sync has covered its commit")
                }
                Some(_) if !is_new && is_known_rotten(*key) => {
                    format!(
                        "key {key} was there already, and a caller had been told that its bytes are damaged or cannot be read"
                    )
                }
                Some(_) if !is_new && has_own => format!("key {key} was there already, and it has stored that itself"),
                Some(_) => return None,
            }
        }
        Answer::Closed if view.history.errors.catalog > 0 || has_ended => {
            "everything is durable, and a commit or a sync of the catalog, or the evictor, had failed".to_string()
        }
        Answer::Closed if view.history.durable_commits < view.history.commits => {
            "everything is durable, and no sync has covered the last commit".to_string()
        }
        Answer::Closed => {
            format!("nothing is left to unlink, and segment {} is doomed", number(never_refused?))
        }
        Answer::GaveUp(_) if setbacks >= u64::from(PUT_ATTEMPTS_MAX) => return None,
        Answer::NoRoom(length) => {
            // an eviction frees what is not open; other puts may take what is free before this one does
            let others = view.bytes_under_way(Some(task));
            let open = view.history.room.measured.get(&task).map_or(0, |then| then.open_bytes);
            // what the disk keeps though it was told to unlink it, or said that it does
            let kept = view.used_by_doomed(|segment| view.history.evictor.failed.contains_key(&segment));
            let kept = kept + view.history.room.gone_unheard.values().sum::<u64>();
            let room = view.history.room.disk_bytes.saturating_sub(view.history.room.log_bytes + open + kept);
            // others took what it had made, again and again; who waited so often for one victim alone should not have
            let has_tried = begun.rounds >= ROOM_ROUNDS_MAX && view.saves_of(task).count() > 1;
            if room < length + others || view.history.evictor.has_kept_all_since(begun.step) || has_tried {
                return None;
            }
            format!("there is no room for {length} bytes, and evicting would make {room}")
        }
        Answer::Full if view.history.errors.full > before.full => return None,
        Answer::Full => "the disk is full, and it refused nothing but writes, for which room is made".to_string(),
        Answer::GaveUp(key) => format!("key {key} was evicted {PUT_ATTEMPTS_MAX} times meanwhile, and it was not"),
        Answer::Failed(Cause::Unlinks, _) if are_stuck && is_crowded => return None,
        Answer::Failed(Cause::Rot, _) if view.history.rot.has_met(task) => return None,
        Answer::Failed(Cause::Other, _) if view.history.errors.all > before.all => return None,
        Answer::Failed(Cause::Catalog, _) if view.history.errors.reads > before.reads => return None,
        Answer::Failed(Cause::Fence, _) if begun.reads => "writing is fenced, and it reads".to_string(),
        Answer::Failed(Cause::Catalog | Cause::Fence, _) if view.history.errors.catalog > 0 || has_ended => {
            return None;
        }
        Answer::Failed(_, error) => format!("it failed, and no fault since its call explains that: {error}"),
        _ => return None,
    };
    let label = view.label(Some(task));
    Some(Finding { race: format!("{}: answer", view.kind(Some(task))), sentence: format!("{label} was told: {lie}") })
}

#[cfg(test)]
mod tests {
    use super::super::scene::{GONE, SEGMENT_BYTES, ring_to, save};
    use super::*;
    use crate::history::{Begun, Errors, Row, Save};

    #[test]
    fn unlinks_fail_for_good_only_where_each_has_failed_often_and_too_much_is_doomed() {
        let accepts = |failed: [u32; 2], doomed_bytes_max| {
            let change = |scene: &mut Scene| {
                let mut crowded = scene.published.ring.clone();
                for (number, times) in (1..).zip(failed) {
                    crowded.doom(segment(number));
                    scene.history.evictor.failed.insert(segment(number), times);
                }
                scene.history.save(save(3, 2, crowded));
                scene.history.room.doomed_bytes_max = doomed_bytes_max;
                scene.answer = (ACTOR, Answer::Failed(Cause::Unlinks, "no".to_string()));
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        assert!(accepts([4, 5], SEGMENT_BYTES));
        assert!(!accepts([4, 3], SEGMENT_BYTES), "the next unlink may succeed");
        assert!(!accepts([4, 4], 2 * SEGMENT_BYTES), "so much may be doomed");
    }

    #[test]
    fn a_put_is_refused_for_what_the_disk_keeps_and_not_for_what_it_has_given_back() {
        // the ring's three segments would make room for all that is there
        let accepts = |failed| {
            let change = |scene: &mut Scene| {
                let mut ring = scene.published.ring.clone();
                ring.doom(segment(1));
                scene.history.save(save(3, 2, ring));
                scene.history.files.write(segment(1), 0, b"ten bytes.");
                scene.history.room.disk_bytes = 15;
                scene.history.evictor.failed.extend(Some((segment(1), 1)).filter(|_| failed));
                scene.answer = (ACTOR, Answer::NoRoom(10));
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        assert!(accepts(true) && !accepts(false));
    }

    #[test]
    fn a_put_is_refused_where_it_has_evicted_more_than_once_and_looked_often_enough() {
        let accepts = |evicted: u64, rounds: u32| {
            let change = |scene: &mut Scene| {
                scene.history.begun.insert(ACTOR, Begun { step: 5, rounds, ..Begun::default() });
                scene.history.room.disk_bytes = 100;
                let ring = scene.published.ring.clone();
                (3..3 + evicted).for_each(|version| scene.history.save(save(version, version - 1, ring.clone())));
                scene.answer = (ACTOR, Answer::NoRoom(1));
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        // the scene has a save of its own
        assert!(accepts(1, ROOM_ROUNDS_MAX) && !accepts(1, ROOM_ROUNDS_MAX - 1));
        assert!(!accepts(0, ROOM_ROUNDS_MAX), "it has waited for what the disk keeps");
    }

    #[test]
    fn a_put_is_refused_where_the_disk_has_unlinked_nothing_since_it_began() {
        let accepts = |stuck: u32, unlinked: Option<u64>| {
            let change = |scene: &mut Scene| {
                scene.history.begun.insert(ACTOR, Begun { step: 4, ..Begun::default() });
                scene.history.room.disk_bytes = 100;
                scene.history.evictor.stuck_in_a_row = stuck;
                unlinked.into_iter().for_each(|step| scene.history.evictor.unlinked(step));
                scene.answer = (ACTOR, Answer::NoRoom(1));
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        assert!(accepts(2, None) && accepts(2, Some(4)));
        assert!(!accepts(1, None) && !accepts(2, Some(3)), "others would have made room");
    }

    #[test]
    fn only_the_evictor_may_fence_after_a_read_that_failed() {
        let accepts = |cause, errors| {
            let change = |scene: &mut Scene| {
                scene.history.begun.insert(ACTOR, Begun { errors, ..Begun::default() });
                scene.history.errors = errors;
                scene.answer = (ACTOR, Answer::Failed(cause, "no".to_string()));
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        let read = Errors { all: 1, reads: 1, ..Errors::default() };
        assert!(!accepts(Cause::Fence, read) && !accepts(Cause::Catalog, read));
        let evictor = Errors { evictor: 1, ..read };
        assert!(accepts(Cause::Fence, evictor) && accepts(Cause::Catalog, evictor), "a close tells what ended it");
    }

    #[test]
    fn what_a_caller_was_told_is_damaged_is_not_there_for_who_begins_later() {
        let accepts = |rot_told| {
            let change = |scene: &mut Scene| {
                let Row { manifest, .. } = scene.history.rows[0];
                scene.history.durable_commits = scene.history.commits;
                scene.history.rot.told.push((manifest.segment, manifest.offset));
                scene.history.begun.insert(ACTOR, Begun { rot_told, ..Begun::default() });
                let answer = Answer::Put { is_new: false, key: 1, content: manifest.checksum, since: 4 };
                scene.answer = (ACTOR, answer);
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        assert!(accepts(0) && !accepts(1));
    }

    #[test]
    fn who_says_that_it_has_stored_it_has() {
        // key 1 has been there since step 3, by the set-up; the actor begins in step 4
        let accepts = |is_new, stores: bool| {
            let change = |scene: &mut Scene| {
                let content = *scene.history.contents.first_key_value().expect("there is an artifact").0;
                let sights = scene.history.sights.get_mut(&1).expect("key 1 is there");
                sights.extend(stores.then_some(Sight { step: 5, task: Some(ACTOR), ..sights[0] }));
                scene.history.durable_commits = scene.history.commits;
                scene.answer = (ACTOR, Answer::Put { is_new, key: 1, content, since: 4 });
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        assert!(accepts(true, true) && accepts(false, false));
        assert!(!accepts(true, false) && !accepts(false, true));
    }

    #[test]
    fn each_answer_is_held_against_the_ring() {
        // segments 1 to 3 are in the ring, 3 is active
        let accepts = |answer| Scene::with(|scene| scene.answer = (ACTOR, answer)).ask(&ORACLE).is_none();
        let relieved = |segments, victims: &[u128]| {
            let change = |scene: &mut Scene| {
                let mut ring = ring_to(3 + victims.len() as u128);
                scene.history.save(save(3, 2, ring.clone()));
                victims.iter().for_each(|number| _ = ring.doom(segment(*number)));
                scene.history.save(save(4, 3, ring));
                let victims = victims.iter().map(|number| segment(*number)).collect();
                let target_bytes = segments * SEGMENT_BYTES;
                scene.answer = (ACTOR, Answer::Relieved { target_bytes, victims });
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        let evicted = |task| {
            let change = |scene: &mut Scene| {
                let mut ring = ring_to(3);
                ring.doom(segment(1));
                scene.history.save(Save { task, ..save(3, 2, ring) });
                scene.answer = (ACTOR, Answer::Evicted(segment(1)));
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        assert!(evicted(Some(ACTOR)) && !evicted(Some(GONE)), "another has evicted it");
        assert!(!accepts(Answer::Evicted(segment(9))) && !accepts(Answer::Evicted(segment(1))));
        assert!(accepts(Answer::Absent(segment(9))) && !accepts(Answer::Absent(segment(1))));
        assert!(accepts(Answer::RefusedActive(segment(3))) && !accepts(Answer::RefusedActive(segment(1))));
        assert!(relieved(3, &[1, 2]) && relieved(5, &[]));
        assert!(!relieved(2, &[]), "too few are gone");
        assert!(!relieved(4, &[1]), "too many are gone");
        assert!(!accepts(Answer::Relieved { target_bytes: 3, victims: vec![segment(1)] }), "it is not gone");
        let failed = |cause, errors| {
            let answer = Answer::Failed(cause, "no".to_string());
            Scene::with(|scene| (scene.answer, scene.history.errors) = ((ACTOR, answer), errors)).ask(&ORACLE).is_none()
        };
        let (none, disk) = (Errors::default(), Errors { all: 1, ..Errors::default() });
        let catalog = Errors { catalog: 1, ..disk };
        assert!(!failed(Cause::Other, none) && failed(Cause::Other, disk));
        assert!(!failed(Cause::Catalog, disk) && failed(Cause::Catalog, catalog), "a disk's error fences nothing");
        assert!(!failed(Cause::Damage, catalog), "an error damages nothing");
        let fenced = |reads| {
            let change = |scene: &mut Scene| {
                scene.answer = (ACTOR, Answer::Failed(Cause::Fence, "no".to_string()));
                scene.history.errors = catalog;
                scene.history.begun.insert(ACTOR, Begun { reads, ..Begun::default() });
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        assert!(fenced(false) && !fenced(true), "reads go on behind the fence");
        let met_rot = |scene: &mut Scene| {
            scene.answer = (ACTOR, Answer::Failed(Cause::Rot, "no".to_string()));
            scene.history.rot.met.push((ACTOR, (segment(3), 0)));
        };
        assert!(!failed(Cause::Rot, disk) && Scene::with(met_rot).ask(&ORACLE).is_none());
        let went_on = |is_stream| {
            let change = |scene: &mut Scene| {
                met_rot(scene);
                scene.history.begun.insert(ACTOR, Begun { reads: true, is_stream, ..Begun::default() });
                scene.history.read_elsewhere(ACTOR);
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        assert!(went_on(true) && !went_on(false), "who reads in pieces has seen it");
        let later = |scene: &mut Scene| {
            scene.answer = (ACTOR, Answer::Failed(Cause::Other, "no".to_string()));
            scene.history.errors = disk;
            scene.history.begun.insert(ACTOR, Begun { errors: disk, ..Begun::default() });
        };
        assert!(Scene::with(later).ask(&ORACLE).is_some(), "what failed before the call is no reason");
        assert!(!accepts(Answer::Closed), "no sync has covered the put");
        let closed = |errors, goes_on| {
            let change = |scene: &mut Scene| {
                (scene.answer, scene.history.errors) = ((ACTOR, Answer::Closed), errors);
                (scene.actor, scene.goes_on) = ("close#1", goes_on);
                scene.history.durable_commits = scene.history.commits;
            };
            Scene::with(change).ask(&ORACLE).is_none()
        };
        assert!(closed(none, false) && closed(disk, false), "a disk's error makes nothing of the catalog unknown");
        assert!(!closed(catalog, false) && !closed(Errors { evictor: 1, ..disk }, false));
        assert!(!closed(none, true), "something of the engine goes on");
    }
}
