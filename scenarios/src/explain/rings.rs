//! The ring at each save, and what the save changed.

use segment_engine::SegmentId;
use segment_engine::ring::Generation;
use segment_engine::ring_state::RingRecord;
use segment_sim::world::Story;
use serde::{Deserialize, Serialize};

/// A ring as it was saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// In which step; 0 is before the run.
    pub step: u64,
    /// The lane of whoever saved it; none for the set-up, and for what a crash left.
    pub lane: Option<usize>,
    /// Its version.
    pub version: u64,
    /// The version that it was cloned from.
    pub base: u64,
    /// It was not cloned from the ring saved before it: a save is overwritten.
    pub is_stale: bool,
    /// Not a save: what a crash left of those before.
    pub is_left_by_crash: bool,
    /// The members of the generations old, current and new, oldest first.
    pub generations: [Vec<u64>; 3],
    /// The doomed list.
    pub doomed: Vec<u64>,
    /// What it changed, against the ring saved before it.
    pub changes: Vec<Change>,
}

/// What a save changed for one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which.
    pub segment: u64,
    /// How.
    pub how: How,
}

/// How a save changes a segment's place: what matters more is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It had been a member and was none, and is a member again.
    Back,
    /// From the ring to nowhere.
    Dropped,
    /// Pushed: it was in no ring before.
    Pushed,
    /// From the ring to the doomed list, or from nowhere.
    Doomed,
    /// From the doomed list to nowhere.
    Forgotten,
    /// Handed on to an older generation.
    Aged,
    /// In a younger generation than before.
    Younger,
}

/// A segment's number: simulated ids are small ones.
pub fn number(segment: SegmentId) -> u64 {
    u64::try_from(segment.as_u128()).unwrap_or(u64::MAX)
}

/// Every saved ring, the one of the set-up first.
pub fn saves(story: &Story) -> Vec<Saved> {
    let mut saves: Vec<Saved> = Vec::new();
    for (index, (step, record)) in story.saves.iter().enumerate() {
        let lane = story.lineage.savers.get(index).copied().flatten().map(|task| usize::from(task.0));
        let mut saved = plain(*step, lane, record);
        if let Some(before) = saves.last() {
            saved.is_left_by_crash = lane.is_none();
            saved.is_stale = lane.is_some() && saved.base != before.version;
            saved.changes = changes(&saves, &saved);
        }
        saves.push(saved);
    }
    saves
}

fn plain(step: u64, lane: Option<usize>, record: &RingRecord) -> Saved {
    let of = |generation| {
        let members = record.ring.members().iter().filter(|member| member.generation == generation);
        members.map(|member| number(member.segment)).collect()
    };
    Saved {
        step,
        lane,
        version: record.version,
        base: record.base,
        generations: [of(Generation::Old), of(Generation::Current), of(Generation::New)],
        doomed: record.ring.doomed().iter().map(|doomed| number(doomed.segment)).collect(),
        ..Saved::default()
    }
}

impl Saved {
    /// The generation of a member: 0 is the oldest.
    pub fn generation(&self, segment: u64) -> Option<usize> {
        self.generations.iter().position(|members| members.contains(&segment))
    }

    /// The active segment.
    pub fn active(&self) -> Option<u64> {
        self.generations.iter().flatten().next_back().copied()
    }

    /// The ring in one line.
    pub fn line(&self) -> String {
        let of = |members: &[u64]| members.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        let [old, current, new] = &self.generations;
        format!("old [{}] current [{}] new [{}] doomed [{}]", of(old), of(current), of(new), of(&self.doomed))
    }
}

impl Change {
    /// It in two or three words.
    pub fn words(&self) -> String {
        let Change { segment, how } = self;
        match how {
            How::Pushed => format!("+{segment} pushed"),
            How::Back => format!("+{segment} back"),
            How::Aged => format!("{segment} aged"),
            How::Younger => format!("{segment} younger"),
            How::Doomed => format!("-{segment} doomed"),
            How::Forgotten => format!("{segment} off the list"),
            How::Dropped => format!("-{segment} dropped"),
        }
    }
}

/// What a save changes against the last of those before it.
fn changes(earlier: &[Saved], saved: &Saved) -> Vec<Change> {
    let before = earlier.last().expect("there is a save before it");
    let mut changes = Vec::new();
    let mut tell = |segment: u64, how| changes.push(Change { segment, how });
    for segment in before.generations.iter().flatten().copied() {
        match saved.generation(segment) {
            None if saved.doomed.contains(&segment) => tell(segment, How::Doomed),
            None => tell(segment, How::Dropped),
            Some(generation) if Some(generation) < before.generation(segment) => tell(segment, How::Aged),
            Some(generation) if Some(generation) > before.generation(segment) => tell(segment, How::Younger),
            Some(_) => {}
        }
    }
    for segment in before.doomed.iter().copied() {
        if saved.generation(segment).is_none() && !saved.doomed.contains(&segment) {
            tell(segment, How::Forgotten);
        }
    }
    for segment in saved.generations.iter().flatten().copied() {
        if before.generation(segment).is_none() {
            let was_member = earlier.iter().any(|save| save.generation(segment).is_some());
            tell(segment, if was_member { How::Back } else { How::Pushed });
        }
    }
    for segment in saved.doomed.iter().copied() {
        if before.generation(segment).is_none() && !before.doomed.contains(&segment) {
            tell(segment, How::Doomed);
        }
    }
    changes.sort_by_key(|change| change.how);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(generations: [&[u64]; 3], doomed: &[u64]) -> Saved {
        Saved { generations: generations.map(<[u64]>::to_vec), doomed: doomed.to_vec(), ..Saved::default() }
    }

    fn words(earlier: &[Saved], later: &Saved) -> String {
        changes(earlier, later).iter().map(Change::words).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn each_way_in_which_a_save_changes_the_ring_is_told() {
        let first = saved([&[1], &[2], &[3]], &[]);
        let pushed = saved([&[2], &[3], &[4]], &[1]);
        assert_eq!(words(std::slice::from_ref(&first), &pushed), "+4 pushed, -1 doomed, 2 aged, 3 aged");
        let earlier = [first.clone(), pushed.clone()];
        assert_eq!(words(&earlier, &saved([&[2], &[3], &[4]], &[])), "1 off the list");
        assert_eq!(words(&earlier, &first), "+1 back, -4 dropped, 2 younger, 3 younger");
        assert_eq!((first.active(), pushed.generation(3)), (Some(3), Some(1)));
    }
}
