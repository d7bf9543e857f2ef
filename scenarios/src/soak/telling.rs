//! The production surroundings, and what happens in them is told: a wrapper, so that the engine needs no hooks.

use crate::soak::contents::key_number;
use crate::soak::wire::{LINE_BYTES_MAX, Place, Ring, Told};
use crate::soak::{child::LIMITS, contents::Content};
use bytes::Bytes;
use segment_engine::catalog::{Batch, Catalog, Commit, Require, Row, Table, Write};
use segment_engine::disk::{Disk, ShortWrite};
use segment_engine::local::LocalDisk;
use segment_engine::manifest::Manifest;
use segment_engine::ring_state::RingRecord;
use segment_engine::rocks::RocksCatalog;
use segment_engine::{Env, LocalEnv, Point, Result, SegmentId};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Operations of one life: more than any life is long enough for.
const LIFE_OPERATIONS: u64 = 1 << 32;

/// Tells the parent. Clones share one count of operations.
#[derive(Clone)]
pub struct Teller {
    next: Arc<AtomicU64>,
}

impl Teller {
    /// Of this life; the first is 1.
    pub fn new(life: u32) -> Teller {
        Teller { next: Arc::new(AtomicU64::new(u64::from(life) * LIFE_OPERATIONS)) }
    }

    /// A number that no other operation of any life has.
    pub fn operation(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells one line, at once. Without a parent there is nothing to live for.
    pub fn tell(&self, told: &Told) {
        let mut line = told.to_string().into_bytes();
        line.truncate(LINE_BYTES_MAX - 1);
        line.push(b'\n');
        loop {
            match rustix::io::write(std::io::stdout(), &line) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(written) if written == line.len() => return,
                _ => {
                    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                    std::process::abort();
                }
            }
        }
    }
}

/// [`LocalEnv`], told.
#[derive(Clone)]
pub struct TellingEnv {
    inner: LocalEnv,
    disk: TellingDisk,
    catalog: TellingCatalog,
    teller: Teller,
}

/// Its disk: tells of creations.
#[derive(Clone)]
pub struct TellingDisk {
    inner: LocalDisk,
    teller: Teller,
}

/// Its catalog: tells of rows, rings and syncs, before and after.
#[derive(Clone)]
pub struct TellingCatalog {
    inner: RocksCatalog,
    teller: Teller,
}

impl TellingEnv {
    /// Tells what happens in `inner` from now on.
    pub fn new(inner: LocalEnv, teller: Teller) -> TellingEnv {
        let disk = TellingDisk { inner: inner.disk().clone(), teller: teller.clone() };
        let catalog = TellingCatalog { inner: inner.catalog().clone(), teller: teller.clone() };
        TellingEnv { inner, disk, catalog, teller }
    }
}

/// A saved ring in the words of the wire.
pub fn told_ring(record: &RingRecord) -> Ring {
    Ring {
        version: record.version,
        base: record.base,
        members: record.ring.members().iter().map(|member| member.segment).collect(),
        doomed: record.ring.doomed().iter().map(|doomed| doomed.segment).collect(),
    }
}

/// A manifest in the words of the wire.
pub fn told_place(manifest: &Manifest) -> Place {
    let Manifest { segment, length, checksum, .. } = *manifest;
    Place { segment, content: Content { number: None, length, checksum } }
}

impl Env for TellingEnv {
    type Disk = TellingDisk;
    type Catalog = TellingCatalog;

    fn disk(&self) -> &TellingDisk {
        &self.disk
    }

    fn catalog(&self) -> &TellingCatalog {
        &self.catalog
    }

    fn segment_id(&self) -> SegmentId {
        self.inner.segment_id()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        self.inner.sleep(duration)
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.spawn(name, task);
    }

    fn reach(&self, point: Point) -> impl Future<Output = ()> + Send {
        self.inner.reach(point)
    }

    fn note(&self, point: Point) {
        match point {
            Point::RECOVERED => self.teller.tell(&Told::Recovered),
            Point::DOOMED_LISTED => self.teller.tell(&Told::Evicting),
            Point::UNLINK_FAILED => self.teller.tell(&Told::Failed("an unlink failed".to_string())),
            _ => {}
        }
    }
}

