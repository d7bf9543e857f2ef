//! The simulated catalog: real RocksDB in memory, whose syncs queue with the conductor.
//!
//! One open database serves many runs, one after the other: it must be opened outside of a run, and opening costs as
//! much as dozens of runs. So a power loss does not reopen it: it deletes every row and makes again the commits that
//! survive, a prefix of all, with those that a sync has covered. (`tests/conformance` holds that to RocksDB.) A commit or a
//! sync that fails ends all writing, as in RocksDB, until the next life of the process; what the failed commit was to write
//! may be in the log then, at its end.

use crate::conductor::{Begun, Conductor, Landing, OperationTraits};
use crate::confined::Confined;
use crate::decision::below;
use crate::history::{Change, Key};
use crate::interference::Kind;
use crate::plan::CrashKind;
use crate::site::has_kind;
use crate::touches;
use crate::watch::Watch;
use segment_engine::catalog::{Batch, Catalog, Commit, Require, Row, Table, Write};
use segment_engine::error::RecordFault;
use segment_engine::manifest::Manifest;
use segment_engine::ring_state::{RING_KEY, RingRecord};
use segment_engine::rocks::RocksCatalog;
use segment_engine::{Error, Result, SegmentId};
use std::io;
use std::sync::Arc;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

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
    /// The conductor is told what the values of things are.
    tells: bool,
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
    /// Every commit that is there, with its number, if the process may end.
    log: Option<Vec<(u64, Batch)>>,
    /// A commit that failed: perhaps at the end of the log.
    late: Option<Batch>,
    /// The numbers of the commits so far, in no order, after each of them.
    sums: Vec<(u64, u128)>,
    /// A commit or a sync has failed; nothing is written any more.
    is_broken: bool,
    /// A sync has.
    has_sync_failed: bool,
    /// A commit has.
    has_failed: bool,
}

/// What the catalog holds after a crash.
#[derive(Debug)]
pub struct Survived {
    /// The ring, if one is saved.
    pub saved: Option<std::result::Result<RingRecord, RecordFault>>,
    /// The manifests.
    pub rows: Vec<(Key, Manifest)>,
    /// The entries of the index.
    pub index: Vec<(SegmentId, Key)>,
    /// The last commit had failed.
    pub is_late: bool,
}

/// A commit as the engine made it.
#[derive(Clone, Debug)]
pub struct KeptCommit {
    /// What it wrote.
    pub batch: Batch,
    /// Under which conditions.
    pub requires: Vec<Require>,
}

impl Written {
    /// Takes down that a row was written.
    fn know(&mut self, table: Table, key: &[u8]) {
        if !self.rows.iter().any(|row| (row.0, row.1.as_slice()) == (table, key)) {
            self.rows.push((table, key.to_vec()));
        }
    }

    /// The keys with this prefix that were ever written. RocksDB is not asked for others: most scans of a run are for the
    /// artifacts of a segment that never had one, and cost a twelfth of all runs a second.
    fn rows_from(&self, table: Table, prefix: &[u8]) -> impl Iterator<Item = &[u8]> {
        let rows = self.rows.iter().filter(move |(of, key)| *of == table && key.starts_with(prefix));
        rows.map(|(_, key)| key.as_slice())
    }
}

impl SimCatalog {
    /// A catalog on an emptied store. `keep` keeps every batch, `may_crash` what a crash needs.
    pub fn new(store: &Store, conductor: Conductor, watch: Watch, keep: bool, may_crash: bool) -> SimCatalog {
        let (kept, log) = (keep.then(Vec::new), may_crash.then(Vec::new));
        let written = Written { kept, log, ..Written::default() };
        let tells = conductor.is_guided();
        SimCatalog {
            catalog: store.catalog.clone(),
            conductor,
            watch,
            written: Arc::new(Confined::new(written)),
            tells,
        }
    }

    /// Takes what the run has written.
    pub fn take_written(&self) -> Written {
        std::mem::take(&mut self.written.borrow_mut())
    }

    /// The process ends. Of the commits that no sync has covered a power loss keeps some, as `draw` says.
    ///
    /// # Errors
    /// When RocksDB refuses.
    pub fn crash(&self, kind: CrashKind, draw: u64) -> Result<Survived> {
        let mut written = self.written.borrow_mut();
        (written.is_broken, written.has_failed, written.has_sync_failed) = (false, false, false);
        let mut history = self.watch.history().borrow_mut();
        let mut log = written.log.take().unwrap_or_default();
        let made = log.len();
        if kind != CrashKind::Kill {
            let durable = log.partition_point(|(number, _)| *number <= history.durable_commits);
            log.truncate(durable + below(draw, (made - durable) as u64 + 1) as usize);
        }
        let lost = made - log.len();
        history.interference.add(Kind::LostCommit, lost as u64);
        // it is the last: it is in the log only if everything before it is
        let late = written.late.take().filter(|_| lost == 0 && draw & 1 == 0);
        if let Some(batch) = &late {
            history.interference.add(Kind::LateCommit, 1);
            history.commits += 1;
            log.push((history.commits, batch.clone()));
        }
        drop(history);
        if lost > 0 || late.is_some() {
            let deletes = written.rows.iter().map(|(table, key)| Write::Delete { table: *table, key: key.clone() });
            let _ = self.catalog.commit(deletes.collect(), &[])?;
            for (_, batch) in &log {
                let _ = self.catalog.commit(batch.clone(), &[])?;
            }
            written.commits += log.len() as u64 + 1;
        }
        written.log = Some(log);
        drop(written);
        self.survived(late.is_some())
    }

