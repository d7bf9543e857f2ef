//! The points that tasks have been at, by number, and what each is to windows and locks.
//!
//! Kept from run to run: every run comes to the same points. A number is a place in here and nothing else, so that what
//! a run does cannot depend on the runs before it.

use super::Vocabulary;
use super::meaning::Meaning;
use crate::locks::LockPoint;
use crate::window::WindowPoint;

/// Different points of usual runs.
pub(super) const POINTS_USUAL: usize = 48;

/// Places for the numbers of points that were looked up.
const SLOTS: usize = 256;

/// The points that runs have come to so far.
pub struct Points {
    vocabulary: &'static Vocabulary,
    known: Vec<Point>,
    /// The number of the last point whose name is stored there, by its address.
    slots: [u8; SLOTS],
}

/// A point, and what it is to windows and locks: looked up by name once.
#[derive(Clone, Copy)]
pub(super) struct Point {
    pub(super) name: &'static str,
    pub(super) window: WindowPoint,
    pub(super) lock: LockPoint,
}

impl Points {
    /// None yet.
    pub fn new(vocabulary: &'static Vocabulary) -> Points {
        Points { vocabulary, known: Vec::new(), slots: [0; SLOTS] }
    }

    pub(super) fn vocabulary(&self) -> &'static Vocabulary {
        self.vocabulary
    }

    /// Every point, in the order of the numbers.
    pub(super) fn known(&self) -> &[Point] {
        &self.known
    }

    /// A point by its name, and its number.
    pub(super) fn number(&mut self, name: &'static str) -> (usize, Point) {
        // the same name is mostly at the same place in memory, and was looked up before
        let slot = usize::from(self.slots[name.as_ptr().addr() / 4 % SLOTS]);
        match self.known.get(slot) {
            Some(known) if std::ptr::eq(known.name, name) => (slot, *known),
            _ => self.look_up(name),
        }
    }

    #[cold]
    fn look_up(&mut self, name: &'static str) -> (usize, Point) {
        let number = self.known.iter().position(|known| known.name == name).unwrap_or_else(|| {
            let Meaning { window, lock } = self.vocabulary.meaning(name);
            self.known.push(Point { name, window, lock });
            self.known.len() - 1
        });
        self.slots[name.as_ptr().addr() / 4 % SLOTS] = u8::try_from(number).unwrap_or(u8::MAX);
        (number, self.known[number])
    }
}
