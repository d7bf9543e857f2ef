//! What the callers of a run do, as a value: made from a seed, printed, shrunk.

use crate::act::Act;
use segment_engine::{Engine, Limits, Result, RingLimits, RingState};
use segment_sim::history::{Answer, Key};
use segment_sim::site::numbered;
use segment_sim::world::{Life, Setting, Stage, Stored};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of a simulated segment.
pub const SEGMENT_BYTES: u64 = 256;

/// The size of a simulated disk that does not run full.
const LARGE_DISK_BYTES: u64 = 1 << 40;

/// Bytes that a simulated engine reads or writes at once: some artifacts take two pieces.
pub const IO_BYTES: usize = 80;

/// The longest simulated artifact that others fit beside.
const ARTIFACT_BYTES_MAX: u64 = 120;

/// Contents from this one on are larger than a segment.
pub const LARGE: u16 = 60_000;

/// Steps that may be taken while a caller sleeps: what fails is tried again each second.
const STEPS_PER_MS: u64 = 1;

/// Steps that an operation may take before the run counts as one that does not end.
const STEPS_PER_OPERATION: u64 = 400;

/// The ring that a run starts from, and what its callers do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Limits of the ring: old, current, new.
    pub generations: [u32; 3],
    /// Segments in the ring before the run; the last is the active one.
    pub segments: u32,
    /// Artifacts that are there before the run: key, content, and the number of the segment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stored: Vec<(Key, u16, u32)>,
    /// The size of the disk in bytes; 0 is one that never runs full.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub disk_bytes: u64,
    /// The engine's other limits.
    #[serde(default)]
    pub limits: Small,
    /// What each caller does, one after the other. All callers start together.
    pub callers: Vec<Vec<Operation>>,
    /// The later lives of the process; one that is not listed here has no callers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lives: Vec<Later>,
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// A later life of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Later {
    /// Limits of the ring, if they are others than before the first crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generations: Option<[u32; 3]>,
    /// Places in the ring whose files are removed before it, oldest first, counted modulo the ring.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<u32>,
    /// Places in the same ring, youngest first, whose files are cut before it, each to so many bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<(u32, u32)>,
    /// What each caller does.
    pub callers: Vec<Vec<Operation>>,
}

/// Limits as small as they go: what goes wrong under large ones goes wrong under these, and sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// The same, piece by piece, with time for each.
    GetStream(Key),
    /// Ask whether this key has an artifact.
    Contains(Key),
    /// None of the engine's: the caller sleeps for so many milliseconds of virtual time.
    Sleep(u32),
    /// None of the engine's: others take so many bytes of the disk.
    Take(u32),
    /// Others take all that is free but so many bytes, and what the catalog's log is to take.
    Leave(u32),
}

