//! Bytes that no well-behaved client sends, and the fine points of the protocol that no client shows.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::wire::{Wire, batch, frame, sign};
use common::{Running, config, start};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use logboom_broker::Config;
use rand::{RngExt, SeedableRng};
use tokio::io::AsyncWriteExt;

const FETCH: i16 = 12;
const PRODUCE: i16 = 9;

fn topic(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn produce(partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(1000)
        .with_topic_data(vec![
            TopicProduceData::default()
                .with_name(topic("logs"))
                .with_partition_data(vec![
                    PartitionProduceData::default()
                        .with_index(partition)
                        .with_records(Some(records)),
                ]),
        ])
}

async fn produced(wire: &mut Wire, records: Bytes) -> PartitionProduceResponse {
    let ResponseKind::Produce(response) = wire
        .call(ApiKey::Produce, PRODUCE, produce(0, -1, records))
        .await
    else {
        panic!("not a produce answer")
    };
    response.responses[0].partition_responses[0].clone()
}

fn fetch(partitions: &[i32], offset: i64, wait_ms: i32, min_bytes: i32) -> FetchRequest {
    let partitions = partitions
        .iter()
        .map(|partition| {
            FetchPartition::default()
                .with_partition(*partition)
                .with_fetch_offset(offset)
                .with_partition_max_bytes(1 << 20)
        })
        .collect();
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(min_bytes)
        .with_max_bytes(1 << 20)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(topic("logs"))
                .with_partitions(partitions),
        ])
}

fn fetched(response: ResponseKind) -> Vec<fetch_response::PartitionData> {
    let ResponseKind::Fetch(response) = response else {
        panic!("not a fetch answer")
    };
    assert_eq!((response.error_code, response.session_id), (0, 0));
    response
        .responses
        .into_iter()
        .flat_map(|topic| topic.partitions)
        .collect()
}

/// The broker still answers others.
async fn assert_alive(broker: &Running) {
    let mut wire = Wire::connect(broker.address).await;
    wire.call(ApiKey::ApiVersions, 3, ApiVersionsRequest::default())
        .await;
}

#[tokio::test]
async fn four_inputs_that_abort_the_codec_only_close_their_connection() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut fetch_v4 = vec![0; 17];
    fetch_v4.extend([0x7f, 0xff, 0xff, 0xff]);
    for (key, version, body) in [
        (ApiKey::Metadata, 1, vec![0x7f, 0xff, 0xff, 0xff]),
        (ApiKey::Metadata, 12, vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
        (ApiKey::Fetch, 4, fetch_v4),
    ] {
        let mut wire = Wire::connect(broker.address).await;
        wire.send_bytes(&frame(key as i16, version, 1, &body)).await;
        wire.expect_closed().await;
        assert_alive(&broker).await;
    }
    // The fourth: a batch of a header only, which counts two billion records.
    let mut wire = Wire::connect(broker.address).await;
    let mut bare = batch(&[]);
    bare[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    bare[23..27].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
    sign(&mut bare);
    assert_eq!(bare.len(), 61);
    let answer = produced(&mut wire, bare.freeze()).await;
    // The log may take the count for what it says: what matters is that nobody reserves memory for it.
    assert!([0, 2, 87].contains(&answer.error_code), "{answer:?}");
    assert_alive(&broker).await;
    broker.stop().await;
}

#[tokio::test]
async fn frames_of_impossible_length_and_garbage_close_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    for length in [-1i32, 0, 7, i32::MAX, i32::MIN, 100 * 1024 * 1024 + 1] {
        let mut wire = Wire::connect(broker.address).await;
        wire.send_bytes(&length.to_be_bytes()).await;
        wire.expect_closed().await;
    }
    for text in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03 and so on",
    ] {
        let mut wire = Wire::connect(broker.address).await;
        wire.send_bytes(text.as_bytes()).await;
        wire.expect_closed().await;
    }
    assert_alive(&broker).await;
    broker.stop().await;
}

