//! The scenarios: what each is about, and the generator of its workloads.

use crate::workload::{Operation, Small, Subject, Workload, content};
use segment_engine::Result;
use segment_sim::decision::Decisions;
use segment_sim::plan::{Base, Plan};
use segment_sim::strategy::{self, Options};
use segment_sim::world::{Mode, Outcome, Worker};

/// A scenario.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about, in one line.
    pub summary: &'static str,
    /// What its workloads run on.
    pub subject: Subject,
    /// Whether callers may be dropped.
    pub cancels: bool,
    /// Whether writes may meet a full disk that is not.
    pub fills: bool,
    /// What must happen in some seed of a sweep: interference, segments that joined or departed.
    pub must_happen: &'static [&'static str],
    /// The exclusive windows that it is about: each needs arrivals.
    pub windows: &'static [&'static str],
    /// The optimistic windows that it is about: each needs landings.
    pub landings: &'static [&'static str],
    generate: fn(&Decisions) -> Workload,
}

/// Every scenario.
pub const SCENARIOS: [Scenario; 11] = [
    Scenario {
        name: "concurrent-pushes",
        summary: "16 pushes straight on the ring state; every one survives",
        subject: Subject::RingState,
        cancels: false,
        fills: false,
        must_happen: &["joined", "holds"],
        windows: &["clone-to-save"],
        landings: &[],
        generate: concurrent_pushes,
    },
    Scenario {
        name: "concurrent-evictions",
        summary: "16 evictions against a full ring; all gone, none back",
        subject: Subject::Engine,
        cancels: true,
        fills: false,
        must_happen: &["departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save"],
        landings: &[],
        generate: concurrent_evictions,
    },
    Scenario {
        name: "rotation-vs-eviction",
        summary: "rotations, pressure passes and evictions of ring members overlap; unlinks are slow",
        subject: Subject::Engine,
        cancels: true,
        fills: false,
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save", "write-locked"],
        landings: &[],
        generate: rotation_vs_eviction,
    },
    Scenario {
        name: "rotation-overflow-only",
        summary: "rotations alone; only a full ring evicts, and no caller names a member",
        subject: Subject::Engine,
        cancels: true,
        fills: false,
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save", "write-locked"],
        landings: &[],
        generate: rotation_overflow_only,
    },
    Scenario {
        name: "put-vs-eviction",
        summary: "8 puts, 4 evictions and 4 reads overlap; no artifact dangles, no read goes wrong",
        subject: Subject::Engine,
        cancels: true,
        fills: false,
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save", "write-locked"],
        landings: &["append-to-commit", "row-to-commit", "scan-to-delete", "row-to-read"],
        generate: put_vs_eviction,
    },
    Scenario {
        name: "same-key",
        summary: "puts of one or two keys, often of the same bytes, and reads of them; nothing is stored twice",
        subject: Subject::Engine,
        cancels: true,
        fills: false,
        must_happen: &["joined", "holds", "cancels"],
        windows: &["write-locked"],
        landings: &["append-to-commit"],
        generate: same_key,
    },
    Scenario {
        name: "refresh-vs-put",
        summary: "artifacts read from the oldest generation are copied while puts replace them; no put is undone",
        subject: Subject::Engine,
        cancels: true,
        fills: false,
        must_happen: &["joined", "holds", "cancels"],
        windows: &["write-locked"],
        landings: &["copy-to-commit", "row-to-commit"],
        generate: refresh_vs_put,
    },
    Scenario {
        name: "read-vs-refresh",
        summary: "reads of artifacts that are being copied and whose segments go; no read misses or goes wrong",
        subject: Subject::Engine,
        cancels: true,
        fills: false,
        must_happen: &["departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save"],
        landings: &["copy-to-commit", "row-to-read"],
        generate: read_vs_refresh,
    },
    Scenario {
        name: "cancelled-work",
        summary: "puts, streams, reads and evictions whose callers are dropped at any point; nothing leaks, no lock stays",
        subject: Subject::Engine,
        cancels: true,
        fills: false,
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save", "write-locked"],
        landings: &["append-to-commit", "row-to-commit"],
        generate: cancelled_work,
    },
    Scenario {
        name: "full-disk",
        summary: "puts on a disk that is nearly full, and writes that are refused; the ring shrinks, no more than it must",
        subject: Subject::Engine,
        cancels: true,
        fills: true,
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "full disk", "cancels"],
        windows: &["clone-to-save", "write-locked"],
        landings: &["append-to-commit", "row-to-commit"],
        generate: full_disk,
    },
    Scenario {
        name: "pressure-with-slow-unlinks",
        summary: "puts, rotations and pressure passes while the doomed are slow to go; what is doomed counts as freed",
        subject: Subject::Engine,
        cancels: true,
        fills: false,
        must_happen: &["joined", "departed", "holds", "slow unlinks", "failed unlinks", "cancels"],
        windows: &["clone-to-save", "write-locked"],
        landings: &["append-to-commit", "row-to-commit"],
        generate: pressure_with_slow_unlinks,
    },
];

