//! Reading the columns of all spans in a range, slice of time by slice of time, the newest first.
//!
//! Whether a span was sent before is a question about its start only, for that is the same each time. So a range with
//! too many spans to remember is cut into slices. A look at the starts alone tells first which documents a slice has to
//! read: splits have spans roughly in the order of their starts, so most documents are read for one slice. Where they
//! are in another order more is read, and the answer is the same.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Instant;

use tantivy::{DocId, SegmentReader};

use super::columns::{SpanColumns, SpanKey};
use super::limits;
use crate::search::{SearchError, matching, matching::Part, rfc3339};

/// Documents of some parts by their starts.
pub(crate) struct Sweep<'a> {
    readers: Vec<&'a SegmentReader>,
    /// In the order of the parts and their documents.
    groups: Vec<Group>,
    /// Every so many starts within the range; latest first.
    sample: Vec<i64>,
    /// The time ended before all were noted: then nothing is read.
    out_of_time: bool,
}

/// Documents that follow each other in a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    /// Place among the readers.
    reader: u32,
    first: DocId,
    end: DocId,
    first_ns: i64,
    last_ns: i64,
}

impl<'a> Sweep<'a> {
    /// Over the spans of a range, and those that started at most `beyond_ns` before or after it.
    pub(crate) fn over(
        parts: &[Part<'a>],
        range: &Range<i64>,
        beyond_ns: i64,
        deadline: Instant,
    ) -> Result<Sweep<'a>, SearchError> {
        let reach = widened(range, beyond_ns);
        let mut sweep = Sweep {
            readers: Vec::new(),
            groups: Vec::new(),
            sample: Vec::new(),
            out_of_time: false,
        };
        let mut times = [0; limits::GROUP_DOCS];
        for part in parts.iter().filter(|part| part.is_within_reach(&reach)) {
            for reader in part.searcher.segment_readers() {
                let number = sweep.readers.len() as u32;
                sweep.readers.push(reader);
                let column = matching::Columns::open(reader)?.time;
                for first in (0..reader.max_doc()).step_by(limits::GROUP_DOCS) {
                    if Instant::now() >= deadline {
                        sweep.out_of_time = true;
                        return Ok(sweep);
                    }
                    let docs = limits::GROUP_DOCS.min((reader.max_doc() - first) as usize);
                    let times = &mut times[..docs];
                    column.get_range(first.into(), times);
                    sweep.add(number, first, times, range, &reach);
                }
            }
        }
        sweep.sample.sort_unstable_by(|a, b| b.cmp(a));
        Ok(sweep)
    }

    fn add(
        &mut self,
        reader: u32,
        first: DocId,
        times: &[i64],
        range: &Range<i64>,
        reach: &Range<i64>,
    ) {
        let group = Group {
            reader,
            first,
            end: first + times.len() as DocId,
            first_ns: times.iter().copied().min().unwrap_or(i64::MAX),
            last_ns: times.iter().copied().max().unwrap_or(i64::MIN),
        };
        if group.is_within_reach(reach) {
            self.groups.push(group);
            let sample = times.iter().step_by(limits::SAMPLE_DOCS);
            self.sample
                .extend(sample.filter(|time_ns| range.contains(time_ns)));
        }
    }

    /// The range in slices of about so many spans; the newest first. What started at one instant is in one.
    pub(crate) fn slices(&self, range: &Range<i64>, spans_max: usize) -> Vec<Range<i64>> {
        let step = (spans_max / limits::SAMPLE_DOCS).max(1);
        let mut slices = Vec::new();
        let mut end_ns = range.end;
        for &start_ns in self.sample.iter().skip(step).step_by(step) {
            if start_ns < end_ns && start_ns > range.start {
                slices.push(start_ns..end_ns);
                end_ns = start_ns;
            }
        }
        slices.push(range.start..end_ns);
        slices
    }

