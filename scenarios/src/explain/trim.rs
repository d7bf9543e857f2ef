//! A long run made short enough for a page: what is far from its race is left out.

use super::lanes::Moment;
use super::spans::Span;
use super::twin::Twin;
use super::{Explained, Told};
use std::collections::{BTreeMap, BTreeSet};

/// Steps around the race that stay, from many to none.
const REACHES: [u64; 6] = [4000, 1000, 300, 100, 30, 0];

/// It with as much left out as it takes to make `size` at most `bytes_max`, which is as little as possible.
pub fn fitted(explained: &Explained, bytes_max: usize, size: impl Fn(&Explained) -> usize) -> Explained {
    let mut short = explained.clone();
    for reach in REACHES {
        if size(&short) <= bytes_max {
            break;
        }
        let (run, places) = trimmed(&explained.run, reach);
        short.run = run;
        if let Twin::Beside { without, run, parts_at } = &explained.twin {
            let (run, twin_places) = trimmed(run, reach);
            let parts_at = (nearest(&places, parts_at.0), nearest(&twin_places, parts_at.1));
            short.twin = Twin::Beside { without: without.clone(), run: Box::new(run), parts_at };
        }
    }
    short
}

/// A run with what is within so many steps of its race, and the new places of its moments by the old ones.
fn trimmed(told: &Told, reach: u64) -> (Told, BTreeMap<usize, usize>) {
    let race: Vec<u64> = told.moments.iter().filter(|moment| moment.is_race).map(|moment| moment.step).collect();
    let is_near = |step: u64| {
        let place = race.partition_point(|near| *near < step);
        let near = race.get(place).into_iter().chain(place.checked_sub(1).and_then(|before| race.get(before)));
        near.copied().any(|near| near.abs_diff(step) <= reach) || (race.is_empty() && step <= reach)
    };
    let mut saves = BTreeMap::new();
    let mut short = Told { saves: Vec::new(), moments: Vec::new(), ..told.clone() };
    for (place, save) in told.saves.iter().enumerate() {
        if is_near(save.step) || place + 1 == told.saves.len() {
            saves.insert(place, short.saves.len());
            short.saves.push(save.clone());
        }
    }
    let mut places = BTreeMap::new();
    for (place, moment) in told.moments.iter().enumerate().filter(|(_, moment)| is_near(moment.step)) {
        places.insert(place, short.moments.len());
        let save = moment.save.and_then(|save| saves.get(&save).copied());
        short.moments.push(Moment { save, ..moment.clone() });
    }
    short.left_out = told.moments.len() - short.moments.len();
    short.spans.retain(|Span { from, to, .. }| is_near(*from) || is_near(*to));
    short.seen.retain(|seen| is_near(seen.step));
    let about: BTreeSet<u64> = short.moments.iter().flat_map(|moment| &moment.segments).copied().collect();
    short.segments.retain(|segment| about.contains(&segment.number) || segment.first_illegal().is_some());
    (short, places)
}

fn nearest(places: &BTreeMap<usize, usize>, place: usize) -> usize {
    places.range(place..).next().or(places.range(..place).next_back()).map_or(0, |(_, place)| *place)
}

#[cfg(test)]
mod tests {
    use super::super::FORMAT;
    use super::*;
    use segment_sim::verdict::Verdict;

    fn moment(step: u64) -> Moment {
        Moment {
            step,
            site: format!("put#1@RingWanted:{step}"),
            point: "RingWanted".to_string(),
            is_race: step == 30_000,
            ..Moment::default()
        }
    }

    #[test]
    fn of_a_run_that_is_too_long_the_race_stays_and_what_is_around_it() {
        let run = Told { steps: 60_000, moments: (0..60_000).map(moment).collect(), ..Told::default() };
        let explained = Explained {
            format: FORMAT,
            engine: String::new(),
            scenario: String::new(),
            seed: 0,
            verdict: Verdict::Fail,
            sentence: String::new(),
            command: String::new(),
            plan: Vec::new(),
            unreached: Vec::new(),
            run: run.clone(),
            twin: Twin::Beside { without: String::new(), run: Box::new(run), parts_at: (30_000, 10) },
        };
        let size = |explained: &Explained| serde_json::to_string(explained).unwrap().len();
        let bytes_max = 1_000_000;
        assert!(size(&explained) > bytes_max);
        let short = fitted(&explained, bytes_max, size);
        assert!(size(&short) <= bytes_max, "{}", size(&short));
        assert_eq!(short.run.moments.len() + short.run.left_out, 60_000);
        assert!(short.run.moments.len() > 1000 && short.run.moments.iter().any(|moment| moment.is_race));
        let Twin::Beside { parts_at, .. } = &short.twin else { panic!("it had a twin") };
        assert_eq!((short.run.moments[parts_at.0].step, parts_at.1), (30_000, 0));
        assert_eq!(fitted(&explained, usize::MAX, size), explained);
    }
}
