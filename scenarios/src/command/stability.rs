//! `segsim stability`: shows that failing seeds outlive a small change of the engine.
//!
//! Decisions are keyed by site, so a point more or less moves few others. The claim is measured on a mutant: of its
//! failing seeds, how many are still found by the same oracle once a point that does nothing is patched in besides?
//! Each patch in scenarios/drift puts one somewhere else.

use super::detect::Failure;
use super::mutants::select;
use crate::error::Result;
use crate::mutant::patches;
use crate::patched_build::{WorkspaceCopy, workspace};
use crate::report::percent;
use crate::say;
use segment_sim::verdict::Verdict;

/// The mutant whose failing seeds are compared.
pub const MUTANT: &str = "unserialized-ring";
/// The scenario that they are of.
const SCENARIO: &str = "rotation-vs-eviction";

/// Failing seeds to compare, and the seeds among which they are looked for.
const FAILURES: usize = 500;
const SEEDS: &str = "4000";

/// Failing seeds that the same oracle must find again: 80/100.
const SAME_PERCENT_MIN: u64 = 80;

/// Show that failing seeds fail the same way with a no-op point patched into the engine
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Builds both engines, compares, and prints.
///
/// # Errors
/// A patch that does not apply or does not build, and the like.
pub fn run(_: &Arguments) -> Result<Verdict> {
    let root = workspace()?;
    let mutant = &select(root.join("scenarios/mutants"), &[MUTANT.to_string()])?[0];
    let copy = WorkspaceCopy::new(&root)?;
    let before = copy.build(MUTANT, &[&mutant.path])?.detect(&[SCENARIO, "--list", SEEDS])?.list;
    let failing = before.get(..FAILURES).unwrap_or(&before);
    say!("of {} seeds that fail on {MUTANT}, with one no-op point more:", failing.len());
    say!("{:<12}{:>14}{:>14}{:>14}", "point in", "still fail", "same oracle", "same race too");
    let mut verdict = if failing.len() == FAILURES { Verdict::Pass } else { Verdict::Void };
    for point in patches(&root.join("scenarios/drift"))? {
        let name = point.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let after = copy.build(&name, &[&mutant.path, &point])?.detect(&[SCENARIO, "--list", SEEDS])?.list;
        let twins: Vec<(&Failure, &Failure)> = failing
            .iter()
            .filter_map(|failure| Some((failure, after.iter().find(|other| other.seed == failure.seed)?)))
            .collect();
        let same = twins.iter().filter(|(failure, other)| failure.oracle == other.oracle).count() as u64;
        let race = twins.iter().filter(|(failure, other)| failure == other).count() as u64;
        let total = failing.len() as u64;
        let shares = [twins.len() as u64, same, race].map(|part| percent(part, total));
        say!("{name:<12}{:>14}{:>14}{:>14}", shares[0], shares[1], shares[2]);
        if same * 100 < SAME_PERCENT_MIN * total {
            verdict = Verdict::Void;
        }
    }
    say!("{}  the floor is {SAME_PERCENT_MIN} % by the same oracle", verdict.word());
    Ok(verdict)
}
