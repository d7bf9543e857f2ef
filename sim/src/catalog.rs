//! The simulated catalog: real RocksDB in memory, whose syncs queue with the conductor.
//!
//! One open database serves many runs, one after the other: it must be opened outside of a run, and opening costs as
//! much as dozens of runs. Nothing here loses power yet, so a sync only takes its time.

use crate::conductor::{Conductor, OperationTraits};
use crate::confined::Confined;
use crate::history::Change;
use crate::watch::Watch;
use segment_engine::Result;
use segment_engine::catalog::{Batch, Catalog, Commit, Require, Row, Table, Write};
use segment_engine::ring_state::{RING_KEY, RingRecord};
use segment_engine::rocks::RocksCatalog;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// After so many commits a database is replaced by a new one: it keeps every version in memory.
const COMMITS_MAX: u64 = 20_000;

/// A database that outlives runs.
pub struct Store {
    catalog: RocksCatalog,
    commits: u64,
}

impl Store {
    /// An empty one.
    ///
    /// # Errors
    /// When RocksDB cannot be opened.
    pub fn open() -> Result<Store> {
        Ok(Store { catalog: RocksCatalog::in_memory()?, commits: 0 })
    }

    /// An empty catalog for the next run: the old database with `rows` deleted, or a new one.
    ///
    /// # Errors
    /// When RocksDB refuses.
    pub fn emptied(&mut self, rows: Vec<(Table, Vec<u8>)>, commits: u64) -> Result<()> {
        self.commits += commits + 1;
        if self.commits > COMMITS_MAX {
            *self = Store::open()?;
            return Ok(());
        }
        let deletes = rows.into_iter().map(|(table, key)| Write::Delete { table, key }).collect();
        let Commit::Buffered = self.catalog.commit(deletes, &[])? else {
            unreachable!("a commit without requirements is never refused");
        };
        Ok(())
    }

    /// The catalog, to use without a simulation.
    pub fn catalog(&self) -> &RocksCatalog {
        &self.catalog
    }
}

/// The catalog of one run.
#[derive(Clone)]
pub struct SimCatalog {
    catalog: RocksCatalog,
    conductor: Conductor,
    watch: Watch,
    written: Arc<Confined<Written>>,
}

/// What a run has written.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The rows, once each.
    pub rows: Vec<(Table, Vec<u8>)>,
    /// How many commits.
    pub commits: u64,
    /// The commits, if they are to be kept.
    pub kept: Option<Vec<KeptCommit>>,
}

/// A commit as the engine made it.
#[derive(Clone, Debug)]
pub struct KeptCommit {
    /// What it wrote.
    pub batch: Batch,
    /// Under which conditions.
    pub requires: Vec<Require>,
}

impl SimCatalog {
    /// A catalog on an emptied store. `keep` keeps every batch.
    pub fn new(store: &Store, conductor: Conductor, watch: Watch, keep: bool) -> SimCatalog {
        let written = Written { kept: keep.then(Vec::new), ..Written::default() };
        SimCatalog { catalog: store.catalog.clone(), conductor, watch, written: Arc::new(Confined::new(written)) }
    }

    /// Takes what the run has written.
    pub fn take_written(&self) -> Written {
        std::mem::take(&mut self.written.borrow_mut())
    }
}

impl Catalog for SimCatalog {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.catalog.get(table, key)
    }

    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>> {
        self.catalog.scan(table, prefix, after, limit)
    }

    fn commit(&self, batch: Batch, requires: &[Require]) -> Result<Commit> {
        let mut saved = None;
        let mut changes = Vec::new();
        let mut content = 0;
        {
            let mut written = self.written.borrow_mut();
            written.commits += 1;
            for write in &batch {
                let (table, key) = match write {
                    Write::Put { table, key, value } => {
                        content ^= xxh3_64(value);
                        if (*table, key.as_slice()) == (Table::Ring, RING_KEY) {
                            saved = Some(RingRecord::decode(value, self.watch.limits));
                        }
                        changes.extend(Change::of(*table, key, Some(value)));
                        (*table, key)
                    }
                    Write::Delete { table, key } => {
                        changes.extend(Change::of(*table, key, None));
                        (*table, key)
                    }
                };
                if !written.rows.iter().any(|row| (row.0, &row.1) == (table, key)) {
                    written.rows.push((table, key.clone()));
                }
            }
            if let Some(kept) = &mut written.kept {
                kept.push(KeptCommit { batch: batch.clone(), requires: requires.to_vec() });
            }
        }
        let commit = self.catalog.commit(batch, requires)?;
        if commit == Commit::Buffered {
            self.conductor.changed("CatalogCommit", content, |pulse| {
                self.watch.committed(pulse, &changes);
                match saved {
                    Some(Ok(record)) => self.watch.saved(pulse, record),
                    Some(Err(fault)) => self.watch.undecodable(pulse, fault),
                    None => {}
                }
            });
        } else {
            self.watch.refused(requires);
        }
        Ok(commit)
    }

    async fn sync(&self) -> Result<()> {
        let history = self.watch.history().clone();
        // fixed before it lands: what is committed meanwhile may miss it
        let covers = history.borrow_mut().commits;
        let effect = move |_| {
            let mut history = history.borrow_mut();
            history.durable_commits = history.durable_commits.max(covers);
            Ok(())
        };
        self.conductor.submit("CatalogSync", OperationTraits::default(), effect).await
    }
}
