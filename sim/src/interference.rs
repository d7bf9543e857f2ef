//! What a plan does to a run, counted by kind.

use serde::{Deserialize, Serialize};

/// A kind of interference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A site that was held.
    Hold,
    /// An unlink that was slow.
    SlowUnlink,
    /// An unlink that failed.
    FailedUnlink,
    /// A file that no unlink takes away any more.
    StuckFile,
    /// A write that met a full disk.
    FullDisk,
    /// Others wrote to the disk.
    TakenRoom,
    /// A caller that was dropped.
    Cancel,
    /// The process was killed.
    Kill,
    /// The power failed.
    PowerLoss,
    /// The engine was closed.
    Close,
    /// An operation under way at a crash that never took effect.
    Vanished,
    /// An unsynced write that was lost.
    LostWrite,
    /// One of which a part was lost.
    TornWrite,
    /// A write that ended half way with the process.
    CutWrite,
    /// A new file whose directory entry was lost.
    LostEntry,
    /// A file that came back.
    UndoneUnlink,
    /// Commits that were lost.
    LostCommit,
    /// An operation of disk or catalog that failed.
    IoError,
    /// A write that failed half way.
    ShortWrite,
    /// A failed sync after which written bytes were gone.
    DroppedPages,
    /// A new file or an unlink that a failed sync of the directory has dropped.
    DroppedEntry,
    /// A commit that failed and was there after the next open.
    LateCommit,
    /// A file that was removed while nothing had it open.
    LostFile,
    /// A file that was cut short meanwhile.
    CutFile,
    /// A bit that has flipped on the disk.
    RottenBit,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 25] = [
        Kind::Hold,
        Kind::SlowUnlink,
        Kind::FailedUnlink,
        Kind::StuckFile,
        Kind::FullDisk,
        Kind::TakenRoom,
        Kind::Cancel,
        Kind::Kill,
        Kind::PowerLoss,
        Kind::Close,
        Kind::Vanished,
        Kind::LostWrite,
        Kind::TornWrite,
        Kind::CutWrite,
        Kind::LostEntry,
        Kind::UndoneUnlink,
        Kind::LostCommit,
        Kind::IoError,
        Kind::ShortWrite,
        Kind::DroppedPages,
        Kind::DroppedEntry,
        Kind::LateCommit,
        Kind::LostFile,
        Kind::CutFile,
        Kind::RottenBit,
    ];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Hold => "holds",
            Kind::SlowUnlink => "slow unlinks",
            Kind::FailedUnlink => "failed unlinks",
            Kind::StuckFile => "stuck files",
            Kind::FullDisk => "full disk",
            Kind::TakenRoom => "taken room",
            Kind::Cancel => "cancels",
            Kind::Kill => "kills",
            Kind::PowerLoss => "power losses",
            Kind::Close => "closes",
            Kind::Vanished => "vanished operations",
            Kind::LostWrite => "lost writes",
            Kind::TornWrite => "torn writes",
            Kind::CutWrite => "cut writes",
            Kind::LostEntry => "lost entries",
            Kind::UndoneUnlink => "undone unlinks",
            Kind::LostCommit => "lost commits",
            Kind::IoError => "io errors",
            Kind::ShortWrite => "short writes",
            Kind::DroppedPages => "dropped pages",
            Kind::DroppedEntry => "dropped entries",
            Kind::LateCommit => "late commits",
            Kind::LostFile => "lost files",
            Kind::CutFile => "cut files",
            Kind::RottenBit => "rotten bits",
        }
    }
}

/// How often each kind happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interference([u64; Kind::ALL.len()]);

impl Interference {
    /// It happened so many times more.
    pub fn add(&mut self, kind: Kind, times: u64) {
        self.0[kind as usize] += times;
    }

    /// How often it happened.
    pub fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    /// Both counts together.
    #[must_use]
    pub fn and(mut self, other: &Interference) -> Interference {
        for (sum, times) in self.0.iter_mut().zip(other.0) {
            *sum += times;
        }
        self
    }

    /// What happened, by name.
    pub fn seen(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Kind::ALL.into_iter().map(|kind| (kind.name(), self.of(kind))).filter(|(_, times)| *times > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_place_and_a_name_of_its_own() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            let mut one = Interference::default();
            one.add(kind, 2);
            assert_eq!(one.and(&one).seen().collect::<Vec<_>>(), [(kind.name(), 4)]);
        }
        let names: std::collections::BTreeSet<_> = Kind::ALL.map(Kind::name).into();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
