//! Sliding windows of values against sorting them anew at every instant.

use logboom_query::{Quantile, Quantiles};
use proptest::prelude::*;

use super::*;

/// A value with its time.
type At = (i64, u32);

/// Values of the slices `(end - slices, end]`.
fn window(all: &[At], end: i64, grid: Grid) -> Vec<u32> {
    let inside = |time: i64| {
        let slice = grid.slice_of(time);
        end - grid.slices < slice && slice <= end
    };
    let values = all.iter().filter(|(time, _)| inside(*time));
    values.map(|(_, value)| *value).collect()
}

/// Whether the quantile of the values, sorted, is above the limit.
fn stands(values: &[u32], limit: u32, demand: Demand) -> bool {
    let mut sorted = Quantiles::new();
    values
        .iter()
        .for_each(|value| sorted.add(f64::from(*value)));
    let quantile = sorted.quantile(Quantile::per_million(demand.per_million).unwrap());
    values.len() >= demand.count_min as usize
        && quantile.is_some_and(|quantile| quantile > f64::from(limit))
}

/// The definition, read aloud: every window is made anew, and time moves slice by slice.
fn naive(all: &[At], limit: u32, demand: Demand, grid: Grid) -> Finding {
    let (time, _) = all[all.len() - 1];
    let slice = grid.slice_of(time);
    let holds = |end: i64| stands(&window(all, end, grid), limit, demand);
    let mut instants: Vec<i64> = all.iter().map(|(time, _)| grid.slice_of(*time)).collect();
    instants.sort_unstable();
    instants.dedup();
    let newest = instants[instants.len() - 1] == slice;
    let near = instants
        .iter()
        .copied()
        .filter(|end| slice <= *end && *end < slice + grid.slices);
    let standing: Vec<i64> = near.filter(|end| holds(*end)).collect();
    let evidence = standing.first().zip(standing.last()).map(|(first, last)| {
        let from = match *first == slice {
            true => time,
            false => first * grid.slice,
        };
        let mut until = last + 1;
        while !instants.contains(&until) && holds(until) {
            until += 1;
        }
        let values = window(all, *last, grid);
        let tally = Tally {
            values: values.len() as u64,
            above: values.iter().filter(|value| **value > limit).count() as u64,
        };
        let until = until * grid.slice;
        (Evidence { from, until }, tally)
    });
    Finding { evidence, newest }
}

/// A stream in order, with some of it late.
fn stream() -> impl Strategy<Value = Vec<At>> {
    let one = (
        0i64..400,
        prop_oneof![5 => Just(0i64), 1 => 0i64..6_000],
        0u32..40,
    );
    prop::collection::vec(one, 1..120).prop_map(|steps| {
        let mut now = 10_000;
        let at = |(gap, late, value): (i64, i64, u32)| {
            now += gap;
            (now - late, value)
        };
        steps.into_iter().map(at).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn windows_find_what_sorting_their_values_finds(
        stream in stream(), per_million in prop_oneof![Just(0u32), Just(500_000), Just(990_000), Just(1_000_000), 0u32..1_000_000],
        limit in 0u32..40, count_min in 1u32..8, within in prop_oneof![1i64..500, 500i64..5_000],
    ) {
        let (demand, grid) = (Demand { per_million, count_min }, Grid::of(within));
        let mut values = Values::default();
        for (index, (time, value)) in stream.iter().enumerate() {
            prop_assert_eq!(
                values.insert(*time, *value > limit, demand, within),
                naive(&stream[..=index], limit, demand, grid),
                "value {} at {}", index, time
            );
        }
    }

    /// What the slices blur is said: nothing that is older than the window counts, and what is younger than
    /// it by a slice does.
    #[test]
    fn a_window_lacks_at_most_its_last_slice(stream in stream(), within in 120i64..5_000) {
        let demand = Demand { per_million: 1_000_000, count_min: 1 };
        let mut values = Values::default();
        let mut seen: Vec<i64> = Vec::new();
        for (time, _) in &stream {
            seen.push(*time);
            let finding = values.insert(*time, true, demand, within);
            if !finding.newest || seen.iter().any(|other| other > time) {
                continue;
            }
            let counted = finding.evidence.unwrap().1.values;
            let younger = |than: i64| seen.iter().filter(|other| time - **other < than).count() as u64;
            let slice = within / limits::VALUE_SLICES;
            prop_assert!(counted <= younger(within), "{counted} of {}", younger(within));
            // A window whose length is no multiple of the slice is shorter by the remainder.
            let sure = within - slice - within % slice;
            prop_assert!(counted >= younger(sure), "{counted} of {}", younger(sure));
        }
    }
}

#[test]
fn memory_does_not_depend_on_how_much_comes() {
    let demand = Demand {
        per_million: 990_000,
        count_min: 20,
    };
    let (within, mut values) = (300_000_000_000, Values::default());
    for index in 0..200_000i64 {
        let time = 1_700_000_000_000_000_000 + index * 10_000_001;
        values.insert(time, index % 3 == 0, demand, within);
        if index % 1_000 == 0 {
            values.forget(time, within);
        }
    }
    // What it holds between two sweeps, 10 s apart.
    assert!(
        values.len() <= limits::VALUE_SLICES as usize + 6,
        "{}",
        values.len()
    );
    let bytes = postcard::to_stdvec(&values).unwrap().len();
    assert!(bytes <= 2_048, "{bytes}");
}

#[test]
fn forgetting_leaves_what_a_window_still_holds() {
    let demand = Demand {
        per_million: 0,
        count_min: 1,
    };
    let mut values = Values::default();
    for time in [0, 119, 120, 121, 240] {
        values.insert(time, true, demand, 120);
    }
    values.forget(240, 120);
    assert_eq!(values.slices, [(121, 1, 1), (240, 1, 1)]);
    values.forget(i64::MIN / 2, 120);
    values.forget(i64::MAX, 120);
    assert!(values.is_empty());
}
