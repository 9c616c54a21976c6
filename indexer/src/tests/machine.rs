//! A machine whose indexer can die: its directory and the queue's log outlive the indexer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use logboom_client::{Checkpoint, Marks};
use logboom_event::{
    Context, Encoding, Event, EventId, Origin, Record, SourceId,
    otlp::{Request, Signal},
};
use logboom_metastore::Database;
use serde_json::json;
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
    recover::{self, Moulds},
    schema::Schema,
    search::stored,
    tables,
};

pub(crate) const NOON_MS: i64 = 1_767_268_800_000;

/// What survives: the disk and the queue, as one index sees them.
pub(crate) struct Machine {
    pub(super) folder: Arc<TempDir>,
    pub(super) index: Arc<str>,
    kind: Kind,
    encoding: Encoding,
    pub(crate) topic: Arc<str>,
    /// The log of every partition.
    pub(crate) log: Vec<Vec<Record>>,
    /// What the clock says.
    pub(crate) now_ms: i64,
}

impl Machine {
    pub(crate) fn new(partitions: usize) -> Machine {
        Machine {
            folder: Arc::new(TempDir::new().unwrap()),
            index: Arc::from("logs"),
            kind: Kind::Logs,
            encoding: Encoding::Line,
            topic: Arc::from("logs"),
            log: vec![Vec::new(); partitions],
            now_ms: NOON_MS,
        }
    }

    /// The index of spans on the same disk.
    pub(crate) fn of_spans_beside(other: &Machine, partitions: usize) -> Machine {
        Machine {
            folder: Arc::clone(&other.folder),
            index: Arc::from("spans"),
            kind: Kind::Spans,
            encoding: Encoding::OtlpSpans,
            topic: Arc::from("otlp_spans"),
            log: vec![Vec::new(); partitions],
            now_ms: NOON_MS,
        }
    }

    /// Appends one request of spans that are called by these numbers.
    pub(crate) fn push_spans(&mut self, partition: usize, numbers: std::ops::Range<u64>) {
        let span = |number: u64| {
            json!({
                "traceId": format!("{:032x}", number / 7 + 1), "spanId": format!("{:016x}", number + 1),
                "name": format!("span {number}"), "kind": 2,
                "startTimeUnixNano": (NOON_MS as u64 * 1_000_000 + number).to_string(),
                "endTimeUnixNano": (NOON_MS as u64 * 1_000_000 + number * 3).to_string(),
            })
        };
        let spans: Vec<_> = numbers.map(span).collect();
        let body = json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]},
            "scopeSpans": [{"spans": spans}],
        }]});
        let body = serde_json::to_vec(&body).unwrap();
        let request = Request::from_json(Signal::Spans, &body).unwrap();
        self.push(partition, request.body().clone(), None, NOON_MS);
    }

    /// Appends a line of a source; the same `number` again is the agent's retry.
    pub(crate) fn append(&mut self, partition: usize, source: u8, number: u64, arrival_ms: i64) {
        let context = Context::new("web-1", format!("/var/log/{source}.log"));
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
            encoding: self.encoding,
            key: None,
            value: value.into(),
            origin,
            headers: Vec::new(),
        });
    }

    pub(super) async fn start(&self) -> Life {
        self.start_with(Arc::new(|_| true)).await
    }

    pub(super) async fn start_with(&self, passes: Passes) -> Life {
        Machine::start_all(&[self], passes).await.remove(0)
    }

    /// As `run` does it, with the logs in place of the queue: one process, an index for each of the machines, which
    /// share a disk.
    pub(super) async fn start_all(machines: &[&Machine], passes: Passes) -> Vec<Life> {
        let splits_dir = machines[0].folder.path().join("splits");
        let path = machines[0].folder.path().join("metastore.db");
        let database = Database::open(path, tables::MIGRATIONS).await.unwrap();
        let epoch = tables::take_ownership(&database).await.unwrap();
        let named = |machine: &&Machine| (Arc::clone(&machine.index), Mould::new(machine.kind));
        let moulds: Moulds = machines.iter().map(named).collect();
        for (name, mould) in &moulds {
            tables::know_index(&database, epoch, name, mould.kind, NOON_MS)
                .await
                .unwrap();
        }
        let mut splits = recover::recover(&database, &splits_dir, &moulds)
            .await
            .unwrap();
        let mut lives = Vec::new();
        for machine in machines {
            let catalog = Arc::new(Catalog::new(machine.kind));
            catalog.load(splits.remove(&machine.index).unwrap_or_default());
            let publisher = Publisher {
                index: Arc::clone(&machine.index),
                database: database.clone(),
                epoch,
                splits_dir: splits_dir.clone(),
                mould: moulds[&machine.index].clone(),
                catalog,
                abort: CancellationToken::new(),
                passes: Arc::clone(&passes),
            };
            lives.push(machine.live(publisher).await);
        }
        lives
    }

    async fn live(&self, publisher: Publisher) -> Life {
        let (database, epoch) = (&publisher.database, publisher.epoch);
        let mut builder = Builder::new(publisher.mould.clone(), 64 << 20);
        for partition in 0..self.log.len() as i32 {
            let stored = tables::checkpoint(database, &self.topic, partition).await;
            let (checkpoint, marks) = match stored.unwrap() {
                Some(stored) => stored,
                None => {
                    let first = Checkpoint {
                        incarnation: 1,
                        next_offset: 0,
                        last_crc: None,
                    };
                    let (topic, marks) = (&self.topic, Marks::default());
                    tables::establish(database, epoch, topic, partition, first, &marks)
                        .await
                        .unwrap();
                    (first, marks)
                }
            };
            builder.place(&self.topic, partition, Position::new(checkpoint, marks));
        }
        Life {
            builder,
            catalog: Arc::clone(&publisher.catalog),
            publisher,
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

/// The line, or the span's name, of every document, sorted: twice when it is indexed twice.
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
                lines.push(match record.encoding {
                    Encoding::Line => String::from_utf8_lossy(&record.value).into_owned(),
                    _ => Event::parse(&record).body().into_owned(),
                });
            }
        }
    }
    lines.sort();
    lines
}
