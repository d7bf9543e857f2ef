//! A run as a trace in Chrome's format, for ui.perfetto.dev and chrome://tracing.
//!
//! A step is a millisecond. Each run is a process and each task a thread; moments are instants, and stretches are slices.
//! Locks are asynchronous slices: they need not nest. The end of a life of the process is a global instant.

use super::lanes::{Lane, Moment};
use super::spans::{Doing, Span};
use super::twin::Twin;
use super::{Explained, Told};
use serde_json::{Value, json};

/// Microseconds of a step.
const STEP_US: u64 = 1000;

/// The trace, one event a line, in the order of time.
pub fn json(explained: &Explained) -> String {
    let mut events: Vec<Value> = Vec::new();
    let name = format!("{} seed {}, {}", explained.scenario, explained.seed, explained.verdict.word());
    tell(&mut events, 1, &name, &explained.run);
    if let Twin::Beside { without, run, .. } = &explained.twin {
        tell(&mut events, 2, &format!("twin, without {without:?}"), run);
    }
    // at the same moment what lasts longer is around the other
    events.sort_by_key(|event| (number(event, "ts"), std::cmp::Reverse(number(event, "dur"))));
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    format!("{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{}\n]}}\n", lines.join(",\n"))
}

fn number(event: &Value, field: &str) -> u64 {
    event[field].as_u64().unwrap_or(0)
}

fn tell(events: &mut Vec<Value>, process: u32, name: &str, told: &Told) {
    let named = |kind: &str, task: usize, name: &str| json!({ "ph": "M", "name": kind, "pid": process, "tid": task, "ts": 0, "args": { "name": name } });
    events.push(named("process_name", 0, name));
    for (task, lane) in told.lanes.iter().enumerate() {
        events.push(named("thread_name", task + 1, &lane.label));
        events.push(json!({ "ph": "M", "name": "thread_sort_index", "pid": process, "tid": task + 1, "ts": 0, "args": { "sort_index": task } }));
        let Lane { label, from, to, end, .. } = lane;
        let (start, stop) = (after(*from), to.map_or(after(told.steps), after));
        events.push(json!({ "ph": "X", "name": label, "cat": "task", "pid": process, "tid": task + 1, "ts": start,
            "dur": stop.saturating_sub(start), "args": { "end": end } }));
    }
    for (id, span) in told.spans.iter().enumerate() {
        tell_span(events, process, id, span);
    }
    events.extend(told.ends.iter().map(|(step, how)| end(process, *step, how)));
    let mut last = (0, 0);
    for moment in &told.moments {
        // moments of one step follow each other
        last = if last.0 == moment.step { (last.0, last.1 + 1) } else { (moment.step, 0) };
        let Moment { lane, site, what, says, segments, found, is_race, .. } = moment;
        events.push(json!({ "ph": "i", "s": "t", "name": moment.point, "cat": if *is_race { "race" } else { "moment" },
            "pid": process, "tid": lane + 1, "ts": moment.step * STEP_US + last.1.min(STEP_US - 2),
            "args": { "step": moment.step, "site": site, "what": what, "says": says, "segments": segments, "found": found } }));
    }
}

/// The end of a life of the process, across all tasks.
fn end(process: u32, step: u64, how: &str) -> Value {
    json!({ "ph": "i", "s": "g", "name": how, "cat": "end", "pid": process, "tid": 0, "ts": after(step), "args": { "step": step } })
}

fn tell_span(events: &mut Vec<Value>, process: u32, id: usize, span: &Span) {
    let Span { lane, kind, from, to, label } = span;
    let (start, stop) = (after(*from), to * STEP_US);
    let word = match kind {
        Doing::Locks => "holds",
        Doing::LockWait => "waits for lock",
        Doing::Held => "held",
        Doing::Asleep => "asleep",
        Doing::Joins => "waits for a task",
    };
    let name = format!("{word} {label}");
    let name = name.trim_end();
    if *kind == Doing::Locks {
        let edge = |phase: &str, at: u64| json!({ "ph": phase, "name": name, "cat": "lock", "id": format!("{process}.{id}"), "pid": process, "tid": lane + 1, "ts": at });
        events.push(edge("b", start));
        events.push(edge("e", stop.max(start)));
    } else {
        events.push(json!({ "ph": "X", "name": name, "cat": "wait", "pid": process, "tid": lane + 1, "ts": start, "dur": stop.saturating_sub(start) }));
    }
}

/// The end of a step.
fn after(step: u64) -> u64 {
    step * STEP_US + STEP_US - 1
}
