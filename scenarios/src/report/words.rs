//! The report of a sweep in words.

use super::{Failure, GROUPS_MAX, Measured, Report, SweepResult, counted, grouped, is_usual, named, percent, ratio};
use crate::confidence;
use segment_sim::record::{Group, Tally};
use std::collections::BTreeMap;
use std::fmt::Write;

impl SweepResult {
    /// The report in words, without what was measured.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("writing to a string does not fail");
        text
    }

    /// The report in a line, and in others why it is VOID, and what is not judged.
    pub fn brief(&self) -> String {
        let Tally { runs, failed, .. } = self.tally;
        let (seeds, failed) = (counted(runs, "seed"), grouped(failed));
        let line = format!("{:<28}{}  {seeds}, {failed} failed\n", self.scenario, self.verdict.word());
        line + &self.reasons()
    }

    /// Why it is VOID, and what is not judged.
    fn reasons(&self) -> String {
        let not_judged = self.not_judged.iter().map(|what| format!("  not judged: {what}\n"));
        not_judged.chain(self.void.iter().map(|reason| format!("  void: {reason}\n"))).collect()
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let tally = &self.tally;
        writeln!(text, "{}  {}", self.scenario, self.verdict.word())?;
        writeln!(
            text,
            "  {} from {}: {} failed; {} run twice, {} differed; fingerprint {:016x}",
            counted(tally.runs, "seed"),
            self.from,
            grouped(tally.failed),
            grouped(tally.repeated),
            tally.unrepeatable.len(),
            tally.fingerprint
        )?;
        writeln!(
            text,
            "  a run: {} sites (at least {}), {} segments joined the ring, {} left it",
            ratio(tally.sites, tally.runs),
            tally.sites_min.unwrap_or(0),
            ratio(tally.joined, tally.runs),
            ratio(tally.departed, tally.runs)
        )?;
        let interference: Vec<String> = tally
            .interference
            .iter()
            .map(|(name, seen)| format!("{name} in {} of the seeds", percent(seen.runs, tally.runs)))
            .collect();
        if !interference.is_empty() {
            writeln!(text, "  {}", interference.join(", "))?;
        }
        self.write_strategies(text)?;
        let confidence = confidence::of_seeds(tally);
        if self.windows.values().any(|window| window.opened > 0) {
            let bound = if confidence.is_some() { "fewer than 1 failure in" } else { "" };
            let line = format!(
                "  {:<18}{:<11}{:>10}{:>11}{:>10}{:>11}{:>10}{bound:>28}",
                "window", "kind", "openings", "arrivals", "in seeds", "landings", "in seeds"
            );
            writeln!(text, "{}", line.trim_end())?;
        }
        for (window, sum) in named(&self.windows).filter(|(_, sum)| sum.opened > 0) {
            let (arrivals, arrived) = match window.wants {
                Some(_) => (grouped(sum.count.arrivals), percent(sum.arrived, tally.runs)),
                None => ("-".to_string(), "-".to_string()),
            };
            let bound = confidence.as_ref().map(|_| confidence::of_window(window, sum)).unwrap_or_default();
            let line = format!(
                "  {:<18}{:<11}{:>10}{arrivals:>11}{arrived:>10}{:>11}{:>10}{bound:>28}",
                window.name,
                window.kind(),
                grouped(sum.count.openings),
                grouped(sum.count.landings),
                percent(sum.landed, tally.runs),
            );
            writeln!(text, "{}", line.trim_end())?;
        }
        write!(text, "{}", confidence.unwrap_or_default())?;
        let crashes: u64 = tally.crash_sites.values().map(|site| site.crashes).sum();
        let usual = tally.crash_sites.iter().filter(|(_, site)| crashes > 0 && is_usual(site, tally));
        if let Some((rarest, least)) = usual.clone().min_by_key(|(_, site)| site.crashes) {
            let (all, usual) = (tally.crash_sites.len(), usual.count());
            writeln!(
                text,
                "  {} crashes in the middle of something, at {usual} usual kinds of sites and {} rare ones; the fewest at a usual \
                 one, {}, at {rarest}",
                grouped(crashes),
                all - usual,
                grouped(least.crashes)
            )?;
        }
        text.push_str(&self.reasons());
        Ok(())
    }

    /// What each strategy has yielded, over all windows.
    fn write_strategies(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "  {:<18}{:>11}{:>10}{:>11}{:>10}{:>11}{:>10}",
            "strategy", "runs", "failed", "arrivals", "in seeds", "landings", "in seeds"
        )?;
        for (strategy, sum) in &self.tally.strategies {
            writeln!(
                text,
                "  {:<18}{:>11}{:>10}{:>11}{:>10}{:>11}{:>10}",
                strategy.name(),
                grouped(sum.runs),
                grouped(sum.failed),
                grouped(sum.arrivals),
                percent(sum.arrived, sum.runs),
                grouped(sum.landings),
                percent(sum.landed, sum.runs),
            )?;
        }
        Ok(())
    }

    /// The failures, each with its sentence and the commands that repeat and shrink it.
    pub fn failures(&self) -> String {
        let mut text = String::new();
        let unseen = self.failures.len().saturating_sub(GROUPS_MAX);
        if unseen > 0 {
            text += &format!("{unseen} smaller groups of failures are left out here; --report keeps them\n");
        }
        for failure in self.failures.iter().take(GROUPS_MAX) {
            self.write_failure(&mut text, failure).expect("writing to a string does not fail");
        }
        text
    }

    fn write_failure(&self, text: &mut String, failure: &Failure) -> std::fmt::Result {
        let Group { runs, oracle, race, seed, strategy, sentence, oracles } = &failure.group;
        writeln!(text, "{oracle}: {race}")?;
        writeln!(
            text,
            "  {} of {} of {}, first seed {seed} of strategy {}",
            grouped(*runs),
            counted(self.tally.runs, "seed"),
            self.scenario,
            strategy.name()
        )?;
        let others: Vec<String> = oracles
            .iter()
            .filter(|(name, _)| *name != oracle)
            .map(|(name, runs)| format!("{name} {}", grouped(*runs)))
            .collect();
        if !others.is_empty() {
            writeln!(text, "  then: {}", others.join(", "))?;
        }
        writeln!(text, "  {sentence}")?;
        if let Some(small) = &failure.shrunk {
            writeln!(text, "  made small: {}", small.sentence)?;
        }
        let [next, repeat] = failure.commands();
        writeln!(text, "  {next}\n  {repeat}")
    }
}

