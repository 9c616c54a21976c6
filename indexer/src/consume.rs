//! The indexing loop of one index: queue → builder → catalog, and a publish now and then. Every index has its own,
//! so that a flood of spans seals, or stops, no logs.
//!
//! One task owns the builder; its CPU work runs on a blocking thread, one step at a time. One publish is in
//! flight at most; when the next hot index is full before that has ended, fetching stops.
//! Trouble with the queue is waited out for ever; trouble that would lose or double records ends the
//! indexer.

use std::{collections::HashMap, sync::Arc, time::Duration};

use logboom_client::{Admin, Assignment, Checkpoint, Consumer, resume};
use logboom_metastore::Database;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    build::Builder,
    catalog::Catalog,
    config::{Config, IndexConfig},
    error::Error,
    limits, metrics,
    observe::Offsets,
    pipeline::Pipeline,
    position::Position,
    publish::{Publisher, now_ms},
    tables,
    tail::Tail,
    way::Ways,
};

/// What the loop works with.
pub(crate) struct Indexing {
    pub(crate) config: Arc<Config>,
    pub(crate) index: IndexConfig,
    /// Its name.
    pub(crate) name: Arc<str>,
    pub(crate) database: Database,
    pub(crate) epoch: i64,
    pub(crate) publisher: Publisher,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) tail: Arc<Tail>,
    pub(crate) pipeline: Arc<Pipeline>,
    /// Offsets to commit to the queue, for lag display and retention.
    pub(crate) published: watch::Sender<Offsets>,
}

/// The state of the loop.
struct Running {
    parts: Indexing,
    admin: Admin,
    consumer: Consumer,
    /// Absent only while it works on a blocking thread.
    builder: Option<Builder>,
    /// Where every partition ended when we started: before that, answers are incomplete.
    targets: HashMap<(Arc<str>, i32), i64>,
    is_caught_up: bool,
    /// When the oldest unrefreshed and the oldest unpublished record came.
    unrefreshed: bool,
    refreshed_at: Instant,
    unpublished_since: Option<Instant>,
    publishing: Option<AbortOnDropHandle<Result<(), Error>>>,
    look_for_partitions_at: Instant,
    ways: Ways,
}

const LOOK_FOR_PARTITIONS_INTERVAL: Duration = Duration::from_secs(30);

impl Indexing {
    /// Runs until `stop`, then publishes what is quick to publish and leaves the rest to replay.
    pub(crate) async fn run(self, builder: Builder, stop: CancellationToken) -> Result<(), Error> {
        let admin = Admin::new(&self.config.queue)?;
        let consumer = self.consumer()?;
        let now = Instant::now();
        let mut running = Running {
            parts: self,
            admin,
            consumer,
            builder: Some(builder),
            targets: HashMap::new(),
            is_caught_up: false,
            unrefreshed: false,
            refreshed_at: now,
            unpublished_since: None,
            publishing: None,
            look_for_partitions_at: now,
            ways: Ways::default(),
        };
        if running.take_positions(&stop).await? {
            running.index(&stop).await?;
        }
        running.finish(&stop).await
    }

    fn consumer(&self) -> Result<Consumer, Error> {
        let (queue, prefetch) = (&self.config.queue, self.index.prefetch_bytes());
        let consumer = Consumer::bounded(queue, &self.index.agent_topics(), prefetch)?;
        Ok(consumer.with_encodings(self.index.encodings()))
    }

    /// Whether ids of a topic's events may be in this index: its own topics', and those that no index has any more.
    fn may_hold(&self, topic: &str) -> bool {
        let of_another = |index: &&IndexConfig| {
            *index.name != *self.name && index.topics.iter().any(|known| known.name == topic)
        };
        !self.config.indexes.iter().any(|index| of_another(&index))
    }
}

impl Running {
    async fn index(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        while !stop.is_cancelled() {
            let is_full = self.builder().is_full();
            let due_at = self
                .unpublished_since
                .map(|since| since + self.parts.index.hot_age_max);
            if self.publishing.is_none()
                && (is_full || due_at.is_some_and(|due_at| due_at <= Instant::now()))
            {
                self.seal(stop).await?;
                continue;
            }
            let refresh_at = self.refreshed_at + self.parts.config.refresh;
            if self.unrefreshed && refresh_at <= Instant::now() {
                self.refresh().await?;
                continue;
            }
            let far = Instant::now() + limits::RECEIVE_WAIT;
            let wake_at = [
                self.unrefreshed.then_some(refresh_at),
                due_at.filter(|_| self.publishing.is_none()),
            ]
            .into_iter()
            .flatten()
            .fold(far, Instant::min);
            tokio::select! {
                () = stop.cancelled() => {}
                published = joined(&mut self.publishing) => self.published(published?)?,
                received = self.consumer.recv(limits::BATCH_RECORDS_MAX, limits::BATCH_BYTES_MAX, limits::RECEIVE_WAIT),
                    if !is_full => match received {
                        Ok(records) if records.is_empty() => {
                            self.note_caught_up();
                            self.look_for_partitions(stop).await?;
                        }
                        Ok(records) => {
                            self.add(records).await?;
                            // Steady traffic on the old partitions must not hide new ones.
                            self.look_for_partitions(stop).await?;
                        }
                        Err(error) => self.reconnect(error, stop).await?,
                    },
                () = sleep_until(wake_at) => {}
            }
        }
        Ok(())
    }

