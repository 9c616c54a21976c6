//! Start: takes the data directory over and opens what it holds, before the first record is read.
//!
//! This writes (folders, the epoch, the rows of leftovers), and what it writes to may be full or held by
//! another program for a while. That is waited out: whoever restarts a process that ended would only
//! try the same. What does not pass by itself ends the start. A try may end anywhere: the next one does
//! all of it again.

use logboom_metastore::Database;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    error::Error,
    limits,
    publish::now_ms,
    recover::{Moulds, Splits, recover},
    tables,
};

/// A data directory that is ours.
pub(crate) struct Taken {
    pub(crate) database: Database,
    pub(crate) epoch: i64,
    pub(crate) splits: Splits,
}

/// `None` when stopped before it worked.
pub(crate) async fn take_over(
    config: &Config,
    moulds: &Moulds,
    stop: &CancellationToken,
) -> Result<Option<Taken>, Error> {
    until_it_works(stop, || try_take_over(config, moulds)).await
}

async fn try_take_over(config: &Config, moulds: &Moulds) -> Result<Taken, Error> {
    let splits_dir = config.splits_dir();
    std::fs::create_dir_all(&splits_dir).map_err(Error::disk("create", &splits_dir))?;
    let database = Database::open(config.metastore_path(), tables::MIGRATIONS).await?;
    let taken = async {
        let epoch = tables::take_ownership(&database).await?;
        for (name, mould) in moulds {
            tables::know_index(&database, epoch, name, mould.kind, now_ms()).await?;
        }
        Ok((epoch, recover(&database, &splits_dir, moulds).await?))
    };
    match taken.await {
        Ok((epoch, splits)) => Ok(Taken {
            database,
            epoch,
            splits,
        }),
        Err(error) => {
            database.close().await;
            Err(error)
        }
    }
}

/// Tries until it works, an error does not pass by itself, or `stop`. A try that has begun is not
/// cancelled: SQLite ends it within its busy timeout.
async fn until_it_works<T, F: Future<Output = Result<T, Error>>>(
    stop: &CancellationToken,
    attempt: impl Fn() -> F,
) -> Result<Option<T>, Error> {
    let mut pause = limits::RETRY_PAUSE_MIN;
    while !stop.is_cancelled() {
        let error = match attempt().await {
            Ok(done) => return Ok(Some(done)),
            Err(error) if error.passes_at_start() => error,
            Err(error) => return Err(error),
        };
        tracing::warn!(
            %error, retry_in = ?pause,
            "the indexer cannot start yet; records are safe in the queue, searches have to wait. If the disk of its \
             data directory is full, free some space"
        );
        // Whether it was cut short is looked at above.
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        pause = (pause * 2).min(limits::RETRY_PAUSE_MAX);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::ready,
        io::{self, ErrorKind},
        path::Path,
    };

    use tokio::time::{Duration, Instant};

    use super::*;

    fn disk(kind: ErrorKind) -> Error {
        Error::disk("create", Path::new("/data"))(io::Error::from(kind))
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_is_waited_out_with_growing_pauses() {
        let (tries, begun) = (Cell::new(0), Instant::now());
        let never = CancellationToken::new();
        let outcome = until_it_works(&never, || {
            tries.set(tries.get() + 1);
            let outcome = match tries.get() {
                1..=8 => Err(disk(ErrorKind::StorageFull)),
                _ => Ok("works"),
            };
            ready(outcome)
        });
        assert_eq!(outcome.await.unwrap(), Some("works"));
        // 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 6.4 + 10 + 10 seconds.
        assert_eq!(begun.elapsed().as_millis() / 100, 326);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_pass_by_itself_ends_the_start_at_once() {
        for kind in [
            ErrorKind::PermissionDenied,
            ErrorKind::NotADirectory,
            ErrorKind::ReadOnlyFilesystem,
        ] {
            let (tries, never) = (Cell::new(0), CancellationToken::new());
            let outcome = until_it_works(&never, || {
                tries.set(tries.get() + 1);
                ready(Err::<(), _>(disk(kind)))
            });
            let error = outcome.await.unwrap_err().to_string();
            assert!(error.starts_with("cannot create `/data`: "), "{error}");
            assert_eq!(tries.get(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_waiting() {
        let (stop, begun) = (CancellationToken::new(), Instant::now());
        let waiting = until_it_works(&stop, async || Err::<(), _>(disk(ErrorKind::StorageFull)));
        let later = Duration::from_millis(12_345);
        let (outcome, ()) = tokio::join!(waiting, async {
            tokio::time::sleep(later).await;
            stop.cancel();
        });
        assert!(matches!(outcome, Ok(None)));
        assert_eq!(begun.elapsed().as_millis() / 10, later.as_millis() / 10);
    }
}
