//! CreateTopics, DeleteTopics, CreatePartitions.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    ApiKey, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest,
    CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use tracing::warn;
use uuid::Uuid;

use super::{Call, alter_configs, configs, text};
use crate::security::Resource;
use crate::topics::{Topic, TopicError};

type Refusal = (ResponseError, String);

pub(super) async fn create(call: &Call<'_>, request: CreateTopicsRequest) -> CreateTopicsResponse {
    // Which of two was meant nobody knows, so neither is made, and the name is answered once.
    let (mut seen, mut twice) = (HashSet::new(), HashSet::new());
    for topic in &request.topics {
        if !seen.insert(topic.name.clone()) {
            twice.insert(topic.name.clone());
        }
    }
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        if !seen.remove(&topic.name) {
            continue;
        }
        let outcome = if twice.contains(&topic.name) {
            Err((
                ResponseError::InvalidRequest,
                "topic is named twice in the request".to_owned(),
            ))
        } else {
            create_one(call, &topic, request.validate_only).await
        };
        let result = CreatableTopicResult::default().with_name(topic.name);
        results.push(match outcome {
            Ok(created) => result
                .with_topic_id(created.id)
                .with_num_partitions(created.partitions as i32)
                .with_replication_factor(1)
                .with_configs(Some(created.configs)),
            Err((code, message)) => result
                .with_error_code(code.code())
                .with_error_message(Some(text(message)))
                .with_num_partitions(-1)
                .with_replication_factor(-1),
        });
    }
    CreateTopicsResponse::default().with_topics(results)
}

/// What is told of a topic that was created, or could be.
struct Created {
    id: Uuid,
    partitions: u32,
    configs: Vec<CreatableTopicConfigs>,
}

async fn create_one(
    call: &Call<'_>,
    topic: &CreatableTopic,
    check_only: bool,
) -> Result<Created, Refusal> {
    if !call.may_create(&topic.name) {
        return Err((
            ResponseError::TopicAuthorizationFailed,
            format!("not allowed to create topic `{}`", topic.name.0),
        ));
    }
    let partitions = partition_count(call, topic)?;
    let configs = topic
        .configs
        .iter()
        .map(|config| (&*config.name, config.value.as_deref()));
    let overrides = alter_configs::initial(configs)?;
    // Null would be taken for settings that the client may not see.
    let configs = configs::created(&call.node.config, &overrides);
    let created = |id| Created {
        id,
        partitions,
        configs,
    };
    if check_only {
        let checked = call.node.topics.check_create(&topic.name, partitions);
        return checked
            .map(|()| created(Uuid::nil()))
            .map_err(|error| (error.code(), error.to_string()));
    }
    let topics = &call.node.topics;
    match topics.create_with(&topic.name, partitions, overrides).await {
        Ok(topic) => Ok(created(topic.id)),
        Err(error) => Err((error.code(), error.to_string())),
    }
}

fn partition_count(call: &Call<'_>, topic: &CreatableTopic) -> Result<u32, Refusal> {
    let node_id = call.node.config.node_id;
    if !matches!(topic.replication_factor, -1 | 1) && topic.assignments.is_empty() {
        let message = format!(
            "replication factor `{}`: there is one node",
            topic.replication_factor
        );
        return Err((ResponseError::InvalidReplicationFactor, message));
    }
    if !topic.assignments.is_empty() {
        if topic.num_partitions != -1 || topic.replication_factor != -1 {
            let message = "partitions are either assigned or counted: with assignments, number of partitions and replication factor are -1";
            return Err((ResponseError::InvalidRequest, message.to_owned()));
        }
        let mut numbers: Vec<i32> = topic
            .assignments
            .iter()
            .map(|row| row.partition_index)
            .collect();
        numbers.sort_unstable();
        let in_order = numbers.iter().copied().eq(0..numbers.len() as i32);
        let on_this_node = topic
            .assignments
            .iter()
            .all(|row| row.broker_ids.len() == 1 && row.broker_ids[0].0 == node_id);
        if !in_order || !on_this_node {
            let message =
                format!("every partition from 0 on can only be assigned to node `{node_id}`");
            return Err((ResponseError::InvalidReplicaAssignment, message));
        }
        return Ok(numbers.len() as u32);
    }
    match topic.num_partitions {
        -1 => Ok(call.node.config.default_partitions),
        count if count > 0 => Ok(count as u32),
        count => Err((
            ResponseError::InvalidPartitions,
            format!("`{count}` partitions asked for"),
        )),
    }
}

