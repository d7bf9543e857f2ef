//! Artifacts that no codec makes smaller and no two of which are alike, at the price of nothing.
//!
//! Each is a slice of one pool of keyed noise, and begins elsewhere than the others: no two have the same bytes at the
//! same place. Nothing is generated or copied while a clock runs.

use bytes::{Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Places at which an artifact may begin. More than a processor's caches hold, so that the bytes come from memory.
const POOL_BYTES: usize = 64 << 20;

/// Bytes between the beginnings of two artifacts that follow each other: an odd number, so that every place is met.
const STRIDE: usize = 4_194_301;

const KEY: u64 = 0x05e9_514d;

/// A pool of noise.
#[derive(Clone)]
pub struct Artifacts {
    pool: Bytes,
}

impl Artifacts {
    /// Makes the noise, for artifacts of up to `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Artifacts {
        let mut pool = BytesMut::with_capacity(POOL_BYTES + bytes_max + 8);
        for word in 0..(POOL_BYTES + bytes_max).div_ceil(8) as u64 {
            pool.extend_from_slice(&xxh3_64_with_seed(&word.to_le_bytes(), KEY).to_le_bytes());
        }
        Artifacts { pool: pool.freeze() }
    }

    /// The artifact of this number, `bytes` long; the numbers up to 64 Mi are all different.
    pub fn artifact(&self, number: u64, bytes: usize) -> Bytes {
        let begin = usize::try_from(number % POOL_BYTES as u64).unwrap_or(0) * STRIDE % POOL_BYTES;
        self.pool.slice(begin..begin + bytes)
    }
}

/// The key of the artifact of this number.
pub fn key(number: u64) -> [u8; 16] {
    let mut key = *b"artifact........";
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn artifacts_differ_from_the_first_bytes_on() {
        let artifacts = Artifacts::new(16);
        let heads: BTreeSet<Bytes> = (0..10_000).map(|number| artifacts.artifact(number, 16)).collect();
        assert_eq!(heads.len(), 10_000);
    }
}
