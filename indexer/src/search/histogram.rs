//! Matches over time, by level.

use std::collections::BTreeMap;

use logboom_event::Level;
use serde::{Deserialize, Serialize};

/// Counts of `[start_ns, start_ns + interval_ns × buckets)`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    pub interval_ns: i64,
    pub start_ns: i64,
    /// Level, or `none`, to the number of matches; what has none is left out.
    pub buckets: Vec<BTreeMap<String, u64>>,
}

/// One slot for no level, one for each level.
const SLOTS: usize = Level::ALL.len() + 1;

pub(crate) struct Counts {
    start_ns: i64,
    interval_ns: i64,
    buckets: Vec<[u64; SLOTS]>,
}

impl Counts {
    /// `[from, to)` in that many equal parts; the last may reach past `to`.
    pub(crate) fn new(from_ns: i64, to_ns: i64, buckets: usize) -> Counts {
        let width = i128::from(to_ns) - i128::from(from_ns);
        let interval = width.max(1).unsigned_abs().div_ceil(buckets as u128).max(1);
        let interval_ns = i64::try_from(interval).unwrap_or(i64::MAX);
        Counts {
            start_ns: from_ns,
            interval_ns,
            buckets: vec![[0; SLOTS]; buckets],
        }
    }

    /// The time must lie within the range.
    pub(crate) fn add(&mut self, time_ns: i64, level_number: u64) {
        // Exact even where the two lie further apart than an i64 can say.
        let since = time_ns.wrapping_sub(self.start_ns).cast_unsigned();
        let bucket =
            usize::try_from(since / self.interval_ns.cast_unsigned()).unwrap_or(usize::MAX);
        // An interval that an i64 cannot hold was shortened: its last bucket takes the rest.
        let bucket = bucket.min(self.buckets.len().saturating_sub(1));
        // Numbers are 1, 5, 9 …: OpenTelemetry's ranges are four wide.
        let slot = usize::try_from(level_number.div_ceil(4)).unwrap_or(0);
        if let Some(count) = self
            .buckets
            .get_mut(bucket)
            .and_then(|bucket| bucket.get_mut(slot))
        {
            *count += 1;
        }
    }

    pub(crate) fn finish(self) -> Histogram {
        let name = |slot: usize| {
            slot.checked_sub(1)
                .map_or("none", |level| Level::ALL[level].as_str())
        };
        let buckets = self.buckets.iter().map(|bucket| {
            let counts = bucket.iter().enumerate().filter(|(_, count)| **count > 0);
            counts
                .map(|(slot, count)| (name(slot).to_owned(), *count))
                .collect()
        });
        Histogram {
            interval_ns: self.interval_ns,
            start_ns: self.start_ns,
            buckets: buckets.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_has_its_slot_and_every_time_its_bucket() {
        let mut counts = Counts::new(100, 110, 3);
        for level in Level::ALL {
            counts.add(100, level.number().into());
        }
        counts.add(109, 0);
        let histogram = counts.finish();
        assert_eq!(histogram.interval_ns, 4);
        assert_eq!(histogram.buckets[0].len(), 6);
        assert!(histogram.buckets[0].values().all(|count| *count == 1));
        assert_eq!(
            histogram.buckets[2],
            BTreeMap::from([("none".to_owned(), 1)])
        );
    }

    #[test]
    fn the_widest_range_does_not_overflow() {
        let mut counts = Counts::new(i64::MIN, i64::MAX, 2);
        counts.add(i64::MIN, 1);
        counts.add(i64::MAX - 1, 1);
        let histogram = counts.finish();
        assert_eq!(
            histogram
                .buckets
                .iter()
                .map(BTreeMap::len)
                .collect::<Vec<_>>(),
            [1, 1]
        );
        let mut whole = Counts::new(i64::MIN, i64::MAX, 1);
        whole.add(i64::MAX - 1, 1);
        assert_eq!(whole.finish().buckets[0].len(), 1);
    }
}
