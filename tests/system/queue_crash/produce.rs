//! A producer that goes on while the queue dies, and remembers what it was told.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use tokio_util::sync::CancellationToken;

const IN_FLIGHT: usize = 200;
const VALUE_BYTES_MAX: usize = 6_000;

/// What one producer was acknowledged: its record's number, and the (partition, offset) of the answer.
#[derive(Default)]
pub(super) struct Produced {
    pub(super) acked: Vec<(u64, (i32, i64))>,
}

pub(super) fn is_idempotent(producer: usize) -> bool {
    producer.is_multiple_of(2)
}

/// Sends until `stop`, then waits for every answer that is still owed.
pub(super) async fn run(
    mut config: ClientConfig,
    producer: usize,
    stop: CancellationToken,
) -> Produced {
    let idempotent = if is_idempotent(producer) {
        "true"
    } else {
        "false"
    };
    let client: FutureProducer = config
        .set("enable.idempotence", idempotent)
        .set("acks", "all")
        .set("linger.ms", "1")
        .set(
            "compression.type",
            ["none", "lz4", "gzip", "zstd"][producer % 4],
        )
        .set("message.timeout.ms", "0")
        .set("retry.backoff.ms", "20")
        .create()
        .unwrap();
    let mut random = StdRng::seed_from_u64(producer as u64);
    let mut produced = Produced::default();
    let mut waiting = FuturesUnordered::new();
    let mut sequence = 0;
    while !stop.is_cancelled() {
        if waiting.len() < IN_FLIGHT {
            let bytes = random.random_range(0..VALUE_BYTES_MAX);
            waiting.push(send(&client, producer, sequence, bytes, random.random()));
            sequence += 1;
        } else {
            produced.acked.extend(waiting.next().await);
        }
    }
    produced.acked.extend(waiting.collect::<Vec<_>>().await);
    produced
}

async fn send(
    client: &FutureProducer,
    producer: usize,
    sequence: u64,
    bytes: usize,
    filler: u8,
) -> (u64, (i32, i64)) {
    let mut value = format!("{producer} {sequence} ").into_bytes();
    value.resize(value.len() + bytes, filler);
    let record: FutureRecord<'_, [u8], Vec<u8>> = FutureRecord::to(super::TOPIC)
        .payload(&value)
        .partition((sequence % 4) as i32);
    match client.send(record, Timeout::Never).await {
        Ok(delivery) => (sequence, (delivery.partition, delivery.offset)),
        Err((error, _)) => panic!("producer {producer} gave {sequence} up: {}", words(&error)),
    }
}

fn words(error: &KafkaError) -> String {
    format!("{error} ({:?})", error.rdkafka_error_code())
}

/// Whose record it is, and which.
pub(super) fn read(value: &[u8]) -> Option<(usize, u64)> {
    let mut fields = value.splitn(3, |byte| *byte == b' ');
    let mut field = || std::str::from_utf8(fields.next()?).ok();
    Some((field()?.parse().ok()?, field()?.parse().ok()?))
}
