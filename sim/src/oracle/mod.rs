//! The oracles: one invariant each. A module says when it is checked, what is legal meanwhile, and what it does not
//! verify; each has a bad state that it must reject.

pub mod acked_survives;
pub mod active_advances;
pub mod active_is_never_evicted;
pub mod bounds;
pub mod bytes_match;
pub mod capacity;
pub mod copies_fit;
pub mod honest;
pub mod index_agrees;
pub mod legal_debris;
pub mod legal_repairs;
pub mod legal_retries;
pub mod lock_order;
pub mod no_dangling;
pub mod no_lost_push;
pub mod no_orphan;
pub mod no_phantom;
pub mod no_resurrection;
pub mod progress;
pub mod reads_linearize;
pub mod recover_converges;
pub mod retention;
pub mod ring_shape;
pub mod save_chain;
pub mod scene;
pub mod stored_once;
pub mod views_agree;
pub mod waits_for;

use crate::history::{Answer, History, Save};
use crate::locks::LockFacts;
use crate::site::{TaskId, kind};
use scene::Scene;
use segment_engine::SegmentId;
use segment_engine::capacity::Usage;
use segment_engine::ring::Doomed;
use segment_engine::ring_state::RingRecord;
use segment_engine::usage::Owners;
use std::sync::LazyLock;

/// When an oracle is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// As a ring is saved.
    Save,
    /// As a caller is told something.
    Answer,
    /// After each step.
    Step,
    /// After a crash, of what it has left, before anything is mended.
    CrashImage,
    /// When all callers have ended and nothing more can run.
    Drained,
}

/// What an oracle may look at.
pub struct View<'a> {
    /// The run so far.
    pub history: &'a History,
    /// [`When::Save`]: what is being saved; the history still ends with the save before.
    pub saving: Option<&'a Save>,
    /// [`When::Answer`]: who is told what.
    pub answer: Option<(TaskId, &'a Answer)>,
    /// The ring that readers of the engine see, where it is not the saved one.
    pub published: Option<&'a RingRecord>,
    /// [`When::Drained`], and [`When::Step`] after a rotation: whose the bytes of each segment are, as the engine counts them.
    pub owners: Option<&'a [(SegmentId, Owners)]>,
    /// [`When::Drained`], of an engine that was closed: the same as its close began.
    pub closing: Option<&'a [(SegmentId, Owners)]>,
    /// [`When::Drained`]: what the ring accounts for, as the engine tells.
    pub usage: Option<&'a Usage>,
    /// What is wrong with the locks.
    pub locks: LockFacts,
    /// Who holds the state lock.
    pub state_holder: Option<TaskId>,
    /// The tasks by name.
    pub tasks: &'a dyn Tasks,
    /// Steps so far.
    pub steps: u64,
    /// Steps that the run may take.
    pub steps_max: u64,
    /// [`When::Drained`]: tasks that should have ended.
    pub unfinished: &'a [TaskId],
    /// [`When::Drained`]: artifacts that are queued to be copied.
    pub refreshes_waiting: usize,
}

/// The tasks of a run.
pub trait Tasks {
    /// A task's label.
    fn label(&self, task: TaskId) -> &str;
    /// Whether it goes on.
    fn is_alive(&self, task: TaskId) -> bool;
    /// Who started it, if a task did.
    fn parent(&self, task: TaskId) -> Option<TaskId>;
    /// The point that it has got to last.
    fn place(&self, task: TaskId) -> &'static str;
    /// A task that goes on beside this one.
    fn beside(&self, task: TaskId) -> Option<TaskId>;
    /// How many tasks that others have started under this name go on.
    fn alive_children(&self, name: &str) -> usize;
}

/// What an oracle found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What raced with what, by kinds.
    pub race: String,
    /// What happened.
    pub sentence: String,
}

