//! How dear indexing spans is, and how fast questions about traces are: a million spans in splits of 100,000, one
//! trace of 50,000 spans among them.
//!
//!     cargo run --release -p logboom-indexer --example trace_speed [SPANS]
//!
//! Single-threaded throughout; memory only, so it measures CPU, not the disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use logboom_event::otlp::{Request, Signal};
use logboom_event::{Event, EventId, Record};
use logboom_indexer::schema::{Schema, register_tokenizers};
use logboom_indexer::search::{Budget, SearchRequest, execute};
use logboom_indexer::traces::{self, ServicesRequest, TraceSearch};
use logboom_indexer::{Kind, Snapshot};
use logboom_query::{SPANS, parse_in};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tantivy::directory::RamDirectory;
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::{Index, IndexSettings, Searcher, SingleSegmentIndexWriter, TantivyDocument};

type Failure = Box<dyn std::error::Error>;

const SPLIT_SPANS: usize = 100_000;
const REQUEST_SPANS: usize = 500;
const TRACE_SPANS: usize = 20;
const LARGE_SPANS: usize = 50_000;
const LARGE: u128 = 1;
const BASE_NS: i64 = 1_769_846_400_000_000_000;
const SERVICES: [&str; 8] = [
    "web", "cart", "pay", "stock", "mail", "search", "user", "ship",
];

fn main() -> Result<(), Failure> {
    let spans: usize = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |text| text.parse())?;
    let snapshot = indexed(spans)?;
    let budget = || Budget::within(Duration::from_secs(60));

    let mut all = Vec::new();
    for q in [
        "",
        "status:error",
        "service:cart duration:>500ms",
        "operation:\"POST /pay 3\" status:error",
        "attributes.order:424242",
        "timeout",
        "/upstream .*7$/",
        "kind:server NOT service:web",
        "service:nothing",
    ] {
        let times = times(40, |run| {
            // From all to the last hundredth of the time.
            let share = [1, 2, 10, 100][run % 4];
            let end_ns = BASE_NS + spans as i64 * STEP_NS;
            let request = TraceSearch {
                q: q.to_owned(),
                from_ns: Some(end_ns - spans as i64 * STEP_NS / share),
                to_ns: Some(end_ns + 3_600_000_000_000),
                limit: 50,
            };
            let found = traces::list(&snapshot, &request, budget())?;
            assert!(found.complete);
            Ok(found.traces.len())
        })?;
        show(&format!("trace search `{q}`"), &times);
        all.extend(times);
    }
    show("trace search, all of these", &all);

    let large = format!("{LARGE:032x}");
    let times_large = times(20, |_| {
        let trace = traces::trace(&snapshot, &large, budget())?.ok_or("no such trace")?;
        assert_eq!(trace.spans.id.len(), LARGE_SPANS.min(spans / 2));
        // As the server and its client do.
        let bytes = serde_json::to_vec(&trace)?;
        let read: traces::Trace = serde_json::from_slice(&bytes)?;
        assert_eq!(read.total, trace.total);
        Ok(bytes.len())
    })?;
    show("trace of 50,000 spans, to JSON and back", &times_large);
    let span = format!("{:016x}", u64::MAX - 77);
    let times_span = times(40, |_| {
        let found = traces::span(&snapshot, &large, &span, budget())?;
        Ok(usize::from(found.is_some()))
    })?;
    show("span of that trace", &times_span);
    for (name, service) in [("services", None), ("operations of one", Some("cart"))] {
        let times = times(20, |_| {
            let request = ServicesRequest {
                service: service.map(str::to_owned),
                ..ServicesRequest::default()
            };
            let found = traces::services(&snapshot, &request, budget())?;
            assert!(found.complete);
            Ok(found.rows.len())
        })?;
        show(name, &times);
    }
    let times_graph = times(10, |_| {
        let found = traces::dependencies(&snapshot, None, None, budget())?;
        assert!(found.complete);
        Ok(found.edges.len())
    })?;
    show("dependencies", &times_graph);
    let from_ns = BASE_NS + spans as i64 * STEP_NS * 9 / 10;
    let times_graph = times(10, |_| {
        let found = traces::dependencies(&snapshot, Some(from_ns), None, budget())?;
        assert!(found.complete);
        Ok(found.edges.len())
    })?;
    show("dependencies, last tenth", &times_graph);
    let times_names = times(10, |_| {
        Ok(traces::names(&snapshot, None, None, budget())?
            .services
            .len())
    })?;
    show("names", &times_names);
    for q in [
        "* | stats count(), p99(duration) by service, bin(timestamp, 1m)",
        "status:error | stats count() by service, operation | sort -count() | limit 20",
        "* | stats count_distinct(trace_id) by service",
    ] {
        let query = parse_in(q, Some(SPANS))?;
        let times = times(5, |_| {
            let request = SearchRequest {
                q: q.to_owned(),
                ..SearchRequest::default()
            };
            let answer = execute(&snapshot, &query, &request, budget())?;
            Ok(answer.table.map_or(0, |table| table.rows.len()))
        })?;
        show(q, &times);
    }
    Ok(())
}

