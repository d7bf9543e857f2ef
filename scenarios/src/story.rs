//! A run told step by step.

use segment_engine::ring::Generation;
use segment_engine::ring_state::RingRecord;
use segment_sim::trace::{Event, What};
use segment_sim::world::Story;
use std::fmt::Write;

/// The trace as lines: step, task, point, and what there is to say about it.
pub fn tell(story: &Story) -> String {
    let width = story.labels.iter().map(String::len).max().unwrap_or(0);
    let mut saves = story.saves.iter().filter(|(step, _)| *step > 0).peekable();
    let mut text = String::new();
    for event in story.trace.events() {
        let Event { step, site, what } = event;
        let label = &story.labels[usize::from(site.task.0)];
        let remark = match what {
            What::Passed => String::new(),
            What::Noted => "noted".to_string(),
            What::Landed => "landed".to_string(),
            What::Failed(errno) => format!("failed: {}", std::io::Error::from_raw_os_error(*errno)),
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
        let line = format!("{step:>5}  {label:<width$}  {point:<20}{remark}");
        writeln!(text, "{}", line.trim_end()).expect("writing to a string does not fail");
    }
    text
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
