//! Names of a mirror's metrics. All have the label `mirror`.

/// Records that the target has acked.
pub const RECORDS: &str = "logboom_mirror_records_total";
/// Bytes of keys, values and headers handed to the target.
pub const BYTES: &str = "logboom_mirror_bytes_total";
/// Records that were not copied, for they have been in the target.
pub const LOOPS_STOPPED: &str = "logboom_mirror_loops_stopped_total";
/// Records of a topic that the source holds and the target has not acked; label `topic`.
pub const LAG: &str = "logboom_mirror_lag_records";
/// Records that the source deleted before they were copied.
pub const LOST_TO_RETENTION: &str = "logboom_mirror_records_lost_to_retention_total";
/// Times that a mirror had to begin anew after an error.
pub const RETRIES: &str = "logboom_mirror_retries_total";
/// Topics and partitions that cannot be copied until somebody acts.
pub const BLOCKED: &str = "logboom_mirror_blocked";
