//! What a run leaves, and what many leave together. Everything here repeats exactly; wall time is kept apart.

use crate::interference::Interference;
use crate::plan::Base;
use crate::strategy::Strategy;
use crate::verdict::Violation;
use crate::window::WindowCount;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// The repeatable result of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The seed.
    pub seed: u64,
    /// The base that it ran on.
    pub base: Base,
    /// What the oracles found, in order. Empty is a pass.
    pub violations: Vec<Violation>,
    /// The hash of the trace.
    pub trace_hash: u64,
    /// Sites that passed.
    pub sites: u64,
    /// Segments that joined the ring during the run.
    pub joined: u64,
    /// Segments that left it on purpose.
    pub departed: u64,
    /// What was counted of each window.
    pub windows: Vec<WindowCount>,
    /// How often the plan interfered.
    pub interference: Interference,
    /// Where the process ended, each by the kind of task and the point.
    pub crash_sites: Vec<String>,
    /// Where it could have ended, once each, in a run in which it does.
    pub sites_met: Vec<String>,
}

/// The runs of a sweep, added up. Adding is order-free, so the sum does not depend on the number of threads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Runs with a violation.
    pub failed: u64,
    /// A hash of all (seed, trace hash): equal for equal sweeps on any machine.
    #[serde(with = "hexadecimal")]
    pub fingerprint: u64,
    /// Sites that passed, over all runs.
    pub sites: u64,
    /// The fewest sites of a run.
    pub sites_min: Option<u64>,
    /// Segments that joined, over all runs.
    pub joined: u64,
    /// Segments that left, over all runs.
    pub departed: u64,
    /// Each window, in the order of the vocabulary. Not written down with the others: a report names them.
    #[serde(skip)]
    pub windows: Vec<WindowTally>,
    /// Each strategy.
    pub strategies: BTreeMap<Strategy, StrategyTally>,
    /// Each kind of interference.
    pub interference: BTreeMap<String, Seen>,
    /// How often the process ended at each kind of site, of those where it could.
    pub crash_sites: BTreeMap<String, SiteTally>,
    /// The failures, by oracle and race of the first violation. Not written down with the others: a report has each with its
    /// plan.
    #[serde(skip)]
    pub groups: BTreeMap<String, Group>,
    /// Runs that were made twice, and those of them that differed.
    pub repeated: u64,
    /// Seeds whose second run differed.
    pub unrepeatable: Vec<u64>,
}

/// One window over many runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowTally {
    /// The sums.
    pub count: WindowCount,
    /// Runs in which it opened.
    pub opened: u64,
    /// Runs in which another task arrived.
    pub arrived: u64,
    /// Runs in which another task landed.
    pub landed: u64,
}

/// What one strategy has yielded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyTally {
    /// Runs.
    pub runs: u64,
    /// Runs with a violation.
    pub failed: u64,
    /// Tasks that arrived, summed over all windows.
    pub arrivals: u64,
    /// Tasks that landed, summed over all windows.
    pub landings: u64,
    /// Runs in which another task arrived at some window.
    pub arrived: u64,
    /// Runs in which another task landed in some window.
    pub landed: u64,
}

/// A kind of site at which the process can end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteTally {
    /// Runs that came there.
    pub runs: u64,
    /// How often it ended there.
    pub crashes: u64,
}

/// Something that happens in some runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// How often.
    pub times: u64,
    /// In how many runs.
    pub runs: u64,
}

