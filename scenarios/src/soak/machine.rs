//! A machine whose power can be cut, as the parent of a soak has it: a server of a device, and the file system on it.
//!
//! It is up between two losses. A loss is three steps: the cut, after which nothing that a child waits for happens; the
//! release, once the child is killed; the restart, when the child is gone, with what the loss has left.
#![allow(clippy::disallowed_methods, reason = "a real process")]

use crate::error::{Error, Result};
use crate::soak::contents::Draws;
use crate::soak::device::Loss;
use crate::soak::fuse::DEVICE;
use crate::soak::mount::{self, Places};
use crate::soak::serve::{Order, Refusal};
use rustix::fs::{Advice, FallocateFlags};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// While time passes, some file is written back again and again, after a pause of up to so many microseconds.
const WRITE_BACK_MICROS: u64 = 6_000;

/// What others have on the disk, a file of theirs.
const OTHERS: &str = "others";

/// A file that can be made as long as the file system takes writes.
const PROBE: &str = "probe";

/// In one life of so many others fill the disk up, but for fewer bytes than a ring takes.
const CROWDED_IN: u64 = 2;
const LEFT_BYTES_MAX: u64 = 1 << 20;

/// In one life of so many the device fails, after fewer flushes, or writes, than this.
const FAILING_IN: u64 = 3;
/// Of so many refusals one is for good and one of a flush; the rest are of a write, and some of these ext4 survives.
const REFUSALS: u64 = 6;
const DONE_FLUSHES_MAX: u64 = 40;
const DONE_WRITES_MAX: u64 = 120;

/// What a server says when the device is there.
const READY: &str = "ready";

/// What the server is called in errors.
const SERVER: &str = "segsim soak-device";

/// A machine that is up. Dropped, it takes its mounts down.
#[derive(Debug)]
pub struct Machine {
    places: Places,
    server: Child,
    /// Closed, they end the server.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    lost: Loss,
}

impl Machine {
    /// Starts one in a soak's directory, in which nothing is mounted.
    ///
    /// # Errors
    /// What refused.
    pub fn start(directory: &Path) -> Result<Machine> {
        let places = Places::new(directory);
        for place in [&places.served, &places.mounted] {
            std::fs::create_dir_all(place).map_err(Error::io("make", place))?;
        }
        mount::format(&places)?;
        let program = std::env::current_exe().map_err(Error::io("find", "this program"))?;
        let server = Command::new(&program)
            .args(["soak-device", "--dir"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0) // a Ctrl-C on the terminal is for the parent alone
            .spawn();
        let mut server = server.map_err(Error::io("start", &program))?;
        let orders = server.stdin.take();
        let answers = BufReader::new(server.stdout.take().expect("stdout is a pipe"));
        let mut machine = Machine { places, server, orders, answers, lost: Loss::default() };
        let answer = machine.answer()?;
        if answer != READY {
            return Err(machine.broken(&answer));
        }
        machine.mount()?;
        Ok(machine)
    }

    /// Where the engine's data directory is.
    pub fn data(&self) -> PathBuf {
        self.places.mounted.join("data")
    }

    /// What was done to writes so far.
    pub fn lost(&self) -> Loss {
        self.lost
    }

    /// Has others fill the disk, or take away what they had there, as the draws have it: how many bytes they leave to the
    /// engine's segments, if they do.
    ///
    /// # Errors
    /// What the system says.
    pub fn crowd(&self, draws: &mut Draws) -> Result<Option<u64>> {
        let path = self.places.mounted.join(OTHERS);
        let others = File::create(&path).map_err(Error::io("write", &path))?;
        let leave = draws.below(LEFT_BYTES_MAX);
        if draws.below(CROWDED_IN) > 0 {
            return Ok(None);
        }
        let free = segment_engine::local::free_bytes(&self.places.mounted).map_err(Error::io("stat", &path))?;
        let free = free.max(0).cast_unsigned();
        if let Some(taken) = free.checked_sub(leave).filter(|taken| *taken > 0) {
            let claimed = rustix::fs::fallocate(&others, FallocateFlags::empty(), 0, taken);
            claimed.map_err(|errno| Error::io("write", &path)(errno.into()))?;
        }
        Ok(Some(leave.min(free)))
    }

    /// Has the device refuse something in a while, until it is restarted, as the draws have it: what, if it is to.
    ///
    /// # Errors
    /// A server that is gone.
    pub fn fail(&mut self, draws: &mut Draws) -> Result<Option<Refusal>> {
        let what = match draws.below(REFUSALS) {
            0 => Refusal::All,
            1 => Refusal::Flush,
            _ => Refusal::Write,
        };
        let after = draws.below(if what == Refusal::Flush { DONE_FLUSHES_MAX } else { DONE_WRITES_MAX });
        if draws.below(FAILING_IN) > 0 {
            return Ok(None);
        }
        self.order(Order::Refuse { what, after })?;
        Ok(Some(what))
    }

    /// Lets time pass. Meanwhile the kernel writes files back, one now and then and as the draws have it, with no flush: it
    /// may do that at any moment, and left alone it does not in a life that is short.
    pub fn wait(&self, delay: Duration, draws: &mut Draws) {
        let end = Instant::now() + delay;
        loop {
            let pause = Duration::from_micros(draws.below(WRITE_BACK_MICROS));
            std::thread::sleep(pause.min(end.saturating_duration_since(Instant::now())));
            if Instant::now() >= end {
                return;
            }
            let files = files(&self.data());
            if let Some(file) = usize::try_from(draws.below(files.len() as u64)).ok().and_then(|at| files.get(at)) {
                // it may be gone, and then nothing is to be written
                let _ = File::open(file).map(|file| rustix::fs::fadvise(file, 0, None, Advice::DontNeed));
            }
        }
    }

    /// Cuts the power, at once or as soon as so many writes are not flushed: whoever waits for the device now, or from now
    /// on, waits until the release.
    ///
    /// # Errors
    /// A server that is gone.
    pub fn cut(&mut self, writes: u64) -> Result<()> {
        self.order(Order::Cut { writes }).map(drop)
    }

    /// Lets go of those who wait: they were told to die.
    ///
    /// # Errors
    /// A server that is gone.
    pub fn release(&mut self) -> Result<()> {
        self.order(Order::Release).map(drop)
    }

    /// Whether the file system has given up: its journal could not be written. Asked when nobody works on it any more.
    pub fn has_given_up(&self) -> bool {
        // what is written here, after a cut, is forgotten
        File::create(self.places.mounted.join(PROBE)).is_err()
    }

    /// Starts again with what the loss has left. Everyone who had a file open is gone. Returns what became of the last life's
    /// writes.
    ///
    /// # Errors
    /// What refused; a file system that cannot be mounted, above all.
    pub fn restart(&mut self, seed: u64, number: u64) -> Result<Loss> {
        mount::unmount(&self.places.mounted)?;
        let lost = self.order(Order::Restore { seed, number })?;
        self.lost += lost;
        self.mount()?;
        Ok(lost)
    }

    /// Makes everything durable that was written by anyone.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> Result<()> {
        let mounted = File::open(&self.places.mounted).map_err(Error::io("open", &self.places.mounted))?;
        rustix::fs::syncfs(mounted).map_err(|errno| Error::io("sync", &self.places.mounted)(errno.into()))
    }

