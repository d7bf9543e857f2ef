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
    let Schedule { seed, base, knobs, injections, crashes } = &file.plan.schedule;
    if *base != Base::Sequential || !knobs.are_off() {
        return None;
    }
    let mut schedule = format!("Schedule::in_order({seed})");
    for Injection { site, action } in injections {
        let site = literal(site);
        schedule += &match action {
            Action::Hold(Until::Passed(until)) => format!("\n        .hold({site}, {})", literal(until)),
            Action::Hold(Until::Steps(steps)) => format!("\n        .hold_for({site}, {steps})"),
            Action::Hold(Until::Idle) => format!("\n        .hold_until_idle({site})"),
            Action::Error(errno) => format!("\n        .fail({site}, {errno})"),
            Action::Cancel => format!("\n        .drop_caller({site})"),
            Action::CancelAfter(steps) => format!("\n        .drop_caller_after({site}, {steps})"),
            Action::CancelOnce(passed) => format!("\n        .drop_caller_once({site}, {})", literal(passed)),
            Action::Crash(kind) => format!("\n        .crash(CrashKind::{kind:?}, {site})"),
        };
    }
    for Crash { kind, at } in crashes {
        schedule += &match at {
            Moment::At(site) => format!("\n        .crash(CrashKind::{kind:?}, {})", literal(site)),
            Moment::Idle => format!("\n        .crash_when_idle(CrashKind::{kind:?})"),
            Moment::Step(_) | Moment::Site(..) => return None,
        };
    }
    let workload = workload(&file.plan.workload);
    let comment = comment(file.expected.sentence.as_deref().unwrap_or("This plan has failed."));
    let kind = if crashes.is_empty() { "" } else { "CrashKind, " };
    let mut uses = vec!["Operation", "Workload"];
    uses.extend((!file.plan.workload.lives.is_empty()).then_some("Later"));
    uses.extend((file.plan.workload.limits != Small::default()).then_some("Small"));
    uses.sort_unstable();
    let plan = match kind {
        "" => "Schedule".to_string(),
        kind => format!("{{{kind}Schedule}}"),
    };
    Some(format!(
        "//! Written by `segsim export`.\n\nuse segment_sim::plan::{plan};\nuse segsim::export::passes;\n\
         use segsim::workload::{{{}}};\n\n{comment}#[test]\nfn {name}() {{\n    let schedule = {schedule};\n    \
         let workload = {workload};\n    passes(\"{}\", schedule, workload);\n}}\n",
        uses.join(", "),
        file.plan.scenario
    ))
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
    assert!(Scenario::named(scenario).is_some(), "{scenario} is no scenario");
    let plan = Plan { scenario: scenario.to_string(), schedule, workload };
    let file = PlanFile::new(plan, Expected::pass());
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
    let Later { generations, lost, callers } = life;
    let mut fields = vec![format!("callers: {}", calls(callers))];
    fields.extend(generations.map(|generations| format!("generations: Some({generations:?})")));
    fields.extend((!lost.is_empty()).then(|| format!("lost: vec!{lost:?}")));
    if fields.len() < 3 {
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
    use super::comment;

    #[test]
    fn whatever_a_sentence_holds_stays_in_its_comment() {
        assert_eq!(comment("it's \"so\""), "/// it's \"so\"\n");
        assert_eq!(comment("one\n\nfn two() {}\r"), "/// one\n///\n/// fn two() {}\\r\n");
        assert_eq!(comment("a\u{202e}b\u{0}"), "/// a\\u{202e}b\\0\n");
    }
}
