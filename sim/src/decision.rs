//! Keyed decisions: each is a function of the seed and of its own name, never "the next draw" of a shared stream.
//! Adding a decision somewhere leaves all others as they were.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// All decisions of one seed in one domain: ChaCha makes a key of both, a hash under that key answers each question
/// about each thing. (A ChaCha block for each site instead costs a tenth of all runs a second.)
#[derive(Clone, Copy, Debug)]
pub struct Decisions {
    key: u64,
}

/// What is asked about a thing. Answers to different questions are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who goes first?
    Rank,
    /// Is it held?
    Hold,
    /// Until nothing else can run?
    HoldIdle,
    /// For how many steps?
    HoldSteps,
    /// Is its caller dropped?
    Cancel,
    /// There?
    CancelAtOnce,
    /// In how many steps?
    CancelSteps,
    /// Does it fail?
    Fail,
    /// Does its task go to the back?
    Change,
    /// Which value does it have?
    Value,
    /// Does it fail, though it rarely can?
    Break,
    /// How does it fail?
    Failure,
    /// Does it outlive its process?
    Outlive,
    /// Has it opened its file before it lands?
    Open,
    /// Does it find a bit flipped?
    Rot,
    /// Or cannot read at all?
    Unreadable,
}

impl Decisions {
    /// The decisions of `seed` in one domain, such as "schedule" or "workload": domains share nothing.
    pub fn new(seed: u64, domain: &str) -> Decisions {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&xxh3_64(domain.as_bytes()).to_le_bytes());
        Decisions { key: ChaCha8Rng::from_seed(key).next_u64() }
    }

    /// The answer to one question about the thing whose number is `key`.
    pub fn draw(&self, question: Question, key: u64) -> u64 {
        let mut asked = [question as u8; 9];
        asked[..8].copy_from_slice(&key.to_le_bytes());
        xxh3_64_with_seed(&asked, self.key)
    }

    /// A number from `low` to `high`, both possible, by name.
    pub fn between(&self, name: &str, low: u64, high: u64) -> u64 {
        self.between_of(name, 0, low, high)
    }

    /// The same, for the `number`-th thing of that name.
    pub fn between_of(&self, name: &str, number: u64, low: u64, high: u64) -> u64 {
        below(self.draw(Question::Value, xxh3_64_with_seed(name.as_bytes(), number)), high - low + 1) + low
    }
}

/// A number under `bound`, from a draw.
pub fn below(draw: u64, bound: u64) -> u64 {
    ((u128::from(draw) * u128::from(bound)) >> 64) as u64
}

/// A probability as a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratio {
    /// How many,
    pub hits: u32,
    /// out of how many.
    pub of: u32,
}

impl Default for Ratio {
    fn default() -> Ratio {
        Ratio::NEVER
    }
}

impl Ratio {
    /// Never.
    pub const NEVER: Ratio = Ratio { hits: 0, of: 1 };

    /// `hits` out of `of`.
    pub const fn new(hits: u32, of: u32) -> Ratio {
        Ratio { hits, of }
    }

    /// Whether it has no hits.
    pub fn is_never(&self) -> bool {
        self.hits == 0
    }

    /// Whether this draw is one of the hits.
    pub fn takes(self, draw: u64) -> bool {
        self.hits > 0 && below(draw, u64::from(self.of)) < u64::from(self.hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Question::{Hold, Rank};

    #[test]
    fn a_decision_depends_on_seed_domain_thing_and_question_alone() {
        let alone = Decisions::new(7, "schedule").draw(Rank, 1);
        assert_eq!(Decisions::new(7, "schedule").draw(Rank, 1), alone);
        assert_ne!(Decisions::new(8, "schedule").draw(Rank, 1), alone);
        assert_ne!(Decisions::new(7, "workload").draw(Rank, 1), alone);
        assert_ne!(Decisions::new(7, "schedule").draw(Rank, 2), alone);
        assert_ne!(Decisions::new(7, "schedule").draw(Hold, 1), alone);
        // the same on every machine and in every build
        assert_eq!(alone, 617_613_496_820_397_339);
    }

    #[test]
    fn a_ratio_takes_its_share_whatever_another_question_says() {
        let decisions = Decisions::new(1, "test");
        let rare = Ratio::new(1, 50);
        let share =
            |keys: &mut dyn Iterator<Item = u64>| keys.filter(|&key| rare.takes(decisions.draw(Hold, key))).count();
        let all = share(&mut (0..10_000));
        assert!((150..250).contains(&all), "{all}");
        let first_half = share(&mut (0..20_000).filter(|&key| decisions.draw(Rank, key) < 1 << 63));
        assert!((150..250).contains(&first_half), "{first_half}");
        assert!((0..10_000).all(|key| !Ratio::NEVER.takes(decisions.draw(Hold, key))));
        assert!(!Ratio::default().takes(0));
    }

    #[test]
    fn every_permutation_of_four_ranks_is_about_as_frequent() {
        let mut counts = std::collections::BTreeMap::<Vec<u64>, u32>::new();
        for seed in 0..24_000 {
            let decisions = Decisions::new(seed, "test");
            let mut order = vec![0, 1, 2, 3];
            order.sort_by_key(|&key| decisions.draw(Rank, key));
            *counts.entry(order).or_default() += 1;
        }
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn between_reaches_both_ends_and_nothing_else() {
        let drawn: std::collections::BTreeSet<u64> =
            (0..100).map(|seed| Decisions::new(seed, "test").between("n", 3, 5)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5]);
    }
}
