//! One body for every `Catalog`: a sequence of operations gets the same answers from RocksDB on disk and in memory, from
//! the simulated catalog and from an ordered map.

use crate::surroundings::{LIMITS, block_on, local, sim_catalog};
use Commit::{Buffered, Refused};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use segment_engine::catalog::{Batch, Catalog, Commit, Require, Row, Table, Write};
use segment_engine::env::Env;
use segment_engine::ring_state::{RING_KEY, RingRecord};
use segment_engine::rocks::RocksCatalog;
use segment_engine::{Error, Ring, SegmentId};
use segment_sim::catalog::Store;
use std::collections::BTreeMap;

const CASES: u32 = 300;

/// Segments that a ring or a requirement may name.
const SEGMENTS: u8 = 8;

#[derive(Clone, Debug)]
enum Step {
    Commit(Batch, Vec<Require>),
    Get(Table, Vec<u8>),
    /// A table, a prefix, the key to go on after, and a limit.
    Scan(Table, Vec<u8>, Option<Vec<u8>>, usize),
    Sync,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Came(Commit),
    Value(Option<Vec<u8>>),
    Rows(Vec<Row>),
    Synced,
}

/// What a catalog answers.
async fn ask(catalog: &impl Catalog, step: &Step) -> Answer {
    match step {
        Step::Commit(batch, requires) => Answer::Came(catalog.commit(batch.clone(), requires).unwrap()),
        Step::Get(table, key) => Answer::Value(catalog.get(*table, key).unwrap()),
        Step::Scan(table, prefix, after, limit) => {
            Answer::Rows(catalog.scan(*table, prefix, after.as_deref(), *limit).unwrap())
        }
        Step::Sync => catalog.sync().await.map(|()| Answer::Synced).unwrap(),
    }
}

/// All rows of a catalog: the model of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows(BTreeMap<(Table, Vec<u8>), Vec<u8>>);

impl Rows {
    /// Those that a catalog has.
    pub fn of(catalog: &impl Catalog) -> Rows {
        let scan = |table| catalog.scan(table, &[], None, usize::MAX).unwrap();
        let rows = Table::ALL.into_iter().flat_map(|table| scan(table).into_iter().map(move |row| (table, row)));
        Rows(rows.map(|(table, (key, value))| ((table, key), value)).collect())
    }

    /// Those after a batch.
    pub fn apply(&mut self, batch: &Batch) {
        for write in batch.clone() {
            match write {
                Write::Put { table, key, value } => self.0.insert((table, key), value),
                Write::Delete { table, key } => self.0.remove(&(table, key)),
            };
        }
    }

    fn get(&self, table: Table, key: &[u8]) -> Option<&Vec<u8>> {
        self.0.get(&(table, key.to_vec()))
    }

    fn holds(&self, require: &Require) -> bool {
        match require {
            Require::RowAbsent { table, key } => self.get(*table, key).is_none(),
            Require::RowIs { table, key, value } => self.get(*table, key) == Some(value),
            Require::InRing { segment } => self.get(Table::Ring, RING_KEY).is_some_and(|row| {
                let saved = RingRecord::decode(row, LIMITS).expect("only rings are saved there");
                saved.ring.generation_of(*segment).is_some()
            }),
        }
    }

    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Row> {
        let is_asked_for = |key: &[u8]| key.starts_with(prefix) && after.is_none_or(|after| key > after);
        let rows = self.0.iter().filter(|((of, key), _)| *of == table && is_asked_for(key));
        rows.map(|((_, key), value)| (key.clone(), value.clone())).take(limit).collect()
    }

    fn answer(&mut self, step: &Step) -> Answer {
        match step {
            Step::Commit(batch, requires) if requires.iter().all(|require| self.holds(require)) => {
                self.apply(batch);
                Answer::Came(Buffered)
            }
            Step::Commit(..) => Answer::Came(Refused),
            Step::Get(table, key) => Answer::Value(self.get(*table, key).cloned()),
            Step::Scan(table, prefix, after, limit) => {
                Answer::Rows(self.scan(*table, prefix, after.as_deref(), *limit))
            }
            Step::Sync => Answer::Synced,
        }
    }
}

/// Every real catalog, and the store of simulated ones.
struct Catalogs {
    on_disk: RocksCatalog,
    in_memory: RocksCatalog,
    store: Store,
}

impl Catalogs {
    fn with<T>(body: impl FnOnce(&Catalogs) -> T) -> T {
        let (env, _directory) = local();
        let in_memory = RocksCatalog::in_memory().unwrap();
        body(&Catalogs { on_disk: env.catalog().clone(), in_memory, store: Store::open().unwrap() })
    }

