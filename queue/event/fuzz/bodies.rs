//! What the fuzz targets check, shared with the property tests that run on every commit.

use std::sync::Arc;

use bytes::Bytes;
use logboom_event::{
    Body, Context, ContextCache, Event, Format, Origin, Record, SourceId, limits,
    origin_from_headers,
    otlp::{self, Request, Signal},
};
use serde_json::Value;

/// One of every kind of format.
pub(crate) const FORMATS: [&str; 6] = [
    "auto",
    "json",
    "logfmt",
    "syslog",
    r"regex:^(?<timestamp>\S+) (?<level>\w+) (?<body>.*)$",
    r"regex:(?<body>.*?)(?<trace_id>[0-9a-f]*)(?<n>\d*)$",
];

/// Parsing never panics, keeps the line byte for byte, gives the same answer twice, and finds a body
/// inside the line.
pub(crate) fn parse(line: &[u8], format: Format, arrival_ms: i64) {
    let auto = format == Format::Auto;
    for timezone in [None, Some("Europe/Berlin".to_owned())] {
        let context = Context {
            format: format.clone(),
            timezone,
            ..Context::new("h", "/p")
        };
        let record = Record {
            topic: Arc::from("logs"),
            partition: 0,
            offset: 0,
            timestamp_ms: arrival_ms,
            encoding: logboom_event::Encoding::Line,
            key: None,
            value: Bytes::copy_from_slice(line),
            origin: Some(Origin {
                source: SourceId([0; 16]),
                prev: 0,
                offset: 0,
                end: line.len() as u64,
                continues: false,
                true_len: None,
                context: Arc::new(context),
            }),
            headers: Vec::new(),
        };
        let event = Event::parse(&record);
        assert_eq!(event.raw, line);
        assert!(!(auto && event.parse_failed));
        assert_eq!(event, Event::parse(&record));
        if let Body::Raw(range) = &event.body {
            assert!(
                line.get(range.clone()).is_some(),
                "{range:?} is not in the line"
            );
        }
        let _body = event.body();
        assert!(event.attributes.len() <= logboom_event::limits::ATTRIBUTES_MAX);
    }
}

/// Decoding never panics, and an origin that was decoded survives its own headers.
///
/// The data is a list of headers: a byte that picks the name, a byte of length, the value.
pub(crate) fn headers(data: &[u8]) {
    const NAMES: [&str; 12] = [
        "lb.src",
        "lb.prev",
        "lb.off",
        "lb.end",
        "lb.host",
        "lb.path",
        "lb.service",
        "lb.format",
        "lb.tz",
        "lb.flags",
        "lb.len",
        "other",
    ];
    let mut headers: Vec<(&str, &[u8])> = Vec::new();
    let mut rest = data;
    while let [name, len, tail @ ..] = rest {
        let (value, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        headers.push((NAMES[usize::from(*name) % NAMES.len()], value));
        rest = tail;
    }
    let mut cache = ContextCache::new();
    if let Ok(Some(origin)) = origin_from_headers(headers.into_iter(), &mut cache) {
        let written = origin.to_headers();
        let written = written.iter().map(|(name, value)| (*name, &**value));
        assert_eq!(origin_from_headers(written, &mut cache), Ok(Some(origin)));
    }
}

/// Any bytes as an export request: what holds between it, its items, their own requests and their events.
pub(crate) fn otlp_protobuf(data: &[u8], signal: Signal) {
    let record = Record {
        topic: Arc::from("otlp"),
        partition: 0,
        offset: 0,
        timestamp_ms: 1_767_225_600_000,
        encoding: signal.encoding(),
        key: None,
        value: Bytes::copy_from_slice(data),
        origin: None,
        headers: Vec::new(),
    };
    let first = Event::parse(&record);
    let all = Event::all(record.clone());
    assert_eq!(all.len(), all.size_hint().0);
    let request = match data.first() {
        Some(b'{') => Request::from_json(signal, data),
        _ => Request::from_protobuf(signal, record.value.clone()),
    };
    // A record without items says something else than a request, and is kept as it is.
    let told = request
        .ok()
        .filter(|request| data.is_empty() || !request.is_empty());
    let Some(request) = told else {
        assert!(first.parse_failed && first.raw == data);
        assert_eq!(all.collect::<Vec<_>>(), [(record, first)]);
        return;
    };
    assert_eq!(
        (all.len(), request.is_empty()),
        (request.len(), first.parse_failed)
    );
    for ((alone, event), item) in all.zip(request.items()) {
        // Shared parts are cut only where repeating them is too much.
        if request.body().len() * request.len() <= limits::OTLP_SHARED_BYTES_MAX {
            assert_eq!(alone.value, item.alone());
        }
        assert_eq!(item.alone_len(), item.alone().len());
        assert_eq!(Event::parse(&alone), event);
        assert_eq!(
            (event.trace_id, event.span_id),
            (item.trace_id(), item.span_id())
        );
        assert_eq!(event.span.is_some(), signal == Signal::Spans);
        assert!(matches!(&event.body, Body::Raw(range) if event.raw.get(range.clone()).is_some()));
        bounded(&event);
        let _fault = item.id_fault();
        for bytes_max in [40, usize::MAX] {
            let json = item.to_json(bytes_max).to_string();
            let read = Request::from_json(signal, json.as_bytes());
            assert!(read.is_ok_and(|read| read.len() <= 1), "{json}");
        }
    }
    for bytes_max in [0, 64, usize::MAX] {
        let packed: Vec<_> = otlp::pack(request.items(), bytes_max).collect();
        let items: usize = packed.iter().map(|packed| packed.items).sum();
        assert_eq!(items, request.len());
        for packed in packed {
            assert!(packed.value.len() <= bytes_max || packed.items == 1);
            let again = Request::from_protobuf(signal, packed.value);
            assert!(again.is_ok_and(|again| again.len() == packed.items));
        }
    }
}

/// Any bytes as OTLP/JSON: a request is well-formed protobuf, and its items keep what holds for all.
pub(crate) fn otlp_json(data: &[u8], signal: Signal) {
    if let Ok(request) = Request::from_json(signal, data) {
        // 10 bytes for a number of one digit is the worst that can become of a character.
        assert!(request.body().len() <= 10 * data.len());
        otlp_protobuf(request.body(), signal);
    }
    otlp_protobuf(data, signal);
}

/// An event's attributes within what the crate promises.
fn bounded(event: &Event) {
    fn size(value: &Value) -> (usize, usize) {
        let inner: Vec<_> = match value {
            Value::Object(object) => object.values().map(size).collect(),
            Value::Array(array) => array.iter().map(size).collect(),
            _ => return (0, 0),
        };
        let entries = inner.len() + inner.iter().map(|(entries, _)| entries).sum::<usize>();
        let depth = inner.iter().map(|(_, depth)| depth).max();
        (entries, 1 + depth.unwrap_or(&0))
    }
    let (entries, depth) = size(&Value::Object(event.attributes.clone()));
    // A name that is ours and an attribute's makes a list of both: a level, and two entries, more.
    assert!(entries <= limits::ATTRIBUTES_MAX + 4, "{entries}");
    assert!(depth <= limits::ATTRIBUTE_DEPTH_MAX + 1, "{depth}");
}
