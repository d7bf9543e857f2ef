//! The catalog on RocksDB: the one file that names it.
//!
//! Every commit goes to the write-ahead log before it returns and is synced by [`Catalog::sync`] alone. Compression is
//! off: rows are small and the library is built without codecs.

use crate::catalog::{Batch, Catalog, Commit, Require, Row, Table, Write};
use crate::error::{Error, Result};
use crate::ring_state::is_saved_member;
use rocksdb::{
    ColumnFamily, DB, DBPinnableSlice, Direction, Env, IteratorMode, Options, PrefixRange, ReadOptions, WriteBatch,
    WriteOptions,
};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A write buffer so large that a database in memory never flushes in the background.
const MEMORY_WRITE_BUFFER_BYTES: usize = 1 << 30;

/// From this size on of the write-ahead log the tables that keep it are flushed. It is kept from the oldest row on that is in
/// no table file yet, and the small tables hardly ever fill one: without a bound it would grow to gigabytes.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// RocksDB's own logs that are kept: a new one begins with each open, and when one is full.
const INFO_LOGS_KEPT: usize = 8;

/// When one is: it grows by some kB with each flush, and each ten minutes without one.
const INFO_LOG_BYTES_MAX: usize = 4 << 20;

/// The catalog of one node in RocksDB. Clones share one database.
#[derive(Clone)]
pub struct RocksCatalog {
    store: Arc<Store>,
}

struct Store {
    database: DB,
    /// Held from the check of a commit's requirements to its write.
    commit: Mutex<()>,
    /// Held while the log is synced; whether that has ever failed. RocksDB does not remember each failure.
    sync: Mutex<bool>,
    // an Env must outlive its database, and the lock of the directory both: fields drop in order
    _env: Option<Env>,
    _lock: Option<Arc<File>>,
}

impl Store {
    /// Syncs the log, unless that has failed before: a second try could succeed with nothing made durable. One at a time,
    /// whoever asks, an open that was given up with them.
    fn sync(&self) -> Result<()> {
        let mut has_failed = self.sync.lock().unwrap_or_else(PoisonError::into_inner);
        if *has_failed {
            let source = io::Error::other("a sync before this one failed; open it again").into();
            return Err(Error::Catalog { operation: "sync", source });
        }
        let synced = self.database.flush_wal(true).map_err(failed("sync"));
        *has_failed = synced.is_err();
        synced
    }
}

impl RocksCatalog {
    /// Opens or creates the catalog in `directory`.
    ///
    /// # Errors
    /// [`Error::Catalog`] when RocksDB refuses.
    pub fn open(directory: &Path) -> Result<RocksCatalog> {
        RocksCatalog::open_with(&mut on_disk()?, directory, None, None)
    }

    /// The same, holding `lock` until the database is closed, whatever is still under way then.
    ///
    /// # Errors
    /// [`Error::Catalog`] when RocksDB refuses.
    pub fn open_locked(directory: &Path, lock: Arc<File>) -> Result<RocksCatalog> {
        RocksCatalog::open_with(&mut on_disk()?, directory, None, Some(lock))
    }

    /// A new, empty catalog in memory.
    ///
    /// # Errors
    /// [`Error::Catalog`] when RocksDB refuses.
    pub fn in_memory() -> Result<RocksCatalog> {
        let env = Env::mem_env().map_err(failed("open"))?;
        let mut options = Options::default();
        options.set_env(&env);
        options.set_write_buffer_size(MEMORY_WRITE_BUFFER_BYTES);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        // nothing is ever compacted: a scan seeks past the old versions of a row, which are many, at once
        options.set_max_sequential_skip_in_iterations(0);
        RocksCatalog::open_with(&mut options, Path::new("/catalog"), Some(env), None)
    }

    fn open_with(
        options: &mut Options,
        directory: &Path,
        env: Option<Env>,
        lock: Option<Arc<File>>,
    ) -> Result<RocksCatalog> {
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_keep_log_file_num(INFO_LOGS_KEPT);
        options.set_max_log_file_size(INFO_LOG_BYTES_MAX);
        let families = Table::ALL.map(|table| (table.name(), options.clone()));
        let database = DB::open_cf_with_opts(options, directory, families).map_err(failed("open"))?;
        Ok(RocksCatalog {
            store: Arc::new(Store {
                database,
                commit: Mutex::default(),
                sync: Mutex::default(),
                _env: env,
                _lock: lock,
            }),
        })
    }

    fn family(&self, table: Table) -> &ColumnFamily {
        self.store.database.cf_handle(table.name()).expect("every table's family is opened with the database")
    }

