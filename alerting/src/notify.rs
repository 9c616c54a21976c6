//! Delivery from the outbox: at least once, each alert's notifications in order.
//!
//! One task owns it. It reads due rows, posts them (several at a time per receiver, but only one of
//! an alert, so firing comes before resolved), and writes down what came of it: done, or when to try
//! again. A crash in between posts again, with the same `webhook-id`. A receiver that is slow or
//! down holds up nobody else. A database that is full or locked is waited for; what was posted
//! meanwhile is not posted again.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use rand::RngExt;
use sqlx::Row;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{debug, error, info, warn};

use crate::{
    Error, ReceiverConfig, limits, metrics as names,
    store::{self, Store},
};

mod webhook;

pub(crate) use webhook::{Answer, Webhook};

/// Repeats `$ask` while the database is full or locked; nothing when `$stop` comes first.
///
/// A macro, because the compiler cannot tell that the future of an async closure is `Send`.
macro_rules! patiently {
    ($stop:expr, $ask:expr) => {
        loop {
            if let ControlFlow::Break(answer) = tried($ask.await, $stop).await? {
                break answer;
            }
        }
    };
}

/// A row of the outbox on its way.
#[derive(Debug)]
struct Job {
    seq: i64,
    id: String,
    receiver: String,
    fingerprint: String,
    change: String,
    body: String,
    attempts: u32,
    created_at: i64,
}

/// What came of one try.
struct Outcome {
    job: Job,
    /// Who was asked: the receiver may have moved since.
    hook: Arc<Webhook>,
    answer: Answer,
}

/// Delivers until `stop`, then for a short while more.
pub(crate) struct Deliverer {
    store: Store,
    receivers: watch::Receiver<Arc<Vec<ReceiverConfig>>>,
    /// Told after each commit with new notifications.
    wake: Arc<Notify>,
    schedule: Vec<Duration>,
    hooks: HashMap<String, Arc<Webhook>>,
    /// Tasks, so that they go on while the database is waited for.
    flying: FuturesUnordered<AbortOnDropHandle<Outcome>>,
    /// (receiver, fingerprint) of what is on its way, or back and not written down.
    busy: HashSet<(String, String)>,
    /// When the outbox is counted next, for the metric.
    count_due: Instant,
}

impl Deliverer {
    /// Takes note of the receivers, so that what is committed from now on knows who is disabled.
    /// Nothing when `stop` comes before the database takes it.
    pub(crate) async fn new(
        store: Store,
        receivers: watch::Receiver<Arc<Vec<ReceiverConfig>>>,
        wake: Arc<Notify>,
        schedule: Vec<Duration>,
        stop: &CancellationToken,
    ) -> Result<Option<Deliverer>, Error> {
        let mut deliverer = Deliverer {
            store,
            receivers,
            wake,
            schedule,
            hooks: HashMap::new(),
            flying: FuturesUnordered::new(),
            busy: HashSet::new(),
            count_due: Instant::now(),
        };
        let taken = patiently!(stop, deliverer.take_receivers());
        Ok(taken.map(|()| deliverer))
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        loop {
            // Before anything is sent: nobody is asked at an address that is known to be old.
            if self.receivers.has_changed().unwrap_or(false) {
                patiently!(&stop, self.take_receivers());
            }
            let Some(next) = patiently!(&stop, self.launch()) else {
                break;
            };
            self.count_outbox().await;
            let wake = Arc::clone(&self.wake);
            tokio::select! {
                () = stop.cancelled() => break,
                () = wake.notified() => {}
                // Marks it seen, so that it has to be taken here.
                Ok(()) = self.receivers.changed() => {
                    patiently!(&stop, self.take_receivers());
                }
                Some(outcome) = self.flying.next() => {
                    self.settle(outcome?, &stop).await?;
                }
                () = tokio::time::sleep_until(next.min(self.count_due)) => {}
            }
        }
        self.finish(&stop).await
    }

    /// What is due now is still tried; what fails or is due later stays for the next start.
    async fn finish(mut self, stop: &CancellationToken) -> Result<(), Error> {
        let deadline = Instant::now() + limits::STOP_PATIENCE;
        loop {
            patiently!(stop, self.launch());
            let finished = match tokio::time::timeout_at(deadline, self.flying.next()).await {
                Ok(Some(outcome)) => self.settle(outcome?, stop).await?,
                Ok(None) => return Ok(()),
                Err(_) => false,
            };
            if !finished {
                info!(
                    unfinished = self.busy.len(),
                    "stopping with notifications under way; they are sent again at the next start"
                );
                return Ok(());
            }
        }
    }

