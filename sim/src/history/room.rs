//! The room on the disk of a run: who takes it, and what is known of that.

use super::History;
use crate::interference::Kind;
use crate::site::TaskId;
use segment_engine::SegmentId;
use std::collections::{BTreeMap, BTreeSet};

/// The room on the disk.
#[derive(Clone, Debug, Default)]
pub struct Room {
    /// The size of the disk.
    pub disk_bytes: u64,
    /// What the catalog's log takes of it.
    pub log_bytes: u64,
    /// From now on it takes none: there is room of its own for it.
    pub has_log_room: bool,
    /// How many bytes may be doomed before a rotation waits.
    pub doomed_bytes_max: u64,
    /// How many were when each rotation looked, that then went on.
    pub doomed_looked_at: BTreeMap<TaskId, u64>,
    /// The segment that was active when each rotation wanted the write lock.
    pub active_wanted: BTreeMap<TaskId, SegmentId>,
    /// Whose rotation found another active when it had the lock, until they go on.
    pub overtaken: BTreeSet<TaskId>,
    /// Who of these waited for the evictor.
    pub waits_overtaken: Option<TaskId>,
    /// What each task met that asked for the free bytes, the last time.
    pub measured: BTreeMap<TaskId, Measured>,
    /// Bytes that were written.
    pub written: u64,
    /// Those of them whose writer had been dropped.
    pub written_late: u64,
    /// Bytes that each task has handed in to be written, while that has not landed.
    pub writing: BTreeMap<TaskId, u64>,
    /// What the disk did not take of writes whose writer was dropped, by segment: nobody has heard of that.
    pub refused_late: BTreeMap<SegmentId, u64>,
    /// Files that went by an unlink that said it had failed, and the room that they took, until another one succeeds.
    pub gone_unheard: BTreeMap<SegmentId, u64>,
    /// The room of those for which one has.
    pub gone_heard: u64,
    /// Who had reserved bytes of a segment before the body that they are for had given any.
    pub reserved_early: Option<TaskId>,
    /// Writes that were refused because the disk was full.
    pub writes_refused: u64,
}

/// What took room on the disk, and is neither a put's nor to be had back by an eviction, when a task asked for the free bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// What was left.
    pub left: i64,
    /// What had been written so far when it began to ask.
    pub written_before: u64,
    /// What was written from then until it was told.
    pub written_meanwhile: u64,
    /// The catalog's log.
    pub log_bytes: u64,
    /// Files that were unlinked and still open.
    pub open_bytes: u64,
    /// The size of the disk: others take of it.
    pub disk_bytes: u64,
    /// How many files had been unlinked so far.
    pub unlinked: usize,
    /// The holes in those that had gone.
    pub holes_gone: u64,
    /// What had been heard so far of files that went by an unlink that said it had failed.
    pub gone_heard: u64,
    /// What had been written so far after its writer was dropped.
    pub written_late: u64,
}

impl Room {
    /// What of the disk has gone since a task asked that no put or copy under way has taken: nobody could know of it.
    pub fn taken_since(&self, then: &Measured) -> u64 {
        (self.log_bytes - then.log_bytes)
            + (self.written_late - then.written_late)
            + (then.disk_bytes - self.disk_bytes)
    }

    /// The catalog's log grows.
    pub fn charge_log(&mut self, bytes: u64) {
        self.log_bytes += if self.has_log_room { 0 } else { bytes };
    }
}

impl History {
    /// A rotation of this caller wants the write lock, or has it. What is active is changed under that lock alone.
    pub fn rotates(&mut self, task: TaskId, caller: TaskId, has_lock: bool) {
        let Some(active) = self.saved().and_then(|saved| saved.ring.active()) else {
            return;
        };
        if !has_lock {
            self.room.active_wanted.insert(task, active);
        } else if self.room.active_wanted.get(&task).is_some_and(|wanted| *wanted != active) {
            self.room.overtaken.insert(caller);
        } else {
            self.room.overtaken.remove(&caller);
        }
    }

    /// A caller has the write lock.
    pub fn reserves(&mut self, task: TaskId) {
        if let Some(begun) = self.begun.get_mut(&task) {
            begun.has_reserved = true;
        }
    }

    /// A caller asks for the next piece of a body.
    pub fn awaits_body(&mut self, task: Option<TaskId>) {
        let Some((task, begun)) = task.and_then(|task| Some((task, self.begun.get_mut(&task)?))) else {
            return;
        };
        // where the put begins again, it reserves again
        if !std::mem::replace(&mut begun.has_body, true) && begun.has_reserved {
            self.room.reserved_early = Some(task);
            self.changes += 1;
        }
    }

    /// A task has waited for the evictor.
    pub fn awaited_evictor(&mut self, task: TaskId) {
        if self.room.overtaken.contains(&task) {
            self.room.waits_overtaken = Some(task);
            self.changes += 1;
        }
    }

    /// Bytes that can still be written.
    pub fn free_bytes(&self) -> u64 {
        self.left().max(0).cast_unsigned()
    }

    /// The same, and below 0 what others and the catalog's log have taken that was not there for them.
    pub fn left(&self) -> i64 {
        let taken = self.room.log_bytes + self.files.used_by_all();
        self.room.disk_bytes.cast_signed() - taken.cast_signed()
    }

    /// Others write to the disk.
    pub fn take_room(&mut self, bytes: u64) {
        self.interference.add(Kind::TakenRoom, 1);
        self.room.disk_bytes = self.room.disk_bytes.saturating_sub(bytes);
    }

    /// They take all but so many bytes, and what the catalog's log is to take.
    pub fn leave_room(&mut self, bytes: u64) {
        self.take_room(self.free_bytes().saturating_sub(bytes));
        self.room.has_log_room = true;
    }
}
