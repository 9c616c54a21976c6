//! Sets of byte ranges `[from, to)`: sorted, disjoint, joined when they touch.

use serde::{Deserialize, Serialize};

/// A set of `u64`s kept as ranges. One range is the normal case and costs one small allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeSet {
    /// Sorted by start; `ranges[i].1 < ranges[i + 1].0`; never empty ones.
    ranges: Vec<(u64, u64)>,
}

impl RangeSet {
    /// Adds `[from, to)`. Says whether anything of it was new.
    pub fn insert(&mut self, from: u64, to: u64) -> bool {
        if from >= to {
            return false;
        }
        // All ranges that touch or overlap [from, to) become one.
        let first = self.ranges.partition_point(|&(_, end)| end < from);
        let last = self.ranges.partition_point(|&(start, _)| start <= to);
        if first == last {
            self.ranges.insert(first, (from, to));
            return true;
        }
        let joined = (
            from.min(self.ranges[first].0),
            to.max(self.ranges[last - 1].1),
        );
        if last - first == 1 && joined == self.ranges[first] {
            return false;
        }
        self.ranges[first] = joined;
        self.ranges.drain(first + 1..last);
        true
    }

    /// Whether every byte of `[from, to)` is in the set.
    pub fn covers(&self, from: u64, to: u64) -> bool {
        if from >= to {
            return true;
        }
        let after = self.ranges.partition_point(|&(start, _)| start <= from);
        after > 0 && self.ranges[after - 1].1 >= to
    }

    /// The holes between the first and the last byte of the set.
    pub fn gaps(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.windows(2).map(|pair| (pair[0].1, pair[1].0))
    }

    /// The ranges, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().copied()
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Gives up the smallest hole, so that there is one range less.
    pub(crate) fn close_smallest_gap(&mut self) {
        let smallest = self
            .gaps()
            .enumerate()
            .min_by_key(|(_, (from, to))| to - from)
            .map(|(index, _)| index);
        if let Some(index) = smallest {
            self.ranges[index].1 = self.ranges[index + 1].1;
            self.ranges.remove(index + 1);
        }
    }

    /// Whether the invariant holds: for decoded sets, which may come from a damaged file.
    pub(crate) fn is_sound(&self) -> bool {
        self.ranges.iter().all(|(from, to)| from < to)
            && self.ranges.windows(2).all(|pair| pair[0].1 < pair[1].0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The naive model: a set of single numbers.
        #[test]
        fn ranges_behave_like_a_set_of_numbers(steps in prop::collection::vec((0u64..64, 0u64..12), 0..60)) {
            let mut ranges = RangeSet::default();
            let mut model = BTreeSet::new();
            for (from, length) in steps {
                let numbers: Vec<u64> = (from..from + length).collect();
                prop_assert_eq!(ranges.covers(from, from + length), numbers.iter().all(|n| model.contains(n)));
                let before = model.len();
                model.extend(numbers);
                prop_assert_eq!(ranges.insert(from, from + length), model.len() > before);
                prop_assert!(ranges.is_sound());
                let listed: BTreeSet<u64> = ranges.iter().flat_map(|(from, to)| from..to).collect();
                prop_assert_eq!(&listed, &model);
                let holes: BTreeSet<u64> = ranges.gaps().flat_map(|(from, to)| from..to).collect();
                let expected: BTreeSet<u64> = match (model.first(), model.last()) {
                    (Some(&first), Some(&last)) => (first..last).filter(|n| !model.contains(n)).collect(),
                    _ => BTreeSet::new(),
                };
                prop_assert_eq!(holes, expected);
            }
        }
    }
}
