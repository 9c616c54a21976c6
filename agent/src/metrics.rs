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

/// Requests of OTLP senders answered, by signal, transport and status (`ok`, `partial`, or why they were refused).
pub const OTLP_REQUESTS: &str = "logboom_agent_otlp_requests_total";
/// Log records and spans of OTLP senders acked by the queue, by signal.
pub const OTLP_ITEMS: &str = "logboom_agent_otlp_items_total";
/// Log records, spans and data points that are never to be taken, by signal and reason.
pub const OTLP_REJECTED: &str = "logboom_agent_otlp_rejected_total";
/// Bytes of bodies of OTLP senders as they came, by signal.
pub const OTLP_BYTES: &str = "logboom_agent_otlp_bytes_total";
/// Bytes that requests of OTLP senders hold now.
pub const OTLP_IN_FLIGHT_BYTES: &str = "logboom_agent_otlp_in_flight_bytes";
