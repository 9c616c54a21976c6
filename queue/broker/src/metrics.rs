//! Names of the broker's metrics. They are interface: dashboards and alerts rest on them.

pub(crate) const CONNECTIONS: &str = "logboom_queue_connections";
pub(crate) const CONNECTIONS_REFUSED: &str = "logboom_queue_connections_refused_total";
/// Labelled `reason`: connections closed for what the client sent or failed to do.
pub(crate) const CONNECTIONS_FAILED: &str = "logboom_queue_connections_failed_total";
/// Labelled `api`: rows and requests that no access rule allows.
pub(crate) const REQUESTS_REFUSED: &str = "logboom_queue_requests_refused_total";
/// Labelled `mechanism`.
pub(crate) const LOGINS_REFUSED: &str = "logboom_queue_logins_refused_total";
/// Labelled `api`.
pub(crate) const REQUESTS: &str = "logboom_queue_requests_total";
/// Labelled `api`: from decoded to answered, long polls included.
pub(crate) const REQUEST_SECONDS: &str = "logboom_queue_request_seconds";
pub(crate) const PRODUCED_BYTES: &str = "logboom_queue_produced_bytes_total";
pub(crate) const PRODUCED_RECORDS: &str = "logboom_queue_produced_records_total";
/// Labelled `error`: the name of the error code in the answer.
pub(crate) const PRODUCE_REFUSED: &str = "logboom_queue_produce_refused_total";
pub(crate) const FETCHED_BYTES: &str = "logboom_queue_fetched_bytes_total";
pub(crate) const OFFSET_COMMITS: &str = "logboom_queue_offset_commits_total";
/// Labelled `topic` and `partition`, like the two below.
pub(crate) const LOG_START: &str = "logboom_queue_log_start_offset";
pub(crate) const LOG_END: &str = "logboom_queue_log_end_offset";
pub(crate) const LOG_BYTES: &str = "logboom_queue_log_bytes";
/// 1 while Produce is refused because the disk is nearly full.
pub(crate) const DISK_LOW: &str = "logboom_queue_disk_low";
/// Labelled `group` and `topic`, like the three below: how many records a group has still to read.
pub(crate) const LAG_RECORDS: &str = "logboom_queue_group_lag_records";
pub(crate) const LAG_BYTES: &str = "logboom_queue_group_lag_bytes";
/// The age of the oldest record that is unread.
pub(crate) const LAG_SECONDS: &str = "logboom_queue_group_lag_seconds";
/// Records deleted by age or size before the group had read them.
pub(crate) const LOST_TO_RETENTION: &str = "logboom_queue_records_lost_to_retention_total";
/// Transactions that are open, and with them readers of committed records held back.
pub(crate) const TRANSACTIONS_OPEN: &str = "logboom_queue_transactions_open";
/// How long the oldest of them has been open.
pub(crate) const TRANSACTION_OLDEST_SECONDS: &str = "logboom_queue_transaction_oldest_seconds";
/// Labelled `outcome`: `commit`, `abort`; those that timed out or whose producer was replaced are aborts, too.
pub(crate) const TRANSACTIONS_ENDED: &str = "logboom_queue_transactions_ended_total";
pub(crate) const TRANSACTIONS_TIMED_OUT: &str = "logboom_queue_transactions_timed_out_total";
