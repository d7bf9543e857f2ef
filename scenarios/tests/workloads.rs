//! Any workload, not only those of the generators, holds under any schedule.

use proptest::prelude::*;
use segment_sim::interference::Kind;
use segment_sim::plan::{Action, Base, Injection, Plan, Schedule, Until};
use segment_sim::strategy::{self, Options};
use segment_sim::trace::Event;
use segment_sim::world::{Mode, Outcome, Story, Worker};
use segsim::scenario::Scenario;
use segsim::workload::{Operation, SEGMENT_BYTES, Small, Workload, content};
use std::collections::BTreeMap;

fn evictions() -> impl Strategy<Value = Operation> {
    prop_oneof![2 => (0u32..8).prop_map(Operation::EvictPlace), 1 => (1u32..8).prop_map(Operation::EvictSegment)]
}

fn puts() -> impl Strategy<Value = Operation> {
    prop_oneof![
        2 => (1u8..4, 0u16..40).prop_map(|(key, content)| Operation::Put(key, content)),
        1 => (1u8..4, 0u16..40).prop_map(|(key, content)| Operation::PutStream(key, content)),
    ]
}

fn reads() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (1u8..4).prop_map(Operation::Get),
        1 => (1u8..4).prop_map(Operation::GetStream),
        1 => (1u8..4).prop_map(Operation::Contains),
    ]
}

fn others() -> impl Strategy<Value = Operation> {
    prop_oneof![2 => (0u32..400).prop_map(Operation::Take), 1 => (0u32..100).prop_map(Operation::Leave)]
}

/// Makes workloads and shrinks them: fewer callers, fewer operations, smaller rings.
fn workload() -> impl Strategy<Value = Workload> {
    let some = 1..4usize;
    // a caller makes calls of one kind
    let caller = prop_oneof![
        3 => proptest::collection::vec(Just(Operation::Rotate), some.clone()),
        3 => proptest::collection::vec(evictions(), some.clone()),
        2 => proptest::collection::vec((0u32..6).prop_map(Operation::Relieve), some.clone()),
        5 => proptest::collection::vec(puts(), some.clone()),
        3 => proptest::collection::vec(reads(), some.clone()),
        1 => proptest::collection::vec(others(), some),
    ];
    let unhurried = (caller.clone(), 1u32..3_000, 0..4usize).prop_map(|(mut calls, duration_ms, place)| {
        calls.insert(place.min(calls.len()), Operation::Sleep(duration_ms));
        calls
    });
    let callers = proptest::collection::vec(prop_oneof![3 => caller, 1 => unhurried], 1..7);
    let fits = |stored: &BTreeMap<u8, (u16, u32)>| {
        let bytes_in = |segment: u32| {
            let there = stored.values().filter(|(_, other)| *other == segment);
            there.map(|(number, _)| content(*number).len() as u64).sum::<u64>()
        };
        (1..8).all(|segment| bytes_in(segment) <= SEGMENT_BYTES)
    };
    let stored = proptest::collection::btree_map(1u8..4, (40u16..80, 1u32..8), 0..4);
    let stored = stored.prop_filter("a segment holds what is stored in it", fits);
    let limits = (0u32..4, 1u32..3, 1u32..4);
    let all = ([1u32..4, 1u32..4, 1u32..4], 0u32..8, stored, prop_oneof![Just(0), 50u64..1500], limits, callers);
    all.prop_map(|(generations, segments, stored, disk_bytes, (doomed, stripes, batch_rows), callers)| Workload {
        generations,
        segments,
        stored: stored.into_iter().map(|(key, (content, segment))| (key, content, segment)).collect(),
        disk_bytes,
        limits: Small { doomed, stripes, batch_rows },
        callers,
        lives: Vec::new(),
    })
}

fn plan(scenario: &Scenario, seed: u64, workload: Workload) -> Plan<Workload> {
    let schedule = strategy::schedule(
        seed,
        Options { strategy: None, cancels: true, fills: true, breaks: false, rots: true, crashes: None },
    );
    Plan { scenario: scenario.name.to_string(), schedule, workload }
}

