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

/// What a row carries of a span's events and of its links, each, unless `full=1`: some 50 exceptions'
/// first lines, or one stack trace.
pub const EVENT_BYTES_SHOWN: usize = 16 * 1024;

/// Traces of one list. A page of them is chosen from, not read through.
pub const TRACES_MAX: usize = 200;

/// Traces of a list when the request does not say.
pub const TRACES_DEFAULT: usize = 50;

/// Steps of the series of services: one a pixel of half a wide screen, as with the histogram.
pub const SERIES_STEPS_MAX: i64 = 1_000;

/// Traces of one answer in Jaeger's form, the most that its own page lets one ask for.
pub const JAEGER_TRACES_MAX: usize = 1_500;

/// Traces when a request in Jaeger's form does not say; Jaeger's own number.
pub const JAEGER_TRACES_DEFAULT: usize = 100;

/// Spans of one answer in Jaeger's form, of all its traces together: Jaeger's pages hold all attributes
/// of every span, and slow down long before this.
pub const JAEGER_SPANS_MAX: usize = 50_000;

/// Bytes of the same, counted as the JSON they become; 50,000 spans of 1 KiB are 50 MiB.
pub const JAEGER_BYTES_MAX: usize = 64 << 20;

/// Spans read from the indexer at a time: one such page is held twice. A trace of 50,000 takes ten.
pub const JAEGER_PAGE_SPANS: usize = 5_000;

/// Of such an answer, what is handed to a connection at a time.
pub const JAEGER_CHUNK_BYTES: usize = 64 << 10;

/// Answers with whole traces that are put together or being sent at once: 4 times 64 MiB of spans, and what their
/// JSON has for escapes. More wait for their turn.
pub const JAEGER_READS_MAX: usize = 4;

/// How long such an answer waits for its client to take the next chunk. Where memory for sockets is plenty, they take
/// some MiB at once and nothing for a while: at 100 kB/s that is up to some 15 s.
pub const JAEGER_CHUNK_WAIT: Duration = Duration::from_secs(30);

/// How long all of it may take: 64 MiB at 220 kB/s.
pub const JAEGER_SEND_MAX: Duration = Duration::from_secs(5 * 60);

/// How long a request waits for such a turn before it is refused.
pub const JAEGER_WAIT_MAX: Duration = Duration::from_secs(10);

/// How far back Jaeger's search looks when it gives no start; Jaeger's own number.
pub const JAEGER_LOOKBACK: Duration = Duration::from_secs(48 * 60 * 60);

/// The same for its dependencies.
pub const JAEGER_DEPENDENCIES_LOOKBACK: Duration = Duration::from_secs(24 * 60 * 60);

/// Tags of one search: each becomes a clause with three alternatives.
pub const JAEGER_TAGS_MAX: usize = 50;

/// Lines that one message of a live tail carries when many are ready: one write for up to 256 lines
/// keeps 5,000 lines/s at about 20 messages/s, below a browser's frame rate.
pub const TAIL_LINES_PER_MESSAGE_MAX: usize = 256;

/// Live tails at once. Each holds one connection here and one to the indexer.
pub const TAILS_MAX: usize = 64;

/// A comment is sent on a silent live tail, so that proxies (60 s is common) keep it open.
pub const TAIL_KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a client may take nothing of what is written to it before its connection ends, live tails included: there
/// are so many of them, and a page that reads again connects again and marks the gap.
pub const STALL_MAX: Duration = Duration::from_secs(60);

/// How long after a stop answers may be made and sent. What ends the process waits 15 s for all of it.
pub const STOP_SEND_MAX: Duration = Duration::from_secs(10);

/// Entries of the alert history in one answer.
pub const HISTORY_ROWS_MAX: usize = 1_000;

/// Entries of the alert history when the request does not say.
pub const HISTORY_ROWS_DEFAULT: usize = 200;
