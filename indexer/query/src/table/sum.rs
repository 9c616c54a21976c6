//! A sum that does not depend on the order of its terms, so that an index that adds up split by
//! split says what a scan of all events says, to the last digit.
//!
//! Integers are added as integers. Floats are kept as partial sums that do not overlap, so nothing
//! is lost until the end, where the exact sum is rounded once (Shewchuk's algorithm, as in Python's
//! `math.fsum`).

use crate::number::Number;

#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    ints: i128,
    /// Growing in size; some forty at most, because the bits of two do not overlap.
    partials: Vec<f64>,
    /// The sum left the range of floats on its way.
    overflowed: bool,
}

impl Sum {
    pub(super) fn add(&mut self, number: Number) {
        match number {
            Number::Int(int) => self.add_int(int),
            Number::Float(float) => self.add_float(float),
        }
    }

    pub(super) fn merge(&mut self, other: &Sum) {
        self.ints += other.ints;
        for partial in &other.partials {
            self.add_float(*partial);
        }
        self.overflowed |= other.overflowed;
    }

    /// `None` beyond the largest float.
    pub(super) fn total(&self) -> Option<Number> {
        if self.overflowed {
            return None;
        }
        if self.partials.is_empty() {
            return Some(Number::Int(self.ints));
        }
        let mut exact = self.clone();
        exact.add_as_floats(self.ints);
        Number::from_f64(rounded(&exact.partials))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.partials.capacity() * size_of::<f64>()
    }

    fn add_int(&mut self, int: i128) {
        // No number of such terms reaches the end of 128 bits.
        if int.unsigned_abs() <= u64::MAX.into() {
            self.ints += int;
        } else {
            self.add_as_floats(int);
        }
    }

    /// Exact: four floats of 32 bits each, the first with the sign.
    fn add_as_floats(&mut self, int: i128) {
        for shift in [96, 64, 32, 0] {
            let all = int >> shift;
            let piece = if shift == 96 { all } else { all & 0xFFFF_FFFF };
            if piece != 0 {
                self.add_float(piece as f64 * 2_f64.powi(shift));
            }
        }
    }

    fn add_float(&mut self, mut float: f64) {
        let mut kept = 0;
        for at in 0..self.partials.len() {
            let mut other = self.partials[at];
            if float.abs() < other.abs() {
                std::mem::swap(&mut float, &mut other);
            }
            let high = float + other;
            let low = other - (high - float);
            if low != 0.0 {
                self.partials[kept] = low;
                kept += 1;
            }
            float = high;
        }
        if !float.is_finite() {
            self.overflowed = true;
            return;
        }
        self.partials.truncate(kept);
        self.partials.push(float);
    }
}

/// The exact sum of partials, rounded to the nearest float.
fn rounded(partials: &[f64]) -> f64 {
    let Some((last, mut rest)) = partials.split_last() else {
        return 0.0;
    };
    let (mut high, mut low) = (*last, 0.0);
    while let Some((next, before)) = rest.split_last() {
        rest = before;
        let sum = high + next;
        low = next - (sum - high);
        high = sum;
        if low != 0.0 {
            break;
        }
    }
    // Exactly halfway between two floats so far: what remains says which is nearer.
    if let Some(next) = rest.last()
        && ((low < 0.0 && *next < 0.0) || (low > 0.0 && *next > 0.0))
    {
        let twice = low * 2.0;
        let other = high + twice;
        if other - high == twice {
            return other;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(numbers: &[Number]) -> Option<Number> {
        let mut sum = Sum::default();
        numbers.iter().for_each(|number| sum.add(*number));
        sum.total()
    }

    fn floats(floats: &[f64]) -> Option<Number> {
        let numbers: Vec<Number> = floats.iter().filter_map(|f| Number::from_f64(*f)).collect();
        sum(&numbers)
    }

    #[test]
    fn integers_are_exact_beyond_what_a_float_holds() {
        let large = Number::Int(9_007_199_254_740_993);
        assert_eq!(
            sum(&[large, large]),
            Some(Number::Int(18_014_398_509_481_986))
        );
        assert_eq!(sum(&[]), Some(Number::Int(0)));
    }

    #[test]
    fn floats_are_rounded_once() {
        assert_eq!(floats(&[0.1; 10]), Some(Number::Int(1)));
        assert_eq!(floats(&[1e16, 0.5, -1e16, 0.25]), Some(Number::Float(0.75)));
        assert_eq!(floats(&[1e308, 1e308]), None);
        let mixed = [
            Number::Int(i128::MAX),
            Number::Float(0.5),
            Number::Int(-i128::MAX),
        ];
        assert_eq!(sum(&mixed), Some(Number::Float(0.5)));
        let beyond = [i128::MAX, i128::MAX, i128::MIN].map(Number::Int);
        assert_eq!(sum(&beyond), Some(Number::Float(i128::MAX as f64)));
        assert_eq!(sum(&[beyond[2], beyond[0], beyond[1]]), sum(&beyond));
    }

    proptest! {
        #[test]
        fn neither_order_nor_parts_change_a_sum(
            values in prop::collection::vec(prop_oneof![
                any::<i64>().prop_map(|int| Number::Int(int.into())),
                (-1e30..1e30_f64).prop_filter_map("finite", Number::from_f64),
                (-1.0..1.0_f64).prop_filter_map("finite", Number::from_f64),
            ], 0..40),
            cut in 0..40_usize,
        ) {
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut parts = Sum::default();
            for part in [right, left] {
                let mut one = Sum::default();
                part.iter().rev().for_each(|number| one.add(*number));
                parts.merge(&one);
            }
            prop_assert_eq!(parts.total(), sum(&values));
        }
    }
}