    /// Takes the steps on all of them, from empty ones, and returns what all agree on.
    async fn agree(&self, steps: &[Step]) -> Vec<Answer> {
        for catalog in [&self.on_disk, &self.in_memory, self.store.catalog()] {
            clear(catalog);
        }
        let simulated = sim_catalog(&self.store);
        let mut model = Rows::default();
        let mut answers = Vec::new();
        for step in steps {
            let expected = model.answer(step);
            assert_eq!(ask(&self.on_disk, step).await, expected, "on disk, {step:?}");
            // a catalog in memory has nothing to sync, and says so
            if !matches!(step, Step::Sync) {
                assert_eq!(ask(&self.in_memory, step).await, expected, "in memory, {step:?}");
            }
            assert_eq!(ask(&simulated, step).await, expected, "simulated, {step:?}");
            answers.push(expected);
        }
        let all = [Rows::of(&self.on_disk), Rows::of(&self.in_memory), Rows::of(&simulated)];
        assert_eq!(all, [(); 3].map(|()| model.clone()), "the rows that are left");
        answers
    }
}

fn clear(catalog: &RocksCatalog) {
    let deletes = Rows::of(catalog).0.into_keys().map(|(table, key)| Write::Delete { table, key });
    assert_eq!(catalog.commit(deletes.collect(), &[]).unwrap(), Buffered);
}

fn answers<const N: usize>(steps: [Step; N]) -> [Answer; N] {
    Catalogs::with(|catalogs| block_on(catalogs.agree(&steps)).try_into().expect("an answer to each step"))
}

fn put(key: &str, value: &str) -> Write {
    Write::Put { table: Table::Store, key: key.into(), value: value.into() }
}

fn delete(key: &str) -> Write {
    Write::Delete { table: Table::Store, key: key.into() }
}

fn get(key: &str) -> Step {
    Step::Get(Table::Store, key.into())
}

fn commit(batch: impl Into<Batch>, requires: impl Into<Vec<Require>>) -> Step {
    Step::Commit(batch.into(), requires.into())
}

fn value(value: &str) -> Answer {
    Answer::Value(Some(value.into()))
}

/// Saves a ring into which these were pushed, and out of which those were evicted.
fn save_ring(pushed: &[u8], evicted: &[u8]) -> Write {
    let mut ring = Ring::new(LIMITS);
    pushed.iter().for_each(|id| ring.push(segment(*id), 1));
    for id in evicted {
        ring.doom(segment(*id));
    }
    let value = RingRecord { version: 1, base: 0, ring }.encode();
    Write::Put { table: Table::Ring, key: RING_KEY.to_vec(), value }
}

fn segment(id: u8) -> SegmentId {
    SegmentId::from_u128(u128::from(id))
}

/// Few keys, of all lengths from none, with the bytes at which the bounds of a prefix are hardest.
fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(select(vec![0, b'a', b'b', 0xff]), 0..4)
}

fn row_value() -> impl Strategy<Value = Vec<u8>> {
    select(vec![vec![], b"1".to_vec(), b"2".to_vec()])
}

fn table() -> impl Strategy<Value = Table> {
    prop_oneof![6 => Just(Table::Store), 1 => select(Table::ALL.to_vec())]
}

fn ring() -> impl Strategy<Value = Write> {
    let pushed = Just((0..SEGMENTS).collect::<Vec<u8>>()).prop_shuffle();
    let evicted = proptest::collection::vec(0..SEGMENTS, 0..3);
    (pushed, 0..SEGMENTS as usize, evicted).prop_map(|(ids, count, evicted)| save_ring(&ids[..count], &evicted))
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        6 => (table(), key(), row_value()).prop_map(|(table, key, value)| Write::Put { table, key, value }),
        3 => (table(), key()).prop_map(|(table, key)| Write::Delete { table, key }),
        2 => ring(),
        1 => Just(Write::Delete { table: Table::Ring, key: RING_KEY.to_vec() }),
    ]
}

