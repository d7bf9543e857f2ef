//! Commands that take plans: `replay`, `explain`, `shrink`, `export` and `corpus`.

use super::{catches_termination, code, segsim, stderr, stdout, terminate};
use segment_sim::decision::Ratio;
use segment_sim::plan::{Base, Knobs, Plan, Schedule};
use segsim::plan_file::{Expected, PlanFile};
use segsim::workload::{Operation, Small, Workload};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

#[test]
fn a_plan_is_found_whatever_bytes_its_name_has() {
    let directory = tempfile::tempdir().unwrap();
    let plan = directory.path().join(OsStr::from_bytes(b"plan\xff\n.json"));
    std::fs::copy("corpus/evicts-active.json", &plan).unwrap();
    for command in ["replay", "explain", "export"] {
        let output = Command::new(env!("CARGO_BIN_EXE_segsim")).arg(command).arg(&plan).output().unwrap();
        assert_eq!((code(&output), stderr(&output)), (0, String::new()), "{command}");
    }
    let text = std::fs::read_to_string(&plan).unwrap();
    let without =
        text.replace("\"mutant\": \"evicts-active\",", "").replace("\"engine\": \"", "\"engine\": \"another ");
    std::fs::write(&plan, without).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_segsim")).arg("export").arg(&plan).output().unwrap();
    let words = "\\n.json was made with engine another ";
    assert!(stderr(&output).contains(words) && stderr(&output).lines().count() == 1, "{}", stderr(&output));
    std::fs::write(&plan, "[]").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_segsim")).arg("replay").arg(&plan).output().unwrap();
    let words = "expected an object with format, engine, expected and plan";
    assert!(stderr(&output).contains(words) && stderr(&output).lines().count() == 1, "{}", stderr(&output));
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
fn a_file_of_a_corpus_that_is_no_plan_is_an_error_of_its_own_and_the_others_are_run() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy("corpus/evicts-active.json", directory.path().join("kept.json")).unwrap();
    std::fs::write(directory.path().join("garbage.json"), "[]").unwrap();
    let run = |only: &[&str]| {
        let directory = directory.path().to_str().unwrap();
        let mut segsim = Command::new(env!("CARGO_BIN_EXE_segsim"));
        segsim.args(["corpus", "--dir", directory, "--junit", "-"]).args(only).env("GITHUB_ACTIONS", "true");
        segsim.output().unwrap()
    };
    let output = run(&[]);
    let (text, words) = (stdout(&output), stderr(&output));
    assert_eq!(code(&output), 3, "{words}");
    let why = "garbage.json is no plan: invalid length 0";
    let told: Vec<&str> = words.lines().collect();
    assert!(told[0].starts_with("segsim: ") && told[0].contains(why), "{words}");
    assert_eq!(told[1], "ERROR  1 plan of the corpus: 1 more cannot be read");
    assert!(told[2].starts_with("::error title=ERROR garbage::") && told.len() == 3, "{words}");
    assert!(text.contains("tests=\"2\" failures=\"0\" errors=\"1\"") && text.contains("type=\"ERROR\""), "{text}");
    assert!(text.contains("<testcase name=\"kept\" classname=\"corpus\"/>") && text.contains(why), "{text}");
    assert_eq!(code(&run(&["--only", "kept"])), 0);
    assert_eq!(code(&run(&["--only", "garbage"])), 3);
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

#[test]
fn a_plan_that_a_seed_decides_is_neither_kept_nor_a_test() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("drawn-plan.json");
    let plan = path.to_str().unwrap();
    assert_eq!(code(&segsim(&["replay", "concurrent-pushes", "1", "--write", plan])), 0);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"PASS\"", "\"FAIL\"")).unwrap();
    for command in [&["corpus", "add", plan][..], &["export", plan]] {
        let output = segsim(command);
        assert_eq!((code(&output), stdout(&output), stderr(&output).lines().count()), (3, String::new(), 1));
        assert!(stderr(&output).contains("is not shrunk: some of it is drawn from its seed"), "{}", stderr(&output));
    }
    assert!(!Path::new("corpus/drawn-plan.json").exists());
}

