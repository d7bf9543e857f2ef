//! Shrinking, on tasks that add one to a number by reading it and writing it back.

use madsim::runtime::Runtime;
use segment_sim::conductor::{Conductor, Proceed, Role, Vocabulary};
use segment_sim::decision::Ratio;
use segment_sim::plan::{Action, Base, Injection, Knobs, Plan, Schedule, Until};
use segment_sim::shrink::{Passed, Ran, Shrinkable, Smaller, shrink};
use segment_sim::site::SiteName;
use segment_sim::trace::What;
use segment_sim::verdict::Violation;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

static VOCABULARY: Vocabulary = Vocabulary::new(&[], &[]);

/// So many tasks add one each; the sum is to be their number.
struct Adders;

impl Shrinkable for Adders {
    type Workload = u32;
    type Error = Infallible;

    fn run(&mut self, plan: &Plan<u32>, _keep: bool) -> Result<Ran, Infallible> {
        let conductor = Conductor::new(&plan.schedule, &VOCABULARY, true);
        let number = Arc::new(AtomicU32::new(0));
        Runtime::with_seed_and_config(0, madsim::Config::default()).block_on(async {
            for index in 1..=plan.workload {
                let (inner, number) = (conductor.clone(), number.clone());
                conductor.adopt(format!("add#{index}"), Role::Caller, async move {
                    let read = number.load(Ordering::Relaxed);
                    inner.reach("Read").await;
                    number.store(read + 1, Ordering::Relaxed);
                    inner.note("Written");
                });
            }
            conductor.conduct(|_| Proceed::On, |_| 0);
            conductor.stop();
        });
        let sum = number.load(Ordering::Relaxed);
        let violation = Violation {
            oracle: "sum".to_string(),
            step: 0,
            race: String::new(),
            sentence: format!("{sum} of {}", plan.workload),
        };
        let trace = conductor.take_trace();
        let labels = conductor.look(|pulse| pulse.labels());
        let passed = trace.events().iter().filter(|event| matches!(event.what, What::Passed | What::Noted));
        let order = passed.map(|event| Passed {
            site: SiteName {
                task: labels[usize::from(event.site.task.0)].clone(),
                point: event.site.point.to_string(),
                hit: event.site.hit,
            },
            task: event.site.task,
            waits: event.what == What::Passed,
        });
        Ok(Ran {
            violations: if sum == plan.workload { Vec::new() } else { vec![violation] },
            sites: 0,
            order: order.collect(),
            fired: conductor.take_fired(),
            ends: conductor.take_ends(),
        })
    }

    fn schedule(&self, seed: u64) -> Schedule {
        Schedule { seed, base: Base::Keyed, knobs: Knobs::default(), injections: Vec::new(), crashes: Vec::new() }
    }

    /// The last adder goes.
    fn smaller(&self, workload: &u32) -> Vec<Smaller<u32>> {
        let fewer = (*workload > 0).then(|| Smaller {
            workload: workload - 1,
            renamed: vec![(format!("add#{workload}"), None)],
            life: None,
            is_variant: false,
        });
        fewer.into_iter().collect()
    }

    fn size(&self, workload: &u32) -> usize {
        *workload as usize
    }

    fn is_commit(&self, point: &str) -> bool {
        point == "Written"
    }

    fn is_interrupted(&self) -> bool {
        false
    }
}

fn plan(seed: u64, base: Base, workload: u32) -> Plan<u32> {
    let knobs = Knobs { hold: Ratio::new(1, 10), ..Knobs::default() };
    let schedule = Schedule { seed, base, knobs, injections: Vec::new(), crashes: Vec::new() };
    Plan { scenario: "adders".to_string(), schedule, workload }
}

#[test]
fn a_lost_update_of_six_shrinks_to_two_tasks_and_one_hold_from_any_base() {
    for (seed, base) in (0..).zip(Base::ALL).take(9) {
        let failing = (seed..).map(|seed| plan(seed, base, 6)).find(|plan| {
            let Ok(ran) = Adders.run(plan, false);
            !ran.violations.is_empty()
        });
        let Ok(shrunk) = shrink(&mut Adders, &failing.unwrap(), |_| {});
        let shrunk = shrunk.expect("it fails");
        assert_eq!((shrunk.plan.workload, shrunk.plan.schedule.base), (2, Base::Sequential));
        let hold = |site: &str, until: &str| Injection {
            site: site.parse().unwrap(),
            action: Action::Hold(Until::Passed(until.parse().unwrap())),
        };
        assert_eq!(shrunk.plan.schedule.injections, [hold("add#1@Read", "add#2@Written")]);
        assert!(shrunk.plan.schedule.knobs.are_off());
        assert_eq!(shrunk.ran.unwrap().violations[0].sentence, "1 of 2");
    }
}

/// Adders whose runs an interruption cuts off once so many are made.
struct Interrupted(u32);

impl Shrinkable for Interrupted {
    type Workload = u32;
    type Error = &'static str;

    fn run(&mut self, plan: &Plan<u32>, keep: bool) -> Result<Ran, &'static str> {
        self.0 = self.0.checked_sub(1).ok_or("cut off")?;
        Adders.run(plan, keep).map_err(|never| match never {})
    }

    fn schedule(&self, seed: u64) -> Schedule {
        Adders.schedule(seed)
    }

    fn smaller(&self, workload: &u32) -> Vec<Smaller<u32>> {
        Adders.smaller(workload)
    }

    fn size(&self, workload: &u32) -> usize {
        Adders.size(workload)
    }

    fn is_commit(&self, point: &str) -> bool {
        Adders.is_commit(point)
    }

    fn is_interrupted(&self) -> bool {
        self.0 == 0
    }
}

#[test]
fn an_interruption_that_cuts_runs_off_leaves_what_has_failed_by_then() {
    let fails = |plan: &Plan<u32>| Adders.run(plan, false).is_ok_and(|ran| !ran.violations.is_empty());
    let failing = (0..).map(|seed| plan(seed, Base::Keyed, 6)).find(fails).unwrap();
    let mut smallest = 6;
    for runs in [1, 2, 3, 10, 100] {
        let shrunk = shrink(&mut Interrupted(runs), &failing, |_| {}).unwrap().expect("it fails");
        assert!(shrunk.ran.is_none() && fails(&shrunk.plan), "{runs}");
        assert_eq!((shrunk.runs, shrunk.failure.oracle.as_str()), (u64::from(runs), "sum"));
        assert!(shrunk.plan.workload <= smallest, "{runs}");
        smallest = shrunk.plan.workload;
    }
    assert_eq!(smallest, 2);
}

#[test]
fn a_plan_that_passes_is_not_shrunk() {
    let Ok(shrunk) = shrink(&mut Adders, &plan(0, Base::Keyed, 1), |_| {});
    assert!(shrunk.is_none());
}
