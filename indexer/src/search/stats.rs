//! The table of a query with pipes: every match is fed to the query crate's [`Aggregation`], which the
//! oracle uses as well, so that only the way of a value into it is this module's own.
//!
//! Where columns know every key and input ([`Sources`]), no record is opened: a group is then found by the
//! numbers of its columns, once for each of a segment's combinations. Otherwise each match is rebuilt from its
//! record, a hundred times dearer.

use std::collections::HashMap;

use logboom_event::Event;
use logboom_query::{Aggregation, Slot, Stats, limits::GROUP_KEYS_MAX};
use tantivy::store::StoreReader;
use tantivy::{DocId, SegmentReader};

use super::error::SearchError;
use super::limits;
use super::matching::{Block, Candidates, Matching, Part, Plan, read_record};
use super::stats_columns::Sources;

/// Feeds one table.
pub(crate) struct Tabulating<'a> {
    pub(crate) matching: Matching<'a>,
    pub(crate) aggregation: Aggregation,
    pub(crate) total: u64,
}

/// What the columns of a group's keys hold; 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Numbers {
    /// A bit for each key that has a value.
    present: u8,
    numbers: [u64; GROUP_KEYS_MAX],
}

impl<'a> Tabulating<'a> {
    pub(crate) fn new(matching: Matching<'a>, stats: &Stats) -> Tabulating<'a> {
        Tabulating {
            matching,
            aggregation: Aggregation::new(stats),
            total: 0,
        }
    }

    /// False when the time ended first: the table is then of a part of the events.
    pub(crate) fn parts(&mut self, parts: &[Part<'_>]) -> Result<bool, SearchError> {
        for part in parts {
            let Some(plan) = self.matching.plan(part)? else {
                continue;
            };
            for reader in part.searcher.segment_readers() {
                if !self.segment(part, reader, &plan)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn segment(
        &mut self,
        part: &Part<'_>,
        reader: &SegmentReader,
        plan: &Plan,
    ) -> Result<bool, SearchError> {
        let Some(candidates) = plan.open(reader)? else {
            return Ok(true);
        };
        let sources = Sources::open(
            self.matching.schema,
            part.searcher,
            reader,
            &self.aggregation,
        )?;
        match sources {
            Some(sources) => self.by_columns(candidates, sources),
            None => {
                let store = reader
                    .get_store_reader(limits::VERIFY_BLOCKS_CACHED)
                    .map_err(tantivy::TantivyError::from)?;
                self.by_records(candidates, &store)
            }
        }
    }

    fn by_columns(
        &mut self,
        mut candidates: Candidates,
        mut sources: Sources,
    ) -> Result<bool, SearchError> {
        let mut slots: HashMap<Numbers, Option<Slot>> = HashMap::new();
        let remembers = sources.are_keys_numbers();
        loop {
            let count = match candidates.next_block(self.matching.deadline) {
                Block::Of(count) => count,
                Block::End => return Ok(true),
                Block::OutOfTime => return Ok(false),
            };
            for at in 0..count {
                if !self.matching.accepts(&mut candidates, at)? {
                    continue;
                }
                self.total += 1;
                let (doc, time_ns) = (candidates.doc(at), candidates.time_ns(at));
                let numbers = Numbers::of(&sources, doc, time_ns);
                let known = slots.get(&numbers).copied();
                let slot = match known {
                    Some(slot) => slot,
                    None => self.aggregation.group(&sources.key(doc, time_ns)?),
                };
                if known.is_none() && remembers {
                    if slots.len() >= limits::SLOTS_MAX {
                        slots.clear();
                    }
                    slots.insert(numbers, slot);
                }
                let Some(slot) = slot else {
                    continue;
                };
                self.aggregation.count(slot);
                for (input, source) in sources.inputs.iter_mut().enumerate() {
                    self.aggregation
                        .add(slot, input, &source.cell(doc, time_ns)?);
                }
            }
        }
    }

    fn by_records(
        &mut self,
        mut candidates: Candidates,
        store: &StoreReader,
    ) -> Result<bool, SearchError> {
        loop {
            let count = match candidates.next_block(self.matching.deadline) {
                Block::Of(count) => count,
                Block::End => return Ok(true),
                Block::OutOfTime => return Ok(false),
            };
            for at in 0..count {
                if !self.matching.accepts(&mut candidates, at)? {
                    continue;
                }
                self.total += 1;
                let doc = candidates.doc(at);
                let id = candidates.columns.id(doc);
                let record = read_record(store, doc, id, &mut self.matching.decoder)?;
                self.aggregation.add_event(&Event::parse(&record));
            }
        }
    }
}

impl Numbers {
    fn of(sources: &Sources, doc: DocId, time_ns: i64) -> Numbers {
        let mut found = Numbers {
            present: 0,
            numbers: [0; GROUP_KEYS_MAX],
        };
        for (key, source) in sources.keys.iter().enumerate() {
            if let Some(number) = source.number(doc, time_ns) {
                found.present |= 1 << key;
                found.numbers[key] = number;
            }
        }
        found
    }
}
