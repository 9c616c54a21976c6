//! Traces, services and tables: what is asked of the indexer, what passes through, what is refused.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::routes::body;
use crate::server::{Indexer, hit, span_hit, start};

const ID: &str = "0000000000000000000000000000a1b2";

/// What the answers hold is the indexer's and tested there; here it must come through whole.
fn answers() -> [(&'static str, Value); 6] {
    let service = json!({"name": "cart", "spans": 3, "errors": 1});
    let series = json!({"t": [0], "requests": [3], "errors": [1], "p50": [1.5], "p95": [null], "p99": [null]});
    [
        (
            "traces",
            json!({"complete": true, "took_ms": 3, "traces": [{
                "trace_id": ID, "root": {"service": "cart", "operation": "GET /", "span_id": "00000000000000aa"},
                "start": "2026-11-25T01:00:00.000000001Z", "duration_ns": 9, "spans": 3, "errors": 1, "services": [service],
            }]}),
        ),
        (
            "trace",
            json!({"trace_id": ID, "complete": true, "start": "2026-11-25T01:00:00.000000001Z",
                "start_ns": "1795568400000000001", "duration_ns": 9, "total": 2, "services": ["cart"], "operations": ["GET /"],
                "spans": {"id": ["00000000000000aa", "00000000000000ab"], "parent": [-1, 0], "service": [0, 0],
                    "operation": [0, 0], "start": [0, 4], "duration": [9, 5], "kind": [2, 3], "status": [0, 2]},
                "orphan": []}),
        ),
        ("span", span_hit(ID, 0xaa)),
        (
            "services",
            json!({"complete": true, "step_ns": 60_000_000_000_u64, "from": "2026-11-25T00:00:00Z", "to": "2026-11-25T01:00:00Z",
                "rows": [{"service": "cart", "operation": "GET /", "requests": 3, "errors": 1, "p50": 1.5, "p95": 2.5, "p99": 3.5, "series": series}]}),
        ),
        (
            "dependencies",
            json!({"complete": false, "edges": [{"parent": "shop", "child": "cart", "calls": 7, "errors": 1, "p50": 1.5, "p95": 2.5, "p99": 3.5}],
                "services": ["cart", "shop"], "notes": ["cut short"]}),
        ),
        (
            "names",
            json!({"complete": true, "services": [{"name": "cart", "operations": [{"name": "GET /", "kind": "server"}]}]}),
        ),
    ]
}

/// Floats have several spellings; numbers are compared as such.
fn assert_same(path: &str, shown: &Value, told: &Value) {
    let mut shown = shown.clone();
    if let Some(fields) = shown.as_object_mut() {
        // A hit shows what it lacks as null where logs always did.
        fields.retain(|name, value| !value.is_null() || told.get(name).is_some());
    }
    assert_eq!(&shown, told, "{path}");
}

#[tokio::test]
async fn answers_about_traces_pass_through_and_questions_are_read() {
    let indexer = Arc::new(Indexer::default());
    *indexer.answers.lock().unwrap() = answers().into_iter().collect();
    let server = start(Arc::clone(&indexer), true).await;
    let (from, to) = (1_764_032_400_000_000_000_i64, 1_764_036_000_000_000_000_i64);
    let range = "from=1764032400&to=1764036000";
    let within = json!({"from_ns": from, "to_ns": to});
    for (path, name, question) in [
        (
            format!("traces?q=status%3Aerror&{range}&limit=7"),
            "traces",
            json!({"q": "status:error", "from_ns": from, "to_ns": to, "limit": 7}),
        ),
        (
            "traces".to_owned(),
            "traces",
            json!({"q": "*", "from_ns": null, "to_ns": null, "limit": 50}),
        ),
        // Without its zeros, in capitals: the index knows it by 32 small digits.
        ("traces/A1B2".to_owned(), "trace", json!({"trace_id": ID})),
        (
            format!("traces/{ID}/spans/aa"),
            "span",
            json!({"trace_id": ID, "span_id": "00000000000000aa"}),
        ),
        (
            format!("services?{range}&step=1m&service=my%20cart"),
            "services",
            json!({"from_ns": from, "to_ns": to, "step_ns": 60_000_000_000_u64, "service": "my cart"}),
        ),
        (
            format!("dependencies?{range}"),
            "dependencies",
            within.clone(),
        ),
        (format!("names?{range}"), "names", within.clone()),
    ] {
        let response = server.get(&format!("/api/v1/{path}")).await;
        assert_eq!(response.status(), 200, "{path}");
        let shown = body(response).await;
        let told = indexer.answers.lock().unwrap()[name].clone();
        assert_same(&path, &shown, &told);
        let asked = indexer.asked_of.lock().unwrap().pop();
        assert_eq!(asked, Some((name.to_owned(), question)), "{path}");
    }
}

#[tokio::test]
async fn wrong_questions_about_traces_are_refused_before_the_indexer_is_asked() {
    let indexer = Arc::new(Indexer::default());
    let server = start(Arc::clone(&indexer), true).await;
    for (path, said) in [
        (
            "traces?limit=201",
            "`limit` is `201`; it can be at most 200",
        ),
        ("traces?from=soon", "`from`: `soon` is not a time"),
        ("traces?service=cart", "service"),
        (
            "traces/xyz",
            "`trace id` is `xyz`; it can be 1 to 32 hex digits",
        ),
        ("traces/00", "not all zero"),
        ("traces/a1/spans/12345678901234567", "`span id`"),
        ("traces/%FF", "UTF-8"),
        (
            "services?step=60",
            "`step` is `60`; it can be a length of time",
        ),
        ("services?from=1d&step=1s", "at most 1000 steps"),
        ("dependencies?from=1h&to=2h", "`from` is not before `to`"),
        ("names?service=x", "service"),
        ("tail?q=x&idx=spans", "idx"),
    ] {
        let response = server.get(&format!("/api/v1/{path}")).await;
        assert_eq!(response.status(), 400, "{path}");
        let message = body(response).await["error"]["message"].to_string();
        assert!(message.contains(said), "{path}: {message}");
    }
    assert!(indexer.asked_of.lock().unwrap().is_empty());
}

#[tokio::test]
async fn traces_and_spans_that_are_not_there_are_404_by_name() {
    let server = start(Arc::new(Indexer::default()), true).await;
    for (path, said) in [
        ("traces/a1b2", ID),
        ("traces/a1b2/spans/ff", "00000000000000ff"),
    ] {
        let response = server.get(&format!("/api/v1/{path}")).await;
        assert_eq!(response.status(), 404, "{path}");
        let message = body(response).await["error"]["message"].to_string();
        assert!(message.contains(said), "{message}");
    }
}

#[tokio::test]
async fn tables_pass_through_and_spans_keep_their_fields_when_cut() {
    let indexer = Arc::new(Indexer::default());
    let table = json!({
        "columns": ["service", "p99"], "units": [null, "ns"], "rows": [["cart", 1.5], [null, 2]],
        "complete": false, "notes": ["groups were left out"],
    });
    indexer
        .extra
        .lock()
        .unwrap()
        .insert("table".into(), table.clone());
    let mut span = span_hit(ID, 1);
    span["events"] = json!([
        {"name": "exception", "timestamp": "2026-11-25T01:00:00Z", "attributes": {"exception.message": "late"}},
        {"name": "dump", "timestamp": "2026-11-25T01:00:00Z", "attributes": {"core": "x".repeat(20_000)}},
    ]);
    span["links"] = json!([{"trace_id": ID, "span_id": "00000000000000bb", "attributes": {}}]);
    *indexer.hits.lock().unwrap() = vec![span.clone(), hit("a line")];
    let server = start(Arc::clone(&indexer), true).await;
    let answer = body(server.get("/api/v1/search?index=spans&q=x").await).await;
    assert_eq!(answer["table"], table);
    let shown = &answer["hits"][0];
    for field in [
        "operation",
        "kind",
        "status",
        "duration_ns",
        "links",
        "trace_id",
        "attributes",
    ] {
        assert_eq!(shown[field], span[field], "{field}");
    }
    assert_eq!(shown["events"], json!([span["events"][0]]));
    assert_eq!(shown["events_cut"], 1);
    let line = answer["hits"][1].as_object().unwrap();
    assert!(!line.contains_key("operation") && !line.contains_key("events"));
    let whole = body(server.get("/api/v1/search?index=spans&q=x&full=1").await).await;
    assert_eq!(whole["hits"][0]["events"], span["events"]);
}

#[tokio::test]
async fn a_live_tail_names_its_index() {
    let indexer = Arc::new(Indexer::default());
    let server = start(Arc::clone(&indexer), true).await;
    let response = server
        .get("/api/v1/tail?index=spans&q=status%3Aerror")
        .await;
    assert_eq!(response.status(), 200);
    let asked = indexer.tailed.lock().unwrap().clone();
    assert!(
        asked.contains("index=spans") && asked.contains("q=status%3Aerror"),
        "{asked}"
    );
}
