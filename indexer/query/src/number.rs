//! Numbers as logs and people write them, compared by value.

use std::cmp::Ordering;
use std::fmt::{self, Display, Formatter};

/// A finite number. Integral floats are `Int`, so that equal numbers are equal values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    /// Reads `-12`, `3.5`, `1e9`; anything else (`0x1f`, `1_000`, `inf`, ` 1`) is text.
    pub fn parse(text: &str) -> Option<Number> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let numeric = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
        if !unsigned.starts_with(|c: char| c.is_ascii_digit()) || !unsigned.bytes().all(numeric) {
            return None;
        }
        if let Ok(int) = text.parse::<i128>() {
            return Some(Number::Int(int));
        }
        text.parse::<f64>().ok().and_then(Number::from_f64)
    }

    pub fn from_f64(value: f64) -> Option<Number> {
        // Below 2^63 a float without fraction converts without loss.
        const INTEGRAL_MAX: f64 = 9_223_372_036_854_775_808.0;
        if !value.is_finite() {
            return None;
        }
        if value.fract() == 0.0 && value.abs() < INTEGRAL_MAX {
            return Some(Number::Int(value as i128));
        }
        Some(Number::Float(value))
    }

    pub fn from_json(value: &serde_json::Number) -> Option<Number> {
        if let Some(int) = value.as_i64() {
            return Some(Number::Int(int.into()));
        }
        if let Some(int) = value.as_u64() {
            return Some(Number::Int(int.into()));
        }
        value.as_f64().and_then(Number::from_f64)
    }

    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Number::Int(int) => int as f64,
            Number::Float(float) => float,
        }
    }

    /// An integer where JSON has one as large, else a float.
    pub(crate) fn to_json(self) -> serde_json::Value {
        if let Number::Int(int) = self {
            if let Ok(int) = i64::try_from(int) {
                return int.into();
            }
            if let Ok(int) = u64::try_from(int) {
                return int.into();
            }
        }
        self.to_f64().into()
    }

    /// For sorting: a strict order of all numbers, also where an integer and a float are equal as floats.
    pub(crate) fn order(self, other: Number) -> Ordering {
        if let (Number::Int(a), Number::Int(b)) = (self, other) {
            // As their floats would say, which never change the order of integers.
            return a.cmp(&b);
        }
        let as_floats = self.to_f64().total_cmp(&other.to_f64());
        let is_float = |number| matches!(number, Number::Float(_));
        as_floats.then(is_float(self).cmp(&is_float(other)))
    }

    /// Total, because every value is finite.
    pub fn compare(self, other: Number) -> Ordering {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => a.cmp(&b),
            (Number::Int(a), Number::Float(b)) => (a as f64).total_cmp(&b),
            (Number::Float(a), Number::Int(b)) => a.total_cmp(&(b as f64)),
            (Number::Float(a), Number::Float(b)) => a.total_cmp(&b),
        }
    }
}

/// The canonical text: a value's term in the index.
impl Display for Number {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(int) => write!(out, "{int}"),
            Number::Float(float) => write!(out, "{float:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_have_one_text_and_the_text_reads_back() {
        for text in [
            "404",
            "404.0",
            "4.04e2",
            "-0",
            "1e300",
            "0.1",
            "-2.5e-7",
            "99999999999999999999",
        ] {
            let number = Number::parse(text).unwrap();
            assert_eq!(Number::parse(&number.to_string()), Some(number), "{text}");
        }
        assert_eq!(Number::parse("404.0").unwrap().to_string(), "404");
    }

    #[test]
    fn what_only_resembles_a_number_is_text() {
        for text in [
            "", "-", "1.2.3", "0x1f", "1_000", "inf", "NaN", "1e999", "+1", " 1", "5ms", "e5",
        ] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    /// A sort panics on an order that contradicts itself, as comparing by value alone does here.
    #[test]
    fn the_order_of_numbers_is_strict() {
        let texts = [
            "1e19",
            "10000000000000000000",
            "10000000000000000001",
            "0.5",
            "-3",
            "1e300",
            "9223372036854775808",
        ];
        let numbers = texts.map(|text| Number::parse(text).unwrap());
        for a in numbers {
            for b in numbers {
                assert_eq!(a.order(b).is_eq(), a == b, "{a} {b}");
                assert_eq!(a.order(b), b.order(a).reverse(), "{a} {b}");
                for c in numbers {
                    let ascending = a.order(b).is_lt() && b.order(c).is_lt();
                    assert!(!ascending || a.order(c).is_lt(), "{a} {b} {c}");
                }
            }
        }
    }

    #[test]
    fn large_integers_compare_without_loss() {
        let (a, b) = (
            Number::parse("9007199254740993").unwrap(),
            Number::parse("9007199254740992").unwrap(),
        );
        assert_eq!(a.compare(b), Ordering::Greater);
    }
}
