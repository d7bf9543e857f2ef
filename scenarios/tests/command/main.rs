//! The command as its users meet it: exit codes, one-line errors, files.
#![allow(clippy::disallowed_methods, reason = "runs the command and reads what it wrote")]

mod disk;
mod mutants;
mod plans;
mod sweep;

use segment_sim::verdict::Verdict;
use segsim::report::Report;
use std::path::Path;
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

/// Asks a process to end.
fn terminate(id: u32) {
    let pid = rustix::process::Pid::from_raw(id.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

/// Whether a process has a handler of SIGTERM.
fn catches_termination(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << 14) != 0
}

#[test]
fn bad_input_is_told_on_stderr_and_exits_with_3() {
    for (arguments, words) in [
        (&["sweep", "--scenario", "nowhere"][..], "no scenario \"nowhere\""),
        (
            &["sweep", "--scenario", "same-key,bit-rot"],
            "--scenario: \"same-key,bit-rot\" is no scenario: of several each has a --scenario of its own",
        ),
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
        (&["replay", "plan.json", "--strategy", "holds"], "plan.json is a plan and has a seed"),
        (&["replay", "plan.json", "--write", "other.json"], "plan.json is a plan and has a seed"),
        (&["explain", "--strategy", "holds", "plan.json"], "plan.json is a plan and has a seed"),
        (
            &["replay", "concurrent-pushes", "--strategy", "holds"],
            "concurrent-pushes is a scenario: give a plan file, or",
        ),
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
        (&["disk", "--dir", "Cargo.toml"], "cannot write to Cargo.toml: not a directory"),
        (&["soak"], "--dir"),
        (&["soak", "--dir", "/proc/nowhere"], "cannot make /proc/nowhere"),
        (&["soak", "--dir", "/tmp", "--rounds", "0"], "--rounds"),
        (
            &["sweep", "--seeds", "1", "--plans", "Cargo.toml"],
            "cannot use Cargo.toml: not a directory; name another directory with --plans",
        ),
        (&["sweep", "--seeds", "1", "--plans", "/proc/plans"], "cannot use /proc/plans: "),
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
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains(words) && lines[0].starts_with("segsim: "), "{arguments:?}: {text}");
        assert_eq!((lines.len(), stdout(&output)), (1, String::new()), "{arguments:?}: {text}");
    }
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
    let list: serde_json::Value = serde_json::from_str(&stdout(&segsim(&["list", "--json"]))).unwrap();
    let names = |kind: &str| -> Vec<String> {
        list[kind].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(names("scenarios"), segsim::scenario::SCENARIOS.map(|scenario| scenario.name));
    assert_eq!(names("oracles").len(), segment_sim::oracle::ORACLES.len() + segment_sim::oracle::BESIDES.len());
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
    assert_eq!(code(&run(Stdio::null())), 0);
    let closed = "exec $0 sweep --scenario concurrent-pushes --seeds 10 --report - >&-";
    let output = Command::new("sh").args(["-c", closed, env!("CARGO_BIN_EXE_segsim")]).output().unwrap();
    assert_eq!((code(&output), stderr(&output).as_str()), (3, "segsim: cannot write -: stdout is closed\n"));
}
