//! The `segsim` command.

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use segment_sim::verdict::Verdict;
#[cfg(feature = "real-disk")]
use segsim::command::real_disk;
use segsim::command::{
    bench, bisect, corpus, detect, exhaust, explain, export, list, mutants, repeat, replay, shrink, stability,
    stop_on_interrupt, sweep, yields,
};
use segsim::error::{Error, Result};
use segsim::output::{LOST, printable};
use segsim::{tell, usage};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Deterministic simulation of a segment ring
///
/// Runs the real engine under a scheduler that decides, from a seed, which task goes on at each named point: it holds
/// tasks between the clone of the ring and its save, slows unlinks, fills and fails the disk, drops callers, kills the
/// process, cuts the power. Oracles judge every run. A seed always gives the same run.
#[derive(Debug, Parser)]
#[command(name = "segsim", version = VERSION, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// With the hash of the engine that is inside.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (engine ", env!("SEGSIM_ENGINE"), ")");

const AFTER_HELP: &str = "\
Examples:
  segsim sweep                                    1,000 seeds of every scenario
  segsim sweep --scenario rotation-vs-eviction --seeds 100000
  segsim sweep --for 10m --max-failures 1         ten minutes of all, or up to the first failure
  segsim replay rotation-vs-eviction 17 --trace   one seed, step by step
  segsim shrink target/plans/same-key-17.json     a failing plan, made small and told in a sentence
  segsim explain target/plans/same-key-17.shrunk.json --html page.html
  segsim mutants --only unserialized-ring         put a known bug back and catch it

Exit codes:
  0  PASS   everything was checked and held
  1  FAIL   a violation, a stall or a panic: so replay, explain and shrink end on a plan that fails
  2  VOID   it measured nothing: a floor missed, a mutant survived, a run did not repeat, Ctrl-C
  3  ERROR  bad input, or the harness itself
  A second Ctrl-C ends it at once, with 130.";

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Arguments),
    Sweep(sweep::Arguments),
    Replay(replay::Arguments),
    Explain(explain::Arguments),
    Shrink(shrink::Arguments),
    Exhaust(exhaust::Arguments),
    Corpus(corpus::Arguments),
    Export(export::Arguments),
    Bisect(bisect::Arguments),
    Mutants(mutants::Arguments),
    Yields(yields::Arguments),
    Repeat(repeat::Arguments),
    Stability(stability::Arguments),
    Bench(bench::Arguments),
    #[cfg(feature = "real-disk")]
    #[command(flatten)]
    RealDisk(real_disk::Command),
    #[command(hide = true)]
    BisectStep(bisect::StepArguments),
    #[command(hide = true)]
    Detect(detect::Arguments),
}

impl Command {
    /// Whether a signal ends it at once.
    fn ends_at_once(&self) -> bool {
        match self {
            #[cfg(feature = "real-disk")]
            Command::RealDisk(command) => command.is_soak_child(),
            _ => false,
        }
    }
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let read = usage::read(Arguments::command(), &words);
    let arguments = match read.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            tell!("segsim: {}", printable(&usage::line(&error, &Arguments::command(), &words)));
            return ExitCode::from(Verdict::Error.exit_code());
        }
        // help and the version
        Err(text) => {
            let failed = text.print().err().filter(|error| error.kind() != ErrorKind::BrokenPipe);
            failed.as_ref().inspect(|error| tell!("segsim: cannot print to stdout: {error}"));
            return ExitCode::from(if failed.is_some() { Verdict::Error.exit_code() } else { 0 });
        }
    };
    if !arguments.command.ends_at_once() {
        stop_on_interrupt();
    }
    tell_panics_in_a_line();
    ExitCode::from(match &arguments.command {
        Command::BisectStep(step) => code_of(bisect::ABORT, || bisect::step(step)),
        command => code_of(Verdict::Error.exit_code(), || match run(command) {
            Ok(_) if LOST.load(Ordering::Relaxed) => Verdict::Error.exit_code(),
            Ok(verdict) => verdict.exit_code(),
            Err(Error::Interrupted) => {
                tell!("segsim: interrupted");
                Verdict::Void.exit_code()
            }
            Err(error) => {
                // what it names may hold whatever a name can
                tell!("segsim: {}", printable(&error.to_string()));
                Verdict::Error.exit_code()
            }
        }),
    })
}

/// The exit code of a command, or `panicked` when the harness panics: Rust's own, 101, is none of ours.
fn code_of(panicked: u8, command: impl FnOnce() -> u8) -> u8 {
    catch_unwind(AssertUnwindSafe(command)).unwrap_or(panicked)
}

/// Makes the first panic of the harness a line. Those that follow are of threads that wait for the one that panicked. A
/// panic of a run prints nothing: it is a finding.
fn tell_panics_in_a_line() {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if std::env::var_os("RUST_BACKTRACE").is_some() {
            return loud(info);
        }
        if !IS_TOLD.swap(true, Ordering::Relaxed) {
            let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
            let words = info.payload_as_str().unwrap_or("a panic without a message");
            tell!("segsim: the harness panicked{place}: {}", printable(words));
        }
    }));
}

fn run(command: &Command) -> Result<Verdict> {
    match command {
        Command::List(arguments) => Ok(list::run(arguments)),
        Command::Sweep(arguments) => sweep::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Shrink(arguments) => shrink::run(arguments),
        Command::Exhaust(arguments) => exhaust::run(arguments),
        Command::Corpus(arguments) => corpus::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Bisect(arguments) => bisect::run(arguments),
        Command::BisectStep(_) => unreachable!("it has exit codes of its own"),
        Command::Mutants(arguments) => mutants::run(arguments),
        Command::Yields(arguments) => yields::run(arguments),
        Command::Repeat(arguments) => repeat::run(arguments),
        Command::Stability(arguments) => stability::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        #[cfg(feature = "real-disk")]
        Command::RealDisk(command) => command.run(),
        Command::Detect(arguments) => detect::run(arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_harness_has_an_exit_code_of_ours() {
        assert_eq!(code_of(3, || panic!("the harness gives up")), 3);
        assert_eq!(code_of(3, || 1), 1);
    }
}
