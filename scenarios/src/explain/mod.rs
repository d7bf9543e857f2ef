//! A run explained: a lane for each task, the ring at each save, the lineage of each segment, and beside a failure the run
//! that passes.
//!
//! [`Explained`] is a plain value, made from runs by decisions alone: [`lanes`] and [`spans`] (tasks, moments, waits), [`rings`]
//! (saves as diffs), [`lineage`] and [`class`] (where each segment stands, and whether that is legal), [`race`] (which moments
//! matter), [`twin`] (the plan without its decisive injection). [`trim`] makes a long one short. [`terminal`], [`page`] and
//! [`perfetto`] write it down, and read nothing else.

pub mod class;
pub mod lanes;
pub mod lineage;
pub mod page;
pub mod perfetto;
pub mod race;
pub mod rings;
pub mod spans;
pub mod terminal;
pub mod trim;
pub mod twin;

use lanes::{Lane, Moment};
use lineage::{Seen, Segment};
use rings::Saved;
use segment_sim::verdict::{Verdict, Violation};
use segment_sim::world::{Outcome, Story};
use serde::{Deserialize, Serialize};
use spans::Span;
use twin::Twin;

/// The version of the form that `--json` has.
pub const FORMAT: u32 = 1;

/// A plan's run, and what is beside it; `docs/reports.md` describes it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// The version of this form: 1.
    pub format: u32,
    /// The hash of the engine's sources.
    pub engine: String,
    /// The scenario.
    pub scenario: String,
    /// The seed of the plan.
    pub seed: u64,
    /// The verdict, as a replay gives it.
    pub verdict: Verdict,
    /// What raced with what, and what is wrong since.
    pub sentence: String,
    /// The command that repeats the run.
    pub command: String,
    /// The plan, in a few lines.
    pub plan: Vec<String>,
    /// Sites that the plan names and the run did not come to.
    pub unreached: Vec<String>,
    /// The run.
    pub run: Told,
    /// The run that passes, or why there is none.
    pub twin: Twin,
}

/// One run, as a value that can be drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Steps that it took.
    pub steps: u64,
    /// Moments that are left out, because the run is too long.
    pub left_out: usize,
    /// The hash of its trace.
    pub trace: String,
    /// What the oracles found.
    pub violations: Vec<Violation>,
    /// One for each task, in the order of the spawns.
    pub lanes: Vec<Lane>,
    /// What happened, in order.
    pub moments: Vec<Moment>,
    /// The stretches in which a task was held, waited for a lock, held one, slept, or waited for somebody.
    pub spans: Vec<Span>,
    /// The ring at each save.
    pub saves: Vec<Saved>,
    /// The lineage of each segment.
    pub segments: Vec<Segment>,
    /// What memory, RocksDB and the directory said, each time any of them changed.
    pub seen: Vec<Seen>,
    /// The ends of the process: after which step, and how.
    pub ends: Vec<(u64, String)>,
}

impl Told {
    /// A run with its trace kept.
    pub fn of(outcome: &Outcome, story: &Story) -> Told {
        let saves = rings::saves(story);
        let ends = lanes::ends(story);
        let moments = lanes::moments(story, &saves);
        let steps = outcome.record.sites;
        let was_cut = outcome.record.violations.iter().any(|violation| violation.oracle == "progress");
        let seen = lineage::seen(story);
        let segments = lineage::segments(story, &saves, steps, !was_cut);
        Told {
            steps,
            left_out: 0,
            trace: format!("{:016x}", outcome.record.trace_hash),
            violations: outcome.record.violations.clone(),
            lanes: lanes::lanes(story, &ends),
            spans: spans::spans(story, &ends, steps),
            moments,
            saves,
            segments,
            seen,
            ends,
        }
    }

    /// The label of a lane.
    pub fn label(&self, lane: usize) -> &str {
        self.lanes.get(lane).map_or("the set-up", |lane| lane.label.as_str())
    }
}
