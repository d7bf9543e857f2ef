//! A search as bytes, to go on with it later: little endian, each list with its length in front.

use super::{Bounds, Counts, Item, Path, Search};
use crate::choice::Deviation;
use crate::known::Known;
use std::collections::VecDeque;
use std::sync::{Arc, RwLock};

/// Bytes that are no search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it ends too early, or says what no search says")]
pub struct Damaged;

/// In the place of a number of preemptions: any.
const ANY: u32 = u32::MAX;

impl Search {
    /// The search as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let known = self.known.read().expect("nobody panics under it");
        let mut bytes = Vec::with_capacity(16 * known.len() + 64 * self.left() + 4096);
        let Bounds { preemptions, faults, joins } = self.bounds;
        let Counts { runs, joined, cut_short, choices, skipped, out_of_bounds, repeated, steps_max } = &self.counts;
        for number in [preemptions.unwrap_or(ANY), faults, u32::from(joins), self.round] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [joined, cut_short, choices, skipped, out_of_bounds, repeated, steps_max] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        put_list(&mut bytes, runs, |bytes, runs| bytes.extend_from_slice(&runs.to_le_bytes()));
        put_list(&mut bytes, &self.now, put_item);
        put_list(&mut bytes, &self.later, put_item);
        bytes.extend_from_slice(&(self.under_way.len() as u64).to_le_bytes());
        self.under_way.iter().for_each(|items| put_list(&mut bytes, items, put_item));
        bytes.extend_from_slice(&(known.len() as u64).to_le_bytes());
        known.iter().for_each(|edge| bytes.extend_from_slice(&edge.to_le_bytes()));
        bytes.extend_from_slice(&self.audit_every.to_le_bytes());
        for paths in [&self.firsts, &self.audits] {
            bytes.extend_from_slice(&(paths.len() as u64).to_le_bytes());
            for (edge, path) in paths {
                bytes.extend_from_slice(&edge.to_le_bytes());
                put_path(&mut bytes, path);
            }
        }
        bytes
    }

    /// The inverse of [`Search::encode`].
    ///
    /// # Errors
    /// Bytes that are no search. What is one can be gone on with; that it is of this engine, nobody can tell from it.
    pub fn decode(bytes: &[u8]) -> Result<Search, Damaged> {
        let rest = &mut &*bytes;
        let [preemptions, faults, joins, round] = [u32_of(rest)?, u32_of(rest)?, u32_of(rest)?, u32_of(rest)?];
        let bounds = Bounds { preemptions: Some(preemptions).filter(|most| *most != ANY), faults, joins: joins == 1 };
        let mut numbers = [0; 7];
        for number in &mut numbers {
            *number = u64_of(rest)?;
        }
        let [joined, cut_short, choices, skipped, out_of_bounds, repeated, steps_max] = numbers;
        let runs = list(rest, u64_of)?;
        let counts = Counts { runs, joined, cut_short, choices, skipped, out_of_bounds, repeated, steps_max };
        let (now, later) = (list(rest, item)?, list(rest, item)?);
        let under_way: VecDeque<_> = list(rest, |rest| Ok(Arc::new(list(rest, item)?)))?.into();
        let mut known = Known::default();
        for _ in 0..u64_of(rest)? {
            known.insert(u128_of(rest)?);
        }
        let audit_every = u64_of(rest)?;
        let paths = |rest: &mut &[u8]| list(rest, |rest| Ok((u128_of(rest)?, path(rest)?)));
        let (firsts, audits) = (paths(rest)?.into_iter().collect(), paths(rest)?.into_iter().collect());
        let is_within =
            bounds.preemptions.is_none_or(|most| round <= most) && joins <= 1 && audit_every.is_power_of_two();
        let is_whole = rest.is_empty() && counts.runs.len() as u64 == u64::from(round) + 1;
        if !is_within || !is_whole || counts.runs.iter().try_fold(0u64, |sum, runs| sum.checked_add(*runs)).is_none() {
            return Err(Damaged);
        }
        let known = Arc::new(RwLock::new(known));
        Ok(Search { bounds, round, now, later, under_way, known, counts, firsts, audits, audit_every })
    }
}

fn put_list<T>(bytes: &mut Vec<u8>, list: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    bytes.extend_from_slice(&(list.len() as u64).to_le_bytes());
    list.iter().for_each(|thing| put(bytes, thing));
}

fn put_item(bytes: &mut Vec<u8>, item: &Item) {
    put_deviations(bytes, &item.deviations);
    bytes.extend_from_slice(&item.edge.to_le_bytes());
    bytes.extend_from_slice(&item.faults.to_le_bytes());
}

fn put_path(bytes: &mut Vec<u8>, path: &Path) {
    put_deviations(bytes, &path.deviations);
    bytes.extend_from_slice(&path.at.to_le_bytes());
}

fn put_deviations(bytes: &mut Vec<u8>, deviations: &[Deviation]) {
    put_list(bytes, deviations, |bytes, deviation| {
        bytes.extend_from_slice(&deviation.at.to_le_bytes());
        bytes.extend_from_slice(&deviation.takes.to_le_bytes());
    });
}

fn item(rest: &mut &[u8]) -> Result<Item, Damaged> {
    let (deviations, edge) = (deviations(rest)?, u128_of(rest)?);
    Ok(Item { deviations, edge, faults: u32_of(rest)? })
}

fn path(rest: &mut &[u8]) -> Result<Path, Damaged> {
    Ok(Path { deviations: deviations(rest)?, at: u16_of(rest)? })
}

fn deviations(rest: &mut &[u8]) -> Result<Box<[Deviation]>, Damaged> {
    let deviations = list(rest, |rest| Ok(Deviation { at: u16_of(rest)?, takes: u16_of(rest)? }))?;
    let is_ordered = deviations.windows(2).all(|pair| pair[0].at < pair[1].at);
    let is_one = |deviation: &Deviation| deviation.takes > 0 && deviation.at < u16::MAX;
    if is_ordered && deviations.iter().all(is_one) { Ok(deviations.into()) } else { Err(Damaged) }
}

fn list<T>(rest: &mut &[u8], one: impl Fn(&mut &[u8]) -> Result<T, Damaged>) -> Result<Vec<T>, Damaged> {
    let count = u64_of(rest)?;
    // a damaged count must not ask for more memory than the bytes could fill
    let mut list = Vec::with_capacity(usize::try_from(count).unwrap_or(usize::MAX).min(rest.len() / 8));
    for _ in 0..count {
        list.push(one(rest)?);
    }
    Ok(list)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Damaged> {
    let (bytes, others) = rest.split_first_chunk().ok_or(Damaged)?;
    *rest = others;
    Ok(*bytes)
}

fn u16_of(rest: &mut &[u8]) -> Result<u16, Damaged> {
    take(rest).map(u16::from_le_bytes)
}

fn u32_of(rest: &mut &[u8]) -> Result<u32, Damaged> {
    take(rest).map(u32::from_le_bytes)
}

fn u64_of(rest: &mut &[u8]) -> Result<u64, Damaged> {
    take(rest).map(u64::from_le_bytes)
}

fn u128_of(rest: &mut &[u8]) -> Result<u128, Damaged> {
    take(rest).map(u128::from_le_bytes)
}
