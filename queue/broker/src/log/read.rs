//! Reading batches by offset.
//!
//! A read is planned under the partition's lock, from what is synced at that moment, and carried out on a blocking
//! thread. Bytes come from the page cache by position; every batch is checked again before it is given out, since a
//! disk may hand back something else than it was given.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use logboom_disk::DiskFile;

use super::aborted::{AbortedWithin, shorten};
use super::batch::{Header, whole_batches_end};
use super::error::{LogError, ReadError, one_line};
use super::marker::Aborted;
use super::partition::{ClosedSegment, Env, Fetched, PartitionLog, View};
use super::segment;
use crate::limits::BATCH_BYTES_MAX;

/// Walked at once in search of an offset: two index intervals, so that one call of the kernel finds it mostly, and
/// with it a small answer.
const SEARCH_BYTES: usize = 64 << 10;

/// A stretch of one segment that is safe to read.
pub(super) struct Stretch {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
    /// Where a batch starts, at or before what is looked for.
    pub(super) from: u64,
    /// Where the last synced batch ends.
    pub(super) to: u64,
}

/// Where to read, decided under the lock; opening a closed segment has to wait until it is released.
pub(super) enum Place {
    Open(Stretch),
    Closed(Arc<ClosedSegment>),
}

impl PartitionLog {
    /// About how many bytes of batches hold the records from `offset` on.
    pub fn bytes_from(&self, offset: i64) -> u64 {
        self.core().map_or(0, |core| match core.view() {
            view if offset >= view.end() => 0,
            view => view.bytes_from(offset),
        })
    }

    /// The largest time in the batch that holds `offset`; `None` at the end of the log, and where there is no log. Blocking.
    pub fn time_at(&self, offset: i64) -> Result<Option<i64>, ReadError> {
        let core = self.core_or(|reason| ReadError::Storage { reason })?;
        let place = {
            let view = core.view();
            if core.is_closed() || offset < view.log_start || offset >= view.end() {
                return Ok(None);
            }
            view.place_of(offset, &core.dir)
        };
        let found = place
            .open(&self.env, |index| index.position_before(offset))
            .and_then(|stretch| stretch.find(offset));
        match found {
            Ok((header, ..)) => Ok(Some(header.max_timestamp)),
            // Its files are gone with the records, meanwhile.
            Err(_) if offset < self.log_start() || core.is_closed() => Ok(None),
            Err(error) => Err(storage(self, &error)),
        }
    }

    /// Batches from the one that holds `offset` on, whole, as many as fit `max_bytes` and stand in one segment. If not
    /// even the first fits, [`Fetched::too_large`] says what it takes. Memory is held for what is returned, no more.
    ///
    /// At the high watermark the answer is empty; beyond, and below the log start, [`ReadError::OutOfRange`].
    pub async fn read(&self, offset: i64, max_bytes: usize) -> Result<Fetched, ReadError> {
        self.read_as(offset, max_bytes, None).await
    }

    /// As [`PartitionLog::read`] for readers of what is committed: only what is before the last stable offset, and with
    /// the aborted transactions in it. If they are more than `aborted_max`, so much less is returned, but always the
    /// first batch.
    pub async fn read_committed(
        &self,
        offset: i64,
        max_bytes: usize,
        aborted_max: usize,
    ) -> Result<Fetched, ReadError> {
        self.read_as(offset, max_bytes, Some(aborted_max)).await
    }

    async fn read_as(
        &self,
        offset: i64,
        max_bytes: usize,
        aborted_max: Option<usize>,
    ) -> Result<Fetched, ReadError> {
        let core = self.core_or(|reason| ReadError::Storage { reason })?;
        if core.is_closed() {
            return Err(ReadError::Closed);
        }
        let (planned, mut fetched) = {
            let view = core.view();
            let (log_start, end) = (view.log_start, view.end());
            if offset < log_start || offset > end {
                return Err(ReadError::OutOfRange {
                    offset,
                    log_start,
                    end,
                });
            }
            let fetched = Fetched {
                bytes: Bytes::new(),
                too_large: None,
                aborted: Vec::new(),
                high_watermark: end,
                last_stable_offset: view.stable_end(),
                log_start,
            };
            let visible_end = match aborted_max {
                Some(_) => view.stable_end(),
                None => end,
            };
            if offset >= visible_end {
                return Ok(fetched);
            }
            let planned = Planned {
                place: view.place_of(offset, &core.dir),
                offset,
                visible_end,
                max_bytes,
                aborted: aborted_max.map(|max| view.aborted_within(offset, visible_end, max)),
            };
            (planned, fetched)
        };
        let env = self.env.clone();
        let found = match tokio::task::spawn_blocking(move || planned.read(&env)).await {
            Ok(outcome) => outcome.map_err(|error| storage(self, &error))?,
            Err(_) => {
                return Err(ReadError::Storage {
                    reason: "the read panicked".into(),
                });
            }
        };
        match found {
            Found::Batches(bytes, aborted) => (fetched.bytes, fetched.aborted) = (bytes, aborted),
            Found::TooLarge(bytes) => fetched.too_large = Some(bytes),
        }
        Ok(fetched)
    }
}

/// A failed read is for people: bytes that were acknowledged are not there.
pub(super) fn storage(log: &PartitionLog, error: &LogError) -> ReadError {
    let reason = one_line(error);
    metrics::counter!(super::metrics::DAMAGED_READS).increment(1);
    tracing::error!(partition = ?log, error = %reason, "cannot read synced records");
    ReadError::Storage { reason }
}

