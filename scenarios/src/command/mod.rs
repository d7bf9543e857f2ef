//! The commands of `segsim`, one file each.

pub mod bench;
pub mod bisect;
pub mod corpus;
pub mod detect;
#[cfg(feature = "real-disk")]
pub mod disk;
pub mod exhaust;
pub mod explain;
pub mod export;
pub mod list;
pub mod mutants;
pub mod progress;
#[cfg(feature = "real-disk")]
pub mod real_disk;
pub mod repeat;
pub mod replay;
pub mod shrink;
#[cfg(feature = "real-disk")]
pub mod soak;
pub mod stability;
pub mod sweep;
pub mod yields;

use crate::error::{Error, Result};
use crate::scenario::{SCENARIOS, Scenario};
use crate::{atomic_file, patched_build, tell};
use segment_sim::strategy::Strategy;
use segment_sim::sweep::Range;
use segment_sim::world::Worker;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The hash of the engine's sources that this binary was built from.
pub const ENGINE: &str = env!("SEGSIM_ENGINE");

/// The hash of the sources of the harness that is in this binary: another one may make other runs of the same choices.
pub const HARNESS: &str = env!("SEGSIM_HARNESS");

/// Set by the first Ctrl-C or SIGTERM: finish with what there is.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// Set a moment after [`STOP`]: what is still under way then is cut off.
static CUT: AtomicBool = AtomicBool::new(false);

/// That moment: all runs but those of the largest plans end within it.
const GRACE: Duration = Duration::from_millis(500);

/// Signals that come so soon after the first are the same one: timeout(1) sends one to its child, and one to its group.
const SAME: Duration = Duration::from_millis(300);

/// A worker whose runs an interruption ends, with [`Error::Interrupted`]: for plans of files, which may run for seconds.
/// Those of seeds take milliseconds.
fn interruptible() -> Result<Worker> {
    Ok(Worker::new()?.cut_by(&CUT))
}

/// Makes the first Ctrl-C or SIGTERM set [`STOP`], and the second end the process and the commands that it runs. A hangup
/// is left alone: nohup means it.
#[allow(clippy::disallowed_methods, reason = "a thread that waits for signals; runs never see it")]
pub fn stop_on_interrupt() {
    // nobody refuses these two; without them a signal ends the process, as it does anyway
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
    std::thread::spawn(move || {
        let mut first: Option<Instant> = None;
        for _ in signals.forever() {
            match first {
                Some(first) if first.elapsed() < SAME => continue,
                Some(_) => patched_build::exit(130),
                None => first = Some(Instant::now()),
            }
            STOP.store(true, Ordering::Relaxed);
            tell!("stopping; once more to end at once");
            let cut = || CUT.store(true, Ordering::Relaxed);
            let later = move || {
                std::thread::sleep(GRACE);
                cut();
            };
            // where the system gives no more threads, at once: this one has to see the second signal
            if std::thread::Builder::new().spawn(later).is_err() {
                cut();
            }
        }
    });
}

/// A strategy on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StrategyName {
    /// The best hash of (seed, site) goes next.
    Keyed,
    /// The best task goes next; a few sites send theirs to the back.
    Priority,
    /// No preemption but by a few holds, most of them where a window opens.
    #[value(alias = "sequential")]
    Holds,
    /// Seeds are split over the others.
    Portfolio,
}

impl StrategyName {
    /// `None` is the portfolio.
    fn strategy(self) -> Option<Strategy> {
        match self {
            StrategyName::Keyed => Some(Strategy::Keyed),
            StrategyName::Priority => Some(Strategy::Priority),
            StrategyName::Holds => Some(Strategy::Holds),
            StrategyName::Portfolio => None,
        }
    }
}

/// Which runs a command makes.
#[derive(Debug, clap::Args)]
pub struct Selection {
    /// Only this scenario; may be given several times [default: all]
    #[arg(long, value_name = "S")]
    scenario: Vec<String>,
    /// How many seeds of each scenario
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    from: u64,
    /// Threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

impl Selection {
    fn scenarios(&self) -> Result<Vec<&'static Scenario>> {
        scenarios(&self.scenario)
    }

    fn range(&self) -> Result<Range> {
        if self.seeds - 1 > u64::MAX - self.from {
            let fault = format!("{} seeds from {} on go past the last seed, {}", self.seeds, self.from, u64::MAX);
            return Err(Error::Argument { option: "--from", fault });
        }
        // a thread without a seed would have nothing to do
        let jobs = jobs(self.jobs).min(usize::try_from(self.seeds).unwrap_or(usize::MAX));
        Ok(Range { from: self.from, seeds: self.seeds, jobs })
    }

    /// All seeds from the first one on.
    fn endless(&self) -> Range {
        Range { from: self.from, seeds: (u64::MAX - self.from).max(1), jobs: jobs(self.jobs) }
    }
}

/// The scenario of this name.
fn scenario(name: &str) -> Result<&'static Scenario> {
    Scenario::named(name).ok_or_else(|| Error::UnknownScenario {
        name: name.to_string(),
        known: SCENARIOS.map(|scenario| scenario.name).join(", "),
    })
}

/// The scenarios of these names, each once; all where none is named.
fn scenarios(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        return Ok(SCENARIOS.iter().collect());
    }
    let mut named: Vec<&Scenario> = Vec::new();
    for name in names {
        if name.contains(',') {
            let fault = format!("{name:?} is no scenario: of several each has a --scenario of its own");
            return Err(Error::Argument { option: "--scenario", fault });
        }
        let scenario = scenario(name)?;
        if !named.iter().any(|other| other.name == scenario.name) {
            named.push(scenario);
        }
    }
    Ok(named)
}

/// Sees that a directory takes plans: only a failure writes there, after all the work.
fn check_plans(path: &Path) -> Result<()> {
    atomic_file::check_directory(path).map_err(|source| Error::PlansDirectory { path: path.to_path_buf(), source })
}

/// As many threads as there are cores.
fn jobs(asked: Option<u16>) -> usize {
    asked.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}
