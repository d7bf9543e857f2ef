//! What a command found, as CI systems take it: suites of cases, each passed or not. Read [`junit`] (a file),
//! [`annotations`] (lines that GitHub shows beside a job) and [`written`] (when both are written).

pub mod annotations;
pub mod junit;
pub mod written;

use crate::report::{Failure, Report};

/// One scenario, or one collection of plans.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Seconds on the clock, where they were measured.
    pub seconds: Option<f64>,
    /// What was checked in it.
    pub cases: Vec<Case>,
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its name: the same in each report, so that CI systems know it again.
    pub name: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It held.
    Pass,
    /// It measured nothing.
    Void {
        /// Why, in one sentence.
        why: String,
    },
    /// It could not be checked.
    Error {
        /// Why, in one sentence.
        why: String,
    },
    /// It did not hold.
    Fail {
        /// The oracle that spoke first.
        oracle: String,
        /// What was wrong, in one sentence.
        sentence: String,
        /// Commands that repeat it.
        commands: Vec<String>,
    },
}

impl Suite {
    /// A suite of one case, which says why there is no more.
    pub fn void(name: &str, why: &str) -> Suite {
        let case = Case { name: name.to_string(), outcome: Outcome::Void { why: why.to_string() } };
        Suite { name: name.to_string(), seconds: None, cases: vec![case] }
    }

    /// The suites of a sweep: of each scenario that has ended a case for each kind of failure, and, where it is VOID or
    /// nothing failed, a case of the scenario's own name.
    pub fn of_sweep(report: &Report) -> Vec<Suite> {
        let scenarios = report.sweeps.iter().map(|record| {
            let result = &record.result;
            let mut cases: Vec<Case> = result.failures.iter().map(Case::of).collect();
            if !result.void.is_empty() {
                let outcome = Outcome::Void { why: result.void.join("; ") };
                cases.push(Case { name: result.scenario.clone(), outcome });
            } else if cases.is_empty() {
                cases.push(Case { name: result.scenario.clone(), outcome: Outcome::Pass });
            }
            Suite { name: result.scenario.clone(), seconds: Some(record.measured.wall_seconds), cases }
        });
        // without a case that says so, a sweep that was cut short would read as one that passed
        scenarios.chain(report.void.iter().map(|why| Suite::void("sweep", why))).collect()
    }
}

impl Case {
    fn of(failure: &Failure) -> Case {
        let group = &failure.group;
        let outcome = Outcome::Fail {
            oracle: group.oracle.clone(),
            sentence: group.sentence.clone(),
            commands: failure.commands().into_iter().rev().map(str::to_string).collect(),
        };
        Case { name: format!("{}: {}", group.oracle, group.race), outcome }
    }
}

#[cfg(test)]
pub(crate) mod examples {
    use super::{Case, Outcome, Suite};

    /// One of each outcome, with letters that forms must escape.
    pub fn suites() -> Vec<Suite> {
        let fail = Outcome::Fail {
            oracle: "panic".to_string(),
            sentence: "100 % of <a> & \"b\",\nc: \u{1b}[1md".to_string(),
            commands: vec!["segsim replay same-key 17".to_string(), "segsim shrink 'a b.json'".to_string()],
        };
        let void = Outcome::Void { why: "interrupted".to_string() };
        let case = |name: &str, outcome| Case { name: name.to_string(), outcome };
        let cases = vec![case("panic: put@A x evict@B", fail), case("same-key", void)];
        let pass = vec![case("concurrent-pushes", Outcome::Pass)];
        vec![
            Suite { name: "concurrent-pushes".to_string(), seconds: Some(1.5), cases: pass },
            Suite { name: "same-key".to_string(), seconds: None, cases },
        ]
    }
}
