//! The segment directory: which operations the engine needs and what is durable after each.

use crate::error::{Error, Result};
use crate::segment::SegmentId;
use bytes::Bytes;
use std::future::Future;

/// A write that was refused.
#[derive(Debug)]
pub struct ShortWrite {
    /// How many bytes, the first ones, were written before it was: they take room.
    pub written: u64,
    /// The refusal.
    pub error: Error,
}

/// The segment files of one node, one file a segment.
///
/// An operation may take effect after its future was dropped, any time later.
pub trait Disk: Send + Sync + 'static {
    /// Creates the segment's empty file and syncs it. Its directory entry is durable only after `sync_directory`.
    ///
    /// # Errors
    /// When a file of that name exists, or the disk refuses.
    fn create(&self, segment: SegmentId) -> impl Future<Output = Result<()>> + Send;

    /// Makes every creation and unlink that has returned durable.
    ///
    /// # Errors
    /// When the disk refuses; which entries are durable is then unknown.
    fn sync_directory(&self) -> impl Future<Output = Result<()>> + Send;

    /// Writes `bytes` into the segment's file at `offset`. What was written is durable after `sync_file`.
    ///
    /// # Errors
    /// When the disk refuses, with what it took before it did. It is full, of the kind `StorageFull`, when nothing is left but
    /// what the catalog needs.
    fn write_at(
        &self,
        segment: SegmentId,
        offset: u64,
        bytes: Bytes,
    ) -> impl Future<Output = std::result::Result<(), ShortWrite>> + Send;

    /// Reads `length` bytes of the segment's file at `offset`.
    ///
    /// # Errors
    /// [`Error::Io`] of the kind `NotFound` when there is no file, `UnexpectedEof` when it is shorter,
    /// or what the disk says.
    fn read_at(&self, segment: SegmentId, offset: u64, length: usize) -> impl Future<Output = Result<Bytes>> + Send;

    /// The length of the segment's file.
    ///
    /// # Errors
    /// When the disk refuses.
    fn len(&self, segment: SegmentId) -> impl Future<Output = Result<u64>> + Send;

    /// Called before a sync of the segment: waits a moment where enough is being written that one sync for all of it is
    /// better than two. Those who get to the end meanwhile are covered.
    fn gather(&self, segment: SegmentId) -> impl Future<Output = ()> + Send;

    /// Makes every write to the segment that has returned durable.
    ///
    /// # Errors
    /// When the disk refuses; which bytes are durable is then unknown, whatever a later sync says.
    fn sync_file(&self, segment: SegmentId) -> impl Future<Output = Result<()>> + Send;

    /// Bytes that can still be written before the disk is full; what the catalog needs is not among them. Where others have
    /// taken of that, what has to go before any can be written, below 0.
    ///
    /// # Errors
    /// When the disk refuses.
    fn free_bytes(&self) -> impl Future<Output = Result<i64>> + Send;

    /// Removes the segment's file. Durable at some later time: a power loss may bring the file back.
    ///
    /// # Errors
    /// When the disk refuses. A file that does not exist is no error: it is gone, which was asked for.
    fn unlink(&self, segment: SegmentId) -> impl Future<Output = Result<()>> + Send;

    /// The segments that have a file, in no order. Other files in the directory are not ours and not listed.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn list(&self) -> impl Future<Output = Result<Vec<SegmentId>>> + Send;
}
