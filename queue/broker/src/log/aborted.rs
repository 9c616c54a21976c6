//! Which aborted transactions have records in what a reader is given.
//!
//! Each is listed with the segment that has its marker, which may be any behind the records. Segments whose list can't
//! matter are told by their summaries, so mostly none is opened.

use std::sync::Arc;

use super::batch::whole_batches_end;
use super::error::LogError;
use super::marker::Aborted;
use super::partition::{ClosedSegment, Env, View};

/// Where to look for the transactions that were aborted.
pub(super) struct AbortedWithin {
    /// Those whose lists may have some.
    closed: Vec<Arc<ClosedSegment>>,
    /// What the open segment's list has.
    open: Vec<Aborted>,
    pub(super) max: usize,
}

impl View {
    pub(super) fn aborted_within(&self, from: i64, to: i64, max: usize) -> AbortedWithin {
        let first = self
            .closed
            .partition_point(|segment| segment.summary.end_offset <= from);
        let may_have = |closed: &&Arc<ClosedSegment>| closed.summary.first_aborted < to;
        AbortedWithin {
            closed: self.closed[first..]
                .iter()
                .filter(may_have)
                .cloned()
                .collect(),
            open: self.open.index.aborted_within(from, to).collect(),
            max,
        }
    }
}

impl AbortedWithin {
    /// By first offset.
    pub(super) fn find(&self, env: &Env, from: i64, to: i64) -> Result<Vec<Aborted>, LogError> {
        let open = self.open.iter().copied();
        let mut found: Vec<Aborted> = open.filter(|aborted| aborted.first_offset < to).collect();
        for closed in &self.closed {
            if closed.summary.first_aborted >= to {
                continue;
            }
            let opened = env.open_segments.get(
                env.disk.as_ref(),
                closed,
                env.config.index_interval_bytes,
            )?;
            found.extend(opened.index.aborted_within(from, to));
        }
        found.sort_unstable_by_key(|aborted| aborted.first_offset);
        Ok(found)
    }
}

/// Cuts off batches until no more than `max` aborted transactions began before the end, but not the first one, which ends
/// at `first_end`.
pub(super) fn shorten(bytes: &mut Vec<u8>, aborted: &mut Vec<Aborted>, max: usize, first_end: i64) {
    let to = aborted[max].first_offset.max(first_end);
    let end = whole_batches_end(bytes, |header, _| header.base_offset < to);
    bytes.truncate(end);
    aborted.retain(|aborted| aborted.first_offset < to);
}
