//! `segsim exhaust`: every order of a small workload, within bounds.
#![allow(clippy::disallowed_methods, reason = "a command: it measures itself, and keeps its search in a file")]

use super::progress::Progress;
use super::shrink::{Runs, told};
use super::{ENGINE, HARNESS, STOP, check_plans, jobs, scenario};
use crate::claim::{Subject, besides};
use crate::error::{Error, Result};
use crate::output::{say, shown};
use crate::plan_file::{Expected, PlanFile};
use crate::report::{counted, grouped};
use crate::say;
use crate::scenario::Scenario;
use crate::size::Size;
use crate::workload::Workload;
use crate::{plan_words, search_file, sentence, shell};
use segment_sim::choice::{Deviation, Faults, Guide};
use segment_sim::exhaust::{Bounds, Counts, Ended, Ran, Search, exhaust};
use segment_sim::plan::{Plan, Schedule};
use segment_sim::shrink::in_order;
use segment_sim::verdict::Verdict;
use segment_sim::vocabulary::{CRASH_POINTS, RING_POINTS};
use segment_sim::world::{Mode, Outcome, Worker};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often the search is saved, at most; the help says so.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// Saving takes at most one part of so many of the time.
const SAVE_SHARE: u32 = 20;

/// madsim's seed of second runs: it must not matter.
const OTHER_MADSIM_SEED: u64 = 0x5e95;

/// Seeds with which the plan of a failure is tried.
const SEEDS_TRIED: u64 = 8;

/// Run every order of a small workload
///
/// Depth-first over all that could go next: first without a preemption, then with one, and so on. A preemption lets
/// others go on while the last task could, and happens at the points alone that are given; where it could not, because it
/// has ended or waits for another task, everybody else is tried. An operation of disk or catalog that waits to land is
/// where its task is. Ends in a claim, or in a failure with the fewest preemptions.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    segsim exhaust rotation-vs-eviction --size rotate=2,evict=2 --points ring --preemptions unlimited\n  \
    segsim exhaust put-vs-eviction --size put=2,evict=1 --preemptions 1\n  \
    segsim exhaust rotation-vs-eviction --size rotate=1,evict=1 --faults 1    an unlink fails, or a caller is dropped\n\n\
    Sizes: push, rotate, evict, relieve, put, get, get-stream, contains; at most 8 calls,\n\
    each a caller of its own, on a full ring of segments 1, 2 and 3. Keys 1 and 4 are in\n\
    segment 1; puts and gets take turns at them. Puts write to segment 3, which has room for\n\
    all but one, so that the last rotates. Evictions take segments 1, 2 and 3, with puts 3, 1\n\
    and 2; the active segment stays.\n\
    Ctrl-C or SIGTERM keeps what is done, and the same command goes on with it. After\n\
    a SIGKILL it goes on with what was kept before: every 30 s, of a large search more seldom.")]
pub struct Arguments {
    /// The scenario: what the calls run on, and what may fail
    #[arg(value_name = "SCENARIO")]
    scenario: String,
    /// The calls, such as rotate=2,evict=2
    #[arg(long, value_name = "CALLS")]
    size: String,
    /// At most so many preemptions: a number, or unlimited
    #[arg(long, value_name = "K", default_value = "2")]
    preemptions: String,
    /// At most so many faults: failed unlinks, and full disks and dropped callers where the scenario has them. With
    /// faults nothing is skipped
    #[arg(long, value_name = "F", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=8))]
    faults: u32,
    /// Preempt only at these points; `ring` is RingWanted and RingCloned [default: all]
    #[arg(long, value_name = "POINTS", value_delimiter = ',')]
    points: Vec<String>,
    /// Threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Keep the search in this file [default: one in target/exhaust, by what is searched]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Do not skip executions proven equivalent to earlier ones (implied by --faults)
    #[arg(long)]
    skip_nothing: bool,
    /// Write the plan of a failure to this directory
    #[arg(long, value_name = "DIR", default_value = "target/plans")]
    plans: PathBuf,
}