#[tokio::test]
async fn random_frames_never_take_the_broker_down() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    for _ in 0..300 {
        let mut wire = Wire::connect(broker.address).await;
        let body: Vec<u8> = (0..random.random_range(0..60))
            .map(|_| random.random())
            .collect();
        let sent = frame(
            random.random_range(0..70),
            random.random_range(0..14),
            1,
            &body,
        );
        // The broker may close before everything is sent.
        let _closed_early = wire.stream.write_all(&sent).await;
    }
    assert_alive(&broker).await;
    broker.stop().await;
}

#[tokio::test]
async fn an_unknown_version_of_api_versions_is_answered_and_others_close() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    wire.send_bytes(&frame(18, 99, 5, &[0; 9])).await;
    assert_eq!(
        &wire.receive_bytes().await[..],
        [0, 0, 0, 5, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4]
    );
    // The same connection goes on with a version that both know.
    let ResponseKind::ApiVersions(versions) = wire
        .call(ApiKey::ApiVersions, 3, ApiVersionsRequest::default())
        .await
    else {
        panic!()
    };
    let range = |key: ApiKey| {
        let found = versions
            .api_keys
            .iter()
            .find(|row| row.api_key == key as i16);
        found.map(|row| (row.min_version, row.max_version))
    };
    assert_eq!(
        range(ApiKey::Produce),
        Some((0, 11)),
        "older librdkafka looks for 0, and 12 means transactions"
    );
    assert_eq!(range(ApiKey::Fetch), Some((4, 12)));
    assert_eq!(range(ApiKey::SaslHandshake), None);
    assert_eq!(range(ApiKey::ConsumerGroupHeartbeat), None);
    assert_eq!(range(ApiKey::GetTelemetrySubscriptions), None);

    for (key, version) in [(0, 2), (1, 13), (78, 0), (-1, 0)] {
        let mut wire = Wire::connect(broker.address).await;
        wire.send_bytes(&frame(key, version, 1, &[0; 9])).await;
        wire.expect_closed().await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn bad_batches_are_refused_with_their_code_and_never_stored() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    let good = batch(&["a", "b"]);

    let mut negative_count = good.clone();
    negative_count[57..61].copy_from_slice(&(-1i32).to_be_bytes());
    sign(&mut negative_count);
    let mut wrong_delta = good.clone();
    wrong_delta[23..27].copy_from_slice(&7i32.to_be_bytes());
    sign(&mut wrong_delta);
    let mut bad_checksum = good.clone();
    bad_checksum[70] ^= 1;
    let mut old_magic = good.clone();
    old_magic[16] = 1;
    sign(&mut old_magic);
    let mut two_batches = good.clone();
    two_batches.extend_from_slice(&good);
    let cut = good.slice_to(good.len() - 1);

    for (what, records, code) in [
        ("negative count", negative_count.freeze(), 87),
        ("count and delta differ", wrong_delta.freeze(), 87),
        ("bad checksum", bad_checksum.freeze(), 2),
        ("old magic", old_magic.freeze(), 43),
        ("two batches", two_batches.freeze(), 2),
        ("cut", cut, 2),
        ("nothing", Bytes::new(), 2),
    ] {
        let answer = produced(&mut wire, records).await;
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (code, -1),
            "{what}"
        );
        assert!(
            answer
                .error_message
                .is_some_and(|message| !message.is_empty()),
            "{what}"
        );
    }
    assert_eq!(broker.records("logs"), 0);
    assert_eq!(
        produced(&mut wire, good.freeze()).await.base_offset,
        0,
        "the connection goes on"
    );
    broker.stop().await;
}

trait SliceTo {
    fn slice_to(&self, length: usize) -> Bytes;
}

impl SliceTo for bytes::BytesMut {
    fn slice_to(&self, length: usize) -> Bytes {
        Bytes::copy_from_slice(&self[..length])
    }
}

