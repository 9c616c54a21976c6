//! Alerts, rules, their history and who is told, read from alerting's database.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json as object;
use utoipa::IntoParams;

use super::params::Params;
use super::{App, Shared, json};
use crate::error::ApiError;
use crate::limits::{HISTORY_ROWS_DEFAULT, HISTORY_ROWS_MAX};

/// Alerts that are pending or firing, the latest first.
#[utoipa::path(get, path = "/api/v1/alerts", responses(
    (status = 200, description = "{\"alerts\": […]}", body = Object),
    (status = 404, description = "This process cannot see alerting's data", body = super::answer::ErrorAnswer),
))]
pub(super) async fn alerts(State(shared): App) -> Result<Response, ApiError> {
    let alerts = view(&shared)?.firing().await.map_err(failed)?;
    Ok(json(object!({"alerts": alerts})))
}

/// The rules in force.
#[utoipa::path(get, path = "/api/v1/rules", responses((status = 200, description = "{\"rules\": […]}", body = Object)))]
pub(super) async fn rules(State(shared): App) -> Result<Response, ApiError> {
    let rules = view(&shared)?.rules().await.map_err(failed)?;
    Ok(json(object!({"rules": rules})))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryParams {
    /// Entries at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// What happened to alerts, the latest first, with the notifications that went out.
#[utoipa::path(get, path = "/api/v1/history", params(HistoryParams), responses(
    (status = 200, description = "{\"history\": […]}", body = Object),
))]
pub(super) async fn history(
    State(shared): App,
    params: Params<HistoryParams>,
) -> Result<Response, ApiError> {
    let limit = params.0.limit.unwrap_or(HISTORY_ROWS_DEFAULT);
    if !(1..=HISTORY_ROWS_MAX).contains(&limit) {
        return Err(ApiError::Parameter {
            name: "limit",
            value: limit.to_string(),
            allowed: format!("1 to {HISTORY_ROWS_MAX}"),
        });
    }
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let history = view(&shared)?.history(limit).await.map_err(failed)?;
    Ok(json(object!({"history": history})))
}

/// The receivers of notifications and how delivery to them stands.
#[utoipa::path(get, path = "/api/v1/receivers", responses(
    (status = 200, description = "{\"receivers\": […]}", body = Object),
))]
pub(super) async fn receivers(State(shared): App) -> Result<Response, ApiError> {
    let receivers = view(&shared)?.receivers().await.map_err(failed)?;
    Ok(json(object!({"receivers": receivers})))
}

fn view(shared: &Shared) -> Result<&logboom_alerting::View, ApiError> {
    shared.deps.alerts.as_ref().ok_or(ApiError::NoAlerting)
}

fn failed(error: logboom_alerting::Error) -> ApiError {
    ApiError::Alerting(chain(&error))
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
