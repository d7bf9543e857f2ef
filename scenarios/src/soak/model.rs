//! What the parent knows, from the lines alone: what every key, row and ring may be now, and what is under way.
//!
//! A killed process loses nothing that it has written, so what is on disk after a kill is the last told state or one that
//! was under way then. After a power loss it is that, or an earlier one that no later state was durable over; and a file
//! that was unlinked may be back. Errors of the disk are legal where the device has failed, and of what a file system that has
//! given up has synced nothing is trusted. Absent is a key whose segment has left the ring, and no other. Does not verify which
//! segments had to leave; the simulation does.

use crate::soak::contents::{Content, KEYS, key, key_number};
use crate::soak::judge::{Key, wrong_step};
use crate::soak::register::{End, Register};
use crate::soak::survey::Survey;
use crate::soak::under_way::{Death, Hits, Life, Stage};
use crate::soak::wire::{Answer, Mend, Ring, Told};
use segment_engine::SegmentId;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that was told since the last settled state.
#[derive(Clone, Debug)]
pub struct Model {
    now: u64,
    life: Life,
    keys: BTreeMap<u32, Key>,
    ring: Register<Option<Ring>>,
    /// Segments whose file was begun and that no ring has named yet, in this life or an earlier one.
    unfinished: BTreeSet<SegmentId>,
    /// Segments that have ever had a file.
    had: BTreeSet<SegmentId>,
    /// Whether the power was lost since the last settled state.
    is_power_lost: bool,
    acked: u64,
    made_room: u64,
    read_on: u64,
    mended: BTreeMap<Mend, u64>,
    violations: Vec<String>,
}

impl Model {
    /// Knows that a directory is so, and nothing under way in it.
    pub fn new(survey: &Survey) -> Model {
        let mut model = Model {
            now: 0,
            life: Life::default(),
            keys: BTreeMap::new(),
            ring: Register::settled(None),
            unfinished: BTreeSet::new(),
            had: BTreeSet::new(),
            is_power_lost: false,
            acked: 0,
            made_room: 0,
            read_on: 0,
            mended: BTreeMap::new(),
            violations: Vec::new(),
        };
        model.settle(survey);
        model
    }

    /// From now on the directory is so: whatever was under way has ended, and what is there is durable.
    pub fn settle(&mut self, survey: &Survey) {
        let keys = (0..KEYS).map(|number| {
            let place = survey.shown(&key(number));
            let content = place.map(|place| self.known(number, &place.content).unwrap_or(place.content));
            (number, Key { puts: Register::settled(content), rows: Register::settled(place.copied()) })
        });
        self.keys = keys.collect();
        self.ring = Register::settled(survey.ring.clone());
        self.unfinished.clear();
        self.had.extend(survey.ring.iter().flat_map(|ring| ring.members.iter().chain(&ring.doomed)));
        self.is_power_lost = false;
    }

    /// Puts that were answered, of all rounds.
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// Puts that were answered after a write of the same life had met a full disk.
    pub fn made_room(&self) -> u64 {
        self.made_room
    }

    /// Gets that have ended after writes were fenced.
    pub fn read_on(&self) -> u64 {
        self.read_on
    }

    /// In the life that comes others have filled the disk.
    pub fn crowd(&mut self) {
        self.life.is_crowded = true;
    }

    /// What children have mended, by kind.
    pub fn mended(&self) -> &BTreeMap<Mend, u64> {
        &self.mended
    }

    /// What was told and must not be.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Something else that must not be.
    pub fn violated(&mut self, sentence: String) {
        self.violations.push(sentence);
    }

    /// Whether a rotation may have left this file behind, or a power loss may have brought it back.
    pub fn may_be_stray(&self, segment: SegmentId) -> bool {
        self.unfinished.contains(&segment) || (self.is_power_lost && self.had.contains(&segment))
    }

    /// The same content with its number, if it is one that may be there.
    pub fn known(&self, number: u32, content: &Content) -> Option<Content> {
        self.keys.get(&number)?.puts.possible().flatten().find(|known| *known == content).copied()
    }

    /// A child has told all of this, and died.
    pub fn lived(&mut self, told: Vec<Told>, death: Death) -> Hits {
        let trusts_syncs = death != Death::FileSystemFailed;
        told.into_iter().for_each(|told| self.hear(told, trusts_syncs));
        self.died(death)
    }

