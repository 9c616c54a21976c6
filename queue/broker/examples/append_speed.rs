//! What the log takes on this machine, beside what its disk takes raw.
//!
//! `cargo run --release -p logboom-broker --example append_speed -- [DIR] [GROUP_WAIT_US]`
//!
//! Prints MB/s of 1 MiB batches, appends per second and acknowledgement latency of 1 KiB batches by number of
//! producers (each has one append under way), and, before and after, sequential writes with `fdatasync` by the same
//! two sizes.

use std::error::Error;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use logboom_broker::log::{LogConfig, Logs, PartitionLog};
use logboom_disk::RealDisk;

const SECONDS: u64 = 4;
const SMALL_BYTES: usize = 1024;
const LARGE_BYTES: usize = 1 << 20;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let group_wait = Duration::from_micros(arguments.next().map_or(Ok(0), |text| text.parse())?);
    let dir = parent.join(format!("append_speed.{}", std::process::id()));
    std::fs::create_dir(&dir)?;
    let outcome = measure_all(&dir, group_wait).await;
    std::fs::remove_dir_all(&dir)?;
    outcome
}

async fn measure_all(dir: &Path, group_wait: Duration) -> Result<(), Box<dyn Error>> {
    println!(
        "group wait {group_wait:?}\n{:<46} {:>9} {:>9} {:>8} {:>8}",
        "", "per s", "MB/s", "p50 ms", "p99 ms"
    );
    raw(dir, SMALL_BYTES)?;
    raw(dir, LARGE_BYTES)?;
    let config = LogConfig {
        group_wait,
        disk_free_min_bytes: 0,
        ..LogConfig::default()
    };
    let logs = Logs::open(Arc::new(RealDisk), &dir.join("queue"), config)?;
    let partitions: Vec<_> = (0..64)
        .map(|number| logs.create("t", number))
        .collect::<Result<_, _>>()?;
    for (producers, partitions_used) in [(1, 1), (4, 4), (16, 4), (64, 4), (64, 64)] {
        appends(&partitions[..partitions_used], producers, SMALL_BYTES).await?;
    }
    for (producers, partitions_used) in [(1, 1), (4, 4), (16, 4)] {
        appends(&partitions[..partitions_used], producers, LARGE_BYTES).await?;
    }
    tokio::task::spawn_blocking(move || logs.close()).await??;
    raw(dir, SMALL_BYTES)?;
    raw(dir, LARGE_BYTES)
}

async fn appends(
    partitions: &[Arc<PartitionLog>],
    producers: usize,
    bytes: usize,
) -> Result<(), Box<dyn Error>> {
    let batch = batch_of(bytes);
    let start = Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|number| {
            let (log, batch) = (partitions[number % partitions.len()].clone(), batch.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                while start.elapsed() < Duration::from_secs(SECONDS) {
                    let before = Instant::now();
                    log.append(batch.clone()).await?;
                    times.push(before.elapsed());
                }
                Ok::<_, logboom_broker::log::AppendError>(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    let label = format!(
        "log, {bytes} B, {producers} producers, {} partitions",
        partitions.len()
    );
    report(&label, bytes, start.elapsed(), times);
    Ok(())
}

/// One preallocated file, written from the start to the end and again, each write synced.
fn raw(dir: &Path, bytes: usize) -> Result<(), Box<dyn Error>> {
    const FILE_BYTES: u64 = 256 << 20;
    let path = dir.join("raw");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)?;
    let zeros = vec![0; LARGE_BYTES];
    for at in (0..FILE_BYTES).step_by(LARGE_BYTES) {
        file.write_all_at(&zeros, at)?;
    }
    file.sync_all()?;
    let payload = vec![7; bytes];
    let (start, mut at, mut times) = (Instant::now(), 0, Vec::new());
    while start.elapsed() < Duration::from_secs(SECONDS) {
        at = if at + bytes as u64 > FILE_BYTES {
            0
        } else {
            at
        };
        let before = Instant::now();
        file.write_all_at(&payload, at)?;
        file.sync_data()?;
        times.push(before.elapsed());
        at += bytes as u64;
    }
    report(
        &format!("raw, {bytes} B write + fdatasync"),
        bytes,
        start.elapsed(),
        times,
    );
    std::fs::remove_file(path)?;
    Ok(())
}

fn report(label: &str, bytes: usize, elapsed: Duration, mut times: Vec<Duration>) {
    times.sort_unstable();
    let ms = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    let rate = times.len() as f64 / elapsed.as_secs_f64();
    println!(
        "{label:<46} {rate:>9.0} {:>9.1} {:>8.2} {:>8.2}",
        rate * bytes as f64 / 1e6,
        ms(0.5),
        ms(0.99)
    );
}

/// A record batch of `bytes` in all, with one record, as a producer would send it.
fn batch_of(bytes: usize) -> Bytes {
    let mut batch = BytesMut::with_capacity(bytes);
    batch.put_i64(0);
    batch.put_i32((bytes - 12) as i32);
    batch.put_i32(-1);
    batch.put_i8(2);
    batch.put_u32(0);
    batch.put_i16(0);
    batch.put_i32(0);
    batch.put_i64(0);
    batch.put_i64(0);
    batch.put_i64(-1);
    batch.put_i16(-1);
    batch.put_i32(-1);
    batch.put_i32(1);
    batch.resize(bytes, 7);
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch.freeze()
}
