//! The spans of one trace, found by the term of its id in every segment, whenever they came.

use std::time::Instant;

use logboom_event::EventId;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, SegmentReader, Term};

use super::columns::{Names, SpanColumns, SpanKey, TraceKey};
use super::limits;
use crate::schema::Schema;
use crate::search::{SearchError, matching::Part};

/// All segments of a snapshot; columns are opened once, where a trace is found.
pub(crate) struct Segments<'a> {
    schema: &'a Schema,
    segments: Vec<Segment<'a>>,
    /// Of all traces that are read: the columns remember their numbers.
    pub(crate) services: Names,
    pub(crate) operations: Names,
}

struct Segment<'a> {
    reader: &'a SegmentReader,
    columns: Option<SpanColumns>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) start_ns: i64,
    pub(crate) duration_ns: u64,
    /// 0 where there is none.
    pub(crate) span: u64,
    pub(crate) parent: u64,
    pub(crate) id: EventId,
    segment: usize,
    pub(crate) doc: DocId,
}

/// By start and then span id; a span that was sent more than once is there as it was first read.
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    /// False when the time or the limit ended the reading.
    pub(crate) complete: bool,
}

const OPENED: &str = "a row comes from columns that were opened";

impl<'a> Segments<'a> {
    pub(crate) fn new(schema: &'a Schema, parts: &[Part<'a>], names_max: usize) -> Segments<'a> {
        let readers = parts.iter().map(|part| part.searcher);
        let readers = readers.flat_map(|searcher| searcher.segment_readers());
        Segments {
            schema,
            services: Names::new(names_max),
            operations: Names::new(names_max),
            segments: readers
                .map(|reader| Segment {
                    reader,
                    columns: None,
                })
                .collect(),
        }
    }

    /// All spans of a trace.
    pub(crate) fn rows(&mut self, trace: TraceKey, deadline: Instant) -> Result<Rows, SearchError> {
        let (mut rows, complete) = self.read(trace, None, deadline)?;
        rows.sort_unstable_by_key(|row: &Row| (row.span, row.id));
        // Without an id nothing tells a span that was sent again from another.
        rows.dedup_by(|a, b| a.span == b.span && a.span != 0);
        rows.sort_unstable_by_key(|row| (row.start_ns, row.span, row.id));
        Ok(Rows { rows, complete })
    }

    /// The span as it was first read, and whether all of the index was looked at.
    pub(crate) fn row(
        &mut self,
        key: SpanKey,
        deadline: Instant,
    ) -> Result<(Option<Row>, bool), SearchError> {
        let (rows, complete) = self.read(key.trace, Some(key.span), deadline)?;
        Ok((rows.into_iter().min_by_key(|row| row.id), complete))
    }

    /// Those of the trace that have the span id, where one is given: span ids make no terms.
    fn read(
        &mut self,
        trace: TraceKey,
        span: Option<u64>,
        deadline: Instant,
    ) -> Result<(Vec<Row>, bool), SearchError> {
        let term = trace.term(self.schema);
        let mut rows = Vec::new();
        for (number, segment) in self.segments.iter_mut().enumerate() {
            if !segment.read(number, &term, span, deadline, &mut rows)? {
                return Ok((rows, false));
            }
        }
        Ok((rows, true))
    }

    /// The columns that a row was read from.
    pub(crate) fn columns(&self, row: &Row) -> &SpanColumns {
        self.segments[row.segment].columns.as_ref().expect(OPENED)
    }

    /// `None` where there is no room for another name.
    pub(crate) fn service(&mut self, row: &Row) -> tantivy::Result<Option<u32>> {
        let columns = self.segments[row.segment].columns.as_mut();
        let columns = columns.expect(OPENED);
        columns.service.number(row.doc, &mut self.services)
    }

    pub(crate) fn operation(&mut self, row: &Row) -> tantivy::Result<Option<u32>> {
        let columns = self.segments[row.segment].columns.as_mut();
        let columns = columns.expect(OPENED);
        columns.operation.number(row.doc, &mut self.operations)
    }

    pub(crate) fn reader(&self, row: &Row) -> &'a SegmentReader {
        self.segments[row.segment].reader
    }
}

impl Segment<'_> {
    fn read(
        &mut self,
        number: usize,
        term: &Term,
        span: Option<u64>,
        deadline: Instant,
        rows: &mut Vec<Row>,
    ) -> Result<bool, SearchError> {
        let postings = self
            .reader
            .inverted_index(term.field())?
            .read_block_postings(term, IndexRecordOption::Basic)
            .map_err(tantivy::TantivyError::from)?;
        let Some(mut postings) = postings else {
            return Ok(true);
        };
        let columns = match &mut self.columns {
            Some(columns) => columns,
            none => none.insert(SpanColumns::open(self.reader)?),
        };
        while !postings.docs().is_empty() {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            for &doc in postings.docs() {
                let id = columns.span.get_val(doc);
                if !columns.is_span(doc) || span.is_some_and(|span| span != id) {
                    continue;
                }
                if rows.len() >= limits::TRACE_SPANS_READ_MAX {
                    return Ok(false);
                }
                rows.push(Row {
                    start_ns: columns.common.time.get_val(doc),
                    duration_ns: columns.duration.get_val(doc),
                    span: id,
                    parent: columns.parent.get_val(doc),
                    id: columns.common.id(doc),
                    segment: number,
                    doc,
                });
            }
            postings.advance();
        }
        Ok(true)
    }
}

impl Rows {
    /// Start of the first span, and the time until the end of the last.
    pub(crate) fn extent(&self) -> Option<(i64, u64)> {
        let start_ns = self.rows.first()?.start_ns;
        let ends = self
            .rows
            .iter()
            .map(|row| since(start_ns, row.start_ns).saturating_add(row.duration_ns));
        Some((start_ns, ends.max().unwrap_or(0)))
    }
}

/// From an earlier moment to a later one, however far apart.
pub(crate) fn since(earlier_ns: i64, later_ns: i64) -> u64 {
    later_ns.wrapping_sub(earlier_ns).cast_unsigned()
}
