//! The command as its users meet it: exit codes, one-line errors, files.
#![allow(clippy::disallowed_methods, reason = "runs the command and reads what it wrote")]

use segment_sim::verdict::Verdict;
use segsim::report::{Report, SweepRecord};
use segsim::soak::mount;
use segsim::sources;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn segsim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_segsim")).args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn bad_input_is_told_on_stderr_and_exits_with_3() {
    for (arguments, words) in [
        (&["sweep", "--scenario", "nowhere"][..], "no scenario \"nowhere\""),
        (&["sweep", "--seeds", "0"], "--seeds"),
        (&["sweep", "--seeds", "-1"], "-1"),
        (&["sweep", "--seeds", "many"], "many"),
        (&["sweep", "--jobs", "0"], "--jobs"),
        (&["sweep", "--for", "90"], "expected a number from 1 to 4294967295 and s, m or h, such as 90s; see"),
        (&["sweep", "--for", "0m"], "invalid value '0m' for '--for <DURATION>'"),
        (&["sweep", "--for", "-1s"], "-1"),
        (&["sweep", "--max-failures", "0"], "0 is not in 1..; see"),
        (&["sweep", "--strategy", "chaos"], "possible values: keyed, priority, holds, portfolio"),
        (&["replay", "concurrent-pushes", "1", "--strategy", "random"], "possible values: keyed"),
        (&["sweep", "--from", "18446744073709551615", "--seeds", "2"], "go past the last seed"),
        (&["repeat", "--from", "18446744073709551615"], "go past the last seed"),
        (&["sweep", "--report", "/no/such/directory/report.json"], "cannot write"),
        (&["replay", "concurrent-pushes"], "give a plan file, or"),
        (&["replay", "nowhere", "1"], "no scenario"),
        (&["replay", "plan.json", "1"], "plan.json is a plan and has a seed"),
        (&["bench", "--scenario", "nowhere"], "no scenario \"nowhere\""),
        (&["explain", "concurrent-pushes"], "give a plan file, or"),
        (&["explain", "nowhere", "1"], "no scenario"),
        (&["explain", "no-such-plan.json"], "cannot read no-such-plan.json"),
        (&["explain", "concurrent-pushes", "1", "--html", "/no/such/directory/page.html"], "cannot write /no/such"),
        (
            &["shrink", "corpus/evicts-active.json", "-o", "/no/such/plan.json"],
            "cannot write /no/such/plan.json: No such file or directory",
        ),
        (&["replay", "concurrent-pushes", "18446744073709551616"], "18446744073709551616"),
        (
            &["bisect", "HEAD~2...HEAD", "corpus/evicts-active.json"],
            "cannot bisect HEAD~2...HEAD: write it with two dots",
        ),
        (&["corpus", "add", "corpus/evicts-active.json", "--name", "."], "a plan's name is of a-z"),
        (&["corpus", "add", "corpus/evicts-active.json", "--name", "one two"], "a plan's name is of a-z"),
        (&["mutants", "--only", "nothing"], "no mutant \"nothing\""),
        (&["mutants", "--dir", "/no/such/directory"], "cannot read /no/such/directory"),
        (&["disk"], "--dir"),
        (&["disk", "--dir", "/no/such/directory"], "cannot use /no/such/directory"),
        (&["disk", "--dir", "/proc", "--only", "gets"], "cannot write to /proc"),
        (&["soak"], "--dir"),
        (&["soak", "--dir", "/proc/nowhere"], "cannot make /proc/nowhere"),
        (&["soak", "--dir", "/tmp", "--rounds", "0"], "--rounds"),
        (&["sweep", "--seeds", "1", "--plans", "Cargo.toml"], "cannot use Cargo.toml: not a directory"),
        (
            &["exhaust", "concurrent-pushes", "--size", "push=1", "--plans", "Cargo.toml"],
            "cannot use Cargo.toml: not a",
        ),
        (
            &["exhaust", "concurrent-pushes", "--size", "push=1", "--preemptions", "99999999999"],
            "\"99999999999\" is no number up to 4294967294; give one, or unlimited",
        ),
        (&["replay", "/dev/null"], "/dev/null is no plan: it is empty"),
        (&["repeat", "--seeds", "0"], "0 is not in 1..; see"),
        (&["repeat", "--seeds", "18446744073709551615"], "repeat keeps the hashes of all, so 10,000,000 at most"),
        (&["conquer"], "conquer"),
        (&[], "a command is missing: list, sweep, "),
    ] {
        let output = segsim(arguments);
        assert_eq!(code(&output), 3, "{arguments:?}");
        let text = stderr(&output);
        // disk has told what it does before it comes to its directory
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("disk: round")).collect();
        assert!(lines[0].contains(words) && lines[0].starts_with("segsim: "), "{arguments:?}: {text}");
        assert_eq!((lines.len(), stdout(&output)), (1, String::new()), "{arguments:?}: {text}");
    }
}

