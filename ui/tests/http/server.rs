//! What the tests of the routes stand on: an indexer that says what it is told, and the ui in front of it.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::StreamExt;
use logboom_indexer::Remote;
use logboom_ui::{Config, Deps, Patience};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What the fake indexer was asked and what it answers.
#[derive(Default)]
pub(crate) struct Indexer {
    pub(crate) asked: Mutex<Vec<Value>>,
    pub(crate) hits: Mutex<Vec<Value>>,
    /// What a search answers besides, e.g. a table.
    pub(crate) extra: Mutex<Map<String, Value>>,
    /// Answers of the routes about traces, by name; `null` where there is none.
    pub(crate) answers: Mutex<HashMap<&'static str, Value>>,
    /// What these were asked: name and question.
    pub(crate) asked_of: Mutex<Vec<(String, Value)>>,
    /// The address of the last live tail.
    pub(crate) tailed: Mutex<String>,
    /// Lines of the tail, after which it stays open.
    pub(crate) tail: Mutex<Vec<Value>>,
    /// With this, the tail sends lines of 1 KiB as fast as they are taken, and counts them.
    pub(crate) endless: bool,
    pub(crate) sent: AtomicU64,
}

pub(crate) fn hit(raw: &str) -> Value {
    json!({
        "timestamp": "2026-11-25T01:00:00.000000001Z", "body": raw, "raw": raw, "level": "error",
        "service": null, "host": "web-1", "source": "/var/log/a.log", "attributes": {},
        "trace_id": null, "span_id": null, "id": "0-1-2-0",
    })
}

/// A span as the indexer answers it.
pub(crate) fn span_hit(trace: &str, span: u64) -> Value {
    json!({
        "timestamp": "2026-11-25T01:00:00.000001500Z", "body": "GET /", "raw": "GET /", "level": null,
        "service": "cart", "host": null, "source": null, "attributes": {"resource": {"service.name": "cart"}},
        "trace_id": trace, "span_id": format!("{span:016x}"), "id": format!("0-1-{span}-0"),
        "operation": "GET /", "kind": "server", "status": "unset", "duration_ns": 1_999,
    })
}

async fn search(State(indexer): State<Arc<Indexer>>, Json(request): Json<Value>) -> Response {
    let q = request["q"].as_str().unwrap().to_owned();
    let (limit, order) = (request["limit"].as_u64().unwrap(), request["order"].clone());
    let cursor = request["cursor"].as_str().map(|at| at.parse::<usize>());
    let is_of_spans = request["index"] == "spans";
    indexer.asked.lock().unwrap().push(request);
    if q == "level:" {
        let error = json!({"error": {"message": "`level:` needs a value", "from": 0, "to": 6}});
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    }
    let mut answer = json!({"complete": true, "took_ms": 1, "next": null, "histogram": null});
    let fields = answer.as_object_mut().unwrap();
    let hits = indexer.hits.lock().unwrap();
    // Whole traces are read page by page; everything else is answered as it is told.
    match q.strip_prefix("trace_id:").filter(|_| is_of_spans) {
        Some(id) => {
            assert_eq!(order, "oldest");
            let of: Vec<&Value> = hits.iter().filter(|hit| hit["trace_id"] == id).collect();
            let from = cursor.map_or(0, Result::unwrap);
            let to = of.len().min(from + usize::try_from(limit).unwrap());
            fields.insert("total".into(), of.len().into());
            fields.insert("hits".into(), json!(of[from..to]));
            if to < of.len() {
                fields.insert("next".into(), to.to_string().into());
            }
        }
        None => {
            fields.insert("total".into(), hits.len().into());
            fields.insert("hits".into(), json!(*hits));
        }
    }
    fields.extend(indexer.extra.lock().unwrap().clone());
    Json(answer).into_response()
}

async fn told(
    State(indexer): State<Arc<Indexer>>,
    Path(name): Path<String>,
    Json(question): Json<Value>,
) -> Response {
    let answer = indexer.answers.lock().unwrap().get(name.as_str()).cloned();
    indexer.asked_of.lock().unwrap().push((name, question));
    Json(answer).into_response()
}

async fn tail(State(indexer): State<Arc<Indexer>>, address: Uri) -> Response {
    *indexer.tailed.lock().unwrap() = address.to_string();
    let line = |item: &Value| format!("{item}\n");
    if indexer.endless {
        let item = line(&json!({"hit": hit(&"x".repeat(1024))}));
        let lines = futures::stream::repeat_with(move || {
            indexer.sent.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(item.clone())
        });
        return Body::from_stream(lines).into_response();
    }
    let lines: Vec<_> = indexer
        .tail
        .lock()
        .unwrap()
        .iter()
        .map(|item| Ok::<_, std::io::Error>(line(item)))
        .collect();
    Body::from_stream(futures::stream::iter(lines).chain(futures::stream::pending()))
        .into_response()
}

/// A running ui; stopping it stops the fake indexer too.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) stop: CancellationToken,
    pub(crate) ui: JoinHandle<Result<(), logboom_ui::Error>>,
}

impl Server {
    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::get(format!("{}{path}", self.url)).await.unwrap()
    }
}

/// Starts the ui before a fake indexer; `ready` is what `/readyz` reports of the indexer.
pub(crate) async fn start(indexer: Arc<Indexer>, ready: bool) -> Server {
    let indexer_url = start_indexer(indexer).await;
    start_before(&indexer_url, ready).await
}

/// The same with another patience for clients that do not read.
pub(crate) async fn start_with(indexer: Arc<Indexer>, patience: Patience) -> Server {
    let indexer_url = start_indexer(indexer).await;
    serve_with(deps(&indexer_url, true), patience).await
}

async fn start_indexer(indexer: Arc<Indexer>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let internal = Router::new()
        .route("/internal/v1/search", post(search))
        .route("/internal/v1/tail", get(tail))
        .route(
            "/internal/v1/pipeline",
            get(async || Json(json!({"agents": [], "partitions": [], "indexer": {"docs": 7}}))),
        )
        .route("/internal/v1/{name}", post(told))
        .with_state(indexer);
    tokio::spawn(async move { axum::serve(listener, internal).await.unwrap() });
    format!("http://{address}")
}

pub(crate) async fn start_before(indexer_url: &str, ready: bool) -> Server {
    serve(deps(indexer_url, ready)).await
}

fn deps(indexer_url: &str, ready: bool) -> Deps {
    Deps {
        search: Remote::new(indexer_url).unwrap(),
        alerts: None,
        metrics: Arc::new(|| "logboom_test_total 1\n".to_owned()),
        groups: Some(Arc::new(
            || json!([{"group": "readers", "lost_records": 7}]),
        )),
        ports: json!({"http": 7480}),
        health: Arc::new(move || vec![("queue".to_owned(), true), ("indexer".to_owned(), ready)]),
    }
}

pub(crate) async fn serve(deps: Deps) -> Server {
    serve_with(deps, Patience::default()).await
}

async fn serve_with(deps: Deps, patience: Patience) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let (ready, mut is_ready) = watch::channel(false);
    let config = Config {
        external_url: Some("https://logs.example.com".to_owned()),
        patience,
    };
    let ui = tokio::spawn(logboom_ui::run(config, deps, listener, ready, stop.clone()));
    is_ready.wait_for(|ready| *ready).await.unwrap();
    Server { url, stop, ui }
}
