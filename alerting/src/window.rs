//! The event times of one group that can still complete a window, and the question whether a new
//! line did.
//!
//! Times are sorted and run-length coded (logs often have a resolution of a second). Windows are
//! half-open: an event at `e` counts in `(t − W, t]`, that is for `t` in `[e, e + W)`.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Sorted event times with how often each occurred.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    runs: VecDeque<(i64, u32)>,
}

/// Where the count stands at N or more because of one line: from `from` (inclusive) until `until`
/// (exclusive), in event time, given all lines seen so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl Window {
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// How many runs are held: what the memory limit counts.
    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    /// Adds a line at `time`, and says where its window has at least `count` lines, if anywhere.
    pub(crate) fn insert(&mut self, time: i64, count: u32, within: i64) -> Option<Evidence> {
        let at = self.runs.partition_point(|(run, _)| *run < time);
        match self.runs.get_mut(at) {
            Some((run, times)) if *run == time => *times = times.saturating_add(1),
            _ => self.runs.insert(at, (time, 1)),
        }
        let start = self.latest_start(at, count, within)?;
        Some(Evidence {
            from: self.earliest_full(at, count, within),
            until: start.saturating_add(within),
        })
    }

    /// The latest start `s ≤ time` of a window `[s, s + W)` that holds the line and `count` in all.
    fn latest_start(&self, at: usize, count: u32, within: i64) -> Option<i64> {
        let time = self.runs[at].0;
        // `[first, end)` are the runs of the window; it moves back in time, so `end` only falls.
        let mut end = self
            .runs
            .partition_point(|(run, _)| *run < time.saturating_add(within));
        let mut sum: u64 = self
            .runs
            .range(at..end)
            .map(|(_, times)| u64::from(*times))
            .sum();
        let mut first = at;
        loop {
            let start = self.runs[first].0;
            if start <= time.saturating_sub(within) {
                return None;
            }
            while self.runs[end - 1].0 >= start.saturating_add(within) {
                end -= 1;
                sum -= u64::from(self.runs[end].1);
            }
            if sum >= u64::from(count) {
                return Some(start);
            }
            first = first.checked_sub(1)?;
            sum += u64::from(self.runs[first].1);
        }
    }

    /// The earliest `t ≥ time` with at least `count` lines in `(t − W, t]`. There is one.
    fn earliest_full(&self, at: usize, count: u32, within: i64) -> i64 {
        let time = self.runs[at].0;
        let mut last = at;
        let mut first = self
            .runs
            .partition_point(|(run, _)| *run <= time.saturating_sub(within));
        let mut sum: u64 = self
            .runs
            .range(first..=last)
            .map(|(_, times)| u64::from(*times))
            .sum();
        while sum < u64::from(count) {
            last += 1;
            sum += u64::from(self.runs[last].1);
            while self.runs[first].0 <= self.runs[last].0.saturating_sub(within) {
                sum -= u64::from(self.runs[first].1);
                first += 1;
            }
        }
        self.runs[last].0
    }

    /// Drops the times in `[from, to)`.
    pub(crate) fn forget(&mut self, from: i64, to: i64) {
        let first = self.runs.partition_point(|(run, _)| *run < from);
        let last = self.runs.partition_point(|(run, _)| *run < to);
        if first < last {
            self.runs.drain(first..last);
        }
    }

    /// Keeps of the times in `[from, to)` the first and the last `count` only.
    pub(crate) fn thin(&mut self, from: i64, to: i64, count: u32) {
        let first = self.runs.partition_point(|(run, _)| *run < from);
        let last = self.runs.partition_point(|(run, _)| *run < to);
        // Rarely, so that the walk below costs little per line.
        if last.saturating_sub(first) <= 4 * count as usize + 16 {
            return;
        }
        let reach = |runs: &mut dyn Iterator<Item = &(i64, u32)>| {
            let mut sum = 0u64;
            let enough = |(_, times): &&(i64, u32)| {
                let wanted = sum < u64::from(count);
                sum += u64::from(*times);
                wanted
            };
            runs.take_while(enough).count()
        };
        let head = first + reach(&mut self.runs.range(first..last));
        let tail = last - reach(&mut self.runs.range(first..last).rev());
        if head < tail {
            self.runs.drain(head..tail);
        }
    }

    /// Drops the older half.
    pub(crate) fn halve(&mut self) {
        self.runs.drain(..self.runs.len() / 2);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, read aloud: at every instant of the line's influence, count.
    fn naive(times: &[i64], time: i64, count: u32, within: i64) -> Option<Evidence> {
        let full = |t: i64| {
            times
                .iter()
                .filter(|e| t - within < **e && **e <= t)
                .count()
                >= count as usize
        };
        let from = (time..time + within).find(|t| full(*t))?;
        // The latest end that a window starting at or before the line, and holding it, reaches.
        let until = times
            .iter()
            .filter(|s| time - within < **s && **s <= time)
            .filter(|s| {
                times
                    .iter()
                    .filter(|e| **s <= **e && **e < **s + within)
                    .count()
                    >= count as usize
            })
            .map(|s| s + within)
            .max();
        until.map(|until| Evidence { from, until })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_window_finds_what_counting_by_hand_finds(
            times in prop::collection::vec(0i64..60, 1..40), count in 1u32..6, within in 1i64..15,
        ) {
            let mut window = Window::default();
            for (index, time) in times.iter().enumerate() {
                prop_assert_eq!(
                    window.insert(*time, count, within),
                    naive(&times[..=index], *time, count, within),
                    "line {} at {}", index, time
                );
            }
        }
    }

    #[test]
    fn the_window_is_half_open() {
        let mut window = Window::default();
        assert_eq!(window.insert(0, 2, 60), None);
        assert_eq!(
            window.insert(60, 2, 60),
            None,
            "a line at 0 has left the window that ends at 60"
        );
        assert_eq!(
            window.insert(119, 2, 60),
            Some(Evidence {
                from: 119,
                until: 120
            })
        );
    }

    #[test]
    fn a_late_line_completes_a_window_in_the_past() {
        let mut window = Window::default();
        for time in [100, 110, 500] {
            assert_eq!(window.insert(time, 3, 60), None);
        }
        assert_eq!(
            window.insert(90, 3, 60),
            Some(Evidence {
                from: 110,
                until: 150
            })
        );
    }

    #[test]
    fn forgetting_keeps_the_rest() {
        let mut window = Window::default();
        for time in [1, 2, 3, 4] {
            window.insert(time, 9, 60);
        }
        window.forget(2, 4);
        assert_eq!(window.runs, [(1, 1), (4, 1)]);
        window.halve();
        assert_eq!(window.runs, [(4, 1)]);
    }

    #[test]
    fn thinning_keeps_the_edges() {
        let mut window = Window::default();
        for time in 0..40 {
            window.insert(time, 99, 60);
        }
        window.thin(5, 35, 2);
        let left: Vec<i64> = window.runs.iter().map(|(time, _)| *time).collect();
        assert_eq!(left, [0, 1, 2, 3, 4, 5, 6, 33, 34, 35, 36, 37, 38, 39]);
    }
}
