//! How much one question about traces may take.

/// Traces of one list, as many as Jaeger's form can ask for: their summaries read all their spans.
pub(crate) const TRACES_MAX: usize = 1_500;

/// Spans of one answer: 10 MB of JSON, twice what a page can draw.
pub(crate) const TRACE_SPANS_MAX: usize = 100_000;

/// Spans of one trace that are read, sent twice or not: 80 bytes each. A trace that is longer is no trace but
/// a loop that never starts a new one.
pub(crate) const TRACE_SPANS_READ_MAX: usize = 1_000_000;

/// Spans that one pass over the columns remembers, about 50 bytes each. More are read in several passes,
/// each of other traces: time grows, memory does not.
pub(crate) const PASS_SPANS_MAX: u64 = 1 << 20;

/// … and what it remembers at most, where a few traces have most of the spans: 200 MiB.
pub(crate) const REMEMBERED_MAX: usize = 4 << 20;

/// Steps of a series: the widest screen shows fewer.
pub(crate) const STEPS_MAX: i64 = 1_000;
/// Steps where the request names none.
pub(crate) const STEPS_DEFAULT: i64 = 60;

/// Rows and edges of an answer: more than anyone reads.
pub(crate) const ROWS_MAX: usize = 1_000;
pub(crate) const EDGES_MAX: usize = 10_000;
/// Steps with requests, over all rows. Each holds up to 12 KiB of durations, typically 1: 16,384 are 200 MiB
/// at the very worst.
pub(crate) const CELLS_MAX: usize = 16_384;

/// Distinct services or operations of one answer: 64 bytes each, up to the 4 KiB that a column keeps.
pub(crate) const NAMES_MAX: usize = 20_000;

/// Documents between two looks at the clock, and of one read of a column.
pub(crate) const BLOCK_DOCS: usize = 64;
