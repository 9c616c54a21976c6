//! The event: one log entry with what its line was found to say, or one span.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{
    events::{self, Events},
    format::Format,
    level::Level,
    otlp::Signal,
    parse,
    record::Record,
    span::Span,
    time::Clock,
};

/// One log entry or span, modelled on OpenTelemetry's.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub timestamp_ns: i64,
    pub arrival_ns: i64,
    pub timestamp_from: TimestampFrom,
    pub level: Option<Level>,
    pub service: Option<String>,
    pub host: Option<String>,
    pub path: Option<String>,
    /// The line byte for byte; shares the record's memory. Of an OTLP log its body's text, of a span
    /// its name and a line each for its status and exceptions.
    pub raw: Bytes,
    pub body: Body,
    /// Typed; nested objects stay nested. At most [`crate::limits::ATTRIBUTES_MAX`] entries.
    pub attributes: Map<String, Value>,
    pub trace_id: Option<[u8; 16]>,
    pub span_id: Option<[u8; 8]>,
    /// Present when the event is a span: its time is the span's start, its message the operation's name.
    pub span: Option<Box<Span>>,
    /// A format was asked for and the line did not fit it, or the record is no OTLP request.
    pub parse_failed: bool,
    /// The line's length in its file, when only its beginning was shipped.
    pub truncated_from: Option<u64>,
    pub continues: bool,
}

/// Who said when the event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampFrom {
    Line,
    Arrival,
}

/// The message part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The message stands in the raw line as it is.
    Raw(Range<usize>),
    /// The message had to be unescaped.
    Owned(String),
}

impl Event {
    /// Reads a record. Never fails: what the line does not say, its arrival and origin do.
    ///
    /// What the line says of host and service is closer to the event than what the agent was told, except
    /// that a service the user named outranks the program that merely wrote a syslog line.
    ///
    /// Of an OTLP request this is the first item: meant for the records that [`Event::all`] gives, which have one.
    pub fn parse(record: &Record) -> Event {
        match Signal::of(record.encoding) {
            Some(signal) => events::first(record, signal).unwrap_or_else(|| Event::bare(record)),
            None => Event::of_line(record),
        }
    }

    /// All events of a record in their order, each with the record that it alone would be.
    ///
    /// [`Event::parse`] of that record gives the event again, so it is what to store. A line is one event; a request
    /// without items none, and bytes that are no request one that is `parse_failed`. The record of a request's item
    /// has no key, headers or origin.
    pub fn all(record: Record) -> Events {
        Events::new(record)
    }

    /// The event of a record of which only the origin is read: its line says nothing, or is not to be trusted.
    /// It is what [`Event::parse`] makes of a line that does not fit its format.
    pub fn bare(record: &Record) -> Event {
        let arrival_ns = record.timestamp_ms.saturating_mul(1_000_000);
        let origin = record.origin.as_ref();
        let context = origin.map(|origin| &origin.context);
        Event {
            timestamp_ns: arrival_ns,
            arrival_ns,
            timestamp_from: TimestampFrom::Arrival,
            level: None,
            service: context.and_then(|context| context.service.clone()),
            host: context.map(|context| context.host.clone()),
            path: context.map(|context| context.path.clone()),
            raw: record.value.clone(),
            body: Body::Raw(0..record.value.len()),
            attributes: Map::new(),
            trace_id: None,
            span_id: None,
            span: None,
            parse_failed: true,
            truncated_from: origin.and_then(|origin| origin.true_len),
            continues: origin.is_some_and(|origin| origin.continues),
        }
    }

    fn of_line(record: &Record) -> Event {
        let arrival_ns = record.timestamp_ms.saturating_mul(1_000_000);
        let origin = record.origin.as_ref();
        let context = origin.map(|origin| &*origin.context);
        let zone = context.and_then(|context| context.timezone.as_deref());
        let format = context.map_or(&Format::Auto, |context| &context.format);
        let clock = Clock::new(arrival_ns, zone);
        let Some(parsed) = parse::parse(&record.value, format, &clock) else {
            return Event::bare(record);
        };
        let whole = || Body::Raw(0..record.value.len());
        Event {
            timestamp_ns: parsed.time_ns.unwrap_or(arrival_ns),
            arrival_ns,
            timestamp_from: match parsed.time_ns {
                Some(_) => TimestampFrom::Line,
                None => TimestampFrom::Arrival,
            },
            level: parsed.level,
            service: parsed
                .service
                .or_else(|| context.and_then(|context| context.service.clone()))
                .or(parsed.program),
            host: parsed
                .host
                .or_else(|| context.map(|context| context.host.clone())),
            path: context.map(|context| context.path.clone()),
            raw: record.value.clone(),
            body: parsed.body.unwrap_or_else(whole),
            attributes: parsed.attributes,
            trace_id: parsed.trace_id,
            span_id: parsed.span_id,
            span: None,
            parse_failed: false,
            truncated_from: origin.and_then(|origin| origin.true_len),
            continues: origin.is_some_and(|origin| origin.continues),
        }
    }

    /// The message, with U+FFFD where the line is not UTF-8.
    pub fn body(&self) -> Cow<'_, str> {
        match &self.body {
            Body::Raw(range) => {
                String::from_utf8_lossy(self.raw.get(range.clone()).unwrap_or_default())
            }
            Body::Owned(text) => Cow::Borrowed(text),
        }
    }

    /// Where the message stands in the raw line; `None` when it had to be unescaped.
    pub fn body_range(&self) -> Option<Range<usize>> {
        match &self.body {
            Body::Raw(range) => Some(range.clone()),
            Body::Owned(_) => None,
        }
    }

    /// The whole line, with U+FFFD where it is not UTF-8.
    pub fn raw_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.raw)
    }
}
