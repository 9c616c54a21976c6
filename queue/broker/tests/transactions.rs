//! Transactions by librdkafka: what its producers do, what its consumers see.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Running, config, start};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::Timeout;
use rdkafka::{Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(20);

fn client(broker: &Running) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap());
    config
}

fn producer(broker: &Running, id: &str, timeout_ms: u32) -> BaseProducer {
    let producer: BaseProducer = client(broker)
        .set("transactional.id", id)
        .set("transaction.timeout.ms", timeout_ms.to_string())
        .set("compression.type", "lz4")
        .create()
        .unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

fn send(producer: &BaseProducer, topic: &str, values: &[&str]) {
    for value in values {
        let record: BaseRecord<'_, (), _> = BaseRecord::to(topic).partition(0).payload(*value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    // Which also takes the reports of deliveries, that the end of a transaction would wait for.
    producer.flush(PATIENCE).unwrap();
}

/// A poll also ends when the group has assigned something, or a timer of the client has run.
fn next(consumer: &BaseConsumer) -> Result<BorrowedMessage<'_>, KafkaError> {
    let patience = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(polled) = consumer.poll(Duration::from_secs(1)) {
            return polled;
        }
        assert!(std::time::Instant::now() < patience, "nothing in time");
    }
}

/// What a consumer of this isolation finds from the start to what is now its end.
fn read(broker: &Running, topic: &str, isolation: &str) -> Vec<String> {
    let consumer: BaseConsumer = client(broker)
        .set("group.id", "reader")
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&list).unwrap();
    let mut values = Vec::new();
    loop {
        match next(&consumer) {
            Ok(message) => {
                values.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
            }
            Err(KafkaError::PartitionEOF(_)) => return values,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Runs the clients, which block, beside the broker.
async fn with_broker(work: impl FnOnce(&Running) + Send + 'static) {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let broker = on_thread(move || {
        work(&broker);
        broker
    })
    .await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn committed_records_are_seen_and_aborted_ones_only_by_who_reads_everything() {
    with_broker(|broker| {
        let producer = producer(broker, "writer", 60_000);
        producer.begin_transaction().unwrap();
        send(&producer, "logs", &["a", "b"]);
        producer.commit_transaction(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, "logs", &["c"]);
        producer.abort_transaction(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, "logs", &["d"]);
        producer.commit_transaction(PATIENCE).unwrap();
        assert_eq!(read(broker, "logs", "read_committed"), ["a", "b", "d"]);
        assert_eq!(
            read(broker, "logs", "read_uncommitted"),
            ["a", "b", "c", "d"]
        );

        producer.begin_transaction().unwrap();
        send(&producer, "logs", &["e"]);
        assert_eq!(
            read(broker, "logs", "read_committed"),
            ["a", "b", "d"],
            "while it is open"
        );
        assert_eq!(read(broker, "logs", "read_uncommitted").len(), 5);
        producer.commit_transaction(PATIENCE).unwrap();
        assert_eq!(read(broker, "logs", "read_committed").len(), 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_are_committed_with_the_records_or_not_at_all() {
    with_broker(|broker| {
        let plain: BaseProducer = client(broker).create().unwrap();
        send(&plain, "in", &["1", "2", "3"]);
        let consumer: BaseConsumer = client(broker)
            .set("group.id", "workers")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .create()
            .unwrap();
        consumer.subscribe(&["in"]).unwrap();
        let producer = producer(broker, "worker", 60_000);
        let next_record = || {
            let message = next(&consumer).unwrap();
            let value = String::from_utf8(message.payload().unwrap().to_vec()).unwrap();
            (value, message.offset() + 1)
        };
        let committed = || {
            let mut list = TopicPartitionList::new();
            list.add_partition("in", 0);
            let list = consumer.committed_offsets(list, PATIENCE).unwrap();
            list.find_partition("in", 0).unwrap().offset()
        };
        for (abort, seen) in [(false, Offset::Offset(1)), (true, Offset::Offset(1))] {
            let (value, offset) = next_record();
            producer.begin_transaction().unwrap();
            send(&producer, "out", &[&value]);
            let mut list = TopicPartitionList::new();
            list.add_partition_offset("in", 0, Offset::Offset(offset))
                .unwrap();
            let group = consumer.group_metadata().unwrap();
            producer
                .send_offsets_to_transaction(&list, &group, PATIENCE)
                .unwrap();
            match abort {
                true => producer.abort_transaction(PATIENCE).unwrap(),
                false => producer.commit_transaction(PATIENCE).unwrap(),
            }
            assert_eq!(committed(), seen);
        }
        assert_eq!(read(broker, "out", "read_committed"), ["1"]);
        // Outside of transactions commits go on as ever.
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("in", 0, Offset::Offset(3))
            .unwrap();
        consumer.commit(&list, CommitMode::Sync).unwrap();
        assert_eq!(committed(), Offset::Offset(3));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_producer_of_the_same_id_fences_the_first() {
    with_broker(|broker| {
        let first = producer(broker, "same", 60_000);
        first.begin_transaction().unwrap();
        send(&first, "logs", &["lost"]);
        let second = producer(broker, "same", 60_000);
        second.begin_transaction().unwrap();
        send(&second, "logs", &["kept"]);
        second.commit_transaction(PATIENCE).unwrap();
        let refused = first.commit_transaction(PATIENCE).unwrap_err();
        let KafkaError::Transaction(refused) = refused else {
            panic!("{refused}")
        };
        assert!(refused.is_fatal(), "{refused}");
        assert!(
            matches!(
                refused.code(),
                RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced
            ),
            "{refused}"
        );
        assert_eq!(read(broker, "logs", "read_committed"), ["kept"]);
        assert_eq!(read(broker, "logs", "read_uncommitted"), ["lost", "kept"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_nobody_ends_is_aborted_and_readers_go_on() {
    with_broker(|broker| {
        let silent = producer(broker, "silent", 1000);
        silent.begin_transaction().unwrap();
        send(&silent, "logs", &["never"]);
        let plain: BaseProducer = client(broker).create().unwrap();
        send(&plain, "logs", &["behind"]);
        let patience = std::time::Instant::now() + PATIENCE;
        while read(broker, "logs", "read_committed") != ["behind"] {
            assert!(std::time::Instant::now() < patience, "never aborted");
            std::thread::sleep(Duration::from_millis(100));
        }
        let refused = silent.commit_transaction(Timeout::After(PATIENCE));
        assert!(refused.is_err());
        assert_eq!(read(broker, "logs", "read_committed"), ["behind"]);
    })
    .await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// The directory of a broker that is running and idle is what a kill −9 would leave: everything answered is there, and
/// nothing was closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_what_was_open_is_open_and_what_was_ended_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let killed = tempfile::tempdir().unwrap();
    let killed_data = killed.path().join("data");
    let broker = start(config(dir.path())).await;
    let (from, to) = (dir.path().to_owned(), killed_data.clone());
    let broker = on_thread(move || {
        let producer = producer(&broker, "writer", 60_000);
        producer.begin_transaction().unwrap();
        send(&producer, "logs", &["a"]);
        producer.commit_transaction(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, "logs", &["b"]);
        producer.abort_transaction(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, "logs", &["c"]);
        copy(&from, &to);
        broker
    })
    .await;
    broker.stop().await;

    let broker = start(config(&killed_data)).await;
    let broker = on_thread(move || {
        assert_eq!(read(&broker, "logs", "read_committed"), ["a"]);
        assert_eq!(read(&broker, "logs", "read_uncommitted"), ["a", "b", "c"]);
        // The next instance of the application aborts what the killed one left open.
        let producer = producer(&broker, "writer", 60_000);
        producer.begin_transaction().unwrap();
        send(&producer, "logs", &["d"]);
        producer.commit_transaction(PATIENCE).unwrap();
        assert_eq!(read(&broker, "logs", "read_committed"), ["a", "d"]);
        broker
    })
    .await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_goes_on_with_its_transaction_when_the_broker_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let address = broker.bootstrap();
    let (broker, producer) = on_thread(move || {
        let producer = producer(&broker, "writer", 60_000);
        producer.begin_transaction().unwrap();
        send(&producer, "logs", &["a"]);
        (broker, producer)
    })
    .await;
    broker.stop().await;
    let broker = common::start_on(config(dir.path()), &address).await;
    let broker = on_thread(move || {
        send(&producer, "logs", &["b"]);
        producer.commit_transaction(PATIENCE).unwrap();
        assert_eq!(read(&broker, "logs", "read_committed"), ["a", "b"]);
        broker
    })
    .await;
    broker.stop().await;
}
