//! The lives of a process in one run: conduct, crash, look, open again.

use super::{Life, Reopen, Setting, Stage};
use crate::conductor::{Proceed, Pulse, Role};
use crate::decision::{Decisions, Question};
use crate::history::{Answer, History};
use crate::interference::Kind;
use crate::plan::{CrashKind, Moment, Schedule};
use crate::site::{CLOSE, OPEN, numbered};
use crate::watch::Seen;
use madsim::rand::{Rng, thread_rng};
use segment_engine::usage::Owners;
use segment_engine::{Limits, Result, SegmentId};
use std::sync::Arc;

impl Stage {
    /// One life of the process after the other.
    pub(super) fn live(&self, schedule: &Schedule, setting: &Setting, reopen: Option<&Reopen>) -> Result<()> {
        let conductor = &self.env.parts.conductor;
        let mut number = 0;
        loop {
            let planned = schedule.crashes.get(number);
            let ends_alone = planned.is_some_and(|crash| crash.at == Moment::CallersGone);
            self.conduct(setting.steps_max, ends_alone);
            if self.is_cut_off() {
                return Ok(());
            }
            if conductor.look(|pulse| pulse.is_joined()) {
                // nobody has looked whether anything is left to do; but a state says nothing of windows
                conductor.look(|pulse| self.watch.intruded(pulse));
                return Ok(());
            }
            let is_too_long = conductor.look(|pulse| pulse.step() > setting.steps_max);
            let mut crashed = conductor.look(|pulse| pulse.crashed());
            if crashed.is_none() {
                let is_alone = ends_alone && !is_too_long && conductor.look(|pulse| self.is_alone(pulse));
                if is_alone {
                    conductor.look(|pulse| self.watch.task_panics(pulse));
                } else {
                    self.drained(None);
                }
                if let Some(kind) = planned.filter(|_| !is_too_long).map(|crash| crash.kind) {
                    if kind == CrashKind::Close {
                        self.close(number, setting.steps_max);
                    }
                    // the plan may end it in the middle of its close
                    crashed = conductor.look(|pulse| pulse.crashed()).or_else(|| {
                        conductor.kill(kind, if is_alone { Moment::CallersGone } else { Moment::Idle });
                        Some(kind)
                    });
                }
            }
            let (Some(kind), Some(reopen)) = (crashed, reopen) else {
                return Ok(());
            };
            self.leave();
            number += 1;
            let life = setting.lives.get(number - 1);
            let limits = life.map_or(setting.limits, |life| life.limits);
            self.crash(kind, schedule.seed, number, limits, life)?;
            conductor.revive();
            let label = numbered(None, OPEN, number as u32);
            conductor.adopt(label, Role::Worker, reopen(self.clone(), number));
        }
    }

    /// Closes the engine, in a task.
    fn close(&self, number: usize, steps_max: u64) {
        let engine = self.engine.borrow_mut().take();
        // a caller that has not ended keeps it open, and progress has told of that
        if let Some(engine) = engine.and_then(Arc::into_inner) {
            self.watch.history().borrow_mut().evictor.is_closing = true;
            let closing = engine.owners();
            let teller = self.teller();
            let label = numbered(None, CLOSE, number as u32 + 1);
            self.env.parts.conductor.adopt(label, Role::Worker, async move {
                let closed = engine.close().await;
                teller.tell(closed.map_or_else(|error| Answer::failed(&error), |()| Answer::Closed));
            });
            self.conduct(steps_max, false);
            if self.env.parts.conductor.look(|pulse| pulse.crashed().is_none()) {
                self.drained(Some(&closing));
            }
        }
    }

    /// Conducts until nothing can go on, the process ends, the run is cut off, or, if it `ends_alone`, all callers are gone.
    fn conduct(&self, steps_max: u64, ends_alone: bool) {
        let (watch, ring, engine) = (self.watch.clone(), self.ring.clone(), self.engine.clone());
        let mut seen = Seen::default();
        let keeps_lineage = watch.keeps_lineage();
        let between = move |pulse: Pulse<'_>| {
            // a load after each step is too little to be measured
            if pulse.crashed().is_some() || self.is_cut_off() {
                return Proceed::Stop;
            }
            seen.look(ring.borrow_mut().as_deref());
            if keeps_lineage {
                watch.see(pulse, seen.published());
            }
            watch.after_step(&mut seen, pulse, || Some(engine.borrow_mut().as_ref()?.owners()));
            let is_over = pulse.step() > steps_max || ends_alone && self.is_alone(pulse);
            if is_over { Proceed::Stop } else { Proceed::On }
        };
        self.env.parts.conductor.conduct(between, |woken| thread_rng().gen_range(0..woken));
    }

    /// Whether the engine is open and left to itself.
    fn is_alone(&self, pulse: Pulse<'_>) -> bool {
        self.engine.borrow_mut().is_some() && pulse.are_callers_gone()
    }

    /// Nothing can go on; of an engine that was `closing`, whose the bytes were as that began.
    fn drained(&self, closing: Option<&[(SegmentId, Owners)]>) {
        let engine = self.engine.borrow_mut().clone();
        let owners = engine.as_ref().map(|engine| engine.owners());
        let usage = engine.as_ref().map(|engine| engine.usage());
        let waiting = engine.as_ref().map_or(0, |engine| engine.refreshes_waiting());
        drop(engine);
        let ring = self.ring.borrow_mut().as_ref().map(|ring| ring.snapshot());
        self.env.parts.conductor.look(|pulse| self.watch.drained(pulse, ring, owners, closing, usage, waiting));
    }

    /// The process is gone: disk and catalog keep what survives that, and the oracles look at it.
    fn crash(&self, kind: CrashKind, seed: u64, life: usize, limits: Limits, next: Option<&Life>) -> Result<()> {
        let parts = &self.env.parts;
        let decisions = Decisions::new(seed, "crash");
        let draw = |change: u64| decisions.draw(Question::Value, (life as u64) << 32 | change);
        {
            let mut history = self.watch.history().borrow_mut();
            let History { files, interference, .. } = &mut *history;
            files.close_all();
            if kind != CrashKind::Kill {
                files.lose_power(draw, interference);
            }
        }
        self.watch.set_limits(limits.ring);
        self.watch.history().borrow_mut().limit(&limits);
        let survived = parts.catalog.crash(kind, decisions.draw(Question::Outlive, life as u64))?;
        if let Some(Ok(record)) = &survived.saved {
            let mut history = self.watch.history().borrow_mut();
            let members = record.ring.members();
            let (lost, cut) = next.map_or((&[][..], &[][..]), |life| (&life.lost, &life.cut));
            let count = members.len().max(1);
            for &(place, length) in cut {
                if let Some(member) = members.iter().rev().nth(place as usize % count) {
                    history.cut_file(member.segment, length.into(), &survived.rows);
                }
            }
            for member in lost.iter().filter_map(|place| members.get(*place as usize % count)) {
                if history.files.contains(member.segment) {
                    history.files.destroy(member.segment);
                    history.files_lost.insert(member.segment);
                    history.interference.add(Kind::LostFile, 1);
                }
            }
        }
        parts.conductor.look(|pulse| {
            self.watch.crashed(pulse, survived);
            self.watch.see(pulse, None);
        });
        Ok(())
    }

    /// Lets go of the engine.
    pub(super) fn leave(&self) {
        self.ring.borrow_mut().take();
        self.engine.borrow_mut().take();
    }
}
