//! What a crash has left, and what of it does not belong.

use super::{Errors, History, Key, Row, Save};
use segment_engine::SegmentId;
use segment_engine::manifest::Manifest;
use segment_engine::ring_state::RingRecord;
use std::collections::BTreeMap;

/// What a crash has left of ring, rows and files, and what of it does not belong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Members that have a file, oldest first.
    pub members: Vec<SegmentId>,
    /// Members without one.
    pub lost: Vec<SegmentId>,
    /// The doomed list.
    pub doomed: Vec<SegmentId>,
    /// Files that no list names.
    pub strays: Vec<SegmentId>,
    /// Rows without their bytes, those of doomed segments apart.
    pub rows_lost: BTreeMap<SegmentId, u64>,
    /// Rows of members that have their bytes.
    pub sound: Vec<(Key, Manifest)>,
    /// Unlinks that had failed until then.
    pub unlinks_failed: u64,
    /// The last commit had failed, and is there.
    pub is_late: bool,
}

impl History {
    /// The process has ended; this is what the catalog holds now, all of it durable. The files are as the crash left them.
    pub fn crash(
        &mut self,
        step: u64,
        saved: Option<RingRecord>,
        rows: Vec<(Key, Manifest)>,
        index: Vec<(SegmentId, Key)>,
    ) {
        let commit = self.commits;
        self.durable_commits = commit;
        self.rows = rows.into_iter().map(|(key, manifest)| Row { key, manifest, commit }).collect();
        self.index = index;
        self.overwritten.clear();
        self.is_recovering = true;
        self.errors = Errors::default();
        self.rot.forget();
        self.evictor.forget();
        self.syncs.failed.clear();
        self.strays_left.clear();
        self.to_copy.clear();
        self.written_while_closed = 0;
        self.room.writing.clear();
        self.syncs.under_way.clear();
        self.room.gone_unheard.clear();
        self.is_fenced = false;
        if let Some(record) = saved.filter(|record| self.saved() != Some(record)) {
            // a lost save takes back what it did, a doom or the push of a segment; a late one does what it was to do
            let is_member = |segment: &SegmentId| record.ring.generation_of(*segment).is_some();
            self.departed.retain(|segment| !is_member(segment));
            self.departed.extend(self.joined.iter().filter(|segment| !is_member(segment)).copied());
            for member in record.ring.members() {
                if !self.joined.contains(&member.segment) {
                    self.joined.push(member.segment);
                }
            }
            self.saves.push(Save { step, task: None, record });
        }
        self.syncs.succeeded.extend(&self.joined);
        self.changes += 1;
        self.see(step, None);
        self.image = self.look();
    }

    /// What is shown is durable: no crash takes it back.
    pub fn hold_fast(&mut self) {
        let shown = self.sights.iter().filter_map(|(key, sights)| Some((*key, sights.last()?.commit)));
        self.acked.extend(shown);
    }

    /// What ring, rows and files are, and what of them does not belong.
    fn look(&self) -> Image {
        let mut image = Image { unlinks_failed: self.evictor.unlinks_failed, ..Image::default() };
        if let Some(saved) = self.saved() {
            let members = saved.ring.members().iter().map(|member| member.segment);
            (image.members, image.lost) = members.partition(|segment| self.files.contains(*segment));
            image.doomed = saved.ring.doomed().iter().map(|doomed| doomed.segment).collect();
        }
        let is_listed = |segment: &SegmentId| image.members.contains(segment) || image.doomed.contains(segment);
        image.strays = self.files.iter().filter(|segment| !is_listed(segment)).collect();
        for Row { key, manifest, .. } in self.rows.iter().filter(|row| !image.doomed.contains(&row.manifest.segment)) {
            if self.artifact(manifest).is_none() {
                *image.rows_lost.entry(manifest.segment).or_default() += 1;
            } else if image.members.contains(&manifest.segment) {
                image.sound.push((*key, *manifest));
            }
        }
        image
    }
}
