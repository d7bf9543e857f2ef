//! What a power loss leaves of the catalog, on RocksDB itself: a directory is copied while it is open, so that nothing is
//! flushed, and the copy's write-ahead log is damaged.
#![allow(clippy::disallowed_methods, reason = "the files of a real database are what these tests damage")]

use crate::catalog::Rows;
use crate::surroundings::block_on;
use segment_engine::catalog::{Batch, Catalog, Commit, Table, Write};
use segment_engine::rocks::RocksCatalog;
use segment_sim::decision::Decisions;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use tempfile::TempDir;

/// Commits of a life.
const COMMITS: u64 = 30;

/// The longest value. So long that the log of a life has several blocks, and commits across their ends.
const VALUE_BYTES_MAX: u64 = 3_000;

/// RocksDB reads its log in blocks of so many bytes.
const BLOCK_BYTES: usize = 32 << 10;

/// Lives that are looked at at once: what they do most is to wait for the disk.
const LIVES_AT_ONCE: u64 = 16;

/// A catalog from its open to a moment at which it has made its commits and is still open.
struct Life {
    directory: TempDir,
    decisions: Decisions,
    /// The rows after each number of commits.
    states: Vec<Rows>,
    /// The length of the log after each number of commits.
    ends: Vec<usize>,
    /// How many commits the last sync covers.
    synced: usize,
    catalog: RocksCatalog,
}

impl Life {
    /// Opens the catalog in a directory.
    fn begin(directory: TempDir, seed: u64) -> Life {
        let catalog = RocksCatalog::open(directory.path()).unwrap();
        let (states, ends) = (vec![Rows::of(&catalog)], vec![log_of(directory.path()).1.len()]);
        Life { directory, decisions: Decisions::new(seed, "power-loss"), states, ends, synced: 0, catalog }
    }

    /// The life of a seed, in a new directory.
    fn of_seed(seed: u64) -> Life {
        let mut life = Life::begin(tempfile::tempdir().unwrap(), seed);
        life.live();
        life
    }

    /// Makes the commits of the seed, with a sync after one of them.
    fn live(&mut self) {
        let sync_after = self.decisions.between("synced", 1, COMMITS - 1);
        for number in 1..=COMMITS {
            self.commit(batch(&self.decisions, number));
            if number == sync_after {
                self.sync();
            }
        }
    }

    fn commit(&mut self, batch: Batch) {
        let mut rows = self.states.last().expect("never empty").clone();
        rows.apply(&batch);
        self.states.push(rows);
        assert_eq!(self.catalog.commit(batch, &[]).unwrap(), Commit::Buffered);
        self.ends.push(log_of(self.directory.path()).1.len());
    }

    fn sync(&mut self) {
        block_on(self.catalog.sync()).unwrap();
        self.synced = self.ends.len() - 1;
    }

    /// The power goes: a copy of the directory, with this done to its log.
    fn lose_power(&self, damage: impl FnOnce(&mut Vec<u8>)) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(self.directory.path()).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
        let (path, mut log) = log_of(copy.path());
        damage(&mut log);
        fs::write(path, log).unwrap();
        copy
    }

    /// The same, with the log cut off here.
    fn lose_power_at(&self, cut: usize) -> TempDir {
        self.lose_power(|log| log.truncate(cut))
    }

    /// The `number`-th place in the log, from `first` to its end.
    fn place(&self, number: u64, first: usize) -> usize {
        self.decisions.between_of("place", number, first as u64, self.end() as u64) as usize
    }

    /// Where what is synced ends.
    fn synced_end(&self) -> usize {
        self.ends[self.synced]
    }

    fn end(&self) -> usize {
        *self.ends.last().expect("never empty")
    }

    /// How many commits end before this place, or there.
    fn whole_before(&self, place: usize) -> usize {
        self.ends[1..].partition_point(|end| *end <= place)
    }

    /// Whether a directory has the rows of after so many commits.
    fn assert_survivors(&self, left: &TempDir, survivors: usize, damage: &str) {
        let catalog = RocksCatalog::open(left.path()).unwrap();
        assert_eq!(Rows::of(&catalog), self.states[survivors], "{damage}, {survivors} of {:?}", self.ends);
    }
}

/// The one log of a directory: where it is and what is in it.
fn log_of(directory: &Path) -> (PathBuf, Vec<u8>) {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let logs: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|is| is == "log")).collect();
    let [log] = logs.try_into().expect("one log");
    let bytes = fs::read(&log).unwrap();
    (log, bytes)
}

