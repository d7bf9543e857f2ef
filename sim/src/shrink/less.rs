//! A plan on a smaller workload: whoever has another name there keeps what the plan does to it.

use crate::plan::{Injection, Moment, Plan, Schedule};
use crate::site::{CLOSE, OPEN, SiteName, name, numbered};
use std::cmp::Ordering;

/// A smaller workload.
pub struct Smaller<W> {
    /// It.
    pub workload: W,
    /// The callers whose labels are others in it, or who are gone.
    pub renamed: Vec<(String, Option<String>)>,
    /// The life of the process that is gone, counted from 0, with the crash that ended it.
    pub life: Option<usize>,
    /// It is one of many that are alike: it is tried on few other seeds.
    pub is_variant: bool,
}

/// The plan on a smaller workload.
pub(super) fn on_less<W: Clone>(plan: &Plan<W>, smaller: &Smaller<W>) -> Plan<W> {
    let mut less = Plan { workload: smaller.workload.clone(), ..plan.clone() };
    let crashes = &mut less.schedule.crashes;
    // a life that no crash comes before never begins, and no crash goes with it
    if let (Some(life), Some(last)) = (smaller.life.filter(|life| *life <= crashes.len()), crashes.len().checked_sub(1))
    {
        crashes.remove(life.min(last)); // nothing ends the last life: what begins it goes
    }
    rename(&mut less.schedule, smaller);
    less
}

/// Gives the sites of renamed tasks their new names; what named one who is gone goes.
fn rename<W>(schedule: &mut Schedule, smaller: &Smaller<W>) {
    let new_name = |site: &SiteName| -> Option<SiteName> {
        let (first, rest) = first_of(&site.task);
        let task = match smaller.renamed.iter().find(|(old, _)| old == first) {
            Some((_, new)) => joined(new.as_ref()?, rest),
            None => smaller.life.map_or_else(|| Some(site.task.clone()), |life| without_life(&site.task, life))?,
        };
        Some(SiteName { task, ..site.clone() })
    };
    let kept = std::mem::take(&mut schedule.injections).into_iter().filter_map(|Injection { site, action }| {
        let action = match action.awaits() {
            Some(until) => action.awaiting(new_name(until)?),
            None => action,
        };
        Some(Injection { site: new_name(&site)?, action })
    });
    schedule.injections = kept.collect();
    for crash in &mut schedule.crashes {
        if let Moment::At(site) = &crash.at {
            crash.at = new_name(site).map_or(Moment::Idle, Moment::At);
        }
    }
}

/// The task that nobody under the conductor has started, and what it has started.
fn first_of(task: &str) -> (&str, Option<&str>) {
    task.split_once('/').map_or((task, None), |(first, rest)| (first, Some(rest)))
}

/// The inverse of [`first_of`].
fn joined(first: &str, rest: Option<&str>) -> String {
    rest.map_or_else(|| first.to_string(), |rest| format!("{first}/{rest}"))
}

/// What a task is called once a life of the process is gone; `None` when it is gone with it. `open#2` opens life 2 and
/// `close#3` closes it. Life 0 is opened outside of every task: what that starts has no number.
fn without_life(task: &str, gone: usize) -> Option<String> {
    let (first, rest) = first_of(task);
    let Some((kind, number)) = first.split_once('#') else {
        return (gone > 0).then(|| task.to_string());
    };
    let number: u32 = number.parse().ok()?;
    let life = match kind {
        OPEN => number,
        CLOSE => number.checked_sub(1)?,
        _ => return Some(task.to_string()),
    };
    match (life as usize).cmp(&gone) {
        Ordering::Less => Some(task.to_string()),
        Ordering::Equal => None,
        Ordering::Greater if kind == OPEN && life == 1 => {
            let (child, rest) = first_of(rest?);
            Some(joined(name(child), rest))
        }
        Ordering::Greater => Some(joined(&numbered(None, kind, number - 1), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_of_later_lives_are_counted_down_when_a_life_goes() {
        let without = |task, gone| without_life(task, gone);
        assert_eq!(without("open#3/sweep#1", 1).as_deref(), Some("open#2/sweep#1"));
        assert_eq!(without("open#3/sweep#1", 3), None);
        assert_eq!(without("open#1/evictor#1", 2).as_deref(), Some("open#1/evictor#1"));
        assert_eq!(without("close#2", 1), None);
        assert_eq!(without("close#2", 0).as_deref(), Some("close#1"));
    }

    #[test]
    fn what_the_first_open_starts_has_no_number_and_goes_with_its_life() {
        assert_eq!(without_life("open#1/refresh#1/sync#2", 0).as_deref(), Some("refresh/sync#2"));
        assert_eq!(without_life("open#1", 0), None);
        assert_eq!(without_life("evictor", 0), None);
        assert_eq!(without_life("evictor", 1).as_deref(), Some("evictor"));
        assert_eq!(without_life("put#1/sync#1", 0).as_deref(), Some("put#1/sync#1"));
    }
}
