//! Plans on disk: what is written can be read, whatever is read can be run or is refused in a line, and what is kept
//! still passes.

use proptest::prelude::*;
use segment_sim::plan::{Action, Crash, CrashKind, Injection, Moment, Plan, Schedule, Until};
use segment_sim::site::SiteName;
use segment_sim::verdict::Verdict;
use segment_sim::world::{Mode, Worker};
use segsim::command::explain::explain;
use segsim::command::replay::replay;
use segsim::corpus;
use segsim::explain::terminal;
use segsim::mutant;
use segsim::plan_file::{Expected, PlanFile};
use segsim::report::Report;
use segsim::scenario::{SCENARIOS, Scenario};
use segsim::workload::{Operation, Workload};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

fn file(scenario: &str, seed: u64) -> PlanFile {
    PlanFile::new(Scenario::named(scenario).unwrap().plan(seed, None), Expected::pass())
}

fn corpus() -> Vec<corpus::Kept> {
    corpus::read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).unwrap()
}

#[test]
fn every_plan_of_a_sweep_survives_its_file() {
    for scenario in &SCENARIOS {
        for seed in 0..200 {
            let file = file(scenario.name, seed);
            assert_eq!(PlanFile::parse(file.text().as_bytes()).as_ref(), Ok(&file), "{}", file.text());
        }
    }
}

