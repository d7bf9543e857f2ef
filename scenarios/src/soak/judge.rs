//! What a row, and a ring that follows another, must be: the claims of the soak, without any state.

use crate::soak::contents::Content;
use crate::soak::register::Register;
use crate::soak::survey::Survey;
use crate::soak::wire::{Place, Ring};
use segment_engine::SegmentId;
use std::collections::BTreeSet;

/// One key: what callers were told of it, and what the catalog was.
#[derive(Clone, Debug)]
pub struct Key {
    /// What was put.
    pub puts: Register<Option<Content>>,
    /// What was committed.
    pub rows: Register<Option<Place>>,
}

impl Key {
    /// What is wrong with the row that is there.
    pub fn wrong_row(&self, row: Option<&Place>, survey: &Survey) -> Option<String> {
        let is_possible = |content: &Content| self.puts.possible().flatten().any(|known| known == content);
        let has_left = |place: &&Place| !survey.holds(place.segment);
        let rows = || self.rows.possible().flatten();
        match row {
            Some(row) if !rows().any(|known| known == row) => {
                return Some(format!(
                    "has a row of {} in segment {}, and others came after it",
                    row.content, row.segment
                ));
            }
            None if self.rows.possible().all(Option::is_some) && !rows().any(|row| has_left(&row)) => {
                let last = self.rows.last_sure().and_then(Option::as_ref);
                let segment = last.map_or(String::new(), |last| format!(" {}", last.segment));
                return Some(format!("has no row, and its segment{segment} is in the ring"));
            }
            _ => {}
        }
        let last = self.puts.last_sure().and_then(Option::as_ref).map_or("none".to_string(), Content::to_string);
        match row.filter(|row| !has_left(row)) {
            Some(shown) if !is_possible(&shown.content) => {
                Some(format!("shows {}, and the last that was answered is {last}", shown.content))
            }
            None if self.puts.possible().all(Option::is_some)
                && !rows().filter(has_left).any(|row| is_possible(&row.content)) =>
            {
                Some(format!("is absent, and {last} was answered and not evicted"))
            }
            _ => None,
        }
    }
}

/// What is wrong with a ring that follows another; nothing, mostly.
pub fn wrong_step(
    from: Option<&Ring>,
    to: &Ring,
    unfinished: &BTreeSet<SegmentId>,
    is_stillborn: impl Fn(SegmentId) -> bool,
) -> Option<String> {
    let nothing = Ring { version: 0, base: 0, members: Vec::new(), doomed: Vec::new() };
    let from = from.unwrap_or(&nothing);
    let version = to.version;
    if (to.base, version) != (from.version, from.version + 1) {
        return Some(format!("ring {version} was cloned from {}, and {} was saved before it", to.base, from.version));
    }
    let is_new = |segment: &&SegmentId| !from.members.contains(segment) && !unfinished.contains(segment);
    if let Some(segment) = to.members.iter().find(is_new) {
        return Some(format!("segment {segment} is in ring {version}, and no rotation has made it"));
    }
    let active = from.members.last().filter(|active| !to.members.contains(active));
    if let Some(active) = active.filter(|active| !is_stillborn(**active)) {
        return Some(format!("segment {active} was active and is not in ring {version}"));
    }
    let is_lost = |segment: &&SegmentId| !to.members.contains(segment) && !to.doomed.contains(segment);
    let lost = from.members.iter().find(is_lost)?;
    Some(format!("segment {lost} is not in ring {version} and was not doomed"))
}