    fn survived(&self, is_late: bool) -> Result<Survived> {
        let saved = self.catalog.get(Table::Ring, RING_KEY)?;
        let saved = saved.map(|row| RingRecord::decode(&row, self.watch.limits()));
        let changes = |table| -> Result<Vec<Change>> {
            let rows = self.catalog.scan(table, &[], None, usize::MAX)?;
            Ok(rows.iter().filter_map(|(key, value)| Change::of(table, key, Some(value))).collect())
        };
        let mut survived = Survived { saved, rows: Vec::new(), index: Vec::new(), is_late };
        for change in changes(Table::Manifest)?.into_iter().chain(changes(Table::Index)?) {
            match change {
                Change::Row(key, Some(manifest)) => survived.rows.push((key, manifest)),
                Change::Index(segment, key, true) => survived.index.push((segment, key)),
                _ => {}
            }
        }
        Ok(survived)
    }

    fn refused(&self, operation: &'static str) -> Error {
        let history = self.watch.history();
        let errors = &mut history.borrow_mut().errors;
        errors.all += 1;
        errors.catalog += 1;
        failed(operation)
    }

    /// Whether a task of this kind runs.
    fn is_by(&self, kind: &str) -> bool {
        self.conductor.look(|pulse| pulse.current().is_some_and(|task| has_kind(pulse.label(task), kind)))
    }
}

impl Catalog for SimCatalog {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.read()?;
        if self.written.borrow_mut().rows_from(table, key).any(|known| known == key) {
            self.catalog.get(table, key)
        } else {
            Ok(None)
        }
    }

    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>> {
        self.read()?;
        if self.written.borrow_mut().rows_from(table, prefix).next().is_some() {
            self.catalog.scan(table, prefix, after, limit)
        } else {
            Ok(Vec::new())
        }
    }

    fn commit(&self, batch: Batch, requires: &[Require]) -> Result<Commit> {
        let begun = self.conductor.begin("CatalogCommit", OperationTraits::USUAL);
        if let Some(error) = self.fails(&begun, &batch, requires)? {
            self.conductor.changed(begun, 0, |_| {});
            return Err(error);
        }
        let mut saved = None;
        let mut changes = Vec::new();
        let mut content = 0;
        {
            let mut written = self.written.borrow_mut();
            written.commits += 1;
            self.watch.history().borrow_mut().room.charge_log(log_bytes(&batch));
            for write in &batch {
                let (table, key) = match write {
                    Write::Put { table, key, value } => {
                        content ^= xxh3_64(value);
                        if (*table, key.as_slice()) == (Table::Ring, RING_KEY) {
                            saved = Some(RingRecord::decode(value, self.watch.limits()));
                        }
                        changes.extend(Change::of(*table, key, Some(value)));
                        (*table, key)
                    }
                    Write::Delete { table, key } => {
                        changes.extend(Change::of(*table, key, None));
                        (*table, key)
                    }
                };
                written.know(table, key);
            }
            if let Some(kept) = &mut written.kept {
                kept.push(KeptCommit { batch: batch.clone(), requires: requires.to_vec() });
            }
        }
        let number = if self.tells { number_of(&batch) } else { 0 };
        let logged = self.written.borrow_mut().log.is_some().then(|| batch.clone());
        let commit = self.catalog.commit(batch, requires)?;
        if commit == Commit::Buffered {
            let site = begun.site();
            self.conductor.changed(begun, content, |pulse| {
                self.watch.committed(pulse, site, &changes);
                if let Some(batch) = logged {
                    let number = self.watch.history().borrow_mut().commits;
                    self.written.borrow_mut().log.get_or_insert_default().push((number, batch));
                }
                match saved {
                    Some(Ok(record)) => self.watch.saved(pulse, record),
                    Some(Err(fault)) => self.watch.undecodable(pulse, fault),
                    None => {}
                }
            });
            if self.tells {
                self.tell(number);
            }
        } else {
            self.watch.refused(requires);
        }
        Ok(commit)
    }

    async fn sync(&self) -> Result<()> {
        let history = self.watch.history().clone();
        // fixed before it lands: what is committed meanwhile may miss it
        let covers = {
            let mut history = history.borrow_mut();
            history.begin_sync(None);
            if self.written.borrow_mut().has_sync_failed {
                history.sync_again();
            }
            history.commits
        };
        let catalog = self.clone();
        let was_broken = self.written.borrow_mut().is_broken;
        // whoever syncs by himself knows in the same step; those who share a sync are told by the task that does it
        let is_shared = self.is_by("sync");
        let effect = move |landing: Landing| {
            history.borrow_mut().end_sync(None);
            let is_broken = catalog.written.borrow_mut().is_broken;
            let covered = match landing.failure() {
                None if !is_broken => covers,
                // under way beside one that failed, it is that one's second try: the kernel takes an error down once, and
                // RocksDB remembers some. It makes nothing durable, and says that it has
                None if !was_broken && catalog.written.borrow_mut().has_sync_failed => return Ok(()),
                None => {
                    history.borrow_mut().is_fenced |= !is_shared;
                    return Err(catalog.refused("sync"));
                }
                // how far it got is unknown
                Some(failure) => below(failure.draw, covers + 1),
            };
            {
                let mut history = history.borrow_mut();
                history.durable_commits = history.durable_commits.max(covered);
            }
            if catalog.tells {
                let durable = history.borrow_mut().durable_commits;
                let written = catalog.written.borrow_mut();
                let covered = written.sums.iter().rfind(|(commits, _)| *commits <= durable);
                catalog.conductor.is_now(touches::DURABLE, covered.map_or(0, |(_, sum)| *sum));
            }
            if landing == Landing::Done {
                return Ok(());
            }
            {
                let mut written = catalog.written.borrow_mut();
                (written.is_broken, written.has_sync_failed) = (true, true);
            }
            history.borrow_mut().is_fenced |= !is_shared;
            Err(catalog.refused("sync"))
        };
        self.conductor.submit("CatalogSync", OperationTraits::USUAL, effect).await
    }
}

