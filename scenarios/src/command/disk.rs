//! `segsim disk`: puts and gets on a real disk, beside the raw floor and beside RocksDB's BlobDB.
//!
//! The machine has moods, and a disk is faster after a pause than after a heavy turn. So all of them take turns for each
//! number of workers, and another begins in each round; what is printed are medians of the rounds, and a ratio is the
//! median of the ratios of neighbours.
#![allow(clippy::disallowed_methods, reason = "a command that measures, on real files")]

mod table;

use crate::blobdb::BlobDb;
use crate::error::{Error, Result};
use crate::measure::artifacts::Artifacts;
use crate::measure::counted::Syncs;
use crate::measure::engine::Subject;
use crate::measure::turn::{Bound, Turn};
use crate::measure::{floor, memory};
use crate::output::shown;
use crate::report::{counted, grouped};
use crate::{atomic_file, say, tell};
use segment_sim::verdict::Verdict;
use std::path::{Path, PathBuf};
use std::time::Duration;
use table::{print_gets, print_puts, print_targets};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Tasks or threads at once, unless others are asked for.
const WORKERS: [u16; 3] = [1, 16, 64];

/// The sizes, and how many artifacts of each a turn puts at most: 256 MiB and 1.5 GiB, some for each of 64 writers.
const SIZES: [Size; 2] = [
    Size { is: SizeName::Small, name: "64 KiB", bytes: 64 << 10, artifacts: 4096 },
    Size { is: SizeName::Large, name: "4 MiB", bytes: 4 << 20, artifacts: 384 },
];

/// What the floor syncs at once where it syncs as seldom as is of use.
const BATCH_BYTES: usize = 64 << 20;

/// Writers that stream at once, and MiB of the one artifact that each streams. Rising, as a peak never falls.
const STREAMS: [(usize, usize); 4] = [(1, 64), (16, 16), (16, 64), (64, 16)];

/// How long gets go on.
const GETS_TIME: Duration = Duration::from_secs(1);

/// f_type of a tmpfs.
const TMPFS: u64 = 0x0102_1994;

/// Measure puts and gets on a real disk, beside the raw floor and RocksDB's BlobDB
///
/// Opens the engine on new directories inside DIR and puts artifacts of 64 KiB
/// and of 4 MiB with 1, 16 and 64 writers; every put is durable before it is
/// answered. In turns with it, on the same disk and with the same artifacts:
///
///   floor    one thread appends to one file: artifact, fdatasync, and so on
///   ordered  the same, and after each fdatasync a record of 300 bytes appended to
///            a second file and synced, too: what it costs to name in the metadata
///            only what is durable, as the engine does
///   batched  as floor, with one fdatasync for every 64 MiB: what the disk takes
///            when nobody waits for an answer
///   BlobDB   RocksDB with blob files and without compression, as many threads,
///            each put with a synced log
///
/// Then all that was put is got again, mostly out of the page cache. No more
/// than 3.5 GiB of DIR are in use at a time, and all of it is removed. It takes
/// some minutes. Ratios above 1 are in the engine's favour. Targets that were
/// missed are told and do not change the exit code: a busy machine misses them
/// too.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// A directory on the disk to measure; it must exist
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Only this part; may be given several times [default: all]
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Only artifacts of this size; may be given several times [default: both]
    #[arg(long, value_name = "SIZE")]
    size: Vec<SizeName>,
    /// Writers, and readers; may be given several times [default: 1, 16 and 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Vec<u16>,
    /// How often each takes its turn; in five rounds each of the five is the first once
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// A turn of puts ends after this time, or after 256 MiB of small or 1.5 GiB of large artifacts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    seconds: u16,
}

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Puts, beside floor and BlobDB.
    Puts,
    /// Gets, beside BlobDB; what is got must be put before.
    Gets,
    /// The peak of memory while large artifacts are streamed in.
    Memory,
}

/// A size on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum SizeName {
    /// 64 KiB.
    Small,
    /// 4 MiB.
    Large,
}

