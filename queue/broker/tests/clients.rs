//! The broker with librdkafka 2.12 as a library, and what must survive a restart.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::{config, start, start_on};
use logboom_broker::Config;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

fn producer(bootstrap: &str) -> FutureProducer {
    let mut config = client(bootstrap);
    config
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        .set("linger.ms", "2");
    config.create().unwrap()
}

async fn send(producer: &FutureProducer, topic: &str, range: std::ops::Range<usize>) {
    let values: Vec<String> = range.map(|i| format!("value {i}")).collect();
    let sends = values.iter().map(|value| {
        let record: FutureRecord<'_, (), _> = FutureRecord::to(topic).payload(value);
        producer.send(record, Duration::from_secs(20))
    });
    for sent in futures::future::join_all(sends).await {
        sent.unwrap();
    }
}

async fn read(consumer: &StreamConsumer, count: usize) -> Vec<String> {
    let mut values = Vec::new();
    while values.len() < count {
        let message = tokio::time::timeout(Duration::from_secs(20), consumer.recv())
            .await
            .expect("a record in time");
        let message = match message {
            Ok(message) => message,
            // The broker was away for a moment: librdkafka says so and goes on by itself.
            Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
            )) => continue,
            Err(error) => panic!("{error}"),
        };
        values.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
    }
    values
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotent_producer_and_a_group_consumer_see_every_record_once_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let address = broker.bootstrap();
    let producer = producer(&address);
    let consumer: StreamConsumer = client(&address)
        .set("group.id", "readers")
        .set("auto.offset.reset", "earliest")
        .set("topic.metadata.refresh.interval.ms", "500")
        .set("reconnect.backoff.max.ms", "200")
        .create()
        .unwrap();
    send(&producer, "logs", 0..500).await;
    consumer.subscribe(&["logs"]).unwrap();
    let mut seen = read(&consumer, 500).await;
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();

    // Clients stay, the broker goes and comes back on its port.
    broker.stop().await;
    let broker = start_on(config(dir.path()), &address).await;
    send(&producer, "logs", 500..1000).await;
    seen.extend(read(&consumer, 500).await);
    assert_eq!(seen.len(), 1000);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>().len(), 1000);
    assert_eq!(broker.records("logs"), 1000, "no retry was stored twice");
    drop(consumer);
    drop(producer);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admin_clients_create_describe_grow_and_delete_topics() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let address = broker.bootstrap();
    let admin: AdminClient<DefaultClientContext> = client(&address).create().unwrap();
    let options = AdminOptions::new();
    let topic = NewTopic::new("made", 3, TopicReplication::Fixed(1));
    assert_eq!(
        admin.create_topics(&[topic], &options).await.unwrap(),
        [Ok("made".to_owned())]
    );
    let again = NewTopic::new("made", 3, TopicReplication::Fixed(1));
    let again = admin.create_topics(&[again], &options).await.unwrap();
    assert_eq!(
        again[0].as_ref().unwrap_err().1,
        RDKafkaErrorCode::TopicAlreadyExists
    );
    let grown = admin
        .create_partitions(&[rdkafka::admin::NewPartitions::new("made", 5)], &options)
        .await
        .unwrap();
    assert_eq!(grown, [Ok("made".to_owned())]);
    let settings = admin
        .describe_configs(
            &[rdkafka::admin::ResourceSpecifier::Topic("made")],
            &options,
        )
        .await
        .unwrap();
    let settings = settings[0].as_ref().unwrap();
    assert!(settings.entry_map().contains_key("retention.ms"));

    let consumer: BaseConsumer = client(&address).create().unwrap();
    let metadata = consumer
        .fetch_metadata(Some("made"), Duration::from_secs(10))
        .unwrap();
    assert_eq!(metadata.topics()[0].partitions().len(), 5);
    assert_eq!(
        admin.delete_topics(&["made"], &options).await.unwrap(),
        [Ok("made".to_owned())]
    );
    assert!(broker.status.get().partitions.is_empty());
    broker.stop().await;

    let broker = start(config(dir.path())).await;
    assert!(
        broker.status.get().partitions.is_empty(),
        "deleted topics stay deleted"
    );
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn committed_offsets_survive_and_deleted_groups_stay_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let address = broker.bootstrap();
    send(&producer(&address), "logs", 0..10).await;
    let commit = |group: &str, offset: i64| {
        // A consumer that is no member, as the indexer is: assigned by hand.
        let consumer: BaseConsumer = client(&address).set("group.id", group).create().unwrap();
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset("logs", 2, Offset::Offset(offset))
            .unwrap();
        consumer.commit(&offsets, CommitMode::Sync).unwrap();
    };
    let committed = |address: &str, group: &str| {
        let consumer: BaseConsumer = client(address).set("group.id", group).create().unwrap();
        let mut asked = TopicPartitionList::new();
        asked.add_partition("logs", 2);
        let found = consumer
            .committed_offsets(asked, Duration::from_secs(10))
            .unwrap();
        found.elements()[0].offset()
    };
    commit("stays", 7);
    commit("goes", 8);
    let admin: AdminClient<DefaultClientContext> = client(&address).create().unwrap();
    let deleted = admin
        .delete_groups(&["goes"], &AdminOptions::new())
        .await
        .unwrap();
    assert!(deleted[0].is_ok());
    broker.stop().await;

    let broker = start(config(dir.path())).await;
    let address = broker.bootstrap();
    assert_eq!(committed(&address, "stays"), Offset::Offset(7));
    assert_eq!(committed(&address, "goes"), Offset::Invalid);
    let consumer: BaseConsumer = client(&address).create().unwrap();
    let groups = consumer
        .fetch_group_list(None, Duration::from_secs(10))
        .unwrap();
    assert_eq!(
        groups
            .groups()
            .iter()
            .map(|group| group.name())
            .collect::<Vec<_>>(),
        ["stays"]
    );
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_stops_at_what_a_protected_group_has_still_to_read() {
    let dir = tempfile::tempdir().unwrap();
    let small = |protected: &[&str]| Config {
        default_partitions: 1,
        segment_bytes: 16 * 1024,
        retention_bytes: Some(16 * 1024),
        retention_interval: Duration::from_millis(50),
        protected_groups: protected.iter().map(|group| (*group).to_owned()).collect(),
        ..config(dir.path())
    };
    let broker = start(small(&["indexer"])).await;
    let address = broker.bootstrap();
    let commit = |offset: i64| {
        let consumer: BaseConsumer = client(&address)
            .set("group.id", "indexer")
            .create()
            .unwrap();
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset("logs", 0, Offset::Offset(offset))
            .unwrap();
        consumer.commit(&offsets, CommitMode::Sync).unwrap();
    };
    let producer: FutureProducer = client(&address).create().unwrap();
    send(&producer, "logs", 0..1).await;
    commit(1);
    for round in 0..20 {
        send(&producer, "logs", round * 200..(round + 1) * 200).await;
    }
    let start_of_log = || broker.status.get().partitions[0].start;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(
        start_of_log() <= 1,
        "nothing that the indexer has to read is gone"
    );
    commit(2000);
    common::eventually("what was read is deleted", || start_of_log() > 1).await;
    assert!(start_of_log() <= 2000);
    drop(producer);
    broker.stop().await;

    let broker = start(small(&[])).await;
    let start_of_log = || broker.status.get().partitions[0].start;
    common::eventually("without protection only the size counts", || {
        start_of_log() > 2000
    })
    .await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nearly_full_disk_refuses_records_while_reading_and_committing_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    send(&producer(&broker.bootstrap()), "logs", 0..10).await;
    broker.stop().await;

    // No disk has that much room: the watermark is crossed from the start.
    let broker = start(Config {
        disk_free_min_bytes: 1 << 60,
        ..config(dir.path())
    })
    .await;
    let address = broker.bootstrap();
    common::eventually("the state is visible", || broker.status.get().disk_low).await;
    let refused: FutureProducer = client(&address)
        .set("message.timeout.ms", "1500")
        .set("retry.backoff.ms", "50")
        .create()
        .unwrap();
    let record: FutureRecord<'_, (), _> = FutureRecord::to("logs").payload("x");
    assert!(refused.send(record, Duration::from_secs(5)).await.is_err());
    assert_eq!(broker.records("logs"), 10);

    let consumer: StreamConsumer = client(&address)
        .set("group.id", "readers")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["logs"]).unwrap();
    assert_eq!(read(&consumer, 10).await.len(), 10);
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    drop(consumer);
    drop(refused);
    broker.stop().await;

    let broker = start(config(dir.path())).await;
    let producer = producer(&broker.bootstrap());
    send(&producer, "logs", 10..20).await;
    producer.flush(Duration::from_secs(5)).unwrap();
    assert_eq!(broker.records("logs"), 20);
    broker.stop().await;
}
