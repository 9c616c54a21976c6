//! The partitions that an index reads, and where it goes on in each: found in the queue, proved against its log,
//! assigned to the consumer.
//!
//! A partition that was read before goes on in memory, else as the metastore has it, else at its start.

use std::{collections::HashMap, sync::Arc};

use logboom_client::{Admin, Assignment, Checkpoint, Consumer, resume};
use logboom_metastore::Database;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    build::Builder,
    config::{Config, IndexConfig},
    consume::Indexing,
    error::Error,
    limits,
    position::Position,
    tables,
};

/// Ends of partitions.
type Targets = HashMap<(Arc<str>, i32), i64>;

/// Those of one index.
pub(crate) struct Partitions {
    config: Arc<Config>,
    index: IndexConfig,
    database: Database,
    epoch: i64,
    admin: Admin,
    /// Where every partition ended when we started: before that, answers are incomplete.
    targets: Targets,
    is_caught_up: bool,
    look_at: Instant,
}

impl Partitions {
    pub(crate) fn new(indexing: &Indexing) -> Result<Partitions, Error> {
        Ok(Partitions {
            config: Arc::clone(&indexing.config),
            index: indexing.index.clone(),
            database: indexing.database.clone(),
            epoch: indexing.epoch,
            admin: Admin::new(&indexing.config.queue)?,
            targets: Targets::new(),
            is_caught_up: false,
            look_at: Instant::now(),
        })
    }

    /// Proves every checkpoint against the log and assigns. False when stopped before.
    pub(crate) async fn take_positions(
        &mut self,
        builder: &mut Builder,
        consumer: &mut Consumer,
        stop: &CancellationToken,
    ) -> Result<bool, Error> {
        let mut pause = limits::RETRY_PAUSE_MIN;
        loop {
            match self.try_take_positions(builder, consumer).await {
                Ok(()) => return Ok(true),
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
    }

    /// How many the topics have by now; asked of the queue now and then only, else absent.
    pub(crate) async fn look(&mut self) -> Option<usize> {
        if Instant::now() < self.look_at {
            return None;
        }
        self.look_at = Instant::now() + limits::LOOK_FOR_PARTITIONS_INTERVAL;
        let mut found = 0;
        for topic in &self.index.topics {
            match self.admin.partitions(&topic.name).await {
                Ok(partitions) => found += partitions.unwrap_or(0) as usize,
                // The queue is away for a moment; the next look will tell.
                Err(_) => return None,
            }
        }
        Some(found)
    }

    /// True once: when all is read that the queue held at start.
    pub(crate) fn catch_up(&mut self, builder: &Builder, consumer: &Consumer) -> bool {
        if self.is_caught_up {
            return false;
        }
        let behind = behind(&self.targets, builder);
        self.is_caught_up = behind.is_empty() || consumer.has_read_to(&behind);
        self.is_caught_up
    }

    async fn try_take_positions(
        &mut self,
        builder: &mut Builder,
        consumer: &mut Consumer,
    ) -> Result<(), Error> {
        let mut assignments = Vec::new();
        for known in self.index.topics.clone() {
            let partitions = self
                .admin
                .ensure_topic(&known.name, self.config.partitions)
                .await?;
            let topic: Arc<str> = Arc::from(known.name);
            for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
                let offset = self.take_position(builder, &topic, partition).await?;
                assignments.push(Assignment {
                    topic: topic.to_string(),
                    partition,
                    offset,
                });
            }
        }
        consumer.assign(&assignments)?;
        self.look_at = Instant::now() + limits::LOOK_FOR_PARTITIONS_INTERVAL;
        Ok(())
    }

    /// Where to go on in one partition: in memory if it was read before, else as stored.
    async fn take_position(
        &mut self,
        builder: &mut Builder,
        topic: &Arc<str>,
        partition: i32,
    ) -> Result<i64, Error> {
        let key = (Arc::clone(topic), partition);
        if !self.is_caught_up && !self.targets.contains_key(&key) {
            let (_, end) = self.admin.watermarks(topic, partition).await?;
            self.targets.insert(key, end);
        }
        let held = builder.position(topic, partition).map(Position::current);
        match held {
            Some(current) => self.go_on(builder, topic, partition, current).await,
            None => self.begin(builder, topic, partition).await,
        }
    }

    async fn go_on(
        &self,
        builder: &mut Builder,
        topic: &Arc<str>,
        partition: i32,
        current: Checkpoint,
    ) -> Result<i64, Error> {
        let (queue, agent_topics) = (&self.config.queue, self.index.agent_topics());
        let resumed = resume(queue, &agent_topics, topic, partition, Some(current)).await?;
        if resumed.rewound {
            let checkpoint = self
                .with_own_ids(builder, topic, partition, resumed.checkpoint, true)
                .await?;
            let position = builder.position_mut(topic, partition);
            position
                .expect("whose checkpoint goes on has a position")
                .rewind(checkpoint);
        }
        Ok(resumed.checkpoint.next_offset)
    }

    async fn begin(
        &self,
        builder: &mut Builder,
        topic: &Arc<str>,
        partition: i32,
    ) -> Result<i64, Error> {
        let stored = tables::checkpoint(&self.database, topic, partition).await?;
        let (stored, marks) = stored.map_or((None, Default::default()), |(stored, marks)| {
            (Some(stored), marks)
        });
        let (queue, agent_topics) = (&self.config.queue, self.index.agent_topics());
        let resumed = resume(queue, &agent_topics, topic, partition, stored).await?;
        let is_new = stored.is_none() || resumed.rewound;
        let checkpoint = self
            .with_own_ids(builder, topic, partition, resumed.checkpoint, is_new)
            .await?;
        if stored != Some(checkpoint) {
            let (database, epoch) = (&self.database, self.epoch);
            tables::establish(database, epoch, topic, partition, checkpoint, &marks).await?;
        }
        builder.place(topic, partition, Position::new(checkpoint, marks));
        Ok(checkpoint.next_offset)
    }

    /// An event's id does not say its topic: of the topics of an index, no two may be in the same incarnation of one
    /// partition number, now or earlier.
    async fn with_own_ids(
        &self,
        // Read only; but a builder is not `Sync`, so no task may await with a shared one.
        builder: &mut Builder,
        topic: &Arc<str>,
        partition: i32,
        checkpoint: Checkpoint,
        is_new: bool,
    ) -> Result<Checkpoint, Error> {
        let stored = tables::incarnations(&self.database, partition).await?;
        let stored = stored
            .into_iter()
            .filter(|(other, _)| **other != **topic && self.may_hold(other))
            .map(|(_, incarnation)| incarnation);
        let held = builder
            .positions()
            .filter(|((other, its), _)| *its == partition && other != topic)
            .map(|(_, position)| position.current().incarnation);
        Ok(Checkpoint {
            incarnation: own_incarnation(checkpoint.incarnation, is_new, stored.chain(held)),
            ..checkpoint
        })
    }

    /// Whether ids of a topic's events may be in this index: its own topics', and those that no index has any more.
    fn may_hold(&self, topic: &str) -> bool {
        let of_another = |index: &&IndexConfig| {
            index.name != self.index.name && index.topics.iter().any(|known| known.name == topic)
        };
        !self.config.indexes.iter().any(|index| of_another(&index))
    }
}

/// The ends that no record was the last one before. Markers of transactions may stand there, which no reader is given.
fn behind(targets: &Targets, builder: &Builder) -> Vec<Assignment> {
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
        let behind = behind(&Targets::from(targets), &builder);
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