#[tokio::test]
async fn produce_names_what_does_not_exist_and_what_it_cannot_honour() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    let records = batch(&["a"]).freeze();
    for (request, code) in [
        (produce(99, -1, records.clone()), 3),
        (produce(-1, -1, records.clone()), 3),
        (produce(0, 5, records.clone()), 21),
    ] {
        let ResponseKind::Produce(answer) = wire.call(ApiKey::Produce, PRODUCE, request).await
        else {
            panic!()
        };
        assert_eq!(answer.responses[0].partition_responses[0].error_code, code);
    }
    let mut bad_name = produce(0, -1, records);
    bad_name.topic_data[0].name = topic("no/such name");
    let ResponseKind::Produce(answer) = wire.call(ApiKey::Produce, PRODUCE, bad_name).await else {
        panic!()
    };
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 17);
    broker.stop().await;
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_requests_and_acks_0_gets_none() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    let mut expected = Vec::new();
    for round in 0..40 {
        let records = batch(&[&format!("r{round}")]).freeze();
        if round % 5 == 4 {
            wire.send(ApiKey::Produce, PRODUCE, produce(0, 0, records))
                .await;
        } else if round % 7 == 6 {
            let id = wire
                .send(ApiKey::ApiVersions, 3, ApiVersionsRequest::default())
                .await;
            expected.push((ApiKey::ApiVersions, 3, id));
        } else {
            let id = wire
                .send(ApiKey::Produce, PRODUCE, produce(0, -1, records))
                .await;
            expected.push((ApiKey::Produce, PRODUCE, id));
        }
    }
    let mut last_offset = -1;
    for (key, version, id) in expected {
        let (got, response) = wire.receive(key, version).await;
        assert_eq!(got, id);
        if let ResponseKind::Produce(response) = response {
            let offset = response.responses[0].partition_responses[0].base_offset;
            assert!(
                offset > last_offset,
                "stored in order: {offset} after {last_offset}"
            );
            last_offset = offset;
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn requests_sent_before_the_client_closed_its_side_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    for _ in 0..3 {
        wire.send(
            ApiKey::Produce,
            PRODUCE,
            produce(0, 0, batch(&["x"]).freeze()),
        )
        .await;
    }
    let id = wire
        .send(ApiKey::Fetch, FETCH, fetch(&[1], 0, 30_000, 1))
        .await;
    wire.stream.shutdown().await.unwrap();
    let begun = Instant::now();
    let (got, response) = wire.receive(ApiKey::Fetch, FETCH).await;
    assert_eq!(got, id);
    assert!(
        fetched(response)[0]
            .records
            .as_ref()
            .is_none_or(Bytes::is_empty)
    );
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "a long poll ends with the connection"
    );
    assert_eq!(broker.records("logs"), 3);
    wire.expect_closed().await;
    broker.stop().await;
}

#[tokio::test]
async fn a_long_poll_waits_for_its_time_or_for_records_in_any_partition() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut writer = Wire::connect(broker.address).await;
    produced(&mut writer, batch(&["first"]).freeze()).await;

    let mut reader = Wire::connect(broker.address).await;
    let begun = Instant::now();
    let rows = fetched(
        reader
            .call(ApiKey::Fetch, FETCH, fetch(&[1, 2], 0, 300, 1))
            .await,
    );
    assert!(
        begun.elapsed() >= Duration::from_millis(300),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        rows.iter()
            .all(|row| row.error_code == 0 && row.high_watermark == 0)
    );

    let begun = Instant::now();
    reader
        .send(ApiKey::Fetch, FETCH, fetch(&[1, 2, 3], 0, 30_000, 1))
        .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    writer
        .call(
            ApiKey::Produce,
            PRODUCE,
            produce(3, -1, batch(&["wakes"]).freeze()),
        )
        .await;
    let (_, response) = reader.receive(ApiKey::Fetch, FETCH).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    let rows = fetched(response);
    assert_eq!(rows.len(), 3);
    assert!(rows[2].records.as_ref().unwrap().ends_with(b"wakes\0"));
    assert_eq!(
        (
            rows[2].high_watermark,
            rows[2].last_stable_offset,
            rows[2].log_start_offset
        ),
        (1, 1, 0)
    );

    // Fewer bytes than asked for: the time decides.
    let begun = Instant::now();
    let rows = fetched(
        reader
            .call(ApiKey::Fetch, FETCH, fetch(&[3], 0, 300, 1_000_000))
            .await,
    );
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(
        !rows[0].records.as_ref().unwrap().is_empty(),
        "what is there comes in the end"
    );
    broker.stop().await;
}