/// Artifacts of one size.
struct Size {
    is: SizeName,
    name: &'static str,
    bytes: usize,
    artifacts: u64,
}

/// Who takes turns.
#[derive(Clone, Copy)]
enum Who {
    Floor,
    Ordered,
    Batched,
    Engine,
    BlobDb,
}

const WHO: [Who; 5] = [Who::Floor, Who::Ordered, Who::Batched, Who::Engine, Who::BlobDb];

/// What came of one size: a turn for each round.
struct Measured {
    size: &'static Size,
    cells: Vec<Cell>,
}

/// What came of one size with one number of workers.
#[derive(Default)]
struct Cell {
    workers: usize,
    floor: Vec<Turn>,
    ordered: Vec<Turn>,
    batched: Vec<Turn>,
    puts: Vec<Turn>,
    syncs: Vec<Syncs>,
    gets: Vec<Turn>,
    blob_puts: Vec<Turn>,
    blob_gets: Vec<Turn>,
}

/// Measures and prints.
///
/// # Errors
/// A directory that is none, or a disk that refuses.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let space = rustix::fs::statfs(&arguments.dir).map_err(|errno| Error::io("use", &arguments.dir)(errno.into()))?;
    // now: the first turn would be refused when its heading is told
    atomic_file::check_directory(&arguments.dir).map_err(Error::io("write to", &arguments.dir))?;
    if u64::try_from(space.f_type).is_ok_and(|kind| kind == TMPFS) {
        say!("{} is in memory (tmpfs): what follows says nothing about a disk", shown(&arguments.dir));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build();
    let bench = Bench {
        directory: &arguments.dir,
        runtime: runtime.map_err(Error::io("start threads for", &arguments.dir))?,
        artifacts: Artifacts::new(SIZES.iter().map(|size| size.bytes).max().unwrap_or(0)),
        time: Duration::from_secs(arguments.seconds.into()),
    };
    let asked = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    // first: what the others leave behind in memory would hide a peak
    if asked(Part::Memory) {
        match bench.memory() {
            Err(Error::Interrupted) => {
                say!("{}  interrupted", Verdict::Void.word());
                return Ok(Verdict::Void);
            }
            measured => measured?,
        }
    }
    if asked(Part::Puts) || asked(Part::Gets) {
        let workers = if arguments.workers.is_empty() { &WORKERS[..] } else { &arguments.workers };
        let cells = || workers.iter().map(|workers| Cell { workers: (*workers).into(), ..Cell::default() }).collect();
        let sizes = SIZES.iter().filter(|size| arguments.size.is_empty() || arguments.size.contains(&size.is));
        let measured = |size| Measured { size, cells: cells() };
        let mut all: Vec<Measured> = sizes.map(measured).collect();
        let (mut done, mut verdict) = (0, Verdict::Pass);
        while done < arguments.rounds && verdict == Verdict::Pass {
            tell!("disk: round {} of {}", done + 1, arguments.rounds);
            match bench.round(done + 1, &mut all, asked(Part::Gets)) {
                Ok(()) => done += 1,
                Err(Error::Interrupted) => verdict = Verdict::Void,
                Err(error) => return Err(error),
            }
        }
        if done > 0 {
            // what a round that was cut short has measured compares with nothing
            all.iter_mut().flat_map(|measured| &mut measured.cells).for_each(|cell| cell.truncate(done.into()));
            say!("medians of {}; MB are 1,000,000 bytes", counted(done.into(), "round"));
            if asked(Part::Puts) {
                print_puts(&all);
            }
            if asked(Part::Gets) {
                print_gets(&all);
            }
            if asked(Part::Puts) {
                print_targets(&all);
            }
        }
        if verdict == Verdict::Void {
            let (word, all) = (verdict.word(), counted(arguments.rounds.into(), "round"));
            say!("{word}  interrupted after {done} of {all}");
            return Ok(verdict);
        }
    }
    Ok(Verdict::Pass)
}

/// Where and how it is measured.
struct Bench<'a> {
    directory: &'a Path,
    runtime: Runtime,
    artifacts: Artifacts,
    time: Duration,
}

