//! Verify: what of a data directory that nothing serves does not agree. It reads everything and changes nothing.

use crate::catalog::{Catalog, Row, Table};
use crate::disk::Disk;
use crate::engine::Engine;
use crate::env::Env;
use crate::error::{Error, ManifestFault, RecordFault, Result};
use crate::limits::{IO_BYTES, OPEN_PAGE_ROWS, RingLimits};
use crate::manifest::{Manifest, artifact_key, index_key};
use crate::ring_state::RingRecord;
use crate::segment::SegmentId;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use xxhash_rust::xxh3::Xxh3;

/// Two places that tell different stories.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// The saved ring cannot be decoded. Nothing else was compared.
    #[error("the saved ring is damaged: {0}")]
    DamagedRing(RecordFault),
    /// The ring names a segment that has no file.
    #[error("segment {0} is in the ring and has no file")]
    LostSegment(SegmentId),
    /// A segment has a file, and neither the ring nor the doomed list names it.
    #[error("segment {0} has a file and is in no list")]
    StrayFile(SegmentId),
    /// A manifest cannot be decoded.
    #[error("the manifest of {0} is damaged: {1}")]
    DamagedManifest(Key, ManifestFault),
    /// A manifest names a segment in no list.
    #[error("{0} is in segment {1}, which is in no list")]
    Outside(Key, SegmentId),
    /// A manifest names bytes that its segment's file does not have.
    #[error("{0} is in segment {1}, whose file does not have its bytes")]
    Dangling(Key, SegmentId),
    /// The bytes are not those that were stored.
    #[error("the bytes of {0} in segment {1} are not those that were stored")]
    DamagedArtifact(Key, SegmentId),
    /// A manifest has no entry in the index of its segment.
    #[error("{0} is in segment {1} and not in its index")]
    NoIndexEntry(Key, SegmentId),
    /// An index entry has no manifest in that segment.
    #[error("the index of segment {1} has {0}, whose manifest is not there")]
    NoManifest(Key, SegmentId),
}

/// An artifact's key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub Vec<u8>);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<E: Env> Engine<E> {
    /// Compares ring, rows, index and files of a data directory that no engine has open, and reads every artifact. What an
    /// engine that ended anywhere leaves for the next open is told, too: a stray file. A doomed segment is none, with its
    /// file and rows or without.
    ///
    /// # Errors
    /// What disk and catalog say.
    pub async fn verify(env: &E) -> Result<Vec<Disagreement>> {
        // decoding asks for limits; a ring that is larger than these decodes all the same
        let any = RingLimits { old: 1, current: 1, new: 1 };
        let ring = match RingRecord::saved(env.catalog(), any) {
            Err(Error::DamagedRing(fault)) => return Ok(vec![Disagreement::DamagedRing(fault)]),
            saved => saved?.ring,
        };
        let mut files = BTreeMap::new();
        for segment in env.disk().list().await? {
            files.insert(segment, env.disk().len(segment).await?);
        }
        let doomed: Vec<SegmentId> = ring.doomed().iter().map(|doomed| doomed.segment).collect();
        let is_listed = |segment: &SegmentId| ring.generation_of(*segment).is_some() || doomed.contains(segment);
        let members = ring.members().iter().map(|member| member.segment);
        let lost = members.filter(|segment| !files.contains_key(segment)).map(Disagreement::LostSegment);
        let strays = files.keys().filter(|segment| !is_listed(segment)).copied().map(Disagreement::StrayFile);
        let mut found: Vec<Disagreement> = lost.chain(strays).collect();
        let mut pages = Pages::of(Table::Manifest);
        while let Some(page) = pages.next(env.catalog())? {
            for (key, row) in page {
                let manifest = match Manifest::decode(&row) {
                    Ok(manifest) => manifest,
                    Err(fault) => {
                        found.push(Disagreement::DamagedManifest(Key(key), fault));
                        continue;
                    }
                };
                let segment = manifest.segment;
                if env.catalog().get(Table::Index, &index_key(segment, &key))?.is_none() {
                    found.push(Disagreement::NoIndexEntry(Key(key.clone()), segment));
                }
                let is_there = files.get(&segment).is_some_and(|length| manifest.is_within(*length));
                if !is_listed(&segment) {
                    found.push(Disagreement::Outside(Key(key), segment));
                } else if is_there && !is_sound(env, &manifest).await? {
                    found.push(Disagreement::DamagedArtifact(Key(key), segment));
                } else if !is_there && !doomed.contains(&segment) {
                    found.push(Disagreement::Dangling(Key(key), segment));
                }
            }
        }
        let mut pages = Pages::of(Table::Index);
        while let Some(page) = pages.next(env.catalog())? {
            for (entry, _) in page {
                let Some((segment, key)) =
                    entry.split_first_chunk().zip(artifact_key(&entry)).map(|((id, _), key)| (*id, key))
                else {
                    continue;
                };
                let segment = SegmentId::from_u128(u128::from_be_bytes(segment));
                let manifest = env.catalog().get(Table::Manifest, key)?.map(|row| Manifest::decode(&row));
                if !matches!(manifest, Some(Ok(manifest)) if manifest.segment == segment) {
                    found.push(Disagreement::NoManifest(Key(key.to_vec()), segment));
                }
            }
        }
        Ok(found)
    }
}

/// Whether the bytes that are there are those that were stored.
async fn is_sound<E: Env>(env: &E, manifest: &Manifest) -> Result<bool> {
    let (mut position, mut hash) = (0, Xxh3::new());
    while position < manifest.length {
        let length = usize::try_from(manifest.length - position).unwrap_or(usize::MAX).min(IO_BYTES);
        let piece = match env.disk().read_at(manifest.segment, manifest.offset + position, length).await {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            piece => piece?,
        };
        hash.update(&piece);
        position += piece.len() as u64;
    }
    Ok(hash.digest() == manifest.checksum)
}

/// The rows of a table, page by page.
struct Pages {
    table: Table,
    after: Option<Vec<u8>>,
    is_over: bool,
}

impl Pages {
    fn of(table: Table) -> Pages {
        Pages { table, after: None, is_over: false }
    }

    fn next(&mut self, catalog: &impl Catalog) -> Result<Option<Vec<Row>>> {
        if self.is_over {
            return Ok(None);
        }
        let page = catalog.scan(self.table, &[], self.after.as_deref(), OPEN_PAGE_ROWS)?;
        self.is_over = page.len() < OPEN_PAGE_ROWS;
        self.after = page.last().map(|(key, _)| key.clone());
        Ok(Some(page))
    }
}
