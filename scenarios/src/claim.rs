//! What an exhaustive search may say, and what it must say besides.

use crate::report::{counted, grouped};
use crate::scenario::Scenario;
use crate::size::Size;
use segment_sim::exhaust::{Bounds, Counts};
use std::fmt::Write;

/// What was searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The scenario's name.
    pub scenario: String,
    /// The size of the workload.
    pub size: Size,
    /// The points, by name; `None` is all.
    pub points: Option<Vec<String>>,
    /// The bounds.
    pub bounds: Bounds,
}

impl Subject {
    /// The points in words.
    pub fn points(&self) -> String {
        self.points.as_ref().map_or_else(|| "all points".to_string(), |points| format!("points {}", points.join(", ")))
    }

    /// The most preemptions in words.
    pub fn preemptions(&self) -> String {
        self.bounds.preemptions.map_or_else(|| "unlimited".to_string(), |most| most.to_string())
    }

    /// The claim of a search that is complete and has found nothing.
    pub fn claim(&self, counts: &Counts) -> String {
        let ends = Scenario::named(&self.scenario).is_some_and(|scenario| scenario.crashes.is_some());
        format!(
            "no violation in any of {} of workload {} of {}, at {}, sequentially consistent between points, with {} and \
             {}{}",
            counted(counts.runs(), "execution"),
            self.size,
            self.scenario,
            self.points(),
            self.bounds.preemptions.map_or_else(
                || "any number of preemptions".to_string(),
                |most| format!("at most {}", counted(most.into(), "preemption"))
            ),
            match self.bounds.faults {
                0 => "no faults".to_string(),
                most => format!("at most {} (failed unlinks, full disks)", counted(most.into(), "fault")),
            },
            if ends { ", and no end of the process" } else { "" }
        )
    }
}

/// What was counted, and what was skipped and why that is sound, line by line. `audited` states were gone on from a second
/// time.
pub fn besides(bounds: Bounds, counts: &Counts, audited: usize) -> String {
    let mut text = String::new();
    let rounds =
        counts.runs.iter().enumerate().map(|(preemptions, runs)| format!("{} with {preemptions}", grouped(*runs)));
    let rounds: Vec<String> = rounds.collect();
    let mut line = |words: String| writeln!(text, "  {words}").expect("writing to a string does not fail");
    line(format!("executions by preemptions: {}", rounds.join(", ")));
    line(format!(
        "cut short: {}; the longest took {} steps; {} were made twice and came to the same",
        grouped(counts.cut_short),
        counts.steps_max,
        grouped(counts.repeated)
    ));
    if bounds.joins {
        line(format!(
            "skipped as equal: {} ended early and {} were not begun, where an earlier one had taken the same step",
            grouped(counts.joined),
            grouped(counts.skipped)
        ));
        line(
            "  in an equal state with no more preemptions: every task had seen the same, and everything that they"
                .into(),
        );
        line(
            "  share was the same, so the same follows (what steps touch: sim/src/touches.rs; numbers of 128 bits)"
                .into(),
        );
        line(format!(
            "  {} of these were run to their ends all the same, and came to the same",
            grouped(audited as u64)
        ));
    } else {
        line("nothing was skipped".to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claim_says_what_was_searched_and_no_more() {
        let bounds = Bounds { preemptions: Some(3), faults: 0, joins: false };
        let (scenario, size) = ("put-vs-eviction".to_string(), "put=2,evict=1".parse().unwrap());
        let subject = Subject { scenario, size, points: Some(vec!["RingWanted".into(), "RingCloned".into()]), bounds };
        let counts = Counts { runs: vec![1000, 234], ..Counts::default() };
        assert_eq!(
            subject.claim(&counts),
            "no violation in any of 1,234 executions of workload put=2,evict=1 of put-vs-eviction, at points RingWanted, \
             RingCloned, sequentially consistent between points, with at most 3 preemptions and no faults"
        );
        let all = Subject { points: None, bounds: Bounds { preemptions: None, faults: 1, ..bounds }, ..subject };
        let end = "at all points, sequentially consistent between points, with any number of preemptions and at most 1 fault (failed unlinks, full disks)";
        assert!(all.claim(&counts).ends_with(end));
        let crashing = Subject { scenario: "crash-anywhere".to_string(), ..all };
        assert!(crashing.claim(&counts).ends_with("(failed unlinks, full disks), and no end of the process"));
        assert!(besides(bounds, &counts, 0).ends_with("nothing was skipped\n"));
    }
}
