//! Names of the metrics of alerting.

/// Counter: records read, duplicates not counted.
pub const RECORDS: &str = "logboom_alerting_records_total";
/// Counter: records dropped because their bytes were seen before.
pub const DUPLICATES: &str = "logboom_alerting_duplicates_total";
/// Counter by `rule`: matching lines.
pub const MATCHES: &str = "logboom_alerting_matches_total";
/// Counter: candidates of the literal search that were verified by their pattern.
pub const CANDIDATES: &str = "logboom_alerting_candidates_total";
/// Counter: timestamps over a minute in the future, replaced by their arrival.
pub const TIMESTAMPS_CLAMPED: &str = "logboom_alerting_timestamps_clamped_total";
/// Counter: windows cut because they grew over their limit.
pub const WINDOW_CUT: &str = "logboom_alerting_windows_cut_total";
/// Counter: times that a rule ran out of groups.
pub const GROUPS_EVICTED: &str = "logboom_alerting_group_overflows_total";
/// Gauge: groups held.
pub const GROUPS: &str = "logboom_alerting_groups";
/// Counter by `rule` and `change`: transitions of alerts.
pub const TRANSITIONS: &str = "logboom_alerting_transitions_total";
/// Histogram: seconds that a commit took.
pub const COMMIT_SECONDS: &str = "logboom_alerting_commit_seconds";
/// Counter by `receiver` and `outcome` (`delivered`, `retry`, `dead`, `disabled`).
pub const NOTIFICATIONS: &str = "logboom_alerting_notifications_total";
/// Gauge by `receiver`: notifications in the outbox.
pub const OUTBOX: &str = "logboom_alerting_outbox";
/// Histogram: seconds from the commit of a notification to its acceptance.
pub const NOTIFY_SECONDS: &str = "logboom_alerting_notify_seconds";
/// Gauge by `topic` and `partition`: records not read yet.
pub const LAG: &str = "logboom_alerting_lag_records";
/// Counter: rule files that changed and were refused; the rules before stay in force.
pub const RELOADS_REFUSED: &str = "logboom_alerting_reloads_refused_total";
