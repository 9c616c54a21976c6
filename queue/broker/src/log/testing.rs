//! For tests: record batches built by hand, so that every field can be wrong, and logs on a simulated disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use logboom_disk::{Disk, DiskFile, DiskSpace, Entry, Error as DiskError, SimDisk};
use tokio::sync::oneshot;

use super::batch::{HEADER_BYTES, Header, whole_batches_end};
use super::commit::{Pending, commit};
use super::marker::{self, Outcome};
use super::partition::{Appended, Fetched, PartitionLog};
use super::{AppendError, LogConfig, LogError, Logs, ReadError, segment};

pub(crate) struct BatchBuilder {
    values: Vec<Vec<u8>>,
    attributes: i16,
    timestamp: i64,
    step: i64,
    producer: (i64, i16, i32),
    count: Option<(i32, i32)>,
}

impl BatchBuilder {
    pub(crate) fn new<V: AsRef<[u8]>>(values: &[V]) -> BatchBuilder {
        BatchBuilder {
            values: values.iter().map(|value| value.as_ref().to_vec()).collect(),
            attributes: 0,
            timestamp: 0,
            step: 0,
            producer: (-1, -1, -1),
            count: None,
        }
    }

    pub(crate) fn attributes(mut self, attributes: i16) -> BatchBuilder {
        self.attributes = attributes;
        self
    }

    pub(crate) fn timestamp(mut self, timestamp: i64) -> BatchBuilder {
        self.timestamp = timestamp;
        self
    }

    /// Between the timestamps of two records.
    pub(crate) fn step(mut self, step: i64) -> BatchBuilder {
        self.step = step;
        self
    }

    pub(crate) fn producer(mut self, id: i64, epoch: i16, sequence: i32) -> BatchBuilder {
        self.producer = (id, epoch, sequence);
        self
    }

    /// A count and last offset delta that need not fit the records.
    pub(crate) fn count(mut self, count: i32, last_offset_delta: i32) -> BatchBuilder {
        self.count = Some((count, last_offset_delta));
        self
    }

    pub(crate) fn build(&self) -> Bytes {
        let mut records = Vec::new();
        for (index, value) in self.values.iter().enumerate() {
            let mut record = vec![0];
            put_varint(&mut record, self.step * index as i64);
            put_varint(&mut record, index as i64);
            put_varint(&mut record, -1);
            put_varint(&mut record, value.len() as i64);
            record.extend_from_slice(value);
            put_varint(&mut record, 0);
            put_varint(&mut records, record.len() as i64);
            records.extend_from_slice(&record);
        }
        let len = self.values.len() as i32;
        let (count, last_offset_delta) = self.count.unwrap_or((len, len - 1));
        let mut batch = BytesMut::with_capacity(HEADER_BYTES + records.len());
        batch.put_i64(0);
        batch.put_i32((HEADER_BYTES - 12 + records.len()) as i32);
        batch.put_i32(-1);
        batch.put_i8(2);
        batch.put_u32(0);
        batch.put_i16(self.attributes);
        batch.put_i32(last_offset_delta);
        batch.put_i64(self.timestamp);
        batch.put_i64(self.timestamp + self.step * i64::from(len - 1));
        batch.put_i64(self.producer.0);
        batch.put_i16(self.producer.1);
        batch.put_i32(self.producer.2);
        batch.put_i32(count);
        batch.put_slice(&records);
        let crc = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        batch.freeze()
    }
}

fn put_varint(bytes: &mut Vec<u8>, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        bytes.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    bytes.push(zigzag as u8);
}

/// A disk that calls a hook before every change of a name and every sync of a directory.
pub(crate) struct Hooked<F> {
    pub(crate) disk: SimDisk,
    pub(crate) hook: F,
}

impl<F> std::fmt::Debug for Hooked<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.disk.fmt(f)
    }
}

impl<F: Fn(&Path) + Send + Sync> Disk for Hooked<F> {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        (self.hook)(path);
        self.disk.create(path)
    }
    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.disk.open(path)
    }
    /// Calls the hook with the new name.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        (self.hook)(to);
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        (self.hook)(path);
        self.disk.remove(path)
    }
    fn list(&self, dir: &Path) -> Result<Vec<Entry>, DiskError> {
        self.disk.list(dir)
    }
    fn create_dir(&self, dir: &Path) -> Result<(), DiskError> {
        (self.hook)(dir);
        self.disk.create_dir(dir)
    }
    fn remove_dir(&self, dir: &Path) -> Result<(), DiskError> {
        (self.hook)(dir);
        self.disk.remove_dir(dir)
    }
    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        (self.hook)(dir);
        self.disk.sync_dir(dir)
    }
    fn space(&self, dir: &Path) -> Result<DiskSpace, DiskError> {
        self.disk.space(dir)
    }
}

/// Logs on a simulated disk, committed by the test itself: no thread, no chance but the seed's.
pub(crate) struct Machine {
    pub(crate) disk: SimDisk,
    pub(crate) config: LogConfig,
    /// Milliseconds.
    pub(crate) now: Arc<AtomicI64>,
    runtime: tokio::runtime::Runtime,
}

