//! The questions about traces on the internal HTTP port, each a POST with JSON both ways:
//!
//! ```text
//! /internal/v1/traces         TraceSearch → TraceList
//! /internal/v1/trace          {"trace_id"} → Trace or null
//! /internal/v1/span           {"trace_id","span_id"} → Hit or null
//! /internal/v1/services       ServicesRequest → ServicesAnswer
//! /internal/v1/dependencies   {"from_ns","to_ns"} → Dependencies
//! /internal/v1/names          {"from_ns","to_ns"} → Names
//! ```

use std::sync::Arc;

use axum::extract::{Json, State, rejection::JsonRejection};
use axum::{Router, response::Response, routing::post};
use logboom_query::SPANS;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::catalog::Snapshot;
use crate::indexes::Indexes;
use crate::search::{Budget, SearchError};
use crate::server::Server;

use super::answer::{ServicesRequest, TraceSearch};

/// Which trace, or which of its spans.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    pub(super) trace_id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) span_id: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Within {
    pub(super) from_ns: Option<i64>,
    pub(super) to_ns: Option<i64>,
}

pub(crate) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/internal/v1/traces", post(traces))
        .route("/internal/v1/trace", post(trace))
        .route("/internal/v1/span", post(span))
        .route("/internal/v1/services", post(services))
        .route("/internal/v1/dependencies", post(dependencies))
        .route("/internal/v1/names", post(names))
}

type Asked<Q> = Result<Json<Q>, JsonRejection>;

async fn traces(State(server): State<Arc<Server>>, asked: Asked<TraceSearch>) -> Response {
    answer(&server, asked, super::list).await
}

async fn trace(State(server): State<Arc<Server>>, asked: Asked<Named>) -> Response {
    answer(&server, asked, |spans, asked, budget| {
        super::trace(spans, &asked.trace_id, budget)
    })
    .await
}

async fn span(State(server): State<Arc<Server>>, asked: Asked<Named>) -> Response {
    answer(&server, asked, |spans, asked, budget| {
        super::span(spans, &asked.trace_id, &asked.span_id, budget)
    })
    .await
}

async fn services(State(server): State<Arc<Server>>, asked: Asked<ServicesRequest>) -> Response {
    answer(&server, asked, super::services).await
}

async fn dependencies(State(server): State<Arc<Server>>, asked: Asked<Within>) -> Response {
    answer(&server, asked, |spans, asked, budget| {
        super::dependencies(spans, asked.from_ns, asked.to_ns, budget)
    })
    .await
}

async fn names(State(server): State<Arc<Server>>, asked: Asked<Within>) -> Response {
    answer(&server, asked, |spans, asked, budget| {
        super::names(spans, asked.from_ns, asked.to_ns, budget)
    })
    .await
}

async fn answer<Q, A>(
    server: &Server,
    asked: Asked<Q>,
    work: fn(&Snapshot, &Q, Budget) -> Result<A, SearchError>,
) -> Response
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
{
    server
        .answer(asked, move |indexes: &Indexes, asked: &Q, budget| {
            work(&indexes.named(SPANS)?.catalog.snapshot(), asked, budget)
        })
        .await
}
