//! What callers begin, and what they are told: taken down for the oracles.

use crate::conductor::Conductor;
use crate::history::{Answer, Begun, Key, Putting};
use crate::vocabulary::{BODY, PIECE, SLEEP};
use crate::watch::Watch;
use segment_engine::SegmentId;
use std::future::Future;
use xxhash_rust::xxh3::xxh3_64;

/// Takes down what a caller is told.
#[derive(Clone)]
pub struct Teller {
    conductor: Conductor,
    watch: Watch,
}

impl Teller {
    pub(super) fn new(conductor: Conductor, watch: Watch) -> Teller {
        Teller { conductor, watch }
    }

    /// The running caller begins something.
    pub fn begins(&self) {
        let (task, step) = (self.conductor.current(), self.step());
        let mut history = self.watch.history().borrow_mut();
        let (errors, rows_moved, rot_told) = (history.errors, history.rows_moved, history.rot.told.len());
        let begun = Begun { errors, rows_moved, rot_told, step, ..Begun::default() };
        if let Some(task) = task {
            history.rot.begin(task);
        }
        history.begun.extend(task.map(|task| (task, begun)));
    }

    /// What it has begun is to evict this segment.
    pub fn evicts(&self, segment: SegmentId) {
        let task = self.conductor.current();
        let mut history = self.watch.history().borrow_mut();
        if let Some(begun) = task.and_then(|task| history.begun.get_mut(&task)) {
            begun.evicts = Some(segment);
        }
    }

    /// What it has begun is to read, `is_stream`: one piece after the other; returns the step.
    pub fn reads(&self, is_stream: bool) -> u64 {
        let task = self.conductor.current();
        let mut history = self.watch.history().borrow_mut();
        if let Some(begun) = task.and_then(|task| history.begun.get_mut(&task)) {
            (begun.reads, begun.is_stream) = (true, is_stream);
        }
        drop(history);
        self.step()
    }

    /// What it has begun is to put this under a key; returns the hash of it, and the step.
    pub fn puts(&self, key: Key, bytes: &[u8], is_stream: bool) -> (u64, u64) {
        let content = xxh3_64(bytes);
        let task = self.conductor.current();
        let mut history = self.watch.history().borrow_mut();
        if let Some(begun) = task.and_then(|task| history.begun.get_mut(&task)) {
            (begun.puts, begun.is_stream) = (Some(bytes.len() as u64), is_stream);
        }
        history.contents.entry(content).or_insert_with(|| bytes.to_vec());
        let bytes = bytes.len() as u64;
        history.putting.extend(task.map(|task| Putting { task, key, content, bytes, written: 0 }));
        drop(history);
        (content, self.step())
    }

    /// Others take so many bytes of the disk.
    pub fn takes_room(&self, bytes: u64) {
        self.watch.history().borrow_mut().take_room(bytes);
    }

    /// Others take all but so many, and what the catalog's log is to take.
    pub fn leaves_room(&self, bytes: u64) {
        self.watch.history().borrow_mut().leave_room(bytes);
    }

    /// The running caller waits for the next piece of a body.
    pub fn awaits_body(&self) -> impl Future<Output = ()> + Send + use<'_> {
        let task = self.conductor.current();
        self.watch.history().borrow_mut().awaits_body(task);
        self.conductor.reach(BODY)
    }

    /// The running caller has the whole artifact of this key, of this content, or its last piece.
    pub fn has_read(&self, key: Key, content: u64) {
        if let Some(task) = self.conductor.current() {
            self.watch.history().borrow_mut().read_whole(task, key, content);
        }
    }

    /// The running caller sleeps.
    pub fn sleeps(&self, duration_ms: u64) -> impl Future<Output = ()> + Send + use<'_> {
        self.conductor.sleep(SLEEP, duration_ms)
    }

    /// The running caller has a piece of what it reads, and takes its time with it.
    pub fn took_piece(&self) -> impl Future<Output = ()> + Send + use<'_> {
        self.conductor.reach(PIECE)
    }

    /// The step of now.
    pub fn step(&self) -> u64 {
        self.conductor.look(|pulse| pulse.step())
    }

    /// The running caller was told this, in this step.
    pub fn tell(&self, answer: Answer) {
        self.conductor.look(|pulse| self.watch.answered(pulse, answer));
    }
}