impl Cell {
    /// Leaves what the first rounds have measured, so many.
    fn truncate(&mut self, rounds: usize) {
        let Cell { workers: _, floor, ordered, batched, puts, syncs, gets, blob_puts, blob_gets } = self;
        [floor, ordered, batched, puts, gets, blob_puts, blob_gets]
            .into_iter()
            .for_each(|turns| turns.truncate(rounds));
        syncs.truncate(rounds);
    }
}

impl Bench<'_> {
    /// A turn of each in each cell.
    fn round(&self, round: u16, all: &mut [Measured], gets: bool) -> Result<()> {
        for Measured { size, cells } in all {
            for cell in cells {
                for turn in 0..WHO.len() {
                    let who = WHO[(turn + usize::from(round)) % WHO.len()];
                    self.turn(who, size, cell, gets)?;
                }
            }
        }
        Ok(())
    }

    /// One turn.
    fn turn(&self, who: Who, size: &Size, cell: &mut Cell, gets: bool) -> Result<()> {
        let (workers, bytes) = (cell.workers, size.bytes);
        let bound = Bound { artifacts: size.artifacts, time: self.time };
        let again = Bound { artifacts: u64::MAX, time: GETS_TIME.min(self.time) };
        let append = |directory: &Path, batch| floor::appends(directory, &self.artifacts, bytes, batch, bound);
        self.on_new_directory(|directory| match who {
            Who::Floor => {
                cell.floor.push(append(directory, 1)?);
                Ok(())
            }
            Who::Ordered => {
                cell.ordered.push(floor::ordered(directory, &self.artifacts, bytes, bound)?);
                Ok(())
            }
            Who::Batched => {
                cell.batched.push(append(directory, (BATCH_BYTES / bytes) as u64)?);
                Ok(())
            }
            Who::Engine => self.runtime.block_on(Subject::used(directory, self.artifacts.clone(), async |subject| {
                let (turn, syncs) = subject.puts(workers, bytes, bound).await?;
                if gets {
                    cell.gets.push(subject.gets(workers, bytes, turn.count(), again).await?);
                }
                cell.puts.push(turn);
                cell.syncs.push(syncs);
                Ok(())
            })),
            Who::BlobDb => {
                let blobs = BlobDb::open(directory, self.artifacts.clone())?;
                let turn = blobs.puts(workers, bytes, bound)?;
                if gets {
                    cell.blob_gets.push(blobs.gets(workers, bytes, turn.count(), again)?);
                }
                cell.blob_puts.push(turn);
                Ok(())
            }
        })
    }

    fn memory(&self) -> Result<()> {
        say!("memory: each writer streams one artifact in pieces of 1 MiB");
        say!("{:>8}{:>14}{:>20}{:>22}", "writers", "artifact MiB", "under way, MiB", "peak grew by, MiB");
        let before = memory::resident()?;
        for (writers, mib) in STREAMS {
            self.on_new_directory(|directory| {
                self.runtime.block_on(Subject::used(directory, self.artifacts.clone(), async |subject| {
                    memory::stream(subject, &self.artifacts, writers, mib << 20).await
                }))
            })?;
            let grew = memory::peak()?.saturating_sub(before) >> 20;
            say!("{writers:>8}{mib:>14}{:>20}{grew:>22}", grouped((writers * mib) as u64));
        }
        say!("");
        Ok(())
    }

    /// Does something in a new directory, and removes it. The next turn begins with nothing left to write.
    fn on_new_directory<T>(&self, turn: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        let failed = |operation| Error::io(operation, self.directory);
        let directory = TempDir::with_prefix_in("segsim-disk-", self.directory).map_err(failed("write to"))?;
        let done = turn(directory.path());
        directory.close().map_err(failed("clean up"))?;
        let opened = std::fs::File::open(self.directory).map_err(failed("open"))?;
        rustix::fs::syncfs(opened).map_err(|errno| failed("sync")(errno.into()))?;
        done
    }
}