impl Scenario {
    /// The scenario of this name.
    pub fn named(name: &str) -> Option<&'static Scenario> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// The plan of a seed. Without a base each seed gets its own.
    pub fn plan(&self, seed: u64, base: Option<Base>) -> Plan<Workload> {
        Plan {
            scenario: self.name.to_string(),
            schedule: strategy::schedule(seed, Options { base, cancels: self.cancels, fills: self.fills }),
            workload: (self.generate)(&Decisions::new(seed, self.name)),
        }
    }

    /// Makes the run of a plan.
    ///
    /// # Errors
    /// When the harness itself fails.
    pub fn run(&self, worker: &mut Worker, plan: &Plan<Workload>, mode: Mode) -> Result<Outcome> {
        let workload = &plan.workload;
        worker.run(&plan.schedule, &workload.setting(), mode, async |stage| workload.cast(self.subject, stage).await)
    }
}

fn concurrent_pushes(_: &Decisions) -> Workload {
    Workload { generations: [8, 8, 8], segments: 1, callers: vec![vec![Operation::Push]; 16], ..Workload::default() }
}

fn concurrent_evictions(_: &Decisions) -> Workload {
    let callers = (1..=16).map(|number| vec![Operation::EvictSegment(number)]).collect();
    Workload { generations: [6, 6, 6], segments: 17, callers, ..Workload::default() }
}

/// At least four rotations and four evictions.
fn rotation_vs_eviction(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let mut callers = Vec::new();
    for rotator in 0..2 {
        let rotations = if decisions.between_of("rotations", rotator, 1, 8) == 8 { 3 } else { 2 };
        callers.push(vec![Operation::Rotate; rotations]);
    }
    for evictor in 0..4 {
        let place = decisions.between_of("place", evictor, 0, 5) as u32;
        callers.push(vec![Operation::EvictPlace(place)]);
    }
    let passes = decisions.between("passes", 1, 2);
    for pass in 0..passes {
        let left = decisions.between_of("left", pass, 1, u64::from(room)) as u32;
        callers.push(vec![Operation::Relieve(left)]);
    }
    Workload { generations, segments: room, callers, ..Workload::default() }
}

fn rotation_overflow_only(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let rotators = decisions.between("rotators", 2, 3);
    let rotations = |rotator| decisions.between_of("rotations", rotator, 2, 3) as usize;
    Workload {
        generations,
        segments: room,
        callers: (0..rotators).map(|rotator| vec![Operation::Rotate; rotations(rotator)]).collect(),
        ..Workload::default()
    }
}

