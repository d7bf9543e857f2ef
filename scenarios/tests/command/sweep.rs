//! `segsim sweep`: what it prints, writes and tells CI systems, and what ends it; and `segsim repeat`.

use super::{catches_termination, code, segsim, stderr, stdout, terminate};
use rustix::process::{Pid, Signal, kill_process};
use segment_sim::verdict::Verdict;
use segsim::report::{Report, SweepRecord};
use std::process::{Command, Stdio};

#[test]
fn a_sweep_prints_its_verdict_and_writes_what_it_printed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let arguments = ["sweep", "--seeds", "300", "--jobs", "2", "--report", path.to_str().unwrap()];
    let output = segsim(&arguments);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    let scenarios = segsim::scenario::SCENARIOS.len();
    let end = format!("PASS  {} runs, 0 failed", segsim::report::grouped(300 * scenarios as u64));
    assert!(stdout(&output).contains(&end), "{}", stdout(&output));
    let report: Report = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((report.format, report.sweeps.len()), (2, scenarios));
    for sweep in &report.sweeps {
        assert!(stdout(&output).contains(&sweep.result.text()));
    }
}

#[test]
fn a_quiet_sweep_prints_a_line_for_each_scenario() {
    let two = ["--scenario", "concurrent-pushes", "--scenario", "same-key"];
    let output = segsim(&[&["sweep", "--quiet", "--seeds", "10"][..], &two].concat());
    let lines = [
        "concurrent-pushes           PASS  10 seeds, 0 failed",
        "  not judged: floors, under 200 seeds",
        "same-key                    PASS  10 seeds, 0 failed",
        "  not judged: floors, under 200 seeds",
    ];
    assert_eq!(stdout(&output), format!("{}\nPASS  20 runs, 0 failed\n", lines.join("\n")));
}

#[test]
fn a_sweep_for_a_time_is_that_of_the_seeds_that_it_came_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let report = |arguments: &[&str]| {
        let output = segsim(&[arguments, &["--from", "7", "--report", path.to_str().unwrap()]].concat());
        assert_ne!(code(&output), 3, "{}", stderr(&output));
        (stdout(&output), serde_json::from_str::<Report>(&std::fs::read_to_string(&path).unwrap()).unwrap())
    };
    let both = ["sweep", "--for", "1s", "--scenario", "concurrent-pushes", "--scenario", "same-key"];
    let (text, timed) = report(&both);
    assert_eq!((timed.sweeps.len(), &timed.void[..]), (2, &[][..]), "{text}");
    for SweepRecord { result, .. } in &timed.sweeps {
        let seeds = result.seeds.to_string();
        let (_, again) = report(&["sweep", "--scenario", &result.scenario, "--seeds", &seeds]);
        assert_eq!(&again.sweeps[0].result, result);
        assert!(
            text.contains(&format!("  {} seeds from 7: 0 failed", segsim::report::grouped(result.seeds))),
            "{text}"
        );
    }
}

#[test]
fn a_sweep_that_failures_may_end_and_do_not_is_one_that_nothing_ends() {
    let sweep = ["sweep", "--scenario", "concurrent-pushes", "--seeds", "300"];
    let of = |arguments: &[&str]| {
        let output = segsim(arguments);
        let lines = stdout(&output).lines().filter(|line| !line.contains("runs/s")).collect::<Vec<_>>().join("\n");
        (code(&output), lines)
    };
    assert_eq!(of(&[&sweep[..], &["--max-failures", "1"]].concat()), of(&sweep));
}

#[test]
fn a_sweep_that_is_killed_leaves_a_void_report_of_what_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    std::fs::write(&path, "an earlier one").unwrap();
    let arguments = ["sweep", "--scenario", "concurrent-pushes", "--scenario", "same-key", "--seeds", "5000"];
    let mut sweep = Command::new(env!("CARGO_BIN_EXE_segsim"));
    let sweep = sweep.args(arguments).arg("--report").arg(&path).stdout(Stdio::null());
    let mut sweep = sweep.stderr(Stdio::null()).spawn().unwrap();
    let read = || serde_json::from_slice::<Report>(&std::fs::read(&path).unwrap());
    let mut seen = Vec::new();
    while seen.last() != Some(&1) {
        assert_eq!(sweep.try_wait().unwrap(), None);
        // whole at each moment, but for the one that was there before
        seen.extend(read().ok().map(|report| report.sweeps.len()));
        seen.dedup();
    }
    sweep.kill().unwrap();
    sweep.wait().unwrap();
    assert_eq!(seen, [0, 1]);
    let report = read().unwrap();
    assert_eq!((report.verdict, report.sweeps[0].result.verdict), (Verdict::Void, Verdict::Pass));
    assert_eq!(report.void, ["not finished: 1 of 2 scenarios are done"]);
}

