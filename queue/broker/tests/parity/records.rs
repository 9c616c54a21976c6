//! Records: taken, refused, read, looked up, deleted.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;

use crate::common::wire::{Wire, batch, sign};
use crate::side::{Side, at_time, of_producer};
use crate::topics::{made, name};

fn sending(topic: &str, partition: i32, acks: i16, records: Option<Bytes>) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(records);
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(5_000)
        .with_topic_data(vec![
            TopicProduceData::default()
                .with_name(name(topic))
                .with_partition_data(vec![data]),
        ])
}

async fn store(side: &mut Side, topic: &str, partition: i32, records: Bytes) {
    let request = sending(topic, partition, -1, Some(records));
    let ResponseKind::Produce(answer) = side.wire.call(ApiKey::Produce, 9, request).await else {
        panic!()
    };
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

/// `batch` with some of its bytes set and the checksum made right again.
fn altered(mut batch: BytesMut, at: usize, bytes: &[u8]) -> Option<Bytes> {
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    sign(&mut batch);
    Some(batch.freeze())
}

pub(crate) async fn produce(side: &mut Side) {
    side.begin("produce");
    made(side, "in", 1).await;
    let good = || batch(&["a", "b"]);
    for version in [3, 5, 8, 9, 11] {
        let request = sending("in", 0, -1, Some(good().freeze()));
        side.ask(&format!("v{version}"), ApiKey::Produce, version, request)
            .await;
    }
    let mut bad_checksum = good();
    bad_checksum[70] ^= 1;
    let two = [good().freeze(), good().freeze()].concat();
    let cut = good().freeze().slice(..good().len() - 1);
    let long = "x".repeat(120_000);
    let bad = [
        ("bad checksum", Some(bad_checksum.freeze())),
        (
            "negative count",
            altered(good(), 57, &(-1i32).to_be_bytes()),
        ),
        (
            "count and last offset differ",
            altered(good(), 23, &7i32.to_be_bytes()),
        ),
        ("old format", altered(good(), 16, &[1])),
        ("unknown codec", altered(good(), 21, &7i16.to_be_bytes())),
        ("control batch", altered(good(), 21, &0x20i16.to_be_bytes())),
        ("two batches", Some(two.into())),
        ("cut", Some(cut)),
        ("no bytes", Some(Bytes::new())),
        ("too large", Some(batch(&[&long]).freeze())),
    ];
    for (step, records) in bad {
        side.ask(step, ApiKey::Produce, 9, sending("in", 0, -1, records))
            .await;
    }
    let good = || Some(good().freeze());
    side.ask(
        "unknown partition",
        ApiKey::Produce,
        9,
        sending("in", 99, -1, good()),
    )
    .await;
    side.ask(
        "negative partition",
        ApiKey::Produce,
        9,
        sending("in", -1, -1, good()),
    )
    .await;
    side.ask(
        "unknown topic",
        ApiKey::Produce,
        9,
        sending("made-by-sending", 0, -1, good()),
    )
    .await;
    side.ask(
        "bad topic name",
        ApiKey::Produce,
        9,
        sending("bad name", 0, -1, good()),
    )
    .await;
    side.ask("acks 5", ApiKey::Produce, 9, sending("in", 0, 5, good()))
        .await;
    side.ask("acks 1", ApiKey::Produce, 9, sending("in", 0, 1, good()))
        .await;
    side.wire
        .send(ApiKey::Produce, 9, sending("in", 0, 0, good()))
        .await;
    // Were acks 0 answered, this would be the wrong answer.
    side.ask(
        "after acks 0",
        ApiKey::Produce,
        9,
        sending("in", 0, -1, good()),
    )
    .await;
    side.ask(
        "no topics",
        ApiKey::Produce,
        9,
        ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(1000),
    )
    .await;
}

async fn producer_id(side: &mut Side, step: &str) -> i64 {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(1000);
    let ResponseKind::InitProducerId(answer) =
        side.ask(step, ApiKey::InitProducerId, 4, request).await
    else {
        panic!()
    };
    answer.producer_id.0
}

pub(crate) async fn produce_in_sequence(side: &mut Side) {
    side.begin("sequences");
    made(side, "sequence", 1).await;
    let id = producer_id(side, "an id").await;
    let other = producer_id(side, "another id").await;
    assert_ne!(id, other);
    let two = |id, epoch, sequence| of_producer(batch(&["a", "b"]), id, epoch, sequence);
    for (step, records) in [
        ("first", two(id, 0, 0)),
        ("next", two(id, 0, 2)),
        ("next again", two(id, 0, 2)),
        ("first again", two(id, 0, 0)),
        ("half of one again", of_producer(batch(&["b"]), id, 0, 1)),
        ("gap", two(id, 0, 40)),
        ("third", two(id, 0, 4)),
        ("fourth", two(id, 0, 6)),
        ("fifth", two(id, 0, 8)),
        ("sixth", two(id, 0, 10)),
        ("first after six", two(id, 0, 0)),
        ("newer epoch from the middle", two(id, 1, 5)),
        ("newer epoch", two(id, 1, 0)),
        ("older epoch", two(id, 0, 12)),
        ("an id that begins in the middle", two(other, 0, 7)),
        ("an id nobody gave out", two(1 << 40, 0, 0)),
        ("an id without epoch", two(id, -1, 2)),
        ("an id without sequence", two(id, 1, -1)),
    ] {
        side.ask(
            step,
            ApiKey::Produce,
            9,
            sending("sequence", 0, -1, Some(records)),
        )
        .await;
    }
}

fn reading(topic: &str, rows: &[(i32, i64)]) -> FetchRequest {
    let rows = rows.iter().map(|(partition, offset)| {
        FetchPartition::default()
            .with_partition(*partition)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(1 << 20)
    });
    FetchRequest::default()
        .with_max_wait_ms(100)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(name(topic))
                .with_partitions(rows.collect()),
        ])
}

