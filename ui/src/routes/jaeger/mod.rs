//! Jaeger's HTTP query API, for Grafana's Jaeger data source and Jaeger's own page.
//!
//! Read-only, over the same spans as everything else. Answers, failures included, are in Jaeger's form.
//! Those with whole traces are large: their size is bounded, and how many are put together at once.

mod answer;
mod form;
mod query;
mod read;
mod send;
mod span;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use logboom_indexer::traces::{ServiceNames, TraceSearch};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use self::answer::{Answer, Failure, Problem};
use self::form::{Asked, Wanted};
use self::read::{Added, Reader, UNKNOWN};
use self::span::NO_SERVICE_NAME;
use super::params::{self, Names};
use super::{App, Shared};
use crate::error::ApiError;
use crate::limits::{JAEGER_READS_MAX, JAEGER_WAIT_MAX};
use crate::run::Patience;

/// Services that have spans, in Jaeger's form.
#[utoipa::path(get, path = "/api/services", tag = "jaeger", responses(
    (status = 200, description = "{\"data\": [name…], \"total\", \"limit\", \"offset\", \"errors\"}", body = Object),
))]
pub(super) async fn services(State(shared): App) -> Result<Response, Failure> {
    let names = shared.deps.search.names(None, None).await?;
    let problems = incomplete(names.complete, "services").collect();
    let names: Vec<String> = names.services.into_iter().map(shown).collect();
    let total = names.len();
    Answer::new(names, total)
        .with_problems(problems)
        .written()
        .await
}

/// Names of a service's operations, in Jaeger's form.
#[utoipa::path(get, path = "/api/services/{service}/operations", tag = "jaeger", params(
    ("service" = String, Path, description = "The service's name"),
), responses((status = 200, description = "{\"data\": [name…], …}", body = Object)))]
pub(super) async fn operation_names(
    State(shared): App,
    service: Result<Names<String>, ApiError>,
) -> Result<Response, Failure> {
    let Names(service) = service?;
    let (operations, problems) = operations_of(&shared, &service).await?;
    let names: BTreeSet<String> = operations.into_iter().map(|(name, _)| name).collect();
    let total = names.len();
    Answer::new(names, total)
        .with_problems(problems)
        .written()
        .await
}

/// A service's operations with their kinds, in Jaeger's form.
#[utoipa::path(get, path = "/api/operations", tag = "jaeger", params(
    ("service" = String, Query, description = "The service's name"),
    ("spanKind" = Option<String>, Query, description = "Only of this kind, e.g. `server`"),
), responses(
    (status = 200, description = "{\"data\": [{\"name\", \"spanKind\"}…], …}", body = Object),
    (status = 400, description = "The service is missing", body = Object),
))]
pub(super) async fn operations(State(shared): App, asked: Asked) -> Result<Response, Failure> {
    let kind = asked.get("spanKind");
    let (operations, problems) = operations_of(&shared, asked.need("service")?).await?;
    let operations: Vec<Value> = operations
        .into_iter()
        .filter(|(_, of)| kind.is_none_or(|kind| kind == of))
        .map(|(name, kind)| json!({"name": name, "spanKind": kind}))
        .collect();
    let total = operations.len();
    Answer::new(operations, total)
        .with_problems(problems)
        .written()
        .await
}

/// Traces by search or by ids, in Jaeger's form.
#[utoipa::path(get, path = "/api/traces", tag = "jaeger", params(
    ("service" = Option<String>, Query, description = "Needed unless there is a `traceID`"),
    ("operation" = Option<String>, Query, description = "The span's name"),
    ("tags" = Option<String>, Query, description = "JSON object of tags, or `key:value`"),
    ("tag" = Option<Vec<String>>, Query, description = "`key:value`"),
    ("minDuration" = Option<String>, Query, description = "e.g. `1.2s`, `100ms`, `500us`"),
    ("maxDuration" = Option<String>, Query, description = "The same"),
    ("start" = Option<i64>, Query, description = "Microseconds since 1970"),
    ("end" = Option<i64>, Query, description = "Microseconds since 1970, included"),
    ("lookback" = Option<String>, Query, description = "How far before `end`, when there is no `start`; e.g. `1h`"),
    ("limit" = Option<usize>, Query, description = "1 to 1500 traces; 100 unless given"),
    ("traceID" = Option<Vec<String>>, Query, description = "These traces, instead of a search"),
), responses(
    (status = 200, description = "{\"data\": [{\"traceID\", \"spans\", \"processes\", \"warnings\"}…], …}", body = Object),
    (status = 400, description = "A parameter is wrong: {\"data\": null, \"errors\": [{\"code\", \"msg\"}]}", body = Object),
))]
pub(super) async fn traces(State(shared): App, asked: Asked) -> Result<Response, Failure> {
    let wanted = asked.wanted(params::now_ns())?;
    let turn = turn(&shared).await?;
    let mut reader = Reader::new(&shared.deps.search);
    match wanted {
        Wanted::Ids(ids) => {
            for id in ids {
                if reader.add(&id).await? == Added::No {
                    reader.not_found(&id);
                }
            }
        }
        Wanted::Search(search) => {
            let request = TraceSearch {
                q: params::query(Some(query::text(&search)))?,
                from_ns: Some(search.from_ns),
                to_ns: Some(search.to_ns),
                limit: search.limit,
            };
            let list = shared.deps.search.traces(&request).await?;
            if !list.complete {
                reader.incomplete();
            }
            for found in list.traces {
                // One that retention has dropped since is no fault of the search.
                reader.add(&found.trace_id).await?;
            }
        }
    }
    let (traces, problems) = reader.end();
    Answer::new(traces, 0)
        .with_problems(problems)
        .written_in(turn)
        .await
}

