//! Claims about source texts: the engine's, and the table of the mutants.
#![allow(clippy::disallowed_methods, reason = "reads sources")]

use segment_sim::oracle::ORACLES;
use segsim::command::{corpus, stability};
use segsim::mutant;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The engine's files with their text up to their tests.
fn engine_sources() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/src");
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap().to_string();
        sources.push((path.file_name().unwrap().to_str().unwrap().to_string(), code));
    }
    assert!(sources.len() > 10);
    sources
}

fn files_with(word: &str) -> Vec<String> {
    let mut files: Vec<String> =
        engine_sources().into_iter().filter(|(_, code)| code.contains(word)).map(|(file, _)| file).collect();
    files.sort();
    files
}

#[test]
fn only_ring_state_writes_the_ring_row() {
    assert_eq!(files_with("RING_KEY"), ["ring_state.rs"]);
    assert_eq!(files_with("table: Table::Ring"), ["ring_state.rs"]);
    let (_, ring_state) = engine_sources().into_iter().find(|(file, _)| file == "ring_state.rs").unwrap();
    assert_eq!(ring_state.matches("Write::Put").count(), 1);
    assert_eq!(ring_state.matches("Write::Delete").count(), 0);
}

#[test]
fn rocksdb_is_named_in_one_file() {
    assert_eq!(files_with("rocksdb::"), ["rocks.rs"]);
}

#[test]
fn the_engine_has_no_simulation_switch() {
    for word in ["cfg(madsim", "madsim", "feature =", "failpoint", "cfg!("] {
        assert_eq!(files_with(word), Vec::<String>::new(), "{word}");
    }
}

#[test]
fn the_table_of_the_oracles_has_each_with_its_claim_and_no_other() {
    let (_, table) = include_str!("../../ARCHITECTURE.md").split_once("## Oracles\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut rows: Vec<String> = rows.map(|line| line.splitn(3, '|').nth(2).unwrap().trim().to_string()).collect();
    let mut expected: Vec<String> =
        ORACLES.iter().map(|oracle| format!("{} | {} |", oracle.name, oracle.claim)).collect();
    rows.sort();
    expected.sort();
    assert_eq!(rows, expected);
}

#[test]
fn the_table_of_the_mutants_has_each_of_them_and_no_other() {
    let patches = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants");
    let mutants = mutant::read_all(&patches).unwrap();
    let expected = mutants.iter().flat_map(|mutant| {
        mutant.expectations.iter().map(|expectation| format!("{} | {}", mutant.id, expectation.scenario.name))
    });
    let mut expected: Vec<String> = expected.collect();
    let rows = include_str!("../../docs/mutants.md").lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some(format!("{} | {}", cells.next()?, cells.next()?))
    });
    let mut rows: Vec<String> = rows.filter(|row| row != "mutant | scenario").collect();
    expected.sort();
    rows.sort();
    assert_eq!(rows, expected);
}

/// Whether the patches apply to this workspace, one on top of the other.
fn applies(patches: &[&Path]) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text: Vec<u8> = patches.iter().flat_map(|patch| std::fs::read(patch).unwrap()).collect();
    let mut apply = Command::new("git");
    // in a repository around the workspace git would skip all of it, and say that it applies
    apply.env("GIT_CEILING_DIRECTORIES", root.parent().unwrap());
    apply.current_dir(root).args(["apply", "--check", "-"]).stdin(Stdio::piped());
    let mut apply = apply.spawn().unwrap();
    apply.stdin.take().unwrap().write_all(&text).unwrap();
    apply.wait().unwrap().success()
}

#[test]
fn the_patches_apply_in_the_order_in_which_they_are_built() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [mutants, drifts] = ["mutants", "drift"].map(|directory| mutant::patches(&root.join(directory)).unwrap());
    for mutant in &mutants {
        assert!(applies(&[mutant]), "{}", mutant.display());
        let compared = mutant.ends_with(format!("{}.patch", stability::MUTANT));
        for drift in drifts.iter().filter(|drift| compared || drift.ends_with(corpus::DRIFT)) {
            assert!(applies(&[mutant, drift]), "{} on {}", drift.display(), mutant.display());
        }
    }
}
