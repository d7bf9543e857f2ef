//! Exhaustive search, on tasks that wait at points and add one to a number by reading it and writing it back.

use madsim::runtime::Runtime;
use segment_sim::choice::Guide;
use segment_sim::conductor::{Conductor, Proceed, Role, Vocabulary};
use segment_sim::exhaust::{Bounds, Ended, Ran, Search, exhaust};
use segment_sim::footprint::{ENDED, Footprint, Footprints, Stretch};
use segment_sim::plan::Schedule;
use segment_sim::verdict::Violation;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

static PLAIN: Vocabulary = Vocabulary::new(&[], &[]);

const ALL: Bounds = Bounds { preemptions: None, faults: 0, joins: false };

/// Makes a run of what `cast` adopts; `judge` says what is wrong afterwards.
fn run(
    guide: Guide,
    vocabulary: &'static Vocabulary,
    cast: impl FnOnce(&Conductor),
    judge: impl FnOnce() -> Option<String>,
) -> Ran {
    let conductor = Conductor::new(&Schedule::in_order(0), vocabulary, false);
    conductor.follow(guide);
    Runtime::with_seed_and_config(0, madsim::Config::default()).block_on(async {
        cast(&conductor);
        conductor.conduct(|_| Proceed::On, |_| 0);
        conductor.stop();
    });
    let is_joined = conductor.look(|pulse| pulse.is_joined());
    let wrong = if is_joined { None } else { judge() };
    let violation = |sentence| Violation { oracle: "sum".into(), step: 0, race: String::new(), sentence };
    Ran {
        walk: conductor.take_walk(),
        violations: wrong.map(violation).into_iter().collect(),
        trace_hash: conductor.take_trace().hash(),
        steps: conductor.look(|pulse| pulse.step()),
        is_cut_short: false,
    }
}

/// So many tasks that wait so many times each.
fn walkers(guide: Guide, tasks: u32, waits: u32) -> Ran {
    let cast = |conductor: &Conductor| {
        for index in 1..=tasks {
            let inner = conductor.clone();
            conductor.adopt(format!("walk#{index}"), Role::Caller, async move {
                for _ in 0..waits {
                    inner.reach("Here").await;
                }
            });
        }
    };
    run(guide, &PLAIN, cast, || None)
}

/// So many tasks that add one each; the sum is to be their number. `seen` gets the sums.
fn adders(guide: Guide, vocabulary: &'static Vocabulary, tasks: u32, seen: &Mutex<BTreeSet<u32>>) -> Ran {
    let number = Arc::new(AtomicU32::new(0));
    let cast = |conductor: &Conductor| {
        for index in 1..=tasks {
            let (inner, number) = (conductor.clone(), number.clone());
            conductor.adopt(format!("add#{index}"), Role::Caller, async move {
                inner.reach("Before").await;
                let read = number.load(Ordering::Relaxed);
                inner.reach("Read").await;
                number.store(read + 1, Ordering::Relaxed);
                inner.note("Written");
            });
        }
    };
    run(guide, vocabulary, cast, || {
        let sum = number.load(Ordering::Relaxed);
        seen.lock().unwrap().insert(sum);
        (sum != tasks).then(|| format!("{sum} of {tasks}"))
    })
}

fn search(bounds: Bounds, jobs: usize, run: impl Fn(Guide, bool) -> Ran + Sync) -> (Search, Ended) {
    let mut search = Search::new(bounds);
    let ended = go_on(&mut search, jobs, &AtomicBool::new(false), run);
    (search, ended)
}

fn go_on(search: &mut Search, jobs: usize, stop: &AtomicBool, run: impl Fn(Guide, bool) -> Ran + Sync) -> Ended {
    let make = |(): &mut (), guide, again| Ok::<_, Infallible>(run(guide, again));
    let Ok(ended) = exhaust(search, jobs, stop, |_| Ok(()), || Ok(()), make);
    ended
}

fn choose(n: u64, k: u64) -> u64 {
    (0..k).fold(1, |product, index| product * (n - index) / (index + 1))
}

#[test]
fn every_interleaving_of_several_tasks_runs_once() {
    // a task that waits n times makes n + 1 moves
    for (tasks, waits, interleavings) in [(1, 3, 1), (2, 1, 6), (2, 3, 70), (3, 1, 90), (3, 2, 1680), (4, 0, 24)] {
        let traces = Mutex::new(BTreeSet::new());
        let run = |guide, _| {
            let ran = walkers(guide, tasks, waits);
            traces.lock().unwrap().insert(ran.trace_hash);
            ran
        };
        let (search, ended) = search(ALL, 2, run);
        assert!(matches!(ended, Ended::Complete { audited: 0 }), "{ended:?}");
        assert_eq!((search.counts().runs(), traces.lock().unwrap().len() as u64), (interleavings, interleavings));
        assert_eq!(search.left(), 0);
    }
}

