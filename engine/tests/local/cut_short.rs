//! Tasks that do not get to their end: whoever waits for one is told, and what it had begun is not under way for ever.

use super::{LIMITS, artifact, open, verify};
use bytes::Bytes;
use segment_engine::catalog::{Batch, Catalog, Commit, Require, Row, Table};
use segment_engine::disk::{Disk, ShortWrite};
use segment_engine::{Engine, Env, Error, Eviction, Limits, LocalEnv, Point, Put, Result, Rotation, SegmentId};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Where an operation panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Create,
    Write,
    SyncFile,
    Unlink,
    SyncCatalog,
}

/// The local environment, of which an operation panics once, as when the system gives no more threads.
#[derive(Clone)]
struct PanickingEnv {
    local: LocalEnv,
    fault: Arc<Fault>,
}

#[derive(Default)]
struct Fault {
    due: Mutex<Option<At>>,
    /// The operation has begun.
    begun: Notify,
    /// It waits for this, and panics.
    go: Notify,
    is_full: AtomicBool,
    writes: AtomicUsize,
}

impl PanickingEnv {
    /// The next such operation waits for [`PanickingEnv::go`] and panics.
    fn arm(&self, at: At) {
        *self.fault.due.lock().unwrap() = Some(at);
    }

    async fn begun(&self) {
        in_time(self.fault.begun.notified()).await;
    }

    fn go(&self) {
        self.fault.go.notify_one();
    }

    async fn pass(&self, at: At) {
        let is_due = self.fault.due.lock().unwrap().take_if(|due| *due == at).is_some();
        if is_due {
            self.fault.begun.notify_one();
            self.fault.go.notified().await;
            panic!("told to");
        }
    }

    fn is_full(&self) -> bool {
        self.fault.is_full.load(Ordering::Relaxed)
    }
}

impl Env for PanickingEnv {
    type Disk = PanickingEnv;
    type Catalog = PanickingEnv;

    fn disk(&self) -> &PanickingEnv {
        self
    }

    fn catalog(&self) -> &PanickingEnv {
        self
    }

    fn segment_id(&self) -> SegmentId {
        self.local.segment_id()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        self.local.sleep(duration)
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.local.spawn(name, task);
    }

    fn reach(&self, point: Point) -> impl Future<Output = ()> + Send {
        self.local.reach(point)
    }

    fn note(&self, point: Point) {
        self.local.note(point);
    }
}

impl Disk for PanickingEnv {
    async fn create(&self, segment: SegmentId) -> Result<()> {
        self.pass(At::Create).await;
        self.local.disk().create(segment).await
    }

    async fn sync_directory(&self) -> Result<()> {
        self.local.disk().sync_directory().await
    }

    async fn write_at(&self, segment: SegmentId, offset: u64, bytes: Bytes) -> std::result::Result<(), ShortWrite> {
        self.pass(At::Write).await;
        if self.is_full() {
            let source = io::ErrorKind::StorageFull.into();
            return Err(ShortWrite {
                written: 0,
                error: Error::Io { operation: "write", path: PathBuf::new(), source },
            });
        }
        let written = self.local.disk().write_at(segment, offset, bytes).await;
        self.fault.writes.fetch_add(1, Ordering::Relaxed);
        written
    }

    async fn read_at(&self, segment: SegmentId, offset: u64, length: usize) -> Result<Bytes> {
        self.local.disk().read_at(segment, offset, length).await
    }

    async fn len(&self, segment: SegmentId) -> Result<u64> {
        Disk::len(self.local.disk(), segment).await
    }

    async fn gather(&self, segment: SegmentId) {
        self.local.disk().gather(segment).await;
    }

    async fn sync_file(&self, segment: SegmentId) -> Result<()> {
        self.pass(At::SyncFile).await;
        self.local.disk().sync_file(segment).await
    }

    async fn free_bytes(&self) -> Result<i64> {
        if self.is_full() { Ok(0) } else { self.local.disk().free_bytes().await }
    }

    async fn unlink(&self, segment: SegmentId) -> Result<()> {
        self.pass(At::Unlink).await;
        self.local.disk().unlink(segment).await
    }

