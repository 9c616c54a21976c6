//! Topics: described, created, grown, configured, deleted.

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;
use uuid::Uuid;

use crate::cluster::text;
use crate::side::Side;

pub(crate) fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn new_topic(topic: &str, partitions: i32) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
}

fn creation(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(10_000)
}

fn metadata_of(topic: &str) -> MetadataRequest {
    MetadataRequest::default()
        .with_topics(Some(vec![
            MetadataRequestTopic::default().with_name(Some(name(topic))),
        ]))
        .with_allow_auto_topic_creation(false)
}

/// A topic whose partitions can be written and read.
pub(crate) async fn made(side: &mut Side, topic: &str, partitions: i32) {
    let request = creation(vec![new_topic(topic, partitions)]);
    side.wire.call(ApiKey::CreateTopics, 7, request).await;
    usable(side, topic, partitions).await;
}

async fn usable(side: &mut Side, topic: &str, partitions: i32) {
    let rows = (0..partitions).map(|partition| {
        list_offsets_request::ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_timestamp(-1)
    });
    let topics = list_offsets_request::ListOffsetsTopic::default()
        .with_name(name(topic))
        .with_partitions(rows.collect());
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topics]);
    let wanted = |response: &ResponseKind| match response {
        ResponseKind::ListOffsets(answer) => answer
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .all(|row| row.error_code == 0),
        _ => false,
    };
    side.until(topic, ApiKey::ListOffsets, 7, request, wanted)
        .await;
}

/// The id of a topic, as Metadata tells it.
async fn id_of(side: &mut Side, topic: &str) -> Uuid {
    let ResponseKind::Metadata(answer) = side
        .wire
        .call(ApiKey::Metadata, 12, metadata_of(topic))
        .await
    else {
        panic!()
    };
    answer.topics[0].topic_id
}

pub(crate) async fn metadata(side: &mut Side) {
    side.begin("metadata");
    made(side, "seen", 2).await;
    for version in [1, 5, 7, 9, 12] {
        let mut request = metadata_of("seen");
        request.allow_auto_topic_creation |= version < 4;
        side.ask(&format!("v{version}"), ApiKey::Metadata, version, request)
            .await;
    }
    let id = id_of(side, "seen").await;
    let by_id = |id| {
        let topic = MetadataRequestTopic::default()
            .with_topic_id(id)
            .with_name(None);
        MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(false)
    };
    side.ask("by id", ApiKey::Metadata, 12, by_id(id)).await;
    side.ask(
        "by an unknown id",
        ApiKey::Metadata,
        12,
        by_id(Uuid::from_u128(7)),
    )
    .await;
    side.ask(
        "of an unknown topic",
        ApiKey::Metadata,
        9,
        metadata_of("unseen"),
    )
    .await;
    side.ask(
        "of a bad name",
        ApiKey::Metadata,
        9,
        metadata_of("bad name"),
    )
    .await;
    side.ask("of an empty name", ApiKey::Metadata, 9, metadata_of(""))
        .await;
    let with_operations = metadata_of("seen").with_include_topic_authorized_operations(true);
    side.ask("with operations", ApiKey::Metadata, 9, with_operations)
        .await;
    let no_topics = MetadataRequest::default().with_topics(Some(vec![]));
    side.ask("v0 no names: all", ApiKey::Metadata, 0, no_topics.clone())
        .await;
    side.ask("v1 no names: none", ApiKey::Metadata, 1, no_topics)
        .await;
    side.ask(
        "null: all",
        ApiKey::Metadata,
        9,
        MetadataRequest::default().with_topics(None),
    )
    .await;

    let creating = metadata_of("made by asking").with_allow_auto_topic_creation(true);
    side.ask(
        "bad name that may be created",
        ApiKey::Metadata,
        9,
        creating,
    )
    .await;
    let creating = metadata_of("made-by-asking").with_allow_auto_topic_creation(true);
    side.ask(
        "first of a new topic",
        ApiKey::Metadata,
        9,
        creating.clone(),
    )
    .await;
    usable(side, "made-by-asking", 4).await;
    side.ask("then of the new topic", ApiKey::Metadata, 9, creating)
        .await;
}

