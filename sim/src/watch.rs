//! Where the oracles stand during a run: asks each at its moment and keeps the first finding of each.

use crate::catalog::Survived;
use crate::conductor::Pulse;
use crate::confined::Confined;
use crate::history::{Answer, Change, History, Save};
use crate::locks::LockFacts;
use crate::oracle::{Finding, Tasks, View, When, asked_at};
use crate::site::{Site, TaskId, has_kind, kind};
use crate::verdict::Violation;
use crate::vocabulary::STATE_LOCK;
use segment_engine::capacity::Usage;
use segment_engine::catalog::Require;
use segment_engine::error::RecordFault;
use segment_engine::ring_state::{RingRecord, RingState};
use segment_engine::usage::Owners;
use segment_engine::{Env, Point, RingLimits, SegmentId};
use std::sync::Arc;

/// The watch over one run. Clones watch the same.
#[derive(Clone)]
pub struct Watch {
    /// The limits under which saved rings are read.
    limits: Arc<Confined<RingLimits>>,
    steps_max: u64,
    history: Arc<Confined<History>>,
    violations: Arc<Confined<Vec<Violation>>>,
}

/// What the oracles of every step were last asked about.
#[derive(Default)]
pub struct Seen {
    changes: u64,
    lock_changes: u64,
    ended: usize,
    published: Option<Arc<RingRecord>>,
    /// They were not asked about this one yet.
    is_another: bool,
    saves: usize,
    /// Whether the published ring is the saved one.
    is_saved: bool,
}

impl Seen {
    /// Takes in the ring that is published now.
    pub fn look<E: Env>(&mut self, ring: Option<&RingState<E>>) {
        let is_same = match (ring, &self.published) {
            (Some(ring), Some(known)) => ring.is_latest(known),
            (ring, known) => ring.is_none() && known.is_none(),
        };
        if !is_same {
            self.published = ring.map(RingState::snapshot);
            self.is_another = true;
        }
    }

    /// The ring that was published when last looked at.
    pub fn published(&self) -> Option<&Arc<RingRecord>> {
        self.published.as_ref()
    }

    /// Takes in what there is now, and says whether it is new. That a task has ended is, where it answers for a file: many
    /// end in steps in which nothing else happens. A ring that is not the saved one is new as long as it is not: whoever is to
    /// publish the other may be gone by now.
    fn is_new(&mut self, history: &History, ended: &[TaskId]) -> bool {
        let answers = |task| history.answerable.values().any(|owner| owner == task);
        let has_left_a_file = ended[std::mem::replace(&mut self.ended, ended.len())..].iter().any(answers);
        if !self.is_another && self.changes == history.changes && !has_left_a_file && self.unsaved().is_none() {
            return false;
        }
        if self.is_another || self.saves != history.saves.len() {
            self.is_saved = self.published.as_deref() == history.saved();
        }
        (self.changes, self.is_another, self.saves) = (history.changes, false, history.saves.len());
        true
    }

    /// The published ring, where it is not the saved one.
    fn unsaved(&self) -> Option<&RingRecord> {
        self.published.as_deref().filter(|_| !self.is_saved)
    }
}

impl Tasks for Pulse<'_> {
    fn label(&self, task: TaskId) -> &str {
        Pulse::label(*self, task)
    }

    fn is_alive(&self, task: TaskId) -> bool {
        Pulse::is_alive(*self, task)
    }

    fn parent(&self, task: TaskId) -> Option<TaskId> {
        Pulse::parent(*self, task)
    }

    fn place(&self, task: TaskId) -> &'static str {
        Pulse::place(*self, task)
    }

    fn beside(&self, task: TaskId) -> Option<TaskId> {
        Pulse::beside(*self, task)
    }

    fn alive_children(&self, name: &str) -> usize {
        Pulse::alive_children(*self, name)
    }
}

impl Watch {
    /// A watch over a run that has not begun.
    pub fn new(limits: RingLimits, steps_max: u64) -> Watch {
        let limits = Arc::new(Confined::new(limits));
        Watch { limits, steps_max, history: Arc::default(), violations: Arc::default() }
    }

    /// The limits under which saved rings are read.
    pub fn limits(&self) -> RingLimits {
        *self.limits.borrow_mut()
    }