proptest! {
    #[test]
    fn any_workload_holds_under_any_schedule_and_repeats(workload in workload(), seed in any::<u64>()) {
        let scenario = Scenario::named("rotation-vs-eviction").unwrap();
        let plan = plan(scenario, seed, workload);
        let mut worker = Worker::new().unwrap();
        let first = scenario.run(&mut worker, &plan, Mode::default()).unwrap().record;
        prop_assert_eq!(&first.violations, &Vec::new());
        let again = scenario.run(&mut worker, &plan, Mode { madsim_seed: 9, ..Mode::default() }).unwrap().record;
        prop_assert_eq!(first, again);
    }

    #[test]
    fn a_plan_survives_its_json(workload in workload(), seed in any::<u64>()) {
        let plan = plan(Scenario::named("rotation-vs-eviction").unwrap(), seed, workload);
        let text = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<Plan<Workload>>(&text).unwrap(), plan);
    }
}

/// One rotation and one eviction of the oldest of three, on the sequential base, with these injections.
fn directed(injections: &[(&str, Action)]) -> Outcome {
    let callers = vec![vec![Operation::EvictPlace(0)], vec![Operation::Rotate]];
    directed_by(callers, injections)
}

/// These callers on a ring of three segments.
fn directed_by(callers: Vec<Vec<Operation>>, injections: &[(&str, Action)]) -> Outcome {
    let limits = Small { stripes: 64, ..Small::default() };
    let workload = Workload { generations: [2, 2, 2], segments: 3, limits, callers, ..Workload::default() };
    directed_on(workload, injections)
}

/// A workload on the sequential base.
fn directed_on(workload: Workload, injections: &[(&str, Action)]) -> Outcome {
    seeded(0, workload, injections)
}

/// The seed says which reads have opened their file before it is unlinked.
fn seeded(seed: u64, workload: Workload, injections: &[(&str, Action)]) -> Outcome {
    let scenario = Scenario::named("rotation-vs-eviction").unwrap();
    let injections = injections
        .iter()
        .map(|(site, action)| Injection { site: site.parse().unwrap(), action: action.clone() })
        .collect();
    let schedule =
        Schedule { seed, base: Base::Sequential, knobs: Default::default(), injections, crashes: Vec::new() };
    let plan = Plan { scenario: scenario.name.to_string(), schedule, workload };
    let mode = Mode { keep_trace: true, ..Mode::default() };
    scenario.run(&mut Worker::new().unwrap(), &plan, mode).unwrap()
}

fn until(site: &str) -> Action {
    Action::Hold(Until::Passed(site.parse().unwrap()))
}

#[test]
fn a_hold_makes_the_rotation_arrive_while_the_eviction_holds_its_clone() {
    let undisturbed = directed(&[]).record;
    assert_eq!((undisturbed.violations, undisturbed.windows[0].arrivals), (Vec::new(), 0));
    let held = directed(&[("evict#1@RingCloned", until("rotate#1/rotation#1@RingWanted"))]);
    assert_eq!((held.record.violations, held.record.windows[0].arrivals), (Vec::new(), 1));
    assert_eq!(held.story.unwrap().fired.len(), 1);
}

#[test]
fn a_caller_dropped_while_it_holds_the_lock_leaves_nothing_behind() {
    let outcome = directed(&[("evict#1@RingCloned", Action::Cancel)]);
    assert_eq!((outcome.record.violations, outcome.record.departed), (Vec::new(), 0));
    assert_eq!(outcome.record.interference.of(Kind::Cancel), 1);
}

