//! The traces with the newest of all matching spans, without remembering every trace: parts are read from the
//! newest on, and a part that ends before the last trace of the page is not read.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::columns::{SpanColumns, TraceKey};
use super::newest_first;
use crate::search::SearchError;
use crate::search::matching::{Block, Matching, Part, Plan};

/// Traces by their newest match so far. Keeps up to twice the page and a few more; then the worse half goes,
/// and a match that is older than what stayed is not looked at any more.
struct Newest {
    size: usize,
    found: HashMap<TraceKey, i64>,
    /// The worst of the page, once that many traces are known.
    threshold: Option<Rank>,
}

/// The order of the list: later first, and one of two at the same instant by id.
type Rank = (Reverse<i64>, TraceKey);

/// The page's traces in their order, and false when the time ended first.
pub(crate) fn newest(
    matching: &mut Matching<'_>,
    parts: &mut [Part<'_>],
    size: usize,
) -> Result<(Vec<TraceKey>, bool), SearchError> {
    newest_first(parts);
    let mut newest = Newest::new(size);
    for part in parts.iter() {
        newest.settle();
        if !newest.may_take(part.last_ns) {
            break;
        }
        let Some(plan) = matching.plan(part)? else {
            continue;
        };
        if !read(matching, part, &plan, &mut newest)? {
            return Ok((newest.into_sorted(), false));
        }
    }
    Ok((newest.into_sorted(), true))
}

fn read(
    matching: &mut Matching<'_>,
    part: &Part<'_>,
    plan: &Plan,
    newest: &mut Newest,
) -> Result<bool, SearchError> {
    for reader in part.searcher.segment_readers() {
        let Some(mut candidates) = plan.open(reader)? else {
            continue;
        };
        let columns = SpanColumns::open(reader)?;
        loop {
            let count = match candidates.next_block(matching.deadline) {
                Block::Of(count) => count,
                Block::End => break,
                Block::OutOfTime => return Ok(false),
            };
            for at in 0..count {
                let time_ns = candidates.time_ns(at);
                // Before anything is verified: most candidates end here.
                if !newest.may_take(time_ns) {
                    continue;
                }
                let trace = columns.trace(candidates.doc(at));
                if trace.is_known() && matching.accepts(&mut candidates, at)? {
                    newest.offer(trace, time_ns);
                }
            }
        }
    }
    Ok(true)
}

impl Newest {
    fn new(size: usize) -> Newest {
        Newest {
            size,
            found: HashMap::new(),
            threshold: None,
        }
    }

    fn may_take(&self, time_ns: i64) -> bool {
        self.threshold
            .is_none_or(|(Reverse(worst_ns), _)| time_ns >= worst_ns)
    }

    fn offer(&mut self, trace: TraceKey, time_ns: i64) {
        /// So that small pages do not settle at every other trace.
        const SLACK: usize = 64;
        let newest = self.found.entry(trace).or_insert(time_ns);
        *newest = time_ns.max(*newest);
        if self.found.len() >= self.size * 2 + SLACK {
            self.settle();
        }
    }

    /// Forgets what cannot be on the page. Such a trace may come back with a newer span.
    fn settle(&mut self) {
        if self.size == 0 || self.found.len() < self.size {
            return;
        }
        let mut ranks: Vec<Rank> = self.ranks().collect();
        let (_, worst, _) = ranks.select_nth_unstable(self.size - 1);
        let worst = *worst;
        self.found
            .retain(|trace, time_ns| (Reverse(*time_ns), *trace) <= worst);
        self.threshold = Some(worst);
    }

    fn ranks(&self) -> impl Iterator<Item = Rank> {
        self.found
            .iter()
            .map(|(trace, time_ns)| (Reverse(*time_ns), *trace))
    }

    fn into_sorted(self) -> Vec<TraceKey> {
        let mut ranks: Vec<Rank> = self.ranks().collect();
        ranks.sort_unstable();
        ranks.truncate(self.size);
        ranks.into_iter().map(|(_, trace)| trace).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_newest_are_those_of_a_full_sort(spans in prop::collection::vec((0_u64..300, -20_i64..200), 0..600), size in 0_usize..20) {
            let mut newest = Newest::new(size);
            let mut all: HashMap<TraceKey, i64> = HashMap::new();
            for &(low, time_ns) in &spans {
                let trace = TraceKey { high: 0, low };
                if newest.may_take(time_ns) {
                    newest.offer(trace, time_ns);
                }
                let known = all.entry(trace).or_insert(time_ns);
                *known = time_ns.max(*known);
            }
            let mut sorted: Vec<Rank> = all.iter().map(|(trace, time)| (Reverse(*time), *trace)).collect();
            sorted.sort_unstable();
            let sorted: Vec<TraceKey> = sorted.into_iter().take(size).map(|(_, trace)| trace).collect();
            prop_assert_eq!(newest.into_sorted(), sorted);
        }
    }
}
