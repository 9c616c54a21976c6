//! The columns of one segment of spans, and names that mean the same in all segments.

use std::collections::HashMap;
use std::sync::Arc;

use tantivy::columnar::{Column, ColumnValues, StrColumn};
use tantivy::{DocId, SegmentReader, Term};

use crate::schema::{self, Schema};
use crate::search::matching::{self, values};
use crate::span_columns;

/// What identifies a span, however often it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SpanKey {
    pub(crate) trace: TraceKey,
    pub(crate) span: u64,
}

/// The halves of a trace id: eight bytes less than an aligned u128 would take beside a span's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TraceKey {
    pub(crate) high: u64,
    pub(crate) low: u64,
}

/// Texts by number, up to a number of them.
#[derive(Debug)]
pub(crate) struct Names {
    most: usize,
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

/// A dictionary column, translated to [`Names`] as its texts are met.
pub(crate) struct NameColumn {
    column: Option<(StrColumn, Column<u64>)>,
    /// By ordinal.
    numbers: HashMap<u64, u32>,
}

/// Readers of all columns that questions about traces look at.
pub(crate) struct SpanColumns {
    /// Those that logs have, too.
    pub(crate) common: matching::Columns,
    pub(crate) kind: Arc<dyn ColumnValues<u64>>,
    pub(crate) status: Arc<dyn ColumnValues<u64>>,
    pub(crate) duration: Arc<dyn ColumnValues<u64>>,
    pub(crate) span: Arc<dyn ColumnValues<u64>>,
    pub(crate) parent: Arc<dyn ColumnValues<u64>>,
    trace_hi: Arc<dyn ColumnValues<u64>>,
    trace_lo: Arc<dyn ColumnValues<u64>>,
    pub(crate) service: NameColumn,
    pub(crate) operation: NameColumn,
}

/// Status code of a failed span.
const ERROR: u64 = 2;

impl SpanColumns {
    pub(crate) fn open(reader: &SegmentReader) -> tantivy::Result<SpanColumns> {
        let columns = reader.fast_fields();
        let numbers = |name: &str| -> tantivy::Result<Arc<dyn ColumnValues<u64>>> {
            let column = columns.column_opt::<u64>(name)?;
            let none = || Column::build_empty_column(reader.max_doc());
            Ok(values(column.unwrap_or_else(none)))
        };
        Ok(SpanColumns {
            common: matching::Columns::open(reader)?,
            kind: numbers(span_columns::KIND)?,
            status: numbers(span_columns::STATUS)?,
            duration: numbers(span_columns::DURATION)?,
            span: numbers(span_columns::SPAN)?,
            parent: numbers(span_columns::PARENT)?,
            trace_hi: numbers(span_columns::TRACE_HI)?,
            trace_lo: numbers(span_columns::TRACE_LO)?,
            service: NameColumn::new(columns.str(span_columns::SERVICE)?),
            operation: NameColumn::new(columns.str(span_columns::OPERATION)?),
        })
    }

    /// A document that could not be read as a span has no kind.
    pub(crate) fn is_span(&self, doc: DocId) -> bool {
        self.kind.get_val(doc) != 0
    }

    pub(crate) fn trace(&self, doc: DocId) -> TraceKey {
        TraceKey {
            high: self.trace_hi.get_val(doc),
            low: self.trace_lo.get_val(doc),
        }
    }

    /// `None` where an id is missing: nothing tells such a span from another.
    pub(crate) fn key(&self, doc: DocId) -> Option<SpanKey> {
        SpanKey::of(self.trace(doc), self.span.get_val(doc))
    }

    pub(crate) fn parent_key(&self, doc: DocId) -> Option<SpanKey> {
        SpanKey::of(self.trace(doc), self.parent.get_val(doc))
    }

    pub(crate) fn is_error(&self, doc: DocId) -> bool {
        self.status.get_val(doc) == ERROR
    }

    /// Server, consumer, or nobody's child.
    pub(crate) fn is_entry(&self, doc: DocId) -> bool {
        match self.kind.get_val(doc) {
            0 => false,
            2 | 5 => true,
            _ => self.parent.get_val(doc) == 0,
        }
    }
}

impl SpanKey {
    fn of(trace: TraceKey, span: u64) -> Option<SpanKey> {
        (span != 0 && trace.is_known()).then_some(SpanKey { trace, span })
    }
}

impl TraceKey {
    /// Reads 32 hex digits of either case; zero is no id.
    pub(crate) fn parse(text: &str) -> Option<TraceKey> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u128::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
        let key = TraceKey {
            high: (id >> 64) as u64,
            low: id as u64,
        };
        key.is_known().then_some(key)
    }

    pub(crate) fn hex(self) -> String {
        format!("{:016x}{:016x}", self.high, self.low)
    }

    /// What all documents of the trace have, and no others.
    pub(crate) fn term(self, schema: &Schema) -> Term {
        let term = [&schema::key_prefix("trace_id"), self.hex().as_bytes()].concat();
        Term::from_field_bytes(schema.fields, &term)
    }

    pub(crate) fn is_known(self) -> bool {
        self != TraceKey { high: 0, low: 0 }
    }
}

/// Reads 16 hex digits of either case; zero is no id.
pub(crate) fn span_id(text: &str) -> Option<u64> {
    let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = u64::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
    (id != 0).then_some(id)
}

impl NameColumn {
    fn new(column: Option<StrColumn>) -> NameColumn {
        NameColumn {
            column: column.map(|column| (column.clone(), column.ords().clone())),
            numbers: HashMap::new(),
        }
    }

    /// The number of the document's text, the empty one where it has none. `None`: `names` are full.
    pub(crate) fn number(&mut self, doc: DocId, names: &mut Names) -> tantivy::Result<Option<u32>> {
        let found = self
            .column
            .as_ref()
            .and_then(|(column, ords)| Some((column, ords.first(doc)?)));
        let Some((column, ordinal)) = found else {
            return Ok(names.number(""));
        };
        if let Some(number) = self.numbers.get(&ordinal) {
            return Ok(Some(*number));
        }
        let mut text = String::new();
        column.ord_to_str(ordinal, &mut text)?;
        let number = names.number(&text);
        if let Some(number) = number {
            self.numbers.insert(ordinal, number);
        }
        Ok(number)
    }
}

impl Names {
    pub(crate) fn new(most: usize) -> Names {
        Names {
            most,
            numbers: HashMap::new(),
            texts: Vec::new(),
        }
    }

    /// `None` where there is no room for another text.
    pub(crate) fn number(&mut self, text: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(text) {
            return Some(*number);
        }
        if self.texts.len() >= self.most {
            return None;
        }
        let number = u32::try_from(self.texts.len()).ok()?;
        let text: Arc<str> = Arc::from(text);
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        Some(number)
    }

    pub(crate) fn text(&self, number: u32) -> &str {
        &self.texts[number as usize]
    }

    pub(crate) fn into_texts(self) -> Vec<String> {
        self.texts.iter().map(|text| text.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_ids_that_are_not_zero_are_read() {
        let id = "0AF7651916cd43dd8448eb211c80319c";
        assert_eq!(TraceKey::parse(id).unwrap().hex(), id.to_lowercase());
        assert_eq!(span_id("00000000000000Ff"), Some(255));
        for text in [
            "",
            "+af7651916cd43dd8448eb211c80319c",
            &"0".repeat(32),
            "af",
        ] {
            assert_eq!(TraceKey::parse(text), None, "{text}");
        }
        for text in ["+000000000000001", "0000000000000000", "1"] {
            assert_eq!(span_id(text), None, "{text}");
        }
    }
}
