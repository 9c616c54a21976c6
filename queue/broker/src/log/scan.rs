//! Walking the batches of a segment, believing none of them.

use std::path::Path;
use std::sync::Arc;

use logboom_disk::{DiskFile, Error as DiskError};

use super::batch::{HEADER_BYTES, Header};
use super::limits::SCAN_BYTES;
use super::marker::{self, Marker};
use crate::limits::BATCH_BYTES_MAX;

/// Reads ahead in large steps and hands out one verified batch after the other.
pub(super) struct Scan {
    file: Arc<dyn DiskFile>,
    /// Where the next batch would start; everything before is good.
    position: u64,
    /// The bytes from `position - consumed` on.
    window: Vec<u8>,
    consumed: usize,
}

impl Scan {
    pub(super) fn new(file: Arc<dyn DiskFile>, position: u64) -> Scan {
        Scan {
            file,
            position,
            window: Vec::new(),
            consumed: 0,
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The batch at the current position, if length, magic, checksum, fields and base offset all hold; with what it
    /// says if it is a marker. `None` ends the walk: at the end of the file, in reserved zeros, or at something bad.
    pub(super) fn next(
        &mut self,
        expected_offset: i64,
    ) -> Result<Option<(Header, Option<Marker>)>, DiskError> {
        if !self.fill(HEADER_BYTES)? {
            return Ok(None);
        }
        let header = Header::parse(&self.window[self.consumed..]);
        let Some(header) =
            header.filter(|header| is_plausible(header) && header.base_offset == expected_offset)
        else {
            return Ok(None);
        };
        if !self.fill(header.total_bytes)? || !header.has_good_crc(&self.window[self.consumed..]) {
            return Ok(None);
        }
        let marker = marker::read(&header, &self.window[self.consumed..]);
        if marker.is_some() != header.is_control() {
            return Ok(None);
        }
        self.consumed += header.total_bytes;
        self.position += header.total_bytes as u64;
        Ok(Some((header, marker)))
    }

    /// Makes `wanted` bytes from the position on available; `false` if the file ends before.
    fn fill(&mut self, wanted: usize) -> Result<bool, DiskError> {
        if self.window.len() - self.consumed >= wanted {
            return Ok(true);
        }
        self.window.drain(..self.consumed);
        self.consumed = 0;
        let have = self.window.len();
        self.window.resize(wanted.max(SCAN_BYTES), 0);
        let read = self
            .file
            .read_at(self.position + have as u64, &mut self.window[have..])?;
        self.window.truncate(have + read);
        Ok(self.window.len() >= wanted)
    }
}

/// Everything that can be said of a header without its records.
pub(super) fn is_plausible(header: &Header) -> bool {
    header.magic == 2
        && header.total_bytes <= BATCH_BYTES_MAX
        && header.base_offset >= 0
        && header.verify_fields().is_ok()
}

/// What stands behind the last good batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing but reserved zeros.
    Zeros,
    /// Bytes that a crash may have left: at most one group was unsynced.
    Torn,
    /// A good batch this far on: what is bad before it had been synced.
    GoodBatchAt(u64),
}

/// Tells a torn tail from damage. `position` is where the walk of `file` ended, `expected_offset` what it waited for;
/// a batch that starts `unsynced_bytes_max` or more behind it can't be of the group that a crash tore.
pub(super) fn judge_rest(
    file: &dyn DiskFile,
    path: &Path,
    position: u64,
    expected_offset: i64,
    unsynced_bytes_max: u64,
) -> Result<Rest, DiskError> {
    let len = file.len()?;
    let mut all_zeros = true;
    let mut at = position;
    let mut window = vec![0; SCAN_BYTES + HEADER_BYTES];
    while at < len {
        let read = file.read_at(at, &mut window)?;
        let bytes = &window[..read];
        all_zeros &= bytes.iter().all(|byte| *byte == 0);
        let starts = read.saturating_sub(HEADER_BYTES - 1).min(SCAN_BYTES);
        for start in 0..starts {
            // The magic's place is the cheapest thing to look at.
            if bytes[start + 16] != 2
                || at + (start as u64) < position.saturating_add(unsynced_bytes_max)
            {
                continue;
            }
            let Some(header) = Header::parse(&bytes[start..]) else {
                continue;
            };
            let offset_fits = header.base_offset > expected_offset
                && header.base_offset - expected_offset < i64::from(i32::MAX);
            if is_plausible(&header) && offset_fits && is_whole(file, at + start as u64, &header)? {
                tracing::error!(path = %path.display(), position, good = at + start as u64, "good batch behind a bad one");
                return Ok(Rest::GoodBatchAt(at + start as u64));
            }
        }
        at += starts.max(1) as u64;
        if read < window.len() {
            break;
        }
    }
    Ok(if all_zeros { Rest::Zeros } else { Rest::Torn })
}

fn is_whole(file: &dyn DiskFile, position: u64, header: &Header) -> Result<bool, DiskError> {
    let mut batch = vec![0; header.total_bytes];
    let read = file.read_at(position, &mut batch)?;
    Ok(read == batch.len() && header.has_good_crc(&batch))
}
