//! `segsim replay`: one plan again, told in full.

use super::{ENGINE, StrategyName, interruptible, scenario};
use crate::corpus;
use crate::error::{Error, Result};
use crate::output::{say, shown, take_stdout};
use crate::plan_file::{Expected, PlanFile};
use crate::plan_words;
use crate::scenario::Scenario;
use crate::tell;
use crate::trace_text;
use crate::workload::Workload;
use segment_sim::plan::Plan;
use segment_sim::strategy::Strategy;
use segment_sim::verdict::Verdict;
use segment_sim::world::Mode;
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
    #[arg(long, value_name = "FILE.json")]
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
    /// The strategy that the sweep was given [default: portfolio]
    #[arg(long, alias = "base", value_name = "S", value_enum)]
    pub strategy: Option<StrategyName>,
}

impl Chosen {
    /// Its plan, and what came of it when it was written.
    ///
    /// # Errors
    /// A scenario that does not exist, a file that is no plan, or a plan with what is for seeds: a seed, a strategy, or
    /// whatever else `is_for_seed` stands for.
    pub fn read(&self, is_for_seed: bool) -> Result<(Plan<Workload>, Option<Expected>)> {
        let is_for_seed = is_for_seed || self.seed.is_some() || self.strategy.is_some();
        let plan_and_seed = || Error::PlanAndSeed { plan: self.plan.clone() };
        if is_for_seed && self.plan.extension().is_some_and(|ending| ending == "json") {
            return Err(plan_and_seed());
        }
        if let Some(seed) = self.seed {
            return Ok((scenario(&self.plan.to_string_lossy())?.plan(seed, self.strategy()), None));
        }
        let file = read(&self.plan)?;
        if is_for_seed { Err(plan_and_seed()) } else { Ok((file.plan, Some(file.expected))) }
    }

    /// The strategy; `None` is the portfolio.
    pub fn strategy(&self) -> Option<Strategy> {
        self.strategy.and_then(StrategyName::strategy)
    }
}

/// Replays, prints, and returns the verdict.
///
/// # Errors
/// Bad input, or a harness that failed.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let (plan, expected) = arguments.chosen.read(arguments.write.is_some())?;
    let scenario = scenario(&plan.scenario)?;
    take_stdout(arguments.write.as_deref());
    let (verdict, text) = replay(scenario, &plan, expected.as_ref(), arguments.trace)?;
    say(format_args!("{text}"));
    if let Some(path) = &arguments.write {
        let record = scenario.run(&mut interruptible()?, &plan, Mode::default())?.record;
        PlanFile::new(plan, Expected::of(&record)).write(path)?;
    }
    Ok(verdict)
}

/// Reads a plan, and warns when it was made with another engine.
///
/// # Errors
/// A file that is no plan.
pub fn read(path: &Path) -> Result<PlanFile> {
    let file = PlanFile::read(path)?;
    // one that is kept for a mutant is meant for every engine
    if file.engine != ENGINE && file.mutant.is_none() {
        tell!(
            "segsim: {} was made with engine {}; this segsim has engine {ENGINE}, so the run may differ",
            shown(path),
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
    let mut worker = interruptible()?;
    let first = scenario.run(&mut worker, plan, Mode { keep_trace: true, ..Mode::default() })?;
    let second = scenario.run(&mut worker, plan, Mode { madsim_seed: 1, ..Mode::default() })?;
    let mut text = plan_words::plan(plan);
    if let (true, Some(story)) = (trace, &first.story) {
        text += &trace_text::tell(story, &plan.workload.contents());
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
    text +=
        &first.story.as_ref().map(|story| plan_words::late(&plan.schedule.crashes, &story.ends)).unwrap_or_default();
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
