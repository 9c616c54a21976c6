//! What can go wrong with the log, told apart by what the caller has to answer or do.

use std::path::PathBuf;
use std::sync::Arc;

/// Why an append was not done. The batch is not in the log (but see [`AppendError::Storage`]).
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// A batch of this producer is missing before this one.
    #[error("producer {producer_id}: sequence {found} came where {expected} was expected")]
    OutOfOrderSequence {
        producer_id: i64,
        expected: i32,
        found: i32,
    },

    /// A newer instance of this producer has written.
    #[error("producer {producer_id}: epoch {found} is older than {current}")]
    InvalidProducerEpoch {
        producer_id: i64,
        current: i16,
        found: i16,
    },

    /// A producer with an open transaction in this partition writes besides it.
    #[error("producer {producer_id}: a batch outside of its open transaction")]
    OutsideTransaction { producer_id: i64 },

    /// Retriable: nothing was stored, and the same append works once there is room.
    #[error("no room for records on the queue's disk: free some space, or lower the retention")]
    StorageFull,

    /// The partition takes no more writes. If this append met the failing sync itself, a restart may find its
    /// batch in the log.
    #[error("partition is out of service: {reason}")]
    Storage { reason: Arc<str> },

    #[error("a batch of {bytes} bytes is larger than the limit of {bytes_max}")]
    TooLarge { bytes: usize, bytes_max: usize },

    /// Not a batch that `batch::Header::parse_and_verify` lets through.
    #[error(transparent)]
    Invalid(#[from] super::batch::BatchError),

    /// The partition was deleted, or the log is shutting down.
    #[error("partition is closed")]
    Closed,
}

/// Why nothing could be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// `end` is the high watermark; reading at `end` itself is fine and empty.
    #[error("offset {offset} is outside of [{log_start}, {end}]")]
    OutOfRange {
        offset: i64,
        log_start: i64,
        end: i64,
    },

    /// The partition was deleted, or the log is shutting down.
    #[error("partition is closed")]
    Closed,

    /// The bytes are not what was written, or could not be read at all. Other offsets may still be readable.
    #[error("cannot read partition: {reason}")]
    Storage { reason: Arc<str> },
}

/// What stops a log, or a partition of it, from being opened, created, trimmed or closed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(transparent)]
    Disk(#[from] logboom_disk::Error),

    /// Synced bytes are bad, or a file is missing. Nothing is repaired by guessing.
    #[error("`{}` is damaged at byte {position}: {reason}: restore the partition's directory from a copy, or move it away to start it anew", path.display())]
    Damaged {
        path: PathBuf,
        position: u64,
        reason: String,
    },

    #[error("partition `{name}` exists already")]
    Exists { name: String },

    #[error("topic name `{name}`: allowed are 1 to 249 letters, digits, `.`, `_` and `-`")]
    TopicName { name: String },

    #[error("cannot start a thread of the log")]
    Thread(#[source] std::io::Error),

    #[error("partition is out of service: {reason}")]
    Failed { reason: Arc<str> },

    #[error("offset {offset} is outside of [{log_start}, {end}]")]
    OutOfRange {
        offset: i64,
        log_start: i64,
        end: i64,
    },

    #[error("setting `{key}` is {value}: allowed is {allowed}")]
    Config {
        key: &'static str,
        value: u64,
        allowed: &'static str,
    },

    #[error("`{}` is no segment file and no partition's directory: their names end in `.log` and in a partition's number", path.display())]
    NoSegment { path: PathBuf },

    #[error("the log is closed")]
    Closed,
}

/// An error and its causes in one line, for states that keep the reason of a failure.
pub(super) fn one_line(error: &dyn std::error::Error) -> Arc<str> {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.into()
}
