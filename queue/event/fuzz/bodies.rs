//! What the fuzz targets check, shared with the property tests that run on every commit.

use std::sync::Arc;

use bytes::Bytes;
use logboom_event::{
    Body, Context, ContextCache, Event, Format, Origin, Record, SourceId, origin_from_headers,
};

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
            host: "h".into(),
            path: "/p".into(),
            service: None,
            format: format.clone(),
            timezone,
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
