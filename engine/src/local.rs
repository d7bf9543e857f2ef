//! The production surroundings: tokio, real files, RocksDB on disk, UUIDv7 ids.
//!
//! A data directory holds `LOCK`, `catalog/` and `segments/`. The lock is the operating system's, on an open file: it
//! goes with the process, however that ends. In `segments/` an empty file, `SEGMENTS`, says that this is the directory: one
//! whose disk is not mounted has none.
#![allow(clippy::disallowed_methods, reason = "this is the production environment: it owns files and time")]

use crate::disk::{Disk, ShortWrite};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::limits::{CATALOG_RESERVE_BYTES_MAX, CATALOG_SHARE_DIVISOR, GATHER_MS, GATHERED_BYTES_MIN};
use crate::point::Point;
use crate::rocks::RocksCatalog;
use crate::segment::SegmentId;
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is read without a thread that may block, where the page cache has it: more takes longer to copy than the way there and
/// back.
const COPIED_BYTES_MAX: usize = 128 << 10;

/// What is done to a segment that is only read.
const READ: &str = "read";

/// The file by which the directory of the segments is known.
const MARKER: &str = "SEGMENTS";

/// A node's data directory, open and locked. Clones share it; the lock goes when the last one is dropped.
#[derive(Clone)]
pub struct LocalEnv {
    disk: LocalDisk,
    catalog: RocksCatalog,
}

impl LocalEnv {
    /// Opens or creates the data directory at `directory`. The engine must be opened, called and closed from one tokio
    /// runtime, with its time driver on: when a runtime ends, so do the engine's tasks on it, and writes from another one are
    /// fenced. Not from threads that may block (`spawn_blocking`): files are waited for on such threads, and when all of them
    /// call the engine none is left. Each segment that is written or read keeps a file open until it is unlinked, and the
    /// catalog some: a node of more than some hundred segments needs a higher limit than the usual 1,024 (RLIMIT_NOFILE).
    ///
    /// # Errors
    /// [`Error::DirectoryInUse`] when another process (or another `LocalEnv` of this one) has it open;
    /// [`Error::MissingPart`] when segments have lost their catalog, or it them; [`Error::Io`] and [`Error::Catalog`] when the
    /// system or RocksDB refuses.
    pub fn open(directory: &Path) -> Result<LocalEnv> {
        let (segments, catalog) = (directory.join("segments"), directory.join("catalog"));
        let path = directory.join("LOCK");
        if !path.exists() {
            make_directory(directory)?;
        }
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
        check_parts(&segments, &catalog)?;
        // trusted next: where there is a catalog, there are the segments with their marker
        make_segments(&segments)?;
        sync(directory)?;
        let opened = RocksCatalog::open_locked(&catalog, lock.clone())?;
        // trusted next: the catalog and all entries survive a power loss; where there are bytes in a segment, there is one
        sync(&catalog)?;
        sync(directory)?;
        let disk =
            LocalDisk { directory: Arc::new(segments), files: Arc::default(), writing: Arc::default(), _lock: lock };
        Ok(LocalEnv { disk, catalog: opened })
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

    async fn reach(&self, point: Point) {
        if point == Point::ROWS_SCANNED {
            tokio::task::yield_now().await; // page after page it waits for nothing else, and others would for it
        }
    }

    fn note(&self, _point: Point) {}
}

/// Segment files in one directory.
#[derive(Clone)]
pub struct LocalDisk {
    directory: Arc<PathBuf>,
    /// Segments that were opened, until they are unlinked.
    files: Arc<Mutex<BTreeMap<SegmentId, Arc<Open>>>>,
    /// Bytes of writes that are under way, to any of them.
    writing: Arc<AtomicU64>,
    /// Held by every operation under way: one that outlives its caller must not land in another's directory.
    _lock: Arc<File>,
}

/// The file of a segment.
struct Open {
    file: File,
    is_writable: bool,
    /// Bytes of writes that are under way.
    writing: AtomicU64,
}

impl LocalDisk {
    /// Runs a file operation where it may block. It runs to its end even when the caller is dropped.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&LocalDisk) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let disk = self.clone();
        let blocking = move || {
            let done = operation(&disk);
            drop(disk);
            done
        };
        tokio::task::spawn_blocking(blocking).await.map_err(|_| Error::Closed)?
    }

    fn path(&self, segment: SegmentId) -> PathBuf {
        self.directory.join(segment.file_name())
    }