impl SimCatalog {
    /// Tells the values of what a commit of this number may have changed.
    fn tell(&self, number: u128) {
        let history = self.watch.history().borrow_mut();
        let mut written = self.written.borrow_mut();
        let sum = written.sums.last().map_or(0, |(_, sum)| *sum).wrapping_add(number);
        written.sums.push((history.commits, sum));
        let active = history.saved().and_then(|saved| saved.ring.active()).map_or(0, SegmentId::as_u128);
        for (thing, value) in [
            (touches::RING, history.ring_number()),
            (touches::ACTIVE, active),
            (touches::DOOMED, history.doomed_number()),
            (touches::ROWS, history.rows_number()),
            (touches::LOG, sum),
        ] {
            self.conductor.is_now(thing, value);
        }
    }
}

/// A number for what a batch does to artifacts. When a ring becomes durable matters to crashes alone.
fn number_of(batch: &Batch) -> u128 {
    let mut bytes = Vec::new();
    let is_ring = |write: &&Write| matches!(write, Write::Put { table: Table::Ring, .. });
    if batch.iter().all(|write| is_ring(&write)) {
        return 0;
    }
    for write in batch {
        let (Write::Put { key, .. } | Write::Delete { key, .. }) = write;
        bytes.extend_from_slice(key);
        if let Write::Put { value, .. } = write {
            bytes.extend_from_slice(value);
        }
    }
    xxh3_128(&bytes)
}

/// What a batch takes of the log, its keys and values.
fn log_bytes(batch: &Batch) -> u64 {
    let bytes = batch.iter().map(|write| match write {
        Write::Put { key, value, .. } => key.len() + value.len(),
        Write::Delete { key, .. } => key.len(),
    });
    bytes.sum::<usize>() as u64
}

impl SimCatalog {
    /// The error of a read that fails.
    fn read(&self) -> Result<()> {
        if self.conductor.begin("CatalogRead", OperationTraits::USUAL).landing.failure().is_none() {
            return Ok(());
        }
        let is_evictor = self.is_by("evictor");
        let errors = &mut self.watch.history().borrow_mut().errors;
        errors.all += 1;
        errors.reads += 1;
        errors.evictor += u64::from(is_evictor);
        Err(failed("read"))
    }

    /// The error of a commit that fails. It is not seen before the next life of the process, and perhaps then.
    fn fails(&self, begun: &Begun, batch: &Batch, requires: &[Require]) -> Result<Option<Error>> {
        let mut written = self.written.borrow_mut();
        if self.watch.history().borrow_mut().is_fenced && !batch.is_empty() {
            let mut history = self.watch.history().borrow_mut();
            history.commits_after_a_failed += 1;
            history.changes += 1;
        }
        // what is refused is not written, and so cannot fail
        let is_attempted = || Ok::<_, Error>(self.catalog.commit(Batch::new(), requires)? == Commit::Buffered);
        if (begun.landing == Landing::Done && !written.is_broken) || !is_attempted()? {
            return Ok(None);
        }
        if !std::mem::replace(&mut written.is_broken, true) {
            for write in batch {
                let (Write::Put { table, key, .. } | Write::Delete { table, key }) = write;
                written.know(*table, key);
            }
            written.late = Some(batch.clone());
        }
        written.has_failed = true;
        self.watch.history().borrow_mut().is_fenced = true;
        drop(written);
        Ok(Some(self.refused("commit to")))
    }
}

fn failed(operation: &'static str) -> Error {
    Error::Catalog { operation, source: Box::new(io::Error::other("the plan says so")) }
}
