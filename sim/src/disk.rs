//! The simulated segment directory: operations queue with the conductor and land when a step says so.
//!
//! Durability is not modelled yet: nothing here loses power.

use crate::conductor::{Conductor, Landing, OperationTraits};
use crate::confined::Confined;
use crate::history::History;
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
        self.conductor.submit("DiskUnlink", OperationTraits { slow: true, fails: true }, effect).await
    }

    async fn list(&self) -> Result<Vec<SegmentId>> {
        let history = self.history.clone();
        let effect = move |_| Ok(history.borrow_mut().files.iter().collect());
        self.conductor.submit("DiskList", OperationTraits::default(), effect).await
    }
}

fn failed(operation: &'static str, segment: SegmentId, source: io::Error) -> Error {
    Error::Io { operation, path: PathBuf::from(segment.file_name()), source }
}