    /// A line has come. A sync that is not to be trusted has made nothing durable.
    fn hear(&mut self, told: Told, trusts_syncs: bool) {
        self.now += 1;
        let now = self.now;
        match told {
            Told::Opening => self.life.stage = Stage::Opening,
            Told::Recovering => self.life.stage = Stage::Recovering,
            Told::Recovered => self.life.stage = Stage::Serving,
            Told::Mended(mend) => {
                *self.mended.entry(mend).or_default() += 1;
                if !mend.is_legal() {
                    self.violations
                        .push(format!("a child's open mended {}, which no kill and no power loss leaves", mend.name()));
                }
            }
            Told::Put { operation, key, content } => {
                self.life.puts.insert(operation, key);
                self.keys.entry(key).and_modify(|key| key.puts.begin(operation, Some(content), now));
            }
            Told::Answered { operation, answer } => {
                if answer == Answer::Full && !self.life.is_crowded {
                    self.violations.push("a put was refused by a full disk that nobody has filled".to_string());
                }
                let end = match answer {
                    Answer::Stored | Answer::Here if trusts_syncs => End::Durable,
                    Answer::Stored | Answer::Here => End::Done,
                    Answer::Evicted | Answer::Full | Answer::Refused => End::Nothing,
                    Answer::Unknown => End::Unknown,
                };
                let is_stored = matches!(answer, Answer::Stored | Answer::Here);
                self.acked += u64::from(is_stored);
                self.made_room += u64::from(is_stored && self.life.has_met_full_disk);
                let key = self.life.puts.remove(&operation).and_then(|key| self.keys.get_mut(&key));
                key.into_iter().for_each(|key| key.puts.end(operation, end, now));
            }
            Told::Row { operation, key, place } => {
                self.life.rows.insert(operation, key);
                self.keys.entry(key).and_modify(|key| key.rows.begin(operation, Some(place), now));
            }
            Told::Committed { operation, is_written } => {
                let end = if is_written { End::Done } else { End::Nothing };
                let key = self.life.rows.remove(&operation).and_then(|key| self.keys.get_mut(&key));
                key.into_iter().for_each(|key| key.rows.end(operation, end, now));
            }
            Told::Saving(ring) => {
                self.follow(&ring);
                self.ring.begin(ring.version, Some(ring.clone()), now);
                self.life.saving = Some(ring);
            }
            Told::Saved { version } => self.saved(version),
            Told::Syncing { operation } => {
                self.life.syncs.insert(operation, now);
            }
            Told::Synced { operation } => {
                if let Some(since) = self.life.syncs.remove(&operation).filter(|_| trusts_syncs) {
                    self.keys.values_mut().for_each(|key| key.rows.sync(since));
                    self.ring.sync(since);
                }
            }
            Told::Creating(segment) => {
                self.life.rotating.insert(segment);
                self.life.made.insert(segment, None);
                self.unfinished.insert(segment);
                self.had.insert(segment);
            }
            Told::SyncedBytes { segment, is_synced } => {
                let made = self.life.made.get_mut(&segment);
                made.into_iter().for_each(|made| *made = Some(is_synced || *made == Some(true)));
            }
            Told::Evicting => self.life.is_evicting = true,
            Told::MetFullDisk => self.life.has_met_full_disk = true,
            Told::Refused(how) | Told::NotOpened(how) => self.life.refused.push(format!("in a child, {how}")),
            Told::Unread(how) => self.life.unread.push(format!("in a child, {how}")),
            Told::ReadOn => self.read_on += 1,
            Told::Failed(how) => self.violations.push(format!("in a child, {how}")),
        }
    }

    /// The child is dead, and everything that it told was heard.
    fn died(&mut self, death: Death) -> Hits {
        self.now += 1;
        let now = self.now;
        match death {
            Death::Killed => {
                self.keys.values_mut().for_each(|Key { puts, rows }| (puts.cut(now), rows.cut(now)).0);
                self.ring.cut(now);
            }
            Death::PowerLost | Death::DeviceFailed | Death::FileSystemFailed => {
                self.keys.values_mut().for_each(|Key { puts, rows }| (puts.lose(now), rows.lose(now)).0);
                self.ring.lose(now);
                self.is_power_lost = true;
            }
        }
        let life = std::mem::take(&mut self.life);
        if matches!(death, Death::Killed | Death::PowerLost) {
            self.violations.extend(life.refused.iter().cloned());
        }
        if death != Death::FileSystemFailed {
            self.violations.extend(life.unread.iter().cloned());
        }
        life.hits()
    }

