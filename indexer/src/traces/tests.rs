//! Answers against a naive computation over the same spans: shuffled, sent twice, without parents, in several
//! splits and hot segments. Failures print their seed; `LOGBOOM_SEED` runs one, `LOGBOOM_CASES` more of them.

mod http;
mod naive;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use logboom_event::otlp::{Request, Signal};
use logboom_event::{Event, EventId, Record};
use logboom_query::{SPANS, parse_in};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use self::naive::Naive;
use super::*;
use crate::catalog::Snapshot;
use crate::kind::Kind;
use crate::search::tests::{BASE_NS, Indexed, snapshot_of, split_of};
use crate::search::{Budget, SearchError};

pub(super) const SECOND_NS: i64 = 1_000_000_000;

fn long() -> Budget {
    Budget::within(Duration::from_secs(600))
}

fn cases() -> Range<u64> {
    match std::env::var("LOGBOOM_SEED") {
        Ok(seed) => {
            let seed = seed.parse().unwrap();
            seed..seed + 1
        }
        Err(_) => 0..std::env::var("LOGBOOM_CASES").map_or(8, |cases| cases.parse().unwrap()),
    }
}

/// A root that started at some time.
pub(super) fn started(offset: i64, start_ns: i64) -> Indexed {
    let number = offset.cast_unsigned() + 1;
    let span = Sent {
        trace: number.into(),
        span: number,
        parent: 0,
        service: "cart",
        operation: "charge",
        kind: 2,
        status: 0,
        start_ns,
        duration_ns: 1,
    };
    span.indexed(offset)
}

/// A span before it is sent.
#[derive(Debug, Clone)]
struct Sent {
    trace: u128,
    span: u64,
    parent: u64,
    service: &'static str,
    operation: &'static str,
    kind: u8,
    status: u8,
    start_ns: i64,
    duration_ns: u64,
}

impl Sent {
    fn json(&self) -> Value {
        json!({"resourceSpans": [{
            "resource": {"attributes": match self.service {
                "" => json!([]),
                service => json!([{"key": "service.name", "value": {"stringValue": service}}]),
            }},
            "scopeSpans": [{"spans": [{
                "traceId": format!("{:032x}", self.trace),
                "spanId": format!("{:016x}", self.span),
                "parentSpanId": match self.parent { 0 => String::new(), id => format!("{id:016x}") },
                "name": self.operation, "kind": self.kind, "status": {"code": self.status},
                "startTimeUnixNano": self.start_ns.to_string(),
                "endTimeUnixNano": (self.start_ns.unsigned_abs() + self.duration_ns).to_string(),
            }]}],
        }]})
    }

    fn indexed(&self, offset: i64) -> Indexed {
        let body = serde_json::to_vec(&self.json()).unwrap();
        let value = Request::from_json(Signal::Spans, &body)
            .unwrap()
            .body()
            .clone();
        let record = Record {
            topic: Arc::from("otlp_spans"),
            partition: (self.trace % 3) as i32,
            offset,
            timestamp_ms: BASE_NS / 1_000_000,
            encoding: Signal::Spans.encoding(),
            key: None,
            value,
            origin: None,
            headers: Vec::new(),
        };
        let id = EventId {
            incarnation: 1,
            partition: record.partition,
            offset,
            index: 0,
        };
        Indexed {
            event: Event::parse(&record),
            record,
            id,
        }
    }
}

fn sent(rng: &mut StdRng, spans: u64) -> Vec<Sent> {
    (1..=spans)
        .map(|span| {
            let trace = rng.random_range(1..=u128::from(spans / 8 + 1));
            Sent {
                // Ids that differ in either half only.
                trace: if trace % 2 == 0 { trace << 64 } else { trace },
                span,
                // Of the same trace or not, of itself, or nowhere: senders are strangers.
                parent: match rng.random_range(0..10) {
                    0..3 => 0,
                    3 => 1_000_000 + span,
                    4 => span,
                    _ => rng.random_range(1..=spans),
                },
                service: ["", "cart", "Cart", "pay", "错误"]
                    .choose(rng)
                    .copied()
                    .unwrap(),
                operation: ["GET /", "POST /pay", "charge"]
                    .choose(rng)
                    .copied()
                    .unwrap(),
                kind: rng.random_range(1..6),
                status: rng.random_range(0..3),
                start_ns: BASE_NS + rng.random_range(0..60) * SECOND_NS,
                duration_ns: rng.random_range(0..20_000_000_000),
            }
        })
        .collect()
}

