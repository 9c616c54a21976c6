//! What a cluster holds, for people who look: topics, groups, offsets and records of any owner. Nothing of it moves
//! or commits anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::admin::{AdminOptions, ConfigSource, ResourceSpecifier};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use crate::admin::{Admin, Bounds};
use crate::config::Isolation;
use crate::error::Error;
use crate::limits::REQUEST_TIMEOUT;
use crate::raw::RawRecord;

/// A partition of a topic.
pub type Partition = (String, i32);

/// A topic and the numbers of its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    pub name: String,
    pub partitions: Vec<i32>,
}

/// A consumer group as its coordinator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInfo {
    pub name: String,
    pub state: String,
    pub protocol_type: String,
    pub members: Vec<MemberInfo>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInfo {
    pub id: String,
    pub client_id: String,
    pub host: String,
}

impl Admin {
    /// All topics with the numbers of their partitions, by name.
    pub async fn topics(&self) -> Result<Vec<TopicInfo>, Error> {
        self.blocking("list the topics".to_owned(), move |shared| {
            let metadata = shared
                .client
                .inner()
                .fetch_metadata(None, REQUEST_TIMEOUT)?;
            let topics = metadata.topics().iter().map(|topic| {
                let mut partitions: Vec<i32> =
                    topic.partitions().iter().map(|row| row.id()).collect();
                partitions.sort_unstable();
                TopicInfo {
                    name: topic.name().to_owned(),
                    partitions,
                }
            });
            let mut topics: Vec<TopicInfo> = topics.collect();
            topics.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            Ok(topics)
        })
        .await
    }

    /// What topics have set for themselves, as `name=value`, by topic.
    pub async fn topic_settings(
        &self,
        topics: &[String],
    ) -> Result<BTreeMap<String, Vec<String>>, Error> {
        if topics.is_empty() {
            return Ok(BTreeMap::new());
        }
        let resources: Vec<_> = topics
            .iter()
            .map(|topic| ResourceSpecifier::Topic(topic))
            .collect();
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let what = || "read the settings of topics".to_owned();
        let described = self
            .shared
            .client
            .describe_configs(&resources, &options)
            .await;
        let described = described.map_err(|source| self.unavailable(what(), source))?;
        let mut found = BTreeMap::new();
        // In the order in which they were asked for.
        for (topic, settings) in topics.iter().zip(described) {
            let settings =
                settings.map_err(|code| self.unavailable(what(), KafkaError::AdminOp(code)))?;
            let own = settings
                .entries
                .into_iter()
                .filter(|entry| matches!(entry.source, ConfigSource::DynamicTopic))
                .map(|entry| format!("{}={}", entry.name, entry.value.unwrap_or_default()));
            found.insert(topic.clone(), own.collect());
        }
        Ok(found)
    }

    /// Of each partition the first offset and the one after the last record.
    pub async fn ends(
        &self,
        partitions: Vec<Partition>,
    ) -> Result<BTreeMap<Partition, (i64, i64)>, Error> {
        let bounds = self.bounds(&partitions, Isolation::Committed).await?;
        let ends = bounds.into_iter();
        Ok(ends
            .map(|(partition, Bounds { low, high })| (partition, (low, high)))
            .collect())
    }

    /// All groups, by name.
    pub async fn groups(&self) -> Result<Vec<GroupInfo>, Error> {
        self.blocking("list the groups".to_owned(), move |shared| {
            let list = shared
                .client
                .inner()
                .fetch_group_list(None, REQUEST_TIMEOUT)?;
            let groups = list.groups().iter().map(|group| GroupInfo {
                name: group.name().to_owned(),
                state: group.state().to_owned(),
                protocol_type: group.protocol_type().to_owned(),
                members: group
                    .members()
                    .iter()
                    .map(|member| MemberInfo {
                        id: member.id().to_owned(),
                        client_id: member.client_id().to_owned(),
                        host: member.client_host().to_owned(),
                    })
                    .collect(),
            });
            let mut groups: Vec<GroupInfo> = groups.collect();
            groups.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            Ok(groups)
        })
        .await
    }

    /// What a group has committed for some of `partitions`.
    pub async fn committed(
        &self,
        group: &str,
        partitions: Vec<Partition>,
    ) -> Result<BTreeMap<Partition, i64>, Error> {
        let name = group.to_owned();
        let what = format!("read the offsets of group `{group}`");
        self.blocking(what, move |shared| {
            let mut asked = TopicPartitionList::with_capacity(partitions.len());
            for (topic, partition) in &partitions {
                asked.add_partition(topic, *partition);
            }
            let found = shared
                .member_of(&name)?
                .committed_offsets(asked, REQUEST_TIMEOUT)?;
            let rows = found
                .elements()
                .into_iter()
                .filter_map(|row| match row.offset() {
                    Offset::Offset(offset) => {
                        Some(((row.topic().to_owned(), row.partition()), offset))
                    }
                    _ => None,
                });
            Ok(rows.collect())
        })
        .await
    }

    /// Hands the records of a partition from offset `from` up to `to`, which is not included, to `each`, until that says
    /// `false`.
    pub async fn records(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        to: i64,
        mut each: impl FnMut(RawRecord) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let name = topic.to_owned();
        let what = format!("read the records of `{topic}`/{partition}");
        self.blocking(what, move |shared| {
            let looker = shared.looker()?;
            let mut assigned = TopicPartitionList::new();
            assigned.add_partition_offset(&name, partition, Offset::Offset(from))?;
            looker.assign(&assigned)?;
            let mut next = from;
            let topic: Arc<str> = name.as_str().into();
            while next < to {
                let Some(message) = looker.poll(REQUEST_TIMEOUT) else {
                    // What is left are records that nobody is given, such as marks of transactions.
                    break;
                };
                let record = RawRecord::read(&message?, Arc::clone(&topic));
                next = record.offset + 1;
                if record.offset >= to || !each(record) {
                    break;
                }
            }
            looker.unassign()
        })
        .await
    }
}