/// A part of a plan in the words of its file: `rotate`, `evict-place 3`, `put [1,17]`.
pub fn words(part: &impl Serialize) -> String {
    match serde_json::to_value(part).expect("a plan is plain data") {
        Value::String(name) => name,
        Value::Object(named) => {
            named.iter().map(|(name, takes)| format!("{name} {takes}")).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// The bytes of a content: as many as its number says, and no two alike. Content 0 has none, those from [`LARGE`] on are
/// larger than a segment.
pub fn content(number: u16) -> Vec<u8> {
    if number == 0 {
        return Vec::new();
    }
    let length = match number {
        LARGE.. => SEGMENT_BYTES + u64::from(number) % 40,
        _ => 1 + u64::from(number).wrapping_mul(37) % ARTIFACT_BYTES_MAX,
    };
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((0..length).map(|at| at as u8 ^ 0x5a));
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
    /// The kind of caller that this makes, for its label; any may sleep.
    fn caller(self) -> Option<&'static str> {
        Some(match self {
            Operation::Push => "push",
            Operation::Rotate => "rotate",
            Operation::EvictSegment(_) | Operation::EvictPlace(_) => "evict",
            Operation::Relieve(_) => "pressure",
            Operation::Put(..) | Operation::PutStream(..) => "put",
            Operation::Get(_) | Operation::GetStream(_) | Operation::Contains(_) => "read",
            Operation::Take(_) | Operation::Leave(_) => "others",
            Operation::Sleep(_) => return None,
        })
    }
}

/// The most segments, callers of a life, calls of a caller, and lives of a workload that was read from a file.
const SEGMENTS_MAX: u32 = 64;
const CALLERS_MAX: usize = 64;
const OPERATIONS_MAX: usize = 64;

/// And in all lives: each may start tens of tasks, of which a run has less than 65,536.
const CALLS_MAX: usize = 512;
const LIVES_MAX: usize = 16;
const LIMIT_MAX: u32 = 1024;

/// The longest that a caller sleeps at once, in milliseconds.
const SLEEP_MS_MAX: u32 = 10_000;

impl Workload {
    /// The number of each content that is stored before or put, by the hash of its bytes.
    pub fn contents(&self) -> BTreeMap<u64, u16> {
        let put = self.all_callers().flatten().filter_map(|operation| match operation {
            Operation::Put(_, number) | Operation::PutStream(_, number) => Some(*number),
            _ => None,
        });
        let stored = self.stored.iter().map(|(_, number, _)| *number);
        stored.chain(put).map(|number| (xxh3_64(&content(number)), number)).collect()
    }

    /// The callers of every life.
    fn all_callers(&self) -> impl Iterator<Item = &Vec<Operation>> {
        self.callers.iter().chain(self.lives.iter().flat_map(|life| &life.callers))
    }

    /// Whether a run can bear it, wherever it comes from.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn check(&self, subject: Subject, crashes: bool) -> std::result::Result<(), String> {
        let lives = self.lives.iter().map(|life| (life.generations.unwrap_or(self.generations), &life.callers));
        for (generations, callers) in [(self.generations, &self.callers)].into_iter().chain(lives) {
            if generations.iter().any(|limit| !(1..=SEGMENTS_MAX).contains(limit)) {
                return Err(format!("a generation has room for 1 to {SEGMENTS_MAX} segments, not {generations:?}"));
            }
            if callers.len() > CALLERS_MAX || callers.iter().any(|caller| caller.len() > OPERATIONS_MAX) {
                return Err(format!("a life has at most {CALLERS_MAX} callers with {OPERATIONS_MAX} calls each"));
            }
            // oracles judge a caller by its label, which names the kind of its calls
            let kinds =
                |caller: &Vec<Operation>| caller.iter().filter_map(|call| call.caller()).collect::<BTreeSet<_>>();
            if let Some(kinds) = callers.iter().map(kinds).find(|kinds| kinds.len() > 1) {
                let kinds = kinds.into_iter().collect::<Vec<_>>().join(" and ");
                return Err(format!(
                    "a caller makes calls of one kind, not {kinds}: give each kind a caller of its own"
                ));
            }
        }
        let too_long = |call: &&Operation| matches!(call, Operation::Sleep(duration_ms) if *duration_ms > SLEEP_MS_MAX);
        if let Some(sleep) = self.all_callers().flatten().find(too_long) {
            return Err(format!("a caller sleeps at most {SLEEP_MS_MAX} ms at once, it cannot {}", words(sleep)));
        }
        let calls = self.all_callers().map(Vec::len).sum::<usize>();
        if calls > CALLS_MAX {
            return Err(format!("a run has at most {CALLS_MAX} calls, not {calls}"));
        }
        if !(1..=SEGMENTS_MAX).contains(&self.segments) {
            return Err(format!("a run begins with 1 to {SEGMENTS_MAX} segments, not {}", self.segments));
        }
        if self.lives.len() > LIVES_MAX {
            return Err(format!("a run has at most {LIVES_MAX} later lives, not {}", self.lives.len()));
        }
        let Small { doomed, stripes, batch_rows } = self.limits;
        if [doomed, stripes, batch_rows].into_iter().any(|limit| limit > LIMIT_MAX) {
            return Err(format!("the limits doomed, stripes and batch_rows are at most {LIMIT_MAX}"));
        }
        let mut lengths = vec![0; self.segments as usize + 1];
        for (index, &(key, number, segment)) in self.stored.iter().enumerate() {
            let Some(length) = lengths.get_mut(segment as usize).filter(|_| segment > 0) else {
                return Err(format!("key {key} is stored in segment {segment}, which is not there"));
            };
            *length += content(number).len() as u64;
            if *length > SEGMENT_BYTES {
                return Err(format!("more is stored in segment {segment} than its {SEGMENT_BYTES} bytes"));
            }
            if self.stored[..index].iter().any(|(other, ..)| *other == key) {
                return Err(format!("key {key} is stored twice"));
            }
        }
        let stored: u64 = lengths.iter().sum();
        if self.disk_bytes > LARGE_DISK_BYTES {
            return Err(format!("disk_bytes is at most {LARGE_DISK_BYTES}, and 0 for a disk that never runs full"));
        }
        if self.disk_bytes > 0 && stored > self.disk_bytes {
            return Err(format!("{stored} bytes are stored on a disk of {}", self.disk_bytes));
        }
        if subject == Subject::RingState {
            if crashes || !self.lives.is_empty() {
                return Err("the ring state alone has one life".to_string());
            }
            let puts = |operation: &&Operation| matches!(operation.caller(), Some("put" | "read" | "others"));
            if let Some(operation) = self.callers.iter().flatten().find(puts) {
                return Err(format!("the ring state alone has no artifacts: it cannot {}", words(operation)));
            }
        }
        Ok(())
    }

    /// What the run starts from.
    pub fn setting(&self) -> Setting {
        let operations: usize = self.all_callers().map(|operations| operations.len() + 1).sum();
        let slept = |operation: &Operation| if let Operation::Sleep(ms) = operation { u64::from(*ms) } else { 0 };
        let slept: u64 = self.all_callers().flatten().map(slept).sum();
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
                .map(|life| Life { limits: self.limits_in(life), lost: life.lost.clone(), cut: life.cut.clone() })
                .collect(),
            steps_max: STEPS_PER_OPERATION * (operations as u64 + 1) + STEPS_PER_MS * slept,
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
            Err(error) => Answer::failed(&error),
        };
        stage.teller().tell(answer);
    }

    /// Puts the callers of a life on the stage.
    fn put_on_stage(&self, life: usize, act: &Act, stage: &Stage) {
        let Some((callers, labels)) = self.callers_of(life).zip(self.labels().into_iter().nth(life)) else {
            return;
        };
        for (operations, label) in callers.iter().zip(labels) {
            if let Some(label) = label {
                let (act, operations) = (act.clone(), operations.clone());
                stage.caller(label, move |teller| async move { act.perform(&operations, &teller).await });
            }
        }
    }

    /// What each caller of a life does, counted from 0.
    fn callers_of(&self, life: usize) -> Option<&Vec<Vec<Operation>>> {
        if life == 0 { Some(&self.callers) } else { self.lives.get(life - 1).map(|later| &later.callers) }
    }

    /// The callers' labels, life by life: numbered through all lives, by the kind of their calls. One that makes
    /// none has none.
    pub fn labels(&self) -> Vec<Vec<Option<String>>> {
        let mut kinds: Vec<&'static str> = Vec::new();
        let mut label = |operations: &Vec<Operation>| {
            let kind = operations.iter().find_map(|operation| operation.caller())?;
            kinds.push(kind);
            Some(numbered(None, kind, kinds.iter().filter(|other| **other == kind).count() as u32))
        };
        let lives = (0..=self.lives.len()).filter_map(|life| self.callers_of(life));
        lives.map(|callers| callers.iter().map(&mut label).collect()).collect()
    }
}