#[test]
fn a_rotation_whose_caller_is_dropped_ends_all_the_same() {
    let outcome = directed(&[("rotate#1/rotation#1@DiskSyncDirectory", Action::Cancel)]);
    assert_eq!(outcome.record.interference.of(Kind::Cancel), 0, "only callers can be dropped");
    for steps in 1..12 {
        // it is parked nowhere meanwhile: it waits for the rotation's task
        let outcome = directed(&[("rotate#1@Start", Action::CancelAfter(steps))]);
        assert_eq!((outcome.record.violations, outcome.record.joined), (Vec::new(), 1), "{steps}");
    }
    let outcome = directed(&[("rotate#1@Start", Action::CancelAfter(3))]);
    assert_eq!(outcome.record.interference.of(Kind::Cancel), 1);
    let outcome = directed(&[("rotate#1@RotationJoined", Action::Cancel)]);
    assert_eq!((outcome.record.violations, outcome.record.joined), (Vec::new(), 1));
}

#[test]
fn a_failed_unlink_is_told_and_tried_again_until_the_file_is_gone() {
    let failures = [("evictor@DiskUnlink", Action::Error(5)), ("evictor@DiskUnlink:2", Action::Error(13))];
    let outcome = directed(&failures);
    assert_eq!((outcome.record.violations, outcome.record.departed), (Vec::new(), 1));
    assert_eq!(outcome.record.interference.of(Kind::FailedUnlink), 2);
}

#[test]
fn a_panic_in_the_set_up_is_a_violation_and_not_a_crash() {
    let scenario = Scenario::named("rotation-vs-eviction").unwrap();
    let schedule =
        Schedule { seed: 0, base: Base::Keyed, knobs: Default::default(), injections: Vec::new(), crashes: Vec::new() };
    let setting = Workload { generations: [1, 1, 1], segments: 1, ..Workload::default() }.setting();
    let mut worker = Worker::new().unwrap();
    let outcome = worker
        .run(&schedule, &setting, Mode::default(), async |_| panic!("no engine today"), None, None)
        .unwrap()
        .unwrap();
    assert_eq!(outcome.record.violations[0].oracle, "panic");
    assert!(outcome.record.violations[0].sentence.contains("no engine today"));
    let record = scenario.run(&mut worker, &scenario.plan(1, None), Mode::default()).unwrap().record;
    assert_eq!(record.violations, Vec::new(), "the worker goes on");
}

#[test]
fn a_site_that_is_never_reached_holds_nothing_for_ever() {
    let outcome = directed(&[("evict#1@RingCloned", until("nobody#1@Nowhere"))]);
    assert_eq!((outcome.record.violations, outcome.record.departed), (Vec::new(), 1));
}

/// A put into segment 3, which is then rotated away and evicted.
fn put_into_an_evicted_segment(puts: usize, held: &[(&str, Action)]) -> Outcome {
    let mut callers = vec![vec![Operation::Put(1, 1)], vec![Operation::Put(2, 2)]];
    callers.truncate(puts);
    callers.extend([vec![Operation::Rotate], vec![Operation::EvictSegment(3)]]);
    let evicted_later = [("evict#1@Start", until("rotate#1@RotationJoined"))];
    directed_by(callers, &[held, &evicted_later].concat())
}

#[test]
fn a_put_whose_file_is_unlinked_before_its_write_begins_again() {
    let outcome = put_into_an_evicted_segment(1, &[("put#1@DiskWrite", until("evictor@DiskUnlink"))]);
    assert_eq!((outcome.record.violations, outcome.record.departed), (Vec::new(), 1));
    assert_eq!(passes(outcome.story.as_ref(), "put#1", "PutRetried"), 1);
}

#[test]
fn puts_that_share_a_sync_of_an_unlinked_file_begin_again_each() {
    let held = [("put#1/sync#1@DiskSync", until("evictor@DiskUnlink"))];
    let outcome = put_into_an_evicted_segment(2, &held);
    assert_eq!((outcome.record.violations, outcome.record.departed), (Vec::new(), 1));
    for put in ["put#1", "put#2"] {
        assert_eq!(passes(outcome.story.as_ref(), put, "PutRetried"), 1, "{put}");
    }
}

