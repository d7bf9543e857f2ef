//! Reports: pure functions of records, and how they are judged. What repeats (`result`) is kept apart from what was
//! measured.

mod words;

use crate::command::ENGINE;
use crate::scenario::Scenario;
use crate::shell::quoted;
use segment_sim::record::{Group, SiteTally, Tally, WindowTally};
use segment_sim::strategy::Strategy;
use segment_sim::sweep::Range;
use segment_sim::verdict::Verdict;
use segment_sim::vocabulary::WINDOWS;
use segment_sim::window::Window;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Of the seeds of a sweep, the share in which a task must arrive at each exclusive window of the scenario: 5/100.
pub const ARRIVALS_FLOOR_PERCENT: u64 = 5;

/// Of the seeds of a sweep, the share in which something must land in each optimistic window of the scenario: 1/100.
pub const LANDINGS_FLOOR_PERCENT: u64 = 1;

/// Crashes at each usual kind of site, of a scenario whose crashes are aimed at all of them: 1 in 1,000 seeds.
pub const CRASHES_FLOOR_OF: u64 = 1000;

/// A kind of site is usual if this share of the seeds comes to it: 1/100.
const USUAL_SITE_PERCENT: u64 = 1;

/// Of the seeds of a sweep, the share in which everything must happen that a scenario is to show: 1/100.
const HAPPENED_FLOOR_PERCENT: u64 = 1;

/// Fewer seeds than this say nothing about crashes at a kind of site. And of fewer, chance may take a share under its floor: by
/// three standard deviations, it has not.
const FULL_SEEDS: u64 = 20_000;

/// Fewer seeds than this say nothing about a share.
pub const FLOOR_SEEDS_MIN: u64 = 200;

/// Groups of failures that are printed, and made small, the largest ones.
pub const GROUPS_MAX: usize = 12;

/// Of fewer seeds chance alone may leave a floor of 1 % without any.
const ONE_PERCENT_SEEDS_MIN: u64 = 901;

/// The version of the form.
const FORMAT: u32 = 2;

/// What is written to `--report`; `docs/reports.md` describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this form: 2.
    pub format: u32,
    /// The hash of the engine's sources.
    pub engine: String,
    /// The worst of the sweeps, and at least VOID where not all of them were made.
    pub verdict: Verdict,
    /// Why it is VOID besides what the sweeps say.
    pub void: Vec<String>,
    /// One for each scenario that was swept.
    pub sweeps: Vec<SweepRecord>,
}

/// One scenario's sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepRecord {
    /// What repeats exactly.
    pub result: SweepResult,
    /// What does not.
    pub measured: Measured,
}

/// The repeatable part: the same first seed and as many of them give the same on any machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepResult {
    /// The scenario.
    pub scenario: String,
    /// The first seed.
    pub from: u64,
    /// How many seeds it came to; fewer in the tally were interrupted.
    pub seeds: u64,
    /// The strategy of every seed; nothing is the portfolio.
    pub strategy: Option<Strategy>,
    /// The verdict, and why when it is VOID.
    pub verdict: Verdict,
    /// Why it is VOID.
    pub void: Vec<String>,
    /// What so few seeds say nothing about, and which number would.
    #[serde(default)]
    pub not_judged: Vec<String>,
    /// The runs, added up.
    pub tally: Tally,
    /// Its windows, by name.
    pub windows: BTreeMap<String, WindowTally>,
    /// The failures by kind, the most frequent first.
    pub failures: Vec<Failure>,
}

/// Failures of one kind, and how the first of them is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What failed, and how often.
    #[serde(flatten)]
    pub group: Group,
    /// The file of the plan of its seed.
    pub plan: String,
    /// The command that makes this plan small.
    pub shrink: String,
    /// The command that repeats its seed.
    pub replay: String,
    /// What is left of the plan, where it was made small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shrunk: Option<Small>,
}

/// A failure whose plan was made small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Small {
    /// The file of the small plan.
    pub plan: String,
    /// What raced with what in it, and what was wrong then: by the same oracle, and perhaps another race of the same kind.
    pub sentence: String,
    /// The command that draws it.
    pub explain: String,
    /// The command that repeats it.
    pub replay: String,
}

/// What a failure is repeated with.
#[derive(Clone, Copy, Debug)]
pub struct Repeat<'a> {
    /// The program, as it is called in a shell.
    pub program: &'a str,
    /// Where plans are.
    pub plans: &'a Path,
}

/// The part that differs from machine to machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Seconds on the clock.
    pub wall_seconds: f64,
    /// Seconds of CPU, over all threads.
    pub cpu_seconds: f64,
    /// Threads.
    pub jobs: usize,
}

