//! The shapes of answers about traces and services as the API's description shows them.
//!
//! As with searches, the indexer's JSON passes through; a test compares these shapes with it.

use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct TraceList {
    /// False when something that may match was not looked at.
    complete: bool,
    took_ms: u64,
    traces: Vec<TraceSummary>,
}

/// All spans of a trace summed up; one that was sent twice counts once.
#[derive(Serialize, ToSchema)]
pub(crate) struct TraceSummary {
    trace_id: String,
    /// Null while the root has not arrived.
    root: Option<Root>,
    /// Of the earliest span; RFC 3339.
    start: String,
    /// From the earliest start to the latest end.
    duration_ns: u64,
    spans: u64,
    errors: u64,
    services: Vec<ServiceCount>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Root {
    service: String,
    operation: String,
    span_id: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ServiceCount {
    name: String,
    spans: u64,
    errors: u64,
}

/// A trace without its spans' attributes.
#[derive(Serialize, ToSchema)]
pub(crate) struct Trace {
    trace_id: String,
    complete: bool,
    /// Of the earliest span; RFC 3339.
    start: String,
    /// The same in nanoseconds since 1970, as text.
    start_ns: String,
    duration_ns: u64,
    /// Spans of the trace; more than are here when `truncated`.
    total: u64,
    /// There when only the first spans are.
    truncated: Option<bool>,
    services: Vec<String>,
    operations: Vec<String>,
    spans: SpanRows,
    /// Rows that name a parent which is not here.
    orphan: Vec<u32>,
}

/// Spans column by column, by start.
#[derive(Serialize, ToSchema)]
pub(crate) struct SpanRows {
    id: Vec<String>,
    /// The parent's row, or -1.
    parent: Vec<i32>,
    /// Positions in the trace's `services`.
    service: Vec<u32>,
    /// Positions in the trace's `operations`.
    operation: Vec<u32>,
    /// Nanoseconds after the trace's start.
    start: Vec<u64>,
    duration: Vec<u64>,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    kind: Vec<u8>,
    /// 0 unset, 1 ok, 2 error.
    status: Vec<u8>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ServicesAnswer {
    complete: bool,
    step_ns: i64,
    /// RFC 3339.
    from: String,
    to: String,
    rows: Vec<ServiceRow>,
    /// What is left out, in words; absent when nothing is.
    notes: Option<Vec<String>>,
}

/// Requests of a service, or of one of its operations; quantiles are nanoseconds.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServiceRow {
    service: String,
    operation: Option<String>,
    requests: u64,
    errors: u64,
    p50: f64,
    p95: f64,
    p99: f64,
    series: Series,
}

/// One value a step; quantiles are null where there was no request.
#[derive(Serialize, ToSchema)]
pub(crate) struct Series {
    /// Beginnings of the steps, in milliseconds since 1970.
    t: Vec<i64>,
    requests: Vec<u64>,
    errors: Vec<u64>,
    p50: Vec<Option<f64>>,
    p95: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Dependencies {
    complete: bool,
    edges: Vec<Edge>,
    services: Vec<String>,
    /// What is left out, in words; absent when nothing is.
    notes: Option<Vec<String>>,
}

/// Calls of one service by another; errors and durations are the called one's.
#[derive(Serialize, ToSchema)]
pub(crate) struct Edge {
    parent: String,
    child: String,
    calls: u64,
    errors: u64,
    p50: f64,
    p95: f64,
    p99: f64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct NamesAnswer {
    complete: bool,
    services: Vec<ServiceNames>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ServiceNames {
    name: String,
    operations: Vec<OperationName>,
}

/// An operation with spans of two kinds is there twice.
#[derive(Serialize, ToSchema)]
pub(crate) struct OperationName {
    name: String,
    kind: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use logboom_indexer::traces;
    use serde_json::{Value, json};

    /// Names of an object's fields.
    fn fields(value: &Value) -> BTreeSet<&str> {
        let object = value.as_object().expect("an object");
        object.keys().map(String::as_str).collect()
    }

    fn assert_described<T: serde::Serialize>(schema: &str, value: &T) {
        let description: Value = serde_json::from_str(&crate::openapi()).unwrap();
        let described = &description["components"]["schemas"][schema]["properties"];
        let real = serde_json::to_value(value).unwrap();
        assert_eq!(fields(described), fields(&real), "{schema}");
    }

    #[test]
    fn what_is_described_is_what_is_answered() {
        let trace = traces::Trace {
            truncated: true,
            ..Default::default()
        };
        let services = traces::ServicesAnswer {
            notes: vec!["x".into()],
            ..Default::default()
        };
        let row = traces::ServiceRow {
            operation: Some("x".into()),
            ..Default::default()
        };
        let graph = traces::Dependencies {
            notes: vec!["x".into()],
            ..Default::default()
        };
        assert_described("TraceList", &traces::TraceList::default());
        assert_described("TraceSummary", &traces::TraceSummary::default());
        assert_described("Root", &traces::Root::default());
        assert_described("ServiceCount", &traces::ServiceCount::default());
        assert_described("Trace", &trace);
        assert_described("SpanRows", &traces::SpanRows::default());
        assert_described("ServicesAnswer", &services);
        assert_described("ServiceRow", &row);
        assert_described("Series", &traces::Series::default());
        assert_described("Dependencies", &graph);
        assert_described("Edge", &traces::Edge::default());
        assert_described("NamesAnswer", &traces::Names::default());
        assert_described("ServiceNames", &traces::ServiceNames::default());
        assert_described("OperationName", &traces::OperationName::default());
        assert_eq!(json!(traces::Names::default())["services"], json!([]));
    }
}
