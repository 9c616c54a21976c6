//! The numbers of this crate and why they are what they are.

use std::time::Duration;

/// Records taken from the client at once: 1 MiB is 60 ms of indexing at 16 MB/s a core, so a batch
/// never keeps a refresh (100 ms) waiting for much longer than itself.
pub(crate) const BATCH_BYTES_MAX: usize = 1 << 20;
pub(crate) const BATCH_RECORDS_MAX: usize = 5_000;

/// How long one receive waits for something to come; only bounds how late a stop is noticed.
pub(crate) const RECEIVE_WAIT: Duration = Duration::from_millis(500);

/// How often it is looked whether topics have grown; one question a topic. Records on a new partition wait this long
/// to be found.
pub(crate) const LOOK_FOR_PARTITIONS_INTERVAL: Duration = Duration::from_secs(30);

/// tantivy's arena for the documents of one refresh. Its hash table is a third of it at most and is
/// zeroed at every refresh, so a small one keeps an idle system idle: 100 lines need 1 MiB.
pub(crate) const SEGMENT_BUDGET_BYTES: usize = 4 << 20;

/// A segment is closed when its arena and records hold this much: a long pause between refreshes (or 1 MiB
/// lines) must not grow memory. An eighth of the index's `hot_bytes_max`; below 2 MiB segments would become many.
/// All segments together are bounded by [`HOT_RAM_BYTES_MAX`].
pub(crate) const SEGMENT_RAM_BYTES_MAX: usize = 8 << 20;
pub(crate) const SEGMENT_RAM_BYTES_MIN: usize = 2 << 20;

/// Bytes fetched ahead of an index: an eighth of its `hot_bytes_max`. 8 MiB are two fetch answers, 1 MiB keeps a
/// topic with little traffic from holding much of it.
pub(crate) const PREFETCH_BYTES_MAX: usize = logboom_client::limits::PREFETCH_BYTES;
pub(crate) const PREFETCH_BYTES_MIN: usize = 1 << 20;

/// The built form of the hot records in memory, half of an index's `hot_bytes_max` within these bounds: 32 MiB are
/// 50 MB of typical lines. Tiny lines, and lines that index badly (all tokens distinct), reach this bound long
/// before `hot_bytes_max`. Two of these (one filling, one being published), the arena and the prefetch
/// stay below 120 MiB for logs (64 MiB), 60 MiB for spans (32 MiB) and 20 MiB for rejected records (8 MiB).
pub(crate) const HOT_RAM_BYTES_MAX: u64 = 32 << 20;
pub(crate) const HOT_RAM_BYTES_MIN: u64 = 4 << 20;

/// So many documents are sealed whatever their size: ids of documents inside a segment, and the
/// merge's bookkeeping (about 40 bytes a document), stay small.
pub(crate) const HOT_DOCS_MAX: u64 = 1_000_000;

/// What a stop may still publish: 8 MiB take a second. More is left to the queue to replay.
pub(crate) const PUBLISH_ON_STOP_BYTES_MAX: u64 = 8 << 20;

/// Split writers sync after every 1 MiB and then pause: beside an unsynced 128 MiB write, an
/// fdatasync of the queue takes 43 ms instead of 0.6 (design §10). 64 MiB of lines make 30 MiB of
/// files, so the pauses add 60 ms to a publish.
pub(crate) const SYNC_EVERY_BYTES: usize = 1 << 20;
pub(crate) const SYNC_PAUSE: Duration = Duration::from_millis(2);

/// Stored lines are compressed in blocks: a hit decompresses one block (64 KiB: 0.1 ms).
pub(crate) const STORE_BLOCK_BYTES: usize = 64 << 10;
pub(crate) const STORE_ZSTD_LEVEL: i32 = 3;
/// Decompressed blocks kept per segment: hits of one answer are often neighbours. 1,000 splits keep
/// 256 MiB at the very worst; only those that were read keep any.
pub(crate) const STORE_BLOCKS_CACHED: usize = 4;

/// Pause before a failed publish or merge is tried again, doubled up to the maximum: a full disk is
/// noticed to have space again within ten seconds.
pub(crate) const RETRY_PAUSE_MIN: Duration = Duration::from_millis(200);
pub(crate) const RETRY_PAUSE_MAX: Duration = Duration::from_secs(10);

/// How many splits of one generation and day are merged into one of the next, …
pub(crate) const MERGE_FACTOR: usize = 8;
/// … how often a line is rewritten at most (8⁴ publishes of 30 s are more than a day), …
pub(crate) const MERGE_GENERATIONS_MAX: u32 = 4;
/// … and from which size on a split is left alone: eight full publishes.
pub(crate) const MERGED_RAW_BYTES_MAX: u64 = 512 << 20;
pub(crate) const MERGED_DOCS_MAX: u64 = 4_000_000;

/// How often merge, retention and deletion look for work.
pub(crate) const JANITOR_INTERVAL: Duration = Duration::from_secs(2);

/// Files of replaced or expired splits stay this long; a query may take [`SEARCH_TIME_MAX`].
pub(crate) const DELETE_GRACE: Duration = Duration::from_secs(120);
pub(crate) const SEARCH_TIME_MAX: Duration = Duration::from_secs(30);

/// Searches that run at once are as many as cores; others wait this long for their turn.
pub(crate) const SEARCH_QUEUE_WAIT: Duration = Duration::from_secs(10);

/// What a stop waits for connections; the whole process has 15 seconds.
pub(crate) const SERVER_PATIENCE: Duration = Duration::from_secs(5);

/// Marks of a source that was silent for this long are dropped: twice the longest retention that we
/// recommend for the queue (a week), after which none of its records can be delivered again.
pub(crate) const MARKS_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);

/// Live tail: events that a slow reader may be behind, and their bytes over all readers. What goes
/// beyond is dropped for the reader and counted.
pub(crate) const TAIL_EVENTS_MAX: usize = 4096;
pub(crate) const TAIL_BYTES_MAX: usize = 8 << 20;

/// Agents whose status is kept: 1,000 × 200 files × 200 bytes is 40 MB at the very worst.
pub(crate) const AGENTS_MAX: usize = 1_000;
/// The latest reports read at start: every agent writes one per 2 s.
pub(crate) const AGENT_REPORTS_READ_BACK: i64 = 500;
/// An agent that was silent for this long is not shown any more.
pub(crate) const AGENT_SHOWN: Duration = Duration::from_secs(24 * 3600);

/// How often the ends of the partitions are asked for (lag display).
pub(crate) const WATERMARK_INTERVAL: Duration = Duration::from_secs(2);
