//! The ring as a pure value: the live segments, oldest first, in three generations, and the doomed ones.
//!
//! Invariants: generations never get younger along the list; each holds at most its limit; a segment is listed once;
//! the active segment is the last member and never leaves by eviction, only for another. Nothing here reads, writes
//! or waits.

use crate::limits::RingLimits;
use crate::segment::SegmentId;

/// Age class of a member. A segment only ever moves towards `Old`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    /// The next to go.
    Old,
    /// In the middle.
    Current,
    /// The youngest; its last member is the active segment.
    New,
}

/// A live segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which segment.
    pub segment: SegmentId,
    /// Bytes it is counted as.
    pub bytes: u64,
    /// Its age class.
    pub generation: Generation,
}

/// A segment that left the ring and whose file is still to be unlinked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// Which segment.
    pub segment: SegmentId,
    /// Bytes that its unlink will free.
    pub bytes: u64,
}

/// What an eviction of one segment came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// This call moved it to the doomed list; the evictor unlinks it.
    Doomed,
    /// It was not in the ring: never, or no longer.
    NotInRing,
    /// It is the active segment, which is never evicted.
    Active,
}

/// The ring. `push` adds the new active segment, `replace_active` puts it in the place of one that is of no use,
/// `doom` and `doom_oldest_until` move members to the doomed list, `forget` takes unlinked ones off it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    limits: RingLimits,
    members: Vec<Member>,
    doomed: Vec<Doomed>,
}

impl Ring {
    /// A ring without segments.
    ///
    /// # Panics
    /// When a limit is 0.
    pub fn new(limits: RingLimits) -> Ring {
        Ring::from_parts(limits, Vec::new(), Vec::new())
    }

    /// A ring as it was saved. A ring that was saved under larger limits keeps its size until the next push.
    ///
    /// # Panics
    /// When a limit is 0.
    pub fn from_parts(limits: RingLimits, members: Vec<Member>, doomed: Vec<Doomed>) -> Ring {
        assert!(
            limits.old >= 1 && limits.current >= 1 && limits.new >= 1,
            "every generation holds at least one segment"
        );
        Ring { limits, members, doomed }
    }

    /// Adds `segment` as the active one. Each generation that overflows hands its oldest on; what leaves the oldest
    /// generation is doomed.
    ///
    /// # Panics
    /// When the segment is in the ring already: ids are never used twice.
    pub fn push(&mut self, segment: SegmentId, bytes: u64) {
        assert!(self.generation_of(segment).is_none(), "segment {segment} is pushed twice");
        self.members.push(Member { segment, bytes, generation: Generation::New });
        self.age(Generation::New, Generation::Current, self.limits.new);
        self.age(Generation::Current, Generation::Old, self.limits.current);
        let olds = self.members.iter().take_while(|member| member.generation == Generation::Old).count();
        for victim in self.members.drain(..olds.saturating_sub(self.limits.old)) {
            self.doomed.push(Doomed { segment: victim.segment, bytes: victim.bytes });
        }
    }

    /// Puts `segment` in the place of the active one, which is doomed; nobody else leaves, and nobody ages.
    ///
    /// # Panics
    /// When the segment is in the ring already: ids are never used twice.
    pub fn replace_active(&mut self, segment: SegmentId, bytes: u64) {
        assert!(self.generation_of(segment).is_none(), "segment {segment} is pushed twice");
        let replaced = self.members.pop();
        self.doomed.extend(replaced.map(|Member { segment, bytes, .. }| Doomed { segment, bytes }));
        self.members.push(Member { segment, bytes, generation: Generation::New });
    }

    /// Whether the next push dooms a member.
    pub fn is_full(&self) -> bool {
        let count = |generation| self.members.iter().filter(|member| member.generation == generation).count();
        let current = count(Generation::Current) + (count(Generation::New) + 1).saturating_sub(self.limits.new);
        count(Generation::Old) + current.saturating_sub(self.limits.current) > self.limits.old
    }

    /// Moves `segment` from its generation to the doomed list, unless it is the active one.
    pub fn doom(&mut self, segment: SegmentId) -> Eviction {
        let Some(position) = self.members.iter().position(|member| member.segment == segment) else {
            return Eviction::NotInRing;
        };
        if self.active() == Some(segment) {
            return Eviction::Active;
        }
        let victim = self.members.remove(position);
        self.doomed.push(Doomed { segment: victim.segment, bytes: victim.bytes });
        Eviction::Doomed
    }

