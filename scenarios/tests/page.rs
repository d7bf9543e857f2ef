//! The page of a run in a real browser: it renders, filters by segment and by task, obeys its keys, and complains of nothing.
//!
//! Runs headless Chromium, which `ci/chromium` installs where it can; where there is none the test says so and checks nothing.
#![allow(clippy::disallowed_methods, reason = "runs a browser on files")]

use segsim::command::explain::explain;
use segsim::explain::{Explained, page};
use segsim::scenario::Scenario;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// Seconds after which a browser that hangs is ended.
const BROWSER_SECONDS_MAX: &str = "120";

/// What the driver does with a page, and tells in JSON.
const DRIVER: &str = include_str!("page-driver.js");

fn failing() -> Explained {
    serde_json::from_str(include_str!("failing-explained.json")).unwrap()
}

/// The browser, if there is one.
fn browser() -> Option<String> {
    let asked = std::env::var("CHROMIUM").ok();
    let names = asked.into_iter().chain(["chromium", "chromium-browser", "google-chrome"].map(str::to_string));
    let found =
        { names }.find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()));
    if found.is_none() {
        // not by a macro: what those print is captured
        let _ = writeln!(
            std::io::stderr(),
            "no chromium here: the page was NOT tested in a browser (ci/chromium installs it)"
        );
    }
    found
}

