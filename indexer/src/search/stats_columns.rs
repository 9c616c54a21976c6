//! The columns that know a field's value as the oracle has it ([`logboom_query::cell`]).
//!
//! A segment with a text that was too long for its column knows such texts only from its records. A span's
//! `level` column says whether it failed, which is not the event's level: that one is read from records, too.

use std::collections::HashMap;
use std::sync::Arc;

use logboom_event::Level;
use logboom_query::{Aggregation, Cell, Field, GroupKey, KINDS, STATUSES, SpanField};
use tantivy::columnar::{Column, ColumnValues, StrColumn};
use tantivy::{DocId, Searcher, SegmentReader};

use super::limits;
use super::matching::values;
use crate::schema::{self, Mark, Schema};
use crate::span_columns;

/// Sources of all keys and inputs of an aggregation.
pub(crate) struct Sources {
    pub(crate) keys: Vec<Source>,
    pub(crate) inputs: Vec<Source>,
}

/// Where one value of an event is read.
pub(crate) enum Source {
    Time,
    Bin {
        width_ns: i64,
    },
    Level(Arc<dyn ColumnValues<u64>>),
    Number(Column<u64>),
    /// A number of the protocol and its name; the spans' kinds tell which documents have one.
    Named {
        numbers: Arc<dyn ColumnValues<u64>>,
        kinds: Arc<dyn ColumnValues<u64>>,
        name: fn(u64) -> Option<&'static str>,
    },
    /// 0 is none.
    Id(Arc<dyn ColumnValues<u64>>),
    TraceId {
        high: Arc<dyn ColumnValues<u64>>,
        low: Arc<dyn ColumnValues<u64>>,
    },
    Text {
        column: StrColumn,
        known: HashMap<u64, String>,
    },
}

impl Sources {
    /// `None`: a column is missing for what is asked.
    pub(crate) fn open(
        schema: &Schema,
        searcher: &Searcher,
        reader: &SegmentReader,
        aggregation: &Aggregation,
    ) -> tantivy::Result<Option<Sources>> {
        let (mut keys, mut inputs) = (Vec::new(), Vec::new());
        for key in aggregation.keys() {
            let source = match key {
                GroupKey::Bin { width_ns } => Some(Source::Bin {
                    width_ns: *width_ns,
                }),
                GroupKey::Field(field) => Source::open(schema, reader, field)?,
            };
            let Some(source) = source else {
                return Ok(None);
            };
            keys.push(source);
        }
        for field in aggregation.inputs() {
            let Some(source) = Source::open(schema, reader, field)? else {
                return Ok(None);
            };
            inputs.push(source);
        }
        let is_text = |source: &Source| matches!(source, Source::Text { .. });
        let has_text = keys.iter().chain(&inputs).any(is_text);
        if has_text && searcher.doc_freq(&schema.mark(Mark::CutColumn))? > 0 {
            return Ok(None);
        }
        Ok(Some(Sources { keys, inputs }))
    }

    /// Do the keys' numbers tell a group from all others?
    pub(crate) fn are_keys_numbers(&self) -> bool {
        let is_trace_id = |source: &Source| matches!(source, Source::TraceId { .. });
        !self.keys.iter().any(is_trace_id)
    }

    /// The cells of an event's group.
    pub(crate) fn key(&mut self, doc: DocId, time_ns: i64) -> tantivy::Result<Vec<Cell<'_>>> {
        self.keys
            .iter_mut()
            .map(|source| source.cell(doc, time_ns))
            .collect()
    }
}

