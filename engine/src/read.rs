//! Get and contains: the row, then the bytes, without any lock.
//!
//! A segment can be evicted, and an artifact moved, between the two. A segment that has left the ring, or a lost file,
//! makes a read look at the row again: a new row is read instead, the same row is a miss. Presence means that the segment
//! is in the ring.

use crate::disk::Disk;
use crate::engine::{Engine, Shared};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::eviction::WeakWake;
use crate::manifest::{Manifest, check_key};
use crate::point::Point;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// An artifact as it is read, piece by piece.
pub struct Reader<E: Env> {
    shared: Arc<Shared<E>>,
    /// Weak: a reader must not keep a close waiting.
    wake: WeakWake,
    key: Vec<u8>,
    manifest: Manifest,
    /// The first piece, read before the answer: only a read shows that the artifact is there.
    first: Option<Bytes>,
    position: u64,
    hash: Box<Xxh3>,
    /// Some of what was read is of another place, which is gone.
    has_moved: bool,
    is_damaged: bool,
}

impl<E: Env> Engine<E> {
    /// The artifact of `key`, whole; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::KeyLength`]; [`Error::Io`] and [`Error::Catalog`] when disk or catalog refuse;
    /// [`Error::DamagedManifest`] and [`Error::DamagedArtifact`]; [`Error::NoMemory`], which [`Engine::read`] does without.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        'again: loop {
            let Some(mut reader) = self.read(key).await? else {
                return Ok(None);
            };
            let mut whole = Vec::new();
            let length = usize::try_from(reader.length()).unwrap_or(usize::MAX);
            loop {
                match reader.next().await {
                    // in pieces, but nobody has seen them yet
                    Err(Error::Evicted { .. }) => {
                        self.shared.env.note(Point::READ_RETRIED);
                        continue 'again;
                    }
                    // some of them are of a place that is gone
                    Err(Error::DamagedArtifact { .. }) if reader.has_moved => {
                        self.shared.env.note(Point::READ_RETRIED);
                        continue 'again;
                    }
                    Err(error) => return Err(error),
                    Ok(None) => return Ok(Some(whole.into())),
                    Ok(Some(piece)) if piece.len() == length => return Ok(Some(piece)),
                    Ok(Some(piece)) => {
                        let missing = length - whole.len();
                        whole.try_reserve_exact(missing).map_err(|_| Error::NoMemory { length: reader.length() })?;
                        whole.extend_from_slice(&piece);
                    }
                }
            }
        }
    }

    /// A reader of the artifact of `key`; `None` when there is none.
    ///
    /// # Errors
    /// Those of [`Engine::get`], [`Error::NoMemory`] apart.
    pub async fn read(&self, key: &[u8]) -> Result<Option<Reader<E>>> {
        check_key(key)?;
        let Some(mut manifest) = self.shared.look_up(key).await? else {
            return Ok(None);
        };
        loop {
            self.shared.env.reach(Point::ROW_LOOKED_UP).await;
            let piece = match self.shared.read_piece(key, &manifest, 0).await {
                Ok(piece) => piece,
                Err(error) if error.is_lost_file() => match self.shared.look_up(key).await? {
                    Some(moved) if moved != manifest => {
                        self.shared.env.note(Point::READ_RETRIED);
                        manifest = moved;
                        continue;
                    }
                    _ => return Ok(None),
                },
                Err(error) => return Err(error),
            };
            let (shared, wake, key) = (self.shared.clone(), self.wake.downgrade(), key.to_vec());
            let (first, hash) = (Some(piece), Box::new(Xxh3::new()));
            let (position, has_moved, is_damaged) = (0, false, false);
            return Ok(Some(Reader { shared, wake, key, manifest, first, position, hash, has_moved, is_damaged }));
        }
    }

    /// Whether `key` has an artifact.
    ///
    /// # Errors
    /// [`Error::KeyLength`]; [`Error::Catalog`] when the catalog refuses; [`Error::DamagedManifest`].
    pub async fn contains(&self, key: &[u8]) -> Result<bool> {
        check_key(key)?;
        Ok(self.shared.look_up(key).await?.is_some())
    }
}

impl<E: Env> Reader<E> {
    /// Bytes of the whole artifact.
    pub fn length(&self) -> u64 {
        self.manifest.length
    }

