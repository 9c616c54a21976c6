//! A cluster as a whole, for who copies it: its id, the ends of all their partitions at once, and positions
//! that are committed with a note.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::Admin;
use crate::config::Isolation;
use crate::consumer::Assignment;
use crate::context::Context;
use crate::error::Error;
use crate::inspect::Partition;
use crate::limits::{PREFETCH_BYTES, REQUEST_TIMEOUT};

/// The first offset of a partition and the one after its last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub low: i64,
    pub high: i64,
}

/// A committed offset and the note that was left with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub next: Assignment,
    pub note: String,
}

impl Admin {
    /// What the cluster calls itself; `None` when it has no id.
    pub async fn cluster_id(&self) -> Result<Option<String>, Error> {
        self.blocking("ask for the cluster's id".to_owned(), |shared| {
            let client = shared.client.inner();
            // The id alone cannot be told from no answer.
            client.fetch_metadata(None, REQUEST_TIMEOUT)?;
            Ok(client
                .fetch_cluster_id(REQUEST_TIMEOUT)
                .filter(|id| !id.is_empty()))
        })
        .await
    }

    /// Sees to it that the topic has at least `count` partitions.
    pub async fn grow_topic(&self, topic: &str, count: u32) -> Result<(), Error> {
        let what = || format!("give topic `{topic}` {count} partitions");
        let grown = NewPartitions::new(topic, count as usize);
        let options = AdminOptions::new()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .operation_timeout(Some(REQUEST_TIMEOUT));
        let results = self.shared.client.create_partitions([&grown], &options);
        let results = results
            .await
            .map_err(|source| self.unavailable(what(), source))?;
        for result in results {
            match result {
                // Another has grown it meanwhile.
                Ok(_) | Err((_, RDKafkaErrorCode::InvalidPartitions)) => {}
                Err((_, code)) => return Err(self.unavailable(what(), KafkaError::AdminOp(code))),
            }
        }
        Ok(())
    }

    /// The ends of those partitions that tell them, in two rounds of requests. With [`Isolation::Committed`], an end is the last record
    /// before which no transaction is open.
    pub async fn bounds(
        &self,
        partitions: &[Partition],
        isolation: Isolation,
    ) -> Result<HashMap<Partition, Bounds>, Error> {
        let partitions = partitions.to_vec();
        self.blocking("read the ends of partitions".to_owned(), move |shared| {
            if partitions.is_empty() {
                return Ok(HashMap::new());
            }
            let config = &shared.config;
            let settings = config.reader(&config.client_id, PREFETCH_BYTES, isolation);
            let asking: BaseConsumer<Context> =
                settings.create_with_context(Context::new(config))?;
            // Beginning and End are the two times that stand for the ends.
            let mut lows = offsets_at(&asking, &partitions, Offset::Beginning)?;
            let highs = offsets_at(&asking, &partitions, Offset::End)?;
            let both = highs
                .into_iter()
                .filter_map(|(name, high)| lows.remove(&name).map(|low| (name, low, high)));
            Ok(both
                .map(|(name, low, high)| (name, Bounds { low, high }))
                .collect())
        })
        .await
    }

    /// What `group` has committed for these partitions, where it has.
    pub async fn positions(
        &self,
        group: &str,
        partitions: &[Partition],
    ) -> Result<Vec<Position>, Error> {
        let (name, partitions) = (group.to_owned(), partitions.to_vec());
        let what = format!("read the offsets of group `{group}`");
        self.blocking(what, move |shared| {
            if partitions.is_empty() {
                return Ok(Vec::new());
            }
            let mut list = TopicPartitionList::with_capacity(partitions.len());
            for (topic, partition) in &partitions {
                list.add_partition(topic, *partition);
            }
            let committed = shared
                .committer(&name)?
                .committed_offsets(list, REQUEST_TIMEOUT)?;
            let mut positions = Vec::new();
            for element in committed.elements() {
                element.error()?;
                if let Offset::Offset(offset) = element.offset() {
                    positions.push(Position {
                        next: Assignment {
                            topic: element.topic().to_owned(),
                            partition: element.partition(),
                            offset,
                        },
                        note: note_of(&element),
                    });
                }
            }
            Ok(positions)
        })
        .await
    }

    /// Commits positions with their notes under `group`.
    pub async fn commit_positions(
        &self,
        group: &str,
        positions: Vec<Position>,
    ) -> Result<(), Error> {
        let name = group.to_owned();
        let what = format!("commit offsets of group `{group}`");
        self.blocking(what, move |shared| {
            let mut list = TopicPartitionList::with_capacity(positions.len());
            for Position { next, note } in &positions {
                let mut element = list.add_partition(&next.topic, next.partition);
                element.set_offset(Offset::Offset(next.offset))?;
                element.set_metadata(note);
            }
            shared.committer(&name)?.commit(&list, CommitMode::Sync)
        })
        .await
    }
}

fn offsets_at(
    asking: &BaseConsumer<Context>,
    partitions: &[Partition],
    at: Offset,
) -> Result<HashMap<Partition, i64>, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        list.add_partition_offset(topic, *partition, at)?;
    }
    let answered = asking.offsets_for_times(list, REQUEST_TIMEOUT)?;
    let mut offsets = HashMap::with_capacity(partitions.len());
    for element in answered.elements() {
        if let Offset::Offset(offset) = element.offset() {
            offsets.insert((element.topic().to_owned(), element.partition()), offset);
        }
    }
    Ok(offsets)
}

/// Empty for one that is no text: rdkafka 0.39 panics on it, and anybody may commit under any group's name.
fn note_of(element: &TopicPartitionListElem<'_>) -> String {
    catch_unwind(AssertUnwindSafe(|| element.metadata().to_owned())).unwrap_or_default()
}
