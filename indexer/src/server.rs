//! The internal HTTP port: searches, live tail and status, for the ui and (later) other nodes.
//!
//! ```text
//! POST /internal/v1/search     SearchRequest → SearchResponse
//! GET  /internal/v1/tail?q=&index=   NDJSON: {"hit":{…}} and {"dropped":n}
//! GET  /internal/v1/pipeline   agents, partitions, indexer and each of its indexes
//! ```
//!
//! [`crate::traces`] adds its own.
//!
//! Errors are `{"error":{"message":…}}`, for a bad query with the byte span `from`, `to`. As many searches run
//! at once as there are cores; more wait, and are refused when they have waited too long.

use std::{future::IntoFuture, sync::Arc, time::Instant};

use axum::{
    Json, Router,
    body::Body,
    extract::{Query as UrlQuery, State, rejection::JsonRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    indexes::Indexes,
    limits, metrics,
    pipeline::Pipeline,
    search::{Budget, Hit, SearchError, SearchRequest, execute},
    tail::{Heard, Listener},
    traces,
};

pub(crate) struct Server {
    indexes: Indexes,
    pipeline: Arc<Pipeline>,
    admission: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Server {
    pub(crate) fn new(
        indexes: Indexes,
        pipeline: Arc<Pipeline>,
        stop: CancellationToken,
    ) -> Server {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Server {
            indexes,
            pipeline,
            admission: Arc::new(Semaphore::new(cores)),
            stop,
        }
    }

    /// Serves until stopped; answers that are under way are finished (within patience), live tails are
    /// ended.
    pub(crate) async fn run(self, listener: TcpListener) -> Result<(), Error> {
        let stop = self.stop.clone();
        let routes = Router::new()
            .route("/internal/v1/search", post(search))
            .route("/internal/v1/tail", get(tail))
            .route("/internal/v1/pipeline", get(pipeline))
            .merge(traces::routes())
            .with_state(Arc::new(self));
        let graceful = stop.clone().cancelled_owned();
        let serving = axum::serve(listener, routes)
            .with_graceful_shutdown(graceful)
            .into_future();
        tokio::select! {
            served = serving => served.map_err(Error::Serve),
            // Whoever holds a connection open without asking anything is not waited for.
            () = async { stop.cancelled().await; tokio::time::sleep(limits::SERVER_PATIENCE).await } => Ok(()),
        }
    }

    /// Does blocking work when it is its turn, and answers with what it gives.
    pub(crate) async fn answer<Q, A>(
        &self,
        request: Result<Json<Q>, JsonRejection>,
        work: impl FnOnce(&Indexes, &Q, Budget) -> Result<A, SearchError> + Send + 'static,
    ) -> Response
    where
        Q: Send + 'static,
        A: Serialize + Send + 'static,
    {
        let Json(request) = match request {
            Ok(request) => request,
            Err(rejection) => {
                return failure(
                    StatusCode::BAD_REQUEST,
                    json!({"message": rejection.body_text()}),
                );
            }
        };
        let started = Instant::now();
        let turn = tokio::time::timeout(
            limits::SEARCH_QUEUE_WAIT,
            Arc::clone(&self.admission).acquire_owned(),
        );
        let Ok(Ok(permit)) = turn.await else {
            ::metrics::counter!(metrics::SEARCH_REFUSED).increment(1);
            let message =
                "too many searches are running; try again, or ask for a shorter time range";
            return failure(StatusCode::SERVICE_UNAVAILABLE, json!({"message": message}));
        };
        let indexes = self.indexes.clone();
        let done = tokio::task::spawn_blocking(move || {
            // Held by the work, not by the client's connection: that may go before the work ends.
            let _permit = permit;
            let found = work(&indexes, &request, Budget::within(limits::SEARCH_TIME_MAX));
            // Here, for a large answer takes its time, too.
            found.map(|found| Json(found).into_response())
        })
        .await;
        ::metrics::histogram!(metrics::SEARCH_SECONDS).record(started.elapsed());
        match done {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => search_failure(&error),
            Err(panic) => {
                tracing::error!(%panic, "a search panicked");
                failure(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    json!({"message": "the search failed; the log says how"}),
                )
            }
        }
    }
}

async fn search(
    State(server): State<Arc<Server>>,
    request: Result<Json<SearchRequest>, JsonRejection>,
) -> Response {
    let search = |indexes: &Indexes, request: &SearchRequest, budget| {
        let (query, index) = indexes.choose(&request.q, request.index.as_deref())?;
        execute(&index.catalog.snapshot(), &query, request, budget)
    };
    server.answer(request, search).await
}

#[derive(Deserialize)]
struct TailQuery {
    #[serde(default)]
    q: String,
    index: Option<String>,
}

async fn tail(
    State(server): State<Arc<Server>>,
    UrlQuery(TailQuery { q, index }): UrlQuery<TailQuery>,
) -> Response {
    let chosen = server.indexes.choose(&q, index.as_deref());
    let (query, listener) = match chosen {
        Ok((query, index)) => match query.filter_only() {
            Ok(()) => (query, index.tail.listen()),
            Err(error) => return bad_query(&error),
        },
        Err(error) => return search_failure(&error),
    };
    let lines = lines(listener, query).take_until(server.stop.clone().cancelled_owned());
    let body = Body::from_stream(lines.map(Ok::<_, std::convert::Infallible>));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

/// What one listener is sent, a line per item. Nothing is pulled while the reader does not read.
fn lines(listener: Listener, query: logboom_query::Query) -> impl Stream<Item = Bytes> {
    stream::unfold((listener, query), |(mut listener, query)| async move {
        loop {
            let item = match listener.next().await? {
                Heard::Event(heard) if matches(&query, &heard) => {
                    json!({"hit": Hit::new(&heard.record, &heard.event, heard.id)})
                }
                Heard::Event(_) => continue,
                Heard::Dropped(missed) => json!({"dropped": missed}),
            };
            return Some((Bytes::from(format!("{item}\n")), (listener, query)));
        }
    })
}

fn matches(query: &logboom_query::Query, heard: &crate::tail::TailEvent) -> bool {
    logboom_query::matches_with_id(query, &heard.event, Some(heard.id))
}

async fn pipeline(State(server): State<Arc<Server>>) -> Json<Value> {
    Json(server.pipeline.document(&server.indexes))
}

fn search_failure(error: &SearchError) -> Response {
    match error {
        SearchError::Query(error) => bad_query(error),
        SearchError::Request(_) => failure(
            StatusCode::BAD_REQUEST,
            json!({"message": error.to_string()}),
        ),
        SearchError::OutOfTime => failure(
            StatusCode::SERVICE_UNAVAILABLE,
            json!({"message": error.to_string()}),
        ),
        SearchError::Index(_) => {
            tracing::error!(%error, "a search failed");
            failure(
                StatusCode::INTERNAL_SERVER_ERROR,
                json!({"message": error.to_string()}),
            )
        }
    }
}

fn bad_query(error: &logboom_query::QueryError) -> Response {
    let error =
        json!({"message": error.to_string(), "from": error.span.start, "to": error.span.end});
    failure(StatusCode::BAD_REQUEST, error)
}

fn failure(status: StatusCode, error: Value) -> Response {
    (status, Json(json!({"error": error}))).into_response()
}
