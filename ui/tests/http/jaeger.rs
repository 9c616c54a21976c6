//! Jaeger's query API as Grafana and Jaeger's own page call it: JSON field by field, errors in its form, bounds.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::routes::body;
use crate::server::{Indexer, Server, span_hit, start, start_before};

const ID: &str = "0af7651916cd43dd8448eb211c80319c";

async fn get(server: &Server, path: &str) -> (u16, Value) {
    let response = server.get(path).await;
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(kind.starts_with("application/json"), "{path}: {kind}");
    (response.status().as_u16(), body(response).await)
}

fn envelope(data: Value, total: usize) -> Value {
    json!({"data": data, "total": total, "limit": 0, "offset": 0, "errors": null})
}

fn tag(key: &str, kind: &str, value: Value) -> Value {
    json!({"key": key, "type": kind, "value": value})
}

/// A span that has one of everything.
fn rich() -> Value {
    let mut span = span_hit(ID, 0xb7ad);
    span["parent_id"] = json!("00000000000000ff");
    span["status"] = json!("error");
    span["status_message"] = json!("too late");
    span["trace_state"] = json!("vendor=1");
    span["attributes"] = json!({
        "http.method": "GET", "http.status_code": 500, "cached": false, "ratio": 0.25, "big": 9_007_199_254_740_993_i64,
        "list": ["a", 1],
        "resource": {"service.name": "cart", "host.name": "web-1", "process.pid": 42},
        "scope": {"name": "http", "version": "1.2", "attributes": {"x": 1}},
    });
    span["events"] = json!([
        {"name": "exception", "timestamp": "2026-11-25T01:00:00.000003999Z", "attributes": {"exception.type": "Late", "retry": 2}},
        {"name": "ignored", "timestamp": "2026-11-25T01:00:00.000004Z", "attributes": {"event": "own"}},
    ]);
    span["links"] = json!([
        {"trace_id": "000000000000000000000000000000a1", "span_id": "00000000000000c1", "attributes": {}},
        {"trace_id": ID, "span_id": "00000000000000c2", "attributes": {"opentracing.ref_type": "child_of"}},
    ]);
    span
}

#[tokio::test]
async fn a_span_is_translated_field_by_field() {
    let indexer = Arc::new(Indexer::default());
    *indexer.hits.lock().unwrap() = vec![rich()];
    let server = start(indexer, true).await;
    let reference = |kind: &str, trace: &str, span: &str| json!({"refType": kind, "traceID": trace, "spanID": span});
    let expected = json!({
        "traceID": ID,
        "spanID": "000000000000b7ad",
        "operationName": "GET /",
        "references": [
            reference("CHILD_OF", ID, "00000000000000ff"),
            reference("FOLLOWS_FROM", "00000000000000a1", "00000000000000c1"),
            reference("CHILD_OF", ID, "00000000000000c2"),
        ],
        "startTime": 1_795_568_400_000_001_u64,
        "duration": 1,
        "tags": [
            tag("otel.scope.name", "string", json!("http")),
            tag("otel.scope.version", "string", json!("1.2")),
            tag("http.method", "string", json!("GET")),
            tag("http.status_code", "int64", json!(500)),
            tag("cached", "bool", json!(false)),
            tag("ratio", "float64", json!(0.25)),
            tag("big", "int64", json!("9007199254740993")),
            tag("list", "string", json!("[\"a\",1]")),
            tag("span.kind", "string", json!("server")),
            tag("otel.status_code", "string", json!("ERROR")),
            tag("error", "bool", json!(true)),
            tag("otel.status_description", "string", json!("too late")),
            tag("w3c.tracestate", "string", json!("vendor=1")),
        ],
        "logs": [
            {"timestamp": 1_795_568_400_000_003_u64, "fields": [
                tag("event", "string", json!("exception")),
                tag("exception.type", "string", json!("Late")),
                tag("retry", "int64", json!(2)),
            ]},
            {"timestamp": 1_795_568_400_000_004_u64, "fields": [tag("event", "string", json!("own"))]},
        ],
        "processID": "p1",
        "warnings": null,
    });
    let processes = json!({"p1": {"serviceName": "cart", "tags": [
        tag("host.name", "string", json!("web-1")),
        tag("process.pid", "int64", json!(42)),
    ]}});
    let trace =
        json!({"traceID": ID, "spans": [expected], "processes": processes, "warnings": null});
    assert_eq!(
        get(&server, &format!("/api/traces/{ID}")).await,
        (200, envelope(json!([trace]), 0))
    );
}

