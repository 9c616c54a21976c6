//! How long appends wait while old segments of the same log are deleted.
//!
//! `cargo run --release -p logboom-broker --example retention_stall -- [DIR]`
//!
//! Fills one of two partitions with 1 GiB in 64 MiB segments. Two producers then append 1 KiB batches, one to each partition,
//! with nothing else going on, and while the first partition's log start is moved past all of its old segments.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use logboom_broker::log::{AppendError, LogConfig, Logs, PartitionLog};
use logboom_disk::RealDisk;
use tokio::task::{JoinHandle, spawn_blocking};

const FILLED_BYTES: usize = 1 << 30;
const LARGE_BYTES: usize = 1 << 20;
const SMALL_BYTES: usize = 1024;
const QUIET: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = parent.join(format!("retention_stall.{}", std::process::id()));
    std::fs::create_dir(&dir)?;
    let outcome = measure(&dir).await;
    std::fs::remove_dir_all(&dir)?;
    outcome
}

async fn measure(dir: &Path) -> Result<(), Box<dyn Error>> {
    let config = LogConfig {
        segment_bytes: 64 << 20,
        disk_free_min_bytes: 0,
        ..LogConfig::default()
    };
    let logs = Logs::open(Arc::new(RealDisk), &dir.join("queue"), config)?;
    let (trimmed, other) = (logs.create("t", 0)?, logs.create("t", 1)?);
    let batch = batch_of(LARGE_BYTES);
    for _ in 0..FILLED_BYTES / LARGE_BYTES {
        trimmed.append(batch.clone()).await?;
    }
    let end = trimmed.high_watermark();
    println!(
        "{:<34} {:>8} {:>8} {:>8} {:>8}",
        "", "appends", "p50 ms", "p99 ms", "max ms"
    );
    for trims in [false, true] {
        let over = Arc::new(AtomicBool::new(false));
        let producers = [&trimmed, &other].map(|log| produce(log.clone(), over.clone()));
        tokio::time::sleep(QUIET / 2).await;
        if trims {
            let (log, begun) = (trimmed.clone(), Instant::now());
            spawn_blocking(move || log.delete_before(end)).await??;
            println!("deletion took {:.1?}", begun.elapsed());
        }
        tokio::time::sleep(QUIET / 2).await;
        over.store(true, Ordering::Relaxed);
        let what = if trims { "deletion" } else { "quiet" };
        for (producer, name) in producers.into_iter().zip(["its partition", "another"]) {
            report(&format!("{what}, {name}"), producer.await??);
        }
    }
    spawn_blocking(move || logs.close()).await??;
    Ok(())
}

fn produce(
    log: Arc<PartitionLog>,
    over: Arc<AtomicBool>,
) -> JoinHandle<Result<Vec<Duration>, AppendError>> {
    tokio::spawn(async move {
        let (batch, mut times) = (batch_of(SMALL_BYTES), Vec::new());
        while !over.load(Ordering::Relaxed) {
            let before = Instant::now();
            log.append(batch.clone()).await?;
            times.push(before.elapsed());
        }
        Ok(times)
    })
}

fn report(label: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let ms = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    println!(
        "{label:<34} {:>8} {:>8.2} {:>8.2} {:>8.2}",
        times.len(),
        ms(0.5),
        ms(0.99),
        ms(1.0)
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
