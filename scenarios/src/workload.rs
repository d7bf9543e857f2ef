//! What the callers of a run do, as a value: made from a seed, printed, shrunk.

use bytes::Bytes;
use segment_engine::ring::Eviction;
use segment_engine::{Body, Engine, Error, Limits, Result, Ring, RingLimits, RingState, Rotation, SegmentId};
use segment_engine::{Env, disk::Disk};
use segment_sim::history::{Answer, Key};
use segment_sim::site::numbered;
use segment_sim::world::{Life, Setting, SimEnv, Stage, Stored, Teller};
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of a simulated segment.
pub const SEGMENT_BYTES: u64 = 256;

/// The size of a simulated disk that does not run full.
const LARGE_DISK_BYTES: u64 = 1 << 40;

/// Bytes that a simulated engine reads or writes at once: some artifacts take two pieces.
const IO_BYTES: usize = 80;

/// The longest simulated artifact.
const ARTIFACT_BYTES_MAX: u64 = 120;

/// Steps that an operation may take before the run counts as one that does not end.
const STEPS_PER_OPERATION: u64 = 400;

/// The ring that a run starts from, and what its callers do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Limits of the ring: old, current, new.
    pub generations: [u32; 3],
    /// Segments in the ring before the run; the last is the active one.
    pub segments: u32,
    /// Artifacts that are there before the run: key, content, and the number of the segment.
    pub stored: Vec<(Key, u16, u32)>,
    /// The size of the disk in bytes; 0 is one that never runs full.
    pub disk_bytes: u64,
    /// The engine's other limits.
    pub limits: Small,
    /// What each caller does, one after the other. All callers start together.
    pub callers: Vec<Vec<Operation>>,
    /// The later lives of the process; one that is not listed here has no callers.
    pub lives: Vec<Later>,
}

/// A later life of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Later {
    /// Limits of the ring, if they are others than before the first crash.
    pub generations: Option<[u32; 3]>,
    /// Places in the ring whose files are removed before it, oldest first, counted modulo the ring.
    pub lost: Vec<u32>,
    /// What each caller does.
    pub callers: Vec<Vec<Operation>>,
}

/// Limits as small as they go: what goes wrong under large ones goes wrong under these, and sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Small {
    /// Segments that may be doomed before rotations wait.
    pub doomed: u32,
    /// Locks that keep puts of one key apart.
    pub stripes: u32,
    /// Rows that an eviction deletes in one commit.
    pub batch_rows: u32,
}

impl Default for Small {
    fn default() -> Small {
        Small { doomed: 8, stripes: 2, batch_rows: 2 }
    }
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Make a file and push it straight onto the ring state.
    Push,
    /// Rotate, again and again until this call and no other has made the new active segment.
    Rotate,
    /// Evict the segment of this number.
    EvictSegment(u32),
    /// Evict the member at this place, oldest first, counted modulo the ring.
    EvictPlace(u32),
    /// A pressure pass: evict the oldest until at most so many segments are left.
    Relieve(u32),
    /// Put this content under this key, in one piece.
    Put(Key, u16),
    /// The same, as a stream.
    PutStream(Key, u16),
    /// Read the artifact of this key.
    Get(Key),
    /// Ask whether this key has an artifact.
    Contains(Key),
}

/// The bytes of a content: as many as its number says, and no two alike.
pub fn content(number: u16) -> Vec<u8> {
    let length = 1 + u64::from(number).wrapping_mul(37) % ARTIFACT_BYTES_MAX;
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((0..).map(|at: u8| at ^ 0x5a).take(length as usize));
    bytes
}

/// What a workload runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The ring state alone: no engine, no evictor.
    RingState,
    /// The engine.
    Engine,
}

impl Operation {
    /// The kind of caller that this makes, for its label.
    fn caller(self) -> &'static str {
        match self {
            Operation::Push => "push",
            Operation::Rotate => "rotate",
            Operation::EvictSegment(_) | Operation::EvictPlace(_) => "evict",
            Operation::Relieve(_) => "pressure",
            Operation::Put(..) | Operation::PutStream(..) => "put",
            Operation::Get(_) | Operation::Contains(_) => "read",
        }
    }
}