    async fn take_receivers(&mut self) -> Result<(), Error> {
        let receivers = Arc::clone(&self.receivers.borrow_and_update());
        self.store.put_receivers(&receivers, now_ms()).await?;
        let disabled: Vec<String> =
            sqlx::query("SELECT name FROM receivers WHERE disabled IS NOT NULL")
                .fetch_all(self.store.database.read_pool())
                .await?
                .iter()
                .map(|row| row.try_get(0))
                .collect::<Result<_, _>>()?;
        self.hooks.clear();
        for receiver in receivers.iter() {
            if disabled.contains(&receiver.name) {
                warn!(
                    receiver = receiver.name,
                    "receiver answered 410 Gone earlier and is not told; change its url to enable it"
                );
            } else {
                self.hooks.insert(
                    receiver.name.clone(),
                    Arc::new(Webhook::new(&receiver.webhook)?),
                );
            }
        }
        for receiver in disabled {
            self.give_up_all(&receiver, "the receiver is disabled")
                .await?;
        }
        Ok(())
    }

    /// Shows how much waits for each receiver. Only a metric: an error means the next count.
    async fn count_outbox(&mut self) {
        if Instant::now() < self.count_due {
            return;
        }
        self.count_due = Instant::now() + limits::OUTBOX_COUNT_INTERVAL;
        let counted: Result<Vec<(String, i64)>, sqlx::Error> = sqlx::query_as(
            "SELECT r.name, (SELECT count(*) FROM outbox o WHERE o.receiver = r.name AND o.state = 'pending') FROM receivers r",
        )
        .fetch_all(self.store.database.read_pool())
        .await;
        match counted {
            Ok(rows) => {
                for (receiver, pending) in rows {
                    metrics::gauge!(names::OUTBOX, "receiver" => receiver).set(pending as f64);
                }
            }
            Err(error) => debug!(%error, "cannot count the outbox"),
        }
    }

    /// Sends what is due as far as there are slots. Returns when to look again.
    async fn launch(&mut self) -> Result<Instant, Error> {
        let now = now_ms();
        let mut next = now + 60_000;
        let names: Vec<String> = self.hooks.keys().cloned().collect();
        for name in names {
            let flying = self
                .busy
                .iter()
                .filter(|(receiver, _)| *receiver == name)
                .count();
            let mut free = limits::DELIVERIES_PER_RECEIVER.saturating_sub(flying);
            if free == 0 {
                continue;
            }
            for (job, next_try) in self.heads(&name).await? {
                if self.busy.contains(&(name.clone(), job.fingerprint.clone())) {
                    continue;
                }
                if next_try > now {
                    next = next.min(next_try);
                } else if free > 0 {
                    free -= 1;
                    self.send(job);
                }
            }
        }
        Ok(Instant::now() + Duration::from_millis(u64::try_from(next - now).unwrap_or(0)))
    }

    /// The first pending notification of each alert, soonest first.
    async fn heads(&mut self, receiver: &str) -> Result<Vec<(Job, i64)>, Error> {
        let rows = sqlx::query(
            "SELECT seq, id, receiver, fingerprint, change, body, attempts, created_at, next_try FROM outbox o
             WHERE receiver = $1 AND state = 'pending' AND NOT EXISTS (
                 SELECT 1 FROM outbox e WHERE e.receiver = o.receiver AND e.fingerprint = o.fingerprint
                 AND e.state = 'pending' AND e.seq < o.seq)
             ORDER BY next_try, seq LIMIT $2",
        )
        .bind(receiver)
        // Those on their way are still pending: look past them.
        .bind(2 * limits::DELIVERIES_PER_RECEIVER as i64)
        .fetch_all(self.store.database.read_pool())
        .await?;
        rows.iter()
            .map(|row| {
                let job = Job {
                    seq: row.try_get("seq")?,
                    id: row.try_get("id")?,
                    receiver: row.try_get("receiver")?,
                    fingerprint: row.try_get("fingerprint")?,
                    change: row.try_get("change")?,
                    body: row.try_get("body")?,
                    attempts: row.try_get("attempts")?,
                    created_at: row.try_get("created_at")?,
                };
                Ok((job, row.try_get("next_try")?))
            })
            .collect()
    }

    fn send(&mut self, job: Job) {
        let hook = Arc::clone(&self.hooks[&job.receiver]);
        self.busy
            .insert((job.receiver.clone(), job.fingerprint.clone()));
        self.flying
            .push(AbortOnDropHandle::new(tokio::spawn(async move {
                let answer = hook.post(&job.id, job.body.clone(), now_ms() / 1000).await;
                Outcome { job, hook, answer }
            })));
    }