    /// The next life of the process has these limits.
    pub fn set_limits(&self, limits: RingLimits) {
        *self.limits.borrow_mut() = limits;
    }

    /// The process has ended. The files are as that left them, the catalog has what survived.
    pub fn crashed(&self, pulse: Pulse<'_>, survived: Survived) {
        let Survived { saved, rows, index, is_late } = survived;
        let saved = saved.and_then(|saved| saved.map_err(|fault| self.undecodable(pulse, fault)).ok());
        let mut history = self.history.borrow_mut();
        history.crash(pulse.step(), saved, rows, index);
        history.image.is_late = is_late;
        self.ask(When::CrashImage, &self.view(&history, &pulse));
        history.hold_fast(); // the open of the database makes durable what a kill has left in the log
    }

    /// The run so far.
    pub fn history(&self) -> &Arc<Confined<History>> {
        &self.history
    }

    /// A ring was saved by the running task.
    pub fn saved(&self, pulse: Pulse<'_>, record: RingRecord) {
        let save = Save { step: pulse.step(), task: pulse.current(), record };
        let mut history = self.history.borrow_mut();
        self.ask(When::Save, &View { saving: Some(&save), ..self.view(&history, &pulse) });
        history.evictor.doom(save.record.ring.doomed().iter().map(|doomed| doomed.segment), pulse.now_ms());
        history.save(save);
    }

    /// Something was committed by the running task, there.
    pub fn committed(&self, pulse: Pulse<'_>, site: Option<Site>, changes: &[Change]) {
        let mut history = self.history.borrow_mut();
        history.commits += 1;
        if changes.is_empty() {
            return;
        }
        history.keep_moves(site, changes);
        let label = pulse.current().map_or("", |task| pulse.label(task));
        if has_kind(label, "refresh") {
            history.copy(changes);
        }
        history.change(changes);
        history.changes += 1;
        history.see(pulse.step(), pulse.current());
        if has_kind(label, "evictor") {
            let entries = changes.iter().filter(|change| matches!(change, Change::Index(_, _, false))).count();
            history.evictor.rows_most = history.evictor.rows_most.max(entries as u64);
        }
        if pulse.current().is_some() && pulse.holder(STATE_LOCK) == pulse.current() {
            let sentence = format!("{label} commits rows while it holds the state lock");
            self.report(
                "waits-for",
                pulse.step(),
                Finding { race: format!("{}: rows under state", kind(label)), sentence },
            );
        }
        for change in changes {
            if let Change::Damaged(key, fault) = change {
                let sentence = format!("{label} committed a manifest of key {key} that cannot be read back: {fault}");
                self.report("index-agrees", pulse.step(), Finding { race: kind(label), sentence });
            }
        }
    }

    /// A task has found the row of an artifact.
    pub fn found(&self, task: Option<TaskId>) {
        let mut history = self.history.borrow_mut();
        let changes = history.retries.row_changes;
        history.retries.found.extend(task.map(|task| (task, changes)));
    }

    /// The running task is at a point that says what has become of a rotation.
    pub fn rotates(&self, pulse: Pulse<'_>, point: Point) {
        let Some(task) = pulse.current() else {
            return;
        };
        let mut history = self.history.borrow_mut();
        match (point, pulse.parent(task)) {
            (Point::EVICTOR_AWAITED, _) => history.awaited_evictor(task),
            // a put begins again, or goes on to make room
            (Point::STRIPE_WANTED | Point::RING_WANTED, _) => {
                history.room.overtaken.remove(&task);
                if let Some(begun) = history.begun.get_mut(&task).filter(|_| point == Point::STRIPE_WANTED) {
                    begun.looks += 1;
                }
            }
            (_, Some(caller)) if has_kind(pulse.label(task), "rotation") => {
                history.rotates(task, caller, point == Point::WRITE_LOCKED);
            }
            (Point::WRITE_LOCKED, _) => history.reserves(task),
            _ => {}
        }
    }

    /// A task sleeps.
    pub fn slept(&self, task: Option<TaskId>) {
        let mut history = self.history.borrow_mut();
        if let Some(begun) = task.and_then(|task| history.begun.get_mut(&task)) {
            begun.has_slept = true;
            begun.rounds = begun.rounds.saturating_sub(1); // the look before it
        }
    }

