//! A mutant: a historical bug as a patch to `engine/`, with a header that says what is expected of it.
//!
//! The header is everything before the first `diff --git`: lines of `key: value`, continued by indented lines.
//! `source` (where the bug was), `breaks` (what goes wrong), `removes` (safeguards that the patch takes out besides),
//! and one `expect` a scenario:
//!
//! ```text
//! expect: rotation-vs-eviction caught save-chain seen no-orphan,no-resurrection median 3
//! expect: rotation-overflow-only pass 20000
//! ```
//!
//! `caught` names the oracles of which one must be the first to find something; `over N` also counts the failures of N
//! seeds; `seen` names oracles that must find something in some seed; `median N` bounds the median seeds to detection.

use crate::error::{Error, Result};
use crate::scenario::Scenario;
use segment_sim::oracle::ORACLES;
use std::path::{Path, PathBuf};

/// A patch and its header.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The patch's name without its ending.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// The text before the first diff.
    pub header: String,
    /// What is expected, scenario by scenario.
    pub expectations: Vec<Expectation>,
}

/// What is expected of a mutant in one scenario.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// What is to happen.
    pub outcome: Expected,
}

/// What is to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It fails.
    Caught {
        /// One of these oracles finds it first.
        first: Vec<String>,
        /// Each of these finds something in some seed.
        seen: Vec<String>,
        /// The most seeds to detection, in the median.
        median_max: Option<u64>,
        /// Seeds whose failures are counted.
        over: Option<u64>,
    },
    /// It passes this many seeds: the bug is latent there.
    Pass(u64),
}

/// Reads every mutant in a directory, in the order of their names.
///
/// # Errors
/// When the directory cannot be read, holds no patch, or a header is not as it must be.
#[allow(clippy::disallowed_methods, reason = "patches are files")]
pub fn read_all(directory: &Path) -> Result<Vec<Mutant>> {
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        Mutant::parse(&path, &String::from_utf8_lossy(&bytes))
    };
    patches(directory)?.into_iter().map(read).collect()
}

/// The patches in a directory, in the order of their names; at least one.
///
/// # Errors
/// When the directory cannot be read or holds no patch.
#[allow(clippy::disallowed_methods, reason = "patches are files")]
pub fn patches(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(Error::io("read", directory))? {
        let path = entry.map_err(Error::io("read", directory))?.path();
        if path.extension().is_some_and(|ending| ending == "patch") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(Error::NoMutants { directory: directory.to_path_buf() });
    }
    Ok(paths)
}

impl Mutant {
    /// Reads a patch's text.
    ///
    /// # Errors
    /// [`Error::PatchHeader`], which says what is wrong.
    pub fn parse(path: &Path, text: &str) -> Result<Mutant> {
        let wrong = |problem: String| Error::PatchHeader { path: path.to_path_buf(), problem };
        let Some(end) = text.find("diff --git ").filter(|at| *at == 0 || text[..*at].ends_with('\n')) else {
            return Err(wrong("no line begins with \"diff --git\"; make it with git diff --full-index".to_string()));
        };
        let header = &text[..end];
        let mut expectations = Vec::new();
        let mut missing = vec!["source", "breaks", "removes", "expect"];
        for (key, value) in entries(header).map_err(&wrong)? {
            missing.retain(|other| *other != key);
            match key.as_str() {
                "source" | "breaks" | "removes" if !value.is_empty() => {}
                "expect" => expectations.push(expectation(&value).map_err(&wrong)?),
                "source" | "breaks" | "removes" => return Err(wrong(format!("{key} is empty"))),
                _ => return Err(wrong(format!("unknown header {key:?}"))),
            }
        }
        if let Some(missing) = missing.first() {
            return Err(wrong(format!("the header has no {missing}")));
        }
        let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Mutant { id, path: path.to_path_buf(), header: header.to_string(), expectations })
    }
}

/// The header's keys and values, with continued lines joined.
fn entries(header: &str) -> std::result::Result<Vec<(String, String)>, String> {
    let mut entries: Vec<(String, String)> = Vec::new();
    for line in header.lines().filter(|line| !line.trim().is_empty()) {
        if line.starts_with(char::is_whitespace) {
            let (_, value) = entries.last_mut().ok_or("the header begins with an indented line")?;
            value.push(' ');
            value.push_str(line.trim());
        } else {
            let (key, value) = line.split_once(':').ok_or_else(|| format!("no \"key: value\" in {line:?}"))?;
            entries.push((key.trim().to_string(), value.trim().to_string()));
        }
    }
    Ok(entries)
}

