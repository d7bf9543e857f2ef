//! `segsim replay`: one seed again, told in full.

use super::{BaseName, scenario};
use crate::error::Result;
use crate::output::say;
use crate::scenario::Scenario;
use crate::story;
use crate::workload::Workload;
use segment_sim::decision::Ratio;
use segment_sim::plan::{Base, Plan};
use segment_sim::verdict::Verdict;
use segment_sim::world::{Mode, Worker};

/// Run one seed again and say what happened
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The scenario
    scenario: String,
    /// The seed
    seed: u64,
    /// The base, if the sweep was given one
    #[arg(long, value_name = "B")]
    base: Option<BaseName>,
    /// Print every step
    #[arg(long)]
    trace: bool,
}

/// Replays, prints, and returns the verdict.
///
/// # Errors
/// Bad input, or a harness that failed.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let scenario = scenario(&arguments.scenario)?;
    let (verdict, text) = replay(scenario, arguments.seed, arguments.base.map(Base::from), arguments.trace)?;
    say(format_args!("{text}"));
    Ok(verdict)
}

/// The replay of a seed, in words.
///
/// # Errors
/// A harness that failed.
pub fn replay(scenario: &Scenario, seed: u64, base: Option<Base>, trace: bool) -> Result<(Verdict, String)> {
    let plan = scenario.plan(seed, base);
    let mut worker = Worker::new()?;
    let first = scenario.run(&mut worker, &plan, Mode { keep_trace: true, ..Mode::default() })?;
    let second = scenario.run(&mut worker, &plan, Mode { madsim_seed: 1, ..Mode::default() })?;
    let mut text = describe(&plan);
    if let (true, Some(story)) = (trace, &first.story) {
        text += &story::tell(story);
    }
    let record = &first.record;
    let verdict = match (record == &second.record, record.violations.is_empty()) {
        (false, _) => Verdict::Void,
        (true, true) => Verdict::Pass,
        (true, false) => Verdict::Fail,
    };
    text += &format!("{}  {} sites, trace {:016x}\n", verdict.word(), record.sites, record.trace_hash);
    if verdict == Verdict::Void {
        text += &format!("void: a second run differs, trace {:016x}\n", second.record.trace_hash);
    }
    for violation in &record.violations {
        text += &format!("{} at step {}: {}\n", violation.oracle, violation.step, violation.sentence);
    }
    Ok((verdict, text))
}

/// What a plan is, in a few lines.
fn describe(plan: &Plan<Workload>) -> String {
    let schedule = &plan.schedule;
    let knobs = &schedule.knobs;
    let share = |name: &str, ratio: Ratio| (ratio.hits > 0).then(|| format!("{name} {}/{}", ratio.hits, ratio.of));
    let shares = [
        share("holds", knobs.hold),
        share("slow unlinks", knobs.slow),
        share("failed unlinks", knobs.fail),
        share("full disk", knobs.full),
        share("cancels", knobs.cancel),
        share("priority changes", knobs.change),
    ];
    let shares: Vec<String> = shares.into_iter().flatten().collect();
    let [old, current, new] = plan.workload.generations;
    let knobs = if shares.is_empty() { "none".to_string() } else { shares.join(", ") };
    let mut text =
        format!("{} seed {} on base {}; knobs: {knobs}\n", plan.scenario, schedule.seed, schedule.base.name());
    text += &format!("ring of {old}/{current}/{new} with {} segments", plan.workload.segments);
    let Workload { stored, disk_bytes, .. } = &plan.workload;
    if !stored.is_empty() {
        let place = |(key, number, segment): &(u8, u16, u32)| format!("{key}: content {number} in {segment}");
        text += &format!("; stored {}", stored.iter().map(place).collect::<Vec<_>>().join(", "));
    }
    if *disk_bytes > 0 {
        text += &format!("; a disk of {disk_bytes} bytes");
    }
    text += "; callers:";
    let lines = plan.workload.callers.iter().map(|operations| {
        operations.iter().map(|operation| format!("{operation:?}")).collect::<Vec<_>>().join(" then ")
    });
    text + " " + &lines.collect::<Vec<_>>().join("; ") + "\n"
}
