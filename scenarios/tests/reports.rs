//! The reports, reviewed: one of each scenario, and one of a stored failing record.

use segment_sim::sweep::Range;
use segsim::command::sweep::sweep_one;
use segsim::report::SweepResult;
use segsim::scenario::SCENARIOS;
use std::path::Path;

fn in_snapshots(check: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(check);
}

#[test]
fn each_scenario_has_its_canonical_report() {
    for scenario in &SCENARIOS {
        let record = sweep_one(scenario, Range { from: 0, seeds: 600, jobs: 2 }, None).unwrap();
        in_snapshots(|| insta::assert_snapshot!(scenario.name, record.result.text()));
    }
}

/// The record is of the engine without its state lock.
#[test]
fn a_failing_sweep_reads_well() {
    let result: SweepResult = serde_json::from_str(include_str!("failing-sweep.json")).unwrap();
    in_snapshots(|| {
        insta::assert_snapshot!("failing", result.text() + "\n" + &result.failures("segsim", Path::new("target/plans")))
    });
}