#[test]
fn a_plan_is_found_whatever_bytes_its_name_has() {
    let directory = tempfile::tempdir().unwrap();
    let plan = directory.path().join(OsStr::from_bytes(b"plan\xff\n.json"));
    std::fs::copy("corpus/evicts-active.json", &plan).unwrap();
    for command in ["replay", "explain", "export"] {
        let output = Command::new(env!("CARGO_BIN_EXE_segsim")).arg(command).arg(&plan).output().unwrap();
        assert_eq!((code(&output), stderr(&output)), (0, String::new()), "{command}");
    }
    std::fs::write(&plan, "[]").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_segsim")).arg("replay").arg(&plan).output().unwrap();
    let words = "expected an object with format, engine, expected and plan";
    assert!(stderr(&output).contains(words) && stderr(&output).lines().count() == 1, "{}", stderr(&output));
}

#[test]
fn a_report_that_cannot_be_printed_is_an_error_and_a_reader_that_left_is_none() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_segsim")).arg("list").stdout(full).output().unwrap();
    assert_eq!((code(&output), stderr(&output).lines().count()), (3, 1), "{}", stderr(&output));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let arguments = ["sweep", "--scenario", "concurrent-pushes", "--seeds", "10"];
    let output = Command::new(env!("CARGO_BIN_EXE_segsim")).args(arguments).stdout(writer).output().unwrap();
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
}

#[test]
fn a_command_line_that_cannot_be_read_is_one_line_that_says_what_to_do() {
    for (arguments, line) in [
        (&["conquer"][..], "no command 'conquer'; see segsim --help"),
        (&["repaly"], "no command 'repaly'; did you mean 'repeat', 'replay'? see segsim --help"),
        (&["--seeds", "3"], "unexpected argument '--seeds'; see segsim --help"),
        (
            &["sweep", "--fron", "3"],
            "sweep: unexpected argument '--fron'; did you mean '--from'? see segsim sweep --help",
        ),
        (&["sweep", "a\nb"], "sweep: unexpected argument 'a\\nb'; see segsim sweep --help"),
        (&["sweep", "--seeds"], "sweep: '--seeds <N>' needs a value; see segsim sweep --help"),
        (
            &["sweep", "--seeds", "-1"],
            "sweep: invalid value '-1' for '--seeds <N>': expected a non-negative integer; see segsim sweep --help",
        ),
        (
            &["sweep", "--from", "99999999999999999999"],
            "sweep: invalid value '99999999999999999999' for '--from <SEED>': it is too large a number; \
             see segsim sweep --help",
        ),
        (
            &["sweep", "--jobs", "0"],
            "sweep: invalid value '0' for '--jobs <N>': 0 is not in 1..=1024; see segsim sweep --help",
        ),
        (&["sweep", "--from", "1", "--from", "2"], "sweep: '--from <SEED>' is given twice; see segsim sweep --help"),
        (
            &["sweep", "--strategy", "hold"],
            "sweep: invalid value 'hold' for '--strategy <S>' (possible values: keyed, priority, holds, portfolio); \
             did you mean 'holds'? see segsim sweep --help",
        ),
        (
            &["sweep", "--seeds", "5", "--for", "1m"],
            "sweep: '--seeds <N>' cannot go with '--for <DURATION>'; see segsim sweep --help",
        ),
        (&["soak"], "soak: missing '--dir <DIR>'; see segsim soak --help"),
        (
            &["mutants", "--shrink", "there", "--rebase"],
            "mutants: '--shrink <DIR>' cannot go with '--rebase'; see segsim mutants --help",
        ),
        (&["corpus", "add"], "corpus add: missing '<PLAN.json>'; see segsim corpus add --help"),
    ] {
        let output = segsim(arguments);
        assert_eq!((code(&output), stdout(&output)), (3, String::new()), "{arguments:?}");
        assert_eq!(stderr(&output), format!("segsim: {line}\n"), "{arguments:?}");
    }
}