impl Report {
    /// Of nothing yet: it is to be judged.
    pub fn new() -> Report {
        Report {
            format: FORMAT,
            engine: ENGINE.to_string(),
            verdict: Verdict::Void,
            void: Vec::new(),
            sweeps: Vec::new(),
        }
    }

    /// Runs, over all scenarios.
    pub fn runs(&self) -> u64 {
        self.sweeps.iter().map(|record| record.result.tally.runs).sum()
    }

    /// Those of them that failed.
    pub fn failed(&self) -> u64 {
        self.sweeps.iter().map(|record| record.result.tally.failed).sum()
    }

    /// That it ends with the last of its failures, and what that leaves out of so many `scenarios` of so many `seeds`;
    /// nothing where it leaves out nothing.
    pub fn stopped(&self, seeds: u64, scenarios: usize) -> Option<String> {
        let left = scenarios - self.sweeps.len();
        let is_whole = left == 0 && self.sweeps.last().is_some_and(|record| record.result.seeds == seeds);
        let others = if left > 0 { format!(", {left} of {scenarios} scenarios not begun") } else { String::new() };
        (!is_whole).then(|| format!("stopped after {}{others}", counted(self.failed(), "failure")))
    }

    /// Takes in how it stands: why not all that was asked for is in it, if it is not.
    pub fn judge(&mut self, void: Option<String>) {
        self.void = void.into_iter().collect();
        let worst = self.sweeps.iter().map(|record| record.result.verdict).max().unwrap_or(Verdict::Void);
        self.verdict = if self.void.is_empty() { worst } else { worst.max(Verdict::Void) };
    }
}

impl Default for Report {
    fn default() -> Report {
        Report::new()
    }
}

impl SweepResult {
    /// Judges a tally of the seeds that a sweep came to; `asked` is how many it was to come to, where that was said.
    pub fn judge(
        scenario: &Scenario,
        Range { from, seeds, .. }: Range,
        asked: Option<u64>,
        strategy: Option<Strategy>,
        mut tally: Tally,
        repeat: Repeat<'_>,
    ) -> SweepResult {
        let names = WINDOWS.iter().map(|window| window.name.to_string());
        let windows: BTreeMap<String, WindowTally> = names.zip(std::mem::take(&mut tally.windows)).collect();
        let groups = std::mem::take(&mut tally.groups);
        let mut failures: Vec<Failure> =
            groups.into_values().map(|group| Failure::of(group, scenario.name, strategy, repeat)).collect();
        failures.sort_by_key(|Failure { group, .. }| (std::cmp::Reverse(group.runs), group.seed));
        let mut void: Vec<String> = segment_sim::oracle::broken()
            .into_iter()
            .map(|oracle| format!("the oracle {oracle} accepts its bad state or rejects the good one"))
            .collect();
        if tally.runs < seeds {
            let of = asked.map(|asked| format!(" of {}", grouped(asked))).unwrap_or_default();
            void.push(format!("interrupted after {}{of} seeds", grouped(tally.runs)));
        }
        if let Some(seed) = tally.unrepeatable.first() {
            let count = tally.unrepeatable.len();
            void.push(format!("{count} of {} runs did not repeat, the first is seed {seed}", grouped(tally.repeated)));
        }
        let is_judged = tally.runs >= FLOOR_SEEDS_MIN;
        for name in scenario.must_happen.iter().filter(|_| is_judged) {
            if is_under(tally.happened(name), tally.runs, HAPPENED_FLOOR_PERCENT) {
                void.push(format!("{name} in fewer than 1 of 100 seeds"));
            }
        }
        for (window, sum) in named(&windows) {
            if is_judged
                && scenario.windows.contains(&window.name)
                && is_under(sum.arrived, tally.runs, ARRIVALS_FLOOR_PERCENT)
            {
                let share = percent(sum.arrived, tally.runs);
                void.push(format!(
                    "a task arrived at the window {} in {share} of the seeds, under the floor of {ARRIVALS_FLOOR_PERCENT} %",
                    window.name
                ));
            }
        }
        for (window, sum) in named(&windows) {
            let is_floor = is_judged && scenario.landings.contains(&window.name);
            if is_floor && is_under(sum.landed, tally.runs, LANDINGS_FLOOR_PERCENT) {
                void.push(format!(
                    "something landed in the window {} in {} of the seeds, under the floor of {LANDINGS_FLOOR_PERCENT} %",
                    window.name,
                    percent(sum.landed, tally.runs)
                ));
            }
        }
        let aimed_at =
            |site: &SiteTally| tally.runs >= FULL_SEEDS && scenario.crashes_midway() && is_usual(site, &tally);
        for (name, site) in tally.crash_sites.iter().filter(|(_, site)| aimed_at(site)) {
            if site.crashes * CRASHES_FLOOR_OF < tally.runs {
                void.push(format!("{} crashes at {name}, fewer than 1 in {CRASHES_FLOOR_OF} seeds", site.crashes));
            }
        }
        let mut not_judged = Vec::new();
        if !is_judged {
            not_judged.push(format!("floors, under {FLOOR_SEEDS_MIN} seeds"));
        } else if !is_under(0, tally.runs, HAPPENED_FLOOR_PERCENT) {
            not_judged.push(format!("floors of {HAPPENED_FLOOR_PERCENT} %, under {ONE_PERCENT_SEEDS_MIN} seeds"));
        }
        if is_judged && scenario.crashes_midway() && tally.runs < FULL_SEEDS {
            not_judged.push(format!("crashes at each usual site, under {} seeds", grouped(FULL_SEEDS)));
        }
        let verdict = match (tally.failed, void.is_empty()) {
            (0, true) => Verdict::Pass,
            (0, false) => Verdict::Void,
            _ => Verdict::Fail,
        };
        SweepResult {
            scenario: scenario.name.to_string(),
            from,
            seeds,
            strategy,
            verdict,
            void,
            not_judged,
            tally,
            windows,
            failures,
        }
    }
}

