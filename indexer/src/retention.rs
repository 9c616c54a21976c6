//! Old splits go, whole ones only, by when their newest record arrived; and files go after the grace.
//!
//! Arrival (`build` says what it is), not the time in the line: old logs that were loaded today stay for the
//! full retention.

use std::{sync::Arc, time::Duration};

use ulid::Ulid;

use crate::{catalog::Snapshot, error::Error, metrics, publish::Publisher, recover, tables};

/// Takes expired splits out of the catalog and marks them for deletion.
pub(crate) async fn expire(
    publisher: &Publisher,
    snapshot: &Snapshot,
    retention: Duration,
    now_ms: i64,
) -> Result<usize, Error> {
    let before_ms = now_ms.saturating_sub(millis(retention));
    let expired: Vec<Ulid> = snapshot
        .splits
        .iter()
        .filter(|split| split.meta.arrival_max_ms < before_ms)
        .map(|split| split.id)
        .collect();
    if expired.is_empty() {
        return Ok(0);
    }
    let mut write = tables::begin_as_owner(&publisher.database, publisher.epoch).await?;
    tables::mark(&mut write, &expired, now_ms).await?;
    write.commit().await?;
    publisher.catalog.remove(&expired);
    let index = Arc::clone(&publisher.index);
    ::metrics::counter!(metrics::EXPIRED, "index" => index).increment(expired.len() as u64);
    tracing::info!(
        index = &*publisher.index,
        splits = expired.len(),
        "splits older than the retention are removed"
    );
    Ok(expired.len())
}

/// Deletes the files, then the rows, of splits of any index that were marked longer than `grace` ago.
pub(crate) async fn delete_marked(
    publisher: &Publisher,
    grace: Duration,
    now_ms: i64,
) -> Result<usize, Error> {
    let ids = tables::leftovers(
        &publisher.database,
        "marked",
        now_ms.saturating_sub(millis(grace)),
    )
    .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let (splits_dir, doomed) = (publisher.splits_dir.clone(), ids.clone());
    tokio::task::spawn_blocking(move || {
        doomed
            .iter()
            .try_for_each(|id| recover::remove(&splits_dir, *id))
    })
    .await??;
    tables::forget(&publisher.database, &ids).await?;
    Ok(ids.len())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
