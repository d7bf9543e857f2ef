//! The production surroundings: tokio, real files, RocksDB on disk, UUIDv7 ids.
//!
//! A data directory holds `LOCK`, `catalog/` and `segments/`. The lock is the operating system's, on an open file: it
//! goes with the process, however that ends.
#![allow(clippy::disallowed_methods, reason = "this is the production environment: it owns files and time")]

use crate::disk::Disk;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::point::Point;
use crate::rocks::RocksCatalog;
use crate::segment::SegmentId;
use std::fs::{self, File, TryLockError};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A node's data directory, open and locked. Clones share it; the lock goes when the last one is dropped.
#[derive(Clone)]
pub struct LocalEnv {
    disk: LocalDisk,
    catalog: RocksCatalog,
}

impl LocalEnv {
    /// Opens or creates the data directory at `directory`. Must be called, as everything on the engine, from a tokio
    /// runtime with its time driver on.
    ///
    /// # Errors
    /// [`Error::DirectoryInUse`] when another process (or another `LocalEnv` of this one) has it open.
    pub fn open(directory: &Path) -> Result<LocalEnv> {
        let segments = directory.join("segments");
        let missing: Vec<&Path> = directory.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
        // trusted next: nothing. The directories may be gone after a power loss, with everything in them
        fs::create_dir_all(&segments).map_err(|source| io_error("create", &segments, source))?;
        let path = directory.join("LOCK");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| io_error("open", &path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::DirectoryInUse { path: directory.to_path_buf() }),
            Err(TryLockError::Error(source)) => return Err(io_error("lock", &path, source)),
        }
        let lock = Arc::new(lock);
        let catalog = RocksCatalog::open_locked(&directory.join("catalog"), lock.clone())?;
        // trusted next: the three entries of the data directory, and its own, survive a power loss
        sync(directory)?;
        for created in missing {
            match created.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => sync(parent)?,
                _ => sync(Path::new("."))?,
            }
        }
        Ok(LocalEnv { disk: LocalDisk { directory: Arc::new(segments), lock }, catalog })
    }
}

impl Env for LocalEnv {
    type Disk = LocalDisk;
    type Catalog = RocksCatalog;

    fn disk(&self) -> &LocalDisk {
        &self.disk
    }

    fn catalog(&self) -> &RocksCatalog {
        &self.catalog
    }

    fn segment_id(&self) -> SegmentId {
        SegmentId::from_u128(uuid::Uuid::now_v7().as_u128())
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }

    fn spawn(&self, _name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    async fn reach(&self, _point: Point) {}

    fn note(&self, _point: Point) {}
}

/// Segment files in one directory.
#[derive(Clone)]
pub struct LocalDisk {
    directory: Arc<PathBuf>,
    /// Held by every operation under way: one that outlives its caller must not land in another's directory.
    lock: Arc<File>,
}

impl LocalDisk {
    /// Runs a file operation where it may block. It runs to its end even when the caller is dropped.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Path) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (directory, lock) = (self.directory.clone(), self.lock.clone());
        let blocking = move || {
            let done = operation(&directory);
            drop(lock);
            done
        };
        tokio::task::spawn_blocking(blocking).await.map_err(|_| Error::Closed)?
    }
}

impl Disk for LocalDisk {
    async fn create(&self, segment: SegmentId) -> Result<()> {
        self.blocking(move |directory| {
            let path = directory.join(segment.file_name());
            let file = File::create_new(&path).map_err(|source| io_error("create", &path, source))?;
            // trusted next: the inode; its directory entry only after sync_directory
            file.sync_all().map_err(|source| io_error("sync", &path, source))
        })
        .await
    }

    async fn sync_directory(&self) -> Result<()> {
        self.blocking(sync).await
    }

    async fn unlink(&self, segment: SegmentId) -> Result<()> {
        self.blocking(move |directory| {
            let path = directory.join(segment.file_name());
            // trusted next: that no later open finds the file, power losses apart
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => Err(io_error("unlink", &path, source)),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn list(&self) -> Result<Vec<SegmentId>> {
        self.blocking(|directory| {
            let mut segments = Vec::new();
            for entry in fs::read_dir(directory).map_err(|source| io_error("list", directory, source))? {
                let entry = entry.map_err(|source| io_error("list", directory, source))?;
                segments.extend(entry.file_name().to_str().and_then(SegmentId::from_file_name));
            }
            Ok(segments)
        })
        .await
    }
}

/// Syncs a directory's entries.
fn sync(directory: &Path) -> Result<()> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| io_error("sync", directory, source))
}

fn io_error(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { operation, path: path.to_path_buf(), source }
}
