//! How dear indexing is and how fast searches are: a million small lines in splits of 100,000.
//!
//!     cargo run --release -p logboom-indexer --example search_speed [LINES]
//!
//! Single-threaded throughout; memory only, so it measures CPU, not the disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use logboom_event::{Context, Event, EventId, Origin, Record, SourceId};
use logboom_indexer::schema::{Schema, register_tokenizers};
use logboom_indexer::search::{Budget, SearchRequest, execute};
use logboom_indexer::{Kind, Snapshot};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tantivy::directory::RamDirectory;
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::{Index, IndexSettings, Searcher, SingleSegmentIndexWriter, TantivyDocument};

const SPLIT_LINES: usize = 100_000;
const BASE_MS: i64 = 1_769_846_400_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lines: usize = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |text| text.parse())?;
    let mut rng = StdRng::seed_from_u64(1);
    let context = Arc::new(Context {
        service: Some("checkout".to_owned()),
        ..Context::new("web-1", "/var/log/app/checkout.log")
    });
    let (mut hot, mut bytes) = (Vec::new(), 0);
    let (mut parsing, mut indexing, mut index_bytes) = (Duration::ZERO, Duration::ZERO, 0);
    for first in (0..lines).step_by(SPLIT_LINES) {
        let records: Vec<Record> = (first..lines.min(first + SPLIT_LINES))
            .map(|at| record(&mut rng, at, &context))
            .collect();
        bytes += records
            .iter()
            .map(|record| record.value.len())
            .sum::<usize>();
        let begun = Instant::now();
        let events: Vec<Event> = records.iter().map(Event::parse).collect();
        parsing += begun.elapsed();
        let begun = Instant::now();
        let (searcher, size) = segment(&records, &events)?;
        indexing += begun.elapsed();
        index_bytes += size;
        hot.push(searcher);
    }
    let megabytes = bytes as f64 / 1e6;
    println!(
        "{lines} lines, {megabytes:.1} MB raw, index {:.1} MB ({:.2}×)",
        index_bytes as f64 / 1e6,
        bytes as f64 / index_bytes as f64
    );
    println!(
        "parse  {:7.1} MB/s, {:5.2} µs a line",
        megabytes / parsing.as_secs_f64(),
        parsing.as_secs_f64() * 1e6 / lines as f64
    );
    println!(
        "index  {:7.1} MB/s, {:5.2} µs a line",
        megabytes / indexing.as_secs_f64(),
        indexing.as_secs_f64() * 1e6 / lines as f64
    );

    let snapshot = Snapshot {
        kind: Kind::Logs,
        splits: Vec::new(),
        hot,
        complete: true,
    };
    for (name, q, histogram) in [
        ("word, 10 % of lines", "timeout", None),
        ("word, all lines", "request", None),
        ("rare word", "r424242", None),
        ("phrase", "\"connection timeout\"", None),
        ("field", "service:checkout level:error", None),
        ("wildcard", "r4242*", None),
        (
            "range of time",
            "timestamp:[\"2026-01-31 08:01\" TO *]",
            None,
        ),
        ("NOT", "timeout -level:error", None),
        ("body", "body:timeout", None),
        ("regex, literals", "/duration=49\\d\\dms/", None),
        ("regex, no literals", "/[4]{3}[0-9]x?m/", None),
        ("everything, histogram", "*", Some(60)),
        ("word, histogram", "timeout", Some(60)),
    ] {
        let request = SearchRequest {
            q: q.to_owned(),
            histogram,
            ..SearchRequest::default()
        };
        let query = logboom_query::parse(q)?;
        let mut times = Vec::new();
        let mut total = None;
        for _ in 0..5 {
            let begun = Instant::now();
            let budget = Budget::within(Duration::from_secs(60));
            total = execute(&snapshot, &query, &request, budget)?.total;
            times.push(begun.elapsed());
        }
        times.sort();
        println!(
            "{name:24} {q:32} {:9} hits {:9.2} ms",
            total.unwrap_or_default(),
            times[2].as_secs_f64() * 1e3
        );
    }
    Ok(())
}

fn record(rng: &mut StdRng, at: usize, context: &Arc<Context>) -> Record {
    let level = ["INFO", "INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR"][rng.random_range(0..7)];
    let what = [
        "connection timeout",
        "served from cache",
        "connection accepted",
        "user logged in",
        "retry scheduled",
    ];
    let what = if rng.random_range(0..10) == 0 {
        what[0]
    } else {
        what[rng.random_range(1..5)]
    };
    let line = format!(
        "2026-01-31 08:{:02}:{:02},{:03} {level} app.Checkout: request r{at} {what} status={} duration={}ms from 10.0.{}.{}",
        at / 60_000 % 60,
        at / 1000 % 60,
        at % 1000,
        [200, 200, 200, 404, 503][rng.random_range(0..5)],
        rng.random_range(1..6_000),
        rng.random_range(0..256),
        rng.random_range(0..256),
    );
    let offset = at as u64 * 120;
    Record {
        topic: Arc::from("logs"),
        partition: (at % 4) as i32,
        offset: at as i64,
        timestamp_ms: BASE_MS + at as i64,
        encoding: logboom_event::Encoding::Line,
        key: None,
        value: Bytes::from(line),
        origin: Some(Origin {
            source: SourceId([7; 16]),
            prev: offset,
            offset,
            end: offset + 120,
            continues: false,
            true_len: None,
            context: Arc::clone(context),
        }),
        headers: Vec::new(),
    }
}

fn segment(records: &[Record], events: &[Event]) -> tantivy::Result<(Searcher, usize)> {
    let schema = Schema::of(Kind::Logs);
    let prototype = Index::create_in_ram(schema.tantivy());
    register_tokenizers(&prototype);
    let directory = RamDirectory::create();
    let settings = IndexSettings {
        docstore_compression: Compressor::Zstd(ZstdCompressor {
            compression_level: Some(3),
        }),
        docstore_blocksize: 64 << 10,
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    };
    let mut writer: SingleSegmentIndexWriter<TantivyDocument> = Index::builder()
        .schema(schema.tantivy())
        .settings(settings)
        .tokenizers(prototype.tokenizers().clone())
        .single_segment_index_writer(directory.clone(), 1 << 30)?;
    for (record, event) in records.iter().zip(events) {
        let id = EventId {
            incarnation: 0,
            partition: record.partition,
            offset: record.offset,
            index: 0,
        };
        writer.add_document(schema.document(record, event, id))?;
    }
    let mut index = writer.finalize()?;
    index.set_tokenizers(prototype.tokenizers().clone());
    Ok((index.reader()?.searcher(), directory.total_mem_usage()))
}
