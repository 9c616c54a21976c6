//! How much one question about traces may take.

/// Traces of one list, as many as Jaeger's form can ask for: their summaries read all their spans.
pub(crate) const TRACES_MAX: usize = 1_500;

/// Spans of one answer: 10 MB of JSON, twice what a page can draw.
pub(crate) const TRACE_SPANS_MAX: usize = 100_000;

/// Spans of one trace that are read, sent twice or not: 80 bytes each. A trace that is longer is no trace but
/// a loop that never starts a new one.
pub(crate) const TRACE_SPANS_READ_MAX: usize = 1_000_000;

/// Spans of one slice of a sweep, about 70 bytes each. A range with more is read slice by slice: time grows with
/// the range, memory does not.
pub(crate) const SLICE_SPANS_MAX: usize = 1 << 20;

/// … and what is remembered of a slice at most, where many spans started at one instant. So many fit a table of
/// 4 Mi places with up to 33 bytes each: 132 MiB, three times for dependencies.
pub(crate) const REMEMBERED_MAX: usize = 3_500_000;

/// A parent is looked for by reading what started so long before and after its child: traces are shorter.
pub(crate) const PARENT_REACH_NS: i64 = 3_600_000_000_000;

/// A trace's term costs as much as reading so many documents' columns.
pub(crate) const DOCS_PER_TERM: usize = 300;

/// Terms that one answer looks up in segments to find parents further away, 15 µs each: 2 s.
pub(crate) const TERMS_MAX: usize = 1 << 17;

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

/// Documents between two looks at the clock, and of one read of a column. A sweep remembers 32 bytes of each such
/// group, and every so many starts (8 bytes): 90 MB for a thousand million spans in the range.
pub(crate) const GROUP_DOCS: usize = 1_024;
pub(crate) const SAMPLE_DOCS: usize = 128;
