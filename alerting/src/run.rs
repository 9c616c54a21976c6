//! Puts the component together: rules, database, deliverer, reading loop; and takes it apart again.

use std::sync::Arc;

use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Error,
    consume::{self, Parts},
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
    let (files, set) = RuleFiles::load(&config).await?;
    for receiver in &config.receivers {
        if let Some(problem) = receiver.webhook.problem() {
            return Err(Error::Receiver {
                name: receiver.name.clone(),
                problem,
            });
        }
    }
    std::fs::create_dir_all(&config.data_dir).map_err(|source| Error::DataDir {
        path: config.data_dir.clone(),
        source,
    })?;
    let store = Store::open(&config.data_dir.join("alerting.db")).await?;

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