impl Report {
    /// The kinds of failures over all scenarios, the one that most of them have first: one bug may fail in many. Nothing
    /// where each kind is of one scenario.
    pub fn kinds(&self) -> String {
        let mut kinds: BTreeMap<(&str, &str), (usize, u64)> = BTreeMap::new();
        let failures: Vec<&Failure> = self.sweeps.iter().flat_map(|record| &record.result.failures).collect();
        for Failure { group, .. } in &failures {
            let (scenarios, runs) = kinds.entry((&group.oracle, &group.race)).or_default();
            (*scenarios, *runs) = (*scenarios + 1, *runs + group.runs);
        }
        if kinds.len() == failures.len() {
            return String::new();
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut text = format!("the kinds of failures, over all scenarios: {}\n", grouped(kinds.len() as u64));
        for ((oracle, race), (scenarios, runs)) in kinds.into_iter().take(GROUPS_MAX) {
            let (scenarios, runs) = (counted(scenarios as u64, "scenario"), counted(runs, "run"));
            text += &format!("  {scenarios:<13}{runs:>15}  {oracle}: {race}\n");
        }
        text
    }
}

impl Measured {
    /// The measured part in words.
    pub fn text(&self, tally: &Tally) -> String {
        format!(
            "  {} runs/s, {} points per CPU second; {:.1} s on {}; {}\n",
            grouped((tally.runs as f64 / self.wall_seconds.max(1e-9)) as u64),
            grouped((tally.sites as f64 / self.cpu_seconds.max(1e-9)) as u64),
            self.wall_seconds,
            counted(self.jobs as u64, "thread"),
            confidence::longer(self.wall_seconds)
        )
    }
}
