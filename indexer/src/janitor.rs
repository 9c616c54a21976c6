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

/// Deletes and merges until there is nothing left to do. The first failure is returned once all that can be done is.
pub(crate) async fn tidy(
    indexes: &[Kept],
    pipeline: &Pipeline,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let mut failed = None;
    let mut able: Vec<&Publisher> = indexes.iter().map(|kept| &kept.publisher).collect();
    let mut is_work_left = true;
    while is_work_left {
        // Before each round: a backlog may take hours, and on a full disk it is what makes merging possible again.
        delete(indexes).await?;
        is_work_left = false;
        // In turn, so that an index with much to merge does not keep the others from it, …
        let mut still_able = Vec::with_capacity(able.len());
        for publisher in able {
            if stop.is_cancelled() {
                return Ok(());
            }
            match merge_once(publisher, &publisher.catalog.snapshot()).await {
                Ok(merged) => {
                    if merged {
                        pipeline.merged(&publisher.index);
                        is_work_left = true;
                    }
                    still_able.push(publisher);
                }
                // … and neither does one whose splits cannot be merged: one of them may be damaged for good.
                Err(error) if error.is_retriable() => {
                    tracing::debug!(index = &*publisher.index, %error, "a merge failed");
                    failed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        able = still_able;
    }
    failed.map_or(Ok(()), Err)
}

/// Ends what is older than its retention, and removes files whose grace is over.
async fn delete(indexes: &[Kept]) -> Result<(), Error> {
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
    Ok(())
}