fn times(
    runs: usize,
    mut work: impl FnMut(usize) -> Result<usize, Failure>,
) -> Result<Vec<(Duration, usize)>, Failure> {
    (0..runs)
        .map(|run| {
            let begun = Instant::now();
            let size = work(run)?;
            Ok((begun.elapsed(), size))
        })
        .collect()
}

fn show(name: &str, times: &[(Duration, usize)]) {
    let mut sorted: Vec<f64> = times
        .iter()
        .map(|(time, _)| time.as_secs_f64() * 1e3)
        .collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((share * sorted.len() as f64).ceil() as usize).max(1) - 1];
    let size = times.first().map_or(0, |(_, size)| *size);
    println!(
        "{name:72} p50 {:8.2} ms   p99 {:8.2} ms   ({size})",
        at(0.5),
        at(0.99)
    );
}

/// Between the starts of two spans: a million take an hour.
const STEP_NS: i64 = 3_600_000;

fn indexed(spans: usize) -> Result<Snapshot, Failure> {
    let mut rng = StdRng::seed_from_u64(1);
    let (mut hot, mut bytes, mut index_bytes) = (Vec::new(), 0, 0);
    let (mut parsing, mut indexing) = (Duration::ZERO, Duration::ZERO);
    for split in (0..spans).step_by(SPLIT_SPANS) {
        let mut events = Vec::new();
        let end = spans.min(split + SPLIT_SPANS);
        for first in (split..end).step_by(REQUEST_SPANS) {
            let record = record(&mut rng, first..end.min(first + REQUEST_SPANS), spans)?;
            bytes += record.value.len();
            let offset = record.offset;
            let begun = Instant::now();
            events.extend(
                (0..)
                    .zip(Event::all(record))
                    .map(|(index, (record, event))| {
                        let id = EventId {
                            incarnation: 1,
                            partition: 0,
                            offset,
                            index,
                        };
                        (record, event, id)
                    }),
            );
            parsing += begun.elapsed();
        }
        let begun = Instant::now();
        let (searcher, size) = segment(&events)?;
        indexing += begun.elapsed();
        index_bytes += size;
        hot.push(searcher);
    }
    let seconds = (parsing + indexing).as_secs_f64();
    println!(
        "{spans} spans: {:.0} bytes a span in requests, {:.0} in the index; {:.0} spans/s a core ({:.2} µs to read, {:.2} µs to index)",
        bytes as f64 / spans as f64,
        index_bytes as f64 / spans as f64,
        spans as f64 / seconds,
        parsing.as_secs_f64() * 1e6 / spans as f64,
        indexing.as_secs_f64() * 1e6 / spans as f64,
    );
    Ok(Snapshot {
        kind: Kind::Spans,
        splits: Vec::new(),
        hot,
        complete: true,
    })
}

