//! What queries know of spans beside what every event has.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use logboom_event::{Encoding, Event, Record, Span, SpanEvent, SpanKind, SpanLink, SpanStatus};
use logboom_query::{Field, SPANS, Signal, SpanField, matches, parse, parse_in, value};
use serde_json::json;

fn event() -> Event {
    let record = Record {
        topic: Arc::from("otlp_spans"),
        partition: 0,
        offset: 7,
        timestamp_ms: 1_769_846_400_000,
        encoding: Encoding::Line,
        key: None,
        value: Bytes::from_static(b"GET /cart"),
        origin: None,
        headers: Vec::new(),
    };
    let mut event = Event::parse(&record);
    event.service = Some("cart".to_owned());
    event.attributes = serde_json::from_value(json!({
        "duration": "long", "kind": "of blue", "status": 404, "name": "Ada", "http": {"route": "/cart"},
    }))
    .unwrap();
    event.span = Some(Box::new(Span {
        parent_span_id: Some([0xcd; 8]),
        trace_state: None,
        kind: SpanKind::Server,
        duration_ns: 1_500_000_000,
        events: vec![SpanEvent {
            time_ns: 1,
            name: "exception".to_owned(),
            attributes: serde_json::from_value(
                json!({"exception": {"type": "IoError"}, "name": "odd"}),
            )
            .unwrap(),
        }],
        links: vec![SpanLink {
            trace_id: [0xab; 16],
            span_id: [0xef; 8],
            attributes: serde_json::Map::new(),
        }],
        status: SpanStatus::Error {
            message: "deadline exceeded".to_owned(),
        },
    }));
    event
}

fn holds(query: &str) -> bool {
    let parsed = parse_in(query, Some(SPANS)).unwrap_or_else(|error| panic!("{query}: {error}"));
    matches(&parsed, &event())
}

fn message(query: &str) -> String {
    parse_in(query, Some(SPANS))
        .err()
        .unwrap_or_else(|| panic!("`{query}` should be refused"))
        .to_string()
}

#[test]
fn a_span_s_own_fields_are_found() {
    for query in [
        "operation:\"GET /cart\"",
        "name:get*",
        "kind:server",
        "kind:(client OR SERVER)",
        "status:error",
        "status:err*",
        "status_message:/deadline/",
        "parent_id:cdcdcdcdcdcdcdcd",
        "_exists_:parent_id",
        "events.name:exception",
        "events.exception.type:ioerror",
        "_exists_:events.exception",
        "links.trace_id:abababababababababababababababab",
        "links.span_id:EFEF*",
        "http.route:/cart",
        "cart",
    ] {
        assert!(holds(query), "{query}");
    }
    for query in [
        "operation:GET",
        "kind:client",
        "status:ok",
        "events.name:other",
        "events.type:ioerror",
        "NOT _exists_:parent_id",
    ] {
        assert!(!holds(query), "{query}");
    }
}

#[test]
fn durations_take_units_and_plain_numbers_are_nanoseconds() {
    for query in [
        "duration:>500ms",
        "duration:1.5s",
        "duration:\"1.5s\"",
        "duration:1500000000",
        "duration:[1s TO 2s]",
        "duration:(>=1500ms <1501ms)",
        "duration:<1m",
        "duration:>1e9",
        "duration:1s500ms",
    ] {
        assert!(holds(query), "{query}");
    }
    for query in [
        "duration:>1.5s",
        "duration:[1s TO 1500ms}",
        "duration:<1000000",
    ] {
        assert!(!holds(query), "{query}");
    }
}

#[test]
fn attributes_of_the_same_names_stay_reachable() {
    for query in [
        "attributes.duration:long",
        "attributes.kind:\"of blue\"",
        "attributes.status:>=400",
        "attributes.name:ada",
    ] {
        assert!(holds(query), "{query}");
        let parsed = parse_in(query, Some(SPANS)).unwrap();
        assert!(matches(
            &parse_in(&parsed.to_string(), Some(SPANS)).unwrap(),
            &event()
        ));
    }
    assert!(!holds("duration:>=0 NOT _exists_:duration"));
    assert!(!holds("name:ada"));
}

