//! Every route but the live tail.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::server::{Indexer, hit, serve, start, start_before};

pub(crate) async fn body(response: reqwest::Response) -> Value {
    response.json().await.unwrap()
}

#[tokio::test]
async fn search_passes_its_parameters_on() {
    let indexer = Arc::new(Indexer::default());
    let server = start(Arc::clone(&indexer), true).await;
    let path = "/api/v1/search?q=level%3Aerror%20%E4%B8%AD&from=1764032400&to=2026-11-25T01:00:00Z&limit=7&order=oldest&cursor=c&histogram=30";
    assert_eq!(server.get(path).await.status(), 200);
    let asked = indexer.asked.lock().unwrap()[0].clone();
    assert_eq!(asked["q"], "level:error 中");
    assert_eq!(asked["from_ns"], 1_764_032_400_000_000_000_i64);
    assert_eq!(asked["to_ns"], 1_795_568_400_000_000_000_i64);
    assert_eq!(
        (&asked["limit"], &asked["cursor"], &asked["histogram"]),
        (&json!(7), &json!("c"), &json!(30))
    );
}

#[tokio::test]
async fn rows_carry_4_kib_of_a_line_unless_asked_for_all() {
    let indexer = Arc::new(Indexer::default());
    indexer.hits.lock().unwrap().push(hit(&"x".repeat(10_000)));
    let server = start(indexer, true).await;
    let cut = body(server.get("/api/v1/search").await).await;
    assert_eq!(cut["hits"][0]["raw"].as_str().unwrap().len(), 4096);
    assert_eq!(cut["hits"][0]["raw_length"], 10_000);
    let full = body(server.get("/api/v1/search?full=1").await).await;
    assert_eq!(full["hits"][0]["raw"].as_str().unwrap().len(), 10_000);
    assert!(full["hits"][0].get("raw_length").is_none());
}

#[tokio::test]
async fn errors_say_what_and_where() {
    let server = start(Arc::new(Indexer::default()), true).await;
    for (path, status, message) in [
        ("/api/v1/search?q=level:", 400, "`level:` needs a value"),
        (
            "/api/v1/search?from=soon",
            400,
            "`from`: `soon` is not a time",
        ),
        (
            "/api/v1/search?from=1h&to=2h",
            400,
            "`from` is not before `to`",
        ),
        (
            "/api/v1/search?limit=1000000",
            400,
            "`limit` is `1000000`; it can be at most 10000",
        ),
        ("/api/v1/search?limit=many", 400, "limit"),
        ("/api/v1/search?querry=x", 400, "querry"),
        ("/api/v1/search?full=yes", 400, "`full` is `yes`"),
        ("/api/v1/history?limit=0", 400, "`limit` is `0`"),
        ("/api/v1/nothing", 404, "/api/v1/nothing"),
        ("/api/v1/alerts", 404, "ui.alerting_data"),
        ("/assets/gone-0123.js", 404, "gone"),
    ] {
        let response = server.get(path).await;
        assert_eq!(response.status(), status, "{path}");
        let error = body(response).await["error"].clone();
        assert!(
            error["message"].as_str().unwrap().contains(message),
            "{path}: {error}"
        );
    }
    let error = body(server.get("/api/v1/search?q=level:").await).await["error"].clone();
    assert_eq!((&error["from"], &error["to"]), (&json!(0), &json!(6)));
}

#[tokio::test]
async fn an_indexer_that_is_gone_is_a_502_that_says_so() {
    // Bound and never listening: nobody answers there, and nobody else can take the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = socket.local_addr().unwrap();
    let server = start_before(&format!("http://{gone}"), false).await;
    for path in ["/api/v1/search", "/api/v1/pipeline", "/api/v1/tail"] {
        let response = server.get(path).await;
        assert_eq!(response.status(), 502, "{path}");
        assert!(
            body(response).await["error"]["message"]
                .as_str()
                .unwrap()
                .contains("indexer")
        );
    }
}

#[tokio::test]
async fn alerts_before_the_first_start_of_alerting_are_an_error_not_silence() {
    let directory = tempfile::tempdir().unwrap();
    let deps = logboom_ui::Deps {
        search: logboom_indexer::Remote::new("http://127.0.0.1:1").unwrap(),
        alerts: Some(logboom_alerting::View::open(
            directory.path().join("alerting.db"),
        )),
        metrics: Arc::new(String::new),
        groups: None,
        ports: json!({}),
        health: Arc::new(Vec::new),
    };
    let server = serve(deps).await;
    let response = server.get("/api/v1/alerts").await;
    assert_eq!(response.status(), 500);
    let message = body(response).await["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(message.contains("alerting.db"), "{message}");
}

#[tokio::test]
async fn health_ports_metrics_and_description_answer() {
    let server = start(Arc::new(Indexer::default()), true).await;
    assert_eq!(
        body(server.get("/healthz").await).await,
        json!({"status": "ok"})
    );
    assert_eq!(
        body(server.get("/readyz").await).await,
        json!({"ready": true, "parts": {"queue": true, "indexer": true}})
    );
    assert_eq!(
        body(server.get("/api/v1/ports").await).await,
        json!({"http": 7480})
    );
    let pipeline = body(server.get("/api/v1/pipeline").await).await;
    assert_eq!(pipeline["indexer"]["docs"], 7);
    assert_eq!(pipeline["groups"][0]["lost_records"], 7);
    assert_eq!(
        server.get("/metrics").await.text().await.unwrap(),
        "logboom_test_total 1\n"
    );
    let description = body(server.get("/api/openapi.json").await).await;
    for path in [
        "search",
        "tail",
        "alerts",
        "rules",
        "history",
        "receivers",
        "pipeline",
        "ports",
    ] {
        assert!(
            description["paths"]
                .get(format!("/api/v1/{path}"))
                .is_some(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_part_that_is_not_ready_is_named() {
    let server = start(Arc::new(Indexer::default()), false).await;
    let response = server.get("/readyz").await;
    assert_eq!(response.status(), 503);
    assert_eq!(body(response).await["parts"]["indexer"], false);
}

#[tokio::test]
async fn the_page_answers_its_addresses_under_a_strict_policy() {
    let server = start(Arc::new(Indexer::default()), true).await;
    for path in ["/", "/search?q=x", "/alerts"] {
        let response = server.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-type").starts_with("text/html"));
        assert_eq!(
            (header("cache-control"), header("x-content-type-options")),
            ("no-cache".into(), "nosniff".into())
        );
        assert!(
            header("content-security-policy").contains("script-src 'self'")
                && !header("content-security-policy").contains("unsafe")
        );
    }
}

#[tokio::test]
async fn a_rebound_host_name_reads_nothing() {
    let server = start(Arc::new(Indexer::default()), true).await;
    let ask = |host: &'static str, path: &str| {
        reqwest::Client::new()
            .get(format!("{}{path}", server.url))
            .header("host", host)
            .send()
    };
    assert_eq!(
        ask("evil.example", "/api/v1/search")
            .await
            .unwrap()
            .status(),
        421
    );
    assert_eq!(ask("evil.example", "/").await.unwrap().status(), 421);
    assert_eq!(
        ask("logs.example.com", "/api/v1/search")
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        ask("logboom.monitoring.svc.example", "/metrics")
            .await
            .unwrap()
            .status(),
        200
    );
}
