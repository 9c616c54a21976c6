//! Requests that ask for more than is good: members that say too much, names named again and again.

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use crate::common::wire::{Wire, batch};
use crate::common::{config, start};
use crate::requests::{produced, topic};

#[tokio::test]
async fn what_a_request_names_again_and_again_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    produced(&mut wire, batch(&["x"]).freeze()).await;
    let group = || GroupId(StrBytes::from_static_str("g"));
    let row =
        offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(1);
    let committed = offset_commit_request::OffsetCommitRequestTopic::default()
        .with_name(topic("logs"))
        .with_partitions(vec![row]);
    let commit = OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![committed]);
    wire.call(ApiKey::OffsetCommit, 8, commit).await;

    const TIMES: usize = 1000;
    let named = metadata_request::MetadataRequestTopic::default().with_name(Some(topic("logs")));
    let request = MetadataRequest::default().with_topics(Some(vec![named; TIMES]));
    let ResponseKind::Metadata(response) = wire.call(ApiKey::Metadata, 12, request).await else {
        panic!()
    };
    assert_eq!(response.topics.len(), 1);
    let by_id = metadata_request::MetadataRequestTopic::default()
        .with_name(None)
        .with_topic_id(response.topics[0].topic_id);
    let request = MetadataRequest::default().with_topics(Some(vec![by_id; TIMES]));
    let ResponseKind::Metadata(response) = wire.call(ApiKey::Metadata, 12, request).await else {
        panic!()
    };
    assert_eq!(response.topics.len(), 1);
    assert_eq!(response.topics[0].name, Some(topic("logs")));

    let request = DescribeGroupsRequest::default().with_groups(vec![group(); TIMES]);
    let response = wire.call(ApiKey::DescribeGroups, 5, request).await;
    let ResponseKind::DescribeGroups(response) = response else {
        panic!()
    };
    assert_eq!(response.groups.len(), 1);

    let topics = offset_fetch_request::OffsetFetchRequestTopics::default()
        .with_name(topic("logs"))
        .with_partition_indexes(vec![0; TIMES]);
    for (topics, rows) in [(Some(vec![topics; 2]), vec![1, 0]), (None, vec![1])] {
        let asked = offset_fetch_request::OffsetFetchRequestGroup::default()
            .with_group_id(group())
            .with_topics(topics);
        let request = OffsetFetchRequest::default().with_groups(vec![asked; 10]);
        let response = wire.call(ApiKey::OffsetFetch, 8, request).await;
        let ResponseKind::OffsetFetch(response) = response else {
            panic!()
        };
        assert_eq!(response.groups.len(), 1);
        let topics = response.groups[0].topics.iter();
        let found: Vec<usize> = topics.map(|topic| topic.partitions.len()).collect();
        assert_eq!(found, rows);
    }

    let resource = describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(StrBytes::from_static_str("logs"));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource; TIMES]);
    let response = wire.call(ApiKey::DescribeConfigs, 4, request).await;
    let ResponseKind::DescribeConfigs(response) = response else {
        panic!()
    };
    assert_eq!(response.results.len(), 1);
    broker.stop().await;
}

#[tokio::test]
async fn members_that_say_too_much_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    let protocols = |count: usize, bytes: usize| {
        let protocol = |number| {
            join_group_request::JoinGroupRequestProtocol::default()
                .with_name(StrBytes::from_string(format!("{number:04}")))
                .with_metadata(Bytes::from(vec![0; bytes - 4]))
        };
        (0..count).map(protocol).collect::<Vec<_>>()
    };
    let long = "x".repeat(1025);
    let request = |protocols, kind: &str| {
        JoinGroupRequest::default()
            .with_group_id(GroupId(StrBytes::from_static_str("g")))
            .with_session_timeout_ms(6000)
            .with_protocol_type(StrBytes::from_string(kind.to_owned()))
            .with_protocols(protocols)
    };
    const INVALID_REQUEST: i16 = 42;
    const MEMBER_ID_REQUIRED: i16 = 79;
    for (request, code) in [
        (request(protocols(64, 100), "consumer"), MEMBER_ID_REQUIRED),
        (request(protocols(65, 100), "consumer"), INVALID_REQUEST),
        (
            request(protocols(64, 16 << 10), "consumer"),
            MEMBER_ID_REQUIRED,
        ),
        (
            request(protocols(64, (16 << 10) + 1), "consumer"),
            INVALID_REQUEST,
        ),
        (request(protocols(1, 100), &long), INVALID_REQUEST),
    ] {
        let ResponseKind::JoinGroup(response) = wire.call(ApiKey::JoinGroup, 9, request).await
        else {
            panic!()
        };
        assert_eq!(response.error_code, code);
    }
    broker.stop().await;
}
