//! `segsim replay`: one plan again, told in full.

use super::{ENGINE, StrategyName, scenario};
use crate::corpus;
use crate::error::{Error, Result};
use crate::output::{say, take_stdout};
use crate::plan_file::{Expected, PlanFile};
use crate::report::counted;
use crate::scenario::Scenario;
use crate::story;
use crate::tell;
use crate::workload::{Operation, Workload, words};
use segment_sim::decision::Ratio;
use segment_sim::plan::{Action, Base, Moment, Plan, Until};
use segment_sim::verdict::Verdict;
use segment_sim::world::{Mode, Worker};
use std::path::{Path, PathBuf};

/// Run one plan, or one seed, again and say what happened
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  segsim replay rotation-vs-eviction 17 --trace\n  \
                        segsim replay same-key 17 --write plan.json\n  \
                        segsim replay target/plans/rotation-vs-eviction-17.json")]
pub struct Arguments {
    #[command(flatten)]
    chosen: Chosen,
    /// Print every step
    #[arg(long)]
    trace: bool,
    /// Also write the seed's plan to this file, to be edited
    #[arg(long, value_name = "FILE.json", requires = "seed")]
    write: Option<PathBuf>,
}

/// One run, as it is named on the command line.
#[derive(Debug, clap::Args)]
pub struct Chosen {
    /// A plan, or a scenario and a seed
    #[arg(value_name = "PLAN.json|SCENARIO")]
    pub plan: PathBuf,
    /// The seed
    pub seed: Option<u64>,
    /// The strategy that the sweep was given
    #[arg(long, alias = "base", value_name = "S", value_enum, requires = "seed", default_value_t = StrategyName::Portfolio)]
    pub strategy: StrategyName,
}

impl Chosen {
    /// Its plan, and what came of it when it was written.
    ///
    /// # Errors
    /// A scenario that does not exist, or a file that is no plan.
    pub fn read(&self) -> Result<(Plan<Workload>, Option<Expected>)> {
        match self.seed {
            Some(_) if self.plan.extension().is_some_and(|ending| ending == "json") => {
                Err(Error::PlanAndSeed { plan: self.plan.clone() })
            }
            Some(seed) => Ok((scenario(&self.plan.to_string_lossy())?.plan(seed, self.strategy.strategy()), None)),
            None => {
                let file = read(&self.plan)?;
                Ok((file.plan, Some(file.expected)))
            }
        }
    }
}

/// Replays, prints, and returns the verdict.
///
/// # Errors
/// Bad input, or a harness that failed.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let (plan, expected) = arguments.chosen.read()?;
    let scenario = scenario(&plan.scenario)?;
    take_stdout(arguments.write.as_deref());
    let (verdict, text) = replay(scenario, &plan, expected.as_ref(), arguments.trace)?;
    say(format_args!("{text}"));
    if let Some(path) = &arguments.write {
        let record = scenario.run(&mut Worker::new()?, &plan, Mode::default())?.record;
        PlanFile::new(plan, Expected::of(&record)).write(path)?;
    }
    Ok(verdict)
}

/// Reads a plan, and warns when it was made with another engine.
///
/// # Errors
/// A file that is no plan.
pub fn read(path: &Path) -> Result<PlanFile> {
    let name = path.to_string_lossy();
    if Scenario::named(&name).is_some() && !path.exists() {
        return Err(Error::SeedMissing { scenario: name.into_owned() });
    }
    let file = PlanFile::read(path)?;
    // one that is kept for a mutant is meant for every engine
    if file.engine != ENGINE && file.mutant.is_none() {
        tell!(
            "segsim: {} was made with engine {}; this segsim has engine {ENGINE}, so the run may differ",
            path.display(),
            file.engine
        );
    }
    Ok(file)
}

