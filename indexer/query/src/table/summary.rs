//! What is remembered of one field's values in one group.

use xxhash_rust::xxh3::xxh3_64;

use super::cell::Cell;
use super::distinct::Distinct;
use super::quantiles::Quantiles;
use super::sum::Sum;
use crate::number::Number;
use crate::pipe::Function;

#[derive(Debug, Clone)]
pub(super) struct Summary {
    /// Events that have the field.
    present: u64,
    /// Those whose value is a number.
    numbers: u64,
    wanted: Wanted,
    sum: Sum,
    extremes: Option<(Number, Number)>,
    quantiles: Option<Quantiles>,
    distinct: Option<Distinct>,
}

/// What of it the functions read; the rest is not kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    sum: bool,
    extremes: bool,
    quantiles: bool,
    distinct: bool,
}

impl Wanted {
    pub(super) fn also(&mut self, function: Function) {
        self.sum |= matches!(function, Function::Sum | Function::Avg);
        self.extremes |= matches!(function, Function::Min | Function::Max);
        self.quantiles |= matches!(function, Function::Quantile(_));
        self.distinct |= function == Function::CountDistinct;
    }
}

impl Summary {
    pub(super) fn new(wanted: Wanted) -> Summary {
        Summary {
            present: 0,
            numbers: 0,
            wanted,
            sum: Sum::default(),
            extremes: None,
            quantiles: wanted.quantiles.then(Quantiles::new),
            distinct: wanted.distinct.then(Distinct::default),
        }
    }

    /// `scratch` is only memory to work in.
    pub(super) fn add(&mut self, cell: &Cell<'_>, scratch: &mut Vec<u8>) {
        if *cell == Cell::Missing {
            return;
        }
        self.present += 1;
        if let (Some(distinct), false) = (&mut self.distinct, cell.is_missing()) {
            scratch.clear();
            cell.encode(scratch);
            distinct.add(xxh3_64(scratch));
        }
        let number = match cell {
            Cell::Number(number) => *number,
            Cell::Time(ns) => Number::Int((*ns).into()),
            Cell::Missing | Cell::Nested | Cell::Bool(_) | Cell::Text(_) => return,
        };
        self.numbers += 1;
        if self.wanted.sum {
            self.sum.add(number);
        }
        if self.wanted.extremes {
            self.widen(number, number);
        }
        if let Some(quantiles) = &mut self.quantiles {
            quantiles.add(number.to_f64());
        }
    }

    pub(super) fn merge(&mut self, other: &Summary) {
        self.present += other.present;
        self.numbers += other.numbers;
        self.sum.merge(&other.sum);
        if let Some((least, most)) = other.extremes {
            self.widen(least, most);
        }
        if let (Some(mine), Some(theirs)) = (&mut self.quantiles, &other.quantiles) {
            mine.merge(theirs);
        }
        if let (Some(mine), Some(theirs)) = (&mut self.distinct, &other.distinct) {
            mine.merge(theirs);
        }
    }

    fn widen(&mut self, least: Number, most: Number) {
        self.extremes = Some(match self.extremes {
            Some((low, high)) => (
                if least.order(low).is_lt() { least } else { low },
                if most.order(high).is_gt() { most } else { high },
            ),
            None => (least, most),
        });
    }

    /// What the function says of the values. `is_time`: they are times, and so are the extremes.
    pub(super) fn value(&self, function: Function, is_time: bool) -> Cell<'static> {
        let extreme = |number: Number| match number {
            Number::Int(ns) if is_time => i64::try_from(ns).map_or(Cell::Missing, Cell::Time),
            number => Cell::Number(number),
        };
        let float = |value: f64| Number::from_f64(value).map_or(Cell::Missing, Cell::Number);
        match function {
            Function::Count => self.present.into(),
            Function::CountDistinct => self.distinct.as_ref().map_or(0, Distinct::count).into(),
            _ if self.numbers == 0 => Cell::Missing,
            Function::Sum => self.sum.total().map_or(Cell::Missing, Cell::Number),
            Function::Avg => self.sum.total().map_or(Cell::Missing, |sum| {
                float(sum.to_f64() / self.numbers as f64)
            }),
            Function::Min => self
                .extremes
                .map_or(Cell::Missing, |(least, _)| extreme(least)),
            Function::Max => self
                .extremes
                .map_or(Cell::Missing, |(_, most)| extreme(most)),
            Function::Quantile(quantile) => {
                let found = self
                    .quantiles
                    .as_ref()
                    .and_then(|all| all.quantile(quantile));
                found.map_or(Cell::Missing, float)
            }
        }
    }

    pub(super) fn is_estimate(&self) -> bool {
        self.distinct.as_ref().is_some_and(Distinct::is_estimate)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.sum.heap_bytes()
            + self.quantiles.as_ref().map_or(0, Quantiles::heap_bytes)
            + self.distinct.as_ref().map_or(0, Distinct::heap_bytes)
    }
}
