//! Traces: a list of those with a matching span, one whole, and one of its spans.
//!
//! A list says how each trace is made up without its spans; a trace comes without its spans' attributes;
//! those are asked for span by span. So neither grows with what nobody looks at.

use axum::extract::State;
use axum::response::Response;
use logboom_indexer::traces::TraceSearch;
use serde::Deserialize;
use utoipa::IntoParams;

use super::params::{self, Names, Params};
use super::{App, json};
use crate::error::ApiError;
use crate::limits::{TRACES_DEFAULT, TRACES_MAX};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TracesParams {
    /// Query of spans; empty or `*` is every span.
    #[param(example = "service:cart duration:>500ms status:error")]
    q: Option<String>,
    /// Spans that begin from this time on; written as in a search.
    from: Option<String>,
    /// Spans that begin before this time.
    to: Option<String>,
    /// Traces at most; 50 unless given.
    #[param(maximum = 200)]
    limit: Option<usize>,
}

/// The traces that have a matching span, those with the newest first.
#[utoipa::path(get, path = "/api/v1/traces", params(TracesParams), responses(
    (status = 200, description = "Each trace summed up over all of its spans, matching or not", body = super::trace_answer::TraceList),
    (status = 400, description = "A parameter or the query is wrong", body = super::answer::ErrorAnswer),
    (status = 502, description = "The indexer does not answer", body = super::answer::ErrorAnswer),
))]
pub(super) async fn traces(
    State(shared): App,
    params: Params<TracesParams>,
) -> Result<Response, ApiError> {
    let TracesParams { q, from, to, limit } = params.0;
    let (from_ns, to_ns) = params::range(from.as_deref(), to.as_deref(), params::now_ns())?;
    let request = TraceSearch {
        q: params::query(q)?,
        from_ns,
        to_ns,
        limit: params::at_most("limit", limit.unwrap_or(TRACES_DEFAULT), TRACES_MAX)?,
    };
    Ok(json(shared.deps.search.traces(&request).await?))
}

/// A trace: all its spans, as columns and without their attributes.
#[utoipa::path(get, path = "/api/v1/traces/{id}", params(
    ("id" = String, Path, description = "Hex digits of the trace's id; leading zeros may be left out"),
), responses(
    (status = 200, description = "Spans by start; `parent` is a row, or -1", body = super::trace_answer::Trace),
    (status = 400, description = "This is no id", body = super::answer::ErrorAnswer),
    (status = 404, description = "The index has no span of it", body = super::answer::ErrorAnswer),
    (status = 503, description = "The time ended before all of the index was looked at", body = super::answer::ErrorAnswer),
))]
pub(super) async fn trace(
    State(shared): App,
    Names(id): Names<String>,
) -> Result<Response, ApiError> {
    let id = params::trace_id(&id)?;
    match shared.deps.search.trace(&id).await? {
        Some(trace) => Ok(json(trace)),
        None => Err(ApiError::NoTrace(id)),
    }
}

/// A span whole, with its attributes, events and links, however long they are.
#[utoipa::path(get, path = "/api/v1/traces/{id}/spans/{span_id}", params(
    ("id" = String, Path, description = "The trace's id"),
    ("span_id" = String, Path, description = "The span's id"),
), responses(
    (status = 200, description = "The span as a search gives it", body = super::answer::Row),
    (status = 400, description = "This is no id", body = super::answer::ErrorAnswer),
    (status = 404, description = "The index has no such span", body = super::answer::ErrorAnswer),
    (status = 503, description = "The time ended before all of the index was looked at", body = super::answer::ErrorAnswer),
))]
pub(super) async fn span(
    State(shared): App,
    Names((trace, span)): Names<(String, String)>,
) -> Result<Response, ApiError> {
    let (trace, span) = (params::trace_id(&trace)?, params::span_id(&span)?);
    match shared.deps.search.span(&trace, &span).await? {
        Some(hit) => Ok(json(hit)),
        None => Err(ApiError::NoSpan { trace, span }),
    }
}
