//! Reading the columns of all spans in a range, in as many passes as memory asks for.
//!
//! What must be remembered of a span, to tell that it was sent before or who its parent is, concerns its trace
//! only. So a range with too many spans is read several times, each time for a share of its traces.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Instant;

use tantivy::DocId;

use super::columns::{SpanColumns, SpanKey};
use super::limits;
use crate::search::{SearchError, matching::Part};

/// Calls `found` for each span that starts within the range, newest parts first; false when the time
/// ended.
pub(crate) fn each_span(
    parts: &[Part<'_>],
    range: &Range<i64>,
    deadline: Instant,
    mut found: impl FnMut(&mut SpanColumns, DocId, i64) -> Result<(), SearchError>,
) -> Result<bool, SearchError> {
    for part in parts.iter().filter(|part| part.is_within_reach(range)) {
        for reader in part.searcher.segment_readers() {
            let mut columns = SpanColumns::open(reader)?;
            let mut times = [0; limits::BLOCK_DOCS];
            for first in (0..reader.max_doc()).step_by(limits::BLOCK_DOCS) {
                if Instant::now() >= deadline {
                    return Ok(false);
                }
                let docs = limits::BLOCK_DOCS.min((reader.max_doc() - first) as usize);
                let times = &mut times[..docs];
                columns.common.time.get_range(first.into(), times);
                for (doc, time_ns) in (first..).zip(&*times) {
                    if range.contains(time_ns) && columns.is_span(doc) {
                        found(&mut columns, doc, *time_ns)?;
                    }
                }
            }
        }
    }
    Ok(true)
}

/// How many passes remember about so many spans each.
pub(crate) fn passes(parts: &[Part<'_>], range: &Range<i64>, spans_max: u64) -> u64 {
    let within = parts.iter().filter(|part| part.is_within_reach(range));
    let spans: u64 = within.map(|part| part.searcher.num_docs()).sum();
    spans.div_ceil(spans_max).max(1)
}

/// Spans that were counted.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    spans: HashSet<SpanKey>,
    /// Traces were too unlike for an even share: some spans may count twice.
    pub(crate) overflowed: bool,
}

impl Seen {
    /// Was the span not there before? One without an id never was.
    pub(crate) fn is_new(&mut self, key: Option<SpanKey>) -> bool {
        let Some(key) = key else {
            return true;
        };
        if self.spans.len() >= limits::REMEMBERED_MAX {
            self.overflowed = true;
            return !self.spans.contains(&key);
        }
        self.spans.insert(key)
    }

    /// Before the next pass, which has other traces.
    pub(crate) fn forget(&mut self) {
        self.spans.clear();
    }
}