    /// The segment's file, open for no more than is needed: a file system that has met an error can still be read, and its
    /// files cannot be opened for writing.
    fn file(&self, segment: SegmentId, is_to_be_read: bool) -> Result<Arc<Open>> {
        if let Some(file) = self.files().get(&segment).filter(|open| is_to_be_read || open.is_writable) {
            return Ok(file.clone());
        }
        // not under the lock: a disk that takes its time over one file would hold up every other
        let path = self.path(segment);
        let opened = File::options().read(true).write(!is_to_be_read).open(&path);
        let opened = opened.map_err(|source| io_error("open", &path, source))?;
        Ok(self.keep(segment, Open::new(opened, !is_to_be_read)))
    }

    /// Keeps the file that was just opened for whoever uses it next, unless another was faster.
    fn keep(&self, segment: SegmentId, opened: Open) -> Arc<Open> {
        let mut files = self.files();
        if let Some(faster) = files.get(&segment).filter(|faster| faster.is_writable || !opened.is_writable) {
            return faster.clone();
        }
        // in the place of one that can only be read: whoever reads it now goes on
        let file = Arc::new(opened);
        files.insert(segment, file.clone());
        drop(files);
        // an unlink removes the file, and then forgets it: where it has done both by now, nobody else forgets this one
        if matches!(self.path(segment).try_exists(), Ok(false)) {
            self.files().remove(&segment);
        }
        file
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<SegmentId, Arc<Open>>> {
        // nothing under the lock can panic half way
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These bytes of a segment that is open, where the page cache has all of them. Waits for no disk.
    fn cached(&self, segment: SegmentId, offset: u64, length: usize) -> Option<Bytes> {
        let open = self.files().get(&segment)?.clone();
        let mut bytes = BytesMut::zeroed(length);
        let into = &mut [io::IoSliceMut::new(&mut bytes)];
        // refused where the file system cannot tell; then, and where some are missing, a read follows that may wait
        let read = rustix::io::preadv2(&open.file, into, offset, rustix::io::ReadWriteFlags::NOWAIT);
        if Arc::strong_count(&open) == 1 {
            // it was unlinked meanwhile, and whoever holds it last frees its blocks
            tokio::task::spawn_blocking(move || drop(open));
        }
        (read == Ok(length)).then(|| bytes.freeze())
    }

    /// The same for an operation on one segment's file, whose error names it.
    async fn on_file<T: Send + 'static>(
        &self,
        segment: SegmentId,
        verb: &'static str,
        operation: impl FnOnce(&LocalDisk, &Open) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let done = move |disk: &LocalDisk| {
            operation(disk, &*disk.file(segment, verb == READ)?)
                .map_err(|source| io_error(verb, &disk.path(segment), source))
        };
        self.blocking(done).await
    }

    /// Writes, unless that would take of what is kept for the catalog. Writes that are under way may have taken their room
    /// or not: they count in full.
    fn write(&self, open: &Open, bytes: &[u8], offset: u64, taken: &AtomicU64) -> io::Result<()> {
        let length = bytes.len() as u64;
        // before the look: of two writes at once one sees the other
        let others = self.writing.fetch_add(length, Ordering::SeqCst);
        let written = match free_bytes(&self.directory) {
            Ok(free) if free < (others + length).cast_signed() => Err(io::ErrorKind::StorageFull.into()),
            Ok(_) => open.write(bytes, offset, taken),
            Err(error) => Err(error),
        };
        self.writing.fetch_sub(length, Ordering::SeqCst);
        written
    }
}

impl Disk for LocalDisk {
    async fn create(&self, segment: SegmentId) -> Result<()> {
        self.blocking(move |disk| {
            let path = disk.path(segment);
            let created = File::options().read(true).write(true).create_new(true).open(&path);
            let file = created.map_err(|source| io_error("create", &path, source))?;
            // trusted next: the inode; its directory entry only after sync_directory
            file.sync_all().map_err(|source| io_error("sync", &path, source))?;
            disk.files().insert(segment, Arc::new(Open::new(file, true)));
            Ok(())
        })
        .await
    }

    async fn write_at(&self, segment: SegmentId, offset: u64, bytes: Bytes) -> std::result::Result<(), ShortWrite> {
        let taken = Arc::new(AtomicU64::new(0));
        let written = taken.clone();
        // may be torn here, at any byte. Trusted next: nothing, until a sync_file that starts after it
        let done = self.on_file(segment, "write", move |disk, open| disk.write(open, &bytes, offset, &taken)).await;
        done.map_err(|error| ShortWrite { written: written.load(Ordering::Relaxed), error })
    }

