//! The matches of a query in one part of a snapshot, a block at a time. Who counts, makes tables or looks
//! for traces decides what becomes of each, and may pass over a candidate before it is verified.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use logboom_event::{Encoding, Event, EventId, Record};
use logboom_query::{Query, matches_with_id, raw_verdict};
use tantivy::columnar::{Column, ColumnIndex, ColumnValues};
use tantivy::query::{EnableScoring, Scorer, Weight};
use tantivy::schema::Field;
use tantivy::schema::document::{DeserializeError, DocumentDeserialize, DocumentDeserializer};
use tantivy::store::StoreReader;
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet, Searcher, SegmentReader, TERMINATED};

use super::error::SearchError;
use super::limits;
use super::plan::Planner;
use super::stored::{Decoder, StoredError};
use crate::schema::{self, Schema};

/// A split or a hot segment, with bounds of its events' times.
pub(crate) struct Part<'a> {
    pub(crate) searcher: &'a Searcher,
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
}

impl Part<'_> {
    pub(crate) fn is_within_reach(&self, range: &Range<i64>) -> bool {
        self.last_ns >= range.start && self.first_ns < range.end
    }
}

/// Which events, and until when they are looked for.
pub(crate) struct Matching<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) query: &'a Query,
    pub(crate) range: Range<i64>,
    pub(crate) deadline: Instant,
    pub(crate) decoder: Decoder,
}

/// The query as one searcher's index can answer it.
pub(crate) struct Plan {
    maybe: Box<dyn Weight>,
    surely: Option<Box<dyn Weight>>,
}

/// Documents of one segment that may match.
pub(crate) struct Candidates {
    scorer: Box<dyn Scorer>,
    judge: Option<Judge>,
    pub(crate) columns: Columns,
    docs: [DocId; limits::BLOCK_DOCS],
    times: [i64; limits::BLOCK_DOCS],
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    /// So many candidates; never none.
    Of(usize),
    End,
    OutOfTime,
}

impl Matching<'_> {
    /// `None`: nothing in this part is in the range.
    pub(crate) fn plan(&self, part: &Part<'_>) -> Result<Option<Plan>, SearchError> {
        if !part.is_within_reach(&self.range) {
            return Ok(None);
        }
        let planner = Planner {
            schema: self.schema,
            searcher: part.searcher,
        };
        let bounds = planner.plan(&self.query.expr)?;
        let scoring = || EnableScoring::disabled_from_searcher(part.searcher);
        Ok(Some(Plan {
            maybe: bounds.maybe.into_query().weight(scoring())?,
            surely: bounds
                .surely
                .map(|docs| docs.into_query().weight(scoring()))
                .transpose()?,
        }))
    }

    /// Does the `at`-th candidate of the block match? To be asked in ascending order.
    pub(crate) fn accepts(
        &mut self,
        candidates: &mut Candidates,
        at: usize,
    ) -> Result<bool, SearchError> {
        let doc = candidates.docs[at];
        if !self.range.contains(&candidates.times[at]) {
            return Ok(false);
        }
        match &mut candidates.judge {
            Some(judge) => {
                Ok(judge.is_sure(doc)
                    || self.verify(&judge.store, doc, candidates.columns.id(doc))?)
            }
            None => Ok(true),
        }
    }

    /// Asks the oracle. Most lines are settled by their raw text, without being parsed.
    fn verify(
        &mut self,
        store: &StoreReader,
        doc: DocId,
        id: EventId,
    ) -> Result<bool, SearchError> {
        let record = read_record(store, doc, id, &mut self.decoder)?;
        let by_line = (record.encoding == Encoding::Line)
            .then(|| raw_verdict(self.query, &String::from_utf8_lossy(&record.value)))
            .flatten();
        Ok(match by_line {
            Some(verdict) => verdict,
            None => matches_with_id(self.query, &Event::parse(&record), Some(id)),
        })
    }
}

impl Plan {
    /// `None`: nothing in this segment matches.
    pub(crate) fn open(&self, reader: &SegmentReader) -> Result<Option<Candidates>, SearchError> {
        let scorer = self.maybe.scorer(reader, 1.0)?;
        if scorer.doc() == TERMINATED {
            return Ok(None);
        }
        let judge = match &self.surely {
            Some(weight) => Some(Judge {
                surely: weight.scorer(reader, 1.0)?,
                store: reader
                    .get_store_reader(limits::VERIFY_BLOCKS_CACHED)
                    .map_err(tantivy::TantivyError::from)?,
            }),
            None => None,
        };
        Ok(Some(Candidates {
            scorer,
            judge,
            columns: Columns::open(reader)?,
            docs: [0; COLLECT_BLOCK_BUFFER_LEN],
            times: [0; limits::BLOCK_DOCS],
        }))
    }
}