pub(crate) async fn fetch(side: &mut Side) {
    side.begin("fetch");
    made(side, "out", 3).await;
    for value in ["a", "b", "c"] {
        store(side, "out", 0, batch(&[value, value]).freeze()).await;
    }
    store(side, "out", 2, batch(&["other"]).freeze()).await;
    for version in [4, 5, 7, 9, 11, 12] {
        side.ask(
            &format!("v{version}"),
            ApiKey::Fetch,
            version,
            reading("out", &[(0, 0)]),
        )
        .await;
    }
    let mut one_byte = reading("out", &[(0, 0), (2, 0)]);
    one_byte.max_bytes = 1;
    let mut one_byte_each = reading("out", &[(0, 0), (2, 0)]);
    one_byte_each.topics[0].partitions[0].partition_max_bytes = 1;
    one_byte_each.topics[0].partitions[1].partition_max_bytes = 1;
    let mut epoch = reading("out", &[(0, 0)]);
    epoch.topics[0].partitions[0].current_leader_epoch = 77;
    let mut many = reading("out", &[(0, 0)]);
    many.min_bytes = 1 << 19;
    for (step, request) in [
        ("inside a batch", reading("out", &[(0, 1)])),
        ("one byte of two partitions", one_byte),
        ("one byte of each partition", one_byte_each),
        ("at the end", reading("out", &[(0, 6)])),
        ("an empty partition", reading("out", &[(1, 0)])),
        ("beyond the end", reading("out", &[(0, 7)])),
        ("a negative offset", reading("out", &[(0, -1)])),
        ("unknown topic", reading("never-made", &[(0, 0)])),
        ("unknown partition", reading("out", &[(99, 0)])),
        ("a good and a bad one", reading("out", &[(0, 0), (99, 0)])),
        ("a future epoch", epoch),
        ("more bytes than there are", many),
        (
            "committed ones only",
            reading("out", &[(0, 0)]).with_isolation_level(1),
        ),
        ("no partitions", reading("out", &[])),
        ("no topics", reading("out", &[]).with_topics(vec![])),
        (
            "a session that nobody opened",
            reading("out", &[(0, 0)])
                .with_session_id(5)
                .with_session_epoch(1),
        ),
        (
            "a new session",
            reading("out", &[(0, 0)]).with_session_epoch(0),
        ),
    ] {
        side.ask(step, ApiKey::Fetch, 12, request).await;
    }
    let waiting = reading("out", &[(0, 6), (1, 0)]).with_max_wait_ms(30_000);
    side.wire.send(ApiKey::Fetch, 12, waiting).await;
    let mut writer = Wire::connect(side.address).await;
    writer
        .call(
            ApiKey::Produce,
            9,
            sending("out", 1, -1, Some(batch(&["wakes"]).freeze())),
        )
        .await;
    let (_, response) = side.wire.receive(ApiKey::Fetch, 12).await;
    side.note("woken by a record", &response);
}

fn looking_up(topic: &str, rows: &[(i32, i64)]) -> ListOffsetsRequest {
    let rows = rows.iter().map(|(partition, time)| {
        ListOffsetsPartition::default()
            .with_partition_index(*partition)
            .with_timestamp(*time)
    });
    let topic = ListOffsetsTopic::default()
        .with_name(name(topic))
        .with_partitions(rows.collect());
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic])
}

