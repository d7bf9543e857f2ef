//! What steps touch: so that two orders of steps which come to the same state are known to.
//!
//! A step is what runs from one wait to the next: the code of the task that goes on, and of those that it wakes. What it
//! reads of shared things and what it leaves there is declared, by where the task waited before and waits after. What
//! nobody declares reads and changes everything: a table that lacks an entry makes a search longer, one that has an entry
//! too many makes it wrong. So a search runs a sample of what it skips all the same.

use crate::locks::LockPoint;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// Things that steps share, one bit each. The locks of a vocabulary have the upper eight; the conductor sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// What is looked at.
    pub reads: u32,
    /// What is looked at and changed. Its value is told, or else stands for all that the step has seen.
    pub writes: u32,
    /// What is changed to something that depends on what is looked at, and on nothing that the task knows besides.
    pub derives: u32,
    /// What something is added to, in any order, without a look at what is there.
    pub adds: u32,
    /// What is empty, or as it was in the beginning, from then on.
    pub empties: u32,
    /// It gets from whoever woke it whatever that one knew.
    pub hears: bool,
    /// It gets from whoever woke it what depends on where that one was.
    pub hears_site: bool,
    /// It keeps nothing of what it saw before; only of what it reads now, as the step leaves it.
    pub forgets: bool,
}

/// How many things steps can share.
pub(crate) const THINGS: usize = 24;

/// The bit of the first lock.
pub(crate) const FIRST_LOCK: usize = 16;

impl Default for Footprint {
    fn default() -> Footprint {
        Footprint::NOTHING
    }
}

impl Footprint {
    /// Nothing that anybody else touches.
    pub const NOTHING: Footprint = Footprint {
        reads: 0,
        writes: 0,
        derives: 0,
        adds: 0,
        empties: 0,
        hears: false,
        hears_site: false,
        forgets: false,
    };
    /// Whatever there is.
    pub const EVERYTHING: Footprint = Footprint { writes: (1 << FIRST_LOCK) - 1, hears: true, ..Footprint::NOTHING };

    /// Both.
    pub const fn and(self, other: Footprint) -> Footprint {
        Footprint {
            reads: self.reads | other.reads,
            writes: self.writes | other.writes,
            derives: self.derives | other.derives,
            adds: self.adds | other.adds,
            empties: self.empties | other.empties,
            hears: self.hears || other.hears,
            hears_site: self.hears_site || other.hears_site,
            forgets: self.forgets || other.forgets,
        }
    }

    /// The locks that are wanted, held or released at a point.
    pub(crate) fn of_locks(point: LockPoint) -> Footprint {
        Footprint { writes: u32::from(point.bits()) << FIRST_LOCK, ..Footprint::NOTHING }
    }
}

/// What the code of some kinds of tasks touches from where it goes on to where it waits next.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// The kinds of tasks: the last names of their labels.
    pub kinds: &'static [&'static str],
    /// The point that it goes on from; [`BLOCKED`] when another task's step let it.
    pub from: &'static str,
    /// The point at which it waits next; [`BLOCKED`] or [`ENDED`].
    pub to: &'static str,
    /// What it touches besides locks and operations.
    pub touches: Footprint,
}

/// In the place of a point: waits for another task.
pub const BLOCKED: &str = "blocked";

/// In the place of a point: is no more.
pub const ENDED: &str = "ended";

/// What an operation touches besides its task.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its point.
    pub point: &'static str,
    /// When it is handed in.
    pub begins: Footprint,
    /// When it lands; at once, if it never waits.
    pub lands: Footprint,
}

/// What is known of a vocabulary's steps. What is not listed touches everything.
#[derive(Clone, Copy, Debug)]
pub struct Footprints {
    /// What operations touch.
    pub operations: &'static [Operation],
    /// What code touches.
    pub stretches: &'static [Stretch],
}

/// The same, looked up.
#[derive(Debug)]
pub(crate) struct Stretches {
    operations: BTreeMap<&'static str, Operation>,
    stretches: BTreeMap<u64, Footprint>,
}

impl Stretches {
    pub(crate) fn new(footprints: &Footprints) -> Stretches {
        let of_kind = |stretch: &'static Stretch| {
            stretch.kinds.iter().map(|kind| (stretch_key(kind, stretch.from, stretch.to), stretch.touches))
        };
        Stretches {
            operations: footprints.operations.iter().map(|operation| (operation.point, *operation)).collect(),
            stretches: footprints.stretches.iter().flat_map(of_kind).collect(),
        }
    }

    pub(crate) fn begins(&self, point: &str) -> Footprint {
        self.operations.get(point).map_or(Footprint::EVERYTHING, |operation| operation.begins)
    }

    pub(crate) fn lands(&self, point: &str) -> Footprint {
        self.operations.get(point).map_or(Footprint::EVERYTHING, |operation| operation.lands)
    }

    /// What a task of this label touches on this stretch.
    pub(crate) fn of(&self, label: &str, from: &str, to: &str) -> Footprint {
        let name = label.rsplit_once('/').map_or(label, |(_, last)| last);
        let kind = name.split_once('#').map_or(name, |(kind, _)| kind);
        self.stretches.get(&stretch_key(kind, from, to)).copied().unwrap_or(Footprint::EVERYTHING)
    }
}

fn stretch_key(kind: &str, from: &str, to: &str) -> u64 {
    let of = |text: &str| xxh3_64(text.as_bytes());
    of(kind) ^ of(from).rotate_left(21) ^ of(to).rotate_left(42)
}
