//! The routes, what they share, and the description of them at `/api/openapi.json`.

mod alerts;
mod answer;
mod health;
mod jaeger;
mod params;
mod pipeline;
mod search;
mod services;
mod tail;
mod trace_answer;
mod traces;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower_http::compression::{CompressionLayer, CompressionLevel};
use utoipa::OpenApi;

use crate::error::ApiError;
use crate::guard::{self, PublicName};
use crate::limits::JAEGER_READS_MAX;
use crate::run::{Config, Deps, Patience};
use crate::{assets, metrics};

/// What every handler may use.
struct Shared {
    deps: Deps,
    /// Ends the live tails, which would otherwise hold up the end of the process.
    stop: CancellationToken,
    tails_open: Arc<AtomicUsize>,
    /// Turns to put whole traces together in Jaeger's form, and to send them.
    jaeger_reads: Arc<Semaphore>,
    patience: Patience,
}

type App = axum::extract::State<Arc<Shared>>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "logboom",
        description = "Search, live tail, traces, services, alerts and the state of the pipeline; traces in Jaeger's form too."
    ),
    paths(
        search::search,
        tail::tail,
        traces::traces,
        traces::trace,
        traces::span,
        services::services,
        services::dependencies,
        services::names,
        jaeger::services,
        jaeger::operation_names,
        jaeger::operations,
        jaeger::traces,
        jaeger::trace,
        jaeger::dependencies,
        alerts::alerts,
        alerts::rules,
        alerts::history,
        alerts::receivers,
        pipeline::pipeline,
        pipeline::ports,
        health::healthz,
        health::readyz,
        health::metrics,
    ),
    components(schemas(
        answer::SearchAnswer,
        answer::Row,
        answer::Histogram,
        answer::Table,
        answer::SpanEvent,
        answer::SpanLink,
        trace_answer::TraceList,
        trace_answer::TraceSummary,
        trace_answer::Root,
        trace_answer::ServiceCount,
        trace_answer::Trace,
        trace_answer::SpanRows,
        trace_answer::ServicesAnswer,
        trace_answer::ServiceRow,
        trace_answer::Series,
        trace_answer::Dependencies,
        trace_answer::Edge,
        trace_answer::NamesAnswer,
        trace_answer::ServiceNames,
        trace_answer::OperationName,
        answer::ErrorAnswer,
        answer::ErrorDetail
    ))
)]
struct Description;

/// The OpenAPI description as JSON.
pub fn openapi() -> String {
    Description::openapi().to_json().unwrap_or_default()
}

/// Every route; live tails end when `stop` does.
pub(crate) fn router(config: &Config, deps: Deps, stop: CancellationToken) -> Router {
    let shared = Arc::new(Shared {
        deps,
        stop,
        tails_open: Arc::default(),
        jaeger_reads: Arc::new(Semaphore::new(JAEGER_READS_MAX)),
        patience: config.patience,
    });
    let api = Router::new()
        .route("/api/v1/search", get(search::search))
        .route("/api/v1/tail", get(tail::tail))
        .route("/api/v1/traces", get(traces::traces))
        .route("/api/v1/traces/{id}", get(traces::trace))
        .route("/api/v1/traces/{id}/spans/{span_id}", get(traces::span))
        .route("/api/v1/services", get(services::services))
        .route("/api/v1/dependencies", get(services::dependencies))
        .route("/api/v1/names", get(services::names))
        .route("/api/services", get(jaeger::services))
        .route(
            "/api/services/{service}/operations",
            get(jaeger::operation_names),
        )
        .route("/api/operations", get(jaeger::operations))
        .route("/api/traces", get(jaeger::traces))
        .route("/api/traces/{id}", get(jaeger::trace))
        .route("/api/dependencies", get(jaeger::dependencies))
        .route("/api/v1/alerts", get(alerts::alerts))
        .route("/api/v1/rules", get(alerts::rules))
        .route("/api/v1/history", get(alerts::history))
        .route("/api/v1/receivers", get(alerts::receivers))
        .route("/api/v1/pipeline", get(pipeline::pipeline))
        .route("/api/v1/ports", get(pipeline::ports))
        .route(
            "/api/openapi.json",
            get(async || ([("content-type", "application/json")], openapi())),
        )
        .route(
            "/api/{*rest}",
            axum::routing::any(async |request: Request| nothing_at(&request)),
        )
        .layer(middleware::from_fn(measure))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest));
    Router::new()
        .merge(api)
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(assets::serve)
        .layer(middleware::from_fn_with_state(
            PublicName::of(config.external_url.as_deref()),
            guard::guard,
        ))
        .with_state(shared)
}

fn nothing_at(request: &Request) -> Response {
    ApiError::NotFound(request.uri().path().to_owned()).into_response()
}

/// Counts and times by route, not by address: an address is the client's to choose and without end.
async fn measure(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let route = route.map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let started = Instant::now();
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .entry("cache-control")
        .or_insert(axum::http::HeaderValue::from_static("no-store"));
    let status = response.status().as_u16().to_string();
    ::metrics::counter!(metrics::HTTP_REQUESTS_TOTAL, "route" => route.clone(), "status" => status)
        .increment(1);
    ::metrics::histogram!(metrics::HTTP_REQUEST_SECONDS, "route" => route)
        .record(started.elapsed().as_secs_f64());
    response
}

/// Answers with whatever serialises.
fn json<T: serde::Serialize>(value: T) -> Response {
    Json(value).into_response()
}
