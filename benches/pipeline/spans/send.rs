//! Senders of OTLP over HTTP, as many at once as a few hosts are.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use futures::future::join_all;

const SENDERS: usize = 8;
/// What SDKs wait before they send again what they were told to send later.
const RETRY: Duration = Duration::from_millis(100);

/// Sends every body once; what it took until the last answer, and how often a sender was told to wait.
pub(super) async fn all(url: &str, bodies: &[Bytes]) -> (Duration, u64) {
    let (next, waits) = (AtomicUsize::new(0), AtomicU64::new(0));
    let start = Instant::now();
    let senders = (0..SENDERS).map(|_| async {
        let client = reqwest::Client::new();
        while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
            while !one(&client, url, body).await {
                waits.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(RETRY).await;
            }
        }
    });
    join_all(senders).await;
    (start.elapsed(), waits.into_inner())
}

/// Whether the whole request was taken, and not to be sent later.
pub(super) async fn one(client: &reqwest::Client, url: &str, body: &Bytes) -> bool {
    let request = client
        .post(url)
        .header("content-type", "application/x-protobuf")
        .body(body.clone());
    let response = request.send().await.unwrap();
    let status = response.status();
    let answer = response.bytes().await.unwrap();
    if matches!(status.as_u16(), 429 | 503) {
        return false;
    }
    // What was taken in part has an answer that says so.
    assert!(
        status.is_success() && answer.is_empty(),
        "{status}: {answer:?}"
    );
    true
}
