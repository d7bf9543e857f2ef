//! The trace of a run as text, step by step.

use crate::plan_words;
use segment_engine::Repair;
use segment_engine::ring::Generation;
use segment_engine::ring_state::RingRecord;
use segment_sim::history::{Answer, Told};
use segment_sim::site::TaskId;
use segment_sim::trace::{Event, ProcessEnd, What};
use segment_sim::world::Story;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The trace as lines: step, task, point, and what there is to say about it; what each call came to, and where the
/// process ends. `contents` has the number of each content by its hash.
pub fn tell(story: &Story, contents: &BTreeMap<u64, u16>) -> String {
    let width = story.labels.iter().map(String::len).max().unwrap_or(0);
    let mut saves = story.saves.iter().filter(|(step, _)| *step > 0).peekable();
    let mut text = String::new();
    let mut line = |step: u64, task: Option<TaskId>, point: &str, remark: &str| {
        let label = task.map_or("", |task| &story.labels[usize::from(task.0)]);
        let line = format!("{step:>5}  {label:<width$}  {point:<20}{remark}");
        writeln!(text, "{}", line.trim_end()).expect("writing to a string does not fail");
    };
    let mut answers = story.answers.iter().peekable();
    let mut ends = story.trace.process_ends().iter().peekable();
    let mut now = 0;
    for (before, event) in story.trace.events().iter().enumerate() {
        while let Some(Told { task, answer, .. }) = answers.next_if(|told| told.after <= before) {
            line(now, Some(*task), "answer", &told(answer, contents));
        }
        while let Some(ProcessEnd { step, kind, .. }) = ends.next_if(|end| end.after <= before) {
            line(*step, None, plan_words::end(*kind), "");
        }
        let Event { step, site, what } = event;
        now = *step;
        let remark = match what {
            What::Passed => String::new(),
            What::Noted => "noted".to_string(),
            What::Landed => "landed".to_string(),
            What::Rotten => "landed: a bit has flipped".to_string(),
            What::Failed(errno) => format!("failed: {}", plan_words::error(*errno)),
            What::Cancelled => "its caller is dropped here".to_string(),
            What::Crashed => "the process ends here".to_string(),
            What::Finished => "finished".to_string(),
            What::Panicked => "panicked".to_string(),
            What::Changed(_) => {
                // the others are commits of artifacts
                saves.next_if(|(saved, _)| saved == step).map(|(_, record)| ring(record)).unwrap_or_default()
            }
        };
        let point = if site.hit == 1 { site.point.to_string() } else { format!("{}:{}", site.point, site.hit) };
        line(now, Some(site.task), &point, &remark);
    }
    for Told { task, answer, .. } in answers {
        line(now, Some(*task), "answer", &told(answer, contents));
    }
    text
}

/// What a call came to.
fn told(answer: &Answer, contents: &BTreeMap<u64, u16>) -> String {
    let content = |hash: &u64| {
        contents.get(hash).map_or("bytes that nobody put".to_string(), |number| format!("content {number}"))
    };
    match answer {
        Answer::Pushed(segment) => format!("segment {} is the active one", segment.as_u128()),
        Answer::Evicted(segment) => format!("segment {} is evicted", segment.as_u128()),
        Answer::Absent(segment) => format!("segment {} was not in the ring", segment.as_u128()),
        Answer::RefusedActive(segment) => format!("segment {} is the active one and stays", segment.as_u128()),
        Answer::Relieved { victims, .. } if victims.is_empty() => "nothing had to be evicted".to_string(),
        Answer::Relieved { victims, .. } => {
            let victims: Vec<String> = victims.iter().map(|segment| segment.as_u128().to_string()).collect();
            format!("evicted: {}", victims.join(" "))
        }
        Answer::Put { key, content: hash, .. } => format!("key {key} has {}", content(hash)),
        Answer::Read { key, content: Some(hash), .. } => format!("key {key} has {}", content(hash)),
        Answer::Read { key, content: None, .. } | Answer::Contains { key, found: false, .. } => {
            format!("key {key} has nothing")
        }
        Answer::CutOff { key, .. } => format!("key {key} went while it was read"),
        Answer::Contains { key, found: true, .. } => format!("key {key} has something"),
        Answer::Opened(repairs) if repairs.is_empty() => "open".to_string(),
        Answer::Opened(repairs) => {
            format!("open, and mended: {}", repairs.iter().map(repair).collect::<Vec<_>>().join("; "))
        }
        Answer::Others => "done".to_string(),
        Answer::Closed => "closed".to_string(),
        Answer::GaveUp(key) => {
            format!("key {key} is not stored: each time its segment was evicted or a write was refused")
        }
        Answer::NoRoom(length) => format!("not stored: no room for {length} bytes"),
        Answer::Full => "refused: the disk is full".to_string(),
        Answer::Failed(_, error) => format!("failed: {error}"),
    }
}

fn repair(repair: &Repair) -> String {
    match repair {
        Repair::EvictionResumed { segment } => format!("the eviction of segment {} goes on", segment.as_u128()),
        Repair::StrayFile { segment } => format!("segment {} is in no list and goes", segment.as_u128()),
        Repair::LostSegment { segment } => format!("segment {} has no file", segment.as_u128()),
        Repair::LostArtifacts { segment, rows } => {
            format!("{rows} rows of segment {} without bytes", segment.as_u128())
        }
    }
}

/// A saved ring in one line.
fn ring(record: &RingRecord) -> String {
    let of = |generation| {
        let members = record.ring.members().iter().filter(|member| member.generation == generation);
        members.map(|member| member.segment.as_u128().to_string()).collect::<Vec<_>>().join(" ")
    };
    let doomed: Vec<String> = record.ring.doomed().iter().map(|doomed| doomed.segment.as_u128().to_string()).collect();
    format!(
        "version {} on {}: old [{}] current [{}] new [{}] doomed [{}]",
        record.version,
        record.base,
        of(Generation::Old),
        of(Generation::Current),
        of(Generation::New),
        doomed.join(" ")
    )
}