/// Two puts of each of four callers, four evictions, two readers with two reads each, on few keys. Often somebody rotates
/// besides: only a segment that is no longer active can be evicted under the puts that write to it.
fn put_vs_eviction(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let keys = decisions.between("keys", 1, 4);
    let mut callers: Vec<Vec<Operation>> = (0..4).map(|putter| puts(decisions, putter, 2, keys, 64)).collect();
    for evictor in 0..4 {
        let place = decisions.between_of("place", evictor, 0, 5) as u32;
        callers.push(vec![match decisions.between_of("evicts", evictor, 0, 3) {
            0 => Operation::Relieve(decisions.between_of("left", evictor, 1, u64::from(room)) as u32),
            _ => Operation::EvictPlace(place),
        }]);
    }
    callers.extend((0..2).map(|reader| reads(decisions, reader, 2, keys)));
    callers.push(vec![Operation::Rotate; decisions.between("rotations", 0, 2) as usize]);
    Workload {
        generations,
        segments: room,
        stored: stored(decisions, keys, room),
        limits: small(decisions),
        callers,
        ..Workload::default()
    }
}

/// Puts of few contents under one or two keys.
fn same_key(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let (keys, contents) = (decisions.between("keys", 1, 2), decisions.between("contents", 1, 3));
    let putters = decisions.between("putters", 3, 5);
    let mut callers: Vec<Vec<Operation>> =
        (0..putters).map(|putter| puts(decisions, putter, 2, keys, contents)).collect();
    callers.push(reads(decisions, 0, 3, keys));
    Workload {
        generations,
        segments: room,
        stored: stored(decisions, keys, room),
        limits: small(decisions),
        callers,
        ..Workload::default()
    }
}

/// Every key is stored in the oldest segments; readers have it copied while puts replace it.
fn refresh_vs_put(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let keys = decisions.between("keys", 1, 3);
    let mut callers: Vec<Vec<Operation>> = (0..3).map(|reader| reads(decisions, reader, 2, keys)).collect();
    callers.extend((0..3).map(|putter| puts(decisions, putter, 2, keys, 64)));
    let stored = (1..=keys).map(|key| (key as u8, before(key as u8), 1)).collect();
    Workload { generations, segments: room, stored, limits: small(decisions), callers, ..Workload::default() }
}

/// Every key is stored in the oldest segments, which are evicted while readers have them copied.
fn read_vs_refresh(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let keys = decisions.between("keys", 1, 3);
    let mut callers: Vec<Vec<Operation>> = (0..4).map(|reader| reads(decisions, reader, 3, keys)).collect();
    for evictor in 0..2 {
        callers.push(vec![match decisions.between_of("evicts", evictor, 0, 2) {
            0 => Operation::Relieve(decisions.between_of("left", evictor, 1, u64::from(room)) as u32),
            1 => Operation::Rotate,
            _ => Operation::EvictPlace(0),
        }]);
    }
    let stored = (1..=keys).map(|key| (key as u8, before(key as u8), 1)).collect();
    Workload { generations, segments: room, stored, limits: small(decisions), callers, ..Workload::default() }
}

/// A little of everything.
fn cancelled_work(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let keys = decisions.between("keys", 1, 3);
    let mut callers: Vec<Vec<Operation>> = (0..4).map(|putter| puts(decisions, putter, 2, keys, 64)).collect();
    callers.push(vec![Operation::EvictPlace(0), Operation::EvictPlace(1)]);
    callers.push(vec![Operation::Relieve(decisions.between("left", 1, u64::from(room)) as u32)]);
    callers.push(reads(decisions, 0, 3, keys));
    Workload {
        generations,
        segments: room,
        stored: stored(decisions, keys, room),
        limits: small(decisions),
        callers,
        ..Workload::default()
    }
}

/// A ring full of artifacts on a disk that holds little more.
fn full_disk(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let disk_bytes = decisions.between("disk", 200, 200 + 160 * u64::from(room));
    let keys = decisions.between("keys", 2, 8);
    let mut callers: Vec<Vec<Operation>> = (0..3).map(|putter| puts(decisions, putter, 3, keys, 64)).collect();
    callers.push(reads(decisions, 0, 2, keys));
    if decisions.between("evicts", 0, 1) == 1 {
        callers.push(vec![Operation::EvictPlace(decisions.between("place", 0, 5) as u32)]);
    }
    let stored = full(decisions, room, disk_bytes);
    Workload { generations, segments: room, stored, disk_bytes, limits: small(decisions), callers }
}

