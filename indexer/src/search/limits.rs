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
