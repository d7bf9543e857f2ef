//! The lines that a child tells its parent: one event each, words with spaces between them, written at once.
//!
//! A pipe takes a line of up to [`LINE_BYTES_MAX`] as a whole or not at all, so a killed child leaves no half of one, and
//! the order of the lines is that of the writes. What begins is told before, what ends is told after: an interval on the
//! wire is never shorter than what it tells of.

use crate::soak::contents::Content;
use segment_engine::SegmentId;
use std::fmt;
use std::str::FromStr;

/// What POSIX has a pipe take as a whole, at least (PIPE_BUF on Linux).
pub const LINE_BYTES_MAX: usize = 4096;

/// An empty list of segments, which must be a word, too.
const NONE: &str = "-";

/// An event in a child's life.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// It is about to open the data directory.
    Opening,
    /// It is about to open the engine.
    Recovering,
    /// The engine has recovered.
    Recovered,
    /// The open has mended this.
    Mended(Mend),
    /// A put begins.
    Put {
        /// Names this put.
        operation: u64,
        /// Its key.
        key: u32,
        /// What it puts.
        content: Content,
    },
    /// A put has ended.
    Answered {
        /// Which.
        operation: u64,
        /// How.
        answer: Answer,
    },
    /// A row is about to be committed.
    Row {
        /// Names this row of this commit.
        operation: u64,
        /// Its key.
        key: u32,
        /// What it says.
        place: Place,
    },
    /// A row's commit has returned.
    Committed {
        /// Which.
        operation: u64,
        /// Whether it was written; otherwise it was refused.
        is_written: bool,
    },
    /// A ring is about to be saved.
    Saving(Ring),
    /// The ring of this version is saved.
    Saved {
        /// Its version.
        version: u64,
    },
    /// A sync of the catalog begins.
    Syncing {
        /// Names this sync.
        operation: u64,
    },
    /// The sync has ended: what was written before it is durable.
    Synced {
        /// Which.
        operation: u64,
    },
    /// A sync of a segment's bytes has ended.
    SyncedBytes {
        /// Whose.
        segment: SegmentId,
        /// Whether it succeeded.
        is_synced: bool,
    },
    /// A rotation is about to create this segment.
    Creating(SegmentId),
    /// The evictor begins with what is doomed.
    Evicting,
    /// A write met a full disk.
    MetFullDisk,
    /// Something ended in an error that only a failing device explains.
    Refused(String),
    /// So did the open, and with it the child.
    NotOpened(String),
    /// So did a get: only a file system that has given up explains it.
    Unread(String),
    /// A get has ended after writes were fenced.
    ReadOn,
    /// Something ended in an error that it must not end in.
    Failed(String),
}

/// How a put ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is stored, and durable.
    Stored,
    /// It was there.
    Here,
    /// Its segments were evicted one after the other.
    Evicted,
    /// The disk had no room for it.
    Full,
    /// The disk refused something, and nothing was stored.
    Refused,
    /// The disk refused something, or the caller stopped waiting: it may have been stored.
    Unknown,
}

/// Where the bytes of a key are, as its row says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The segment.
    pub segment: SegmentId,
    /// What the bytes are.
    pub content: Content,
}

/// A ring as it is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Counts the saves.
    pub version: u64,
    /// The version it was cloned from.
    pub base: u64,
    /// Its segments, oldest first.
    pub members: Vec<SegmentId>,
    /// Those on their way out.
    pub doomed: Vec<SegmentId>,
}

/// A kind of repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mend {
    /// An eviction went on.
    EvictionResumed,
    /// A file that no list named was evicted.
    StrayFile,
    /// A segment had no file.
    LostSegment,
    /// Rows had no bytes.
    LostArtifacts,
}

impl Mend {
    /// Every kind.
    pub const ALL: [Mend; 4] = [Mend::EvictionResumed, Mend::StrayFile, Mend::LostSegment, Mend::LostArtifacts];

    /// Whether a kill or a power loss may leave it.
    pub fn is_legal(self) -> bool {
        matches!(self, Mend::EvictionResumed | Mend::StrayFile)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Mend::EvictionResumed => "EvictionResumed",
            Mend::StrayFile => "StrayFile",
            Mend::LostSegment => "LostSegment",
            Mend::LostArtifacts => "LostArtifacts",
        }
    }
}

