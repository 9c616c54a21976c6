//! What is asked about traces, and the answers: a public interface, as their JSON reaches the page.
//!
//! Ids are lower-case hex, lengths of time nanoseconds. A service without a name is the empty text: its resource
//! named none. `complete` is false when the time budget ended first, when a limit that the notes or fields
//! name was reached, or while the indexer still reads what the queue held at its start. Where counts are then of a part
//! of the range, the notes say from when on they are whole.

use serde::{Deserialize, Serialize};

/// Which traces are wanted: those with a span that matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceSearch {
    /// A filter of spans; empty matches all.
    pub q: String,
    /// Bounds of the matching span's start.
    pub from_ns: Option<i64>,
    pub to_ns: Option<i64>,
    pub limit: usize,
}

/// The traces whose newest matching spans are the newest of all, in that order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceList {
    pub complete: bool,
    pub took_ms: u64,
    pub traces: Vec<TraceSummary>,
}

/// All spans of a trace, matching or not; a span that was sent twice counts once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceSummary {
    pub trace_id: String,
    /// The earliest span without a parent.
    pub root: Option<Root>,
    /// Of the earliest span; RFC 3339.
    pub start: String,
    /// From the earliest start to the latest end.
    pub duration_ns: u64,
    pub spans: u64,
    pub errors: u64,
    /// Most spans first.
    pub services: Vec<ServiceCount>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    pub service: String,
    pub operation: String,
    pub span_id: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceCount {
    pub name: String,
    pub spans: u64,
    pub errors: u64,
}

/// A trace without its spans' attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    pub trace_id: String,
    pub complete: bool,
    /// Of the earliest span; RFC 3339.
    pub start: String,
    /// The same in nanoseconds since 1970: a text, because a page's numbers are floats.
    pub start_ns: String,
    pub duration_ns: u64,
    /// Spans of the trace; of all, when `truncated`.
    pub total: u64,
    /// Only the first spans are here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    pub services: Vec<String>,
    pub operations: Vec<String>,
    pub spans: SpanRows,
    /// Rows that name a parent which is not here, in ascending order.
    pub orphan: Vec<u32>,
}

/// Spans column by column, by start and then id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanRows {
    pub id: Vec<String>,
    /// The parent's row; -1 for a root or an orphan.
    pub parent: Vec<i32>,
    /// Positions in the trace's lists of names.
    pub service: Vec<u32>,
    pub operation: Vec<u32>,
    /// Nanoseconds after the trace's start.
    pub start: Vec<u64>,
    pub duration: Vec<u64>,
    /// Numbers of OpenTelemetry's protocol: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: Vec<u8>,
    /// 0 unset, 1 ok, 2 error.
    pub status: Vec<u8>,
}

/// Rates, errors and durations of services, or of one service's operations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServicesRequest {
    /// Bounds of a request's start; without one, what there is.
    pub from_ns: Option<i64>,
    pub to_ns: Option<i64>,
    /// Width of the steps of the series, which are aligned to the epoch.
    pub step_ns: Option<i64>,
    /// Operations of this service, instead of services.
    pub service: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServicesAnswer {
    pub complete: bool,
    pub step_ns: i64,
    /// RFC 3339.
    pub from: String,
    pub to: String,
    /// Most requests first.
    pub rows: Vec<ServiceRow>,
    /// What is left out, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Requests are entry spans: of kind server or consumer, or without a parent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceRow {
    pub service: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    pub requests: u64,
    pub errors: u64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub series: Series,
}

/// One value for every step of the range.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Beginnings of the steps, in milliseconds since 1970.
    pub t: Vec<i64>,
    pub requests: Vec<u64>,
    pub errors: Vec<u64>,
    /// `null` where there was no request.
    pub p50: Vec<Option<f64>>,
    pub p95: Vec<Option<f64>>,
    pub p99: Vec<Option<f64>>,
}

/// Who calls whom: a call is a span whose parent is of another service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Dependencies {
    pub complete: bool,
    /// Most calls first.
    pub edges: Vec<Edge>,
    /// All services with a span in the range, by name.
    pub services: Vec<String>,
    /// What is left out, in words. Parents that were not looked for in all of the index leave the answer `complete`: it is
    /// ordinary that they were never sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Errors and durations are the called span's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    pub parent: String,
    pub child: String,
    pub calls: u64,
    pub errors: u64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
}

/// Services and their operations, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    pub complete: bool,
    pub services: Vec<ServiceNames>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceNames {
    pub name: String,
    pub operations: Vec<OperationName>,
}

/// An operation that has spans of two kinds is there twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OperationName {
    pub name: String,
    /// As queries spell it, e.g. `server`.
    pub kind: String,
}
