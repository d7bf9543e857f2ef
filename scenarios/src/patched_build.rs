//! Where patched engines are built: a copy of the workspace under `target/mutants`, with a target directory that no
//! other checkout uses.
//!
//! A binary reports the hash of its engine's sources with every detection; cargo has been seen to serve one checkout the
//! other's build, so a wrong hash is refused.
#![allow(clippy::disallowed_methods, reason = "copies a workspace and runs git and cargo")]

use crate::command::STOP;
use crate::command::detect::Detection;
use crate::error::{Error, Result};
use crate::sources;
use crate::tell;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs::{self, TryLockError};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// What of the workspace is copied.
const COPIED: [&str; 6] = ["Cargo.toml", "Cargo.lock", ".cargo", "engine", "sim", "scenarios"];

/// How often a lock that another run holds is tried.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// How often a command that runs looks whether it is to stop.
const STOP_POLL: Duration = Duration::from_millis(50);

/// How a command is killed: it alone, or its group.
type Kill = fn(Pid, Signal) -> rustix::io::Result<()>;

/// The commands that run.
static RUNNING: Mutex<Vec<(Pid, Kill)>> = Mutex::new(Vec::new());

/// A copy of a workspace and its target directory.
#[derive(Debug)]
pub struct WorkspaceCopy {
    root: PathBuf,
    work: PathBuf,
    target: PathBuf,
    /// The directory of RocksDB's archive, where the caller's cargo has not been told of one.
    archive: Option<PathBuf>,
    /// Held as long as the copy: two runs in one checkout would build each other's patches.
    _lock: fs::File,
}

/// A patched binary.
#[derive(Debug)]
pub struct Program {
    /// What it was built for, in messages.
    pub name: String,
    path: PathBuf,
    target: PathBuf,
    /// The hash of the patched sources, which it must report.
    engine: String,
}

impl WorkspaceCopy {
    /// A copy of the workspace at `root`.
    ///
    /// # Errors
    /// When its directory cannot be made.
    pub fn new(root: &Path) -> Result<WorkspaceCopy> {
        let directory = root.join("target/mutants");
        fs::create_dir_all(directory.join("work")).map_err(Error::io("create", &directory))?;
        let path = directory.join("LOCK");
        let lock = fs::File::create(&path).map_err(Error::io("create", &path))?;
        wait_for(&lock, &path)?;
        let archive = archive(root)?;
        Ok(WorkspaceCopy {
            root: root.to_path_buf(),
            work: directory.join("work"),
            target: directory.join("target"),
            archive,
            _lock: lock,
        })
    }

    /// Applies the patches to a fresh copy, one after the other, and builds it.
    ///
    /// # Errors
    /// A patch that does not apply, or a copy that does not build.
    pub fn build(&self, name: &str, patches: &[&Path]) -> Result<Program> {
        self.copy()?;
        for patch in patches {
            // without a repository of its own git would look for these paths in the one around
            let mut apply = git(&self.work, &["apply", "--whitespace=nowarn"]);
            apply.env("GIT_CEILING_DIRECTORIES", self.work.parent().unwrap_or(&self.work)).arg(absolute(patch)?);
            let applied = output(&mut apply)?;
            if !applied.status.success() {
                let reason = last_line(&applied.stderr);
                return Err(Error::PatchDoesNotApply { path: patch.to_path_buf(), reason });
            }
        }
        let (patched, original) = (self.work.join("engine"), self.root.join("engine"));
        let hash = |engine: &Path| sources::hash(engine).map_err(Error::io("read", engine));
        if hash(&original)? == hash(&patched)? {
            return Err(Error::PatchChangesNothing { id: name.to_string() });
        }
        self.compile(name)
    }

    /// Builds a fresh copy with the engine of another directory.
    ///
    /// # Errors
    /// When it does not build.
    pub fn build_engine(&self, name: &str, engine: &Path) -> Result<Program> {
        self.copy()?;
        mirror(engine, &self.work.join("engine"))?;
        self.compile(name)
    }

    fn copy(&self) -> Result<()> {
        COPIED.into_iter().try_for_each(|part| mirror(&self.root.join(part), &self.work.join(part)))
    }

