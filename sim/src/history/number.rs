//! Numbers for what a history says of the future: of two runs that have the same, the oracles will say the same.

use super::{History, Row};
use xxhash_rust::xxh3::xxh3_128;

impl History {
    /// Of the ring: as it is saved, and what has ever been in it.
    pub fn ring_number(&self) -> u128 {
        let record = self.saved().map(|saved| saved.encode()).unwrap_or_default();
        let segments = self.joined.iter().map(|segment| (0, segment)).chain(self.departed.iter().map(|gone| (1, gone)));
        let segments = segments.map(|(is_gone, segment)| numbered(is_gone, &segment.as_u128().to_le_bytes()));
        segments.fold(xxh3_128(&record), u128::wrapping_add)
    }

    /// Of the doomed list.
    pub fn doomed_number(&self) -> u128 {
        let doomed = self.saved().map_or(&[][..], |saved| saved.ring.doomed());
        let bytes: Vec<u8> = doomed.iter().flat_map(|doomed| doomed.segment.as_u128().to_le_bytes()).collect();
        xxh3_128(&bytes)
    }

    /// Of the artifacts: their rows, and what could be seen of each, in order.
    pub fn rows_number(&self) -> u128 {
        let rows = self.rows.iter().map(|Row { key, manifest, .. }| numbered(*key, &manifest.encode()));
        let entries = self.index.iter().map(|(segment, key)| numbered(*key, &segment.as_u128().to_le_bytes()));
        let sights = self.sights.iter().map(|(key, sights)| {
            let contents = sights.iter().map(|sight| sight.content.map_or(0, |content| content | 1));
            numbered(*key, &contents.flat_map(u64::to_le_bytes).collect::<Vec<u8>>())
        });
        rows.chain(entries).chain(sights).fold(0, u128::wrapping_add)
    }
}

fn numbered(number: u8, bytes: &[u8]) -> u128 {
    let mut text = Vec::with_capacity(bytes.len() + 1);
    text.push(number);
    text.extend_from_slice(bytes);
    xxh3_128(&text)
}