    /// Writes down what came of it. False when `stop` comes before the database takes it: then it
    /// stays busy, and is sent again at the next start.
    async fn settle(&mut self, outcome: Outcome, stop: &CancellationToken) -> Result<bool, Error> {
        let Outcome { job, hook, answer } = outcome;
        let attempts = job.attempts + 1;
        let now = now_ms();
        let (word, written) = match answer {
            Answer::Taken => {
                debug!(
                    receiver = job.receiver,
                    id = job.id,
                    change = job.change,
                    attempts,
                    "notification delivered"
                );
                metrics::histogram!(names::NOTIFY_SECONDS)
                    .record((now - job.created_at).max(0) as f64 / 1000.0);
                let written = patiently!(
                    stop,
                    self.finish_row(&job, "delivered", attempts, None, now)
                );
                ("delivered", written)
            }
            // Says nothing about the receiver as it is configured now: that one is asked, from the start.
            Answer::Gone | Answer::Refused { .. } if !self.is_configured(&job.receiver, &hook) => {
                info!(
                    receiver = job.receiver,
                    id = job.id,
                    "notification not taken by what the receiver was before; trying it as it is now"
                );
                let reason = "not taken, and the receiver was changed meanwhile";
                let written = patiently!(stop, self.put_off(&job, 0, reason, now));
                ("retry", written)
            }
            Answer::Gone => {
                error!(
                    receiver = job.receiver,
                    "receiver answered 410 Gone and is not told any more; change its url to enable it"
                );
                let reason = "the receiver answered 410 Gone";
                let written = patiently!(stop, self.give_up_all(&job.receiver, reason));
                self.hooks.remove(&job.receiver);
                ("disabled", written)
            }
            Answer::Refused {
                reason,
                retry_after,
            } => match self.schedule.get(attempts as usize) {
                Some(wait) => {
                    let wait = jittered(*wait).max(retry_after.unwrap_or_default());
                    warn!(receiver = job.receiver, id = job.id, attempts, reason, next_in = ?wait, "notification not taken, will be tried again");
                    let next_try = now + wait.as_millis() as i64;
                    let written = patiently!(stop, self.put_off(&job, attempts, &reason, next_try));
                    ("retry", written)
                }
                None => {
                    error!(
                        receiver = job.receiver,
                        id = job.id,
                        attempts,
                        reason,
                        "notification given up; it stays in the table `outbox` as dead"
                    );
                    let written = patiently!(
                        stop,
                        self.finish_row(&job, "dead", attempts, Some(&reason), now)
                    );
                    ("dead", written)
                }
            },
        };
        if written.is_none() {
            return Ok(false);
        }
        self.busy
            .remove(&(job.receiver.clone(), job.fingerprint.clone()));
        metrics::counter!(names::NOTIFICATIONS, "receiver" => job.receiver, "outcome" => word)
            .increment(1);
        Ok(true)
    }

    /// Whether the receiver still is what `hook` was made from.
    fn is_configured(&self, receiver: &str, hook: &Webhook) -> bool {
        self.receivers
            .borrow()
            .iter()
            .any(|known| known.name == receiver && known.webhook == *hook.config())
    }

    async fn finish_row(
        &mut self,
        job: &Job,
        state: &str,
        attempts: u32,
        reason: Option<&str>,
        now: i64,
    ) -> Result<(), Error> {
        let mut write = self.store.database.begin().await?;
        // What was given up meanwhile, because the receiver is gone, may still have been taken.
        sqlx::query(
            "UPDATE outbox SET state = $1, attempts = $2, last_error = coalesce($3, last_error), done_at = $4
             WHERE seq = $5 AND (state = 'pending' OR $1 = 'delivered')",
        )
            .bind(state)
            .bind(i64::from(attempts))
            .bind(reason)
            .bind(now)
            .bind(job.seq)
            .execute(&mut *write)
            .await?;
        Ok(write.commit().await?)
    }

    async fn put_off(
        &mut self,
        job: &Job,
        attempts: u32,
        reason: &str,
        next_try: i64,
    ) -> Result<(), Error> {
        let mut write = self.store.database.begin().await?;
        sqlx::query(
            "UPDATE outbox SET attempts = $1, last_error = $2, next_try = $3 WHERE seq = $4",
        )
        .bind(i64::from(attempts))
        .bind(reason)
        .bind(next_try)
        .bind(job.seq)
        .execute(&mut *write)
        .await?;
        Ok(write.commit().await?)
    }

    async fn give_up_all(&mut self, receiver: &str, reason: &str) -> Result<(), Error> {
        let mut write = self.store.database.begin().await?;
        sqlx::query("UPDATE receivers SET disabled = $1 WHERE name = $2 AND disabled IS NULL")
            .bind(reason)
            .bind(receiver)
            .execute(&mut *write)
            .await?;
        store::finish_all(&mut write, receiver, reason, now_ms()).await?;
        Ok(write.commit().await?)
    }
}

/// What comes of a try at the database: an end of the tries, or another one after a pause.
async fn tried<T>(
    result: Result<T, Error>,
    stop: &CancellationToken,
) -> Result<ControlFlow<Option<T>>, Error> {
    match result {
        Err(Error::Database(error)) if error.is_retriable() => {
            error!(%error, "delivery cannot use the database; trying again");
            let pause = tokio::time::sleep(limits::DATABASE_PAUSE);
            Ok(match stop.run_until_cancelled(pause).await {
                Some(()) => ControlFlow::Continue(()),
                None => ControlFlow::Break(None),
            })
        }
        other => Ok(ControlFlow::Break(Some(other?))),
    }
}

/// Up to a tenth more, so that a receiver that comes back is not met by all at once.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(1.0 + rand::rng().random_range(0.0..0.1))
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests;
