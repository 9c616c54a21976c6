//! The agent against the built-in queue, over TCP, with restarts of both.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use logboom_agent::{Config, TailConfig, run};
use logboom_broker::Broker;
use logboom_client::{Assignment, ClientConfig, Consumer, Marks, Record, Verdict};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Part {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Part {
    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task)
            .await
            .unwrap()
            .unwrap();
    }
}

async fn broker(dir: &Path, address: SocketAddr) -> (Part, SocketAddr) {
    let mut config = logboom_broker::Config::new(dir.join("queue"));
    config.disk_free_min_bytes = 0;
    let broker = Broker::open(config).await.unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ready, mut is_ready) = watch::channel(false);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(async move { broker.run(listener, ready, stopped).await.unwrap() });
    is_ready.wait_for(|ready| *ready).await.unwrap();
    (Part { stop, task }, address)
}

fn agent(dir: &Path, address: SocketAddr) -> Part {
    let tail = TailConfig::new(vec![format!("{}/*.log*", dir.display())]);
    let config = Config::new(dir.join("agent"), client(address), vec![tail]);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task =
        tokio::spawn(async move { run(config, watch::channel(false).0, stopped).await.unwrap() });
    Part { stop, task }
}

fn client(address: SocketAddr) -> ClientConfig {
    ClientConfig::new(address.to_string(), "test")
}

fn append(path: &Path, lines: std::ops::Range<u32>) {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    for n in lines {
        writeln!(file, "line {n}").unwrap();
    }
}

/// Reads until `count` new lines were seen, then a little longer to catch what is too many.
async fn read(consumer: &mut Consumer, marks: &mut Marks, count: usize) -> Vec<Record> {
    let mut lines = Vec::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let mut grace = None;
    while grace.is_none_or(|end| tokio::time::Instant::now() < end) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} of {count} lines",
            lines.len()
        );
        for record in consumer
            .recv(1000, 1 << 20, Duration::from_millis(100))
            .await
            .unwrap()
        {
            let origin = record.origin.as_ref().unwrap();
            if marks.observe(origin, record.timestamp_ms) == Verdict::New {
                lines.push(record);
            }
        }
        if lines.len() >= count && grace.is_none() {
            grace = Some(tokio::time::Instant::now() + Duration::from_millis(500));
        }
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_arrive_once_over_restarts_of_agent_and_queue() {
    let dir = tempfile::tempdir().unwrap();
    let dir: PathBuf = dir.path().to_path_buf();
    let (queue, address) = broker(&dir, "127.0.0.1:0".parse().unwrap()).await;
    append(&dir.join("a.log"), 0..1000);
    let first = agent(&dir, address);

    let topics = ["logs".to_owned()];
    let mut consumer = Consumer::new(&client(address), &topics).unwrap();
    let all = (0..4).map(|partition| Assignment {
        topic: "logs".into(),
        partition,
        offset: 0,
    });
    consumer.assign(&all.collect::<Vec<_>>()).unwrap();
    let mut marks = Marks::default();
    assert_eq!(read(&mut consumer, &mut marks, 1000).await.len(), 1000);

    // The agent stops; the file grows and is renamed; the agent starts again.
    first.stop().await;
    append(&dir.join("a.log"), 1000..1500);
    std::fs::rename(dir.join("a.log"), dir.join("a.log.1")).unwrap();
    append(&dir.join("a.log"), 1500..2000);
    let second = agent(&dir, address);
    assert_eq!(read(&mut consumer, &mut marks, 1000).await.len(), 1000);

    // The queue goes away and comes back.
    queue.stop().await;
    append(&dir.join("a.log"), 2000..2500);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (queue, _) = broker(&dir, address).await;
    append(&dir.join("a.log"), 2500..3000);
    let last = read(&mut consumer, &mut marks, 1000).await;
    assert_eq!(last.len(), 1000);
    assert_eq!(last.last().unwrap().value, "line 2999");
    assert_eq!(marks.gaps().count(), 0);

    // The agent tells how it is.
    let mut states = Consumer::new(&client(address), &[]).unwrap();
    states
        .assign(&[Assignment {
            topic: "_logboom_agents".into(),
            partition: 0,
            offset: 0,
        }])
        .unwrap();
    let acked = async {
        loop {
            for record in states
                .recv(10, 1 << 20, Duration::from_millis(500))
                .await
                .unwrap()
            {
                let state: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
                assert_eq!(record.key.as_ref().unwrap(), state["id"].as_str().unwrap());
                let files = state["files"].as_array().unwrap();
                let size = |name: &str| std::fs::metadata(dir.join(name)).unwrap().len();
                let is_acked = |name: &str| {
                    files.iter().any(|file| {
                        file["path"].as_str().unwrap().ends_with(name)
                            && file["acked"].as_u64() == Some(size(name))
                    })
                };
                if is_acked("a.log") && is_acked("a.log.1") {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), acked)
        .await
        .unwrap();
    second.stop().await;
    queue.stop().await;
}
