//! One pass over the parts of a snapshot: counts, histogram and first page together.

use tantivy::SegmentReader;

use super::cursor::{Order, Place};
use super::error::SearchError;
use super::histogram::Counts;
use super::limits;
use super::matching::{Block, Matching, Part, Plan};
use super::top::{Found, Top};

/// What is asked, and what is known of the answer so far.
pub(crate) struct Scan<'a> {
    pub(crate) matching: Matching<'a>,
    pub(crate) order: Order,
    /// The page begins after this place.
    pub(crate) after: Option<Place>,
    pub(crate) total: u64,
    pub(crate) top: Top,
    pub(crate) counts: Option<Counts>,
}

/// Whether the whole part was read before the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    OutOfTime,
}

impl Scan<'_> {
    pub(crate) fn part(&mut self, number: usize, part: &Part<'_>) -> Result<Outcome, SearchError> {
        let Some(plan) = self.matching.plan(part)? else {
            return Ok(Outcome::Done);
        };
        for (ordinal, reader) in (0..).zip(part.searcher.segment_readers()) {
            let outcome = self.segment(number, ordinal, reader, &plan)?;
            if outcome == Outcome::OutOfTime {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Done)
    }

    fn segment(
        &mut self,
        part: usize,
        ordinal: u32,
        reader: &SegmentReader,
        plan: &Plan,
    ) -> Result<Outcome, SearchError> {
        let Some(mut candidates) = plan.open(reader)? else {
            return Ok(Outcome::Done);
        };
        let mut levels = [0; limits::BLOCK_DOCS];
        loop {
            let count = match candidates.next_block(self.matching.deadline) {
                Block::Of(count) => count,
                Block::End => return Ok(Outcome::Done),
                Block::OutOfTime => return Ok(Outcome::OutOfTime),
            };
            if self.counts.is_some() {
                let levels = &mut levels[..count];
                candidates
                    .columns
                    .level
                    .get_vals(candidates.docs(count), levels);
            }
            for (at, &level) in levels[..count].iter().enumerate() {
                if !self.matching.accepts(&mut candidates, at)? {
                    continue;
                }
                let time_ns = candidates.time_ns(at);
                self.total += 1;
                if let Some(counts) = &mut self.counts {
                    counts.add(time_ns, level);
                }
                if self.top.may_take(time_ns) {
                    let doc = candidates.doc(at);
                    let place = Place {
                        time_ns,
                        id: candidates.columns.id(doc),
                    };
                    if self
                        .after
                        .is_none_or(|after| self.order.is_before(after, place))
                    {
                        self.top.offer(Found {
                            place,
                            part,
                            segment: ordinal,
                            doc,
                        });
                    }
                }
            }
        }
    }
}
