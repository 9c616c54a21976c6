//! Receivers: OTLP over gRPC and HTTP, logs and traces, into the queue.
//!
//! [`http`] and [`grpc`] read a request off a connection ([`server`]) through the [`gate`]; [`intake`] unpacks it
//! ([`payload`]), sorts it into records by partition ([`sort`]) and answers once the [`store`] has all of them.
//!
//! What a sender hears is the truth about the whole of its request: success means that every item is durable, or
//! is one that can never be taken and is kept with its reason as a dead letter ([`letters`]). Anything
//! else is a refusal of the whole request, which the sender repeats; parts of it may have been stored, so on this hop
//! an item arrives at least once.

mod answer;
mod body;
mod compression;
mod gate;
mod grpc;
mod http;
mod intake;
mod letters;
pub mod limits;
mod payload;
mod points;
mod queue;
mod refusal;
mod server;
mod sort;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use logboom_client::{Admin, ClientConfig};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub use compression::Compression;
pub use grpc::unframe;
pub use letters::{Fault, Letters};
pub use payload::{Format, Kind, Opened, Payload};
pub use refusal::Refusal;
pub use sort::{Parcel, Sorted, Topic, Topics, sort};
pub use store::Unstored;

use crate::error::Error;
use crate::metrics;
use gate::Gate;
use intake::{Intake, Taken};
use queue::Queue;
use store::Store;

/// The receivers' settings, resolved and validated by the binary.
#[derive(Clone)]
pub struct Config {
    pub queue: ClientConfig,
    pub logs_topic: String,
    pub spans_topic: String,
    /// Where dead letters go.
    pub rejected_topic: String,
    /// How many partitions the first two get when they are not there yet.
    pub partitions: u32,
    /// What senders must show as `authorization: Bearer …`; `None` lets everybody in.
    pub token: Option<String>,
    pub limits: Limits,
}

/// What senders may ask for. See [`limits`] for the defaults.
#[derive(Debug, Clone)]
pub struct Limits {
    pub body_bytes_max: usize,
    pub unpacked_bytes_max: usize,
    pub in_flight_bytes_max: usize,
    pub requests_max: usize,
    pub connections_max: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    /// How long the queue may take to ack a request.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes_max: limits::BODY_BYTES_MAX,
            unpacked_bytes_max: limits::UNPACKED_BYTES_MAX,
            in_flight_bytes_max: limits::IN_FLIGHT_BYTES_MAX,
            requests_max: limits::REQUESTS_MAX,
            connections_max: limits::CONNECTIONS_MAX,
            header_timeout: limits::HEADER_TIMEOUT,
            body_timeout: limits::BODY_TIMEOUT,
            patience: limits::PATIENCE,
        }
    }
}