    async fn add(&mut self, mut records: Vec<logboom_event::Record>) -> Result<(), Error> {
        self.ways.begin(&mut records, &self.parts.name);
        self.unpublished_since.get_or_insert_with(Instant::now);
        self.unrefreshed = true;
        let tail = Arc::clone(&self.parts.tail);
        self.on_builder(move |builder| {
            builder.add(records, now_ms(), |record, event, id| {
                tail.offer(record, event, id)
            })
        })
        .await??;
        let counts = self.builder_mut().take_counts();
        self.parts.pipeline.counted(&self.parts.name, counts);
        Ok(())
    }

    /// Makes what was added searchable.
    async fn refresh(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        let searchers = self.on_builder(Builder::refresh).await??;
        self.parts.catalog.refresh(searchers);
        self.ways.refreshed();
        self.unrefreshed = false;
        self.refreshed_at = Instant::now();
        let index = Arc::clone(&self.parts.name);
        ::metrics::histogram!(metrics::REFRESH_SECONDS, "index" => index).record(started.elapsed());
        self.parts.pipeline.hot(&self.parts.name, self.builder());
        self.note_caught_up();
        Ok(())
    }

    fn note_caught_up(&mut self) {
        if self.is_caught_up || self.unrefreshed {
            return;
        }
        let behind = behind(&self.targets, self.builder());
        if behind.is_empty() || self.consumer.has_read_to(&behind) {
            self.is_caught_up = true;
            self.parts.catalog.caught_up();
            tracing::info!(
                index = &*self.parts.name,
                "everything that the queue held at start is searchable"
            );
        }
    }