    async fn read_at(&self, segment: SegmentId, offset: u64, length: usize) -> Result<Bytes> {
        if length <= COPIED_BYTES_MAX
            && let Some(cached) = self.cached(segment, offset, length)
        {
            tokio::task::coop::consume_budget().await; // nothing else makes a task that reads and reads wait for others
            return Ok(cached);
        }
        self.on_file(segment, READ, move |_, open| {
            let mut bytes = BytesMut::zeroed(length);
            open.file.read_exact_at(&mut bytes, offset)?;
            Ok(bytes.freeze())
        })
        .await
    }

    async fn len(&self, segment: SegmentId) -> Result<u64> {
        self.blocking(move |disk| {
            let path = disk.path(segment);
            Ok(fs::metadata(&path).map_err(|source| io_error("stat", &path, source))?.len())
        })
        .await
    }

    async fn gather(&self, segment: SegmentId) {
        let writing = self.files().get(&segment).map_or(0, |open| open.writing.load(Ordering::Relaxed));
        if is_put_off(writing) {
            tokio::time::sleep(Duration::from_millis(GATHER_MS)).await;
        }
    }

    async fn sync_file(&self, segment: SegmentId) -> Result<()> {
        // trusted next: every byte that was written before this call, and the length that they gave the file
        self.on_file(segment, "sync", |_, open| open.file.sync_data()).await
    }

    async fn free_bytes(&self) -> Result<i64> {
        self.blocking(|disk| free_bytes(&disk.directory).map_err(|source| io_error("stat", &disk.directory, source)))
            .await
    }

    async fn sync_directory(&self) -> Result<()> {
        self.blocking(|disk| sync(&disk.directory)).await
    }

    async fn unlink(&self, segment: SegmentId) -> Result<()> {
        self.blocking(move |disk| {
            let path = disk.path(segment);
            // trusted next: that no later open finds the file, power losses apart
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => Err(io_error("unlink", &path, source)),
                _ => {
                    let file = disk.files().remove(&segment);
                    drop(file); // it may be the last that holds the blocks, and freeing them takes its time: not under the lock
                    Ok(())
                }
            }
        })
        .await
    }

