//! What OTLP requests become, field by field.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use logboom_event::{
    Body, Encoding, Event, Level, Record, SpanKind, SpanStatus, TimestampFrom, limits,
    otlp::{self, OtlpError, Request, Signal},
};
use serde_json::{Value, json};

const ARRIVAL_MS: i64 = 1_767_225_600_000;

fn record(encoding: Encoding, value: Bytes) -> Record {
    Record {
        topic: Arc::from("otlp"),
        partition: 3,
        offset: 7,
        timestamp_ms: ARRIVAL_MS,
        encoding,
        key: Some(Bytes::from_static(b"k")),
        value,
        origin: None,
        headers: vec![("tenant".into(), Bytes::from_static(b"a"))],
    }
}

fn request(signal: Signal, body: &Value) -> Request {
    Request::from_json(signal, &serde_json::to_vec(body).unwrap()).unwrap()
}

/// The events of a request; each is the same when it is rebuilt from its own record.
fn events(signal: Signal, body: &Value) -> Vec<Event> {
    let record = record(signal.encoding(), request(signal, body).body().clone());
    let events = Event::all(record.clone()).map(|(alone, event)| {
        assert_eq!(Event::parse(&alone), event);
        let expected = Record {
            key: None,
            value: alone.value.clone(),
            headers: Vec::new(),
            ..record.clone()
        };
        assert_eq!(alone, expected, "nothing of an item is in key and headers");
        let again: Vec<_> = Event::all(alone.clone()).collect();
        assert_eq!(again, [(alone, event.clone())]);
        event
    });
    events.collect()
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn spans_of(spans: Value) -> Value {
    json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
}

fn logs_of(logs: Value) -> Value {
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": logs}]}]})
}

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
fn lines_are_one_event_and_not_copied() {
    let line = record(Encoding::Line, Bytes::from_static(b"ERROR x"));
    let all: Vec<_> = Event::all(line.clone()).collect();
    assert_eq!(all, [(line.clone(), Event::parse(&line))]);
    assert_eq!(all[0].0.value.as_ptr(), line.value.as_ptr());
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
fn what_is_no_request_is_one_event_kept_whole() {
    let another_message = &[0x12, 1, b'x'];
    for value in [
        &b"not protobuf"[..],
        &[0x0a, 0xff, 0xff, 0x7f],
        &[0x0a],
        another_message,
    ] {
        let record = record(Encoding::OtlpSpans, Bytes::copy_from_slice(value));
        let all: Vec<_> = Event::all(record.clone()).collect();
        let [(alone, event)] = &all[..] else {
            panic!("{all:?}")
        };
        assert_eq!((alone, event), (&record, &Event::parse(&record)));
        assert!(event.parse_failed && event.span.is_none());
        assert_eq!(
            (&event.raw, event.timestamp_from),
            (&record.value, TimestampFrom::Arrival)
        );
    }
    assert_eq!(
        Event::all(record(Encoding::OtlpLogs, Bytes::new())).count(),
        0
    );
    let too_many = spans_of(json!(vec![json!({}); limits::OTLP_ITEMS_MAX + 1]));
    let error =
        Request::from_json(Signal::Spans, &serde_json::to_vec(&too_many).unwrap()).unwrap_err();
    assert_eq!(error, OtlpError::TooManyItems);
    assert!(
        error.to_string().contains("more than 100000 items"),
        "{error}"
    );
}

#[test]
fn items_are_packed_into_requests_that_fit() {
    let span = |n: usize| json!({"name": "x".repeat(n), "traceId": format!("{n:032x}")});
    let resource = |name: &str| json!({"attributes": [text("service.name", name)]});
    let body = json!({"resourceSpans": [
        {"resource": resource("a"), "scopeSpans": [
            {"scope": {"name": "s"}, "spans": [span(1), span(2)]}, {"spans": []}, {"scope": {"name": "t"}, "spans": [span(300)]}]},
        {"resource": resource("b"), "scopeSpans": [{"spans": [span(4), span(5)]}]},
    ]});
    let request = request(Signal::Spans, &body);
    assert_eq!(
        request
            .items()
            .map(|item| item.trace_id().unwrap()[15])
            .collect::<Vec<_>>(),
        [1, 2, 44, 4, 5]
    );
    let all: Vec<_> = otlp::pack(request.items(), usize::MAX).collect();
    assert_eq!((all.len(), all[0].items), (1, 5));
    let names = |value: &Bytes| -> Vec<usize> {
        Event::all(record(Encoding::OtlpSpans, value.clone()))
            .map(|(_, event)| event.raw.len())
            .collect()
    };
    assert_eq!(names(&all[0].value), [1, 2, 300, 4, 5]);
    for max in [0, 60, 120, 130, 200, 400, 500] {
        let packed: Vec<_> = otlp::pack(request.items(), max).collect();
        let lengths: Vec<_> = packed
            .iter()
            .flat_map(|packed| names(&packed.value))
            .collect();
        assert_eq!(lengths, [1, 2, 300, 4, 5], "{max}");
        for (number, one) in packed.iter().enumerate() {
            assert!(one.value.len() <= max || one.items == 1, "{max}");
            if let Some(next) = packed.get(number + 1) {
                let (from, n) = (
                    packed[..number].iter().map(|p| p.items).sum::<usize>(),
                    one.items + 1,
                );
                let together = request.items().skip(from).take(n);
                let together = otlp::pack(together, usize::MAX).next().unwrap();
                assert!(
                    together.value.len() > max,
                    "{max}: {next:?} begins too early"
                );
            }
        }
    }
    for item in request.items() {
        assert_eq!(item.alone().len(), item.alone_len());
        let headers = item.alone_len() - item.shared_len();
        assert!(
            item.shared_len() >= item.resource().len() && headers >= 6,
            "{item:?}"
        );
        assert_eq!(otlp::pack([item], 0).next().unwrap().value, item.alone());
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

#[test]
fn json_is_read_as_otlp_says_and_refused_with_a_reason() {
    let read = |text: &str| Request::from_json(Signal::Spans, text.as_bytes());
    let spans = |span: &str| {
        read(&format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#
        ))
    };
    for taken in [
        r#"{"name":null,"kind":null,"attributes":null,"unknown":{"a":[1]},"startTimeUnixNano":1.5e18,"endTimeUnixNano":"7"}"#,
        r#"{"attributes":[{"key":"a","value":null},{"key":"b","value":{"future":1}}],"status":{}}"#,
        r#"{"flags":257,"droppedAttributesCount":"3","name":"\u00e4"}"#,
    ] {
        assert_eq!(spans(taken).unwrap().len(), 1, "{taken}");
    }
    for (refused, reason) in [
        (
            r#"{"kind":"SPAN_KIND_SERVER"}"#,
            "`kind` must be a number, not the name of one",
        ),
        (r#"{"name":5}"#, "`name` must be a string"),
        (r#"{"traceId":"xyz0"}"#, "`traceId` is not in hex"),
        (
            r#"{"attributes":{"a":"b"}}"#,
            "`attributes` must be an array",
        ),
        (r#"{"status":[]}"#, "`status` must be an object"),
        (
            r#"{"startTimeUnixNano":-1}"#,
            "`startTimeUnixNano` is out of range: -1",
        ),
        (
            r#"{"startTimeUnixNano":"1e3"}"#,
            "`startTimeUnixNano` must be an integer",
        ),
        (r#"{"droppedAttributesCount":4294967296}"#, "out of range"),
        (
            r#"{"attributes":[{"key":"a","value":{"intValue":1.5}}]}"#,
            "`intValue` must be an integer",
        ),
        (
            r#"{"attributes":[{"key":"a","value":{"intValue":9223372036854775808}}]}"#,
            "out of range",
        ),
        (
            r#"{"attributes":[{"key":"a","value":"text"}]}"#,
            "`value` must be an object",
        ),
        (
            r#"{"attributes":[{"key":"a","value":{"bytesValue":"%"}}]}"#,
            "`bytesValue` is not in base64",
        ),
        (r#"{"name":"a"} trailing"#, "line 1 column"),
    ] {
        let error = spans(refused).unwrap_err().to_string();
        assert!(
            error.starts_with("the body is not an OTLP request in JSON: "),
            "{error}"
        );
        assert!(error.contains(reason), "{refused}: {error}");
    }
    assert!(
        read("[]")
            .unwrap_err()
            .to_string()
            .contains("an object, the message `ExportTraceServiceRequest`")
    );
    assert!(read("").is_err());
    let truncated =
        Request::from_protobuf(Signal::Logs, Bytes::from_static(&[0x0a, 4, 0x12, 2, 0x12]));
    let error = truncated.unwrap_err().to_string();
    assert_eq!(
        error,
        "the body is not an OTLP request in protobuf: in `ExportLogsServiceRequest`, it ends inside a field"
    );
}

#[test]
fn a_dead_letter_is_cut_to_its_bound() {
    let many: Vec<_> = (0..1_000)
        .map(|n| text(&format!("key-{n}"), "value"))
        .collect();
    let body = spans_of(json!([{"name": "日".repeat(100_000), "attributes": many}]));
    let request = request(Signal::Spans, &body);
    let item = request.items().next().unwrap();
    let whole = item.to_json(usize::MAX);
    assert_eq!(whole, body);
    for max in [0, 10, 1_000, 5_001, 50_000] {
        let cut = item.to_json(max).to_string();
        assert!(cut.len() <= max + 200, "{max}: {}", cut.len());
        assert!(
            Request::from_json(Signal::Spans, cut.as_bytes()).is_ok(),
            "{cut}"
        );
    }
}

#[test]
fn what_is_not_utf8_costs_a_character_and_not_the_batch() {
    let request = request(
        Signal::Spans,
        &spans_of(json!([{"name": "caf?", "attributes": [text("k?", "v?")]}, {"name": "next"}])),
    );
    let broken: Vec<u8> = request
        .body()
        .iter()
        .map(|&byte| if byte == b'?' { 0xe9 } else { byte })
        .collect();
    let all: Vec<_> = Event::all(record(Encoding::OtlpSpans, broken.into()))
        .map(|(_, event)| event)
        .collect();
    assert_eq!(all.len(), 2);
    assert_eq!(
        (&all[0].raw[..], all[0].body()),
        (&b"caf\xe9"[..], "caf\u{fffd}".into())
    );
    assert_eq!(all[0].attributes["k\u{fffd}"], "v\u{fffd}");
}

#[test]
fn a_record_in_json_gives_the_events_of_the_same_request_in_protobuf() {
    let ids = json!({"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"});
    let item = |name: &str| {
        let mut item = ids.clone();
        item["attributes"] = json!([text("n", name)]);
        item
    };
    for (signal, body) in [
        (Signal::Spans, spans_of(json!([item("a"), item("b")]))),
        (Signal::Logs, logs_of(json!([item("a"), item("b")]))),
    ] {
        let json = record(signal.encoding(), serde_json::to_vec(&body).unwrap().into());
        let of_json: Vec<_> = Event::all(json.clone()).collect();
        let protobuf = record(signal.encoding(), request(signal, &body).body().clone());
        assert_eq!(of_json, Event::all(protobuf).collect::<Vec<_>>());
        assert_eq!(of_json.len(), 2);
        assert_eq!(of_json[1].1.attributes["n"], "b");
        assert_eq!(Event::parse(&json), of_json[0].1);
        for (alone, event) in of_json {
            assert_eq!(Event::parse(&alone), event);
        }
    }
    // What only looks like JSON, or says something else in it, is kept as what it is.
    let others = [
        "{\"message\": \"x\"}",
        "{\"resourceLogs\": [{\"scopeLogs\": [{\"logRecords\": [{}]}]}]}",
        "{\"resourceSpans\": [{\"instrumentationLibrarySpans\": [{\"spans\": [{\"name\": \"a\"}]}]}]}",
        "{}",
    ];
    for torn in ["{", "{\"resourceSpans\": [", "{}}"]
        .into_iter()
        .chain(others)
    {
        let torn = record(Encoding::OtlpSpans, Bytes::from_static(torn.as_bytes()));
        let events: Vec<_> = Event::all(torn.clone()).map(|(_, event)| event).collect();
        assert_eq!(events.len(), 1);
        assert!(events[0].parse_failed && events[0].raw == torn.value);
    }
}
