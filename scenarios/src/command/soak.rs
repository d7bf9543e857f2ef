//! `segsim soak`: the engine on a real directory, killed again and again, or cut off from power.
#![allow(clippy::disallowed_methods, reason = "a command on real files")]

use super::STOP;
use super::progress::Progress;
use crate::error::{Error, Result};
use crate::output::shown;
use crate::report::{counted, grouped};
use crate::soak::contents::Draws;
use crate::soak::device::Loss;
use crate::soak::inspect::{Inspection, adopt, inspect};
use crate::soak::life::{Home, Moment};
use crate::soak::machine::Machine;
use crate::soak::model::Model;
use crate::soak::mount::{self, Places};
use crate::soak::survey::Survey;
use crate::soak::under_way::{Death, Hits};
use crate::soak::wire::Mend;
use crate::{say, shell, tell};
use segment_sim::verdict::Verdict;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Children that live one after the other, at most, before the parent looks.
const LIVES_MAX: u64 = 4;

/// After a child another follows before the parent looks, in one of so many cases.
const ANOTHER_IN: u64 = 2;

/// Where power is lost, one life in so many ends with a kill all the same: the next one inherits what nobody has synced.
const KILLED_IN: u64 = 4;

/// From so many rounds on each kind of end is to hit so often, or the soak measured nothing.
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

/// Kill the engine on a real directory again and again, or cut its power, and look at what it leaves
///
/// In each round a child process works in the engine with 16 callers: puts, whole and streamed, gets, rotations, evictions
/// and pressure. It tells what begins and what ends, and is killed (SIGKILL) at a random moment of its open, its recovery
/// or its work; one to four children, one after the other. Then the directory is verified as it is, opened, read, closed,
/// verified and opened again, and compared with what was told. The next round goes on with what is there.
///
/// With --power-loss the directory is on an ext4 file system of its own, on a loop device whose file the soak itself serves
/// (FUSE). Three lives in four end with the power: of the writes that the device has not been told to flush the seed keeps
/// some, drops others and tears the rest at a sector, and what only the kernel had is gone. The file system is mounted again
/// from what is left. In half of the lives others fill the disk up, so that puts have to evict, or are refused, while the
/// catalog has to find room. In one of three that end with the power the device is to refuse a write, a flush, or every one
/// of both from some moment on: callers may be told so, and what they were told before must be true. It needs root,
/// /dev/fuse, loop devices and mkfs.ext4; where they are missing the exit code is 3.
///
/// DIR must not exist, or be empty, or be of an earlier soak. It is not removed at the end, and holds some MiB (with
/// --power-loss up to 128). Nothing stays mounted. The seed draws moments, keys and contents; threads do the rest, so a seed
/// does not repeat a run exactly. Fewer than 200 rounds are not judged by what they met. From 200 on the verdict is VOID
/// unless each of these came at least 5 times: a kill, or a power loss, in a put, a rotation, an eviction and a recovery; a
/// write dropped, and one torn; a put answered on a disk that was full; a get behind a fence; a life that ended on a device
/// that had failed, with and without ext4 giving up.
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
    /// Cut the power under a file system of its own, three times in four, instead of killing the process alone
    #[arg(long)]
    power_loss: bool,
}

/// How lives have ended, and in what.
#[derive(Clone, Copy, Default)]
struct Ends {
    lives: u64,
    puts: u64,
    rotations: u64,
    evictions: u64,
    recoveries: u64,
    openings: u64,
}

/// What has happened so far.
#[derive(Default)]
struct Tally {
    rounds: u64,
    kills: Ends,
    losses: Ends,
    failures: Ends,
    /// Of these, those in which the file system had given up.
    given_up: u64,
    lost: Loss,
    read: u64,
    absent: u64,
    /// By the parent's opens.
    mended: BTreeMap<Mend, u64>,
}