pub(super) async fn delete(call: &Call<'_>, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let names = request
        .topic_names
        .into_iter()
        .map(|name| DeleteTopicState::default().with_name(Some(name)));
    let mut responses = Vec::new();
    for asked in request.topics.into_iter().chain(names) {
        let result = DeletableTopicResult::default();
        let topic = match to_delete(call, &asked) {
            Ok(topic) => topic,
            Err(code) => {
                // The name is nullable since version 6 only, and so are ids.
                responses.push(
                    result
                        .with_name(asked.name)
                        .with_topic_id(asked.topic_id)
                        .with_error_code(code.code()),
                );
                continue;
            }
        };
        let result = result
            .with_name(Some(TopicName(text(&*topic.name))))
            .with_topic_id(topic.id);
        responses.push(match delete_one(call, &topic.name).await {
            Ok(()) => result,
            Err((code, message)) => result
                .with_error_code(code.code())
                .with_error_message((call.version >= 5).then(|| text(message))),
        });
    }
    DeleteTopicsResponse::default().with_responses(responses)
}

/// Of an id that is unknown, and of one that the client may not know, the same is said.
fn to_delete(call: &Call<'_>, asked: &DeleteTopicState) -> Result<Arc<Topic>, ResponseError> {
    if let Some(name) = &asked.name {
        return call.topic(ApiKey::DeleteTopics, name);
    }
    let topic = call.node.topics.by_id(asked.topic_id);
    let may = |topic: &Arc<Topic>| call.may(ApiKey::DeleteTopics, Resource::Topic(&topic.name));
    topic.filter(may).ok_or(ResponseError::UnknownTopicId)
}

async fn delete_one(call: &Call<'_>, name: &str) -> Result<(), Refusal> {
    let deleted = call.node.topics.delete(name).await;
    if matches!(deleted, Ok(()) | Err(TopicError::LogsRemain(_)))
        && let Err(error) = call.node.offsets.delete_topic(name).await
    {
        warn!(topic = name, %error, "topic is deleted, but offsets that groups committed for it remain");
    }
    deleted.map_err(|error| (error.code(), error.to_string()))
}

pub(super) async fn create_partitions(
    call: &Call<'_>,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let grown = grow(call, &topic, request.validate_only).await;
        let result = CreatePartitionsTopicResult::default().with_name(topic.name);
        results.push(match grown {
            Ok(()) => result,
            Err((code, message)) => result
                .with_error_code(code.code())
                .with_error_message(Some(text(message))),
        });
    }
    CreatePartitionsResponse::default().with_results(results)
}

async fn grow(
    call: &Call<'_>,
    topic: &CreatePartitionsTopic,
    check_only: bool,
) -> Result<(), Refusal> {
    if !call.may(ApiKey::CreatePartitions, Resource::Topic(&topic.name)) {
        return Err((
            ResponseError::TopicAuthorizationFailed,
            format!("not allowed to alter topic `{}`", topic.name.0),
        ));
    }
    let node_id = call.node.config.node_id;
    let is_here = |row: &CreatePartitionsAssignment| {
        row.broker_ids.len() == 1 && row.broker_ids[0].0 == node_id
    };
    if let Some(assignments) = &topic.assignments
        && !assignments.iter().all(is_here)
    {
        let message = format!("new partitions can only be assigned to node `{node_id}`");
        return Err((ResponseError::InvalidReplicaAssignment, message));
    }
    let grown = call
        .node
        .topics
        .grow(&topic.name, i64::from(topic.count), check_only)
        .await;
    grown.map_err(|error| (error.code(), error.to_string()))
}
