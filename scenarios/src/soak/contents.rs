//! What is put: bytes that are a pure function of seed, key and number; and draws that are one of seed and place.

use bytes::{Bytes, BytesMut};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// How many keys there are. Few, so that several writers often put the same one.
pub const KEYS: u32 = 64;

/// Lengths are spread evenly over this many doublings of 1 byte: up to 512 KiB.
const LENGTH_DOUBLINGS: u64 = 20;

/// Bytes of a word of noise.
const WORD_BYTES: u64 = 8;

const PREFIX: &str = "key-";

/// Something that was put under a key.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    /// Which; `None` where that is not known.
    pub number: Option<u64>,
    /// How many bytes.
    pub length: u64,
    /// Their XXH3, 64 bits.
    pub checksum: u64,
}

impl PartialEq for Content {
    /// The same bytes, whoever put them.
    fn eq(&self, other: &Content) -> bool {
        (self.length, self.checksum) == (other.length, other.checksum)
    }
}

impl std::fmt::Display for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.number {
            Some(number) => write!(f, "content {number} ({} bytes)", self.length),
            None => write!(f, "other content ({} bytes)", self.length),
        }
    }
}

/// The key of this number, as the engine knows it.
pub fn key(number: u32) -> Vec<u8> {
    format!("{PREFIX}{number:02}").into_bytes()
}

/// The inverse of [`key`]; `None` for a key that no soak puts.
pub fn key_number(bytes: &[u8]) -> Option<u32> {
    let number = std::str::from_utf8(bytes).ok()?.strip_prefix(PREFIX)?.parse().ok()?;
    (number < KEYS && key(number) == bytes).then_some(number)
}

/// The bytes of the content `number` of `key`.
pub fn bytes(seed: u64, key: u32, number: u64) -> Bytes {
    let mut draws = Draws::new(seed, "content", &[u64::from(key), number]);
    let doublings = draws.below(LENGTH_DOUBLINGS);
    let length = 1 + draws.below(1 << doublings);
    let noise = draws.next();
    let words = length.div_ceil(WORD_BYTES);
    let mut bytes = BytesMut::with_capacity(usize::try_from(words * WORD_BYTES).unwrap_or(0));
    for word in 0..words {
        bytes.extend_from_slice(&xxh3_64_with_seed(&word.to_le_bytes(), noise).to_le_bytes());
    }
    bytes.freeze().slice(..usize::try_from(length).unwrap_or(0))
}

/// The content that these bytes are.
pub fn content(number: Option<u64>, bytes: &[u8]) -> Content {
    Content { number, length: bytes.len() as u64, checksum: xxh3_64(bytes) }
}

/// Random numbers: the next one of a place in a run.
#[derive(Clone, Debug)]
pub struct Draws {
    key: u64,
    drawn: u64,
}

impl Draws {
    /// Those of a place: a name and numbers.
    pub fn new(seed: u64, name: &str, numbers: &[u64]) -> Draws {
        let place: Vec<u8> = name.bytes().chain(numbers.iter().flat_map(|number| number.to_le_bytes())).collect();
        Draws { key: xxh3_64_with_seed(&place, seed), drawn: 0 }
    }

    /// Any number.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.drawn += 1;
        xxh3_64_with_seed(&self.drawn.to_le_bytes(), self.key)
    }

    /// A number below `bound`; 0 where there is none.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn keys_give_their_numbers_back_and_others_none() {
        for number in 0..KEYS {
            assert_eq!(key_number(&key(number)), Some(number));
        }
        for foreign in [&b""[..], b"key-", b"key-1", b"key-+1", b"key-99", b"\xff", b"other"] {
            assert_eq!(key_number(foreign), None);
        }
    }

    #[test]
    fn contents_repeat_and_differ() {
        assert_eq!(bytes(1, 2, 3), bytes(1, 2, 3));
        let long = |seed, key, number| content(None, &bytes(seed, key, number));
        let checksums: BTreeSet<u64> =
            [long(1, 2, 3), long(2, 2, 3), long(1, 3, 3), long(1, 2, 4)].map(|content| content.checksum).into();
        assert_eq!(checksums.len(), 4);
    }

    #[test]
    fn lengths_go_from_a_byte_to_hundreds_of_kib() {
        let lengths: Vec<usize> = (0..500).map(|number| bytes(0, 0, number).len()).collect();
        assert!(lengths.contains(&1) && lengths.iter().any(|length| *length > 300 << 10));
    }
}