/// One trace with everything, in Jaeger's form.
#[utoipa::path(get, path = "/api/traces/{id}", tag = "jaeger", params(
    ("id" = String, Path, description = "The trace's id, with or without leading zeros"),
), responses(
    (status = 200, description = "{\"data\": [{\"traceID\", \"spans\", \"processes\", \"warnings\"}], …}", body = Object),
    (status = 400, description = "This is no id", body = Object),
    (status = 404, description = "{\"data\": null, \"errors\": [{\"code\": 404, \"msg\": \"trace not found\"}], …}", body = Object),
    (status = 503, description = "Not all of the index could be searched, or too many ask at once", body = Object),
))]
pub(super) async fn trace(
    State(shared): App,
    id: Result<Names<String>, ApiError>,
) -> Result<Response, Failure> {
    let Names(id) = id?;
    let id = params::trace_id(&id)?;
    let turn = turn(&shared).await?;
    let mut reader = Reader::new(&shared.deps.search);
    match reader.add(&id).await? {
        Added::Yes => {}
        Added::No => return Err(Failure::trace_not_found()),
        Added::Unknown => return Err(ApiError::Busy(UNKNOWN.to_owned()).into()),
    }
    let (traces, problems) = reader.end();
    Answer::new(traces, 0)
        .with_problems(problems)
        .written_in(turn)
        .await
}

/// Calls between services, in Jaeger's form.
#[utoipa::path(get, path = "/api/dependencies", tag = "jaeger", params(
    ("endTs" = Option<i64>, Query, description = "Milliseconds since 1970; now unless given"),
    ("lookback" = Option<i64>, Query, description = "Milliseconds before `endTs`; a day unless given"),
    ("service" = Option<String>, Query, description = "Only calls from or to this service"),
), responses(
    (status = 200, description = "{\"data\": [{\"parent\", \"child\", \"callCount\"}…], …}", body = Object),
    (status = 400, description = "A parameter is wrong", body = Object),
))]
pub(super) async fn dependencies(State(shared): App, asked: Asked) -> Result<Response, Failure> {
    let (from_ns, to_ns) = asked.graph_range(params::now_ns())?;
    let graph = shared
        .deps
        .search
        .dependencies(Some(from_ns), Some(to_ns))
        .await?;
    // Where nothing is missing that was ever sent, a note is no error: Grafana would show that and no graph.
    let notes = graph.notes.into_iter().filter(|_| !graph.complete);
    let problems = incomplete(graph.complete, "calls")
        .chain(notes.map(Problem::of_answer))
        .collect();
    let only = asked.get("service");
    let edges: Vec<Value> = graph
        .edges
        .into_iter()
        .map(|edge| (named(edge.parent), named(edge.child), edge.calls))
        .filter(|(parent, child, _)| only.is_none_or(|only| only == parent || only == child))
        .map(|(parent, child, calls)| json!({"parent": parent, "child": child, "callCount": calls}))
        .collect();
    Answer::new(edges, 0)
        .with_problems(problems)
        .written()
        .await
}

/// Operations of a service and their kinds; none of a service that is not known.
async fn operations_of(
    shared: &Shared,
    service: &str,
) -> Result<(Vec<(String, String)>, Vec<Problem>), Failure> {
    let names = shared.deps.search.names(None, None).await?;
    let problems = incomplete(names.complete, "operations").collect();
    let of = names
        .services
        .into_iter()
        .filter(|of| of.name == service || (of.name.is_empty() && service == NO_SERVICE_NAME));
    let operations = of
        .flat_map(|of| of.operations)
        .map(|operation| (operation.name, operation.kind))
        .collect();
    Ok((operations, problems))
}

/// Nothing may be left out silently.
fn incomplete(complete: bool, of: &str) -> impl Iterator<Item = Problem> {
    let problem = (!complete).then(|| {
        Problem::of_answer(format!(
            "not all of the index could be read; {of} may be missing"
        ))
    });
    problem.into_iter()
}

fn shown(service: ServiceNames) -> String {
    named(service.name)
}

fn named(service: String) -> String {
    match service.is_empty() {
        true => NO_SERVICE_NAME.to_owned(),
        false => service,
    }
}

/// The right to put whole traces together and to send them, and how long the client may take for that.
struct Turn {
    permit: OwnedSemaphorePermit,
    patience: Patience,
}

/// Waits until fewer answers than the limit are being put together or sent.
async fn turn(shared: &Shared) -> Result<Turn, Failure> {
    let turn = Arc::clone(&shared.jaeger_reads).acquire_owned();
    match tokio::time::timeout(JAEGER_WAIT_MAX, turn).await {
        Ok(Ok(permit)) => Ok(Turn {
            permit,
            patience: shared.patience,
        }),
        _ => Err(ApiError::Busy(format!(
            "{JAEGER_READS_MAX} answers with whole traces are being read or sent, which is the limit; try again, or ask for fewer"
        ))
        .into()),
    }
}
