//! Services: how often they are called, how that goes, who calls whom, and their names.

use axum::extract::State;
use axum::response::Response;
use logboom_indexer::traces::ServicesRequest;
use serde::Deserialize;
use utoipa::IntoParams;

use super::params::{self, Params, given};
use super::{App, json};
use crate::error::ApiError;
use crate::limits::SERIES_STEPS_MAX;
use crate::time;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ServicesParams {
    /// Requests that begin from this time on; written as in a search.
    from: Option<String>,
    /// Requests that begin before this time.
    to: Option<String>,
    /// Length of a step of the series, e.g. `30s`; fit for the range unless given.
    #[param(example = "1m")]
    step: Option<String>,
    /// The operations of this service, instead of services; empty is that of spans without one.
    service: Option<String>,
}

/// Requests, errors and durations of every service, or of one service's operations.
#[utoipa::path(get, path = "/api/v1/services", params(ServicesParams), responses(
    (status = 200, description = "Requests are spans of kind server or consumer, or without a parent", body = super::trace_answer::ServicesAnswer),
    (status = 400, description = "A parameter is wrong", body = super::answer::ErrorAnswer),
    (status = 502, description = "The indexer does not answer", body = super::answer::ErrorAnswer),
))]
pub(super) async fn services(
    State(shared): App,
    params: Params<ServicesParams>,
) -> Result<Response, ApiError> {
    let request = request(params.0, params::now_ns())?;
    Ok(json(shared.deps.search.services(&request).await?))
}

fn request(params: ServicesParams, now_ns: i64) -> Result<ServicesRequest, ApiError> {
    let (from_ns, to_ns) = params::range(params.from.as_deref(), params.to.as_deref(), now_ns)?;
    let step_ns = given(params.step.as_deref())
        .map(|text| step(text, from_ns, to_ns.unwrap_or(now_ns)))
        .transpose()?;
    Ok(ServicesRequest {
        from_ns,
        to_ns,
        step_ns,
        // The empty one is that of spans whose resource names none.
        service: params.service,
    })
}

fn step(text: &str, from_ns: Option<i64>, to_ns: i64) -> Result<i64, ApiError> {
    let refused = |allowed: String| ApiError::Parameter {
        name: "step",
        value: text.to_owned(),
        allowed,
    };
    let step_ns = time::length(text)
        .ok_or_else(|| refused("a length of time such as `30s` or `5m`".to_owned()))?;
    let steps = from_ns.map_or(0, |from_ns| to_ns.saturating_sub(from_ns) / step_ns);
    match steps <= SERIES_STEPS_MAX {
        true => Ok(step_ns),
        false => Err(refused(format!(
            "what cuts the range into at most {SERIES_STEPS_MAX} steps"
        ))),
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RangeParams {
    /// Spans that begin from this time on; written as in a search.
    from: Option<String>,
    /// Spans that begin before this time.
    to: Option<String>,
}

impl RangeParams {
    fn read(&self) -> Result<(Option<i64>, Option<i64>), ApiError> {
        params::range(self.from.as_deref(), self.to.as_deref(), params::now_ns())
    }
}

/// Who calls whom: every call is a span whose parent is of another service.
#[utoipa::path(get, path = "/api/v1/dependencies", params(RangeParams), responses(
    (status = 200, description = "Services, and the calls between them", body = super::trace_answer::Dependencies),
    (status = 400, description = "A parameter is wrong", body = super::answer::ErrorAnswer),
    (status = 502, description = "The indexer does not answer", body = super::answer::ErrorAnswer),
))]
pub(super) async fn dependencies(
    State(shared): App,
    params: Params<RangeParams>,
) -> Result<Response, ApiError> {
    let (from_ns, to_ns) = params.0.read()?;
    Ok(json(shared.deps.search.dependencies(from_ns, to_ns).await?))
}

/// The names of services and of their operations, for forms: cheaper than their figures.
#[utoipa::path(get, path = "/api/v1/names", params(RangeParams), responses(
    (status = 200, description = "Services with their operations and those operations' kinds", body = super::trace_answer::NamesAnswer),
    (status = 400, description = "A parameter is wrong", body = super::answer::ErrorAnswer),
    (status = 502, description = "The indexer does not answer", body = super::answer::ErrorAnswer),
))]
pub(super) async fn names(
    State(shared): App,
    params: Params<RangeParams>,
) -> Result<Response, ApiError> {
    let (from_ns, to_ns) = params.0.read()?;
    Ok(json(shared.deps.search.names(from_ns, to_ns).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_764_032_400_000_000_000;

    fn read(from: &str, step: &str) -> Result<ServicesRequest, String> {
        let params = ServicesParams {
            from: Some(from.into()),
            step: Some(step.into()),
            ..Default::default()
        };
        request(params, NOW).map_err(|error| error.to_string())
    }

    #[test]
    fn the_service_without_a_name_is_a_service() {
        for service in [None, Some("cart".to_owned()), Some(String::new())] {
            let params = ServicesParams {
                service: service.clone(),
                ..ServicesParams::default()
            };
            assert_eq!(request(params, NOW).unwrap().service, service);
        }
    }

    #[test]
    fn a_step_must_be_a_length_that_the_range_has_not_too_many_of() {
        assert_eq!(read("1h", "1m").unwrap().step_ns, Some(60_000_000_000));
        assert_eq!(read("1h", "").unwrap().step_ns, None);
        let said = read("1h", "60").unwrap_err();
        assert!(
            said.contains("`step` is `60`") && said.contains("`30s`"),
            "{said}"
        );
        let said = read("1d", "1s").unwrap_err();
        assert!(said.contains("at most 1000 steps"), "{said}");
    }
}