#[test]
fn help_version_and_list_are_no_errors() {
    for arguments in [&["--help"][..], &["--version"], &["list"], &["sweep", "--help"], &["mutants", "--help"]] {
        let output = segsim(arguments);
        assert_eq!((code(&output), stderr(&output)), (0, String::new()), "{arguments:?}");
        assert!(!output.stdout.is_empty());
    }
    let list = stdout(&segsim(&["list"]));
    for scenario in &segsim::scenario::SCENARIOS {
        assert!(list.contains(scenario.name));
    }
    for oracle in &segment_sim::oracle::ORACLES {
        assert!(list.lines().any(|line| line.contains(oracle.name) && line.ends_with(oracle.claim)), "{}", oracle.name);
    }
    for (name, claim) in segment_sim::oracle::BESIDES {
        assert!(list.lines().any(|line| line.contains(name) && line.ends_with(claim)), "{name}");
    }
}

#[test]
fn a_sweep_prints_its_verdict_and_writes_what_it_printed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let arguments = ["sweep", "--seeds", "200", "--jobs", "2", "--report", path.to_str().unwrap()];
    let output = segsim(&arguments);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    let scenarios = segsim::scenario::SCENARIOS.len();
    let end = format!("PASS  {} runs, 0 failed", segsim::report::grouped(200 * scenarios as u64));
    assert!(stdout(&output).contains(&end), "{}", stdout(&output));
    let report: Report = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((report.format, report.sweeps.len()), (2, scenarios));
    for sweep in &report.sweeps {
        assert!(stdout(&output).contains(&sweep.result.text()));
    }
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
fn a_corpus_tells_ci_systems_of_each_plan_and_github_of_what_did_not_pass() {
    let directory = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string("corpus/evicts-active.json").unwrap();
    std::fs::write(directory.path().join("kept.json"), &text).unwrap();
    let injection = r#""injections": [{ "site": "evict#9@RingCloned", "action": "cancel" }], "base""#;
    std::fs::write(directory.path().join("stale.json"), text.replace("\"base\"", injection)).unwrap();
    let path = directory.path().join("junit.xml");
    let arguments = ["corpus", "--dir", directory.path().to_str().unwrap(), "--junit", path.to_str().unwrap()];
    let run = |github: &str| {
        let mut segsim = Command::new(env!("CARGO_BIN_EXE_segsim"));
        segsim.args(arguments).env("GITHUB_ACTIONS", github).output().unwrap()
    };
    let output = run("true");
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    let why = "the run no longer comes to evict#9@RingCloned";
    let last = stdout(&output).lines().last().unwrap().to_string();
    assert_eq!(last, format!("::error title=VOID stale::{why}"));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("<testcase name=\"kept\" classname=\"corpus\"/>"), "{text}");
    assert!(text.contains(&format!("<error message=\"{why}")), "{text}");
    assert!(!stdout(&run("")).contains("::error"));
}