#[tokio::test]
async fn a_link_to_the_parent_says_what_the_parent_is() {
    let indexer = Arc::new(Indexer::default());
    let mut span = span_hit(ID, 2);
    span["parent_id"] = json!("0000000000000001");
    span["status"] = json!("ok");
    span["service"] = Value::Null;
    span["attributes"] = json!({});
    span["links"] = json!([{"trace_id": ID, "span_id": "0000000000000001", "attributes": {}}]);
    *indexer.hits.lock().unwrap() = vec![span];
    let server = start(indexer, true).await;
    let (_, answer) = get(&server, &format!("/api/traces/{ID}")).await;
    let trace = &answer["data"][0];
    let parent = json!([{"refType": "FOLLOWS_FROM", "traceID": ID, "spanID": "0000000000000001"}]);
    assert_eq!(trace["spans"][0]["references"], parent);
    assert_eq!(trace["spans"][0]["logs"], json!([]));
    assert_eq!(
        trace["spans"][0]["tags"],
        json!([
            tag("span.kind", "string", json!("server")),
            tag("otel.status_code", "string", json!("OK"))
        ])
    );
    assert_eq!(
        trace["processes"]["p1"]["serviceName"],
        "OTLPResourceNoServiceName"
    );
}

#[tokio::test]
async fn ids_are_taken_and_given_as_jaeger_does() {
    let indexer = Arc::new(Indexer::default());
    let short = "000000000000000000000000000000a1";
    *indexer.hits.lock().unwrap() = vec![span_hit(short, 1)];
    let server = start(indexer, true).await;
    for id in ["a1", "A1", "00000000000000a1", short] {
        let (status, answer) = get(&server, &format!("/api/traces/{id}?prettyPrint=true")).await;
        assert_eq!(status, 200, "{id}");
        assert_eq!(answer["data"][0]["traceID"], "00000000000000a1", "{id}");
    }
    let failure = |code: u16, msg: &str| json!({"data": null, "total": 0, "limit": 0, "offset": 0, "errors": [{"code": code, "msg": msg}]});
    assert_eq!(
        get(&server, &format!("/api/traces/{ID}")).await,
        (404, failure(404, "trace not found"))
    );
    let (status, answer) = get(&server, "/api/traces/xyz").await;
    assert_eq!((status, &answer["errors"][0]["code"]), (400, &json!(400)));
    // By several ids: those that are there, and which are not. One that is asked for twice comes once.
    let (status, answer) = get(
        &server,
        &format!("/api/traces?traceID=a1&traceID={ID}&traceID=A1"),
    )
    .await;
    assert_eq!(status, 200);
    assert_eq!(answer["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        answer["errors"],
        json!([{"msg": "trace not found", "traceID": ID}])
    );
}

#[tokio::test]
async fn a_search_becomes_a_query_of_spans_and_gives_whole_traces() {
    let indexer = Arc::new(Indexer::default());
    let other = "1af7651916cd43dd8448eb211c80319c";
    // The second sender was not told that its span arrived, and sent it again.
    *indexer.hits.lock().unwrap() = vec![
        span_hit(ID, 1),
        span_hit(other, 3),
        span_hit(ID, 2),
        span_hit(ID, 2),
    ];
    let summary = |id: &str| json!({"trace_id": id, "root": null, "start": "", "duration_ns": 1, "spans": 1, "errors": 0, "services": []});
    let list = json!({"complete": true, "took_ms": 1, "traces": [summary(other), summary(ID)]});
    indexer.answers.lock().unwrap().insert("traces", list);
    let server = start(Arc::clone(&indexer), true).await;
    let path = "/api/traces?service=cart&operation=GET%20%2F&tags=%7B%22peer%22%3A%22a%5C%22%20OR%20*%22%7D&minDuration=1.5ms\
        &start=1764032400000000&end=1764036000000000&limit=20&lookback=1h&maxDuration=";
    let (status, answer) = get(&server, path).await;
    assert_eq!(status, 200);
    let spans: Vec<(&Value, usize)> = answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|trace| (&trace["traceID"], trace["spans"].as_array().unwrap().len()))
        .collect();
    assert_eq!(spans, [(&json!(other), 1), (&json!(ID), 2)]);
    assert_eq!(answer["errors"], Value::Null);
    let value = r#""a\" OR *""#;
    let q = format!(
        "service:\"cart\" operation:\"GET /\" duration:>=1500000ns (attributes.peer:{value} OR attributes.resource\\.peer:{value} OR events.peer:{value})"
    );
    let asked = indexer.asked_of.lock().unwrap()[0].clone();
    let question = json!({
        "q": q, "from_ns": 1_764_032_400_000_000_000_i64, "to_ns": 1_764_036_000_000_001_000_i64, "limit": 20,
    });
    assert_eq!(asked, ("traces".to_owned(), question));
}

