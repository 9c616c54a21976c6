//! Quantiles of a stream of numbers, mergeable: what has been added is all that counts, not in
//! which order or parts.
//!
//! Up to [`RAW_VALUES_MAX`] values are kept and the answer is exact: the nearest-rank value. More
//! are counted in buckets, 64 for each power of two, and the answer is the bucket's middle, at most
//! 1/128 = 0.78 % from the value that has the rank. A bucket's number is the float's own leading
//! bits, so finding it takes no logarithm, buckets of neighbouring values stand side by side, and
//! every float has one: unlike with DDSketch's bounded store, no range of values collapses.

use crate::limits::RAW_VALUES_MAX;
use crate::pipe::Quantile;

/// Of the mantissa, for a bucket's number.
const BITS: u32 = 6;
const BUCKETS: usize = 1 << BITS;
const SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - BITS;

#[derive(Debug, Clone)]
pub struct Quantiles {
    count: u64,
    least: f64,
    most: f64,
    /// Every value so far is an integer, and so is the answer.
    integral: bool,
    values: Values,
}

#[derive(Debug, Clone)]
enum Values {
    Raw(Vec<f64>),
    Counted(Vec<Octave>),
}

/// The buckets of the values between a power of two and the next, in ascending order of `place`.
#[derive(Debug, Clone)]
struct Octave {
    /// Sign and exponent, in the order of the values.
    place: i16,
    counts: Box<[u64; BUCKETS]>,
}

impl Default for Quantiles {
    fn default() -> Quantiles {
        Quantiles {
            count: 0,
            least: f64::INFINITY,
            most: f64::NEG_INFINITY,
            integral: true,
            values: Values::Raw(Vec::new()),
        }
    }
}

impl Quantiles {
    pub fn new() -> Quantiles {
        Quantiles::default()
    }

    /// Values so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a value; one that is not finite is none.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        // Minus zero is zero, and what is smaller than every normal float is too little to tell from it.
        let value = if value.is_normal() { value } else { 0.0 };
        self.count += 1;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
        self.integral &= value.fract() == 0.0;
        match &mut self.values {
            Values::Raw(values) if values.len() < RAW_VALUES_MAX => values.push(value),
            Values::Raw(_) => self.counted(value, 1),
            Values::Counted(octaves) => count(octaves, value, 1),
        }
    }

    pub fn merge(&mut self, other: &Quantiles) {
        self.count += other.count;
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
        self.integral &= other.integral;
        match &other.values {
            Values::Raw(values) => {
                for value in values {
                    match &mut self.values {
                        Values::Raw(mine) if mine.len() < RAW_VALUES_MAX => mine.push(*value),
                        _ => self.counted(*value, 1),
                    }
                }
            }
            Values::Counted(octaves) => {
                let mine = self.octaves();
                for octave in octaves {
                    let sums = &mut octave_at(mine, octave.place).counts;
                    for (sum, count) in sums.iter_mut().zip(octave.counts.iter()) {
                        *sum += count;
                    }
                }
            }
        }
    }

    /// `None` when there is no value.
    pub fn quantile(&self, quantile: Quantile) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = quantile.rank(self.count);
        match &self.values {
            Values::Raw(values) => {
                let mut values = values.clone();
                let at = usize::try_from(rank).unwrap_or(usize::MAX);
                let at = at.min(values.len().checked_sub(1)?);
                Some(*values.select_nth_unstable_by(at, f64::total_cmp).1)
            }
            Values::Counted(octaves) => {
                let (place, bucket) = at_rank(octaves, rank)?;
                Some(self.middle(place, bucket).clamp(self.least, self.most))
            }
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match &self.values {
            Values::Raw(values) => values.capacity() * size_of::<f64>(),
            Values::Counted(octaves) => {
                octaves.capacity() * size_of::<Octave>()
                    + octaves.len() * size_of::<[u64; BUCKETS]>()
            }
        }
    }

    fn counted(&mut self, value: f64, times: u64) {
        count(self.octaves(), value, times);
    }

    /// From here on in buckets.
    fn octaves(&mut self) -> &mut Vec<Octave> {
        if let Values::Raw(values) = &self.values {
            let mut octaves = Vec::new();
            for value in values {
                count(&mut octaves, *value, 1);
            }
            self.values = Values::Counted(octaves);
        }
        match &mut self.values {
            Values::Counted(octaves) => octaves,
            Values::Raw(_) => unreachable!("raw values were counted just now"),
        }
    }

    /// The value that stands for a bucket.
    fn middle(&self, place: i16, bucket: usize) -> f64 {
        if place == 0 {
            return 0.0;
        }
        let exponent = u64::from(place.unsigned_abs()) << (f64::MANTISSA_DIGITS - 1);
        let bits = exponent | (bucket as u64) << SHIFT;
        let low = f64::from_bits(bits);
        let high = f64::from_bits(bits + (1 << SHIFT));
        let middle = if self.integral {
            // The middle of the integers in the bucket: of 200 to 201 that is 200.
            let last = (high - 1.0).ceil().max(low.ceil());
            low.ceil() + ((last - low.ceil()) / 2.0).floor()
        } else {
            low + (high - low) / 2.0
        };
        // The last bucket of all ends at infinity.
        let middle = if middle.is_finite() { middle } else { low };
        if place < 0 { -middle } else { middle }
    }
}

