//! How much one search may ask for.

/// Hits of one page. A page is also bounded by `PAGE_BYTES_MAX`; the cursor goes on from there.
pub(crate) const LIMIT_MAX: usize = 10_000;

/// Raw lines of one page: ten thousand lines of 3 KiB, or 32 of the longest. A line is in a hit up to
/// three times (raw, body, attributes), so an answer stays around 100 MiB at the very worst.
pub(crate) const PAGE_BYTES_MAX: usize = 32 << 20;

/// Twice what the widest screen shows.
pub(crate) const BUCKETS_MAX: usize = 2_000;

/// Documents between two looks at the clock. Unverified, a block takes about 1 µs.
pub(crate) const BLOCK_DOCS: usize = tantivy::COLLECT_BLOCK_BUFFER_LEN;

/// Decompressed blocks of stored records kept per segment while verifying: candidates come in order.
pub(crate) const VERIFY_BLOCKS_CACHED: usize = 1;

/// Contexts, and topics, that one search remembers; a split rarely holds more sources.
pub(crate) const CONTEXTS_MAX: usize = 4_096;

/// Of a table: combinations of a segment whose group is remembered: 4 MiB. Beyond, all are forgotten: a key that
/// is different for each event gains nothing from being remembered.
pub(crate) const SLOTS_MAX: usize = 32_768;

/// Of a table: texts that a source remembers: 16 MiB of the longest.
pub(crate) const TEXTS_MAX: usize = 4_096;
