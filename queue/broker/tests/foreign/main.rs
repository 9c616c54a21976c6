//! Other people's Kafka clients against this broker, each in its own language, all with the same scenarios.
//!
//! The programs are in `tests/clients`; `deploy/clients` and `deploy/kafka` install what they need. What works is told
//! by the table in `queue/README.md`: a cell that is not what the program says fails, in both directions, so what is
//! listed as failing can only become less.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../../../tests/kafka/node.rs"]
mod kafka;

mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

/// Every scenario of a program has its own, shorter, patience.
const PROGRAM_ENDS_WITHIN: Duration = Duration::from_secs(400);

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients")
}

/// Runs a client's program against a broker of its own and holds what it says against the table.
async fn compare(client: &str, mut command: std::process::Command) {
    let dir = tempfile::tempdir().unwrap();
    let broker = common::start(common::config(dir.path())).await;
    command.arg(broker.bootstrap());
    let program = format!("{command:?}");
    let running = Command::from(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{error}: {program}: run deploy/clients"))
        .wait_with_output();
    let output = tokio::time::timeout(PROGRAM_ENDS_WITHIN, running).await;
    let output = output.expect("the program ends in time").unwrap();
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{program}: {}: {said}{errors}",
        output.status
    );
    println!("{errors}");
    let results: BTreeMap<String, String> = said
        .lines()
        .map(|line| {
            let row: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let text = |key: &str| row[key].as_str().expect("a text").to_owned();
            (text("scenario"), text("result"))
        })
        .collect();
    table::check(client, &results);
    broker.stop().await;
}

fn python(program: &str) -> std::process::Command {
    let folder = programs().join("python");
    let mut command = std::process::Command::new(folder.join("venv/bin/python"));
    command.arg(folder.join(program));
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confluent_kafka() {
    compare("confluent-kafka", python("confluent.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_python() {
    compare("kafka-python", python("kafka_python.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aiokafka() {
    compare("aiokafka", python("aio.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafkajs() {
    let mut command = std::process::Command::new("node");
    command.arg(programs().join("node/kafkajs.js"));
    compare("kafkajs", command).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn franz_go() {
    compare(
        "franz-go",
        std::process::Command::new(programs().join("go/bin/clients")),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java() {
    let source = programs().join("java/Clients.java");
    let mut command = kafka::java();
    command
        .arg(format!("-Dclients.source={}", source.display()))
        .arg(source);
    compare("Java", command).await;
}

#[test]
fn every_scenario_that_does_not_work_is_explained() {
    table::explained();
}
