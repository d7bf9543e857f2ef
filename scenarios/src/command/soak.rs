//! `segsim soak`: the engine on a real directory, killed again and again.
#![allow(clippy::disallowed_methods, reason = "a command on real files")]

use super::STOP;
use super::progress::Progress;
use crate::error::{Error, Result};
use crate::report::grouped;
use crate::say;
use crate::soak::contents::Draws;
use crate::soak::inspect::{Inspection, adopt, inspect};
use crate::soak::life::{Home, Moment};
use crate::soak::model::Model;
use crate::soak::survey::Survey;
use crate::soak::under_way::Hits;
use crate::soak::wire::Mend;
use segment_sim::verdict::Verdict;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Children that are killed one after the other, at most, before the parent looks.
const LIVES_MAX: u64 = 4;

/// After a kill another child follows before the parent looks, in one of so many cases.
const ANOTHER_IN: u64 = 2;

/// From so many rounds on each kind of kill is to hit so often, or the soak measured nothing.
const JUDGED_ROUNDS: u64 = 200;
const HITS_MIN: u64 = 5;

/// Seeds that are drawn are short enough to be typed.
const SEEDS: u64 = 1_000_000;

/// What a soak's directory holds: the file that says whose it is, the engine's data directory, what the last child said on
/// stderr, and, after a violation, what the children of that round told.
const MARK: &str = "segsim-soak";
const DATA: &str = "data";
const WORDS: &str = "words";
const TOLD: &str = "told";

/// Where a device mapper and a file system in user space would be.
const MAPPER: &str = "/dev/mapper/control";
const FUSE: &str = "/dev/fuse";

/// Kill the engine on a real directory again and again, and look at what it leaves
///
/// In each round a child process works in the engine with 16 callers: puts, whole and streamed, gets, rotations, evictions
/// and pressure. It tells what begins and what ends, and is killed (SIGKILL) at a random moment of its open, its recovery
/// or its work; one to four children, one after the other. Then the directory is verified as it is, opened, read, closed,
/// verified and opened again, and compared with what was told. The next round goes on with what is there.
///
/// DIR must not exist, or be empty, or be of an earlier soak. It is not removed at the end, and holds some MiB. The seed
/// draws moments, keys and contents; threads do the rest, so a seed does not repeat a run exactly. From 200 rounds on, puts, rotations, evictions and recoveries must each be hit by 5 kills.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The directory; made if it is not there
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How many rounds
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rounds: u64,
    /// The seed [default: a new one]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

/// What has happened so far.
#[derive(Default)]
struct Tally {
    rounds: u64,
    kills: u64,
    puts: u64,
    rotations: u64,
    evictions: u64,
    recoveries: u64,
    openings: u64,
    read: u64,
    absent: u64,
    /// By the parent's opens.
    mended: BTreeMap<Mend, u64>,
}

/// Kills, prints, and judges.
///
/// # Errors
/// A directory that cannot be used, or no processes.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let seed = arguments.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() % SEEDS);
    let _lock = prepare(&arguments.dir, seed)?;
    let (data, words) = (arguments.dir.join(DATA), arguments.dir.join(WORDS));
    say!("soak: seed {seed}, {} rounds in {}", grouped(arguments.rounds), arguments.dir.display());
    let mut model = Model::new(&found(&data, &arguments.dir)?);
    let home = Home { data: &data, words: &words, seed };
    let (mut tally, mut life) = (Tally::default(), 0);
    let (start, bar) = (Instant::now(), Progress::new("soak", arguments.rounds, "rounds"));
    let mut violations = Vec::new();
    while tally.rounds < arguments.rounds && violations.is_empty() && !STOP.load(Ordering::Relaxed) {
        let mut draws = Draws::new(seed, "round", &[tally.rounds]);
        let mut lines = Vec::new();
        for _ in 0..LIVES_MAX {
            life += 1;
            let hits = home.live(life, &Moment::draw(&mut draws), &mut model, &mut lines)?;
            tally.count(hits);
            if !model.violations().is_empty() || draws.below(ANOTHER_IN) == 0 {
                break;
            }
        }
        tally.rounds += 1;
        violations = model.violations().to_vec();
        if violations.is_empty() {
            let Inspection { mended, violations: wrong, left, read, absent } = inspect(&data, &model, seed)?;
            tally.read += read;
            tally.absent += absent;
            mended.into_iter().for_each(|mend| *tally.mended.entry(mend).or_default() += 1);
            model.settle(&left);
            violations = wrong;
        }
        if !violations.is_empty() {
            let told = arguments.dir.join(TOLD);
            std::fs::write(&told, lines.join("\n") + "\n").map_err(Error::io("write", &told))?;
        }
        bar.tell(tally.rounds, start.elapsed());
    }
    bar.end();
    tally.print(&model, violations.len());
    for violation in &violations {
        say!("violation: {violation}");
    }
    if !violations.is_empty() {
        let program = std::env::args().next().unwrap_or_else(|| "segsim".to_string());
        say!(
            "  {} is as it was found, {} is what was told in this round",
            data.display(),
            arguments.dir.join(TOLD).display()
        );
        say!("  {program} soak --dir NEW --rounds {} --seed {seed}", tally.rounds);
    }
    say!("{}", power_loss());
    let verdict = tally.verdict(arguments.rounds, violations.is_empty());
    let end = if tally.rounds < arguments.rounds && violations.is_empty() { "; interrupted" } else { "" };
    say!("{}  {} rounds, {} violations{end}", verdict.word(), grouped(tally.rounds), violations.len());
    Ok(verdict)
}