/// Writes of one commit. The last puts a value that no other commit puts, so no two states are equal.
fn batch(decisions: &Decisions, commit: u64) -> Batch {
    let last = decisions.between_of("writes", commit, 0, 3);
    let write = |write: u64| {
        let number = commit * 4 + write;
        let drawn = |name, low, high| decisions.between_of(name, number, low, high);
        let (table, key) = (Table::ALL[drawn("table", 0, 3) as usize], vec![drawn("key", 0, 3) as u8]);
        if write < last && drawn("is a delete", 0, 2) == 0 {
            return Write::Delete { table, key };
        }
        Write::Put { table, key, value: vec![number as u8; drawn("bytes", 1, VALUE_BYTES_MAX) as usize] }
    };
    (0..=last).map(write).collect()
}

/// Asks a claim of the life of each of so many seeds.
fn for_each_seed(seeds: u64, claim: impl Fn(u64) + Sync) {
    let claim = &claim;
    let share = |first: u64| move || (first..seeds).step_by(LIVES_AT_ONCE as usize).for_each(claim);
    thread::scope(|scope| (0..LIVES_AT_ONCE).for_each(|first| drop(scope.spawn(share(first)))));
}

#[test]
fn a_killed_process_loses_no_commit() {
    for_each_seed(8, |seed| {
        let life = Life::of_seed(seed);
        life.assert_survivors(&life.lose_power(|_| ()), COMMITS as usize, "no damage");
    });
}

#[test]
fn commits_that_survive_a_power_loss_are_a_prefix_with_all_that_was_synced() {
    for_each_seed(32, |seed| {
        let life = Life::of_seed(seed);
        for number in 0..10 {
            let cut = life.place(number, life.synced_end());
            let survivors = life.whole_before(cut);
            assert!(survivors >= life.synced);
            life.assert_survivors(&life.lose_power_at(cut), survivors, &format!("seed {seed}, cut at {cut}"));
        }
    });
}

#[test]
fn a_log_that_lost_even_synced_bytes_opens_with_a_prefix() {
    for_each_seed(8, |seed| {
        let life = Life::of_seed(seed);
        let cuts = [0, 1, life.ends[1] - 1, life.ends[1]].into_iter().chain((0..4).map(|number| life.place(number, 0)));
        for cut in cuts {
            let left = life.lose_power_at(cut);
            life.assert_survivors(&left, life.whole_before(cut), &format!("seed {seed}, cut at {cut}"));
        }
    });
}

#[test]
fn power_losses_one_after_the_other_each_leave_a_prefix() {
    for_each_seed(8, |seed| {
        let mut life = Life::of_seed(seed);
        for number in 1..5 {
            let cut = life.place(number, life.synced_end());
            let survivors = life.whole_before(cut);
            let mut next = Life::begin(life.lose_power_at(cut), seed * 100 + number);
            assert_eq!(next.states[0], life.states[survivors], "seed {seed}, cut {number} at {cut}");
            next.live();
            life = next;
        }
    });
}

#[test]
fn what_an_open_has_recovered_needs_no_sync() {
    for_each_seed(8, |seed| {
        let life = Life::of_seed(seed);
        let next = Life::begin(life.lose_power(|_| ()), seed);
        assert_eq!(next.states[0], life.states[COMMITS as usize]);
        next.assert_survivors(&next.lose_power_at(0), 0, "the whole log lost");
    });
}

#[test]
fn damaged_bytes_behind_what_was_synced_end_the_prefix() {
    for_each_seed(16, |seed| {
        let life = Life::of_seed(seed);
        for number in 0..4 {
            let flips = [0, 1, 2].map(|flip| life.place(number * 3 + flip, life.synced_end()).min(life.end() - 1));
            let left = life.lose_power(|log| flips.iter().for_each(|at| log[*at] ^= 0x55));
            let survivors = life.whole_before(*flips.iter().min().expect("three"));
            assert!(survivors >= life.synced);
            life.assert_survivors(&left, survivors, &format!("seed {seed}, flips at {flips:?}"));
        }
    });
}

/// The limit of the claims above. RocksDB takes a header of zeros for room that was set aside and goes on with the next
/// block, so where a later page of the log got to the disk and an earlier one did not, it may recover what is no prefix.
#[test]
fn a_page_lost_in_the_middle_of_the_unsynced_log_can_take_a_commit_and_leave_a_later_one() {
    let put = |key, bytes| vec![Write::Put { table: Table::Store, key: vec![key], value: vec![key; bytes] }];
    let mut life = Life::begin(tempfile::tempdir().unwrap(), 0);
    // both need two bytes to say how long they are
    let first = BLOCK_BYTES / 2 - 34;
    life.commit(put(1, first));
    life.sync();
    let overhead = life.end() - first;
    life.commit(put(2, BLOCK_BYTES - life.end() - overhead));
    assert_eq!(life.end(), BLOCK_BYTES);
    life.commit(put(3, 1));
    let left = life.lose_power(|log| log[life.synced_end()..BLOCK_BYTES].fill(0));
    let catalog = RocksCatalog::open(left.path()).unwrap();
    let is_there = |key| catalog.get(Table::Store, &[key]).unwrap().is_some();
    assert_eq!([1, 2, 3].map(is_there), [true, false, true]);
}
