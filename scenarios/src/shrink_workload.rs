//! What of a workload can go: for shrinking, the workloads that are one thing smaller.

use crate::workload::{Later, Operation, SEGMENT_BYTES, Small, Workload, content};
use segment_sim::history::Key;
use segment_sim::shrink::Smaller;

/// A call counts as much as so many of the smaller things.
const OPERATION: usize = 1000;

/// About what a put takes of the disk beside its bytes, in the catalog's log, and how many sizes of a disk are tried.
const ROOM_OF_PUT: u64 = 60;
const DISKS: u64 = 6;

/// The workloads that are one thing smaller, those that lack most first.
pub fn smaller(workload: &Workload) -> Vec<Smaller<Workload>> {
    let mut all = Vec::new();
    for life in (0..=workload.lives.len()).rev().filter(|_| !workload.lives.is_empty()) {
        let less = without_life(workload, life);
        let moved = |(of, caller): Place| (of != life).then(|| (of - usize::from(of > life), caller));
        let renamed = renamed(workload, &less, moved);
        all.push(Smaller { renamed, workload: less, life: Some(life), is_variant: false });
    }
    for place in places(workload) {
        let mut less = workload.clone();
        let gone = callers(&mut less, place.0).remove(place.1);
        let moved = |other: Place| match other {
            _ if other == place => None,
            (life, caller) if life == place.0 && caller > place.1 => Some((life, caller - 1)),
            _ => Some(other),
        };
        all.extend(without(workload, less, &gone, moved));
    }
    for place in places(workload) {
        let count = callers(&mut workload.clone(), place.0)[place.1].len();
        for operation in (0..count).rev().filter(|_| count > 1) {
            let mut less = workload.clone();
            let gone = callers(&mut less, place.0)[place.1].remove(operation);
            all.extend(without(workload, less, &[gone], Some));
        }
    }
    all.extend(plainer(workload).into_iter().filter(|less| size(less) < size(workload)).map(|less| Smaller {
        workload: less,
        renamed: Vec::new(),
        life: None,
        is_variant: false,
    }));
    all
}

/// How much there is to tell of a workload.
pub fn size(workload: &Workload) -> usize {
    let Workload { generations, segments, stored, disk_bytes, limits, lives, .. } = workload;
    let callers = lives.iter().flat_map(|life| &life.callers).chain(&workload.callers);
    let operations: Vec<Operation> = callers.clone().flatten().copied().collect();
    let streams = operations.iter().filter(|operation| matches!(operation, Operation::PutStream(..))).count();
    let changes =
        lives.iter().map(|life| 1 + usize::from(life.generations.is_some()) + life.lost.len() + life.cut.len());
    let rings = generations.iter().sum::<u32>() + segments;
    OPERATION * operations.len()
        + 20 * stored.len()
        + 50 * changes.sum::<usize>()
        + callers.count()
        + streams
        + rings as usize
        + 10 * usize::from(*disk_bytes > 0)
        + 10 * usize::from(*limits != Small::default())
}

/// A caller: in which life, the how many-th.
type Place = (usize, usize);

fn places(workload: &Workload) -> Vec<Place> {
    let lives = [workload.callers.len()].into_iter().chain(workload.lives.iter().map(|life| life.callers.len()));
    lives.enumerate().flat_map(|(life, callers)| (0..callers).map(move |caller| (life, caller))).collect()
}

fn callers(workload: &mut Workload, life: usize) -> &mut Vec<Vec<Operation>> {
    if life == 0 { &mut workload.callers } else { &mut workload.lives[life - 1].callers }
}

/// The workload without a life of the process; what the next one begins with stays as it is.
fn without_life(workload: &Workload, life: usize) -> Workload {
    let mut less = workload.clone();
    let Later { callers, generations, .. } = less.lives.remove(life.saturating_sub(1));
    if life == 0 {
        less.callers = callers;
        less.generations = generations.unwrap_or(less.generations);
    }
    less
}

/// The labels that are others in the smaller workload; `moved` says where a caller is in it.
fn renamed(
    workload: &Workload,
    less: &Workload,
    moved: impl Fn(Place) -> Option<Place>,
) -> Vec<(String, Option<String>)> {
    let (old, new) = (workload.labels(), less.labels());
    let mut renamed = Vec::new();
    for (life, labels) in old.into_iter().enumerate() {
        for (caller, label) in labels.into_iter().enumerate() {
            let now = moved((life, caller)).and_then(|(life, caller)| new.get(life)?.get(caller)?.clone());
            renamed.extend(label.filter(|label| now.as_ref() != Some(label)).map(|label| (label, now)));
        }
    }
    renamed
}

