//! OffsetCommit and OffsetFetch.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    ApiKey, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
    TopicName,
};
use metrics::counter;
use tracing::warn;

use super::{Call, partition, text};
use crate::limits::{GROUP_ID_BYTES_MAX, OFFSET_METADATA_BYTES_MAX};
use crate::metrics as names;
use crate::node::now_ms;
use crate::offsets::{Committed, Row, StoreError};
use crate::security::{Operation, Resource};
use crate::topics::Topic;

pub(super) async fn commit(call: &Call<'_>, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let refusal = refuse_commit(call, &request).err();
    let time_ms = now_ms();
    let mut rows = Vec::new();
    // Every row's own error first; the rows without one are committed together.
    let mut topics: Vec<OffsetCommitResponseTopic> = request
        .topics
        .into_iter()
        .map(|asked| {
            let topic = call.topic(ApiKey::OffsetCommit, &asked.name);
            let partitions = asked
                .partitions
                .into_iter()
                .map(|row| {
                    let index = row.partition_index;
                    let metadata = row.committed_metadata.unwrap_or_default();
                    let error = refusal.or(check_row(&topic, index, &metadata).err());
                    if error.is_none() {
                        rows.push(Row {
                            topic: asked.name.to_string(),
                            partition: index,
                            committed: Committed {
                                offset: row.committed_offset,
                                leader_epoch: row.committed_leader_epoch,
                                metadata: metadata.to_string(),
                                time_ms,
                            },
                        });
                    }
                    OffsetCommitResponsePartition::default()
                        .with_partition_index(index)
                        .with_error_code(error.map_or(0, |error| error.code()))
                })
                .collect();
            OffsetCommitResponseTopic::default()
                .with_name(asked.name)
                .with_partitions(partitions)
        })
        .collect();
    if !rows.is_empty() {
        counter!(names::OFFSET_COMMITS).increment(rows.len() as u64);
        if let Err(error) = call.node.offsets.commit(&request.group_id, rows).await {
            warn!(group = %request.group_id.0, %error, "offsets cannot be committed");
            let code = store_code(&error).code();
            for row in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                if row.error_code == 0 {
                    row.error_code = code;
                }
            }
        }
    }
    OffsetCommitResponse::default().with_topics(topics)
}

fn refuse_commit(call: &Call<'_>, request: &OffsetCommitRequest) -> Result<(), ResponseError> {
    if !(1..=GROUP_ID_BYTES_MAX).contains(&request.group_id.len()) {
        return Err(ResponseError::InvalidGroupId);
    }
    if !call.may(ApiKey::OffsetCommit, Resource::Group(&request.group_id)) {
        return Err(ResponseError::GroupAuthorizationFailed);
    }
    call.node.groups.may_commit(
        Instant::now(),
        &request.group_id,
        &request.member_id,
        request.group_instance_id.as_deref(),
        request.generation_id_or_member_epoch,
    )
}

/// Whether an offset may be committed for a partition, as far as that can be told without its group.
pub(super) fn check_row(
    topic: &Result<Arc<Topic>, ResponseError>,
    index: i32,
    metadata: &str,
) -> Result<(), ResponseError> {
    partition(topic, index)?;
    if metadata.len() > OFFSET_METADATA_BYTES_MAX {
        return Err(ResponseError::OffsetMetadataTooLarge);
    }
    Ok(())
}

pub(super) fn store_code(error: &StoreError) -> ResponseError {
    match error {
        StoreError::TooMany | StoreError::TooLarge => ResponseError::PolicyViolation,
        // Retriable: there may be room, or another broker, later.
        StoreError::JournalFull | StoreError::Storage(_) | StoreError::Stopping => {
            ResponseError::CoordinatorNotAvailable
        }
    }
}

/// A committed offset as both forms of the answer need it. The journal has been replayed before the first
/// connection is accepted, so "nothing committed" is the truth and never "not loaded yet".
struct Looked {
    partition: i32,
    /// `UnstableOffsetCommit`: an open transaction may change it, and the client wants to wait for that.
    found: Result<Option<Committed>, ResponseError>,
}

impl Looked {
    fn parts(self) -> (Option<Committed>, i16) {
        match self.found {
            Ok(committed) => (committed, 0),
            Err(error) => (None, error.code()),
        }
    }
}

