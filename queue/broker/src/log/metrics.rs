//! Names of the log's metrics; `crate::metrics` has the broker's others.

/// From the first write of a group to the end of its last sync.
pub(super) const GROUP_SECONDS: &str = "logboom_queue_group_seconds";
/// From the first sync of a group to the end of its last: what the disk takes of a wait for an acknowledgement.
pub const FSYNC_SECONDS: &str = "logboom_queue_fsync_seconds";
pub(super) const GROUP_BATCHES: &str = "logboom_queue_group_batches";
/// Partitions taken out of service, refused at start included. Someone must look at the disk.
pub(super) const PARTITION_FAILURES: &str = "logboom_queue_partition_failures_total";
/// Reads that met something else than what was stored. Someone must look at the disk.
pub(super) const DAMAGED_READS: &str = "logboom_queue_damaged_reads_total";
/// Unacknowledged ends of batches that a crash left and a start cut off.
pub(super) const TORN_TAILS: &str = "logboom_queue_torn_tails_total";
