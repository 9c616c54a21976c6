//! Requests as a whole: how they are read from protobuf and JSON, cut into records, and kept when they are none.

use bytes::Bytes;
use logboom_event::{
    Encoding, Event, TimestampFrom, limits,
    otlp::{self, OtlpError, Request, Signal},
};
use serde_json::json;

use super::{logs_of, record, request, spans_of, text};

#[test]
fn lines_are_one_event_and_not_copied() {
    let line = record(Encoding::Line, Bytes::from_static(b"ERROR x"));
    let all: Vec<_> = Event::all(line.clone()).collect();
    assert_eq!(all, [(line.clone(), Event::parse(&line))]);
    assert_eq!(all[0].0.value.as_ptr(), line.value.as_ptr());
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
