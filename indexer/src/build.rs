//! From records to hot segments: the seam between consuming and publishing. No I/O, no clock.
//!
//! Invariants:
//! - A record is admitted once (position and marks) and then is in exactly one hot index: all of its events,
//!   for nothing is refreshed or sealed between two of them.
//! - `seal` takes the hot records together with the positions and marks that stand right after
//!   them: what is published is exactly what the checkpoints say.
//!
//! Splits are cut by the day of arrival, so that retention and merges work on whole days. The first
//! record names the day; records of other days (a few around midnight, an agent that was cut off) go to
//! one late split beside it.
//!
//! A record of an agent arrived when its agent read the line. Any other timestamp says when the event
//! happened, or nothing: such a record arrives as it is indexed, else old logs loaded today would
//! expire at once. Only the place in splits knows of this; what searches see is a function of the record.

use std::{collections::HashMap, sync::Arc};

use logboom_event::{Event, EventId, Record};
use tantivy::Searcher;

use crate::{
    error::Error,
    hot::{Extent, Hot, Indexed, Mould, events},
    limits,
    position::{Admission, Position},
    tables::Progress,
};

pub(crate) const DAY_MS: i64 = 24 * 3600 * 1000;

/// A hot index that takes no more records.
pub(crate) struct Sealed {
    /// At most two: on time and late. Empty when all records were duplicates.
    pub(crate) parts: Vec<Part>,
    pub(crate) progress: Vec<Progress>,
}

/// The records of one split to be.
pub(crate) struct Part {
    pub(crate) day: i64,
    pub(crate) extent: Extent,
    pub(crate) segments: Vec<Searcher>,
}

impl Part {
    fn new(day: i64, hot: Hot) -> Part {
        assert_eq!(hot.open_ram_bytes(), 0, "a refresh comes before a seal");
        Part {
            day,
            extent: hot.extent.clone(),
            segments: hot.into_searchers(),
        }
    }
}

/// What happened to records, for status and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Events; of the rest, `duplicates` and `passed` are records.
    pub(crate) indexed: u64,
    pub(crate) bytes: u64,
    pub(crate) duplicates: u64,
    pub(crate) passed: u64,
    pub(crate) parse_failed: u64,
    pub(crate) bare: u64,
    pub(crate) left_out: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Counts) {
        self.indexed += other.indexed;
        self.bytes += other.bytes;
        self.duplicates += other.duplicates;
        self.passed += other.passed;
        self.parse_failed += other.parse_failed;
        self.bare += other.bare;
        self.left_out += other.left_out;
    }
}

pub(crate) struct Builder {
    mould: Mould,
    /// Bytes of records, and the memory that what they became may take, until no more are added.
    raw_bytes_max: u64,
    ram_bytes_max: u64,
    segment_ram_max: usize,
    positions: HashMap<(Arc<str>, i32), Position>,
    day: i64,
    on_time: Option<Hot>,
    late: Option<Hot>,
    counts: Counts,
}

impl Builder {
    pub(crate) fn new(mould: Mould, raw_bytes_max: u64) -> Builder {
        let segment = usize::try_from(raw_bytes_max / 8).unwrap_or(usize::MAX);
        Builder {
            mould,
            raw_bytes_max,
            ram_bytes_max: (raw_bytes_max / 2)
                .clamp(limits::HOT_RAM_BYTES_MIN, limits::HOT_RAM_BYTES_MAX),
            segment_ram_max: segment
                .clamp(limits::SEGMENT_RAM_BYTES_MIN, limits::SEGMENT_RAM_BYTES_MAX),
            positions: HashMap::new(),
            day: 0,
            on_time: None,
            late: None,
            counts: Counts::default(),
        }
    }

    /// Starts to accept records of a partition.
    pub(crate) fn place(&mut self, topic: &Arc<str>, partition: i32, position: Position) {
        self.positions
            .insert((Arc::clone(topic), partition), position);
    }

    pub(crate) fn position(&self, topic: &Arc<str>, partition: i32) -> Option<&Position> {
        self.positions.get(&(Arc::clone(topic), partition))
    }

