//! The state of agents, partitions and indexer, and where this process listens.

use axum::extract::State;
use axum::response::Response;

use super::{App, json};
use crate::error::ApiError;

/// Agents, partitions with their lag, and the indexer.
#[utoipa::path(get, path = "/api/v1/pipeline", responses(
    (status = 200, description = "State of the pipeline", body = Object),
    (status = 502, description = "The indexer does not answer", body = super::answer::ErrorAnswer),
))]
pub(super) async fn pipeline(State(shared): App) -> Result<Response, ApiError> {
    Ok(json(shared.deps.search.pipeline().await?))
}

/// The port that each listener of this process got.
#[utoipa::path(get, path = "/api/v1/ports", responses((status = 200, description = "Ports by name", body = Object)))]
pub(super) async fn ports(State(shared): App) -> Response {
    json(&shared.deps.ports)
}
