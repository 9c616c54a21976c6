//! An event as answers show it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use logboom_event::{Event, EventId, Level, Record, SourceId};
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
}

impl Hit {
    /// `event` must be `record` parsed.
    pub fn new(record: &Record, event: &Event, id: EventId) -> Hit {
        let origin = record.origin.as_ref();
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
            trace_id: event
                .trace_id
                .map(|id| format!("{:032x}", u128::from_be_bytes(id))),
            span_id: event
                .span_id
                .map(|id| format!("{:016x}", u64::from_be_bytes(id))),
            id,
            source_id: origin.map(|origin| origin.source),
            offset: origin.map(|origin| origin.offset),
            end: origin.map(|origin| origin.end),
            raw_base64: (!is_text).then(|| STANDARD.encode(&event.raw)),
            truncated_from: event.truncated_from,
            parse_failed: event.parse_failed,
            continues: event.continues,
        }
    }
}

fn rfc3339(ns: i64) -> String {
    Timestamp::from_nanosecond(ns.into())
        .map_or_else(|_| ns.to_string(), |time| format!("{time:.9}"))
}