#[test]
fn a_report_to_a_pipe_comes_once_and_one_that_cannot_be_sent_is_told_after_the_verdict() {
    let sweep = |path| segsim(&["sweep", "--scenario", "concurrent-pushes", "--seeds", "10", "--report", path]);
    let output = sweep("/dev/stderr");
    let report: Report = serde_json::from_str(&stderr(&output)).unwrap();
    assert_eq!((code(&output), report.verdict, report.sweeps.len()), (0, Verdict::Pass, 1));
    let output = sweep("/dev/full");
    assert_eq!((code(&output), stderr(&output).lines().count()), (3, 1), "{}", stderr(&output));
    assert!(stdout(&output).contains("PASS  10 runs, 0 failed"), "{}", stdout(&output));
}

#[test]
fn a_sweep_tells_ci_systems_what_it_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("junit.xml");
    let arguments = ["sweep", "--scenario", "concurrent-pushes", "--seeds", "10", "--junit", path.to_str().unwrap()];
    let output = segsim(&arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("<testsuite name=\"concurrent-pushes\" tests=\"1\" failures=\"0\" errors=\"0\" time="),
        "{text}"
    );
    let output = segsim(&[&arguments[..], &["--report", path.to_str().unwrap()]].concat());
    assert_eq!((code(&output), stdout(&output)), (3, String::new()));
    assert!(stderr(&output).contains("is to hold two outputs"), "{}", stderr(&output));
}

#[test]
fn a_sweep_does_not_depend_on_the_number_of_threads() {
    let of = |jobs: &str| {
        let output = segsim(&["sweep", "--scenario", "rotation-vs-eviction", "--seeds", "300", "--jobs", jobs]);
        stdout(&output).lines().filter(|line| !line.contains("runs/s")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(of("1"), of("3"));
}

#[test]
fn a_scenario_that_is_named_twice_is_swept_once_and_on_no_more_threads_than_seeds() {
    let twice = ["--scenario", "concurrent-pushes", "--scenario", "concurrent-pushes"];
    let output = segsim(&[&["sweep", "--seeds", "3", "--jobs", "1000"][..], &twice].concat());
    let text = stdout(&output);
    assert!(text.contains("PASS  3 runs, 0 failed") && text.contains(" s on 3 threads"), "{text}");
}

#[test]
fn runs_are_the_same_under_other_seeds_of_madsim_and_in_another_process() {
    let output = segsim(&["repeat", "--scenario", "same-key", "--from", "7", "--seeds", "50", "--jobs", "3"]);
    let line = format!("{:<28}0 of 50 seeds differ (8 madsim seeds, two processes)\nPASS\n", "same-key");
    assert_eq!((code(&output), stdout(&output), stderr(&output)), (0, line, String::new()));
}

#[test]
fn a_termination_ends_a_command_with_what_there_is() {
    for (until, of) in [(["--seeds", "1000000000"], " of 1,000,000,000 seeds\n"), (["--for", "1000h"], " seeds\n")] {
        let mut sweep = Command::new(env!("CARGO_BIN_EXE_segsim"));
        sweep.args(["sweep", "--scenario", "concurrent-pushes"]).args(until);
        let mut sweep = sweep.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let id = sweep.id();
        // signals are caught once the status says so
        while !catches_termination(id) {
            assert_eq!(sweep.try_wait().unwrap(), None);
            std::thread::yield_now();
        }
        terminate(id);
        let output = sweep.wait_with_output().unwrap();
        let text = stdout(&output);
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(text.contains("; interrupted"), "{text}");
        // of a time it may have come to the end of all that it had begun
        if let Some((_, after)) = text.split_once("void: interrupted after ") {
            let is_number = |letter: char| letter.is_ascii_digit() || letter == ',';
            assert!(after.trim_start_matches(is_number).starts_with(of), "{text}");
        }
    }
}

#[test]
fn a_bench_that_is_interrupted_is_void_and_says_how_far_it_was() {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_segsim"));
    bench.args(["bench", "--scenario", "same-key", "--seeds", "1000000000"]);
    let bench = bench.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !catches_termination(bench.id()) {
        std::thread::yield_now();
    }
    terminate(bench.id());
    let output = bench.wait_with_output().unwrap();
    let end = "VOID  interrupted after 0 of 1 scenario\n";
    assert!(code(&output) == 2 && stdout(&output).ends_with(end), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn two_signals_at_once_are_one() {
    let mut sweep = Command::new(env!("CARGO_BIN_EXE_segsim"));
    sweep.args(["sweep", "--scenario", "concurrent-pushes", "--seeds", "1000000000"]);
    let mut sweep = sweep.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = sweep.id();
    while !catches_termination(id) {
        assert_eq!(sweep.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    // two of a kind may come as one anyway
    for signal in [Signal::TERM, Signal::INT] {
        kill_process(Pid::from_raw(id.cast_signed()).unwrap(), signal).unwrap();
    }
    let output = sweep.wait_with_output().unwrap();
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stdout(&output).contains("; interrupted"), "{}", stdout(&output));
}
