//! Search: reads the parameters, asks the indexer, cuts long lines.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::response::Response;
use logboom_indexer::RemoteError;
use logboom_indexer::search::{Order, SearchRequest};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::{App, Params, json};
use crate::error::ApiError;
use crate::limits::{HISTOGRAM_BUCKETS_MAX, QUERY_BYTES_MAX, SEARCH_ROWS_DEFAULT, SEARCH_ROWS_MAX};
use crate::{time, trim};

/// Parameters as they stand in the URL. Times stay text here: they mean something only with a now.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchParams {
    /// Query; empty or `*` is everything.
    #[param(example = "level:error service:checkout")]
    q: Option<String>,
    /// From this time on: RFC 3339, epoch (s, ms, µs or ns by size) or relative (`15m`, `now-1h`, `2h ago`).
    from: Option<String>,
    /// Before this time.
    to: Option<String>,
    /// Rows at most.
    #[param(maximum = 10_000)]
    limit: Option<usize>,
    /// `newest` (the default) or `oldest` first.
    order: Option<String>,
    /// `next` of the answer before.
    cursor: Option<String>,
    /// Bars of a histogram over the range; none unless given.
    #[param(maximum = 1_000)]
    histogram: Option<usize>,
    /// Index to search; the default is `logs`.
    index: Option<String>,
    /// `1`: whole lines, however long.
    full: Option<String>,
}

/// Searches the index.
#[utoipa::path(get, path = "/api/v1/search", params(SearchParams), responses(
    (status = 200, description = "Matches in a stable total order", body = super::answer::SearchAnswer),
    (status = 400, description = "A parameter or the query is wrong", body = super::answer::ErrorAnswer),
    (status = 502, description = "The indexer does not answer", body = super::answer::ErrorAnswer),
))]
pub(super) async fn search(
    State(shared): App,
    params: Params<SearchParams>,
) -> Result<Response, ApiError> {
    let full = flag("full", params.0.full.as_deref())?;
    let request = request(params.0, now_ns())?;
    let answer = shared.deps.search.search(&request).await.map_err(remote)?;
    if full {
        return Ok(json(answer));
    }
    let mut answer =
        serde_json::to_value(answer).map_err(|error| ApiError::Indexer(error.to_string()))?;
    if let Some(Value::Array(hits)) = answer.get_mut("hits") {
        hits.iter_mut().for_each(trim::hit);
    }
    Ok(json(answer))
}

fn request(params: SearchParams, now_ns: i64) -> Result<SearchRequest, ApiError> {
    let from_ns = point("from", params.from.as_deref(), now_ns)?;
    let to_ns = point("to", params.to.as_deref(), now_ns)?;
    if from_ns.zip(to_ns).is_some_and(|(from, to)| from >= to) {
        return Err(ApiError::EmptyRange);
    }
    let order = match params.order.as_deref() {
        None | Some("" | "newest") => Order::Newest,
        Some("oldest") => Order::Oldest,
        Some(other) => {
            return Err(ApiError::Parameter {
                name: "order",
                value: other.to_owned(),
                allowed: "`newest` or `oldest`".to_owned(),
            });
        }
    };
    Ok(SearchRequest {
        q: query(params.q)?,
        from_ns,
        to_ns,
        limit: at_most(
            "limit",
            params.limit.unwrap_or(SEARCH_ROWS_DEFAULT),
            SEARCH_ROWS_MAX,
        )?,
        order,
        cursor: params.cursor.filter(|cursor| !cursor.is_empty()),
        histogram: params
            .histogram
            .filter(|buckets| *buckets > 0)
            .map(|buckets| at_most("histogram", buckets, HISTOGRAM_BUCKETS_MAX))
            .transpose()?,
        index: params.index.filter(|index| !index.is_empty()),
    })
}

/// The query text; nothing means everything.
pub(super) fn query(q: Option<String>) -> Result<String, ApiError> {
    let q = q
        .filter(|q| !q.trim().is_empty())
        .unwrap_or_else(|| "*".to_owned());
    if q.len() > QUERY_BYTES_MAX {
        let message = format!(
            "the query has {} bytes; at most {QUERY_BYTES_MAX} are read",
            q.len()
        );
        return Err(ApiError::Query {
            message,
            from: QUERY_BYTES_MAX,
            to: q.len(),
        });
    }
    Ok(q)
}

fn point(name: &'static str, text: Option<&str>, now_ns: i64) -> Result<Option<i64>, ApiError> {
    text.filter(|text| !text.trim().is_empty())
        .map(|text| time::parse(text, now_ns).map_err(|source| ApiError::Time { name, source }))
        .transpose()
}

fn at_most(name: &'static str, value: usize, maximum: usize) -> Result<usize, ApiError> {
    match value <= maximum {
        true => Ok(value),
        false => Err(ApiError::Parameter {
            name,
            value: value.to_string(),
            allowed: format!("at most {maximum}"),
        }),
    }
}

pub(super) fn flag(name: &'static str, text: Option<&str>) -> Result<bool, ApiError> {
    match text {
        None | Some("" | "0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(other) => Err(ApiError::Parameter {
            name,
            value: other.to_owned(),
            allowed: "`0` or `1`".to_owned(),
        }),
    }
}

fn now_ns() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// What the indexer's refusal means for the one who asked.
pub(super) fn remote(error: RemoteError) -> ApiError {
    match error {
        RemoteError::Query { message, from, to } => ApiError::Query { message, from, to },
        RemoteError::Request { message } => ApiError::Parameters(message),
        RemoteError::Busy { message } => ApiError::Busy(message),
        other => ApiError::Indexer(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_764_032_400_000_000_000;

    fn read(params: SearchParams) -> Result<SearchRequest, String> {
        request(params, NOW).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_given_means_everything_newest_first() {
        let request = read(SearchParams::default()).unwrap();
        assert_eq!(
            (request.q.as_str(), request.from_ns, request.to_ns),
            ("*", None, None)
        );
        assert_eq!((request.limit, request.histogram), (100, None));
        assert!(matches!(request.order, Order::Newest));
    }

    #[test]
    fn range_is_read_against_one_now() {
        let params = SearchParams {
            from: Some("15m".into()),
            to: Some("now".into()),
            ..Default::default()
        };
        let request = read(params).unwrap();
        assert_eq!(
            (request.from_ns, request.to_ns),
            (Some(NOW - 900_000_000_000), Some(NOW))
        );
    }

    #[test]
    fn wrong_parameters_are_named_with_what_they_can_be() {
        let cases: [(SearchParams, &str); 5] = [
            (
                SearchParams {
                    from: Some("soon".into()),
                    ..Default::default()
                },
                "`from`: `soon` is not a time",
            ),
            (
                SearchParams {
                    from: Some("1h".into()),
                    to: Some("2h".into()),
                    ..Default::default()
                },
                "`from` is not before `to`",
            ),
            (
                SearchParams {
                    limit: Some(10_001),
                    ..Default::default()
                },
                "`limit` is `10001`; it can be at most 10000",
            ),
            (
                SearchParams {
                    histogram: Some(5_000),
                    ..Default::default()
                },
                "`histogram` is `5000`",
            ),
            (
                SearchParams {
                    order: Some("up".into()),
                    ..Default::default()
                },
                "`order` is `up`; it can be `newest` or `oldest`",
            ),
        ];
        for (params, expected) in cases {
            let said = read(params).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
    }
}