    /// Takes everything down; what was written is in the image then.
    ///
    /// # Errors
    /// What the server says.
    pub fn stop(mut self) -> Result<()> {
        drop(self.orders.take());
        let status = self.server.wait().map_err(Error::io("wait for", SERVER))?;
        if status.success() { Ok(()) } else { Err(self.broken("")) }
    }

    fn mount(&self) -> Result<()> {
        mount::mount(&self.places.served.join(DEVICE), &self.places.mounted)
    }

    fn order(&mut self, order: Order) -> Result<Loss> {
        // a server that is gone answers nothing, and that is seen below
        let _ = self.orders.as_mut().map(|orders| writeln!(orders, "{order}"));
        let answer = self.answer()?;
        let numbers = answer.strip_prefix("done ").unwrap_or_default().split(' ').map(str::parse);
        match numbers.collect::<std::result::Result<Vec<u64>, _>>().as_deref() {
            Ok(&[kept, dropped, torn, refused]) => Ok(Loss { kept, dropped, torn, refused }),
            _ => Err(self.broken(&answer)),
        }
    }

    /// The server's next line; empty where it is gone.
    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(Error::io("hear", SERVER))?;
        Ok(line.trim_end().to_string())
    }

    /// It has said `answer`, which it must not; or nothing, and is gone.
    fn broken(&mut self, answer: &str) -> Error {
        drop(self.orders.take());
        let mut said = String::new();
        let _ = self.server.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
        match self.server.wait() {
            Ok(status) => {
                let last_words = [answer, said.lines().last().unwrap_or_default()].join(" ").trim().to_string();
                Error::Process { command: SERVER.to_string(), status, last_words }
            }
            Err(error) => Error::io("wait for", SERVER)(error),
        }
    }
}

/// The files below a directory, in a fixed order; without those that go meanwhile.
fn files(directory: &Path) -> Vec<PathBuf> {
    let (mut files, mut directories) = (Vec::new(), vec![directory.to_path_buf()]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory { &mut directories } else { &mut files }.push(entry.path());
        }
    }
    files.sort();
    files
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.server.wait();
        // a server that was killed has left them; nobody is left to tell of an error
        let _ = mount::unmount(&self.places.mounted);
        let _ = mount::unmount(&self.places.served);
    }
}