    /// The engine tells of a retry; by which task, `current` knows.
    pub fn noted(&self, point: Point, current: impl FnOnce() -> Option<TaskId>) {
        if point == Point::COPY_FORGONE || point == Point::ACTIVE_LEFT {
            if let Some(task) = current() {
                let mut history = self.history.borrow_mut();
                if point == Point::ACTIVE_LEFT { history.leave_active(task) } else { history.copies(task, None) }
            }
            return;
        }
        let told: fn(&mut History) -> &mut u64 = match point {
            Point::UNLINK_FAILED => |history| &mut history.evictor.unlinks_reported,
            Point::SEGMENT_STUCK => |history| &mut history.evictor.stuck_reported,
            Point::PUT_RETRIED => |history| &mut history.retries.puts,
            Point::READ_RETRIED => |history| &mut history.retries.reads,
            Point::LOOK_UP_RETRIED => |history| &mut history.retries.look_ups,
            Point::ROW_MENDED => |history| &mut history.rot.mended,
            _ => return,
        };
        let mut history = self.history.borrow_mut();
        if point == Point::PUT_RETRIED {
            let task = current();
            history.put_wrote(task, None);
            let History { begun, retries, .. } = &mut *history;
            if let Some(begun) = task.and_then(|task| begun.get_mut(&task)) {
                begun.retries += 1;
                retries.puts_most = begun.retries.max(retries.puts_most);
                retries.puts_without_a_look += u64::from(begun.is_refused);
            }
        } else if point == Point::READ_RETRIED {
            current().into_iter().for_each(|task| history.read_elsewhere(task));
        } else if point == Point::LOOK_UP_RETRIED {
            let found = current().and_then(|task| history.retries.found.get(&task).copied());
            history.retries.look_ups_overtaken +=
                u64::from(found.is_some_and(|changes| changes < history.retries.row_changes));
        }
        *told(&mut history) += 1;
        history.changes += 1;
    }

    /// A commit was refused.
    pub fn refused(&self, requires: &[Require]) {
        let mut history = self.history.borrow_mut();
        let ring = history.saved().map(|saved| &saved.ring);
        let in_ring = |segment| ring.is_some_and(|ring| ring.generation_of(segment).is_some());
        let too_late =
            requires.iter().any(|require| matches!(require, Require::InRing { segment } if !in_ring(*segment)));
        history.retries.puts_too_late += u64::from(too_late);
    }

    /// A ring was saved that cannot be decoded.
    pub fn undecodable(&self, pulse: Pulse<'_>, fault: RecordFault) {
        let label = pulse.current().map_or("", |task| pulse.label(task));
        let race = format!("{}@RingSaved", kind(label));
        let sentence = format!("{label} saved a ring that cannot be read back: {fault}");
        self.report("ring-shape", pulse.step(), Finding { race, sentence });
    }

    /// The running caller is told something.
    pub fn answered(&self, pulse: Pulse<'_>, answer: Answer) {
        let Some(task) = pulse.current() else {
            return;
        };
        let mut history = self.history.borrow_mut();
        self.ask(When::Answer, &View { answer: Some((task, &answer)), ..self.view(&history, &pulse) });
        history.answer(task, answer, pulse.events());
    }

    /// The run ended in a panic outside of every task: in its set-up, or in an oracle.
    pub fn panicked(&self, message: &str) {
        let sentence = format!("the run panicked outside of its tasks: {message}");
        self.report("panic", 0, Finding { race: "outside".to_string(), sentence });
    }

    /// A step is over. Oracles are asked only if there is something new to see; `owners` if they want to know.
    pub fn after_step(
        &self,
        seen: &mut Seen,
        pulse: Pulse<'_>,
        owners: impl FnOnce() -> Option<Vec<(SegmentId, Owners)>>,
    ) {
        let mut history = self.history.borrow_mut();
        if history.is_recovering {
            return; // what it finds is judged before, and what it leaves when it is open again
        }
        let is_new = seen.is_new(&history, pulse.ended());
        let locks = if seen.lock_changes == pulse.lock_changes() { LockFacts::default() } else { pulse.locks() };
        seen.lock_changes = pulse.lock_changes();
        if is_new || locks != LockFacts::default() {
            let owners = history.rotated.and_then(|_| owners());
            let (published, owners) = (seen.unsaved(), owners.as_deref());
            self.ask(When::Step, &View { published, owners, locks, ..self.view(&history, &pulse) });
            (history.rotated, history.copying, history.leaving) = (None, None, None);
        }
    }