impl Candidates {
    pub(crate) fn next_block(&mut self, deadline: Instant) -> Block {
        if Instant::now() >= deadline {
            return Block::OutOfTime;
        }
        match self.scorer.fill_buffer(&mut self.docs) {
            0 => Block::End,
            count => {
                let times = &mut self.times[..count];
                self.columns.time.get_vals(&self.docs[..count], times);
                Block::Of(count)
            }
        }
    }

    /// All of the block.
    pub(crate) fn docs(&self, count: usize) -> &[DocId] {
        &self.docs[..count]
    }

    pub(crate) fn doc(&self, at: usize) -> DocId {
        self.docs[at]
    }

    pub(crate) fn time_ns(&self, at: usize) -> i64 {
        self.times[at]
    }
}

/// Decides which candidates need verification. Documents must come in ascending order.
struct Judge {
    surely: Box<dyn Scorer>,
    store: StoreReader,
}

impl Judge {
    fn is_sure(&mut self, doc: DocId) -> bool {
        let at = self.surely.doc();
        at == doc || (at < doc && self.surely.seek(doc) == doc)
    }
}

/// What all indexes have of their events.
pub(crate) struct Columns {
    pub(crate) time: Arc<dyn ColumnValues<i64>>,
    pub(crate) level: Arc<dyn ColumnValues<u64>>,
    home: Arc<dyn ColumnValues<u64>>,
    offset: Arc<dyn ColumnValues<u64>>,
    index: Arc<dyn ColumnValues<u64>>,
}

impl Columns {
    pub(crate) fn open(reader: &SegmentReader) -> tantivy::Result<Columns> {
        let columns = reader.fast_fields();
        Ok(Columns {
            time: values(columns.i64(schema::TIME)?),
            level: values(columns.u64(schema::LEVEL)?),
            home: values(columns.u64(schema::HOME)?),
            offset: values(columns.u64(schema::OFFSET)?),
            index: values(columns.u64(schema::INDEX)?),
        })
    }

    pub(crate) fn id(&self, doc: DocId) -> EventId {
        let home = self.home.get_val(doc);
        EventId {
            incarnation: (home >> 32) as u32,
            partition: (home as u32).cast_signed(),
            offset: self.offset.get_val(doc).cast_signed(),
            index: self.index.get_val(doc) as u32,
        }
    }
}

/// Every document has a value in each column; the plain values are then the fastest view.
pub(crate) fn values<T: PartialOrd + Copy + std::fmt::Debug + Default + Send + Sync + 'static>(
    column: Column<T>,
) -> Arc<dyn ColumnValues<T>> {
    match column.index {
        ColumnIndex::Full => column.values,
        _ => column.first_or_default_col(T::default()),
    }
}

/// Bounds of the times in a searcher; `None` when it is empty.
pub(crate) fn time_bounds(searcher: &Searcher) -> tantivy::Result<Option<(i64, i64)>> {
    let mut bounds: Option<(i64, i64)> = None;
    for reader in searcher
        .segment_readers()
        .iter()
        .filter(|reader| reader.max_doc() > 0)
    {
        let times = reader.fast_fields().i64(schema::TIME)?;
        let (first, last) = bounds.unwrap_or((i64::MAX, i64::MIN));
        bounds = Some((first.min(times.min_value()), last.max(times.max_value())));
    }
    Ok(bounds)
}

pub(crate) fn read_record(
    store: &StoreReader,
    doc: DocId,
    id: EventId,
    decoder: &mut Decoder,
) -> Result<Record, SearchError> {
    let Encoded(bytes) = store.get(doc)?;
    Ok(decoder.decode(&bytes.ok_or(StoredError::Missing)?, id)?)
}

/// The one stored field, without the detour over a document.
pub(crate) struct Encoded(pub(crate) Option<Bytes>);

impl DocumentDeserialize for Encoded {
    fn deserialize<'de, D>(mut deserializer: D) -> Result<Encoded, DeserializeError>
    where
        D: DocumentDeserializer<'de>,
    {
        let field: Option<(Field, Vec<u8>)> = deserializer.next_field()?;
        Ok(Encoded(field.map(|(_, bytes)| Bytes::from(bytes))))
    }
}
