//! The background work on published splits: merges, retention, deletion. One thing at a time.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    limits,
    merge::merge_once,
    pipeline::Pipeline,
    publish::{Publisher, now_ms},
    retention::{delete_marked, expire},
};

/// Runs until `stop`. Trouble that may pass (a full disk) is told and tried again later; nothing depends on
/// this work being done in time.
pub(crate) async fn run(
    mut publisher: Publisher,
    pipeline: Arc<Pipeline>,
    retention: Duration,
    stop: CancellationToken,
) -> Result<(), Error> {
    // A merge may take longer than a stop has patience; its leftovers go at the next start.
    publisher.abort = stop.clone();
    let mut pause = limits::JANITOR_INTERVAL;
    while stop
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
        .is_some()
    {
        pause = match tidy(&publisher, &pipeline, retention, &stop).await {
            Ok(()) => limits::JANITOR_INTERVAL,
            Err(_) if stop.is_cancelled() => break,
            Err(error) if error.is_retriable() => {
                let pause = (pause * 2).min(limits::RETRY_PAUSE_MAX);
                tracing::warn!(%error, retry_in = ?pause, "merging or deleting splits failed; searches are not affected");
                pause
            }
            Err(error) => return Err(error),
        };
    }
    Ok(())
}

async fn tidy(
    publisher: &Publisher,
    pipeline: &Pipeline,
    retention: Duration,
    stop: &CancellationToken,
) -> Result<(), Error> {
    // Deleting first: on a full disk it is what makes merging possible again.
    expire(
        publisher,
        &publisher.catalog.snapshot(),
        retention,
        now_ms(),
    )
    .await?;
    delete_marked(publisher, limits::DELETE_GRACE, now_ms()).await?;
    while !stop.is_cancelled() && merge_once(publisher, &publisher.catalog.snapshot()).await? {
        pipeline.merged();
    }
    Ok(())
}
