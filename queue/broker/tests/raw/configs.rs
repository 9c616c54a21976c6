//! Settings of topics on the wire, and the other requests of admin tools.

use std::time::Duration;

use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use logboom_broker::Config;

use crate::common::wire::{Wire, batch};
use crate::common::{config, eventually, start};
use crate::requests::{FETCH, fetch, fetched, produced, topic};

/// Sources of values.
const OF_TOPIC: i8 = 1;
const OF_BROKER: i8 = 4;
const DEFAULT: i8 = 5;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Creates topic `logs` with one partition.
async fn create(
    wire: &mut Wire,
    settings: &[(&str, &str)],
) -> create_topics_response::CreatableTopicResult {
    let configs = settings.iter().map(|(name, value)| {
        create_topics_request::CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    });
    let made = create_topics_request::CreatableTopic::default()
        .with_name(topic("logs"))
        .with_num_partitions(1)
        .with_replication_factor(1)
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default().with_topics(vec![made]);
    let ResponseKind::CreateTopics(response) = wire.call(ApiKey::CreateTopics, 7, request).await
    else {
        panic!()
    };
    response.topics[0].clone()
}

/// Error code and message.
async fn change(
    wire: &mut Wire,
    changes: &[(&str, i8, Option<&str>)],
    check_only: bool,
) -> (i16, String) {
    let configs = changes.iter().map(|(name, operation, value)| {
        incremental_alter_configs_request::AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(*operation)
            .with_value(value.map(text))
    });
    let resource = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("logs"))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(vec![resource])
        .with_validate_only(check_only);
    let response = wire.call(ApiKey::IncrementalAlterConfigs, 1, request).await;
    let ResponseKind::IncrementalAlterConfigs(response) = response else {
        panic!()
    };
    let row = &response.responses[0];
    let message = row.error_message.as_ref().map(ToString::to_string);
    (row.error_code, message.unwrap_or_default())
}

async fn described(
    wire: &mut Wire,
    kind: i8,
    name: &str,
) -> Vec<describe_configs_response::DescribeConfigsResourceResult> {
    let resource = describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true)
        .with_include_documentation(true);
    let response = wire.call(ApiKey::DescribeConfigs, 4, request).await;
    let ResponseKind::DescribeConfigs(response) = response else {
        panic!()
    };
    assert_eq!(response.results[0].error_code, 0);
    response.results[0].configs.clone()
}

/// Value and source of one setting of `logs`.
async fn setting(wire: &mut Wire, name: &str) -> (String, i8) {
    let rows = described(wire, 2, "logs").await;
    let row = rows.iter().find(|row| &*row.name == name).unwrap();
    (row.value.as_ref().unwrap().to_string(), row.config_source)
}

#[tokio::test]
async fn settings_of_a_topic_are_created_changed_and_still_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    let settings = [("retention.ms", "3600000"), ("cleanup.policy", "delete")];
    let created = create(&mut wire, &settings).await;
    assert_eq!(
        (created.error_code, created.topic_config_error_code),
        (0, 0)
    );
    let told = created.configs.unwrap();
    let told = told
        .iter()
        .find(|row| &*row.name == "retention.ms")
        .unwrap();
    assert_eq!(
        (told.value.as_deref(), told.config_source, told.read_only),
        (Some("3600000"), OF_TOPIC, false)
    );

    let both = [
        ("retention.ms", SET, Some("-1")),
        ("retention.bytes", SET, Some("none")),
    ];
    let (code, message) = change(&mut wire, &both, false).await;
    assert_eq!(code, 40);
    assert!(
        message.contains("`retention.bytes` cannot be `none`"),
        "{message}"
    );
    let unchanged = ("3600000".to_owned(), OF_TOPIC);
    assert_eq!(
        setting(&mut wire, "retention.ms").await,
        unchanged,
        "all or nothing"
    );
    let longer = [("retention.ms", SET, Some("7200000"))];
    assert_eq!(change(&mut wire, &longer, true).await.0, 0);
    assert_eq!(
        setting(&mut wire, "retention.ms").await,
        unchanged,
        "only checked"
    );
    assert_eq!(change(&mut wire, &longer, false).await.0, 0);
    let more = [
        ("segment.bytes", SET, Some("1048576")),
        ("cleanup.policy", APPEND, Some("compact")),
    ];
    let (code, message) = change(&mut wire, &more, false).await;
    assert!(
        code == 40 && message.contains("not compacted here"),
        "{message}"
    );
    assert_eq!(change(&mut wire, &more[..1], false).await.0, 0);
    broker.stop().await;

    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    let kept = [("retention.ms", "7200000"), ("segment.bytes", "1048576")];
    for (name, value) in kept {
        assert_eq!(setting(&mut wire, name).await, (value.to_owned(), OF_TOPIC));
    }
    let unset = [("retention.ms", DELETE, None)];
    assert_eq!(change(&mut wire, &unset, false).await.0, 0);
    let week = (7 * 24 * 3600 * 1000).to_string();
    assert_eq!(setting(&mut wire, "retention.ms").await, (week, DEFAULT));

    let config = alter_configs_request::AlterableConfig::default()
        .with_name(text("max.message.bytes"))
        .with_value(Some(text("1000")));
    let resource = alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("logs"))
        .with_configs(vec![config]);
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    let response = wire.call(ApiKey::AlterConfigs, 2, request).await;
    let ResponseKind::AlterConfigs(response) = response else {
        panic!()
    };
    assert_eq!(response.responses[0].error_code, 0);
    assert_eq!(setting(&mut wire, "max.message.bytes").await.0, "1000");
    let (_, source) = setting(&mut wire, "segment.bytes").await;
    assert_eq!(source, DEFAULT, "what was not named is forgotten");
    broker.stop().await;
}

