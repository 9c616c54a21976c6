//! Reading the queue and committing what came of it: the loop that owns the evaluator.
//!
//! Each step reads what is there, evaluates it, and commits at once if somebody is to be told, else
//! at the next checkpoint. Notifications are only seen by the deliverer once they are committed with
//! the offsets they came from; what a crash loses is read again, and nobody has heard of it.

use std::{sync::Arc, time::Duration};

use logboom_client::{Assignment, Consumer};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Config, Error, ReceiverConfig, limits,
    lookout::Lookout,
    metrics as names,
    readings::{self, Reading, assignments},
    rule_files::RuleFiles,
    rules::{Rule, RuleSet},
    sources::Idle,
    stamp::now_ns,
    step::{Evaluator, Lanes, restored},
    store::{Commit, Store, Stored},
    way,
};

/// What the loop is made of.
pub(crate) struct Parts {
    pub(crate) config: Config,
    /// What the files said at start.
    pub(crate) set: RuleSet,
    /// What the last commit left.
    pub(crate) stored: Stored,
    pub(crate) files: RuleFiles,
    pub(crate) store: Store,
    /// Whom to tell; the deliverer follows it.
    pub(crate) receivers: watch::Sender<Arc<Vec<ReceiverConfig>>>,
    /// Told after each commit with new notifications.
    pub(crate) wake: Arc<Notify>,
}

/// Goes on where the last commit stands, and evaluates until `stop`.
pub(crate) async fn read(
    mut parts: Parts,
    ready: &watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let mut stored = std::mem::take(&mut parts.stored);
    let Some(readings) = readings::find(&parts.config, &mut stored, &stop).await? else {
        return Ok(());
    };
    let timing = &parts.config.timing;
    let idle = Idle::new(timing.idle_live, timing.idle_backfill);
    let rules = parts.set.rules.clone();
    // Perhaps of partitions that come again.
    parts.stored.partitions = std::mem::take(&mut stored.partitions);
    let evaluator = tokio::task::spawn_blocking(move || {
        let lanes = Lanes::new(&rules).expect("checked patterns compile");
        let engine = restored(&rules, stored, idle, now_ns());
        Box::new(Evaluator::new(engine, lanes, readings))
    })
    .await?;
    let reading = Loop::new(parts, evaluator)?;
    ready.send_replace(true);
    reading.run(stop).await
}

struct Loop {
    config: Arc<Config>,
    files: RuleFiles,
    store: Store,
    receivers: watch::Sender<Arc<Vec<ReceiverConfig>>>,
    wake: Arc<Notify>,
    evaluator: Box<Evaluator>,
    consumer: Consumer,
    lookout: Lookout,
    /// Given to the next commit.
    changed_rules: Option<Vec<Arc<Rule>>>,
    /// A stop ended a commit. The engine has handed over what was in it, so no other may follow.
    gave_up: bool,
    due: Due,
}

/// When what is done now and then is done next.
struct Due {
    checkpoint: Instant,
    reload: Instant,
    prune: Instant,
}

const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);

impl Loop {
    fn new(parts: Parts, evaluator: Box<Evaluator>) -> Result<Loop, Error> {
        let Parts {
            config,
            set,
            stored,
            files,
            store,
            receivers,
            wake,
        } = parts;
        let config = Arc::new(config);
        let mut consumer = client(&config)?;
        consumer.assign(&assignments(&evaluator.readings))?;
        let now = Instant::now();
        Ok(Loop {
            lookout: Lookout::new(&config, stored.partitions)?,
            due: Due {
                checkpoint: now,
                reload: now + config.timing.reload_interval,
                prune: now,
            },
            config,
            files,
            store,
            receivers,
            wake,
            evaluator,
            consumer,
            changed_rules: Some(set.rules),
            gave_up: false,
        })
    }

