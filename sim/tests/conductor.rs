//! The conductor on a small engine of its own, with points of its own: tasks that add one to a number by reading it and
//! writing it back.

use madsim::rand::{Rng, thread_rng};
use madsim::runtime::Runtime;
use segment_sim::conductor::{Conductor, Landing, OperationTraits, Proceed, Role, Vocabulary};
use segment_sim::decision::Ratio;
use segment_sim::plan::{Action, Base, Injection, Knobs, Schedule, Until};
use segment_sim::trace::{Trace, What};
use segment_sim::window::{Window, WindowCount};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

static VOCABULARY: Vocabulary = Vocabulary::new(
    &[Window {
        name: "read-to-write",
        about: "",
        exclusive: false,
        opens: "Read",
        closes: &["Written"],
        wants: None,
        lands: &["Written"],
    }],
    &[],
);

fn schedule(seed: u64, base: Base, injections: &[(&str, Action)]) -> Schedule {
    let injections =
        injections.iter().map(|(site, action)| Injection { site: site.parse().unwrap(), action: action.clone() });
    Schedule { seed, base, knobs: Knobs::default(), injections: injections.collect(), crashes: Vec::new() }
}

/// Runs what `cast` adopts until nothing can go on.
fn run(madsim_seed: u64, schedule: &Schedule, cast: impl FnOnce(&Conductor)) -> Ran {
    let conductor = Conductor::new(schedule, &VOCABULARY, true);
    let runtime = Runtime::with_seed_and_config(madsim_seed, madsim::Config::default());
    runtime.block_on(async {
        cast(&conductor);
        conductor.conduct(|_| Proceed::On, |woken| thread_rng().gen_range(0..woken));
        conductor.stop();
    });
    let trace = conductor.take_trace();
    conductor.look(|pulse| Ran {
        unfinished: pulse.unfinished().len(),
        window: pulse.window_counts()[0],
        panics: pulse.panics().map(|(_, message)| message.to_string()).collect(),
        trace,
    })
}

struct Ran {
    trace: Trace,
    window: WindowCount,
    unfinished: usize,
    panics: Vec<String>,
}

/// The sum after `tasks` tasks have added one each.
fn lost_update(madsim_seed: u64, tasks: u32, schedule: &Schedule) -> (u32, Ran) {
    let number = Arc::new(AtomicU32::new(0));
    let ran = run(madsim_seed, schedule, |conductor| {
        for index in 1..=tasks {
            let (inner, number) = (conductor.clone(), number.clone());
            conductor.adopt(format!("add#{index}"), Role::Caller, async move {
                let read = number.load(Ordering::Relaxed);
                inner.reach("Read").await;
                number.store(read + 1, Ordering::Relaxed);
                inner.note("Written");
            });
        }
    });
    (number.load(Ordering::Relaxed), ran)
}

#[test]
fn random_bases_lose_an_update_in_some_seeds_and_not_in_others() {
    for base in [Base::Keyed, Base::Priority] {
        let knobs = Knobs { change: Ratio::new(1, 4), ..Knobs::default() };
        let lost = |seed: &u64| lost_update(0, 2, &Schedule { knobs, ..schedule(*seed, base, &[]) }).0 != 2;
        let lost = (0..200).filter(lost).count();
        assert!((10..190).contains(&lost), "{base:?}: {lost} of 200");
    }
}

#[test]
fn sequential_base_without_holds_never_preempts() {
    for seed in 0..50 {
        assert_eq!(lost_update(seed, 4, &schedule(seed, Base::Sequential, &[])).0, 4);
    }
}

#[test]
fn a_hold_until_another_site_makes_the_race() {
    let hold = Action::Hold(Until::Passed("add#2@Written".parse().unwrap()));
    let (sum, ran) = lost_update(0, 2, &schedule(0, Base::Sequential, &[("add#1@Read", hold)]));
    assert_eq!((sum, ran.window.landings), (1, 1));
}

#[test]
fn a_hold_for_steps_and_one_until_idle_end() {
    for until in [Until::Steps(2), Until::Idle, Until::Steps(u32::MAX)] {
        let (sum, ran) = lost_update(0, 2, &schedule(0, Base::Sequential, &[("add#1@Read", Action::Hold(until))]));
        assert_eq!((sum, ran.unfinished), (1, 0));
    }
}

#[test]
fn the_executors_own_picks_change_nothing() {
    for seed in 0..100 {
        let schedule = schedule(seed, Base::ALL[seed as usize % 3], &[]);
        let (sum, ran) = lost_update(0, 5, &schedule);
        for madsim_seed in 1..8 {
            let (other_sum, other) = lost_update(madsim_seed, 5, &schedule);
            assert_eq!((other_sum, other.trace.hash()), (sum, ran.trace.hash()));
        }
    }
}

