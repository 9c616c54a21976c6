//! The AST of what follows a filter: `| stats … | sort … | limit …`, which make a table of its events.
//!
//! A pipe works on the table that the one before it made; only `stats` works on events, so it is
//! first. A kind of pipe that is added later is a variant here, a row in the parser's list of
//! stages, and an arm where tables are made.

use crate::ast::Query;
use crate::error::QueryError;
use crate::field::Field;

#[derive(Debug, Clone, PartialEq)]
pub enum Pipe {
    /// Always the first, and only that.
    Stats(Stats),
    /// By these columns, then by the table's groups.
    Sort(Vec<SortKey>),
    /// The first so many rows.
    Limit(usize),
}

/// One row for each group: the group's keys, then the aggregates.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// At least one.
    pub aggregates: Vec<Aggregate>,
    pub by: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    pub function: Function,
    /// `None` only for `count()`.
    pub field: Option<Field>,
    /// The column's.
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Events; with a field, those that have it.
    Count,
    CountDistinct,
    Sum,
    Avg,
    Min,
    Max,
    Quantile(Quantile),
}

/// The rank of a quantile. An integer, so that which value has it is never a matter of rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantile {
    per_million: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub key: GroupKey,
    /// The column's.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum GroupKey {
    Field(Field),
    /// Of the event's time; the width is positive. The bins are aligned to the epoch, so that those of two
    /// queries are the same.
    Bin {
        width_ns: i64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    pub column: usize,
    pub descending: bool,
}

impl Query {
    /// The aggregation that its pipes begin with, when it has pipes.
    pub fn stats(&self) -> Option<&Stats> {
        match self.pipes.first() {
            Some(Pipe::Stats(stats)) => Some(stats),
            _ => None,
        }
    }

    /// Refuses pipes, for where events are needed and a table is no answer.
    pub fn filter_only(&self) -> Result<(), QueryError> {
        if self.pipes.is_empty() {
            return Ok(());
        }
        Err(QueryError::at(
            &self.text,
            self.pipes_from..self.text.trim_end().len(),
            "makes a table, where events are needed; leave it out",
        ))
    }
}

impl Stats {
    /// Names of the table's columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let groups = self.by.iter().map(|group| group.name.as_str());
        let aggregates = self.aggregates.iter();
        groups.chain(aggregates.map(|aggregate| aggregate.name.as_str()))
    }
}

impl GroupKey {
    /// The first nanosecond of the bin that `ns` is in.
    pub fn bin_ns(width_ns: i64, ns: i64) -> i64 {
        ns.saturating_sub(ns.rem_euclid(width_ns))
    }
}

impl Quantile {
    const WHOLE: u32 = 1_000_000;

    /// From 0 (the smallest value) to 1,000,000 (the largest).
    pub fn per_million(per_million: u32) -> Option<Quantile> {
        (per_million <= Quantile::WHOLE).then_some(Quantile { per_million })
    }

    /// Reads `p99` or `p99.9`: at most four decimals.
    pub fn parse(name: &str) -> Option<Quantile> {
        let percent = name.strip_prefix('p')?;
        Quantile::decimal(percent, 2)
    }

    /// Reads `0.99`: at most six decimals.
    pub(crate) fn of_fraction(text: &str) -> Option<Quantile> {
        Quantile::decimal(text, 0)
    }

    /// A decimal number that is `10^shift` times too large.
    fn decimal(text: &str, shift: usize) -> Option<Quantile> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let decimals = 6 - shift;
        let dangling = text.ends_with('.') || whole.is_empty();
        if dangling
            || whole.len() > 3
            || !digits(whole)
            || !digits(fraction)
            || fraction.len() > decimals
        {
            return None;
        }
        Quantile::per_million(format!("{whole}{fraction:0<decimals$}").parse().ok()?)
    }

    /// Which of `count` values, sorted and counted from 0, is the quantile: the smallest one that
    /// at least this share of all values does not exceed ("nearest rank").
    pub(crate) fn rank(self, count: u64) -> u64 {
        let rank = (u128::from(self.per_million) * u128::from(count))
            .div_ceil(u128::from(Quantile::WHOLE));
        u64::try_from(rank).unwrap_or(count).saturating_sub(1)
    }

    /// `99.9`
    pub(crate) fn percent(self) -> String {
        let (whole, fraction) = (self.per_million / 10_000, self.per_million % 10_000);
        let text = format!("{whole}.{fraction:04}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_read_exactly_and_show_as_they_read() {
        for (text, per_million) in [
            ("p99", 990_000),
            ("p99.9", 999_000),
            ("p0", 0),
            ("p100", 1_000_000),
            ("p0.0001", 1),
        ] {
            let quantile = Quantile::parse(text).unwrap();
            assert_eq!(quantile, Quantile { per_million }, "{text}");
            assert_eq!(format!("p{}", quantile.percent()), text);
        }
        assert_eq!(Quantile::of_fraction("0.95"), Quantile::parse("p95"));
        assert_eq!(Quantile::of_fraction("1"), Quantile::parse("p100"));
        for text in [
            "p",
            "p101",
            "p99.",
            "p.5",
            "p99.99999",
            "p-1",
            "p1e1",
            "q99",
            "p0x",
        ] {
            assert_eq!(Quantile::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_quantile_s_rank_is_the_nearest_that_reaches_its_share() {
        let rank = |text: &str, count| Quantile::parse(text).unwrap().rank(count);
        assert_eq!((rank("p50", 1), rank("p50", 2), rank("p50", 3)), (0, 0, 1));
        assert_eq!((rank("p99", 100), rank("p99", 101)), (98, 99));
        assert_eq!((rank("p0", 10), rank("p100", 10)), (0, 9));
    }

    #[test]
    fn bins_are_aligned_to_the_epoch_on_both_of_its_sides() {
        assert_eq!(GroupKey::bin_ns(10, 29), 20);
        assert_eq!(GroupKey::bin_ns(10, -1), -10);
        assert_eq!(GroupKey::bin_ns(10, i64::MIN), i64::MIN);
    }
}
