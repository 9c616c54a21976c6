//! One stretch of copying: over the same topics, by one consumer and one producer.
//!
//! Records go to the target in rounds: what the source gave at once. A round's acks move the ledger, in the order of the
//! rounds, and the ledger is committed at the source. Anything that changes the set of partitions, and any error,
//! ends the session; the next begins with [`crate::resume`].

use std::collections::{BTreeMap, HashMap};

use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};
use logboom_client::{
    Assignment, Bounds, Consumer, Delivery, Isolation, Partition, Producer, RawRecord,
};
use metrics::{counter, gauge};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::ends::assignment;
use crate::error::Error;
use crate::limits::{
    COMMIT_EVERY, DRAIN_PATIENCE, RECEIVE_WAIT, ROUND_BYTES, ROUND_RECORDS, ROUNDS_MAX,
};
use crate::metrics::{BYTES, LAG, LOOPS_STOPPED, RECORDS};
use crate::mirror::Ends;
use crate::origin::Clusters;
use crate::progress::{Landed, Ledger, Step};
use crate::topics::{self, Topics};

/// How a session ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Stopped,
    Drained,
    /// There are other topics to copy, or blocked ones to try again.
    Changed,
}

pub(crate) struct Session<'a> {
    ends: &'a Ends,
    clusters: Clusters,
    topics: Topics,
    ledger: Ledger,
    consumer: Consumer,
    producer: Producer,
    rounds: FuturesOrdered<BoxFuture<'static, Round>>,
    /// Where a session that drains ends.
    goals: Option<Vec<Assignment>>,
    /// When something blocked is to be tried again.
    retry_at: Option<Instant>,
}

/// What became of a round.
#[derive(Default)]
struct Round {
    steps: Vec<(Partition, Step)>,
    failures: Vec<Error>,
}

/// What the source looks like now.
struct Look {
    topics: Topics,
    bounds: HashMap<Partition, Bounds>,
}

