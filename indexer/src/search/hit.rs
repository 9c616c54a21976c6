//! An event as answers show it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use logboom_event::{
    Event, EventId, Level, Record, SourceId, SpanEvent, SpanLink, SpanStatus, hex::encode as hex,
};
use logboom_query::{kind_name, status_name};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The JSON object of searches, live tail and the command line; its fields are a public interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// RFC 3339 with nanoseconds, in UTC.
    pub timestamp: String,
    pub body: String,
    /// The line; U+FFFD stands where it is not UTF-8.
    pub raw: String,
    pub level: Option<Level>,
    pub service: Option<String>,
    pub host: Option<String>,
    /// Path of the file.
    pub source: Option<String>,
    pub attributes: Map<String, Value>,
    pub trace_id: Option<String>,
    pub span_id: Option<String>,
    pub id: EventId,
    /// Which file, and which bytes of it, for lines that an agent has read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<SourceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// The line's bytes, where `raw` cannot say them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_base64: Option<String>,
    /// The line's true length, when only its beginning was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated_from: Option<u64>,
    /// The line did not fit the format that its source was given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parse_failed: bool,
    /// The rest of a line whose beginning is an event of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
    /// From here on: of spans only, whose `timestamp` is their start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Named as queries name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Of a failed span that says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ns: Option<u64>,
    /// Absent also from the root of a trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// W3C `tracestate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<HitEvent>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Vec<HitLink>>,
}

/// Something that happened during a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitEvent {
    pub name: String,
    pub timestamp: String,
    pub attributes: Map<String, Value>,
}

/// Another span that a span has to do with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HitLink {
    pub trace_id: String,
    pub span_id: String,
    pub attributes: Map<String, Value>,
}

impl Hit {
    /// `event` must be `record` parsed.
    pub fn new(record: &Record, event: &Event, id: EventId) -> Hit {
        let origin = record.origin.as_ref();
        let span = event.span.as_deref();
        let is_text = std::str::from_utf8(&event.raw).is_ok();
        Hit {
            timestamp: rfc3339(event.timestamp_ns),
            body: event.body().into_owned(),
            raw: event.raw_text().into_owned(),
            level: event.level,
            service: event.service.clone(),
            host: event.host.clone(),
            source: event.path.clone(),
            attributes: event.attributes.clone(),
            trace_id: event.trace_id.map(|id| hex(&id)),
            span_id: event.span_id.map(|id| hex(&id)),
            id,
            source_id: origin.map(|origin| origin.source),
            offset: origin.map(|origin| origin.offset),
            end: origin.map(|origin| origin.end),
            raw_base64: (!is_text).then(|| STANDARD.encode(&event.raw)),
            truncated_from: event.truncated_from,
            parse_failed: event.parse_failed,
            continues: event.continues,
            operation: span.map(|_| event.body().into_owned()),
            kind: span.map(|span| kind_name(span.kind).to_owned()),
            status: span.map(|span| status_name(&span.status).to_owned()),
            status_message: span.and_then(|span| message(&span.status)),
            duration_ns: span.map(|span| span.duration_ns),
            parent_id: span.and_then(|span| span.parent_span_id).map(|id| hex(&id)),
            trace_state: span.and_then(|span| span.trace_state.clone()),
            events: span.map(|span| span.events.iter().map(HitEvent::new).collect()),
            links: span.map(|span| span.links.iter().map(HitLink::new).collect()),
        }
    }
}

impl HitEvent {
    fn new(event: &SpanEvent) -> HitEvent {
        HitEvent {
            name: event.name.clone(),
            timestamp: rfc3339(event.time_ns),
            attributes: event.attributes.clone(),
        }
    }
}

impl HitLink {
    fn new(link: &SpanLink) -> HitLink {
        HitLink {
            trace_id: hex(&link.trace_id),
            span_id: hex(&link.span_id),
            attributes: link.attributes.clone(),
        }
    }
}

fn message(status: &SpanStatus) -> Option<String> {
    match status {
        SpanStatus::Error { message } if !message.is_empty() => Some(message.clone()),
        _ => None,
    }
}

pub(crate) fn rfc3339(ns: i64) -> String {
    Timestamp::from_nanosecond(ns.into())
        .map_or_else(|_| ns.to_string(), |time| format!("{time:.9}"))
}
