//! Damage to the files of a partition, and what its recovery makes of that.
//!
//! The model test of the log says what must survive a crash; here nothing has to, since any byte may be wrong. But
//! nothing panics, nothing bad is handed out as good, and what one start has decided the next one does not change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use logboom_disk::{Disk, SimDisk};
use tokio::runtime::{Builder, Runtime};

use super::make_whole;
use crate::log::batch::{HEADER_BYTES, Header};
use crate::log::{LogConfig, LogError, Logs, SEGMENT_BYTES_MIN};

const TOPIC: &str = "t";
const BATCHES: usize = 6;
/// Two or three batches fill a segment.
const VALUE_BYTES: usize = 1_200;
/// What is done to one file; more of them in one input find nothing that fewer do not.
const CHANGES_MAX: usize = 8;

/// Writes a log of some segments, changes its files as `input` says, and opens it twice.
pub fn recover(input: &[u8]) {
    let disk = SimDisk::new(0);
    write(&disk);
    for change in input.chunks_exact(7).take(CHANGES_MAX) {
        damage(&disk, change);
    }
    let first = look(&disk);
    let second = look(&disk);
    assert_eq!(first, second, "the first start did not settle it");
}

/// Reads are done by a pool of threads.
fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            Builder::new_current_thread()
                .build()
                .expect("threads can be had")
        })
        .block_on(future)
}

fn open(disk: &SimDisk) -> Result<Logs, LogError> {
    let config = LogConfig {
        segment_bytes: SEGMENT_BYTES_MIN,
        index_interval_bytes: SEGMENT_BYTES_MIN,
        checkpoint_bytes: SEGMENT_BYTES_MIN,
        disk_free_min_bytes: 0,
        ..LogConfig::default()
    };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    // A clock that stands: nothing gets old.
    Logs::open_with_clock(disk, Path::new("/log"), config, || 1)
}

fn write(disk: &SimDisk) {
    let logs = open(disk).expect("an empty disk is good");
    let log = logs.create(TOPIC, 0).expect("it is new");
    for number in 0..BATCHES {
        block_on(log.append(batch(number as u8))).expect("nothing fails yet");
    }
}

fn batch(filler: u8) -> Bytes {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[43..57].fill(0xff);
    bytes[57..61].copy_from_slice(&1i32.to_be_bytes());
    bytes.resize(HEADER_BYTES + VALUE_BYTES, filler);
    make_whole(&mut bytes);
    bytes.into()
}

/// Which file, where, what, and with which bytes.
fn damage(disk: &SimDisk, change: &[u8]) {
    let files = files(disk);
    let Some(path) = files.get(usize::from(change[0]) % files.len().max(1)) else {
        return;
    };
    let place = usize::from(u16::from_be_bytes([change[1], change[2]]));
    let bytes = &change[4..];
    if change[3] % 8 == 7 {
        // It is in the list, and nobody has it open.
        disk.remove(path).expect("it can be removed");
        return;
    }
    disk.damage(path, |content| match change[3] % 8 {
        0 => content.truncate(place % (content.len() + 1)),
        1 => content.extend_from_slice(bytes),
        2 => {
            let from = place % (content.len() + 1);
            content[from..].fill(0);
        }
        // A batch that is whole and says something else: its checksum is made right again.
        3 => rewrite_batch(content, place, bytes),
        _ => {
            for (byte, new) in content.iter_mut().skip(place).zip(bytes) {
                *byte = *new;
            }
        }
    });
}

fn rewrite_batch(content: &mut [u8], place: usize, bytes: &[u8]) {
    // Batches begin behind the segment's header sector.
    const FROM: usize = 512;
    const BYTES: usize = HEADER_BYTES + VALUE_BYTES;
    let at = FROM + place / HEADER_BYTES % BATCHES * BYTES;
    let Some(batch) = content.get_mut(at..at + BYTES) else {
        return;
    };
    let field = place % HEADER_BYTES;
    for (byte, new) in batch[field..].iter_mut().zip(bytes) {
        *byte = *new;
    }
    make_whole(batch);
}

fn files(disk: &SimDisk) -> Vec<PathBuf> {
    let directory = Path::new("/log").join(format!("{TOPIC}-0"));
    let entries = disk.list(&directory).unwrap_or_default();
    entries
        .iter()
        .map(|entry| directory.join(&entry.name))
        .collect()
}

/// What a start makes of the disk: nothing if it refuses the partition, else its first and next offset.
fn look(disk: &SimDisk) -> Option<(i64, i64)> {
    let logs = open(disk).ok()?;
    let log = logs.get(TOPIC, 0)?;
    if log.is_refused() {
        return None;
    }
    let (start, end) = (log.log_start(), log.high_watermark());
    assert!(start <= end, "it starts at {start} and ends at {end}");
    let mut offset = start;
    while offset < end {
        let read = block_on(log.read(offset, usize::MAX >> 1));
        // Damage that was not to be seen at the start is told to its readers, and only to them.
        let Ok(fetched) = read else { break };
        offset = walk(&fetched.bytes, offset);
    }
    Some((start, end))
}

/// What was read has to follow on and to be whole. Returns the offset behind the last batch.
fn walk(mut bytes: &[u8], mut offset: i64) -> i64 {
    assert!(
        !bytes.is_empty(),
        "nothing at {offset}, which is not the end"
    );
    while let Some(header) = Header::parse(bytes) {
        assert!(header.base_offset <= offset, "a hole before {offset}");
        offset = header.base_offset + i64::from(header.last_offset_delta) + 1;
        let whole = &bytes[..header.total_bytes];
        assert_eq!(
            header.crc,
            crc32c::crc32c(&whole[21..]),
            "a bad batch was handed out"
        );
        bytes = &bytes[header.total_bytes..];
    }
    offset
}
