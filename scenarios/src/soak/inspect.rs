//! What the parent looks at after a kill or a power loss: first the directory as it is, then through an engine, then once more.

use crate::error::{Error, Result};
use crate::soak::child::LIMITS;
use crate::soak::contents::{self, KEYS, key};
use crate::soak::model::Model;
use crate::soak::survey::Survey;
use crate::soak::wire::{Mend, Ring};
use segment_engine::disk::Disk;
use segment_engine::{Disagreement, Engine, Env, LocalEnv, Repair, SegmentId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// What was found.
#[derive(Debug, Default)]
pub struct Inspection {
    /// What the open has mended.
    pub mended: Vec<Mend>,
    /// What is not as it must be, a sentence each.
    pub violations: Vec<String>,
    /// Keys whose bytes were read and compared.
    pub read: u64,
    /// Keys that were rightly absent.
    pub absent: u64,
    /// The directory after everything, if nothing was found.
    pub left: Survey,
}

/// Looks at a directory after a kill or a power loss, and leaves it closed.
///
/// # Errors
/// No threads can be started.
pub fn inspect(directory: &Path, model: &Model, seed: u64) -> Result<Inspection> {
    on_a_runtime(directory, async |found| steps(directory, model, seed, found).await)
}

/// Makes a directory of an earlier soak, however that ended, one that was closed.
///
/// # Errors
/// No threads can be started.
pub fn adopt(directory: &Path) -> Result<Inspection> {
    on_a_runtime(directory, async |found| {
        let env = LocalEnv::open(directory).map_err(told("the data directory"))?;
        let engine = Engine::open(env.clone(), LIMITS).await.map_err(told("the open"))?;
        engine.close().await.map_err(told("the close"))?;
        found.left = Survey::read(&env)?;
        Ok(())
    })
}

/// Runs `steps`; nothing of them is under way any more when it returns. An error or a panic is a violation.
fn on_a_runtime(
    directory: &Path,
    steps: impl AsyncFnOnce(&mut Inspection) -> std::result::Result<(), String>,
) -> Result<Inspection> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build();
    let runtime = runtime.map_err(Error::io("start threads for", directory))?;
    let mut found = Inspection::default();
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(steps(&mut found))));
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(sentence)) => found.violations.push(sentence),
        Err(_) => found.violations.push("the engine panicked while the parent looked".to_string()),
    }
    Ok(found)
}

async fn steps(directory: &Path, model: &Model, seed: u64, found: &mut Inspection) -> std::result::Result<(), String> {
    let env = LocalEnv::open(directory).map_err(told("the data directory after the end"))?;
    let mut strays = BTreeSet::new();
    for disagreement in Engine::verify(&env).await.map_err(told("verify after the end"))? {
        match disagreement {
            Disagreement::StrayFile(segment) if model.may_be_stray(segment) => {
                strays.insert(segment);
            }
            other => found.violations.push(format!("verify after the end: {other}")),
        }
    }
    let before = Survey::read(&env)?;
    found.violations.extend(model.judge(&before));
    if !found.violations.is_empty() {
        return Ok(()); // as it was left
    }
    let engine = Engine::open(env.clone(), LIMITS).await.map_err(told("the open after the end"))?;
    found.mended = engine.repairs().iter().map(Mend::from).collect();
    found.violations.extend(wrong_repairs(engine.repairs(), before.ring.as_ref(), &strays));
    // before the gets: they have artifacts copied
    found.violations.extend(wrong_owners(&engine, &env, &before).await?);
    for number in 0..KEYS {
        let is_shown = before.shown(&key(number)).is_some();
        found.read += u64::from(is_shown);
        found.absent += u64::from(!is_shown);
        found.violations.extend(wrong_bytes(&engine, &before, model, seed, number).await);
    }
    engine.close().await.map_err(told("the close"))?;
    let after = Engine::verify(&env).await.map_err(told("verify after the close"))?;
    found.violations.extend(after.iter().map(|disagreement| format!("verify after the close: {disagreement}")));
    found.left = Survey::read(&env)?;
    found.violations.extend(wrong_changes(&before, &found.left));
    let again = Engine::open(env, LIMITS).await.map_err(told("the second open"))?;
    found.violations.extend(again.repairs().iter().map(|repair| format!("the second open mended {repair:?}")));
    again.close().await.map_err(told("the second close"))
}

