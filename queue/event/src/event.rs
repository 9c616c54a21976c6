//! The event: one log entry with what its line was found to say.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{level::Level, record::Record};

/// One log entry, modelled on OpenTelemetry's log record.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub timestamp_ns: i64,
    pub arrival_ns: i64,
    pub timestamp_from: TimestampFrom,
    pub level: Option<Level>,
    pub service: Option<String>,
    pub host: Option<String>,
    pub path: Option<String>,
    /// The line byte for byte; shares the record's memory.
    pub raw: Bytes,
    pub body: Body,
    /// Typed; nested objects stay nested. At most [`crate::limits::ATTRIBUTES_MAX`] entries.
    pub attributes: Map<String, Value>,
    pub trace_id: Option<[u8; 16]>,
    pub span_id: Option<[u8; 8]>,
    /// A format was asked for and the line did not fit it.
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
    pub fn parse(record: &Record) -> Event {
        let arrival_ns = record.timestamp_ms.saturating_mul(1_000_000);
        let origin = record.origin.as_ref();
        Event {
            timestamp_ns: arrival_ns,
            arrival_ns,
            timestamp_from: TimestampFrom::Arrival,
            level: None,
            service: origin.and_then(|origin| origin.context.service.clone()),
            host: origin.map(|origin| origin.context.host.clone()),
            path: origin.map(|origin| origin.context.path.clone()),
            raw: record.value.clone(),
            body: Body::Raw(0..record.value.len()),
            attributes: Map::new(),
            trace_id: None,
            span_id: None,
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

    /// The whole line, with U+FFFD where it is not UTF-8.
    pub fn raw_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.raw)
    }
}
