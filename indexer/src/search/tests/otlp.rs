//! As [`oracle`](super::oracle), for what comes by OTLP: logs and spans, many to a record.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use logboom_event::{
    Event, EventId, Record,
    otlp::{Request, Signal},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Map, Value, json};

use super::{
    BASE_NS, Indexed, execute,
    lines::{WORDS, line},
    long,
    oracle::{compare, scanned},
    pick,
    queries::{SPAN_CLAUSES, query, span_query},
    snapshot, snapshot_of, split_of,
};
use crate::{
    catalog::Snapshot,
    kind::Kind,
    search::{Hit, Order, SearchRequest},
};

const DURATIONS: [u64; 8] = [
    0,
    1,
    999_999,
    1_000_000,
    5_000_000,
    250_000_000,
    9_007_199_254_740_993,
    u64::MAX / 2,
];

fn attributes(rng: &mut StdRng, most: usize) -> Value {
    let count = rng.random_range(0..=most);
    let all = (0..count).map(|_| {
        let key = pick(
            rng,
            &["status", "a.b", "http.method", "stack", "a", "duration"],
        );
        let value = match rng.random_range(0..5) {
            0 => json!({"intValue": rng.random_range(398..505).to_string()}),
            1 => json!({"stringValue": pick(rng, &WORDS)}),
            2 => json!({"boolValue": rng.random_bool(0.5)}),
            3 => json!({"stringValue": "v".repeat(rng.random_range(200..400))}),
            _ => json!({"arrayValue": {"values": [{"stringValue": "two"}, {"doubleValue": 2.5}]}}),
        };
        json!({"key": key, "value": value})
    });
    all.collect()
}

fn trace_id(rng: &mut StdRng) -> String {
    format!("{:032x}", rng.random_range(1_u128..6))
}

fn span_id(rng: &mut StdRng) -> String {
    format!("{:016x}", rng.random_range(1_u64..9))
}

fn time(rng: &mut StdRng) -> i64 {
    // Few distinct times: ties must break by id.
    BASE_NS + rng.random_range(0..40) * 1_000_000_000
}

fn span(rng: &mut StdRng) -> Value {
    let start = time(rng);
    let duration = DURATIONS.choose(rng).copied().unwrap_or(0);
    let mut span = Map::new();
    let mut set = |key: &str, value: Value| span.insert(key.to_owned(), value);
    set("traceId", trace_id(rng).into());
    set("spanId", span_id(rng).into());
    set("name", pick(rng, &WORDS).into());
    set("kind", rng.random_range(0..6).into());
    set("startTimeUnixNano", start.to_string().into());
    let end = u64::try_from(start).unwrap() + duration;
    set("endTimeUnixNano", end.to_string().into());
    set("attributes", attributes(rng, 4));
    if rng.random_bool(0.7) {
        set("parentSpanId", span_id(rng).into());
    }
    if rng.random_bool(0.5) {
        let message = pick(rng, &["", "disk full", "Failed"]);
        set(
            "status",
            json!({"code": rng.random_range(0..3), "message": message}),
        );
    }
    if rng.random_bool(0.3) {
        let event = json!({
            "name": pick(rng, &["exception", "Retry"]), "timeUnixNano": start.to_string(),
            "attributes": [{"key": "exception.message", "value": {"stringValue": pick(rng, &WORDS)}}],
        });
        set("events", json!([event]));
    }
    if rng.random_bool(0.2) {
        set(
            "links",
            json!([{"traceId": trace_id(rng), "spanId": span_id(rng)}]),
        );
    }
    Value::Object(span)
}

fn log(rng: &mut StdRng) -> Value {
    let body = match rng.random_range(0..3) {
        0 => {
            json!({"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": pick(rng, &WORDS)}}]}})
        }
        _ => json!({"stringValue": String::from_utf8_lossy(&line(rng))}),
    };
    json!({
        "timeUnixNano": time(rng).to_string(), "severityNumber": rng.random_range(0..25), "body": body,
        "attributes": attributes(rng, 4), "traceId": trace_id(rng), "spanId": span_id(rng),
    })
}

fn record_of(rng: &mut StdRng, signal: Signal, offset: i64) -> Record {
    let items = rng.random_range(0..12);
    let items: Vec<Value> = (0..items)
        .map(|_| match signal {
            Signal::Logs => log(rng),
            Signal::Spans => span(rng),
        })
        .collect();
    let service = pick(rng, &["checkout", "Pay", "错误"]);
    let mut resource = vec![json!({"key": "service.name", "value": {"stringValue": service}})];
    if rng.random_bool(0.5) {
        resource.push(json!({"key": "host.name", "value": {"stringValue": "web-1"}}));
    }
    let resource = json!({"attributes": resource});
    let body = match signal {
        Signal::Logs => {
            json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": items}]}]})
        }
        Signal::Spans => {
            json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": items}]}]})
        }
    };
    let body = serde_json::to_vec(&body).unwrap();
    let mut value = Request::from_json(signal, &body).unwrap().body().clone();
    // Anybody may write to the topic.
    if rng.random_range(0..30) == 0 {
        value = Bytes::from_static(b"error \xff no request");
    }
    Record {
        topic: Arc::from("otlp"),
        partition: rng.random_range(0..3),
        offset,
        timestamp_ms: BASE_NS / 1_000_000,
        encoding: signal.encoding(),
        key: None,
        value,
        origin: None,
        headers: Vec::new(),
    }
}

