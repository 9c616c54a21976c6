//! The background work on published splits: merges, retention, deletion. One thing at a time, whatever
//! the number of indexes.

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

/// An index whose splits are looked after.
pub(crate) struct Kept {
    pub(crate) publisher: Publisher,
    pub(crate) retention: Duration,
}

/// Runs until `stop`. Trouble that may pass (a full disk) is told and tried again later; nothing depends on
/// this work being done in time.
pub(crate) async fn run(
    mut indexes: Vec<Kept>,
    pipeline: Arc<Pipeline>,
    stop: CancellationToken,
) -> Result<(), Error> {
    for kept in &mut indexes {
        // A merge may take longer than a stop has patience; its leftovers go at the next start.
        kept.publisher.abort = stop.clone();
    }
    let mut pause = limits::JANITOR_INTERVAL;
    while stop
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
        .is_some()
    {
        pause = match tidy(&indexes, &pipeline, &stop).await {
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
    indexes: &[Kept],
    pipeline: &Pipeline,
    stop: &CancellationToken,
) -> Result<(), Error> {
    // Deleting first: on a full disk it is what makes merging possible again.
    for Kept {
        publisher,
        retention,
    } in indexes
    {
        let snapshot = publisher.catalog.snapshot();
        expire(publisher, &snapshot, *retention, now_ms()).await?;
    }
    if let Some(Kept { publisher, .. }) = indexes.first() {
        delete_marked(publisher, limits::DELETE_GRACE, now_ms()).await?;
    }
    // In turn, so that an index with much to merge does not keep the others from it.
    let mut is_work_left = true;
    while is_work_left {
        is_work_left = false;
        for Kept { publisher, .. } in indexes {
            if stop.is_cancelled() {
                return Ok(());
            }
            if merge_once(publisher, &publisher.catalog.snapshot()).await? {
                pipeline.merged(&publisher.index);
                is_work_left = true;
            }
        }
    }
    Ok(())
}
