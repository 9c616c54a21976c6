//! One pass over the parts of a snapshot: counts, histogram and first page together.

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

use super::cursor::{Order, Place};
use super::error::SearchError;
use super::histogram::Counts;
use super::limits;
use super::plan::Planner;
use super::stored::{Decoder, StoredError};
use super::top::{Found, Top};
use crate::schema::{self, Schema};

/// A split or a hot segment, with bounds of its events' times.
pub(crate) struct Part<'a> {
    pub(crate) searcher: &'a Searcher,
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
}

/// What is asked, and what is known of the answer so far.
pub(crate) struct Scan<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) query: &'a Query,
    pub(crate) range: Range<i64>,
    pub(crate) order: Order,
    /// The page begins after this place.
    pub(crate) after: Option<Place>,
    pub(crate) deadline: Instant,
    pub(crate) total: u64,
    pub(crate) top: Top,
    pub(crate) counts: Option<Counts>,
    pub(crate) decoder: Decoder,
}

/// Whether the whole part was read before the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    OutOfTime,
}

impl Scan<'_> {
    pub(crate) fn part(&mut self, number: usize, part: &Part<'_>) -> Result<Outcome, SearchError> {
        if part.last_ns < self.range.start || part.first_ns >= self.range.end {
            return Ok(Outcome::Done);
        }
        let planner = Planner {
            schema: self.schema,
            searcher: part.searcher,
        };
        let bounds = planner.plan(&self.query.expr)?;
        let scoring = || EnableScoring::disabled_from_searcher(part.searcher);
        let maybe = bounds.maybe.into_query().weight(scoring())?;
        let surely = bounds
            .surely
            .map(|docs| docs.into_query().weight(scoring()))
            .transpose()?;
        for (ordinal, reader) in (0..).zip(part.searcher.segment_readers()) {
            let outcome =
                self.segment(number, ordinal, reader, maybe.as_ref(), surely.as_deref())?;
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
        maybe: &dyn Weight,
        surely: Option<&dyn Weight>,
    ) -> Result<Outcome, SearchError> {
        let mut candidates = maybe.scorer(reader, 1.0)?;
        if candidates.doc() == TERMINATED {
            return Ok(Outcome::Done);
        }
        let columns = Columns::open(reader)?;
        let mut judge = match surely {
            Some(weight) => Some(Judge {
                surely: weight.scorer(reader, 1.0)?,
                store: reader
                    .get_store_reader(limits::VERIFY_BLOCKS_CACHED)
                    .map_err(tantivy::TantivyError::from)?,
            }),
            None => None,
        };
        let mut docs = [0; COLLECT_BLOCK_BUFFER_LEN];
        let (mut times, mut levels) = ([0; limits::BLOCK_DOCS], [0; limits::BLOCK_DOCS]);
        loop {
            if Instant::now() >= self.deadline {
                return Ok(Outcome::OutOfTime);
            }
            let count = candidates.fill_buffer(&mut docs);
            if count == 0 {
                return Ok(Outcome::Done);
            }
            let (docs, times, levels) = (&docs[..count], &mut times[..count], &mut levels[..count]);
            columns.time.get_vals(docs, times);
            if self.counts.is_some() {
                columns.level.get_vals(docs, levels);
            }
            for ((&doc, &time_ns), &level) in docs.iter().zip(&*times).zip(&*levels) {
                if !self.range.contains(&time_ns) {
                    continue;
                }
                if let Some(judge) = &mut judge
                    && !judge.is_sure(doc)
                    && !self.verify(&judge.store, doc, columns.id(doc))?
                {
                    continue;
                }
                self.total += 1;
                if let Some(counts) = &mut self.counts {
                    counts.add(time_ns, level);
                }
                if self.top.may_take(time_ns) {
                    let place = Place {
                        time_ns,
                        id: columns.id(doc),
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
            if judge.is_some() && Instant::now() >= self.deadline {
                return Ok(Outcome::OutOfTime);
            }
        }
    }

    /// Asks the oracle. Most lines are settled by their raw text, without being parsed; the text of what came by OTLP
    /// is known only then.
    fn verify(
        &mut self,
        store: &StoreReader,
        doc: DocId,
        id: EventId,
    ) -> Result<bool, SearchError> {
        let record = read_record(store, doc, id, &mut self.decoder)?;
        let verdict = match record.encoding {
            Encoding::Line => raw_verdict(self.query, &String::from_utf8_lossy(&record.value)),
            Encoding::OtlpLogs | Encoding::OtlpSpans => None,
        };
        Ok(
            verdict
                .unwrap_or_else(|| matches_with_id(self.query, &Event::parse(&record), Some(id))),
        )
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

struct Columns {
    time: Arc<dyn ColumnValues<i64>>,
    level: Arc<dyn ColumnValues<u64>>,
    home: Arc<dyn ColumnValues<u64>>,
    offset: Arc<dyn ColumnValues<u64>>,
    index: Arc<dyn ColumnValues<u64>>,
}

impl Columns {
    fn open(reader: &SegmentReader) -> tantivy::Result<Columns> {
        let columns = reader.fast_fields();
        Ok(Columns {
            time: values(columns.i64(schema::TIME)?),
            level: values(columns.u64(schema::LEVEL)?),
            home: values(columns.u64(schema::HOME)?),
            offset: values(columns.u64(schema::OFFSET)?),
            index: values(columns.u64(schema::INDEX)?),
        })
    }

    fn id(&self, doc: DocId) -> EventId {
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
fn values<T: PartialOrd + Copy + std::fmt::Debug + Default + Send + Sync + 'static>(
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
