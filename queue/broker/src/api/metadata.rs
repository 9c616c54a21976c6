//! Metadata, DescribeCluster and FindCoordinator: who is there, and it is always this one node.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, BrokerId, DescribeClusterRequest, DescribeClusterResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, MetadataRequest, MetadataResponse, TopicName,
};
use tracing::warn;

use super::{Call, text};
use crate::security::{Operation, Resource};
use crate::topics::Topic;

/// "Not asked for": which operations a client is authorised for.
const OPERATIONS_UNKNOWN: i32 = i32::MIN;

/// Key types of FindCoordinator.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(super) async fn metadata(call: &Call<'_>, request: MetadataRequest) -> MetadataResponse {
    let (host, port) = call.peer.advertised(&call.node.config);
    let node_id = BrokerId(call.node.config.node_id);
    let topics = match request.topics {
        // In version 0 an empty list means all, later null does and an empty list means none.
        Some(topics) if topics.is_empty() && call.version == 0 => all_topics(call),
        None => all_topics(call),
        Some(topics) => {
            let may_create = call.version < 4 || request.allow_auto_topic_creation;
            let mut described = Vec::new();
            // Each once: a few bytes a name must not ask for all partitions of a topic again and again.
            let mut seen = HashSet::new();
            for topic in topics {
                let by_id = topic.name.is_none().then_some(topic.topic_id);
                if !seen.insert((topic.name.clone(), by_id)) {
                    continue;
                }
                described.push(named_topic(call, topic, may_create).await);
            }
            described
        }
    };
    MetadataResponse::default()
        .with_brokers(vec![
            MetadataResponseBroker::default()
                .with_node_id(node_id)
                .with_host(text(host))
                .with_port(port),
        ])
        .with_cluster_id(Some(text(&*call.node.cluster_id)))
        // Must be a live node: admin clients send CreateTopics there.
        .with_controller_id(node_id)
        .with_topics(topics)
        .with_cluster_authorized_operations(OPERATIONS_UNKNOWN)
}

fn all_topics(call: &Call<'_>) -> Vec<MetadataResponseTopic> {
    call.node
        .topics
        .list()
        .iter()
        .filter(|topic| sees(call, &topic.name))
        .map(|topic| describe(call, topic))
        .collect()
}

/// Not by `may`: to be shown less is no refusal.
fn sees(call: &Call<'_>, topic: &str) -> bool {
    let rules = &call.node.config.access;
    rules.allow(
        &call.peer.principal,
        Operation::Describe,
        Resource::Topic(topic),
    )
}

async fn named_topic(
    call: &Call<'_>,
    asked: MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic {
    let Some(name) = asked.name else {
        let topic = call.node.topics.by_id(asked.topic_id);
        return match topic.filter(|topic| sees(call, &topic.name)) {
            Some(topic) => describe(call, &topic),
            None => MetadataResponseTopic::default()
                .with_error_code(ResponseError::UnknownTopicId.code())
                // Nullable only from version 12 on; an id without a name can be asked for before.
                .with_name((call.version < 12).then(TopicName::default))
                .with_topic_id(asked.topic_id)
                .with_topic_authorized_operations(OPERATIONS_UNKNOWN),
        };
    };
    match topic_or_create(call, &name, may_create).await {
        Ok(topic) => describe(call, &topic),
        Err(code) => MetadataResponseTopic::default()
            .with_error_code(code.code())
            .with_name(Some(name))
            .with_topic_authorized_operations(OPERATIONS_UNKNOWN),
    }
}

async fn topic_or_create(
    call: &Call<'_>,
    name: &str,
    may_create: bool,
) -> Result<Arc<Topic>, ResponseError> {
    let is_missing = call.node.topics.get(name).is_none();
    let is_wanted = is_missing && may_create && call.node.config.auto_create_topics;
    let may = call.may(ApiKey::Metadata, Resource::Topic(name));
    if !may || (is_wanted && !call.may_create(name)) {
        return Err(ResponseError::TopicAuthorizationFailed);
    }
    let topic = call.node.topic_or_create(name, may_create).await;
    topic.map_err(|error| {
        let code = error.code();
        if code == ResponseError::KafkaStorageError {
            warn!(topic = name, %error, "topic cannot be created");
        }
        code
    })
}

fn describe(call: &Call<'_>, topic: &Topic) -> MetadataResponseTopic {
    let node = vec![BrokerId(call.node.config.node_id)];
    let partitions = topic
        .partitions
        .iter()
        .enumerate()
        .map(|(number, log)| {
            MetadataResponsePartition::default()
                .with_partition_index(number as i32)
                .with_leader_id(node[0])
                .with_leader_epoch(log.leader_epoch())
                .with_replica_nodes(node.clone())
                .with_isr_nodes(node.clone())
        })
        .collect();
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(&*topic.name))))
        .with_topic_id(topic.id)
        .with_partitions(partitions)
        .with_topic_authorized_operations(OPERATIONS_UNKNOWN)
}

pub(super) fn describe_cluster(
    call: &Call<'_>,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    let (host, port) = call.peer.advertised(&call.node.config);
    let node_id = BrokerId(call.node.config.node_id);
    DescribeClusterResponse::default()
        .with_endpoint_type(request.endpoint_type)
        .with_cluster_id(text(&*call.node.cluster_id))
        .with_controller_id(node_id)
        .with_brokers(vec![
            DescribeClusterBroker::default()
                .with_broker_id(node_id)
                .with_host(text(host))
                .with_port(port),
        ])
        .with_cluster_authorized_operations(OPERATIONS_UNKNOWN)
}

pub(super) fn find_coordinator(
    call: &Call<'_>,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let (host, port) = call.peer.advertised(&call.node.config);
    let node_id = BrokerId(call.node.config.node_id);
    let refusal = |key: &str| {
        let (resource, refused, message) = match request.key_type {
            GROUP => (
                Resource::Group(key),
                ResponseError::GroupAuthorizationFailed,
                "not allowed to describe the group",
            ),
            TRANSACTION => (
                Resource::TransactionalId(key),
                ResponseError::TransactionalIdAuthorizationFailed,
                "not allowed to describe the transactional id",
            ),
            _ => {
                return Some((
                    ResponseError::InvalidRequest.code(),
                    "only groups and transactional ids have a coordinator here",
                ));
            }
        };
        let may = call.may(ApiKey::FindCoordinator, resource);
        (!may).then(|| (refused.code(), message))
    };
    if call.version >= 4 {
        let coordinators = request
            .coordinator_keys
            .into_iter()
            .map(|key| match refusal(&key) {
                Some((code, message)) => Coordinator::default()
                    .with_key(key)
                    .with_node_id(BrokerId(-1))
                    .with_port(-1)
                    .with_error_code(code)
                    .with_error_message(Some(text(message))),
                None => Coordinator::default()
                    .with_key(key)
                    .with_node_id(node_id)
                    .with_host(text(&*host))
                    .with_port(port),
            })
            .collect();
        return FindCoordinatorResponse::default().with_coordinators(coordinators);
    }
    match refusal(&request.key) {
        Some((code, message)) => FindCoordinatorResponse::default()
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(code)
            .with_error_message(Some(text(message))),
        None => FindCoordinatorResponse::default()
            .with_node_id(node_id)
            .with_host(text(host))
            .with_port(port),
    }
}