/// Kills, prints, and judges.
///
/// # Errors
/// A directory that cannot be used, no processes, or no power losses.
pub fn run(arguments: &Arguments) -> Result<Verdict> {
    let seed = arguments.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() % SEEDS);
    // first: what is made for nothing is in the way
    let lacks = if arguments.power_loss { mount::lacks() } else { Vec::new() };
    if !lacks.is_empty() {
        return Err(Error::NoPowerLoss { lacks });
    }
    let _lock = prepare(&arguments.dir, seed)?;
    // dropped before the lock, whatever happens: it takes its mounts down
    let mut machine = arguments.power_loss.then(|| Machine::start(&arguments.dir)).transpose()?;
    let data = machine.as_ref().map_or_else(|| arguments.dir.join(DATA), Machine::data);
    let words = arguments.dir.join(WORDS);
    say!("soak: seed {seed}, {} in {}", counted(arguments.rounds, "round"), shown(&arguments.dir));
    let mut model = Model::new(&found(&data, &arguments.dir)?);
    machine.as_ref().map_or(Ok(()), Machine::sync)?;
    let home = Home { data: &data, words: &words, seed };
    let mut tally = Tally::default();
    let (start, bar) = (Instant::now(), Progress::new("soak", arguments.rounds, "rounds"));
    let mut violations = Vec::new();
    // what fails besides is told last: it takes nothing from what was found
    let mut failed = Ok(());
    while tally.rounds < arguments.rounds && violations.is_empty() && failed.is_ok() && !STOP.load(Ordering::Relaxed) {
        let mut lines = Vec::new();
        match round(&home, machine.as_mut(), &mut model, &mut tally, &mut lines) {
            Ok(found) => violations = found,
            Err(error) => {
                violations = model.violations().to_vec();
                failed = Err(error);
            }
        }
        if !violations.is_empty() {
            let told = arguments.dir.join(TOLD);
            let written = std::fs::write(&told, lines.join("\n") + "\n").map_err(Error::io("write", &told));
            failed = failed.and(written);
        }
        bar.tell(tally.rounds, start.elapsed());
    }
    bar.end();
    tally.lost = machine.as_ref().map(Machine::lost).unwrap_or_default();
    failed = failed.and(machine.map_or(Ok(()), Machine::stop));
    tally.print(arguments.power_loss, &model, violations.len());
    if !violations.is_empty() {
        report(arguments, seed, tally.rounds, &violations);
    }
    if !arguments.power_loss {
        say!("power loss: not tested; {}", could_run(&mount::lacks()));
    }
    let verdict = match &failed {
        Err(_) if violations.is_empty() => Verdict::Error,
        _ => tally.verdict(arguments, &model, violations.is_empty()),
    };
    let is_interrupted = tally.rounds < arguments.rounds && violations.is_empty() && failed.is_ok();
    let end = if is_interrupted { "; interrupted" } else { "" };
    let (rounds, found) = (counted(tally.rounds, "round"), counted(violations.len() as u64, "violation"));
    say!("{}  {rounds}, {found}{end}", verdict.word());
    match failed {
        // FAIL is what counts, and 1 what says so
        Err(error) if !violations.is_empty() => tell!("and it failed: {error}"),
        other => other?,
    }
    Ok(verdict)
}

/// Some lives, and a look at what they have left: what is wrong with it.
fn round(
    home: &Home<'_>,
    mut machine: Option<&mut Machine>,
    model: &mut Model,
    tally: &mut Tally,
    lines: &mut Vec<String>,
) -> Result<Vec<String>> {
    let mut draws = Draws::new(home.seed, "round", &[tally.rounds]);
    for _ in 0..LIVES_MAX {
        let moment = Moment::draw(&mut draws);
        let left = machine.as_deref().map_or(Ok(None), |machine| machine.crowd(&mut draws))?;
        if let Some(bytes) = left {
            model.crowd();
            lines.push(format!("others leave {bytes} bytes of the disk to segments"));
        }
        let mut cut = machine.as_deref_mut().filter(|_| draws.below(KILLED_IN) > 0);
        let refusal = cut.as_mut().map_or(Ok(None), |machine| machine.fail(&mut draws))?;
        lines.extend(refusal.map(|what| format!("the device refuses: {what:?}")));
        let life = tally.kills.lives + tally.losses.lives + tally.failures.lives + 1;
        let (death, hits) = home.live(u32::try_from(life).unwrap_or(u32::MAX), &moment, cut, model, lines)?;
        tally.count(death, hits);
        if !model.violations().is_empty() || draws.below(ANOTHER_IN) == 0 {
            break;
        }
    }
    tally.rounds += 1;
    if !model.violations().is_empty() {
        return Ok(model.violations().to_vec());
    }
    let Inspection { mended, violations, left, read, absent } = inspect(home.data, model, home.seed)?;
    tally.read += read;
    tally.absent += absent;
    mended.into_iter().for_each(|mend| *tally.mended.entry(mend).or_default() += 1);
    if !violations.is_empty() {
        return Ok(violations);
    }
    // what the look has changed is no news for the next loss
    machine.map_or(Ok(()), |machine| machine.sync())?;
    model.settle(&left);
    Ok(Vec::new())
}

