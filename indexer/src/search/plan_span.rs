//! Planning of what spans have in columns instead of terms: durations and ids, nearly all of which differ.
//! A dictionary of them would be as large as the spans, and only a number can be asked for by size.

use std::cmp::Ordering;
use std::ops::Bound;

use logboom_query::{Field, Number, Range, SpanField, Test};
use tantivy::Term;
use tantivy::query::{ExistsQuery, RangeQuery};
use tantivy::schema::Field as IndexField;

use super::docs::Docs;
use super::plan::{Bounds, Planner};
use crate::span_columns::{DURATION, SpanColumns};

impl Planner<'_> {
    /// `None` for fields that are in terms, and for all fields of logs.
    pub(crate) fn span_column(&self, field: &Field, test: &Test) -> Option<Bounds> {
        let columns = self.schema.spans.as_ref()?;
        match field {
            Field::Span(SpanField::Duration) => Some(duration(columns, test)),
            Field::SpanId => Some(id(columns.span, test)),
            Field::Span(SpanField::ParentId) => Some(id(columns.parent, test)),
            _ => None,
        }
    }
}

fn duration(columns: &SpanColumns, test: &Test) -> Bounds {
    // What is no span has none.
    let spans = || Docs::of(ExistsQuery::new(DURATION.to_owned(), false));
    match test {
        Test::Range(Range::Number { low, high }) => {
            Bounds::exact(numbers(columns.duration, first(low), last(high)))
        }
        Test::Exact(exact) => Bounds::exact(Docs::union(exact.texts().filter_map(|text| {
            let ns = text.parse::<u64>().ok()?;
            // Texts are compared: `007` is no duration's.
            (ns.to_string() == text).then(|| numbers(columns.duration, Some(ns), Some(ns)))
        }))),
        Test::Exists => Bounds::exact(spans()),
        _ => Bounds::within(Docs::Nothing, spans()),
    }
}

/// A column of ids, in which 0 is none.
fn id(column: IndexField, test: &Test) -> Bounds {
    let any = || numbers(column, Some(1), None);
    match test {
        Test::Exact(exact) => Bounds::exact(Docs::union(exact.texts().filter_map(|text| {
            let id = u64::from_str_radix(text, 16).ok()?;
            (id != 0 && format!("{id:016x}") == text).then(|| numbers(column, Some(id), Some(id)))
        }))),
        Test::Exists => Bounds::exact(any()),
        _ => Bounds::within(Docs::Nothing, any()),
    }
}

/// Both ends included; without one of them nothing is.
fn numbers(column: IndexField, first: Option<u64>, last: Option<u64>) -> Docs {
    let term = |number| Bound::Included(Term::from_field_u64(column, number));
    match (first, last) {
        (Some(first), Some(last)) if first <= last => {
            Docs::of(RangeQuery::new(term(first), term(last)))
        }
        (Some(first), None) => Docs::of(RangeQuery::new(term(first), Bound::Unbounded)),
        _ => Docs::Nothing,
    }
}

/// The least duration that the bound lets pass.
fn first(low: &Bound<Number>) -> Option<u64> {
    match low {
        Bound::Unbounded => Some(0),
        Bound::Included(low) => least(|ns| compare(ns, *low).is_ge()),
        Bound::Excluded(low) => least(|ns| compare(ns, *low).is_gt()),
    }
}

/// The greatest.
fn last(high: &Bound<Number>) -> Option<u64> {
    let beyond = match high {
        Bound::Unbounded => None,
        Bound::Included(high) => least(|ns| compare(ns, *high).is_gt()),
        Bound::Excluded(high) => least(|ns| compare(ns, *high).is_ge()),
    };
    match beyond {
        None => Some(u64::MAX),
        Some(beyond) => beyond.checked_sub(1),
    }
}

/// As the oracle compares, for which a large integer beside a fraction is a float: exactness is found by
/// looking, not by arithmetic of ours.
fn compare(ns: u64, bound: Number) -> Ordering {
    Number::Int(ns.into()).compare(bound)
}

/// The first number that passes, when all after one that does pass too.
fn least(passes: impl Fn(u64) -> bool) -> Option<u64> {
    if !passes(u64::MAX) {
        return None;
    }
    let (mut low, mut high) = (0, u64::MAX);
    while low < high {
        let middle = low + (high - low) / 2;
        if passes(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_those_that_the_oracle_finds() {
        let number = |text: &str| Number::parse(text).unwrap();
        let from = |text: &str| first(&Bound::Included(number(text)));
        let above = |text: &str| first(&Bound::Excluded(number(text)));
        let to = |text: &str| last(&Bound::Included(number(text)));
        let below = |text: &str| last(&Bound::Excluded(number(text)));
        assert_eq!(
            (from("5"), above("5"), to("5"), below("5")),
            (Some(5), Some(6), Some(5), Some(4))
        );
        assert_eq!(
            (from("4.5"), above("4.5"), to("4.5"), below("4.5")),
            (Some(5), Some(5), Some(4), Some(4))
        );
        assert_eq!(
            (from("-1"), above("-1"), to("-1"), below("0")),
            (Some(0), Some(0), None, None)
        );
        let most = u64::MAX.to_string();
        assert_eq!(
            (from(&most), above(&most), to(&most)),
            (Some(u64::MAX), None, Some(u64::MAX))
        );
        assert_eq!(
            (from("1e30"), to("1e30"), last(&Bound::Unbounded)),
            (None, Some(u64::MAX), Some(u64::MAX))
        );
    }
}
