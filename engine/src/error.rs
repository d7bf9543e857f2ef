//! What can go wrong. Each variant is a different decision for the caller.

use crate::segment::SegmentId;
use rustix::io::Errno;
use std::{io, path::PathBuf};

/// The engine's result.
pub type Result<T> = std::result::Result<T, Error>;

/// The engine's errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused an operation. Nothing that it was meant to do may be relied on.
    #[error("cannot {operation} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The catalog refused an operation. A commit that failed so may have happened.
    #[error("cannot {operation} the catalog: {source}")]
    Catalog {
        /// What was tried, as a verb.
        operation: &'static str,
        /// What the catalog said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process has the data directory open.
    #[error("{path} is in use by another process", path = path.display())]
    DirectoryInUse {
        /// The data directory.
        path: PathBuf,
    },
    /// One part of a data directory is there without the other, as when a disk is not mounted: an open would take all that the
    /// other holds for garbage.
    #[error("{missing} is missing, and {present} is not empty; restore it, or move what is left away to begin anew", missing = missing.display(), present = present.display())]
    MissingPart {
        /// The catalog, or the directory of the segments.
        missing: PathBuf,
        /// The other one.
        present: PathBuf,
    },
    /// The data directory was written by a version of the engine that this one does not know.
    #[error("the data directory has format {found}; this engine reads format {expected}")]
    UnknownFormat {
        /// The format on disk.
        found: String,
        /// The format of this engine.
        expected: u8,
    },
    /// The saved ring cannot be decoded.
    #[error("the saved ring is damaged: {0}")]
    DamagedRing(RecordFault),
    /// A saved manifest cannot be decoded.
    #[error("the manifest of {key} is damaged: {fault}", key = key.escape_ascii())]
    DamagedManifest {
        /// The artifact.
        key: Vec<u8>,
        /// What is wrong.
        fault: ManifestFault,
    },
    /// An artifact's bytes are not those that were stored.
    #[error("the bytes of {key} in segment {segment} are damaged", key = key.escape_ascii())]
    DamagedArtifact {
        /// The artifact.
        key: Vec<u8>,
        /// Where it was read.
        segment: SegmentId,
    },
    /// The artifact does not fit into memory in one piece.
    #[error("an artifact of {length} bytes does not fit into memory; read it piece by piece")]
    NoMemory {
        /// Its bytes.
        length: u64,
    },
    /// A key that no artifact can have.
    #[error("a key of {length} bytes; a key has 1 to {max}")]
    KeyLength {
        /// Its length.
        length: usize,
        /// The longest.
        max: usize,
    },
    /// A longer artifact than any may be.
    #[error("an artifact of {length} bytes; one has {max} at most")]
    ArtifactLength {
        /// What it was said to have.
        length: u64,
        /// The most.
        max: u64,
    },
    /// The body of a put broke off, or is not as long as was said.
    #[error("the body of {key} was to have {expected} bytes: {source}", key = key.escape_ascii())]
    Body {
        /// The artifact.
        key: Vec<u8>,
        /// Its announced length.
        expected: u64,
        /// What went wrong.
        source: io::Error,
    },
    /// The artifact's segment was evicted while it was being put or read, or a put ran into a full disk, which has room now.
    /// Put or read it again.
    #[error("{key} was evicted meanwhile, or its put met a full disk that has room now; try again", key = key.escape_ascii())]
    Evicted {
        /// The artifact.
        key: Vec<u8>,
    },
    /// The disk has no room for the artifact beside what is kept for the catalog, and evicting would not make any, or the
    /// disk keeps what was evicted.
    #[error("the disk has no room for {length} more bytes beside the catalog's, whatever is evicted")]
    DiskFull {
        /// Its bytes.
        length: u64,
    },
    /// More is doomed than [`Limits::doomed_bytes_max`](crate::Limits::doomed_bytes_max), and the disk keeps what it was
    /// told to unlink. The evictor goes on trying. Where nothing may be doomed, as with
    /// [`Limits::for_budget`](crate::Limits::for_budget), one segment is enough.
    #[error("no new segment: {doomed_bytes} bytes of evicted ones cannot be unlinked")]
    Crowded {
        /// What is doomed.
        doomed_bytes: u64,
    },
    /// A sync failed, this one or one before it: what was written may not survive a power loss.
    #[error("a sync failed: {0}")]
    Unsynced(std::sync::Arc<Error>),
    /// A commit or a sync of the catalog ended in an error, so what is saved is unknown, or the evictor has, so nothing would
    /// make room; by a panic, too. Reads go on; reopen to write again.
    #[error("writes are fenced after the catalog or the evictor failed; reopen the engine")]
    Fenced,
    /// The engine is closing, or a task that was to answer has panicked.
    #[error("the engine is closed")]
    Closed,
    /// The disk budget does not hold the smallest ring.
    #[error("a budget of {budget_bytes} bytes does not hold {segments_min} segments of {segment_bytes} bytes")]
    BudgetTooSmall {
        /// The budget.
        budget_bytes: u64,
        /// The segment size.
        segment_bytes: u64,
        /// How many segments it has to hold.
        segments_min: u64,
    },
}

