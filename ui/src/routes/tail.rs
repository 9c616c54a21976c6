//! The live tail as server-sent events.
//!
//! Nothing is buffered here. A reader that is slow stops this response, which stops reading the
//! indexer's stream; the indexer then drops lines for this tail alone and says how many, and that
//! number is passed on where the gap is. Lines that are ready together travel in one message.
//!
//! Events: `open` once the tail is in place; `hits` (array of rows); `dropped` (`{"dropped": n}`);
//! `failed` (the API's error) when the indexer goes away; `end` when this server stops. After the last two the stream closes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use logboom_indexer::{RemoteError, TailItem};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::App;
use super::params::{self, Params};
use crate::error::ApiError;
use crate::limits::{TAIL_KEEP_ALIVE, TAIL_LINES_PER_MESSAGE_MAX, TAILS_MAX};
use crate::{metrics, trim};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TailParams {
    /// Query; empty or `*` is everything.
    q: Option<String>,
    /// Index whose events are wanted, e.g. `spans`; the default is `logs`.
    index: Option<String>,
    /// `1`: whole lines, however long.
    full: Option<String>,
}

/// Lines that match, as they arrive.
#[utoipa::path(get, path = "/api/v1/tail", params(TailParams), responses(
    (status = 200, description = "Events open, hits, dropped, failed, end", content_type = "text/event-stream", body = String),
    (status = 400, description = "The query is wrong", body = super::answer::ErrorAnswer),
    (status = 503, description = "Too many live tails are open", body = super::answer::ErrorAnswer),
))]
pub(super) async fn tail(
    State(shared): App,
    params: Params<TailParams>,
) -> Result<Response, ApiError> {
    let full = params::flag("full", params.0.full.as_deref())?;
    let q = params::query(params.0.q)?;
    let index = params.0.index.filter(|index| !index.is_empty());
    let seat = Seat::take(&shared.tails_open)?;
    let items = shared.deps.search.tail_in(index.as_deref(), &q).await?;
    let events = events(items, full, shared.stop.clone()).map(move |event| {
        // The seat is given back when the response is dropped, however it ends.
        let _held = &seat;
        Ok::<_, Infallible>(event)
    });
    // Proxies that collect a response before passing it on would hold lines back.
    let unbuffered = [("x-accel-buffering", "no"), ("cache-control", "no-store")];
    Ok((
        unbuffered,
        Sse::new(events).keep_alive(KeepAlive::new().interval(TAIL_KEEP_ALIVE)),
    )
        .into_response())
}

fn events<S>(
    items: S,
    full: bool,
    stop: CancellationToken,
) -> impl Stream<Item = Event> + Send + 'static
where
    S: Stream<Item = Result<TailItem, RemoteError>> + Send + 'static,
{
    let stopped = stop.clone().cancelled_owned();
    let open = stream::once(async { message("open", &json!({})) });
    let lines = items
        .ready_chunks(TAIL_LINES_PER_MESSAGE_MAX)
        .flat_map(move |ready| stream::iter(messages(ready, full)))
        // An upstream that ends by itself has restarted; say so, the page connects again.
        .chain(stream::once(async { failed("the indexer ended the tail") }))
        .scan(false, |over, (is_last, event)| {
            let ended = std::mem::replace(over, *over || is_last);
            futures::future::ready((!ended).then_some(event))
        })
        .take_until(stopped);
    let end = stream::once(async move { stop.is_cancelled().then(|| message("end", &json!({}))) });
    open.chain(lines)
        .chain(end.filter_map(futures::future::ready))
}

/// Neighbouring lines become one message; a gap stays where it is between them.
fn messages(ready: Vec<Result<TailItem, RemoteError>>, full: bool) -> Vec<(bool, Event)> {
    let mut events = Vec::new();
    let mut rows: Vec<Value> = Vec::new();
    for item in ready {
        let event = match item {
            Ok(TailItem::Hit(hit)) => {
                if let Ok(mut row) = serde_json::to_value(hit) {
                    if !full {
                        trim::hit(&mut row);
                    }
                    rows.push(row);
                }
                continue;
            }
            Ok(TailItem::Dropped(lines)) => {
                ::metrics::counter!(metrics::TAIL_DROPPED_TOTAL).increment(lines);
                (false, message("dropped", &json!({"dropped": lines})))
            }
            Err(error) => failed(&ApiError::from(error).to_string()),
        };
        if !rows.is_empty() {
            events.push((
                false,
                message("hits", &Value::Array(std::mem::take(&mut rows))),
            ));
        }
        events.push(event);
    }
    if !rows.is_empty() {
        events.push((false, message("hits", &Value::Array(rows))));
    }
    events
}

fn failed(reason: &str) -> (bool, Event) {
    (
        true,
        message("failed", &json!({"error": {"message": reason}})),
    )
}

fn message(name: &str, data: &Value) -> Event {
    // JSON has no raw line feeds, which is the only thing an event's data cannot hold.
    Event::default().event(name).data(data.to_string())
}

/// One of the places for live tails.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(open: &Arc<AtomicUsize>) -> Result<Seat, ApiError> {
        let seat = Seat(Arc::clone(open));
        // Counted first and given back by drop, so that two at once cannot both take the last one.
        let before = open.fetch_add(1, Ordering::Relaxed);
        ::metrics::gauge!(metrics::TAILS_OPEN).increment(1.0);
        if before >= TAILS_MAX {
            Err(ApiError::TooManyTails(TAILS_MAX))
        } else {
            Ok(seat)
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        ::metrics::gauge!(metrics::TAILS_OPEN).decrement(1.0);
    }
}