/// One oracle.
pub struct Oracle {
    /// Its name in reports.
    pub name: &'static str,
    /// What holds where it finds nothing, in a line.
    pub claim: &'static str,
    /// When it is asked.
    pub when: When,
    /// Judges.
    pub check: fn(&View<'_>) -> Option<Finding>,
    /// A state that it must reject.
    pub bad_scene: fn() -> Scene,
}

/// All oracles, in the order in which they are asked at the same moment: causes before consequences.
pub const ORACLES: [Oracle; 34] = [
    save_chain::ORACLE,
    active_is_never_evicted::ORACLE,
    no_resurrection::ORACLE,
    active_advances::ORACLE,
    active_advances::OF_A_FULL_ONE,
    active_advances::OF_ONE_LEFT,
    ring_shape::ORACLE,
    retention::ORACLE,
    copies_fit::ORACLE,
    lock_order::ORACLE,
    waits_for::ORACLE,
    views_agree::ORACLE,
    no_phantom::ORACLE,
    no_dangling::ORACLE,
    index_agrees::ORACLE,
    bytes_match::ORACLE,
    acked_survives::ORACLE,
    acked_survives::AFTER_A_CRASH,
    legal_debris::ORACLE,
    recover_converges::ORACLE,
    legal_repairs::ORACLE,
    legal_retries::ORACLE,
    bounds::ORACLE,
    progress::ORACLE,
    copies_fit::OF_WHAT_WAS_READ,
    no_lost_push::ORACLE,
    reads_linearize::ORACLE,
    honest::ORACLE,
    stored_once::ORACLE,
    stored_once::OF_WHAT_IS_SOUND,
    no_orphan::ORACLE,
    capacity::ORACLE,
    capacity::OF_THE_DOOMED,
    capacity::OF_A_BODY,
];

/// What a run fails by besides, as reports name it, and the claim of each.
pub const BESIDES: [(&str, &str); 2] = [
    ("exclusive-window", "no commit lands inside a window that excludes it, also where no damage is seen"),
    ("panic", "no task panics"),
];

/// The oracles that are asked at one moment, in order.
pub fn asked_at(when: When) -> &'static [&'static Oracle] {
    static MOMENTS: LazyLock<[Vec<&'static Oracle>; 5]> = LazyLock::new(|| {
        static ALL: [Oracle; ORACLES.len()] = ORACLES;
        [When::Save, When::Answer, When::Step, When::CrashImage, When::Drained]
            .map(|moment| ALL.iter().filter(|oracle| oracle.when == moment).collect())
    });
    &MOMENTS[when as usize]
}

/// The oracles that accept their own bad state or reject the good one: they can check nothing.
pub fn broken() -> Vec<&'static str> {
    broken_of(&ORACLES)
}

fn broken_of(oracles: &[Oracle]) -> Vec<&'static str> {
    let good = Scene::good();
    let rejects = |oracle: &Oracle, scene: &Scene| scene.ask(oracle).is_some();
    let broken = oracles.iter().filter(|oracle| !rejects(oracle, &(oracle.bad_scene)()) || rejects(oracle, &good));
    broken.map(|oracle| oracle.name).collect()
}

/// A segment in a sentence: simulated ids are small numbers.
#[cold]
pub(crate) fn number(segment: SegmentId) -> u128 {
    segment.as_u128()
}

