//! Keyed decisions: each is a function of the seed and of its own name, never "the next draw" of a shared stream.
//! Adding a decision somewhere leaves all others as they were.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// All decisions of one seed.
#[derive(Clone, Debug)]
pub struct Decisions {
    block: ChaCha8Rng,
}

/// The independent draws of one name, each for a question of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    /// Who goes first.
    pub rank: u64,
    /// Whether to hold.
    pub hold: u64,
    /// How long to hold.
    pub length: u64,
    /// Whether to drop the caller.
    pub cancel: u64,
    /// Whether to fail.
    pub fail: u64,
    /// Whether to change priorities.
    pub change: u64,
}

impl Decisions {
    /// The decisions of `seed` in one domain, such as "schedule" or "workload": domains share nothing.
    pub fn new(seed: u64, domain: &str) -> Decisions {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&xxh3_64(domain.as_bytes()).to_le_bytes());
        Decisions { block: ChaCha8Rng::from_seed(key) }
    }

    /// The draws of the thing whose number is `key`: a ChaCha block with that number as its stream.
    pub fn draws(&self, key: u64) -> Draws {
        let mut block = self.block.clone();
        block.set_stream(key);
        Draws {
            rank: block.next_u64(),
            hold: block.next_u64(),
            length: block.next_u64(),
            cancel: block.next_u64(),
            fail: block.next_u64(),
            change: block.next_u64(),
        }
    }

    /// One draw, by name.
    pub fn draw(&self, name: &str) -> u64 {
        self.draws(xxh3_64(name.as_bytes())).rank
    }

    /// A number from `low` to `high`, both possible, by name.
    pub fn between(&self, name: &str, low: u64, high: u64) -> u64 {
        below(self.draw(name), high - low + 1) + low
    }
}

/// A number under `bound`, from a draw.
pub fn below(draw: u64, bound: u64) -> u64 {
    ((u128::from(draw) * u128::from(bound)) >> 64) as u64
}

/// A probability as a ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratio {
    /// How many,
    pub hits: u32,
    /// out of how many. 0 out of 0 is never.
    pub of: u32,
}

impl Ratio {
    /// Never.
    pub const NEVER: Ratio = Ratio { hits: 0, of: 1 };

    /// `hits` out of `of`.
    pub const fn new(hits: u32, of: u32) -> Ratio {
        Ratio { hits, of }
    }

    /// Whether this draw is one of the hits.
    pub fn takes(self, draw: u64) -> bool {
        self.hits > 0 && below(draw, u64::from(self.of)) < u64::from(self.hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_depends_on_seed_domain_and_name_alone() {
        let decisions = Decisions::new(7, "schedule");
        let alone = decisions.draw("a");
        decisions.draw("b");
        assert_eq!(decisions.draw("a"), alone);
        assert_eq!(Decisions::new(7, "schedule").draw("a"), alone);
        assert_ne!(Decisions::new(8, "schedule").draw("a"), alone);
        assert_ne!(Decisions::new(7, "workload").draw("a"), alone);
        assert_ne!(decisions.draw("b"), alone);
        // the same on every machine and in every build
        assert_eq!(alone, 8_345_006_979_577_959_103);
    }

    #[test]
    fn a_ratio_takes_its_share() {
        let decisions = Decisions::new(1, "test");
        let taken = (0..10_000).filter(|&key| Ratio::new(1, 50).takes(decisions.draws(key).hold)).count();
        assert!((150..250).contains(&taken), "{taken}");
        assert!((0..10_000).all(|key| !Ratio::NEVER.takes(decisions.draws(key).hold)));
        assert!(!Ratio::default().takes(0));
    }

    #[test]
    fn between_reaches_both_ends_and_nothing_else() {
        let drawn: std::collections::BTreeSet<u64> =
            (0..100).map(|seed| Decisions::new(seed, "test").between("n", 3, 5)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5]);
    }
}