/// Failures of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Runs.
    pub runs: u64,
    /// The oracle of the first violation.
    pub oracle: String,
    /// What raced with what.
    pub race: String,
    /// The lowest seed.
    pub seed: u64,
    /// The strategy of this seed.
    pub strategy: Strategy,
    /// Its first violation, in one sentence.
    pub sentence: String,
    /// In how many of the runs each oracle found something, not only the first.
    pub oracles: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds one run.
    pub fn add(&mut self, record: &Record) {
        self.runs += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&record.seed.to_le_bytes());
        bytes[8..].copy_from_slice(&record.trace_hash.to_le_bytes());
        self.fingerprint = self.fingerprint.wrapping_add(xxh3_64(&bytes));
        self.sites += record.sites;
        self.sites_min = Some(self.sites_min.map_or(record.sites, |least| least.min(record.sites)));
        self.joined += record.joined;
        self.departed += record.departed;
        self.windows.resize(self.windows.len().max(record.windows.len()), WindowTally::default());
        for (sum, count) in self.windows.iter_mut().zip(&record.windows) {
            sum.add(&WindowTally {
                count: *count,
                opened: u64::from(count.openings > 0),
                arrived: u64::from(count.arrivals > 0),
                landed: u64::from(count.landings > 0),
            });
        }
        let sum = |of: fn(&WindowCount) -> u64| record.windows.iter().map(of).sum::<u64>();
        let (arrivals, landings) = (sum(|count| count.arrivals), sum(|count| count.landings));
        let strategy = Strategy::on(record.base);
        self.strategies.entry(strategy).or_default().add(&StrategyTally {
            runs: 1,
            failed: u64::from(!record.violations.is_empty()),
            arrivals,
            landings,
            arrived: u64::from(arrivals > 0),
            landed: u64::from(landings > 0),
        });
        for (name, times) in record.interference.seen() {
            if !self.interference.contains_key(name) {
                self.interference.insert(name.to_string(), Seen::default());
            }
            let seen = self.interference.get_mut(name).expect("just inserted");
            seen.times += times;
            seen.runs += 1;
        }
        for (sites, crashes) in [(&record.sites_met, 0), (&record.crash_sites, 1)] {
            for site in sites {
                if !self.crash_sites.contains_key(site) {
                    self.crash_sites.insert(site.clone(), SiteTally::default());
                }
                let tally = self.crash_sites.get_mut(site).expect("just inserted");
                tally.runs += 1 - crashes;
                tally.crashes += crashes;
            }
        }
        if let Some(first) = record.violations.first() {
            self.failed += 1;
            let oracles = record.violations.iter().map(|violation| (violation.oracle.clone(), 1)).collect();
            self.add_group(Group {
                runs: 1,
                oracle: first.oracle.clone(),
                race: first.race.clone(),
                seed: record.seed,
                strategy,
                sentence: first.sentence.clone(),
                oracles,
            });
        }
    }

    /// In how many runs this happened, a kind of interference; for `joined` and `departed`, which have no floor, in all or none.
    pub fn happened(&self, name: &str) -> u64 {
        match name {
            "joined" => u64::from(self.joined > 0) * self.runs,
            "departed" => u64::from(self.departed > 0) * self.runs,
            _ => self.interference.get(name).map_or(0, |seen| seen.runs),
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: Tally) {
        self.runs += other.runs;
        self.failed += other.failed;
        self.fingerprint = self.fingerprint.wrapping_add(other.fingerprint);
        self.sites += other.sites;
        self.sites_min = self.sites_min.into_iter().chain(other.sites_min).min();
        self.joined += other.joined;
        self.departed += other.departed;
        self.windows.resize(self.windows.len().max(other.windows.len()), WindowTally::default());
        for (sum, window) in self.windows.iter_mut().zip(&other.windows) {
            sum.add(window);
        }
        for (strategy, tally) in other.strategies {
            self.strategies.entry(strategy).or_default().add(&tally);
        }
        for (name, seen) in other.interference {
            let sum = self.interference.entry(name).or_default();
            sum.times += seen.times;
            sum.runs += seen.runs;
        }
        for (site, tally) in other.crash_sites {
            let sum = self.crash_sites.entry(site).or_default();
            sum.runs += tally.runs;
            sum.crashes += tally.crashes;
        }
        other.groups.into_values().for_each(|group| self.add_group(group));
        self.repeated += other.repeated;
        self.unrepeatable.extend(other.unrepeatable);
        self.unrepeatable.sort_unstable();
    }

    fn add_group(&mut self, group: Group) {
        let key = format!("{}: {}", group.oracle, group.race);
        let Some(sum) = self.groups.get_mut(&key) else {
            self.groups.insert(key, group);
            return;
        };
        sum.runs += group.runs;
        for (oracle, runs) in group.oracles {
            *sum.oracles.entry(oracle).or_default() += runs;
        }
        if group.seed < sum.seed {
            (sum.seed, sum.strategy, sum.sentence) = (group.seed, group.strategy, group.sentence);
        }
    }
}

