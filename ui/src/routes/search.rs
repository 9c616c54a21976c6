//! Search: reads the parameters, asks the indexer, cuts long lines.

use axum::extract::State;
use axum::response::Response;
use logboom_indexer::search::{Order, SearchRequest};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::params::{self, Params, at_most};
use super::{App, json};
use crate::error::ApiError;
use crate::limits::{HISTOGRAM_BUCKETS_MAX, SEARCH_ROWS_DEFAULT, SEARCH_ROWS_MAX};
use crate::trim;

/// Parameters as they stand in the URL. Times stay text here: they mean something only with a now.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchParams {
    /// Query; empty or `*` is everything. With pipes (`… | stats count() by service`) the answer is a table.
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
    (status = 200, description = "Matches in a stable total order, or the table of a query with pipes", body = super::answer::SearchAnswer),
    (status = 400, description = "A parameter or the query is wrong", body = super::answer::ErrorAnswer),
    (status = 502, description = "The indexer does not answer", body = super::answer::ErrorAnswer),
))]
pub(super) async fn search(
    State(shared): App,
    params: Params<SearchParams>,
) -> Result<Response, ApiError> {
    let full = params::flag("full", params.0.full.as_deref())?;
    let request = request(params.0, params::now_ns())?;
    let answer = shared.deps.search.search(&request).await?;
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
    let (from_ns, to_ns) = params::range(params.from.as_deref(), params.to.as_deref(), now_ns)?;
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
        q: params::query(params.q)?,
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
    fn wrong_parameters_are_named_with_what_they_can_be() {
        let cases: [(SearchParams, &str); 4] = [
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
