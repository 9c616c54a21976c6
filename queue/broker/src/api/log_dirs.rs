//! DescribeLogDirs: how much each partition takes, and how much room its disk has. There is one directory.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{
    ApiKey, DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName,
};
use tracing::warn;

use super::{Call, text};
use crate::security::Resource;
use crate::topics::Topic;

pub(super) async fn describe(
    call: &Call<'_>,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    if !call.may(ApiKey::DescribeLogDirs, Resource::Cluster) {
        let code = ResponseError::ClusterAuthorizationFailed.code();
        // Older versions have a place for it in the rows only.
        return match call.version {
            3.. => DescribeLogDirsResponse::default().with_error_code(code),
            _ => DescribeLogDirsResponse::default()
                .with_results(vec![DescribeLogDirsResult::default().with_error_code(code)]),
        };
    }
    let topics: Vec<DescribeLogDirsTopic> = match request.topics {
        None => {
            let all = call.node.topics.list();
            all.iter().map(|topic| row(topic, None)).collect()
        }
        Some(asked) => {
            // Each once, and what is not there is left out, as Kafka does.
            let mut wanted: BTreeMap<TopicName, BTreeSet<i32>> = BTreeMap::new();
            for topic in asked {
                wanted
                    .entry(topic.topic)
                    .or_default()
                    .extend(topic.partitions);
            }
            let known = wanted
                .iter()
                .filter_map(|(name, numbers)| Some((call.node.topics.get(name)?, numbers)));
            known
                .map(|(topic, numbers)| row(&topic, Some(numbers)))
                .collect()
        }
    };
    let (total, usable) = room(call).await;
    let directory = call.node.config.data_dir.join("log");
    DescribeLogDirsResponse::default().with_results(vec![
        DescribeLogDirsResult::default()
            .with_log_dir(text(directory.to_string_lossy()))
            .with_topics(topics)
            .with_total_bytes(total)
            .with_usable_bytes(usable),
    ])
}

fn row(topic: &Topic, wanted: Option<&BTreeSet<i32>>) -> DescribeLogDirsTopic {
    let partitions = topic
        .partitions
        .iter()
        .filter(|log| wanted.is_none_or(|numbers| numbers.contains(&log.partition())))
        .map(|log| {
            DescribeLogDirsPartition::default()
                .with_partition_index(log.partition())
                .with_partition_size(i64::try_from(log.size_bytes()).unwrap_or(i64::MAX))
        })
        .collect();
    DescribeLogDirsTopic::default()
        .with_name(TopicName(text(&*topic.name)))
        .with_partitions(partitions)
}

/// Size of the disk and what is free on it; −1 where that is not known.
async fn room(call: &Call<'_>) -> (i64, i64) {
    let topics = call.node.topics.clone();
    let space = tokio::task::spawn_blocking(move || topics.disk_space()).await;
    match space {
        Ok(Ok(space)) => {
            let told = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
            (told(space.total), told(space.free))
        }
        Ok(Err(error)) => {
            warn!(%error, "room on the queue's disk is not known");
            (-1, -1)
        }
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
