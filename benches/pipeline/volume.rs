//! Throughput of each stage on the same input: file → acked, produce → consume,
//! consume → searchable.

use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use logboom_client::{Admin, Assignment, ClientConfig, Consumer, Producer};

use crate::cpu;
use crate::process::{self, Process};
use crate::row;

/// Generated lines, newline terminated.
pub(crate) struct Input {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lines: u64,
}

impl Input {
    pub(crate) fn megabytes(&self) -> f64 {
        self.bytes.len() as f64 / 1e6
    }

    pub(crate) fn line_bytes(&self) -> f64 {
        self.bytes.len() as f64 / self.lines as f64
    }
}

/// Lines as a web shop logs them: a time, a level, words of a Zipf-like vocabulary, ids of high cardinality.
pub(crate) fn generate(size: usize) -> Input {
    let mut random = SmallRng::seed_from_u64(7);
    let mut bytes = Vec::with_capacity(size + 1024);
    let mut lines = 0;
    while bytes.len() < size {
        let (second, milli) = (lines / 1000 % 86_400, lines % 1000);
        let level =
            ["INFO", "INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR"][random.random_range(0..7)];
        let head = format!(
            "2026-11-25T{:02}:{:02}:{:02}.{milli:03}Z {level} shop-{} request={:032x} dur={}ms",
            second / 3600,
            second / 60 % 60,
            second % 60,
            random.random_range(0..20),
            random.random::<u128>(),
            random.random_range(1..2000),
        );
        bytes.extend_from_slice(head.as_bytes());
        for _ in 0..random.random_range(8..20) {
            let word = (20_000_f64.powf(random.random::<f64>())) as u32;
            bytes.extend_from_slice(format!(" w{word:x}").as_bytes());
        }
        bytes.push(b'\n');
        lines += 1;
    }
    Input { bytes, lines }
}

pub(crate) async fn print(directory: &Path, input: &Input) {
    println!("\nlogboom");
    let logs = directory.join("volume");
    std::fs::create_dir(&logs).unwrap();
    std::fs::write(logs.join("input.log"), &input.bytes).unwrap();
    let (queue_port, indexer_port) = (process::free_port(), process::free_port());
    std::fs::write(
        directory.join("volume.yaml"),
        format!(
            "version: 1\ndata: volume-data\nqueue: {{listen: '127.0.0.1:{queue_port}', disk_free_min: 1MiB}}\n\
             indexer: {{listen: '127.0.0.1:{indexer_port}'}}\nui: {{listen: '127.0.0.1:0'}}\n\
             agent: {{tail: [{{glob: ['{}/*.log']}}]}}\n",
            std::path::absolute(&logs).unwrap().display()
        ),
    )
    .unwrap();
    let part = |name: &str| {
        let config = directory.join("volume.yaml");
        let mut command = process::command(&[name, "--config", config.to_str().unwrap()]);
        for port in process::PORTS {
            command.env_remove(port);
        }
        Process::start(command, &directory.join(format!("{name}.log")))
    };
    let client = ClientConfig::new(format!("127.0.0.1:{queue_port}"), "bench");

    let queue = part("queue");
    let (before, start) = (cpu::of(queue.id()), Instant::now());
    let agent = part("agent");
    let admin = Admin::new(&client).unwrap();
    while acked(&admin, "logs").await < input.lines as i64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (wall, agent_cpu, queue_cpu) = (
        start.elapsed(),
        cpu::of(agent.id()),
        cpu::of(queue.id()) - before,
    );
    row(
        "file → acked",
        input.megabytes(),
        wall,
        Some(agent_cpu + queue_cpu),
    );
    row(
        "  the agent's part",
        input.megabytes(),
        wall,
        Some(agent_cpu),
    );
    row(
        "  the queue's part",
        input.megabytes(),
        wall,
        Some(queue_cpu),
    );
    assert!(agent.terminate().success());

    let start = Instant::now();
    let indexer = part("indexer");
    let ui = part("ui");
    process::wait_for_total(ui.url(), "*", input.lines, Duration::from_secs(1200)).await;
    row(
        "consume → searchable",
        input.megabytes(),
        start.elapsed(),
        Some(cpu::of(indexer.id())),
    );
    println!(
        "{:34} {:8} MiB",
        "  the indexer's largest memory",
        indexer.peak_rss_bytes() >> 20
    );
    drop((ui, indexer));

    let before = cpu::of(queue.id());
    let (wall, own) = produce_and_consume(&client, input).await;
    row(
        "produce → consume",
        input.megabytes(),
        wall,
        Some(own + cpu::of(queue.id()) - before),
    );
    println!(
        "{:34} {:8} MiB",
        "  the queue's largest memory",
        queue.peak_rss_bytes() >> 20
    );
    drop(queue);
    std::fs::remove_dir_all(logs).unwrap();
    std::fs::remove_dir_all(directory.join("volume-data")).unwrap();
}

async fn acked(admin: &Admin, topic: &str) -> i64 {
    let mut total = 0;
    for partition in 0..4 {
        total += admin
            .watermarks(topic, partition)
            .await
            .map_or(0, |(_, high)| high);
    }
    total
}

/// One producer and one consumer in this process, at the same time, on one partition.
async fn produce_and_consume(client: &ClientConfig, input: &Input) -> (Duration, Duration) {
    Admin::new(client)
        .unwrap()
        .ensure_topic("bench", 1)
        .await
        .unwrap();
    let cpu_before = cpu::of(std::process::id());
    let start = Instant::now();
    let lines = input.lines as usize;
    let consumer_client = client.clone();
    let consumed = tokio::spawn(async move {
        let mut consumer = Consumer::new(&consumer_client, &[]).unwrap();
        consumer
            .assign(&[Assignment {
                topic: "bench".to_owned(),
                partition: 0,
                offset: 0,
            }])
            .unwrap();
        let mut seen = 0;
        while seen < lines {
            seen += consumer
                .recv(5000, 4 << 20, Duration::from_millis(100))
                .await
                .unwrap()
                .len();
        }
    });
    let producer = Producer::new(client).unwrap();
    for line in input.bytes.split(|byte| *byte == b'\n').take(lines) {
        // The ack is waited for by the consumer's count: it sees synced records only.
        drop(
            producer
                .send("bench", Some(0), None, line, 0, &[])
                .await
                .unwrap(),
        );
    }
    consumed.await.unwrap();
    (start.elapsed(), cpu::of(std::process::id()) - cpu_before)
}
