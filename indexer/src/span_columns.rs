//! The columns of an index of spans: what trace search, service tables and pipes read without opening
//! a record.
//!
//! A document that is no span (a record that could not be read) has `kind` 0 and no `duration`, which all
//! spans have; its other numbers are 0. Texts are as the span has them, not folded. One that is
//! longer than [`TEXT_BYTES_MAX`] is cut and its document marked ([`Mark::CutColumn`]): a segment with such a
//! document knows its groups only from its records.
//!
//! [`Mark::CutColumn`]: crate::schema::Mark::CutColumn

use logboom_event::Event;
use tantivy::TantivyDocument;
use tantivy::schema::{FAST, Field, SchemaBuilder, TextOptions};

/// Nanoseconds.
pub(crate) const DURATION: &str = "duration";
/// Status code: 0 unset, 1 ok, 2 error.
pub(crate) const STATUS: &str = "status";
/// The protocol's number, 1 to 5; 0 where the document is no span.
pub(crate) const KIND: &str = "kind";
/// The halves of the trace id, most significant first; both 0 where there is none.
pub(crate) const TRACE_HI: &str = "trace_hi";
pub(crate) const TRACE_LO: &str = "trace_lo";
/// Big-endian ids; 0 where there is none.
pub(crate) const SPAN: &str = "span";
pub(crate) const PARENT: &str = "parent";
/// Without a value where the resource names none.
pub(crate) const SERVICE: &str = "service";
pub(crate) const OPERATION: &str = "operation";

/// The dictionary's own limit is 64 KiB, beyond which it cuts in silence; names that group well are short.
pub(crate) const TEXT_BYTES_MAX: usize = 4 << 10;

#[derive(Debug, Clone)]
pub(crate) struct SpanColumns {
    pub(crate) duration: Field,
    pub(crate) kind: Field,
    pub(crate) span: Field,
    pub(crate) parent: Field,
    status: Field,
    trace_hi: Field,
    trace_lo: Field,
    service: Field,
    operation: Field,
}

impl SpanColumns {
    pub(crate) fn add_to(builder: &mut SchemaBuilder) -> SpanColumns {
        let text = || TextOptions::default().set_fast("raw");
        SpanColumns {
            duration: builder.add_u64_field(DURATION, FAST),
            status: builder.add_u64_field(STATUS, FAST),
            kind: builder.add_u64_field(KIND, FAST),
            trace_hi: builder.add_u64_field(TRACE_HI, FAST),
            trace_lo: builder.add_u64_field(TRACE_LO, FAST),
            span: builder.add_u64_field(SPAN, FAST),
            parent: builder.add_u64_field(PARENT, FAST),
            service: builder.add_text_field(SERVICE, text()),
            operation: builder.add_text_field(OPERATION, text()),
        }
    }

    /// True when a text had to be cut.
    #[must_use]
    pub(crate) fn fill(&self, document: &mut TantivyDocument, event: &Event) -> bool {
        let trace = event.trace_id.map_or(0, u128::from_be_bytes);
        document.add_u64(self.trace_hi, (trace >> 64) as u64);
        document.add_u64(self.trace_lo, trace as u64);
        document.add_u64(self.span, event.span_id.map_or(0, u64::from_be_bytes));
        let mut is_cut = false;
        if let Some(service) = &event.service {
            is_cut |= add_text(document, self.service, service);
        }
        let Some(span) = &event.span else {
            for none in [self.status, self.kind, self.parent] {
                document.add_u64(none, 0);
            }
            return is_cut;
        };
        document.add_u64(self.duration, span.duration_ns);
        document.add_u64(self.status, span.status.code().into());
        document.add_u64(self.kind, span.kind.number().into());
        let parent = span.parent_span_id.map_or(0, u64::from_be_bytes);
        document.add_u64(self.parent, parent);
        is_cut | add_text(document, self.operation, &event.body())
    }
}

fn add_text(document: &mut TantivyDocument, field: Field, text: &str) -> bool {
    let kept = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    document.add_text(field, kept);
    kept.len() < text.len()
}

