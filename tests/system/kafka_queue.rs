//! Apache Kafka in the place of the built-in queue: what differs there from a queue that was made for these parts.
//!
//! That nothing is lost or doubled is in `exactly_once`; here are alerts, and the longest lines.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::kafka::Kafka;
use crate::process::{self, Process};

const WITHIN: Duration = Duration::from_secs(60);
/// As long as the agent lets a line be; with its headers more than Kafka takes in one batch by default.
const LONGEST_LINE_BYTES: usize = 1 << 20;

fn part(directory: &Path, name: &str) -> Process {
    let config = directory.join("logboom.yaml");
    let mut command = process::command(&[name, "--config", config.to_str().unwrap()]);
    for port in ["LOGBOOM_LISTEN", "LOGBOOM_INDEXER_LISTEN"] {
        command.env_remove(port);
    }
    Process::start(command, &directory.join(format!("{name}.log")))
}

fn write_config(directory: &Path, kafka: &Kafka, hook: &str) {
    let (indexer, here) = (process::free_port(), directory.display());
    let config = format!(
        "version: 1\ndata: data\nqueue: {{address: '{}'}}\nindexer: {{listen: '127.0.0.1:{indexer}'}}\n\
         ui: {{listen: '127.0.0.1:0', indexer_url: 'http://127.0.0.1:{indexer}'}}\n\
         agent: {{tail: [{{glob: ['{here}/*.txt'], service: shop}}]}}\n\
         alerting: {{rules: [rules.yaml], receivers: [{{name: test, webhook: {{url: '{hook}'}}}}]}}\n",
        kafka.address
    );
    std::fs::write(directory.join("logboom.yaml"), config).unwrap();
    let rule = |core: u32| {
        format!(
            "{{name: meltdown-{core}, query: 'service:shop', regex: 'core {core} melts', receivers: [test]}}"
        )
    };
    let rules = format!("version: 1\nrules: [{}, {}]\n", rule(1), rule(2));
    std::fs::write(directory.join("rules.yaml"), rules).unwrap();
}

/// A receiver's address, and what is delivered there: id and body.
async fn receiver() -> (String, UnboundedReceiver<(String, String)>) {
    let (delivered, deliveries) = unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().route(
        "/",
        post(move |headers: HeaderMap, body: String| async move {
            let id = headers["webhook-id"].to_str().unwrap().to_owned();
            // Nobody listens once the test has ended.
            let _unheard = delivered.send((id, body));
        }),
    );
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, deliveries)
}

async fn next(deliveries: &mut UnboundedReceiver<(String, String)>) -> (String, String) {
    let delivery = tokio::time::timeout(WITHIN, deliveries.recv()).await;
    delivery
        .expect("a webhook in time")
        .expect("the receiver lives")
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_on_apache_kafka_fire_once_across_kill_9() {
    let kafka = Kafka::start(&[]);
    let (hook, mut deliveries) = receiver().await;
    let directory = tempfile::tempdir().unwrap();
    write_config(directory.path(), &kafka, &hook);
    let log = directory.path().join("app.txt");
    std::fs::write(&log, "2026-01-01T00:00:00Z ERROR core 1 melts\n").unwrap();
    let _agent = part(directory.path(), "agent");
    let alerting = part(directory.path(), "alerting");
    let (first, body) = next(&mut deliveries).await;
    assert!(
        body.contains("meltdown-1") && body.contains("firing"),
        "{body}"
    );

    alerting.kill_9();
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    file.write_all(b"2026-01-01T00:00:01Z ERROR core 2 melts\n")
        .unwrap();
    let _alerting = part(directory.path(), "alerting");
    let mut seen = vec![first];
    loop {
        let (id, body) = next(&mut deliveries).await;
        let is_second = body.contains("meltdown-2");
        seen.push(id);
        if is_second {
            break;
        }
    }
    // A delivery that was cut off is made again, under the same id; a firing is not.
    seen.dedup();
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_lines_fit_through_apache_kafka() {
    let kafka = Kafka::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    write_config(directory.path(), &kafka, "http://127.0.0.1:9/");
    let mut random = StdRng::seed_from_u64(1);
    // Of all that can be printed, so that no codec makes it much shorter.
    let mut line = String::from("longest ");
    while line.len() < LONGEST_LINE_BYTES - 1 {
        line.push(random.random_range('!'..='~'));
    }
    std::fs::write(
        directory.path().join("app.txt"),
        format!("first\n{line}\nlast\n"),
    )
    .unwrap();
    let _agent = part(directory.path(), "agent");
    let _indexer = part(directory.path(), "indexer");
    let ui = part(directory.path(), "ui");
    process::wait_for_total(ui.url(), "*", 3, WITHIN).await;
    let hits = process::all_hits(ui.url(), "longest").await;
    assert_eq!(hits[0]["raw"], line);
}
