//! A batch's way from its file to a split, as one trace.
//!
//! An agent that traces a batch gives its first record a `traceparent` header (W3C Trace Context), and whoever reads the
//! record makes spans that are children of it. Such spans are `tracing`'s, with the target [`TARGET`] and no other:
//! by that the binary knows what to export. Nothing that receives, indexes or exports spans makes any,
//! so a logboom that sends its own to itself does not go round in circles.
//!
//! The header is no part of the event. It is taken off before a record is stored, and [`record_crc`] leaves headers out.
//!
//! [`record_crc`]: crate::record_crc

use logboom_event::Record;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Of all spans of a batch's way, and of nothing else.
pub const TARGET: &str = "logboom::batch";

/// The header's name.
pub const HEADER: &str = "traceparent";

/// Which span, here or in another process, others are children of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traceparent {
    trace: TraceId,
    span: SpanId,
}

impl Traceparent {
    /// `None` when nobody exports this span.
    pub fn of(span: &Span) -> Option<Traceparent> {
        let context = span.context();
        let context = context.span().span_context().clone();
        (context.is_valid() && context.is_sampled()).then(|| Traceparent {
            trace: context.trace_id(),
            span: context.span_id(),
        })
    }

    /// Takes the header off an agent's record. Other producers' headers are theirs: they stay, and are nobody's parent.
    pub fn take(record: &mut Record) -> Option<Traceparent> {
        if record.origin.is_none() || record.headers.is_empty() {
            return None;
        }
        let mut found = None;
        record.headers.retain(|(name, value)| {
            let is_ours = name == HEADER;
            if is_ours {
                found = found.or_else(|| Traceparent::parse(value));
            }
            !is_ours
        });
        found
    }

    /// Makes a span that was just made a child of this one. `false` when nobody exports it.
    pub fn adopt(self, span: &Span) -> bool {
        let parent = SpanContext::new(
            self.trace,
            self.span,
            TraceFlags::SAMPLED,
            true,
            TraceState::NONE,
        );
        let context = opentelemetry::Context::new().with_remote_span_context(parent);
        span.set_parent(context).is_ok()
    }

    /// The header's value.
    pub fn to_header(self) -> String {
        format!("00-{}-{}-01", self.trace, self.span)
    }

    /// Reads what [`Traceparent::to_header`] writes; whatever else is there does not ask to be traced by us.
    fn parse(value: &[u8]) -> Option<Traceparent> {
        let text = std::str::from_utf8(value).ok()?;
        let (trace, span) = text
            .strip_prefix("00-")?
            .strip_suffix("-01")?
            .split_once('-')?;
        let is_hex = |text: &str, digits| {
            text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if !is_hex(trace, 32) || !is_hex(span, 16) {
            return None;
        }
        let parent = Traceparent {
            trace: TraceId::from_hex(trace).ok()?,
            span: SpanId::from_hex(span).ok()?,
        };
        (parent.trace != TraceId::INVALID && parent.span != SpanId::INVALID).then_some(parent)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use logboom_event::{Context, Encoding, Origin, SourceId};
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
    use tracing_subscriber::prelude::*;

    use super::*;
    use crate::record_crc;

    const VALUE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn record(headers: &[(&str, &str)]) -> Record {
        let context = Context::new("h", "/p");
        Record {
            topic: "logs".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            encoding: Encoding::Line,
            key: None,
            value: Bytes::from_static(b"line"),
            origin: Some(Origin {
                source: SourceId([1; 16]),
                prev: 0,
                offset: 0,
                end: 5,
                continues: false,
                true_len: None,
                context: Arc::new(context),
            }),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes())))
                .collect(),
        }
    }

    #[test]
    fn a_record_without_its_header_is_the_record_that_never_had_one() {
        let plain = record(&[("tenant", "a")]);
        let mut traced = record(&[(HEADER, VALUE), ("tenant", "a"), (HEADER, "again")]);
        assert_eq!(record_crc(&traced), record_crc(&plain));
        let parent = Traceparent::take(&mut traced).unwrap();
        assert_eq!(parent.to_header(), VALUE);
        assert_eq!(traced, plain);
        assert_eq!(Traceparent::take(&mut traced), None);
    }

    #[test]
    fn the_header_of_another_producer_stays_and_starts_nothing() {
        let mut foreign = record(&[(HEADER, VALUE)]);
        foreign.origin = None;
        let before = foreign.clone();
        assert_eq!(Traceparent::take(&mut foreign), None);
        assert_eq!(foreign, before);
    }

    #[test]
    fn only_what_an_agent_writes_is_read() {
        for value in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-äf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(Traceparent::parse(value.as_bytes()), None, "{value}");
        }
        assert_eq!(Traceparent::parse(&[0xff; 55]), None);
    }

    #[test]
    fn a_span_is_the_parent_of_one_elsewhere_if_somebody_exports_them() {
        let unexported = tracing::info_span!(target: TARGET, "ship");
        assert_eq!(Traceparent::of(&unexported), None);

        let spans = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(spans.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let ship = tracing::info_span!(target: TARGET, "ship");
            let header = Traceparent::of(&ship).unwrap().to_header();
            let index = tracing::info_span!(target: TARGET, parent: None, "index");
            let parent = Traceparent::take(&mut record(&[(HEADER, &header)])).unwrap();
            assert!(parent.adopt(&index));
            // Where a span may not begin before its parent is known, it may not be adopted late.
            assert!(!parent.adopt(&ship));
        });
        let spans = spans.get_finished_spans().unwrap();
        let [index, ship] = &spans[..] else {
            panic!("{spans:?}")
        };
        assert_eq!((&*index.name, &*ship.name), ("index", "ship"));
        assert_eq!(index.parent_span_id, ship.span_context.span_id());
        assert_eq!(index.span_context.trace_id(), ship.span_context.trace_id());
    }
}
