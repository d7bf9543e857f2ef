//! `segsim list`: what there is.

use crate::say;
use crate::scenario::SCENARIOS;
use segment_sim::oracle::{BESIDES, ORACLES, When};
use segment_sim::verdict::Verdict;
use segment_sim::vocabulary::WINDOWS;
use serde_json::{Value, json};

/// When oracles are asked, and how that is told.
const TIMES: [(When, &str); 5] = [
    (When::Save, "as a ring is saved"),
    (When::Answer, "at each answer"),
    (When::Step, "after each step"),
    (When::CrashImage, "after a crash"),
    (When::Drained, "when drained"),
];

/// Print the scenarios, the oracles with what each claims, and the race windows that sweeps count
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// As JSON: `scenarios` with `name` and `summary`, `oracles` with `name`, `asked` and `claim`, `windows` with `name`,
    /// `kind` and `about`
    #[arg(long)]
    json: bool,
}

/// Prints the scenarios, and the oracles with their claims.
pub fn run(arguments: &Arguments) -> Verdict {
    if arguments.json {
        say!("{:#}", as_json());
        return Verdict::Pass;
    }
    say!("scenarios");
    for scenario in &SCENARIOS {
        say!("  {:<28}{}", scenario.name, scenario.summary);
    }
    say!("oracles");
    for (when, asked) in TIMES {
        say!("  {asked}");
        for oracle in ORACLES.iter().filter(|oracle| oracle.when == when) {
            say!("    {:<26}{}", oracle.name, oracle.claim);
        }
    }
    say!("  besides");
    for (name, claim) in BESIDES {
        say!("    {name:<26}{claim}");
    }
    say!("windows: other tasks arrive while one is open, or land in it");
    for window in WINDOWS {
        say!("  {:<28}{:<12}{}", window.name, window.kind(), window.about);
    }
    Verdict::Pass
}

fn as_json() -> Value {
    let scenarios = SCENARIOS.iter().map(|scenario| json!({ "name": scenario.name, "summary": scenario.summary }));
    let oracles = TIMES.iter().flat_map(|(when, asked)| {
        let then = ORACLES.iter().filter(|oracle| oracle.when == *when);
        then.map(|oracle| json!({ "name": oracle.name, "asked": *asked, "claim": oracle.claim }))
    });
    let besides = BESIDES.iter().map(|(name, claim)| json!({ "name": name, "asked": "besides", "claim": claim }));
    let windows =
        WINDOWS.iter().map(|window| json!({ "name": window.name, "kind": window.kind(), "about": window.about }));
    json!({
        "scenarios": scenarios.collect::<Value>(),
        "oracles": oracles.chain(besides).collect::<Value>(),
        "windows": windows.collect::<Value>(),
    })
}