    /// Calls `found` for each span that starts within the slice; false when the time ended.
    pub(crate) fn each_span(
        &self,
        slice: &Range<i64>,
        deadline: Instant,
        mut found: impl FnMut(&mut SpanColumns, DocId, i64) -> Result<(), SearchError>,
    ) -> Result<bool, SearchError> {
        let mut times = [0; limits::GROUP_DOCS];
        let groups = self.groups.iter();
        let groups = groups.filter(|group| group.is_within_reach(slice));
        self.each_group(groups, deadline, |columns, group| {
            let times = &mut times[..(group.end - group.first) as usize];
            columns.common.time.get_range(group.first.into(), times);
            for (doc, time_ns) in (group.first..).zip(&*times) {
                if slice.contains(time_ns) && columns.is_span(doc) {
                    found(columns, doc, *time_ns)?;
                }
            }
            Ok(true)
        })
    }

    /// The groups that have spans at most `beyond_ns` before or after the slice, nearest first: those with spans in it,
    /// and then the others.
    pub(crate) fn around(&self, slice: &Range<i64>, beyond_ns: i64) -> (Vec<Group>, Vec<Group>) {
        let reach = widened(slice, beyond_ns);
        let groups = self.groups.iter();
        let groups = groups
            .copied()
            .filter(|group| group.is_within_reach(&reach));
        let (within, mut others): (Vec<Group>, Vec<Group>) =
            groups.partition(|group| group.is_within_reach(slice));
        // Within twice the distance by reader, so that each is opened a few times only.
        others.sort_by_key(|group| {
            let distance = group.distance(slice).checked_ilog2();
            (distance, group.reader, group.first)
        });
        (within, others)
    }