#[tokio::test]
async fn an_error_row_carries_the_real_log_start_and_answers_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    produced(&mut wire, batch(&["a", "b", "c"]).freeze()).await;
    let delete = DeleteRecordsRequest::default()
        .with_timeout_ms(1000)
        .with_topics(vec![
            delete_records_request::DeleteRecordsTopic::default()
                .with_name(topic("logs"))
                .with_partitions(vec![
                    delete_records_request::DeleteRecordsPartition::default().with_offset(2),
                    delete_records_request::DeleteRecordsPartition::default()
                        .with_partition_index(1)
                        .with_offset(9),
                ]),
        ]);
    let ResponseKind::DeleteRecords(deleted) = wire.call(ApiKey::DeleteRecords, 2, delete).await
    else {
        panic!()
    };
    let rows = &deleted.topics[0].partitions;
    assert_eq!((rows[0].error_code, rows[0].low_watermark), (0, 2));
    assert_eq!(
        rows[1].error_code, 1,
        "there is nothing at 9 to delete up to"
    );

    let begun = Instant::now();
    for offset in [0, 99] {
        let rows = fetched(
            wire.call(ApiKey::Fetch, FETCH, fetch(&[0], offset, 30_000, 1))
                .await,
        );
        assert_eq!(
            (
                rows[0].error_code,
                rows[0].log_start_offset,
                rows[0].high_watermark
            ),
            (1, 2, 3)
        );
    }
    let mut unknown = fetch(&[0], 0, 30_000, 1);
    unknown.topics[0].topic = topic("nowhere");
    assert_eq!(
        fetched(wire.call(ApiKey::Fetch, FETCH, unknown).await)[0].error_code,
        3
    );
    let mut fenced = fetch(&[0], 2, 30_000, 1);
    fenced.topics[0].partitions[0].current_leader_epoch = 77;
    assert_eq!(
        fetched(wire.call(ApiKey::Fetch, FETCH, fenced).await)[0].error_code,
        75
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
    broker.stop().await;
}

#[tokio::test]
async fn a_partition_that_cannot_be_opened_is_not_told_as_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    produced(&mut wire, batch(&["a", "b", "c"]).freeze()).await;
    drop(wire);
    broker.stop().await;
    std::fs::remove_file(dir.path().join("log/logs-0/partition.state")).unwrap();

    // Its stop reports the partition, so it just ends with the test.
    let broker = start(config(dir.path())).await;
    let mut wire = Wire::connect(broker.address).await;
    let begun = Instant::now();
    for offset in [0, 3] {
        let answer = wire.call(ApiKey::Fetch, FETCH, fetch(&[0], offset, 30_000, 1));
        assert_eq!(fetched(answer.await)[0].error_code, 56);
    }
    assert!(begun.elapsed() < Duration::from_secs(10));

    let times = [-1, -2, -3, 0]
        .map(|time| list_offsets_request::ListOffsetsPartition::default().with_timestamp(time));
    let request = ListOffsetsRequest::default().with_topics(vec![
        list_offsets_request::ListOffsetsTopic::default()
            .with_name(topic("logs"))
            .with_partitions(times.to_vec()),
    ]);
    let ResponseKind::ListOffsets(listed) = wire.call(ApiKey::ListOffsets, 7, request).await else {
        panic!()
    };
    for row in &listed.topics[0].partitions {
        assert_eq!((row.error_code, row.offset), (56, -1));
    }

    let request = OffsetForLeaderEpochRequest::default().with_topics(vec![
        offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
            .with_topic(topic("logs"))
            .with_partitions(vec![
                offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
                    .with_current_leader_epoch(5),
            ]),
    ]);
    let ResponseKind::OffsetForLeaderEpoch(ends) =
        wire.call(ApiKey::OffsetForLeaderEpoch, 4, request).await
    else {
        panic!()
    };
    let row = &ends.topics[0].partitions[0];
    assert_eq!((row.error_code, row.end_offset), (56, -1));
}