    /// Whether it is kept what befell each segment.
    pub fn keeps_lineage(&self) -> bool {
        self.history.borrow_mut().lineage.is_some()
    }

    /// Takes down what memory, catalog and directory say, if that is kept.
    pub fn see(&self, pulse: Pulse<'_>, published: Option<&Arc<RingRecord>>) {
        let mut history = self.history.borrow_mut();
        if let Some(mut lineage) = history.lineage.take() {
            let holder = pulse.holder(STATE_LOCK);
            lineage.see(history.views(pulse.step(), published, holder, |task| pulse.is_alive(task)));
            history.lineage = Some(lineage);
        }
    }

    /// Nothing more can run, or the run was cut off at its bound.
    pub fn drained(
        &self,
        pulse: Pulse<'_>,
        published: Option<Arc<RingRecord>>,
        owners: Option<Vec<(SegmentId, Owners)>>,
        closing: Option<&[(SegmentId, Owners)]>,
        usage: Option<Usage>,
        refreshes_waiting: usize,
    ) {
        self.task_panics(pulse);
        let history = self.history.borrow_mut();
        let published = published.as_deref().filter(|published| Some(*published) != history.saved());
        let (owners, unfinished) = (owners.as_deref(), &pulse.unfinished());
        let view = View {
            published,
            owners,
            closing,
            usage: usage.as_ref(),
            unfinished,
            refreshes_waiting,
            locks: pulse.locks(),
            ..self.view(&history, &pulse)
        };
        if !history.is_recovering {
            self.ask(When::Step, &view); // whatever has changed since they were asked
        }
        self.ask(When::Drained, &view);
        drop(history);
        self.intruded(pulse);
    }

    /// Tells which tasks have panicked.
    pub fn task_panics(&self, pulse: Pulse<'_>) {
        for (task, message) in pulse.panics() {
            let label = pulse.label(task);
            let sentence = format!("{label} panicked: {}", message.lines().next().unwrap_or_default());
            self.report("panic", pulse.step(), Finding { race: kind(label), sentence });
        }
    }

    /// Whether a commit has landed in an exclusive window: told last, and only where it did no damage that an oracle saw.
    pub fn intruded(&self, pulse: Pulse<'_>) {
        if self.violations.borrow_mut().is_empty()
            && let Some((window, holder, lander)) = pulse.first_intrusion()
        {
            let (holder, lander) = (pulse.label(holder), pulse.label(lander));
            let (name, opens, lands) = (window.name, window.opens, window.lands.join(" or "));
            let race = format!("{}@{opens} x {}@{lands}", kind(holder), kind(lander));
            let sentence =
                format!("{lander} passed {lands} inside {holder}'s {name}, which excludes it; no damage was seen");
            self.report("exclusive-window", pulse.step(), Finding { race, sentence });
        }
    }

    /// The findings, in the order in which they were made.
    pub fn take_violations(&self) -> Vec<Violation> {
        std::mem::take(&mut self.violations.borrow_mut())
    }

    /// What every oracle may look at.
    fn view<'a>(&self, history: &'a History, pulse: &'a Pulse<'a>) -> View<'a> {
        View {
            history,
            saving: None,
            answer: None,
            published: None,
            owners: None,
            closing: None,
            usage: None,
            locks: LockFacts::default(),
            state_holder: pulse.holder(STATE_LOCK),
            tasks: pulse,
            steps: pulse.step(),
            steps_max: self.steps_max,
            unfinished: &[],
            refreshes_waiting: 0,
        }
    }

    fn ask(&self, when: When, view: &View<'_>) {
        for oracle in asked_at(when) {
            if let Some(finding) = (oracle.check)(view) {
                self.report(oracle.name, view.steps, finding);
            }
        }
    }

    #[cold]
    fn report(&self, oracle: &str, step: u64, Finding { race, sentence }: Finding) {
        let mut violations = self.violations.borrow_mut();
        if !violations.iter().any(|violation| violation.oracle == oracle) {
            violations.push(Violation { oracle: oracle.to_string(), step, race, sentence });
        }
    }
}
