//! Metadata, DescribeCluster and FindCoordinator: who is there, and it is always this one node.

use std::collections::HashSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, DescribeClusterResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, MetadataRequest, MetadataResponse, TopicName,
};
use tracing::warn;

use super::{Call, text};
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
        .map(|topic| describe(call, topic))
        .collect()
}

async fn named_topic(
    call: &Call<'_>,
    asked: MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic {
    let Some(name) = asked.name else {
        return match call.node.topics.by_id(asked.topic_id) {
            Some(topic) => describe(call, &topic),
            None => MetadataResponseTopic::default()
                .with_error_code(ResponseError::UnknownTopicId.code())
                // Nullable only from version 12 on; an id without a name can be asked for before.
                .with_name((call.version < 12).then(TopicName::default))
                .with_topic_id(asked.topic_id)
                .with_topic_authorized_operations(OPERATIONS_UNKNOWN),
        };
    };
    match call.node.topic_or_create(&name, may_create).await {
        Ok(topic) => describe(call, &topic),
        Err(error) => {
            let code = error.code();
            if code == ResponseError::KafkaStorageError {
                warn!(topic = %name.0, %error, "topic cannot be created");
            }
            MetadataResponseTopic::default()
                .with_error_code(code.code())
                .with_name(Some(name))
                .with_topic_authorized_operations(OPERATIONS_UNKNOWN)
        }
    }
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
    let refusal = (!matches!(request.key_type, GROUP | TRANSACTION)).then(|| {
        (
            ResponseError::InvalidRequest.code(),
            "only groups and transactional ids have a coordinator here",
        )
    });
    if call.version >= 4 {
        let coordinators = request
            .coordinator_keys
            .into_iter()
            .map(|key| match refusal {
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
    match refusal {
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