fn expectation(text: &str) -> std::result::Result<Expectation, String> {
    let mut words = text.split_whitespace();
    let name = words.next().ok_or("an expect is empty")?;
    let scenario = Scenario::named(name).ok_or_else(|| format!("no scenario {name:?}"))?;
    let mut argument = |of: &str| words.next().map(str::to_string).ok_or_else(|| format!("{of:?} wants an argument"));
    let number = |of: &str, word: String| word.parse().map_err(|_| format!("{of:?} wants a number, not {word:?}"));
    let outcome = match argument(name)?.as_str() {
        "pass" => Expected::Pass(number("pass", argument("pass")?)?),
        "caught" => {
            let first = oracles(&argument("caught")?)?;
            let (mut seen, mut median_max, mut over) = (Vec::new(), None, None);
            while let Ok(word) = argument("") {
                match word.as_str() {
                    "seen" => seen = oracles(&argument("seen")?)?,
                    "median" => median_max = Some(number("median", argument("median")?)?),
                    "over" => over = Some(number("over", argument("over")?)?),
                    other => return Err(format!("unknown word {other:?} in an expect")),
                }
            }
            return Ok(Expectation { scenario, outcome: Expected::Caught { first, seen, median_max, over } });
        }
        other => return Err(format!("an expect says \"caught\" or \"pass\", not {other:?}")),
    };
    match argument("") {
        Ok(word) => Err(format!("unknown word {word:?} in an expect")),
        Err(_) => Ok(Expectation { scenario, outcome }),
    }
}

fn oracles(list: &str) -> std::result::Result<Vec<String>, String> {
    let known = |name: &str| ORACLES.iter().any(|oracle| oracle.name == name);
    list.split(',')
        .map(|name| if known(name) { Ok(name.to_string()) } else { Err(format!("no oracle {name:?}")) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "source: somewhere\nbreaks: this\n  and that\nremoves: nothing\n";

    fn parse(text: &str) -> Result<Mutant> {
        Mutant::parse(Path::new("m/bug.patch"), text)
    }

    #[test]
    fn a_header_says_what_is_expected() {
        let expects = "expect: rotation-vs-eviction caught save-chain seen no-orphan,no-phantom median 3 over 20\n\
                       expect: rotation-overflow-only pass 20000\n";
        let mutant = parse(&format!("{HEADER}{expects}\ndiff --git a/x b/x\n")).unwrap();
        assert_eq!(mutant.id, "bug");
        let [caught, pass] = &mutant.expectations[..] else { panic!("two expects") };
        assert_eq!(pass.outcome, Expected::Pass(20000));
        let expected = Expected::Caught {
            first: vec!["save-chain".to_string()],
            seen: vec!["no-orphan".to_string(), "no-phantom".to_string()],
            median_max: Some(3),
            over: Some(20),
        };
        assert_eq!(caught.outcome, expected);
    }

    #[test]
    fn each_fault_of_a_header_is_told() {
        let told = |text: &str| parse(text).unwrap_err().to_string();
        let diff = "diff --git a/x b/x\n";
        assert!(told(HEADER).contains("diff --git"));
        assert!(told(&format!("{HEADER}{diff}")).contains("no expect"));
        for (expect, word) in [
            ("nowhere pass 1", "nowhere"),
            ("rotation-vs-eviction", "argument"),
            ("rotation-vs-eviction maybe", "maybe"),
            ("rotation-vs-eviction caught luck", "luck"),
            ("rotation-vs-eviction pass many", "many"),
            ("rotation-vs-eviction pass 1 2", "\"2\""),
            ("rotation-vs-eviction caught save-chain soon", "soon"),
        ] {
            let message = told(&format!("{HEADER}expect: {expect}\n{diff}"));
            assert!(message.contains(word), "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_mutant_or_an_error(text in "(?s).{0,80}(diff --git )?.{0,20}") {
            let _ = parse(&text);
        }
    }
}
