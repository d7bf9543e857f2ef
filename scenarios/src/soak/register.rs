//! What a value that many change at once may be: a pure value, in which nothing waits.
//!
//! Every change has a begin and, if it was told, an end; it takes effect at one moment in between, or, if how it ended is
//! unknown, perhaps never. A change is over and done with once one that surely took effect began after its end. A power loss
//! may undo what is not durable, the last change first: then a change is over only once a durable one began after its end.

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It took effect, and a power loss may undo it.
    Done,
    /// It took effect, and nothing undoes it.
    Durable,
    /// It did not.
    Nothing,
    /// It did or it did not, before this end.
    Unknown,
}

/// The values that may be there now.
#[derive(Clone, Debug)]
pub struct Register<T> {
    entries: Vec<Entry<T>>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    operation: u64,
    value: T,
    begun: u64,
    ended: Option<u64>,
    effect: Effect,
}

/// Whether a change took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    Unknown,
    Sure,
    Durable,
}

impl<T> Register<T> {
    /// This value is there, and nothing is under way.
    pub fn settled(value: T) -> Register<T> {
        Register { entries: vec![Entry { operation: 0, value, begun: 0, ended: Some(0), effect: Effect::Durable }] }
    }

    /// A change begins. `now` never falls and is above 0; `operation` is above 0 and used once.
    pub fn begin(&mut self, operation: u64, value: T, now: u64) {
        self.entries.push(Entry { operation, value, begun: now, ended: None, effect: Effect::Unknown });
    }

    /// The change ends; one that has not begun is none.
    pub fn end(&mut self, operation: u64, end: End, now: u64) {
        let Some(at) = self.entries.iter().position(|entry| entry.operation == operation && entry.ended.is_none())
        else {
            return;
        };
        if end == End::Nothing {
            self.entries.remove(at);
            return;
        }
        self.entries[at].ended = Some(now);
        self.entries[at].effect = match end {
            End::Durable => Effect::Durable,
            End::Done => Effect::Sure,
            End::Nothing | End::Unknown => Effect::Unknown,
        };
        self.forget();
    }

    /// Changes that took effect and ended before `since` are durable.
    pub fn sync(&mut self, since: u64) {
        for entry in &mut self.entries {
            if entry.effect == Effect::Sure && entry.ended.is_some_and(|ended| ended < since) {
                entry.effect = Effect::Durable;
            }
        }
        self.forget();
    }

    /// Whoever changed it is dead: what has not ended now has, nobody knows how.
    pub fn cut(&mut self, now: u64) {
        for entry in &mut self.entries {
            entry.ended.get_or_insert(now);
        }
    }

    /// The same, and the power was lost: what is not durable may be undone.
    pub fn lose(&mut self, now: u64) {
        self.cut(now);
        for entry in &mut self.entries {
            if entry.effect == Effect::Sure {
                entry.effect = Effect::Unknown;
            }
        }
    }

    /// What may be there.
    pub fn possible(&self) -> impl Iterator<Item = &T> {
        let last = self.last_begin(Effect::Sure);
        self.entries.iter().filter(move |entry| entry.may_follow(last)).map(|entry| &entry.value)
    }

    /// The value whose change was the last to end, of those that surely took effect.
    pub fn last_sure(&self) -> Option<&T> {
        let sure = self.entries.iter().filter(|entry| entry.effect >= Effect::Sure);
        sure.max_by_key(|entry| entry.ended).map(|entry| &entry.value)
    }

    /// Forgets what cannot come back any more, not even by a power loss.
    fn forget(&mut self) {
        let last = self.last_begin(Effect::Durable);
        self.entries.retain(|entry| entry.may_follow(last));
    }

    /// The last begin of a change that has this effect, or a stronger one.
    fn last_begin(&self, effect: Effect) -> u64 {
        self.entries.iter().filter(|entry| entry.effect >= effect).map(|entry| entry.begun).max().unwrap_or(0)
    }
}

