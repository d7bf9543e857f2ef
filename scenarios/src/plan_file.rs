//! Plans on disk: JSON, one run each.
//!
//! ```json
//! {
//!   "format": 1,
//!   "engine": "0123456789abcdef",
//!   "expected": { "verdict": "FAIL", "oracle": "save-chain", "sentence": "..." },
//!   "mutant": "unserialized-ring",
//!   "plan": { "scenario": "rotation-vs-eviction", "schedule": { ... }, "workload": { ... } }
//! }
//! ```
//!
//! `engine` is the hash of the engine's sources that the plan was made with; another one is told, and no error. `mutant`
//! may be absent. An injection reads `{ "site": "evict#1@RingCloned", "action": { "hold": { "passed":
//! "rotate#1/rotation#1@RingSaved" } } }`; [`segment_sim::plan`] has the rest. Whatever a file holds, reading it ends in a
//! plan that can be run or in one line: unknown fields are refused by name, and so are numbers that no run could bear.
#![allow(clippy::disallowed_methods, reason = "plans are files")]

use crate::atomic_file;
use crate::command::STOP;
use crate::error::{Error, Result};
use crate::output::printable;
use crate::scenario::Scenario;
use crate::workload::Workload;
use segment_sim::plan::{Action, Crash, CrashKind, Injection, Moment, Plan, Schedule};
use segment_sim::record::Record;
use segment_sim::site::SiteName;
use segment_sim::verdict::{Verdict, Violation};
use segment_sim::vocabulary::CRASH_POINTS;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

/// The version of the form.
const FORMAT: u32 = 1;

/// A plan is a few kilobytes; what is larger is something else.
const BYTES_MAX: u64 = 1 << 20;

/// The most injections, and the most lives of the process.
const INJECTIONS_MAX: usize = 4096;
const CRASHES_MAX: usize = 16;

/// What some editors put in front of a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How often who waits for others looks whether it is to stop.
const STOP_POLL: Duration = Duration::from_millis(50);

/// The last error number that a system call of Linux can return.
const ERRNO_MAX: i32 = 4095;

/// ENOENT and EEXIST: answers about the directory, and no failures of the disk.
const ERRNOS_OF_NAMES: [i32; 2] = [2, 17];

/// A plan, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with format, engine, expected and plan")]
pub struct PlanFile {
    /// The version of the form: 1.
    pub format: u32,
    /// The hash of the engine's sources that it was made with.
    pub engine: String,
    /// What came of it then.
    pub expected: Expected,
    /// The mutant that it fails on, if it is kept for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
    /// The plan.
    pub plan: Plan<Workload>,
}

/// What came of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The verdict.
    pub verdict: Verdict,
    /// The oracle that found something first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oracle: Option<String>,
    /// What it said, or what shrinking made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
    /// Sites that only the engine has on which the plan failed: elsewhere it does without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_there: Vec<SiteName>,
}

impl Expected {
    /// Nothing fails.
    pub fn pass() -> Expected {
        Expected { verdict: Verdict::Pass, oracle: None, sentence: None, only_there: Vec::new() }
    }

    /// A failure.
    pub fn fail(oracle: &str, sentence: &str) -> Expected {
        let (oracle, sentence) = (Some(oracle.to_string()), Some(sentence.to_string()));
        Expected { verdict: Verdict::Fail, oracle, sentence, only_there: Vec::new() }
    }

    /// What came of a run.
    pub fn of(record: &Record) -> Expected {
        match record.violations.first() {
            None => Expected::pass(),
            Some(Violation { oracle, sentence, .. }) => Expected::fail(oracle, sentence),
        }
    }
}

