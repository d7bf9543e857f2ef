//! Addresses of moments: a task's label, a point, and how often that task has been there.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A task of one run, numbered in the order of the spawns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskId(pub u16);

/// A moment of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// Who.
    pub task: TaskId,
    /// Where.
    pub point: &'static str,
    /// The how many-th time, from 1.
    pub hit: u32,
}

/// A moment by name, so that it means the same in every run: `evict#1@RingCloned`, or with the hit behind a colon when
/// it is not the first: `rotate#1/rotation#2@RingWanted:3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteName {
    /// The task's label.
    pub task: String,
    /// The point's name.
    pub point: String,
    /// The how many-th time, from 1.
    pub hit: u32,
}

/// The name of the task that opens a later life of the process, numbered by it.
pub const OPEN: &str = "open";

/// The name of the task that closes a life of the process, numbered by the one that follows.
pub const CLOSE: &str = "close";

/// What is wrong with the text of a site.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no site; a site is TASK@POINT or TASK@POINT:HIT, such as evict#1@RingCloned")]
pub struct NoSite(String);

impl SiteName {
    /// The number that stands for this site in keyed decisions and hashes. The same in every build.
    pub fn key(&self) -> u64 {
        site_key(label_key(&self.task), &self.point, self.hit)
    }
}

/// The number of a task's label.
pub fn label_key(label: &str) -> u64 {
    xxh3_64_with_seed(label.as_bytes(), 0)
}

/// The number of a site whose label's number is known.
pub fn site_key(label_key: u64, point: &str, hit: u32) -> u64 {
    xxh3_64_with_seed(point.as_bytes(), label_key ^ u64::from(hit))
}

/// The label of the `number`-th task of a name.
pub fn numbered(parent: Option<&str>, name: &str, number: u32) -> String {
    // by hand: a formatter costs a hundredth of all runs a second
    let digits = number.checked_ilog10().unwrap_or(0);
    let mut label = String::with_capacity(parent.map_or(0, str::len) + name.len() + digits as usize + 3);
    if let Some(parent) = parent {
        label.push_str(parent);
        label.push('/');
    }
    label.push_str(name);
    label.push('#');
    for place in (0..=digits).rev() {
        label.push(char::from(b'0' + (number / 10u32.pow(place) % 10) as u8));
    }
    label
}

/// What a task does, without its number and its children: `rotate#1/rotation#2` is of the kind `rotate/rotation`.
#[cold]
pub fn kind(label: &str) -> String {
    let parts = label.split('/').map(|part| part.split('#').next().unwrap_or(part));
    parts.collect::<Vec<_>>().join("/")
}

/// Whether a task is of this kind, whoever started it.
pub fn has_kind(label: &str, kind: &str) -> bool {
    let starter = without_number(label).strip_suffix(kind);
    starter.is_some_and(|starter| starter.is_empty() || starter.ends_with('/'))
}

/// What a task is, whoever started it: `rotate#1/rotation#2` is a `rotation`.
pub fn name(label: &str) -> &str {
    let name = without_number(label);
    name.rsplit_once('/').map_or(name, |(_, name)| name)
}

/// From the end: the number is short, what stands before the name is not.
fn without_number(label: &str) -> &str {
    let digits = label.bytes().rev().take_while(u8::is_ascii_digit).count();
    label[..label.len() - digits].strip_suffix('#').unwrap_or(label)
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.task, self.point)?;
        if self.hit == 1 { Ok(()) } else { write!(f, ":{}", self.hit) }
    }
}

impl FromStr for SiteName {
    type Err = NoSite;

    fn from_str(text: &str) -> Result<SiteName, NoSite> {
        let no_site = || NoSite(text.to_string());
        // it is printed wherever the site is told
        if text.chars().any(char::is_control) {
            return Err(no_site());
        }
        let (task, moment) = text.split_once('@').ok_or_else(no_site)?;
        let (point, hit) = match moment.split_once(':') {
            Some((point, hit)) => (point, hit.parse().map_err(|_| no_site())?),
            None => (moment, 1),
        };
        if task.is_empty() || point.is_empty() || hit == 0 {
            return Err(no_site());
        }
        Ok(SiteName { task: task.to_string(), point: point.to_string(), hit })
    }
}

impl TryFrom<String> for SiteName {
    type Error = NoSite;

    fn try_from(text: String) -> Result<SiteName, NoSite> {
        text.parse()
    }
}

impl From<SiteName> for String {
    fn from(site: SiteName) -> String {
        site.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn site_survives_its_text(task in "[a-z]{1,8}#[1-9](/[a-z]{1,8}#[1-9])?", point in "[A-Z][a-z]{1,8}", hit in 1u32..200) {
            let site = SiteName { task, point, hit };
            prop_assert_eq!(site.to_string().parse::<SiteName>().unwrap(), site);
        }

        #[test]
        fn any_text_is_a_site_or_an_error(text in ".{0,20}") {
            let _ = text.parse::<SiteName>();
        }
    }

    #[test]
    fn a_site_holds_nothing_that_a_terminal_would_obey() {
        for text in ["evict#1\n\u{1b}[31m@RingCloned", "evict#1\0@RingCloned", "evict#1@Ring\u{9b}Cloned"] {
            let fault = text.parse::<SiteName>().unwrap_err().to_string();
            assert!(fault.contains("is no site") && !fault.contains(char::is_control), "{fault}");
        }
    }

    #[test]
    fn kind_drops_the_numbers() {
        assert_eq!(kind("rotate#1/rotation#2"), "rotate/rotation");
        assert_eq!(kind("evictor"), "evictor");
        assert!(has_kind("evict#1", "evict") && has_kind("evictor", "evictor"));
        assert!(has_kind("open#1/evictor#1", "evictor"));
        assert!(!has_kind("evictor", "evict") && !has_kind("evict#1/child#1", "evict"));
    }
}
