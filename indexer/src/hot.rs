//! Records in memory, searchable within a refresh: the segments of a split to be.
//!
//! Every refresh closes the documents since the last one into a small tantivy segment of its own in
//! memory, built on the calling thread: no writer threads, no merges, and a snapshot is exactly a list of
//! searchers. (An `IndexWriter` would start threads and rewrite its metadata at every commit.)

use std::{panic::AssertUnwindSafe, sync::Arc};

use logboom_event::{Encoding, Event, EventId, Record};
use tantivy::{
    Index, IndexSettings, Searcher, SingleSegmentIndexWriter, TantivyDocument,
    directory::RamDirectory,
    schema::Schema as TantivySchema,
    store::{Compressor, ZstdCompressor},
    tokenizer::TokenizerManager,
};

use crate::{
    error::Error,
    kind::Kind,
    limits,
    schema::{Schema, register_tokenizers, time_ns},
};

/// What every segment of the index has in common. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Mould {
    pub(crate) kind: Kind,
    pub(crate) schema: Arc<Schema>,
    tokenizers: TokenizerManager,
    /// Replaced by tests that need a record which cannot be indexed.
    pub(crate) document: fn(&Schema, &Record, &Event, EventId) -> TantivyDocument,
}

impl Mould {
    pub(crate) fn new(kind: Kind) -> Mould {
        let schema = Schema::of(kind);
        let index = Index::create_in_ram(schema.tantivy());
        register_tokenizers(&index);
        Mould {
            kind,
            schema: Arc::new(schema),
            tokenizers: index.tokenizers().clone(),
            document: Schema::document,
        }
    }

    pub(crate) fn tantivy(&self) -> TantivySchema {
        self.schema.tantivy()
    }

    /// Makes an index that was opened or merged searchable.
    pub(crate) fn searcher(&self, mut index: Index) -> Result<Searcher, Error> {
        index.set_tokenizers(self.tokenizers.clone());
        let reader = index
            .reader_builder()
            .reload_policy(tantivy::ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(limits::STORE_BLOCKS_CACHED)
            .try_into()
            .map_err(Error::index("open a segment"))?;
        Ok(reader.searcher())
    }
}

/// Settings of published splits. Hot segments differ only in how lines are compressed.
pub(crate) fn split_settings() -> IndexSettings {
    IndexSettings {
        docstore_compression: Compressor::Zstd(ZstdCompressor {
            compression_level: Some(limits::STORE_ZSTD_LEVEL),
        }),
        docstore_blocksize: limits::STORE_BLOCK_BYTES,
        // Our threads are counted: two cores serve everything.
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    }
}

fn hot_settings() -> IndexSettings {
    IndexSettings {
        docstore_compression: Compressor::Lz4,
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    }
}

/// What the metastore wants to know of the records in a split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) docs: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) arrival_max_ms: i64,
    pub(crate) time_min_ns: i64,
    pub(crate) time_max_ns: i64,
}

impl Extent {
    fn extend(&mut self, record: &Record, event: &Event, arrival_ms: i64) {
        let first = self.docs == 0;
        let time = time_ns(event);
        self.time_min_ns = if first {
            time
        } else {
            self.time_min_ns.min(time)
        };
        self.time_max_ns = if first {
            time
        } else {
            self.time_max_ns.max(time)
        };
        self.arrival_max_ms = if first {
            arrival_ms
        } else {
            self.arrival_max_ms.max(arrival_ms)
        };
        self.docs += 1;
        // Of what is stored: the events of one request each repeat what they share.
        self.raw_bytes += record.bytes() as u64;
    }
}

/// How much of a record a search can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Indexed {
    Whole,
    /// Its line and origin, not what the line says: indexing that failed.
    Bare,
    /// Nothing.
    Not,
}

/// The records of one split to be.
pub(crate) struct Hot {
    mould: Mould,
    /// Closed by a refresh; searchable.
    segments: Vec<Searcher>,
    ram_bytes: u64,
    /// Since the last refresh.
    open: Option<OpenSegment>,
    pub(crate) extent: Extent,
}

struct OpenSegment {
    directory: RamDirectory,
    writer: SingleSegmentIndexWriter<TantivyDocument>,
    /// What tantivy counts for an empty segment: pages that nothing has touched, 10 MiB of them.
    reserved_bytes: usize,
    /// All that went in, for building the segment again without a poisonous one. Lines share memory
    /// with the batches they came in, parts of a request have their own.
    records: Vec<Kept>,
    records_bytes: usize,
}

/// A record that went in.
struct Kept {
    record: Record,
    id: EventId,
    /// It went in by its bytes and origin alone, and must not be tried as parsed again.
    is_bare: bool,
}

impl Hot {
    pub(crate) fn new(mould: Mould) -> Hot {
        Hot {
            mould,
            segments: Vec::new(),
            ram_bytes: 0,
            open: None,
            extent: Extent::default(),
        }
    }