impl From<&segment_engine::Repair> for Mend {
    fn from(repair: &segment_engine::Repair) -> Mend {
        match repair {
            segment_engine::Repair::EvictionResumed { .. } => Mend::EvictionResumed,
            segment_engine::Repair::StrayFile { .. } => Mend::StrayFile,
            segment_engine::Repair::LostSegment { .. } => Mend::LostSegment,
            segment_engine::Repair::LostArtifacts { .. } => Mend::LostArtifacts,
        }
    }
}

impl Answer {
    const ALL: [Answer; 6] =
        [Answer::Stored, Answer::Here, Answer::Evicted, Answer::Full, Answer::Refused, Answer::Unknown];

    fn word(self) -> &'static str {
        match self {
            Answer::Stored => "stored",
            Answer::Here => "here",
            Answer::Evicted => "evicted",
            Answer::Full => "full",
            Answer::Refused => "refused",
            Answer::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Opening => f.write_str("opening"),
            Told::Recovering => f.write_str("recovering"),
            Told::Recovered => f.write_str("recovered"),
            Told::Mended(mend) => write!(f, "mended {}", mend.name()),
            Told::Put { operation, key, content: Content { number, length, checksum } } => {
                write!(f, "put {operation} {key} {} {length} {checksum}", number.unwrap_or_default())
            }
            Told::Answered { operation, answer } => write!(f, "answered {operation} {}", answer.word()),
            Told::Row { operation, key, place: Place { segment, content: Content { length, checksum, .. } } } => {
                write!(f, "row {operation} {key} {segment} {length} {checksum}")
            }
            Told::Committed { operation, is_written } => write!(f, "committed {operation} {is_written}"),
            Told::Saving(Ring { version, base, members, doomed }) => {
                write!(f, "saving {version} {base} {} {}", list(members), list(doomed))
            }
            Told::Saved { version } => write!(f, "saved {version}"),
            Told::Syncing { operation } => write!(f, "syncing {operation}"),
            Told::Synced { operation } => write!(f, "synced {operation}"),
            Told::SyncedBytes { segment, is_synced } => write!(f, "synced-bytes {segment} {is_synced}"),
            Told::Creating(segment) => write!(f, "creating {segment}"),
            Told::Evicting => f.write_str("evicting"),
            Told::MetFullDisk => f.write_str("full"),
            Told::ReadOn => f.write_str("read-on"),
            Told::Refused(how) => write!(f, "refused {}", how.replace('\n', " ")),
            Told::NotOpened(how) => write!(f, "not-opened {}", how.replace('\n', " ")),
            Told::Unread(how) => write!(f, "unread {}", how.replace('\n', " ")),
            Told::Failed(how) => write!(f, "failed {}", how.replace('\n', " ")),
        }
    }
}

/// A line that no child tells.
#[derive(Debug)]
pub struct Garbled;

impl FromStr for Told {
    type Err = Garbled;

    fn from_str(line: &str) -> Result<Told, Garbled> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "refused" => return Ok(Told::Refused(rest.to_string())),
            "not-opened" => return Ok(Told::NotOpened(rest.to_string())),
            "unread" => return Ok(Told::Unread(rest.to_string())),
            "failed" => return Ok(Told::Failed(rest.to_string())),
            _ => {}
        }
        let mut words = Words(rest.split_terminator(' '));
        let told = match verb {
            "opening" => Told::Opening,
            "recovering" => Told::Recovering,
            "recovered" => Told::Recovered,
            "mended" => Told::Mended(words.one_of(&Mend::ALL, Mend::name)?),
            "put" => {
                let (operation, key, number) = (words.number()?, words.number()?, Some(words.number()?));
                Told::Put { operation, key, content: words.content(number)? }
            }
            "answered" => {
                Told::Answered { operation: words.number()?, answer: words.one_of(&Answer::ALL, Answer::word)? }
            }
            "row" => {
                let (operation, key, segment) = (words.number()?, words.number()?, segment(words.next()?)?);
                Told::Row { operation, key, place: Place { segment, content: words.content(None)? } }
            }
            "committed" => Told::Committed { operation: words.number()?, is_written: words.number()? },
            "saving" => {
                let (version, base) = (words.number()?, words.number()?);
                Told::Saving(Ring { version, base, members: words.segments()?, doomed: words.segments()? })
            }
            "saved" => Told::Saved { version: words.number()? },
            "syncing" => Told::Syncing { operation: words.number()? },
            "synced" => Told::Synced { operation: words.number()? },
            "synced-bytes" => Told::SyncedBytes { segment: segment(words.next()?)?, is_synced: words.number()? },
            "creating" => Told::Creating(segment(words.next()?)?),
            "evicting" => Told::Evicting,
            "full" => Told::MetFullDisk,
            "read-on" => Told::ReadOn,
            _ => return Err(Garbled),
        };
        if words.0.next().is_some() { Err(Garbled) } else { Ok(told) }
    }
}

