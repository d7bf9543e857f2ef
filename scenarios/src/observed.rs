//! The production surroundings, and somebody who sees what happens in them: a wrapper, so that the engine needs no hooks.

use bytes::Bytes;
use segment_engine::catalog::{Batch, Catalog, Commit, Require, Row, Table};
use segment_engine::disk::{Disk, ShortWrite};
use segment_engine::{Env, LocalEnv, Point, Result, SegmentId};
use std::future::Future;
use std::time::Duration;

/// Who sees it. By itself it looks at nothing.
pub trait Observer: Clone + Send + Sync + 'static {
    /// A moment has passed.
    fn note(&self, _point: Point) {}

    /// A segment is about to be created.
    fn create(&self, _segment: SegmentId) {}

    /// A write has met a full disk.
    fn met_full_disk(&self) {}

    /// A segment's bytes are about to be synced.
    fn sync_file(&self, _segment: SegmentId) {}

    /// They have been, or the sync has failed.
    fn synced_file(&self, _segment: SegmentId, _is_synced: bool) {}

    /// Makes a commit.
    ///
    /// # Errors
    /// Those of the commit.
    fn commit(&self, batch: Batch, commit: impl FnOnce(Batch) -> Result<Commit>) -> Result<Commit> {
        commit(batch)
    }

    /// Makes a sync of the catalog, which begins where it is awaited.
    ///
    /// # Errors
    /// Those of the sync.
    fn sync(&self, sync: impl Future<Output = Result<()>> + Send) -> impl Future<Output = Result<()>> + Send {
        sync
    }
}

/// [`LocalEnv`], its disk and its catalog, observed.
#[derive(Clone)]
pub struct Observed<O> {
    inner: LocalEnv,
    observer: O,
}

impl<O: Observer> Observed<O> {
    /// The observer sees what happens in `inner` from now on.
    pub fn new(inner: LocalEnv, observer: O) -> Observed<O> {
        Observed { inner, observer }
    }
}

impl<O: Observer> Env for Observed<O> {
    type Disk = Observed<O>;
    type Catalog = Observed<O>;

    fn disk(&self) -> &Observed<O> {
        self
    }

    fn catalog(&self) -> &Observed<O> {
        self
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
        self.observer.note(point);
        self.inner.note(point);
    }
}

impl<O: Observer> Disk for Observed<O> {
    fn create(&self, segment: SegmentId) -> impl Future<Output = Result<()>> + Send {
        self.observer.create(segment);
        self.inner.disk().create(segment)
    }

    fn sync_directory(&self) -> impl Future<Output = Result<()>> + Send {
        self.inner.disk().sync_directory()
    }

    async fn write_at(&self, segment: SegmentId, offset: u64, bytes: Bytes) -> std::result::Result<(), ShortWrite> {
        let written = self.inner.disk().write_at(segment, offset, bytes).await;
        if written.as_ref().is_err_and(|short| short.error.is_full()) {
            self.observer.met_full_disk();
        }
        written
    }

    fn read_at(&self, segment: SegmentId, offset: u64, length: usize) -> impl Future<Output = Result<Bytes>> + Send {
        self.inner.disk().read_at(segment, offset, length)
    }

    fn len(&self, segment: SegmentId) -> impl Future<Output = Result<u64>> + Send {
        self.inner.disk().len(segment)
    }

    fn gather(&self, segment: SegmentId) -> impl Future<Output = ()> + Send {
        self.inner.disk().gather(segment)
    }

    async fn sync_file(&self, segment: SegmentId) -> Result<()> {
        self.observer.sync_file(segment);
        let synced = self.inner.disk().sync_file(segment).await;
        self.observer.synced_file(segment, synced.is_ok());
        synced
    }

    fn free_bytes(&self) -> impl Future<Output = Result<i64>> + Send {
        self.inner.disk().free_bytes()
    }

    fn unlink(&self, segment: SegmentId) -> impl Future<Output = Result<()>> + Send {
        self.inner.disk().unlink(segment)
    }

    fn list(&self) -> impl Future<Output = Result<Vec<SegmentId>>> + Send {
        self.inner.disk().list()
    }
}

impl<O: Observer> Catalog for Observed<O> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.inner.catalog().get(table, key)
    }

    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>> {
        self.inner.catalog().scan(table, prefix, after, limit)
    }

    fn commit(&self, batch: Batch, requires: &[Require]) -> Result<Commit> {
        self.observer.commit(batch, |batch| self.inner.catalog().commit(batch, requires))
    }

    fn sync(&self) -> impl Future<Output = Result<()>> + Send {
        self.observer.sync(self.inner.catalog().sync())
    }
}
