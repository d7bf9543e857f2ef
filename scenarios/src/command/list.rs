//! `segsim list`: what there is.

use crate::scenario::SCENARIOS;
use segment_sim::oracle::{ORACLES, When};
use segment_sim::verdict::Verdict;

/// Prints scenarios and oracles.
pub fn run() -> Verdict {
    println!("scenarios");
    for scenario in &SCENARIOS {
        println!("  {:<24}{}", scenario.name, scenario.summary);
    }
    println!("oracles");
    for (when, name) in
        [(When::Save, "as a ring is saved"), (When::Step, "after each step"), (When::Drained, "when drained")]
    {
        let names: Vec<&str> = ORACLES.iter().filter(|oracle| oracle.when == when).map(|oracle| oracle.name).collect();
        println!("  {name:<24}{}", names.join(", "));
    }
    Verdict::Pass
}