#[test]
fn the_index_decides_wherever_it_stands() {
    let query = parse("duration:>500ms index:spans").unwrap();
    assert_eq!(query.signal, Signal::Spans);
    assert!(matches(&query, &event()));
    let query = parse_in("duration:1.5s index:logs", Some(SPANS)).unwrap();
    assert_eq!(query.signal, Signal::Logs);
    assert!(!matches(&query, &event()));
    assert_eq!(parse("duration:5").unwrap().signal, Signal::Logs);
}

#[test]
fn a_log_has_no_field_of_a_span() {
    let mut event = event();
    event.span = None;
    for query in [
        "operation:*",
        "duration:>=0",
        "_exists_:status",
        "events.name:*",
    ] {
        assert!(
            !matches(&parse_in(query, Some(SPANS)).unwrap(), &event),
            "{query}"
        );
    }
}

/// The index makes its terms of what is visited, and the oracle looks fields up: they must agree.
#[test]
fn what_is_visited_is_what_matches() {
    let fields = [
        SpanField::Operation,
        SpanField::Kind,
        SpanField::Status,
        SpanField::StatusMessage,
        SpanField::Duration,
        SpanField::ParentId,
        SpanField::LinkTraceId,
        SpanField::LinkSpanId,
        SpanField::Event("name".to_owned()),
        SpanField::Event("exception.type".to_owned()),
    ];
    let mut visited = Vec::new();
    value::visit(&event(), &mut |key, text| {
        visited.push((key.to_owned(), text.to_owned()))
    });
    let mut met = BTreeSet::new();
    for field in fields.map(Field::Span) {
        let key = value::key(&field).unwrap();
        let texts = visited.iter().filter(|(visited, _)| *visited == key);
        for (_, text) in texts {
            let query = format!("{field}:\"{text}\"");
            assert!(holds(&query), "{query}");
            met.insert(key.to_string());
        }
        assert!(met.contains(&*key), "{key} has a value");
    }
    let own = visited
        .iter()
        .filter(|(key, _)| !key.starts_with('.') && key != "service");
    assert!(
        own.map(|(key, _)| key).all(|key| met.contains(key)),
        "{visited:?}"
    );
}

#[test]
fn errors_say_what_there_is() {
    for (query, parts) in [
        (
            "a status:eror",
            &["`status:eror` at column 3", "one of unset, ok, error"][..],
        ),
        (
            "status:>=500",
            &["one of unset, ok, error", "http.response.status_code"],
        ),
        (
            "kind:serer",
            &["internal, server, client, producer, consumer"],
        ),
        (
            "status:warn*",
            &["`status:warn*` at column 1", "unset, ok, error"],
        ),
        (
            "kind:/^x/",
            &["asks for what no span has", "internal, server"],
        ),
        (
            "duration:>500xs",
            &[
                "`duration:>500xs` at column 1",
                "`500xs`",
                "ns, us, ms, s, m, h, d",
            ],
        ),
        ("duration:fast", &["is no duration"]),
        ("duration:[1s TO slow]", &["`slow`"]),
        ("duration:", &["duration:>500ms"]),
        ("level:error", &["`level:` at column 1", "status:error"]),
        ("_exists_:level", &["status:error"]),
        ("events:x", &["events.name"]),
        ("links:x", &["links.trace_id"]),
        ("parent_id:>5", &["cannot be compared by order"]),
    ] {
        for part in parts {
            let message = message(query);
            assert!(message.contains(part), "{query}: {message}");
        }
        let indexed = format!("{query} index:spans");
        assert!(parse(&indexed).is_err(), "{indexed}");
    }
}