    fn holds(&self, require: &Require) -> Result<bool> {
        Ok(match require {
            Require::RowAbsent { table, key } => self.row(*table, key)?.is_none(),
            Require::RowIs { table, key, value } => self.row(*table, key)?.as_deref() == Some(value),
            Require::InRing { segment } => is_saved_member(*segment, |table, key| self.row(table, key))?,
        })
    }

    /// A row where RocksDB has it: that of the ring is long, and each put looks at it.
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>> {
        self.store.database.get_pinned_cf(self.family(table), key).map_err(failed("read"))
    }
}

fn on_disk() -> Result<Options> {
    let mut options = Options::default();
    options.set_max_total_wal_size(LOG_BYTES_MAX);
    // by default each log claims LOG_BYTES_MAX when it begins, and where less is free, all of it: segments would go for
    // room that nothing is ever written to
    options.get_options_from_string("allow_fallocate=false").map_err(failed("open"))
}

impl Catalog for RocksCatalog {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.row(table, key)?.map(|row| row.to_vec()))
    }

    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>> {
        let from = IteratorMode::From(after.unwrap_or(prefix), Direction::Forward);
        // without the bound it would look for the next row of another prefix, through all that was deleted there
        let mut options = ReadOptions::default();
        options.set_iterate_range(PrefixRange(prefix));
        let rows = self.store.database.iterator_cf_opt(self.family(table), options, from);
        let is_new =
            |row: &std::result::Result<(Box<[u8]>, _), _>| row.as_ref().map_or(true, |(key, _)| after != Some(key));
        let page =
            rows.filter(is_new).take(limit).map(|row| row.map(|(key, value)| (key.into_vec(), value.into_vec())));
        page.collect::<std::result::Result<_, _>>().map_err(failed("read"))
    }

    fn commit(&self, batch: Batch, requires: &[Require]) -> Result<Commit> {
        // the lock guards no memory, only the order of check and write: a panicked holder leaves nothing half done
        let _commit = self.store.commit.lock().unwrap_or_else(PoisonError::into_inner);
        for require in requires {
            if !self.holds(require)? {
                return Ok(Commit::Refused);
            }
        }
        let mut writes = WriteBatch::default();
        for write in &batch {
            match write {
                Write::Put { table, key, value } => writes.put_cf(self.family(*table), key, value),
                Write::Delete { table, key } => writes.delete_cf(self.family(*table), key),
            }
        }
        // one record of the write-ahead log, with its checksum: torn, the whole batch is dropped at the next open.
        // Trusted next: that it is visible; that it is durable only after sync.
        self.store.database.write_opt(writes, &WriteOptions::default()).map_err(failed("commit to"))?;
        Ok(Commit::Buffered)
    }

    async fn sync(&self) -> Result<()> {
        let store = self.store.clone();
        #[allow(clippy::disallowed_methods, reason = "the production catalog; a simulated one has a sync of its own")]
        // trusted next: every commit that returned before this call survives a power loss
        let synced = tokio::task::spawn_blocking(move || store.sync());
        synced.await.map_err(|_| Error::Closed)?
    }
}

