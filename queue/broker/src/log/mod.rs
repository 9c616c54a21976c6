//! The log: what the broker keeps on disk, and the promise behind an acknowledgement.
//!
//! A partition is a directory of segments; a segment is a file of record batches as the producers sent them (only
//! base offset and leader epoch, which the batch's CRC leaves out, are set here). One writer thread commits the
//! batches of all partitions in groups: write, `fdatasync`, then move the high watermark, then acknowledge.
//!
//! Invariants, each defended by the model test in `model_tests`:
//!
//! 1. An acknowledged batch survives a crash, byte for byte, at its offset.
//! 2. What a reader was given survives a crash: only synced bytes are read. (1 and 2 hold where [`Flush::comes_first`];
//!    otherwise they hold for a killed process, and after a power cut what is there is what was synced and a part of
//!    what followed, without a hole, under a new leader epoch.)
//! 3. Offsets only ever grow, through retention, crashes and restarts.
//! 4. A batch counts only if length, magic, CRC and expected base offset all hold. Zeros never pass for a batch.
//! 5. Bytes that had been synced and are bad now are damage: reported, never cut off, never skipped.
//! 6. What is read as committed is before the first record of any open transaction, and comes with the aborted ones in it.
//! 7. After a failed sync a partition takes no more writes until a restart has read the disk again.
//!
//! Formats, the failure table and the measurements behind the shape are in `README.md` beside this file. Not known
//! here: requests, topics' settings, groups, and what the records mean.

mod aborted;
pub mod batch;
mod commit;
mod config;
mod dump;
mod error;
mod flusher;
mod index;
mod limits;
mod logs;
mod marker;
mod metrics;
mod open;
mod partition;
mod producers;
mod read;
mod recovery;
mod retention;
mod scan;
mod segment;
mod side_by_side;
mod state;
mod sync_pool;
mod time;
mod verify;
mod writer;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use config::{Flush, LogConfig, PartitionSettings};
pub use dump::{Dumped, DumpedBatch, DumpedRecord, SegmentEnd, dump};
pub use error::{AppendError, LogError, ReadError};
pub use limits::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
pub use logs::Logs;
pub use marker::{Aborted, Outcome};
pub use metrics::FSYNC_SECONDS;
pub use partition::{Appended, Fetched, PartitionLog};
pub use producers::ActiveProducer;
pub use retention::Removed;
pub use verify::{Damage, Examined, examine, partitions};
