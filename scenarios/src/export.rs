//! A plan as a plain Rust test: order between named points, and nothing that is drawn.

use crate::corpus::judge;
use crate::plan_file::{Expected, PlanFile};
use crate::scenario::Scenario;
use crate::workload::{Later, Operation, Small, Workload};
use segment_sim::plan::{Action, Base, Crash, Injection, Moment, Plan, Schedule, Until};
use segment_sim::verdict::Verdict;
use segment_sim::world::Worker;
use std::fmt::Write;

/// The test's source; `None` when something of the plan is drawn, and not order.
pub fn test(file: &PlanFile, name: &str) -> Option<String> {
    let Schedule { seed, injections, crashes, .. } = &file.plan.schedule;
    if is_drawn(&file.plan.schedule) {
        return None;
    }
    let mut schedule = format!("Schedule::in_order({seed})");
    // these end a life in the place of an entry of `crashes`, which the schedule's own methods would add one to
    let mut ends = String::new();
    for Injection { site, action } in injections {
        let site = literal(site);
        schedule += &match action {
            Action::Hold(Until::Passed(until)) => format!("\n        .hold({site}, {})", literal(until)),
            Action::Hold(Until::Steps(steps)) => format!("\n        .hold_for({site}, {steps})"),
            Action::Hold(Until::Idle) => format!("\n        .hold_until_idle({site})"),
            Action::Error(errno) => format!("\n        .fail({site}, {errno})"),
            Action::Rot => format!("\n        .rot({site})"),
            Action::Cancel => format!("\n        .drop_caller({site})"),
            Action::CancelAfter(steps) => format!("\n        .drop_caller_after({site}, {steps})"),
            Action::CancelOnce(passed) => format!("\n        .drop_caller_once({site}, {})", literal(passed)),
            Action::Crash(kind) => {
                ends += &format!(
                    "    schedule.injections.push(Injection {{ site: {site}.parse().unwrap(), action: \
                     Action::Crash(CrashKind::{kind:?}) }});\n"
                );
                continue;
            }
        };
    }
    for Crash { kind, at } in crashes {
        schedule += &match at {
            Moment::At(site) => format!("\n        .crash(CrashKind::{kind:?}, {})", literal(site)),
            Moment::CallersGone => format!("\n        .crash_when_callers_are_gone(CrashKind::{kind:?})"),
            Moment::Idle => format!("\n        .crash_when_idle(CrashKind::{kind:?})"),
            Moment::Step(_) | Moment::Site(..) => return None,
        };
    }
    let workload = workload(&file.plan.workload);
    let comment = comment(file.expected.sentence.as_deref().unwrap_or("This plan has failed."));
    let only_there = &file.expected.only_there;
    let (passes, without) = match only_there.is_empty() {
        true => ("passes", String::new()),
        false => ("passes_without", format!(", &[{}]", only_there.iter().map(literal).collect::<Vec<_>>().join(", "))),
    };
    let plan = match (crashes.is_empty(), ends.is_empty()) {
        (true, true) => "Schedule",
        (false, true) => "{CrashKind, Schedule}",
        (_, false) => "{Action, CrashKind, Injection, Schedule}",
    };
    let variable = if ends.is_empty() { "schedule" } else { "mut schedule" };
    let mut uses = vec!["Operation", "Workload"];
    uses.extend((!file.plan.workload.lives.is_empty()).then_some("Later"));
    uses.extend((file.plan.workload.limits != Small::default()).then_some("Small"));
    uses.sort_unstable();
    Some(format!(
        "//! Written by `segsim export`.\n\nuse segment_sim::plan::{plan};\nuse segsim::export::{passes};\n\
         use segsim::workload::{{{}}};\n\n{comment}#[test]\nfn {name}() {{\n    let {variable} = {schedule};\n{ends}    \
         let workload = {workload};\n    {passes}(\"{}\", schedule, workload{without});\n}}\n",
        uses.join(", "),
        file.plan.scenario
    ))
}

/// Whether a seed decides what happens: that changes whenever the engine does.
pub fn is_drawn(schedule: &Schedule) -> bool {
    schedule.base != Base::Sequential || !schedule.knobs.are_off()
}

/// A sentence as a comment, whatever is in it.
fn comment(sentence: &str) -> String {
    let line = |line: &str| format!("{}\n", format!("/// {}", line.chars().map(shown).collect::<String>()).trim_end());
    sentence.lines().map(line).collect()
}

/// A letter, or how Rust writes one that nobody would see.
fn shown(letter: char) -> String {
    match letter {
        '"' | '\'' | '\\' => letter.to_string(),
        letter => letter.escape_debug().to_string(),
    }
}

/// Text as a literal of Rust.
fn literal(text: &impl ToString) -> String {
    format!("{:?}", text.to_string())
}

/// Asserts that a plan passes, and comes to every site that it names.
///
/// # Panics
/// When it does not: that is what a test does.
pub fn passes(scenario: &str, schedule: Schedule, workload: Workload) {
    passes_without(scenario, schedule, workload, &[]);
}