    async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        loop {
            let records = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(answer) = self.lookout.next() => {
                    let born = self.lookout.came_back(answer, &self.evaluator.readings);
                    if born.is_empty() || self.begin(born, &stop).await {
                        continue;
                    }
                    break;
                }
                records = self.consumer.recv(limits::STEP_RECORDS_MAX, limits::STEP_BYTES_MAX, limits::TICK) => records,
            };
            match records {
                Ok(records) => self.step(records, &stop).await?,
                Err(logboom_client::Error::OffsetOutOfRange) => {
                    if !self.find_place(&stop).await {
                        break;
                    }
                }
                Err(error) if error.is_retriable() => warn!(%error, "waiting for the queue"),
                Err(error) => {
                    if !self.reconnect(error, &stop).await {
                        break;
                    }
                }
            }
            self.now_and_then(&stop).await?;
        }
        self.commit(&stop).await?;
        self.lookout.show_last().await;
        Ok(())
    }

    async fn step(
        &mut self,
        mut records: Vec<logboom_event::Record>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let _traced = way::evaluate(&mut records);
        if !records.is_empty() {
            let now = now_ns();
            self.evaluate(move |evaluator| evaluator.feed(records, now))
                .await?;
        }
        let has_read_to = |ends: &[Assignment]| self.consumer.has_read_to(ends);
        if let Some(clock) = self.lookout.passed(&self.evaluator.readings, has_read_to) {
            let now = now_ns();
            self.evaluate(move |evaluator| evaluator.engine.tick(clock, now))
                .await?;
        }
        if self.evaluator.engine.has_transitions() || Instant::now() >= self.due.checkpoint {
            self.commit(stop).await?;
        }
        Ok(())
    }

    /// Runs on a blocking thread, where the evaluator is lent to.
    async fn evaluate(
        &mut self,
        work: impl FnOnce(&mut Evaluator) + Send + 'static,
    ) -> Result<(), Error> {
        let placeholder = Box::new(Evaluator::empty());
        let mut evaluator = std::mem::replace(&mut self.evaluator, placeholder);
        self.evaluator = tokio::task::spawn_blocking(move || {
            work(&mut evaluator);
            evaluator
        })
        .await?;
        Ok(())
    }

    /// Waits for a disk that is full until `stop`: what is not committed then is read again.
    async fn commit(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        if self.gave_up {
            return Ok(());
        }
        self.due.checkpoint = Instant::now() + self.config.timing.checkpoint_interval;
        let dirty = self.evaluator.engine.take();
        let progress = self.evaluator.take_progress();
        if dirty.is_empty() && progress.is_empty() && self.changed_rules.is_none() {
            return Ok(());
        }
        let started = Instant::now();
        let receivers = Arc::clone(&self.receivers.borrow());
        let commit = Commit {
            dirty: &dirty,
            progress: &progress,
            rules: self.changed_rules.as_deref(),
            receivers: &receivers,
            external_url: &self.config.external_url,
            now_ms: now_ns() / 1_000_000,
        };
        // A full disk passes: nothing is lost by waiting, the queue keeps what is unread.
        let told = loop {
            match self.store.commit(&commit).await {
                Ok(told) => break told,
                Err(Error::Database(error)) if error.is_retriable() => {
                    tracing::error!(%error, "cannot write alerting state; trying again");
                    let pause = tokio::time::sleep(limits::DATABASE_PAUSE);
                    if stop.run_until_cancelled(pause).await.is_none() {
                        warn!(
                            "stopping without a last commit; its records are read again at the next start"
                        );
                        self.gave_up = true;
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        };
        metrics::histogram!(names::COMMIT_SECONDS).record(started.elapsed().as_secs_f64());
        self.changed_rules = None;
        if told || !dirty.transitions.is_empty() {
            self.wake.notify_one();
        }
        for transition in &dirty.transitions {
            let change = transition.change.as_str();
            metrics::counter!(names::TRANSITIONS, "rule" => transition.rule.name.clone(), "change" => change).increment(1);
            info!(
                rule = transition.rule.name,
                change,
                episode = transition.episode_id(),
                "alert"
            );
        }
        self.lookout.committed(&self.evaluator.readings);
        Ok(())
    }

    /// Reads new partitions too. False when stopped.
    async fn begin(&mut self, born: Vec<Reading>, stop: &CancellationToken) -> bool {
        for reading in &born {
            info!(
                topic = &*reading.topic,
                partition = reading.partition,
                offset = reading.next_offset,
                "reading a new partition"
            );
        }
        self.evaluator.readings.extend(born);
        self.lookout.forget_heads();
        match self.consumer.assign(&assignments(&self.evaluator.readings)) {
            Ok(()) => true,
            Err(error) => self.reconnect(error, stop).await,
        }
    }

    /// The log is not what it was: proves every checkpoint again. False when stopped.
    async fn find_place(&mut self, stop: &CancellationToken) -> bool {
        match self.place(stop).await {
            Ok(alive) => alive,
            Err(error) => self.reconnect(error, stop).await,
        }
    }

    /// A new client, proved against the log again: an unknown error says nothing about the offsets.
    /// Whatever stands in its way, it worked before with the same settings. False when stopped.
    async fn reconnect(
        &mut self,
        mut error: logboom_client::Error,
        stop: &CancellationToken,
    ) -> bool {
        let mut pause = limits::RECONNECT_PAUSE;
        loop {
            warn!(%error, retry_in = ?pause, "reading from the queue failed; resuming after the last record evaluated");
            let pausing = tokio::time::sleep(pause);
            if stop.run_until_cancelled(pausing).await.is_none() {
                return false;
            }
            pause = (pause * 2).min(limits::RECONNECT_PAUSE_MAX);
            match self.connect(stop).await {
                Ok(alive) => return alive,
                Err(again) => error = again,
            }
        }
    }

    async fn connect(&mut self, stop: &CancellationToken) -> Result<bool, logboom_client::Error> {
        self.consumer = client(&self.config)?;
        self.place(stop).await
    }

    async fn place(&mut self, stop: &CancellationToken) -> Result<bool, logboom_client::Error> {
        if !readings::prove(&self.config, &mut self.evaluator.readings, stop).await? {
            return Ok(false);
        }
        self.lookout.forget_heads();
        self.consumer
            .assign(&assignments(&self.evaluator.readings))?;
        Ok(true)
    }

    async fn now_and_then(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let now = Instant::now();
        self.lookout
            .look(&self.evaluator.readings, self.evaluator.engine.has_open());
        if now >= self.due.reload {
            self.due.reload = now + self.config.timing.reload_interval;
            self.reload(stop).await?;
        }
        if now >= self.due.prune {
            self.due.prune = now + PRUNE_INTERVAL;
            self.evaluator
                .forget_marks(now_ns() / 1_000_000 - limits::MARKS_KEEP.as_millis() as i64);
            let keep = self.config.timing.history_retention.as_millis() as i64;
            if let Err(error) = self.store.prune(now_ns() / 1_000_000 - keep).await {
                warn!(%error, "cannot delete old alert history; trying again later");
            }
        }
        Ok(())
    }

    /// Takes changed rule files if they are right; else the rules in force stay.
    async fn reload(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let set = match self.files.changed().await? {
            None => return Ok(()),
            Some(Ok(set)) => set,
            Some(Err(errors)) => {
                metrics::counter!(names::RELOADS_REFUSED).increment(1);
                tracing::error!(%errors, "changed rules are wrong; the ones before stay in force");
                return Ok(());
            }
        };
        // Told with the state that they had under the rules before.
        self.commit(stop).await?;
        let now = now_ns();
        let rules = set.rules.clone();
        self.evaluate(move |evaluator| {
            evaluator
                .replace_rules(&rules, now)
                .expect("checked patterns compile");
        })
        .await?;
        info!(rules = set.rules.len(), "rules were changed");
        self.receivers.send_replace(self.files.receivers(&set));
        self.changed_rules = Some(set.rules);
        self.commit(stop).await
    }
}

fn client(config: &Config) -> Result<Consumer, logboom_client::Error> {
    let consumer = Consumer::new(&config.queue, &config.agent_topics())?;
    Ok(consumer.with_encodings(config.encodings()))
}

#[cfg(test)]
mod tests;