impl Failure {
    fn of(group: Group, scenario: &str, strategy: Option<Strategy>, repeat: Repeat<'_>) -> Failure {
        let Repeat { program, plans } = repeat;
        let plan = plan_path(plans, scenario, group.seed, strategy);
        let given = strategy.map(|strategy| format!(" --strategy {}", strategy.name())).unwrap_or_default();
        Failure {
            plan: plan.to_string_lossy().into_owned(),
            shrink: format!("{program} shrink {}", quoted(&plan)),
            replay: format!("{program} replay {scenario} {}{given}", group.seed),
            group,
            shrunk: None,
        }
    }

    /// What to do with it next; the last repeats it.
    pub fn commands(&self) -> [&str; 2] {
        match &self.shrunk {
            Some(Small { explain, replay, .. }) => [explain, replay],
            None => [&self.shrink, &self.replay],
        }
    }
}

/// Windows in the order of the vocabulary, each with its sum.
fn named(windows: &BTreeMap<String, WindowTally>) -> impl Iterator<Item = (&'static Window, &WindowTally)> {
    WINDOWS.iter().filter_map(|window| Some((window, windows.get(window.name)?)))
}

/// Whether so many of the runs are under a floor, and not only by chance where the runs are few.
fn is_under(count: u64, runs: u64, floor_percent: u64) -> bool {
    let least = (floor_percent * runs) as f64 / 100.0;
    let chance = if runs < FULL_SEEDS { 3.0 * least.sqrt() } else { 0.0 };
    (count as f64) < least - chance
}

/// Whether so many runs came to this kind of site that crashes at it have a floor.
fn is_usual(site: &SiteTally, tally: &Tally) -> bool {
    site.runs * 100 >= USUAL_SITE_PERCENT * tally.runs
}

/// Where the plan of a seed is: by each strategy it is another plan.
pub fn plan_path(plans: &Path, scenario: &str, seed: u64, strategy: Option<Strategy>) -> PathBuf {
    let strategy = strategy.map(|strategy| format!("-{}", strategy.name())).unwrap_or_default();
    plans.join(format!("{scenario}{strategy}-{seed}.json"))
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of a thing that has an ordinary plural.
pub fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A share in percent, with one decimal.
pub fn percent(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1000).checked_div(u128::from(whole)).unwrap_or(0);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// A mean, with one decimal.
fn ratio(sum: u64, count: u64) -> String {
    let tenths = (u128::from(sum) * 10).checked_div(u128::from(count)).unwrap_or(0);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1234567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1, 1000].map(|number| counted(number, "thread")), ["0 threads", "1 thread", "1,000 threads"]);
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(0, 0), "0.0 %");
        assert_eq!(ratio(5, 2), "2.5");
    }

    #[test]
    fn a_floor_is_missed_by_more_than_chance_or_of_many_seeds() {
        let is_under = |count, runs| is_under(count, runs, 1);
        assert!(is_under(199, FULL_SEEDS) && !is_under(200, FULL_SEEDS));
        assert!(is_under(0, 1000) && !is_under(1, 1000), "3 of 10 is chance");
        assert!(is_under(57, 10_000) && !is_under(70, 10_000));
        let least = ONE_PERCENT_SEEDS_MIN;
        assert!(is_under(0, least) && !is_under(0, least - 1), "too few seeds to miss 9 of them");
    }
}