/// The same of a plan that failed on an engine that alone has these sites: here it does without them.
///
/// # Panics
/// When it does not pass, or one of these is no site.
pub fn passes_without(scenario: &str, schedule: Schedule, workload: Workload, only_there: &[&str]) {
    assert!(Scenario::named(scenario).is_some(), "{scenario} is no scenario");
    let plan = Plan { scenario: scenario.to_string(), schedule, workload };
    let site = |text: &&str| text.parse().unwrap_or_else(|fault| panic!("{fault}"));
    let expected = Expected { only_there: only_there.iter().map(site).collect(), ..Expected::pass() };
    let file = PlanFile::new(plan, expected);
    let judged = Worker::new().map_err(Into::into).and_then(|mut worker| judge(&mut worker, &file));
    let judged = judged.unwrap_or_else(|error| panic!("the harness failed: {error}"));
    if let Some(violation) = judged.violations.first() {
        panic!("{}: {}", violation.oracle, violation.sentence);
    }
    assert!(judged.unreached.is_empty(), "the run no longer comes to {:?}", judged.unreached);
    assert_eq!(judged.verdict, Verdict::Pass, "a second run differs");
}

fn workload(workload: &Workload) -> String {
    let Workload { generations, segments, stored, disk_bytes, limits, callers, lives } = workload;
    let mut text = format!("Workload {{\n        generations: {generations:?},\n        segments: {segments},\n");
    let mut line = |text_of: String| writeln!(text, "        {text_of},").expect("writing to a string does not fail");
    if !stored.is_empty() {
        line(format!("stored: vec!{stored:?}"));
    }
    if *disk_bytes > 0 {
        line(format!("disk_bytes: {disk_bytes}"));
    }
    if *limits != Small::default() {
        line(format!("limits: {limits:?}"));
    }
    line(format!("callers: {}", calls(callers)));
    if !lives.is_empty() {
        line(format!("lives: vec![{}]", lives.iter().map(later).collect::<Vec<_>>().join(", ")));
    }
    text + "        ..Workload::default()\n    }"
}

fn later(life: &Later) -> String {
    let Later { generations, lost, cut, callers } = life;
    let mut fields = vec![format!("callers: {}", calls(callers))];
    fields.extend(generations.map(|generations| format!("generations: Some({generations:?})")));
    fields.extend((!lost.is_empty()).then(|| format!("lost: vec!{lost:?}")));
    fields.extend((!cut.is_empty()).then(|| format!("cut: vec!{cut:?}")));
    if fields.len() < 4 {
        fields.push("..Later::default()".to_string());
    }
    format!("Later {{ {} }}", fields.join(", "))
}

fn calls(callers: &[Vec<Operation>]) -> String {
    let call = |operation: &Operation| format!("Operation::{operation:?}");
    let caller = |calls: &Vec<Operation>| format!("vec![{}]", calls.iter().map(call).collect::<Vec<_>>().join(", "));
    format!("vec![{}]", callers.iter().map(caller).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;
    use segment_sim::plan::CrashKind;
    use std::panic::catch_unwind;
    use std::path::Path;

    #[test]
    fn whatever_a_sentence_holds_stays_in_its_comment() {
        assert_eq!(comment("it's \"so\""), "/// it's \"so\"\n");
        assert_eq!(comment("one\n\nfn two() {}\r"), "/// one\n///\n/// fn two() {}\\r\n");
        assert_eq!(comment("a\u{202e}b\u{0}"), "/// a\\u{202e}b\\0\n");
    }

    #[test]
    fn the_test_of_a_plan_does_without_the_sites_that_only_the_engine_has_on_which_it_failed() {
        let kept = corpus::read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).unwrap();
        let with = kept.iter().filter(|kept| !kept.file.expected.only_there.is_empty());
        let mut exported = 0;
        for corpus::Kept { name, file, .. } in with {
            let sites: Vec<String> = file.expected.only_there.iter().map(ToString::to_string).collect();
            let sites: Vec<&str> = sites.iter().map(String::as_str).collect();
            let Plan { scenario, schedule, workload } = &file.plan;
            passes_without(scenario, schedule.clone(), workload.clone(), &sites);
            assert!(catch_unwind(|| passes(scenario, schedule.clone(), workload.clone())).is_err(), "{name}");
            let text = test(file, "kept").unwrap();
            let call = format!("    passes_without(\"{scenario}\", schedule, workload, &{sites:?});\n");
            assert!(text.contains(&call) && text.contains("use segsim::export::passes_without;\n"), "{text}");
            exported += 1;
        }
        assert!(exported > 0, "no plan of the corpus has such sites");
    }

    #[test]
    fn a_test_ends_a_life_at_an_injection_in_the_place_of_its_crash_and_not_besides() {
        let plan = Scenario::named("crash-anywhere").unwrap().plan(0, None);
        let mut schedule = Schedule::in_order(3).hold_for("put#1@Start", 2).crash_when_idle(CrashKind::PowerLoss);
        schedule
            .injections
            .push(Injection { site: "put#1@WriteWanted".parse().unwrap(), action: Action::Crash(CrashKind::Kill) });
        let file = PlanFile::new(Plan { schedule, ..plan }, Expected::pass());
        let text = test(&file, "ends").unwrap();
        // as the schedule above is made
        let lines = "    let mut schedule = Schedule::in_order(3)\n        .hold_for(\"put#1@Start\", 2)\n        \
                     .crash_when_idle(CrashKind::PowerLoss);\n    schedule.injections.push(Injection { site: \
                     \"put#1@WriteWanted\".parse().unwrap(), action: Action::Crash(CrashKind::Kill) });\n";
        assert!(text.contains(lines) && !text.contains(".crash("), "{text}");
        assert!(text.contains("use segment_sim::plan::{Action, CrashKind, Injection, Schedule};\n"), "{text}");
    }
}