    pub(crate) fn add(
        &mut self,
        mut record: Record,
        event: &Event,
        id: EventId,
        arrival_ms: i64,
    ) -> Result<Indexed, Error> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(OpenSegment::new(&self.mould)?),
        };
        if open.add(&self.mould, &record, event, id) {
            self.extent.extend(&record, event, arrival_ms);
            open.keep(record, event, id);
            return Ok(Indexed::Whole);
        }
        // tantivy may have taken half of the document: its segment cannot be trusted any more.
        open.rebuild(&self.mould)?;
        // As bytes: whoever finds it must not read it as what could not be indexed.
        record.encoding = Encoding::Line;
        let event = Event::bare(&record);
        if open.add(&self.mould, &record, &event, id) {
            self.extent.extend(&record, &event, arrival_ms);
            open.keep(record, &event, id);
            return Ok(Indexed::Bare);
        }
        open.rebuild(&self.mould)?;
        Ok(Indexed::Not)
    }

    /// Makes everything added so far searchable.
    pub(crate) fn refresh(&mut self) -> Result<bool, Error> {
        let Some(open) = self.open.take() else {
            return Ok(false);
        };
        let index = open
            .writer
            .finalize()
            .map_err(Error::index("close a hot segment"))?;
        self.ram_bytes += open.directory.total_mem_usage() as u64;
        self.segments.push(self.mould.searcher(index)?);
        Ok(true)
    }

    pub(crate) fn searchers(&self) -> &[Searcher] {
        &self.segments
    }

    pub(crate) fn into_searchers(self) -> Vec<Searcher> {
        self.segments
    }

    pub(crate) fn ram_bytes(&self) -> u64 {
        self.ram_bytes + self.open_ram_bytes() as u64
    }

    /// Memory of what a refresh would close.
    pub(crate) fn open_ram_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, OpenSegment::ram_bytes)
    }
}

impl OpenSegment {
    fn new(mould: &Mould) -> Result<OpenSegment, Error> {
        let directory = RamDirectory::create();
        let writer = Index::builder()
            .schema(mould.tantivy())
            .settings(hot_settings())
            .tokenizers(mould.tokenizers.clone())
            .single_segment_index_writer(directory.clone(), limits::SEGMENT_BUDGET_BYTES)
            .map_err(Error::index("open a hot segment"))?;
        Ok(OpenSegment {
            directory,
            reserved_bytes: writer.mem_usage(),
            writer,
            records: Vec::new(),
            records_bytes: 0,
        })
    }

    fn ram_bytes(&self) -> usize {
        let used = self.writer.mem_usage();
        used.saturating_sub(self.reserved_bytes) + self.records_bytes
    }

    fn keep(&mut self, record: Record, event: &Event, id: EventId) {
        self.records_bytes += record.bytes();
        self.records.push(Kept {
            record,
            id,
            is_bare: event.parse_failed,
        });
    }

    /// False when tantivy refused the document or panicked over it.
    fn add(&mut self, mould: &Mould, record: &Record, event: &Event, id: EventId) -> bool {
        let add = || {
            let document = (mould.document)(&mould.schema, record, event, id);
            self.writer.add_document(document)
        };
        match std::panic::catch_unwind(AssertUnwindSafe(add)) {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%id, %error, "a record cannot be indexed as parsed");
                false
            }
            Err(_) => {
                tracing::error!(%id, "a record cannot be indexed as parsed: that panicked");
                false
            }
        }
    }

    /// Builds the segment again, of what went in before.
    fn rebuild(&mut self, mould: &Mould) -> Result<(), Error> {
        let former = std::mem::replace(self, OpenSegment::new(mould)?);
        for kept in former.records {
            let event = match kept.is_bare {
                true => Event::bare(&kept.record),
                false => parse(&kept.record),
            };
            let again = self.add(mould, &kept.record, &event, kept.id);
            debug_assert!(again, "what was indexed once is indexed again");
            self.keep(kept.record, &event, kept.id);
        }
        Ok(())
    }
}

/// `Event::parse` is total; were it not, one line must not stop the indexer for ever.
pub(crate) fn parse(record: &Record) -> Event {
    std::panic::catch_unwind(|| Event::parse(record)).unwrap_or_else(|_| {
        tell_panic(record);
        Event::bare(record)
    })
}

/// The events of a record, each with the record that it alone would be. Where making one panics, the whole record
/// comes as bytes in its place and ends them.
pub(crate) fn events(record: Record) -> impl Iterator<Item = (Record, Event)> {
    let mut whole = Some(record);
    let mut items = None;
    std::iter::from_fn(move || {
        // By far the most frequent, and not copied.
        if let Some(line) = whole.take_if(|record| record.encoding == Encoding::Line) {
            let event = parse(&line);
            return Some((line, event));
        }
        let record = whole.as_ref()?;
        let next = || {
            let items = items.get_or_insert_with(|| Event::all(record.clone()));
            items.next()
        };
        std::panic::catch_unwind(AssertUnwindSafe(next)).unwrap_or_else(|_| {
            let mut whole = whole.take()?;
            whole.encoding = Encoding::Line;
            tell_panic(&whole);
            let event = Event::bare(&whole);
            Some((whole, event))
        })
    })
}

fn tell_panic(record: &Record) {
    let Record {
        topic,
        partition,
        offset,
        ..
    } = record;
    tracing::error!(
        topic = &**topic,
        partition,
        offset,
        "parsing a record panicked"
    );
}