impl Config {
    /// Defaults for everything but where the queue is.
    pub fn new(queue: ClientConfig) -> Config {
        Config {
            queue,
            logs_topic: "otlp_logs".to_owned(),
            spans_topic: "otlp_spans".to_owned(),
            rejected_topic: "_logboom_rejected".to_owned(),
            partitions: 4,
            token: None,
            limits: Limits::default(),
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Config {
            queue,
            logs_topic,
            spans_topic,
            rejected_topic,
            partitions,
            token,
            limits,
        } = self;
        formatter
            .debug_struct("Config")
            .field("queue", queue)
            .field("logs_topic", logs_topic)
            .field("spans_topic", spans_topic)
            .field("rejected_topic", rejected_topic)
            .field("partitions", partitions)
            .field("token", &token.as_ref().map(|_| "…"))
            .field("limits", limits)
            .finish()
    }
}

/// Takes requests on the listeners until `stop`; then finishes those that were accepted. Both listeners
/// understand both protocols. Says that it is ready once the queue was reached; until then, and whenever the
/// queue is away, senders are told to wait.
pub async fn run(
    config: Config,
    grpc: Option<TcpListener>,
    http: Option<TcpListener>,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), Error> {
    // Of ours: cancelled by `stop`, and when we cannot go on.
    let stop = stop.child_token();
    let bounds = config.limits.clone();
    let served = CancellationToken::new();
    let (queue, retired) = Queue::new(&config.queue, bounds.patience, served.clone())?;
    let gate = Gate::new(
        config.token.clone(),
        bounds.requests_max,
        bounds.in_flight_bytes_max,
    );
    let intake = Arc::new(Intake::new(gate, bounds.clone(), queue));
    let connections = Arc::new(Semaphore::new(bounds.connections_max));

    let serve = |listener: Option<TcpListener>| {
        let router = router(&intake);
        let (connections, stop) = (Arc::clone(&connections), stop.clone());
        async move {
            match listener {
                Some(listener) => {
                    server::serve(listener, router, connections, bounds.header_timeout, stop).await;
                }
                None => stop.cancelled().await,
            }
        }
    };
    let opening = async {
        match topics(&config, &stop).await {
            Ok(Some(topics)) => {
                intake.open(topics);
                ready.send_replace(true);
                stop.cancelled().await;
                ready.send_replace(false);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => {
                stop.cancel();
                Err(error)
            }
        }
    };
    let serving = async {
        let ((), (), opened) = tokio::join!(serve(grpc), serve(http), opening);
        served.cancel();
        opened
    };
    let (opened, ()) = tokio::join!(serving, retired);
    // The producer's end may block for a moment.
    let dropped = tokio::task::spawn_blocking(move || drop(intake)).await;
    dropped.map_err(|error| Error::Thread {
        what: "receivers'",
        reason: error.to_string(),
    })?;
    opened
}

/// Makes sure the topics exist, waiting for the queue; `None` when told to stop first.
async fn topics(config: &Config, stop: &CancellationToken) -> Result<Option<Topics>, Error> {
    let admin = Admin::new(&config.queue)?;
    let topic = async |name: &str, partitions| {
        Ok::<Topic, logboom_client::Error>(Topic {
            name: name.into(),
            partitions: admin.ensure_topic(name, partitions).await?,
        })
    };
    let mut told = false;
    loop {
        let found = async {
            Ok::<Topics, logboom_client::Error>(Topics {
                logs: topic(&config.logs_topic, config.partitions).await?,
                spans: topic(&config.spans_topic, config.partitions).await?,
                rejected: topic(&config.rejected_topic, 1).await?,
            })
        };
        let found = tokio::select! {
            found = found => found,
            () = stop.cancelled() => return Ok(None),
        };
        match found {
            Ok(topics) => return Ok(Some(topics)),
            Err(error) if error.is_retriable() => {
                if told {
                    debug!(%error, "still waiting for the queue");
                } else {
                    warn!(%error, "waiting for the queue; OTLP senders are told to wait too");
                }
                told = true;
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(limits::TOPICS_RETRY) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
}

const KNOWN_PATHS: &str = "OTLP over HTTP is taken at /v1/logs, /v1/traces and /v1/metrics, over gRPC at the services \
    LogsService, TraceService and MetricsService of opentelemetry.proto.collector";

fn router<S: Store>(intake: &Arc<Intake<S>>) -> Router {
    let mut router = Router::new();
    for kind in Kind::ALL {
        let over_http = Arc::clone(intake);
        let over_grpc = Arc::clone(intake);
        let over_http = move |request: Request| http::export(Arc::clone(&over_http), kind, request);
        let over_grpc = move |request: Request| grpc::export(Arc::clone(&over_grpc), kind, request);
        router = router
            .route(kind.http_path(), axum::routing::post(over_http))
            .route(kind.grpc_path(), axum::routing::post(over_grpc));
    }
    router
        .fallback(unknown)
        .method_not_allowed_fallback(|request: Request| async move {
            let method = request.method().to_string();
            refuse(Refusal::Method { method }, request).await
        })
}

async fn unknown(request: Request) -> Response {
    let path = request.uri().path().chars().take(200).collect();
    let known = KNOWN_PATHS;
    refuse(Refusal::NotFound { path, known }, request).await
}

async fn refuse(refusal: Refusal, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match grpc::is_grpc(&parts.headers) {
        true => grpc::refuse(&refusal),
        false => http::refuse(&refusal, &parts, body).await,
    }
}

/// Counts an answered request.
fn count(kind: Kind, transport: &'static str, taken: &Result<Taken, Refusal>) {
    let status = match taken {
        Ok(taken) if taken.rejected == 0 => "ok",
        Ok(_) => "partial",
        Err(refusal) => refusal.label(),
    };
    ::metrics::counter!(metrics::OTLP_REQUESTS, "signal" => kind.as_str(), "transport" => transport, "status" => status)
        .increment(1);
}