/// The replay of a plan, in words.
///
/// # Errors
/// A harness that failed.
pub fn replay(
    scenario: &Scenario,
    plan: &Plan<Workload>,
    expected: Option<&Expected>,
    trace: bool,
) -> Result<(Verdict, String)> {
    let mut worker = Worker::new()?;
    let first = scenario.run(&mut worker, plan, Mode { keep_trace: true, ..Mode::default() })?;
    let second = scenario.run(&mut worker, plan, Mode { madsim_seed: 1, ..Mode::default() })?;
    let mut text = describe(plan);
    if let (true, Some(story)) = (trace, &first.story) {
        text += &story::tell(story, &plan.workload.contents());
    }
    let record = &first.record;
    let repeats = record == &second.record;
    let verdict = corpus::verdict(&first, &second, expected);
    text += &format!("{}  {} sites, trace {:016x}\n", verdict.word(), record.sites, record.trace_hash);
    if !repeats {
        text += &format!("void: a second run differs, trace {:016x}\n", second.record.trace_hash);
    }
    for site in &first.unreached {
        let why = if corpus::is_only_there(expected, site) {
            " (expected: this point exists only in the engine the plan failed on)"
        } else {
            ""
        };
        text += &format!("not reached: {site}{why}\n");
    }
    for violation in &record.violations {
        text += &format!("{} at step {}: {}\n", violation.oracle, violation.step, violation.sentence);
    }
    let oracle = record.violations.first().map(|violation| violation.oracle.as_str());
    if let Some(expected) =
        expected.filter(|expected| (expected.verdict, expected.oracle.as_deref()) != (verdict, oracle))
    {
        let by = expected.oracle.as_ref().map(|oracle| format!(" by {oracle}")).unwrap_or_default();
        text += &format!("when the plan was written it came to {}{by}\n", expected.verdict.word());
    }
    Ok((verdict, text))
}

/// What a plan is, in a few lines.
pub(super) fn describe(plan: &Plan<Workload>) -> String {
    let schedule = &plan.schedule;
    let knobs = &schedule.knobs;
    let share = |name: &str, ratio: Ratio| (ratio.hits > 0).then(|| format!("{name} {}/{}", ratio.hits, ratio.of));
    let shares = [
        share("holds", knobs.hold),
        share("holds where a window opens", knobs.hold_opening),
        share("slow unlinks", knobs.slow),
        share("failed unlinks", knobs.fail),
        share("full disk", knobs.full),
        share("failing operations", knobs.broken),
        share("rotten reads", knobs.rot),
        share("cancels", knobs.cancel),
        share("priority changes", knobs.change),
    ];
    let shares: Vec<String> = shares.into_iter().flatten().collect();
    let [old, current, new] = plan.workload.generations;
    let depth = match schedule.base {
        Base::Priority => format!(" of depth {}", knobs.change.hits + 1),
        Base::Keyed | Base::Sequential => String::new(),
    };
    let knobs = if shares.is_empty() { "none".to_string() } else { shares.join(", ") };
    let (scenario, seed, base) = (&plan.scenario, schedule.seed, schedule.base.name());
    let mut text = format!("{scenario} seed {seed} on base {base}{depth}; knobs: {knobs}\n");
    text += &format!("ring of {old}/{current}/{new} with {}", counted(plan.workload.segments.into(), "segment"));
    let workload = &plan.workload;
    let Workload { stored, disk_bytes, .. } = workload;
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
    text += &format!("; callers: {}", callers(0, &workload.callers));
    for (life, later) in (1..).zip(&workload.lives) {
        let callers = callers(life, &later.callers);
        text += &format!("\nlife {}: {}", life + 1, if callers.is_empty() { "no callers" } else { &callers });
        if let Some([old, current, new]) = later.generations {
            text += &format!(", ring of {old}/{current}/{new}");
        }
        if !later.lost.is_empty() {
            text += &format!(", files lost at places {:?}", later.lost);
        }
    }
    text += "\n";
    for injection in &schedule.injections {
        let what = match &injection.action {
            Action::Hold(Until::Passed(site)) => format!("held until {site}"),
            Action::Hold(Until::Steps(steps)) => format!("held for {}", counted((*steps).into(), "step")),
            Action::Hold(Until::Idle) => "held until nothing else can run".to_string(),
            Action::Error(errno) => format!("fails: {}", std::io::Error::from_raw_os_error(*errno)),
            Action::Rot => "finds a bit flipped".to_string(),
            Action::Cancel => "its caller is dropped".to_string(),
            Action::CancelAfter(steps) => format!("its caller is dropped {} later", counted((*steps).into(), "step")),
            Action::CancelOnce(site) => format!("its caller is dropped once {site} has passed"),
            Action::Crash(kind) => words(kind),
        };
        text += &format!("  {}: {what}\n", injection.site);
    }
    for crash in &schedule.crashes {
        let at = match &crash.at {
            Moment::At(site) => format!("at {site}"),
            Moment::Site(site, nth) => format!("at {site}, time {nth}"),
            Moment::Step(step) => format!("at step {step}"),
            Moment::Idle => "when nothing can go on".to_string(),
        };
        text += &format!("  {} {at}\n", words(&crash.kind));
    }
    text
}
