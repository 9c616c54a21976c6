//! How fast lines are parsed and cut into words, on one core:
//! `LOGBOOM_SAMPLES=… cargo run --release -p logboom-event --example parse_speed`.

use std::{
    error::Error,
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use logboom_event::{Event, Record, token};

const SYSTEMS: [&str; 16] = [
    "Android",
    "Apache",
    "BGL",
    "HDFS",
    "HPC",
    "Hadoop",
    "HealthApp",
    "Linux",
    "Mac",
    "OpenSSH",
    "OpenStack",
    "Proxifier",
    "Spark",
    "Thunderbird",
    "Windows",
    "Zookeeper",
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::var("LOGBOOM_SAMPLES").map_err(|_| {
        "set LOGBOOM_SAMPLES to a folder with the loghub 2k samples (https://github.com/logpai/loghub)"
    })?;
    let mut all = Vec::new();
    for system in SYSTEMS {
        let file = std::fs::read(Path::new(&folder).join(format!("{system}_2k.log")))?;
        let records = records(&file);
        measure(system, &records, parse);
        all.extend(records);
    }
    let json = r#"{"time":"2026-01-01T00:00:00.123Z","level":"info","service":"shop","msg":"order placed","order":{"id":4711,"total":12.5},"user":"u-17","ok":true,"trace_id":"0af7651916cd43dd8448eb211c80319c"}"#;
    let logfmt = r#"ts=2026-01-01T00:00:00.123Z level=info service=shop msg="order placed" order=4711 total=12.5 user=u-17 ok=true"#;
    measure("all sixteen", &all, parse);
    measure("json", &vec![record(json.as_bytes()); 2_000], parse);
    measure("logfmt", &vec![record(logfmt.as_bytes()); 2_000], parse);
    measure("words of all", &all, |record| {
        token::tokens_lossy(&record.value).for_each(|token| {
            black_box(token);
        });
    });
    Ok(())
}

fn parse(record: &Record) {
    black_box(Event::parse(black_box(record)));
}

/// Repeats the work for half a second and prints its speed.
fn measure(name: &str, records: &[Record], work: impl Fn(&Record)) {
    let bytes: usize = records.iter().map(|record| record.value.len()).sum();
    let started = Instant::now();
    let mut rounds = 0;
    while started.elapsed() < Duration::from_millis(500) {
        records.iter().for_each(&work);
        rounds += 1;
    }
    let seconds = started.elapsed().as_secs_f64();
    let lines_per_second = (rounds * records.len()) as f64 / seconds;
    let mb_per_second = (rounds * bytes) as f64 / seconds / 1e6;
    println!("{name:>14}  {lines_per_second:>10.0} lines/s  {mb_per_second:>6.0} MB/s");
}

fn records(file: &[u8]) -> Vec<Record> {
    let lines = file
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .map(|line| record(line.strip_suffix(b"\r").unwrap_or(line)))
        .collect()
}

fn record(line: &[u8]) -> Record {
    Record {
        topic: Arc::from("logs"),
        partition: 0,
        offset: 0,
        timestamp_ms: 1_767_225_600_000,
        encoding: logboom_event::Encoding::Line,
        key: None,
        value: Bytes::copy_from_slice(line),
        origin: None,
        headers: Vec::new(),
    }
}
