//! Frames that no client sends: whatever comes, only its own connection ends.

use kafka_protocol::messages::*;
use rand::{RngExt, SeedableRng};
use tokio::io::AsyncWriteExt;

use crate::common::wire::{Wire, batch, frame, sign};
use crate::common::{config, start};
use crate::requests::{assert_alive, produced};

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
    assert_eq!(range(ApiKey::SaslHandshake), Some((0, 1)));
    assert_eq!(range(ApiKey::ConsumerGroupHeartbeat), None);
    assert_eq!(range(ApiKey::GetTelemetrySubscriptions), None);

    for (key, version) in [(0, 2), (1, 13), (78, 0), (-1, 0)] {
        let mut wire = Wire::connect(broker.address).await;
        wire.send_bytes(&frame(key, version, 1, &[0; 9])).await;
        wire.expect_closed().await;
    }
    broker.stop().await;
}
