//! What the broker moves over loopback: an rdkafka producer in, an rdkafka consumer out, on the disk that
//! `TMPDIR` names. Prints one line a measurement. Sizes can be given: `cargo bench -p logboom-broker --bench
//! loopback -- 512` for 512 MiB a run.
//!
//! Every number is of acknowledged, synced records. Producer, broker and consumer share the machine's cores.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use logboom_broker::{Broker, Config};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const PARTITIONS: i32 = 4;
const MIB: usize = 1024 * 1024;

fn main() {
    let sizes: Vec<usize> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let total_bytes = sizes.first().copied().unwrap_or(256) * MIB;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let (broker, address) = runtime.block_on(async {
        let config = Config {
            disk_free_min_bytes: 0,
            ..Config::new(dir.path())
        };
        let broker = Broker::open(config).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (
            tokio::spawn(broker.run(listener, watch::channel(false).0, stop.clone())),
            address,
        )
    });
    for codec in ["none", "lz4"] {
        let topic = format!("bench-{codec}");
        produce(&address, &topic, codec, total_bytes);
        consume(&address, &topic, codec, total_bytes);
    }
    stop.cancel();
    runtime.block_on(broker).unwrap().unwrap();
}

/// Log-like lines of 200 bytes on average: some words repeat, the numbers do not.
fn line(number: usize) -> String {
    let host = number % 17;
    let took = number.wrapping_mul(2_654_435_761) % 100_000;
    let filler = "x".repeat(number % 120);
    format!(
        "2026-01-01T00:00:{:02}.{:06} host-{host} app[{took}]: GET /api/v1/items/{number} took {took} us {filler} status=200",
        number % 60,
        number % 1_000_000
    )
}

fn produce(address: &str, topic: &str, codec: &str, total_bytes: usize) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("enable.idempotence", "true")
        .set("compression.type", codec)
        .set("linger.ms", "2")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.kbytes", "16384")
        .create()
        .unwrap();
    let (mut sent_bytes, mut count) = (0, 0);
    let begun = Instant::now();
    while sent_bytes < total_bytes {
        let value = line(count);
        let record: BaseRecord<'_, (), _> = BaseRecord::to(topic)
            .payload(&value)
            .partition((count / 500) as i32 % PARTITIONS);
        match producer.send(record) {
            Ok(()) => {
                sent_bytes += value.len();
                count += 1;
                if count % 1000 == 0 {
                    producer.poll(Duration::ZERO);
                }
            }
            // The buffer is full.
            Err(_) => {
                producer.poll(Duration::from_millis(1));
            }
        }
    }
    producer.flush(Duration::from_secs(120)).unwrap();
    report("produced", codec, sent_bytes, count, begun.elapsed());
}

fn consume(address: &str, topic: &str, codec: &str, total_bytes: usize) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "100")
        .set("queued.max.messages.kbytes", "8192")
        // The default of a second would measure the client's pauses.
        .set("fetch.queue.backoff.ms", "10")
        .set("check.crcs", "true")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment
            .add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
    }
    let begun = Instant::now();
    consumer.assign(&assignment).unwrap();
    let (mut read_bytes, mut count) = (0, 0);
    while read_bytes < total_bytes {
        if let Some(message) = consumer.poll(Duration::from_secs(20)) {
            read_bytes += message.unwrap().payload().unwrap().len();
            count += 1;
        } else {
            panic!("no record for 20 s after {count}");
        }
    }
    report("consumed", codec, read_bytes, count, begun.elapsed());
}

fn report(what: &str, codec: &str, bytes: usize, records: usize, took: Duration) {
    let seconds = took.as_secs_f64();
    println!(
        "{what} {codec}: {:.0} MB/s, {:.0} records/s ({records} records of {} bytes in {seconds:.2} s)",
        bytes as f64 / 1e6 / seconds,
        records as f64 / seconds,
        bytes / records.max(1),
    );
}