pub(crate) fn indexed(rng: &mut StdRng, signal: Signal, records: i64) -> Vec<Indexed> {
    let mut all = Vec::new();
    for offset in 0..records {
        let record = record_of(rng, signal, offset);
        for (index, (record, event)) in (0..).zip(Event::all(record)) {
            let id = EventId {
                incarnation: 1,
                partition: record.partition,
                offset,
                index,
            };
            all.push(Indexed { record, event, id });
        }
    }
    all
}

fn cases() -> Range<u64> {
    let one = std::env::var("LOGBOOM_SEED").ok();
    match one.map(|seed| seed.parse::<u64>().unwrap()) {
        Some(seed) => seed..seed + 1,
        None => 0..std::env::var("LOGBOOM_CASES").map_or(8, |cases| cases.parse().unwrap()),
    }
}

#[test]
fn answers_of_otlp_logs_equal_a_scan() {
    for seed in cases() {
        println!("LOGBOOM_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let mut events = indexed(&mut rng, Signal::Logs, 25);
        // One index holds lines of agents, too.
        events.extend(super::events(&mut rng, 40).into_iter().map(|mut indexed| {
            indexed.id.incarnation = 7;
            indexed
        }));
        let snapshot = snapshot(&mut rng, &events);
        for _ in 0..60 {
            let q = query(&mut rng, 3);
            compare(&events, &snapshot, &q, &mut rng);
        }
    }
}

#[test]
fn answers_of_spans_equal_a_scan() {
    for seed in cases() {
        println!("LOGBOOM_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let events = indexed(&mut rng, Signal::Spans, 30);
        let snapshot = snapshot_of(Kind::Spans, &mut rng, &events);
        for _ in 0..80 {
            let q = span_query(&mut rng, 3);
            compare(&events, &snapshot, &q, &mut rng);
        }
    }
}

#[test]
fn every_clause_of_spans_alone_equals_a_scan() {
    let mut rng = StdRng::seed_from_u64(99);
    let events = indexed(&mut rng, Signal::Spans, 80);
    let snapshot = snapshot_of(Kind::Spans, &mut rng, &events);
    let mut found = 0;
    for q in SPAN_CLAUSES {
        compare(&events, &snapshot, q, &mut rng);
        let all = i64::MIN..i64::MAX;
        found += usize::from(!scanned(Kind::Spans, &events, q, &all, Order::Newest).is_empty());
    }
    assert!(
        found * 10 > SPAN_CLAUSES.len() * 8,
        "the clauses fit the data: {found}"
    );
}

#[test]
fn the_hit_of_a_span_says_all_that_is_known() {
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
        "parentSpanId": "eee19b7ec3c1b173", "traceState": "a=b", "name": "GET /cart", "kind": 3,
        "startTimeUnixNano": BASE_NS.to_string(), "endTimeUnixNano": (BASE_NS + 1_500).to_string(),
        "status": {"code": 2, "message": "late"},
        "events": [{"name": "retry", "timeUnixNano": (BASE_NS + 7).to_string()}],
        "links": [{"traceId": "5b8efff798038103d269b633813fc60d", "spanId": "eee19b7ec3c1b175"}],
    }]}]}]});
    let body = serde_json::to_vec(&body).unwrap();
    let request = Request::from_json(Signal::Spans, &body).unwrap();
    let mut record = record_of(&mut StdRng::seed_from_u64(1), Signal::Spans, 0);
    record.value = request.body().clone();
    let (record, event) = Event::all(record).next().unwrap();
    let id = EventId {
        incarnation: 1,
        partition: 0,
        offset: 0,
        index: 0,
    };
    let one = [Indexed { record, event, id }];
    let snapshot = Snapshot {
        kind: Kind::Spans,
        splits: vec![split_of(Kind::Spans, &one)],
        hot: Vec::new(),
        complete: true,
    };
    let answer = execute(&snapshot, &SearchRequest::default(), long()).unwrap();
    let hit = &answer.hits[0];
    let json = serde_json::to_value(hit).unwrap();
    for (name, value) in [
        ("operation", json!("GET /cart")),
        ("kind", json!("client")),
        ("status", json!("error")),
        ("status_message", json!("late")),
        ("duration_ns", json!(1_500)),
        ("parent_id", json!("eee19b7ec3c1b173")),
        ("span_id", json!("eee19b7ec3c1b174")),
        ("trace_state", json!("a=b")),
        ("timestamp", json!("2026-01-31T08:00:00.000000000Z")),
        (
            "events",
            json!([{"name": "retry", "timestamp": "2026-01-31T08:00:00.000000007Z", "attributes": {}}]),
        ),
        (
            "links",
            json!([{"trace_id": "5b8efff798038103d269b633813fc60d", "span_id": "eee19b7ec3c1b175", "attributes": {}}]),
        ),
    ] {
        assert_eq!(json[name], value, "{name}");
    }
    assert_eq!(serde_json::from_value::<Hit>(json).unwrap(), *hit);
}
