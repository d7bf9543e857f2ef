//! Recovery: what an engine finds amiss before it serves, and mends.
//!
//! A process that ends anywhere leaves a doomed list to finish, or a file that no list names yet: a rotation that did not
//! end, or an unlink that a power loss undid. A damaged disk can leave more: a segment in the ring, or a row, without its
//! file. Files that no list names join the doomed list, and an ordinary pass of the evictor does the rest, rows first,
//! then the file. Each step leaves a state that the next open recovers from, so it may end anywhere, too. Nothing else
//! runs meanwhile: a file that a rotation has just made would look like one that no list names.

use crate::catalog::{Catalog, Table, Write};
use crate::disk::Disk;
use crate::engine::Shared;
use crate::env::Env;
use crate::error::Result;
use crate::limits::OPEN_PAGE_ROWS;
use crate::manifest::{decode_row, index_key};
use crate::point::Point;
use crate::segment::SegmentId;
use crate::usage::Owners;
use std::collections::{BTreeMap, BTreeSet};

/// What an open has mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// A segment was on its way out when the engine ended; its eviction goes on.
    EvictionResumed {
        /// The segment.
        segment: SegmentId,
    },
    /// A file that no list named; it is evicted.
    StrayFile {
        /// Its segment.
        segment: SegmentId,
    },
    /// A segment of the ring had no file; it is out of the ring. The file was lost while the engine was closed: nothing that
    /// the engine does, and no power loss, leaves that.
    LostSegment {
        /// The segment.
        segment: SegmentId,
    },
    /// Artifacts whose bytes are not there; their rows are deleted. Lost in the same way.
    LostArtifacts {
        /// Where their bytes should have been.
        segment: SegmentId,
        /// How many.
        rows: u64,
    },
}

/// What is known of a segment whose file is there.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    /// The length of its file.
    length: u64,
    /// Bytes of its artifacts.
    live: u64,
}

impl<E: Env> Shared<E> {
    /// Makes ring, rows and files agree, and opens the books. The caller is alone.
    ///
    /// # Errors
    /// What disk and catalog say. What was mended until then stays so.
    pub(crate) async fn recover(&self) -> Result<Vec<Repair>> {
        let mut files = BTreeMap::new();
        for segment in self.env.disk().list().await? {
            match self.env.disk().len(segment).await {
                Ok(length) => _ = files.insert(segment, Found { length, ..Found::default() }),
                // an open before this one was dropped, and an unlink of it has landed in between
                Err(error) if error.is_lost_file() => {}
                Err(error) => return Err(error),
            }
        }
        let mut repairs = self.mend_ring(&files).await?;
        let lost = self.mend_rows(&mut files)?;
        if lost.keys().any(|segment| files.contains_key(segment)) {
            // trusted next: no row names bytes behind the end of a file. What is appended there would be taken for them, if
            // it was synced before a power loss and the deletions were not
            self.env.catalog().sync().await?;
        }
        repairs.extend(lost.into_iter().map(|(segment, rows)| Repair::LostArtifacts { segment, rows }));
        self.open_books(&files);
        if !self.ring.snapshot().ring.doomed().is_empty() {
            // a failed unlink keeps its segment doomed, and the evictor tries again
            self.pass(&mut BTreeSet::new()).await?;
            // trusted next: the files that went stay away
            self.env.disk().sync_directory().await?;
        }
        self.env.note(Point::RECOVERED);
        Ok(repairs)
    }

    /// Drops members without a file, and dooms files that no list names.
    async fn mend_ring(&self, files: &BTreeMap<SegmentId, Found>) -> Result<Vec<Repair>> {
        let saved = self.ring.snapshot();
        let is_doomed = |segment| saved.ring.doomed().iter().any(|doomed| doomed.segment == segment);
        let members = saved.ring.members().iter().map(|member| member.segment);
        let lost: Vec<SegmentId> = members.filter(|segment| !files.contains_key(segment)).collect();
        let is_stray = |segment| saved.ring.generation_of(segment).is_none() && !is_doomed(segment);
        let strays: Vec<(SegmentId, u64)> = files
            .iter()
            .filter(|(segment, _)| is_stray(**segment))
            .map(|(segment, file)| (*segment, file.length))
            .collect();
        if !lost.is_empty() || !strays.is_empty() {
            // a crash before this is saved and durable finds the same again
            let change = |ring: &mut crate::Ring| {
                ring.lose(&lost);
                strays.iter().for_each(|(segment, bytes)| ring.doom_stray(*segment, *bytes));
            };
            self.ring.mutate(change).await?;
        }
        let resumed = saved.ring.doomed().iter().map(|doomed| Repair::EvictionResumed { segment: doomed.segment });
        let lost = lost.into_iter().map(|segment| Repair::LostSegment { segment });
        let strays = strays.into_iter().map(|(segment, _)| Repair::StrayFile { segment });
        Ok(resumed.chain(lost).chain(strays).collect())
    }

    /// Deletes the rows whose bytes are not there, counted by segment, and adds up those that are.
    fn mend_rows(&self, files: &mut BTreeMap<SegmentId, Found>) -> Result<BTreeMap<SegmentId, u64>> {
        let latest = self.ring.snapshot();
        let doomed: Vec<SegmentId> = latest.ring.doomed().iter().map(|doomed| doomed.segment).collect();
        let mut lost: BTreeMap<SegmentId, u64> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.env.catalog().scan(Table::Manifest, &[], after.as_deref(), OPEN_PAGE_ROWS)?;
            let mut batch = Vec::new();
            for (key, row) in &page {
                let manifest = decode_row(key, row)?;
                let segment = manifest.segment;
                match files.get_mut(&segment) {
                    Some(file) if manifest.is_within(file.length) => file.live += manifest.length,
                    // the evictor has begun with it and will end with it
                    _ if doomed.contains(&segment) => {}
                    _ => {
                        batch.push(Write::Delete { table: Table::Manifest, key: key.clone() });
                        batch.push(Write::Delete { table: Table::Index, key: index_key(segment, key) });
                        *lost.entry(segment).or_default() += 1;
                    }
                }
            }
            if !batch.is_empty() {
                // buffered: a power loss may undo it, and the next open does it again
                let _ = self.committed(batch, &[])?;
            }
            match page.last() {
                Some((last, _)) if page.len() == OPEN_PAGE_ROWS => after = Some(last.clone()),
                _ => return Ok(lost),
            }
        }
    }

    /// Opens the books of the segments that were there before. What is live is told by the rows; the rest of a file
    /// belongs to nobody, and what follows it is free.
    fn open_books(&self, files: &BTreeMap<SegmentId, Found>) {
        let latest = self.ring.snapshot();
        let members = latest.ring.members().iter().map(|member| (member.segment, member.bytes));
        let doomed = latest.ring.doomed().iter().map(|doomed| (doomed.segment, doomed.bytes));
        for (segment, bytes) in members.chain(doomed) {
            // doomed, and unlinked already: nothing is there. Damaged rows may overlap, and be more than there is
            let Found { length, live } = files.get(&segment).copied().unwrap_or_default();
            self.books.open(
                segment,
                bytes,
                Owners { live, superseded: length.saturating_sub(live), ..Owners::default() },
            );
        }
    }
}
