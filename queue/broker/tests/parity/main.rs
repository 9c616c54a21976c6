//! The same requests, byte for byte, to Apache Kafka and to this broker, and the answers compared field by field.
//!
//! Where they differ, `queue/README.md` says so and why: a difference that is not in its table fails, and so does a
//! row that is true no longer.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../../../tests/kafka/node.rs"]
mod kafka;

mod answer;
mod cluster;
mod differences;
mod groups;
mod offsets;
mod records;
mod side;
mod topics;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use differences::Difference;
use side::Side;

/// Small, so that a batch over it is sent quickly.
const BATCH_BYTES_MAX: usize = 100_000;
const ABSENT: &str = "absent";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apache_kafka_and_this_broker_answer_alike() {
    let dir = tempfile::tempdir().unwrap();
    let broker = common::start(logboom_broker::Config {
        max_batch_bytes: BATCH_BYTES_MAX,
        ..common::config(dir.path())
    })
    .await;
    let limit = BATCH_BYTES_MAX.to_string();
    let kafka = kafka::Kafka::start(&[("num.partitions", "4"), ("message.max.bytes", &limit)]);

    let theirs = answers(kafka.address).await;
    let ours = answers(broker.address).await;
    let paths: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    assert!(
        paths.len() > 1000,
        "only {} fields were compared",
        paths.len()
    );
    let of = |side: &std::collections::BTreeMap<String, String>, path: &String| {
        side.get(path)
            .map_or_else(|| ABSENT.to_owned(), String::clone)
    };
    let differences: Vec<Difference> = paths
        .into_iter()
        .map(|path| Difference {
            path: path.clone(),
            kafka: of(&theirs, path),
            logboom: of(&ours, path),
        })
        .filter(|row| row.kafka != row.logboom)
        .collect();
    differences::check(&differences);
    broker.stop().await;
}

async fn answers(address: SocketAddr) -> std::collections::BTreeMap<String, String> {
    let mut side = Side::connect(address).await;
    let side = &mut side;
    cluster::warm_up(side).await;
    cluster::versions(side).await;
    cluster::describe(side).await;
    cluster::coordinators(side).await;
    topics::metadata(side).await;
    topics::create(side).await;
    topics::delete(side).await;
    topics::grow(side).await;
    topics::configs(side).await;
    records::produce(side).await;
    records::produce_in_sequence(side).await;
    records::fetch(side).await;
    records::list_offsets(side).await;
    records::delete(side).await;
    records::leader_epochs(side).await;
    groups::members_come_and_go(side).await;
    groups::joins_that_are_refused(side).await;
    groups::static_members(side).await;
    groups::admin(side).await;
    offsets::commits(side).await;
    offsets::fetches(side).await;
    std::mem::take(&mut side.answers)
}
