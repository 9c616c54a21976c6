//! Names of the agent's metrics.

/// Lines acked by the queue.
pub const LINES: &str = "logboom_agent_lines_total";
/// Bytes of files acked by the queue.
pub const BYTES: &str = "logboom_agent_bytes_total";
/// Lines longer than the limit, cut and flagged.
pub const LINES_CUT: &str = "logboom_agent_lines_cut_total";
/// Files that could not be read.
pub const UNREADABLE: &str = "logboom_agent_files_unreadable_total";
/// Bytes that were gone (truncated or deleted) before they were read.
pub const LOST_BYTES: &str = "logboom_agent_lost_bytes_total";
/// Files that were cut short or replaced in place.
pub const TRUNCATIONS: &str = "logboom_agent_truncations_total";
/// Copies and compressed copies recognised.
pub const COPIES: &str = "logboom_agent_copies_recognised_total";
/// Runs of records that had to be sent again.
pub const RESENT: &str = "logboom_agent_runs_resent_total";
/// Bytes in files that the queue has not acked yet.
pub const BACKLOG_BYTES: &str = "logboom_agent_backlog_bytes";
/// Sources with a file.
pub const SOURCES: &str = "logboom_agent_sources";