/// A number as 16 digits: many who read JSON take its numbers for doubles.
mod hexadecimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{number:016x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        u64::from_str_radix(&String::deserialize(deserializer)?, 16).map_err(D::Error::custom)
    }
}

impl StrategyTally {
    fn add(&mut self, other: &StrategyTally) {
        self.runs += other.runs;
        self.failed += other.failed;
        self.arrivals += other.arrivals;
        self.landings += other.landings;
        self.arrived += other.arrived;
        self.landed += other.landed;
    }
}

impl WindowTally {
    fn add(&mut self, other: &WindowTally) {
        self.count.openings += other.count.openings;
        self.count.arrivals += other.count.arrivals;
        self.count.landings += other.count.landings;
        self.opened += other.opened;
        self.arrived += other.arrived;
        self.landed += other.landed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::Strategy; // and not proptest's
    use proptest::prelude::*;

    fn record(seed: u64) -> Record {
        let fails = seed.is_multiple_of(3);
        let violation = |oracle: &str| Violation {
            oracle: oracle.to_string(),
            step: seed,
            race: format!("race {}", seed % 2),
            sentence: format!("seed {seed} fails"),
        };
        Record {
            seed,
            base: Base::ALL[(seed % 3) as usize],
            violations: if fails { vec![violation("a"), violation("b")] } else { Vec::new() },
            trace_hash: seed * 7,
            sites: seed + 10,
            joined: 1,
            departed: 2,
            windows: vec![WindowCount { openings: seed % 2, arrivals: seed % 4, landings: 0 }],
            interference: {
                let mut interference = Interference::default();
                interference.add(crate::interference::Kind::Hold, seed % 5);
                interference
            },
            crash_sites: vec![format!("put@{}", seed % 3)],
            sites_met: vec!["put@1".to_string(), "get@1".to_string()],
        }
    }

    proptest! {
        #[test]
        fn a_tally_does_not_depend_on_who_added_what(seeds in proptest::collection::vec(0u64..1000, 1..40), cut in 0usize..40) {
            let sum = |seeds: &[u64]| {
                let mut tally = Tally::default();
                seeds.iter().for_each(|seed| tally.add(&record(*seed)));
                tally
            };
            let (left, right) = seeds.split_at(cut.min(seeds.len()));
            let mut merged = sum(right);
            merged.merge(sum(left));
            prop_assert_eq!(merged, sum(&seeds));
        }
    }

    #[test]
    fn each_strategy_has_its_own_yield() {
        let mut tally = Tally::default();
        (0..12).for_each(|seed| tally.add(&record(seed)));
        // seeds 0, 3, 6 and 9 fail, all on base keyed, with 0, 3, 2 and 1 arrivals
        let keyed = StrategyTally { runs: 4, failed: 4, arrivals: 6, landings: 0, arrived: 3, landed: 0 };
        assert_eq!(tally.strategies[&Strategy::Keyed], keyed);
        assert_eq!(
            tally.strategies.values().map(|sum| (sum.runs, sum.failed)).collect::<Vec<_>>(),
            [(4, 4), (4, 0), (4, 0)]
        );
    }

    #[test]
    fn a_group_tells_of_its_lowest_seed() {
        let mut tally = Tally::default();
        [12, 6, 18].into_iter().for_each(|seed| tally.add(&record(seed)));
        let group = &tally.groups["a: race 0"];
        assert_eq!((group.runs, group.seed, group.sentence.as_str()), (3, 6, "seed 6 fails"));
        assert_eq!(group.oracles, BTreeMap::from([("a".to_string(), 3), ("b".to_string(), 3)]));
    }
}
