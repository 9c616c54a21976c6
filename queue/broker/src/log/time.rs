//! Looking up offsets by time.

use super::batch::{Header, record_at_or_after};
use super::error::{LogError, ReadError};
use super::partition::{Env, PartitionLog, View};
use super::read::{Place, Stretch, storage};
use super::segment;

/// Read at once while batches are walked in search of a time.
const SEARCH_BYTES: usize = 64 << 10;

impl PartitionLog {
    /// The first offset whose record has a timestamp of `timestamp_ms` or later, and that timestamp; `None` if there is
    /// none. Timestamps may step back, so later records may be older again. Exact inside uncompressed batches; of a
    /// compressed one it is the base offset with the batch's largest timestamp, so that a reader starting there
    /// misses nothing. Blocking.
    pub fn offset_for_time(&self, timestamp_ms: i64) -> Result<Option<(i64, i64)>, ReadError> {
        let core = self.core_or(|reason| ReadError::Storage { reason })?;
        let (places, log_start) = {
            let view = core.view();
            (view.places_with(timestamp_ms, &core.dir), view.log_start)
        };
        for place in places {
            let found = first_at_or_after(&self.env, place, timestamp_ms, log_start)
                .map_err(|error| storage(self, &error))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Last offset of the batch with the largest timestamp, and that timestamp; `None` for an empty log.
    pub fn max_timestamp(&self) -> Option<(i64, i64)> {
        let view = self.core().ok()?.view();
        let summaries = view
            .closed
            .iter()
            .map(|closed| &closed.summary)
            .chain([&view.open.index.summary]);
        let live = summaries.filter(|summary| {
            !summary.is_empty() && summary.max_timestamp_offset >= view.log_start
        });
        // Of equal ones the first: `max_by_key` would take the last.
        let best = live.reduce(|best, next| {
            if next.max_timestamp > best.max_timestamp {
                next
            } else {
                best
            }
        })?;
        Some((best.max_timestamp_offset, best.max_timestamp))
    }
}

impl View {
    /// Segments that have a timestamp as large, oldest first. Usually the first one has the answer; a log start or
    /// records out of order inside a batch may leave it to a later one.
    fn places_with(&self, timestamp_ms: i64, dir: &std::path::Path) -> Vec<Place> {
        let mut places: Vec<Place> = self
            .closed
            .iter()
            .filter(|closed| closed.summary.max_timestamp >= timestamp_ms)
            .map(|closed| Place::Closed(closed.clone()))
            .collect();
        let open = &self.open.index;
        if open.summary.max_timestamp >= timestamp_ms {
            places.push(Place::Open(Stretch {
                file: self.open.file.clone(),
                path: segment::path(dir, open.summary.base),
                from: open.before_time(timestamp_ms).0,
                to: open.summary.end_position,
            }));
        }
        places
    }
}

fn first_at_or_after(
    env: &Env,
    place: Place,
    timestamp_ms: i64,
    log_start: i64,
) -> Result<Option<(i64, i64)>, LogError> {
    let stretch = place.open(env, |index| index.before_time(timestamp_ms).0)?;
    let mut position = stretch.from;
    while position < stretch.to {
        let window = stretch.read(position, SEARCH_BYTES.min((stretch.to - position) as usize))?;
        let mut at = 0;
        while let Some(header) = window.get(at..).and_then(Header::parse) {
            if header.magic != 2 {
                return Err(stretch.damaged(position + at as u64));
            }
            if header.max_timestamp >= timestamp_ms && header.last_offset() >= log_start {
                let batch = stretch.read(position + at as u64, header.total_bytes)?;
                if !header.has_good_crc(&batch) {
                    return Err(stretch.damaged(position + at as u64));
                }
                let (offset, timestamp) =
                    record_at_or_after(&header, &batch, timestamp_ms, log_start)
                        .unwrap_or((header.base_offset.max(log_start), header.max_timestamp));
                return Ok(Some((offset, timestamp)));
            }
            at += header.total_bytes;
        }
        if at == 0 {
            return Err(stretch.damaged(position));
        }
        position += at as u64;
    }
    Ok(None)
}