#[tokio::test]
async fn spans_without_an_id_are_all_there() {
    let indexer = Arc::new(Indexer::default());
    let without = |operation: &str| {
        let mut span = span_hit(ID, 1);
        span["span_id"] = Value::Null;
        span["operation"] = json!(operation);
        span
    };
    *indexer.hits.lock().unwrap() = vec![without("one"), without("two"), span_hit(ID, 7)];
    let server = start(indexer, true).await;
    let (_, answer) = get(&server, &format!("/api/traces/{ID}")).await;
    assert_eq!(answer["data"][0]["spans"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_an_incomplete_index_answers_says_so() {
    let indexer = Arc::new(Indexer::default());
    *indexer.hits.lock().unwrap() = vec![span_hit(ID, 1)];
    indexer
        .extra
        .lock()
        .unwrap()
        .insert("complete".into(), false.into());
    let list = json!({"complete": false, "took_ms": 1, "traces": []});
    indexer.answers.lock().unwrap().insert("traces", list);
    let server = start(indexer, true).await;
    let (_, answer) = get(&server, &format!("/api/traces/{ID}")).await;
    let warning = answer["data"][0]["warnings"][0].to_string();
    assert!(warning.contains("spans may be missing"), "{warning}");
    let (status, answer) = get(&server, "/api/traces?service=cart").await;
    assert_eq!((status, &answer["data"]), (200, &json!([])));
    let said = answer["errors"][0]["msg"].to_string();
    assert!(said.contains("traces may be missing"), "{said}");
    // What was not found may be there.
    let other = "1af7651916cd43dd8448eb211c80319c";
    let (status, answer) = get(&server, &format!("/api/traces/{other}")).await;
    let said = answer["errors"][0]["msg"].to_string();
    assert!(
        status == 503 && said.contains("not all of the index"),
        "{said}"
    );
    let (status, answer) = get(&server, &format!("/api/traces?traceID={other}")).await;
    let said = answer["errors"][0]["msg"].to_string();
    assert!(
        status == 200 && said.contains("not all of the index"),
        "{said}"
    );
}

#[tokio::test]
async fn lists_that_may_lack_something_say_so() {
    let indexer = Arc::new(Indexer::default());
    let names = json!({"complete": false, "services": []});
    let graph =
        json!({"complete": false, "services": [], "edges": [], "notes": ["half is left out"]});
    let answers = [("names", names), ("dependencies", graph)];
    indexer.answers.lock().unwrap().extend(answers);
    let server = start(Arc::clone(&indexer), true).await;
    for (path, missing) in [
        ("/api/services", "services may be missing"),
        ("/api/services/cart/operations", "operations may be missing"),
        ("/api/operations?service=cart", "operations may be missing"),
        ("/api/dependencies", "calls may be missing"),
    ] {
        let (status, answer) = get(&server, path).await;
        assert_eq!((status, &answer["data"]), (200, &json!([])), "{path}");
        let said = answer["errors"][0]["msg"].to_string();
        assert!(said.contains(missing), "{path}: {said}");
    }
    let (_, answer) = get(&server, "/api/dependencies").await;
    assert_eq!(answer["errors"][1]["msg"], "half is left out");

    // Notes of what is complete are no errors: for those, Grafana shows no graph.
    let whole = json!({"complete": true, "services": [], "edges": [], "notes": ["3 parents were never sent"]});
    let answers = [("dependencies", whole)];
    indexer.answers.lock().unwrap().extend(answers);
    let (_, answer) = get(&server, "/api/dependencies").await;
    assert_eq!(answer["errors"], Value::Null);
}

#[tokio::test]
async fn a_trace_that_does_not_fit_is_cut_and_says_of_how_many() {
    let indexer = Arc::new(Indexer::default());
    let most = logboom_ui::limits::JAEGER_SPANS_MAX;
    let other = "1af7651916cd43dd8448eb211c80319c";
    let spans = (1..most as u64 + 4).map(|span| span_hit(ID, span));
    *indexer.hits.lock().unwrap() = spans.chain([span_hit(other, 1)]).collect();
    let server = start(indexer, true).await;
    let (status, answer) = get(
        &server,
        &format!("/api/traces?traceID={ID}&traceID={other}"),
    )
    .await;
    assert_eq!(status, 200);
    let traces = answer["data"].as_array().unwrap();
    assert_eq!(traces.len(), 1);
    assert_eq!(traces[0]["spans"].as_array().unwrap().len(), most);
    let warning = traces[0]["warnings"][0].to_string();
    assert!(warning.contains("first 50000 of 50003 spans"), "{warning}");
    assert_eq!(answer["errors"][0]["traceID"], other);
    let said = answer["errors"][0]["msg"].to_string();
    assert!(said.contains("left out"), "{said}");
}

#[tokio::test]
async fn large_spans_are_bounded_by_their_bytes() {
    let indexer = Arc::new(Indexer::default());
    let heavy = |span: u64| {
        let mut span = span_hit(ID, span);
        span["attributes"]["dump"] = json!("x".repeat(6 << 20));
        span
    };
    *indexer.hits.lock().unwrap() = (1..=14).map(heavy).collect();
    let server = start(indexer, true).await;
    let (_, answer) = get(&server, &format!("/api/traces/{ID}")).await;
    let trace = &answer["data"][0];
    // Eleven of 6 MiB are the first to pass 64 MiB.
    assert_eq!(trace["spans"].as_array().unwrap().len(), 11);
    let warning = trace["warnings"][0].to_string();
    assert!(warning.contains("first 11 of 14 spans"), "{warning}");
}

#[tokio::test]
async fn names_and_dependencies_are_listed() {
    let indexer = Arc::new(Indexer::default());
    let operation = |name: &str, kind: &str| json!({"name": name, "kind": kind});
    let names = json!({"complete": true, "services": [
        {"name": "", "operations": [operation("tick", "internal")]},
        {"name": "my/cart", "operations": [operation("GET /", "client"), operation("GET /", "server"), operation("put", "server")]},
    ]});
    let edge = |parent: &str, child: &str, calls: u64| json!({"parent": parent, "child": child, "calls": calls, "errors": 0, "p50": 1.0, "p95": 1.0, "p99": 1.0});
    let graph = json!({"complete": true, "services": [], "edges": [edge("shop", "my/cart", 7), edge("my/cart", "", 2)]});
    indexer
        .answers
        .lock()
        .unwrap()
        .extend([("names", names), ("dependencies", graph)]);
    let server = start(Arc::clone(&indexer), true).await;
    let unnamed = "OTLPResourceNoServiceName";
    let shown = |name: &str, kind: &str| json!({"name": name, "spanKind": kind});
    let call = |parent: &str, child: &str, calls: u64| json!({"parent": parent, "child": child, "callCount": calls});
    for (path, data, total) in [
        ("/api/services", json!([unnamed, "my/cart"]), 2),
        (
            "/api/services/my%2Fcart/operations",
            json!(["GET /", "put"]),
            2,
        ),
        ("/api/services/nobody/operations", json!([]), 0),
        (
            "/api/operations?service=my%2Fcart",
            json!([
                shown("GET /", "client"),
                shown("GET /", "server"),
                shown("put", "server")
            ]),
            3,
        ),
        (
            "/api/operations?service=my%2Fcart&spanKind=client",
            json!([shown("GET /", "client")]),
            1,
        ),
        (
            "/api/operations?service=OTLPResourceNoServiceName",
            json!([shown("tick", "internal")]),
            1,
        ),
        (
            "/api/dependencies?endTs=1764036000000&lookback=3600000",
            json!([call("shop", "my/cart", 7), call("my/cart", unnamed, 2)]),
            0,
        ),
        (
            "/api/dependencies?service=shop",
            json!([call("shop", "my/cart", 7)]),
            0,
        ),
    ] {
        assert_eq!(
            get(&server, path).await,
            (200, envelope(data, total)),
            "{path}"
        );
    }
    let asked = indexer.asked_of.lock().unwrap().clone();
    let graph = asked
        .iter()
        .find(|(name, _)| name == "dependencies")
        .unwrap();
    let range =
        json!({"from_ns": 1_764_032_400_000_000_000_i64, "to_ns": 1_764_036_000_000_000_000_i64});
    assert_eq!(graph.1, range);
}

#[tokio::test]
async fn errors_are_in_jaegers_form() {
    let indexer = Arc::new(Indexer::default());
    let server = start(Arc::clone(&indexer), true).await;
    for (path, said) in [
        ("/api/traces", "parameter 'service' is required"),
        ("/api/operations", "parameter 'service' is required"),
        (
            "/api/traces?service=a&start=soon",
            "unable to parse param 'start'",
        ),
        ("/api/traces?service=a&limit=1501", "from 1 to 1500"),
        (
            "/api/traces?service=a&tags=%7B",
            "malformed 'tags' parameter",
        ),
        ("/api/traces?traceID=xyz", "`trace id` is `xyz`"),
        (
            "/api/dependencies?endTs=now",
            "unable to parse param 'endTs'",
        ),
        ("/api/traces/%FF", "UTF-8"),
        ("/api/services/%FF/operations", "UTF-8"),
    ] {
        let (status, answer) = get(&server, path).await;
        assert_eq!(status, 400, "{path}");
        assert_eq!(answer["data"], Value::Null, "{path}");
        assert_eq!(answer["errors"][0]["code"], 400, "{path}");
        let msg = answer["errors"][0]["msg"].to_string();
        assert!(msg.contains(said), "{path}: {msg}");
    }
    assert!(indexer.asked_of.lock().unwrap().is_empty());

    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = socket.local_addr().unwrap();
    let server = start_before(&format!("http://{gone}"), false).await;
    for path in [
        "/api/services",
        "/api/traces?service=a",
        "/api/traces/a1",
        "/api/dependencies",
    ] {
        let (status, answer) = get(&server, path).await;
        assert_eq!(
            (status, &answer["errors"][0]["code"]),
            (502, &json!(502)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_description_has_every_route() {
    let server = start(Arc::new(Indexer::default()), true).await;
    let description = body(server.get("/api/openapi.json").await).await;
    for path in [
        "/api/v1/traces",
        "/api/v1/traces/{id}",
        "/api/v1/traces/{id}/spans/{span_id}",
        "/api/v1/services",
        "/api/v1/dependencies",
        "/api/v1/names",
        "/api/services",
        "/api/services/{service}/operations",
        "/api/operations",
        "/api/traces",
        "/api/traces/{id}",
        "/api/dependencies",
    ] {
        assert!(description["paths"].get(path).is_some(), "{path}");
    }
    for path in ["/traces", "/traces/a1b2?span=ff", "/services"] {
        let page = server.get(path).await;
        let kind = page.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(
            page.status() == 200 && kind.starts_with("text/html"),
            "{path}"
        );
    }
}