#[cfg(test)]
mod tests {
    use logboom_event::{Event, EventId, Span, SpanKind, SpanStatus};
    use tantivy::{
        Index, Searcher, SingleSegmentIndexWriter, TantivyDocument, directory::RamDirectory,
    };

    use super::*;
    use crate::{
        kind::Kind,
        schema::{LEVEL, Mark, Schema},
        tests::machine::{Machine, NOON_MS},
    };

    fn span(operation: &str, duration_ns: u64) -> Event {
        let mut machine = Machine::new(1);
        machine.push(0, operation.to_owned(), None, NOON_MS);
        Event {
            parse_failed: false,
            service: Some("Cart".into()),
            trace_id: Some(0x0102_u128.to_be_bytes()),
            span_id: Some(7_u64.to_be_bytes()),
            span: Some(Box::new(Span {
                parent_span_id: Some(u64::MAX.to_be_bytes()),
                trace_state: None,
                kind: SpanKind::Server,
                duration_ns,
                events: Vec::new(),
                links: Vec::new(),
                status: SpanStatus::Error {
                    message: String::new(),
                },
            })),
            ..Event::parse(&machine.log[0][0])
        }
    }

    fn searcher(schema: &Schema, events: &[Event]) -> Searcher {
        let index = Index::create_in_ram(schema.tantivy());
        crate::schema::register_tokenizers(&index);
        let mut writer: SingleSegmentIndexWriter<TantivyDocument> = Index::builder()
            .schema(schema.tantivy())
            .tokenizers(index.tokenizers().clone())
            .single_segment_index_writer(RamDirectory::create(), 20 << 20)
            .unwrap();
        let mut machine = Machine::new(1);
        machine.push(0, "", None, NOON_MS);
        for (index, event) in (0..).zip(events) {
            let id = EventId {
                incarnation: 1,
                partition: 0,
                offset: 0,
                index,
            };
            let document = schema.document(&machine.log[0][0], event, id);
            writer.add_document(document).unwrap();
        }
        writer.finalize().unwrap().reader().unwrap().searcher()
    }

    #[test]
    fn a_span_is_in_the_columns_as_it_is_and_what_is_none_is_told_apart() {
        let no_span = Event {
            span: None,
            trace_id: None,
            span_id: None,
            service: None,
            ..span("", 0)
        };
        let schema = Schema::of(Kind::Spans);
        let searcher = searcher(&schema, &[span("GET /Cart", u64::MAX), no_span]);
        let columns = searcher.segment_reader(0).fast_fields();
        let numbers = |name: &str| {
            let column = columns.u64(name).unwrap();
            [column.first(0), column.first(1)]
        };
        assert_eq!(numbers(DURATION), [Some(u64::MAX), None]);
        assert_eq!(numbers(STATUS), [Some(2), Some(0)]);
        assert_eq!(numbers(KIND), [Some(2), Some(0)]);
        assert_eq!(numbers(TRACE_HI), [Some(0), Some(0)]);
        assert_eq!(numbers(TRACE_LO), [Some(0x0102), Some(0)]);
        assert_eq!(numbers(SPAN), [Some(7), Some(0)]);
        assert_eq!(numbers(PARENT), [Some(u64::MAX), Some(0)]);
        assert_eq!(
            numbers(LEVEL),
            [Some(17), Some(0)],
            "failed spans are errors"
        );
        for (name, text) in [(SERVICE, "Cart"), (OPERATION, "GET /Cart")] {
            let column = columns.str(name).unwrap().unwrap();
            assert_eq!(column.term_ords(1).count(), 0);
            let mut found = String::new();
            let ordinal = column.term_ords(0).next().unwrap();
            column.ord_to_str(ordinal, &mut found).unwrap();
            assert_eq!(found, text);
        }
    }

    #[test]
    fn a_text_that_is_cut_is_marked() {
        let schema = Schema::of(Kind::Spans);
        for (letters, marked) in [(TEXT_BYTES_MAX, 0), (TEXT_BYTES_MAX + 1, 1)] {
            let searcher = searcher(&schema, &[span(&"x".repeat(letters), 1)]);
            let mark = schema.mark(Mark::CutColumn);
            assert_eq!(searcher.doc_freq(&mark).unwrap(), marked);
        }
    }
}