/// What is wrong, where to look, and how to try it again.
fn report(arguments: &Arguments, seed: u64, rounds: u64, violations: &[String]) {
    for violation in violations {
        say!("violation: {violation}");
    }
    let (found, flag) = if arguments.power_loss {
        let image = Places::new(&arguments.dir).image;
        (format!("the file system in {} (mount -o loop)", shown(&image)), " --power-loss")
    } else {
        (shown(&arguments.dir.join(DATA)), "")
    };
    let program = shell::program();
    say!("  {found} is as it was found, {} is what was told in this round", shown(&arguments.dir.join(TOLD)));
    say!("  {program} soak --dir NEW --rounds {rounds} --seed {seed}{flag}");
}

/// Makes the directory, or sees that it is one of ours, with nothing mounted in it; and keeps others out as long as the
/// file is open.
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
        TryLockError::WouldBlock => Error::SoakedDirectory { directory: directory.to_path_buf() },
        TryLockError::Error(source) => Error::io("lock", &mark)(source),
    })?;
    std::fs::write(&mark, format!("seed {seed}\n")).map_err(Error::io("write", &mark))?;
    mount::clear(&Places::new(directory))?;
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

impl Ends {
    fn count(&mut self, hits: Hits) {
        self.lives += 1;
        self.puts += u64::from(hits.put);
        self.rotations += u64::from(hits.rotation);
        self.evictions += u64::from(hits.eviction);
        self.recoveries += u64::from(hits.recovery);
        self.openings += u64::from(hits.opening);
    }

    fn print(&self, name: &str) {
        line(name, self.lives);
        line("  inside a put", self.puts);
        line("  inside a rotation", self.rotations);
        line("  inside an eviction", self.evictions);
        line("  inside a recovery", self.recoveries);
        line("  while the catalog opened", self.openings);
    }
}

impl Tally {
    fn count(&mut self, death: Death, hits: Hits) {
        match death {
            Death::Killed => self.kills.count(hits),
            Death::PowerLost => self.losses.count(hits),
            Death::DeviceFailed => self.failures.count(hits),
            Death::FileSystemFailed => {
                self.failures.count(hits);
                self.given_up += 1;
            }
        }
    }

    fn verdict(&self, arguments: &Arguments, model: &Model, is_clean: bool) -> Verdict {
        let ends = if arguments.power_loss { self.losses } else { self.kills };
        let mut floors = vec![ends.puts, ends.rotations, ends.evictions, ends.recoveries];
        if arguments.power_loss {
            floors.extend([self.lost.dropped, self.lost.torn, model.made_room(), model.read_on()]);
            floors.extend([self.failures.lives - self.given_up, self.given_up]);
        }
        let is_thin = floors.iter().any(|hits| *hits < HITS_MIN);
        if arguments.rounds < JUDGED_ROUNDS {
            say!("what was met is not judged under {JUDGED_ROUNDS} rounds");
        }
        if !is_clean {
            Verdict::Fail
        } else if self.rounds < arguments.rounds || (arguments.rounds >= JUDGED_ROUNDS && is_thin) {
            Verdict::Void
        } else {
            Verdict::Pass
        }
    }

    fn print(&self, has_losses: bool, model: &Model, violations: usize) {
        line("rounds", self.rounds);
        line("puts acked", model.acked());
        if has_losses {
            line("puts acked on a disk that was full", model.made_room());
            line("gets answered behind a fence", model.read_on());
            self.losses.print("power losses");
            self.failures.print("power losses of a failing device");
            line("  after which ext4 gave up", self.given_up);
            line("  requests that it refused", self.lost.refused);
            line("unflushed writes kept", self.lost.kept);
            line("unflushed writes dropped", self.lost.dropped);
            line("unflushed writes torn", self.lost.torn);
        }
        self.kills.print("kills");
        line("keys compared, present", self.read);
        line("keys compared, absent", self.absent);
        for mend in Mend::ALL {
            let by = |mended: &BTreeMap<Mend, u64>| mended.get(&mend).copied().unwrap_or_default();
            line(&format!("repairs, {}", mend.name()), by(&self.mended) + by(model.mended()));
        }
        line("violations", violations as u64);
    }
}

fn line(name: &str, number: u64) {
    say!("{name:<36}{:>12}", grouped(number));
}

/// Whether this machine could lose its power.
fn could_run(lacks: &[String]) -> String {
    if lacks.is_empty() { "this machine supports it, add --power-loss".to_string() } else { lacks.join(", ") }
}