fn failed(operation: &'static str) -> impl Fn(rocksdb::Error) -> Error {
    move |source| Error::Catalog { operation, source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn put(key: &str, value: &str) -> Write {
        Write::Put { table: Table::Store, key: key.into(), value: value.into() }
    }

    #[test]
    fn commit_whose_requirement_fails_writes_nothing() {
        let catalog = RocksCatalog::in_memory().unwrap();
        let absent = [Require::RowAbsent { table: Table::Store, key: "a".into() }];
        assert_eq!(catalog.commit(vec![put("a", "1")], &absent).unwrap(), Commit::Buffered);
        assert_eq!(catalog.commit(vec![put("a", "2"), put("b", "2")], &absent).unwrap(), Commit::Refused);
        let is = |value: &str| [Require::RowIs { table: Table::Store, key: "a".into(), value: value.into() }];
        assert_eq!(catalog.commit(vec![put("a", "3")], &is("2")).unwrap(), Commit::Refused);
        assert_eq!(catalog.get(Table::Store, b"a").unwrap(), Some(b"1".to_vec()));
        assert_eq!(catalog.get(Table::Store, b"b").unwrap(), None);
        assert_eq!(catalog.commit(vec![put("a", "3")], &is("1")).unwrap(), Commit::Buffered);
        assert_eq!(catalog.get(Table::Store, b"a").unwrap(), Some(b"3".to_vec()));
        assert_eq!(catalog.get(Table::Ring, b"a").unwrap(), None);
    }

    #[test]
    fn of_commits_on_the_same_row_each_sees_the_one_before_it_on_real_threads() {
        const THREADS: usize = 8;
        const TRIES: usize = 2000;
        let catalog = RocksCatalog::in_memory().unwrap();
        assert_eq!(catalog.commit(vec![put("count", "0")], &[]).unwrap(), Commit::Buffered);
        let count = |catalog: &RocksCatalog| -> usize {
            String::from_utf8(catalog.get(Table::Store, b"count").unwrap().unwrap()).unwrap().parse().unwrap()
        };
        let add_one = || {
            let value = count(&catalog);
            let is = Require::RowIs { table: Table::Store, key: "count".into(), value: value.to_string().into() };
            let added = catalog.commit(vec![put("count", &(value + 1).to_string())], &[is]).unwrap();
            usize::from(added == Commit::Buffered)
        };
        let added: usize = std::thread::scope(|scope| {
            let threads = [(); THREADS].map(|()| scope.spawn(|| (0..TRIES).map(|_| add_one()).sum::<usize>()));
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(count(&catalog), added);
        assert!(added >= TRIES, "one of them gets on at any time");
    }

    #[test]
    fn scan_pages_through_the_rows_of_a_prefix_in_order() {
        let catalog = RocksCatalog::in_memory().unwrap();
        let rows = ["a1", "a2", "a3", "b1"].map(|key| put(key, key)).to_vec();
        assert_eq!(catalog.commit(rows, &[]).unwrap(), Commit::Buffered);
        let keys = |prefix: &str, after: Option<&str>, limit| {
            let rows = catalog.scan(Table::Store, prefix.as_bytes(), after.map(str::as_bytes), limit).unwrap();
            rows.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(keys("a", None, 2), ["a1", "a2"]);
        assert_eq!(keys("a", Some("a2"), 2), ["a3"]);
        assert_eq!(keys("a", Some("a3"), 2), [""; 0]);
        assert_eq!(keys("a", None, 9), ["a1", "a2", "a3"]);
    }

    #[tokio::test]
    async fn synced_commits_are_there_after_a_reopen() {
        let directory = tempfile::tempdir().unwrap();
        let catalog = RocksCatalog::open(directory.path()).unwrap();
        assert_eq!(catalog.commit(vec![put("a", "1")], &[]).unwrap(), Commit::Buffered);
        let delete = Write::Delete { table: Table::Store, key: "b".into() };
        assert_eq!(catalog.commit(vec![put("b", "1")], &[]).unwrap(), Commit::Buffered);
        assert_eq!(catalog.commit(vec![delete], &[]).unwrap(), Commit::Buffered);
        catalog.sync().await.unwrap();
        drop(catalog);
        let catalog = RocksCatalog::open(directory.path()).unwrap();
        assert_eq!(catalog.get(Table::Store, b"a").unwrap(), Some(b"1".to_vec()));
        assert_eq!(catalog.get(Table::Store, b"b").unwrap(), None);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "looks at real files")]
    fn the_log_takes_no_room_before_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let catalog = RocksCatalog::open(directory.path()).unwrap();
        assert_eq!(catalog.commit(vec![put("a", "1")], &[]).unwrap(), Commit::Buffered);
        let files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
        let bytes: u64 = files.map(|file| 512 * file.blocks()).sum();
        assert!(bytes < 1 << 20, "{bytes} bytes for a row");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "looks at real files")]
    fn a_row_that_is_never_flushed_does_not_keep_the_whole_log() {
        let directory = tempfile::tempdir().unwrap();
        let catalog = RocksCatalog::open(directory.path()).unwrap();
        let write = |table, key: Vec<u8>, value| vec![Write::Put { table, key, value }];
        assert_eq!(catalog.commit(write(Table::Ring, b"ring".to_vec(), vec![1]), &[]).unwrap(), Commit::Buffered);
        for number in 0..300u16 {
            let row = write(Table::Manifest, number.to_be_bytes().to_vec(), vec![7; 1 << 20]);
            assert_eq!(catalog.commit(row, &[]).unwrap(), Commit::Buffered);
        }
        let files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap());
        let logs = files.filter(|file| file.path().extension().is_some_and(|ending| ending == "log"));
        // one may be deleted meanwhile
        let bytes: u64 = logs.filter_map(|log| log.metadata().ok()).map(|log| log.len()).sum();
        assert!(bytes < 4 * LOG_BYTES_MAX, "{bytes} bytes of log");
    }
}
