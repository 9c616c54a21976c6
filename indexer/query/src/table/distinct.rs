//! How many different values there are. Mergeable; what has been added is all that counts.
//!
//! The smallest [`DISTINCT_HASHES_MAX`] hashes are kept ("k minimum values"). While there are
//! fewer values than that the number is exact; beyond, how densely the kept ones stand says how
//! many there are, with a standard error of 1/√4096 = 1.6 %.

use std::collections::BTreeSet;

use crate::limits::DISTINCT_HASHES_MAX;

#[derive(Debug, Clone, Default)]
pub(super) struct Distinct {
    least: BTreeSet<u64>,
    /// A hash was left out.
    full: bool,
}

impl Distinct {
    pub(super) fn add(&mut self, hash: u64) {
        if self.full && self.least.last().is_some_and(|last| hash > *last) {
            return;
        }
        if self.least.insert(hash) && self.least.len() > DISTINCT_HASHES_MAX {
            self.least.pop_last();
            self.full = true;
        }
    }

    pub(super) fn merge(&mut self, other: &Distinct) {
        self.full |= other.full;
        for hash in &other.least {
            self.add(*hash);
        }
    }

    pub(super) fn count(&self) -> u64 {
        let kept = self.least.len() as u64;
        match self.least.last() {
            Some(last) if self.full => {
                // That share of all hashes is below the last one that was kept.
                let share = (*last as f64 + 1.0) / 2_f64.powi(64);
                ((kept - 1) as f64 / share).round() as u64
            }
            _ => kept,
        }
    }

    pub(super) fn is_estimate(&self) -> bool {
        self.full
    }

    pub(super) fn heap_bytes(&self) -> usize {
        // A node of the tree is at least half full.
        self.least.len() * 2 * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn of(numbers: impl Iterator<Item = u32>) -> Distinct {
        let mut distinct = Distinct::default();
        numbers.for_each(|number| distinct.add(xxh3_64(&number.to_le_bytes())));
        distinct
    }

    #[test]
    fn few_are_exact_and_many_are_within_the_error() {
        let few = of((0..4_096).chain(0..4_096));
        assert_eq!((few.count(), few.is_estimate()), (4_096, false));
        for many in [4_097, 10_000, 300_000] {
            let distinct = of(0..many);
            let error = distinct.count() as f64 / f64::from(many) - 1.0;
            assert!(
                distinct.is_estimate() && error.abs() < 0.05,
                "{many}: {error}"
            );
        }
    }

    #[test]
    fn parts_that_overlap_count_once() {
        let whole = of(0..30_000).count();
        let mut parts = of(0..20_000);
        parts.merge(&of(10_000..30_000));
        assert_eq!(parts.count(), whole);
        let mut few = of(0..10);
        few.merge(&of(0..30_000));
        assert_eq!(few.count(), whole);
    }
}
