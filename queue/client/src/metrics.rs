//! Names of the client's metrics.

/// Times the queue became unreachable.
pub const QUEUE_UNREACHABLE: &str = "logboom_client_queue_unreachable_total";
/// Records whose `lb.*` headers could not be read; they are handled as foreign records.
pub const ORIGIN_UNREADABLE: &str = "logboom_client_origin_unreadable_total";
/// Records whose header names are not UTF-8; they are handled without headers.
pub const HEADERS_UNREADABLE: &str = "logboom_client_headers_unreadable_total";
/// Partitions whose checkpoint did not agree with the log on resume.
pub const CHECKPOINT_MISMATCH: &str = "logboom_client_checkpoint_mismatch_total";