pub(super) fn fetch(call: &Call<'_>, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let stable = request.require_stable;
    if call.version >= 8 {
        // Each once, the first time that it is named: a few bytes must not ask for all of a group again and again.
        let mut seen = HashSet::new();
        let mut asked_for = request.groups;
        asked_for.retain(|group| seen.insert(group.group_id.clone()));
        let groups = asked_for.into_iter().map(|group| {
            if !may_fetch(call, &group.group_id) {
                return OffsetFetchResponseGroup::default()
                    .with_error_code(ResponseError::GroupAuthorizationFailed.code())
                    .with_group_id(group.group_id);
            }
            let asked = group.topics.map(|topics| {
                topics
                    .into_iter()
                    .map(|topic| (topic.name, topic.partition_indexes))
                    .collect()
            });
            let topics = look_up(call, &group.group_id, asked, stable)
                .into_iter()
                .map(|(name, rows)| {
                    OffsetFetchResponseTopics::default()
                        .with_name(name)
                        .with_partitions(rows.into_iter().map(grouped_row).collect())
                });
            let topics = topics.collect();
            OffsetFetchResponseGroup::default()
                .with_group_id(group.group_id)
                .with_topics(topics)
        });
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    if !may_fetch(call, &request.group_id) {
        return refuse_fetch(call.version, request);
    }
    // Null asks for everything, since version 2.
    let asked = request.topics.map(|topics| {
        topics
            .into_iter()
            .map(|topic| (topic.name, topic.partition_indexes))
            .collect()
    });
    let topics = look_up(call, &request.group_id, asked, stable)
        .into_iter()
        .map(|(name, rows)| {
            OffsetFetchResponseTopic::default()
                .with_name(name)
                .with_partitions(rows.into_iter().map(single_row).collect())
        });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

fn may_fetch(call: &Call<'_>, group: &str) -> bool {
    call.may(ApiKey::OffsetFetch, Resource::Group(group))
}

/// Version 1 has no place for an error but in the rows.
fn refuse_fetch(version: i16, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let code = ResponseError::GroupAuthorizationFailed.code();
    if version >= 2 {
        return OffsetFetchResponse::default().with_error_code(code);
    }
    let topics = request.topics.unwrap_or_default().into_iter().map(|topic| {
        let rows = topic.partition_indexes.iter().map(|partition| {
            single_row(Looked {
                partition: *partition,
                found: Err(ResponseError::GroupAuthorizationFailed),
            })
        });
        OffsetFetchResponseTopic::default()
            .with_partitions(rows.collect())
            .with_name(topic.name)
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

fn look_up(
    call: &Call<'_>,
    group: &str,
    asked: Option<Vec<(TopicName, Vec<i32>)>>,
    stable: bool,
) -> Vec<(TopicName, Vec<Looked>)> {
    let offsets = &call.node.offsets;
    let is_unstable =
        |topic: &str, partition| stable && offsets.is_pending(group, topic, partition);
    let Some(asked) = asked else {
        let mut topics: Vec<(TopicName, Vec<Looked>)> = Vec::new();
        // Ordered by topic, so that each comes once.
        // Not by `may`: to be shown less is no refusal.
        let rules = &call.node.config.access;
        let sees = |topic: &str| {
            let topic = Resource::Topic(topic);
            rules.allow(&call.peer.principal, Operation::Describe, topic)
        };
        for row in offsets.all(group) {
            if !sees(&row.topic) {
                continue;
            }
            let found = match is_unstable(&row.topic, row.partition) {
                true => Err(ResponseError::UnstableOffsetCommit),
                false => Ok(Some(row.committed)),
            };
            let looked = Looked {
                partition: row.partition,
                found,
            };
            match topics.last_mut() {
                Some((name, rows)) if **name == *row.topic => rows.push(looked),
                _ => topics.push((TopicName(text(row.topic)), vec![looked])),
            }
        }
        return topics;
    };
    let mut seen = HashSet::new();
    asked
        .into_iter()
        .map(|(name, partitions)| {
            let may = call.may(ApiKey::OffsetFetch, Resource::Topic(&name));
            let rows = partitions
                .into_iter()
                .filter(|partition| seen.insert((name.clone(), *partition)))
                .map(|partition| Looked {
                    partition,
                    found: if !may {
                        Err(ResponseError::TopicAuthorizationFailed)
                    } else if is_unstable(&name, partition) {
                        Err(ResponseError::UnstableOffsetCommit)
                    } else {
                        Ok(offsets.get(group, &name, partition))
                    },
                })
                .collect();
            (name, rows)
        })
        .collect()
}

fn single_row(looked: Looked) -> OffsetFetchResponsePartition {
    let row = OffsetFetchResponsePartition::default().with_partition_index(looked.partition);
    let (committed, code) = looked.parts();
    match committed {
        Some(committed) => row
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(text(committed.metadata))),
        None => row
            .with_error_code(code)
            .with_committed_offset(-1)
            .with_committed_leader_epoch(-1)
            .with_metadata(Some(text(""))),
    }
}

fn grouped_row(looked: Looked) -> OffsetFetchResponsePartitions {
    let row = OffsetFetchResponsePartitions::default().with_partition_index(looked.partition);
    let (committed, code) = looked.parts();
    match committed {
        Some(committed) => row
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(text(committed.metadata))),
        None => row
            .with_error_code(code)
            .with_committed_offset(-1)
            .with_committed_leader_epoch(-1)
            .with_metadata(Some(text(""))),
    }
}
