//! When the next open episodes end, by the sources that they wait for, so that an event looks at no others.
//!
//! An episode ends once all of its sources have come to its end. Of those that have not, it is enough to wait for one:
//! when that one gets there, the group is looked at, and waits for the next. A time here may be too early, since an
//! episode that goes on is not moved with each line; then its group is looked at once in vain.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use crate::{group_key::GroupKey, sources::SourceRef};

/// A group and its rule, by index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupAt {
    pub(crate) rule: usize,
    pub(crate) key: Arc<GroupKey>,
}

#[derive(Default)]
pub(crate) struct Ends {
    waiting: HashMap<SourceRef, Waiting>,
}

/// The groups that wait for one source, each once.
#[derive(Default)]
struct Waiting {
    order: BTreeSet<(i64, GroupAt)>,
    ends: HashMap<GroupAt, i64>,
}

impl Ends {
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The group wants to be looked at when `source` has come to `end`, if not before.
    pub(crate) fn wait(&mut self, source: SourceRef, end: i64, group: &GroupAt) {
        let waiting = self.waiting.entry(source).or_default();
        match waiting.ends.entry(group.clone()) {
            Entry::Occupied(known) if *known.get() <= end => return,
            Entry::Occupied(mut known) => {
                let former = known.insert(end);
                waiting.order.remove(&(former, group.clone()));
            }
            Entry::Vacant(place) => {
                place.insert(end);
            }
        }
        waiting.order.insert((end, group.clone()));
    }

    /// Takes out the groups that waited for `source` to come this far.
    pub(crate) fn take_passed(&mut self, source: SourceRef, watermark: i64) -> Vec<GroupAt> {
        let mut passed = Vec::new();
        let Some(waiting) = self.waiting.get_mut(&source) else {
            return passed;
        };
        while waiting
            .order
            .first()
            .is_some_and(|(end, _)| *end <= watermark)
        {
            if let Some((_, group)) = waiting.order.pop_first() {
                waiting.ends.remove(&group);
                passed.push(group);
            }
        }
        if waiting.order.is_empty() {
            self.waiting.remove(&source);
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SourceRef = SourceRef(1);
    const B: SourceRef = SourceRef(2);

    fn group(number: usize) -> GroupAt {
        GroupAt {
            rule: 0,
            key: Arc::new(GroupKey::Values(vec![number.to_string()])),
        }
    }

    #[test]
    fn only_what_a_source_has_passed_is_taken_and_once() {
        let mut ends = Ends::default();
        for number in 0..10_000 {
            ends.wait(A, number as i64, &group(number));
        }
        ends.wait(B, 0, &group(0));
        let mut seen = 0;
        for watermark in 0..10_000 {
            let passed = ends.take_passed(A, watermark);
            assert_eq!(passed, [group(watermark as usize)]);
            seen += passed.len();
        }
        assert_eq!(seen, 10_000);
        assert!(ends.take_passed(A, i64::MAX).is_empty());
        assert_eq!(ends.take_passed(B, 0), [group(0)]);
        assert!(ends.waiting.is_empty());
    }

    #[test]
    fn of_two_ends_of_a_group_the_earlier_counts() {
        let mut ends = Ends::default();
        ends.wait(A, 20, &group(1));
        for _ in 0..1_000 {
            ends.wait(A, 30, &group(1));
        }
        assert!(ends.take_passed(A, 19).is_empty());
        ends.wait(A, 10, &group(1));
        assert_eq!(ends.waiting[&A].order.len(), 1);
        assert_eq!(ends.take_passed(A, 40), [group(1)]);
        assert!(ends.waiting.is_empty());
    }
}
