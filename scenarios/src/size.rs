//! Small workloads by name: `rotate=2,evict=2`.
//!
//! Each call is a caller of its own, and they are about the same few things: a full ring of three segments, whose oldest
//! is the first that a rotation pushes out; two keys, stored in that segment; an active segment with room for all puts but
//! one. The first eviction takes the oldest segment; where there are puts, the one that they write to, once it is not active.

use crate::workload::{Operation, SEGMENT_BYTES, Subject, Workload, content};
use std::fmt;
use std::str::FromStr;

/// The kinds of calls.
const KINDS: [&str; 8] = ["push", "rotate", "evict", "relieve", "put", "get", "get-stream", "contains"];

/// The most calls.
const CALLS_MAX: u32 = 8;

/// How many calls of which kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size(Vec<(&'static str, u32)>);

impl Size {
    /// The workload of this size.
    ///
    /// # Errors
    /// When the subject has no such calls, in one line.
    pub fn workload(&self, subject: Subject) -> Result<Workload, String> {
        let mut callers = Vec::new();
        let puts = self.0.iter().find(|(kind, _)| *kind == "put").map_or(0, |(_, count)| *count);
        for &(kind, count) in &self.0 {
            callers.extend((0..count).map(|number| vec![operation(kind, number, puts > 0)]));
        }
        let is_push = |kind: &str| matches!(kind, "push" | "rotate");
        let mut workload = Workload { generations: [1; 3], segments: SEGMENTS, callers, ..Workload::default() };
        if subject == Subject::RingState {
            if let Some((kind, _)) = self.0.iter().find(|(kind, _)| !is_push(kind)) {
                return Err(format!("the ring state alone cannot {kind}: it has no evictor and no artifacts"));
            }
            // room for all: nobody would unlink what is pushed out
            (workload.generations, workload.segments) = ([1, 1, CALLS_MAX + 1], 1);
        }
        if self.0.iter().any(|(kind, _)| matches!(*kind, "put" | "get" | "get-stream" | "contains")) {
            workload.stored = stored(puts);
        }
        Ok(workload)
    }

    /// The size in a file's name.
    pub fn file_name(&self) -> String {
        self.to_string().replace(['=', ','], "-")
    }
}

/// Segments of the ring, one a generation.
const SEGMENTS: u32 = 3;

/// The two keys: of different stripes, or puts of them would wait for each other.
const KEYS: [u8; 2] = [1, 4];

/// Contents of this number and every 120th after it have 43 bytes: one write.
const PUT: u16 = 40;

fn operation(kind: &str, number: u32, has_puts: bool) -> Operation {
    let key = key(number);
    let first = if has_puts { SEGMENTS - 1 } else { 0 };
    match kind {
        "push" => Operation::Push,
        "rotate" => Operation::Rotate,
        "evict" => Operation::EvictSegment(1 + (first + number) % SEGMENTS),
        "relieve" => Operation::Relieve(SEGMENTS - 1),
        "put" => Operation::Put(key, PUT + 120 * number as u16),
        "get" => Operation::Get(key),
        "get-stream" => Operation::GetStream(key),
        _ => Operation::Contains(key),
    }
}

fn key(number: u32) -> u8 {
    KEYS[number as usize % KEYS.len()]
}