/// Searches, prints, and returns the verdict.
///
/// # Errors
/// Bad input, or a harness that failed.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let scenario = scenario(&arguments.scenario)?;
    let (subject, workload) = subject(arguments, scenario)?;
    check_plans(&arguments.plans)?;
    let place = Place::of(arguments, &subject)?;
    let _in_use = search_file::take(&place.path)?;
    let mut search = match search_file::read(&place.path, &place.subject)? {
        Some(search) => {
            say!("goes on with {}: {} done", shown(&place.path), counted(search.counts().runs(), "execution"));
            search
        }
        None => {
            let search = Search::new(subject.bounds);
            // a place that cannot be written is told now, not after the first minute
            place.write(&search)?;
            search
        }
    };
    let plan = Plan { scenario: scenario.name.to_string(), schedule: Schedule::in_order(0), workload };
    let searched = Searched { scenario, subject: &subject, plan: &plan };
    let (started, before) = (Instant::now(), search.counts().runs());
    let ended = searched.exhaust(&mut search, jobs(arguments.jobs), &place)?;
    let seconds = started.elapsed().as_secs_f64();
    let counts = search.counts();
    let pace = (counts.runs() - before) as f64 / seconds.max(1e-9);
    let threads = counted(jobs(arguments.jobs) as u64, "thread");
    let pace = format!("  {} executions/s, {seconds:.1} s on {threads}", grouped(pace as u64));
    if let Ended::Stopped = ended {
        place.write(&search)?;
        say!("VOID  interrupted after {}", counted(counts.runs(), "execution"));
        say!("  {}", about(counts, search.left()));
        say!("{pace}");
        say!("{}", shell::command());
        return Ok(Verdict::Void);
    }
    let verdict = match ended {
        Ended::Complete { audited } if counts.cut_short == 0 => {
            say!("PASS  {}", subject.claim(counts));
            say(format_args!("{}", besides(subject.bounds, counts, audited)));
            Verdict::Pass
        }
        Ended::Complete { audited } => {
            say!("VOID  nothing is claimed: {} cut short", counted(counts.cut_short, "execution"));
            say(format_args!("{}", besides(subject.bounds, counts, audited)));
            Verdict::Void
        }
        Ended::Unrepeatable(deviations) => {
            say!("VOID  an execution did not repeat: {}", searched.choices(&deviations));
            Verdict::Void
        }
        Ended::Unequal(one, other) => {
            say!("VOID  two states that were taken for equal are not: sim/src/touches.rs lacks something");
            for path in [one, other] {
                say!("  choice {} of {}", path.at, searched.choices(&path.deviations));
            }
            Verdict::Void
        }
        Ended::Failed(deviations, _) => {
            let verdict = searched.fail(&deviations, counts, &pace, &arguments.plans)?;
            place.remove()?;
            return Ok(verdict);
        }
        Ended::Stopped => unreachable!("it has returned"),
    };
    say!("{pace}");
    place.remove()?;
    Ok(verdict)
}

/// What is asked for.
fn subject(arguments: &Arguments, scenario: &Scenario) -> Result<(Subject, Workload)> {
    let fault = |option: &'static str| move |fault| Error::Argument { option, fault };
    let size: Size = arguments.size.parse().map_err(fault("--size"))?;
    let workload = size.workload(scenario.subject).map_err(fault("--size"))?;
    let preemptions = match arguments.preemptions.as_str() {
        "unlimited" => None,
        number => Some(number.parse().ok().filter(|most| *most < u32::MAX).ok_or_else(|| Error::Argument {
            option: "--preemptions",
            fault: format!("{number:?} is no number up to {}; give one, or unlimited", u32::MAX - 1),
        })?),
    };
    let mut points: Vec<String> = Vec::new();
    for name in &arguments.points {
        let named: &[&str] = match name.as_str() {
            "ring" => RING_POINTS,
            name => match CRASH_POINTS.iter().position(|point| *point == name) {
                Some(place) => &CRASH_POINTS[place..=place],
                None => {
                    let known = CRASH_POINTS.join(", ");
                    return Err(fault("--points")(format!("nothing waits at {name:?}; there are ring, {known}")));
                }
            },
        };
        points.extend(named.iter().map(|point| point.to_string()));
    }
    points.sort();
    points.dedup();
    let subject = Subject {
        scenario: scenario.name.to_string(),
        size,
        points: Some(points).filter(|points| !points.is_empty()),
        // what a fault hits, such as who would have been next at a lock, is not in the numbers of the states before it
        bounds: Bounds {
            preemptions,
            faults: arguments.faults,
            joins: !arguments.skip_nothing && arguments.faults == 0,
        },
    };
    Ok((subject, workload))
}