pub(crate) async fn create(side: &mut Side) {
    side.begin("create topics");
    for version in [2, 4, 5, 7] {
        let topic = new_topic(&format!("v{version}"), 2);
        side.ask(
            &format!("v{version}"),
            ApiKey::CreateTopics,
            version,
            creation(vec![topic]),
        )
        .await;
    }
    let assigned = |partition: i32, broker: i32| {
        CreatableReplicaAssignment::default()
            .with_partition_index(partition)
            .with_broker_ids(vec![BrokerId(broker)])
    };
    let by_hand = |topic: &str| new_topic(topic, -1).with_replication_factor(-1);
    let config = |key: &str, value: &str| {
        CreatableTopicConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)))
    };
    let long = "x".repeat(250);
    let topics = [
        ("again", new_topic("v7", 2)),
        ("bad name", new_topic("bad name", 1)),
        ("empty name", new_topic("", 1)),
        ("dots", new_topic("..", 1)),
        ("long name", new_topic(&long, 1)),
        ("clash of dot and underscore", new_topic("a.b", 1)),
        ("no partitions", new_topic("none", 0)),
        ("negative partitions", new_topic("none", -2)),
        (
            "three replicas",
            new_topic("three", 1).with_replication_factor(3),
        ),
        (
            "no replicas",
            new_topic("three", 1).with_replication_factor(0),
        ),
        ("defaults", by_hand("defaults")),
        (
            "assigned",
            by_hand("assigned").with_assignments(vec![assigned(0, 1), assigned(1, 1)]),
        ),
        (
            "assigned elsewhere",
            by_hand("elsewhere").with_assignments(vec![assigned(0, 9)]),
        ),
        (
            "assigned with a gap",
            by_hand("gap").with_assignments(vec![assigned(0, 1), assigned(2, 1)]),
        ),
        (
            "assigned and counted",
            new_topic("both", 2).with_assignments(vec![assigned(0, 1)]),
        ),
        (
            "configured",
            new_topic("configured", 1).with_configs(vec![config("retention.ms", "60000")]),
        ),
        (
            "unknown setting",
            new_topic("odd", 1).with_configs(vec![config("no.such.setting", "1")]),
        ),
        (
            "bad value",
            new_topic("odd", 1).with_configs(vec![config("retention.ms", "soon")]),
        ),
    ];
    for (step, topic) in topics {
        side.ask(step, ApiKey::CreateTopics, 7, creation(vec![topic]))
            .await;
    }
    let twice = creation(vec![new_topic("twice", 1), new_topic("twice", 1)]);
    side.ask("twice in one request", ApiKey::CreateTopics, 7, twice)
        .await;
    let tried = creation(vec![new_topic("tried", 1)]).with_validate_only(true);
    side.ask("only tried", ApiKey::CreateTopics, 7, tried).await;
    let tried = creation(vec![new_topic("v7", 1)]).with_validate_only(true);
    side.ask("only tried, exists", ApiKey::CreateTopics, 7, tried)
        .await;
    side.ask("nothing", ApiKey::CreateTopics, 7, creation(vec![]))
        .await;
}

pub(crate) async fn delete(side: &mut Side) {
    side.begin("delete topics");
    for topic in ["old-1", "old-5", "old-6", "old-id"] {
        made(side, topic, 1).await;
    }
    for version in [1, 5] {
        let names = [format!("old-{version}"), "unknown".to_owned()].map(|topic| name(&topic));
        let request = DeleteTopicsRequest::default()
            .with_topic_names(names.to_vec())
            .with_timeout_ms(10_000);
        side.ask(
            &format!("v{version}"),
            ApiKey::DeleteTopics,
            version,
            request,
        )
        .await;
    }
    let id = id_of(side, "old-id").await;
    let by_id = |id| {
        DeleteTopicState::default()
            .with_topic_id(id)
            .with_name(None)
    };
    let by_name = |topic| DeleteTopicState::default().with_name(Some(name(topic)));
    for (step, topic) in [
        ("v6 by name", by_name("old-6")),
        ("v6 by id", by_id(id)),
        ("v6 unknown name", by_name("unknown")),
        ("v6 unknown id", by_id(Uuid::from_u128(7))),
    ] {
        let request = DeleteTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000);
        side.ask(step, ApiKey::DeleteTopics, 6, request).await;
    }
}

pub(crate) async fn grow(side: &mut Side) {
    side.begin("create partitions");
    made(side, "small", 2).await;
    let more = |topic: &str, count| {
        let topic = CreatePartitionsTopic::default()
            .with_name(name(topic))
            .with_count(count)
            .with_assignments(None);
        CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000)
    };
    let elsewhere = CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(9)]);
    let mut assigned = more("small", 4);
    assigned.topics[0].assignments = Some(vec![elsewhere]);
    for (step, request) in [
        ("only tried", more("small", 3).with_validate_only(true)),
        ("more", more("small", 3)),
        ("as many", more("small", 3)),
        ("fewer", more("small", 1)),
        ("none", more("small", 0)),
        ("negative", more("small", -3)),
        ("of an unknown topic", more("unknown", 3)),
        ("assigned elsewhere", assigned),
    ] {
        side.ask(step, ApiKey::CreatePartitions, 3, request).await;
    }
}

pub(crate) async fn configs(side: &mut Side) {
    side.begin("describe configs");
    made(side, "set", 1).await;
    let keys = [
        "retention.ms",
        "retention.bytes",
        "segment.bytes",
        "cleanup.policy",
        "max.message.bytes",
        "compression.type",
    ];
    let resource = |kind: i8, name: &str| {
        DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configuration_keys(Some(keys.map(text).to_vec()))
    };
    for (step, resource) in [
        ("topic", resource(2, "set")),
        ("unknown topic", resource(2, "unknown")),
        ("bad topic name", resource(2, "bad name")),
        ("broker", resource(4, "1")),
        ("another broker", resource(4, "9")),
        ("not a broker", resource(4, "one")),
        ("unknown kind", resource(9, "x")),
        (
            "unknown key",
            resource(2, "set").with_configuration_keys(Some(vec![text("no.such.setting")])),
        ),
        (
            "no keys",
            resource(2, "set").with_configuration_keys(Some(vec![])),
        ),
    ] {
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        side.ask(step, ApiKey::DescribeConfigs, 4, request).await;
    }
}
