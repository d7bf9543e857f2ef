//! One body for every `Disk`: a sequence of operations gets the same answers from the real one, from the simulated one
//! and from a map of byte vectors. What an operation does that was dropped or made to fail is not asked here.

use crate::surroundings::{block_on, local, sim_disk};
use Step::{Create, Len, List, Read, SyncDirectory, SyncFile, Unlink, Write};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use segment_engine::disk::Disk;
use segment_engine::env::Env;
use segment_engine::{Error, Result, SegmentId};
use std::collections::BTreeMap;
use std::io::ErrorKind;

const CASES: u32 = 300;

/// A segment, by number.
type Id = u8;

#[derive(Clone, Debug)]
enum Step {
    Create(Id),
    /// At an offset, so many bytes of this value.
    Write(Id, u64, usize, u8),
    /// At an offset, so many bytes.
    Read(Id, u64, usize),
    Len(Id),
    SyncFile(Id),
    SyncDirectory,
    Unlink(Id),
    List,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Done,
    Bytes(Vec<u8>),
    Length(u64),
    Ids(Vec<Id>),
    Refused(ErrorKind),
}

/// What a disk answers.
async fn ask(disk: &impl Disk, step: &Step) -> Answer {
    let segment = |id: Id| SegmentId::from_u128(u128::from(id));
    let done = |result: Result<()>| result.map(|()| Answer::Done);
    let answer = match *step {
        Create(id) => done(disk.create(segment(id)).await),
        Write(id, offset, length, value) => {
            let written = disk.write_at(segment(id), offset, vec![value; length].into()).await;
            done(written.map_err(|short| short.error))
        }
        Read(id, offset, length) => {
            disk.read_at(segment(id), offset, length).await.map(|bytes| Answer::Bytes(bytes.to_vec()))
        }
        Len(id) => disk.len(segment(id)).await.map(Answer::Length),
        SyncFile(id) => done(disk.sync_file(segment(id)).await),
        SyncDirectory => done(disk.sync_directory().await),
        Unlink(id) => done(disk.unlink(segment(id)).await),
        List => disk.list().await.map(|segments| {
            let mut ids: Vec<Id> = segments.into_iter().map(|segment| segment.as_u128() as Id).collect();
            ids.sort_unstable();
            Answer::Ids(ids)
        }),
    };
    answer.unwrap_or_else(|error| match error {
        Error::Io { source, .. } => Answer::Refused(source.kind()),
        other => panic!("{step:?}: {other}"),
    })
}

/// What a disk has to answer.
#[derive(Default)]
struct Model(BTreeMap<Id, Vec<u8>>);

impl Model {
    fn answer(&mut self, step: &Step) -> Answer {
        let lost = Answer::Refused(ErrorKind::NotFound);
        match *step {
            Create(id) if self.0.contains_key(&id) => Answer::Refused(ErrorKind::AlreadyExists),
            Create(id) => {
                self.0.insert(id, Vec::new());
                Answer::Done
            }
            Write(id, offset, length, value) => self.0.get_mut(&id).map_or(lost, |file| {
                let (start, end) = (offset as usize, offset as usize + length);
                if length > 0 {
                    file.resize(file.len().max(end), 0);
                    file[start..end].fill(value);
                }
                Answer::Done
            }),
            Read(id, offset, length) => self.0.get(&id).map_or(lost, |file| match offset as usize {
                _ if length == 0 => Answer::Bytes(Vec::new()),
                start if start + length <= file.len() => Answer::Bytes(file[start..start + length].to_vec()),
                _ if offset + length as u64 > i64::MAX as u64 => Answer::Refused(ErrorKind::InvalidInput),
                _ => Answer::Refused(ErrorKind::UnexpectedEof),
            }),
            Len(id) => self.0.get(&id).map_or(lost, |file| Answer::Length(file.len() as u64)),
            SyncFile(id) => self.0.get(&id).map_or(lost, |_| Answer::Done),
            SyncDirectory => Answer::Done,
            Unlink(id) => {
                self.0.remove(&id);
                Answer::Done
            }
            List => Answer::Ids(self.0.keys().copied().collect()),
        }
    }

    /// Steps that read everything.
    fn read_back(&self) -> Vec<Step> {
        let files = self.0.iter().flat_map(|(id, file)| [Len(*id), Read(*id, 0, file.len())]);
        files.chain([List]).collect()
    }
}

/// Takes the steps on both disks, from empty ones, and returns what all agree on.
async fn agree(real: &impl Disk, steps: &[Step]) -> Vec<Answer> {
    for left in real.list().await.unwrap() {
        real.unlink(left).await.unwrap();
    }
    let (simulated, mut model) = (sim_disk(), Model::default());
    let mut answers = Vec::new();
    for step in steps {
        answers.push(agree_on(real, &simulated, &mut model, step).await);
    }
    for step in model.read_back() {
        agree_on(real, &simulated, &mut model, &step).await;
    }
    answers
}

