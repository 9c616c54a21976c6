//! The indexing loop of one index: queue → builder → catalog, and a publish now and then. Every index has its own,
//! so that a flood of spans seals, or stops, no logs.
//!
//! One task owns the builder; its CPU work runs on a blocking thread, one step at a time. One publish is in
//! flight at most; when the next hot index is full before that has ended, fetching stops.
//! Trouble with the queue is waited out for ever; trouble that would lose or double records ends the
//! indexer.

use std::sync::Arc;

use logboom_client::{Assignment, Consumer};
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
    partitions::Partitions,
    pipeline::Pipeline,
    publish::{Publisher, now_ms},
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
    partitions: Partitions,
    consumer: Consumer,
    /// Absent only while it works on a blocking thread.
    builder: Option<Builder>,
    /// When the oldest unrefreshed and the oldest unpublished record came.
    unrefreshed: bool,
    refreshed_at: Instant,
    unpublished_since: Option<Instant>,
    publishing: Option<AbortOnDropHandle<Result<(), Error>>>,
    ways: Ways,
}

const IS_BACK: &str = "the builder is back from its thread";

impl Indexing {
    /// Runs until `stop`, then publishes what is quick to publish and leaves the rest to replay.
    pub(crate) async fn run(self, builder: Builder, stop: CancellationToken) -> Result<(), Error> {
        let partitions = Partitions::new(&self)?;
        let consumer = self.consumer()?;
        let now = Instant::now();
        let mut running = Running {
            parts: self,
            partitions,
            consumer,
            builder: Some(builder),
            unrefreshed: false,
            refreshed_at: now,
            unpublished_since: None,
            publishing: None,
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
        let builder = self.builder.as_ref().expect(IS_BACK);
        if !self.unrefreshed && self.partitions.catch_up(builder, &self.consumer) {
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

    /// Reads on where every partition says. False when stopped before.
    async fn take_positions(&mut self, stop: &CancellationToken) -> Result<bool, Error> {
        let builder = self.builder.as_mut().expect(IS_BACK);
        let (partitions, consumer) = (&mut self.partitions, &mut self.consumer);
        if !partitions.take_positions(builder, consumer, stop).await? {
            return Ok(false);
        }
        self.tell_stored_offsets();
        self.note_caught_up();
        Ok(true)
    }

    /// Topics may grow; their new partitions are read from the start.
    async fn look_for_partitions(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let found = self.partitions.look().await;
        if found.is_some_and(|found| found > self.builder().positions().count()) {
            self.take_positions(stop).await?;
        }
        Ok(())
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
        self.builder.as_ref().expect(IS_BACK)
    }

    fn builder_mut(&mut self) -> &mut Builder {
        self.builder.as_mut().expect(IS_BACK)
    }

    /// Lends the builder to a blocking thread. Must not be cancelled: the builder would be lost.
    async fn on_builder<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Builder) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let mut builder = self.builder.take().expect(IS_BACK);
        let (builder, result) = tokio::task::spawn_blocking(move || {
            let result = work(&mut builder);
            (builder, result)
        })
        .await?;
        self.builder = Some(builder);
        Ok(result)
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
