//! `segsim mutants`, in a checkout where nothing is built.

use super::{code, stdout, terminate};
use segsim::sources;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A checkout with an engine of one line, and a mutant that changes it.
struct Checkout {
    root: tempfile::TempDir,
}

impl Checkout {
    fn new() -> Checkout {
        let checkout = Checkout { root: tempfile::tempdir().unwrap() };
        for part in [".cargo", "engine/src", "sim", "scenarios/mutants", "scenarios/corpus", "ci", "bin", "shrunk"] {
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

    /// Has cargo make a mutant that detects this, whatever it is asked.
    fn builds(&self, detects: &str) {
        self.builds_each(&[("two", detects)]);
    }

    /// The same, for each of these lines of the engine.
    fn builds_each(&self, engines: &[(&str, &str)]) {
        for (line, detects) in engines {
            self.builds_one(line, "", detects);
        }
    }

    /// The same, for one line, which detects this in ranges of seeds, too.
    fn builds_one(&self, line: &str, ranges: &str, detects: &str) {
        let source = self.path("patched/src/lib.rs");
        std::fs::create_dir_all(source.parent().unwrap()).unwrap();
        std::fs::write(source, format!("{line}\n")).unwrap();
        let engine = sources::hash(&self.path("patched")).unwrap();
        let detection = format!(
            "{{\"engine\":\"{engine:016x}\",\"ranges\":[{ranges}],\"runs\":0,\"failed\":0,\"oracles\":{{}},{detects}}}"
        );
        self.script(&format!("built-{line}"), &format!("echo '{detection}'"));
        let built = self.path("built").display().to_string();
        let release = "$CARGO_TARGET_DIR/release";
        let build = format!("mkdir -p {release} && cp {built}-$(cat engine/src/lib.rs) {release}/segsim");
        self.script("bin/cargo", &build);
    }

    fn git(&self, arguments: &[&str]) {
        let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
        let ran = Command::new("git").current_dir(self.root.path()).args(identity).args(arguments).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
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
fn the_mutants_tell_ci_systems_of_each_row_and_of_what_did_not_run() {
    let ranges = |oracle: &str| {
        let failure = format!(r#"{{"seeds":1,"seed":1,"oracle":"{oracle}","race":""}}"#);
        vec![format!(r#"{{"detected":{failure},"otherwise":null}}"#); 30].join(",")
    };
    let missed = vec![r#"{"detected":null,"otherwise":null}"#; 30].join(",");
    let pass = "<testcase name=\"two: same-key\" classname=\"mutants\"/>";
    for (ranges, exit, told) in [
        (ranges("save-chain"), 0, pass),
        (missed, 2, "<error message=\"SURVIVED in 30 of 30 ranges 1000 1000\" type=\"VOID\"/>"),
    ] {
        let checkout = Checkout::new();
        checkout.builds_one("two", &ranges, r#""list":[],"unreached":[]"#);
        let output = checkout.segsim(&["mutants", "--junit", "-"]).env("ROCKSDB_LIB_DIR", "none").output().unwrap();
        assert_eq!(code(&output), exit, "{}", checkout.words());
        let text = stdout(&output);
        assert!(text.starts_with("<?xml ") && text.contains(told), "{text}");
    }
    let checkout = Checkout::new();
    checkout.script("bin/cargo", "exit 1");
    let output = checkout.segsim(&["mutants", "--junit", "-"]).env("ROCKSDB_LIB_DIR", "none").output().unwrap();
    let (text, words) = (stdout(&output), checkout.words());
    let error = "<error message=\"did not run: two does not build;";
    assert!(code(&output) == 3 && text.contains("<testcase name=\"two\"") && text.contains(error), "{text}{words}");
}

#[test]
fn an_interruption_is_a_case_of_the_mutants() {
    let checkout = Checkout::new();
    checkout.script("bin/cargo", "kill -TERM $PPID\nuntil grep -q stopping $WORDS; do :; done\nexit 1");
    let mut segsim = checkout.segsim(&["mutants", "--junit", "-"]);
    let output = segsim.env("WORDS", checkout.path("words")).env("ROCKSDB_LIB_DIR", "none").output().unwrap();
    let case =
        "<testcase name=\"mutants\" classname=\"mutants\">\n      <error message=\"interrupted\" type=\"VOID\"/>";
    let text = stdout(&output);
    assert!(code(&output) == 2 && text.contains(case), "{text}{}", checkout.words());
}

#[test]
fn a_mutant_of_which_nothing_can_be_shrunk_is_void() {
    let checkout = Checkout::new();
    checkout.builds(r#""list":[],"unreached":[]"#);
    let output = checkout.segsim(&["mutants", "--shrink", "shrunk"]).env("ROCKSDB_LIB_DIR", "none").output().unwrap();
    assert_eq!(code(&output), 2, "{}{}", stdout(&output), checkout.words());
    assert!(stdout(&output).ends_with("VOID  1 of 1 mutant not caught, and no plan of it written\n"));
}

#[test]
fn a_plan_whose_sites_are_not_reached_is_kept_only_where_its_mutant_comes_to_them() {
    let text = std::fs::read_to_string("corpus/evicts-active.json").unwrap();
    let injection = r#""injections": [{ "site": "evict#9@RingCloned", "action": "cancel" }], "base""#;
    let text = text.replace("\"base\"", injection).replace("\"mutant\": \"evicts-active\"", "\"mutant\": \"two\"");
    let oracle = serde_json::from_str::<serde_json::Value>(&text).unwrap()["expected"]["oracle"].clone();
    let failure = |oracle: &str| format!(r#""list":[{{"seeds":1,"seed":1,"oracle":{oracle},"race":""}}],"unreached":"#);
    let fails = failure(&oracle.to_string());
    for (detects, arguments, end) in [
        (fails.clone() + "[]", &[][..], "VOID  only what passes on this engine is kept\n  correct the site, or "),
        (fails.clone() + r#"["evict#9@RingCloned"]"#, &["--mutant", "two"], "not even two comes to evict#9@RingCloned"),
        (r#""list":[],"unreached":[]"#.to_string(), &["--mutant", "two"], "it passes on two"),
        (failure("\"panic\"") + "[]", &["--mutant", "two"], "on two it fails by panic"),
        (fails + "[]", &["--mutant", "two"], "only the mutant comes to evict#9@RingCloned\nPASS  kept as "),
    ] {
        let checkout = Checkout::new();
        checkout.builds(&detects);
        std::fs::write(checkout.path("late.json"), &text).unwrap();
        let mut segsim = checkout.segsim(&[&["corpus", "add", "late.json"], arguments].concat());
        let output = segsim.env("ROCKSDB_LIB_DIR", "none").output().unwrap();
        assert!(stdout(&output).contains(end), "{end}: {}{}", stdout(&output), checkout.words());
        let is_kept = end.contains("PASS");
        assert_eq!(code(&output), if is_kept { 0 } else { 2 }, "{end}");
        assert_eq!(checkout.path("scenarios/corpus/late.json").exists(), is_kept, "{end}");
    }
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

/// Waits until a file is there.
fn wait_for(path: &Path) {
    while !path.exists() {
        std::thread::yield_now();
    }
}

/// Waits until the process is gone whose number is in a file, or waits to be reaped.
fn wait_for_end(number: &Path) {
    let process = Path::new("/proc").join(std::fs::read_to_string(number).unwrap().trim());
    while std::fs::read_to_string(process.join("stat")).is_ok_and(|state| !state.contains(") Z ")) {
        std::thread::yield_now();
    }
}

#[test]
fn who_is_told_once_more_ends_at_once_and_a_build_that_heeds_no_signal_with_it() {
    let checkout = Checkout::new();
    checkout.script("bin/cargo", "trap '' TERM\nsleep 600 &\necho $! > $BUILD\nmv $BUILD $BUILD.begun\nwait");
    let mut segsim = checkout.segsim(&["mutants"]);
    let mut segsim = segsim.env("BUILD", checkout.path("build")).env("ROCKSDB_LIB_DIR", "none").spawn().unwrap();
    let begun = checkout.path("build.begun");
    wait_for(&begun);
    // those that come too soon are the first one
    while segsim.try_wait().unwrap().is_none() {
        terminate(segsim.id());
        std::thread::yield_now();
    }
    assert_eq!(segsim.wait().unwrap().code(), Some(130), "{}", checkout.words());
    wait_for_end(&begun);
}

#[test]
fn who_is_told_to_stop_ends_a_build_and_all_that_it_has_started() {
    let checkout = Checkout::new();
    checkout.script("bin/cargo", "sleep 600 &\necho $! > $BUILD\nmv $BUILD $BUILD.begun\nwait");
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
        let ran =
            Command::new("git").current_dir(checkout.root.path()).args(identity).args(arguments).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    git(&["init", "--quiet"]);
    git(&["add", "engine"]);
    git(&["commit", "--quiet", "--message", "one"]);
    git(&["commit", "--quiet", "--message", "two", "--allow-empty"]);
    let plan = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/evicts-active.json");
    std::fs::create_dir(checkout.path("temporary")).unwrap();
    for arguments in [&["mutants"][..], &["bisect", "HEAD~1..HEAD", plan]] {
        let begun = checkout.path("build.begun");
        let mut segsim = checkout.segsim(arguments);
        segsim.env("BUILD", checkout.path("build")).env("TMPDIR", checkout.path("temporary"));
        let mut segsim = segsim.env("ROCKSDB_LIB_DIR", "none").spawn().unwrap();
        wait_for(&begun);
        terminate(segsim.id());
        assert_eq!(segsim.wait().unwrap().code(), Some(2), "{}", checkout.words());
        wait_for_end(&begun);
        assert_eq!(std::fs::read_dir(checkout.path("temporary")).unwrap().count(), 0);
        std::fs::remove_file(begun).unwrap();
    }
}

#[test]
fn a_bisection_tells_of_each_commit_as_it_is_judged() {
    let checkout = Checkout::new();
    let passes = r#""list":[],"unreached":[]"#;
    let failing = |oracle| format!(r#""list":[{{"seeds":1,"seed":1,"oracle":"{oracle}","race":""}}],"unreached":[]"#);
    let (fails, other) = (failing("active-is-never-evicted"), failing("no-orphan"));
    checkout.builds_each(&[("one", passes), ("two", &fails), ("three", &fails), ("four", &other)]);
    checkout.git(&["init", "--quiet"]);
    for line in ["one", "two", "three", "four"] {
        std::fs::write(checkout.path("engine/src/lib.rs"), format!("{line}\n")).unwrap();
        checkout.git(&["add", "engine"]);
        checkout.git(&["commit", "--quiet", "--message", line]);
    }
    let plan = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/evicts-active.json");
    let mut segsim = checkout.segsim(&["bisect", "HEAD~3..HEAD~1", plan]);
    let output = segsim.env("ROCKSDB_LIB_DIR", "none").output().unwrap();
    let words = checkout.words();
    assert!(
        code(&output) == 0 && stdout(&output).ends_with(" two\nPASS  it came with this one\n"),
        "{}{words}",
        stdout(&output)
    );
    let judged: Vec<&str> = words.lines().filter_map(|line| Some(line.split_once(": ")?.1)).collect();
    let fails = ["building", "fails by active-is-never-evicted"];
    let passes = ["building", "passes"];
    assert_eq!(judged, [fails, passes, fails].concat(), "{words}");
    let output = checkout.segsim(&["bisect", "HEAD~3..", plan]).env("ROCKSDB_LIB_DIR", "none").output().unwrap();
    let words = checkout.words();
    assert!(code(&output) == 3 && words.contains(": fails by another oracle, no-orphan"), "{words}");
    let output = checkout.segsim(&["bisect", "HEAD..HEAD~2", plan]).output().unwrap();
    let reversed =
        "segsim: cannot bisect HEAD..HEAD~2: HEAD~2 comes before HEAD: the older one goes first, GOOD..BAD\n";
    assert_eq!((code(&output), checkout.words().as_str()), (3, reversed), "at once");
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