impl Workload {
    /// What the run starts from.
    pub fn setting(&self) -> Setting {
        let callers = self.lives.iter().flat_map(|life| &life.callers).chain(&self.callers);
        let operations: usize = callers.map(|operations| operations.len() + 1).sum();
        Setting {
            limits: self.limits_of(self.generations),
            segments: self.segments,
            stored: self
                .stored
                .iter()
                .map(|&(key, number, segment)| Stored { key, bytes: content(number), segment })
                .collect(),
            disk_bytes: if self.disk_bytes == 0 { LARGE_DISK_BYTES } else { self.disk_bytes },
            lives: self
                .lives
                .iter()
                .map(|life| Life { limits: self.limits_in(life), lost: life.lost.clone() })
                .collect(),
            steps_max: STEPS_PER_OPERATION * (operations as u64 + 1),
        }
    }

    fn limits_in(&self, life: &Later) -> Limits {
        self.limits_of(life.generations.unwrap_or(self.generations))
    }

    fn limits_of(&self, generations: [u32; 3]) -> Limits {
        let [old, current, new] = generations.map(|limit| limit.max(1) as usize);
        Limits {
            doomed_bytes_max: u64::from(self.limits.doomed) * SEGMENT_BYTES,
            io_bytes: IO_BYTES,
            stripes: self.limits.stripes as usize,
            batch_rows: self.limits.batch_rows.max(1) as usize,
            ..Limits::new(RingLimits { old, current, new }, SEGMENT_BYTES)
        }
    }

    /// Opens the subject and puts the callers on the stage.
    ///
    /// # Errors
    /// When the subject does not open.
    pub async fn cast(&self, subject: Subject, stage: &Stage) -> Result<()> {
        let act: Act = match subject {
            Subject::RingState => {
                let ring = Arc::new(RingState::open(stage.env().clone(), self.limits_of(self.generations).ring)?);
                stage.watch_ring(&ring);
                Act::RingState(Arc::new(stage.env().clone()), ring)
            }
            Subject::Engine => {
                let engine = Arc::new(Engine::open(stage.env().clone(), self.limits_of(self.generations)).await?);
                stage.watch_engine(&engine);
                Act::Engine(engine)
            }
        };
        self.put_on_stage(0, &act, stage);
        Ok(())
    }

    /// Opens the engine again, in a later life, and puts the callers of that life on the stage.
    pub async fn reopen(&self, stage: &Stage, life: usize) {
        let unchanged = Later::default();
        let limits = self.limits_in(self.lives.get(life - 1).unwrap_or(&unchanged));
        let opened = Engine::open(stage.env().clone(), limits).await;
        let answer = match opened {
            Ok(engine) => {
                let engine = Arc::new(engine);
                stage.watch_engine(&engine);
                self.put_on_stage(life, &Act::Engine(engine.clone()), stage);
                Answer::Opened(engine.repairs().to_vec())
            }
            Err(error) => Answer::Failed(error.to_string()),
        };
        stage.teller().tell(answer);
    }

    /// Puts the callers of a life on the stage. They are numbered through all lives, by kind.
    fn put_on_stage(&self, life: usize, act: &Act, stage: &Stage) {
        let mut kinds: Vec<&'static str> = Vec::new();
        let lives = [(0, &self.callers)].into_iter().chain((1..).zip(self.lives.iter().map(|later| &later.callers)));
        let callers =
            lives.take(life + 1).flat_map(|(number, callers)| callers.iter().map(move |caller| (number, caller)));
        for (number_of_life, operations) in callers {
            let Some(kind) = operations.first().map(|operation| operation.caller()) else {
                continue;
            };
            kinds.push(kind);
            if number_of_life != life {
                continue;
            }
            let number = kinds.iter().filter(|other| **other == kind).count() as u32;
            let (act, operations) = (act.clone(), operations.clone());
            stage.caller(
                numbered(None, kind, number),
                move |teller| async move { act.perform(&operations, &teller).await },
            );
        }
    }
}

/// The subject, as a caller has it.
#[derive(Clone)]
enum Act {
    RingState(Arc<SimEnv>, Arc<RingState<SimEnv>>),
    Engine(Arc<Engine<SimEnv>>),
}

