//! A plan in words, the same ones wherever a command tells of it: what it is, what its injections and crashes do.

use crate::report::counted;
use crate::workload::{Later, Operation, Workload, words};
use segment_sim::plan::{Action, Base, Crash, CrashKind, Injection, Moment, Plan, Schedule, Until};

/// When a life of the process ends by itself.
const WHEN_IDLE: &str = "when nothing can go on";

/// When it is left to itself.
const WHEN_CALLERS_ARE_GONE: &str = "when all callers are gone";

/// What a plan is, in a few lines.
pub fn plan(plan: &Plan<Workload>) -> String {
    let Plan { scenario, schedule, workload } = plan;
    let Schedule { seed, base, knobs, injections, crashes } = schedule;
    let Workload { generations: [old, current, new], segments, stored, disk_bytes, .. } = workload;
    let depth = match base {
        Base::Priority => format!(" of depth {}", knobs.change.hits + 1),
        Base::Keyed | Base::Sequential => String::new(),
    };
    let on = knobs.named().into_iter().filter(|(_, ratio)| !ratio.is_never());
    let on: Vec<String> = on.map(|(name, ratio)| format!("{name} {}/{}", ratio.hits, ratio.of)).collect();
    let knobs = if on.is_empty() { "none".to_string() } else { on.join(", ") };
    let mut text = format!("{scenario} seed {seed} on base {}{depth}; knobs: {knobs}\n", base.name());
    text += &format!("ring of {old}/{current}/{new} with {}", counted((*segments).into(), "segment"));
    if !stored.is_empty() {
        let place = |(key, number, segment): &(u8, u16, u32)| format!("{key}: content {number} in {segment}");
        text += &format!("; stored {}", stored.iter().map(place).collect::<Vec<_>>().join(", "));
    }
    if *disk_bytes > 0 {
        text += &format!("; a disk of {disk_bytes} bytes");
    }
    let labels = workload.labels();
    let callers = |life: usize, callers: &[Vec<Operation>]| {
        let calls = |operations: &[Operation]| operations.iter().map(words).collect::<Vec<_>>().join(" then ");
        let labelled = labels[life].iter().zip(callers);
        let lines =
            labelled.filter_map(|(label, operations)| Some(format!("{} {}", label.as_ref()?, calls(operations))));
        lines.collect::<Vec<_>>().join("; ")
    };
    let first = callers(0, &workload.callers);
    text += &format!("; callers: {}", if first.is_empty() { "none" } else { &first });
    for (life, later) in (1..).zip(&workload.lives) {
        let callers = callers(life, &later.callers);
        text += &format!("\nlife {}: {}", life + 1, if callers.is_empty() { "no callers" } else { &callers });
        if let Some([old, current, new]) = later.generations {
            text += &format!(", ring of {old}/{current}/{new}");
        }
        text.extend(befalls(later).map(|file| format!(", {file}")));
    }
    text += "\n";
    for told in injections.iter().map(injection).chain(crashes.iter().map(crash)) {
        text += &format!("  {told}\n");
    }
    text
}

/// What befalls files before a life.
pub fn befalls(later: &Later) -> impl Iterator<Item = String> + '_ {
    let lost = later.lost.iter().map(|place| format!("the file at place {place} of the ring is removed"));
    let cut = later.cut.iter().map(|(place, bytes)| match place {
        0 => format!("the active segment's file is cut to {bytes} bytes"),
        place => format!("the file {place} before the active segment's is cut to {bytes} bytes"),
    });
    lost.chain(cut)
}

/// What happens at a site, with the site.
pub fn injection(injection: &Injection) -> String {
    let what = match &injection.action {
        Action::Hold(until) => format!("held {}", how_long(until)),
        Action::Error(errno) => format!("fails: {}", error(*errno)),
        Action::Rot => "finds a bit flipped".to_string(),
        Action::Cancel => "its caller is dropped".to_string(),
        Action::CancelAfter(steps) => format!("its caller is dropped {} later", counted((*steps).into(), "step")),
        Action::CancelOnce(site) => format!("its caller is dropped once {site} has passed"),
        Action::Crash(kind) => end(*kind).to_string(),
    };
    format!("{}: {what}", injection.site)
}

/// How a life of the process ends, and when.
pub fn crash(crash: &Crash) -> String {
    ended(crash.kind, &moment(&crash.at))
}

/// When a life of the process ends.
pub fn moment(at: &Moment) -> String {
    match at {
        Moment::At(site) => format!("at {site}"),
        Moment::Site(site, nth) => format!("at {site}, time {nth}"),
        Moment::Step(step) => format!("at step {step}"),
        Moment::CallersGone => WHEN_CALLERS_ARE_GONE.to_string(),
        Moment::Idle => WHEN_IDLE.to_string(),
    }
}

/// The lives that ended when nothing could go on, though the plan names another moment: a line for each.
pub fn late(crashes: &[Crash], ends: &[Moment]) -> String {
    let lives = (1..).zip(crashes.iter().zip(ends));
    let late = lives.filter(|(_, (crash, end))| **end == Moment::Idle && crash.at != Moment::Idle);
    let line = |(life, (crash, _)): (u32, (&Crash, _))| {
        format!("life {life} ended when nothing could go on, not {}\n", moment(&crash.at))
    };
    late.map(line).collect()
}

/// How long a hold lasts.
pub fn how_long(until: &Until) -> String {
    match until {
        Until::Passed(site) => format!("until {site}"),
        Until::Steps(steps) => format!("for {}", counted((*steps).into(), "step")),
        Until::Idle => "until nothing else can go on".to_string(),
    }
}

/// How a life of the process ends; `moment` says when.
pub fn ended(kind: CrashKind, moment: &str) -> String {
    match kind {
        CrashKind::Close => format!("the engine is closed {moment}, and then the power fails"),
        CrashKind::Kill | CrashKind::PowerLoss => format!("{} {moment}", end(kind)),
    }
}

/// How a life of the process ends.
pub fn end(kind: CrashKind) -> &'static str {
    match kind {
        CrashKind::Kill => "the process is killed",
        CrashKind::PowerLoss => "the power fails",
        CrashKind::Close => "the engine is closed, and the power fails",
    }
}

/// An error without its number, which says nothing that the words do not.
pub fn error(errno: i32) -> String {
    let error = std::io::Error::from_raw_os_error(errno).to_string();
    error.split(" (").next().unwrap_or_default().to_lowercase()
}
