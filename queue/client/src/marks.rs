//! Marks: which bytes of every source a consumer has seen (design §2).
//!
//! A record covers `[prev, end)` of its source. It is a duplicate only when all of that is covered;
//! a hole that stays open is kept and counted, never skipped, for its record may still come. Each
//! consumer keeps one `Marks` per partition, stores it together with its own checkpoint, and drops
//! a source once it has been silent for longer than the queue keeps records.
//!
//! Stored form: one version byte, then postcard.

use std::collections::BTreeMap;

use logboom_event::{Origin, SourceId};
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::ranges::RangeSet;

const VERSION: u8 = 1;

/// Whether a record was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    New,
    Duplicate,
}

/// The covered ranges of every source of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    sources: BTreeMap<SourceId, Seen>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    covered: RangeSet,
    /// Latest record timestamp, to forget what has been silent for long.
    last_ms: i64,
}

/// Stored marks that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MarksError {
    #[error(
        "marks have version {found}, this program knows version {VERSION}: it is older than the data"
    )]
    Version { found: u8 },
    #[error("marks are empty")]
    Empty,
    #[error("marks are damaged: {0}")]
    Decode(#[from] postcard::Error),
    #[error("marks are damaged: ranges of source `{0}` overlap")]
    Overlap(SourceId),
}

impl Marks {
    /// Takes note of a record with this origin and timestamp.
    pub fn observe(&mut self, origin: &Origin, timestamp_ms: i64) -> Verdict {
        let seen = self.sources.entry(origin.source).or_default();
        seen.last_ms = seen.last_ms.max(timestamp_ms);
        // A range of no bytes cannot be told from another one: keep the record.
        if origin.prev < origin.end && !seen.covered.insert(origin.prev, origin.end) {
            return Verdict::Duplicate;
        }
        if seen.covered.len() > limits::RANGES_PER_SOURCE_MAX {
            seen.covered.close_smallest_gap();
        }
        Verdict::New
    }

    /// Whether a record with this origin would be a duplicate.
    pub fn contains(&self, origin: &Origin) -> bool {
        origin.prev < origin.end
            && self
                .sources
                .get(&origin.source)
                .is_some_and(|seen| seen.covered.covers(origin.prev, origin.end))
    }

    /// Open holes: bytes of a source that a later record of it has overtaken.
    pub fn gaps(&self) -> impl Iterator<Item = (SourceId, u64, u64)> + '_ {
        self.sources
            .iter()
            .flat_map(|(id, seen)| seen.covered.gaps().map(move |(from, to)| (*id, from, to)))
    }

    /// The covered ranges of one source.
    pub fn covered(&self, source: &SourceId) -> Option<&RangeSet> {
        self.sources.get(source).map(|seen| &seen.covered)
    }

    /// Drops the sources whose last record is older than `before_ms`. Call it with the queue's
    /// retention (and more): a source silent for that long has nothing left in flight.
    pub fn forget_closed(&mut self, before_ms: i64) {
        self.sources.retain(|_, seen| seen.last_ms >= before_ms);
    }

    /// How many sources are kept.
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether nothing was observed yet.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![VERSION]).expect("marks have no unserialisable part")
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Marks, MarksError> {
        let (&version, rest) = bytes.split_first().ok_or(MarksError::Empty)?;
        if version != VERSION {
            return Err(MarksError::Version { found: version });
        }
        let marks: Marks = postcard::from_bytes(rest)?;
        match marks
            .sources
            .iter()
            .find(|(_, seen)| !seen.covered.is_sound())
        {
            Some((id, _)) => Err(MarksError::Overlap(*id)),
            None => Ok(marks),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use logboom_event::Context;
    use proptest::prelude::*;

    use super::*;

    fn origin(source: u8, prev: u64, end: u64) -> Origin {
        let context = Context::new("", "");
        Origin {
            source: SourceId([source; 16]),
            prev,
            offset: prev,
            end,
            continues: false,
            true_len: None,
            context: Arc::new(context),
        }
    }

    proptest! {
        /// The naive model: a set of (source, byte).
        #[test]
        fn a_record_is_a_duplicate_iff_all_its_bytes_were_seen(
            steps in prop::collection::vec((0u8..3, 0u64..50, 1u64..10), 0..80)
        ) {
            let mut marks = Marks::default();
            let mut model = BTreeSet::new();
            for (source, prev, length) in steps {
                let origin = origin(source, prev, prev + length);
                let known = (prev..prev + length).all(|byte| model.contains(&(source, byte)));
                prop_assert_eq!(marks.contains(&origin), known);
                let expected = if known { Verdict::Duplicate } else { Verdict::New };
                prop_assert_eq!(marks.observe(&origin, 0), expected);
                model.extend((prev..prev + length).map(|byte| (source, byte)));
                marks = Marks::from_bytes(&marks.to_bytes()).unwrap();
            }
            for (source, from, to) in marks.gaps() {
                prop_assert!((from..to).all(|byte| !model.contains(&(source.0[0], byte))));
            }
        }

        #[test]
        fn stored_marks_of_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _read_or_refused = Marks::from_bytes(&bytes);
        }
    }

    #[test]
    fn an_open_gap_is_kept_until_its_record_comes() {
        let mut marks = Marks::default();
        marks.observe(&origin(1, 0, 10), 1);
        marks.observe(&origin(1, 20, 30), 2);
        assert_eq!(
            marks.gaps().collect::<Vec<_>>(),
            vec![(SourceId([1; 16]), 10, 20)]
        );
        assert_eq!(marks.observe(&origin(1, 10, 20), 3), Verdict::New);
        assert_eq!(marks.gaps().count(), 0);
        assert_eq!(marks.covered(&SourceId([1; 16])).unwrap().len(), 1);
    }

    #[test]
    fn sources_that_were_silent_for_long_are_forgotten() {
        let mut marks = Marks::default();
        marks.observe(&origin(1, 0, 10), 100);
        marks.observe(&origin(2, 0, 10), 200);
        marks.forget_closed(150);
        assert_eq!((marks.len(), marks.contains(&origin(2, 0, 10))), (1, true));
    }

    #[test]
    fn holes_beyond_the_limit_are_closed_smallest_first() {
        let mut marks = Marks::default();
        for n in 0..=limits::RANGES_PER_SOURCE_MAX as u64 {
            marks.observe(&origin(1, n * 100, n * 100 + 50 + n % 40), 0);
        }
        let covered = marks.covered(&SourceId([1; 16])).unwrap();
        assert_eq!(covered.len(), limits::RANGES_PER_SOURCE_MAX);
        assert!(covered.covers(39 * 100, 40 * 100 + 50));
    }

    #[test]
    fn marks_of_a_newer_program_are_refused() {
        assert!(matches!(
            Marks::from_bytes(&[9]),
            Err(MarksError::Version { found: 9 })
        ));
        assert!(matches!(Marks::from_bytes(&[]), Err(MarksError::Empty)));
    }
}
