//! Bounds of the client, with the arithmetic that chose them (design §2 "Client settings").

use std::time::Duration;

/// Bytes of records that wait for the queue's ack in one producer. librdkafka's default is 1 GiB,
/// more than a whole agent may use; 16 MiB is 80 ms of records at the agent's target of 200 MB/s.
pub const PRODUCER_BUFFER_BYTES: usize = 16 << 20;

/// Records that wait in one producer. librdkafka allocates about 1 KiB a record beside its bytes
/// (each header by itself), so tiny lines would cost ten times the byte bound if only bytes counted:
/// 32 MiB at most, and still 80 ms of records at 400,000 records/s.
pub const PRODUCER_BUFFER_RECORDS: usize = 32 * 1024;

/// Records fetched ahead per consumer, for the same reason: 16 MiB at most, four polls of 4,096.
/// librdkafka's default of 100,000 would be 100 MiB of tiny lines in each consumer.
pub const PREFETCH_RECORDS: usize = 16 * 1024;

/// How long a record may wait for company: a batch costs one fsync at the queue (0.2–1 ms), so
/// 2 ms keeps group commit busy and stays far below the 500 ms from append to hit.
pub const LINGER: Duration = Duration::from_millis(2);

/// The largest record. A line is cut at 1 MiB; headers and framing are below 64 KiB; OTLP batches
/// of other producers are at most 4 MiB.
pub const RECORD_BYTES_MAX: usize = 4 << 20;

/// What the topics that we create take in one batch: a record of the largest size and what is around it. Kafka's
/// default is 1 MiB, less than a long line with its headers.
pub const BATCH_BYTES_MAX: usize = RECORD_BYTES_MAX + (64 << 10);

/// The largest record that is copied between clusters: those of others hold larger ones than ours. Kafka's own limit is
/// 1 MiB unless raised; 16 MiB is the most that hosted clusters allow.
pub const COPIED_BYTES_MAX: usize = 16 << 20;

/// Bytes of copies that wait for the target's ack: two of the largest.
pub const COPY_BUFFER_BYTES: usize = 2 * COPIED_BYTES_MAX;

/// Bytes fetched ahead per consumer: two fetch answers of 4 MiB.
pub const PREFETCH_BYTES: usize = 8 << 20;

/// Bytes of one partition in one fetch answer, compressed. Lines that repeat shrink tenfold, and every
/// record in the answer is unpacked at once: 256 KiB are up to 20,000 records, 20 MiB in librdkafka.
/// A larger batch still comes whole.
pub const FETCH_PARTITION_BYTES: usize = 256 << 10;

/// How long the queue may hold an empty fetch back.
pub const FETCH_WAIT: Duration = Duration::from_millis(100);

/// Pause of fetching when the prefetch is full (librdkafka's default of 1 s would be seen in search).
pub const FETCH_QUEUE_BACKOFF: Duration = Duration::from_millis(10);

/// Pause of fetching a partition after an error.
pub const FETCH_ERROR_BACKOFF: Duration = Duration::from_millis(50);

/// Longest pause between two tries to connect: a restarted queue is found within a second.
pub const RECONNECT_BACKOFF_MAX: Duration = Duration::from_secs(1);

/// One line about an unreachable queue per this long, however many connections fail.
pub const UNREACHABLE_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// How long one administrative request may take before it is tried again.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How far [`crate::resume`] looks back for the record that a checkpoint ended with. Beyond it, it
/// starts from the beginning of the log, where marks drop what they know. At about 1 M records/s
/// this look takes a second.
pub const RESUME_WALK_RECORDS: i64 = 1_000_000;

/// Distinct ranges that one source's marks may hold; one is normal. A source with more holes has lost
/// data in a way that no set repairs: its smallest hole is closed, so that marks stay bounded.
pub const RANGES_PER_SOURCE_MAX: usize = 1024;

/// Batches whose way is traced at once, in one part: those that thirty agents send while an index is hot (30 s), 200 bytes
/// each. Of those beyond, a trace ends early.
pub const TRACED_BATCHES_MAX: usize = 1_024;

/// How long a client tries to get into a queue only to learn why another one cannot: a refused login is held back for
/// half a second by ours.
pub const REASON_WAIT: Duration = Duration::from_secs(2);

/// How long it then listens to what librdkafka has to say of that.
pub const REASON_POLL: Duration = Duration::from_millis(100);