    /// What is not as it must be after a kill or a power loss. The directory has not been opened by an engine since.
    pub fn judge(&self, survey: &Survey) -> Vec<String> {
        let mut found = Vec::new();
        if !self.ring.possible().any(|ring| *ring == survey.ring) {
            let [there, last] = [survey.ring.as_ref(), self.ring.last_sure().and_then(Option::as_ref)]
                .map(|ring| ring.map_or("none".to_string(), |ring| format!("{:?}", ring)));
            found.push(format!("the saved ring is {there}, and the last that was told is {last}"));
        }
        for bytes in survey.rows.keys().filter(|bytes| key_number(bytes).is_none()) {
            found.push(format!("there is a row of {}, which nobody put", bytes.escape_ascii()));
        }
        for (number, known) in &self.keys {
            let name = key(*number);
            let place = survey.rows.get(&name);
            found.extend(known.wrong_row(place, survey).map(|what| format!("{} {what}", name.escape_ascii())));
        }
        found
    }

    /// A ring is about to follow another.
    fn follow(&mut self, ring: &Ring) {
        let is_stillborn = |segment| self.life.is_stillborn(segment);
        let step = |from: &Option<Ring>| wrong_step(from.as_ref(), ring, &self.unfinished, is_stillborn);
        let wrongs: Vec<Option<String>> = self.ring.possible().map(step).collect();
        // after a kill there may be two that it follows: one of them must do
        if wrongs.iter().all(Option::is_some) {
            self.violations.extend(wrongs.into_iter().flatten().next());
        }
    }

