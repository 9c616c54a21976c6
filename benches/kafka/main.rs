//! The queue beside Apache Kafka: the same client, the same disk, one run.
//!
//! Kafka's own `kafka-producer-perf-test` sends to both, one after the other, with its defaults (idempotent, acks=all).
//! Twice: with a sync before every ack (`flush: group` here, `log.flush.interval.messages=1` there), and with
//! what Kafka does by default, leaving it to the system (`flush: os`). Then the ack's p99 when both take half of what the
//! slower one can. Not a test: nothing fails, and figures are for comparing within one run.
//!
//! `LOGBOOM_BENCH_MB` is the volume of each line (default 200), at most 1,000,000 records of it.

#![allow(clippy::unwrap_used)]

#[path = "../../tests/kafka/node.rs"]
mod node;
mod perf;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/system/process.rs"]
mod process;
mod servers;

use perf::{Load, Outcome};
use servers::Servers;

const RECORD_BYTES: [usize; 3] = [100, 500, 10_000];
const PARTITIONS: [u32; 3] = [1, 8, 64];
const RECORDS_MAX: usize = 1_000_000;
/// A run at a given rate lasts about so long.
const PACED_SECONDS: usize = 10;

fn main() {
    // `cargo test` builds and runs every target with its own flags; a benchmark only runs when asked.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let megabytes: usize = std::env::var("LOGBOOM_BENCH_MB")
        .ok()
        .map_or(200, |text| text.parse().unwrap());
    for durability in servers::DURABILITIES {
        println!("\n{}", durability.title);
        let servers = Servers::start(&durability);
        // Neither a JVM nor a disk is at its best at once.
        for address in &servers.addresses {
            perf::run(address, "warm", 8, &Load::full(200_000, 500));
        }
        println!(
            "{:>8} {:>10} | {:>21} | {:>21} | {:>6} | p99 at half load, ms",
            "bytes", "partitions", "logboom, records/s", "kafka, records/s", "ratio"
        );
        for bytes in RECORD_BYTES {
            for partitions in PARTITIONS {
                line(&servers, bytes, partitions, megabytes);
            }
        }
        let [ours, theirs] = servers.peak_rss_mib();
        println!("largest memory: logboom {ours} MiB, kafka {theirs} MiB");
    }
}

fn line(servers: &Servers, bytes: usize, partitions: u32, megabytes: usize) {
    let records = (megabytes * 1_000_000 / bytes).min(RECORDS_MAX);
    let run = |load: &Load, name: &str| -> [Outcome; 2] {
        servers.addresses.each_ref().map(|address| {
            let topic = format!("{name}-{bytes}-{partitions}");
            perf::run(address, &topic, partitions, load)
        })
    };
    let [ours, theirs] = run(&Load::full(records, bytes), "full");
    let half = ours.records_per_second.min(theirs.records_per_second) / 2.0;
    let paced = Load {
        records: half as usize * PACED_SECONDS,
        bytes,
        per_second: Some(half as usize),
    };
    let [our_half, their_half] = run(&paced, "half");
    println!(
        "{bytes:8} {partitions:10} | {:9.0} {:6.1} MB/s | {:9.0} {:6.1} MB/s | {:6.2} | {:.0} and {:.0}",
        ours.records_per_second,
        ours.records_per_second * bytes as f64 / 1e6,
        theirs.records_per_second,
        theirs.records_per_second * bytes as f64 / 1e6,
        ours.records_per_second / theirs.records_per_second,
        our_half.p99_ms,
        their_half.p99_ms,
    );
}