    /// Dooms the oldest members until the rest count at most `target_bytes`, and returns them. The active segment
    /// stays, whatever the target. Doomed bytes are not part of the sum: they count as freed already.
    pub fn doom_oldest_until(&mut self, target_bytes: u64) -> Vec<SegmentId> {
        let mut bytes: u64 = self.members.iter().map(|member| member.bytes).sum();
        let mut victims = Vec::new();
        while bytes > target_bytes && self.members.len() > 1 {
            let victim = self.members.remove(0);
            bytes -= victim.bytes;
            self.doomed.push(Doomed { segment: victim.segment, bytes: victim.bytes });
            victims.push(victim.segment);
        }
        victims
    }

    /// Dooms the oldest members until they free `missing` bytes, each as many as `bytes` says; none when all of them,
    /// the active one apart, would not be enough. Returns whether they are.
    pub fn doom_oldest_freeing(&mut self, missing: u64, bytes: impl Fn(SegmentId) -> u64) -> bool {
        let mut freed = 0;
        let mut victims = 0;
        while freed < missing {
            if victims + 1 >= self.members.len() {
                return false;
            }
            freed += bytes(self.members[victims].segment);
            victims += 1;
        }
        for victim in self.members.drain(..victims) {
            self.doomed.push(Doomed { segment: victim.segment, bytes: victim.bytes });
        }
        true
    }

    /// Takes `unlinked` off the doomed list.
    pub fn forget(&mut self, unlinked: &[SegmentId]) {
        self.doomed.retain(|doomed| !unlinked.contains(&doomed.segment));
    }

    /// Takes members out whose files are lost: there is nothing to unlink.
    pub fn lose(&mut self, lost: &[SegmentId]) {
        self.members.retain(|member| !lost.contains(&member.segment));
    }

    /// Puts a file that no list names on the doomed list.
    pub fn doom_stray(&mut self, segment: SegmentId, bytes: u64) {
        self.doomed.push(Doomed { segment, bytes });
    }

    /// The segment that is written to: the youngest member.
    pub fn active(&self) -> Option<SegmentId> {
        self.members.last().map(|member| member.segment)
    }

    /// The age class of a member; `None` for a segment that is not in the ring.
    pub fn generation_of(&self, segment: SegmentId) -> Option<Generation> {
        self.members.iter().find(|member| member.segment == segment).map(|member| member.generation)
    }

    /// The live segments, oldest first.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The segments whose files are still to be unlinked, in the order of their dooms.
    pub fn doomed(&self) -> &[Doomed] {
        &self.doomed
    }

    /// What they count.
    pub fn doomed_bytes(&self) -> u64 {
        self.doomed.iter().map(|doomed| doomed.bytes).sum()
    }

    /// The bounds.
    pub fn limits(&self) -> RingLimits {
        self.limits
    }