async fn agree_on(real: &impl Disk, simulated: &impl Disk, model: &mut Model, step: &Step) -> Answer {
    let expected = model.answer(step);
    assert_eq!(ask(real, step).await, expected, "the real disk, {step:?}");
    assert_eq!(ask(simulated, step).await, expected, "the simulated disk, {step:?}");
    expected
}

fn answers<const N: usize>(steps: [Step; N]) -> [Answer; N] {
    let (env, _directory) = local();
    block_on(agree(env.disk(), &steps)).try_into().expect("an answer to each step")
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // files of a few bytes, whose ends are met often, and some that reach over pages
    let offset = || prop_oneof![6 => 0u64..48, 1 => 4_000u64..20_000];
    let length = || prop_oneof![6 => 0usize..24, 1 => 4_000usize..9_000];
    let step = prop_oneof![
        4 => (0..4u8).prop_map(Create),
        8 => (0..4u8, offset(), length(), 1u8..).prop_map(|(id, offset, length, value)| Write(id, offset, length, value)),
        8 => (0..4u8, offset(), length()).prop_map(|(id, offset, length)| Read(id, offset, length)),
        3 => (0..4u8).prop_map(Len),
        2 => (0..4u8).prop_map(SyncFile),
        1 => Just(SyncDirectory),
        2 => (0..4u8).prop_map(Unlink),
        1 => Just(List),
    ];
    proptest::collection::vec(step, 1..60)
}

#[test]
fn real_and_simulated_disk_answer_alike() {
    let (env, _directory) = local();
    let alike = |steps: Vec<Step>| {
        block_on(agree(env.disk(), &steps));
        Ok(())
    };
    TestRunner::new(ProptestConfig::with_cases(CASES)).run(&steps(), alike).unwrap();
}

#[test]
fn a_file_is_created_once_and_again_after_its_unlink() {
    let exists = Answer::Refused(ErrorKind::AlreadyExists);
    let told = answers([Create(1), Write(1, 0, 3, 7), Create(1), Len(1), Unlink(1), Create(1), Len(1)]);
    let [_, _, again, kept, _, anew, empty] = told;
    assert_eq!((again, kept), (exists, Answer::Length(3)));
    assert_eq!((anew, empty), (Answer::Done, Answer::Length(0)));
}

#[test]
fn a_write_beyond_the_end_leaves_a_hole_of_zeros() {
    let [.., bytes, length] = answers([Create(1), Write(1, 2, 2, 7), Write(1, 6, 1, 8), Read(1, 0, 7), Len(1)]);
    assert_eq!((bytes, length), (Answer::Bytes(vec![0, 0, 7, 7, 0, 0, 8]), Answer::Length(7)));
}

#[test]
fn an_empty_write_beyond_the_end_does_not_lengthen_the_file() {
    let [.., length, lost] = answers([Create(1), Write(1, 5, 0, 7), Len(1), Write(2, 0, 0, 7)]);
    assert_eq!((length, lost), (Answer::Length(0), Answer::Refused(ErrorKind::NotFound)));
}

#[test]
fn a_read_is_whole_or_an_error_and_an_empty_one_is_whole_anywhere() {
    let short = || Answer::Refused(ErrorKind::UnexpectedEof);
    let far = 1 << 40;
    let told = answers([Create(1), Write(1, 0, 4, 7), Read(1, 1, 3), Read(1, 1, 4), Read(1, far, 1), Read(1, far, 0)]);
    let [.., whole, over, beyond, empty] = told;
    assert_eq!((whole, over, beyond), (Answer::Bytes(vec![7; 3]), short(), short()));
    assert_eq!(empty, Answer::Bytes(Vec::new()));
}

#[test]
fn a_read_where_no_file_can_reach_is_refused_and_breaks_nothing() {
    let farthest = i64::MAX as u64;
    let told = answers([
        Create(1),
        Read(1, farthest - 4, 4),
        Read(1, farthest - 3, 4),
        Read(1, farthest + 1, 4),
        Read(1, u64::MAX - 4, 4),
        Read(1, u64::MAX, 0),
    ]);
    let [_, eof, refused @ .., empty] = told;
    assert_eq!(eof, Answer::Refused(ErrorKind::UnexpectedEof));
    assert_eq!(refused, [(); 3].map(|()| Answer::Refused(ErrorKind::InvalidInput)));
    assert_eq!(empty, Answer::Bytes(Vec::new()));
}

#[test]
fn nothing_but_unlink_and_create_succeeds_on_a_segment_without_a_file() {
    let told = answers([Create(1), Unlink(1), Unlink(1), Write(1, 0, 1, 7), Read(1, 0, 0), Len(1), SyncFile(1), List]);
    let [_, _, gone, refused @ .., listed] = told;
    assert_eq!((gone, listed), (Answer::Done, Answer::Ids(Vec::new())));
    assert_eq!(refused, [(); 4].map(|()| Answer::Refused(ErrorKind::NotFound)));
}
