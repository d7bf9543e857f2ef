//! Exhaustive search of the engine: the command, and that what it skips changes nothing.
#![allow(clippy::disallowed_methods, reason = "runs the command and reads what it wrote")]

use segment_sim::choice::Guide;
use segment_sim::exhaust::{Bounds, Ended, Ran, Search, exhaust};
use segment_sim::plan::{Plan, Schedule};
use segment_sim::vocabulary::RING_POINTS;
use segment_sim::world::{Mode, Worker};
use segsim::scenario::Scenario;
use segsim::search_file;
use segsim::size::Size;
use segsim::workload::Subject;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

/// Everything that a search of this size comes to: how runs end, and what the oracles say.
fn outcomes(size: &str, points: Option<&[&str]>, preemptions: Option<u32>, joins: bool) -> (BTreeSet<String>, u64) {
    let scenario = Scenario::named("put-vs-eviction").unwrap();
    let workload = size.parse::<Size>().unwrap().workload(Subject::Engine).unwrap();
    let plan = Plan { scenario: scenario.name.to_string(), schedule: Schedule::in_order(0), workload };
    let mut search = Search::new(Bounds { preemptions, faults: 0, joins });
    let seen = Mutex::new(BTreeSet::new());
    let run = |worker: &mut Worker, guide: Guide, _| -> segsim::error::Result<Ran> {
        let points = points.map(|points| points.iter().map(|point| point.to_string()).collect::<Vec<_>>().into());
        let mode = Mode { keep_trace: true, ..Mode::default() };
        let outcome = scenario.run_by(worker, &plan, mode, Some(Guide { points, ..guide }))?;
        let story = outcome.story.unwrap();
        if !outcome.walk.is_joined {
            let ring = story.saves.last().map(|(_, record)| record.clone());
            let (joined, departed) = (outcome.record.joined, outcome.record.departed);
            let tasks: BTreeSet<String> = story.labels.into_iter().collect();
            let end = format!("{ring:?} {joined} {departed} {tasks:?} {:?}", outcome.record.violations);
            seen.lock().unwrap().insert(end);
        }
        Ok(Ran {
            walk: outcome.walk,
            violations: outcome.record.violations,
            trace_hash: story.trace.hash(),
            steps: outcome.record.sites,
            is_cut_short: false,
        })
    };
    let ended = exhaust(&mut search, 2, &AtomicBool::new(false), |_| Ok(()), || Ok(Worker::new()?), run).unwrap();
    assert!(matches!(ended, Ended::Complete { .. }), "{ended:?}");
    (seen.into_inner().unwrap(), search.counts().runs())
}

#[test]
fn what_is_skipped_changes_no_outcome() {
    for (size, points, preemptions, least) in [
        ("rotate=1,evict=1", Some(RING_POINTS), None, 10),
        ("evict=2", None, None, 10),
        ("rotate=2", Some(RING_POINTS), Some(2), 10),
        ("put=1,evict=1", None, Some(1), 3),
        ("put=2", None, Some(0), 10),
    ] {
        let (all, runs) = outcomes(size, points, preemptions, false);
        let (some, fewer) = outcomes(size, points, preemptions, true);
        assert_eq!(some, all, "{size}");
        assert!(least * fewer < runs, "{size}: {fewer} of {runs}");
    }
}

fn segsim(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_segsim")).current_dir(directory).arg("exhaust").args(arguments).output().unwrap()
}

fn text(output: &Output) -> (i32, String, String) {
    let of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), of(&output.stdout), of(&output.stderr))
}

#[test]
fn a_search_ends_in_its_claim_and_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["rotation-vs-eviction", "--size", "rotate=1,evict=1", "--preemptions", "unlimited"];
    for points in [&["--points", "ring"][..], &["--points", "RingCloned,RingWanted", "--jobs", "1"]] {
        let (code, said, told) = text(&segsim(directory.path(), &[&arguments[..], points].concat()));
        assert_eq!((code, told.as_str()), (0, ""), "{said}");
        let claim = " executions of workload rotate=1,evict=1 of rotation-vs-eviction, at points RingCloned, RingWanted, \
                     sequentially consistent between points, with any number of preemptions and no faults\n";
        assert!(said.starts_with("PASS  no violation in any of ") && said.contains(claim), "{said}");
        assert!(said.contains("cut short: 0") && said.contains("skipped as equal"), "{said}");
    }
    assert!(std::fs::read_dir(directory.path().join("target/exhaust")).map_or(0, Iterator::count) == 0);
}

