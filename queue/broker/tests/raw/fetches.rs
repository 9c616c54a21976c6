//! Fetch: long polls and error rows.

use kafka_protocol::messages::*;
use std::time::{Duration, Instant};

use crate::common::wire::{Wire, batch};
use crate::common::{config, start};
use crate::requests::{FETCH, PRODUCE, fetch, fetched, produce, produced, topic};

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