impl<T> Entry<T> {
    /// Whether it may take effect after a change that began then.
    fn may_follow(&self, begun: u64) -> bool {
        self.ended.is_none_or(|ended| ended >= begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A change: begin, length, when within it takes effect, whether its end is told.
    type Change = (u64, u64, u64, bool);

    /// Changes, the moment of the power loss, that of the last sync before it, and how many unsynced effects survive.
    fn lost() -> impl Strategy<Value = (Vec<Change>, u64, u64, usize)> {
        (changes(), 1u64..80, 0u64..80, 0usize..12)
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        proptest::collection::vec((1u64..60, 0u64..20, 0u64..20, any::<bool>()), 0..12)
    }

    /// The register after all of it, and the value that is really there. Two steps of time for each of the test's, so
    /// that effects are never at a begin or an end.
    fn played(changes: &[Change]) -> (Register<usize>, usize) {
        let mut events = Vec::new();
        let mut actual = (0, 0);
        for (at, &(begin, length, effect, told)) in changes.iter().enumerate() {
            let moment = 4 * (begin + effect.min(length)) + 1;
            events.push((4 * begin, 0, at));
            if told {
                events.push((4 * (begin + length) + 2, 1, at));
            }
            if moment >= actual.0 {
                actual = (moment, at + 1);
            }
        }
        events.sort_unstable();
        let mut register = Register::settled(0);
        for (now, (_, kind, at)) in (1..).zip(events) {
            match kind {
                0 => register.begin(at as u64 + 1, at + 1, now),
                _ => register.end(at as u64 + 1, End::Done, now),
            }
        }
        (register, actual.1)
    }

    proptest! {
        #[test]
        fn what_is_there_is_possible(changes in changes()) {
            let (register, actual) = played(&changes);
            prop_assert!(register.possible().any(|value| *value == actual));
        }

        #[test]
        fn what_ended_before_a_sure_change_began_is_impossible(changes in changes()) {
            let (register, _) = played(&changes);
            for &value in register.possible() {
                let ended = match value.checked_sub(1).map(|at| changes[at]) {
                    None => 0,
                    Some((_, _, _, false)) => continue,
                    Some((begin, length, _, true)) => 4 * (begin + length) + 2,
                };
                let is_over = |&&(begin, _, _, told): &&Change| told && 4 * begin > ended;
                prop_assert_eq!(changes.iter().find(is_over), None, "{} is over", value);
            }
        }
    }

    /// The register after a power loss, and the value that is there then: effects come in order, those before the sync
    /// are durable, and a prefix of the others is left.
    fn lost_in(changes: &[Change], loss: u64, sync: u64, survivors: usize) -> (Register<usize>, usize) {
        let (mut events, mut effects, sync) = (Vec::new(), Vec::new(), 4 * sync.min(loss) + 3);
        for (at, &(begin, length, effect, told)) in changes.iter().enumerate() {
            events.push((4 * begin, 0, at));
            effects.push((4 * (begin + effect.min(length)) + 1, at + 1));
            if told {
                events.push((4 * (begin + length) + 2, 1, at));
            }
        }
        events.push((sync, 2, 0));
        events.sort_unstable();
        effects.sort_unstable();
        let mut register = Register::settled(0);
        for (moment, kind, at) in events.into_iter().filter(|(moment, ..)| *moment < 4 * loss + 4) {
            match kind {
                0 => register.begin(at as u64 + 1, at + 1, moment + 1),
                1 => register.end(at as u64 + 1, End::Done, moment + 1),
                _ => register.sync(moment + 1),
            }
        }
        register.lose(4 * loss + 5);
        let (durable, others): (Vec<_>, Vec<_>) =
            effects.into_iter().filter(|(moment, _)| *moment < 4 * loss + 4).partition(|(moment, _)| *moment < sync);
        let left = durable.into_iter().chain(others.into_iter().take(survivors)).last();
        (register, left.map_or(0, |(_, value)| value))
    }

    proptest! {
        #[test]
        fn what_a_power_loss_leaves_is_possible((changes, loss, sync, survivors) in lost()) {
            let (register, there) = lost_in(&changes, loss, sync, survivors);
            prop_assert!(register.possible().any(|value| *value == there), "{} is there", there);
        }
    }

    #[test]
    fn a_power_loss_undoes_what_no_sync_has_covered_and_nothing_else() {
        let mut register = Register::settled(0);
        for (operation, begun) in [(1, 1), (2, 3), (3, 6)] {
            register.begin(operation, operation, begun);
            register.end(operation, End::Done, begun + 1);
            register.sync(if operation == 2 { 5 } else { 0 });
        }
        assert_eq!(register.possible().collect::<Vec<_>>(), [&3]);
        register.lose(8);
        assert_eq!(register.possible().collect::<Vec<_>>(), [&2, &3]);
        register.begin(4, 4, 9);
        register.end(4, End::Durable, 10);
        register.lose(11);
        assert_eq!(register.possible().collect::<Vec<_>>(), [&4]);
    }

    #[test]
    fn a_dead_process_changes_nothing_any_more() {
        let mut register = Register::settled(0);
        register.begin(1, 1, 1);
        register.cut(2);
        assert_eq!(register.possible().collect::<Vec<_>>(), [&0, &1]);
        register.begin(2, 2, 3);
        register.end(2, End::Done, 4);
        assert_eq!((register.possible().collect::<Vec<_>>(), register.last_sure()), (vec![&2], Some(&2)));
    }

    #[test]
    fn what_was_refused_leaves_no_trace() {
        let mut register = Register::settled(0);
        register.begin(1, 1, 1);
        register.end(1, End::Nothing, 2);
        register.end(7, End::Done, 3);
        assert_eq!(register.possible().collect::<Vec<_>>(), [&0]);
    }
}
