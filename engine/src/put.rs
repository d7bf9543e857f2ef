//! Put: bytes first, then the row that names them, then the answer.
//!
//! Reserve, write, sync the bytes, commit, sync the catalog. The commit requires that the segment is still in the ring
//! and that the key's row is the one that was read, so an eviction or another put in between refuses it: the row is read
//! again, and the bytes are put into another segment if theirs was evicted. A caller may be dropped anywhere: its range
//! is then abandoned, or its artifact is there and nobody was told.

use crate::append::Room;
use crate::capacity::Shortage;
use crate::catalog::{Catalog, Commit, Table};
use crate::engine::{Engine, Shared};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::limits::{ARTIFACT_BYTES_MAX, PUT_ATTEMPTS_MAX};
use crate::lock::{Held, LockPoints};
use crate::manifest::{Manifest, check_key, decode_row, replacement};
use crate::point::Point;
use crate::rotation::{Made, make_segment};
use crate::segment::SegmentId;
use crate::usage::{Owner, Reservation};
use bytes::Bytes;
use std::future::Future;
use std::io;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

pub(crate) const STRIPE_LOCK: LockPoints =
    LockPoints { wanted: Point::STRIPE_WANTED, held: Some(Point::STRIPE_LOCKED), released: Point::STRIPE_RELEASED };

/// What a put came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The artifact is stored, and durable. Also where it was there, and a read since the open has found it damaged, or has
    /// failed.
    Stored,
    /// The key had this very artifact already; it is durable. Its bytes were not read again.
    AlreadyHere,
}

/// The bytes of an artifact as they come.
pub trait Body: Send {
    /// The next of them; `None` at the end.
    fn next(&mut self) -> impl Future<Output = io::Result<Option<Bytes>>> + Send;

    /// Begins again with the first byte; `false` when it cannot. Asked when the segment was evicted meanwhile.
    fn restart(&mut self) -> bool {
        false
    }
}

impl<E: Env> Engine<E> {
    /// Stores `bytes` under `key`, in the place of what was there. On return they are visible and durable.
    ///
    /// # Errors
    /// [`Error::KeyLength`]; [`Error::DamagedManifest`] when the key's row is; [`Error::DiskFull`] and [`Error::Io`] when
    /// the disk refuses; [`Error::Evicted`] when each time its segment was evicted meanwhile or a full disk refused a write;
    /// [`Error::Crowded`], [`Error::Fenced`] and [`Error::Closed`]: nothing was stored. [`Error::Catalog`]: it may have been
    /// stored, and writes are fenced. [`Error::Unsynced`]: nothing was stored when it holds an [`Error::Io`]; when it holds an
    /// [`Error::Catalog`] it may have been, and writes are fenced; when it holds an [`Error::Closed`], of a sync that panicked,
    /// it may be either.
    pub async fn put(&self, key: &[u8], bytes: Bytes) -> Result<Put> {
        check_key(key)?;
        let (length, checksum) = (bytes.len() as u64, xxh3_64(&bytes));
        let mut short = Shortage::default();
        for attempt in 1.. {
            let mut range = None;
            let (stripe, previous, mut range) = loop {
                let stripe = self.shared.stripe(key).acquire(&self.shared.env).await;
                // asked under the stripe: of two puts of the same bytes the second appends nothing
                let previous = self.shared.manifest(key)?;
                self.shared.env.reach(Point::ROW_READ).await;
                if previous.is_some_and(|previous| self.shared.is_here(&previous, length, checksum)) {
                    drop((stripe, range));
                    return self.shared.already_here().await;
                }
                let room = match range.take() {
                    Some(range) => Room::Reserved(range),
                    None => self.shared.reserve(length).await?,
                };
                match room {
                    Room::Reserved(range) => break (stripe, previous, range),
                    Room::Full(full) => {
                        drop(stripe); // nobody waits for a rotation, and so for the evictor, under a lock
                        range = self.rotate_for(full, length, &mut short).await?;
                    }
                }
            };
            match self.shared.write(&mut range, 0, bytes.clone()).await {
                Ok(()) => {
                    if let Some(put) = self.shared.finish(key, previous, range, checksum, stripe).await? {
                        return Ok(put);
                    }
                }
                failed => {
                    drop(stripe); // nobody waits for room under a lock
                    self.unless_in_vain(range, failed, &mut short).await?;
                }
            }
            if attempt == PUT_ATTEMPTS_MAX {
                break;
            }
            self.shared.env.note(Point::PUT_RETRIED);
        }
        Err(Error::Evicted { key: key.to_vec() })
    }

