//! The device's process: it serves the device of a soak, and cuts its power when its parent says so.
//!
//! It is a process of its own, which uses nothing that it serves: when it dies, whoever waits for the device is told an
//! error, and when its parent dies, it takes the mounts down.
#![allow(clippy::disallowed_methods, reason = "a real file, served by a thread")]

use crate::error::{Error, Result};
use crate::say;
use crate::soak::device::Loss;
use crate::soak::fuse::Served;
use crate::soak::mount;
use crate::soak::powered::{Device, lock};
use fuser::{MountOption, Session};
use segment_sim::verdict::Verdict;
use std::fmt;
use std::fs::File;
use std::io::BufRead;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a cut may wait for its writes, and how often it looks.
const CUT_PATIENCE: Duration = Duration::from_millis(20);
const CUT_POLL: Duration = Duration::from_micros(100);

/// How long a device may stay open after its unmount, and how often it is looked at.
const CLOSE_PATIENCE: Duration = Duration::from_secs(20);
const CLOSE_POLL: Duration = Duration::from_millis(1);

/// Serve the device of a soak with power losses, until stdin ends
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The soak's directory
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Unmount the file system on it, and do nothing else
    #[arg(long)]
    unmount: bool,
}

/// What a parent tells its server, a line each. Each is answered by a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Refuse what is asked next of this kind, after so many more.
    Refuse {
        /// What.
        what: Refusal,
        /// How many of the kind are done before.
        after: u64,
    },
    /// From the moment on when so many writes are not flushed, or soon, nothing is answered, and nothing that is written gets
    /// anywhere.
    Cut {
        /// How many.
        writes: u64,
    },
    /// Answer again, and forget what is written: whoever wrote it is dead.
    Release,
    /// Nobody has the device open any more: it becomes what the loss has left of it.
    Restore {
        /// The seed of the soak.
        seed: u64,
        /// Which loss it is.
        number: u64,
    },
}

/// What a device refuses, with an I/O error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// One write.
    Write,
    /// One flush.
    Flush,
    /// All of both, until it is restored.
    All,
}

impl Refusal {
    /// Every kind.
    pub const ALL: [Refusal; 3] = [Refusal::Write, Refusal::Flush, Refusal::All];

    fn word(self) -> &'static str {
        match self {
            Refusal::Write => "write",
            Refusal::Flush => "flush",
            Refusal::All => "all",
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Refuse { what, after } => write!(f, "refuse {} {after}", what.word()),
            Order::Cut { writes } => write!(f, "cut {writes}"),
            Order::Release => f.write_str("release"),
            Order::Restore { seed, number } => write!(f, "restore {seed} {number}"),
        }
    }
}

/// A line that no parent tells.
#[derive(Debug)]
pub struct UnknownOrder;

impl FromStr for Order {
    type Err = UnknownOrder;

    fn from_str(line: &str) -> std::result::Result<Order, UnknownOrder> {
        let number = |word: &str| word.parse().map_err(|_| UnknownOrder);
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["refuse", what, after] => {
                let what = Refusal::ALL.into_iter().find(|refusal| refusal.word() == what).ok_or(UnknownOrder)?;
                Ok(Order::Refuse { what, after: number(after)? })
            }
            ["cut", writes] => Ok(Order::Cut { writes: number(writes)? }),
            ["release"] => Ok(Order::Release),
            ["restore", seed, loss] => Ok(Order::Restore { seed: number(seed)?, number: number(loss)? }),
            _ => Err(UnknownOrder),
        }
    }
}

/// Serves until its parent is gone, and takes everything down.
///
/// # Errors
/// An image that another process serves, or a mount that is refused.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let places = mount::Places::new(&arguments.dir);
    if arguments.unmount {
        mount::unmount(&places.mounted)?;
        return Ok(Verdict::Pass);
    }
    let image = File::options().read(true).write(true).open(&places.image);
    let image = image.map_err(Error::io("open", &places.image))?;
    image.try_lock().map_err(|refused| Error::io("lock", &places.image)(refused.into()))?;
    let device = Device::new(image).map_err(Error::io("stat", &places.image))?;
    let device = Arc::new(Mutex::new(device));
    let mut options = fuser::Config::default();
    options.mount_options = vec![MountOption::FSName("segsim-soak".to_string())];
    let session = Session::new(Served(device.clone()), &places.served, &options).and_then(Session::spawn);
    let session = session.map_err(Error::io("mount", &places.served))?;
    say!("ready");
    for line in std::io::stdin().lock().lines().map_while(std::result::Result::ok) {
        let obeyed = line.parse().map_err(|UnknownOrder| format!("{line}: no such order"));
        match obeyed.and_then(|order| obey(&device, order)) {
            Ok(Loss { kept, dropped, torn, refused }) => say!("done {kept} {dropped} {torn} {refused}"),
            Err(why) => say!("failed {why}"),
        }
    }
    lock(&device).forgive();
    if lock(&device).is_cut() {
        let _ = obey(&device, Order::Release); // nothing can be unmounted that waits
    }
    // by another process: one that waits for itself cannot even be killed
    let program = std::env::current_exe().map_err(Error::io("find", "this program"))?;
    mount::run(Command::new(program).args(["soak-device", "--unmount", "--dir"]).arg(&arguments.dir))?;
    mount::unmount(&places.served)?;
    let _ = session.umount_and_join();
    lock(&device).shut_down().map_err(Error::io("write", &places.image))?;
    Ok(Verdict::Pass)
}

/// The same as the device does; not before it can.
fn obey(device: &Mutex<Device>, order: Order) -> std::result::Result<Loss, String> {
    let begin = Instant::now();
    match order {
        Order::Cut { writes } => {
            lock(device).cut_at(writes);
            while lock(device).is_awaited() && begin.elapsed() < CUT_PATIENCE {
                std::thread::sleep(CUT_POLL);
            }
        }
        Order::Refuse { .. } | Order::Release => {}
        Order::Restore { .. } => {
            // the loop device closes it some time after the unmount
            while lock(device).is_open() {
                if begin.elapsed() > CLOSE_PATIENCE {
                    return Err(format!("{order}: the device is still open"));
                }
                std::thread::sleep(CLOSE_POLL);
            }
        }
    }
    lock(device).obey(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_read_back() {
        let refusals = Refusal::ALL.map(|what| Order::Refuse { what, after: 5 });
        let others = [Order::Cut { writes: 3 }, Order::Release, Order::Restore { seed: 4, number: u64::MAX }];
        for order in refusals.into_iter().chain(others) {
            assert_eq!(order.to_string().parse::<Order>().ok(), Some(order));
        }
        for line in
            ["", "refuse", "refuse some 1", "refuse all", "cut", "cut -1", "restore 1", "release 1", "restore 1 2 3"]
        {
            assert!(line.parse::<Order>().is_err(), "{line}");
        }
    }
}
