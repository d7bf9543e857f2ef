//! The reports, reviewed: one of each scenario, and one of a stored failing record.

use segment_sim::sweep::Range;
use segment_sim::verdict::Verdict;
use segsim::ci::{Outcome, Suite, annotations, junit};
use segsim::command::sweep::{Until, sweep_one};
use segsim::explain::Explained;
use segsim::report::{Measured, Repeat, Report, Small, SweepRecord, SweepResult};
use segsim::scenario::SCENARIOS;
use serde_json::Value;
use std::collections::BTreeSet;
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
        let repeat = Repeat { program: "segsim", plans: Path::new("target/plans") };
        let (record, _) =
            sweep_one(scenario, Range { from: 0, seeds: 600, jobs: 2 }, Until::default(), None, repeat).unwrap();
        in_snapshots(|| insta::assert_snapshot!(scenario.name, record.result.text()));
    }
}

/// The fields of a value and of all in it; `named` are those whose own fields are names and not fields.
fn fields(value: &Value, named: &[&str], all: &mut BTreeSet<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| fields(value, named, all)),
        Value::Object(values) => {
            for (name, value) in values {
                all.insert(name.clone());
                match value {
                    Value::Object(named_ones) if named.contains(&name.as_str()) => {
                        named_ones.values().for_each(|value| fields(value, named, all));
                    }
                    value => fields(value, named, all),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn a_kind_of_failure_in_many_scenarios_is_told_once_with_all_of_them() {
    let sweep: SweepResult = serde_json::from_str(include_str!("failing-sweep.json")).unwrap();
    let measured = Measured { wall_seconds: 1.0, cpu_seconds: 1.0, jobs: 1 };
    let mut report = Report::new();
    report.sweeps = vec![SweepRecord { result: sweep.clone(), measured }];
    assert_eq!(report.kinds(), "", "each is told below");
    let (kinds, most) = (sweep.failures.len(), sweep.failures[0].group.clone());
    let mut other = sweep;
    other.failures.truncate(1);
    report.sweeps.push(SweepRecord { result: other, measured });
    let told = report.kinds();
    let mut lines = told.lines();
    assert_eq!(lines.next().unwrap(), format!("the kinds of failures, over all scenarios: {kinds}"));
    let first = format!("  2 scenarios {:>11} runs  {}: {}", 2 * most.runs, most.oracle, most.race);
    assert_eq!(lines.next().unwrap(), first);
    assert!(lines.all(|line| line.starts_with("  1 scenario ")), "{told}");
}

#[test]
fn the_docs_of_reports_have_every_field_and_the_formats() {
    let docs = include_str!("../../docs/reports.md");
    let sweep: SweepResult = serde_json::from_str(include_str!("failing-sweep.json")).unwrap();
    let measured = Measured { wall_seconds: 1.0, cpu_seconds: 1.0, jobs: 1 };
    let mut report = Report::new();
    report.sweeps = vec![SweepRecord { result: sweep, measured }];
    let explained: Explained = serde_json::from_str(include_str!("failing-explained.json")).unwrap();
    assert!(docs.contains(&format!("A sweep: format {}\n", report.format)));
    assert!(docs.contains(&format!("An explained run: format {}\n", explained.format)));
    let mut all = BTreeSet::new();
    let named = ["windows", "strategies", "interference", "crash_sites", "oracles"];
    fields(&serde_json::to_value(&report).unwrap(), &named, &mut all);
    fields(&serde_json::to_value(&explained).unwrap(), &[], &mut all);
    assert!(all.len() > 80, "{all:?}");
    for name in all {
        assert!(docs.contains(&format!("`{name}`")) || docs.contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn a_report_survives_its_file() {
    let text = include_str!("failing-sweep.json");
    let result: SweepResult = serde_json::from_str(text).unwrap();
    assert!(serde_json::to_value(&result).unwrap() == serde_json::from_str::<Value>(text).unwrap());
    let fingerprint = format!("{:016x}", result.tally.fingerprint);
    assert!(text.contains(&format!("\"{fingerprint}\"")) && result.text().contains(&fingerprint));
}

/// The record is of the engine without its state lock.
#[test]
fn a_failing_sweep_reads_well() {
    let result: SweepResult = serde_json::from_str(include_str!("failing-sweep.json")).unwrap();
    in_snapshots(|| insta::assert_snapshot!("failing", result.text() + "\n" + &result.failures()));
}

#[test]
fn a_failure_that_was_made_small_is_told_by_what_is_left_of_it() {
    let mut result: SweepResult = serde_json::from_str(include_str!("failing-sweep.json")).unwrap();
    let words = |name: &str| format!("the {name} of the small plan");
    result.failures[0].shrunk =
        Some(Small { plan: words("file"), sentence: words("sentence"), explain: words("page"), replay: words("run") });
    let told = result.failures();
    let small = ["sentence", "page", "run"].map(|name| format!("the {name} of the small plan"));
    let lines = format!("  {}\n  made small: {}\n", result.failures[0].group.sentence, small.join("\n  "));
    assert!(told.contains(&lines), "{told}");
    let [first, second] = [0, 1].map(|place| told.contains(&result.failures[place].replay));
    assert!(!first && second, "{told}");
    let mut report = Report::new();
    report.sweeps = vec![SweepRecord { result, measured: Measured { wall_seconds: 1.0, cpu_seconds: 1.0, jobs: 1 } }];
    let case = &Suite::of_sweep(&report)[0].cases[0];
    let Outcome::Fail { commands, .. } = &case.outcome else { panic!("it has failed") };
    assert_eq!(commands, &[words("run"), words("page")]);
}

#[test]
fn a_report_says_what_its_last_failure_has_left_out() {
    let result: SweepResult = serde_json::from_str(include_str!("failing-sweep.json")).unwrap();
    let (seeds, failed) = (result.seeds, result.tally.failed);
    let mut report = Report::new();
    report.sweeps = vec![SweepRecord { result, measured: Measured { wall_seconds: 1.0, cpu_seconds: 1.0, jobs: 1 } }];
    let stopped = format!("stopped after {failed} failures");
    assert_eq!(report.stopped(seeds, 1), None);
    assert_eq!(report.stopped(seeds + 1, 1), Some(stopped.clone()));
    let [one, more] = [", 1 of 2 scenarios not begun", ", 16 of 17 scenarios not begun"];
    assert_eq!(
        [2, 17].map(|scenarios| report.stopped(seeds, scenarios)),
        [one, more].map(|more| Some(stopped.clone() + more))
    );
    report.judge(report.stopped(seeds, 2));
    assert_eq!((report.verdict, report.void.len()), (Verdict::Fail, 1));
}

#[test]
fn a_failing_sweep_reads_well_in_ci_systems() {
    let result: SweepResult = serde_json::from_str(include_str!("failing-sweep.json")).unwrap();
    let mut report = Report::new();
    report.sweeps = vec![SweepRecord { result, measured: Measured { wall_seconds: 1.0, cpu_seconds: 1.0, jobs: 1 } }];
    report.judge(Some("not finished: 1 of 2 scenarios are done".to_string()));
    let suites = Suite::of_sweep(&report);
    in_snapshots(|| {
        insta::assert_snapshot!("failing-junit", junit::xml("segsim sweep", &suites));
        insta::assert_snapshot!("failing-annotations", annotations::lines(&suites));
    });
}
