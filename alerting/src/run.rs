//! Puts the component together: rules, database, deliverer, reading loop; and takes it apart again.

use std::{path::Path, sync::Arc};

use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    Config, Error,
    consume::{self, Parts},
    limits,
    notify::Deliverer,
    rule_files::RuleFiles,
    store::Store,
};

/// Evaluates rules and delivers notifications until `stop`, or until something cannot be mended.
pub async fn run(
    config: Config,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), Error> {
    if let Some(problem) = config.problem() {
        return Err(Error::Indexes(problem));
    }
    let (files, set) = RuleFiles::load(&config).await?;
    for receiver in &config.receivers {
        if let Some(problem) = receiver.webhook.problem() {
            return Err(Error::Receiver {
                name: receiver.name.clone(),
                problem,
            });
        }
    }
    let Some(store) = patiently(&stop, || open(&config.data_dir)).await? else {
        return Ok(());
    };
    let Some(stored) = patiently(&stop, || store.load()).await? else {
        store.database.close().await;
        return Ok(());
    };

    let (receivers, receivers_seen) = watch::channel(files.receivers(&set));
    let wake = Arc::new(Notify::new());
    let Some(deliverer) = Deliverer::new(
        store.clone(),
        receivers_seen,
        Arc::clone(&wake),
        config.timing.retry_schedule.clone(),
        &stop,
    )
    .await?
    else {
        store.database.close().await;
        return Ok(());
    };
    let stop_delivery = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(deliverer.run(stop_delivery.clone()));

    let parts = Parts {
        config,
        set,
        stored,
        files,
        store: store.clone(),
        receivers,
        wake,
    };
    let mut outcome = tokio::select! {
        outcome = consume::read(parts, &ready, stop) => outcome,
        // The deliverer only ends when it is told to, or fails.
        Some(ended) = tasks.join_next() => ended.map_err(Error::from).and_then(|outcome| outcome),
    };
    ready.send_replace(false);
    stop_delivery.cancel();
    while let Some(ended) = tasks.join_next().await {
        outcome = outcome.and(ended.map_err(Error::from).and_then(|outcome| outcome));
    }
    store.database.close().await;
    outcome
}

async fn open(dir: &Path) -> Result<Store, Error> {
    std::fs::create_dir_all(dir).map_err(|source| Error::DataDir {
        path: dir.to_owned(),
        source,
    })?;
    Store::open(&dir.join("alerting.db")).await
}

/// Asks again while the disk is full or the database locked; nothing when `stop` comes first.
async fn patiently<T, F>(
    stop: &CancellationToken,
    mut ask: impl FnMut() -> F,
) -> Result<Option<T>, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pause = limits::DATABASE_PAUSE;
    loop {
        match stop.run_until_cancelled(ask()).await {
            None => return Ok(None),
            Some(Err(error)) if error.is_retriable() => {
                error!(%error, retry_in = ?pause, "cannot start alerting from its state; trying again");
                let pausing = tokio::time::sleep(pause);
                if stop.run_until_cancelled(pausing).await.is_none() {
                    return Ok(None);
                }
                pause = (pause * 2).min(limits::DATABASE_PAUSE_MAX);
            }
            Some(other) => return other.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use super::*;

    fn full() -> Error {
        Error::Database(logboom_metastore::Error::DiskFull(
            sqlx::Error::PoolTimedOut,
        ))
    }

    fn nowhere(data_dir: &Path) -> Config {
        Config {
            data_dir: data_dir.to_owned(),
            queue: logboom_client::ClientConfig::new("127.0.0.1:9", "test"),
            indexes: vec![crate::IndexConfig::logs(), crate::IndexConfig::spans()],
            partitions: 1,
            rules: Vec::new(),
            receivers: Vec::new(),
            external_url: String::new(),
            timing: crate::Timing::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_at_start_is_waited_for() {
        let tries = Cell::new(0);
        let ask = || {
            tries.set(tries.get() + 1);
            let result = if tries.get() < 8 { Err(full()) } else { Ok(7) };
            async move { result }
        };
        let started = tokio::time::Instant::now();
        let answer = patiently(&CancellationToken::new(), ask).await.unwrap();
        assert_eq!((answer, tries.get()), (Some(7), 8));
        // 1 + 2 + 4 + 8 + 16 + 30 + 30
        assert_eq!(started.elapsed().as_secs(), 91);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_wait_for_a_full_disk() {
        let stop = CancellationToken::new();
        let ask = || async { Err::<(), _>(full()) };
        let waiting = patiently(&stop, ask);
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(100)).await;
            stop.cancel();
        };
        let (answer, ()) = tokio::join!(waiting, stopping);
        assert_eq!(answer.unwrap(), None);
    }

    #[tokio::test]
    async fn a_damaged_database_ends_alerting_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("alerting.db"), [b'x'; 8192]).unwrap();
        let (ready, _) = watch::channel(false);
        let ended = run(nowhere(dir.path()), ready, CancellationToken::new()).await;
        let shown = ended.unwrap_err().to_string();
        assert!(
            shown.contains("alerting.db") && shown.contains("move it away to start anew"),
            "{shown}"
        );
    }

    #[tokio::test]
    async fn indexes_that_cannot_be_are_refused_with_the_reason() {
        use crate::{IndexConfig, Topic};
        use logboom_event::Encoding;
        let dir = tempfile::tempdir().unwrap();
        let with = |name: &str, topics: Vec<Topic>| IndexConfig {
            name: name.to_owned(),
            topics,
        };
        let spans = || Topic::encoded("otlp_spans", Encoding::OtlpSpans);
        for (indexes, part) in [
            (
                vec![with("audit", vec![])],
                "there is no index `audit` that rules can look at; known are `logs`, `spans`",
            ),
            (
                vec![IndexConfig::logs(), IndexConfig::logs()],
                "the index `logs` is given twice",
            ),
            (
                vec![with("logs", vec![spans()])],
                "the topic `otlp_spans` does not fit the index `logs`",
            ),
            (
                vec![with("spans", vec![Topic::of_agents("logs")])],
                "the topic `logs` does not fit the index `spans`",
            ),
            (
                vec![with("spans", vec![spans(), spans()])],
                "the topic `otlp_spans` is given twice",
            ),
        ] {
            let config = Config {
                indexes,
                ..nowhere(dir.path())
            };
            let (ready, _) = watch::channel(false);
            let ended = run(config, ready, CancellationToken::new()).await;
            let shown = ended.unwrap_err().to_string();
            assert!(shown.contains(part), "missing `{part}` in {shown}");
        }
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let (ready, _) = watch::channel(false);
        let config = nowhere(&dir.path().join("file/below"));
        let ended = run(config, ready, CancellationToken::new()).await;
        let shown = ended.unwrap_err().to_string();
        assert!(
            shown.starts_with("cannot make the folder `") && shown.contains("file/below"),
            "{shown}"
        );
    }
}
