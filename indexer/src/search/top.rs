//! The first K of all matches, in order, without sorting them all.

use super::cursor::{Order, Place};

/// Where a match's document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) place: Place,
    /// Which part of the snapshot, which of its segments, which document.
    pub(crate) part: usize,
    pub(crate) segment: u32,
    pub(crate) doc: u32,
}

/// Keeps up to 2K and, when full, drops the worse half: linear in what passes, whatever order
/// documents come in.
pub(crate) struct Top {
    order: Order,
    size: usize,
    found: Vec<Found>,
    /// The worst of K that are known: nothing after it can be among the first K.
    threshold: Option<Place>,
}

impl Top {
    pub(crate) fn new(order: Order, size: usize) -> Top {
        Top {
            order,
            size,
            found: Vec::new(),
            threshold: None,
        }
    }

    /// Can a match with this time still be among the first? Spares reading its id.
    pub(crate) fn may_take(&self, time_ns: i64) -> bool {
        self.size > 0
            && self.threshold.is_none_or(|worst| match self.order {
                Order::Newest => time_ns >= worst.time_ns,
                Order::Oldest => time_ns <= worst.time_ns,
            })
    }

    pub(crate) fn offer(&mut self, found: Found) {
        if self.size == 0
            || self
                .threshold
                .is_some_and(|worst| self.order.is_before(worst, found.place))
        {
            return;
        }
        self.found.push(found);
        if self.found.len() >= self.size * 2 {
            let order = self.order;
            let compare = |a: &Found, b: &Found| order.compare(&a.place, &b.place);
            let (_, worst, _) = self.found.select_nth_unstable_by(self.size - 1, compare);
            self.threshold = Some(worst.place);
            self.found.truncate(self.size);
        }
    }

    pub(crate) fn into_sorted(mut self) -> Vec<Found> {
        self.found
            .sort_unstable_by(|a, b| self.order.compare(&a.place, &b.place));
        self.found.truncate(self.size);
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logboom_event::EventId;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_are_those_of_a_full_sort(times in prop::collection::vec((-3_i64..3, 0_i64..50), 0..60), size in 0_usize..8, newest in any::<bool>()) {
            let order = if newest { Order::Newest } else { Order::Oldest };
            let found: Vec<Found> = times
                .iter()
                .map(|&(time_ns, offset)| Found {
                    place: Place { time_ns, id: EventId { incarnation: 0, partition: 0, offset, index: 0 } },
                    part: 0,
                    segment: 0,
                    doc: 0,
                })
                .collect();
            let mut top = Top::new(order, size);
            for &each in &found {
                if top.may_take(each.place.time_ns) {
                    top.offer(each);
                }
            }
            let mut sorted = found;
            sorted.sort_by(|a, b| order.compare(&a.place, &b.place));
            sorted.truncate(size);
            prop_assert_eq!(top.into_sorted(), sorted);
        }
    }
}