#[test]
fn a_corpus_that_is_interrupted_is_void_and_says_how_far_it_was() {
    let directory = tempfile::tempdir().unwrap();
    large_plan(directory.path());
    std::fs::copy("corpus/evicts-active.json", directory.path().join("small.json")).unwrap();
    let mut segsim = Command::new(env!("CARGO_BIN_EXE_segsim"));
    segsim.arg("corpus").arg("--dir").arg(directory.path()).args(["--junit", "-"]);
    let mut segsim = segsim.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until_busy(&mut segsim);
    terminate(segsim.id());
    let output = segsim.wait_with_output().unwrap();
    let why = "interrupted after 0 of 2 plans";
    let words = stderr(&output);
    assert!(code(&output) == 2 && words.contains(&format!("VOID  {why}\n")), "{words}");
    assert!(stdout(&output).contains(&format!("<error message=\"{why}\"")), "{}", stdout(&output));
}

#[test]
fn a_pipe_that_nobody_writes_to_is_waited_for_until_an_interruption_and_one_that_is_written_to_is_a_plan() {
    let directory = tempfile::tempdir().unwrap();
    let [pipe, words] = ["plan.json", "words"].map(|name| directory.path().join(name));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let replay = || {
        let mut segsim = Command::new(env!("CARGO_BIN_EXE_segsim"));
        segsim.arg("replay").arg(&pipe).stderr(std::fs::File::create(&words).unwrap()).stdout(Stdio::null());
        segsim.spawn().unwrap()
    };
    let mut segsim = replay();
    std::fs::write(&pipe, std::fs::read("corpus/evicts-active.json").unwrap()).unwrap();
    assert_eq!(segsim.wait().unwrap().code(), Some(0));
    let mut segsim = replay();
    while !catches_termination(segsim.id()) {
        assert_eq!(segsim.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    terminate(segsim.id());
    assert_eq!(segsim.wait().unwrap().code(), Some(2));
    assert!(std::fs::read_to_string(&words).unwrap().ends_with("segsim: interrupted\n"));
}

/// A plan as large as the limits let it be, which runs for seconds: rotations of a ring of 192 segments, and unlinks that
/// take long and fail.
fn large_plan(directory: &Path) -> PathBuf {
    let workload = Workload {
        generations: [64; 3],
        segments: 64,
        limits: Small { doomed: 1024, stripes: 2, batch_rows: 2 },
        callers: vec![vec![Operation::Rotate; 8]; 64],
        ..Workload::default()
    };
    let knobs = Knobs { slow: Ratio::new(1, 1), fail: Ratio::new(9, 10), ..Knobs::default() };
    let schedule = Schedule { base: Base::Keyed, knobs, ..Schedule::in_order(1) };
    let plan = Plan { scenario: "rotation-vs-eviction".to_string(), schedule, workload };
    let path = directory.join("large.json");
    PlanFile::new(plan, Expected::pass()).write(&path).unwrap();
    path
}

/// Waits until a process has worked for as long as no start takes: the clock says nothing where others work, too.
fn wait_until_busy(segsim: &mut Child) {
    let id = segsim.id();
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let user = stat.rsplit(") ").next().unwrap().split(' ').nth(11).unwrap();
        user.parse::<u64>().unwrap()
    };
    while ticks() < 20 {
        assert!(segsim.try_wait().unwrap().is_none(), "it has ended before");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn whoever_is_told_to_stop_in_the_middle_of_a_long_run_says_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let plan = large_plan(directory.path());
    let [plan, directory_] = [&plan, directory.path()].map(|path| path.to_str().unwrap());
    let small = directory.path().join("small.json");
    let corpus = "VOID  interrupted after 0 of 1 plan\n";
    for (arguments, told) in [
        (&["replay", plan][..], ""),
        (&["explain", plan], ""),
        (&["shrink", plan, "-o", small.to_str().unwrap()], ""),
        (&["corpus", "--dir", directory_], corpus),
    ] {
        let mut segsim = Command::new(env!("CARGO_BIN_EXE_segsim"));
        let mut segsim = segsim.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until_busy(&mut segsim);
        terminate(segsim.id());
        let output = segsim.wait_with_output().unwrap();
        assert_eq!((code(&output), stdout(&output).as_str()), (2, told), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stderr(&output).contains("segsim: interrupted\n"), told.is_empty(), "{}", stderr(&output));
    }
    assert!(!small.exists());
}
