//! Connections: as many as allowed, each told to go when it is time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tower_service::Service;
use tracing::{debug, error, warn};

use super::limits;

/// Serves until `stop`, then finishes what was accepted. `connections` may be shared by listeners.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    connections: Arc<Semaphore>,
    header_timeout: Duration,
    stop: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    loop {
        let next = tokio::select! {
            next = accept(&listener, &connections) => next,
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                note(ended);
                continue;
            }
            () = stop.cancelled() => break,
        };
        let (stream, place) = next;
        tasks.spawn(connection(
            stream,
            place,
            router.clone(),
            header_timeout,
            stop.clone(),
        ));
    }
    drop(listener);
    let finished = tokio::time::timeout(limits::STOP_WAIT, async {
        while let Some(ended) = tasks.join_next().await {
            note(ended);
        }
    });
    if finished.await.is_err() {
        warn!(
            connections = tasks.len(),
            "requests were not done in time and are cut off; their senders send them again"
        );
        tasks.shutdown().await;
    }
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let place = Arc::clone(connections).acquire_owned().await;
    let place = place.expect("the semaphore is never closed");
    let mut told = false;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                if !told {
                    warn!(%error, "cannot accept connections of senders; trying on");
                }
                told = true;
                tokio::time::sleep(limits::ACCEPT_RETRY).await;
            }
        }
    }
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!(%error, "the task of a connection ended badly");
    }
}

async fn connection(
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    router: Router,
    header_timeout: Duration,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection ended before it was served");
        return;
    }
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(limits::READ_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::WINDOW_BYTES)
        .initial_connection_window_size(limits::WINDOW_BYTES)
        .max_concurrent_streams(limits::STREAMS_MAX)
        .max_header_list_size(limits::HEADER_BYTES_MAX as u32)
        .keep_alive_interval(limits::KEEP_ALIVE)
        .keep_alive_timeout(limits::KEEP_ALIVE);
    let asked = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&asked);
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        mark.store(true, Ordering::Relaxed);
        router.clone().call(request)
    });
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);

    // hyper's own timeout begins once it knows the protocol.
    let mut first_request = Box::pin(tokio::time::sleep(header_timeout));
    let mut is_waited_for = true;
    let mut is_leaving = false;
    let ended = loop {
        tokio::select! {
            ended = serving.as_mut() => break ended,
            () = stop.cancelled(), if !is_leaving => {}
            () = &mut first_request, if is_waited_for => {
                is_waited_for = false;
                if is_leaving || asked.load(Ordering::Relaxed) {
                    continue;
                }
            }
        }
        is_leaving = true;
        serving.as_mut().graceful_shutdown();
    };
    if let Err(error) = ended {
        debug!(error, "a connection ended badly");
    }
}
