//! The way of spans: OTLP → acked, consume → searchable, bytes on the disk, questions about traces, and how old a
//! span is when it can be found. What was sent is counted again at the end, so that no figure is of lost spans.

mod fresh;
mod input;
mod machine;
mod search;
mod send;
mod shop;

use std::path::Path;
use std::time::{Duration, Instant};

use input::Input;

use crate::cpu;
use crate::process::{self, Process};

const SEARCHABLE_WITHIN: Duration = Duration::from_secs(1200);

pub(crate) async fn print(directory: &Path, spans: usize, fresh_spans: usize) {
    let start = Instant::now();
    let input = input::generate(spans);
    println!(
        "\nspans: {} in {} requests, {:.0} bytes of protobuf each (made in {:.0} s)",
        input.spans,
        input.bodies.len(),
        input.bytes() as f64 / input.spans as f64,
        start.elapsed().as_secs_f64()
    );
    machine::print(directory, &input).await;
    parts(directory, &input).await;
    one_process(directory, &input).await;
    drop(input);
    fresh::print(directory, fresh_spans).await;
}

/// Each part as a process of its own, one after the other, so that what it costs is known.
async fn parts(directory: &Path, input: &Input) {
    println!("\nlogboom, spans");
    let (queue_port, http_port) = (process::free_port(), process::free_port());
    let indexer_port = process::free_port();
    let config = directory.join("spans.yaml");
    std::fs::write(
        &config,
        format!(
            "version: 1\ndata: spans-data\nqueue: {{listen: '127.0.0.1:{queue_port}', disk_free_min: 1MiB}}\n\
             receive: {{otlp: {{http: '127.0.0.1:{http_port}'}}}}\n\
             indexer: {{listen: '127.0.0.1:{indexer_port}'}}\nui: {{listen: '127.0.0.1:0'}}\n"
        ),
    )
    .unwrap();
    let part = |name: &str| {
        let mut command = process::command(&[name, "--config", config.to_str().unwrap()]);
        for port in process::PORTS {
            command.env_remove(port);
        }
        Process::start(command, &directory.join(format!("spans-{name}.log")))
    };

    let (queue, agent) = (part("queue"), part("agent"));
    let before = (cpu::of(agent.id()), cpu::of(queue.id()));
    let url = format!("http://127.0.0.1:{http_port}/v1/traces");
    let (wall, waits) = send::all(&url, &input.bodies).await;
    let agent_cpu = cpu::of(agent.id()) - before.0;
    let queue_cpu = cpu::of(queue.id()) - before.1;
    let receiving = agent_cpu + queue_cpu;
    rate("OTLP → acked", input.spans, wall, Some(receiving));
    rate("  the receiver's part", input.spans, wall, Some(agent_cpu));
    rate("  the queue's part", input.spans, wall, Some(queue_cpu));
    println!("{:34} {waits:8} times", "  senders told to wait");
    println!(
        "{:34} {:8} MiB",
        "  the receiver's largest memory",
        agent.peak_rss_bytes() >> 20
    );
    assert!(agent.terminate().success());

    let start = Instant::now();
    let before = cpu::of(queue.id());
    let indexer = part("indexer");
    let ui = part("ui");
    process::wait_for_total(ui.url(), "index:spans *", input.spans, SEARCHABLE_WITHIN).await;
    let indexer_cpu = cpu::of(indexer.id());
    rate(
        "consume → searchable",
        input.spans,
        start.elapsed(),
        Some(indexer_cpu),
    );
    let split_bytes = all_is_published(ui.url()).await;
    // Merges of what came last are included, and the queue's part of the reading.
    let indexing = cpu::of(indexer.id()) + cpu::of(queue.id()) - before;
    println!(
        "{:34} {:8} MiB",
        "  the indexer's largest memory",
        indexer.peak_rss_bytes() >> 20
    );
    println!(
        "{:34} {:8.1} CPU-seconds per million spans: {:.1} to receive, {:.1} to index",
        "all parts",
        per_million(receiving + indexing, input.spans),
        per_million(receiving, input.spans),
        per_million(indexing, input.spans),
    );
    let data = directory.join("spans-data");
    let queue_bytes = folder_bytes(&data.join("queue"));
    // Splits that merges have replaced stay until no search can read them any more.
    let folder_bytes = folder_bytes(&data.join("indexer/splits"));
    for (what, bytes) in [
        ("on the disk: queue", queue_bytes),
        ("on the disk: splits", split_bytes),
        ("  with those that go in a moment", folder_bytes),
    ] {
        println!(
            "{what:34} {:8.1} bytes a span",
            bytes as f64 / input.spans as f64
        );
    }
    search::verify(ui.url(), input).await;
    search::print(ui.url(), input).await;
    drop((ui, indexer, queue));
    std::fs::remove_dir_all(data).unwrap();
}

/// `logboom up`, which indexes and evaluates rules while it receives.
async fn one_process(directory: &Path, input: &Input) {
    let http = process::free_port();
    let mut command = process::command(&["up", "--data"]);
    let data = directory.join("one-process-data");
    command.arg(&data);
    command.env("LOGBOOM_OTLP_HTTP", format!("127.0.0.1:{http}"));
    let up = Process::start(command, &directory.join("one-process.log"));
    let (before, start) = (cpu::of(up.id()), Instant::now());
    let url = format!("http://127.0.0.1:{http}/v1/traces");
    let (wall, _) = send::all(&url, &input.bodies).await;
    rate("`up`: OTLP → acked", input.spans, wall, None);
    process::wait_for_total(up.url(), "index:spans *", input.spans, SEARCHABLE_WITHIN).await;
    rate(
        "`up`: OTLP → searchable",
        input.spans,
        start.elapsed(),
        None,
    );
    all_is_published(up.url()).await;
    println!(
        "{:34} {:8.1} CPU-seconds per million spans, {} MiB at most",
        "`up`: the whole process",
        per_million(cpu::of(up.id()) - before, input.spans),
        up.peak_rss_bytes() >> 20
    );
    drop(up);
    std::fs::remove_dir_all(data).unwrap();
}

/// Waits until nothing is left in memory and no merge replaces what is on the disk; the bytes of that.
async fn all_is_published(url: &str) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut splits = None;
    while Instant::now() < deadline {
        let status = process::get(url, "pipeline", &[]).await.unwrap();
        let index = &status["indexer"]["indexes"]["spans"];
        if index["hot_docs"] == 0 && splits.as_ref() == Some(&index["splits"]) {
            return index["split_bytes"].as_u64().unwrap();
        }
        splits = Some(index["splits"].clone());
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    panic!("spans stay in memory for two minutes");
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.metadata().unwrap() {
            metadata if metadata.is_dir() => folder_bytes(&entry.path()),
            metadata => metadata.len(),
        })
        .sum()
}

/// A rate and what it cost.
fn rate(what: &str, spans: u64, wall: Duration, cpu: Option<Duration>) {
    let per_second = spans as f64 / wall.as_secs_f64();
    match cpu {
        Some(cpu) => println!(
            "{what:34} {per_second:8.0} spans/s {:10.0} spans per CPU-second",
            spans as f64 / cpu.as_secs_f64()
        ),
        None => println!("{what:34} {per_second:8.0} spans/s"),
    }
}

fn per_million(cpu: Duration, spans: u64) -> f64 {
    cpu.as_secs_f64() * 1e6 / spans as f64
}
