//! Every version that is declared, in its own form.

use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use crate::common::wire::{Wire, batch};
use crate::common::{config, start};
use crate::requests::{fetch, produce, produced, topic};

#[tokio::test]
async fn every_version_of_every_api_is_answered_in_its_own_form() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    produced(&mut wire, batch(&["x"]).freeze()).await;
    let text = |text: &'static str| StrBytes::from_static_str(text);
    for version in 0..=4 {
        wire.call(ApiKey::ApiVersions, version, ApiVersionsRequest::default())
            .await;
        let request = match version {
            4 => FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]),
            _ => FindCoordinatorRequest::default().with_key(text("g")),
        };
        wire.call(ApiKey::FindCoordinator, version, request).await;
        let request = HeartbeatRequest::default().with_group_id(GroupId(text("g")));
        wire.call(ApiKey::Heartbeat, version, request).await;
        wire.call(
            ApiKey::InitProducerId,
            version,
            InitProducerIdRequest::default().with_transactional_id(None),
        )
        .await;
    }
    for version in 0..=12 {
        let topics = vec![
            metadata_request::MetadataRequestTopic::default().with_name(Some(topic("logs"))),
            metadata_request::MetadataRequestTopic::default().with_name(Some(topic("bad name"))),
        ];
        wire.call(
            ApiKey::Metadata,
            version,
            MetadataRequest::default().with_topics(Some(topics)),
        )
        .await;
    }
    for version in 3..=11 {
        wire.call(
            ApiKey::Produce,
            version,
            produce(0, -1, batch(&["v"]).freeze()),
        )
        .await;
        wire.call(
            ApiKey::Produce,
            version,
            produce(77, -1, batch(&["v"]).freeze()),
        )
        .await;
    }
    for version in 4..=12 {
        wire.call(ApiKey::Fetch, version, fetch(&[0, 77], 0, 0, 0))
            .await;
    }
    for version in 1..=7 {
        let partition = list_offsets_request::ListOffsetsPartition::default();
        let partitions = [-1, -2, -3, 0, -9]
            .map(|time| partition.clone().with_timestamp(time))
            .to_vec();
        let topics = vec![
            list_offsets_request::ListOffsetsTopic::default()
                .with_name(topic("logs"))
                .with_partitions(partitions),
        ];
        let response = wire
            .call(
                ApiKey::ListOffsets,
                version,
                ListOffsetsRequest::default().with_topics(topics),
            )
            .await;
        let ResponseKind::ListOffsets(response) = response else {
            panic!()
        };
        let rows = &response.topics[0].partitions;
        assert_eq!(
            (rows[1].offset, rows[3].offset, rows[4].error_code),
            (0, 0, 35)
        );
        assert!(
            rows[0].offset > 1 && rows[2].offset == 0,
            "the highest time is that of the first record: {rows:?}"
        );
    }
    for version in 0..=9 {
        let request = JoinGroupRequest::default()
            .with_group_id(GroupId(text("old")))
            .with_session_timeout_ms(6000)
            .with_protocol_type(text("consumer"));
        let ResponseKind::JoinGroup(response) =
            wire.call(ApiKey::JoinGroup, version, request).await
        else {
            panic!()
        };
        assert_eq!(response.error_code, 23, "no protocols");
    }
    for version in 0..=5 {
        let group = || GroupId(StrBytes::from_static_str("g"));
        wire.call(
            ApiKey::SyncGroup,
            version,
            SyncGroupRequest::default().with_group_id(group()),
        )
        .await;
        wire.call(ApiKey::ListGroups, version, ListGroupsRequest::default())
            .await;
        let leave = match version {
            0..=2 => LeaveGroupRequest::default(),
            _ => LeaveGroupRequest::default()
                .with_members(vec![leave_group_request::MemberIdentity::default()]),
        };
        wire.call(ApiKey::LeaveGroup, version, leave.with_group_id(group()))
            .await;
    }
    for version in 2..=4 {
        let partitions = vec![
            offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
                .with_current_leader_epoch(-1),
        ];
        let topics = vec![
            offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                .with_topic(topic("logs"))
                .with_partitions(partitions),
        ];
        let request = OffsetForLeaderEpochRequest::default().with_topics(topics);
        wire.call(ApiKey::OffsetForLeaderEpoch, version, request)
            .await;
    }
    for version in 1..=4 {
        let resources = [(2, "logs"), (4, "1"), (2, "nowhere"), (9, "")].map(|(kind, name)| {
            describe_configs_request::DescribeConfigsResource::default()
                .with_resource_type(kind)
                .with_resource_name(StrBytes::from_static_str(name))
        });
        let request = DescribeConfigsRequest::default().with_resources(resources.to_vec());
        wire.call(ApiKey::DescribeConfigs, version, request).await;
    }
    for version in 0..=2 {
        wire.call(
            ApiKey::DescribeCluster,
            version,
            DescribeClusterRequest::default(),
        )
        .await;
    }
    for version in 0..=2 {
        let resource = alter_configs_request::AlterConfigsResource::default().with_resource_type(4);
        let request = AlterConfigsRequest::default().with_resources(vec![resource]);
        wire.call(ApiKey::AlterConfigs, version, request).await;
    }
    for version in 0..=1 {
        let resource = incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        wire.call(ApiKey::IncrementalAlterConfigs, version, request)
            .await;
    }
    for version in 1..=4 {
        let request = DescribeLogDirsRequest::default().with_topics(None);
        wire.call(ApiKey::DescribeLogDirs, version, request).await;
    }
    for version in 0..=6 {
        let groups = vec![GroupId(text("g"))];
        let request = DescribeGroupsRequest::default().with_groups(groups);
        let response = wire.call(ApiKey::DescribeGroups, version, request).await;
        let ResponseKind::DescribeGroups(response) = response else {
            panic!()
        };
        let expected = if version < 6 { 0 } else { 69 };
        assert_eq!(
            response.groups[0].error_code, expected,
            "a group that is not there"
        );
    }
    let request = OffsetDeleteRequest::default().with_group_id(GroupId(text("g")));
    wire.call(ApiKey::OffsetDelete, 0, request).await;
    for version in 0..=3 {
        let topics = vec![
            create_partitions_request::CreatePartitionsTopic::default()
                .with_name(topic("logs"))
                .with_count(6),
        ];
        let request = CreatePartitionsRequest::default().with_topics(topics);
        let ResponseKind::CreatePartitions(response) =
            wire.call(ApiKey::CreatePartitions, version, request).await
        else {
            panic!()
        };
        let expected = if version == 0 { 0 } else { 37 };
        assert_eq!(
            response.results[0].error_code, expected,
            "six partitions can be had once"
        );
    }
    for version in 2..=7 {
        let name = format!("made-by-{version}");
        let made = create_topics_request::CreatableTopic::default()
            .with_name(topic(&name))
            .with_num_partitions(2)
            .with_replication_factor(1);
        let bad = create_topics_request::CreatableTopic::default()
            .with_name(topic("x y"))
            .with_replication_factor(1)
            .with_num_partitions(-1);
        let three = made
            .clone()
            .with_name(topic("three"))
            .with_replication_factor(3);
        let request = CreateTopicsRequest::default().with_topics(vec![made, bad, three]);
        let response = wire.call(ApiKey::CreateTopics, version, request).await;
        let ResponseKind::CreateTopics(response) = response else {
            panic!()
        };
        let codes: Vec<i16> = response.topics.iter().map(|row| row.error_code).collect();
        assert_eq!(codes, [0, 17, 38]);
    }
    for version in 1..=6 {
        let names = ["made-by-2", "made-by-3"].map(topic);
        let request = match version {
            6 => DeleteTopicsRequest::default().with_topics(
                names
                    .map(|name| {
                        delete_topics_request::DeleteTopicState::default().with_name(Some(name))
                    })
                    .to_vec(),
            ),
            _ => DeleteTopicsRequest::default().with_topic_names(names.to_vec()),
        };
        let response = wire.call(ApiKey::DeleteTopics, version, request).await;
        let ResponseKind::DeleteTopics(response) = response else {
            panic!()
        };
        let expected = if version == 1 { 0 } else { 3 };
        assert!(
            response
                .responses
                .iter()
                .all(|row| row.error_code == expected),
            "{response:?}"
        );
    }
    for version in 2..=8 {
        let rows = [(0, 5), (99, 5)].map(|(partition, offset)| {
            offset_commit_request::OffsetCommitRequestPartition::default()
                .with_partition_index(partition)
                .with_committed_offset(offset)
                .with_committed_metadata(Some(text("note")))
        });
        let topics = vec![
            offset_commit_request::OffsetCommitRequestTopic::default()
                .with_name(topic("logs"))
                .with_partitions(rows.to_vec()),
        ];
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text("simple")))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(topics);
        let ResponseKind::OffsetCommit(response) =
            wire.call(ApiKey::OffsetCommit, version, request).await
        else {
            panic!()
        };
        let codes: Vec<i16> = response.topics[0]
            .partitions
            .iter()
            .map(|row| row.error_code)
            .collect();
        assert_eq!(codes, [0, 3]);
    }
    for version in 1..=8 {
        let simple = || GroupId(StrBytes::from_static_str("simple"));
        let request = if version == 8 {
            let topics = offset_fetch_request::OffsetFetchRequestTopics::default()
                .with_name(topic("logs"))
                .with_partition_indexes(vec![0, 1]);
            let group = offset_fetch_request::OffsetFetchRequestGroup::default()
                .with_group_id(simple())
                .with_topics(Some(vec![topics]));
            OffsetFetchRequest::default().with_groups(vec![group])
        } else {
            let topics = offset_fetch_request::OffsetFetchRequestTopic::default()
                .with_name(topic("logs"))
                .with_partition_indexes(vec![0, 1]);
            OffsetFetchRequest::default()
                .with_group_id(simple())
                .with_topics(Some(vec![topics]))
        };
        let ResponseKind::OffsetFetch(response) =
            wire.call(ApiKey::OffsetFetch, version, request).await
        else {
            panic!()
        };
        let offsets: Vec<Vec<i64>> = if version == 8 {
            let rows = |group: &offset_fetch_response::OffsetFetchResponseGroup| {
                group.topics[0]
                    .partitions
                    .iter()
                    .map(|row| row.committed_offset)
                    .collect()
            };
            response.groups.iter().map(rows).collect()
        } else {
            vec![
                response.topics[0]
                    .partitions
                    .iter()
                    .map(|row| row.committed_offset)
                    .collect(),
            ]
        };
        assert_eq!(offsets, [[5, -1]]);
    }
    for version in 0..=2 {
        let names = vec![GroupId(text("simple")), GroupId(text("none"))];
        let request = DeleteGroupsRequest::default().with_groups_names(names);
        let ResponseKind::DeleteGroups(response) =
            wire.call(ApiKey::DeleteGroups, version, request).await
        else {
            panic!()
        };
        let expected = if version == 0 { 0 } else { 69 };
        assert_eq!(
            (
                response.results[0].error_code,
                response.results[1].error_code
            ),
            (expected, 69)
        );
    }
    broker.stop().await;
}