/// Two keys in the oldest segment, and others that fill the active one but for `puts - 1` puts.
fn stored(puts: u32) -> Vec<(u8, u16, u32)> {
    let length = |number| content(number).len() as u64;
    let mut stored = vec![(KEYS[0], PUT + 1, 1), (KEYS[1], PUT + 2, 1)];
    let mut free = SEGMENT_BYTES;
    let left = u64::from(puts.saturating_sub(1)) * length(PUT);
    for key in 11.. {
        // the longest that leaves room
        let fits = (200..320).filter(|number| length(*number) + left <= free).max_by_key(|number| length(*number));
        let Some(number) = fits.filter(|_| puts > 0) else {
            return stored;
        };
        free -= length(number);
        stored.push((key, number, SEGMENTS));
    }
    unreachable!("each of them takes some room")
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let mut size: Vec<(&'static str, u32)> = Vec::new();
        for part in text.split(',') {
            let (name, count) = part
                .trim()
                .split_once('=')
                .ok_or_else(|| format!("{part:?} is no number of calls; write it as rotate=2,evict=2"))?;
            let Some(kind) = KINDS.into_iter().find(|kind| *kind == name) else {
                return Err(format!("no call is {name:?}; there are {}", KINDS.join(", ")));
            };
            if size.iter().any(|(other, _)| *other == kind) {
                return Err(format!("{kind} is there twice"));
            }
            let count = count.parse().ok().filter(|count| (1..=CALLS_MAX).contains(count));
            size.push((kind, count.ok_or_else(|| format!("{part:?}: from 1 to {CALLS_MAX} calls"))?));
        }
        if size.iter().map(|(_, count)| count).sum::<u32>() > CALLS_MAX {
            return Err(format!("at most {CALLS_MAX} calls together"));
        }
        Ok(Size(size))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|(kind, count)| format!("{kind}={count}")).collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_its_text_and_anything_else_is_told_in_one_line() {
        for text in ["rotate=2,evict=2", "put=2,evict=1", "push=8", "relieve=1,get=2,contains=1"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        assert_eq!(" rotate=2, evict=1".parse::<Size>().unwrap().to_string(), "rotate=2,evict=1");
        for (text, words) in [
            ("", "no number of calls"),
            ("rotate", "write it as rotate=2,evict=2"),
            ("rotate=2,", "no number of calls"),
            ("bake=1", "there are push, rotate, evict"),
            ("rotate=0", "from 1 to 8 calls"),
            ("rotate=-1", "from 1 to 8 calls"),
            ("rotate=two", "from 1 to 8 calls"),
            ("rotate=99999999999999999999", "from 1 to 8 calls"),
            ("rotate=1,rotate=1", "rotate is there twice"),
            ("rotate=5,evict=4", "at most 8 calls"),
        ] {
            let fault = text.parse::<Size>().unwrap_err();
            assert!(fault.contains(words) && !fault.contains('\n'), "{text:?}: {fault}");
        }
    }

    #[test]
    fn every_size_makes_a_workload_that_a_run_can_bear() {
        for kind in KINDS {
            for count in 1..=CALLS_MAX {
                let workload = Size(vec![(kind, count)]).workload(Subject::Engine).unwrap();
                assert_eq!((workload.check(Subject::Engine, false), workload.callers.len()), (Ok(()), count as usize));
                let alone = Size(vec![(kind, count)]).workload(Subject::RingState);
                assert_eq!(alone.is_ok(), kind == "push" || kind == "rotate");
            }
        }
    }

    #[test]
    fn the_active_segment_has_room_for_all_puts_but_the_last_and_no_two_put_the_same() {
        for puts in 1..=4 {
            let workload = Size(vec![("put", puts)]).workload(Subject::Engine).unwrap();
            let length = |number| content(number).len() as u64;
            let of_segment = |of| {
                let stored = workload.stored.iter().filter(move |(.., segment)| *segment == of);
                stored.map(|(_, number, _)| length(*number)).sum::<u64>()
            };
            let free = SEGMENT_BYTES - of_segment(SEGMENTS);
            let contents: Vec<Vec<u8>> = workload
                .callers
                .iter()
                .map(|calls| match calls[0] {
                    Operation::Put(_, number) => content(number),
                    _ => unreachable!("they put"),
                })
                .collect();
            let bytes: u64 = contents.iter().map(|content| content.len() as u64).sum();
            assert!(free < bytes && bytes - contents[0].len() as u64 <= free, "{free} for {bytes}");
            assert!((1..contents.len()).all(|index| !contents[..index].contains(&contents[index])));
        }
    }
}