/// Spans of ten traces at a time, children after their parents; every other span belongs to the large trace until
/// that is full.
fn record(rng: &mut StdRng, range: std::ops::Range<usize>, of: usize) -> Result<Record, Failure> {
    let offset = range.start as i64;
    let mut services: Vec<Vec<Value>> = vec![Vec::new(); SERVICES.len()];
    for at in range {
        let in_large = at % 2 == 0 && at / 2 < LARGE_SPANS.min(of / 2);
        let (trace, span, parent) = if in_large {
            let number = at as u64 / 2;
            let parent = if number == 0 {
                0
            } else {
                u64::MAX - rng.random_range(0..number)
            };
            (LARGE, u64::MAX - number, parent)
        } else {
            let (block, place) = (at / (10 * TRACE_SPANS), at % (10 * TRACE_SPANS));
            let (lane, depth) = (place % 10, place / 10);
            let trace = scrambled((block * 10 + lane) as u64 + 1);
            let parent = if depth == 0 {
                0
            } else {
                at as u64 + 1 - 10 * rng.random_range(1..=depth as u64)
            };
            (
                u128::from(trace) << 64 | u128::from(trace),
                at as u64 + 1,
                parent,
            )
        };
        let start = BASE_NS + at as i64 * STEP_NS + rng.random_range(0..20_000_000);
        let service = rng.random_range(0..SERVICES.len());
        let failed = rng.random_range(0..50) == 0;
        let id = |id: u64| {
            if id == 0 {
                String::new()
            } else {
                format!("{id:016x}")
            }
        };
        services[service].push(json!({
            "traceId": format!("{trace:032x}"), "spanId": id(span), "parentSpanId": id(parent),
            "name": format!("{} /{} {}", ["GET", "POST"][at % 2], SERVICES[service], rng.random_range(0..12)),
            "kind": rng.random_range(1..4),
            "startTimeUnixNano": start.to_string(),
            "endTimeUnixNano": (start + rng.random_range(100_000..1_000_000_000)).to_string(),
            "attributes": [
                {"key": "http.request.method", "value": {"stringValue": "GET"}},
                {"key": "http.response.status_code", "value": {"intValue": if failed { "503" } else { "200" }}},
                {"key": "url.path", "value": {"stringValue": format!("/api/v1/items/{}", rng.random_range(0..5_000))}},
                {"key": "order", "value": {"intValue": at.to_string()}},
            ],
            "status": if failed {
                json!({"code": 2, "message": format!("upstream timeout after {} ms of 10.0.0.{}", rng.random_range(0..900), rng.random_range(0..255))})
            } else { json!({}) },
        }));
    }
    let resources: Vec<Value> = services
        .into_iter()
        .zip(SERVICES)
        .map(|(spans, service)| {
            json!({
                "resource": {"attributes": [
                    {"key": "service.name", "value": {"stringValue": service}},
                    {"key": "host.name", "value": {"stringValue": format!("{service}-1")}},
                    {"key": "service.version", "value": {"stringValue": "1.4.2"}},
                ]},
                "scopeSpans": [{"scope": {"name": "http", "version": "0.3"}, "spans": spans}],
            })
        })
        .collect();
    let body = serde_json::to_vec(&json!({"resourceSpans": resources}))?;
    Ok(Record {
        topic: Arc::from("otlp_spans"),
        partition: 0,
        offset,
        timestamp_ms: BASE_NS / 1_000_000,
        encoding: Signal::Spans.encoding(),
        key: None,
        value: Request::from_json(Signal::Spans, &body)?.body().clone(),
        origin: None,
        headers: Vec::new(),
    })
}

/// Different numbers for different numbers, as random as ids are.
fn scrambled(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (number ^ number >> 31).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

fn segment(events: &[(Record, Event, EventId)]) -> tantivy::Result<(Searcher, usize)> {
    let schema = Schema::of(Kind::Spans);
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
    for (record, event, id) in events {
        writer.add_document(schema.document(record, event, *id))?;
    }
    let mut index = writer.finalize()?;
    index.set_tokenizers(prototype.tokenizers().clone());
    Ok((index.reader()?.searcher(), directory.total_mem_usage()))
}