impl Machine {
    pub(crate) fn new(seed: u64) -> Machine {
        let config = LogConfig {
            segment_bytes: 8 << 10,
            index_interval_bytes: 4 << 10,
            checkpoint_bytes: 3 << 10,
            retention: Some(Duration::from_millis(1000)),
            disk_free_min_bytes: 0,
            // The order of calls is the seed's to decide.
            threads: 1,
            ..LogConfig::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        Machine {
            disk: SimDisk::new(seed),
            config,
            now: Arc::new(AtomicI64::new(1_000_000)),
            runtime,
        }
    }

    pub(crate) fn try_open(&self) -> Result<Logs, LogError> {
        let now = self.now.clone();
        let clock = move || now.load(Ordering::Relaxed);
        Logs::open_with_clock(
            Arc::new(self.disk.clone()),
            Path::new("/queue"),
            self.config.clone(),
            clock,
        )
    }

    pub(crate) fn open(&self) -> Logs {
        self.try_open().unwrap()
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// The first batch comes even if it is larger.
    pub(crate) fn read(
        &self,
        log: &PartitionLog,
        offset: i64,
        max_bytes: usize,
    ) -> Result<Fetched, ReadError> {
        let fetched = self.runtime.block_on(log.read(offset, max_bytes))?;
        match fetched.too_large {
            None => Ok(fetched),
            Some(bytes) => self.runtime.block_on(log.read(offset, bytes)),
        }
    }

    /// All batches from `offset` on, each with its header.
    pub(crate) fn read_all(
        &self,
        log: &PartitionLog,
        mut offset: i64,
    ) -> Result<Vec<(Header, Bytes)>, ReadError> {
        let mut batches = Vec::new();
        loop {
            let fetched = self.read(log, offset, 5000)?;
            if fetched.bytes.is_empty() {
                assert_eq!(
                    offset, fetched.high_watermark,
                    "an empty answer below the high watermark"
                );
                return Ok(batches);
            }
            let end = whole_batches_end(&fetched.bytes, |header, batch| {
                batches.push((*header, Bytes::copy_from_slice(batch)));
                true
            });
            assert_eq!(end, fetched.bytes.len(), "a batch was cut");
            offset = batches.last().unwrap().0.next_offset();
        }
    }

    /// The batches that a reader of what is committed takes from `offset` on, found as clients find them: without markers,
    /// and without what the list of aborted transactions says. `aborted_max` is for each fetch.
    pub(crate) fn read_committed(
        &self,
        log: &PartitionLog,
        mut offset: i64,
        aborted_max: usize,
    ) -> Result<Vec<(Header, Bytes)>, ReadError> {
        let mut seen = Vec::new();
        loop {
            let mut max_bytes = 5000;
            let fetched = loop {
                let read = log.read_committed(offset, max_bytes, aborted_max);
                let fetched = self.runtime.block_on(read)?;
                match fetched.too_large {
                    None => break fetched,
                    Some(bytes) => max_bytes = bytes,
                }
            };
            if fetched.bytes.is_empty() {
                assert_eq!(offset, fetched.last_stable_offset);
                return Ok(seen);
            }
            let is_aborted = |header: &Header| {
                fetched.aborted.iter().any(|aborted| {
                    aborted.producer_id == header.producer_id
                        && (aborted.first_offset..aborted.last_offset).contains(&header.base_offset)
                })
            };
            whole_batches_end(&fetched.bytes, |header, batch| {
                assert!(header.base_offset < fetched.last_stable_offset);
                let is_skipped = header.is_transactional() && is_aborted(header);
                if !header.is_control() && !is_skipped {
                    seen.push((*header, Bytes::copy_from_slice(batch)));
                }
                offset = header.next_offset();
                true
            });
        }
    }

    pub(crate) fn segment_path(&self, base: i64) -> PathBuf {
        segment::path(Path::new("/queue/t-0"), base)
    }
}

/// Commits one group and returns its answers in order.
pub(crate) fn append(group: &[(&Arc<PartitionLog>, Bytes)]) -> Vec<Result<Appended, AppendError>> {
    let (pending, answers): (Vec<_>, Vec<_>) = group
        .iter()
        .map(|(log, batch)| {
            let (reply, answer) = oneshot::channel();
            (
                Pending {
                    log: Arc::clone(log),
                    batch: batch.clone(),
                    reply,
                    permit: None,
                },
                answer,
            )
        })
        .unzip();
    commit(pending, &mut Vec::new(), |files| {
        files.iter().map(|file| file.sync_data()).collect()
    });
    answers
        .into_iter()
        .map(|mut answer| answer.try_recv().unwrap())
        .collect()
}

/// Ends a transaction: the answer to its marker.
pub(crate) fn end_transaction(
    log: &Arc<PartitionLog>,
    producer_id: i64,
    epoch: i16,
    outcome: Outcome,
) -> Result<Appended, AppendError> {
    append_one(log, marker::build(producer_id, epoch, outcome, 0))
}

pub(crate) fn append_one(log: &Arc<PartitionLog>, batch: Bytes) -> Result<Appended, AppendError> {
    append(&[(log, batch)]).pop().unwrap()
}