    /// Hands the oldest of `from` on to `to` until `from` holds at most `limit`.
    fn age(&mut self, from: Generation, to: Generation, limit: usize) {
        let count = self.members.iter().filter(|member| member.generation == from).count();
        let first = self.members.partition_point(|member| member.generation < from);
        for member in self.members.iter_mut().skip(first).take(count.saturating_sub(limit)) {
            member.generation = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// The ring as three queues, the way it is usually drawn.
    #[derive(Default)]
    struct Model {
        old: VecDeque<u128>,
        current: VecDeque<u128>,
        new: VecDeque<u128>,
        doomed: Vec<u128>,
    }

    impl Model {
        fn push(&mut self, id: u128, limits: RingLimits) {
            self.new.push_back(id);
            if self.new.len() > limits.new {
                self.current.extend(self.new.pop_front());
            }
            if self.current.len() > limits.current {
                self.old.extend(self.current.pop_front());
            }
            if self.old.len() > limits.old {
                self.doomed.extend(self.old.pop_front());
            }
        }

        fn oldest_first(&self) -> Vec<u128> {
            self.old.iter().chain(&self.current).chain(&self.new).copied().collect()
        }

        fn doom(&mut self, id: u128) -> Eviction {
            let order = self.oldest_first();
            if !order.contains(&id) {
                return Eviction::NotInRing;
            }
            if order.last() == Some(&id) {
                return Eviction::Active;
            }
            for queue in [&mut self.old, &mut self.current, &mut self.new] {
                queue.retain(|other| *other != id);
            }
            self.doomed.push(id);
            Eviction::Doomed
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        ReplaceActive,
        Doom(u128),
        Until(u64),
        ForgetOldest,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Push),
            1 => Just(Step::ReplaceActive),
            2 => (0u128..40).prop_map(Step::Doom),
            1 => (0u64..12).prop_map(Step::Until),
            1 => Just(Step::ForgetOldest),
        ];
        proptest::collection::vec(step, 0..40)
    }

    proptest! {
        #[test]
        fn ring_behaves_as_three_queues(old in 1usize..4, current in 1usize..4, new in 1usize..4, steps in steps()) {
            let limits = RingLimits { old, current, new };
            let (mut ring, mut model, mut next) = (Ring::new(limits), Model::default(), 0u128);
            for step in steps {
                match step {
                    Step::Push => {
                        let (is_full, doomed) = (ring.is_full(), ring.doomed().len());
                        ring.push(SegmentId::from_u128(next), 1);
                        prop_assert_eq!(ring.doomed().len() > doomed, is_full);
                        model.push(next, limits);
                        next += 1;
                    }
                    Step::ReplaceActive => {
                        let members = ring.members().len();
                        ring.replace_active(SegmentId::from_u128(next), 1);
                        prop_assert_eq!(ring.members().len(), members.max(1));
                        model.doomed.extend(model.new.pop_back());
                        model.new.push_back(next);
                        next += 1;
                    }
                    Step::Doom(id) => prop_assert_eq!(ring.doom(SegmentId::from_u128(id)), model.doom(id)),
                    Step::Until(target) => {
                        let victims = ring.doom_oldest_until(target);
                        let order = model.oldest_first();
                        let keep = (target as usize).max(1).min(order.len());
                        let expected: Vec<_> = order[..order.len() - keep].to_vec();
                        for id in &expected {
                            prop_assert_eq!(model.doom(*id), Eviction::Doomed);
                        }
                        prop_assert_eq!(victims.iter().map(|id| id.as_u128()).collect::<Vec<_>>(), expected);
                    }
                    Step::ForgetOldest => {
                        if let Some(first) = ring.doomed().first().copied() {
                            ring.forget(&[first.segment]);
                            model.doomed.remove(0);
                        }
                    }
                }
                let ids = |generation| {
                    let of = move |member: &&Member| member.generation == generation;
                    ring.members().iter().filter(of).map(|member| member.segment.as_u128()).collect::<VecDeque<_>>()
                };
                prop_assert_eq!(ids(Generation::Old), model.old.clone());
                prop_assert_eq!(ids(Generation::Current), model.current.clone());
                prop_assert_eq!(ids(Generation::New), model.new.clone());
                prop_assert_eq!(ring.doomed().iter().map(|doomed| doomed.segment.as_u128()).collect::<Vec<_>>(), model.doomed.clone());
                prop_assert_eq!(ring.active().map(SegmentId::as_u128), model.oldest_first().last().copied());
            }
        }
    }

    #[test]
    fn the_oldest_go_until_enough_is_freed_and_none_if_all_are_not_enough() {
        let mut full = Ring::new(RingLimits { old: 2, current: 2, new: 2 });
        (1..=4).for_each(|id| full.push(SegmentId::from_u128(id), 1));
        let freeing = |missing| {
            let mut ring = full.clone();
            let suffices = ring.doom_oldest_freeing(missing, |segment| segment.as_u128() as u64);
            (suffices, ring.doomed().len())
        };
        assert_eq!([0, 1, 2, 3, 6].map(freeing), [(true, 0), (true, 1), (true, 2), (true, 2), (true, 3)]);
        assert_eq!(freeing(7), (false, 0), "the active one is not counted");
    }

    #[test]
    fn a_ring_saved_under_larger_limits_shrinks_at_the_next_push() {
        let mut ring = Ring::new(RingLimits { old: 2, current: 2, new: 2 });
        for id in 0..6 {
            ring.push(SegmentId::from_u128(id), 1);
        }
        let smaller = RingLimits { old: 1, current: 1, new: 1 };
        let mut ring = Ring::from_parts(smaller, ring.members().to_vec(), ring.doomed().to_vec());
        ring.push(SegmentId::from_u128(6), 1);
        assert_eq!(ring.members().iter().map(|member| member.segment.as_u128()).collect::<Vec<_>>(), [4, 5, 6]);
        assert_eq!(ring.doomed().len(), 4);
    }
}