    /// Calls `found` for each document until it returns false; false when the time ended.
    pub(crate) fn each_document(
        &self,
        groups: &[Group],
        deadline: Instant,
        mut found: impl FnMut(&mut SpanColumns, DocId) -> Result<bool, SearchError>,
    ) -> Result<bool, SearchError> {
        self.each_group(groups, deadline, |columns, group| {
            for doc in group.first..group.end {
                if !found(columns, doc)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn each_group<'g>(
        &self,
        groups: impl IntoIterator<Item = &'g Group>,
        deadline: Instant,
        mut found: impl FnMut(&mut SpanColumns, &Group) -> Result<bool, SearchError>,
    ) -> Result<bool, SearchError> {
        let mut opened: Option<(u32, SpanColumns)> = None;
        for group in groups {
            if self.out_of_time || Instant::now() >= deadline {
                return Ok(false);
            }
            let (_, columns) = match &mut opened {
                Some(opened) if opened.0 == group.reader => opened,
                other => {
                    let reader = self.readers[group.reader as usize];
                    other.insert((group.reader, SpanColumns::open(reader)?))
                }
            };
            if !found(columns, group)? {
                break;
            }
        }
        Ok(!self.out_of_time)
    }
}

impl Group {
    fn is_within_reach(&self, range: &Range<i64>) -> bool {
        self.last_ns >= range.start && self.first_ns < range.end
    }

    pub(crate) fn docs(&self) -> usize {
        (self.end - self.first) as usize
    }

    fn distance(&self, range: &Range<i64>) -> u64 {
        if self.last_ns < range.start {
            range.start.abs_diff(self.last_ns)
        } else if self.first_ns >= range.end {
            self.first_ns.abs_diff(range.end) + 1
        } else {
            0
        }
    }
}

fn widened(range: &Range<i64>, by_ns: i64) -> Range<i64> {
    range.start.saturating_sub(by_ns)..range.end.saturating_add(by_ns)
}

/// Of an answer that ran out of time: which part of the range it counted, if any part whole.
pub(crate) fn note(counted_from_ns: Option<i64>) -> String {
    match counted_from_ns {
        Some(from_ns) => format!(
            "the time ended: what started from {} on is counted, of what started before only a part or nothing; \
             ask for a shorter range",
            rfc3339(from_ns)
        ),
        None => "the time ended: only a part of the range is counted, or nothing; ask for a shorter range".to_owned(),
    }
}

/// Spans that were counted.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// With their starts: in which slice a span is must not decide whether it is another's copy.
    spans: HashSet<(SpanKey, i64)>,
    /// Too many started at one instant: some spans may count twice.
    pub(crate) overflowed: bool,
}

impl Seen {
    /// Was the span not there before? One without an id never was.
    pub(crate) fn is_new(&mut self, key: Option<SpanKey>, start_ns: i64) -> bool {
        let Some(key) = key else {
            return true;
        };
        if self.spans.len() >= limits::REMEMBERED_MAX {
            self.overflowed = true;
            return !self.spans.contains(&(key, start_ns));
        }
        self.spans.insert((key, start_ns))
    }

    /// Before the next slice.
    pub(crate) fn forget(&mut self) {
        self.spans.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::catalog::Snapshot;
    use crate::kind::Kind;
    use crate::search::parts;
    use crate::search::tests::{BASE_NS, split_of};
    use crate::traces::tests::{SECOND_NS, started};

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(600)
    }

    fn snapshot(starts: impl Iterator<Item = i64>) -> Snapshot {
        let spans: Vec<_> = (0..).zip(starts).map(|(at, ns)| started(at, ns)).collect();
        Snapshot {
            kind: Kind::Spans,
            splits: vec![split_of(Kind::Spans, &spans)],
            hot: Vec::new(),
            complete: true,
        }
    }

    #[test]
    fn slices_have_each_span_once_and_read_a_range_in_order_about_once() {
        const SPANS: i64 = 8_192;
        let snapshot = snapshot((0..SPANS).map(|at| BASE_NS + at * SECOND_NS));
        let parts = parts(&snapshot).unwrap();
        let range = BASE_NS..BASE_NS + SPANS * SECOND_NS;
        let sweep = Sweep::over(&parts, &range, 0, later()).unwrap();
        let slices = sweep.slices(&range, 512);
        assert_eq!(slices.len(), 16);
        let (mut starts, mut read) = (Vec::new(), 0);
        for slice in &slices {
            let mut found = Vec::new();
            let in_time = sweep.each_span(slice, later(), |_, _, start_ns| {
                found.push(start_ns);
                Ok(())
            });
            assert!(in_time.unwrap());
            // The newest slice first.
            starts.splice(0..0, found);
            let (within, around) = sweep.around(slice, 0);
            read += within.iter().map(Group::docs).sum::<usize>();
            assert!(around.is_empty());
        }
        let all = (0..SPANS).map(|at| BASE_NS + at * SECOND_NS);
        assert_eq!(starts, all.collect::<Vec<_>>());
        assert!(read <= 4 * SPANS as usize, "{read}");
    }

    #[test]
    fn a_part_of_the_range_is_told_by_where_it_begins() {
        let told = note(Some(BASE_NS));
        assert!(
            told.contains("from 2026-01-31T08:00:00.000000000Z on"),
            "{told}"
        );
    }

    #[test]
    fn spans_of_one_instant_are_in_one_slice() {
        let snapshot = snapshot((0..2_000).map(|at| BASE_NS + at / 1_000));
        let parts = parts(&snapshot).unwrap();
        let range = i64::MIN..i64::MAX;
        let sweep = Sweep::over(&parts, &range, 0, later()).unwrap();
        let slices = sweep.slices(&range, 256);
        let split = [
            BASE_NS + 1..i64::MAX,
            BASE_NS..BASE_NS + 1,
            i64::MIN..BASE_NS,
        ];
        assert_eq!(slices, split);
    }

    #[test]
    fn what_is_around_comes_nearest_first() {
        let snapshot = snapshot((0..6_144).map(|at| BASE_NS + at * SECOND_NS));
        let parts = parts(&snapshot).unwrap();
        let slice = BASE_NS + 2_100 * SECOND_NS..BASE_NS + 2_200 * SECOND_NS;
        let sweep = Sweep::over(&parts, &slice, i64::MAX, later()).unwrap();
        let (within, around) = sweep.around(&slice, 2_000 * SECOND_NS);
        let firsts = |groups: &[Group]| groups.iter().map(|group| group.first).collect::<Vec<_>>();
        assert_eq!(firsts(&within), [2_048]);
        // 53 s, then 1,077 s and 872 s before their double, then 1,896 s.
        assert_eq!(firsts(&around), [1_024, 0, 3_072, 4_096]);
    }
}