/// Where a search is kept, and what it is of.
struct Place {
    path: PathBuf,
    subject: String,
}

impl Place {
    fn of(arguments: &Arguments, subject: &Subject) -> Result<Place> {
        let Subject { scenario, size, bounds, .. } = subject;
        let (preemptions, faults) = (subject.preemptions(), bounds.faults);
        let points = subject.points.as_ref().map_or_else(|| "all".to_string(), |points| points.join(","));
        let skips = if bounds.joins { "skips" } else { "skips-nothing" };
        let subject = format!(
            "engine={ENGINE} harness={HARNESS} scenario={scenario} size={size} points={points} \
             preemptions={preemptions} faults={faults} {skips}"
        );
        let points =
            if points.len() > 40 { format!("{:016x}", xxhash_rust::xxh3::xxh3_64(points.as_bytes())) } else { points };
        let size = size.file_name();
        let name = format!("{ENGINE}-{HARNESS}-{scenario}-{size}-{points}-{preemptions}-{faults}-{skips}.search");
        // a directory that was named may be misspelled; ours is made
        let path = match &arguments.state {
            // everywhere else it is stdout
            Some(path) if path.as_os_str() == "-" => {
                let fault = "a search is kept in a file, and - is none; name one, such as kept.search".to_string();
                return Err(Error::Argument { option: "--state", fault });
            }
            Some(path) => path.clone(),
            None => {
                let directory = Path::new("target/exhaust");
                std::fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
                directory.join(name)
            }
        };
        Ok(Place { path, subject })
    }

    fn write(&self, search: &Search) -> Result<()> {
        search_file::write(&self.path, &self.subject, search)
    }

    fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &self.path)(error)),
            _ => Ok(()),
        }
    }
}

/// How far a search is, as far as is known: any execution may show others. Estimates of the share that is done have misled:
/// 97 % and 65 %, where it was 56 %.
fn about(counts: &Counts, left: usize) -> String {
    format!(
        "{}, {}; {} known to be left",
        counted(counts.runs(), "execution"),
        counted(counts.runs.len() as u64 - 1, "preemption"),
        grouped(left as u64)
    )
}

/// What is searched, as runs.
struct Searched<'a> {
    scenario: &'static Scenario,
    subject: &'a Subject,
    plan: &'a Plan<Workload>,
}

