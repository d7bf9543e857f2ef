//! A set of the numbers of states: a search looks into it a few times a run and keeps millions.

/// A set of hashes, in open addressing.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// A power of two of them, at least half of them 0: free.
    places: Vec<u128>,
    count: usize,
}

/// Places of a set that is not empty, at least.
const PLACES_MIN: usize = 1 << 10;

impl Known {
    /// Whether the number is in it.
    pub fn contains(&self, number: u128) -> bool {
        !self.places.is_empty() && self.places[self.place(number)] != 0
    }

    /// Puts a number in; whether it was not there.
    pub fn insert(&mut self, number: u128) -> bool {
        if self.places.len() < 2 * (self.count + 1) {
            self.grow();
        }
        let place = self.place(number);
        let is_new = self.places[place] == 0;
        self.places[place] = free_of_zero(number);
        self.count += usize::from(is_new);
        is_new
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = u128> + '_ {
        self.places.iter().copied().filter(|number| *number != 0)
    }

    /// Where the number is, or would be.
    fn place(&self, number: u128) -> usize {
        let number = free_of_zero(number);
        let mask = self.places.len() - 1;
        let mut place = number as usize & mask;
        while self.places[place] != 0 && self.places[place] != number {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        let length = (2 * self.places.len()).max(PLACES_MIN);
        let before = std::mem::replace(&mut self.places, vec![0; length]);
        for number in before.into_iter().filter(|number| *number != 0) {
            let place = self.place(number);
            self.places[place] = number;
        }
    }
}

/// 0 marks a free place.
fn free_of_zero(number: u128) -> u128 {
    if number == 0 { 1 } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use xxhash_rust::xxh3::xxh3_128;

    #[test]
    fn it_holds_what_was_put_in_and_nothing_else() {
        let (mut known, mut model) = (Known::default(), BTreeSet::new());
        assert!(!known.contains(0) && known.is_empty());
        for number in (0..10_000u32).map(|number| xxh3_128(&(number % 6_000).to_le_bytes())).chain([0, 1 << 64]) {
            assert_eq!(known.insert(number), model.insert(number));
        }
        assert!(known.contains(0) && known.contains(1 << 64) && !known.contains(2 << 64));
        assert_eq!((known.len(), known.iter().count()), (model.len(), model.len()));
    }
}
