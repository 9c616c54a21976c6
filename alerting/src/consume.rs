//! Reading the queue and committing what came of it: the loop that owns the evaluator.
//!
//! Each step reads what is there, evaluates it, and commits at once if somebody is to be told, else
//! at the next checkpoint. Notifications are only seen by the deliverer once they are committed with
//! the offsets they came from; what a crash loses is read again, and nobody has heard of it.
//!
//! The wall clock moves silent sources on only up to an instant of which it is known that all that
//! reached the queue before it has been fed ("heads" below), so a backlog is never taken for silence.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use logboom_client::{Admin, Assignment, Checkpoint, Consumer, resume};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Config, Error, ReceiverConfig, limits, metrics as names,
    rules::{self, Rule},
    run::{RuleFiles, receivers_of},
    step::{Evaluator, Reading},
    store::{Commit, Store, Stored},
};

/// Under which alerting's progress is shown by the queue, and keeps log from being deleted.
pub const GROUP: &str = "logboom-alerting";

/// What runs beside reading and comes back.
enum Side {
    /// The ends of all partitions, as they were after the instant (wall clock, ns).
    Heads(i64, Result<Vec<i64>, logboom_client::Error>),
    /// Offsets were committed to the queue.
    Shown(Result<(), logboom_client::Error>),
}

pub(crate) struct Loop {
    config: Config,
    store: Store,
    evaluator: Box<Evaluator>,
    consumer: Consumer,
    admin: Admin,
    receivers: watch::Sender<Arc<Vec<ReceiverConfig>>>,
    wake: Arc<Notify>,
    files: RuleFiles,
    /// Given to the next commit.
    changed_rules: Option<Vec<Arc<Rule>>>,
    /// A stop ended a commit. The engine has handed over what was in it, so no other may follow.
    gave_up: bool,
    side: FuturesUnordered<BoxFuture<'static, Side>>,
    /// An instant and the ends that have to be passed for the clock to reach it.
    heads: Option<(i64, Vec<i64>)>,
    asking: bool,
    /// Next offsets that are committed and not shown to the queue yet.
    unshown: Option<Vec<Assignment>>,
    showing: bool,
    due: Due,
}

/// When what is done now and then is done next.
struct Due {
    checkpoint: Instant,
    heads: Instant,
    show: Instant,
    reload: Instant,
    prune: Instant,
}

const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);

/// What the loop shares with the rest.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) evaluator: Box<Evaluator>,
    pub(crate) receivers: watch::Sender<Arc<Vec<ReceiverConfig>>>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) files: RuleFiles,
    pub(crate) rules: Vec<Arc<Rule>>,
}

/// Finds all partitions of the topics and where to go on in each. Waits for the queue.
pub(crate) async fn readings(
    config: &Config,
    stored: &mut Stored,
    stop: &CancellationToken,
) -> Result<Option<Vec<Reading>>, Error> {
    let mut readings = Vec::new();
    for topic in &config.topics {
        let admin = Admin::new(&config.queue)?;
        let Some(partitions) =
            patiently(stop, || admin.ensure_topic(topic, config.partitions)).await?
        else {
            return Ok(None);
        };
        let topic: Arc<str> = topic.as_str().into();
        for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
            let (checkpoint, marks) = stored
                .partitions
                .remove(&(topic.to_string(), partition))
                .unzip();
            let Some(checkpoint) = resumed(config, &topic, partition, checkpoint, stop).await?
            else {
                return Ok(None);
            };
            readings.push(Reading::new(
                Arc::clone(&topic),
                partition,
                checkpoint,
                marks.unwrap_or_default(),
            ));
        }
    }
    Ok(Some(readings))
}

async fn resumed(
    config: &Config,
    topic: &str,
    partition: i32,
    stored: Option<Checkpoint>,
    stop: &CancellationToken,
) -> Result<Option<Checkpoint>, Error> {
    let resumed = patiently(stop, || {
        resume(
            &config.queue,
            &config.agent_topics,
            topic,
            partition,
            stored,
        )
    })
    .await?;
    Ok(resumed.map(|resumed| resumed.checkpoint))
}

