//! What a value that many change at once may be: a pure value, in which nothing waits.
//!
//! Every change has a begin and, if it was told, an end; it takes effect at one moment in between, or, if how it ended is
//! unknown, perhaps never. A change is over and done with once one that surely took effect began after its end.

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It took effect.
    Done,
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
    is_sure: bool,
}

impl<T> Register<T> {
    /// This value is there, and nothing is under way.
    pub fn settled(value: T) -> Register<T> {
        Register { entries: vec![Entry { operation: 0, value, begun: 0, ended: Some(0), is_sure: true }] }
    }

    /// A change begins. `now` never falls and is above 0; `operation` is above 0 and used once.
    pub fn begin(&mut self, operation: u64, value: T, now: u64) {
        self.entries.push(Entry { operation, value, begun: now, ended: None, is_sure: false });
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
        self.entries[at].is_sure = end == End::Done;
        let sure = self.entries.iter().filter(|entry| entry.is_sure).map(|entry| entry.begun).max().unwrap_or(0);
        self.entries.retain(|entry| entry.ended.is_none_or(|ended| ended >= sure));
    }

    /// Whoever changed it is dead: what has not ended now has, nobody knows how.
    pub fn cut(&mut self, now: u64) {
        for entry in &mut self.entries {
            entry.ended.get_or_insert(now);
        }
    }

    /// What may be there.
    pub fn possible(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|entry| &entry.value)
    }

    /// The value whose change was the last to end, of those that surely took effect.
    pub fn last_sure(&self) -> Option<&T> {
        let sure = self.entries.iter().filter(|entry| entry.is_sure);
        sure.max_by_key(|entry| entry.ended).map(|entry| &entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A change: begin, length, when within it takes effect, whether its end is told.
    type Change = (u64, u64, u64, bool);

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