#[tokio::test]
async fn a_stop_answers_what_was_accepted_and_refuses_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let address = broker.address;
    let mut writer = Wire::connect(address).await;
    let mut reader = Wire::connect(address).await;
    produced(&mut writer, batch(&["x"]).freeze()).await;
    reader
        .send(ApiKey::Fetch, FETCH, fetch(&[1], 0, 60_000, 1))
        .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    let stopping = tokio::spawn(broker.stop());
    let (_, response) = reader.receive(ApiKey::Fetch, FETCH).await;
    assert_eq!(fetched(response)[0].error_code, 0);
    stopping.await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "long polls do not delay a stop"
    );
    assert!(tokio::net::TcpStream::connect(address).await.is_err());

    let broker = start(config(dir.path())).await;
    assert_eq!(broker.records("logs"), 1);
    broker.stop().await;
}

#[tokio::test]
async fn connections_are_capped_and_idle_ones_closed() {
    let dir = tempfile::tempdir().unwrap();
    let idle_timeout = Duration::from_millis(400);
    let broker = start(Config {
        max_connections: 2,
        idle_timeout,
        ..config(dir.path())
    })
    .await;
    let mut first = Wire::connect(broker.address).await;
    first
        .call(ApiKey::ApiVersions, 0, ApiVersionsRequest::default())
        .await;
    let mut second = Wire::connect(broker.address).await;
    second
        .call(ApiKey::ApiVersions, 0, ApiVersionsRequest::default())
        .await;
    Wire::connect(broker.address).await.expect_closed().await;
    first.expect_closed().await;
    second.expect_closed().await;
    common::eventually("their places are free", || {
        broker.status.get().connections == 0
    })
    .await;
    assert_alive(&broker).await;
    broker.stop().await;
}

#[tokio::test]
async fn a_second_broker_on_the_same_directory_is_refused_with_a_clear_message() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let error = logboom_broker::Broker::open(config(dir.path()))
        .await
        .err()
        .expect("locked");
    let message = error.to_string();
    assert!(
        message.contains(&std::process::id().to_string()),
        "{message}"
    );
    broker.stop().await;
}

#[tokio::test]
async fn the_advertised_address_is_the_one_that_was_reached_unless_configured() {
    let dir = tempfile::tempdir().unwrap();
    for (advertised, expected) in [
        (None, "127.0.0.1"),
        (Some(("queue.example".to_owned(), 0)), "queue.example"),
    ] {
        let broker = start(Config {
            advertised,
            ..config(dir.path())
        })
        .await;
        let mut wire = Wire::connect(broker.address).await;
        let request = MetadataRequest::default().with_topics(None);
        let ResponseKind::Metadata(metadata) = wire.call(ApiKey::Metadata, 12, request).await
        else {
            panic!()
        };
        assert_eq!(&*metadata.brokers[0].host, expected);
        assert_eq!(metadata.brokers[0].port, i32::from(broker.address.port()));
        assert_eq!(metadata.controller_id, metadata.brokers[0].node_id);
        drop(wire);
        broker.stop().await;
    }
}

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
        wire.call(
            ApiKey::DescribeGroups,
            version,
            DescribeGroupsRequest::default().with_groups(vec![group()]),
        )
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
    for version in 0..=1 {
        wire.call(
            ApiKey::DescribeCluster,
            version,
            DescribeClusterRequest::default(),
        )
        .await;
    }
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
