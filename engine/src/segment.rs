//! The name of a segment: what the ring lists, what the directory holds a file for.

use std::fmt;

/// Names one segment for ever; an id is never used for a second segment.
///
/// On a real disk it is a UUIDv7 (RFC 9562), so ids sort by creation time; nothing relies on that order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(u128);

impl SegmentId {
    /// The id with this number.
    pub const fn from_u128(id: u128) -> Self {
        SegmentId(id)
    }

    /// The number of this id.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The name of the segment's file inside the segment directory.
    pub fn file_name(self) -> String {
        format!("{self}.segment")
    }

    /// The inverse of [`SegmentId::file_name`]; `None` for a name that no segment has.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let id = uuid::Uuid::try_parse(name.strip_suffix(".segment")?).ok()?;
        let segment = SegmentId(id.as_u128());
        (segment.file_name() == name).then_some(segment)
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_u128(self.0).fmt(f)
    }
}

impl fmt::Debug for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_name_names_its_segment_and_nothing_else_does() {
        let segment = SegmentId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
        assert_eq!(SegmentId::from_file_name(&segment.file_name()), Some(segment));
        for foreign in ["", "LOCK", "01900000.segment", &segment.to_string(), &segment.file_name().to_uppercase()] {
            assert_eq!(SegmentId::from_file_name(foreign), None, "{foreign}");
        }
    }
}