/// The same on a disk of about the ring's size, with little that may be doomed.
fn pressure_with_slow_unlinks(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let disk_bytes = decisions.between("disk", 120, 240) * u64::from(room);
    let mut callers: Vec<Vec<Operation>> = (0..3).map(|putter| puts(decisions, putter, 3, 4, 64)).collect();
    callers.push(vec![Operation::Relieve(decisions.between("left", 1, u64::from(room)) as u32)]);
    callers.push(vec![Operation::Rotate; 2]);
    let limits = Small { doomed: decisions.between("doomed", 0, 1) as u32, ..small(decisions) };
    Workload { generations, segments: room, stored: full(decisions, room, disk_bytes), disk_bytes, limits, callers }
}

/// One or two artifacts in each segment, as far as the disk holds them.
fn full(decisions: &Decisions, room: u32, disk_bytes: u64) -> Vec<(u8, u16, u32)> {
    let mut left = disk_bytes;
    let mut stored = Vec::new();
    for key in 1..=2 * room as u8 {
        let number = decisions.between_of("stored", u64::from(key), 200, 300) as u16;
        let length = content(number).len() as u64;
        if length <= left {
            left -= length;
            stored.push((key, number, u32::from(key).div_ceil(2)));
        }
    }
    stored
}

/// What a caller puts: under some of `keys` keys, some of `contents` contents or the one that was stored before, now and
/// then as a stream.
fn puts(decisions: &Decisions, putter: u64, count: u64, keys: u64, contents: u64) -> Vec<Operation> {
    let put = |number: u64| {
        let key = decisions.between_of("key", number, 1, keys) as u8;
        let content = match decisions.between_of("again", number, 0, 3) {
            0 => before(key),
            _ => decisions.between_of("content", number, 1, contents) as u16,
        };
        match decisions.between_of("stream", number, 0, 3) {
            0 => Operation::PutStream(key, content),
            _ => Operation::Put(key, content),
        }
    };
    (0..count).map(|nth| put(putter * count + nth)).collect()
}

/// What a caller reads.
fn reads(decisions: &Decisions, reader: u64, count: u64, keys: u64) -> Vec<Operation> {
    let read = |number: u64| {
        let key = decisions.between_of("read", number, 1, keys) as u8;
        if decisions.between_of("contains", number, 0, 4) == 0 { Operation::Contains(key) } else { Operation::Get(key) }
    };
    (0..count).map(|nth| read(reader * count + nth)).collect()
}

/// The content that is stored under a key before the run, unless the disk is full of others.
fn before(key: u8) -> u16 {
    100 + u16::from(key)
}

/// An artifact under most keys, somewhere in a ring of `room` segments.
fn stored(decisions: &Decisions, keys: u64, room: u32) -> Vec<(u8, u16, u32)> {
    let is_there = |key: &u64| decisions.between_of("stored", *key, 0, 3) > 0;
    let segment = |key| decisions.between_of("segment", key, 1, u64::from(room)) as u32;
    (1..=keys).filter(is_there).map(|key| (key as u8, before(key as u8), segment(key))).collect()
}

/// The smallest limits, and such as are a little larger.
fn small(decisions: &Decisions) -> Small {
    let limit = |name, high| decisions.between(name, 1, high) as u32;
    Small { doomed: limit("doomed", 4), stripes: limit("stripes", 2), batch_rows: limit("batch", 3) }
}

/// Small rings: what goes wrong in them goes wrong in large ones, and they get there sooner.
fn generations(decisions: &Decisions) -> [u32; 3] {
    ["old", "current", "new"].map(|name| decisions.between(name, 1, 2) as u32)
}