pub(crate) async fn list_offsets(side: &mut Side) {
    side.begin("list offsets");
    made(side, "times", 2).await;
    for (value, time_ms) in [("a", 1_000), ("b", 3_000), ("c", 2_000), ("d", 3_000)] {
        store(side, "times", 0, at_time(batch(&[value, value]), time_ms)).await;
    }
    for version in [1, 2, 4, 7] {
        for (step, time) in [("end", -1), ("start", -2), ("time", 1_500)] {
            let request = looking_up("times", &[(0, time)]);
            side.ask(
                &format!("v{version} {step}"),
                ApiKey::ListOffsets,
                version,
                request,
            )
            .await;
        }
    }
    let mut epoch = looking_up("times", &[(0, -1)]);
    epoch.topics[0].partitions[0].current_leader_epoch = 77;
    for (step, request) in [
        ("highest time", looking_up("times", &[(0, -3)])),
        ("highest time of nothing", looking_up("times", &[(1, -3)])),
        ("from the first on", looking_up("times", &[(0, 0)])),
        ("at a time", looking_up("times", &[(0, 2_000)])),
        ("at the last time", looking_up("times", &[(0, 3_000)])),
        ("after all", looking_up("times", &[(0, 4_000)])),
        (
            "a time in an empty partition",
            looking_up("times", &[(1, 0)]),
        ),
        (
            "start of an empty partition",
            looking_up("times", &[(1, -2)]),
        ),
        ("a meaning that is unknown", looking_up("times", &[(0, -9)])),
        ("unknown partition", looking_up("times", &[(99, -1)])),
        ("unknown topic", looking_up("never-made", &[(0, -1)])),
        ("a future epoch", epoch),
        (
            "committed end",
            looking_up("times", &[(0, -1)]).with_isolation_level(1),
        ),
        ("no topics", looking_up("times", &[]).with_topics(vec![])),
    ] {
        side.ask(step, ApiKey::ListOffsets, 7, request).await;
    }
}

pub(crate) async fn delete(side: &mut Side) {
    side.begin("delete records");
    made(side, "short", 1).await;
    for value in ["a", "b", "c"] {
        store(side, "short", 0, batch(&[value, value]).freeze()).await;
    }
    let before = |topic: &str, partition, offset| {
        let row = DeleteRecordsPartition::default()
            .with_partition_index(partition)
            .with_offset(offset);
        let topic = DeleteRecordsTopic::default()
            .with_name(name(topic))
            .with_partitions(vec![row]);
        DeleteRecordsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(5_000)
    };
    for (step, request) in [
        ("before 3", before("short", 0, 3)),
        ("before 1, gone already", before("short", 0, 1)),
        ("beyond the end", before("short", 0, 7)),
        ("negative", before("short", 0, -2)),
        ("unknown partition", before("short", 99, 1)),
        ("unknown topic", before("never-made", 0, 1)),
    ] {
        side.ask(step, ApiKey::DeleteRecords, 2, request).await;
    }
    side.ask(
        "then read below the start",
        ApiKey::Fetch,
        12,
        reading("short", &[(0, 0)]),
    )
    .await;
    side.ask(
        "then read from the start",
        ApiKey::Fetch,
        12,
        reading("short", &[(0, 3)]),
    )
    .await;
    side.ask(
        "then the start",
        ApiKey::ListOffsets,
        7,
        looking_up("short", &[(0, -2)]),
    )
    .await;
    side.ask(
        "then a time",
        ApiKey::ListOffsets,
        7,
        looking_up("short", &[(0, 0)]),
    )
    .await;
    side.ask("all", ApiKey::DeleteRecords, 2, before("short", 0, -1))
        .await;
    side.ask(
        "then read the end",
        ApiKey::Fetch,
        12,
        reading("short", &[(0, 6)]),
    )
    .await;
    side.ask(
        "then the highest time",
        ApiKey::ListOffsets,
        7,
        looking_up("short", &[(0, -3)]),
    )
    .await;
}

pub(crate) async fn leader_epochs(side: &mut Side) {
    side.begin("leader epochs");
    made(side, "epochs", 1).await;
    store(side, "epochs", 0, batch(&["a", "b"]).freeze()).await;
    let asked = |topic: &str, partition, known, epoch| {
        let row = OffsetForLeaderPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(known)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(name(topic))
            .with_partitions(vec![row]);
        OffsetForLeaderEpochRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic])
    };
    for version in [2, 3, 4] {
        let request = asked("epochs", 0, -1, 0);
        let request = if version == 2 {
            request.with_replica_id(BrokerId(-2))
        } else {
            request
        };
        side.ask(
            &format!("v{version} current"),
            ApiKey::OffsetForLeaderEpoch,
            version,
            request,
        )
        .await;
    }
    for (step, request) in [
        ("known", asked("epochs", 0, 0, 0)),
        ("future", asked("epochs", 0, -1, 5)),
        ("none", asked("epochs", 0, -1, -1)),
        ("client is ahead", asked("epochs", 0, 9, 0)),
        ("unknown partition", asked("epochs", 99, -1, 0)),
        ("unknown topic", asked("never-made", 0, -1, 0)),
    ] {
        side.ask(step, ApiKey::OffsetForLeaderEpoch, 4, request)
            .await;
    }
}
