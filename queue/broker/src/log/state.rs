//! What a partition must not forget and its segments do not tell: where it starts, and its leader epochs.
//!
//! The file `partition.state` is replaced atomically and synced before anything that relies on it happens: segments
//! are deleted only after the log start that excludes them is durable, and a new epoch is durable before the first
//! batch that carries it.
//!
//! ```text
//! 0      8     12         20     24
//! magic  crc   log start  count  (epoch i32, start offset i64) × count  lazy u8      little endian, CRC over all after it
//! ```

use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};
use logboom_disk::{Disk, Error as DiskError, atomic_replace, read_all};

use super::error::LogError;
use super::limits::EPOCHS_MAX;

/// Without the last byte, and so with its being 0.
const MAGIC: &[u8; 8] = b"LBPART01";
const MAGIC_LAZY: &[u8; 8] = b"LBPART02";
const FILE_NAME: &str = "partition.state";
const FIXED_BYTES: usize = 24;
const EPOCH_BYTES: usize = 12;
const FILE_BYTES_MAX: usize = FIXED_BYTES + EPOCHS_MAX * EPOCH_BYTES + 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartitionState {
    /// The first offset that may be read.
    pub(super) log_start: i64,
    /// Rising in both fields; the last is the current one. Never empty.
    epochs: Vec<(i32, i64)>,
    /// Whether any part of the open segment may be unsynced, and not only its last group: what recovery may conclude
    /// from a bad batch depends on it. Durable before the first batch that is acknowledged unsynced.
    pub(super) is_lazy: bool,
}

impl PartitionState {
    pub(super) fn new() -> PartitionState {
        PartitionState {
            log_start: 0,
            epochs: vec![(0, 0)],
            is_lazy: false,
        }
    }

    /// `None` if there is no file: the partition's creation was not finished.
    pub(super) fn load(disk: &dyn Disk, dir: &Path) -> Result<Option<PartitionState>, LogError> {
        let path = path(dir);
        let damaged = |reason: &str| LogError::Damaged {
            path: path.clone(),
            position: 0,
            reason: reason.to_owned(),
        };
        let bytes = match read_all(disk, &path, FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(DiskError::NotFound { .. }) => return Ok(None),
            Err(DiskError::TooLarge { .. }) => {
                return Err(damaged("it is larger than a partition's state can be"));
            }
            Err(error) => return Err(error.into()),
        };
        decode(&bytes)
            .map(Some)
            .ok_or_else(|| damaged("magic, length or checksum do not fit"))
    }

    /// After `Ok` this is what the next start finds.
    pub(super) fn store(&self, disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
        atomic_replace(disk, &path(dir), &self.encode())
    }

    pub(super) fn epoch(&self) -> i32 {
        self.epochs.last().expect("never empty").0
    }

    /// Opens the next epoch, whose first batch will stand at `start`.
    pub(super) fn bump_epoch(&mut self, start: i64) {
        let next = self.epoch().saturating_add(1);
        // An epoch in which nothing was written needs no memory.
        self.epochs.retain(|(_, from)| *from < start);
        self.epochs.push((next, start));
        if self.epochs.len() > EPOCHS_MAX {
            self.epochs.remove(0);
        }
    }

    /// Moves the start of the log; epochs that end before it are dropped.
    pub(super) fn advance_log_start(&mut self, log_start: i64) {
        assert!(
            log_start >= self.log_start,
            "a log never gets its deleted records back"
        );
        self.log_start = log_start;
        let first = self
            .epochs
            .partition_point(|(_, from)| *from <= log_start)
            .saturating_sub(1);
        self.epochs.drain(..first);
    }

    /// The largest known epoch that is not above `epoch`, and the offset where it ended (`end` for the current one).
    /// `None` for an epoch newer than the current one.
    pub(super) fn epoch_end(&self, epoch: i32, end: i64) -> Option<(i32, i64)> {
        if epoch > self.epoch() || epoch < 0 {
            return None;
        }
        let after = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let ends_at = self.epochs.get(after).map_or(end, |(_, start)| *start);
        match after.checked_sub(1) {
            Some(at) => Some((self.epochs[at].0, ends_at)),
            // Older than all that is known: it ended before the first one started.
            None => Some((epoch, ends_at)),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.put_i64_le(self.log_start);
        body.put_u32_le(self.epochs.len() as u32);
        for (epoch, start) in &self.epochs {
            body.put_i32_le(*epoch);
            body.put_i64_le(*start);
        }
        if self.is_lazy {
            body.put_u8(1);
        }
        let mut bytes = Vec::with_capacity(FIXED_BYTES + body.len());
        bytes.put_slice(if self.is_lazy { MAGIC_LAZY } else { MAGIC });
        bytes.put_u32_le(crc32c::crc32c(&body));
        bytes.extend_from_slice(&body);
        bytes
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE_NAME)
}

fn decode(bytes: &[u8]) -> Option<PartitionState> {
    let is_lazy = bytes.starts_with(MAGIC_LAZY);
    let magic = if is_lazy { MAGIC_LAZY } else { MAGIC };
    let mut fields = bytes.strip_prefix(magic.as_slice())?;
    if bytes.len() < FIXED_BYTES || fields.get_u32_le() != crc32c::crc32c(fields) {
        return None;
    }
    let (log_start, count) = (fields.get_i64_le(), fields.get_u32_le() as usize);
    if log_start < 0
        || count == 0
        || fields.len() != count.checked_mul(EPOCH_BYTES)? + usize::from(is_lazy)
    {
        return None;
    }
    let epochs = (0..count)
        .map(|_| (fields.get_i32_le(), fields.get_i64_le()))
        .collect();
    if is_lazy && fields.get_u8() != 1 {
        return None;
    }
    Some(PartitionState {
        log_start,
        epochs,
        is_lazy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_comes_back_and_any_flipped_bit_is_noticed() {
        let mut state = PartitionState::new();
        state.bump_epoch(10);
        state.bump_epoch(10);
        state.bump_epoch(25);
        state.advance_log_start(12);
        for is_lazy in [false, true] {
            state.is_lazy = is_lazy;
            let bytes = state.encode();
            assert_eq!(decode(&bytes), Some(state.clone()));
            for at in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1;
                assert_eq!(decode(&flipped), None, "byte {at}");
                // The bits in which the two magics differ.
                flipped[at] ^= 1 ^ 3;
                assert_eq!(decode(&flipped), None, "byte {at}");
                assert_eq!(decode(&bytes[..at]), None, "{at} bytes");
            }
        }
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_starts() {
        let mut state = PartitionState::new();
        state.bump_epoch(10);
        state.bump_epoch(10);
        state.bump_epoch(25);
        assert_eq!(state.epoch(), 3);
        let ends: Vec<_> = (-1..5).map(|epoch| state.epoch_end(epoch, 40)).collect();
        assert_eq!(
            ends,
            [
                None,
                Some((0, 10)),
                Some((0, 10)),
                Some((2, 25)),
                Some((3, 40)),
                None
            ]
        );
        state.advance_log_start(25);
        assert_eq!(state.epoch_end(0, 40), Some((0, 25)));
        assert_eq!(state.epoch_end(3, 40), Some((3, 40)));
    }
}
