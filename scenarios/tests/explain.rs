//! Runs explained: what is said of them is so, and reads well.

use segment_sim::verdict::Verdict;
use segsim::command::explain::explain;
use segsim::corpus;
use segsim::explain::class::Class;
use segsim::explain::twin::Twin;
use segsim::explain::{Explained, Told, page, perfetto, terminal};
use segsim::scenario::{SCENARIOS, Scenario};
use serde_json::Value;
use std::path::Path;

/// A shrunk plan on the engine without its state lock.
fn failing() -> Explained {
    serde_json::from_str(include_str!("failing-explained.json")).unwrap()
}

fn passing(scenario: &Scenario, seed: u64) -> Explained {
    let command = format!("segsim replay {} {seed}", scenario.name);
    explain(&scenario.plan(seed, None), None, command).unwrap()
}

fn rotation_vs_eviction() -> Explained {
    passing(Scenario::named("rotation-vs-eviction").unwrap(), 17)
}

fn in_snapshots(check: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(check);
}

#[test]
fn a_failing_plan_reads_well() {
    in_snapshots(|| insta::assert_snapshot!("explain-failing", terminal::text(&failing(), false)));
}

#[test]
fn a_passing_plan_reads_well() {
    in_snapshots(|| insta::assert_snapshot!("explain-passing", terminal::text(&rotation_vs_eviction(), false)));
}

#[test]
fn a_failure_has_its_race_its_damage_and_its_twin() {
    let Explained { run, twin, verdict, .. } = failing();
    assert_eq!(verdict, Verdict::Fail);
    let stale = run.saves.iter().find(|save| save.is_stale).unwrap();
    let decisive = run.moments.iter().find(|moment| !moment.found.is_empty()).unwrap();
    assert_eq!((decisive.step, Some(decisive.lane)), (stale.step, stale.lane));
    assert!(decisive.is_race && decisive.is_brief);
    let classes: Vec<Class> =
        run.segments.iter().filter_map(|segment| segment.first_illegal()).map(|at| at.class).collect();
    assert_eq!(classes, [Class::Resurrected, Class::Orphaned]);
    let Twin::Beside { run: beside, parts_at, .. } = twin else { panic!("it has a twin") };
    assert!(beside.violations.is_empty() && beside.segments.iter().all(|segment| segment.first_illegal().is_none()));
    let site = |told: &Told, place: usize| told.moments[place].site.clone();
    assert_ne!(site(&run, parts_at.0), site(&beside, parts_at.1));
    let same = |told: &Told, place: usize| told.moments[..place].iter().map(|at| at.site.clone()).collect::<Vec<_>>();
    assert!(same(&run, parts_at.0).len() > 3);
}

#[test]
fn no_segment_of_a_run_that_passes_is_called_wrong() {
    let mut in_flight = 0;
    for scenario in &SCENARIOS {
        for seed in 0..60 {
            let explained = passing(scenario, seed);
            assert_eq!(explained.verdict, Verdict::Pass, "{} {seed}", scenario.name);
            for segment in &explained.run.segments {
                let wrong = segment.first_illegal();
                assert_eq!(wrong, None, "segment {} of {} {seed}", segment.number, scenario.name);
                in_flight += usize::from(segment.first_disagreement().is_some());
            }
        }
    }
    assert!(in_flight > 1000, "{in_flight}");
}

#[test]
fn a_lineage_is_in_order_and_ends_as_the_run_does() {
    for scenario in &SCENARIOS {
        for seed in 0..10 {
            let Explained { run, .. } = passing(scenario, seed);
            for segment in &run.segments {
                let first = |at: &[segsim::explain::lineage::At]| at.first().map(|at| at.step);
                let [made, joined, doomed, begun, gone] =
                    [&segment.created, &segment.in_ring, &segment.doomed, &segment.unlink_begun, &segment.unlinked]
                        .map(|at| first(at));
                let steps: Vec<u64> = [made, joined, doomed, begun, gone].into_iter().flatten().collect();
                // a power loss may take back a save or an unlink, and an open dooms what was made and never joined
                if run.ends.is_empty() {
                    assert!(steps.is_sorted(), "segment {} of {} {seed}: {steps:?}", segment.number, scenario.name);
                    assert_eq!(segment.unlinked.is_empty(), segment.on_disk.is_some());
                }
            }
            let on_disk: Vec<u64> = run.segments.iter().filter(|at| at.on_disk.is_some()).map(|at| at.number).collect();
            let mut members: Vec<u64> = run.saves.last().unwrap().generations.iter().flatten().copied().collect();
            members.sort_unstable();
            assert_eq!(on_disk, members, "{} {seed}", scenario.name);
        }
    }
}

#[test]
fn a_page_is_under_two_mebibytes() {
    let size = |explained: &Explained| page::html(explained).len();
    assert!(size(&failing()) < 200_000, "{}", size(&failing()));
    for scenario in &SCENARIOS {
        for seed in 0..20 {
            let explained = passing(scenario, seed);
            assert!(size(&explained) < 2 << 20, "{} {seed}", scenario.name);
            assert_eq!(explained.run.left_out, 0);
        }
    }
}

#[test]
fn a_trace_is_json_in_the_order_of_time() {
    let others = SCENARIOS.iter().map(|scenario| passing(scenario, 3));
    for explained in others.chain([failing()]) {
        let trace: Value = serde_json::from_str(&perfetto::json(&explained)).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let times: Vec<u64> = events.iter().map(|event| event["ts"].as_u64().unwrap()).collect();
        assert!(times.is_sorted());
        let count = |phase: &str| events.iter().filter(|event| event["ph"] == phase).count();
        assert_eq!(count("b"), count("e"));
        let beside = if let Twin::Beside { run, .. } = &explained.twin { Some(run.as_ref()) } else { None };
        let runs = || std::iter::once(&explained.run).chain(beside);
        let ends = runs().map(|run| run.ends.len()).sum::<usize>();
        assert_eq!(events.iter().filter(|event| event["s"] == "g").count(), ends);
        assert_eq!(count("i"), ends + runs().map(|run| run.moments.len()).sum::<usize>());
        // slices of one thread lie in each other or beside each other
        let mut open: std::collections::BTreeMap<(u64, u64), Vec<u64>> = std::collections::BTreeMap::new();
        for event in events.iter().filter(|event| event["ph"] == "X") {
            let [start, length] = ["ts", "dur"].map(|field| event[field].as_u64().unwrap());
            let thread = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
            let ends = open.entry(thread).or_default();
            ends.retain(|end| *end > start);
            assert!(ends.last().is_none_or(|end| start + length <= *end), "{event}");
            ends.push(start + length);
        }
    }
}

#[test]
fn every_kept_plan_can_be_explained() {
    for kept in corpus::read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).unwrap() {
        let explained = explain(&kept.file.plan, Some(&kept.file.expected), String::new()).unwrap();
        assert_eq!(explained.verdict, Verdict::Pass, "{}", kept.name);
        let text = terminal::text(&explained, true);
        assert!(text.starts_with("PASS  nothing is wrong\n") && text.contains("lineage"), "{text}");
    }
}