/// Repairs that nothing was left for, and what was left and is not mended.
fn wrong_repairs(repairs: &[Repair], ring: Option<&Ring>, strays: &BTreeSet<SegmentId>) -> Vec<String> {
    let doomed: BTreeSet<SegmentId> = ring.iter().flat_map(|ring| &ring.doomed).copied().collect();
    let mut left: BTreeMap<SegmentId, &str> = BTreeMap::new();
    left.extend(doomed.iter().map(|segment| (*segment, "was doomed")));
    left.extend(strays.iter().map(|segment| (*segment, "was in no list")));
    let mut wrong = Vec::new();
    for repair in repairs {
        let was_left = match repair {
            Repair::EvictionResumed { segment } => doomed.contains(segment) && left.remove(segment).is_some(),
            Repair::StrayFile { segment } => strays.contains(segment) && left.remove(segment).is_some(),
            Repair::LostSegment { .. } | Repair::LostArtifacts { .. } => false,
        };
        if !was_left {
            wrong.push(format!("the open mended {repair:?}, which was not left"));
        }
    }
    wrong.extend(left.iter().map(|(segment, why)| format!("segment {segment} {why}, and the open told no repair")));
    wrong
}

/// What does not add up in the books of an engine that has just opened: live bytes are those of the rows, nothing is
/// under way, and all owners together are the file.
async fn wrong_owners(
    engine: &Engine<LocalEnv>,
    env: &LocalEnv,
    survey: &Survey,
) -> std::result::Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    let ring = &engine.ring_state().snapshot().ring;
    let books: BTreeMap<_, _> = engine.owners().into_iter().collect();
    let listed: BTreeSet<SegmentId> = ring.members().iter().map(|member| member.segment).collect();
    if !books.keys().eq(&listed) {
        wrong.push(format!("there are books of {:?}, and the ring is {listed:?}", books.keys()));
    }
    for (segment, owners) in &books {
        let live: u64 =
            survey.rows.values().filter(|place| place.segment == *segment).map(|place| place.content.length).sum();
        let length = env.disk().len(*segment).await.map_err(told("a segment's length"))?;
        if owners.live != live {
            wrong
                .push(format!("in segment {segment}, {} bytes are counted as live, and rows name {live}", owners.live));
        }
        if owners.under_way != 0 {
            wrong.push(format!("in segment {segment}, {} bytes are under way, and nothing is", owners.under_way));
        }
        // nothing was abandoned since the open: no more than the file is owned
        if owners.sum() != length {
            wrong
                .push(format!("in segment {segment}, {} bytes have an owner, and the file has {length}", owners.sum()));
        }
    }
    Ok(wrong)
}

/// What is wrong with the answer to a get.
async fn wrong_bytes(
    engine: &Engine<LocalEnv>,
    before: &Survey,
    model: &Model,
    seed: u64,
    number: u32,
) -> Option<String> {
    let key = key(number);
    let shown = before.shown(&key);
    let name = key.escape_ascii();
    let got = match engine.get(&key).await {
        Ok(got) => got,
        Err(error) => return Some(format!("a get of {name} ended with: {error}")),
    };
    match (shown, got) {
        (None, None) => None,
        (None, Some(bytes)) => Some(format!("a get of {name} gave {} bytes, and it was absent", bytes.len())),
        (Some(place), None) => {
            // the copies that gets ask for may have pushed it out
            let is_there = engine.ring_state().snapshot().ring.generation_of(place.segment).is_some();
            is_there.then(|| format!("a get of {name} gave nothing, and segment {} is in the ring", place.segment))
        }
        (Some(place), Some(bytes)) => {
            let known = model.known(number, &place.content).and_then(|content| content.number);
            let is_right = match known {
                Some(which) => bytes == contents::bytes(seed, number, which),
                None => contents::content(None, &bytes) == place.content,
            };
            (!is_right).then(|| format!("a get of {name} gave {} other bytes than {}", bytes.len(), place.content))
        }
    }
}

/// What an open, gets and a close have changed that they must not.
fn wrong_changes(before: &Survey, after: &Survey) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, place) in before.rows.iter().filter(|(_, place)| before.holds(place.segment)) {
        match after.rows.get(key) {
            Some(now) if now.content == place.content => {}
            None if !after.holds(place.segment) => {}
            now => wrong.push(format!("{} was {place:?} and is {now:?} after gets alone", key.escape_ascii())),
        }
    }
    wrong
}

/// An error as a sentence.
pub fn told<E: Display>(what: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}
