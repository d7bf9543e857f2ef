//! Appending: a range is reserved under the write lock and written outside it.
//!
//! A range is never used a second time, so a write that lands late, of a caller who is gone, hits nobody's bytes.

use crate::disk::{Disk, ShortWrite};
use crate::engine::Shared;
use crate::env::Env;
use crate::error::Result;
use crate::segment::SegmentId;
use crate::usage::Reservation;
use bytes::Bytes;

/// What came of asking for room.
pub(crate) enum Room {
    /// It is there.
    Reserved(Reservation),
    /// The active segment has none; it is this one.
    Full(SegmentId),
}

impl<E: Env> Shared<E> {
    /// Reserves `length` bytes of the active segment.
    pub(crate) async fn reserve(&self, length: u64) -> Result<Room> {
        let _write = self.write.acquire(&self.env).await;
        self.ring.check_fence()?;
        Ok(self.reserve_locked(length))
    }

    /// The same for a copy, for which nothing is evicted: `None` where the disk has no room for it.
    pub(crate) async fn reserve_where_free(&self, length: u64) -> Result<Option<Room>> {
        let _write = self.write.acquire(&self.env).await;
        self.ring.check_fence()?;
        // under the lock: nothing else is reserved between the look and the reservation. And before the range: one that
        // cannot be written is lost to the segment
        if length > 0 && !self.has_room(length).await? {
            return Ok(None);
        }
        Ok(Some(self.reserve_locked(length)))
    }

    /// The caller holds the write lock.
    fn reserve_locked(&self, length: u64) -> Room {
        let active = self.active();
        let book = self.books.of(active);
        book.and_then(|book| book.reserve(length)).map_or(Room::Full(active), Room::Reserved)
    }

    /// Writes `bytes` at `position` of a reserved range.
    pub(crate) async fn write(&self, range: &mut Reservation, position: u64, bytes: Bytes) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let part = bytes.slice(done..bytes.len().min(done + self.limits.io_bytes));
            let (length, offset) = (part.len(), range.offset + position + done as u64);
            range.submitted = length as u64;
            // may be torn here: any part of it, at any byte. Nothing refers to the range before the sync that covers it
            let written = self.env.disk().write_at(range.book.segment, offset, part).await;
            range.submitted = 0;
            match written {
                Ok(()) => range.wrote(length as u64),
                Err(ShortWrite { written, error }) => {
                    range.wrote(written);
                    return Err(error);
                }
            }
            done += length;
        }
        Ok(())
    }
}