    /// The next bytes; `None` at the end. The last ones come only if all of them are what was stored.
    ///
    /// # Errors
    /// [`Error::Evicted`] when the artifact has gone meanwhile; [`Error::DamagedArtifact`]; [`Error::Io`] and
    /// [`Error::Catalog`] when disk or catalog refuse.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.is_damaged {
            // nor is it at its end: whoever asks again must not take what has come for the whole
            return Err(self.shared.damaged(&self.key, &self.manifest));
        }
        if self.position == self.manifest.length && self.first.is_none() {
            return Ok(None);
        }
        let piece = match self.first.take() {
            Some(piece) => piece,
            None => self.next_piece().await?,
        };
        self.position += piece.len() as u64;
        self.hash.update(&piece);
        if self.position == self.manifest.length {
            self.is_damaged = self.hash.digest() != self.manifest.checksum;
            if self.is_damaged {
                // of two places: which of them is damaged only a look at this one tells
                if !self.has_moved || self.shared.is_other(&self.key, &self.manifest).await? {
                    self.shared.found_damaged(&self.manifest);
                }
                return Err(self.shared.damaged(&self.key, &self.manifest));
            }
            self.shared.was_read(&self.wake, &self.key, &self.manifest);
        }
        Ok(if self.manifest.length == 0 { None } else { Some(piece) })
    }

    async fn next_piece(&mut self) -> Result<Bytes> {
        loop {
            match self.shared.read_piece(&self.key, &self.manifest, self.position).await {
                Err(error) if error.is_lost_file() => {
                    let Manifest { length, checksum, .. } = self.manifest;
                    match self.shared.look_up(&self.key).await? {
                        Some(moved) if moved != self.manifest && moved.is_same_content(length, checksum) => {
                            self.shared.env.note(Point::READ_RETRIED);
                            (self.manifest, self.has_moved) = (moved, true);
                        }
                        _ => return Err(Error::Evicted { key: self.key.clone() }),
                    }
                }
                answer => return answer,
            }
        }
    }
}

impl<E: Env> Shared<E> {
    /// The manifest of an artifact that is there.
    pub(crate) async fn look_up(&self, key: &[u8]) -> Result<Option<Manifest>> {
        let mut row = self.manifest(key)?;
        while let Some(manifest) = row {
            self.env.reach(Point::ROW_FOUND).await;
            // first the row, then the ring: a row that is there names a segment that was in the ring before it
            let is_here = self.holds(&manifest);
            self.env.note(Point::ROW_CHECKED);
            if is_here {
                return Ok(Some(manifest));
            }
            // the segment never comes back. The artifact is gone with it, unless it had been moved or replaced before
            row = self.manifest(key)?.filter(|moved| *moved != manifest);
            if row.is_some() {
                self.env.note(Point::LOOK_UP_RETRIED);
            }
        }
        Ok(None)
    }

    pub(crate) async fn read_piece(&self, key: &[u8], manifest: &Manifest, position: u64) -> Result<Bytes> {
        let left = usize::try_from(manifest.length - position).unwrap_or(usize::MAX);
        let length = left.min(self.limits.io_bytes);
        let read = self.env.disk().read_at(manifest.segment, manifest.offset + position, length).await;
        read.map_err(|error| match error {
            // beyond the end of the file, or of all files
            Error::Io { source, .. }
                if matches!(source.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput) =>
            {
                self.found_damaged(manifest);
                self.damaged(key, manifest)
            }
            // it hardly ever will again. Once too often stored is better than once too little
            error if error.is_unreadable() => {
                self.found_damaged(manifest);
                error
            }
            error => error,
        })
    }

    /// Whether the bytes that the manifest names are there, and not those that were stored.
    async fn is_other(&self, key: &[u8], manifest: &Manifest) -> Result<bool> {
        let (mut position, mut hash) = (0, Xxh3::new());
        while position < manifest.length {
            let piece = match self.read_piece(key, manifest, position).await {
                Err(error) if error.is_lost_file() => return Ok(false),
                piece => piece?,
            };
            hash.update(&piece);
            position += piece.len() as u64;
        }
        Ok(hash.digest() != manifest.checksum)
    }

    /// The bytes of the artifact are not those that were stored, or the disk cannot read them: a put of the same ones is to
    /// store them anew.
    fn found_damaged(&self, manifest: &Manifest) {
        // what begins where an artifact of no bytes does is another one
        if manifest.length > 0
            && let Some(book) = self.books.of(manifest.segment)
        {
            book.set_damaged(manifest.offset);
        }
    }

    /// Whether they have been found so since the open. No bytes are never damaged, whatever begins where they do.
    pub(crate) fn is_damaged(&self, manifest: &Manifest) -> bool {
        manifest.length > 0 && self.books.of(manifest.segment).is_some_and(|book| book.is_damaged(manifest.offset))
    }

    pub(crate) fn damaged(&self, key: &[u8], manifest: &Manifest) -> Error {
        Error::DamagedArtifact { key: key.to_vec(), segment: manifest.segment }
    }
}