    pub(crate) fn position_mut(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
    ) -> Option<&mut Position> {
        self.positions.get_mut(&(Arc::clone(topic), partition))
    }

    pub(crate) fn positions(&self) -> impl Iterator<Item = (&(Arc<str>, i32), &Position)> {
        self.positions.iter()
    }

    /// Takes records in their queue order at the time `now_ms`; `seen` hears of each event.
    pub(crate) fn add(
        &mut self,
        records: Vec<Record>,
        now_ms: i64,
        mut seen: impl FnMut(&Record, &Event, EventId),
    ) -> Result<(), Error> {
        for record in records {
            let key = (Arc::clone(&record.topic), record.partition);
            let position = self
                .positions
                .get_mut(&key)
                .expect("records come from assigned partitions");
            let incarnation = match position.admit(&record) {
                Admission::Index { incarnation } => incarnation,
                Admission::Duplicate => {
                    self.counts.duplicates += 1;
                    continue;
                }
                Admission::Passed => {
                    self.counts.passed += 1;
                    continue;
                }
            };
            let mut id = EventId {
                incarnation,
                partition: record.partition,
                offset: record.offset,
                index: 0,
            };
            let arrival_ms = match record.origin {
                Some(_) => record.timestamp_ms,
                None => now_ms,
            };
            for (record, event) in events(record) {
                seen(&record, &event, id);
                self.index(record, &event, id, arrival_ms)?;
                id.index += 1;
            }
        }
        Ok(())
    }

    fn index(
        &mut self,
        record: Record,
        event: &Event,
        id: EventId,
        arrival_ms: i64,
    ) -> Result<(), Error> {
        let day = arrival_ms.div_euclid(DAY_MS);
        if self.on_time.is_none() {
            self.day = day;
        }
        let place = if day == self.day {
            &mut self.on_time
        } else {
            &mut self.late
        };
        let hot = place.get_or_insert_with(|| Hot::new(self.mould.clone()));
        let bytes = record.value.len() as u64;
        match hot.add(record, event, id, arrival_ms)? {
            Indexed::Whole => {}
            Indexed::Bare => self.counts.bare += 1,
            Indexed::Not => {
                self.counts.left_out += 1;
                return Ok(());
            }
        }
        self.counts.indexed += 1;
        self.counts.bytes += bytes;
        self.counts.parse_failed += u64::from(event.parse_failed);
        // Closes a segment; searches hear of it with the rest of the batch.
        if hot.open_ram_bytes() >= self.segment_ram_max {
            hot.refresh()?;
        }
        Ok(())
    }

    /// Makes everything added so far searchable: the searchers of all hot records.
    pub(crate) fn refresh(&mut self) -> Result<Vec<Searcher>, Error> {
        for hot in self.hots_mut() {
            hot.refresh()?;
        }
        Ok(self
            .hots()
            .flat_map(|hot| hot.searchers().iter().cloned())
            .collect())
    }

    pub(crate) fn raw_bytes(&self) -> u64 {
        self.hots().map(|hot| hot.extent.raw_bytes).sum()
    }

    pub(crate) fn docs(&self) -> u64 {
        self.hots().map(|hot| hot.extent.docs).sum()
    }

    /// Whether no more records may be added before a seal.
    pub(crate) fn is_full(&self) -> bool {
        let ram_bytes: u64 = self.hots().map(Hot::ram_bytes).sum();
        self.raw_bytes() >= self.raw_bytes_max
            || ram_bytes >= self.ram_bytes_max
            || self.docs() >= limits::HOT_DOCS_MAX
    }

    pub(crate) fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// Ends the hot index; the next record opens a new one. All of it must have been refreshed.
    pub(crate) fn seal(&mut self, now_ms: i64) -> Sealed {
        let progress = self
            .positions
            .iter_mut()
            .filter_map(|((topic, partition), position)| {
                position.take_progress(topic, *partition, now_ms)
            })
            .collect();
        let on_time = self.on_time.take().map(|hot| Part::new(self.day, hot));
        let late = self
            .late
            .take()
            .map(|hot| Part::new(hot.extent.arrival_max_ms.div_euclid(DAY_MS), hot));
        let parts = on_time
            .into_iter()
            .chain(late)
            .filter(|part| part.extent.docs > 0)
            .collect();
        Sealed { parts, progress }
    }