#[test]
fn a_file_called_minus_is_stdout_and_people_read_on_stderr() {
    let sweep = ["sweep", "--scenario", "concurrent-pushes", "--seeds", "10"];
    let output = segsim(&[&sweep[..], &["--report", "-"]].concat());
    let report: Report = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((code(&output), report.verdict), (0, Verdict::Pass));
    assert!(stderr(&output).contains("PASS  10 runs, 0 failed"), "{}", stderr(&output));
    let output = segsim(&[&sweep[..], &["--report", "-", "--junit", "-"]].concat());
    assert_eq!((code(&output), stdout(&output)), (3, String::new()));
    assert!(stderr(&output).contains("- is to hold two outputs"), "{}", stderr(&output));
    for (arguments, start, told) in [
        (&[&sweep[..], &["--junit", "-"]].concat()[..], "<?xml ", "PASS  10 runs"),
        (&["corpus", "--only", "evicts-active", "--junit", "-"], "<?xml ", "PASS  1 plan of the corpus"),
        (&["replay", "concurrent-pushes", "1", "--write", "-"], "{\n  \"format\": 1,", "PASS  "),
        (&["explain", "concurrent-pushes", "1", "--json", "-"], "{\"format\":1,", "PASS  "),
        (&["explain", "concurrent-pushes", "1", "--html", "-"], "<!doctype html>", "PASS  "),
    ] {
        let output = segsim(arguments);
        assert!(code(&output) == 0 && stdout(&output).starts_with(start), "{arguments:?}: {}", stdout(&output));
        assert!(stderr(&output).contains(told) && !stdout(&output).contains(told), "{arguments:?}");
    }
    let output = segsim(&["shrink", "corpus/evicts-active.json", "-o", "-"]);
    assert_eq!((code(&output), stdout(&output)), (2, String::new()));
    assert!(stderr(&output).starts_with("VOID  corpus/evicts-active.json does not fail"), "{}", stderr(&output));
    assert!(!Path::new("-").exists());
}

#[test]
fn a_file_on_stdout_that_cannot_be_sent_is_an_error_and_a_reader_that_left_is_none() {
    let run = |stdout: Stdio| {
        let arguments = ["explain", "concurrent-pushes", "1", "--json", "-"];
        Command::new(env!("CARGO_BIN_EXE_segsim")).args(arguments).stdout(stdout).output().unwrap()
    };
    let output = run(std::fs::File::options().write(true).open("/dev/full").unwrap().into());
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("segsim: cannot write -: No space left"), "{}", stderr(&output));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(code(&run(writer.into())), 0);
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
fn replay_repeats_what_the_sweep_saw() {
    let arguments = ["replay", "rotation-vs-eviction", "7", "--trace"];
    let output = segsim(&arguments);
    assert_eq!(code(&output), 0);
    let text = stdout(&output);
    assert!(text.contains("RingCloned") && text.contains("version 2 on 1") && text.contains("PASS"), "{text}");
    assert_eq!(stdout(&segsim(&arguments)), text);
}

#[test]
fn explain_and_shrink_write_what_they_are_asked_for_and_never_over_the_plan() {
    let directory = tempfile::tempdir().unwrap();
    let [plan, page, trace] = ["plan.json", "page.html", "trace.json"].map(|name| directory.path().join(name));
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/evicts-active.json"), &plan).unwrap();
    let text = std::fs::read(&plan).unwrap();
    let [plan_, page_, trace_] = [&plan, &page, &trace].map(|path| path.to_str().unwrap());
    let output = segsim(&["explain", plan_, "--html", page_, "--perfetto", trace_]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).starts_with("PASS"), "{}", stdout(&output));
    assert!(std::fs::read_to_string(&page).unwrap().starts_with("<!doctype html>"));
    assert!(std::fs::read_to_string(&trace).unwrap().contains("traceEvents"));
    let same = directory.path().join(".").join("plan.json");
    for option in ["--html", "--perfetto", "--json"] {
        let output = segsim(&["explain", plan_, option, same.to_str().unwrap()]);
        assert_eq!((code(&output), stdout(&output)), (3, String::new()));
        assert!(stderr(&output).contains("is the plan itself"), "{}", stderr(&output));
    }
    let link = directory.path().join("link.json");
    std::os::unix::fs::symlink("plan.json", &link).unwrap();
    for spelling in [&same, &link] {
        let output = segsim(&["shrink", plan_, "-o", spelling.to_str().unwrap()]);
        assert_eq!((code(&output), stdout(&output)), (3, String::new()));
        assert!(stderr(&output).contains("is the plan itself"), "{}", stderr(&output));
    }
    let [one, two] = ["new.json", "./new.json"].map(|name| format!("{}/{name}", directory.path().display()));
    let output = segsim(&["explain", plan_, "--html", &one, "--json", &two]);
    assert_eq!((code(&output), stdout(&output)), (3, String::new()));
    assert!(stderr(&output).contains("is to hold two outputs"), "{}", stderr(&output));
    assert_eq!(std::fs::read(&plan).unwrap(), text);
}