#[tokio::test]
async fn a_described_value_says_where_it_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(Config {
        retention_bytes: Some(1 << 30),
        ..config(dir.path())
    })
    .await;
    let mut wire = Wire::connect(broker.address).await;
    create(&mut wire, &[("retention.bytes", "1000")]).await;
    let rows = described(&mut wire, 2, "logs").await;
    let row = rows
        .iter()
        .find(|row| &*row.name == "retention.bytes")
        .unwrap();
    assert!(!row.read_only && !row.is_sensitive && row.config_type == 5);
    assert!(
        row.documentation
            .as_ref()
            .unwrap()
            .contains("oldest segments")
    );
    let synonyms: Vec<(&str, &str, i8)> = row
        .synonyms
        .iter()
        .map(|row| (&*row.name, row.value.as_deref().unwrap(), row.source))
        .collect();
    let expected = [
        ("retention.bytes", "1000", OF_TOPIC),
        ("log.retention.bytes", "1073741824", OF_BROKER),
        ("log.retention.bytes", "-1", DEFAULT),
    ];
    assert_eq!(synonyms, expected);

    let rows = described(&mut wire, 4, "1").await;
    assert!(rows.iter().all(|row| row.read_only));
    let row = rows
        .iter()
        .find(|row| &*row.name == "log.retention.bytes")
        .unwrap();
    assert_eq!(
        (row.value.as_deref(), row.config_source),
        (Some("1073741824"), OF_BROKER)
    );

    let resources = [(4, "1"), (2, "nowhere"), (8, "1")].map(|(kind, name)| {
        incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
    });
    let request = IncrementalAlterConfigsRequest::default().with_resources(resources.to_vec());
    let response = wire.call(ApiKey::IncrementalAlterConfigs, 1, request).await;
    let ResponseKind::IncrementalAlterConfigs(response) = response else {
        panic!()
    };
    let codes: Vec<i16> = response
        .responses
        .iter()
        .map(|row| row.error_code)
        .collect();
    assert_eq!(codes, [42, 3, 42]);
    broker.stop().await;
}

#[tokio::test]
async fn a_topic_that_cannot_have_its_settings_is_not_created() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    for (name, value, words) in [
        ("cleanup.policy", "compact", "topics are not compacted here"),
        ("min.insync.replicas", "2", "there is one node"),
        ("retention.mss", "1", "no setting `retention.mss`"),
    ] {
        let refused = create(&mut wire, &[(name, value)]).await;
        let message = refused.error_message.unwrap();
        assert!(
            refused.error_code == 40 && message.contains(words),
            "{message}"
        );
    }
    assert!(broker.status.get().partitions.is_empty());
    broker.stop().await;
}

