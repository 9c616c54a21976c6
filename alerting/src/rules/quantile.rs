//! A threshold on a quantile of a field: `p99` of `duration` above `500ms`.
//!
//! Whether a quantile is above a limit is decided by two counts: the nearest-rank quantile of n values
//! is above it exactly when fewer values than its rank are not. So nothing has to be estimated, and
//! a window needs no more than how many values it holds and how many of them are above.

use std::{cmp::Ordering, ops::Bound};

use logboom_event::Event;
use logboom_query::{
    Cell, Clause, Expr, Field, Function, Number, Pipe, Quantile, Range, SPANS, SpanField, Test,
};
use serde::{Deserialize, Serialize};

/// As the rule's file says it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QuantileThreshold {
    /// `p99`
    pub quantile: String,
    pub field: String,
    /// `500ms`, or a number.
    pub above: String,
    /// The quantile's share in millionths.
    pub(crate) per_million: u32,
    /// What is compared with what; not stored, since only rules that were read from files count.
    #[serde(skip)]
    pub(crate) test: Option<(Field, Number)>,
}

/// What a window's values have to be for the condition to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// The quantile's share in millionths.
    pub(crate) per_million: u32,
    pub(crate) count_min: u32,
}

impl Demand {
    /// Whether `above` of `values` being above the limit puts the quantile above it.
    pub(crate) fn stands(self, values: u64, above: u64) -> bool {
        // Counted from 1: the smallest value that at least this share of all does not exceed.
        let rank = (u128::from(self.per_million) * u128::from(values))
            .div_ceil(1_000_000)
            .max(1);
        values >= u64::from(self.count_min.max(1)) && u128::from(values - above) < rank
    }
}

impl QuantileThreshold {
    /// Whether the event's value is above the limit; none when it has no number there.
    pub(crate) fn is_above(&self, event: &Event) -> Option<bool> {
        let (field, limit) = self.test.as_ref()?;
        match logboom_query::cell(field, event) {
            Cell::Number(value) => Some(value.compare(*limit) == Ordering::Greater),
            _ => None,
        }
    }

    pub(crate) fn demand(&self, count_min: u32) -> Demand {
        Demand {
            per_million: self.per_million,
            count_min,
        }
    }

    /// `p99 of duration above 500ms`
    pub(crate) fn summary(&self) -> String {
        format!("{} of {} above {}", self.quantile, self.field, self.above)
    }
}

/// `p99.9` in millionths.
pub(super) fn quantile(text: &str) -> Result<u32, String> {
    let wrong = || {
        format!("`{text}` is no quantile; write it like `p99`, `p99.9` or `p50`, from p0 to p100")
    };
    Quantile::parse(text).ok_or_else(wrong)?;
    let percent = text.strip_prefix('p').ok_or_else(wrong)?;
    let (whole, fraction) = percent.split_once('.').unwrap_or((percent, ""));
    format!("{whole}{fraction:0<4}")
        .parse()
        .map_err(|_| wrong())
}

/// A field whose values can be compared with a limit, as queries spell it.
pub(super) fn field(text: &str, index: &str) -> Result<Field, String> {
    let wrong = || {
        let taken = if index == SPANS {
            "`duration` and attributes"
        } else {
            "attributes, like `took_ms`"
        };
        format!("`{text}` is no field with numbers; a quantile is of {taken}")
    };
    // More than a name would be read as more than a field.
    if text.contains(['(', ')', ',', '|']) {
        return Err(wrong());
    }
    let asked = format!("* | stats max({text})");
    let query = logboom_query::parse_in(&asked, Some(index)).map_err(|_| wrong())?;
    let field = match query.pipes.as_slice() {
        [Pipe::Stats(stats)] => match stats.aggregates.as_slice() {
            [only] if only.function == Function::Max => only.field.clone(),
            _ => None,
        },
        _ => None,
    };
    field
        .filter(|field| {
            matches!(
                field,
                Field::Attribute(_) | Field::Span(SpanField::Duration)
            )
        })
        .ok_or_else(wrong)
}

/// The limit: a number, or of the duration of spans a length of time, in nanoseconds.
pub(super) fn limit(text: &str, field: &Field) -> Result<Number, String> {
    if let Field::Attribute(name) = field {
        return Number::parse(text).ok_or_else(|| {
            format!(
                "`{text}` is no number; `{name}` has no unit of its own, so write the bare number in the field's unit"
            )
        });
    }
    let wrong = || format!("`{text}` is no length of time; write it like `500ms`, `1.5s` or `2m`");
    // A bare number would be nanoseconds to the query, and is meant as milliseconds.
    if !text.ends_with(|c: char| c.is_ascii_alphabetic()) || text.contains(char::is_whitespace) {
        return Err(wrong());
    }
    let query =
        logboom_query::parse_in(&format!("duration:>{text}"), Some(SPANS)).map_err(|_| wrong())?;
    match query.expr {
        Expr::Clause(Clause {
            test:
                Test::Range(Range::Number {
                    low: Bound::Excluded(limit),
                    ..
                }),
            ..
        }) => Ok(limit),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use logboom_query::Quantiles;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn two_counts_say_what_the_sorted_values_say(
            values in prop::collection::vec(0u32..50, 1..200), limit in 0u32..50, per_million in 0u32..=1_000_000,
        ) {
            let mut all = Quantiles::new();
            values.iter().for_each(|value| all.add(f64::from(*value)));
            let found = all.quantile(Quantile::per_million(per_million).unwrap()).unwrap();
            let above = values.iter().filter(|value| **value > limit).count() as u64;
            let demand = Demand { per_million, count_min: 1 };
            prop_assert_eq!(demand.stands(values.len() as u64, above), found > f64::from(limit));
        }
    }

    #[test]
    fn quantiles_are_read_as_queries_read_them() {
        for (text, per_million) in [
            ("p99", 990_000),
            ("p99.9", 999_000),
            ("p0", 0),
            ("p100", 1_000_000),
            ("p5", 50_000),
        ] {
            assert_eq!(quantile(text), Ok(per_million));
            assert_eq!(Quantile::parse(text), Quantile::per_million(per_million));
        }
        for text in ["99", "p101", "p", "p9x", "median", "p99.99999"] {
            assert!(quantile(text).is_err(), "{text}");
        }
    }
}
