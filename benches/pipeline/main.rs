//! What the pipeline does, beside what the machine can do, from one run.
//!
//! Not a test: machines are noisy, so nothing here fails; figures are for comparing
//! with each other. `make bench` takes about ten minutes; `LOGBOOM_BENCH_MB` changes
//! the volume (default 500) and `LOGBOOM_BENCH_LINES` the lines of the latency run.

#![allow(clippy::unwrap_used)]

mod cpu;
mod fresh;
mod limits;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/system/process.rs"]
mod process;
mod volume;

use std::time::Duration;

fn main() {
    // `cargo test` builds and runs every target with its own flags; a benchmark only runs when asked.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let megabytes = number("LOGBOOM_BENCH_MB", 500);
    let lines = number("LOGBOOM_BENCH_LINES", 60_000);
    let directory = tempfile::Builder::new()
        .prefix("logboom-bench")
        .tempdir_in("target")
        .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();

    let input = volume::generate(megabytes as usize * 1_000_000);
    println!(
        "input: {:.0} MB, {} lines of {:.0} bytes on average",
        input.megabytes(),
        input.lines,
        input.line_bytes()
    );
    limits::print(directory.path(), &input);
    runtime.block_on(volume::print(directory.path(), &input));
    drop(input);
    runtime.block_on(fresh::print(directory.path(), lines as usize));
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