impl View {
    /// About how many bytes of batches hold the records from `offset` on: exact to an index entry in the open segment, by
    /// the share of its offsets in a closed one.
    pub(super) fn bytes_from(&self, offset: i64) -> u64 {
        let first = self
            .closed
            .partition_point(|segment| segment.summary.end_offset <= offset);
        let mut bytes = 0;
        for segment in &self.closed[first..] {
            let summary = &segment.summary;
            let left = summary.end_offset - offset.max(summary.base);
            let share = left as f64 / (summary.end_offset - summary.base) as f64;
            bytes += (summary.data_bytes() as f64 * share) as u64;
        }
        let open = &self.open.index;
        bytes + open.summary.end_position - open.position_before(offset)
    }

    /// The segment that holds `offset`, which must be in the log.
    pub(super) fn place_of(&self, offset: i64, dir: &std::path::Path) -> Place {
        let after = self
            .closed
            .partition_point(|segment| segment.summary.end_offset <= offset);
        match self.closed.get(after) {
            Some(closed) => Place::Closed(closed.clone()),
            None => Place::Open(Stretch {
                file: self.open.file.clone(),
                path: segment::path(dir, self.open.index.summary.base),
                from: self.open.index.position_before(offset),
                to: self.open.index.summary.end_position,
            }),
        }
    }
}

impl Place {
    pub(super) fn open(
        self,
        env: &Env,
        from: impl FnOnce(&super::index::Index) -> u64,
    ) -> Result<Stretch, LogError> {
        match self {
            Place::Open(stretch) => Ok(stretch),
            Place::Closed(closed) => {
                let opened = env.open_segments.get(
                    env.disk.as_ref(),
                    &closed,
                    env.config.index_interval_bytes,
                )?;
                Ok(Stretch {
                    file: opened.file.clone(),
                    path: segment::path(&closed.dir, closed.summary.base),
                    from: from(&opened.index),
                    to: closed.summary.end_position,
                })
            }
        }
    }
}

enum Found {
    Batches(Bytes, Vec<Aborted>),
    /// The first batch, of so many bytes, does not fit.
    TooLarge(usize),
}

/// A read whose every bound was taken from one view.
struct Planned {
    place: Place,
    offset: i64,
    /// No batch is returned that starts here or later.
    visible_end: i64,
    max_bytes: usize,
    /// For readers of what is committed.
    aborted: Option<AbortedWithin>,
}

impl Planned {
    fn read(self, env: &Env) -> Result<Found, LogError> {
        let offset = self.offset;
        let stretch = self
            .place
            .open(env, |index| index.position_before(offset))?;
        let (first, position, seen) = stretch.find(offset)?;
        let left = usize::try_from(stretch.to - position).unwrap_or(usize::MAX);
        if first.total_bytes > self.max_bytes {
            return Ok(Found::TooLarge(first.total_bytes));
        }
        let wanted = self.max_bytes.min(left);
        // What the search has read already is often all there is.
        let mut bytes = if seen.len() >= wanted {
            seen[..wanted].to_vec()
        } else {
            stretch.read_vec(position, wanted)?
        };
        let mut expected = first.base_offset;
        let end = whole_batches_end(&bytes, |header, batch| {
            let good = header.base_offset == expected
                && header.base_offset < self.visible_end
                && header.has_good_crc(batch);
            if good {
                expected = header.next_offset();
            }
            good
        });
        // What is left must be a batch that `max_bytes` cut in two or that is not to be seen, and nothing else.
        if let Some(next) = Header::parse(&bytes[end..]).filter(|_| expected < self.visible_end) {
            let is_cut = next.magic == 2
                && next.base_offset == expected
                && next.total_bytes > bytes.len() - end;
            if !is_cut || next.total_bytes > BATCH_BYTES_MAX {
                return Err(stretch.damaged(position + end as u64));
            }
        }
        bytes.truncate(end);
        let mut aborted = Vec::new();
        if let Some(within) = &self.aborted {
            aborted = within.find(env, offset, expected)?;
            if aborted.len() > within.max {
                shorten(&mut bytes, &mut aborted, within.max, first.next_offset());
            }
        }
        // Or the batch that was cut off would be kept for as long as the answer is.
        bytes.shrink_to_fit();
        Ok(Found::Batches(bytes.into(), aborted))
    }
}

impl Stretch {
    /// The batch that holds `offset`, its position, and what was read from there on along the way.
    pub(super) fn find(&self, offset: i64) -> Result<(Header, u64, Bytes), LogError> {
        let mut position = self.from;
        loop {
            let window = self.read(position, SEARCH_BYTES.min((self.to - position) as usize))?;
            let mut at = 0;
            while let Some(header) = window.get(at..).and_then(Header::parse) {
                if header.magic != 2
                    || header.total_bytes > BATCH_BYTES_MAX
                    || header.base_offset > offset
                {
                    return Err(self.damaged(position + at as u64));
                }
                if header.last_offset() >= offset {
                    return Ok((header, position + at as u64, window.slice(at..)));
                }
                at += header.total_bytes;
            }
            if at == 0 {
                return Err(self.damaged(position));
            }
            position += at as u64;
            if position >= self.to {
                return Err(self.damaged(position));
            }
        }
    }

    pub(super) fn read(&self, position: u64, len: usize) -> Result<Bytes, LogError> {
        self.read_vec(position, len).map(Bytes::from)
    }

    fn read_vec(&self, position: u64, len: usize) -> Result<Vec<u8>, LogError> {
        let mut bytes = vec![0; len];
        let read = self.file.read_at(position, &mut bytes)?;
        if read < len {
            return Err(self.damaged(position + read as u64));
        }
        Ok(bytes)
    }

    pub(super) fn damaged(&self, position: u64) -> LogError {
        let reason = "the batch here is not the one that was stored".to_owned();
        LogError::Damaged {
            path: self.path.clone(),
            position,
            reason,
        }
    }
}
