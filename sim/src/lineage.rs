//! What is kept of the segments for whoever tells a run: which operation was about which one, which commit moved which
//! row, and what memory, catalog and directory said after each step.
//!
//! Kept together with the trace and at no other time; no oracle looks at it. It states and does not judge.

use crate::history::{Change, History, Key, is_doomed};
use crate::site::{Site, TaskId};
use segment_engine::SegmentId;
use segment_engine::ring_state::RingRecord;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The segments of one run.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    /// Operations of the disk on a segment, in the order in which they were handed in.
    pub touched: Vec<(Site, SegmentId)>,
    /// Artifacts' rows, as commits moved them.
    pub moved: Vec<Moved>,
    /// Who saved each ring; `None` before the run started, and what a crash left.
    pub savers: Vec<Option<TaskId>>,
    /// What there was after each step in which any of it changed, in order.
    pub views: Vec<Views>,
}

/// A row that a commit has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The commit.
    pub site: Site,
    /// The artifact's key.
    pub key: Key,
    /// Where the row pointed; `None` when there was none.
    pub from: Option<SegmentId>,
    /// Where it points; `None` when it was deleted.
    pub to: Option<SegmentId>,
}

/// What memory, catalog and directory said of the segments after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Views {
    /// The step.
    pub step: u64,
    /// The version of the ring that readers of the engine see; `None` while it is not open.
    pub published: Option<u64>,
    /// The version of the ring in the catalog.
    pub saved: u64,
    /// Whoever saved the last ring holds the state lock, and is about to publish it.
    pub is_publishing: bool,
    /// An operation of disk or catalog has failed in this life of the process.
    pub has_failed: bool,
    /// The process has ended, and the engine is not open yet.
    pub is_recovering: bool,
    /// Each segment that was heard of, in the order of their numbers.
    pub standings: Vec<Standing>,
}

/// What they said of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub segment: SegmentId,
    /// In the ring that readers see.
    pub memory: Listed,
    /// In the saved ring.
    pub catalog: Listed,
    /// The length of its file, if it has one.
    pub file_bytes: Option<u64>,
    /// Artifacts whose rows name it.
    pub rows: u32,
    /// One of these rows ends behind the end of the file.
    pub has_row_past_end: bool,
    /// The last commit put a row here, and the segment was no member any more.
    pub has_late_row: bool,
    /// It has been in a saved ring.
    pub has_joined: bool,
    /// It has left the ring on purpose: doomed, or dropped by a save that was based on the one before it.
    pub has_left: bool,
    /// Whoever answers for its file where no list names it, and whether that task goes on.
    pub owner: Option<(TaskId, bool)>,
    /// The plan has removed its file while nothing had it open.
    pub is_removed_by_plan: bool,
    /// Or has cut it short then.
    pub is_cut_by_plan: bool,
}

/// How a ring names a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// In a generation.
    Member,
    /// On the doomed list.
    Doomed,
    /// Not at all.
    Nowhere,
}

impl Lineage {
    /// Takes in what there is, if it is not what there was.
    pub(crate) fn see(&mut self, views: Views) {
        if self.views.last().is_none_or(|last| Views { step: views.step, ..last.clone() } != views) {
            self.views.push(views);
        }
    }
}

impl History {
    /// Takes down which rows a commit is about to move, if that is kept. To be called before [`History::change`].
    pub fn keep_moves(&mut self, site: Option<Site>, changes: &[Change]) {
        let (Some(lineage), Some(site)) = (&mut self.lineage, site) else {
            return;
        };
        for change in changes {
            if let Change::Row(key, manifest) = *change {
                let from = self.rows.iter().find(|row| row.key == key).map(|row| row.manifest.segment);
                lineage.moved.push(Moved { site, key, from, to: manifest.map(|manifest| manifest.segment) });
            }
        }
    }

    /// What memory, catalog and directory say after a step. `is_alive` is asked about whoever answers for a file.
    pub(crate) fn views(
        &self,
        step: u64,
        published: Option<&Arc<RingRecord>>,
        state_holder: Option<TaskId>,
        is_alive: impl Fn(TaskId) -> bool,
    ) -> Views {
        let saved = self.saved();
        let mut known: BTreeSet<SegmentId> = self.joined.iter().copied().chain(self.files.iter()).collect();
        known.extend(self.rows.iter().map(|row| row.manifest.segment));
        for record in saved.into_iter().chain(published.map(Arc::as_ref)) {
            known.extend(record.ring.doomed().iter().map(|doomed| doomed.segment));
        }
        let standing = |segment: SegmentId| {
            let catalog = listed(saved, segment);
            let file_bytes = self.files.bytes(segment).map(|bytes| bytes.len() as u64);
            let rows = || self.rows.iter().filter(move |row| row.manifest.segment == segment);
            let end = |row: &crate::history::Row| row.manifest.offset + row.manifest.length;
            let owner = self.answerable.get(&segment).filter(|_| catalog == Listed::Nowhere && file_bytes.is_some());
            Standing {
                segment,
                memory: listed(published.map(Arc::as_ref), segment),
                catalog,
                file_bytes,
                rows: rows().count() as u32,
                has_row_past_end: rows()
                    .any(|row| row.manifest.length > 0 && file_bytes.is_some_and(|bytes| bytes < end(row))),
                has_late_row: catalog != Listed::Member && rows().any(|row| row.commit == self.commits),
                has_joined: self.joined.contains(&segment),
                has_left: self.departed.contains(&segment),
                owner: owner.map(|owner| (*owner, is_alive(*owner))),
                is_removed_by_plan: self.files_lost.contains(&segment),
                is_cut_by_plan: self.rows_cut.iter().any(|(_, manifest)| manifest.segment == segment),
            }
        };
        let saver = self.saves.last().and_then(|save| save.task);
        Views {
            step,
            published: published.map(|record| record.version),
            saved: saved.map_or(0, |record| record.version),
            is_publishing: saver.is_some() && state_holder == saver,
            has_failed: self.errors.all > 0,
            is_recovering: self.is_recovering,
            standings: known.into_iter().map(standing).collect(),
        }
    }
}

fn listed(record: Option<&RingRecord>, segment: SegmentId) -> Listed {
    match record {
        Some(record) if record.ring.generation_of(segment).is_some() => Listed::Member,
        Some(record) if is_doomed(record, segment) => Listed::Doomed,
        _ => Listed::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::scene::{ACTOR, GONE, Scene, segment};

    #[test]
    fn a_view_states_what_ring_rows_and_files_say_of_each_segment() {
        let scene = Scene::with(|scene| {
            scene.history.files.insert(segment(9));
            scene.history.answerable.insert(segment(9), ACTOR);
        });
        let published = Arc::new(scene.published.clone());
        let views = scene.history.views(7, Some(&published), None, |task| task != GONE);
        let of = |number| *views.standings.iter().find(|standing| standing.segment == segment(number)).unwrap();
        assert_eq!((of(2).memory, of(2).catalog, of(2).file_bytes.is_some()), (Listed::Member, Listed::Member, true));
        assert_eq!((of(9).memory, of(9).catalog, of(9).owner), (Listed::Nowhere, Listed::Nowhere, Some((ACTOR, true))));
        assert!(!of(9).has_joined && !of(9).has_left);
    }

    #[test]
    fn what_has_not_changed_is_kept_once() {
        let scene = Scene::good();
        let mut lineage = Lineage::default();
        for step in 1..4 {
            lineage.see(scene.history.views(step, None, None, |_| true));
        }
        assert_eq!(lineage.views.iter().map(|views| views.step).collect::<Vec<_>>(), [1]);
    }
}