#[test]
fn with_few_preemptions_there_are_as_many_runs_as_there_are_words_of_so_many_blocks() {
    // two tasks of m moves: the first switch behind a task's end is free, each other one a preemption
    let (waits, most) = (4, 5);
    let moves = u64::from(waits) + 1;
    let of_blocks = |blocks: u64| match blocks % 2 {
        0 => 2 * choose(moves - 1, blocks / 2 - 1).pow(2),
        _ => 2 * choose(moves - 1, blocks / 2) * choose(moves - 1, blocks / 2 - 1),
    };
    let expected: Vec<u64> = (0..=most).map(|preemptions| of_blocks(preemptions + 2)).collect();
    let bounds = Bounds { preemptions: Some(most as u32), ..ALL };
    assert_eq!(search(bounds, 2, |guide, _| walkers(guide, 2, waits)).0.counts().runs, expected);
}

#[test]
fn at_points_that_are_not_given_nobody_is_preempted() {
    let here = |points: &[&str]| Some(points.iter().map(|point| point.to_string()).collect::<Vec<_>>().into());
    let runs = |points: &[&str]| {
        let run = |guide, _| walkers(Guide { points: here(points), ..guide }, 3, 2);
        search(ALL, 1, run).0.counts().runs()
    };
    assert_eq!((runs(&["Elsewhere"]), runs(&["Elsewhere", "Here"])), (6, 1680));
}

#[test]
fn a_lost_update_is_found_with_one_preemption_and_no_run_before_it_has_two() {
    for joins in [false, true] {
        let seen = Mutex::default();
        let (search, ended) = search(Bounds { joins, ..ALL }, 2, |guide, _| adders(guide, &PLAIN, 3, &seen));
        let Ended::Failed(deviations, ran) = ended else { panic!("{ended:?}") };
        assert_eq!((search.round(), ran.violations[0].sentence.as_str()), (1, "2 of 3"));
        assert_eq!(adders(Guide { deviations, ..Guide::default() }, &PLAIN, 3, &seen), ran);
    }
    let seen = Mutex::default();
    let none = Bounds { preemptions: Some(0), ..ALL };
    let (search, ended) = search(none, 2, |guide, _| adders(guide, &PLAIN, 3, &seen));
    assert!(matches!(ended, Ended::Complete { .. }));
    assert_eq!((search.counts().runs(), seen.into_inner().unwrap()), (6, BTreeSet::from([3])));
}

/// What the adders touch, with `before` in the place of what they do before they read.
const fn table(before: &'static [Stretch]) -> Footprints {
    Footprints { operations: &[], stretches: before }
}

const NUMBER: u32 = 1;
const READS: Footprint = Footprint { reads: NUMBER, ..Footprint::NOTHING };
const WRITES: Footprint = Footprint { writes: NUMBER, ..Footprint::NOTHING };

const fn add(from: &'static str, to: &'static str, touches: Footprint) -> Stretch {
    Stretch { kinds: &["add"], from, to, touches }
}

static TRUE: Footprints =
    table(&[add("Start", "Before", Footprint::NOTHING), add("Before", "Read", READS), add("Read", ENDED, WRITES)]);
/// It says that nobody reads.
static FALSE: Footprints = table(&[
    add("Start", "Before", Footprint::NOTHING),
    add("Before", "Read", Footprint::NOTHING),
    add("Read", ENDED, Footprint { adds: NUMBER, ..Footprint::NOTHING }),
]);
static DECLARED: Vocabulary = Vocabulary::declaring(&[], &[], &TRUE);
static MISDECLARED: Vocabulary = Vocabulary::declaring(&[], &[], &FALSE);

#[test]
fn what_is_skipped_changes_no_outcome_and_no_bound_finds_less() {
    for tasks in [2, 3] {
        for preemptions in [Some(0), Some(1), Some(2), None] {
            let outcomes = |joins, vocabulary| {
                let seen = Mutex::default();
                // all outcomes, not the first failure
                let run = |guide, _| Ran { violations: Vec::new(), ..adders(guide, vocabulary, tasks, &seen) };
                let (search, ended) = search(Bounds { preemptions, joins, faults: 0 }, 2, run);
                assert!(matches!(ended, Ended::Complete { .. }), "{ended:?}");
                (seen.into_inner().unwrap(), search.counts().runs())
            };
            let (all, runs) = outcomes(false, &DECLARED);
            let (some, fewer) = outcomes(true, &DECLARED);
            let (undeclared, _) = outcomes(true, &PLAIN);
            assert_eq!((&some, &undeclared), (&all, &all), "{tasks} tasks, {preemptions:?}");
            assert!(fewer <= runs && (preemptions.is_some() || 2 * fewer < 3 * runs), "{fewer} of {runs}");
        }
    }
}