impl Disk for TellingDisk {
    fn create(&self, segment: SegmentId) -> impl Future<Output = Result<()>> + Send {
        self.teller.tell(&Told::Creating(segment));
        self.inner.create(segment)
    }

    fn sync_directory(&self) -> impl Future<Output = Result<()>> + Send {
        self.inner.sync_directory()
    }

    fn write_at(
        &self,
        segment: SegmentId,
        offset: u64,
        bytes: Bytes,
    ) -> impl Future<Output = std::result::Result<(), ShortWrite>> + Send {
        self.inner.write_at(segment, offset, bytes)
    }

    fn read_at(&self, segment: SegmentId, offset: u64, length: usize) -> impl Future<Output = Result<Bytes>> + Send {
        self.inner.read_at(segment, offset, length)
    }

    fn len(&self, segment: SegmentId) -> impl Future<Output = Result<u64>> + Send {
        self.inner.len(segment)
    }

    fn gather(&self, segment: SegmentId) -> impl Future<Output = ()> + Send {
        self.inner.gather(segment)
    }

    fn sync_file(&self, segment: SegmentId) -> impl Future<Output = Result<()>> + Send {
        self.inner.sync_file(segment)
    }

    fn free_bytes(&self) -> impl Future<Output = Result<u64>> + Send {
        self.inner.free_bytes()
    }

    fn unlink(&self, segment: SegmentId) -> impl Future<Output = Result<()>> + Send {
        self.inner.unlink(segment)
    }

    fn list(&self) -> impl Future<Output = Result<Vec<SegmentId>>> + Send {
        self.inner.list()
    }
}

impl TellingCatalog {
    /// Tells what a commit is about to write; what there is to tell once it has.
    fn begin(&self, batch: &Batch) -> Vec<Began> {
        let mut began = Vec::new();
        for write in batch {
            match write {
                Write::Put { table: Table::Ring, value, .. } => match RingRecord::decode(value, LIMITS.ring) {
                    Ok(record) => {
                        self.teller.tell(&Told::Saving(told_ring(&record)));
                        began.push(Began::Save { version: record.version });
                    }
                    Err(fault) => {
                        self.teller.tell(&Told::Failed(format!("a ring was to be saved that is damaged: {fault}")))
                    }
                },
                Write::Put { table: Table::Manifest, key, value } => match (key_number(key), Manifest::decode(value)) {
                    (Some(key), Ok(manifest)) => {
                        let operation = self.teller.operation();
                        self.teller.tell(&Told::Row { operation, key, place: told_place(&manifest) });
                        began.push(Began::Row { operation });
                    }
                    _ => {
                        self.teller.tell(&Told::Failed(format!("a row of {} was to be committed", key.escape_ascii())))
                    }
                },
                _ => {}
            }
        }
        began
    }
}

/// A write that was told and has not returned.
enum Began {
    Save { version: u64 },
    Row { operation: u64 },
}

impl Catalog for TellingCatalog {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.inner.get(table, key)
    }

    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>> {
        self.inner.scan(table, prefix, after, limit)
    }

    fn commit(&self, batch: Batch, requires: &[Require]) -> Result<Commit> {
        let began = self.begin(&batch);
        // after an error nothing is told: it may have been written
        let commit = self.inner.commit(batch, requires)?;
        let is_written = commit == Commit::Buffered;
        for began in began {
            match began {
                Began::Row { operation } => self.teller.tell(&Told::Committed { operation, is_written }),
                Began::Save { version } if is_written => self.teller.tell(&Told::Saved { version }),
                Began::Save { .. } => {}
            }
        }
        Ok(commit)
    }

    async fn sync(&self) -> Result<()> {
        let operation = self.teller.operation();
        self.teller.tell(&Told::Syncing { operation });
        // after an error nothing is told: it may have become durable
        self.inner.sync().await?;
        self.teller.tell(&Told::Synced { operation });
        Ok(())
    }
}