impl View<'_> {
    /// Bytes that puts and copies under way have yet to write at most, those of `except` apart.
    fn bytes_under_way(&self, except: Option<TaskId>) -> u64 {
        let puts = self.history.bytes_being_put(|task| Some(task) != except && self.tasks.is_alive(task));
        puts + self.tasks.alive_children("refresh") as u64 * self.longest()
    }

    /// What was written while this task asked what is free: it may have been told of that as free, and takes it for still to
    /// come.
    fn written_meanwhile(&self, task: Option<TaskId>) -> u64 {
        task.and_then(|task| self.history.room.measured.get(&task)).map_or(0, |then| then.written_meanwhile)
    }

    /// What may have been free when this task measured, as far as the engine can know. Of what a dropped caller has handed in
    /// it hears no more: the segment is taken to have the bytes, and the disk takes or refuses them later. No room is reserved
    /// for the catalog's log, which takes what it needs where there is none, too. Holes in what was there when the engine was
    /// opened are not known, nor that a file is gone before an unlink has said so, nor who has one open that went since.
    fn room_at_most(&self, task: TaskId) -> i64 {
        let (history, files) = (self.history, &self.history.files);
        let then = history.room.measured.get(&task);
        let since = then.map_or(0, |then| {
            // a file that is gone and of which nobody has heard has left its holes, too
            let holes_heard = if history.room.gone_unheard.is_empty() { then.holes_gone } else { 0 };
            history.room.taken_since(then)
                + (history.room.gone_heard - then.gone_heard)
                + (files.holes_gone() - holes_heard)
        });
        let dropped =
            history.room.writing.iter().filter(|(task, _)| !self.tasks.is_alive(**task)).map(|(_, bytes)| bytes);
        let gone = history.room.gone_unheard.values();
        let unlinked = then.map_or(&[][..], |then| &history.unlinkers[then.unlinked..]);
        let is_listed = |segment| self.saved_doomed().iter().any(|doomed| doomed.segment == segment);
        let went = unlinked.iter().map(|(segment, _)| *segment).filter(|segment| !is_listed(*segment));
        let held: u64 = went.map(|segment| files.held(segment)).sum();
        let hole = |segment: &SegmentId| {
            (files.bytes(*segment).map_or(0, Vec::len) as u64).saturating_sub(files.used(*segment))
        };
        let holes = history.image.members.iter().map(hole).sum::<u64>();
        let refused = history.room.refused_late.iter().filter(|(segment, _)| files.contains(**segment));
        let refused = refused.map(|(_, bytes)| bytes).sum::<u64>();
        history.left() + (since + refused + dropped.chain(gone).sum::<u64>() + holes + held).cast_signed()
    }

    /// The task's own saves of the ring since its call, each with the one before it.
    fn saves_of(&self, task: TaskId) -> impl Iterator<Item = &[Save]> {
        let since = self.history.begun.get(&task).map_or(0, |begun| begun.step);
        let own = move |pair: &&[Save]| pair[1].task == Some(task) && pair[1].step >= since;
        self.history.saves.windows(2).filter(own)
    }

    /// What it has evicted by them.
    fn victims_of(&self, task: TaskId) -> impl Iterator<Item = SegmentId> + '_ {
        self.saves_of(task).flat_map(|pair| {
            let before = pair[0].record.ring.members().iter().map(|member| member.segment);
            before.filter(|segment| pair[1].record.ring.generation_of(*segment).is_none())
        })
    }

    /// Bytes of the longest artifact.
    fn longest(&self) -> u64 {
        self.history.contents.values().map(Vec::len).max().unwrap_or_default() as u64
    }

    /// The doomed list in the catalog.
    fn saved_doomed(&self) -> &[Doomed] {
        self.history.saved().map_or(&[], |saved| saved.ring.doomed())
    }

    /// What those of the doomed segments take of the disk.
    fn used_by_doomed(&self, are_meant: impl Fn(SegmentId) -> bool) -> u64 {
        let meant = self.saved_doomed().iter().map(|doomed| doomed.segment).filter(|segment| are_meant(*segment));
        meant.map(|segment| self.history.files.used(segment)).sum()
    }

    /// The same of all of them, and of those that are unlinked what somebody has open: the engine learns of the unlink later.
    fn known_of_doomed(&self) -> u64 {
        let held = self.saved_doomed().iter().map(|doomed| self.history.files.held(doomed.segment));
        self.used_by_doomed(|_| true) + held.sum::<u64>()
    }

    /// Room that is free, or will be when what is doomed is gone, as far as a put has to know: not that a stuck segment has
    /// left which has gone by an unlink that said it had failed.
    fn room_to_come(&self) -> i64 {
        let is_written_off = |segment| self.history.evictor.is_written_off(segment);
        let unheard = self.history.room.gone_unheard.iter().filter(|(segment, _)| is_written_off(**segment));
        let unheard: u64 = unheard.map(|(_, bytes)| bytes).sum();
        let coming = self.used_by_doomed(|segment| !is_written_off(segment));
        self.history.left() + coming.cast_signed() - unheard.cast_signed()
    }

    fn label(&self, task: Option<TaskId>) -> &str {
        task.map_or("the set-up", |task| self.tasks.label(task))
    }

    #[cold]
    fn kind(&self, task: Option<TaskId>) -> String {
        kind(self.label(task))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_oracle_rejects_its_bad_state_and_accepts_the_good_one() {
        assert_eq!(broken(), Vec::<&str>::new());
    }

    #[test]
    fn an_oracle_that_accepts_everything_is_told() {
        let blind = Oracle { check: |_| None, ..save_chain::ORACLE };
        assert_eq!(broken_of(&[blind, no_orphan::ORACLE]), ["save-chain"]);
    }

    #[test]
    fn an_oracle_that_rejects_everything_is_told() {
        let found = |_: &View<'_>| Some(Finding { race: String::new(), sentence: String::new() });
        assert_eq!(broken_of(&[Oracle { check: found, ..save_chain::ORACLE }]), ["save-chain"]);
    }
}