    /// Stores the `length` bytes of `body` under `key`, holding no more than a piece of them in memory. Room for all of them is
    /// made when the first piece has come, and is lost where the body breaks off after that: who takes `length` from a client
    /// bounds it.
    ///
    /// # Errors
    /// Those of [`Engine::put`], [`Error::ArtifactLength`] and [`Error::Body`].
    pub async fn put_stream(&self, key: &[u8], length: u64, mut body: impl Body) -> Result<Put> {
        check_key(key)?;
        if length > ARTIFACT_BYTES_MAX {
            return Err(Error::ArtifactLength { length, max: ARTIFACT_BYTES_MAX });
        }
        self.shared.ring.check_fence()?;
        let mut short = Shortage::default();
        for attempt in 1.. {
            // before anything is reserved: clients who connect and send nothing are not to empty the ring
            let first = next_piece(key, &mut body, length, length).await?;
            let mut range = loop {
                match self.shared.reserve(length).await? {
                    Room::Reserved(range) => break range,
                    Room::Full(full) => {
                        if let Some(range) = self.rotate_for(full, length, &mut short).await? {
                            break range;
                        }
                    }
                }
            };
            match self.shared.write_body(key, &mut range, first, &mut body).await {
                Ok(checksum) => {
                    // only now: nobody waits for a body under a lock
                    let stripe = self.shared.stripe(key).acquire(&self.shared.env).await;
                    let previous = self.shared.manifest(key)?;
                    if let Some(put) = self.shared.finish(key, previous, range, checksum, stripe).await? {
                        return Ok(put);
                    }
                }
                failed => {
                    self.unless_in_vain(range, failed, &mut short).await?;
                }
            }
            if attempt == PUT_ATTEMPTS_MAX || !body.restart() {
                break;
            }
            self.shared.env.note(Point::PUT_RETRIED);
        }
        Err(Error::Evicted { key: key.to_vec() })
    }

    /// Rotates `full` away, and reserves `length` bytes of the segment that follows if this call makes it.
    async fn rotate_for(&self, full: SegmentId, length: u64, short: &mut Shortage) -> Result<Option<Reservation>> {
        Ok(match make_segment(&self.shared, &self.wake, full, length).await? {
            Made::Here(_, range) => Some(range),
            Made::Elsewhere(_) => None,
            Made::NoRoom => {
                self.shared.make_room(&self.wake, length, short).await?;
                None
            }
        })
    }

    /// What a write came to: `None` when it has to begin again, because its segment was evicted meanwhile, or because the
    /// disk was full and now has room. The caller holds no lock.
    async fn unless_in_vain<T>(
        &self,
        range: Reservation,
        written: Result<T>,
        short: &mut Shortage,
    ) -> Result<Option<T>> {
        match written {
            Err(error) if error.is_full() => {
                let length = range.length;
                drop(range); // it is not under way any more
                self.shared.make_room(&self.wake, length, short).await?;
                Ok(None)
            }
            other => self.shared.unless_evicted(range.book.segment, other),
        }
    }
}

impl<E: Env> Shared<E> {
    /// The bytes are written: makes them durable, and then the artifact. `None` when their segment was evicted.
    async fn finish(
        &self,
        key: &[u8],
        previous: Option<Manifest>,
        range: Reservation,
        checksum: u64,
        stripe: Held<'_, E>,
    ) -> Result<Option<Put>> {
        // trusted next: the bytes survive a power loss; the row that names them may become durable at any moment
        let synced = range.book.syncs.covered(&self.env).await;
        if self.unless_evicted(range.book.segment, synced)?.is_none() {
            return Ok(None);
        }
        let Some(put) = self.commit(key, previous, range, checksum).await? else {
            return Ok(None);
        };
        drop(stripe); // others may build on the row before it is durable: they wait for a later sync
        self.sync_catalog().await?;
        Ok(Some(put))
    }