/// The words of a line.
struct Words<'a>(std::str::SplitTerminator<'a, char>);

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<&'a str, Garbled> {
        self.0.next().ok_or(Garbled)
    }

    fn number<N: FromStr>(&mut self) -> Result<N, Garbled> {
        self.next()?.parse().map_err(|_| Garbled)
    }

    fn one_of<T: Copy>(&mut self, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, Garbled> {
        let word = self.next()?;
        all.iter().copied().find(|one| name(*one) == word).ok_or(Garbled)
    }

    fn content(&mut self, number: Option<u64>) -> Result<Content, Garbled> {
        Ok(Content { number, length: self.number()?, checksum: self.number()? })
    }

    fn segments(&mut self) -> Result<Vec<SegmentId>, Garbled> {
        match self.next()? {
            NONE => Ok(Vec::new()),
            list => list.split(',').map(segment).collect(),
        }
    }
}

fn list(segments: &[SegmentId]) -> String {
    let names: Vec<String> = segments.iter().map(SegmentId::to_string).collect();
    if names.is_empty() { NONE.to_string() } else { names.join(",") }
}

fn segment(word: &str) -> Result<SegmentId, Garbled> {
    SegmentId::from_file_name(&format!("{word}.segment")).ok_or(Garbled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_line_is_read_back() {
        let [first, second] = [1, 2].map(SegmentId::from_u128);
        let content = Content { number: Some(3), length: 4, checksum: u64::MAX };
        let ring = Ring { version: 8, base: 7, members: vec![first, second], doomed: vec![] };
        let told = [
            Told::Opening,
            Told::Recovering,
            Told::Recovered,
            Told::Mended(Mend::StrayFile),
            Told::Put { operation: 1, key: 2, content },
            Told::Answered { operation: 1, answer: Answer::Here },
            Told::Row { operation: 2, key: 2, place: Place { segment: first, content } },
            Told::Committed { operation: 2, is_written: false },
            Told::Saving(ring.clone()),
            Told::Saving(Ring { doomed: vec![first], members: vec![], ..ring }),
            Told::Saved { version: 8 },
            Told::Syncing { operation: 9 },
            Told::Synced { operation: 9 },
            Told::SyncedBytes { segment: first, is_synced: true },
            Told::Creating(second),
            Told::Evicting,
            Told::MetFullDisk,
            Told::ReadOn,
            Told::Refused("a put: input/output error".to_string()),
            Told::NotOpened("the open: input/output error".to_string()),
            Told::Unread("a get: input/output error".to_string()),
            Told::Failed("put: the disk is on fire".to_string()),
        ];
        for told in told {
            let line = told.to_string();
            assert!(line.len() < LINE_BYTES_MAX && !line.contains('\n'), "{line}");
            assert_eq!(line.parse::<Told>().ok(), Some(told), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_told_or_garbled(line in "(put|row|saving|committed|synced|mended|creating)?( [-,0-9a-z]{0,40}){0,6}| ?.{0,40}") {
            if let Ok(told) = line.parse::<Told>() {
                prop_assert_eq!(told.to_string().parse::<Told>().ok(), Some(told));
            }
        }
    }
}