/// Makes the directory, or sees that it is one of ours; and keeps others out as long as the file is open.
fn prepare(directory: &Path, seed: u64) -> Result<File> {
    if !directory.exists() {
        std::fs::create_dir_all(directory).map_err(Error::io("make", directory))?;
    }
    let mark = directory.join(MARK);
    let mut entries = std::fs::read_dir(directory).map_err(Error::io("use", directory))?;
    if entries.next().is_some() && !mark.is_file() {
        return Err(Error::ForeignDirectory { directory: directory.to_path_buf() });
    }
    let lock = File::options().create(true).truncate(false).write(true).open(&mark);
    let lock = lock.map_err(Error::io("write", &mark))?;
    lock.try_lock().map_err(|refused| match refused {
        TryLockError::WouldBlock => segment_engine::Error::DirectoryInUse { path: directory.to_path_buf() }.into(),
        TryLockError::Error(source) => Error::io("lock", &mark)(source),
    })?;
    std::fs::write(&mark, format!("seed {seed}\n")).map_err(Error::io("write", &mark))?;
    Ok(lock)
}

/// What an earlier soak has left; it is not judged.
fn found(data: &Path, directory: &Path) -> Result<Survey> {
    if !data.exists() {
        return Ok(Survey::default());
    }
    let Inspection { violations, left, .. } = adopt(data)?;
    match violations.into_iter().next() {
        Some(why) => Err(Error::SpoiledDirectory { directory: directory.to_path_buf(), why }),
        None => Ok(left),
    }
}

impl Tally {
    fn count(&mut self, hits: Hits) {
        self.kills += 1;
        self.puts += u64::from(hits.put);
        self.rotations += u64::from(hits.rotation);
        self.evictions += u64::from(hits.eviction);
        self.recoveries += u64::from(hits.recovery);
        self.openings += u64::from(hits.opening);
    }

    fn verdict(&self, asked: u64, is_clean: bool) -> Verdict {
        let is_thin = [self.puts, self.rotations, self.evictions, self.recoveries].iter().any(|hits| *hits < HITS_MIN);
        if !is_clean {
            Verdict::Fail
        } else if self.rounds < asked || (asked >= JUDGED_ROUNDS && is_thin) {
            Verdict::Void
        } else {
            Verdict::Pass
        }
    }

    fn print(&self, model: &Model, violations: usize) {
        let line = |name: &str, number: u64| say!("{name:<36}{:>12}", grouped(number));
        line("rounds", self.rounds);
        line("puts acked", model.acked());
        line("kills", self.kills);
        line("  inside a put", self.puts);
        line("  inside a rotation", self.rotations);
        line("  inside an eviction", self.evictions);
        line("  inside a recovery", self.recoveries);
        line("  while the catalog opened", self.openings);
        line("keys compared, present", self.read);
        line("keys compared, absent", self.absent);
        for mend in Mend::ALL {
            let by = |mended: &BTreeMap<Mend, u64>| mended.get(&mend).copied().unwrap_or_default();
            line(&format!("repairs, {}", mend.name()), by(&self.mended) + by(model.mended()));
        }
        line("violations", violations as u64);
    }
}

/// What a kill does not show, and why it is not shown here.
fn power_loss() -> String {
    let lacks: Vec<&str> = [MAPPER, FUSE].into_iter().filter(|path| !Path::new(path).exists()).collect();
    let lacks = if lacks.is_empty() { String::new() } else { format!("; this machine has no {}", lacks.join(", no ")) };
    format!(
        "power loss over a block layer that drops unsynced writes (dm-log-writes, lazyfs): not run, there is no such mode \
         yet{lacks}"
    )
}