#[test]
fn an_explanation_is_printed_also_where_a_file_of_it_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("page.html");
    let arguments = ["explain", "concurrent-pushes", "1", "--perfetto", "/dev/full", "--html", page.to_str().unwrap()];
    let output = segsim(&arguments);
    assert_eq!((code(&output), stderr(&output).lines().count()), (3, 1), "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot write /dev/full"), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("PASS") && page.exists(), "{}", stdout(&output));
}

#[test]
fn a_plan_of_no_mutant_is_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let plan = directory.path().join("plan-of-no-mutant.json");
    let text = std::fs::read_to_string("corpus/evicts-active.json").unwrap();
    std::fs::write(&plan, text.replace("\"mutant\": \"evicts-active\"", "\"mutant\": \"nothing\"")).unwrap();
    let output = segsim(&["corpus", "add", plan.to_str().unwrap()]);
    assert_eq!((code(&output), stdout(&output)), (3, String::new()));
    assert!(stderr(&output).contains("no mutant \"nothing\""), "{}", stderr(&output));
}

#[test]
fn a_plan_for_a_mutant_that_is_not_there_is_refused_before_anything_is_built() {
    let directory = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string("corpus/evicts-active.json").unwrap();
    let text = text.replace("\"mutant\": \"evicts-active\"", "\"mutant\": \"nothing\"");
    std::fs::write(directory.path().join("stale.json"), text).unwrap();
    let output = segsim(&["corpus", "--on-mutants", "--dir", directory.path().to_str().unwrap()]);
    assert_eq!((code(&output), stdout(&output), stderr(&output).lines().count()), (3, String::new(), 1));
    let words = "stale.json is kept for \"nothing\", and no mutant is called so; there are abandons-rotation, ";
    assert!(stderr(&output).contains(words), "{}", stderr(&output));
}

#[test]
fn a_plan_that_never_failed_is_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let plan = directory.path().join("plan-that-never-failed.json");
    let plan = plan.to_str().unwrap();
    assert_eq!(code(&segsim(&["replay", "concurrent-pushes", "1", "--write", plan])), 0);
    let output = segsim(&["corpus", "add", plan]);
    assert_eq!((code(&output), stdout(&output), stderr(&output).lines().count()), (3, String::new(), 1));
    assert!(stderr(&output).contains("has not failed: it was written as one that came to PASS"), "{}", stderr(&output));
    assert!(!Path::new("corpus/plan-that-never-failed.json").exists());
}

/// A checkout with an engine of one line, and a mutant that changes it.
struct Checkout {
    root: tempfile::TempDir,
}

impl Checkout {
    fn new() -> Checkout {
        let checkout = Checkout { root: tempfile::tempdir().unwrap() };
        for part in [".cargo", "engine/src", "sim", "scenarios/mutants", "ci", "bin", "shrunk"] {
            std::fs::create_dir_all(checkout.path(part)).unwrap();
        }
        for (part, text) in [("Cargo.toml", ""), ("Cargo.lock", ""), ("engine/src/lib.rs", "one\n")] {
            std::fs::write(checkout.path(part), text).unwrap();
        }
        let patch = "source: s\nbreaks: b\nremoves: r\nexpect: same-key caught save-chain\n\n\
                     diff --git a/engine/src/lib.rs b/engine/src/lib.rs\n--- a/engine/src/lib.rs\n\
                     +++ b/engine/src/lib.rs\n@@ -1 +1 @@\n-one\n+two\n";
        std::fs::write(checkout.path("scenarios/mutants/two.patch"), patch).unwrap();
        checkout
    }