/// Asks again until the queue answers; nothing when `stop` comes first.
async fn patiently<T, F>(
    stop: &CancellationToken,
    ask: impl Fn() -> F,
) -> Result<Option<T>, logboom_client::Error>
where
    F: Future<Output = Result<T, logboom_client::Error>>,
{
    let mut wait = Duration::from_millis(50);
    loop {
        let answer = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            answer = ask() => answer,
        };
        match answer {
            Err(error) if passes(&error) => {
                warn!(%error, "waiting for the queue");
                tokio::select! {
                    () = stop.cancelled() => return Ok(None),
                    () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(2)),
                }
            }
            other => return other.map(Some),
        }
    }
}

/// Whether asking anew, with a new client, may help.
fn passes(error: &logboom_client::Error) -> bool {
    use logboom_client::Error as E;
    error.is_retriable() || matches!(error, E::OffsetOutOfRange | E::Consume { .. })
}

impl Loop {
    pub(crate) fn new(config: Config, parts: Parts) -> Result<Loop, Error> {
        let mut consumer = Consumer::new(&config.queue, &config.agent_topics)?;
        consumer.assign(&assignments(&parts.evaluator.readings))?;
        let now = Instant::now();
        Ok(Loop {
            admin: Admin::new(&config.queue)?,
            due: Due {
                checkpoint: now,
                heads: now,
                show: now,
                reload: now + config.timing.reload_interval,
                prune: now,
            },
            config,
            store: parts.store,
            evaluator: parts.evaluator,
            consumer,
            receivers: parts.receivers,
            wake: parts.wake,
            files: parts.files,
            changed_rules: Some(parts.rules),
            gave_up: false,
            side: FuturesUnordered::new(),
            heads: None,
            asking: false,
            unshown: None,
            showing: false,
        })
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        loop {
            let records = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(side) = self.side.next() => {
                    self.came_back(side);
                    continue;
                }
                records = self.consumer.recv(limits::STEP_RECORDS_MAX, limits::STEP_BYTES_MAX, limits::TICK) => records,
            };
            match records {
                Ok(records) => self.step(records, &stop).await?,
                Err(logboom_client::Error::OffsetOutOfRange) => {
                    if !self.find_place(&stop).await? {
                        break;
                    }
                }
                Err(error) if error.is_retriable() => warn!(%error, "waiting for the queue"),
                Err(error) => {
                    if !self.reconnect(error, &stop).await? {
                        break;
                    }
                }
            }
            self.now_and_then(&stop).await?;
        }
        self.commit(&stop).await?;
        self.show_last().await;
        Ok(())
    }

    async fn step(
        &mut self,
        records: Vec<logboom_event::Record>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        if !records.is_empty() {
            let now = now_ns();
            self.evaluate(move |evaluator| evaluator.feed(records, now))
                .await?;
        }
        self.pass_time().await?;
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

    /// Moves the clock once the ends asked for have been read up to.
    async fn pass_time(&mut self) -> Result<(), Error> {
        let passed = self.heads.as_ref().is_some_and(|(_, ends)| {
            self.evaluator
                .readings
                .iter()
                .zip(ends)
                .all(|(reading, end)| reading.next_offset >= *end)
        });
        if passed && let Some((clock, _)) = self.heads.take() {
            let now = now_ns();
            self.evaluate(move |evaluator| evaluator.engine.tick(clock, now))
                .await?;
        }
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
        self.unshown = Some(assignments(&self.evaluator.readings));
        Ok(())
    }

    /// A new client, proved against the log again: an unknown error says nothing about the offsets.
    /// False when stopped.
    async fn reconnect(
        &mut self,
        error: logboom_client::Error,
        stop: &CancellationToken,
    ) -> Result<bool, Error> {
        warn!(%error, "reading from the queue failed; resuming after the last record evaluated");
        let pause = tokio::time::sleep(limits::RECONNECT_PAUSE);
        if stop.run_until_cancelled(pause).await.is_none() {
            return Ok(false);
        }
        self.consumer = Consumer::new(&self.config.queue, &self.config.agent_topics)?;
        self.find_place(stop).await
    }

    /// The log is not what it was: proves every checkpoint again. False when stopped.
    async fn find_place(&mut self, stop: &CancellationToken) -> Result<bool, Error> {
        for reading in &mut self.evaluator.readings {
            let found = resumed(
                &self.config,
                &reading.topic,
                reading.partition,
                Some(reading.checkpoint()),
                stop,
            )
            .await?;
            let Some(checkpoint) = found else {
                return Ok(false);
            };
            if checkpoint != reading.checkpoint() {
                reading.move_to(checkpoint);
            }
        }
        self.heads = None;
        self.consumer
            .assign(&assignments(&self.evaluator.readings))?;
        Ok(true)
    }

    async fn now_and_then(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let now = Instant::now();
        if now >= self.due.heads && !self.asking && self.heads.is_none() {
            // Without an open episode, time only forgets.
            self.due.heads = now
                + if self.evaluator.engine.has_open() {
                    limits::TICK
                } else {
                    limits::LAG_INTERVAL
                };
            self.ask_heads();
        }
        if now >= self.due.show
            && !self.showing
            && let Some(offsets) = self.unshown.take()
        {
            self.due.show = now + limits::LAG_INTERVAL;
            self.showing = true;
            let admin = self.admin.clone();
            self.side
                .push(async move { Side::Shown(admin.commit(GROUP, &offsets).await) }.boxed());
        }
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

    /// Asks for the ends of all partitions. What reached the queue before now is below them.
    fn ask_heads(&mut self) {
        self.asking = true;
        let clock = now_ns();
        let admin = self.admin.clone();
        let partitions: Vec<(Arc<str>, i32)> = self
            .evaluator
            .readings
            .iter()
            .map(|reading| (Arc::clone(&reading.topic), reading.partition))
            .collect();
        self.side.push(
            async move {
                let mut ends = Vec::with_capacity(partitions.len());
                for (topic, partition) in partitions {
                    match admin.watermarks(&topic, partition).await {
                        Ok((_, end)) => ends.push(end),
                        Err(error) => return Side::Heads(clock, Err(error)),
                    }
                }
                Side::Heads(clock, Ok(ends))
            }
            .boxed(),
        );
    }

    fn came_back(&mut self, side: Side) {
        match side {
            Side::Heads(clock, Ok(ends)) => {
                self.asking = false;
                for (reading, end) in self.evaluator.readings.iter().zip(&ends) {
                    let lag = (end - reading.next_offset).max(0) as f64;
                    let topic = reading.topic.to_string();
                    metrics::gauge!(names::LAG, "topic" => topic, "partition" => reading.partition.to_string()).set(lag);
                }
                self.heads = Some((clock, ends));
            }
            Side::Heads(_, Err(error)) => {
                self.asking = false;
                warn!(%error, "waiting for the queue; silent sources hold their alerts meanwhile");
            }
            Side::Shown(result) => {
                self.showing = false;
                if let Err(error) = result {
                    warn!(%error, "cannot show alerting's offsets at the queue; trying again");
                    self.unshown
                        .get_or_insert_with(|| assignments(&self.evaluator.readings));
                }
            }
        }
    }

    /// Takes changed rule files if they are right; else the rules in force stay.
    async fn reload(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        if !self.files.changed().await? {
            return Ok(());
        }
        let paths = self.config.rules.clone();
        let configured = self.config.receivers.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            let set = rules::load(&paths)?;
            set.check_receivers(&configured)?;
            Ok::<_, crate::RuleErrors>(set)
        })
        .await?;
        match loaded {
            Ok(set) => {
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
                self.receivers
                    .send_replace(Arc::new(receivers_of(&set, &self.config)));
                self.changed_rules = Some(set.rules);
                self.commit(stop).await?;
            }
            Err(errors) => {
                metrics::counter!(names::RELOADS_REFUSED).increment(1);
                tracing::error!(%errors, "changed rules are wrong; the ones before stay in force");
            }
        }
        Ok(())
    }

    /// At a stop the queue should know all that was read, but need not.
    async fn show_last(&mut self) {
        if let Some(offsets) = self.unshown.take() {
            let shown =
                tokio::time::timeout(limits::STOP_PATIENCE, self.admin.commit(GROUP, &offsets))
                    .await;
            if !matches!(shown, Ok(Ok(()))) {
                warn!(
                    "the queue was not told how far alerting has read; it will be at the next start"
                );
            }
        }
    }
}

fn assignments(readings: &[Reading]) -> Vec<Assignment> {
    let one = |reading: &Reading| Assignment {
        topic: reading.topic.to_string(),
        partition: reading.partition,
        offset: reading.next_offset,
    };
    readings.iter().map(one).collect()
}

pub(crate) fn now_ns() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).expect("the clock is before 2262")
}