#[test]
fn a_put_whose_segment_is_evicted_before_its_commit_begins_again() {
    let held = [("put#1@SyncJoined", until("evictor@DiskUnlink"))];
    let outcome = put_into_an_evicted_segment(1, &held);
    assert_eq!((outcome.record.violations, outcome.record.departed), (Vec::new(), 1));
    assert_eq!(passes(outcome.story.as_ref(), "put#1", "PutRetried"), 1);
}

#[test]
fn an_artifact_that_is_evicted_while_it_is_copied_stays_evicted() {
    let callers = vec![vec![Operation::Get(9)], vec![Operation::EvictSegment(1)], vec![Operation::Get(9)]];
    let held = [
        ("evict#1@Start", until("read#1/refresh#1@DiskWrite")),
        ("read#1/refresh#1@SyncJoined", until("evict#1@RingSaved")),
        ("evictor@EvictorWoken", until("read#2@Start")),
        ("read#2@Start", until("read#1/refresh#1@RefreshReleased")),
    ];
    let stored = vec![(9, 109, 1)];
    let limits = Small::default();
    let workload = Workload { generations: [1, 1, 1], segments: 3, stored, limits, callers, ..Workload::default() };
    let outcome = directed_on(workload, &held);
    assert_eq!((outcome.record.violations, outcome.record.departed), (Vec::new(), 1));
    assert_eq!(passes(outcome.story.as_ref(), "read#1/refresh#1", "CopyLost"), 1);
}

/// A read of an artifact in two pieces, of which the first is read where it was before and the second where a refresh has
/// moved it; then a put of the same bytes.
fn read_in_two_places(read: Operation, injected: &[(&str, Action)]) -> Outcome {
    let callers =
        vec![vec![read], vec![Operation::Get(1)], vec![Operation::EvictSegment(1)], vec![Operation::Put(1, 103)]];
    let moved = [
        ("read#1@RowLookedUp", until("read#2/refresh#1@RowMoved")),
        ("evict#1@Start", until("read#1@DiskRead")),
        ("read#1@DiskRead:2", until("evictor@DiskUnlink")),
        ("put#1@Start", Action::Hold(Until::Idle)),
    ];
    let (stored, limits) = (vec![(1, 103, 1)], Small::default());
    let workload = Workload { generations: [1, 1, 1], segments: 3, stored, limits, callers, ..Workload::default() };
    seeded(1, workload, &[&moved, injected].concat())
}

#[test]
fn a_read_in_two_places_that_is_damaged_in_the_new_one_has_it_stored_anew() {
    for read in [Operation::Get(1), Operation::GetStream(1)] {
        let outcome = read_in_two_places(read, &[("read#1@DiskRead:3", Action::Rot)]);
        assert_eq!((outcome.record.violations, outcome.record.departed), (Vec::new(), 1), "{read:?}");
        assert_eq!(passes(outcome.story.as_ref(), "put#1", "RowMended"), 1, "{read:?}");
    }
}

#[test]
fn a_read_in_two_places_that_is_damaged_in_the_old_one_blames_nothing_and_a_get_begins_again() {
    for (read, begins_again) in [(Operation::Get(1), 1), (Operation::GetStream(1), 0)] {
        let outcome = read_in_two_places(read, &[("read#1@DiskRead", Action::Rot)]);
        assert_eq!((outcome.record.violations, outcome.record.departed), (Vec::new(), 1), "{read:?}");
        assert_eq!(passes(outcome.story.as_ref(), "read#1", "ReadRetried"), 1 + begins_again, "{read:?}");
        assert_eq!(passes(outcome.story.as_ref(), "put#1", "RowMended"), 0, "{read:?}");
    }
}

/// How often a task passed a point.
fn passes(story: Option<&Story>, task: &str, point: &str) -> usize {
    let story = story.unwrap();
    let is = |event: &&Event| story.labels[usize::from(event.site.task.0)] == task && event.site.point == point;
    story.trace.events().iter().filter(is).count()
}