#[tokio::test]
async fn a_topic_with_log_append_time_stamps_its_batches() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    create(&mut wire, &[("message.timestamp.type", "LogAppendTime")]).await;
    let sent = batch(&["a", "b"]).freeze();
    let answer = produced(&mut wire, sent.clone()).await;
    assert_eq!((answer.error_code, answer.base_offset), (0, 0));
    let now = answer.log_append_time_ms;
    assert!(now > 1_700_000_000_000, "the time of its arrival: {now}");

    let response = wire.call(ApiKey::Fetch, FETCH, fetch(&[0], 0, 0, 0)).await;
    let stored = fetched(response)[0].records.clone().unwrap();
    let attributes = i16::from_be_bytes(stored[21..23].try_into().unwrap());
    let max_timestamp = i64::from_be_bytes(stored[35..43].try_into().unwrap());
    assert_eq!((attributes, max_timestamp), (8, now));
    let checksum = u32::from_be_bytes(stored[17..21].try_into().unwrap());
    assert_eq!(checksum, crc32c::crc32c(&stored[21..]));
    assert_eq!(
        stored[61..],
        sent[61..],
        "the records are as they were sent"
    );

    let partition =
        |time| list_offsets_request::ListOffsetsPartition::default().with_timestamp(time);
    let asked = list_offsets_request::ListOffsetsTopic::default()
        .with_name(topic("logs"))
        .with_partitions(
            [1_700_000_000_001, now, now + 1, -3]
                .map(partition)
                .to_vec(),
        );
    let request = ListOffsetsRequest::default().with_topics(vec![asked]);
    let ResponseKind::ListOffsets(response) = wire.call(ApiKey::ListOffsets, 7, request).await
    else {
        panic!()
    };
    let found: Vec<(i64, i64)> = response.topics[0]
        .partitions
        .iter()
        .map(|row| (row.offset, row.timestamp))
        .collect();
    assert_eq!(found[..3], [(0, now), (0, now), (-1, -1)]);
    assert_eq!(found[3].1, now);

    let kept = [("message.timestamp.type", SET, Some("CreateTime"))];
    assert_eq!(change(&mut wire, &kept, false).await.0, 0);
    assert_eq!(produced(&mut wire, sent).await.log_append_time_ms, -1);
    drop(wire);
    broker.stop().await;

    // Without the clean mark the stamped batch is read and judged again.
    std::fs::remove_file(dir.path().join("log/clean")).unwrap();
    let broker = start(config(dir.path())).await;
    assert_eq!(broker.records("logs"), 4);
    broker.stop().await;
}

#[tokio::test]
async fn a_topics_own_limits_hold_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(Config {
        retention_interval: Duration::from_millis(50),
        ..config(dir.path())
    })
    .await;
    let mut wire = Wire::connect(broker.address).await;
    let small = [("max.message.bytes", "200"), ("segment.bytes", "4096")];
    create(&mut wire, &small).await;
    let large = "x".repeat(200);
    let refused = produced(&mut wire, batch(&[&large]).freeze()).await;
    assert_eq!(refused.error_code, 10);
    let larger = [("max.message.bytes", SET, Some("1000"))];
    assert_eq!(change(&mut wire, &larger, false).await.0, 0);
    for _ in 0..60 {
        let taken = produced(&mut wire, batch(&[&large]).freeze()).await;
        assert_eq!(taken.error_code, 0);
    }
    assert_eq!(broker.status.get().partitions[0].start, 0);
    let shorter = [("retention.bytes", SET, Some("8192"))];
    assert_eq!(change(&mut wire, &shorter, false).await.0, 0);
    eventually("old segments of 4 KiB are deleted", || {
        broker.status.get().partitions[0].start > 20
    })
    .await;
    broker.stop().await;
}