impl Error {
    /// Whether the disk was full, or the quota used up.
    pub fn is_full(&self) -> bool {
        let is_full = |kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        matches!(self, Error::Io { source, .. } if is_full(source.kind()))
    }

    /// Whether a file of this name was there already, which is somebody's.
    pub(crate) fn is_taken_name(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
    }

    /// Whether a segment's file is not there.
    pub(crate) fn is_lost_file(&self) -> bool {
        match self {
            Error::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Error::Unsynced(cause) => cause.is_lost_file(),
            _ => false,
        }
    }

    /// Whether the disk has the bytes and cannot give them: a bad sector, or one whose checksum is wrong.
    pub(crate) fn is_unreadable(&self) -> bool {
        // the block layer makes ENODATA and EILSEQ of a medium error and of wrong protection data; EBADMSG and EUCLEAN are
        // what file systems say of what they find damaged
        const UNREADABLE: [Errno; 5] = [Errno::IO, Errno::NODATA, Errno::ILSEQ, Errno::BADMSG, Errno::UCLEAN];
        matches!(self, Error::Io { source, .. } if Errno::from_io_error(source).is_some_and(|errno| UNREADABLE.contains(&errno)))
    }
}

/// Why a manifest cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFault {
    /// Its first byte is not a known format.
    #[error("unknown format {0}")]
    UnknownFormat(u8),
    /// It has not the length of its format.
    #[error("it has {0} bytes")]
    Length(usize),
    /// Its offset and length are more than can be counted.
    #[error("its end overflows")]
    EndOverflows,
}

/// Why a ring record cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// It ends too early.
    #[error("it is cut short")]
    Truncated,
    /// Bytes follow its end.
    #[error("bytes follow its end")]
    TrailingBytes,
    /// Its first byte is not a known format.
    #[error("unknown format {0}")]
    UnknownFormat(u8),
    /// It has a generation that does not exist.
    #[error("unknown generation {0}")]
    UnknownGeneration(u8),
    /// A younger generation comes before an older one.
    #[error("its generations are out of order")]
    OutOfOrder,
    /// It was saved more often than can be counted on.
    #[error("its version overflows")]
    VersionOverflows,
    /// Its segments are more bytes than can be counted on.
    #[error("its sizes overflow")]
    SizesOverflow,
    /// A segment is listed twice.
    #[error("segment {0} is listed twice")]
    Duplicate(SegmentId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_is_used_up_is_a_full_disk() {
        let refused = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            Error::Io { operation: "write", path: PathBuf::new(), source }.is_full()
        };
        // ENOSPC, EDQUOT, EIO
        assert_eq!([28, 122, 5].map(refused), [true, true, false]);
    }

    #[test]
    fn what_the_disk_has_and_cannot_give_is_unreadable() {
        let refused = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            Error::Io { operation: "read", path: PathBuf::new(), source }.is_unreadable()
        };
        // EIO, ENODATA, EBADMSG, EILSEQ, EUCLEAN
        assert_eq!([5, 61, 74, 84, 117].map(refused), [true; 5]);
        // ENOENT, EINTR, ENOMEM, EMFILE: another time it may
        assert_eq!([2, 4, 12, 24].map(refused), [false; 4]);
    }
}
