//! Serves on a listener until told to stop.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

use crate::connection::Listening;
use crate::error::Error;
use crate::{limits, routes};

/// How the ui part presents itself.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The address under which people open the page, e.g. `https://logs.example.com`. Its host name
    /// is answered besides addresses and local names.
    pub external_url: Option<String>,
    pub patience: Patience,
}

/// How long clients that do not read are waited for; the defaults are those of [`limits`].
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// See [`limits::STALL_MAX`].
    pub stall: Duration,
    /// See [`limits::JAEGER_CHUNK_WAIT`].
    pub chunk: Duration,
    /// See [`limits::JAEGER_SEND_MAX`].
    pub answer: Duration,
    /// See [`limits::STOP_SEND_MAX`].
    pub stop: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            stall: limits::STALL_MAX,
            chunk: limits::JAEGER_CHUNK_WAIT,
            answer: limits::JAEGER_SEND_MAX,
            stop: limits::STOP_SEND_MAX,
        }
    }
}

/// What the ui part is given by whoever builds the process.
pub struct Deps {
    /// The indexer, in this process or elsewhere.
    pub search: logboom_indexer::Remote,
    /// Alerting's tables, read-only; `None` where this process cannot see them.
    pub alerts: Option<logboom_alerting::View>,
    /// Renders the process's metrics as Prometheus text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The groups that read the queue, as an array, where the queue is in this process.
    pub groups: Option<Arc<dyn Fn() -> serde_json::Value + Send + Sync>>,
    /// What each listener of the process got, served at `/api/v1/ports`.
    pub ports: serde_json::Value,
    /// Each part of the process and whether it is ready.
    pub health: Arc<dyn Fn() -> Vec<(String, bool)> + Send + Sync>,
}

/// Serves until `stop`; then new connections are refused, live tails end, and every request that
/// was accepted gets its answer, unless that, or reading it, takes longer than `patience.stop`.
pub async fn run(
    config: Config,
    deps: Deps,
    listener: TcpListener,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let address = listener.local_addr().map_err(Error::Address)?.to_string();
    let app = routes::router(&config, deps, stop.clone());
    ready.send_replace(true);
    tracing::info!(%address, "serving the page and the api");
    let cut = CancellationToken::new();
    let listening = Listening {
        listener,
        stall: config.patience.stall,
        cut: cut.clone(),
    };
    let serving = axum::serve(listening, app)
        .with_graceful_shutdown(stop.clone().cancelled_owned())
        .into_future();
    let cutting = async {
        stop.cancelled().await;
        tokio::time::sleep(config.patience.stop).await;
        cut.cancel();
        std::future::pending().await
    };
    tokio::select! {
        served = serving => served,
        never = cutting => never,
    }
    .map_err(|source| Error::Serve { address, source })
}