    /// Seals the hot index and starts its publish.
    async fn seal(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        debug_assert!(self.publishing.is_none(), "one publish at a time");
        self.refresh().await?;
        self.parts.pipeline.gaps(&self.parts.name, self.builder());
        let sealed = self.builder_mut().seal(now_ms());
        self.unpublished_since = None;
        self.parts.catalog.seal();
        self.parts.pipeline.hot(&self.parts.name, self.builder());
        let publisher = self.parts.publisher.clone();
        let stop = stop.clone();
        let ways = self.ways.sealed(&self.parts.name);
        self.publishing = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let outcome = publisher.publish_until_done(&sealed, &stop).await;
            ways.ended(&outcome);
            outcome
        })));
        Ok(())
    }

    fn published(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        result?;
        self.publishing = None;
        let offsets = self.committed();
        let Indexing { pipeline, name, .. } = &self.parts;
        pipeline.published(name, &offsets, now_ms());
        self.tell(offsets);
        Ok(())
    }

    fn committed(&self) -> Vec<Assignment> {
        let positions = self.builder().positions();
        positions
            .map(|((topic, partition), position)| Assignment {
                topic: topic.to_string(),
                partition: *partition,
                offset: position.committed().next_offset,
            })
            .collect()
    }

    fn tell(&self, offsets: Vec<Assignment>) {
        self.parts.published.send_modify(|published| {
            published.extend(offsets.into_iter().map(|known| {
                let Assignment {
                    topic,
                    partition,
                    offset,
                } = known;
                ((Arc::from(topic), partition), offset)
            }));
        });
    }

    /// Proves every checkpoint against the log and assigns. False when stopped before.
    async fn take_positions(&mut self, stop: &CancellationToken) -> Result<bool, Error> {
        let mut pause = limits::RETRY_PAUSE_MIN;
        loop {
            match self.try_take_positions().await {
                Ok(()) => break,
                Err(error) if error.is_retriable() => {
                    tracing::warn!(%error, retry_in = ?pause, "cannot find out where to go on in the queue yet");
                    if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                        return Ok(false);
                    }
                    pause = (pause * 2).min(limits::RETRY_PAUSE_MAX);
                }
                Err(error) => return Err(error),
            }
        }
        self.note_caught_up();
        Ok(true)
    }

    async fn try_take_positions(&mut self) -> Result<(), Error> {
        let mut assignments = Vec::new();
        for known in self.parts.index.topics.clone() {
            let partitions = self
                .admin
                .ensure_topic(&known.name, self.parts.config.partitions)
                .await?;
            let topic: Arc<str> = Arc::from(known.name);
            for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
                let offset = self.take_position(&topic, partition).await?;
                assignments.push(Assignment {
                    topic: topic.to_string(),
                    partition,
                    offset,
                });
            }
        }
        self.consumer.assign(&assignments)?;
        self.look_for_partitions_at = Instant::now() + LOOK_FOR_PARTITIONS_INTERVAL;
        self.tell_stored_offsets();
        Ok(())
    }

    /// Where to go on in one partition: in memory if it was read before, else as stored.
    async fn take_position(&mut self, topic: &Arc<str>, partition: i32) -> Result<i64, Error> {
        let key = (Arc::clone(topic), partition);
        if !self.is_caught_up && !self.targets.contains_key(&key) {
            let (_, end) = self.admin.watermarks(topic, partition).await?;
            self.targets.insert(key, end);
        }
        let agent_topics = self.parts.index.agent_topics();
        let held = self
            .builder()
            .position(topic, partition)
            .map(Position::current);
        if let Some(current) = held {
            let queue = &self.parts.config.queue;
            let resumed = resume(queue, &agent_topics, topic, partition, Some(current)).await?;
            if resumed.rewound {
                let checkpoint = self
                    .with_own_ids(topic, partition, resumed.checkpoint, true)
                    .await?;
                let position = self
                    .builder_mut()
                    .position_mut(topic, partition)
                    .expect("it was there above");
                position.rewind(checkpoint);
            }
            return Ok(resumed.checkpoint.next_offset);
        }
        let stored = tables::checkpoint(&self.parts.database, topic, partition).await?;
        let (stored, marks) = stored.map_or((None, Default::default()), |(stored, marks)| {
            (Some(stored), marks)
        });
        let queue = &self.parts.config.queue;
        let resumed = resume(queue, &agent_topics, topic, partition, stored).await?;
        let is_new = stored.is_none() || resumed.rewound;
        let checkpoint = self
            .with_own_ids(topic, partition, resumed.checkpoint, is_new)
            .await?;
        if stored != Some(checkpoint) {
            let Indexing {
                database, epoch, ..
            } = &self.parts;
            tables::establish(database, *epoch, topic, partition, checkpoint, &marks).await?;
        }
        let position = Position::new(checkpoint, marks);
        self.builder_mut().place(topic, partition, position);
        Ok(checkpoint.next_offset)
    }

    /// An event's id does not say its topic: of the topics of an index, no two may be in the same incarnation of one
    /// partition number, now or earlier.
    async fn with_own_ids(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        checkpoint: Checkpoint,
        is_new: bool,
    ) -> Result<Checkpoint, Error> {
        let stored = tables::incarnations(&self.parts.database, partition).await?;
        let stored = stored
            .into_iter()
            .filter(|(other, _)| **other != **topic && self.parts.may_hold(other))
            .map(|(_, incarnation)| incarnation);
        let held = self
            .builder()
            .positions()
            .filter(|((other, its), _)| *its == partition && other != topic)
            .map(|(_, position)| position.current().incarnation);
        Ok(Checkpoint {
            incarnation: own_incarnation(checkpoint.incarnation, is_new, stored.chain(held)),
            ..checkpoint
        })
    }

    /// A new client, proved against the log again: an unknown error says nothing about the offsets.
    async fn reconnect(
        &mut self,
        error: logboom_client::Error,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        tracing::warn!(%error, "reading from the queue failed; resuming from the last record indexed");
        if stop
            .run_until_cancelled(sleep(limits::RETRY_PAUSE_MIN))
            .await
            .is_some()
        {
            self.consumer = self.parts.consumer()?;
            self.take_positions(stop).await?;
        }
        Ok(())
    }

    /// Topics may grow; their new partitions are read from the start.
    async fn look_for_partitions(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        if Instant::now() < self.look_for_partitions_at {
            return Ok(());
        }
        self.look_for_partitions_at = Instant::now() + LOOK_FOR_PARTITIONS_INTERVAL;
        let mut found = 0;
        for topic in &self.parts.index.topics {
            match self.admin.partitions(&topic.name).await {
                Ok(partitions) => found += partitions.unwrap_or(0) as usize,
                // The queue is away for a moment; the next look will tell.
                Err(_) => return Ok(()),
            }
        }
        if found > self.builder().positions().count() {
            self.take_positions(stop).await?;
        }
        Ok(())
    }

    /// What the metastore holds already; a publish in flight will tell its own offsets once it is durable.
    fn tell_stored_offsets(&self) {
        if self.publishing.is_some() {
            return;
        }
        let offsets = self.committed();
        self.parts.pipeline.started(&self.parts.name, &offsets);
        self.tell(offsets);
    }

    /// Ends the publish in flight and, when that is quick, publishes the rest. What is not published is
    /// read again at the next start.
    async fn finish(mut self, stop: &CancellationToken) -> Result<(), Error> {
        let mut outcome = Ok(());
        if self.publishing.is_some() {
            outcome = joined(&mut self.publishing).await?;
        }
        let is_quick = self.builder().raw_bytes() <= limits::PUBLISH_ON_STOP_BYTES_MAX;
        if outcome.is_ok() && self.unpublished_since.is_some() && is_quick {
            self.refresh().await?;
            let sealed = self.builder_mut().seal(now_ms());
            self.parts.catalog.seal();
            let ways = self.ways.sealed(&self.parts.name);
            outcome = self.parts.publisher.publish_until_done(&sealed, stop).await;
            ways.ended(&outcome);
        }
        match outcome {
            Err(error) if error.is_retriable() => {
                tracing::warn!(%error, "stopping without a last publish; its records are read again at the next start");
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn builder(&self) -> &Builder {
        self.builder
            .as_ref()
            .expect("the builder is back from its thread")
    }

    fn builder_mut(&mut self) -> &mut Builder {
        self.builder
            .as_mut()
            .expect("the builder is back from its thread")
    }

    /// Lends the builder to a blocking thread. Must not be cancelled: the builder would be lost.
    async fn on_builder<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Builder) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let mut builder = self
            .builder
            .take()
            .expect("the builder is back from its thread");
        let (builder, result) = tokio::task::spawn_blocking(move || {
            let result = work(&mut builder);
            (builder, result)
        })
        .await?;
        self.builder = Some(builder);
        Ok(result)
    }
}

