//! Is it alive, is it ready, and how is it doing: for supervisors, load balancers and Prometheus.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, json};

use super::App;

/// Alive: the process answers.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "The process answers")))]
pub(super) async fn healthz() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// Ready: every part of the process answers. 503 while one starts or stops.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, description = "Every part is ready"),
    (status = 503, description = "A part is starting or stopping; the body names each"),
))]
pub(super) async fn readyz(State(shared): App) -> Response {
    let parts = (shared.deps.health)();
    let ready = !shared.stop.is_cancelled() && parts.iter().all(|(_, ready)| *ready);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let parts: Map<_, _> = parts
        .into_iter()
        .map(|(name, ready)| (name, ready.into()))
        .collect();
    (status, Json(json!({"ready": ready, "parts": parts}))).into_response()
}

/// Metrics of all parts of this process.
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "Prometheus text", body = String)))]
pub(super) async fn metrics(State(shared): App) -> Response {
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        (shared.deps.metrics)(),
    )
        .into_response()
}
