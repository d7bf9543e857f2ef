//! `segsim list`: what there is.

use crate::say;
use crate::scenario::SCENARIOS;
use segment_sim::oracle::{BESIDES, ORACLES, When};
use segment_sim::verdict::Verdict;

/// Prints the scenarios, and the oracles with their claims.
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
        say!("  {name}");
        for oracle in ORACLES.iter().filter(|oracle| oracle.when == when) {
            say!("    {:<26}{}", oracle.name, oracle.claim);
        }
    }
    say!("  besides");
    for (name, claim) in BESIDES {
        say!("    {name:<26}{claim}");
    }
    Verdict::Pass
}
