//! Connections and the broker as a whole: stops, maxima, addresses.

use kafka_protocol::messages::*;
use logboom_broker::Config;
use std::time::{Duration, Instant};

use crate::common::wire::{Wire, batch};
use crate::common::{config, eventually, start};
use crate::requests::{FETCH, assert_alive, fetch, fetched, produced};

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
    eventually("their places are free", || {
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