    fn path(&self, part: &str) -> PathBuf {
        self.root.path().join(part)
    }

    fn script(&self, part: &str, text: &str) -> PathBuf {
        let path = self.path(part);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// What segsim says on stderr.
    fn words(&self) -> String {
        std::fs::read_to_string(self.path("words")).unwrap()
    }

    /// A command in it, with `bin` before all other programs.
    fn segsim(&self, arguments: &[&str]) -> Command {
        let mut segsim = Command::new(env!("CARGO_BIN_EXE_segsim"));
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        segsim.args(arguments).current_dir(self.root.path()).env("PATH", path).env("CARGO", self.path("bin/cargo"));
        segsim.stdout(Stdio::piped()).stderr(std::fs::File::create(self.path("words")).unwrap());
        segsim
    }
}

#[test]
fn a_mutant_of_which_nothing_can_be_shrunk_is_void() {
    let checkout = Checkout::new();
    std::fs::create_dir_all(checkout.path("patched/src")).unwrap();
    std::fs::write(checkout.path("patched/src/lib.rs"), "two\n").unwrap();
    let engine = sources::hash(&checkout.path("patched")).unwrap();
    let nothing = format!(
        "{{\"engine\":\"{engine:016x}\",\"ranges\":[],\"runs\":0,\"failed\":0,\"oracles\":{{}},\"list\":[],\
         \"unreached\":[]}}"
    );
    let built = checkout.script("built", &format!("echo '{nothing}'"));
    let build =
        format!("mkdir -p $CARGO_TARGET_DIR/release && cp {} $CARGO_TARGET_DIR/release/segsim", built.display());
    checkout.script("bin/cargo", &build);
    let output = checkout.segsim(&["mutants", "--shrink", "shrunk"]).env("ROCKSDB_LIB_DIR", "none").output().unwrap();
    assert_eq!(code(&output), 2, "{}{}", stdout(&output), checkout.words());
    assert!(stdout(&output).ends_with("VOID  1 of 1 mutant not caught, and no plan of it written\n"));
}

#[test]
fn whatever_an_interruption_ends_besides_is_void_and_no_error() {
    // told to stop, and then a failure of what would not have failed without
    let stops = "kill -TERM $PPID\nuntil grep -q stopping $WORDS; do :; done\nexit 1";
    for (script, arguments, end) in [
        ("ci/rocksdb", &["mutants"][..], "segsim: interrupted\n"),
        ("bin/git", &["mutants", "--rebase"], "segsim: interrupted\n"),
        ("bin/git", &["mutants", "--shrink", "shrunk"], "segsim: interrupted\n"),
        ("bin/cargo", &["mutants", "--shrink", "shrunk"], "segsim: interrupted\n"),
    ] {
        let checkout = Checkout::new();
        checkout.script(script, stops);
        let mut segsim = checkout.segsim(arguments);
        segsim.env("WORDS", checkout.path("words")).env_remove("ROCKSDB_LIB_DIR");
        let output = segsim.output().unwrap();
        let words = checkout.words();
        assert!(code(&output) == 2 && words.ends_with(end), "{script} {arguments:?}: {words}");
    }
}

#[test]
fn who_waits_for_another_run_of_the_checkout_can_be_interrupted() {
    let checkout = Checkout::new();
    std::fs::create_dir_all(checkout.path("target/mutants")).unwrap();
    let lock = std::fs::File::create(checkout.path("target/mutants/LOCK")).unwrap();
    lock.lock().unwrap();
    let mut segsim = checkout.segsim(&["mutants"]).spawn().unwrap();
    while !checkout.words().contains("waiting for another run") {
        assert_eq!(segsim.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    terminate(segsim.id());
    assert_eq!(segsim.wait().unwrap().code(), Some(2), "{}", checkout.words());
}

#[test]
fn a_corpus_that_is_interrupted_is_void_and_says_how_far_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let [first, pipe, words] = ["a.json", "b.json", "words"].map(|name| directory.path().join(name));
    std::fs::copy("corpus/evicts-active.json", &first).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut segsim = Command::new(env!("CARGO_BIN_EXE_segsim"));
    segsim.arg("corpus").arg("--dir").arg(directory.path()).args(["--junit", "-"]);
    let told = std::fs::File::create(&words).unwrap();
    let segsim = segsim.stdout(Stdio::piped()).stderr(told).spawn().unwrap();
    // it reads all plans first: the second is not there until it has been told to stop
    let mut writer = std::fs::File::options().write(true).open(&pipe).unwrap();
    terminate(segsim.id());
    while !std::fs::read_to_string(&words).unwrap().contains("stopping") {
        std::thread::yield_now();
    }
    std::io::Write::write_all(&mut writer, &std::fs::read(&first).unwrap()).unwrap();
    drop(writer);
    let output = segsim.wait_with_output().unwrap();
    let why = "interrupted after 0 of 2 plans";
    let words = std::fs::read_to_string(&words).unwrap();
    assert!(code(&output) == 2 && words.contains(&format!("VOID  {why}\n")), "{words}");
    assert!(stdout(&output).contains(&format!("<error message=\"{why}\"")), "{}", stdout(&output));
}

#[test]
fn a_measurement_that_is_interrupted_prints_the_rounds_that_are_done_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let [measured, words] = ["measured", "words"].map(|name| directory.path().join(name));
    std::fs::create_dir(&measured).unwrap();
    let mut disk = Command::new(env!("CARGO_BIN_EXE_segsim"));
    disk.arg("disk").arg("--dir").arg(&measured).args(["--only", "puts", "--size", "small", "--workers", "1"]);
    disk.args(["--seconds", "1"]).stdout(Stdio::piped()).stderr(std::fs::File::create(&words).unwrap());
    let mut disk = disk.spawn().unwrap();
    while !std::fs::read_to_string(&words).unwrap().contains("disk: round 2 of 4") {
        assert_eq!(disk.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    terminate(disk.id());
    let output = disk.wait_with_output().unwrap();
    let text = stdout(&output);
    assert!(code(&output) == 2 && text.ends_with("VOID  interrupted after 1 of 4 rounds\n"), "{text}");
    assert!(text.contains("medians of 1 round;") && text.contains("\nputs of "), "{text}");
    assert_eq!(std::fs::read_dir(&measured).unwrap().count(), 0);
}

/// Asks a process to end.
fn terminate(id: u32) {
    let pid = rustix::process::Pid::from_raw(id.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

#[test]
fn a_termination_ends_a_command_with_what_there_is() {
    for until in [["--seeds", "1000000000"], ["--for", "1000h"]] {
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
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(stdout(&output).contains("; interrupted"), "{}", stdout(&output));
    }
}

/// Whether a process has a handler of SIGTERM.
fn catches_termination(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << 14) != 0
}

#[test]
fn a_soak_passes_and_another_goes_on_in_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("soak");
    let soak = |rounds| segsim(&["soak", "--dir", path.to_str().unwrap(), "--rounds", rounds, "--seed", "5"]);
    for (rounds, counted) in [("4", "4 rounds"), ("1", "1 round")] {
        let output = soak(rounds);
        assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        let end = format!("PASS  {counted}, 0 violations");
        assert!(stdout(&output).contains("seed 5") && stdout(&output).contains(&end), "{}", stdout(&output));
    }
}

/// Runs a soak and sends each of its children this signal, again and again; how often one was there to get it.
fn soak_whose_children_get(signal: rustix::process::Signal, path: &Path, rounds: &str) -> (Output, u64) {
    let mut soak = Command::new(env!("CARGO_BIN_EXE_segsim"));
    soak.args(["soak", "--dir", path.to_str().unwrap(), "--rounds", rounds, "--seed", "5"]);
    let mut soak = soak.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", soak.id());
    let mut sent = 0;
    while soak.try_wait().unwrap().is_none() {
        for child in std::fs::read_to_string(&children).unwrap_or_default().split_whitespace() {
            let pid = rustix::process::Pid::from_raw(child.parse().unwrap()).unwrap();
            // it may have ended meanwhile
            sent += u64::from(rustix::process::kill_process(pid, signal).is_ok());
        }
        std::thread::yield_now();
    }
    (soak.wait_with_output().unwrap(), sent)
}

#[test]
fn a_soak_whose_children_are_told_to_end_too_finds_nothing_in_that() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("soak");
    let (output, sent) = soak_whose_children_get(rustix::process::Signal::TERM, &path, "3");
    assert!(code(&output) == 0 && sent > 0, "{sent}: {}{}", stdout(&output), stderr(&output));
}

#[test]
fn a_violation_of_a_soak_is_told_also_where_what_was_told_cannot_be_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("soak");
    std::fs::create_dir_all(path.join("told")).unwrap();
    std::fs::write(path.join("segsim-soak"), "").unwrap();
    let (output, _) = soak_whose_children_get(rustix::process::Signal::ABORT, &path, "1000");
    assert_eq!(code(&output), 1, "{}{}", stdout(&output), stderr(&output));
    for words in ["puts acked", "violation: a child ended by itself: signal: 6", "\nFAIL  1 round, 1 violation\n"] {
        assert!(stdout(&output).contains(words), "{}", stdout(&output));
    }
    assert!(stderr(&output).contains("/told: Is a directory"), "{}", stderr(&output));
}

#[test]
fn a_directory_that_another_soak_works_in_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mark = std::fs::File::create(directory.path().join("segsim-soak")).unwrap();
    mark.lock().unwrap();
    let output = segsim(&["soak", "--dir", directory.path().to_str().unwrap()]);
    let told = format!("segsim: {} is in use by another soak\n", directory.path().display());
    assert_eq!((code(&output), stderr(&output)), (3, told));
}

