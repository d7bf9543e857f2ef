//! Commands on real directories: `soak` and `disk`.

use super::{code, segsim, stderr, stdout, terminate};
use segsim::soak::mount;
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[test]
fn a_measurement_that_is_interrupted_prints_the_rounds_that_are_done_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let [measured, words] = ["measured", "words"].map(|name| directory.path().join(name));
    std::fs::create_dir(&measured).unwrap();
    let mut disk = Command::new(env!("CARGO_BIN_EXE_segsim"));
    disk.arg("disk").arg("--dir").arg(&measured).args(["--only", "puts", "--size", "small", "--workers", "1"]);
    disk.args(["--seconds", "1"]).stdout(Stdio::piped()).stderr(std::fs::File::create(&words).unwrap());
    let mut disk = disk.spawn().unwrap();
    while !std::fs::read_to_string(&words).unwrap().contains("disk: round 2 of 5") {
        assert_eq!(disk.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    terminate(disk.id());
    let output = disk.wait_with_output().unwrap();
    let text = stdout(&output);
    assert!(code(&output) == 2 && text.ends_with("VOID  interrupted after 1 of 5 rounds\n"), "{text}");
    assert!(text.contains("medians of 1 round;") && text.contains("\nputs of "), "{text}");
    assert_eq!(std::fs::read_dir(&measured).unwrap().count(), 0);
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
        assert_eq!(code(&soak()), 3);
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
fn power_losses_that_cannot_be_had_are_refused_and_leave_no_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("soak");
    let mut soak = Command::new(env!("CARGO_BIN_EXE_segsim"));
    soak.arg("soak").arg("--dir").arg(&path).arg("--power-loss").env("PATH", "");
    let output = soak.output().unwrap();
    assert_eq!((code(&output), stdout(&output), stderr(&output).lines().count()), (3, String::new(), 1));
    let words = stderr(&output);
    assert!(
        words.starts_with("segsim: power losses cannot be run: ")
            && words.ends_with("no mkfs.ext4, there is no mount\n")
    );
    assert!(!path.exists());
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
