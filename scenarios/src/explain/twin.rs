//! The passing twin of a failing plan: the same plan without one injection or crash, the decisive one.

use super::Told;
use super::lanes::{Happened, Moment};
use crate::plan_words;
use crate::report::counted;
use crate::workload::Workload;
use segment_sim::plan::{self, Action, Injection, Plan};
use serde::{Deserialize, Serialize};

/// Runs that the search for a twin makes at most.
pub const RUNS_MAX: usize = 200;

/// What is beside a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Twin {
    /// The run without the decisive injection, which passes.
    Beside {
        /// What was taken away.
        without: String,
        /// The run.
        run: Box<Told>,
        /// The places of the first moments, here and in the twin, that are not the same.
        parts_at: (usize, usize),
    },
    /// There is none.
    Alone {
        /// Why.
        why: String,
    },
}

/// A plan that lacks one thing.
pub struct Candidate {
    /// What it lacks.
    pub without: String,
    /// The plan.
    pub plan: Plan<Workload>,
}

/// The plans that lack one injection or crash: holds first, and of each kind the last one first.
pub fn candidates(plan: &Plan<Workload>) -> Vec<Candidate> {
    let injections = &plan.schedule.injections;
    let is_hold = |place: &usize| matches!(injections[*place].action, Action::Hold(_));
    let (holds, others): (Vec<usize>, Vec<usize>) = (0..injections.len()).rev().partition(is_hold);
    let without_injection = |place: usize| {
        let mut plan = plan.clone();
        let injection = plan.schedule.injections.remove(place);
        Candidate { without: plan_words::injection(&injection), plan }
    };
    let without_crash = |place: usize| {
        let mut plan = plan.clone();
        let crash = plan.schedule.crashes.remove(place);
        Candidate { without: plan_words::crash(&crash), plan }
    };
    let crashes = (0..plan.schedule.crashes.len()).rev().map(without_crash);
    holds.into_iter().chain(others).map(without_injection).chain(crashes).take(RUNS_MAX).collect()
}

/// Why a plan that fails has no twin: of all its injections and crashes so many were taken away, one at a time.
pub fn why_alone(tried: usize, all: usize) -> String {
    match (tried, all) {
        (_, 0) => {
            "the plan injects nothing that could be taken away: what fails is the order of its base; segsim shrink makes it a \
             few holds"
                .to_string()
        }
        (_, 1) => "without its one injection the plan still fails: it is not decisive".to_string(),
        (tried, all) if tried < all => {
            format!(
                "without any one of {tried} of its {} the plan still fails; the others were not tried: segsim shrink finds \
                 the few that matter",
                counted(all as u64, "injection")
            )
        }
        (_, all) => {
            format!(
                "without any one of its {} the plan still fails: none is decisive alone; segsim shrink finds the few that are",
                counted(all as u64, "injection")
            )
        }
    }
}

/// Where two runs part: the places of the first moments that are not the same.
pub fn parts_at(run: &Told, twin: &Told) -> (usize, usize) {
    let of = |told: &Told| -> Vec<(usize, String)> {
        let is_traced = |moment: &Moment| !matches!(moment.what, Happened::Held | Happened::Cloned);
        let traced = told.moments.iter().enumerate().filter(|(_, moment)| is_traced(moment));
        traced.map(|(place, moment)| (place, format!("{} {:?} {}", moment.site, moment.what, moment.says))).collect()
    };
    let (run, twin) = (of(run), of(twin));
    let same = run.iter().zip(&twin).take_while(|((_, one), (_, other))| one == other).count();
    let place = |moments: &[(usize, String)]| moments.get(same).or(moments.last()).map_or(0, |(place, _)| *place);
    (place(&run), place(&twin))
}

/// Whether the plan decides anything by draws that can be written down by name.
pub fn is_drawn(plan: &Plan<Workload>) -> bool {
    let knobs = plan.schedule.knobs;
    let change = knobs.change;
    knobs != segment_sim::plan::Knobs { change, ..Default::default() }
}

/// The same plan with everything by name that its knobs did.
pub fn settled(plan: &Plan<Workload>, fired: &[Injection], ends: &[plan::Moment]) -> Plan<Workload> {
    segment_sim::shrink::settled(plan.clone(), fired, ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use segment_sim::plan::{CrashKind, Schedule};

    fn plan(schedule: Schedule) -> Plan<Workload> {
        let plan = Scenario::named("rotation-vs-eviction").unwrap().plan(0, None);
        Plan { schedule, ..plan }
    }

    #[test]
    fn holds_are_tried_first_and_of_each_kind_the_last_one() {
        let schedule = Schedule::in_order(1)
            .hold("a#1@X", "b#1@Y")
            .fail("c#1@DiskUnlink", 5)
            .hold_for("b#1@X", 3)
            .crash(CrashKind::Kill, "d#1@Z");
        let candidates = candidates(&plan(schedule));
        let without: Vec<&str> = candidates.iter().map(|candidate| candidate.without.as_str()).collect();
        assert_eq!(
            without,
            [
                "b#1@X: held for 3 steps",
                "a#1@X: held until b#1@Y",
                "c#1@DiskUnlink: fails: input/output error",
                "the process is killed at d#1@Z"
            ]
        );
        assert!(candidates.iter().all(|candidate| {
            let schedule = &candidate.plan.schedule;
            schedule.injections.len() + schedule.crashes.len() == 3
        }));
    }

    #[test]
    fn a_plan_without_injections_has_no_candidates() {
        assert!(candidates(&plan(Schedule::in_order(1))).is_empty());
    }

    #[test]
    fn of_a_plan_with_more_injections_than_are_tried_nothing_is_said_of_the_others() {
        let many =
            (1..=250).fold(Schedule::in_order(1), |schedule, hit| schedule.hold_until_idle(&format!("a#{hit}@X")));
        let why = why_alone(candidates(&plan(many)).len(), 250);
        assert!(
            why.starts_with("without any one of 200 of its 250 injections the plan still fails; the others"),
            "{why}"
        );
        assert!(
            why_alone(3, 3).starts_with("without any one of its 3 injections the plan still fails: none is decisive")
        );
        assert!(why_alone(1, 1).starts_with("without its one injection"));
    }

    #[test]
    fn runs_part_at_the_first_moment_that_is_not_the_same() {
        let moment = |site: &str, what| Moment { step: 1, site: site.to_string(), what, ..Moment::default() };
        use Happened::{Held, Landed, Passed};
        let told = |moments| Told { moments, ..Told::default() };
        let run = told(vec![moment("a", Passed), moment("b", Held), moment("b", Passed), moment("c", Passed)]);
        let twin = told(vec![moment("a", Passed), moment("b", Passed), moment("c", Landed)]);
        assert_eq!(parts_at(&run, &twin), (3, 2));
        assert_eq!(parts_at(&run, &run), (3, 3));
    }
}