    fn compile(&self, name: &str) -> Result<Program> {
        let engine = self.work.join("engine");
        let hash = sources::hash(&engine).map_err(Error::io("read", &engine))?;
        tell!("{name}: building");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.work).args(["build", "--release", "--locked", "--quiet", "--bin", "segsim"]);
        // it meets no real disk: without what would, it compiles the engine once instead of four times
        cargo.arg("--no-default-features");
        // its own, whatever the caller's cargo uses
        cargo.env("CARGO_TARGET_DIR", &self.target);
        // it runs for seconds and takes a minute to link as a release: what that gains of speed is not had back. One
        // build differs from the last in a few functions, and makes only the units anew that hold them: small ones
        cargo.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_INCREMENTAL", "1");
        cargo.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256");
        if let Some(archive) = &self.archive {
            cargo.env("ROCKSDB_LIB_DIR", archive).env("ROCKSDB_STATIC", "1");
        }
        let built = output(&mut cargo)?;
        if !built.status.success() {
            let log = self.target.join(format!("{name}.log"));
            fs::create_dir_all(&self.target).map_err(Error::io("create", &self.target))?;
            fs::write(&log, &built.stderr).map_err(Error::io("write", &log))?;
            return Err(Error::MutantDoesNotBuild { id: name.to_string(), log });
        }
        Ok(Program {
            name: name.to_string(),
            path: self.target.join("release/segsim"),
            target: self.target.clone(),
            engine: format!("{hash:016x}"),
        })
    }
}

/// Waits until nobody else has locked the file. A wait inside the kernel would go on after a Ctrl-C: the handler's thread
/// takes that.
fn wait_for(lock: &fs::File, path: &Path) -> Result<()> {
    let mut is_told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(source)) => return Err(Error::io("lock", path)(source)),
            Err(TryLockError::WouldBlock) if STOP.load(Ordering::Relaxed) => return Err(Error::Interrupted),
            Err(TryLockError::WouldBlock) => {}
        }
        if !is_told {
            tell!("waiting for another run of mutants in this checkout");
            is_told = true;
        }
        std::thread::sleep(LOCK_POLL);
    }
}

/// The directory of RocksDB's archive that `ci/rocksdb` keeps, and makes where it is missing: a target directory of its
/// own would build RocksDB once more, for ten minutes. `None` where the environment names one, or there is no such script.
fn archive(root: &Path) -> Result<Option<PathBuf>> {
    let script = root.join("ci/rocksdb");
    if std::env::var_os("ROCKSDB_LIB_DIR").is_some() || !script.is_file() {
        return Ok(None);
    }
    // in this process's group: it may ask for a password on the terminal
    let told = ended(Command::new(&script).stdin(Stdio::null()).stdout(Stdio::piped()), kill_process, |_| {})?;
    if !told.status.success() {
        let command = script.display().to_string();
        return Err(Error::Process { command, status: told.status, last_words: last_line(&told.stdout) });
    }
    Ok(Some(PathBuf::from(last_line(&told.stdout))))
}

impl Program {
    /// Runs `segsim detect` with these arguments.
    ///
    /// # Errors
    /// When it fails, is garbled, or comes from an engine that was built from other sources.
    pub fn detect(&self, arguments: &[&str]) -> Result<Detection> {
        let output = output(Command::new(&self.path).arg("detect").args(arguments))?;
        let command = || format!("{}: detect {}", self.name, arguments.join(" "));
        if !output.status.success() {
            let last_words = last_line(&output.stderr);
            return Err(Error::Process { command: command(), status: output.status, last_words });
        }
        let detection: Detection =
            serde_json::from_slice(&output.stdout).map_err(|source| Error::Garbled { command: command(), source })?;
        if detection.engine != self.engine {
            return Err(Error::WrongEngine {
                id: self.name.clone(),
                found: detection.engine,
                expected: self.engine.clone(),
                target: self.target.clone(),
            });
        }
        Ok(detection)
    }
}

/// The last line that a process said.
pub fn last_line(output: &[u8]) -> String {
    String::from_utf8_lossy(output).lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no output").to_string()
}

/// A git command in a directory.
pub fn git(directory: &Path, arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.current_dir(directory).args(arguments);
    // a git hook sets these, and then every git command means the repository of the hook
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        git.env_remove(variable);
    }
    git
}