#[test]
fn the_plan_in_the_docs_has_every_field_and_can_be_run() {
    let docs = include_str!("../../docs/plans.md");
    let (_, example) = docs.split_once("```json\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let file = PlanFile::parse(example.as_bytes()).unwrap();
    let scenario = Scenario::named(&file.plan.scenario).unwrap();
    let outcome = scenario.run(&mut Worker::new().unwrap(), &file.plan, Mode::default()).unwrap();
    assert_eq!(outcome.record.violations, []);
    // every field that a plan can have, and no other
    let written: serde_json::Value = serde_json::from_str(&file.text()).unwrap();
    let names = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for name in [&written, &written["plan"]["schedule"], &written["plan"]["workload"]].into_iter().flat_map(names) {
        assert!(docs.contains(&format!("`{name}`")) || name == "plan" || name == "schedule", "{name}");
    }
}

#[test]
fn a_fault_of_a_file_is_named_in_one_line() {
    let text = file("put-vs-eviction", 3).text();
    let with_callers = |callers: &str| {
        let mut plan: serde_json::Value = serde_json::from_str(&text).unwrap();
        plan["plan"]["workload"]["callers"] = serde_json::from_str(callers).unwrap();
        plan.to_string()
    };
    let faults = [
        (text.replace("\"seed\"", "\"sead\""), "unknown field `sead`"),
        (text.replace("\"callers\"", "\"actors\""), "unknown field `actors`"),
        (text.replace("\"format\": 1", "\"format\": 2, \"new\": []"), "it has format 2; this segsim reads format 1"),
        (serde_json::to_string(&Report::new()).unwrap(), "it is the report of a sweep, which names the plan of each"),
        (with_callers(r#"[[{ "put": [1, 2], "get": 1 }]]"#), "expected map with a single key at line "),
        (with_callers(r#"[["rotate", "rotated"]]"#), "unknown variant `rotated`"),
        (
            text.replace("\"generations\": [", "\"generations\": [1,"),
            "invalid length 4, expected fewer elements in array at line ",
        ),
        (text.replace("put-vs-eviction", "put-vs-put"), "no scenario is called \"put-vs-put\""),
        (text.replace("\"segments\": ", "\"segments\": 9"), "1 to 64 segments"),
        (text.replace("\"stripes\": ", "\"stripes\": 9999"), "are at most 1024"),
        (
            text.replacen("\"rotate\"", "{\"sleep\": 10001}", 1),
            "a caller sleeps at most 10000 ms at once, it cannot sleep 10001",
        ),
        (text.replace("put-vs-eviction", "concurrent-pushes"), "the ring state alone has no artifacts"),
        (
            text.replace(
                "\"base\"",
                r#""injections": [{ "site": "evict#1\n\u001b[31m@RingCloned", "action": "cancel" }], "base""#,
            ),
            "\"evict#1\\n\\u{1b}[31m@RingCloned\" is no site; ",
        ),
        (text[..text.len() / 2].to_string(), "EOF"),
        (String::new(), "it is empty"),
        ("[".repeat(100_000), "invalid type"),
    ];
    for (text, words) in faults {
        let fault = PlanFile::parse(text.as_bytes()).unwrap_err();
        assert!(fault.contains(words) && !fault.contains(char::is_control), "{words}: {fault}");
    }
    assert!(PlanFile::parse(format!("\u{feff}{text}").as_bytes()).is_ok(), "an editor's mark in front is no fault");
    assert!(PlanFile::parse(&vec![b' '; 2 << 20]).unwrap_err().contains("larger"));
    let mut ends = file("put-vs-eviction", 3);
    let action = Action::Crash(CrashKind::Kill);
    ends.plan.schedule.injections = vec![Injection { site: "put#1@WriteWanted".parse().unwrap(), action }];
    for errno in [-5, 0, 4096] {
        let mut file = ends.clone();
        file.plan.schedule.injections[0].action = Action::Error(errno);
        let fault = PlanFile::parse(file.text().as_bytes()).unwrap_err();
        assert!(fault.starts_with(&format!("{errno} is no error number")), "{fault}");
    }
    for errno in [2, 17] {
        let mut file = ends.clone();
        file.plan.schedule.injections[0].action = Action::Error(errno);
        let fault = PlanFile::parse(file.text().as_bytes()).unwrap_err();
        assert!(fault.starts_with("the error at put#1@WriteWanted says that a name is missing (2, ENOENT)"), "{fault}");
    }
    for site in ["nope@Nope", "evictor", "@DiskUnlink", "\u{1b}[31m@DiskUnlink", "evictor@RingSaved"] {
        let mut file = ends.clone();
        let at = Moment::Site(site.to_string(), 1);
        file.plan.schedule.crashes = vec![Crash { kind: CrashKind::Kill, at }];
        let fault = PlanFile::parse(file.text().as_bytes()).unwrap_err();
        let words = format!("a crash comes at {site:?}, and no process ends there: write KIND@POINT, such as ");
        assert!(fault.starts_with(&words) && fault.ends_with(", EvictorAwaited"), "{fault}");
    }
    let mut closes = file("crash-anywhere", 3);
    for (at, is_taken) in [
        (Moment::Step(3), false),
        (Moment::Site("evictor@DiskUnlink".to_string(), 1), false),
        (Moment::At("put#1@DiskWrite".parse().unwrap()), false),
        (Moment::Idle, true),
        (Moment::CallersGone, true),
    ] {
        closes.plan.schedule.crashes = vec![Crash { kind: CrashKind::Close, at }];
        let parsed = PlanFile::parse(closes.text().as_bytes());
        assert!(parsed.is_ok() == is_taken && parsed.err().is_none_or(|fault| fault.starts_with("a close comes in")));
    }
    let fault = PlanFile::parse(ends.text().as_bytes()).unwrap_err();
    let words = "more crash injections than entries in \"crashes\": the one at put#1@WriteWanted can never fire";
    assert!(fault.starts_with(words), "{fault}");
}

#[test]
fn what_cannot_happen_at_its_site_makes_a_plan_void() {
    let mut file = file("rotation-vs-eviction", 0);
    let scenario = Scenario::named("rotation-vs-eviction").unwrap();
    for (site, action, expected) in [
        ("evict#1@RingWanted", Action::Error(5), Verdict::Void),
        ("evictor@DiskUnlink", Action::Rot, Verdict::Void),
        ("evictor@DiskUnlink", Action::Error(5), Verdict::Pass),
        ("evictor@DiskUnlink", Action::Cancel, Verdict::Void),
        ("evict#1@RingWanted", Action::Cancel, Verdict::Pass),
    ] {
        file.plan.schedule.injections = vec![Injection { site: site.parse().unwrap(), action }];
        let (verdict, text) = replay(scenario, &file.plan, None, false).unwrap();
        assert_eq!(verdict, expected, "{text}");
        assert_eq!(text.contains(&format!("not reached: {site}\n")), expected == Verdict::Void, "{text}");
    }
}

#[test]
fn what_a_crash_is_faster_than_makes_a_plan_void() {
    let mut file = file("rotation-vs-eviction", 0);
    let scenario = Scenario::named("rotation-vs-eviction").unwrap();
    let inject = |site: &str, action| vec![Injection { site: site.parse().unwrap(), action }];
    let mut seen = BTreeSet::new();
    for step in 1..60 {
        let schedule = &mut file.plan.schedule;
        schedule.crashes = vec![Crash { kind: CrashKind::PowerLoss, at: Moment::Step(step) }];
        schedule.injections = inject("evictor@DiskUnlink", Action::Error(5));
        let (verdict, text) = replay(scenario, &file.plan, None, true).unwrap();
        let has_failed = text.lines().any(|line| line.contains("  DiskUnlink ") && line.contains("failed: "));
        assert_eq!(verdict, if has_failed { Verdict::Pass } else { Verdict::Void }, "{step}: {text}");
        seen.insert(verdict);
    }
    assert_eq!(seen.len(), 2, "the crash comes before and after");
    // the last life has no end but its own
    let schedule = &mut file.plan.schedule;
    schedule.crashes = vec![Crash { kind: CrashKind::PowerLoss, at: Moment::Idle }];
    schedule.injections = inject("open#1/evictor#1@EvictorWoken", Action::Crash(CrashKind::Kill));
    let (verdict, text) = replay(scenario, &file.plan, None, false).unwrap();
    assert_eq!(verdict, Verdict::Void, "{text}");
}

#[test]
fn a_crash_whose_moment_does_not_come_is_told_in_one_line() {
    let mut file = file("crash-anywhere", 3);
    let scenario = Scenario::named("crash-anywhere").unwrap();
    for (kind, at, moment) in [
        (CrashKind::Kill, Moment::Step(100_000), Some("step 100000")),
        (
            CrashKind::PowerLoss,
            Moment::Site("evictor@DiskUnlink".to_string(), 999),
            Some("evictor@DiskUnlink, time 999"),
        ),
        // it is closed when nothing else can go on, whatever the plan says
        (CrashKind::Close, Moment::Step(3), Some("step 3")),
        (CrashKind::Kill, Moment::Step(3), None),
        (CrashKind::Kill, Moment::Idle, None),
        (CrashKind::Kill, Moment::CallersGone, None),
        (CrashKind::Close, Moment::CallersGone, None),
    ] {
        file.plan.schedule.crashes = vec![Crash { kind, at }];
        let (verdict, replayed) = replay(scenario, &file.plan, None, false).unwrap();
        let explained = explain(&file.plan, None, String::new()).unwrap();
        assert_eq!((verdict, explained.verdict), (Verdict::Pass, Verdict::Pass), "{replayed}");
        let line = moment.map(|moment| format!("life 1 ended when nothing could go on, not at {moment}"));
        for text in [replayed, terminal::text(&explained, false)] {
            let late = text.lines().find(|line| line.starts_with("life 1 ended"));
            assert_eq!(late.map(str::to_string), line, "{text}");
        }
    }
}

#[test]
fn an_engine_whose_process_ends_while_it_is_closed_ends_once_and_is_not_looked_at_as_one_that_is_closed() {
    let scenario = Scenario::named("close-with-work-left").unwrap();
    let mut plan = scenario.plan(0, None);
    plan.schedule = Schedule::in_order(0);
    plan.schedule.crashes = vec![Crash { kind: CrashKind::Close, at: Moment::CallersGone }];
    let site: SiteName = "close#1@Start".parse().unwrap();
    plan.schedule.injections = vec![Injection { site: site.clone(), action: Action::Crash(CrashKind::Kill) }];
    // a copy that is not made, as the process ends
    plan.workload = Workload {
        generations: [1, 1, 1],
        segments: 3,
        stored: vec![(1, 101, 1)],
        callers: vec![vec![Operation::Get(1)]],
        ..Workload::default()
    };
    let mode = Mode { keep_trace: true, ..Mode::default() };
    let outcome = scenario.run(&mut Worker::new().unwrap(), &plan, mode).unwrap();
    assert_eq!(outcome.record.violations, []);
    let story = outcome.story.unwrap();
    assert_eq!((story.trace.process_ends().len(), story.ends), (1, vec![Moment::At(site)]));
}

#[test]
fn a_trace_says_what_each_call_came_to() {
    let mut file = file("put-vs-eviction", 3);
    let Plan { schedule, workload, .. } = &mut file.plan;
    *schedule = Schedule::in_order(3);
    workload.stored = Vec::new();
    workload.callers = vec![vec![Operation::Put(1, 7), Operation::Get(1), Operation::Contains(2)]];
    let scenario = Scenario::named("put-vs-eviction").unwrap();
    let (_, text) = replay(scenario, &file.plan, None, true).unwrap();
    let answers: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once("answer")?.1.trim())).collect();
    assert_eq!(answers, ["key 1 has content 7", "key 1 has content 7", "key 2 has nothing"]);
}

#[test]
fn the_calls_of_a_plan_are_told_in_the_words_of_its_file_and_its_crashes_as_everywhere() {
    let mut file = file("power-loss-anywhere", 3);
    file.plan.schedule.crashes = vec![Crash { kind: CrashKind::PowerLoss, at: Moment::Idle }];
    file.plan.workload.callers = vec![vec![Operation::Rotate, Operation::EvictPlace(3)], vec![Operation::Put(1, 17)]];
    let scenario = Scenario::named(&file.plan.scenario).unwrap();
    let (_, text) = replay(scenario, &file.plan, None, false).unwrap();
    for words in
        ["rotate#1 rotate then evict-place 3; put#1 put [1,17]\n", "\n  the power fails when nothing can go on\n"]
    {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_site_that_is_not_reached_makes_a_plan_void_and_is_named() {
    let mut file = file("rotation-vs-eviction", 0);
    for (site, until) in [("evict#9@RingCloned", "evict#1@RingSaved"), ("evict#1@RingCloned", "evict#1@RingSavedd")] {
        let action = Action::Hold(Until::Passed(until.parse().unwrap()));
        file.plan.schedule.injections = vec![Injection { site: site.parse().unwrap(), action }];
        let scenario = Scenario::named("rotation-vs-eviction").unwrap();
        let (verdict, text) = replay(scenario, &file.plan, None, false).unwrap();
        assert_eq!(verdict, Verdict::Void, "{text}");
        let named = if site.contains('9') { site } else { until };
        assert!(text.contains(&format!("not reached: {named}\n")), "{text}");
    }
}

#[test]
fn every_kept_plan_passes_on_this_engine() {
    let mut worker = Worker::new().unwrap();
    for kept in corpus() {
        let judged = corpus::judge(&mut worker, &kept.file).unwrap();
        assert_eq!(judged.verdict, Verdict::Pass, "{}: {judged:?}", kept.name);
    }
}

#[test]
fn every_kept_plan_is_for_a_mutant_that_is_there() {
    let mutants = mutant::read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants")).unwrap();
    for corpus::Kept { name, file, .. } in corpus() {
        // one without a mutant would have failed on an engine of the past
        if let Some(id) = &file.mutant {
            assert!(mutants.iter().any(|mutant| mutant.id == *id), "{name} is kept for {id}");
        }
    }
}

#[test]
fn the_sentences_of_the_corpus_read_well() {
    let mut text = String::new();
    for corpus::Kept { name, file, .. } in corpus() {
        let schedule = &file.plan.schedule;
        let injections = schedule.injections.len() + schedule.crashes.len();
        writeln!(text, "{name}: {injections} injections").unwrap();
        writeln!(text, "  {}", file.expected.sentence.unwrap_or_default()).unwrap();
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("corpus", text));
}

/// A plan's text with some of its bytes replaced, numbers mostly by other numbers.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let scenario = 0..SCENARIOS.len();
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6);
    (scenario, 0u64..500, edits, any::<bool>()).prop_map(|(scenario, seed, edits, cut)| {
        let mut bytes = file(SCENARIOS[scenario].name, seed).text().into_bytes();
        for (place, byte, is_digit) in edits {
            let digits: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
            if is_digit && !digits.is_empty() {
                bytes[digits[place.index(digits.len())]] = b'0' + byte % 10;
            } else if cut {
                bytes.truncate(place.index(bytes.len()));
                break;
            } else {
                let at = place.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_refused_or_can_be_run(bytes in damaged()) {
        thread_local! {
            static WORKER: std::cell::RefCell<Worker> = std::cell::RefCell::new(Worker::new().unwrap());
        }
        if let Ok(file) = PlanFile::parse(&bytes) {
            let scenario = Scenario::named(&file.plan.scenario).unwrap();
            let ran = WORKER.with_borrow_mut(|worker| scenario.run(worker, &file.plan, Mode::default()));
            let record = ran.unwrap().record;
            let panicked = record.violations.iter().find(|violation| violation.oracle == "panic");
            prop_assert_eq!(panicked, None, "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn any_bytes_are_a_plan_or_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = PlanFile::parse(&bytes);
    }
}