impl Searched<'_> {
    fn exhaust(&self, search: &mut Search, jobs: usize, place: &Place) -> Result<Ended> {
        let (started, bar) = (Instant::now(), Progress::without_end("exhaust"));
        let before = search.counts().runs();
        let (saved, pause) = (Cell::new(Instant::now()), Cell::new(SAVE_EVERY));
        let between = |search: &Search| {
            let (counts, elapsed) = (search.counts(), started.elapsed());
            bar.tell_words(elapsed, || {
                let pace = (counts.runs() - before) as f64 / elapsed.as_secs_f64().max(1e-9);
                format!("{}; {} executions/s", about(counts, search.left()), grouped(pace as u64))
            });
            if saved.get().elapsed() >= pause.get() {
                let begun = Instant::now();
                place.write(search)?;
                pause.set(SAVE_EVERY.max(SAVE_SHARE * begun.elapsed()));
                saved.set(Instant::now());
            }
            Ok(())
        };
        let ended = exhaust(
            search,
            jobs,
            &STOP,
            between,
            || Ok(Worker::new()?),
            |worker, guide, again| {
                let mode = Mode { madsim_seed: if again { OTHER_MADSIM_SEED } else { 0 }, ..Mode::default() };
                let Outcome { record, walk, .. } = self.run(worker, guide, mode)?;
                let (violations, trace_hash, steps) = (record.violations, record.trace_hash, record.sites);
                let is_cut_short = steps > self.plan.workload.setting().steps_max;
                Ok(Ran { walk, violations, trace_hash, steps, is_cut_short })
            },
        );
        bar.end();
        ended
    }

    fn run(&self, worker: &mut Worker, guide: Guide, mode: Mode) -> Result<Outcome> {
        let points: Option<Arc<[String]>> = self.subject.points.as_ref().map(|points| points.as_slice().into());
        let Scenario { fills, cancels, .. } = *self.scenario;
        let faults = Faults { at_most: self.subject.bounds.faults, fills, cancels };
        self.scenario.run_by(worker, self.plan, mode, Some(Guide { points, faults, ..guide }))
    }

    /// The choices of a run in words.
    fn choices(&self, deviations: &[Deviation]) -> String {
        let choices = deviations.iter().map(|deviation| format!("{}:{}", deviation.at, deviation.takes));
        format!("{} of {}, choices {}", self.subject.size, self.subject.scenario, choices.collect::<Vec<_>>().join(" "))
    }

    /// Tells of a failure, and writes its plan.
    fn fail(&self, deviations: &[Deviation], counts: &Counts, pace: &str, plans: &Path) -> Result<Verdict> {
        let mut worker = Worker::new()?;
        let guide = Guide { deviations: deviations.into(), ..Guide::default() };
        let outcome = self.run(&mut worker, guide, Mode { keep_trace: true, ..Mode::default() })?;
        let record = outcome.record.clone();
        let ran = told(outcome);
        let mut runs = Runs::new(self.scenario, worker, &STOP);
        // by a plan a file may be stuck that is not in a search: of another seed it is not
        let of_seed = |seed| {
            let schedule = Schedule { seed, ..self.plan.schedule.clone() };
            in_order(&mut runs, &Plan { schedule, ..self.plan.clone() }, &ran).transpose()
        };
        let (Some(first), Some(plan)) = (record.violations.first(), (0..SEEDS_TRIED).find_map(of_seed).transpose()?)
        else {
            say!("VOID  a failure did not repeat: {}", self.choices(deviations));
            return Ok(Verdict::Void);
        };
        let outcome = self.scenario.run(&mut runs.worker, &plan, Mode { keep_trace: true, ..Mode::default() })?;
        let story = outcome.story.as_ref().expect("it was asked for");
        let sentence = sentence::of(&plan, story, &outcome.record);
        let mut expected = Expected::of(&outcome.record);
        expected.sentence = Some(sentence.clone());
        say!("FAIL  {}: {}", first.oracle, first.race);
        let preemptions = counts.runs.len() as u64 - 1;
        let fewer = if preemptions > 0 { "; with fewer none fails" } else { "" };
        say!("  execution {}, with {}{fewer}", grouped(counts.runs()), counted(preemptions, "preemption"));
        say!("{pace}");
        say(format_args!("{}", plan_words::plan(&plan)));
        say!("{sentence}");
        if STOP.load(Ordering::Relaxed) {
            say!("  interrupted: the plan holds more than it must; shrink takes the rest away");
        }
        // after all is told: a place that cannot be written loses nothing
        std::fs::create_dir_all(plans).map_err(Error::io("create", plans))?;
        let Subject { scenario, size, .. } = self.subject;
        let path = plans.join(format!("{scenario}-{}.json", size.file_name()));
        PlanFile::new(plan, expected).write(&path)?;
        let program = shell::program();
        say!("{program} shrink {}", shell::quoted(&path));
        say!("{program} replay {}", shell::quoted(&path));
        Ok(Verdict::Fail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_search_names_the_engine_and_the_harness_that_made_it() {
        let bounds = Bounds { preemptions: Some(1), faults: 0, joins: true };
        let subject = Subject { scenario: "same-key".into(), size: "put=1".parse().unwrap(), points: None, bounds };
        let arguments = Arguments {
            scenario: "same-key".into(),
            size: "put=1".into(),
            preemptions: "1".into(),
            faults: 0,
            points: Vec::new(),
            jobs: None,
            state: Some(PathBuf::from("kept.search")),
            skip_nothing: false,
            plans: PathBuf::new(),
        };
        let place = Place::of(&arguments, &subject).unwrap();
        let search = Search::new(bounds);
        let kept = |subject: &str| {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("kept.search");
            search_file::write(&path, subject, &search).unwrap();
            search_file::read(&path, &place.subject)
        };
        assert!(kept(&place.subject).unwrap().is_some());
        for hash in [ENGINE, HARNESS] {
            let other = place.subject.replace(hash, "0123456789abcdef");
            assert!(kept(&other).unwrap_err().to_string().contains("it is of another search"), "{hash}");
        }
    }
}