/// Sent in any order, some of them twice; with `conflicting`, the second time otherwise.
fn indexed(rng: &mut StdRng, sent: &[Sent], conflicting: bool) -> Vec<Indexed> {
    let mut all = sent.to_vec();
    for span in sent.iter().filter(|span| span.span % 5 == 0) {
        let mut again = span.clone();
        if conflicting {
            again.start_ns += 7;
            again.duration_ns = 1;
            again.operation = "again";
        }
        all.push(again);
    }
    all.shuffle(rng);
    let mut indexed: Vec<Indexed> = (0..).zip(&all).map(|(at, span)| span.indexed(at)).collect();
    // Later offsets are in earlier parts, too.
    indexed.shuffle(rng);
    indexed
}

fn within(rng: &mut StdRng) -> (Option<i64>, Option<i64>) {
    let from = BASE_NS + rng.random_range(-5..50) * SECOND_NS;
    let to = from + rng.random_range(1..40) * SECOND_NS;
    (
        rng.random_bool(0.7).then_some(from),
        rng.random_bool(0.7).then_some(to),
    )
}

#[test]
fn a_trace_has_each_of_its_spans_once_in_order_and_by_its_parent() {
    for seed in cases() {
        println!("LOGBOOM_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let sent = sent(&mut rng, 120);
        let all = indexed(&mut rng, &sent, true);
        let snapshot = snapshot_of(Kind::Spans, &mut rng, &all);
        let naive = Naive::of(&all);
        for id in naive.traces() {
            let hex = format!("{id:032x}");
            let found = trace(&snapshot, &hex, long()).unwrap().unwrap();
            naive.check(id, &found);
            for span in &found.spans.id {
                let hit = super::span(&snapshot, &hex, span, long()).unwrap().unwrap();
                assert_eq!(hit, naive.hit(id, span, &all));
            }
        }
        let absent = format!("{:032x}", u128::MAX);
        assert_eq!(trace(&snapshot, &absent, long()).unwrap(), None);
        // A span of another trace.
        let other = format!("{:016x}", sent[0].span);
        assert_eq!(
            super::span(&snapshot, &absent, &other, long()).unwrap(),
            None
        );
    }
}

#[test]
fn trace_search_gives_the_newest_traces_and_all_that_they_have() {
    let queries = [
        "",
        "status:error",
        "service:cart kind:server",
        "duration:>5s",
        "/GET/",
        "/charge/ OR operation:\"POST /pay\"",
        "NOT service:pay",
        "nothing_has_this_word",
    ];
    let mut listed = 0;
    for seed in cases() {
        println!("LOGBOOM_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let sent = sent(&mut rng, 400);
        let all = indexed(&mut rng, &sent, true);
        let snapshot = snapshot_of(Kind::Spans, &mut rng, &all);
        let naive = Naive::of(&all);
        for q in queries {
            let (from_ns, to_ns) = within(&mut rng);
            let request = TraceSearch {
                q: q.to_owned(),
                from_ns,
                to_ns,
                limit: rng.random_range(1..40),
            };
            let query = parse_in(q, Some(SPANS)).unwrap();
            let expected = naive.list(&all, &query, &request);
            let found = list(&snapshot, &request, long()).unwrap();
            assert!(found.complete);
            assert_eq!(found.traces, expected, "{request:?}");
            listed += expected.len();
        }
    }
    assert!(listed > 0, "the queries fit the data");
}

#[test]
fn what_was_found_before_the_time_ended_is_listed() {
    let mut rng = StdRng::seed_from_u64(9);
    let mut sent = sent(&mut rng, 2_000);
    for span in sent.iter_mut().step_by(100) {
        span.operation = "timeout";
    }
    let all = indexed(&mut rng, &sent, false);
    let snapshot = snapshot_of(Kind::Spans, &mut rng, &all);
    // The index cannot tell, and the page is never full.
    let search = TraceSearch {
        q: "/time.ut/".to_owned(),
        limit: 1_000,
        ..TraceSearch::default()
    };
    let whole = list(&snapshot, &search, long()).unwrap();
    assert!(whole.complete && whole.traces.len() > 10);
    // More time for finding with every try, until it ends in the middle: how long that takes is the machine's affair.
    let shortest = Duration::from_micros(50);
    let mut patience = shortest;
    let mut wholes = 0;
    loop {
        let found_by = Instant::now() + patience;
        let found = list::list_found_by(&snapshot, &search, found_by, long().deadline()).unwrap();
        if !found.complete && !found.traces.is_empty() {
            break;
        }
        patience += patience / 16;
        if found.complete {
            wholes += 1;
            assert!(wholes < 20, "found is all or nothing");
            patience = shortest;
        }
    }
}

#[test]
fn services_are_those_computed_offline() {
    for seed in cases() {
        println!("LOGBOOM_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        // Enough for quantiles that are estimates.
        let sent = sent(&mut rng, 2_500);
        let all = indexed(&mut rng, &sent, false);
        let snapshot = snapshot_of(Kind::Spans, &mut rng, &all);
        let naive = Naive::of(&all);
        for service in [None, Some("cart"), Some("")] {
            let (from_ns, to_ns) = within(&mut rng);
            let request = ServicesRequest {
                from_ns,
                to_ns,
                step_ns: Some(rng.random_range(1..20) * SECOND_NS),
                service: service.map(str::to_owned),
            };
            for spans_max in [usize::MAX, 700] {
                let found = services::in_slices(&snapshot, &request, long(), spans_max).unwrap();
                assert!(found.complete);
                naive.check_services(&request, &found);
            }
        }
    }
}

#[test]
fn dependencies_are_exact() {
    let mut edges = 0;
    for seed in cases() {
        println!("LOGBOOM_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let sent = sent(&mut rng, 600);
        let all = indexed(&mut rng, &sent, false);
        let snapshot = snapshot_of(Kind::Spans, &mut rng, &all);
        let naive = Naive::of(&all);
        for spans_max in [usize::MAX, 150, 40] {
            let (from, to) = within(&mut rng);
            let terms_max = limits::TERMS_MAX;
            let found =
                dependencies::in_slices(&snapshot, from, to, long(), spans_max, terms_max).unwrap();
            assert!(found.complete);
            edges += found.edges.len();
            naive.check_dependencies(from, to, &found);
        }
    }
    assert!(edges > 0);
}

/// A gateway that reports elsewhere is the parent of all roots.
#[test]
fn parents_that_were_never_sent_are_given_up_without_losing_calls() {
    let mut rng = StdRng::seed_from_u64(8);
    let mut sent = sent(&mut rng, 600);
    for span in &mut sent {
        if span.parent == 0 {
            span.parent = 2_000_000 + span.span;
        }
    }
    let all = indexed(&mut rng, &sent, false);
    let mut snapshot = snapshot_of(Kind::Spans, &mut rng, &all);
    let far = (0..500).map(|at| started(9_000 + at, BASE_NS - 86_400 * SECOND_NS));
    snapshot
        .splits
        .push(split_of(Kind::Spans, &far.collect::<Vec<_>>()));
    let (naive, from) = (Naive::of(&all), Some(BASE_NS));
    for (terms_max, given_up) in [(limits::TERMS_MAX, 0), (0, 1)] {
        let found = dependencies::in_slices(&snapshot, from, None, long(), 200, terms_max).unwrap();
        assert!(found.complete);
        assert_eq!(found.notes.len(), given_up, "{:?}", found.notes);
        naive.check_dependencies(from, None, &found);
    }
}

#[test]
fn a_service_has_its_operations_however_many_others_there_are() {
    let mut rng = StdRng::seed_from_u64(10);
    let mut span = sent(&mut rng, 1).remove(0);
    (span.kind, span.parent) = (2, 0);
    let all: Vec<Indexed> = (0..=limits::NAMES_MAX)
        .map(|number| {
            span.service = match number < limits::NAMES_MAX {
                true => format!("service-{number}").leak(),
                false => "wanted",
            };
            span.span = number as u64 + 1;
            span.indexed(number as i64)
        })
        .collect();
    let snapshot = Snapshot {
        kind: Kind::Spans,
        splits: vec![split_of(Kind::Spans, &all)],
        hot: Vec::new(),
        complete: true,
    };
    let request = ServicesRequest {
        service: Some("wanted".to_owned()),
        ..ServicesRequest::default()
    };
    let found = services(&snapshot, &request, long()).unwrap();
    assert!(found.complete);
    assert_eq!(found.rows.iter().map(|row| row.requests).sum::<u64>(), 1);
}

/// Few parents are looked up by the terms of their traces, not by reading the part.
#[test]
fn a_parent_that_started_long_before_the_range_is_found_in_its_split() {
    let mut rng = StdRng::seed_from_u64(5);
    let mut old = sent(&mut rng, 2_000);
    for span in &mut old {
        span.start_ns -= 3_600 * SECOND_NS;
    }
    let mut child = old[77].clone();
    child.parent = child.span;
    (child.span, child.service, child.start_ns) = (9_999, "late", BASE_NS + 3_600 * SECOND_NS);
    let old: Vec<Indexed> = (0..).zip(&old).map(|(at, span)| span.indexed(at)).collect();
    let snapshot = Snapshot {
        kind: Kind::Spans,
        splits: vec![
            split_of(Kind::Spans, &old),
            split_of(Kind::Spans, &[child.indexed(5_000)]),
        ],
        hot: Vec::new(),
        complete: true,
    };
    let found = dependencies(&snapshot, Some(BASE_NS + SECOND_NS * 61), None, long()).unwrap();
    assert!(found.complete);
    assert_eq!(found.services, ["late"]);
    let edges = found.edges.iter();
    let edges: Vec<_> = edges.map(|edge| (&*edge.child, edge.calls)).collect();
    assert_eq!(edges, [("late", 1)]);
}

#[test]
fn names_are_those_of_the_range() {
    for seed in cases() {
        println!("LOGBOOM_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let sent = sent(&mut rng, 40);
        let all = indexed(&mut rng, &sent, false);
        let snapshot = snapshot_of(Kind::Spans, &mut rng, &all);
        let (from, to) = within(&mut rng);
        let found = names(&snapshot, from, to, long()).unwrap();
        assert!(found.complete);
        assert_eq!(found.services, Naive::of(&all).names(from, to));
    }
}

#[test]
fn a_trace_that_is_too_long_is_cut_and_says_how_long_it_is() {
    let mut rng = StdRng::seed_from_u64(6);
    let sent = sent(&mut rng, 30);
    let trace_id = sent[0].trace;
    let all: Vec<Indexed> = (0..)
        .zip(&sent)
        .map(|(at, span)| {
            Sent {
                trace: trace_id,
                ..span.clone()
            }
            .indexed(at)
        })
        .collect();
    let snapshot = snapshot_of(Kind::Spans, &mut rng, &all);
    let hex = format!("{trace_id:032x}");
    let whole = trace(&snapshot, &hex, long()).unwrap().unwrap();
    assert!(!whole.truncated && whole.orphan.len() < 30);
    let cut = super::trace::of_at_most(&snapshot, &hex, long(), 10)
        .unwrap()
        .unwrap();
    assert!(cut.truncated);
    assert_eq!((cut.total, cut.spans.id.len()), (30, 10));
    assert_eq!(cut.spans.id, whole.spans.id[..10]);
    assert_eq!(
        (&cut.start, cut.duration_ns),
        (&whole.start, whole.duration_ns)
    );
    assert!(cut.spans.parent.iter().all(|parent| *parent < 10));
}

#[test]
fn what_ran_out_of_time_or_is_not_all_read_yet_says_so() {
    let mut rng = StdRng::seed_from_u64(7);
    let sent = sent(&mut rng, 100);
    let all = indexed(&mut rng, &sent, false);
    let mut snapshot = snapshot_of(Kind::Spans, &mut rng, &all);
    let search = TraceSearch {
        limit: 10,
        ..TraceSearch::default()
    };
    let request = ServicesRequest::default();
    let complete = |snapshot: &Snapshot, budget: Budget| {
        let hex = format!("{:032x}", sent[0].trace);
        let span = trace(snapshot, &hex, long()).unwrap().unwrap().spans.id[0].clone();
        let span = super::span(snapshot, &hex, &span, budget);
        let trace = trace(snapshot, &hex, budget);
        for error in [trace.as_ref().err(), span.as_ref().err()]
            .into_iter()
            .flatten()
        {
            assert!(matches!(error, SearchError::OutOfTime), "{error}");
        }
        assert_eq!(span.is_ok(), trace.is_ok());
        [
            list(snapshot, &search, budget).unwrap().complete,
            trace.is_ok_and(|trace| trace.unwrap().complete),
            services(snapshot, &request, budget).unwrap().complete,
            dependencies(snapshot, None, None, budget).unwrap().complete,
            names(snapshot, None, None, budget).unwrap().complete,
        ]
    };
    assert_eq!(complete(&snapshot, long()), [true; 5]);
    let none = || Budget::within(Duration::ZERO);
    assert_eq!(complete(&snapshot, none()), [false; 5]);
    for notes in [
        services(&snapshot, &request, none()).unwrap().notes,
        dependencies(&snapshot, None, None, none()).unwrap().notes,
    ] {
        assert!(notes[0].contains("only a part of the range"), "{notes:?}");
    }
    snapshot.complete = false;
    assert_eq!(complete(&snapshot, long()), [false; 5]);
}

#[test]
fn an_empty_index_has_empty_answers() {
    let empty = Snapshot {
        kind: Kind::Spans,
        complete: true,
        ..Snapshot::default()
    };
    let search = TraceSearch {
        limit: 10,
        ..TraceSearch::default()
    };
    assert_eq!(list(&empty, &search, long()).unwrap().traces, []);
    for to_ns in [None, Some(5)] {
        let request = ServicesRequest {
            to_ns,
            ..ServicesRequest::default()
        };
        assert_eq!(services(&empty, &request, long()).unwrap().rows, []);
    }
    assert_eq!(dependencies(&empty, None, None, long()).unwrap().edges, []);
    assert_eq!(names(&empty, None, None, long()).unwrap().services, []);
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let empty = Snapshot::default();
    let search = |q: &str, limit| {
        let request = TraceSearch {
            q: q.to_owned(),
            limit,
            ..TraceSearch::default()
        };
        list(&empty, &request, long()).unwrap_err().to_string()
    };
    assert!(search("* | stats count()", 10).contains("makes a table"));
    assert!(search("index:logs x", 10).contains("index:logs"));
    assert!(search("", 0).contains("1 to 1500"));
    let step = |step_ns, to_ns| {
        let request = ServicesRequest {
            from_ns: Some(0),
            to_ns: Some(to_ns),
            step_ns: Some(step_ns),
            service: None,
        };
        services(&empty, &request, long()).unwrap_err().to_string()
    };
    assert!(step(0, 10).contains("`step` is 0 ns"));
    assert!(step(1, 1_001).contains("1001 steps"));
    assert!(step(1, 0).contains("`from` is not before `to`"));
    let earliest = ServicesRequest {
        to_ns: Some(i64::MIN),
        ..ServicesRequest::default()
    };
    assert!(services(&empty, &earliest, long()).is_err());
    assert!(
        trace(&empty, "xyz", long())
            .unwrap_err()
            .to_string()
            .contains("`xyz`")
    );
    let id = "1".repeat(32);
    assert!(
        super::span(&empty, &id, "0", long())
            .unwrap_err()
            .to_string()
            .contains("`0`")
    );
}