    fn saved(&mut self, version: u64) {
        let before = self.ring.last_sure().cloned().flatten();
        self.ring.end(version, End::Done, self.now);
        let Some(ring) = self.life.saving.take() else {
            return;
        };
        for segment in ring.members.iter().chain(&ring.doomed) {
            self.life.rotating.remove(segment);
            self.unfinished.remove(segment);
        }
        let is_forgotten = |segment: &SegmentId| !ring.doomed.contains(segment);
        if before.is_some_and(|before| before.doomed.iter().any(is_forgotten)) {
            self.life.is_evicting = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::wire::Place;

    const KEY: u32 = 7;

    impl Model {
        fn heard(&mut self, told: Told) {
            self.hear(told, true);
        }
    }

    fn segment(number: u128) -> SegmentId {
        SegmentId::from_u128(number)
    }

    fn content(number: u64) -> Content {
        Content { number: Some(number), length: number, checksum: number }
    }

    fn place(number: u64, at: u128) -> Place {
        Place { segment: segment(at), content: content(number) }
    }

    fn ring(version: u64, members: &[u128], doomed: &[u128]) -> Ring {
        let [members, doomed] = [members, doomed].map(|list| list.iter().copied().map(segment).collect());
        Ring { version, base: version - 1, members, doomed }
    }

    fn survey(ring: Ring, row: Option<Place>) -> Survey {
        Survey { ring: Some(ring), rows: row.into_iter().map(|row| (key(KEY), row)).collect() }
    }

    /// Content 1 is in segment 1, and segment 2 is active.
    fn model() -> Model {
        Model::new(&survey(ring(1, &[1, 2], &[]), Some(place(1, 1))))
    }

    fn put(model: &mut Model, number: u64, at: u128) {
        model.heard(Told::Put { operation: number, key: KEY, content: content(number) });
        model.heard(Told::Row { operation: number, key: KEY, place: place(number, at) });
        model.heard(Told::Committed { operation: number, is_written: true });
        model.heard(Told::Answered { operation: number, answer: Answer::Stored });
    }

    fn save(model: &mut Model, ring: Ring) {
        let version = ring.version;
        model.heard(Told::Saving(ring));
        model.heard(Told::Saved { version });
    }

    #[test]
    fn what_was_answered_last_is_legal_and_nothing_else() {
        let mut model = model();
        put(&mut model, 2, 2);
        model.died(Death::Killed);
        let after = |row| model.judge(&survey(ring(1, &[1, 2], &[]), row));
        assert_eq!(after(Some(place(2, 2))), [""; 0]);
        for wrong in [None, Some(place(1, 1)), Some(place(3, 2)), Some(place(2, 1))] {
            assert_eq!(after(wrong).len(), 1, "{wrong:?}");
        }
    }

    #[test]
    fn a_put_under_way_may_have_happened_and_an_answer_without_a_row_has_not() {
        let mut model = model();
        model.heard(Told::Put { operation: 2, key: KEY, content: content(2) });
        model.heard(Told::Row { operation: 2, key: KEY, place: place(2, 2) });
        let mut answered = model.clone();
        assert!(model.died(Death::Killed).put);
        for legal in [place(1, 1), place(2, 2)] {
            assert_eq!(model.judge(&survey(ring(1, &[1, 2], &[]), Some(legal))), [""; 0]);
        }
        answered.heard(Told::Answered { operation: 2, answer: Answer::Stored });
        answered.died(Death::Killed);
        assert_eq!(answered.judge(&survey(ring(1, &[1, 2], &[]), Some(place(1, 1)))).len(), 1);
    }

    #[test]
    fn absent_is_a_key_whose_segment_has_left_the_ring() {
        let mut model = model();
        save(&mut model, ring(2, &[2], &[1]));
        let mut moved = model.clone();
        model.died(Death::Killed);
        assert_eq!(model.judge(&survey(ring(2, &[2], &[1]), None)), [""; 0]);
        assert_eq!(model.judge(&survey(ring(2, &[2], &[1]), Some(place(1, 1)))), [""; 0], "the row goes later");
        put(&mut moved, 1, 2);
        moved.died(Death::Killed);
        assert_eq!(moved.judge(&survey(ring(2, &[2], &[1]), None)).len(), 1);
    }

    #[test]
    fn a_ring_follows_the_one_before_it() {
        for wrong in [
            Ring { base: 0, ..ring(2, &[1, 2], &[]) }, // a stale clone
            ring(3, &[1, 2], &[]),
            ring(2, &[1, 2, 3], &[]), // nobody has made 3
            ring(2, &[2], &[]),       // 1 is lost
            ring(2, &[1], &[2]),      // 2 was active
        ] {
            let mut model = model();
            save(&mut model, wrong.clone());
            assert_eq!(model.violations().len(), 1, "{wrong:?}");
        }
        let mut model = model();
        model.heard(Told::Creating(segment(3)));
        assert!(model.may_be_stray(segment(3)));
        save(&mut model, ring(2, &[2, 3], &[1]));
        assert!(!model.may_be_stray(segment(3)));
        model.heard(Told::Evicting);
        let mut killed = model.clone();
        assert!(killed.died(Death::Killed).eviction);
        save(&mut model, ring(3, &[2, 3], &[]));
        let hits = model.died(Death::Killed);
        assert_eq!((model.violations().len(), hits.eviction, hits.rotation), (0, false, false));
        assert_eq!(model.judge(&survey(ring(2, &[2, 3], &[1]), None)).len(), 1, "a save is not lost");
    }

    #[test]
    fn a_power_loss_undoes_what_was_not_answered_and_an_answer_stands() {
        let mut model = model();
        model.heard(Told::Put { operation: 2, key: KEY, content: content(2) });
        model.heard(Told::Row { operation: 2, key: KEY, place: place(2, 2) });
        model.heard(Told::Committed { operation: 2, is_written: true });
        let mut answered = model.clone();
        let after = |model: &Model, row| model.judge(&survey(ring(1, &[1, 2], &[]), row)).len();
        let mut killed = model.clone();
        killed.died(Death::Killed);
        assert_eq!((after(&killed, Some(place(1, 1))), after(&killed, Some(place(2, 2)))), (1, 0));
        model.died(Death::PowerLost);
        assert_eq!(
            (after(&model, Some(place(1, 1))), after(&model, Some(place(2, 2))), after(&model, None)),
            (0, 0, 1)
        );
        answered.heard(Told::Syncing { operation: 3 });
        answered.heard(Told::Synced { operation: 3 });
        answered.heard(Told::Answered { operation: 2, answer: Answer::Stored });
        answered.died(Death::PowerLost);
        assert_eq!((after(&answered, Some(place(1, 1))), after(&answered, Some(place(2, 2)))), (1, 0));
    }

    #[test]
    fn a_power_loss_undoes_saves_that_no_sync_has_covered_and_brings_files_back() {
        let mut model = model();
        save(&mut model, ring(2, &[2], &[1]));
        model.heard(Told::Syncing { operation: 8 });
        save(&mut model, ring(3, &[2], &[]));
        model.heard(Told::Synced { operation: 8 });
        assert!(!model.may_be_stray(segment(1)));
        model.died(Death::PowerLost);
        let after = |ring| model.judge(&survey(ring, None)).len();
        assert_eq!(after(ring(1, &[1, 2], &[])), 2, "its doom was durable, and the row is gone");
        assert_eq!((after(ring(2, &[2], &[1])), after(ring(3, &[2], &[]))), (0, 0));
        assert!(model.may_be_stray(segment(1)) && !model.may_be_stray(segment(9)));
    }

    #[test]
    fn a_full_disk_refuses_a_put_only_where_others_have_filled_it() {
        for is_crowded in [true, false] {
            let mut model = model();
            if is_crowded {
                model.crowd();
            }
            model.heard(Told::Put { operation: 2, key: KEY, content: content(2) });
            model.heard(Told::MetFullDisk);
            model.heard(Told::Answered { operation: 2, answer: Answer::Full });
            assert_eq!((model.violations().len(), model.made_room()), (usize::from(!is_crowded), 0));
            put(&mut model, 3, 2);
            assert_eq!(model.made_room(), 1);
            model.died(Death::Killed);
            put(&mut model, 4, 2);
            assert_eq!(model.made_room(), 1, "that was another life");
        }
    }

    #[test]
    fn an_active_segment_leaves_the_ring_only_where_no_sync_of_it_has_succeeded() {
        for (syncs, violations) in [(&[][..], 1), (&[false], 0), (&[true, false], 1), (&[false, false], 0)] {
            let mut model = model();
            model.heard(Told::Creating(segment(3)));
            save(&mut model, ring(2, &[1, 2, 3], &[]));
            let synced = |is_synced: &bool| Told::SyncedBytes { segment: segment(3), is_synced: *is_synced };
            syncs.iter().map(synced).for_each(|told| model.heard(told));
            model.heard(Told::Creating(segment(4)));
            save(&mut model, ring(3, &[1, 2, 4], &[3]));
            assert_eq!(model.violations().len(), violations, "{syncs:?}");
        }
    }

    #[test]
    fn what_a_file_system_answered_that_had_given_up_may_be_gone() {
        for (death, wrong) in [(Death::DeviceFailed, 1), (Death::FileSystemFailed, 0)] {
            let mut model = model();
            let told = [
                Told::Put { operation: 2, key: KEY, content: content(2) },
                Told::Row { operation: 2, key: KEY, place: place(2, 2) },
                Told::Committed { operation: 2, is_written: true },
                Told::Syncing { operation: 3 },
                Told::Synced { operation: 3 },
                Told::Answered { operation: 2, answer: Answer::Stored },
            ];
            model.lived(told.to_vec(), death);
            let after = |row| model.judge(&survey(ring(1, &[1, 2], &[]), Some(row))).len();
            assert_eq!((after(place(2, 2)), after(place(1, 1))), (0, wrong));
        }
    }

    #[test]
    fn an_error_of_the_disk_is_legal_where_the_device_has_failed() {
        let failed = [Death::DeviceFailed, Death::FileSystemFailed].map(|death| (death, 0));
        for (death, violations) in [(Death::PowerLost, 1), (Death::Killed, 1)].into_iter().chain(failed) {
            let mut model = model();
            let told = [
                Told::Put { operation: 2, key: KEY, content: content(2) },
                Told::Refused("a put ended with: a sync failed".to_string()),
                Told::Answered { operation: 2, answer: Answer::Refused },
                Told::Unread("a get ended with: input/output error".to_string()),
            ];
            model.lived(told.to_vec(), death);
            let unread = usize::from(death != Death::FileSystemFailed);
            assert_eq!(model.violations().len(), violations + unread, "{death:?}");
            // what is said to be stored nowhere is not
            assert_eq!(model.judge(&survey(ring(1, &[1, 2], &[]), Some(place(2, 2)))).len(), 1);
        }
    }

    #[test]
    fn what_no_kill_leaves_is_told() {
        let mut model = model();
        model.heard(Told::Mended(Mend::StrayFile));
        assert_eq!(model.violations().len(), 0);
        model.heard(Told::Mended(Mend::LostArtifacts));
        model.heard(Told::Failed("a get ended with: damage".to_string()));
        assert_eq!(model.violations().len(), 2);
    }
}
