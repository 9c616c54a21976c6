//! What the fields of spans and logs become in their events.

use logboom_event::{Body, Level, SpanKind, SpanStatus, TimestampFrom, limits, otlp::Signal};
use serde_json::{Value, json};

use super::{ARRIVAL_MS, events, logs_of, request, spans_of, text};

#[test]
fn a_span_becomes_an_event_with_all_it_says() {
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", "cart"), text("host.name", "web-1"), text("k8s.pod", "p")]},
        "schemaUrl": "https://example.org/1",
        "scopeSpans": [{"scope": {"name": "lib", "version": "1.2", "attributes": [text("s", "t")]}, "spans": [{
            "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174", "parentSpanId": "eee19b7ec3c1b173",
            "traceState": "a=b", "name": "GET /cart", "kind": 2,
            "startTimeUnixNano": "1700000000000000001", "endTimeUnixNano": 1_700_000_000_250_000_001_u64,
            "attributes": [text("http.method", "GET"), {"key": "n", "value": {"intValue": "9007199254740993"}}],
            "droppedEventsCount": 4,
            "events": [{"timeUnixNano": "1700000000100000000", "name": "exception", "attributes": [
                text("exception.type", "IoError"), text("exception.message", "disk full")]}, {"name": "untimed"}],
            "links": [{"traceId": "5b8efff798038103d269b633813fc60d", "spanId": "eee19b7ec3c1b175", "attributes": [text("l", "m")]}],
            "status": {"code": 2, "message": "it broke"},
        }]}],
    }]});
    let events = events(Signal::Spans, &body);
    let [event] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(event.timestamp_ns, 1_700_000_000_000_000_001);
    assert_eq!(event.timestamp_from, TimestampFrom::Line);
    assert_eq!(event.arrival_ns, ARRIVAL_MS * 1_000_000);
    assert_eq!(event.service.as_deref(), Some("cart"));
    assert_eq!(event.host.as_deref(), Some("web-1"));
    assert_eq!(event.raw, "GET /cart\nit broke\nIoError: disk full");
    assert_eq!(event.body, Body::Raw(0..9));
    assert_eq!((event.level, event.parse_failed), (None, false));
    assert_eq!(event.trace_id.unwrap()[..2], [0x5b, 0x8e]);
    assert_eq!(
        event.span_id,
        Some([0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74])
    );
    assert_eq!(
        Value::Object(event.attributes.clone()),
        json!({
            "http.method": "GET",
            "n": 9_007_199_254_740_993_i64,
            "otel.dropped_events_count": 4,
            "resource": {"service.name": "cart", "host.name": "web-1", "k8s.pod": "p"},
            "scope": {"name": "lib", "version": "1.2", "attributes": {"s": "t"}},
        })
    );
    let span = event.span.as_ref().unwrap();
    assert_eq!(span.parent_span_id.unwrap()[7], 0x73);
    assert_eq!(span.trace_state.as_deref(), Some("a=b"));
    assert_eq!(
        (span.kind, span.duration_ns),
        (SpanKind::Server, 250_000_000)
    );
    assert_eq!(
        span.status,
        SpanStatus::Error {
            message: "it broke".into()
        }
    );
    assert_eq!(
        (span.events[0].time_ns, &*span.events[0].name),
        (1_700_000_000_100_000_000, "exception")
    );
    assert_eq!(span.events[0].attributes["exception.type"], "IoError");
    assert_eq!(
        span.events[1].time_ns, event.timestamp_ns,
        "an event without a time has the span's"
    );
    assert_eq!(span.links[0].trace_id[15], 0x0d);
    assert_eq!(span.links[0].attributes["l"], "m");
}

#[test]
fn a_span_without_sensible_times_has_its_arrival_and_no_duration() {
    let (start, end) = ("1700000000000000000", "1700000000000000005");
    let arrival = ARRIVAL_MS * 1_000_000;
    let cases = [
        (
            json!({"startTimeUnixNano": start, "endTimeUnixNano": end}),
            1_700_000_000_000_000_000,
            5,
        ),
        (
            json!({"startTimeUnixNano": end, "endTimeUnixNano": start}),
            1_700_000_000_000_000_005,
            0,
        ),
        (
            json!({"startTimeUnixNano": start}),
            1_700_000_000_000_000_000,
            0,
        ),
        (
            json!({"startTimeUnixNano": start, "endTimeUnixNano": u64::MAX}),
            1_700_000_000_000_000_000,
            0,
        ),
        (json!({"endTimeUnixNano": end}), arrival, 0),
        (
            json!({"startTimeUnixNano": "9223372036854775808", "endTimeUnixNano": end}),
            arrival,
            0,
        ),
    ];
    for (span, time, duration) in cases {
        let event = &events(Signal::Spans, &spans_of(json!([span])))[0];
        let from = if time == arrival {
            TimestampFrom::Arrival
        } else {
            TimestampFrom::Line
        };
        assert_eq!(
            (event.timestamp_ns, event.timestamp_from),
            (time, from),
            "{span}"
        );
        assert_eq!(event.span.as_ref().unwrap().duration_ns, duration, "{span}");
    }
}

