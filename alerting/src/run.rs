//! Puts the component together: rules, database, deliverer, reading loop; and takes it apart again.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Error, ReceiverConfig,
    consume::{self, Loop, Parts, now_ns},
    evaluate::Engine,
    notify::Deliverer,
    rules::{self, RuleSet},
    sources::Idle,
    step::{Compiled, Evaluator},
    store::{Store, Stored},
};

/// Evaluates rules and delivers notifications until `stop`, or until something cannot be mended.
pub async fn run(
    config: Config,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let paths = config.rules.clone();
    let (set, files) = blocking(move || {
        let files = RuleFiles::look(&paths);
        (rules::load(&paths), files)
    })
    .await?;
    let set = set?;
    set.check_receivers(&config.receivers)?;
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

    let (receivers, receivers_seen) = watch::channel(Arc::new(receivers_of(&set, &config)));
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

    let reading = read(
        config,
        set,
        files,
        store.clone(),
        receivers,
        wake,
        &ready,
        stop.clone(),
    );
    let outcome = tokio::select! {
        outcome = reading => outcome,
        // The deliverer only ends when it is told to, or fails.
        Some(ended) = tasks.join_next() => ended.map_err(Error::from).and_then(|outcome| outcome),
    };
    ready.send_replace(false);
    stop_delivery.cancel();
    let mut outcome = outcome;
    while let Some(ended) = tasks.join_next().await {
        outcome = outcome.and(ended.map_err(Error::from).and_then(|outcome| outcome));
    }
    store.database.close().await;
    outcome
}

#[allow(clippy::too_many_arguments)]
async fn read(
    config: Config,
    set: RuleSet,
    files: RuleFiles,
    store: Store,
    receivers: watch::Sender<Arc<Vec<ReceiverConfig>>>,
    wake: Arc<Notify>,
    ready: &watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let mut stored = store.load().await?;
    let Some(readings) = consume::readings(&config, &mut stored, &stop).await? else {
        return Ok(());
    };
    let idle = Idle::new(config.timing.idle_live, config.timing.idle_backfill);
    let rules = set.rules.clone();
    let evaluator = blocking(move || {
        let compiled = Compiled::new(&rules, &[]).expect("checked patterns compile");
        Box::new(Evaluator::new(
            restored(&rules, stored, idle),
            compiled,
            readings,
        ))
    })
    .await?;
    let parts = Parts {
        store,
        evaluator,
        receivers,
        wake,
        files,
        rules: set.rules,
    };
    let reading = Loop::new(config, parts)?;
    ready.send_replace(true);
    reading.run(stop).await
}

/// The engine as it was when its state was last committed.
pub(crate) fn restored(rules: &[Arc<rules::Rule>], stored: Stored, idle: Idle) -> Engine {
    let mut engine = Engine::new(rules, idle);
    let now = now_ns();
    for (source, clock) in stored.sources {
        engine.restore_source(source, clock, now);
    }
    for (name, key, group) in stored.groups {
        if let Some(former) = stored.rules.get(&name) {
            engine.restore_group(former, key, group, now);
        }
    }
    engine.restored();
    engine
}

/// Receivers of the configuration, then those of rule files that it does not have.
pub(crate) fn receivers_of(set: &RuleSet, config: &Config) -> Vec<ReceiverConfig> {
    let mut receivers = config.receivers.clone();
    for receiver in &set.receivers {
        if !receivers.iter().any(|known| known.name == receiver.name) {
            receivers.push(receiver.clone());
        }
    }
    receivers
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// Notices that rule files changed: by their names, sizes and times.
#[derive(Clone, Debug)]
pub(crate) struct RuleFiles {
    paths: Vec<PathBuf>,
    seen: Vec<(PathBuf, u64, Option<SystemTime>)>,
}

impl RuleFiles {
    fn look(paths: &[PathBuf]) -> RuleFiles {
        RuleFiles {
            paths: paths.to_vec(),
            seen: rules::fingerprints(paths),
        }
    }

    pub(crate) async fn changed(&mut self) -> Result<bool, Error> {
        let paths = self.paths.clone();
        let seen = blocking(move || rules::fingerprints(&paths)).await?;
        let changed = seen != self.seen;
        self.seen = seen;
        Ok(changed)
    }
}
