//! `segsim explain`: one run drawn, on the terminal and as a page.

use super::replay::Chosen;
use super::{ENGINE, interruptible, scenario};
use crate::corpus;
use crate::error::{Error, Result};
use crate::explain::twin::{self, Twin};
use crate::explain::{Explained, FORMAT, Told, page, perfetto, race, terminal};
use crate::output::{say, take_stdout};
use crate::plan_file::Expected;
use crate::workload::Workload;
use crate::{atomic_file, plan_words, sentence, shell};
use segment_sim::plan::Plan;
use segment_sim::verdict::Verdict;
use segment_sim::world::{Mode, Outcome, Story, Worker};
use std::path::PathBuf;

/// Explain one run: its race, its rings, and the lineage of its segments
///
/// Shows which task was where when it mattered, what each save changed, where each segment stood, and, beside a failure,
/// the run without its decisive injection. A plan that segsim shrink has made small reads best.
///
/// Exits as replay does: with 1 when the plan fails, which is no error of the explanation.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    segsim explain target/plans/same-key-17.shrunk.json --html same-key-17.html\n  \
    segsim explain rotation-vs-eviction 17 --all")]
pub struct Arguments {
    #[command(flatten)]
    chosen: Chosen,
    /// Print every moment of every task, and not the race alone; and where segments legally stand between two states
    #[arg(long)]
    all: bool,
    /// Write one page that needs nothing else
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// Write a trace for ui.perfetto.dev or chrome://tracing
    #[arg(long, value_name = "FILE.json")]
    perfetto: Option<PathBuf>,
    /// Write everything that is shown, as JSON
    #[arg(long, value_name = "FILE.json")]
    json: Option<PathBuf>,
}

/// Explains, writes, prints, and returns the verdict.
///
/// # Errors
/// Bad input, a file that cannot be written, or a harness that failed.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let Arguments { chosen, all, html, perfetto, json } = arguments;
    let outputs: Vec<&PathBuf> = [html, perfetto, json].into_iter().flatten().collect();
    for (index, path) in outputs.iter().enumerate() {
        if chosen.seed.is_none() && atomic_file::is_same(path, &chosen.plan) {
            return Err(Error::SamePlan { path: path.to_path_buf() });
        }
        if outputs[..index].iter().any(|other| atomic_file::is_same(path, other)) {
            return Err(Error::SameOutput { path: path.to_path_buf() });
        }
        atomic_file::check_place(path).map_err(Error::io("write", *path))?;
    }
    take_stdout(outputs.into_iter().map(PathBuf::as_path));
    let (plan, expected) = chosen.read(false)?;
    let explained = explain(&plan, expected.as_ref(), command(chosen))?;
    let write = |path: &Option<PathBuf>, text: fn(&Explained) -> String| match path {
        Some(path) => atomic_file::write_or_send(path, text(&explained).as_bytes()).map_err(Error::io("write", path)),
        None => Ok(()),
    };
    // first: a file that cannot be written after all loses nothing
    say(format_args!("{}", terminal::text(&explained, *all)));
    let html = write(html, page::html);
    let perfetto = write(perfetto, perfetto::json);
    let json = write(json, |explained| serde_json::to_string(explained).expect("it is plain data") + "\n");
    html.and(perfetto).and(json)?;
    Ok(explained.verdict)
}

/// Runs a plan, and if it fails looks for its twin.
///
/// # Errors
/// A harness that failed.
pub fn explain(plan: &Plan<Workload>, expected: Option<&Expected>, command: String) -> Result<Explained> {
    let scenario = scenario(&plan.scenario)?;
    let mut worker = interruptible()?;
    let first = scenario.run(&mut worker, plan, Mode { keep_trace: true, ..Mode::default() })?;
    let second = scenario.run(&mut worker, plan, Mode { madsim_seed: 1, ..Mode::default() })?;
    let story = story_of(&first);
    let mut run = Told::of(&first, story);
    race::mark(&mut run, &plan.schedule);
    let twin = match beside(&mut worker, plan, &first, &run) {
        // the run itself is there, and what it came to
        Err(Error::Interrupted) => Twin::Alone { why: "interrupted before a run that passes was found".to_string() },
        twin => twin?,
    };
    let verdict = corpus::verdict(&first, &second, expected);
    let told = plan_words::plan(plan) + &plan_words::late(&plan.schedule.crashes, &story.ends);
    let sentence = why_void(&first, &second, expected).unwrap_or_else(|| sentence::of(plan, story, &first.record));
    Ok(Explained {
        format: FORMAT,
        engine: ENGINE.to_string(),
        scenario: plan.scenario.clone(),
        seed: plan.schedule.seed,
        verdict,
        sentence,
        command,
        plan: told.lines().map(str::to_string).collect(),
        unreached: first.unreached.iter().map(ToString::to_string).collect(),
        run,
        twin,
    })
}