fn require() -> impl Strategy<Value = Require> {
    prop_oneof![
        (table(), key()).prop_map(|(table, key)| Require::RowAbsent { table, key }),
        (table(), key(), row_value()).prop_map(|(table, key, value)| Require::RowIs { table, key, value }),
        (0..SEGMENTS).prop_map(|id| Require::InRing { segment: segment(id) }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let requires = prop_oneof![2 => Just(0..1), 2 => Just(1..2), 1 => Just(2..3)];
    let requires = requires.prop_flat_map(|count| proptest::collection::vec(require(), count));
    let batch = proptest::collection::vec(write(), 0..5);
    let after = proptest::option::of(key());
    let step = prop_oneof![
        6 => (batch, requires).prop_map(|(batch, requires)| Step::Commit(batch, requires)),
        2 => (table(), key()).prop_map(|(table, key)| Step::Get(table, key)),
        4 => (table(), key(), after, 0usize..6).prop_map(|(table, prefix, after, limit)| Step::Scan(table, prefix, after, limit)),
        1 => Just(Step::Sync),
    ];
    proptest::collection::vec(step, 1..50)
}

#[test]
fn catalogs_on_disk_in_memory_and_simulated_answer_alike() {
    Catalogs::with(|catalogs| {
        let alike = |steps: Vec<Step>| {
            block_on(catalogs.agree(&steps));
            Ok(())
        };
        TestRunner::new(ProptestConfig::with_cases(CASES)).run(&steps(), alike).unwrap();
    });
}

#[test]
fn a_catalog_in_memory_refuses_to_sync() {
    let catalog = RocksCatalog::in_memory().unwrap();
    assert!(matches!(block_on(catalog.sync()), Err(Error::Catalog { operation: "sync", .. })));
}

#[test]
fn the_writes_of_a_batch_take_effect_in_their_order() {
    let batch = [put("a", "1"), put("a", "2"), delete("b"), put("b", "3"), put("c", "4"), delete("c")];
    let [_, a, b, c] = answers([commit(batch, []), get("a"), get("b"), get("c")]);
    assert_eq!([a, b, c], [value("2"), value("3"), Answer::Value(None)]);
}

#[test]
fn a_commit_is_refused_whole_when_one_requirement_of_several_fails() {
    let absent = |key: &str| Require::RowAbsent { table: Table::Store, key: key.into() };
    let is = |key: &str, value: &str| Require::RowIs { table: Table::Store, key: key.into(), value: value.into() };
    let told = answers([
        commit([put("a", "")], [absent("a")]),
        commit([put("a", "1"), put("b", "1")], [absent("b"), absent("a")]),
        commit([delete("a"), put("b", "1")], [is("b", ""), is("a", "")]),
        commit([put("b", "2")], [absent("b"), is("a", "")]),
        get("a"),
        get("b"),
    ]);
    let [Answer::Came(first), Answer::Came(second), Answer::Came(third), Answer::Came(fourth), a, b] = told else {
        panic!("four commits and two gets")
    };
    assert_eq!([first, second, third, fourth], [Buffered, Refused, Refused, Buffered]);
    assert_eq!([a, b], [value(""), value("2")], "an empty value is not an absent row");
}

#[test]
fn a_commit_into_the_ring_sees_the_ring_of_before_its_own_batch() {
    let into = |batch: Batch, id| Step::Commit(batch, vec![Require::InRing { segment: segment(id) }]);
    let told = answers([
        into(vec![], 1),
        into(vec![save_ring(&[1, 2], &[])], 1),
        commit([save_ring(&[1, 2, 3], &[1])], []),
        into(vec![], 1),
        into(vec![save_ring(&[3], &[])], 2),
        into(vec![], 2),
        into(vec![], 3),
    ]);
    let expected = [Refused, Refused, Buffered, Refused, Buffered, Refused, Buffered];
    assert_eq!(told, expected.map(Answer::Came), "no ring, no ring, saved, doomed, a member, left, a member");
}

#[test]
fn pages_of_a_prefix_join_to_all_of_its_rows() {
    let page = |prefix: &[u8], after: Option<&[u8]>, limit| {
        Step::Scan(Table::Store, prefix.to_vec(), after.map(<[u8]>::to_vec), limit)
    };
    let keys: [&[u8]; 6] = [b"a", b"a\0", b"a\xff", b"b", b"\xff", b"\xff\xff"];
    let puts = keys.map(|key| Write::Put { table: Table::Store, key: key.to_vec(), value: Vec::new() });
    let rows = |keys: &[&[u8]]| Answer::Rows(keys.iter().map(|key| (key.to_vec(), Vec::new())).collect());
    let told = answers([
        commit(puts, []),
        page(b"a", None, 2),
        page(b"a", Some(b"a\0"), 2),
        page(b"a", Some(b"a\xff"), 2),
        page(b"b", Some(b"a"), 2),
        page(b"a", Some(b"b"), 2),
        page(b"\xff", None, 9),
        page(b"", None, 9),
        page(b"", None, 0),
    ]);
    let [_, first, second, third, after_before_prefix, after_beyond_prefix, last, all, none] = told;
    assert_eq!([first, second, third], [rows(&keys[..2]), rows(&keys[2..3]), rows(&[])]);
    assert_eq!([after_before_prefix, after_beyond_prefix], [rows(&keys[3..4]), rows(&[])]);
    assert_eq!([last, all, none], [rows(&keys[4..]), rows(&keys), rows(&[])]);
}