#[test]
fn a_dropped_caller_ends_where_it_was_dropped_and_its_operation_lands() {
    let landed = Arc::new(AtomicU32::new(0));
    let counted = landed.clone();
    let injections = [("submit#1@Operation", Action::Cancel)];
    let ran = run(0, &schedule(0, Base::Keyed, &injections), move |conductor| {
        let inner = conductor.clone();
        conductor.adopt("submit#1".to_string(), Role::Caller, async move {
            let effect = move |_: Landing| counted.fetch_add(1, Ordering::Relaxed);
            inner.submit("Operation", OperationTraits::default(), effect).await;
            inner.note("NeverHere");
        });
    });
    let whats: Vec<What> = ran.trace.events().iter().map(|event| event.what).collect();
    assert_eq!(whats, [What::Passed, What::Cancelled, What::Landed]);
    assert_eq!((landed.load(Ordering::Relaxed), ran.unfinished), (1, 0));
}

#[test]
fn a_blocked_caller_is_dropped_in_its_time() {
    let ran = run(0, &schedule(0, Base::Keyed, &[("blocked#1@Start", Action::CancelAfter(2))]), |conductor| {
        let busy = conductor.clone();
        let work = async move {
            for _ in 0..4 {
                busy.reach("Busy").await;
            }
        };
        conductor.adopt("blocked#1".to_string(), Role::Caller, std::future::pending());
        conductor.adopt("busy#1".to_string(), Role::Caller, work);
    });
    let cancelled = ran.trace.events().iter().filter(|event| event.what == What::Cancelled).count();
    assert_eq!((cancelled, ran.unfinished), (1, 0));
}

#[test]
fn time_passes_only_when_nothing_else_can_run() {
    let ran = run(0, &schedule(3, Base::Keyed, &[]), |conductor| {
        let task = |label: &str, sleeps: [u64; 2]| {
            let inner = conductor.clone();
            conductor.adopt(label.to_string(), Role::Caller, async move {
                for duration_ms in sleeps {
                    inner.sleep("Sleep", duration_ms).await;
                    inner.reach("Awake").await;
                }
            });
        };
        task("short#1", [1, 1]);
        task("long#1", [3, 3]);
    });
    let order: Vec<(u16, &str)> =
        ran.trace.events().iter().map(|event| (event.site.task.0, event.site.point)).collect();
    let awake: Vec<u16> = order.iter().filter(|(_, point)| *point == "Awake").map(|(task, _)| *task).collect();
    assert_eq!(awake, [0, 0, 1, 1]);
}

#[test]
fn a_panic_is_recorded_and_the_others_go_on() {
    let ran = run(0, &schedule(0, Base::Keyed, &[]), |conductor| {
        for index in [1, 2] {
            let inner = conductor.clone();
            conductor.adopt(format!("task#{index}"), Role::Caller, async move {
                inner.reach("Here").await;
                assert!(index != 1, "task 1 gives up");
            });
        }
    });
    assert_eq!((ran.panics, ran.unfinished), (vec!["task 1 gives up".to_string()], 0));
}

#[test]
fn a_task_that_waits_for_nobody_is_left_over() {
    let ran = run(0, &schedule(0, Base::Keyed, &[]), |conductor| {
        conductor.adopt("stuck#1".to_string(), Role::Worker, std::future::pending());
    });
    assert_eq!(ran.unfinished, 1);
}

/// Wakes a part of a task, and then the task.
struct PartWaker {
    is_woken: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for PartWaker {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Relaxed);
        if let Some(task) = self.task.lock().unwrap().take() {
            task.wake();
        }
    }
}

#[test]
fn a_part_of_a_task_is_woken_by_the_waker_that_it_was_polled_with() {
    let ran = run(0, &schedule(0, Base::Keyed, &[]), |conductor| {
        let inner = conductor.clone();
        let part_waker = Arc::new(PartWaker { is_woken: AtomicBool::new(true), task: Mutex::default() });
        // as a set of futures does: who was not woken is not polled
        conductor.adopt("set#1".to_string(), Role::Caller, async move {
            let mut part = pin!(inner.reach("Inside"));
            let polled = |context: &mut Context<'_>| {
                *part_waker.task.lock().unwrap() = Some(context.waker().clone());
                if !part_waker.is_woken.swap(false, Ordering::Relaxed) {
                    return Poll::Pending;
                }
                let waker = Waker::from(part_waker.clone());
                part.as_mut().poll(&mut Context::from_waker(&waker))
            };
            poll_fn(polled).await;
        });
    });
    assert_eq!(ran.unfinished, 0);
}
