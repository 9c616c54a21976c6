//! The values of one group in a sliding window, and the question where their quantile stands above
//! its limit.
//!
//! Times are read to a slice of the window's length, [`limits::VALUE_SLICES`] of them a window. A slice
//! counts its values and how many are above the limit, which is all that decides a quantile
//! (`rules::quantile`). So a group's memory does not depend on how much comes, and what is blurred is
//! the far edge of the window alone, by less than a slice: nothing older than the window counts.
//!
//! The condition is looked at where values are, since values make it. From there it stands until the
//! next value says otherwise, or until enough values have left the window.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{limits, rules::Demand, window::Evidence};

/// Counts of values by slice of event time, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Values {
    /// Number of the slice, values in it, those of them above the limit.
    slices: VecDeque<(i64, u32, u32)>,
}

/// How many values a window held, and how many of them were above the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) values: u64,
    pub(crate) above: u64,
}

/// What a new value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where the condition stands in the windows that the value is in; with the counts of the latest.
    pub(crate) evidence: Option<(Evidence, Tally)>,
    /// No value is later: what was expected from here on is void.
    pub(crate) newest: bool,
}

/// A window's length in slices, and the length of one.
#[derive(Clone, Copy)]
struct Grid {
    slice: i64,
    slices: i64,
}

impl Grid {
    fn of(within: i64) -> Grid {
        let slice = (within / limits::VALUE_SLICES).max(1);
        Grid {
            slice,
            slices: (within / slice).max(1),
        }
    }

    fn slice_of(self, time: i64) -> i64 {
        time.div_euclid(self.slice)
    }

    fn start_of(self, slice: i64) -> i64 {
        slice.saturating_mul(self.slice)
    }
}

impl Values {
    pub(crate) fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// How many slices are held: what the memory limit counts.
    pub(crate) fn len(&self) -> usize {
        self.slices.len()
    }

    /// Adds a value at `time`.
    pub(crate) fn insert(
        &mut self,
        time: i64,
        above: bool,
        demand: Demand,
        within: i64,
    ) -> Finding {
        let grid = Grid::of(within);
        let slice = grid.slice_of(time);
        let at = self.slices.partition_point(|(other, ..)| *other < slice);
        match self.slices.get_mut(at) {
            Some((other, values, high)) if *other == slice => {
                *values = values.saturating_add(1);
                *high = high.saturating_add(u32::from(above));
            }
            _ => self.slices.insert(at, (slice, 1, u32::from(above))),
        }
        let mut from = None;
        let mut last = None;
        let mut first = self
            .slices
            .partition_point(|(other, ..)| *other <= slice - grid.slices);
        let mut tally = self.sum(first, at);
        let mut end = at;
        // The windows that end at a value and hold the new one.
        loop {
            if demand.stands(tally.values, tally.above) {
                from.get_or_insert(end);
                last = Some((end, first, tally));
            }
            end += 1;
            let Some((later, values, high)) = self.slices.get(end).copied() else {
                break;
            };
            if later >= slice + grid.slices {
                break;
            }
            tally.add(values, high);
            while self.slices[first].0 <= later - grid.slices {
                tally.remove(self.slices[first]);
                first += 1;
            }
        }
        let evidence = from.zip(last).map(|(from, (end, first, tally))| {
            let from = match from == at {
                true => time,
                false => grid.start_of(self.slices[from].0),
            };
            let until = self.stands_until(end, first, tally, demand, grid);
            (Evidence { from, until }, tally)
        });
        Finding {
            evidence,
            newest: at + 1 == self.slices.len(),
        }
    }

    /// How long the condition, which stands at slice `end` by the slices from `first` on, goes on to.
    fn stands_until(
        &self,
        end: usize,
        mut first: usize,
        mut tally: Tally,
        demand: Demand,
        grid: Grid,
    ) -> i64 {
        let next = self
            .slices
            .get(end + 1)
            .map_or(i64::MAX, |(next, ..)| *next);
        loop {
            // At the latest when the last one leaves: no value is above nothing.
            let leaves = self.slices[first].0 + grid.slices;
            if next <= leaves {
                return grid.start_of(next);
            }
            tally.remove(self.slices[first]);
            first += 1;
            if first > end || !demand.stands(tally.values, tally.above) {
                return grid.start_of(leaves);
            }
        }
    }

    fn sum(&self, first: usize, last: usize) -> Tally {
        let mut tally = Tally::default();
        for (_, values, above) in self.slices.range(first..=last) {
            tally.add(*values, *above);
        }
        tally
    }

    /// Drops what no window that ends at `low` or later holds.
    pub(crate) fn forget(&mut self, low: i64, within: i64) {
        let grid = Grid::of(within);
        let before = grid.slice_of(low).saturating_sub(grid.slices);
        let gone = self.slices.partition_point(|(slice, ..)| *slice <= before);
        self.slices.drain(..gone);
    }

    /// Drops the older half.
    pub(crate) fn halve(&mut self) {
        self.slices.drain(..self.slices.len() / 2);
    }
}

impl Tally {
    fn add(&mut self, values: u32, above: u32) {
        self.values += u64::from(values);
        self.above += u64::from(above);
    }

    fn remove(&mut self, (_, values, above): (i64, u32, u32)) {
        self.values -= u64::from(values);
        self.above -= u64::from(above);
    }
}

#[cfg(test)]
mod tests;
