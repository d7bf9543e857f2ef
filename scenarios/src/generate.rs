//! The generators: a scenario's workload from the keyed decisions of a seed.

use crate::workload::{LARGE, Later, Operation, Small, Workload, content};
use segment_sim::decision::Decisions;

pub(crate) fn concurrent_pushes(_: &Decisions) -> Workload {
    Workload { generations: [8, 8, 8], segments: 1, callers: vec![vec![Operation::Push]; 16], ..Workload::default() }
}

pub(crate) fn concurrent_evictions(_: &Decisions) -> Workload {
    let callers = (1..=16).map(|number| vec![Operation::EvictSegment(number)]).collect();
    Workload { generations: [6, 6, 6], segments: 17, callers, ..Workload::default() }
}

/// At least four rotations and four evictions.
pub(crate) fn rotation_vs_eviction(decisions: &Decisions) -> Workload {
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

pub(crate) fn rotation_overflow_only(decisions: &Decisions) -> Workload {
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
pub(crate) fn put_vs_eviction(decisions: &Decisions) -> Workload {
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
pub(crate) fn same_key(decisions: &Decisions) -> Workload {
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

/// Every key is stored in the oldest segments; readers have it copied while puts replace it. In most seeds the segment
/// goes then: a read that is half way finds what has replaced it.
pub(crate) fn refresh_vs_put(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let keys = decisions.between("keys", 1, 3);
    let mut callers: Vec<Vec<Operation>> = (0..3).map(|reader| reads(decisions, reader, 3, keys)).collect();
    callers.extend((0..3).map(|putter| puts(decisions, putter, 2, keys, 64)));
    callers.push(vec![Operation::EvictPlace(0); decisions.between("evictions", 0, 2) as usize]);
    let stored = (1..=keys).map(|key| (key as u8, long_or_not(decisions, key as u8), 1)).collect();
    Workload { generations, segments: room, stored, limits: small(decisions), callers, ..Workload::default() }
}

/// Every key is stored in the oldest segments, which are evicted while readers have them copied.
pub(crate) fn read_vs_refresh(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let keys = decisions.between("keys", 1, 3);
    let mut callers: Vec<Vec<Operation>> = (0..4).map(|reader| reads(decisions, reader, 3, keys)).collect();
    let streamed = |number| Operation::GetStream(decisions.between_of("streamed", number, 1, keys.min(2)) as u8);
    callers.extend([[0, 1], [2, 3]].map(|numbers| numbers.map(streamed).to_vec()));
    for evictor in 0..2 {
        callers.push(vec![match decisions.between_of("evicts", evictor, 0, 2) {
            0 => Operation::Relieve(decisions.between_of("left", evictor, 1, u64::from(room)) as u32),
            1 => Operation::Rotate,
            _ => Operation::EvictPlace(0),
        }]);
    }
    let stored = (1..=keys).map(|key| (key as u8, long_or_not(decisions, key as u8), 1)).collect();
    Workload { generations, segments: room, stored, limits: small(decisions), callers, ..Workload::default() }
}

/// A little of everything.
pub(crate) fn cancelled_work(decisions: &Decisions) -> Workload {
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
pub(crate) fn full_disk(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let disk_bytes = decisions.between("disk", 200, 200 + 160 * u64::from(room)) + log_bytes(decisions);
    let keys = decisions.between("keys", 2, 8);
    let mut callers: Vec<Vec<Operation>> = (0..3).map(|putter| puts(decisions, putter, 3, keys, 64)).collect();
    callers.push(reads(decisions, 0, 2, keys));
    if decisions.between("evicts", 0, 1) == 1 {
        callers.push(vec![Operation::EvictPlace(decisions.between("place", 0, 5) as u32)]);
    }
    callers.extend(others(decisions));
    let stored = full(decisions, room, disk_bytes - log_bytes(decisions));
    Workload {
        generations,
        segments: room,
        stored,
        disk_bytes,
        limits: small(decisions),
        callers,
        ..Workload::default()
    }
}

/// In most seeds others take what one to four segments hold, at once or one after the other, or leave next to nothing.
fn others(decisions: &Decisions) -> Option<Vec<Operation>> {
    let take = |number| Operation::Take(decisions.between_of("taken", number, 60, 480) as u32);
    match decisions.between("others", 0, 9) {
        0 | 4 | 5 => Some(vec![Operation::Leave(decisions.between("leave", 0, 60) as u32)]),
        1 | 2 => Some(vec![take(0)]),
        3 => Some(vec![take(0), take(1)]),
        _ => None,
    }
}

/// The same on a disk of about the ring's size, with little that may be doomed.
pub(crate) fn pressure_with_slow_unlinks(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let disk_bytes = decisions.between("disk", 120, 240) * u64::from(room) + log_bytes(decisions);
    let putter = |number| match decisions.between_of("takes its time", number, 0, 2) {
        0 => unhurried(decisions, number, puts(decisions, number, 3, 4, 64)),
        _ => puts(decisions, number, 3, 4, 64),
    };
    let mut callers: Vec<Vec<Operation>> = (0..3).map(putter).collect();
    callers.push(vec![Operation::Relieve(decisions.between("left", 1, u64::from(room)) as u32)]);
    callers.push(vec![Operation::Rotate; 2]);
    let limits = Small { doomed: decisions.between("doomed", 0, 1) as u32, ..small(decisions) };
    let stored = full(decisions, room, disk_bytes - log_bytes(decisions));
    Workload { generations, segments: room, stored, disk_bytes, limits, callers, ..Workload::default() }
}

/// Puts, evictions, reads and a rotation or two before the first crash; reads of every key, and a few puts, after each.
pub(crate) fn crash_anywhere(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let keys = decisions.between("keys", 1, 4);
    let mut callers: Vec<Vec<Operation>> = (0..3).map(|putter| puts(decisions, putter, 2, keys, 64)).collect();
    for evictor in 0..decisions.between("evictors", 0, 2) {
        let place = decisions.between_of("place", evictor, 0, 5) as u32;
        callers.push(vec![Operation::EvictPlace(place)]);
    }
    callers.push(reads(decisions, 0, 2, keys));
    callers.push(vec![Operation::Rotate; decisions.between("rotations", 0, 2) as usize]);
    Workload {
        generations,
        segments: room,
        stored: stored(decisions, keys, room),
        limits: Small { doomed: decisions.between("doomed", 0, 2) as u32, ..small(decisions) },
        callers,
        lives: (1..=3).map(|life| after_a_crash(decisions, life, keys)).collect(),
        ..Workload::default()
    }
}

/// The same on a disk of which little is free.
pub(crate) fn failing_disk(decisions: &Decisions) -> Workload {
    let mut workload = crash_anywhere(decisions);
    if decisions.between("small disk", 0, 1) == 0 {
        let room = u64::from(workload.segments);
        workload.disk_bytes = 300 + decisions.between("disk", 0, 160) * room + log_bytes(decisions);
        workload.callers.extend(others(decisions));
    }
    workload
}

/// More lives, most of them short.
pub(crate) fn recovery_interrupted(decisions: &Decisions) -> Workload {
    let workload = crash_anywhere(decisions);
    let lives = (1..=4).map(|life| after_a_crash(decisions, life, 4)).collect();
    Workload { lives, ..workload }
}

/// One or two files are gone after each crash.
pub(crate) fn lost_file(decisions: &Decisions) -> Workload {
    let mut workload = crash_anywhere(decisions);
    for (life, later) in (0..).zip(&mut workload.lives) {
        let lost = |number: u64| decisions.between_of("lost", 2 * life + number, 0, 5) as u32;
        later.lost = (0..decisions.between_of("losses", life, 0, 2)).map(lost).collect();
    }
    workload
}

/// Every key is stored in the active segment. After each crash that is cut short, mostly, and somebody puts.
pub(crate) fn cut_file(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let keys = decisions.between("keys", 1, 3);
    let later = |life: u64| {
        let between = |name, low, high| decisions.between_of(name, life, low, high);
        let mut callers = vec![(1..=keys).map(|key| Operation::Get(key as u8)).collect()];
        callers.extend((0..2).map(|putter| puts(decisions, 10 * life + putter, between("puts", 1, 2), keys, 64)));
        let is_cut = between("is cut", 0, 3) > 0;
        let cut = (between("youngest", 0, 3) / 3, between("bytes left", 0, 40));
        let cut = is_cut.then_some((cut.0 as u32, cut.1 as u32)).into_iter().collect();
        Later { callers, cut, ..Later::default() }
    };
    Workload {
        generations,
        segments: room,
        stored: (1..=keys).map(|key| (key as u8, before(key as u8), room)).collect(),
        limits: small(decisions),
        callers: vec![puts(decisions, 0, 1, keys, 64)],
        lives: (1..=4).map(later).collect(),
        ..Workload::default()
    }
}

/// Every key is stored in the oldest segments, and is read, put and evicted; readers have it copied.
pub(crate) fn bit_rot(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let keys = decisions.between("keys", 1, 3);
    let has_empty = has_empty(decisions);
    let mut callers: Vec<Vec<Operation>> = (0..3).map(|reader| reads(decisions, reader, 3, keys)).collect();
    let content = |key| match long_or_not(decisions, key) {
        _ if has_empty && key == 1 => 0,
        content => content,
    };
    // of what was stored before, the same bytes again: they are to be mended
    let again = |put| match put {
        Operation::Put(key, number) if number == before(key) => Operation::Put(key, content(key)),
        Operation::PutStream(key, number) if number == before(key) => Operation::PutStream(key, content(key)),
        other => other,
    };
    callers.extend((0..2).map(|putter| puts(decisions, putter, 2, keys, 64).into_iter().map(again).collect()));
    if decisions.between("evicts", 0, 1) == 1 {
        callers.push(vec![Operation::EvictPlace(decisions.between("place", 0, 5) as u32)]);
    }
    callers.push(vec![Operation::Rotate; decisions.between("rotations", 0, 2) as usize]);
    Workload {
        generations,
        segments: room,
        stored: (1..=keys).map(|key| (key as u8, content(key as u8), 1)).collect(),
        limits: Small { doomed: decisions.between("doomed", 0, 2) as u32, ..small(decisions) },
        callers,
        lives: (1..=2).map(|life| after_a_crash(decisions, life, keys)).collect(),
        ..Workload::default()
    }
}

/// Each life may have smaller limits than the one before, and a file less; only some have callers who put.
pub(crate) fn restart_and_shrink(decisions: &Decisions) -> Workload {
    let mut workload = crash_anywhere(decisions);
    workload.generations = ["old", "current", "new"].map(|name| decisions.between_of(name, 1, 2, 3) as u32);
    workload.segments = workload.generations.iter().sum();
    workload.lives = (1..=4).map(|life| after_a_crash(decisions, life, 4)).collect();
    let mut limits = workload.generations;
    for (life, later) in (1..).zip(&mut workload.lives) {
        for (limit, name) in limits.iter_mut().zip(["old", "current", "new"]) {
            *limit = decisions.between_of(name, 1 + life, 1, u64::from(*limit)) as u32;
        }
        later.generations = Some(limits);
        if decisions.between_of("loses", life, 0, 3) == 0 {
            later.lost.push(decisions.between_of("lost", life, 0, 5) as u32);
        }
        if decisions.between_of("nobody puts", life, 0, 1) == 0 {
            later.callers.truncate(1);
        }
    }
    workload
}

/// Puts that rotate, reads that have the oldest artifacts copied, and evictions, a call each: what they start outlives them.
pub(crate) fn close_with_work_left(decisions: &Decisions) -> Workload {
    let generations = generations(decisions);
    let room: u32 = generations.iter().sum();
    let keys = decisions.between("keys", 1, 3);
    let callers = |life: u64| {
        let of = |name, high| decisions.between_of(name, life, 0, high);
        let mut callers: Vec<Vec<Operation>> =
            (0..2).map(|reader| reads(decisions, 2 * life + reader, 1, keys)).collect();
        callers.extend((0..=of("putters", 2)).map(|putter| puts(decisions, 10 * life + putter, 1, keys, 64)));
        callers.push(vec![Operation::EvictPlace(of("place", 5) as u32); of("evictions", 1) as usize]);
        callers.push(vec![Operation::Rotate; of("rotations", 1) as usize]);
        callers
    };
    let stored = match decisions.between("are old", 0, 1) {
        0 => stored(decisions, keys, room),
        _ => (1..=keys).map(|key| (key as u8, before(key as u8), 1)).collect(),
    };
    Workload {
        generations,
        segments: room,
        stored,
        limits: Small { doomed: decisions.between("doomed", 0, 2) as u32, ..small(decisions) },
        callers: callers(0),
        lives: (1..=3).map(|life| Later { callers: callers(life), ..Later::default() }).collect(),
        ..Workload::default()
    }
}

/// Everybody looks what is left, and somebody goes on.
fn after_a_crash(decisions: &Decisions, life: u64, keys: u64) -> Later {
    let mut callers = vec![(1..=keys).map(|key| Operation::Get(key as u8)).collect()];
    for putter in 0..decisions.between_of("putters", life, 0, 2) {
        callers.push(puts(decisions, 10 * life + putter, 2, keys, 64));
    }
    if decisions.between_of("evicts again", life, 0, 2) == 0 {
        callers.extend([vec![Operation::EvictPlace(0)], vec![Operation::Rotate, Operation::Rotate]]);
    }
    Later { callers, ..Later::default() }
}

/// Room for the catalog's log, or for a part of it.
fn log_bytes(decisions: &Decisions) -> u64 {
    decisions.between("log", 400, 1600)
}

/// The same calls with time between them, shorter than the evictor's pause after a failed unlink: some come while it rests.
fn unhurried(decisions: &Decisions, caller: u64, calls: Vec<Operation>) -> Vec<Operation> {
    let sleep = |nth| Operation::Sleep(decisions.between_of("sleep", 10 * caller + nth, 100, 900) as u32);
    calls.into_iter().zip(0..).flat_map(|(call, nth)| [sleep(nth), call]).skip(1).collect()
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

/// What a caller puts: under some of `keys` keys, some of `contents` contents or the one that was stored before, in
/// some seeds often no bytes, in some often more than a segment, now and then as a stream.
fn puts(decisions: &Decisions, putter: u64, count: u64, keys: u64, contents: u64) -> Vec<Operation> {
    let has_empty = has_empty(decisions);
    let has_large = decisions.between("has large", 0, 3) == 0;
    let put = |number: u64| {
        let key = decisions.between_of("key", number, 1, keys) as u8;
        let content = match decisions.between_of("again", number, 0, 3) {
            0 => before(key),
            _ if has_empty && decisions.between_of("empty", number, 0, 1) == 0 => 0,
            _ if has_large && decisions.between_of("large", number, 0, 2) == 0 => LARGE + number as u16 % 3,
            _ => decisions.between_of("content", number, 1, contents) as u16,
        };
        match decisions.between_of("stream", number, 0, 3) {
            0 => Operation::PutStream(key, content),
            _ => Operation::Put(key, content),
        }
    };
    (0..count).map(|nth| put(putter * count + nth)).collect()
}

/// Whether no bytes are often put.
fn has_empty(decisions: &Decisions) -> bool {
    decisions.between("has empty", 0, 3) == 0
}

/// What a caller reads.
fn reads(decisions: &Decisions, reader: u64, count: u64, keys: u64) -> Vec<Operation> {
    let read = |number: u64| {
        let key = decisions.between_of("read", number, 1, keys) as u8;
        match decisions.between_of("contains", number, 0, 4) {
            0 => Operation::Contains(key),
            1 => Operation::GetStream(key),
            _ => Operation::Get(key),
        }
    };
    (0..count).map(|nth| read(reader * count + nth)).collect()
}

/// Contents of 94, 95 and 20 bytes: of what a segment holds, as much as there can be that is read in two pieces.
const LONG: [u16; 3] = [103, 116, 101];

/// The content that is stored under one of three keys before the run, in most seeds a long one.
fn long_or_not(decisions: &Decisions, key: u8) -> u16 {
    if decisions.between("long", 0, 3) > 0 { LONG[usize::from(key) - 1] } else { before(key) }
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
