//! What is watched in a run, and what each point is to it.

use crate::footprint::{Footprints, Stretches};
use crate::locks::{LockKind, LockPoint, Locks};
use crate::window::{Window, WindowPoint, Windows};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What is watched in a run.
#[derive(Debug)]
pub struct Vocabulary {
    pub(super) windows: &'static [Window],
    pub(super) locks: &'static [LockKind],
    /// What each point that one of them names is to them, by name; looked up in every run, made once.
    meanings: OnceLock<BTreeMap<&'static str, Meaning>>,
    footprints: Option<&'static Footprints>,
    /// The same, looked up by name.
    table: OnceLock<Stretches>,
}

/// What a point is to windows and locks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meaning {
    pub(super) window: WindowPoint,
    pub(super) lock: LockPoint,
}

impl Vocabulary {
    /// Windows to count and locks to follow.
    pub const fn new(windows: &'static [Window], locks: &'static [LockKind]) -> Vocabulary {
        Vocabulary { windows, locks, meanings: OnceLock::new(), footprints: None, table: OnceLock::new() }
    }

    /// The same, and what steps touch.
    pub const fn declaring(
        windows: &'static [Window],
        locks: &'static [LockKind],
        footprints: &'static Footprints,
    ) -> Vocabulary {
        let footprints = Some(footprints);
        Vocabulary { windows, locks, meanings: OnceLock::new(), footprints, table: OnceLock::new() }
    }

    pub(super) fn stretches(&'static self) -> Option<&'static Stretches> {
        self.footprints.map(|footprints| self.table.get_or_init(|| Stretches::new(footprints)))
    }

    pub(super) fn meaning(&self, point: &str) -> Meaning {
        self.meanings.get_or_init(|| self.all_meanings()).get(point).copied().unwrap_or_default()
    }

    fn all_meanings(&self) -> BTreeMap<&'static str, Meaning> {
        let (windows, locks) = (Windows::new(self.windows), Locks::new(self.locks));
        let of_windows = self.windows.iter().flat_map(|kind| {
            std::iter::once(kind.opens)
                .chain(kind.wants)
                .chain(kind.closes.iter().copied())
                .chain(kind.lands.iter().copied())
        });
        let of_locks = self.locks.iter().flat_map(|kind| {
            [kind.wanted, kind.held, kind.released].into_iter().chain(kind.never_under.iter().copied())
        });
        let meaning = |name| (name, Meaning { window: windows.point(name), lock: locks.point(name) });
        of_windows.chain(of_locks).map(meaning).collect()
    }
}
