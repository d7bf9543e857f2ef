//! Hand-made states, good and bad, for showing that an oracle can tell them apart.

use super::{Finding, Oracle, Tasks, View, When};
use crate::history::{Answer, Change, History, Save};
use crate::locks::LockFacts;
use crate::site::TaskId;
use segment_engine::capacity::Usage;
use segment_engine::manifest::Manifest;
use segment_engine::ring_state::RingRecord;
use segment_engine::usage::Owners;
use segment_engine::{Ring, RingLimits, SegmentId};
use xxhash_rust::xxh3::xxh3_64;

/// The task that runs in a scene.
pub const ACTOR: TaskId = TaskId(0);
/// The task that is gone.
pub const GONE: TaskId = TaskId(1);

/// A state at one moment.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What the actor is called.
    pub actor: &'static str,
    /// Another task goes on beside the actor.
    pub goes_on: bool,
    /// The run so far.
    pub history: History,
    /// What is being saved.
    pub saving: Save,
    /// Who is told what.
    pub answer: (TaskId, Answer),
    /// What readers see.
    pub published: RingRecord,
    /// Whose the bytes of each segment are, as the engine counts them.
    pub owners: Vec<(SegmentId, Owners)>,
    /// The same of an engine that is closed, as its close began.
    pub closing: Option<Vec<(SegmentId, Owners)>>,
    /// What the ring accounts for, as the engine tells.
    pub usage: Option<Usage>,
    /// What is wrong with the locks.
    pub locks: LockFacts,
    /// Who holds the state lock.
    pub state_holder: Option<TaskId>,
    /// Steps so far, of [`Scene::STEPS_MAX`].
    pub steps: u64,
    /// Tasks that should have ended.
    pub unfinished: Vec<TaskId>,
    /// Artifacts that are queued to be copied.
    pub refreshes_waiting: usize,
}

/// What each segment of [`ring_to`] may hold.
pub const SEGMENT_BYTES: u64 = 10;

/// The segment of this number.
pub fn segment(number: u128) -> SegmentId {
    SegmentId::from_u128(number)
}

/// A ring of 2/2/2 after a change.
pub fn ring(change: impl FnOnce(&mut Ring)) -> Ring {
    let mut ring = Ring::new(RingLimits { old: 2, current: 2, new: 2 });
    change(&mut ring);
    ring
}

/// A ring with the segments from 1 to `last` pushed.
pub fn ring_to(last: u128) -> Ring {
    ring(|ring| (1..=last).for_each(|number| ring.push(segment(number), SEGMENT_BYTES)))
}

/// A save in step 5 by the actor.
pub fn save(version: u64, base: u64, ring: Ring) -> Save {
    Save { step: 5, task: Some(ACTOR), record: RingRecord { version, base, ring } }
}

impl Scene {
    /// The steps of a scene's run.
    pub const STEPS_MAX: u64 = 100;

    /// Segments 1 to 3 are in the ring and on disk, 4 is being pushed; key 1 was put into segment 3 in step 3 and has just
    /// been read. Every oracle accepts it.
    pub fn good() -> Scene {
        let mut history = History::default();
        history.save(save(1, 0, ring_to(2)));
        history.save(save(2, 1, ring_to(3)));
        history.files.extend((1..=3).map(segment));
        let bytes = b"artifact".to_vec();
        let (length, checksum) = (bytes.len() as u64, xxh3_64(&bytes));
        history.files.write(segment(3), 0, &bytes);
        history.contents.insert(checksum, bytes);
        history.commits = 1;
        let manifest = Manifest { version: 1, segment: segment(3), offset: 0, length, checksum };
        history.change(&[Change::Row(1, Some(manifest)), Change::Index(segment(3), 1, true)]);
        history.see(3, None);
        let live = Owners { live: length, ..Owners::default() };
        Scene {
            actor: "actor#1",
            goes_on: false,
            owners: vec![(segment(3), live)],
            published: RingRecord { version: 2, base: 1, ring: ring_to(3) },
            history,
            saving: save(3, 2, ring_to(4)),
            answer: (ACTOR, Answer::Read { key: 1, content: Some(checksum), since: 4 }),
            closing: None,
            usage: None,
            locks: LockFacts::default(),
            state_holder: None,
            steps: 5,
            unfinished: Vec::new(),
            refreshes_waiting: 0,
        }
    }

    /// The good scene, changed.
    pub fn with(change: impl FnOnce(&mut Scene)) -> Scene {
        let mut scene = Scene::good();
        change(&mut scene);
        scene
    }

    /// Asks one oracle about it.
    pub fn ask(&self, oracle: &Oracle) -> Option<Finding> {
        (oracle.check)(&View {
            history: &self.history,
            saving: (oracle.when == When::Save).then_some(&self.saving),
            answer: (oracle.when == When::Answer).then_some((self.answer.0, &self.answer.1)),
            published: self.history.saved().filter(|saved| **saved != self.published).map(|_| &self.published),
            owners: Some(&*self.owners).filter(|_| self.closing.is_none()),
            closing: self.closing.as_deref(),
            usage: self.usage.as_ref(),
            locks: self.locks,
            state_holder: self.state_holder,
            tasks: self,
            steps: self.steps,
            steps_max: Scene::STEPS_MAX,
            unfinished: &self.unfinished,
            refreshes_waiting: self.refreshes_waiting,
        })
    }
}

impl Tasks for Scene {
    fn label(&self, task: TaskId) -> &str {
        if task == ACTOR { self.actor } else { "gone#1" }
    }

    fn is_alive(&self, task: TaskId) -> bool {
        task == ACTOR
    }

    fn parent(&self, task: TaskId) -> Option<TaskId> {
        (task == ACTOR).then_some(GONE)
    }

    fn place(&self, _task: TaskId) -> &'static str {
        "RingCloned"
    }

    fn beside(&self, _task: TaskId) -> Option<TaskId> {
        self.goes_on.then_some(GONE)
    }

    fn alive_children(&self, _name: &str) -> usize {
        0
    }
}
