//! `segsim list`: what there is.

use crate::say;
use crate::scenario::SCENARIOS;
use segment_sim::oracle::{ORACLES, When};
use segment_sim::verdict::Verdict;

/// Prints scenarios and oracles.
pub fn run() -> Verdict {
    say!("scenarios");
    for scenario in &SCENARIOS {
        say!("  {:<28}{}", scenario.name, scenario.summary);
    }
    say!("oracles");
    for (when, name) in [
        (When::Save, "as a ring is saved"),
        (When::Answer, "at each answer"),
        (When::Step, "after each step"),
        (When::CrashImage, "after a crash"),
        (When::Drained, "when drained"),
    ] {
        let names: Vec<&str> = ORACLES.iter().filter(|oracle| oracle.when == when).map(|oracle| oracle.name).collect();
        say!("  {name:<24}{}", names.join(", "));
    }
    Verdict::Pass
}