#[test]
fn a_log_becomes_an_event_with_all_it_says() {
    let body = json!({"resourceLogs": [{
        "resource": {"attributes": [text("service.name", "cart")]},
        "scopeLogs": [{"scope": {"name": "log4j"}, "logRecords": [{
            "timeUnixNano": "1700000000000000001", "observedTimeUnixNano": "1700000000000000002",
            "severityNumber": 18, "severityText": "ERROR", "body": {"stringValue": "disk full"},
            "attributes": [text("log.file.path", "/var/log/x"), text("user", "u-17")],
            "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
            "eventName": "app.crash", "droppedAttributesCount": 1, "flags": 1,
        }]}],
    }]});
    let events = events(Signal::Logs, &body);
    let [event] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (event.timestamp_ns, event.timestamp_from),
        (1_700_000_000_000_000_001, TimestampFrom::Line)
    );
    assert_eq!(event.level, Some(Level::Error));
    assert_eq!(
        (event.body(), event.raw_text()),
        ("disk full".into(), "disk full".into())
    );
    assert_eq!(event.service.as_deref(), Some("cart"));
    assert_eq!(event.path.as_deref(), Some("/var/log/x"));
    assert!(event.trace_id.is_some() && event.span_id.is_some() && event.span.is_none());
    assert_eq!(
        Value::Object(event.attributes.clone()),
        json!({
            "log.file.path": "/var/log/x", "user": "u-17", "event_name": "app.crash", "severity_number": 18,
            "otel.dropped_attributes_count": 1, "resource": {"service.name": "cart"}, "scope": {"name": "log4j"},
        })
    );
}

#[test]
fn a_log_takes_the_best_time_and_level_that_it_has() {
    let observed = "1700000000000000002";
    let cases = [
        (
            json!({"timeUnixNano": "0", "observedTimeUnixNano": observed}),
            1_700_000_000_000_000_002,
            TimestampFrom::Line,
        ),
        (
            json!({"timeUnixNano": "9223372036854775808", "observedTimeUnixNano": observed}),
            1_700_000_000_000_000_002,
            TimestampFrom::Line,
        ),
        (
            json!({"timeUnixNano": "9223372036854775807"}),
            i64::MAX,
            TimestampFrom::Line,
        ),
        (
            json!({"observedTimeUnixNano": u64::MAX.to_string()}),
            ARRIVAL_MS * 1_000_000,
            TimestampFrom::Arrival,
        ),
        (json!({}), ARRIVAL_MS * 1_000_000, TimestampFrom::Arrival),
    ];
    for (log, time, from) in cases {
        let event = &events(Signal::Logs, &logs_of(json!([log])))[0];
        assert_eq!(
            (event.timestamp_ns, event.timestamp_from),
            (time, from),
            "{log}"
        );
    }
    let cases = [
        (json!({"severityNumber": 1}), Some(Level::Trace), json!({})),
        (
            json!({"severityNumber": 9, "severityText": "Info"}),
            Some(Level::Info),
            json!({}),
        ),
        (
            json!({"severityNumber": 13, "severityText": "Achtung"}),
            Some(Level::Warn),
            json!({"severity_text": "Achtung"}),
        ),
        (
            json!({"severityText": "SEVERE"}),
            Some(Level::Error),
            json!({"severity_text": "SEVERE"}),
        ),
        (
            json!({"severityNumber": 25, "severityText": "?"}),
            None,
            json!({"severity_text": "?", "severity_number": 25}),
        ),
        (
            json!({"severityNumber": -1, "severityText": "fatal"}),
            Some(Level::Fatal),
            json!({"severity_number": -1}),
        ),
    ];
    for (log, level, attributes) in cases {
        let event = &events(Signal::Logs, &logs_of(json!([log])))[0];
        assert_eq!(event.level, level, "{log}");
        assert_eq!(Value::Object(event.attributes.clone()), attributes, "{log}");
    }
}