#[test]
fn faults_are_searched_too() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["rotation-vs-eviction", "--size", "evict=1", "--faults", "1", "--preemptions", "1"];
    let (code, said, _) = text(&segsim(directory.path(), &arguments));
    assert!(code == 0 && said.contains("with at most 1 preemption and at most 1 fault"), "{said}");
}

#[test]
fn bad_input_is_one_line_and_exits_with_3() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (&["nowhere", "--size", "put=1"][..], "no scenario \"nowhere\""),
        (&["same-key", "--size", "bake=1"], "there are push, rotate, evict"),
        (&["same-key", "--size", ""], "write it as rotate=2,evict=2"),
        (&["concurrent-pushes", "--size", "evict=1"], "cannot evict"),
        (&["same-key", "--size", "put=1", "--points", "Here"], "nothing waits at \"Here\"; there are ring, Start"),
        (&["same-key", "--size", "put=1", "--preemptions", "few"], "give one, or unlimited"),
        (&["same-key", "--size", "put=1", "--state", "-"], "--state: a search is kept in a file, and - is none"),
        (&["same-key", "--size", "put=1", "--state", "/proc"], "cannot read /proc: it is no regular file"),
        (&["same-key", "--size", "put=1", "--state", "/dev/zero"], "cannot read /dev/zero: it is no regular file"),
        (&["same-key", "--size", "put=1", "--state", "/proc/kept.search"], "cannot write /proc/kept.search"),
        (&["same-key", "--size", "put=1", "--state", "no/kept.search"], "cannot write no/kept.search: No such file"),
    ] {
        let (code, said, told) = text(&segsim(directory.path(), arguments));
        assert_eq!((code, said.as_str(), told.lines().count()), (3, "", 1), "{arguments:?}: {told}");
        assert!(told.contains(words), "{told}");
    }
    assert!(!directory.path().join("no").exists() && !directory.path().join("-").exists());
}

#[test]
fn a_search_that_another_process_works_on_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let [path, link] = ["kept.search", "link"].map(|name| directory.path().join(name));
    let arguments = ["same-key", "--size", "put=1", "--preemptions", "1", "--state"];
    let search = |path: &Path| text(&segsim(directory.path(), &[&arguments[..], &[path.to_str().unwrap()]].concat()));
    let in_use = search_file::take(&path).unwrap();
    std::fs::write(&path, "theirs").unwrap();
    std::os::unix::fs::symlink("kept.search", &link).unwrap();
    for path in [&path, &link] {
        let told = format!("segsim: {} is in use by another exhaust; name another file with --state\n", path.display());
        assert_eq!(search(path), (3, String::new(), told));
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
    drop(in_use);
    std::fs::remove_file(&path).unwrap();
    // as of a process that was killed
    std::fs::write(directory.path().join("kept.search.lock"), "").unwrap();
    let (code, said, told) = search(&path);
    assert_eq!((code, told.as_str()), (0, ""), "{said}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().map_while(Result::ok).count(), 1, "the link alone");
}

#[test]
fn a_file_that_is_not_this_search_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kept.search");
    let search = Search::new(Bounds { preemptions: Some(1), faults: 0, joins: true });
    search_file::write(&path, "another one", &search).unwrap();
    let sound = std::fs::read(&path).unwrap();
    let mut damaged = sound.clone();
    damaged[40] ^= 1;
    let cases: [(&[u8], &str); 5] = [
        (&sound, "it is of another search (another one)"),
        (&damaged, "damaged or was cut off"),
        (&sound[..sound.len() - 1], "damaged or was cut off"),
        (b"", "no search"),
        (b"dear diary", "no search"),
    ];
    for (bytes, words) in cases {
        std::fs::write(&path, bytes).unwrap();
        let arguments = ["same-key", "--size", "put=1", "--preemptions", "1", "--state", path.to_str().unwrap()];
        let (code, said, told) = text(&segsim(directory.path(), &arguments));
        assert_eq!((code, said.as_str(), told.lines().count()), (3, "", 1), "{told}");
        assert!(told.contains(words), "{told}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "it is left as it is");
    }
}
