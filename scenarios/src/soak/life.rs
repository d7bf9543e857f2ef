//! A child's life as its parent sees it: born, heard, killed or cut off at a drawn moment, heard to the end.
#![allow(clippy::disallowed_methods, reason = "real processes, and a thread that reads from one")]

use crate::error::{Error, Result};
use crate::soak::contents::Draws;
use crate::soak::machine::Machine;
use crate::soak::model::Model;
use crate::soak::under_way::{Death, Hits};
use crate::soak::wire::Told;
use rustix::process::Signal;
use segment_sim::verdict::Verdict;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Of this many kills, those that hit the open of the catalog, and those that hit the recovery; the rest hit the work.
const MOMENTS: u64 = 10;
const OPENINGS: u64 = 1;
const RECOVERIES: u64 = 4;

/// Those come within so many microseconds of the begin of what they hit.
const OPENING_MICROS: u64 = 30_000;
const RECOVERY_MICROS: u64 = 4_000;

/// The others from so many to so many microseconds after the begin of the recovery.
const WORK_MICROS_MIN: u64 = 5_000;
const WORK_MICROS_MAX: u64 = 300_000;

/// The power goes in the work when fewer writes than this are not flushed; how many is drawn.
const UNFLUSHED_MAX: u64 = 12;

/// A child that has not begun what it is killed in by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a child is ended by: the parent's kill, or somebody else's interruption of both.
const ENDS: [Signal; 3] = [Signal::KILL, Signal::TERM, Signal::INT];

/// When a life ends.
#[derive(Clone, Debug)]
pub struct Moment {
    /// After this was told.
    after: Told,
    delay: Duration,
}

impl Moment {
    /// The next one.
    pub fn draw(draws: &mut Draws) -> Moment {
        let (after, micros) = match draws.below(MOMENTS) {
            moment if moment < OPENINGS => (Told::Opening, draws.below(OPENING_MICROS)),
            moment if moment < OPENINGS + RECOVERIES => (Told::Recovering, draws.below(RECOVERY_MICROS)),
            _ => (Told::Recovering, WORK_MICROS_MIN + draws.below(WORK_MICROS_MAX - WORK_MICROS_MIN)),
        };
        Moment { after, delay: Duration::from_micros(micros) }
    }

    fn is_in_work(&self) -> bool {
        self.after == Told::Recovering && self.delay >= Duration::from_micros(WORK_MICROS_MIN)
    }
}

/// Where children live.
#[derive(Debug)]
pub struct Home<'a> {
    /// The data directory.
    pub data: &'a Path,
    /// What a child says on stderr.
    pub words: &'a Path,
    /// The seed of the soak.
    pub seed: u64,
}

impl Home<'_> {
    /// One life. It ends with the power of `machine`, if there is one, and with a kill otherwise. What the child tells goes
    /// to `model`, and its lines to `lines`.
    ///
    /// # Errors
    /// No process can be started, or the machine cannot.
    pub fn live(
        &self,
        life: u32,
        moment: &Moment,
        mut machine: Option<&mut Machine>,
        model: &mut Model,
        lines: &mut Vec<String>,
    ) -> Result<(Death, Hits)> {
        let program = std::env::current_exe().map_err(Error::io("find", "this program"))?;
        let words = File::create(self.words).map_err(Error::io("write", self.words))?;
        let child = Command::new(&program)
            .arg("soak-child")
            .arg("--dir")
            .arg(self.data)
            .args(["--seed", &self.seed.to_string(), "--life", &life.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(words)
            .process_group(0) // a Ctrl-C on the terminal is for the parent alone
            .spawn();
        let mut child = child.map_err(Error::io("start", &program))?;
        let (told, heard) = mpsc::channel();
        let pipe = child.stdout.take();
        let reader = std::thread::spawn(move || {
            for line in pipe.into_iter().flat_map(|pipe| BufReader::new(pipe).split(b'\n')) {
                let Ok(line) = line else { return };
                if told.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        let end = if machine.is_some() { "to lose its power" } else { "to be killed" };
        lines.push(format!("life {life}: {end} {} us after {}", moment.delay.as_micros(), moment.after));
        let mut all_told = Vec::new();
        let mut hear = |line: String| {
            let told = line.parse::<Told>();
            let is_awaited = told.as_ref().is_ok_and(|told| *told == moment.after);
            match told {
                Ok(told) => all_told.push(told),
                Err(_) => model.violated(format!("a child told {line:?}, which is no line of its own")),
            }
            lines.push(line);
            is_awaited
        };
        let mut draws = Draws::new(self.seed, "written back", &[life.into()]);
        let mut is_stuck = false;
        loop {
            match heard.recv_timeout(PATIENCE) {
                Ok(line) => {
                    if hear(line) {
                        match &machine {
                            Some(machine) => machine.wait(moment.delay, &mut draws),
                            None => std::thread::sleep(moment.delay),
                        }
                        break;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    is_stuck = true;
                    break;
                }
            }
        }
        // one that has ended by itself is not killed any more, and its status tells
        let writes = if moment.is_in_work() { draws.below(UNFLUSHED_MAX) } else { 0 };
        // whatever it tells after the cut it was sure of before: no flush is answered until it has been killed
        machine.as_mut().map_or(Ok(()), |machine| machine.cut(writes))?;
        child.kill().map_err(Error::io("kill", &program))?;
        machine.as_mut().map_or(Ok(()), |machine| machine.release())?;
        let status = child.wait().map_err(Error::io("wait for", &program))?;
        for line in heard {
            hear(line);
        }
        // it only reads, and what it read was heard
        let _ = reader.join();
        if is_stuck {
            model.violated(format!("a child told nothing for {} s", PATIENCE.as_secs()));
        }
        let death = match machine {
            None => Death::Killed,
            Some(machine) => {
                let has_given_up = machine.has_given_up();
                match machine.restart(self.seed, life.into())?.refused {
                    0 => Death::PowerLost,
                    _ if has_given_up => Death::FileSystemFailed,
                    _ => Death::DeviceFailed,
                }
            }
        };
        let has_failed = matches!(death, Death::DeviceFailed | Death::FileSystemFailed);
        // on a device that fails an open may end so, in one line
        let is_told = has_failed && matches!(all_told.last(), Some(Told::NotOpened(_)));
        let has_ended_so = is_told && status.code() == Some(Verdict::Error.exit_code().into());
        // who ends everything that is called segsim, or this machine, ends the child, too: it dies as of a kill
        if !has_ended_so && !ENDS.iter().any(|end| status.signal() == Some(end.as_raw())) {
            model.violated(format!("a child ended by itself: {status}"));
        }
        let said = std::fs::read(self.words).map_err(Error::io("read", self.words))?;
        if let Some(last) = String::from_utf8_lossy(&said).lines().nth(usize::from(is_told)) {
            model.violated(format!("a child's last words were: {last}"));
        }
        Ok((death, model.lived(all_told, death)))
    }
}
