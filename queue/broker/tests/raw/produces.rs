//! Produce: what is refused and how, and the order of the answers.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::*;
use tokio::io::AsyncWriteExt;

use crate::common::wire::{Wire, batch, sign};
use crate::common::{config, start};
use crate::requests::{FETCH, PRODUCE, fetch, fetched, produce, produced, topic};

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
        ("two batches", two_batches.freeze(), 87),
        ("cut", cut, 87),
        ("nothing", Bytes::new(), 87),
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
