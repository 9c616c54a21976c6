//! Tables of the index against the oracle's ([`logboom_query::table()`]), by columns and by records.

use logboom_event::Event;
use logboom_event::otlp::Signal;
use logboom_query::{parse_in, table};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::tests::otlp::indexed;
use super::tests::{BASE_NS, Indexed, events, snapshot_of};
use super::{Budget, SearchRequest, SearchResponse, execute};
use crate::catalog::Snapshot;
use crate::kind::Kind;
use crate::span_columns::TEXT_BYTES_MAX;

fn answer(snapshot: &Snapshot, request: &SearchRequest, budget: Budget) -> SearchResponse {
    let query = parse_in(&request.q, Some(snapshot.kind.name())).unwrap();
    execute(snapshot, &query, request, budget).unwrap()
}

/// Compares one table over a range; how many events it is of.
fn compare(all: &[Indexed], snapshot: &Snapshot, q: &str, rng: &mut StdRng) -> u64 {
    let from = BASE_NS + rng.random_range(-5..20) * 1_000_000_000;
    let range = if rng.random_bool(0.5) {
        i64::MIN..i64::MAX
    } else {
        from..from + rng.random_range(1..40) * 1_000_000_000
    };
    let query =
        parse_in(q, Some(snapshot.kind.name())).unwrap_or_else(|error| panic!("{q}: {error}"));
    let within = all
        .iter()
        .map(|indexed| &indexed.event)
        .filter(|event| range.contains(&event.timestamp_ns));
    let expected = table(&query, within.clone()).unwrap();
    let matching = within.filter(|event| logboom_query::matches(&query, event));
    let total = matching.count() as u64;
    let request = SearchRequest {
        q: q.to_owned(),
        from_ns: Some(range.start),
        to_ns: Some(range.end),
        ..SearchRequest::default()
    };
    let answer = answer(snapshot, &request, long());
    assert!(answer.hits.is_empty() && answer.complete, "{q}");
    assert_eq!(answer.total, Some(total), "{q} in {range:?}");
    assert_eq!(answer.table.unwrap(), expected, "{q} in {range:?}");
    total
}

const LOG_QUERIES: [&str; 8] = [
    "* | stats count() by level, bin(timestamp, 10s) | sort -count()",
    "* | stats count(), max(timestamp) by service, level | sort service | limit 7",
    "level:>=warn | stats count_distinct(host), min(timestamp) by host",
    "error | stats count(), min(timestamp), max(timestamp)",
    "* | stats avg(status), p90(status), count(status) by a.b",
    "/err/ | stats count(), count_distinct(level) by bin(timestamp, 7s)",
    "NOT error | stats count() by level | limit 2",
    "nothing_has_this_word | stats count()",
];

const SPAN_QUERIES: [&str; 14] = [
    "* | stats count() by service",
    "* | stats count(), p99(duration) as slow by service, bin(timestamp, 10s) | sort -slow | limit 10",
    "kind:server | stats count(), avg(duration), min(duration), max(duration), sum(duration) by operation",
    "* | stats count() by kind, status",
    "status:error | stats p50(duration), p99.9(duration), count(duration) by kind | sort -count(duration)",
    "* | stats count_distinct(trace_id), count_distinct(span_id), count_distinct(parent_id)",
    "* | stats count() by trace_id | sort -count() | limit 3",
    "* | stats count(), max(timestamp) by parent_id, kind",
    "* | stats count_distinct(operation), count_distinct(service) by status",
    "* | stats count(operation), count(parent_id), count(kind) by duration",
    "/err/ | stats count() by operation, service | sort -operation",
    "duration:>1ms | stats count() by bin(timestamp, 3s), trace_id",
    "* | stats count(), p50(duration) by http.method",
    "* | stats count() by events.name, host",
];

fn long() -> Budget {
    Budget::within(std::time::Duration::from_secs(600))
}

fn cases() -> std::ops::Range<u64> {
    match std::env::var("LOGBOOM_SEED") {
        Ok(seed) => {
            let seed = seed.parse().unwrap();
            seed..seed + 1
        }
        Err(_) => 0..std::env::var("LOGBOOM_CASES").map_or(5, |cases| cases.parse().unwrap()),
    }
}

#[test]
fn tables_of_logs_are_the_oracles() {
    let mut counted = 0;
    for seed in cases() {
        println!("LOGBOOM_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let all = events(&mut rng, 300);
        let snapshot = snapshot_of(Kind::Logs, &mut rng, &all);
        for q in LOG_QUERIES {
            counted += compare(&all, &snapshot, q, &mut rng);
        }
    }
    assert!(counted > 0, "the queries fit the data");
}

#[test]
fn tables_of_spans_are_the_oracles() {
    let mut counted = 0;
    for seed in cases() {
        println!("LOGBOOM_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        // Documents that are no spans are among them.
        let all = indexed(&mut rng, Signal::Spans, 60);
        let snapshot = snapshot_of(Kind::Spans, &mut rng, &all);
        for q in SPAN_QUERIES {
            counted += compare(&all, &snapshot, q, &mut rng);
        }
    }
    assert!(counted > 0, "the queries fit the data");
}

/// Operations that a column holds only the same beginning of.
#[test]
fn a_text_that_a_column_cuts_is_a_group_of_its_own() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut all = indexed(&mut rng, Signal::Spans, 20);
    all.retain(|indexed| indexed.event.span.is_some());
    let mut long = 0;
    for (number, indexed) in all
        .iter_mut()
        .enumerate()
        .filter(|(number, _)| number % 5 == 0)
    {
        let name = format!("{}{}", "x".repeat(TEXT_BYTES_MAX), number % 2);
        indexed.record.value = renamed(&indexed.record, &name);
        indexed.event = Event::parse(&indexed.record);
        assert_eq!(indexed.event.body(), name);
        long += 1;
    }
    assert!(long > 2);
    let snapshot = snapshot_of(Kind::Spans, &mut rng, &all);
    for q in [
        "* | stats count() by operation",
        "* | stats count_distinct(operation) by service",
    ] {
        for _ in 0..4 {
            compare(&all, &snapshot, q, &mut rng);
        }
    }
}

/// A request of one span like the record's, with another name.
fn renamed(record: &logboom_event::Record, name: &str) -> bytes::Bytes {
    use logboom_event::otlp::Request;
    let event = Event::parse(record);
    let span = event.span.as_ref().unwrap();
    let service = event.service.clone().unwrap_or_default();
    let body = serde_json::json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
        "scopeSpans": [{"spans": [{
            "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": name,
            "kind": span.kind.number(), "startTimeUnixNano": event.timestamp_ns.to_string(),
            "endTimeUnixNano": event.timestamp_ns.to_string(),
        }]}],
    }]});
    let body = serde_json::to_vec(&body).unwrap();
    Request::from_json(Signal::Spans, &body)
        .unwrap()
        .body()
        .clone()
}

#[test]
fn a_table_that_ran_out_of_time_says_so() {
    let mut rng = StdRng::seed_from_u64(4);
    let all = events(&mut rng, 200);
    let snapshot = snapshot_of(Kind::Logs, &mut rng, &all);
    let request = SearchRequest {
        q: "* | stats count()".to_owned(),
        ..SearchRequest::default()
    };
    let answer = answer(
        &snapshot,
        &request,
        Budget::within(std::time::Duration::ZERO),
    );
    assert_eq!((answer.complete, answer.total), (false, None));
    assert!(answer.table.is_some());
}
