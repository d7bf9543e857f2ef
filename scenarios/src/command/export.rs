//! `segsim export`: a plan as a Rust test.

use super::replay::read;
use crate::error::{Error, Result};
use crate::export::test;
use crate::output::say;
use segment_sim::verdict::Verdict;
use std::path::PathBuf;

/// Names that no function can have: Rust's own and those that it keeps for later, and those that the test uses.
const TAKEN: &[&str] = &[
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "passes",
    "passes_without",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Print a shrunk plan as a plain Rust test
///
/// What it names are points and tasks, and what it draws is nothing: it outlives changes of the engine that no seed
/// outlives. The test goes into any crate that depends on segsim, such as scenarios/tests.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  segsim export target/plans/same-key-17.shrunk.json > scenarios/tests/same_key_17.rs"
)]
pub struct Arguments {
    /// The plan
    #[arg(value_name = "PLAN.json")]
    plan: PathBuf,
    /// The test's name [default: that of the file]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Prints.
///
/// # Errors
/// A file that is no plan, or one that was not shrunk.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let path = &arguments.plan;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = identifier(arguments.name.as_ref().unwrap_or(&stem));
    let text = test(&read(path)?, &name).ok_or_else(|| Error::PlanIsDrawn { path: path.clone() })?;
    say(format_args!("{text}"));
    Ok(Verdict::Pass)
}

/// A name that Rust accepts for a function.
fn identifier(name: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
    let name: String = name.replace(".shrunk", "").chars().map(plain).collect();
    let is_free = name.starts_with(|first: char| first.is_ascii_lowercase()) && !TAKEN.contains(&name.as_str());
    if is_free { name } else { format!("plan_{name}") }
}

#[cfg(test)]
mod tests {
    use super::identifier;

    #[test]
    fn any_name_becomes_one_that_rust_accepts() {
        assert_eq!(identifier("same-key-17.shrunk"), "same_key_17");
        assert_eq!(identifier("7 Ä"), "plan_7__");
        assert_eq!(identifier(""), "plan_");
        assert_eq!(
            ["fn", "Self", "crates", "passes", "passes_without"].map(identifier),
            ["plan_fn", "plan_self", "crates", "plan_passes", "plan_passes_without"]
        );
    }
}