    fn hots(&self) -> impl Iterator<Item = &Hot> {
        self.on_time.iter().chain(&self.late)
    }

    fn hots_mut(&mut self) -> impl Iterator<Item = &mut Hot> {
        self.on_time.iter_mut().chain(&mut self.late)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use logboom_client::{Checkpoint, Marks};

    use super::*;
    use crate::{
        hot,
        kind::Kind,
        tests::machine::{Machine, NOON_MS},
    };

    fn builder(topic: &Arc<str>, mould: Mould) -> Builder {
        let mut builder = Builder::new(mould, 64 << 20);
        let checkpoint = Checkpoint {
            incarnation: 3,
            next_offset: 0,
            last_crc: None,
        };
        builder.place(topic, 0, Position::new(checkpoint, Marks::default()));
        builder
    }

    fn add(builder: &mut Builder, records: &[Record]) -> Counts {
        builder
            .add(records.to_vec(), NOON_MS, |_, _, _| {})
            .unwrap();
        builder.take_counts()
    }

    #[test]
    fn a_record_is_indexed_once_however_often_it_comes() {
        let mut machine = Machine::new(1);
        // Offset 2 is the agent's retry of offset 1.
        [0, 1, 1, 2]
            .into_iter()
            .for_each(|number| machine.append(0, 1, number, NOON_MS));
        let mut builder = builder(&machine.topic, Mould::new(Kind::Logs));
        let log = &machine.log[0];
        let counts = add(&mut builder, &log[..3]);
        assert_eq!(
            (counts.indexed, counts.duplicates, counts.passed),
            (2, 1, 0)
        );
        // The queue delivers offsets 1 and 2 again after a reassignment.
        let counts = add(&mut builder, &log[1..]);
        assert_eq!(
            (counts.indexed, counts.duplicates, counts.passed),
            (1, 0, 2)
        );
        assert_eq!(builder.docs(), 3);
        builder.refresh().unwrap();
        let sealed = builder.seal(NOON_MS);
        assert_eq!(sealed.progress[0].to.next_offset, 4);
        assert_eq!(sealed.parts[0].extent.docs, 3);
        assert!(
            builder.seal(NOON_MS).progress.is_empty(),
            "nothing moved since"
        );
    }

    #[test]
    fn ids_carry_the_incarnation_of_their_time() {
        let mut machine = Machine::new(1);
        (0..2).for_each(|number| machine.append(0, 1, number, NOON_MS));
        let mut builder = builder(&machine.topic, Mould::new(Kind::Logs));
        let mut ids = Vec::new();
        builder
            .add(machine.log[0][..1].to_vec(), NOON_MS, |_, _, id| {
                ids.push(id.to_string())
            })
            .unwrap();
        let rewound = Checkpoint {
            incarnation: 4,
            next_offset: 0,
            last_crc: None,
        };
        builder
            .position_mut(&machine.topic, 0)
            .unwrap()
            .rewind(rewound);
        builder
            .add(machine.log[0].clone(), NOON_MS, |_, _, id| {
                ids.push(id.to_string())
            })
            .unwrap();
        assert_eq!(
            ids,
            ["3-0-0-0", "4-0-1-0"],
            "offset 0 came again, and its source's bytes were known"
        );
    }

    #[test]
    fn a_record_that_cannot_be_indexed_harms_no_other() {
        let mut mould = Mould::new(Kind::Logs);
        mould.document = |schema, record, event, id| {
            assert!(!record.value.starts_with(b"panics"), "a record that panics");
            assert!(
                event.parse_failed || !record.value.starts_with(b"half"),
                "one that is poisonous as parsed"
            );
            schema.document(record, event, id)
        };
        let mut machine = Machine::new(1);
        for line in ["a", "half of it", "b", "panics", "c"] {
            machine.push(0, line, None, NOON_MS);
        }
        let mut builder = builder(&machine.topic, mould);
        let counts = add(&mut builder, &machine.log[0]);
        assert_eq!((counts.indexed, counts.bare, counts.left_out), (4, 1, 1));
        let found: u64 = builder
            .refresh()
            .unwrap()
            .iter()
            .map(Searcher::num_docs)
            .sum();
        assert_eq!(found, 4);
        assert_eq!(
            builder.seal(NOON_MS).progress[0].to.next_offset,
            5,
            "the loop goes on"
        );
    }

    #[test]
    fn a_bare_record_is_in_the_time_of_what_was_indexed_and_is_not_tried_as_parsed_again() {
        static AS_PARSED: AtomicUsize = AtomicUsize::new(0);
        let mut mould = Mould::new(Kind::Logs);
        mould.document = |schema, record, event, id| {
            assert!(!record.value.starts_with(b"panics"), "a record that panics");
            if !event.parse_failed && record.value.starts_with(b"2020") {
                AS_PARSED.fetch_add(1, Ordering::Relaxed);
                panic!("one that is poisonous as parsed");
            }
            schema.document(record, event, id)
        };
        let mut machine = Machine::new(1);
        for line in ["2020-01-01T00:00:00Z half of it", "panics"] {
            machine.push(0, line, None, NOON_MS);
        }
        let mut builder = builder(&machine.topic, mould);
        let counts = add(&mut builder, &machine.log[0]);
        assert_eq!((counts.indexed, counts.bare, counts.left_out), (1, 1, 1));
        assert_eq!(AS_PARSED.load(Ordering::Relaxed), 1);
        builder.refresh().unwrap();
        let extent = builder.seal(NOON_MS).parts.remove(0).extent;
        let noon_ns = NOON_MS * 1_000_000;
        assert_eq!((extent.time_min_ns, extent.time_max_ns), (noon_ns, noon_ns));
    }

    #[test]
    fn what_a_record_carries_beside_its_value_counts() {
        let mut machine = Machine::new(1);
        machine.push(0, "", None, NOON_MS);
        machine.log[0][0].headers = vec![("h".into(), vec![b'x'; 1 << 20].into())];
        let mut builder = builder(&machine.topic, Mould::new(Kind::Logs));
        add(&mut builder, &machine.log[0]);
        assert!(builder.raw_bytes() > 1 << 20);
        assert!(builder.hots().all(|hot| hot.open_ram_bytes() > 1 << 20));
    }

    #[test]
    fn records_of_a_small_index_share_a_segment_too() {
        let mut builder = builder(&Arc::from("logs"), Mould::new(Kind::Logs));
        builder = Builder {
            segment_ram_max: limits::SEGMENT_RAM_BYTES_MIN,
            ..builder
        };
        let mut machine = Machine::new(1);
        for number in 0..1_000 {
            machine.push(0, format!("line {number}"), None, NOON_MS);
        }
        add(&mut builder, &machine.log[0]);
        assert_eq!(builder.refresh().unwrap().len(), 1);
    }

    #[test]
    fn memory_is_bounded_by_bytes_of_lines_and_by_what_they_become() {
        let mut builder = builder(&Arc::from("logs"), Mould::new(Kind::Logs));
        let mut machine = Machine::new(1);
        let mut random = 1_u64;
        while !builder.is_full() {
            // All words distinct: the worst that can be indexed.
            let line: String = (0..40_000)
                .map(|_| {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    format!("{:x} ", random >> 16)
                })
                .collect();
            machine.push(0, line, None, NOON_MS);
            add(&mut builder, &machine.log[0][machine.log[0].len() - 1..]);
            let open: usize = builder.hots().map(hot::Hot::open_ram_bytes).sum();
            assert!(open < 2 * limits::SEGMENT_RAM_BYTES_MAX, "{open}");
        }
        let ram: u64 = builder.hots().map(hot::Hot::ram_bytes).sum();
        assert!(
            ram < limits::HOT_RAM_BYTES_MAX + limits::SEGMENT_RAM_BYTES_MAX as u64,
            "{ram}"
        );
    }
}
