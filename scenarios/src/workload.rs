//! What the callers of a run do, as a value: made from a seed, printed, shrunk.

use segment_engine::ring::Eviction;
use segment_engine::{Engine, Limits, Result, Ring, RingLimits, RingState, Rotation, SegmentId};
use segment_engine::{Env, disk::Disk};
use segment_sim::history::Answer;
use segment_sim::site::numbered;
use segment_sim::world::{Setting, SimEnv, Stage, Teller};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bytes of a simulated segment.
pub const SEGMENT_BYTES: u64 = 256;

/// Steps that an operation may take before the run counts as one that does not end.
const STEPS_PER_OPERATION: u64 = 400;

/// The ring that a run starts from, and what its callers do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Limits of the ring: old, current, new.
    pub generations: [u32; 3],
    /// Segments in the ring before the run; the last is the active one.
    pub segments: u32,
    /// What each caller does, one after the other. All callers start together.
    pub callers: Vec<Vec<Operation>>,
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
        }
    }
}

impl Workload {
    /// What the run starts from.
    pub fn setting(&self) -> Setting {
        let [old, current, new] = self.generations.map(|limit| limit.max(1) as usize);
        let operations: usize = self.callers.iter().map(Vec::len).sum();
        Setting {
            limits: Limits { ring: RingLimits { old, current, new }, segment_bytes: SEGMENT_BYTES },
            segments: self.segments,
            steps_max: STEPS_PER_OPERATION * (operations as u64 + 1),
        }
    }

    /// Opens the subject and puts the callers on the stage.
    ///
    /// # Errors
    /// When the subject does not open.
    pub async fn cast(&self, subject: Subject, stage: &Stage) -> Result<()> {
        let act: Act = match subject {
            Subject::RingState => {
                let ring = Arc::new(RingState::open(stage.env().clone(), self.setting().limits.ring)?);
                stage.watch_ring(&ring);
                Act::RingState(Arc::new(stage.env().clone()), ring)
            }
            Subject::Engine => {
                let engine = Arc::new(Engine::open(stage.env().clone(), self.setting().limits).await?);
                stage.watch_ring(engine.ring_state());
                stage.keep(engine.clone());
                Act::Engine(engine)
            }
        };
        let mut numbers: Vec<(&'static str, u32)> = Vec::new();
        for operations in &self.callers {
            let Some(kind) = operations.first().map(|operation| operation.caller()) else {
                continue;
            };
            let number = 1 + numbers.iter().filter(|(other, _)| *other == kind).count() as u32;
            numbers.push((kind, number));
            let (act, operations) = (act.clone(), operations.clone());
            stage.caller(
                numbered(None, kind, number),
                move |teller| async move { act.perform(&operations, &teller).await },
            );
        }
        Ok(())
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
                Act::Engine(engine) => on_engine(engine, *operation).await,
            };
            teller.tell(answer.unwrap_or_else(|error| Answer::Failed(error.to_string())));
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
    }
}

async fn on_engine(engine: &Engine<SimEnv>, operation: Operation) -> Result<Answer> {
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
    }
}

/// The segment that an eviction is about, as its caller sees the ring before.
fn victim(ring: &Ring, operation: Operation) -> SegmentId {
    match operation {
        Operation::EvictPlace(place) => ring.members()[place as usize % ring.members().len()].segment,
        Operation::EvictSegment(number) => SegmentId::from_u128(u128::from(number)),
        Operation::Push | Operation::Rotate | Operation::Relieve(_) => unreachable!("it has no victim of its own"),
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
