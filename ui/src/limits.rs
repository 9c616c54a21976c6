//! Every bound on what one request may cost.

use std::time::Duration;

/// Rows of one answer. 10,000 rows of 4 KiB are 40 MiB of JSON, the most a page holds too.
pub const SEARCH_ROWS_MAX: usize = 10_000;

/// Rows when the request does not say.
pub const SEARCH_ROWS_DEFAULT: usize = 100;

/// Histogram bars: more than the pixels of a wide screen divided by two says nothing more.
pub const HISTOGRAM_BUCKETS_MAX: usize = 1_000;

/// Query text. Browsers and proxies cut URLs at 8 KiB and more; a query of 16 KiB is a mistake.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;

/// What a row carries of its line unless `full=1`: 500 rows of 4 KiB are 2 MiB, drawn without a stall.
pub const LINE_BYTES_SHOWN: usize = 4 * 1024;

/// What a row carries of all its attributes together unless `full=1`.
pub const ATTRIBUTE_BYTES_SHOWN: usize = 16 * 1024;

/// Lines that one message of a live tail carries when many are ready: one write for up to 256 lines
/// keeps 5,000 lines/s at about 20 messages/s, below a browser's frame rate.
pub const TAIL_LINES_PER_MESSAGE_MAX: usize = 256;

/// Live tails at once. Each holds one connection here and one to the indexer.
pub const TAILS_MAX: usize = 64;

/// A comment is sent on a silent live tail, so that proxies (60 s is common) keep it open.
pub const TAIL_KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Entries of the alert history in one answer.
pub const HISTORY_ROWS_MAX: usize = 1_000;

/// Entries of the alert history when the request does not say.
pub const HISTORY_ROWS_DEFAULT: usize = 200;
