//! `segsim yields`: how many seeds each strategy alone takes to catch a mutant, and how many the portfolio does.

use super::mutants::select;
use crate::error::{Error, Result};
use crate::mutant::{Expectation, Expected};
use crate::patched_build::{Program, WorkspaceCopy, workspace};
use crate::report::grouped;
use crate::{say, tell};
use segment_sim::strategy::Strategy;
use segment_sim::verdict::Verdict;
use std::path::PathBuf;

/// Seed ranges.
const RANGES: u64 = 30;

/// The portfolio may take so many times the seeds of the best strategy: it gives that one every third seed.
const PORTFOLIO_TIMES_MAX: u64 = 3;

/// Put known bugs back into the engine and show how soon each strategy alone catches them
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only this mutant; may be given several times [default: all]
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// Take the patches from here [default: scenarios/mutants of the workspace]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How many seeds of each range at most
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
}

/// Builds the mutants, measures and prints a table.
///
/// # Errors
/// The first patch that does not apply or does not build, and the like.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let root = workspace()?;
    let directory = arguments.dir.clone().unwrap_or_else(|| root.join("scenarios/mutants"));
    let mutants = select(directory, &arguments.only)?;
    let copy = WorkspaceCopy::new(&root)?;
    let [keyed, priority, holds] = Strategy::ALL.map(Strategy::name);
    say!("{:<32}{:<28}{keyed:>9}{priority:>10}{holds:>9}{:>11}{:>8}", "mutant", "scenario", "portfolio", "times");
    let mut verdict = Verdict::Pass;
    for mutant in &mutants {
        let program = copy.build(&mutant.id, &[&mutant.path])?;
        for expectation in &mutant.expectations {
            let Expected::Caught { first, .. } = &expectation.outcome else {
                continue;
            };
            tell!("{}: sweeping {}", mutant.id, expectation.scenario.name);
            let medians = Medians::measure(&program, expectation, first, arguments.seeds)?;
            say!("{:<32}{:<28}{}", mutant.id, expectation.scenario.name, medians.text(arguments.seeds));
            if !medians.are_as_expected() {
                verdict = Verdict::Void;
            }
        }
    }
    say!(
        "{}  median seeds to detection over {RANGES} seed ranges; the portfolio may take {PORTFOLIO_TIMES_MAX} times \
         the seeds of the best strategy",
        verdict.word()
    );
    Ok(verdict)
}

/// The median seeds to detection; `None` is more than were tried.
struct Medians {
    alone: [Option<u64>; 3],
    portfolio: Option<u64>,
}

impl Medians {
    fn measure(program: &Program, expectation: &Expectation, first: &[String], seeds: u64) -> Result<Medians> {
        let (ranges, seeds, by) = (RANGES.to_string(), seeds.to_string(), first.join(","));
        let median = |strategy: &str| {
            let scenario = expectation.scenario.name;
            let arguments = [scenario, "--ranges", &ranges, "--seeds", &seeds, "--by", &by, "--strategy", strategy];
            let detection = program.detect(&arguments)?;
            if detection.ranges.len() as u64 == RANGES { Ok(detection.seeds_at(50)) } else { Err(Error::Interrupted) }
        };
        let [keyed, priority, holds] = Strategy::ALL.map(Strategy::name);
        Ok(Medians { alone: [median(keyed)?, median(priority)?, median(holds)?], portfolio: median("portfolio")? })
    }

    fn best(&self) -> Option<u64> {
        self.alone.into_iter().flatten().min()
    }

    fn are_as_expected(&self) -> bool {
        let bound = self.best().map(|best| best * PORTFOLIO_TIMES_MAX);
        bound.zip(self.portfolio).is_some_and(|(bound, portfolio)| portfolio <= bound)
    }

    /// The end of a row: the medians, and the portfolio as times the best, rounded up to a tenth.
    fn text(&self, seeds: u64) -> String {
        let median = |median: Option<u64>| median.map_or_else(|| format!("> {}", grouped(seeds)), grouped);
        let [keyed, priority, holds] = self.alone.map(median);
        let times = self.best().zip(self.portfolio).map_or_else(
            || "-".to_string(),
            |(best, portfolio)| {
                let tenths = (10 * portfolio).div_ceil(best);
                format!("{}.{}", tenths / 10, tenths % 10)
            },
        );
        let too_many = if self.are_as_expected() { "" } else { "   the portfolio takes too many" };
        format!("{keyed:>9}{priority:>10}{holds:>9}{:>11}{times:>8}{too_many}", median(self.portfolio))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portfolio_of_more_than_three_times_the_best_is_too_slow() {
        let medians = |alone, portfolio| Medians { alone, portfolio };
        assert!(medians([Some(4), None, Some(9)], Some(12)).are_as_expected());
        assert!(!medians([Some(4), None, Some(9)], Some(13)).are_as_expected());
        assert!(!medians([Some(4), None, None], None).are_as_expected());
        assert!(!medians([None; 3], None).are_as_expected());
    }

    #[test]
    fn a_row_tells_what_was_never_detected() {
        let text = Medians { alone: [Some(3), None, Some(9)], portfolio: Some(7) }.text(1000);
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["3", ">", "1,000", "9", "7", "2.4"]);
        let text = Medians { alone: [Some(3), None, Some(9)], portfolio: Some(10) }.text(1000);
        assert!(text.contains("too many"), "{text}");
    }
}