    async fn list(&self) -> Result<Vec<SegmentId>> {
        self.local.disk().list().await
    }
}

impl Catalog for PanickingEnv {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.local.catalog().get(table, key)
    }

    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>> {
        self.local.catalog().scan(table, prefix, after, limit)
    }

    fn commit(&self, batch: Batch, requires: &[Require]) -> Result<Commit> {
        self.local.catalog().commit(batch, requires)
    }

    async fn sync(&self) -> Result<()> {
        self.pass(At::SyncCatalog).await;
        self.local.catalog().sync().await
    }
}

type Shared = Arc<Engine<PanickingEnv>>;

/// An engine where no rotation goes on while something is doomed, and its environment.
async fn opened(directory: &Path) -> (Shared, PanickingEnv) {
    let env = PanickingEnv { local: LocalEnv::open(directory).unwrap(), fault: Arc::default() };
    let limits = Limits { doomed_bytes_max: 0, ..LIMITS };
    (Arc::new(Engine::open(env.clone(), limits).await.unwrap()), env)
}

fn putting(engine: &Shared, key: &'static str) -> JoinHandle<Result<Put>> {
    let engine = engine.clone();
    tokio::spawn(async move { engine.put(key.as_bytes(), artifact(1_000)).await })
}

fn rotating(engine: &Shared) -> JoinHandle<Result<Rotation>> {
    let engine = engine.clone();
    tokio::spawn(async move { engine.rotate(engine.active()).await })
}

async fn in_time<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), answer).await.expect("nobody waits for ever")
}

async fn answered<T>(call: JoinHandle<T>) -> T {
    in_time(call).await.unwrap()
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    in_time(async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn closed(engine: Shared, env: PanickingEnv) -> Result<()> {
    drop(env); // it has the directory open
    in_time(Arc::into_inner(engine).unwrap().close()).await
}

/// What the engine left is sound, and can be written again.
async fn check_reopened(directory: &Path) {
    let engine = open(directory).await;
    assert_eq!(engine.put(b"reopened", artifact(500)).await.unwrap(), Put::Stored);
    engine.close().await.unwrap();
    assert_eq!(verify(directory).await, []);
}

fn is_cut_short<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(Error::Unsynced(cause)) if matches!(**cause, Error::Closed))
}

/// Those whom a sync that panicked covered, and those who waited for the next one.
async fn check_cut_short(puts: impl IntoIterator<Item = JoinHandle<Result<Put>>>) {
    for put in puts {
        let refused = answered(put).await;
        assert!(is_cut_short(&refused), "{refused:?}");
    }
}

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

// on one thread: whoever has written is in the queue of the sync when this looks

#[tokio::test]
async fn a_data_sync_that_panics_is_a_failed_one_and_nobody_waits_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, env) = opened(directory.path()).await;
    let poisoned = engine.active();
    env.arm(At::SyncFile);
    let covered = putting(&engine, "covered");
    env.begun().await;
    let waiting = KEYS.map(|key| putting(&engine, key));
    until(async || env.fault.writes.load(Ordering::Relaxed) == 1 + KEYS.len()).await;
    env.go();
    check_cut_short([covered].into_iter().chain(waiting)).await;
    assert_eq!(answered(putting(&engine, "later")).await.unwrap(), Put::Stored);
    assert_ne!(engine.active(), poisoned, "what a later sync says of it is not trusted");
    closed(engine, env).await.unwrap();
    check_reopened(directory.path()).await;
}

#[tokio::test]
async fn a_catalog_sync_that_panics_is_a_failed_one_and_nobody_waits_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, env) = opened(directory.path()).await;
    env.arm(At::SyncCatalog);
    let covered = putting(&engine, "covered");
    env.begun().await;
    let waiting = KEYS.map(|key| putting(&engine, key));
    for key in KEYS {
        until(async || engine.contains(key.as_bytes()).await.unwrap()).await;
    }
    env.go();
    check_cut_short([covered].into_iter().chain(waiting)).await;
    assert!(matches!(answered(putting(&engine, "later")).await, Err(Error::Fenced)));
    let same = answered(putting(&engine, "covered")).await;
    assert!(is_cut_short(&same), "nothing says that it is durable: {same:?}");
    assert_eq!(engine.get(b"covered").await.unwrap(), Some(artifact(1_000)));
    assert!(matches!(closed(engine, env).await, Err(Error::Fenced)));
    check_reopened(directory.path()).await;
}