impl Source {
    fn open(
        schema: &Schema,
        reader: &SegmentReader,
        field: &Field,
    ) -> tantivy::Result<Option<Source>> {
        let columns = reader.fast_fields();
        let plain = |name: &str| columns.u64(name).map(values);
        let text = |name: &str| -> tantivy::Result<Option<Source>> {
            Ok(columns.str(name)?.map(|column| Source::Text {
                column,
                known: HashMap::new(),
            }))
        };
        if *field == Field::Timestamp {
            return Ok(Some(Source::Time));
        }
        if schema.spans.is_none() {
            return Ok(match field {
                Field::Level => Some(Source::Level(plain(schema::LEVEL)?)),
                _ => None,
            });
        }
        let named = |column: &str, name| -> tantivy::Result<Option<Source>> {
            Ok(Some(Source::Named {
                numbers: plain(column)?,
                kinds: plain(span_columns::KIND)?,
                name,
            }))
        };
        match field {
            Field::Service => text(span_columns::SERVICE),
            Field::Span(SpanField::Operation) => text(span_columns::OPERATION),
            Field::Span(SpanField::Kind) => named(span_columns::KIND, kind_name),
            Field::Span(SpanField::Status) => named(span_columns::STATUS, status_name),
            Field::Span(SpanField::Duration) => {
                let column = columns.column_opt::<u64>(span_columns::DURATION)?;
                let none = || Column::build_empty_column(reader.max_doc());
                Ok(Some(Source::Number(column.unwrap_or_else(none))))
            }
            Field::Span(SpanField::ParentId) => Ok(Some(Source::Id(plain(span_columns::PARENT)?))),
            Field::SpanId => Ok(Some(Source::Id(plain(span_columns::SPAN)?))),
            Field::TraceId => Ok(Some(Source::TraceId {
                high: plain(span_columns::TRACE_HI)?,
                low: plain(span_columns::TRACE_LO)?,
            })),
            _ => Ok(None),
        }
    }

    /// Tells the event's value from all others of the segment; `None` where it has none, and of trace
    /// ids, which take two numbers.
    pub(crate) fn number(&self, doc: DocId, time_ns: i64) -> Option<u64> {
        let some = |number: u64| (number != 0).then_some(number);
        match self {
            Source::Time => Some(time_ns.cast_unsigned()),
            Source::Bin { width_ns } => Some(GroupKey::bin_ns(*width_ns, time_ns).cast_unsigned()),
            Source::Level(column) | Source::Id(column) => some(column.get_val(doc)),
            Source::Number(column) => column.first(doc),
            Source::Named { numbers, kinds, .. } => {
                (kinds.get_val(doc) != 0).then(|| numbers.get_val(doc))
            }
            Source::TraceId { .. } => None,
            Source::Text { column, .. } => column.ords().first(doc),
        }
    }

    pub(crate) fn cell(&mut self, doc: DocId, time_ns: i64) -> tantivy::Result<Cell<'_>> {
        if let Source::TraceId { high, low } = self {
            let id = u128::from(high.get_val(doc)) << 64 | u128::from(low.get_val(doc));
            return Ok(match id {
                0 => Cell::Missing,
                id => Cell::Text(format!("{id:032x}").into()),
            });
        }
        let Some(number) = self.number(doc, time_ns) else {
            return Ok(Cell::Missing);
        };
        Ok(match self {
            Source::Time | Source::Bin { .. } => Cell::Time(number.cast_signed()),
            Source::Level(_) => {
                let level = Level::ALL
                    .into_iter()
                    .find(|level| u64::from(level.number()) == number);
                level.map(|level| level.as_str()).into()
            }
            Source::Number(_) => number.into(),
            Source::Named { name, .. } => name(number).into(),
            Source::Id(_) => Cell::Text(format!("{number:016x}").into()),
            Source::Text { column, known } => {
                if !known.contains_key(&number) {
                    let mut text = String::new();
                    column.ord_to_str(number, &mut text)?;
                    if known.len() >= limits::TEXTS_MAX {
                        known.clear();
                    }
                    known.insert(number, text);
                }
                known.get(&number).map(String::as_str).into()
            }
            Source::TraceId { .. } => Cell::Missing,
        })
    }
}

fn kind_name(number: u64) -> Option<&'static str> {
    let at = usize::try_from(number).ok()?.checked_sub(1)?;
    KINDS.get(at).copied()
}

fn status_name(code: u64) -> Option<&'static str> {
    STATUSES.get(usize::try_from(code).ok()?).copied()
}
