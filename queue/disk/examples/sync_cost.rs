//! What an acknowledgement costs on this machine's disk, by layout: is a file per partition, each synced, worse than one
//! zero-filled journal per disk that takes the groups of all partitions and is synced once?
//!
//! `cargo run --release -p logboom-disk --example sync_cost -- [DIR]` prints one line a layout. A group here is 1 MiB
//! or 16 KiB a partition, whichever is less, over 4 and 64 partitions. The journal pays twice for each byte: its
//! segments are written behind, and synced every 32 MiB by another thread.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use logboom_disk::{Disk, DiskFile, RealDisk};

const FILE_BYTES: u64 = 64 << 20;
const SECONDS: u64 = 3;
type Files = Vec<Arc<dyn DiskFile>>;
type Outcome<T> = Result<T, logboom_disk::Error>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()))
        .join("sync_cost.scratch");
    println!(
        "{:<52} {:>7} {:>8} {:>8} {:>8}",
        "layout", "groups", "p50 ms", "p99 ms", "MB/s"
    );
    for partitions in [1_usize, 4, 64] {
        for bytes in [512_usize, 16 << 10, 256 << 10] {
            if bytes * partitions > (2 << 20) {
                continue;
            }
            for zero_filled in [false, true] {
                for parallel in [false, true] {
                    if parallel && partitions == 1 {
                        continue;
                    }
                    let label = format!(
                        "{partitions} files {}, {} B each, synced {}",
                        if zero_filled {
                            "zero-filled"
                        } else {
                            "fallocated"
                        },
                        bytes,
                        if parallel { "by 8 threads" } else { "in turn" }
                    );
                    with_files(&dir, partitions, zero_filled, |files| {
                        file_per_partition(&label, files, bytes, parallel)
                    })?;
                }
            }
            let label = format!("journal + {partitions} segments behind, {bytes} B each");
            with_files(&dir, partitions + 1, true, |files| {
                journal(&label, files, bytes)
            })?;
        }
    }
    Ok(())
}

fn with_files(
    dir: &Path,
    count: usize,
    zero_filled: bool,
    run: impl FnOnce(&Files) -> Outcome<()>,
) -> Outcome<()> {
    RealDisk.create_dir(dir)?;
    // The journal is the last file; segments behind it, like all others, are small to keep the set-up short.
    let len = (FILE_BYTES * 4 / count as u64).min(FILE_BYTES);
    let mut files = Files::new();
    for index in 0..count {
        let file = RealDisk.create(&dir.join(index.to_string()))?;
        file.allocate(0, len)?;
        if zero_filled {
            for at in (0..len).step_by(1 << 20) {
                file.write_at(at, &vec![0; 1 << 20])?;
            }
        }
        file.sync_data()?;
        files.push(file);
    }
    let outcome = run(&files);
    for index in 0..count {
        RealDisk.remove(&dir.join(index.to_string()))?;
    }
    RealDisk.remove_dir(dir)?;
    outcome
}

fn file_per_partition(label: &str, files: &Files, bytes: usize, parallel: bool) -> Outcome<()> {
    let (done, finished) = mpsc::channel();
    let workers: Vec<mpsc::Sender<Arc<dyn DiskFile>>> = (0..8)
        .map(|_| {
            let (jobs, inbox) = mpsc::channel::<Arc<dyn DiskFile>>();
            let done = done.clone();
            std::thread::spawn(move || {
                inbox
                    .iter()
                    .for_each(|file| drop(done.send(file.sync_data())))
            });
            jobs
        })
        .collect();
    let payload = vec![7; bytes];
    let room = files[0].len()?;
    let mut at = 0;
    measure(label, bytes * files.len(), || {
        at = if at + bytes as u64 > room { 0 } else { at };
        for file in files {
            file.write_at(at, &payload)?;
        }
        at += bytes as u64;
        if !parallel {
            return files.iter().try_for_each(|file| file.sync_data());
        }
        for (index, file) in files.iter().enumerate() {
            workers[index % workers.len()]
                .send(file.clone())
                .expect("workers live as long as this");
        }
        (0..files.len()).try_for_each(|_| finished.recv().expect("workers answer"))
    })
}

fn journal(label: &str, files: &Files, bytes: usize) -> Outcome<()> {
    let (journal, segments) = files.split_last().expect("there is a journal");
    let (behind, inbox) = mpsc::channel::<Arc<dyn DiskFile>>();
    let syncer = std::thread::spawn(move || inbox.iter().try_for_each(|file| file.sync_data()));
    let group = vec![7; bytes * segments.len()];
    let (room, segment_room) = (journal.len()?, segments[0].len()?);
    let (mut at, mut segment_at, mut unsynced) = (0, 0, 0);
    measure(label, group.len(), || {
        at = if at + group.len() as u64 > room {
            0
        } else {
            at
        };
        journal.write_at(at, &group)?;
        at += group.len() as u64;
        journal.sync_data()?;
        segment_at = if segment_at + bytes as u64 > segment_room {
            0
        } else {
            segment_at
        };
        for segment in segments {
            segment.write_at(segment_at, &group[..bytes])?;
        }
        segment_at += bytes as u64;
        unsynced += group.len();
        if unsynced > 32 << 20 {
            unsynced = 0;
            segments
                .iter()
                .for_each(|segment| drop(behind.send(segment.clone())));
        }
        Ok(())
    })?;
    drop(behind);
    syncer.join().expect("the syncer does not panic")
}

fn measure(
    label: &str,
    group_bytes: usize,
    mut commit: impl FnMut() -> Outcome<()>,
) -> Outcome<()> {
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < Duration::from_secs(SECONDS) {
        let before = Instant::now();
        commit()?;
        times.push(before.elapsed());
    }
    let seconds = start.elapsed().as_secs_f64();
    times.sort();
    let ms = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    let rate = (times.len() * group_bytes) as f64 / seconds / 1e6;
    println!(
        "{label:<52} {:>7} {:>8.2} {:>8.2} {rate:>8.1}",
        times.len(),
        ms(0.5),
        ms(0.99)
    );
    Ok(())
}