#[tokio::test]
async fn an_evictor_that_panics_in_its_sync_leaves_a_failed_one_and_nobody_waits_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, env) = opened(directory.path()).await;
    let doomed = engine.active();
    engine.rotate(doomed).await.unwrap();
    env.arm(At::SyncCatalog);
    assert_eq!(engine.evict(doomed).await.unwrap(), Eviction::Doomed);
    env.begun().await;
    let waiting = putting(&engine, "a");
    until(async || engine.contains(b"a").await.unwrap()).await;
    env.go();
    let refused = answered(waiting).await;
    assert!(is_cut_short(&refused), "{refused:?}");
    let same = answered(putting(&engine, "a")).await;
    assert!(is_cut_short(&same), "nothing says that it is durable: {same:?}");
    assert!(matches!(closed(engine, env).await, Err(Error::Closed)));
    check_reopened(directory.path()).await;
}

#[tokio::test]
async fn an_evictor_that_panics_fences_writes_and_nobody_waits_for_a_pass_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, env) = opened(directory.path()).await;
    engine.put(b"gone", artifact(1_000)).await.unwrap();
    engine.rotate(engine.active()).await.unwrap();
    engine.put(b"kept", artifact(1_000)).await.unwrap();
    env.arm(At::Unlink);
    env.fault.is_full.store(true, Ordering::Relaxed);
    let wants_room = putting(&engine, "a");
    env.begun().await;
    let crowded = rotating(&engine);
    env.go();
    let refused = answered(wants_room).await;
    assert!(matches!(refused, Err(Error::Fenced)), "{refused:?}");
    let refused = answered(crowded).await;
    assert!(matches!(refused, Err(Error::Fenced)), "{refused:?}");
    assert_eq!(engine.get(b"kept").await.unwrap(), Some(artifact(1_000)));
    assert!(matches!(closed(engine, env).await, Err(Error::Closed)));
    check_reopened(directory.path()).await;
}

#[tokio::test]
async fn a_copy_that_panics_does_not_keep_others_from_being_made() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, env) = opened(directory.path()).await;
    engine.put(b"a", artifact(1_000)).await.unwrap();
    engine.put(b"b", artifact(1_000)).await.unwrap();
    for _ in 0..2 {
        engine.rotate(engine.active()).await.unwrap();
    }
    env.arm(At::Write);
    let read = async |key: &str| assert_eq!(engine.get(key.as_bytes()).await.unwrap(), Some(artifact(1_000)));
    read("a").await;
    env.begun().await;
    read("b").await;
    assert_eq!(engine.refreshes_waiting(), 1);
    env.go();
    for (key, superseded) in [("b", 1_000), ("a", 2_000)] {
        until(async || {
            read(key).await;
            engine.usage().owners.superseded == superseded
        })
        .await;
    }
    closed(engine, env).await.unwrap();
    check_reopened(directory.path()).await;
}

#[tokio::test]
async fn a_rotation_that_panics_holds_no_lock() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, env) = opened(directory.path()).await;
    env.arm(At::Create);
    env.go();
    let refused = answered(rotating(&engine)).await;
    assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
    assert!(matches!(answered(rotating(&engine)).await, Ok(Rotation::Rotated(_))));
    closed(engine, env).await.unwrap();
    check_reopened(directory.path()).await;
}

#[test]
fn an_engine_whose_runtime_has_ended_refuses_writes() {
    let directory = tempfile::tempdir().unwrap();
    let first = Runtime::new().unwrap();
    let engine = first.block_on(open(directory.path()));
    drop(first);
    Runtime::new().unwrap().block_on(async {
        let refused = in_time(engine.put(b"a", artifact(1_000))).await;
        assert!(matches!(refused, Err(Error::Fenced)), "{refused:?}");
        assert!(matches!(in_time(engine.close()).await, Err(Error::Closed)));
        check_reopened(directory.path()).await;
    });
}