/// Why a plan that was run twice is VOID, if it is.
fn why_void(first: &Outcome, second: &Outcome, expected: Option<&Expected>) -> Option<String> {
    if first.record != second.record {
        return Some("a second run of it differs".to_string());
    }
    let missing = first.unreached.iter().find(|site| !corpus::is_only_there(expected, site))?;
    first.record.violations.is_empty().then(|| format!("the run does not come to {missing}"))
}

/// The run without the decisive injection.
fn beside(worker: &mut Worker, plan: &Plan<Workload>, first: &Outcome, run: &Told) -> Result<Twin> {
    let scenario = scenario(&plan.scenario)?;
    let is_failure = !first.record.violations.is_empty();
    if !is_failure {
        return Ok(Twin::Alone { why: "the plan passes".to_string() });
    }
    let mut named = plan.clone();
    if twin::is_drawn(plan) {
        let story = story_of(first);
        named = twin::settled(plan, &story.fired, &story.ends);
        let again = scenario.run(worker, &named, Mode::default())?;
        if again.record.violations.is_empty() {
            return Ok(Twin::Alone {
                why: "what the knobs of the plan did cannot be written down by name".to_string(),
            });
        }
    }
    let candidates = twin::candidates(&named);
    let (tried, all) = (candidates.len(), named.schedule.injections.len() + named.schedule.crashes.len());
    for candidate in candidates {
        let outcome = scenario.run(worker, &candidate.plan, Mode { keep_trace: true, ..Mode::default() })?;
        if outcome.record.violations.is_empty() {
            let mut told = Told::of(&outcome, story_of(&outcome));
            race::mark_like(&mut told, run);
            let parts_at = twin::parts_at(run, &told);
            return Ok(Twin::Beside { without: candidate.without, run: Box::new(told), parts_at });
        }
    }
    Ok(Twin::Alone { why: twin::why_alone(tried, all) })
}

fn story_of(outcome: &Outcome) -> &Story {
    outcome.story.as_ref().expect("the trace was kept")
}

/// The command that repeats the run.
fn command(chosen: &Chosen) -> String {
    let program = shell::program();
    let Chosen { plan, seed, .. } = chosen;
    let seed = seed.map(|seed| format!(" {seed}")).unwrap_or_default();
    let strategy = chosen.strategy().map(|strategy| format!(" --strategy {}", strategy.name())).unwrap_or_default();
    format!("{program} replay {}{seed}{strategy}", shell::quoted(plan))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_differs_the_second_time_is_void_for_that() {
        let scenario = scenario("concurrent-pushes").unwrap();
        let mut worker = Worker::new().unwrap();
        let [mut one, other] =
            [0, 1].map(|seed| scenario.run(&mut worker, &scenario.plan(seed, None), Mode::default()).unwrap());
        assert_eq!(why_void(&one, &other, None).unwrap(), "a second run of it differs");
        one.unreached = vec!["a#1@Start".parse().unwrap(), "b#1@Start".parse().unwrap()];
        assert_eq!(why_void(&one, &one, None).unwrap(), "the run does not come to a#1@Start");
        let mut expected = Expected::pass();
        expected.only_there = one.unreached[..1].to_vec();
        assert_eq!(why_void(&one, &one, Some(&expected)).unwrap(), "the run does not come to b#1@Start");
        expected.only_there = one.unreached.clone();
        assert_eq!(why_void(&one, &one, Some(&expected)), None);
    }
}
