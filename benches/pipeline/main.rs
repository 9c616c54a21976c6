//! What the pipeline does, beside what the machine can do, from one run.
//!
//! Not a test: machines are noisy, so nothing here fails; figures are for comparing
//! with each other. `make bench` takes about ten minutes, `make bench PARTS=spans` does one part.
//! `LOGBOOM_BENCH_MB` changes the volume of lines (default 500), `LOGBOOM_BENCH_SPANS` that of spans
//! (default 1,000,000) and `LOGBOOM_BENCH_LINES` the lines and spans of the latency runs.

#![allow(clippy::unwrap_used)]

mod cpu;
mod fresh;
mod limits;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/system/process.rs"]
mod process;
mod spans;
mod volume;

use std::time::Duration;

const PARTS: [&str; 3] = ["volume", "fresh", "spans"];

fn main() {
    // `cargo test` builds and runs every target with its own flags; a benchmark only runs when asked.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let mut asked: Vec<&str> = arguments.iter().map(String::as_str).collect();
    asked.retain(|argument| !argument.starts_with("--"));
    if let Some(unknown) = asked.iter().find(|part| !PARTS.contains(part)) {
        panic!("`{unknown}` is no part of the benchmark; there are {PARTS:?}");
    }
    let runs = |part: &str| asked.is_empty() || asked.contains(&part);
    let lines = number("LOGBOOM_BENCH_LINES", 60_000) as usize;
    let directory = tempfile::Builder::new()
        .prefix("logboom-bench")
        .tempdir_in("target")
        .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();

    if runs("volume") {
        let input = volume::generate(number("LOGBOOM_BENCH_MB", 500) as usize * 1_000_000);
        println!(
            "input: {:.0} MB, {} lines of {:.0} bytes on average",
            input.megabytes(),
            input.lines,
            input.line_bytes()
        );
        limits::print(directory.path(), &input);
        runtime.block_on(volume::print(directory.path(), &input));
    }
    if runs("fresh") {
        runtime.block_on(fresh::print(directory.path(), lines));
    }
    if runs("spans") {
        let spans = number("LOGBOOM_BENCH_SPANS", 1_000_000) as usize;
        runtime.block_on(spans::print(directory.path(), spans, lines));
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().unwrap())
}

/// A rate and what it cost.
fn row(what: &str, megabytes: f64, wall: Duration, cpu: Option<Duration>) {
    let rate = megabytes / wall.as_secs_f64();
    match cpu {
        Some(cpu) => println!(
            "{what:34} {rate:8.1} MB/s {:10.1} MB per CPU-second",
            megabytes / cpu.as_secs_f64()
        ),
        None => println!("{what:34} {rate:8.1} MB/s"),
    }
}