/// The top of the repository that a workspace is in, and the workspace's place in it: nothing where it is the top.
///
/// # Errors
/// When git cannot be started. Outside of a repository it is the workspace that is named.
pub fn repository(workspace: &Path) -> Result<(PathBuf, PathBuf)> {
    let told = output(&mut git(workspace, &["rev-parse", "--show-toplevel", "--show-prefix"]))?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let mut lines = told.lines();
    let top = lines.next().map_or_else(|| workspace.to_path_buf(), PathBuf::from);
    Ok((top, lines.next().map(PathBuf::from).unwrap_or_default()))
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started, and [`Error::Interrupted`]: it is told to end then, and what it came to is no fault of it.
pub fn output(command: &mut Command) -> Result<Output> {
    output_told(command, |_| {})
}

/// The same, with each line that it says on stderr told as it comes.
///
/// # Errors
/// The same.
pub fn output_told(command: &mut Command, tell: impl FnMut(&str) + Send) -> Result<Output> {
    // a group of its own: cargo's compilers and the steps of a bisection end with it, and who sends a signal to this
    // process alone ends them, too
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    ended(command, kill_process_group, tell)
}

/// Ends this process at once, and before it the commands that it runs, whatever they make of a signal.
pub fn exit(code: i32) -> ! {
    // not given back: no other command begins
    let running = running();
    for (id, kill) in running.iter() {
        // it may have ended just now
        let _ = kill(*id, Signal::KILL);
    }
    std::process::exit(code)
}

fn running() -> MutexGuard<'static, Vec<(Pid, Kill)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins a command, which [`exit`] kills from then on.
fn begun(command: &mut Command, kill: Kill) -> std::io::Result<Child> {
    let mut running = running();
    let child = command.spawn()?;
    running.push((Pid::from_child(&child), kill));
    Ok(child)
}

/// Waits for the end of a command, and has it killed once that is asked for.
fn ended(command: &mut Command, kill: Kill, mut tell: impl FnMut(&str) + Send) -> Result<Output> {
    let program = PathBuf::from(command.get_program());
    let mut child = begun(command, kill).map_err(Error::io("run", &program))?;
    let (id, words) = (Pid::from_child(&child), child.stderr.take());
    let (sender, receiver) = mpsc::channel();
    let mut stderr = Vec::new();
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            let Some(mut words) = words.map(BufReader::new) else { return };
            let mut told = 0;
            while words.read_until(b'\n', &mut stderr).is_ok_and(|read| read > 0) {
                tell(String::from_utf8_lossy(&stderr[told..]).trim_end());
                told = stderr.len();
            }
        });
        scope.spawn(move || sender.send(child.wait_with_output()));
        let mut is_killed = false;
        loop {
            match receiver.recv_timeout(STOP_POLL) {
                Ok(ended) => return ended,
                Err(_) if is_killed || !STOP.load(Ordering::Relaxed) => {}
                Err(_) => {
                    // it may have ended just now
                    let _ = kill(id, Signal::TERM);
                    is_killed = true;
                }
            }
        }
    });
    running().retain(|(other, _)| *other != id);
    let output = Output { stderr, ..ended.map_err(Error::io("run", program))? };
    if STOP.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(output) }
}

/// A path that means the same from any directory.
///
/// # Errors
/// When there is nothing.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(Error::io("read", path))
}

/// The workspace around the current directory.
///
/// # Errors
/// When there is none.
pub fn workspace() -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(Error::io("find", "."))?;
    let is_workspace =
        |directory: &&Path| directory.join("engine/src").is_dir() && directory.join("Cargo.lock").is_file();
    here.ancestors().find(is_workspace).map(Path::to_path_buf).ok_or(Error::NoWorkspace)
}

/// Makes `to` equal to `from`. Files that are equal already keep their times, so that cargo builds no more than it must.
///
/// # Errors
/// The first file that refuses.
pub fn mirror(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to).map_err(Error::io("create", to))?;
        for entry in fs::read_dir(to).map_err(Error::io("read", to))? {
            let stale = entry.map_err(Error::io("read", to))?.path();
            let source = from.join(stale.file_name().unwrap_or_default());
            if source.is_dir() != stale.is_dir() || !source.exists() {
                let removed = if stale.is_dir() { fs::remove_dir_all(&stale) } else { fs::remove_file(&stale) };
                removed.map_err(Error::io("remove", &stale))?;
            }
        }
        for entry in fs::read_dir(from).map_err(Error::io("read", from))? {
            let source = entry.map_err(Error::io("read", from))?.path();
            mirror(&source, &to.join(source.file_name().unwrap_or_default()))?;
        }
        return Ok(());
    }
    let wanted = fs::read(from).map_err(Error::io("read", from))?;
    if fs::read(to).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    fs::write(to, wanted).map_err(Error::io("write", to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_copies_removes_and_leaves_equal_files_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::create_dir_all(to.join("old")).unwrap();
        fs::write(from.join("sub/a"), "new").unwrap();
        fs::write(from.join("same"), "same").unwrap();
        fs::write(to.join("same"), "same").unwrap();
        fs::write(to.join("stale"), "stale").unwrap();
        let before = fs::metadata(to.join("same")).unwrap().modified().unwrap();
        mirror(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("sub/a")).unwrap(), "new");
        assert_eq!(fs::metadata(to.join("same")).unwrap().modified().unwrap(), before);
        assert!(!to.join("stale").exists() && !to.join("old").exists());
    }
}