/// The ends that no record was the last one before. Markers of transactions may stand there, which no reader is given.
fn behind(targets: &HashMap<(Arc<str>, i32), i64>, builder: &Builder) -> Vec<Assignment> {
    let is_behind = |((topic, partition), end): &(&(Arc<str>, i32), &i64)| {
        let position = builder.position(topic, *partition);
        position.is_none_or(|position| position.current().next_offset < **end)
    };
    let behind = targets.iter().filter(is_behind);
    let behind = behind.map(|((topic, partition), end)| Assignment {
        topic: topic.to_string(),
        partition: *partition,
        offset: *end,
    });
    behind.collect()
}

/// A new incarnation comes after all that any topic has had, so also after what those were in before. One that goes
/// on is kept; only directories from before this was so have two topics in the same.
fn own_incarnation(wanted: u32, is_new: bool, others: impl Iterator<Item = u32>) -> u32 {
    let others: Vec<u32> = others.collect();
    let next = others.iter().max().map_or(1, |highest| highest + 1);
    if is_new {
        wanted.max(next)
    } else if others.contains(&wanted) {
        next
    } else {
        wanted
    }
}

/// Waits for a task if there is one, else for ever.
async fn joined(
    task: &mut Option<AbortOnDropHandle<Result<(), Error>>>,
) -> Result<Result<(), Error>, Error> {
    match task {
        Some(task) => Ok(task.await?),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use logboom_client::Marks;

    use super::*;
    use crate::{hot::Mould, kind::Kind};

    #[test]
    fn only_ends_that_no_record_reached_are_looked_behind() {
        let mut builder = Builder::new(Mould::new(Kind::Logs), 64 << 20);
        let topic: Arc<str> = Arc::from("logs");
        for (partition, next_offset) in [(0, 7), (1, 4)] {
            let checkpoint = Checkpoint {
                incarnation: 1,
                next_offset,
                last_crc: None,
            };
            let position = Position::new(checkpoint, Marks::default());
            builder.place(&topic, partition, position);
        }
        let targets = [(0, 7), (1, 5)].map(|(at, end)| ((Arc::clone(&topic), at), end));
        let behind = behind(&HashMap::from(targets), &builder);
        let expected = Assignment {
            topic: "logs".to_owned(),
            partition: 1,
            offset: 5,
        };
        assert_eq!(behind, [expected]);
    }

    #[test]
    fn topics_of_an_index_never_share_an_incarnation_of_a_partition() {
        let own = |wanted, is_new, others: &[u32]| {
            own_incarnation(wanted, is_new, others.iter().copied())
        };
        assert_eq!(own(1, true, &[]), 1);
        assert_eq!(own(1, true, &[1]), 2, "a second topic");
        assert_eq!(own(2, true, &[2]), 3, "the first one's log was replaced");
        assert_eq!(own(1, true, &[2, 3]), 4, "a third: another was in 1 before");
        assert_eq!(own(4, true, &[2, 3]), 4);
        assert_eq!(own(3, false, &[2, 4]), 3, "what goes on stays as it is");
        assert_eq!(own(1, false, &[1]), 2, "a directory from before");
    }
}