impl Act {
    async fn perform(&self, operations: &[Operation], teller: &Teller) {
        for operation in operations {
            let answer = match self {
                Act::RingState(env, ring) => on_ring_state(env, ring, *operation).await,
                Act::Engine(engine) => on_engine(engine, *operation, teller).await,
            };
            teller.tell(answer.unwrap_or_else(|error| match error {
                Error::Evicted { key } => Answer::GaveUp(key[0]),
                Error::DiskFull { length } => Answer::NoRoom(length),
                Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => Answer::Full,
                error => Answer::Failed(error.to_string()),
            }));
        }
    }
}

async fn on_ring_state(env: &SimEnv, ring: &RingState<SimEnv>, operation: Operation) -> Result<Answer> {
    match operation {
        Operation::Push | Operation::Rotate => {
            let segment = env.segment_id();
            env.disk().create(segment).await?;
            ring.mutate(|ring| ring.push(segment, SEGMENT_BYTES)).await?;
            Ok(Answer::Pushed(segment))
        }
        Operation::EvictSegment(_) | Operation::EvictPlace(_) => {
            let segment = victim(&ring.snapshot().ring, operation);
            Ok(evicted(ring.mutate(|ring| ring.doom(segment)).await?, segment))
        }
        Operation::Relieve(segments) => {
            let target = u64::from(segments) * SEGMENT_BYTES;
            Ok(relieved(segments, ring.mutate(|ring| ring.doom_oldest_until(target)).await?))
        }
        Operation::Put(..) | Operation::PutStream(..) | Operation::Get(_) | Operation::Contains(_) => {
            unreachable!("the ring state alone holds no artifacts")
        }
    }
}

async fn on_engine(engine: &Engine<SimEnv>, operation: Operation, teller: &Teller) -> Result<Answer> {
    match operation {
        Operation::Push | Operation::Rotate => loop {
            if let Rotation::Rotated(segment) = engine.rotate(engine.active()).await? {
                return Ok(Answer::Pushed(segment));
            }
        },
        Operation::EvictSegment(_) | Operation::EvictPlace(_) => {
            let segment = victim(&engine.ring_state().snapshot().ring, operation);
            Ok(evicted(engine.evict(segment).await?, segment))
        }
        Operation::Relieve(segments) => {
            Ok(relieved(segments, engine.relieve(u64::from(segments) * SEGMENT_BYTES).await?))
        }
        Operation::Put(key, number) => {
            let bytes = content(number);
            let (content, since) = teller.puts(key, &bytes);
            engine.put(&[key], bytes.into()).await?;
            Ok(Answer::Put { key, content, since })
        }
        Operation::PutStream(key, number) => {
            let bytes = Bytes::from(content(number));
            let (content, since) = teller.puts(key, &bytes);
            engine.put_stream(&[key], bytes.len() as u64, Pieces { bytes, position: 0 }).await?;
            Ok(Answer::Put { key, content, since })
        }
        Operation::Get(key) => {
            let since = teller.step();
            let content = engine.get(&[key]).await?.map(|bytes| xxh3_64(&bytes));
            Ok(Answer::Read { key, content, since })
        }
        Operation::Contains(key) => {
            let since = teller.step();
            Ok(Answer::Contains { key, found: engine.contains(&[key])?, since })
        }
    }
}

/// A body of small pieces that can be had again.
struct Pieces {
    bytes: Bytes,
    position: usize,
}

impl Body for Pieces {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let end = self.bytes.len().min(self.position + IO_BYTES / 2);
        let piece = self.bytes.slice(self.position..end);
        self.position = end;
        Ok((!piece.is_empty()).then_some(piece))
    }

    fn restart(&mut self) -> bool {
        self.position = 0;
        true
    }
}

/// The segment that an eviction is about, as its caller sees the ring before.
fn victim(ring: &Ring, operation: Operation) -> SegmentId {
    match operation {
        Operation::EvictPlace(place) => ring.members()[place as usize % ring.members().len()].segment,
        Operation::EvictSegment(number) => SegmentId::from_u128(u128::from(number)),
        _ => unreachable!("it has no victim of its own"),
    }
}

fn evicted(eviction: Eviction, segment: SegmentId) -> Answer {
    match eviction {
        Eviction::Doomed => Answer::Evicted(segment),
        Eviction::NotInRing => Answer::Absent(segment),
        Eviction::Active => Answer::RefusedActive(segment),
    }
}

fn relieved(segments: u32, victims: Vec<SegmentId>) -> Answer {
    Answer::Relieved { left_max: segments as usize, victims }
}