#[test]
fn a_table_that_leaves_something_out_is_found_out() {
    let seen = Mutex::default();
    let sums = |guide, _| {
        let ran = adders(guide, &MISDECLARED, 4, &seen);
        // the sum is told by the trace, as a commit's content is
        let sum = ran.violations.iter().map(|violation| violation.sentence.len() as u64 + 1).sum::<u64>();
        Ran { violations: Vec::new(), trace_hash: ran.trace_hash.wrapping_add(sum), ..ran }
    };
    let (_, ended) = search(Bounds { joins: true, ..ALL }, 2, sums);
    assert!(matches!(ended, Ended::Unequal(..)), "{ended:?}");
}

#[test]
fn a_search_does_not_depend_on_the_number_of_threads() {
    for joins in [false, true] {
        let of = |jobs| {
            let seen = Mutex::default();
            let run = |guide, _| Ran { violations: Vec::new(), ..adders(guide, &DECLARED, 4, &seen) };
            search(Bounds { joins, preemptions: Some(2), faults: 0 }, jobs, run).0.encode()
        };
        let failing = |jobs| {
            let seen = Mutex::default();
            let (_, ended) = search(Bounds { joins, ..ALL }, jobs, |guide, _| adders(guide, &DECLARED, 4, &seen));
            let Ended::Failed(deviations, _) = ended else { panic!("{ended:?}") };
            deviations
        };
        let (one, failure) = (of(1), failing(1));
        for jobs in [2, 5] {
            assert!(of(jobs) == one, "{jobs} threads, joins {joins}");
            assert_eq!(failing(jobs), failure);
        }
    }
}

#[test]
fn a_search_that_was_stopped_and_saved_again_and_again_ends_as_one_that_was_not() {
    for joins in [false, true] {
        let seen = Mutex::default();
        let run = |guide, _: bool| Ran { violations: Vec::new(), ..adders(guide, &DECLARED, 4, &seen) };
        let bounds = Bounds { joins, preemptions: Some(2), faults: 0 };
        let (whole, _) = search(bounds, 2, run);
        let mut parts = Search::new(bounds);
        let mut stops = 0;
        loop {
            let (stop, runs) = (AtomicBool::new(false), AtomicU64::new(0));
            let counted = |guide, again| {
                stop.store(runs.fetch_add(1, Ordering::Relaxed) > 100, Ordering::Relaxed);
                run(guide, again)
            };
            match go_on(&mut parts, 2, &stop, counted) {
                Ended::Complete { .. } => break,
                Ended::Stopped => stops += 1,
                other => panic!("{other:?}"),
            }
            parts = Search::decode(&parts.encode()).unwrap();
            if stops > 1000 {
                break; // its audits alone take more runs than it is given
            }
        }
        assert!(stops > 3);
        assert_eq!(parts.counts(), whole.counts());
    }
}

#[test]
fn damaged_bytes_are_no_search_and_hurt_nobody() {
    let seen = Mutex::default();
    let run = |guide, _| Ran { violations: Vec::new(), ..adders(guide, &DECLARED, 3, &seen) };
    let bytes = search(Bounds { joins: true, preemptions: Some(1), faults: 0 }, 1, run).0.encode();
    assert!(Search::decode(&bytes).is_ok());
    for length in 0..bytes.len() {
        assert!(Search::decode(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
    }
    for place in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut other = bytes.clone();
            other[place] = value;
            let _ = Search::decode(&other); // perhaps another search: its file has a checksum
        }
    }
}

#[test]
fn runs_that_are_cut_short_or_do_not_repeat_are_told() {
    let cut = |guide, _| Ran { is_cut_short: true, ..walkers(guide, 2, 1) };
    assert_eq!(search(ALL, 2, cut).0.counts().cut_short, 6);
    let differs = |guide, again| Ran { trace_hash: u64::from(again), ..walkers(guide, 2, 1) };
    assert!(matches!(search(ALL, 2, differs).1, Ended::Unrepeatable(_)));
    let count = AtomicU32::new(1);
    let strays = |guide, _| walkers(guide, 2 + count.fetch_add(1, Ordering::Relaxed) / 4, 2);
    assert!(matches!(search(ALL, 1, strays).1, Ended::Unrepeatable(_)));
}

#[test]
fn a_panicking_thread_hangs_nobody() {
    let panics = |guide: Guide, _| if guide.deviations.is_empty() { walkers(guide, 3, 2) } else { panic!("gives up") };
    assert!(std::panic::catch_unwind(|| search(ALL, 2, panics)).is_err());
}
