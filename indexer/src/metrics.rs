//! Names of the metrics of this crate.

/// Records indexed.
pub(crate) const RECORDS: &str = "logboom_indexer_records_total";
/// Bytes of their lines.
pub(crate) const BYTES: &str = "logboom_indexer_bytes_total";
/// Records whose source range was indexed before.
pub(crate) const DUPLICATES: &str = "logboom_indexer_duplicates_total";
/// Records that were indexed without their parsed fields, because indexing them failed.
pub(crate) const POISONED: &str = "logboom_indexer_poisoned_total";
/// Lines that did not fit the format asked for.
pub(crate) const PARSE_FAILED: &str = "logboom_indexer_parse_failed_total";
/// Open holes in the sources' byte ranges.
pub(crate) const GAPS: &str = "logboom_indexer_gaps";
/// Bytes of lines in hot segments.
pub(crate) const HOT_BYTES: &str = "logboom_indexer_hot_bytes";
/// Time of one refresh.
pub(crate) const REFRESH_SECONDS: &str = "logboom_indexer_refresh_seconds";
/// Publishes that succeeded and tries that failed.
pub(crate) const PUBLISHES: &str = "logboom_indexer_publishes_total";
pub(crate) const PUBLISH_FAILURES: &str = "logboom_indexer_publish_failures_total";
/// Time from seal to publish.
pub(crate) const PUBLISH_SECONDS: &str = "logboom_indexer_publish_seconds";
/// Published splits.
pub(crate) const SPLITS: &str = "logboom_indexer_splits";
/// Merges done.
pub(crate) const MERGES: &str = "logboom_indexer_merges_total";
/// Splits deleted by retention.
pub(crate) const EXPIRED: &str = "logboom_indexer_splits_expired_total";
/// Records between the end of the queue and what is indexed, over all partitions.
pub(crate) const LAG: &str = "logboom_indexer_lag_records";
/// Time of one search, queueing included.
pub(crate) const SEARCH_SECONDS: &str = "logboom_search_seconds";
/// Searches refused because too many were running.
pub(crate) const SEARCH_REFUSED: &str = "logboom_search_refused_total";
/// Events that slow live tails missed.
pub(crate) const TAIL_DROPPED: &str = "logboom_tail_dropped_total";
