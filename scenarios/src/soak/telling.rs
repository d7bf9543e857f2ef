//! What the engine does on real files, told.

use crate::observed::Observer;
use crate::soak::contents::key_number;
use crate::soak::wire::{LINE_BYTES_MAX, Place, Ring, Told};
use crate::soak::{child::LIMITS, contents::Content};
use segment_engine::catalog::{Batch, Commit, Table, Write};
use segment_engine::manifest::Manifest;
use segment_engine::ring_state::RingRecord;
use segment_engine::{Point, Result, SegmentId};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Operations of one life: more than any life is long enough for.
const LIFE_OPERATIONS: u64 = 1 << 32;

/// Tells the parent: of creations, full disks and syncs of segments, and of rows, rings and syncs of the catalog, before and
/// after. Clones share one count of operations.
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

impl Observer for Teller {
    fn note(&self, point: Point) {
        match point {
            Point::RECOVERED => self.tell(&Told::Recovered),
            Point::DOOMED_LISTED => self.tell(&Told::Evicting),
            Point::UNLINK_FAILED => self.tell(&Told::Refused("an unlink failed".to_string())),
            _ => {}
        }
    }

    fn create(&self, segment: SegmentId) {
        self.tell(&Told::Creating(segment));
    }

    fn synced_file(&self, segment: SegmentId, is_synced: bool) {
        self.tell(&Told::SyncedBytes { segment, is_synced });
    }

    fn met_full_disk(&self) {
        self.tell(&Told::MetFullDisk);
    }

    fn commit(&self, batch: Batch, commit: impl FnOnce(Batch) -> Result<Commit>) -> Result<Commit> {
        let began = self.begin(&batch);
        // after an error nothing is told: it may have been written
        let commit = commit(batch)?;
        let is_written = commit == Commit::Buffered;
        for began in began {
            match began {
                Began::Row { operation } => self.tell(&Told::Committed { operation, is_written }),
                Began::Save { version } if is_written => self.tell(&Told::Saved { version }),
                Began::Save { .. } => {}
            }
        }
        Ok(commit)
    }

    async fn sync(&self, sync: impl Future<Output = Result<()>> + Send) -> Result<()> {
        let operation = self.operation();
        self.tell(&Told::Syncing { operation });
        // after an error nothing is told: it may have become durable
        sync.await?;
        self.tell(&Told::Synced { operation });
        Ok(())
    }
}

impl Teller {
    /// Tells what a commit is about to write; what there is to tell once it has.
    fn begin(&self, batch: &Batch) -> Vec<Began> {
        let mut began = Vec::new();
        for write in batch {
            match write {
                Write::Put { table: Table::Ring, value, .. } => match RingRecord::decode(value, LIMITS.ring) {
                    Ok(record) => {
                        self.tell(&Told::Saving(told_ring(&record)));
                        began.push(Began::Save { version: record.version });
                    }
                    Err(fault) => self.tell(&Told::Failed(format!("a ring was to be saved that is damaged: {fault}"))),
                },
                Write::Put { table: Table::Manifest, key, value } => match (key_number(key), Manifest::decode(value)) {
                    (Some(key), Ok(manifest)) => {
                        let operation = self.operation();
                        self.tell(&Told::Row { operation, key, place: told_place(&manifest) });
                        began.push(Began::Row { operation });
                    }
                    _ => self.tell(&Told::Failed(format!("a row of {} was to be committed", key.escape_ascii()))),
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
