//! The state of agents, partitions and indexer, and where this process listens.

use axum::extract::State;
use axum::response::Response;

use super::{App, json};
use crate::error::ApiError;

/// Agents, partitions with their lag, the indexer, and, where the queue is in this process, the groups that read it.
#[utoipa::path(get, path = "/api/v1/pipeline", responses(
    (status = 200, description = "State of the pipeline", body = Object),
    (status = 502, description = "The indexer does not answer", body = super::answer::ErrorAnswer),
))]
pub(super) async fn pipeline(State(shared): App) -> Result<Response, ApiError> {
    let mut state = shared.deps.search.pipeline().await?;
    if let (Some(groups), Some(state)) = (&shared.deps.groups, state.as_object_mut()) {
        state.insert("groups".to_owned(), groups());
    }
    Ok(json(&state))
}

/// The port that each listener of this process got.
#[utoipa::path(get, path = "/api/v1/ports", responses((status = 200, description = "Ports by name", body = Object)))]
pub(super) async fn ports(State(shared): App) -> Response {
    json(&shared.deps.ports)
}