    /// A slow writer may find that its segment was evicted meanwhile, and its file gone: that is no error of the disk.
    fn unless_evicted<T>(&self, segment: SegmentId, result: Result<T>) -> Result<Option<T>> {
        match result {
            Err(error) if error.is_lost_file() && !self.is_member(segment) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Makes the range the artifact of `key`, in the place of `previous`. `None` when its segment was evicted.
    async fn commit(
        &self,
        key: &[u8],
        mut previous: Option<Manifest>,
        mut range: Reservation,
        checksum: u64,
    ) -> Result<Option<Put>> {
        let (segment, length) = (range.book.segment, range.length);
        loop {
            if previous.is_some_and(|previous| self.is_here(&previous, length, checksum)) {
                return Ok(Some(Put::AlreadyHere));
            }
            self.ring.check_fence()?;
            let mends = previous.is_some_and(|previous| self.is_to_be_mended(&previous, length, checksum));
            let version = previous.map_or(0, |previous| previous.version).wrapping_add(1);
            let next = Manifest { version, segment, offset: range.offset, length, checksum };
            let (batch, requires) = replacement(key, previous.as_ref(), &next);
            // buffered: a power loss may undo it together with everything after it. Trusted next: that readers see it
            let (commit, same) = range.unless_unknown(self.committed(batch, &requires))?;
            range = same;
            if commit == Commit::Buffered {
                range.settle(Owner::Live);
                if let Some(previous) = previous {
                    self.books.move_bytes(previous.segment, previous.length, Owner::Live, Owner::Superseded);
                }
                self.env.note(Point::ROW_COMMITTED);
                if mends {
                    self.env.note(Point::ROW_MENDED);
                }
                return Ok(Some(Put::Stored));
            }
            if !self.is_member(segment) {
                return Ok(None);
            }
            // then the row is another: an eviction or a refresh was faster. Each time it is somebody's progress
            previous = self.manifest(key)?;
            self.env.reach(Point::ROW_READ).await;
        }
    }

    /// Whether the manifest is of this very artifact, and it is there.
    fn is_here(&self, manifest: &Manifest, length: u64, checksum: u64) -> bool {
        manifest.is_same_content(length, checksum) && self.holds(manifest) && !self.is_damaged(manifest)
    }

    /// Whether it is, and its bytes are known to be damaged.
    fn is_to_be_mended(&self, manifest: &Manifest, length: u64, checksum: u64) -> bool {
        manifest.is_same_content(length, checksum) && self.is_damaged(manifest)
    }

    /// The artifact is there, but perhaps not durable: whoever committed it may be gone.
    async fn already_here(&self) -> Result<Put> {
        self.sync_catalog().await?;
        Ok(Put::AlreadyHere)
    }

    /// Writes a body into its range, its first piece and the rest, and returns its checksum.
    async fn write_body(
        &self,
        key: &[u8],
        range: &mut Reservation,
        first: Option<Bytes>,
        body: &mut impl Body,
    ) -> Result<u64> {
        let (mut position, mut hash, mut next) = (0, Xxh3::new(), first);
        while let Some(piece) = next {
            hash.update(&piece);
            let length = piece.len() as u64;
            self.write(range, position, piece).await?;
            position += length;
            next = next_piece(key, body, range.length, range.length - position).await?;
        }
        Ok(hash.digest())
    }

    /// The manifest of a key, whether or not its segment is in the ring.
    pub(crate) fn manifest(&self, key: &[u8]) -> Result<Option<Manifest>> {
        self.env.catalog().get(Table::Manifest, key)?.map(|row| decode_row(key, &row)).transpose()
    }

    /// Whether the artifact's segment is in the ring: whether it is there. To be asked after the row was read.
    pub(crate) fn holds(&self, manifest: &Manifest) -> bool {
        self.is_member(manifest.segment)
    }

    fn is_member(&self, segment: SegmentId) -> bool {
        self.ring.snapshot().ring.generation_of(segment).is_some()
    }
}

/// The next bytes of a body of `expected` bytes, of which so many are `missing`.
async fn next_piece(key: &[u8], body: &mut impl Body, expected: u64, missing: u64) -> Result<Option<Bytes>> {
    let refused = |source| Error::Body { key: key.to_vec(), expected, source };
    loop {
        return match body.next().await.map_err(refused)? {
            Some(piece) if piece.is_empty() => continue, // nothing has come yet
            Some(piece) if piece.len() as u64 > missing => {
                Err(refused(io::Error::new(io::ErrorKind::InvalidData, "it is longer")))
            }
            None if missing > 0 => Err(refused(io::ErrorKind::UnexpectedEof.into())),
            piece => Ok(piece),
        };
    }
}