/// Opens a page with this behind its #, drives it, and returns what the driver told. Fails if the console has a word.
fn drive(browser: &str, directory: &Path, explained: &Explained, hash: &str) -> Value {
    let path = directory.join("page.html");
    let html = page::html(explained);
    assert_eq!(html.matches("</body>").count(), 1);
    // before the page's own script, so that it hears of its errors; what it does comes after
    let listen = "<script>window.complaints = []; onerror = (what) => complaints.push(String(what));</script></head>";
    let html = html.replacen("</head>", listen, 1).replace("</body>", &format!("<script>{DRIVER}</script></body>"));
    std::fs::write(&path, html).unwrap();
    let output = Command::new("timeout")
        .args([BROWSER_SECONDS_MAX, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--v=0", "--window-size=1400,900", "--virtual-time-budget=5000"])
        .arg(format!("--user-data-dir={}", directory.join("profile").display()))
        .arg("--dump-dom")
        .arg(format!("file://{}#{hash}", path.display()))
        .output()
        .unwrap();
    let (dom, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let console: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert_eq!(console, Vec::<&str>::new());
    let told = dom.split_once("<pre id=\"told\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (told, _) = told.unwrap_or_else(|| panic!("the page was not driven: {dom}\n{log}"));
    let told: Value = serde_json::from_str(told).unwrap();
    assert_eq!((&told["ready"], &told["complaints"]), (&Value::from("yes"), &Value::from(Vec::<String>::new())));
    told
}

#[test]
fn the_page_of_a_failure_shows_its_race_on_the_first_screen() {
    let Some(browser) = browser() else { return };
    let directory = tempfile::tempdir().unwrap();
    let explained = failing();
    let told = drive(&browser, directory.path(), &explained, "");
    let first = &told["first"];
    assert_eq!((&first["verdict"], &first["sentence"]), (&"FAIL".into(), &explained.sentence.as_str().into()));
    assert_eq!(first["command"], explained.command.as_str());
    // every row of the race, the damage among them, and the twin, without a scroll
    let race = explained.run.moments.iter().filter(|moment| moment.is_race).count();
    assert_eq!((first["race_in_sight"].as_u64(), first["found_in_sight"].as_u64()), (Some(race as u64), Some(1)));
    assert_eq!((&first["twin_in_sight"], &first["parts"]), (&true.into(), &2.into()));
    assert!(first["inspector"].as_str().unwrap().contains("segment 2 is resurrected"), "{first}");
    let brief = explained.run.moments.iter().filter(|moment| moment.is_brief).count();
    assert_eq!(first["shown"], brief.to_string());
    assert_eq!(first["segments"], explained.run.segments.len());
    assert_eq!(first["saves"], explained.run.saves.len());
    assert_eq!(first["outside"], 0, "it asked for something else");
}

#[test]
fn a_page_filters_by_segment_and_by_task_and_its_address_keeps_that() {
    let Some(browser) = browser() else { return };
    let directory = tempfile::tempdir().unwrap();
    let explained = failing();
    let count = |is: &dyn Fn(&segsim::explain::lanes::Moment) -> bool| {
        explained.run.moments.iter().filter(|moment| is(moment)).count().to_string()
    };
    let of_segment = count(&|moment| moment.segments.contains(&5));
    let evictor = explained.run.lanes.iter().position(|lane| lane.label == "evictor").unwrap();
    let of_task = count(&|moment| moment.lane == evictor);
    let told = drive(&browser, directory.path(), &explained, "");
    assert_eq!(told["segment_clicked"]["shown"], of_segment.as_str());
    assert_eq!(told["segment_clicked"]["rows"], of_segment.as_str());
    assert_eq!(told["segment_clicked"]["hash"], "#segment=5");
    assert_eq!(told["task_clicked"]["shown"], of_task.as_str());
    assert_eq!(told["task_clicked"]["hash"], "#task=evictor");
    let both = count(&|moment| moment.lane == evictor && moment.segments.contains(&2));
    let told = drive(&browser, directory.path(), &explained, "task=evictor&segment=2&theme=dark");
    assert_eq!((&told["first"]["shown"], &told["first"]["theme"]), (&both.as_str().into(), &"dark".into()));
    // what is no task, no segment and no moment is no filter
    let told = drive(&browser, directory.path(), &explained, "task=%3Cb%3E&segment=99&at=100000&view=all");
    assert_eq!(told["first"]["shown"], explained.run.moments.len().to_string());
}

#[test]
fn a_page_obeys_its_keys() {
    let Some(browser) = browser() else { return };
    let directory = tempfile::tempdir().unwrap();
    let explained = failing();
    let keys = &drive(&browser, directory.path(), &explained, "")["keys"];
    let chosen = |name: &str| keys[name].as_str().unwrap().parse::<usize>().unwrap();
    let moments = &explained.run.moments;
    let first = moments.iter().position(|moment| !moment.found.is_empty()).unwrap();
    assert_eq!(chosen("start"), first);
    assert!(chosen("k") < first && moments[chosen("k")].is_brief);
    assert_eq!(chosen("j"), first);
    assert!(chosen("p") < first && moments[chosen("p")].is_race);
    assert_eq!((chosen("n"), keys["all"].as_str()), (first, Some(moments.len().to_string().as_str())));
    assert_eq!((&keys["help"], &keys["help_closed"], &keys["twin_off"]), (&true.into(), &true.into(), &true.into()));
    assert_eq!(keys["dark"], "dark");
    assert!(keys["task"].as_str().unwrap().contains("task=evictor"), "{keys}");
    assert_eq!(keys["escaped"], explained.run.moments.iter().filter(|moment| moment.is_brief).count().to_string());
}

#[test]
fn a_run_that_passes_and_a_long_one_of_many_tasks_render() {
    let Some(browser) = browser() else { return };
    let directory = tempfile::tempdir().unwrap();
    for (name, seed) in [("concurrent-pushes", 1), ("power-loss-anywhere", 5)] {
        let plan = Scenario::named(name).unwrap().plan(seed, None);
        let explained = explain(&plan, None, format!("segsim replay {name} {seed}")).unwrap();
        let told = drive(&browser, directory.path(), &explained, "view=all");
        assert_eq!((&told["first"]["verdict"], &told["first"]["twin_in_sight"]), (&"PASS".into(), &false.into()));
        assert_eq!(told["first"]["shown"], explained.run.moments.len().to_string());
        assert_eq!(told["first"]["lanes"], explained.run.lanes.len());
    }
}
