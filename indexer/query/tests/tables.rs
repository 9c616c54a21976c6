//! Pipes as users meet them: what tables say, and what errors say.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use logboom_event::{Encoding, Event, Record, Span, SpanKind, SpanStatus};
use logboom_query::{
    Aggregation, Cell, GroupKey, Pipe, SPANS, Table, Unit, cell, limits, matches, parse, parse_in,
    table,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const START_NS: i64 = 1_769_846_400_000_000_000; // 2026-01-31T08:00:00Z
const SECOND: i64 = 1_000_000_000;

fn span(at_ns: i64, service: Option<&str>, duration_ns: u64, attributes: Value) -> Event {
    let record = Record {
        topic: Arc::from("otlp_spans"),
        partition: 0,
        offset: 7,
        timestamp_ms: 0,
        encoding: Encoding::Line,
        key: None,
        value: Bytes::from_static(b"GET"),
        origin: None,
        headers: Vec::new(),
    };
    let mut event = Event::parse(&record);
    event.timestamp_ns = at_ns;
    event.service = service.map(str::to_owned);
    event.attributes = serde_json::from_value(attributes).unwrap();
    event.span = Some(Box::new(Span {
        parent_span_id: None,
        trace_state: None,
        kind: SpanKind::Server,
        duration_ns,
        events: Vec::new(),
        links: Vec::new(),
        status: SpanStatus::Unset,
    }));
    event
}

fn events() -> Vec<Event> {
    vec![
        span(
            START_NS,
            Some("cart"),
            100,
            json!({"bytes": 10, "user": "ada"}),
        ),
        span(
            START_NS + SECOND,
            Some("cart"),
            300,
            json!({"bytes": "20", "user": "Ada"}),
        ),
        span(
            START_NS + 61 * SECOND,
            Some("cart"),
            200,
            json!({"bytes": 0.5, "user": ["bo", "ada"]}),
        ),
        span(
            START_NS + 62 * SECOND,
            Some("api"),
            1_000,
            json!({"bytes": "many", "user": null}),
        ),
        span(
            START_NS + 63 * SECOND,
            None,
            5,
            json!({"client": {"ip": "10.0.0.7"}}),
        ),
    ]
}

fn answer(query: &str) -> Table {
    let query = parse_in(query, Some(SPANS)).unwrap_or_else(|error| panic!("{query}: {error}"));
    table(&query, &events()).unwrap()
}

fn rows(query: &str) -> Value {
    json!(answer(query).rows)
}

#[test]
fn groups_are_rows_in_the_order_of_their_keys_and_the_missing_one_is_null() {
    let answer = answer("* | stats count(), p99(duration) as slow by service");
    assert_eq!(answer.columns, ["service", "count()", "slow"]);
    assert_eq!(answer.units, [None, None, Some(Unit::Ns)]);
    assert!(answer.complete && answer.notes.is_empty());
    assert_eq!(
        json!(answer.rows),
        json!([["api", 1, 1000], ["cart", 3, 300], [null, 1, 5]])
    );
}

#[test]
fn functions_look_at_the_values_they_can_take() {
    assert_eq!(
        rows(
            "| stats count(bytes), sum(bytes), avg(bytes), min(bytes), max(bytes), p50(bytes), count_distinct(user), count(user), count(client)"
        ),
        // "20" is a number's own text, "many" is none; of two users of one span the first counts.
        json!([[4, 30.5, 30.5 / 3.0, 0.5, 20, 10, 3, 3, 1]])
    );
    assert_eq!(
        rows(
            "| stats sum(nothing), avg(nothing), min(nothing), p50(nothing), count(nothing), count_distinct(nothing)"
        ),
        json!([[null, null, null, null, 0, 0]])
    );
    assert_eq!(
        rows("| stats min(timestamp), max(timestamp)"),
        json!([["2026-01-31T08:00:00Z", "2026-01-31T08:01:03Z"]])
    );
}

#[test]
fn without_groups_there_is_one_row_and_with_them_none_of_nothing() {
    assert_eq!(
        rows("service:none | stats count(), max(duration)"),
        json!([[0, null]])
    );
    assert_eq!(rows("service:none | stats count() by service"), json!([]));
}

#[test]
fn bins_of_time_are_aligned_and_shown_as_times() {
    let answer = answer("| stats count() by bin(timestamp, 1m), service");
    assert_eq!(answer.columns, ["bin(timestamp, 1m)", "service", "count()"]);
    assert_eq!(answer.units[0], Some(Unit::Time));
    assert_eq!(
        json!(answer.rows),
        json!([
            ["2026-01-31T08:00:00Z", "cart", 2],
            ["2026-01-31T08:01:00Z", "api", 1],
            ["2026-01-31T08:01:00Z", "cart", 1],
            ["2026-01-31T08:01:00Z", null, 1],
        ])
    );
    assert_eq!(
        rows("| stats count() as n by bin(timestamp, 100ms) as t | limit 1"),
        json!([["2026-01-31T08:00:00Z", 1]])
    );
}

#[test]
fn sorts_are_total_and_what_is_missing_comes_last() {
    let first = |query: &str| {
        let rows = answer(query).rows;
        Value::from(
            rows.into_iter()
                .map(|row| row[0].clone())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        first("| stats count() as n by service | sort -n"),
        json!(["cart", "api", null])
    );
    assert_eq!(
        first("| stats count() as n by service | sort n"),
        json!(["api", null, "cart"])
    );
    assert_eq!(
        first("| stats count() by service | sort -service"),
        json!(["cart", "api", null])
    );
    assert_eq!(
        first("| stats sum(bytes) by service | sort -sum(bytes)"),
        json!(["cart", "api", null])
    );
    assert_eq!(
        first("| stats count() as n by service | sort -count(), -service"),
        json!(["cart", "api", null])
    );
    assert_eq!(
        first("| stats count() by service | sort -\"count()\" | limit 1"),
        json!(["cart"])
    );
    assert_eq!(
        first("| stats count() by service | limit 2 | sort -service | limit 1"),
        json!(["cart"])
    );
    assert_eq!(
        first("| stats count() by bin(timestamp, 1m) | sort -bin(timestamp, 60s) | limit 1"),
        json!(["2026-01-31T08:01:00Z"])
    );
    assert_eq!(
        first("| stats count() by name | sort operation"),
        json!(["GET"])
    );
}

#[test]
fn integers_are_summed_as_integers() {
    let large = 9_007_199_254_740_993_u64;
    let events = [
        span(0, None, large, json!({})),
        span(0, None, large, json!({})),
    ];
    let query = parse("index:spans | stats sum(duration)").unwrap();
    assert_eq!(
        json!(table(&query, &events).unwrap().rows),
        json!([[2 * large]])
    );
}

#[test]
fn a_table_survives_its_json() {
    let answer = answer("| stats count(), max(duration) by service, bin(timestamp, 1m)");
    let text = serde_json::to_string(&answer).unwrap();
    assert_eq!(serde_json::from_str::<Table>(&text).unwrap(), answer);
}

#[test]
fn more_groups_than_the_cap_are_said_and_those_shown_are_exact() {
    let query = parse("index:spans | stats count(), sum(duration) by n").unwrap();
    let groups = limits::GROUPS_MAX * 3;
    let events: Vec<Event> = (0..groups * 2)
        .map(|at| span(0, None, 7, json!({"n": at % groups})))
        .collect();
    let answer = table(&query, &events).unwrap();
    assert!(!answer.complete);
    assert_eq!(answer.rows.len(), limits::GROUPS_MAX);
    assert!(answer.rows.iter().all(|row| row[1] == 2 && row[2] == 14));
    let about: f64 = answer.notes[0]
        .strip_prefix("there are about ")
        .and_then(|note| note.split(' ').next()?.parse().ok())
        .unwrap();
    assert!(
        (about / groups as f64 - 1.0).abs() < 0.05,
        "{}",
        answer.notes[0]
    );
    // In other parts and order the same groups are kept.
    let mut parts = Aggregation::new(query.stats().unwrap());
    for part in events.chunks(groups / 2).rev() {
        let mut one = Aggregation::new(query.stats().unwrap());
        part.iter().rev().for_each(|event| one.add_event(event));
        parts.merge(one);
    }
    assert_eq!(parts.table(&query.pipes), answer);
}

#[test]
fn estimated_counts_are_said() {
    let query = parse("index:spans | stats count_distinct(n)").unwrap();
    let events: Vec<Event> = (0..6_000)
        .map(|n| span(0, None, 7, json!({"n": n})))
        .collect();
    let answer = table(&query, &events).unwrap();
    assert!(answer.complete);
    assert!(
        answer.notes[0].contains("estimate in 1 of 1 groups"),
        "{:?}",
        answer.notes
    );
    let counted = answer.rows[0][0].as_f64().unwrap();
    assert!((counted / 6_000.0 - 1.0).abs() < 0.05, "{counted}");
}

#[test]
fn pipes_do_not_change_what_matches_and_can_be_refused() {
    let query = parse("service:cart | stats count() | limit 1 ").unwrap();
    assert!(matches(&query, &events()[0]) && !matches(&query, &events()[3]));
    assert!(matches!(query.pipes[..], [Pipe::Stats(_), Pipe::Limit(1)]));
    let error = query.filter_only().unwrap_err();
    assert_eq!(
        error.message,
        "`| stats count() | limit 1` at column 14 makes a table, where events are needed; leave it out"
    );
    assert_eq!(error.span, 13..38);
    assert!(parse("service:cart").unwrap().filter_only().is_ok());
    assert_eq!(table(&parse("service:cart").unwrap(), &events()), None);
}

#[test]
fn bars_in_texts_and_regexes_are_no_pipes() {
    for query in ["\"a | b\"", "/a|b/", "a\\|b", "x:\"|\""] {
        assert!(parse(query).unwrap().pipes.is_empty(), "{query}");
    }
}

#[test]
fn errors_name_the_clause_the_column_and_the_remedy() {
    let error = parse("错误 | stat count()").unwrap_err();
    assert_eq!(
        error.message,
        "`stat` at column 6 is no pipe, perhaps `stats` is meant; pipes are stats, sort, limit. Quote a `|` that is part of a text"
    );
    assert_eq!(error.span, 9..13);
    for (query, part) in [
        ("a |", "`|` at column 3 begins no pipe"),
        ("a | | stats count()", "`|` at column 3 begins no pipe"),
        (
            "a|b",
            "`b` at column 3 is no pipe; pipes are stats, sort, limit. Quote a `|`",
        ),
        ("a || b", "write `OR`"),
        ("| stats count() || limit 1", "write `OR`"),
        ("| where x", "before the first `|`"),
        ("| head 5", "write `limit`"),
        ("| top 5", "stats count() as n by field"),
        ("| sort x", "`sort` at column 3 works on a table"),
        ("| limit 5", "works on a table"),
        (
            "| stats count() | stats count()",
            "`stats` at column 19 makes a second table",
        ),
        (
            "(a | stats count())",
            "`|` at column 4 stands inside parentheses",
        ),
        (
            "a OR | stats count()",
            "`OR` at column 3 has nothing on its right",
        ),
        (
            "| stats",
            "needs a function such as `count()` or `p99(duration)` at column 8",
        ),
        ("| stats count", "write `count()`"),
        (
            "| stats sum by x",
            "`sum` at column 9 is a function; write `sum(field)`",
        ),
        (
            "| stats p99()",
            "`p99()` at column 9 needs a field; write e.g. `p99(duration)`",
        ),
        (
            "| stats quantile(0.9)",
            "needs a field; write e.g. `p90(duration)`",
        ),
        ("| stats quantile(0.9,)", "needs a field"),
        ("| stats quantile(9, x)", "a number from 0 to 1"),
        ("| stats quantile(x)", "a number from 0 to 1"),
        ("| stats p101(x)", "from `p0` to `p100`"),
        (
            "| stats cuont()",
            "perhaps `count` is meant; functions are count, count_distinct, sum, avg, min, max, quantile, and `p50`",
        ),
        ("| stats median(x)", "perhaps `p50` is meant"),
        (
            "| stats frob(x)",
            "`frob` at column 9 is no function; functions are count",
        ),
        (
            "| stats sum(a, b)",
            "`sum(a,` at column 9 has more than one field",
        ),
        ("| stats sum(a+b)", "takes a field's name and no expression"),
        ("| stats sum(a", "is never closed"),
        (
            "| stats sum(service)",
            "`service` is text; write `count_distinct(service)`",
        ),
        ("| stats avg(timestamp)", "`timestamp` is a time"),
        ("| stats count(id)", "is different for every event"),
        (
            "| stats count() count()",
            "`count` at column 17 stands where",
        ),
        ("| stats count(), count()", "is a second column `count()`"),
        ("| stats count() as x by x", "is a second column `x`"),
        ("| stats count() as", "needs a name"),
        ("| stats count() by", "`by` names no field"),
        ("| stats count() by a b", "`b` at column 22 stands where"),
        ("| stats count() by sum(a)", "is no group"),
        (
            "| stats count() by bin(5m)",
            "write e.g. `bin(timestamp, 5m)`",
        ),
        ("| stats count() by bin(timestamp)", "needs a width"),
        ("| stats count() by bin(timestamp, 5)", "`5` for a width"),
        ("| stats count() by bin(timestamp, 0s)", "`0s` for a width"),
        ("| stats count() by bin(took, 5ms)", "bins `took`"),
        ("| stats sum(", "a field's name is missing at column 13"),
        ("| stats count(*)", "`count()` counts events"),
        (
            "| stats count() limit 5",
            "`limit` at column 17 needs a `|` before it",
        ),
        (
            "| stats count() by a sort b",
            "`sort` at column 22 needs a `|` before it",
        ),
        ("| stats count() as n | sort", "names no column"),
        (
            "| stats count() as n | sort m",
            "names no column of the table, perhaps `n` is meant; its columns are `n`",
        ),
        (
            "| stats count() as n | sort n desc",
            "`desc` at column 31 is no direction; write `-n`",
        ),
        ("| stats count() as n | sort by n", "without `by`"),
        (
            "| stats count() as n | sort n m",
            "`m` at column 31 stands where a `|`",
        ),
        (
            "| stats count() | limit",
            "a number of rows from 1 to 10000",
        ),
        ("| stats count() | limit 0", "a number of rows"),
        ("| stats count() | limit ten", "a number of rows"),
        ("index:spans | stats count() by level", "status:error"),
        ("index:spans | stats sum(kind)", "`kind` is text"),
    ] {
        let error = parse(query).expect_err(query);
        assert!(error.message.contains(part), "{query}: {error}");
        assert!(
            query.get(error.span.clone()).is_some(),
            "{query}: {:?}",
            error.span
        );
    }
    let many = |part: &str, count: usize| vec![part; count].join(",");
    for query in [
        format!("| stats {}", many("count()", 40)),
        format!("| stats count() by {}", many("a", 40)),
        format!("| stats count() as n | sort {}", many("n", 40)),
        format!("| stats count(){}", " | limit 5".repeat(40)),
    ] {
        assert!(parse(&query).is_err(), "{query}");
    }
}

/// The columns of an index, fed as an index feeds them.
fn from_columns(query: &logboom_query::Query, events: &[Event]) -> Aggregation {
    let mut aggregation = Aggregation::new(query.stats().unwrap());
    let (keys, inputs) = (aggregation.keys().to_vec(), aggregation.inputs().to_vec());
    for event in events.iter().filter(|event| matches(query, event)) {
        let key: Vec<Cell<'_>> = keys
            .iter()
            .map(|key| match key {
                GroupKey::Field(field) => cell(field, event),
                GroupKey::Bin { width_ns } => {
                    Cell::Time(GroupKey::bin_ns(*width_ns, event.timestamp_ns))
                }
            })
            .collect();
        if let Some(slot) = aggregation.group(&key) {
            aggregation.count(slot);
            for (input, field) in inputs.iter().enumerate() {
                aggregation.add(slot, input, &cell(field, event));
            }
        }
    }
    aggregation
}

fn any_event() -> impl Strategy<Value = Event> {
    let value = prop_oneof![
        any::<i32>().prop_map(Value::from),
        (-1e12..1e12_f64).prop_map(Value::from),
        "[a-c0-9]{0,2}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!([1, 2])),
        Just(json!({"below": 1})),
    ];
    let service = prop::option::of(prop::sample::select(vec!["a", "b", "7"]));
    (0..300 * SECOND, service, 0..5_000_000_000_u64, value)
        .prop_map(|(at, service, duration, value)| span(at, service, duration, json!({"x": value})))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// An index answers from parts and columns: that must be what a scan of all events says.
    #[test]
    fn parts_order_and_feeding_change_nothing(
        events in prop::collection::vec(any_event(), 0..1_200),
        cuts in prop::collection::vec(0..1_200_usize, 0..4),
        by in prop::sample::select(vec!["", "by service", "by x", "by service, bin(timestamp, 1m)", "by kind, x"]),
        more in prop::sample::select(vec!["", "| sort -count()", "| sort -avg(x) | limit 3", "| sort p90(duration), -sum(x)"]),
    ) {
        let text = format!(
            "duration:>10ms | stats count(), count(x), count_distinct(x), sum(x), avg(x), min(x), max(x), p50(x), p90(duration), max(timestamp) {by} {more}"
        );
        let query = parse_in(&text, Some(SPANS)).unwrap();
        let expected = table(&query, &events).unwrap();
        let mut rest = &events[..];
        let mut merged = Aggregation::new(query.stats().unwrap());
        for cut in cuts {
            let (part, after) = rest.split_at(cut.min(rest.len()));
            rest = after;
            let mut part = from_columns(&query, part);
            part.merge(merged);
            merged = part;
        }
        merged.merge(from_columns(&query, rest));
        prop_assert_eq!(merged.table(&query.pipes), expected);
    }
}
