//! The mounts of a soak with power losses: a file system on a loop device on the file that the server serves, all of it in
//! the soak's directory.
//!
//! Whoever mounts unmounts in the end, whatever happened; [`clear`] is for those who could not.
#![allow(clippy::disallowed_methods, reason = "real mounts")]

use crate::error::{Error, Result};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Bytes of the device: room for the largest ring and what is doomed, a catalog and a journal.
const DEVICE_BYTES: u64 = 128 << 20;

/// What the device is sent at once, at most.
const REQUEST_KIB: u64 = 64;

const FUSE: &str = "/dev/fuse";
const LOOP: &str = "/dev/loop-control";
const FORMAT: &str = "mkfs.ext4";
const MOUNT: &str = "mount";
const SYS: &str = "/sys";

/// How long an unmount waits for those who still have something open, and how often it looks.
const BUSY_PATIENCE: Duration = Duration::from_secs(10);
const BUSY_POLL: Duration = Duration::from_millis(2);

/// What there is in a soak's directory for power losses.
#[derive(Clone, Debug)]
pub struct Places {
    /// The durable bytes of the device, a plain file.
    pub image: PathBuf,
    /// Where the server serves the device.
    pub served: PathBuf,
    /// Where the file system on it is mounted.
    pub mounted: PathBuf,
}

impl Places {
    /// Those of this directory.
    pub fn new(directory: &Path) -> Places {
        let [image, served, mounted] = ["image", "fuse", "mnt"].map(|name| directory.join(name));
        Places { image, served, mounted }
    }
}

/// What power losses need and cannot have here, as far as can be seen without mounting anything: each a clause.
pub fn lacks() -> Vec<String> {
    let open = |path: &str| File::options().read(true).write(true).open(path).map(drop);
    let change = |path: &str| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).map_err(io::Error::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let runs = |program: &str| std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    let rights = (!rustix::process::geteuid().is_root()).then(|| "this user has no root rights".to_string());
    let places = [(FUSE, open(FUSE)), (LOOP, open(LOOP)), (SYS, change(SYS))];
    let places = places.into_iter().filter_map(|(path, used)| Some(format!("cannot use {path}: {}", used.err()?)));
    let programs = [FORMAT, MOUNT].into_iter().filter(|program| !runs(program));
    rights.into_iter().chain(places).chain(programs.map(|program| format!("there is no {program}"))).collect()
}

/// Takes down what a soak that was killed has left mounted in its directory.
///
/// # Errors
/// A server that does not end, or an unmount that is refused.
pub fn clear(places: &Places) -> Result<()> {
    let image = match File::open(&places.image) {
        Ok(image) => image,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("open", &places.image)(error)),
    };
    // its server notices that nobody is left, and takes everything down; only one that was killed, too, does not
    let patience = Instant::now() + 2 * BUSY_PATIENCE;
    while let Err(refused) = image.try_lock() {
        if Instant::now() > patience {
            return Err(Error::io("lock", &places.image)(refused.into()));
        }
        std::thread::sleep(BUSY_POLL);
    }
    unmount(&places.mounted)?;
    unmount(&places.served)
}

/// Makes the image, with an empty file system in it, if there is none.
///
/// # Errors
/// What the system, or the program that makes it, says.
pub fn format(places: &Places) -> Result<()> {
    if places.image.exists() {
        return Ok(());
    }
    let half_made = places.image.with_extension("new");
    let file = File::create(&half_made).and_then(|file| file.set_len(DEVICE_BYTES));
    file.map_err(Error::io("make", &half_made))?;
    // nothing is left to be initialized later: what is written then is the engine's
    let options = ["-q", "-F", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"];
    run(Command::new(FORMAT).args(options).arg(&half_made))?;
    std::fs::rename(&half_made, &places.image).map_err(Error::io("make", &places.image))
}

/// Mounts the file system in the file `device`, which replays its journal if its power was cut. The loop device goes with
/// the unmount.
///
/// # Errors
/// What mount says.
pub fn mount(device: &Path, at: &Path) -> Result<()> {
    run(Command::new(MOUNT).args(["-t", "ext4", "-o", "loop"]).arg(device).arg(at))?;
    keep_requests_whole(at)
}

/// Has the loop device send no more at once than FUSE passes on as one request, so that none is refused in part: what a loop
/// device makes of that is not what is tested here.
fn keep_requests_whole(at: &Path) -> Result<()> {
    let device = std::fs::metadata(at).map_err(Error::io("stat", at))?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let limit = PathBuf::from(format!("/sys/dev/block/{major}:{minor}/queue/max_sectors_kb"));
    std::fs::write(&limit, REQUEST_KIB.to_string()).map_err(Error::io("write", &limit))
}

/// Unmounts what is mounted there, if something is. Who has something open is waited for, but not for ever.
///
/// # Errors
/// What the system says.
pub fn unmount(at: &Path) -> Result<()> {
    let patience = Instant::now() + BUSY_PATIENCE;
    loop {
        let flags = if Instant::now() < patience { UnmountFlags::empty() } else { UnmountFlags::DETACH };
        match rustix::mount::unmount(at, flags | UnmountFlags::NOFOLLOW) {
            Ok(()) => {} // there may be another below
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY) => std::thread::sleep(BUSY_POLL),
            Err(errno) => return Err(Error::io("unmount", at)(errno.into())),
        }
    }
}

/// Runs a program to its end.
///
/// # Errors
/// What it says, in one line.
pub fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(Error::io("start", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let last_words = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_string();
    Err(Error::Process { command: program, status: output.status, last_words })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_without_mounts_is_cleared_and_nothing_is_changed() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::new(directory.path());
        clear(&places).unwrap();
        std::fs::write(&places.image, "image").unwrap();
        clear(&places).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
