//! The simulated segment directory: operations queue with the conductor and land when a step says so.
//!
//! Durability is not modelled yet: nothing here loses power.

use crate::conductor::{Conductor, Landing, OperationTraits};
use crate::confined::Confined;
use crate::history::History;
use bytes::Bytes;
use segment_engine::disk::Disk;
use segment_engine::{Error, Result, SegmentId};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A directory of one run.
#[derive(Clone)]
pub struct SimDisk {
    conductor: Conductor,
    history: Arc<Confined<History>>,
}

impl SimDisk {
    /// A directory whose files are those of `history`.
    pub fn new(conductor: Conductor, history: Arc<Confined<History>>) -> SimDisk {
        SimDisk { conductor, history }
    }
}

impl Disk for SimDisk {
    async fn create(&self, segment: SegmentId) -> Result<()> {
        let (history, creator) = (self.history.clone(), self.conductor.current());
        let effect = move |_| {
            let mut history = history.borrow_mut();
            history.changes += 1;
            if let Some(creator) = creator {
                history.answerable.insert(segment, creator);
            }
            if history.files.insert(segment) {
                Ok(())
            } else {
                Err(failed("create", segment, io::ErrorKind::AlreadyExists.into()))
            }
        };
        self.conductor.submit("DiskCreate", OperationTraits::default(), effect).await
    }

    async fn sync_directory(&self) -> Result<()> {
        self.conductor.submit("DiskSyncDirectory", OperationTraits::default(), |_| Ok(())).await
    }

    async fn write_at(&self, segment: SegmentId, offset: u64, bytes: Bytes) -> Result<()> {
        let (history, conductor, writer) = (self.history.clone(), self.conductor.clone(), self.conductor.current());
        let effect = move |landing| {
            let is_late = writer.is_some_and(|writer| conductor.look(|pulse| !pulse.is_alive(writer)));
            let mut history = history.borrow_mut();
            if !history.files.contains(segment) {
                history.puts_too_late += 1;
                return Err(lost("write", segment));
            }
            if landing != Landing::Done || history.free_bytes() < bytes.len() as u64 {
                history.writes_refused += 1;
                return Err(failed("write", segment, io::ErrorKind::StorageFull.into()));
            }
            history.files.write(segment, offset as usize, &bytes);
            history.write_over(segment, offset, bytes.len() as u64);
            history.written_late += if is_late { bytes.len() as u64 } else { 0 };
            *history.writes.entry(segment).or_default() += 1;
            Ok(())
        };
        let traits = OperationTraits { fills: true, ..OperationTraits::default() };
        self.conductor.submit("DiskWrite", traits, effect).await
    }

    async fn read_at(&self, segment: SegmentId, offset: u64, length: usize) -> Result<Bytes> {
        let history = self.history.clone();
        let effect = move |_| {
            let mut history = history.borrow_mut();
            let Some(file) = history.files.bytes(segment) else {
                history.reads_lost += 1;
                return Err(lost("read", segment));
            };
            let start = offset as usize;
            let bytes = file.get(start..start + length).map(Bytes::copy_from_slice);
            bytes.ok_or_else(|| failed("read", segment, io::ErrorKind::UnexpectedEof.into()))
        };
        self.conductor.submit("DiskRead", OperationTraits::default(), effect).await
    }

    async fn len(&self, segment: SegmentId) -> Result<u64> {
        let history = self.history.clone();
        let effect = move |_| {
            let length = history.borrow_mut().files.bytes(segment).map(|file| file.len() as u64);
            length.ok_or_else(|| lost("stat", segment))
        };
        self.conductor.submit("DiskLen", OperationTraits::default(), effect).await
    }

    async fn sync_file(&self, segment: SegmentId) -> Result<()> {
        let history = self.history.clone();
        let effect = move |_| {
            let mut history = history.borrow_mut();
            if !history.files.contains(segment) {
                history.puts_too_late += history.writes.get(&segment).copied().unwrap_or_default();
                return Err(lost("sync", segment));
            }
            Ok(())
        };
        self.conductor.submit("DiskSync", OperationTraits::default(), effect).await
    }

    async fn free_bytes(&self) -> Result<u64> {
        let history = self.history.clone();
        let effect = move |_| Ok(history.borrow_mut().free_bytes());
        self.conductor.submit("DiskFree", OperationTraits::default(), effect).await
    }

    async fn unlink(&self, segment: SegmentId) -> Result<()> {
        let history = self.history.clone();
        let effect = move |landing| {
            let mut history = history.borrow_mut();
            history.changes += 1;
            match landing {
                Landing::Done => {
                    history.files.remove(segment);
                    Ok(())
                }
                Landing::Failed(errno) => {
                    history.unlinks_failed += 1;
                    Err(failed("unlink", segment, io::Error::from_raw_os_error(errno)))
                }
            }
        };
        self.conductor.submit("DiskUnlink", OperationTraits { slow: true, fails: true, fills: false }, effect).await
    }

    async fn list(&self) -> Result<Vec<SegmentId>> {
        let history = self.history.clone();
        let effect = move |_| Ok(history.borrow_mut().files.iter().collect());
        self.conductor.submit("DiskList", OperationTraits::default(), effect).await
    }
}

fn lost(operation: &'static str, segment: SegmentId) -> Error {
    failed(operation, segment, io::ErrorKind::NotFound.into())
}

fn failed(operation: &'static str, segment: SegmentId, source: io::Error) -> Error {
    Error::Io { operation, path: PathBuf::from(segment.file_name()), source }
}
