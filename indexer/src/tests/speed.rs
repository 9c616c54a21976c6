//! How fast lines become searchable and are published, without the queue. A measurement, not a test:
//!
//!     LOGBOOM_SAMPLES=… cargo test --release -p logboom-indexer --lib measure_loghub -- --ignored --nocapture

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::machine::{Machine, NOON_MS};
use crate::{limits, merge::merge_once};

const BYTES: usize = 256 << 20;

/// The lines of all samples, as an agent sends them.
fn sample_lines() -> Vec<Bytes> {
    let folder = std::env::var("LOGBOOM_SAMPLES").expect(
        "set LOGBOOM_SAMPLES to a folder with the loghub 2k samples (https://github.com/logpai/loghub)",
    );
    let mut lines = Vec::new();
    for system in std::fs::read_dir(folder).unwrap() {
        let path = system.unwrap().path();
        let files = if path.is_dir() {
            std::fs::read_dir(&path)
                .unwrap()
                .map(|file| file.unwrap().path())
                .collect()
        } else {
            vec![path]
        };
        for file in files
            .iter()
            .filter(|file| file.extension().is_some_and(|extension| extension == "log"))
        {
            let text = std::fs::read(file).unwrap();
            lines.extend(
                text.split(|byte| *byte == b'\n')
                    .map(|line| Bytes::copy_from_slice(line.trim_ascii_end())),
            );
        }
    }
    lines
}

/// User and system time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn rss_mib(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

#[ignore = "a measurement"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measure_loghub_lines_per_second() {
    let lines = sample_lines();
    let mut machine = Machine::new(1);
    let mut life = machine.start().await;
    let (mut bytes, mut sent, mut publish_time) = (0, 0_usize, Duration::ZERO);
    let (started, cpu_before) = (Instant::now(), cpu());
    let mut refreshed = Instant::now();
    while bytes < BYTES {
        let mut batch_bytes = 0;
        while batch_bytes < limits::BATCH_BYTES_MAX {
            let line = lines[sent % lines.len()].clone();
            batch_bytes += line.len();
            machine.push(0, line, None, NOON_MS);
            sent += 1;
        }
        bytes += batch_bytes;
        let records = std::mem::take(&mut machine.log[0]);
        let first = sent - records.len();
        let renumbered = records.into_iter().enumerate().map(|(at, mut record)| {
            record.offset = (first + at) as i64;
            record
        });
        life.builder
            .add(renumbered.collect(), NOON_MS, |_, _, _| {})
            .unwrap();
        if refreshed.elapsed() > Duration::from_millis(100) {
            life.refresh();
            refreshed = Instant::now();
        }
        if life.builder.is_full() {
            life.refresh();
            let publishing = Instant::now();
            life.publish().await.unwrap();
            publish_time += publishing.elapsed();
        }
    }
    life.refresh();
    let (took, used) = (started.elapsed(), cpu() - cpu_before);
    let mb = bytes as f64 / 1e6;
    let split_bytes: u64 = life
        .snapshot()
        .splits
        .iter()
        .map(|split| split.meta.file_bytes)
        .sum();
    println!(
        "{sent} lines, {mb:.0} MB: {:.1} MB/s one after the other ({:.1} s of it in publishes), {:.1} MB per CPU-second; \
         {} splits of {:.0} MB; RSS {} MiB, peak {} MiB",
        mb / took.as_secs_f64(),
        publish_time.as_secs_f64(),
        mb / used.as_secs_f64(),
        life.snapshot().splits.len(),
        split_bytes as f64 / 1e6,
        rss_mib("RssAnon"),
        rss_mib("VmHWM"),
    );
    let merging = Instant::now();
    let merged = merge_once(&life.publisher, &life.snapshot()).await.unwrap();
    println!("merged: {merged}, {:.1} s", merging.elapsed().as_secs_f64());
}
