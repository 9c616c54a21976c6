//! What pipes make of events: a table.
//!
//! [`Aggregation`] is the state that grows with the events, shared by the oracle (which feeds
//! events) and the index (which feeds columns); [`Table`] is the answer. What is exact, what is an
//! estimate and what is left out never depends on how the events were fed or in how many parts.

mod aggregation;
mod cell;
mod distinct;
mod quantiles;
mod sum;
mod summary;

use std::cmp::Ordering;

use logboom_event::Event;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::aggregation::{Aggregation, Slot};
pub use self::cell::{Cell, cell};
pub use self::quantiles::Quantiles;
use crate::ast::Query;
use crate::eval::matches;
use crate::field::Field;
use crate::pipe::{Aggregate, Function, GroupKey, Pipe, SortKey};
use crate::span_field::SpanField;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub columns: Vec<String>,
    /// What the numbers and texts of each column are.
    pub units: Vec<Option<Unit>>,
    pub rows: Vec<Vec<Value>>,
    /// False when groups were left out. The rows that are there are exact all the same.
    pub complete: bool,
    /// What was left out or estimated, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A length of time in nanoseconds.
    Ns,
    /// A time in RFC 3339.
    Time,
}

/// The table of a query with pipes over these events: the oracle. `None` when it has no pipes.
pub fn table<'a>(query: &Query, events: impl IntoIterator<Item = &'a Event>) -> Option<Table> {
    let mut aggregation = Aggregation::new(query.stats()?);
    for event in events {
        if matches(query, event) {
            aggregation.add_event(event);
        }
    }
    Some(aggregation.table(&query.pipes))
}

impl Aggregation {
    /// The table so far. Of `pipes`, the query's own, all that follow `stats` are applied in order;
    /// without a sort the rows are in the order of their groups.
    pub fn table(&self, pipes: &[Pipe]) -> Table {
        let stats = self.stats();
        let keys = stats.by.len();
        let mut rows: Vec<Vec<Cell<'static>>> = self.rows().map(|row| self.cells(&row)).collect();
        rows.sort_by(|a, b| by_groups(a, b, keys));
        for pipe in pipes {
            match pipe {
                Pipe::Stats(_) => {}
                // Stable, so ties keep the order of the groups, or of the sort before.
                Pipe::Sort(columns) => rows.sort_by(|a, b| by_columns(a, b, columns)),
                Pipe::Limit(most) => rows.truncate(*most),
            }
        }
        let groups = stats.by.iter().map(|group| unit_of_key(&group.key));
        Table {
            columns: stats.columns().map(str::to_owned).collect(),
            units: groups.chain(stats.aggregates.iter().map(unit)).collect(),
            rows: rows
                .iter()
                .map(|row| row.iter().map(Cell::to_json).collect())
                .collect(),
            complete: self.estimated_groups().is_none(),
            notes: self.notes(),
        }
    }

    fn cells(&self, row: &aggregation::Row<'_>) -> Vec<Cell<'static>> {
        let aggregates = self.stats().aggregates.iter().map(|aggregate| {
            let Some(field) = &aggregate.field else {
                return row.events.into();
            };
            let input = self.inputs().iter().position(|input| input == field);
            let summary = input.map(|input| &row.summaries[input]);
            summary.map_or(Cell::Missing, |summary| {
                summary.value(aggregate.function, *field == Field::Timestamp)
            })
        });
        row.key.iter().cloned().chain(aggregates).collect()
    }

    fn notes(&self) -> Vec<String> {
        let kept = self.rows().count();
        let left_out = self.estimated_groups().map(|groups| {
            format!(
                "there are about {groups} groups, more than fit: these are {kept} of them, chosen without regard to their values, each one exact; narrow the filter, or group by less"
            )
        });
        let estimates = self
            .rows()
            .filter(|row| row.summaries.iter().any(summary::Summary::is_estimate))
            .count();
        let estimated = (estimates > 0).then(|| {
            format!(
                "count_distinct is an estimate in {estimates} of {kept} groups: beyond {} values it is within 5 %",
                crate::limits::DISTINCT_HASHES_MAX
            )
        });
        left_out.into_iter().chain(estimated).collect()
    }
}

fn by_groups(a: &[Cell<'_>], b: &[Cell<'_>], keys: usize) -> Ordering {
    let pairs = a.iter().zip(b).take(keys);
    pairs.fold(Ordering::Equal, |so_far, (a, b)| {
        so_far.then_with(|| a.order(b))
    })
}

fn by_columns(a: &[Cell<'_>], b: &[Cell<'_>], columns: &[SortKey]) -> Ordering {
    columns.iter().fold(Ordering::Equal, |so_far, key| {
        so_far.then_with(|| {
            let (a, b) = (&a[key.column], &b[key.column]);
            // What is missing comes last in both directions.
            if key.descending && !a.is_missing() && !b.is_missing() {
                return b.order(a);
            }
            a.order(b)
        })
    })
}

fn unit(aggregate: &Aggregate) -> Option<Unit> {
    match aggregate.function {
        Function::Count | Function::CountDistinct => None,
        _ => unit_of_field(aggregate.field.as_ref()?),
    }
}

fn unit_of_key(key: &GroupKey) -> Option<Unit> {
    match key {
        GroupKey::Bin { .. } => Some(Unit::Time),
        GroupKey::Field(field) => unit_of_field(field),
    }
}

fn unit_of_field(field: &Field) -> Option<Unit> {
    match field {
        Field::Timestamp => Some(Unit::Time),
        Field::Span(SpanField::Duration) => Some(Unit::Ns),
        _ => None,
    }
}
