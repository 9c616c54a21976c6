//! What the tests of the routes stand on: an indexer that says what it is told, and the ui in front of it.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::StreamExt;
use logboom_indexer::Remote;
use logboom_ui::{Config, Deps};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What the fake indexer was asked and what it answers.
#[derive(Default)]
pub(crate) struct Indexer {
    pub(crate) asked: Mutex<Vec<Value>>,
    pub(crate) hits: Mutex<Vec<Value>>,
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

async fn search(State(indexer): State<Arc<Indexer>>, Json(request): Json<Value>) -> Response {
    let is_bad = request["q"] == "level:";
    indexer.asked.lock().unwrap().push(request);
    if is_bad {
        let error = json!({"error": {"message": "`level:` needs a value", "from": 0, "to": 6}});
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    }
    let hits = indexer.hits.lock().unwrap().clone();
    let answer = json!({"total": hits.len(), "complete": true, "hits": hits, "took_ms": 1, "next": null, "histogram": null});
    Json(answer).into_response()
}

async fn tail(State(indexer): State<Arc<Indexer>>) -> Response {
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
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let internal = Router::new()
        .route("/internal/v1/search", post(search))
        .route("/internal/v1/tail", get(tail))
        .route(
            "/internal/v1/pipeline",
            get(async || Json(json!({"agents": [], "partitions": [], "indexer": {"docs": 7}}))),
        )
        .with_state(indexer);
    tokio::spawn(async move { axum::serve(listener, internal).await.unwrap() });
    start_before(&format!("http://{address}"), ready).await
}

pub(crate) async fn start_before(indexer_url: &str, ready: bool) -> Server {
    let deps = Deps {
        search: Remote::new(indexer_url).unwrap(),
        alerts: None,
        metrics: Arc::new(|| "logboom_test_total 1\n".to_owned()),
        ports: json!({"http": 7480}),
        health: Arc::new(move || vec![("queue".to_owned(), true), ("indexer".to_owned(), ready)]),
    };
    serve(deps).await
}

pub(crate) async fn serve(deps: Deps) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let (ready, mut is_ready) = watch::channel(false);
    let config = Config {
        external_url: Some("https://logs.example.com".to_owned()),
    };
    let ui = tokio::spawn(logboom_ui::run(config, deps, listener, ready, stop.clone()));
    is_ready.wait_for(|ready| *ready).await.unwrap();
    Server { url, stop, ui }
}