#[test]
fn an_id_that_is_none_is_told_to_its_sender_and_the_item_is_kept() {
    let trace = "5b8efff798038103d269b633813fc60c";
    let span = "eee19b7ec3c1b174";
    let cases = [
        (json!({"traceId": trace, "spanId": span}), None),
        (json!({"spanId": span}), Some("`trace_id` is missing")),
        (
            json!({"traceId": "", "spanId": span}),
            Some("`trace_id` is missing"),
        ),
        (
            json!({"traceId": "abcdef", "spanId": span}),
            Some("`trace_id` has 3 bytes instead of 16"),
        ),
        (
            json!({"traceId": trace, "spanId": "0000000000000000"}),
            Some("`span_id` is all zero, which says that there is none"),
        ),
        (
            json!({"traceId": trace, "spanId": trace}),
            Some("`span_id` has 16 bytes instead of 8"),
        ),
    ];
    for (ids, fault) in cases {
        for (signal, body) in [
            (Signal::Spans, spans_of(json!([ids]))),
            (Signal::Logs, logs_of(json!([ids]))),
        ] {
            let request = request(signal, &body);
            let item = request.items().next().unwrap();
            let optional =
                signal == Signal::Logs && fault.is_some_and(|fault| fault.ends_with("missing"));
            let expected = fault.filter(|_| !optional).map(str::to_owned);
            assert_eq!(
                item.id_fault().map(|fault| fault.to_string()),
                expected,
                "{ids}"
            );
            let event = &events(signal, &body)[0];
            assert_eq!(
                (event.trace_id, event.span_id),
                (item.trace_id(), item.span_id())
            );
            let well = |id: &Value, len: usize| {
                id.as_str()
                    .is_some_and(|id| id.len() == len && id.contains(|c| c != '0'))
            };
            assert_eq!(event.trace_id.is_some(), well(&ids["traceId"], 32), "{ids}");
            assert_eq!(event.span_id.is_some(), well(&ids["spanId"], 16), "{ids}");
        }
    }
}

#[test]
fn attributes_keep_their_types_and_bodies_their_text() {
    let deep = (0..30).fold(
        json!({"intValue": 1}),
        |inner, _| json!({"arrayValue": {"values": [inner]}}),
    );
    let attributes = json!([
        {"key": "max", "value": {"intValue": i64::MAX.to_string()}}, {"key": "min", "value": {"intValue": i64::MIN}},
        {"key": "pi", "value": {"doubleValue": 3.25}}, {"key": "nan", "value": {"doubleValue": "NaN"}},
        {"key": "inf", "value": {"doubleValue": "-Infinity"}}, {"key": "yes", "value": {"boolValue": false}},
        {"key": "bytes", "value": {"bytesValue": "AP-_"}}, {"key": "empty", "value": {}}, {"key": "absent"},
        {"key": "list", "value": {"arrayValue": {"values": [{"intValue": 1}, {"stringValue": "a"}, {}]}}},
        {"key": "pairs", "value": {"kvlistValue": {"values": [text("a", "b"), text("a", "c")]}}},
        {"key": "max", "value": {"intValue": 1}}, text("resource", "mine"),
        {"key": "k".repeat(300), "value": {"intValue": 1}}, {"key": "deep", "value": deep},
    ]);
    let body = json!({"resourceLogs": [{"resource": {"attributes": [text("a", "b")]}, "scopeLogs": [{"logRecords": [{"attributes": attributes}]}]}]});
    let mut read = Value::Object(events(Signal::Logs, &body)[0].attributes.clone());
    // The object of all attributes, and the first list.
    let mut depth = 2;
    let mut inner = &read["deep"];
    while let Some(next) = inner.get(0) {
        (inner, depth) = (next, depth + 1);
    }
    assert_eq!(depth, limits::ATTRIBUTE_DEPTH_MAX);
    read.as_object_mut().unwrap().remove("deep");
    assert_eq!(
        read,
        json!({
            "max": i64::MAX, "min": i64::MIN, "pi": 3.25, "nan": "NaN", "inf": "-Infinity", "yes": false, "bytes": "AP+/",
            "empty": null, "absent": null, "list": [1, "a", null], "pairs": {"a": "b"}, "resource": [{"a": "b"}, "mine"],
        })
    );
    let cases = [
        (json!({"stringValue": "a\nb"}), "a\nb"),
        (json!({"bytesValue": "/w=="}), "\u{fffd}"),
        (json!({"intValue": "5"}), "5"),
        (
            json!({"kvlistValue": {"values": [text("msg", "x"), {"key": "n", "value": {"intValue": 2}}]}}),
            r#"{"msg":"x","n":2}"#,
        ),
        (json!({}), ""),
        (json!(null), ""),
    ];
    for (body, expected) in cases {
        let event = &events(Signal::Logs, &logs_of(json!([{"body": body}])))[0];
        assert_eq!(
            (&*event.body(), event.raw_text()),
            (expected, expected.into()),
            "{body}"
        );
    }
}