impl PlanFile {
    /// A plan of this engine.
    pub fn new(plan: Plan<Workload>, expected: Expected) -> PlanFile {
        PlanFile { format: FORMAT, engine: crate::command::ENGINE.to_string(), expected, mutant: None, plan }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Plan`], which says what is wrong with it, and [`Error::Interrupted`] of a pipe.
    pub fn read(path: &Path) -> Result<PlanFile> {
        let name = path.to_string_lossy();
        if Scenario::named(&name).is_some() && !path.exists() {
            return Err(Error::SeedMissing { scenario: name.into_owned() });
        }
        let is_pipe = std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir());
        let bytes = if is_pipe { bytes_of_pipe(path)? } else { bytes(path) };
        let bytes = bytes.map_err(Error::io("read", path))?;
        PlanFile::parse(&bytes).map_err(|fault| Error::Plan { path: path.to_path_buf(), fault })
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// What is wrong with them, in one line.
    pub fn parse(bytes: &[u8]) -> std::result::Result<PlanFile, String> {
        if bytes.len() as u64 > BYTES_MAX {
            return Err(format!("it is larger than {BYTES_MAX} bytes"));
        }
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return Err("it is empty".to_string());
        }
        check_format(bytes)?;
        // what it says may hold what the file holds
        let file: PlanFile = serde_json::from_slice(bytes).map_err(|error| printable(&fault(bytes, &error)))?;
        let Some(scenario) = Scenario::named(&file.plan.scenario) else {
            return Err(format!("no scenario is called {:?}", file.plan.scenario));
        };
        let Expected { oracle, sentence, .. } = &file.expected;
        let mut texts = std::iter::once(&file.engine).chain(&file.mutant).chain(oracle).chain(sentence);
        if let Some(text) = texts.find(|text| text.chars().any(char::is_control)) {
            return Err(format!("it has characters that cannot be printed: {}", printable(text)));
        }
        check(&file.plan.schedule)?;
        file.plan.workload.check(scenario.subject, !file.plan.schedule.crashes.is_empty())?;
        Ok(file)
    }

    /// Writes it to a file, as a whole or not at all, or sends it where a device is, or to stdout.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        atomic_file::write_or_send(path, self.text().as_bytes()).map_err(Error::io("write", path))
    }

    /// It as text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("a plan is plain data") + "\n"
    }
}

/// The bytes of a file; of one that is too large for a plan, some.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same of a pipe: its open waits for whoever is to write, as its reads do, and no signal ends that.
fn bytes_of_pipe(path: &Path) -> Result<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    let there = path.to_path_buf();
    // after an interruption nobody listens, and the process ends
    std::thread::spawn(move || sender.send(bytes(&there)));
    loop {
        match receiver.recv_timeout(STOP_POLL) {
            Ok(bytes) => return Ok(bytes),
            Err(_) if STOP.load(Ordering::Relaxed) => return Err(Error::Interrupted),
            Err(_) => {}
        }
    }
}

/// Sees that it is of the form that is read here: one of another has other fields, and each of them would be a fault.
fn check_format(bytes: &[u8]) -> std::result::Result<(), String> {
    #[derive(Deserialize)]
    struct Head {
        format: u64,
        sweeps: Option<IgnoredAny>,
    }
    match serde_json::from_slice(bytes) {
        Ok(Head { sweeps: Some(_), .. }) => {
            Err("it is the report of a sweep, which names the plan of each failure: give one of these".to_string())
        }
        Ok(Head { format, .. }) if format != u64::from(FORMAT) => {
            Err(format!("it has format {format}; this segsim reads format {FORMAT}"))
        }
        // what else is wrong with it is told of all of it
        _ => Ok(()),
    }
}

/// What is wrong with a text that is no plan. Of one that is JSON the value tells it: a list with a number too much has no
/// "trailing characters".
fn fault(bytes: &[u8], error: &serde_json::Error) -> String {
    let value = serde_json::from_slice::<Value>(bytes).map(serde_json::from_value::<PlanFile>);
    match value {
        Ok(Err(words)) if error.is_syntax() => format!("{words} at line {} column {}", error.line(), error.column()),
        _ => error.to_string(),
    }
}

/// Whether a run can bear it.
fn check(schedule: &Schedule) -> std::result::Result<(), String> {
    let Schedule { knobs, injections, crashes, .. } = schedule;
    for (name, ratio) in knobs.named() {
        if ratio.hits > ratio.of {
            return Err(format!("the knob {name} takes {} of {}", ratio.hits, ratio.of));
        }
    }
    if injections.len() > INJECTIONS_MAX {
        return Err(format!("{} injections are more than {INJECTIONS_MAX}", injections.len()));
    }
    if crashes.len() > CRASHES_MAX {
        return Err(format!("{} crashes are more than {CRASHES_MAX}", crashes.len()));
    }
    let numbers = |injection: &Injection| match injection.action {
        Action::Error(errno) if !(1..=ERRNO_MAX).contains(&errno) => Some(errno),
        _ => None,
    };
    if let Some(errno) = injections.iter().find_map(numbers) {
        return Err(format!("{errno} is no error number: they are 1 to {ERRNO_MAX}, 5 for EIO and 28 for ENOSPC"));
    }
    let lies =
        |injection: &&Injection| matches!(injection.action, Action::Error(errno) if ERRNOS_OF_NAMES.contains(&errno));
    if let Some(lie) = injections.iter().find(lies) {
        return Err(format!(
            "the error at {} says that a name is missing (2, ENOENT) or taken (17, EEXIST): the engine would believe that of \
             a directory in which it is not so",
            lie.site
        ));
    }
    let closes = |injection: &&Injection| matches!(injection.action, Action::Crash(CrashKind::Close));
    if let Some(close) = injections.iter().find(closes) {
        return Err(format!(
            "the engine is closed at {}: write that under \"crashes\", \"at\": \"callers-gone\" or \"idle\"",
            close.site
        ));
    }
    let is_uncalled = |crash: &&Crash| matches!(crash.at, Moment::CallersGone | Moment::Idle);
    if crashes.iter().any(|crash| crash.kind == CrashKind::Close && !is_uncalled(&crash)) {
        return Err("a close comes in the middle of something: it is \"at\": \"callers-gone\" or \"idle\"".to_string());
    }
    if crashes.iter().any(|crash| matches!(crash.at, Moment::Site(_, 0))) {
        return Err("a crash comes the 0th time at a site: they count from 1".to_string());
    }
    // one that no task ever comes to would leave the crash for when nothing can go on, and nobody told
    let is_nowhere = |site: &&String| {
        site.split_once('@').is_none_or(|(kind, point)| {
            kind.is_empty() || kind.chars().any(char::is_control) || !CRASH_POINTS.contains(&point)
        })
    };
    let mut kinds = crashes.iter().filter_map(|crash| match &crash.at {
        Moment::Site(site, _) => Some(site),
        _ => None,
    });
    if let Some(site) = kinds.find(is_nowhere) {
        return Err(format!(
            "a crash comes at {site:?}, and no process ends there: write KIND@POINT, such as evictor@DiskUnlink; the points \
             are {}",
            CRASH_POINTS.join(", ")
        ));
    }
    let ends = |injection: &&Injection| matches!(injection.action, Action::Crash(_));
    if let Some(end) = injections.iter().filter(ends).nth(crashes.len()) {
        return Err(format!(
            "more crash injections than entries in \"crashes\": the one at {} can never fire",
            end.site
        ));
    }
    let mut sites: Vec<_> = injections.iter().map(|injection| &injection.site).collect();
    sites.sort();
    match sites.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two injections at {}", pair[0])),
        None => Ok(()),
    }
}