/// A workload that lacks these calls; and, where that was one put, those in which its artifact is there before the run.
fn without(
    workload: &Workload,
    less: Workload,
    gone: &[Operation],
    moved: impl Fn(Place) -> Option<Place>,
) -> Vec<Smaller<Workload>> {
    let smaller = |less: Workload, is_variant| Smaller {
        renamed: renamed(workload, &less, &moved),
        workload: less,
        life: None,
        is_variant,
    };
    let mut all = vec![smaller(less.clone(), false)];
    if let [Operation::Put(key, number) | Operation::PutStream(key, number)] = *gone {
        all.extend(done_before(&less, key, number).map(|before| smaller(before, true)));
    }
    all
}

/// The workloads in which an artifact that was put is there before the run instead, in a segment that has room for it. On
/// a disk that runs full, also with the room taken away that the put took beside its bytes: a little of it, or more; as long
/// as the disk holds what is there.
fn done_before(workload: &Workload, key: Key, number: u16) -> impl Iterator<Item = Workload> {
    let stored = workload.stored.iter().filter(|(other, ..)| *other != key).copied().collect::<Vec<_>>();
    let bytes_of = |number| content(number).len() as u64;
    let has_room = |segment: &u32| {
        let there = stored.iter().filter(|(.., other)| other == segment).map(|(_, number, _)| bytes_of(*number));
        there.sum::<u64>() + bytes_of(number) <= SEGMENT_BYTES
    };
    let segments: Vec<u32> = (1..=workload.segments).rev().filter(has_room).collect();
    let disks: Vec<u64> = match workload.disk_bytes {
        0 => vec![0],
        bytes => (0..DISKS).map(|less| bytes.saturating_sub(less * ROOM_OF_PUT).max(1)).collect(),
    };
    let less = workload.clone();
    segments.into_iter().flat_map(move |segment| {
        let mut stored = stored.clone();
        stored.push((key, number, segment));
        let bytes: u64 = stored.iter().map(|(_, number, _)| bytes_of(*number)).sum();
        let less = Workload { stored, ..less.clone() };
        let disks = disks.clone().into_iter().filter(move |disk_bytes| *disk_bytes == 0 || *disk_bytes >= bytes);
        disks.map(move |disk_bytes| Workload { disk_bytes, ..less.clone() })
    })
}

/// The same calls on less.
fn plainer(workload: &Workload) -> Vec<Workload> {
    let mut all = Vec::new();
    let mut plain = |change: &dyn Fn(&mut Workload)| {
        let mut less = workload.clone();
        change(&mut less);
        all.push(less);
    };
    plain(&|less| less.stored.clear());
    for index in (0..workload.stored.len()).rev() {
        plain(&|less| _ = less.stored.remove(index));
    }
    plain(&|less| less.disk_bytes = 0);
    plain(&|less| less.limits = Small::default());
    for (life, later) in workload.lives.iter().enumerate() {
        plain(&|less| less.lives[life] = Later { callers: later.callers.clone(), ..Later::default() });
        for index in (0..later.lost.len()).rev() {
            plain(&|less| _ = less.lives[life].lost.remove(index));
        }
        for index in (0..later.cut.len()).rev() {
            plain(&|less| _ = less.lives[life].cut.remove(index));
        }
    }
    plain(&|less| less.generations = [1; 3]);
    for generation in 0..3 {
        plain(&|less| less.generations[generation] = less.generations[generation].saturating_sub(1).max(1));
    }
    plain(&|less| less.segments = 1);
    plain(&|less| less.segments = less.segments.saturating_sub(1).max(1));
    plain(&|less| {
        for operation in
            less.callers.iter_mut().chain(less.lives.iter_mut().flat_map(|life| &mut life.callers)).flatten()
        {
            if let Operation::PutStream(key, content) = *operation {
                *operation = Operation::Put(key, content);
            }
        }
    });
    all.retain(|less| less.stored.iter().all(|(.., segment)| *segment <= less.segments));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_holds_what_is_stored_instead_of_a_put() {
        let bytes = content(101).len() as u64 + content(102).len() as u64;
        let of_disk = |disk_bytes| Workload {
            segments: 2,
            stored: vec![(1, 101, 1)],
            disk_bytes,
            callers: vec![vec![Operation::Put(2, 102)]],
            ..Workload::default()
        };
        let stores_both = |less: &Smaller<Workload>| less.workload.stored.len() == 2;
        let disks_of = |disk_bytes| {
            let all = smaller(&of_disk(disk_bytes)).into_iter().filter(stores_both);
            all.map(|less| less.workload.disk_bytes).collect::<Vec<_>>()
        };
        assert!(disks_of(bytes + 2 * ROOM_OF_PUT).iter().all(|disk| *disk >= bytes));
        assert!(!disks_of(bytes).is_empty() && disks_of(bytes - 1).is_empty());
        assert!(disks_of(0).iter().all(|disk| *disk == 0));
    }
}
