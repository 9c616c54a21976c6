//! A machine whose indexer can die: its directory and the queue's log outlive the indexer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use logboom_client::{Checkpoint, Marks};
use logboom_event::{Context, EventId, Format, Origin, Record, SourceId};
use logboom_metastore::Database;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use tantivy::{DocAddress, TantivyDocument, schema::document::Value as _};

use crate::{
    build::{Builder, Sealed},
    catalog::{Catalog, Snapshot},
    error::Error,
    hot::Mould,
    kind::Kind,
    position::Position,
    publish::{Passes, Publisher, Step},
    recover,
    schema::Schema,
    search::stored,
    tables,
};

pub(crate) const NOON_MS: i64 = 1_767_268_800_000;

/// What survives: the disk and the queue.
pub(crate) struct Machine {
    pub(super) folder: TempDir,
    pub(crate) topic: Arc<str>,
    /// The log of every partition.
    pub(crate) log: Vec<Vec<Record>>,
    /// What the clock says.
    pub(crate) now_ms: i64,
}

impl Machine {
    pub(crate) fn new(partitions: usize) -> Machine {
        Machine {
            folder: TempDir::new().unwrap(),
            topic: Arc::from("logs"),
            log: vec![Vec::new(); partitions],
            now_ms: NOON_MS,
        }
    }

    /// Appends a line of a source; the same `number` again is the agent's retry.
    pub(crate) fn append(&mut self, partition: usize, source: u8, number: u64, arrival_ms: i64) {
        let context = Context {
            host: "web-1".into(),
            path: format!("/var/log/{source}.log"),
            service: None,
            format: Format::Auto,
            timezone: None,
        };
        let origin = Origin {
            source: SourceId([source; 16]),
            prev: number * 100,
            offset: number * 100,
            end: (number + 1) * 100,
            continues: false,
            true_len: None,
            context: Arc::new(context),
        };
        let value = format!("line {number} of source {source} token{}", number % 7);
        self.push(partition, value, Some(origin), arrival_ms);
    }

    pub(crate) fn push(
        &mut self,
        partition: usize,
        value: impl Into<Bytes>,
        origin: Option<Origin>,
        arrival_ms: i64,
    ) {
        let log = &mut self.log[partition];
        log.push(Record {
            topic: Arc::clone(&self.topic),
            partition: partition as i32,
            offset: log.len() as i64,
            timestamp_ms: arrival_ms,
            encoding: logboom_event::Encoding::Line,
            key: None,
            value: value.into(),
            origin,
            headers: Vec::new(),
        });
    }

    pub(super) async fn start(&self) -> Life {
        self.start_with(Arc::new(|_| true)).await
    }

    /// As `run` does it, with the log in place of the queue.
    pub(super) async fn start_with(&self, passes: Passes) -> Life {
        let splits_dir = self.folder.path().join("splits");
        let database = Database::open(self.folder.path().join("metastore.db"), tables::MIGRATIONS)
            .await
            .unwrap();
        let epoch = tables::take_ownership(&database).await.unwrap();
        let mould = Mould::new(Schema::of(Kind::Logs));
        let catalog = Arc::new(Catalog::default());
        catalog.load(
            recover::recover(&database, &splits_dir, &mould)
                .await
                .unwrap(),
        );
        let mut builder = Builder::new(mould.clone());
        for partition in 0..self.log.len() as i32 {
            let stored = tables::checkpoint(&database, &self.topic, partition)
                .await
                .unwrap();
            let (checkpoint, marks) = match stored {
                Some(stored) => stored,
                None => {
                    let first = Checkpoint {
                        incarnation: 1,
                        next_offset: 0,
                        last_crc: None,
                    };
                    tables::establish(
                        &database,
                        epoch,
                        &self.topic,
                        partition,
                        first,
                        &Marks::default(),
                    )
                    .await
                    .unwrap();
                    (first, Marks::default())
                }
            };
            builder.place(&self.topic, partition, Position::new(checkpoint, marks));
        }
        let abort = CancellationToken::new();
        let publisher = Publisher {
            database,
            epoch,
            splits_dir,
            mould,
            catalog: Arc::clone(&catalog),
            abort,
            passes,
        };
        Life {
            builder,
            publisher,
            catalog,
        }
    }
}

/// One life of the indexer's process.
pub(super) struct Life {
    pub(super) builder: Builder,
    pub(super) publisher: Publisher,
    pub(super) catalog: Arc<Catalog>,
}

impl Life {
    /// Takes up to `records_max` records of a partition from where it stands, and makes them searchable.
    pub(super) fn consume(
        &mut self,
        machine: &Machine,
        partition: usize,
        records_max: usize,
    ) -> usize {
        let next = self
            .builder
            .position(&machine.topic, partition as i32)
            .unwrap()
            .current()
            .next_offset as usize;
        let records: Vec<Record> = machine.log[partition]
            .iter()
            .skip(next)
            .take(records_max)
            .cloned()
            .collect();
        let taken = records.len();
        self.builder
            .add(records, machine.now_ms, |_, _, _| {})
            .unwrap();
        self.refresh();
        taken
    }

    pub(super) fn consume_all(&mut self, machine: &Machine) {
        for partition in 0..machine.log.len() {
            self.consume(machine, partition, usize::MAX);
        }
    }

    pub(super) fn refresh(&mut self) {
        let searchers = self.builder.refresh().unwrap();
        self.catalog.refresh(searchers);
    }

    pub(super) fn seal(&mut self) -> Sealed {
        let sealed = self.builder.seal(NOON_MS);
        self.catalog.seal();
        sealed
    }

    pub(super) async fn publish(&mut self) -> Result<(), Error> {
        let sealed = self.seal();
        self.publisher
            .publish_until_done(&sealed, &CancellationToken::new())
            .await
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.catalog.snapshot()
    }
}

/// Dies at the `nth` step passed, counted from 1; 0 never.
pub(super) fn dies_at(nth: usize) -> Passes {
    let passed = AtomicUsize::new(0);
    Arc::new(move |_: Step| passed.fetch_add(1, Ordering::Relaxed) + 1 != nth)
}

/// The line of every document, sorted: twice when it is indexed twice.
pub(super) fn lines(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    // Only the line is looked at.
    let id = EventId {
        incarnation: 1,
        partition: 0,
        offset: 0,
        index: 0,
    };
    let mut decoder = stored::Decoder::default();
    let field = Schema::of(Kind::Logs)
        .tantivy()
        .get_field("record")
        .unwrap();
    let searchers = snapshot
        .splits
        .iter()
        .map(|split| &split.searcher)
        .chain(&snapshot.hot);
    for searcher in searchers {
        for (at, segment) in searcher.segment_readers().iter().enumerate() {
            for doc in segment.doc_ids_alive() {
                let document: TantivyDocument =
                    searcher.doc(DocAddress::new(at as u32, doc)).unwrap();
                let stored = document
                    .get_first(field)
                    .and_then(|value| value.as_bytes())
                    .unwrap();
                let record = decoder.decode(&Bytes::copy_from_slice(stored), id).unwrap();
                lines.push(String::from_utf8(record.value.to_vec()).unwrap());
            }
        }
    }
    lines.sort();
    lines
}