#[tokio::test]
async fn log_dirs_tell_the_size_of_partitions_and_the_room_of_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    create(&mut wire, &[]).await;
    let sent = batch(&["a"]).freeze();
    produced(&mut wire, sent.clone()).await;
    for asked in [None, Some(vec![0, 7, 0])] {
        let topics = asked.map(|partitions| {
            vec![
                describe_log_dirs_request::DescribableLogDirTopic::default()
                    .with_topic(topic("logs"))
                    .with_partitions(partitions),
                describe_log_dirs_request::DescribableLogDirTopic::default()
                    .with_topic(topic("nowhere"))
                    .with_partitions(vec![0]),
            ]
        });
        let request = DescribeLogDirsRequest::default().with_topics(topics);
        let response = wire.call(ApiKey::DescribeLogDirs, 4, request).await;
        let ResponseKind::DescribeLogDirs(response) = response else {
            panic!()
        };
        let [found] = &response.results[..] else {
            panic!("one directory: {response:?}")
        };
        assert!(found.log_dir.ends_with("/log") && found.total_bytes > found.usable_bytes);
        assert_eq!(found.topics.len(), 1);
        let sizes: Vec<(i32, i64)> = found.topics[0]
            .partitions
            .iter()
            .map(|row| (row.partition_index, row.partition_size))
            .collect();
        assert_eq!(sizes, [(0, sent.len() as i64)]);
    }
    broker.stop().await;
}

async fn delete_offsets(wire: &mut Wire, group: &str, partitions: &[i32]) -> (i16, Vec<i16>) {
    let rows = partitions.iter().map(|partition| {
        offset_delete_request::OffsetDeleteRequestPartition::default()
            .with_partition_index(*partition)
    });
    let topics = vec![
        offset_delete_request::OffsetDeleteRequestTopic::default()
            .with_name(topic("logs"))
            .with_partitions(rows.collect()),
    ];
    let request = OffsetDeleteRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(topics);
    let ResponseKind::OffsetDelete(response) = wire.call(ApiKey::OffsetDelete, 0, request).await
    else {
        panic!()
    };
    let rows = response.topics.iter().flat_map(|topic| &topic.partitions);
    (
        response.error_code,
        rows.map(|row| row.error_code).collect(),
    )
}

/// Commits offset 1 of partition 0 for a group without members.
async fn commit(wire: &mut Wire, group: &str) {
    let row = offset_commit_request::OffsetCommitRequestPartition::default()
        .with_committed_offset(1)
        .with_committed_metadata(Some(text("")));
    let topics = vec![
        offset_commit_request::OffsetCommitRequestTopic::default()
            .with_name(topic("logs"))
            .with_partitions(vec![row]),
    ];
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(topics);
    wire.call(ApiKey::OffsetCommit, 8, request).await;
}

/// Makes the connection's client the only member of a group, with this subscription.
async fn join(wire: &mut Wire, group: &str, subscription: &[u8]) {
    let protocol = join_group_request::JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(bytes::Bytes::copy_from_slice(subscription));
    let request = JoinGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(30_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    let ResponseKind::JoinGroup(response) = wire.call(ApiKey::JoinGroup, 2, request).await else {
        panic!()
    };
    assert_eq!(response.error_code, 0);
}

#[tokio::test]
async fn offsets_are_deleted_unless_a_member_reads_their_topic() {
    const READS_LOGS: [u8; 12] = [0, 0, 0, 0, 0, 1, 0, 4, b'l', b'o', b'g', b's'];
    const READS_NOTHING: [u8; 6] = [0, 0, 0, 0, 0, 0];
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    create(&mut wire, &[]).await;
    for group in ["idle", "reader", "other", "odd"] {
        commit(&mut wire, group).await;
    }
    let mut members = Vec::new();
    for (group, subscription) in [
        ("reader", &READS_LOGS[..]),
        ("other", &READS_NOTHING),
        ("odd", &[1, 2, 3]),
    ] {
        let mut member = Wire::connect(broker.address).await;
        join(&mut member, group, subscription).await;
        members.push(member);
    }
    for (group, outcome) in [
        ("idle", (0, vec![0, 3])),
        ("idle", (69, vec![])),
        ("reader", (0, vec![86, 86])),
        ("other", (0, vec![0, 3])),
        ("odd", (68, vec![])),
        ("nobody", (69, vec![])),
    ] {
        assert_eq!(
            delete_offsets(&mut wire, group, &[0, 9]).await,
            outcome,
            "{group}"
        );
    }
    broker.stop().await;

    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    let outcome = delete_offsets(&mut wire, "other", &[0]).await;
    assert_eq!(outcome, (69, vec![]), "they stay deleted");
    assert_eq!(
        delete_offsets(&mut wire, "reader", &[0]).await,
        (0, vec![0])
    );
    broker.stop().await;
}
