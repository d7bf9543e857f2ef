//! The rows of an artifact: its manifest, by key, and its entry in the index of its segment.
//!
//! One commit writes both, so that an index entry names a key whose manifest lies in that segment, always.

use crate::catalog::{Require, Table, Write};
use crate::error::{Error, ManifestFault, Result};
use crate::limits::KEY_BYTES_MAX;
use crate::segment::SegmentId;

const FORMAT: u8 = 1;
const SEGMENT_BYTES: usize = 16;

/// Where an artifact is and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Counts the puts of the key since it was last absent, from 1. A refresh moves an artifact and keeps its version.
    pub version: u64,
    /// The segment that holds its bytes.
    pub segment: SegmentId,
    /// Where in the segment they begin.
    pub offset: u64,
    /// How many they are.
    pub length: u64,
    /// Their XXH3, 64 bits.
    pub checksum: u64,
}

impl Manifest {
    /// The row: format (1 byte), version (8), segment (16), offset, length and checksum (8 each). Little endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(49);
        row.push(FORMAT);
        row.extend_from_slice(&self.version.to_le_bytes());
        row.extend_from_slice(&self.segment.as_u128().to_le_bytes());
        for number in [self.offset, self.length, self.checksum] {
            row.extend_from_slice(&number.to_le_bytes());
        }
        row
    }

    /// The inverse of [`Manifest::encode`].
    ///
    /// # Errors
    /// What is wrong with the row.
    pub fn decode(row: &[u8]) -> std::result::Result<Manifest, ManifestFault> {
        let (&format, fields) = row.split_first().ok_or(ManifestFault::Length(0))?;
        if format != FORMAT {
            return Err(ManifestFault::UnknownFormat(format));
        }
        let fields: &[u8; 48] = fields.try_into().map_err(|_| ManifestFault::Length(row.len()))?;
        let (numbers, _) = fields.as_chunks::<8>();
        let [version, low, high, offset, length, checksum] =
            [0, 1, 2, 3, 4, 5].map(|at| u64::from_le_bytes(numbers[at]));
        offset.checked_add(length).ok_or(ManifestFault::EndOverflows)?;
        let segment = SegmentId::from_u128(u128::from(high) << 64 | u128::from(low));
        Ok(Manifest { version, segment, offset, length, checksum })
    }

    /// Whether its bytes are within a file of `length` bytes. No bytes are, wherever it ends: nothing need be written behind
    /// a range that was abandoned.
    pub fn is_within(&self, length: u64) -> bool {
        self.length == 0 || self.offset + self.length <= length
    }

    /// Whether it is the same artifact, wherever it is.
    pub fn is_same_content(&self, length: u64, checksum: u64) -> bool {
        (self.length, self.checksum) == (length, checksum)
    }
}

/// The manifest of this key, as it is to be read back: the row that a commit can require.
pub(crate) fn decode_row(key: &[u8], row: &[u8]) -> Result<Manifest> {
    Manifest::decode(row).map_err(|fault| Error::DamagedManifest { key: key.to_vec(), fault })
}

/// Refuses a key that no artifact can have.
pub(crate) fn check_key(key: &[u8]) -> Result<()> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Error::KeyLength { length: key.len(), max: KEY_BYTES_MAX });
    }
    Ok(())
}

/// The key of an artifact's index entry: the segment, then the artifact's key.
pub fn index_key(segment: SegmentId, key: &[u8]) -> Vec<u8> {
    [&segment.as_u128().to_be_bytes(), key].concat()
}

/// The artifact's key in an index entry; `None` for an entry that no index has.
pub fn artifact_key(entry: &[u8]) -> Option<&[u8]> {
    entry.get(SEGMENT_BYTES..).filter(|key| !key.is_empty())
}

/// What every index entry of a segment begins with.
pub fn index_prefix(segment: SegmentId) -> [u8; SEGMENT_BYTES] {
    segment.as_u128().to_be_bytes()
}

/// The commit that makes `next` the manifest of `key` in the place of `previous`, with what it requires: the segment in
/// the ring, the row as it was read.
pub(crate) fn replacement(key: &[u8], previous: Option<&Manifest>, next: &Manifest) -> (Vec<Write>, [Require; 2]) {
    let mut batch = vec![
        Write::Put { table: Table::Manifest, key: key.to_vec(), value: next.encode() },
        Write::Put { table: Table::Index, key: index_key(next.segment, key), value: Vec::new() },
    ];
    if let Some(previous) = previous.filter(|previous| previous.segment != next.segment) {
        batch.push(Write::Delete { table: Table::Index, key: index_key(previous.segment, key) });
    }
    (batch, [Require::InRing { segment: next.segment }, as_read(key, previous)])
}

/// Requires that the row of `key` is still the one that was read.
pub(crate) fn as_read(key: &[u8], manifest: Option<&Manifest>) -> Require {
    let (table, key) = (Table::Manifest, key.to_vec());
    match manifest {
        Some(manifest) => Require::RowIs { table, key, value: manifest.encode() },
        None => Require::RowAbsent { table, key },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn manifest_survives_its_encoding(
            version in any::<u64>(), segment in any::<u128>(), offset in 0..1u64 << 62, length in 0..1u64 << 62, checksum in any::<u64>()
        ) {
            let manifest = Manifest { version, segment: SegmentId::from_u128(segment), offset, length, checksum };
            prop_assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
        }

        #[test]
        fn any_bytes_are_a_manifest_or_a_fault(row in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(manifest) = Manifest::decode(&row) {
                prop_assert_eq!(manifest.encode(), row);
            }
        }

        #[test]
        fn index_entry_gives_its_key_back(segment in any::<u128>(), key in proptest::collection::vec(any::<u8>(), 1..20)) {
            let segment = SegmentId::from_u128(segment);
            let entry = index_key(segment, &key);
            prop_assert!(entry.starts_with(&index_prefix(segment)));
            prop_assert_eq!(artifact_key(&entry), Some(&key[..]));
        }
    }

    #[test]
    fn an_artifact_that_ends_beyond_all_numbers_is_refused() {
        let manifest =
            Manifest { version: 1, segment: SegmentId::from_u128(1), offset: u64::MAX, length: 1, checksum: 0 };
        assert_eq!(Manifest::decode(&manifest.encode()), Err(ManifestFault::EndOverflows));
    }
}