#[test]
fn a_soak_with_power_losses_passes_or_says_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("soak");
    let soak = || segsim(&["soak", "--dir", path.to_str().unwrap(), "--power-loss", "--rounds", "3", "--seed", "5"]);
    if !mount::lacks().is_empty() {
        let output = soak();
        assert_eq!((code(&output), stdout(&output), stderr(&output).lines().count()), (3, String::new(), 1));
        assert!(stderr(&output).contains("power losses cannot be run: this machine has no "), "{}", stderr(&output));
        return;
    }
    for _ in 0..2 {
        let output = soak();
        assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        assert!(stdout(&output).contains("PASS  3 rounds, 0 violations"), "{}", stdout(&output));
        assert!(!is_mounted(&path));
    }
}

#[test]
fn a_soak_that_is_killed_leaves_nothing_mounted_and_another_goes_on() {
    if !mount::lacks().is_empty() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("soak");
    let arguments = ["soak", "--dir", path.to_str().unwrap(), "--power-loss", "--rounds", "100000"];
    let mut soak = Command::new(env!("CARGO_BIN_EXE_segsim")).args(arguments).stdout(Stdio::null()).spawn().unwrap();
    while !is_mounted(&path.join("mnt")) {
        assert_eq!(soak.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    soak.kill().unwrap();
    soak.wait().unwrap();
    for flag in [&[][..], &["--power-loss"]] {
        let output = segsim(&[&["soak", "--dir", path.to_str().unwrap(), "--rounds", "1"], flag].concat());
        assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        assert!(!is_mounted(&path));
    }
}

/// Whether anything is mounted there or below.
fn is_mounted(path: &Path) -> bool {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(path.to_str().unwrap())
}

#[test]
fn a_soak_uses_no_directory_that_is_not_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let foreign = directory.path().join("letter");
    std::fs::write(&foreign, "dear").unwrap();
    for (path, words) in
        [(foreign.as_path(), "cannot use"), (directory.path(), "is not empty, and no soak has made it")]
    {
        let output = segsim(&["soak", "--dir", path.to_str().unwrap()]);
        assert_eq!((code(&output), stdout(&output)), (3, String::new()));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