impl<'a> Session<'a> {
    /// Assigns what the ledger holds.
    pub(crate) fn new(
        ends: &'a Ends,
        clusters: Clusters,
        topics: Topics,
        ledger: Ledger,
        goals: Option<Vec<Assignment>>,
        retry_at: Option<Instant>,
    ) -> Result<Session<'a>, Error> {
        let mut consumer = Consumer::of_raw(&ends.config.from, Isolation::Committed)?;
        let partitions = ledger.partitions().iter();
        let all: Vec<Assignment> = partitions
            .map(|(name, progress)| assignment(name, progress.next))
            .collect();
        consumer.assign(&all)?;
        Ok(Session {
            ends,
            clusters,
            topics,
            ledger,
            consumer,
            producer: Producer::of_copies(&ends.config.to)?,
            rounds: FuturesOrdered::new(),
            goals,
            retry_at,
        })
    }

    pub(crate) async fn run(mut self, stop: &CancellationToken) -> Result<End, Error> {
        let mut commit = interval(COMMIT_EVERY);
        let mut look = Box::pin(look_later(self.ends));
        loop {
            if self.is_drained() {
                self.commit().await?;
                // What could not be committed now is found in the target by whoever comes next.
                return Ok(End::Drained);
            }
            tokio::select! {
                () = stop.cancelled() => return self.finish(End::Stopped).await,
                Some(round) = self.rounds.next() => self.land(round).await?,
                _ = commit.tick() => self.commit().await?,
                seen = &mut look => {
                    if self.has_changed(seen) {
                        return self.finish(End::Changed).await;
                    }
                    look = Box::pin(look_later(self.ends));
                }
                records = self.consumer.recv_raw(ROUND_RECORDS, ROUND_BYTES, RECEIVE_WAIT),
                    if self.rounds.len() < ROUNDS_MAX =>
                {
                    let records = records?;
                    // The target may be away for as long as it likes, but a stop does not wait for it.
                    match stop.run_until_cancelled(self.send(records)).await {
                        Some(sent) => sent?,
                        None => return Ok(End::Stopped),
                    }
                }
            }
        }
    }

    /// Hands a round over.
    async fn send(&mut self, records: Vec<RawRecord>) -> Result<(), Error> {
        let mut parts: BTreeMap<(&str, i32), Part> = BTreeMap::new();
        let (mut copied, mut bytes, mut looped) = (0, 0, 0);
        for record in &records {
            let part = parts
                .entry((&record.topic, record.partition))
                .or_insert_with(|| Part::open(&self.producer));
            part.next = record.offset + 1;
            part.last_crc = record.crc();
            match self.clusters.copy_headers(record) {
                None => looped += 1,
                Some(headers) => {
                    let sent = part.batch.copy(record, &headers.after(record)).await;
                    sent.map_err(|error| failed(&name_of(record), error))?;
                    part.copied = Some(record.offset);
                    copied += 1;
                    bytes += record.bytes();
                }
            }
        }
        let parts: Vec<(Partition, Part)> = parts
            .into_iter()
            .map(|((topic, number), part)| ((topic.to_owned(), number), part))
            .collect();
        let mirror = self.ends.config.name.clone();
        counter!(LOOPS_STOPPED, "mirror" => mirror.clone()).increment(looped);
        self.rounds.push_back(Box::pin(async move {
            let mut round = Round::default();
            for (name, part) in parts {
                match part.land().await {
                    Ok(step) => round.steps.push((name, step)),
                    Err(error) => round.failures.push(failed(&name, error)),
                }
            }
            if round.failures.is_empty() {
                counter!(RECORDS, "mirror" => mirror.clone()).increment(copied);
                counter!(BYTES, "mirror" => mirror).increment(bytes as u64);
            }
            round
        }));
        Ok(())
    }

    async fn land(&mut self, round: Round) -> Result<(), Error> {
        if !round.failures.is_empty() {
            return Err(self.reason(round.failures).await);
        }
        for (name, step) in round.steps {
            self.ledger.advance(name, step);
        }
        Ok(())
    }

    /// When a record is refused, all that follow fail, too, and may be told first: looks for the one that was refused.
    async fn reason(&mut self, mut failures: Vec<Error>) -> Error {
        let others = async {
            while let Some(round) = self.rounds.next().await {
                failures.extend(round.failures);
            }
        };
        // Those that are not told by then tell nothing new.
        let _all_told = timeout(DRAIN_PATIENCE, others).await.is_ok();
        let refused = |error: &Error| matches!(error, Error::Refused { .. });
        let chosen = failures.iter().position(refused).unwrap_or_default();
        failures.swap_remove(chosen)
    }

    /// Trouble that passes leaves it to the next time.
    async fn commit(&mut self) -> Result<(), Error> {
        let config = &self.ends.config;
        let ends = (config.from.bootstrap.as_str(), config.to.bootstrap.as_str());
        match self.ledger.commit(&self.ends.from, ends).await {
            Err(error) if error.passes() => {
                warn!(mirror = config.name, %error, "progress is not committed yet");
                Ok(())
            }
            result => result,
        }
    }

    /// Waits a while for what was handed over, so that the next start has nothing to search.
    async fn finish(mut self, end: End) -> Result<End, Error> {
        let all = async {
            while let Some(round) = self.rounds.next().await {
                self.land(round).await?;
            }
            self.commit().await
        };
        match timeout(DRAIN_PATIENCE, all).await {
            Ok(result) => result.map(|()| end),
            Err(_) => Ok(end),
        }
    }

    fn is_drained(&self) -> bool {
        let is_read = |goals: &Vec<Assignment>| self.consumer.has_read_to(goals);
        self.rounds.is_empty() && self.goals.as_ref().is_some_and(is_read)
    }

    fn has_changed(&self, seen: Result<Look, Error>) -> bool {
        if self.retry_at.is_some_and(|at| Instant::now() >= at) {
            return true;
        }
        match seen {
            Ok(look) => {
                self.show_lag(&look.bounds);
                look.topics != self.topics
            }
            Err(error) => {
                debug!(mirror = self.ends.config.name, %error, "cannot look at the source");
                false
            }
        }
    }

    fn show_lag(&self, bounds: &HashMap<Partition, Bounds>) {
        let mut lags: BTreeMap<&str, i64> = BTreeMap::new();
        for (name, progress) in self.ledger.partitions() {
            if let Some(bounds) = bounds.get(name) {
                *lags.entry(&name.0).or_default() += (bounds.high - progress.next).max(0);
            }
        }
        for (topic, lag) in lags {
            let (mirror, topic) = (self.ends.config.name.clone(), topic.to_owned());
            gauge!(LAG, "mirror" => mirror, "topic" => topic).set(lag as f64);
        }
    }
}

/// What a round holds of one partition.
struct Part {
    batch: logboom_client::Batch,
    delivery: Delivery,
    next: i64,
    last_crc: u32,
    copied: Option<i64>,
}

impl Part {
    fn open(producer: &Producer) -> Part {
        let (batch, delivery) = producer.batch();
        Part {
            batch,
            delivery,
            next: 0,
            last_crc: 0,
            copied: None,
        }
    }

    async fn land(self) -> Result<Step, logboom_client::Error> {
        drop(self.batch);
        let acked = self.delivery.await?;
        Ok(Step {
            next: self.next,
            last_crc: self.last_crc,
            landed: self.copied.map(|offset| Landed {
                offset,
                target_offset: acked.offset,
            }),
        })
    }
}

fn failed(name: &Partition, error: logboom_client::Error) -> Error {
    match error {
        source @ logboom_client::Error::Refused { .. } => Error::Refused {
            topic: name.0.clone(),
            partition: name.1,
            source,
        },
        error => Error::Client(error),
    }
}

fn name_of(record: &RawRecord) -> Partition {
    (record.topic.to_string(), record.partition)
}

async fn look_later(ends: &Ends) -> Result<Look, Error> {
    sleep(ends.config.refresh).await;
    let topics = topics::look(&ends.from, &ends.config.topics).await?;
    let all = topics::partitions(&topics);
    let bounds = ends.from.bounds(&all, Isolation::Committed).await?;
    Ok(Look { topics, bounds })
}