/// Places ascend with the values: minus the largest, …, zero, …, the largest.
fn place_of(value: f64) -> (i16, usize) {
    if value == 0.0 {
        return (0, 0);
    }
    let bits = value.abs().to_bits();
    let exponent = (bits >> (f64::MANTISSA_DIGITS - 1)) as i16;
    let bucket = (bits >> SHIFT) as usize % BUCKETS;
    (if value < 0.0 { -exponent } else { exponent }, bucket)
}

fn count(octaves: &mut Vec<Octave>, value: f64, times: u64) {
    let (place, bucket) = place_of(value);
    octave_at(octaves, place).counts[bucket] += times;
}

fn octave_at(octaves: &mut Vec<Octave>, place: i16) -> &mut Octave {
    let at = match octaves.binary_search_by_key(&place, |octave| octave.place) {
        Ok(at) => at,
        Err(at) => {
            let counts = Box::new([0; BUCKETS]);
            octaves.insert(at, Octave { place, counts });
            at
        }
    };
    &mut octaves[at]
}

fn at_rank(octaves: &[Octave], rank: u64) -> Option<(i16, usize)> {
    let mut before = 0;
    for octave in octaves {
        // Among negative numbers the larger bucket has the smaller values.
        for step in 0..BUCKETS {
            let bucket = if octave.place < 0 {
                BUCKETS - 1 - step
            } else {
                step
            };
            before += octave.counts[bucket];
            if before > rank {
                return Some((octave.place, bucket));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Quantiles {
        let mut quantiles = Quantiles::new();
        values.iter().for_each(|value| quantiles.add(*value));
        quantiles
    }

    fn exact(values: &[f64], quantile: Quantile) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[usize::try_from(quantile.rank(sorted.len() as u64)).unwrap()]
    }

    fn p(text: &str) -> Quantile {
        Quantile::parse(text).unwrap()
    }

    #[test]
    fn few_values_are_exact_and_none_have_no_quantile() {
        assert_eq!(Quantiles::new().quantile(p("p50")), None);
        let values: Vec<f64> = (1..=500).map(f64::from).collect();
        assert_eq!(of(&values).quantile(p("p99")), Some(495.0));
        assert_eq!(
            of(&[f64::NAN, 7.5, f64::INFINITY]).quantile(p("p50")),
            Some(7.5)
        );
    }

    #[test]
    fn small_integers_stay_exact_however_many() {
        let values: Vec<f64> = (0..20_000).map(|at| f64::from(at % 128)).collect();
        let quantiles = of(&values);
        for text in ["p0", "p1", "p25", "p50", "p99", "p100"] {
            assert_eq!(
                quantiles.quantile(p(text)),
                Some(exact(&values, p(text))),
                "{text}"
            );
        }
    }

    #[test]
    fn the_largest_float_has_a_bucket_too() {
        let quantiles = of(&[f64::MAX; 1_000]);
        assert_eq!(quantiles.quantile(p("p50")), Some(f64::MAX));
        let quantiles = of(&[-f64::MAX; 1_000]);
        assert_eq!(quantiles.quantile(p("p50")), Some(-f64::MAX));
    }

    #[test]
    fn memory_is_bounded_by_the_span_of_the_values() {
        let durations: Vec<f64> = (0..100_000_u32)
            .map(|at| 1e3 + f64::from(at) * 1e5)
            .collect();
        assert!(of(&durations).heap_bytes() < 24 * 1024);
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-12.0..12.0_f64, any::<bool>()).prop_map(|(power, negative)| {
                let value = 10_f64.powf(power);
                if negative { -value } else { value }
            }),
            (0..5_000_000_000_i64).prop_map(|int| int as f64),
            Just(0.0),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn quantiles_are_within_one_percent(
            values in prop::collection::vec(value(), 1..1_500),
            per_million in 0..=1_000_000_u32,
        ) {
            let quantile = Quantile::per_million(per_million).unwrap();
            let (found, exact) = (of(&values).quantile(quantile).unwrap(), exact(&values, quantile));
            prop_assert!((found - exact).abs() <= exact.abs() / 128.0, "{found} for {exact}");
            if values.len() <= RAW_VALUES_MAX {
                prop_assert_eq!(found, exact);
            }
        }

        #[test]
        fn parts_and_order_change_nothing(
            values in prop::collection::vec(value(), 1..1_500),
            cuts in prop::collection::vec(0..1_500_usize, 0..4),
            per_million in 0..=1_000_000_u32,
        ) {
            let quantile = Quantile::per_million(per_million).unwrap();
            let mut rest = &values[..];
            let mut merged = Quantiles::new();
            for cut in cuts {
                let (part, after) = rest.split_at(cut.min(rest.len()));
                rest = after;
                let mut part = of(part);
                part.merge(&merged);
                merged = part;
            }
            merged.merge(&of(rest));
            prop_assert_eq!(merged.quantile(quantile), of(&values).quantile(quantile));
            prop_assert_eq!(merged.count(), values.len() as u64);
        }
    }
}
