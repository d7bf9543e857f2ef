//! What happened, in order, and the hash of it.

use crate::plan::CrashKind;
use crate::site::Site;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The step it happened in; several events share one when a task does more before it parks again.
    pub step: u64,
    /// Where.
    pub site: Site,
    /// What.
    pub what: What,
}

/// A task that came to a site and waits there, or an operation that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The step it happened in.
    pub step: u64,
    /// Where.
    pub site: Site,
}

/// What happened at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A parked task went on.
    Passed,
    /// A task went by without parking.
    Noted,
    /// A submitted operation took effect.
    Landed,
    /// A read did, and found a bit flipped.
    Rotten,
    /// A submitted operation failed with this error number.
    Failed(i32),
    /// The caller was dropped here.
    Cancelled,
    /// The process ended here.
    Crashed,
    /// The task returned.
    Finished,
    /// The task panicked.
    Panicked,
    /// Something changed whose content has this number: a commit.
    Changed(u64),
}

/// The end of a life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessEnd {
    /// Events before it.
    pub after: usize,
    /// The step it happened in.
    pub step: u64,
    /// What survives it.
    pub kind: CrashKind,
}

/// The events of one run.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    keep: bool,
    events: Vec<Event>,
    arrivals: Vec<Arrival>,
    ends: Vec<ProcessEnd>,
    hash: u64,
}

impl Trace {
    /// No events yet. Unless they are to be kept, only their hash is.
    pub fn new(keep: bool) -> Trace {
        Trace { keep, events: Vec::new(), arrivals: Vec::new(), ends: Vec::new(), hash: 0 }
    }

    /// Adds an event; `key` is the number of its site.
    pub fn push(&mut self, step: u64, site: Site, key: u64, what: What) {
        if self.keep {
            self.events.push(Event { step, site, what });
        }
        let (code, detail) = match what {
            What::Passed => (0, 0),
            What::Noted => (1, 0),
            What::Landed => (2, 0),
            What::Failed(errno) => (3, u64::from(errno.unsigned_abs())),
            What::Cancelled => (4, 0),
            What::Finished => (5, 0),
            What::Panicked => (6, 0),
            What::Changed(content) => (7, content),
            What::Crashed => (8, 0),
            What::Rotten => (9, 0),
        };
        let mut event = [0; 16];
        event[..8].copy_from_slice(&key.to_le_bytes());
        event[8..].copy_from_slice(&detail.to_le_bytes());
        self.hash = xxh3_64_with_seed(&event, self.hash.wrapping_add(code));
    }

    /// Forgets what happened so far.
    pub fn begin_anew(&mut self) {
        self.events.clear();
        self.arrivals.clear();
        self.ends.clear();
        self.hash = 0;
    }

    /// Takes down who waits where. It is no event: when it goes on, that is one.
    pub fn arrive(&mut self, step: u64, site: Site) {
        if self.keep {
            self.arrivals.push(Arrival { step, site });
        }
    }

    /// Takes down that the process ends. What that does to anybody is an event of its own.
    pub fn process_ended(&mut self, step: u64, kind: CrashKind) {
        if self.keep {
            self.ends.push(ProcessEnd { after: self.events.len(), step, kind });
        }
    }

    /// The ends of the process so far, in order, if they are kept.
    pub fn process_ends(&self) -> &[ProcessEnd] {
        &self.ends
    }

    /// The events so far, if they are kept.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Who has waited where so far, in order, if that is kept.
    pub fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    /// The hash of all events, each on top of those before it: equal for equal runs on any machine.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}
