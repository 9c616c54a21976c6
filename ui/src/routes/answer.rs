//! The shapes of answers as the API's description shows them.
//!
//! Rows pass through as JSON and are not rebuilt here, so that a field which the indexer adds
//! arrives without a change in this crate.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// Answer of a search.
#[derive(Serialize, ToSchema)]
pub(crate) struct SearchAnswer {
    /// Exact number of matches; null when the search's budget ended before it was known.
    total: Option<u64>,
    /// False when something that may match was not looked at.
    complete: bool,
    hits: Vec<Row>,
    took_ms: f64,
    /// Cursor of the next page; null at the end.
    next: Option<String>,
    histogram: Option<Histogram>,
    /// What a query with pipes gives instead of hits.
    table: Option<Table>,
}

/// The answer of a query with pipes.
#[derive(Serialize, ToSchema)]
pub(crate) struct Table {
    columns: Vec<String>,
    /// How to show each column: `ns` (a length of time), `time` (nanoseconds since 1970) or null.
    units: Vec<Option<String>>,
    #[schema(value_type = Vec<Vec<Object>>)]
    rows: Vec<Vec<serde_json::Value>>,
    /// False when groups were left out; those that are there are exact.
    complete: bool,
    /// What was left out or estimated, in words.
    notes: Vec<String>,
}

/// One event, or one span: the fields from `operation` on are a span's alone.
#[derive(Serialize, ToSchema)]
pub(crate) struct Row {
    /// RFC 3339 with nanoseconds, UTC.
    timestamp: String,
    /// The message part of the line.
    body: String,
    /// The line as it stood in the file; the first 4 KiB unless `full=1`.
    raw: String,
    /// Bytes of the whole line, when `raw` is cut.
    raw_length: Option<u64>,
    level: Option<String>,
    service: Option<String>,
    host: Option<String>,
    /// Path of the file.
    source: Option<String>,
    #[schema(value_type = Object)]
    attributes: serde_json::Value,
    /// True when attributes were left out for their size; `full=1` gives all.
    attributes_cut: Option<bool>,
    trace_id: Option<String>,
    span_id: Option<String>,
    /// Stable id; `q=id:<id>` finds the event again.
    id: String,
    operation: Option<String>,
    /// `internal`, `server`, `client`, `producer` or `consumer`.
    kind: Option<String>,
    /// `unset`, `ok` or `error`.
    status: Option<String>,
    status_message: Option<String>,
    duration_ns: Option<u64>,
    /// Absent for the root of its trace.
    parent_id: Option<String>,
    trace_state: Option<String>,
    events: Option<Vec<SpanEvent>>,
    links: Option<Vec<SpanLink>>,
    /// How many of its events were left out for their size; `full=1` gives all.
    events_cut: Option<u64>,
    /// The same of its links.
    links_cut: Option<u64>,
}

/// Something that happened at one moment of a span.
#[derive(Serialize, ToSchema)]
pub(crate) struct SpanEvent {
    name: String,
    /// RFC 3339.
    timestamp: String,
    #[schema(value_type = Object)]
    attributes: serde_json::Value,
}

/// A span, often of another trace, that this one has to do with.
#[derive(Serialize, ToSchema)]
pub(crate) struct SpanLink {
    trace_id: String,
    span_id: String,
    #[schema(value_type = Object)]
    attributes: serde_json::Value,
}

/// Matches over time.
#[derive(Serialize, ToSchema)]
pub(crate) struct Histogram {
    interval_ns: i64,
    start_ns: i64,
    /// Matches by level; lines without a level count as `none`.
    buckets: Vec<BTreeMap<String, u64>>,
}

/// Answer of anything that failed.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorAnswer {
    error: ErrorDetail,
}

/// What is wrong and, for a query, where: bytes `from`..`to` of `q`.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorDetail {
    message: String,
    from: Option<usize>,
    to: Option<usize>,
}
