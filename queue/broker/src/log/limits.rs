//! Maxima of the log, each with the arithmetic that chose it.

/// Bytes in one group, unless a single batch is larger. A group takes what has come in during the sync before it, so
/// only a backlog makes it large; then 4 MiB over four partitions wrote 1.4 times as much per second as 1 MiB.
pub(super) const GROUP_BYTES_MAX: usize = 4 << 20;

/// Bytes of one partition that may be written and not yet synced, unless they are a single larger batch. Recovery relies on it: a
/// good batch further than this behind a bad one proves that the bad one had been synced. Raising it needs a new
/// segment format version.
pub(super) const UNSYNCED_BYTES_MAX: usize = GROUP_BYTES_MAX;

/// Bytes of batches that wait for the writer or are in its group. Past it appends wait, and with them their
/// connections: 16 full groups are more than a disk's breath, and fit in memory.
pub(super) const PENDING_BYTES_MAX: usize = 64 << 20;

/// A segment reserves its space in steps that double between these: 8,192 idle partitions hold 512 MiB, a busy one
/// reserves fifteen times a segment of 128 MiB.
pub(super) const ALLOCATE_BYTES_MIN: u64 = 64 << 10;
/// See [`ALLOCATE_BYTES_MIN`].
pub(super) const ALLOCATE_BYTES_MAX: u64 = 16 << 20;

/// Positions in a segment are stored in 32 bits.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// Below, a segment is little but its header.
pub const SEGMENT_BYTES_MIN: u64 = 4 << 10;

/// Records in one batch. Uncompressed, `BATCH_BYTES_MAX` holds 2.4 million at most; a compressed batch is believed up
/// to this, so that no series of lies can bring offsets near 2^63.
pub(super) const BATCH_RECORDS_MAX: i32 = 1 << 24;

/// An index entry for so many bytes at least: a 1 GiB segment then has 262,144 entries, 5 MiB.
pub(super) const INDEX_INTERVAL_BYTES_MIN: u64 = 4 << 10;

/// Producers remembered per partition; past it the one that was silent longest is forgotten. 160 bytes each.
pub(super) const PRODUCERS_MAX: usize = 10_000;

/// A producer is forgotten when all its records are gone *and* it was silent for this long.
pub(super) const PRODUCER_SILENCE_MS: i64 = 24 * 3600 * 1000;

/// Batches per producer whose repetition is recognised: clients keep at most five requests in flight.
pub(super) const PRODUCER_BATCHES: usize = 5;

/// Closed segments whose file and index are kept open, over all partitions of a disk. 256 indexes of 64 KiB are
/// 16 MiB.
pub(super) const OPEN_SEGMENTS_MAX: usize = 256;

/// Threads that sync the files of a group side by side. ext4 puts what syncs together into one journal commit.
pub(super) const SYNC_THREADS: usize = 8;

/// Changes of leader epoch remembered per partition; older ones answer as the oldest known.
pub(super) const EPOCHS_MAX: usize = 1024;

/// How much is read at once when batches are walked.
pub(super) const SCAN_BYTES: usize = 256 << 10;

/// Aborted transactions in one segment's index, 24 bytes each; past it the segment is closed. One group can bring 48,000
/// more (a marker has 86 bytes), so an index file stays below its maximum.
pub(super) const SEGMENT_ABORTED_MAX: usize = 32 << 10;