    async fn list(&self) -> Result<Vec<SegmentId>> {
        self.blocking(|disk| {
            let directory = disk.directory.as_path();
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

/// What segments can still take of the disk that holds this directory: what is free, beside what is kept for the catalog.
/// Where others have taken of that, what is missing of it, below 0.
///
/// # Errors
/// What the system says.
pub fn free_bytes(directory: &Path) -> io::Result<i64> {
    let space = rustix::fs::statvfs(directory)?;
    let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
    Ok(free_of(bytes(space.f_bavail), bytes(space.f_blocks)))
}

/// The same of a disk of so many bytes of which so many are `available`.
fn free_of(available: u64, disk_bytes: u64) -> i64 {
    if disk_bytes == 0 {
        return i64::MAX; // ramfs, and some that are not local, have no size to tell: not full, they tell when they are
    }
    let available = i64::try_from(available).unwrap_or(i64::MAX);
    available - kept_bytes(disk_bytes).cast_signed()
}

/// What is kept for the catalog of a disk of so many bytes.
fn kept_bytes(disk_bytes: u64) -> u64 {
    (disk_bytes / CATALOG_SHARE_DIVISOR).min(CATALOG_RESERVE_BYTES_MAX)
}

/// Whether a sync waits for others while so many bytes are being written.
fn is_put_off(writing: u64) -> bool {
    writing >= GATHERED_BYTES_MIN
}

impl Open {
    fn new(file: File, is_writable: bool) -> Open {
        Open { file, is_writable, writing: AtomicU64::new(0) }
    }

    /// Counts in `taken` what the file has taken.
    fn write(&self, bytes: &[u8], offset: u64, taken: &AtomicU64) -> io::Result<()> {
        self.writing.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let written = write_all_at(&self.file, bytes, offset, taken);
        self.writing.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
        written
    }
}

/// As the standard library's, which does not say how far it got.
fn write_all_at(file: &File, bytes: &[u8], offset: u64, taken: &AtomicU64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => done += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        taken.store(done as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// Sees that neither the catalog nor the segments are there without the other. Segments may be, where they hold nothing:
/// they were made first.
fn check_parts(segments: &Path, catalog: &Path) -> Result<()> {
    let is_there = |path: PathBuf| path.try_exists().map_err(|source| io_error("look for", &path, source));
    let missing = |missing: &Path, present: &Path| {
        Err(Error::MissingPart { missing: missing.to_path_buf(), present: present.to_path_buf() })
    };
    // what RocksDB looks for: without it, it makes a new database
    match (is_there(catalog.join("CURRENT"))?, is_there(segments.join(MARKER))?) {
        (true, true) => return Ok(()),
        (true, false) => return missing(segments, catalog),
        (false, _) if !is_there(segments.to_path_buf())? => return Ok(()),
        (false, _) => {}
    }
    let failed = |source| io_error("list", segments, source);
    for entry in fs::read_dir(segments).map_err(failed)? {
        let file = entry.and_then(|entry| entry.metadata()).map_err(failed)?;
        if file.is_file() && file.len() > 0 {
            return missing(catalog, segments);
        }
    }
    Ok(())
}

/// Makes a data directory that holds nothing yet. Trusted next: it survives a power loss, and so may what is made in it.
fn make_directory(directory: &Path) -> Result<()> {
    let missing: Vec<&Path> = directory.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    fs::create_dir_all(directory).map_err(|source| io_error("create", directory, source))?;
    for made in directory.ancestors() {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty());
        match sync(parent.unwrap_or(Path::new("."))) {
            Err(error) if missing.contains(&made) => return Err(error),
            // those that were there may be of an open that was killed here; the others are not ours to sync, if we may not
            _ => {}
        }
    }
    Ok(())
}

/// Makes the directory of the segments, and the file in it that says so.
fn make_segments(segments: &Path) -> Result<()> {
    fs::create_dir_all(segments).map_err(|source| io_error("create", segments, source))?;
    let marker = segments.join(MARKER);
    let made = File::options().create(true).truncate(false).write(true).open(&marker).and_then(|file| file.sync_all());
    made.map_err(|source| io_error("create", &marker, source))?;
    sync(segments)
}

/// Syncs a directory's entries.
fn sync(directory: &Path) -> Result<()> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| io_error("sync", directory, source))
}

fn io_error(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { operation, path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn with_a_segment() -> (tempfile::TempDir, LocalEnv, SegmentId) {
        let directory = tempfile::tempdir().unwrap();
        let env = LocalEnv::open(directory.path()).unwrap();
        let segment = env.segment_id();
        env.disk().create(segment).await.unwrap();
        (directory, env, segment)
    }

    #[tokio::test]
    async fn a_name_that_is_taken_is_told_from_other_errors() {
        let (_directory, env, segment) = with_a_segment().await;
        assert!(env.disk().create(segment).await.unwrap_err().is_taken_name());
        assert!(!env.disk().len(env.segment_id()).await.unwrap_err().is_taken_name());
    }

    #[tokio::test]
    async fn a_sync_that_the_system_refuses_is_told() {
        let (_directory, env, segment) = with_a_segment().await;
        env.disk().sync_file(segment).await.unwrap();
        // of which Linux syncs nothing
        let null = File::options().write(true).open("/dev/null").unwrap();
        env.disk().files().insert(segment, Arc::new(Open::new(null, true)));
        assert!(matches!(env.disk().sync_file(segment).await, Err(Error::Io { operation: "sync", .. })));
    }

    #[tokio::test]
    async fn a_segment_that_is_only_read_is_not_opened_for_writing_before_it_is_written() {
        let (directory, env, segment) = with_a_segment().await;
        drop(env);
        let env = LocalEnv::open(directory.path()).unwrap();
        let is_writable = || env.disk().files()[&segment].is_writable;
        env.disk().read_at(segment, 0, 0).await.unwrap();
        assert!(!is_writable());
        env.disk().write_at(segment, 0, Bytes::from_static(b"abc")).await.unwrap();
        assert!(is_writable());
        assert_eq!(env.disk().read_at(segment, 0, 3).await.unwrap(), "abc");
        assert!(is_writable(), "one file is enough");
    }

    /// A named pipe stands for a file whose open waits for the disk.
    #[tokio::test]
    async fn an_open_that_takes_its_time_holds_up_no_other_segment() {
        let (_directory, env, segment) = with_a_segment().await;
        let slow = env.segment_id();
        let path = env.disk().path(slow);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let disk = env.disk().clone();
        let reading = tokio::spawn(async move { disk.read_at(slow, 0, 1).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let writing = env.disk().write_at(segment, 0, Bytes::from_static(b"abc"));
        let written = tokio::time::timeout(Duration::from_secs(5), writing).await;
        drop(File::options().write(true).open(&path).unwrap());
        assert!(written.is_ok() && reading.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn only_what_the_page_cache_has_is_read_without_a_wait() {
        let (_directory, env, segment) = with_a_segment().await;
        let bytes = Bytes::from(vec![7; 64 << 10]);
        env.disk().write_at(segment, 0, bytes.clone()).await.unwrap();
        env.disk().sync_file(segment).await.unwrap();
        let cached = |offset| env.disk().cached(segment, offset, 1000);
        let open = env.disk().files()[&segment].clone();
        let mut byte = [0];
        let probe = &mut [io::IoSliceMut::new(&mut byte)];
        let told = rustix::io::preadv2(&open.file, probe, 0, rustix::io::ReadWriteFlags::NOWAIT);
        if told == Err(rustix::io::Errno::OPNOTSUPP) {
            assert_eq!(cached(0), None);
            return; // this file system cannot tell
        }
        assert_eq!(cached(5000), Some(bytes.slice(0..1000)));
        assert_eq!(cached((64 << 10) - 999), None, "one byte is not there");
        rustix::fs::fadvise(&open.file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        assert_eq!(cached(5000), None);
        assert_eq!(env.disk().read_at(segment, 5000, 1000).await.unwrap(), bytes.slice(0..1000));
    }

    #[tokio::test]
    async fn a_file_that_is_unlinked_while_it_is_opened_is_not_kept_open() {
        let (_directory, env, segment) = with_a_segment().await;
        let opened = || Open::new(File::open(env.disk().path(segment)).unwrap(), false);
        let late = opened();
        env.disk().files().clear();
        env.disk().keep(segment, opened());
        assert!(env.disk().files().contains_key(&segment));
        env.disk().unlink(segment).await.unwrap();
        env.disk().keep(segment, late);
        assert!(env.disk().files().is_empty());
    }

    #[test]
    fn a_sixteenth_of_a_disk_is_kept_for_the_catalog_and_256_mib_at_most() {
        let kept = [0, 1 << 30, 4 << 30, 1 << 40].map(kept_bytes);
        assert_eq!(kept, [0, 64 << 20, 256 << 20, 256 << 20]);
    }

    #[test]
    fn a_disk_that_has_no_size_to_tell_or_a_very_large_one_is_not_full() {
        assert_eq!(free_of(0, 0), i64::MAX);
        assert_eq!(free_of(u64::MAX, u64::MAX), i64::MAX - (256 << 20));
        assert_eq!(free_of(0, 16 << 20), -(1 << 20));
    }

    #[tokio::test]
    async fn a_write_that_would_take_what_the_catalog_needs_is_refused_before_its_first_byte() {
        let (_directory, env, segment) = with_a_segment().await;
        let write = |offset| env.disk().write_at(segment, offset, Bytes::from_static(b"abc"));
        write(0).await.unwrap();
        // as if others were writing all that is free
        env.disk().writing.fetch_add(1 << 60, Ordering::SeqCst);
        let short = write(3).await.unwrap_err();
        assert!(short.error.is_full() && short.written == 0);
        assert_eq!(env.disk().len(segment).await.unwrap(), 3);
        env.disk().writing.fetch_sub(1 << 60, Ordering::SeqCst);
        write(3).await.unwrap();
        assert_eq!(env.disk().writing.load(Ordering::SeqCst), 0, "what is written is not being written");
    }

    #[test]
    fn a_sync_is_put_off_only_while_much_is_being_written() {
        let open = Open::new(tempfile::tempfile().unwrap(), true);
        let taken = AtomicU64::new(0);
        open.write(&[7; 1000], 0, &taken).unwrap();
        assert_eq!(taken.into_inner(), 1000);
        assert_eq!(open.writing.load(Ordering::Relaxed), 0, "what is written is not being written");
        assert!(!is_put_off(0) && !is_put_off(64 * (64 << 10)), "many small artifacts wait for nothing");
        assert!(is_put_off(16 << 20));
    }
}
