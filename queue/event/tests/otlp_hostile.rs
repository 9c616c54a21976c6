//! OTLP from senders who mean no good: memory stays near what they sent, and an answer comes soon.
//!
//! One test in a binary of its own, because a process has one peak of memory.
#![allow(clippy::unwrap_used)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use logboom_event::{
    Event, Record, limits,
    otlp::{self, OtlpError, Request, Signal},
};

const MIB: usize = 1024 * 1024;

/// A field of bytes with its header.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    varint(&mut out, content.len());
    out.extend_from_slice(content);
    out
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Items, already encoded, under one resource and scope.
fn request(resource: &[u8], items: &[u8]) -> Bytes {
    field(1, &[resource, &field(2, items)].concat()).into()
}

fn record(value: Bytes) -> Record {
    Record {
        topic: Arc::from("otlp_spans"),
        partition: 0,
        offset: 0,
        timestamp_ms: 1_767_225_600_000,
        encoding: Signal::Spans.encoding(),
        key: None,
        value,
        origin: None,
        headers: Vec::new(),
    }
}

/// Peak of this process's memory in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// Bytes by which the work makes this process's memory larger at its peak.
fn growth<T>(work: impl FnOnce() -> T) -> (usize, T) {
    // Sets the peak back to what is in use now.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    let answer = work();
    (peak().saturating_sub(before), answer)
}

/// Does the work and checks that it took no more memory beyond what there was, and no more time, than is fair.
fn fair<T>(what: &str, bytes_max: usize, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let (grown, answer) = growth(work);
    assert!(grown <= bytes_max, "{what}: {grown} bytes more");
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(20), "{what}: {elapsed:?}");
    answer
}

#[test]
fn hostile_requests_cost_little_more_than_their_bytes() {
    // The measure sees what it is to see.
    let (grown, _) = growth(|| std::hint::black_box(vec![1u8; 64 * MIB]));
    assert!(grown > 32 * MIB, "{grown}");

    let spans = |value: &Bytes| Request::from_protobuf(Signal::Spans, value.clone());

    let empty_items = request(&[], &[0x12, 0].repeat(2 * MIB));
    let refused = fair("4 MiB of empty spans", 8 * MIB, || spans(&empty_items));
    assert_eq!(refused.unwrap_err(), OtlpError::TooManyItems);
    let record_of_them = record(empty_items.clone());
    let events = fair("4 MiB of empty spans as events", 8 * MIB, || {
        Event::all(record_of_them).collect::<Vec<_>>()
    });
    assert!(events.len() == 1 && events[0].1.parse_failed);

    let allowed = request(&[], &[0x12, 0].repeat(limits::OTLP_ITEMS_MAX));
    let count = fair("as many spans as are allowed", 16 * MIB, || {
        Event::all(record(allowed)).count()
    });
    assert_eq!(count, limits::OTLP_ITEMS_MAX);

    let empty_levels: Bytes = [0x0a, 0].repeat(2 * MIB).into();
    let none = fair("4 MiB of empty resources", 8 * MIB, || {
        spans(&empty_levels).unwrap().len()
    });
    assert_eq!(none, 0);
    let empty_scopes = request(&[], &[]).repeat(MIB).into();
    assert_eq!(
        fair("empty scopes", 8 * MIB, || spans(&empty_scopes)
            .unwrap()
            .len()),
        0
    );

    // Attributes, events, links and list elements of two bytes each, a million of them in one span.
    for (number, what) in [(9u8, "attributes"), (11, "events"), (13, "links")] {
        let span = field(2, &[number << 3 | 2, 0].repeat(2 * MIB));
        let record = record(request(&[], &span));
        let (_, event) = fair(what, 16 * MIB, || Event::all(record).next().unwrap());
        let span = event.span.unwrap();
        assert!(event.attributes.len() <= limits::ATTRIBUTES_MAX);
        assert!(
            span.events.len() <= limits::SPAN_EVENTS_MAX
                && span.links.len() <= limits::SPAN_LINKS_MAX
        );
    }
    let list = field(5, &[0x0a, 0].repeat(2 * MIB));
    let attribute = field(9, &[field(1, b"k"), field(2, &list)].concat());
    let record_of_list = record(request(&[], &field(2, &attribute)));
    let (_, event) = fair("a list of two million", 16 * MIB, || {
        Event::all(record_of_list).next().unwrap()
    });
    assert!(event.attributes["k"].as_array().unwrap().len() < limits::ATTRIBUTES_MAX);

    // Lists in lists, 20,000 deep.
    let deep = (0..20_000).fold(Vec::new(), |inner, _| field(5, &field(1, &inner)));
    let attribute = field(9, &[field(1, b"k"), field(2, &deep)].concat());
    let record_of_depth = record(request(&[], &field(2, &attribute)));
    let (alone, event) = fair("deep nesting", 16 * MIB, || {
        Event::all(record_of_depth).next().unwrap()
    });
    assert!(!event.parse_failed && event.attributes.contains_key("k"));
    let request_of_depth = spans(&alone.value).unwrap();
    let json = fair("deep nesting to JSON", 16 * MIB, || {
        request_of_depth
            .items()
            .next()
            .unwrap()
            .to_json(MIB)
            .to_string()
    });
    assert!(Request::from_json(Signal::Spans, json.as_bytes()).is_ok());

    for json in [
        "[".repeat(4 * MIB),
        format!(r#"{{"x":{}"#, "{\"x\":".repeat(MIB)),
        format!(
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"value":{}"#,
            r#"{"arrayValue":{"values":["#.repeat(MIB / 8)
        ),
    ] {
        let error = fair("deep JSON", 8 * MIB, || {
            Request::from_json(Signal::Spans, json.as_bytes())
        })
        .unwrap_err();
        assert!(matches!(error, OtlpError::Json { .. }), "{error}");
    }
    let json = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}{{}}]}}]}}]}}"#,
        "{},".repeat(2 * MIB)
    );
    let refused = fair("empty spans in JSON", 24 * MIB, || {
        Request::from_json(Signal::Spans, json.as_bytes())
    });
    assert_eq!(refused.unwrap_err(), OtlpError::TooManyItems);

    // Lengths that are announced and do not come.
    for announced in [1 << 20, 1 << 31, 1 << 40, usize::MAX] {
        let mut huge = vec![0x0a];
        varint(&mut huge, announced);
        huge.extend_from_slice(b"little");
        let nested = request(&[], &huge);
        for value in [huge.into(), nested] {
            assert!(fair("a huge length", MIB, || spans(&value)).is_err());
        }
    }

    // A resource of 2 MiB that 10,000 spans would repeat: 20 GB.
    let text = |key: &str, value: &str| {
        field(
            1,
            &[
                field(1, key.as_bytes()),
                field(2, &field(1, value.as_bytes())),
            ]
            .concat(),
        )
    };
    let mut resource: Vec<u8> = (0..2_000)
        .flat_map(|n| text(&format!("k{n}"), &"x".repeat(1_000)))
        .collect();
    resource.extend(text("service.name", "shop"));
    let value = request(
        &field(1, &resource),
        &field(2, &field(5, b"name")).repeat(10_000),
    );
    let whole = record(value.clone());
    let exploded = fair("a resource repeated", 16 * MIB, || {
        Event::all(whole)
            .map(|(alone, event)| {
                assert_eq!(event.service.as_deref(), Some("shop"));
                assert!(
                    event.attributes["resource"]["otel.dropped_attributes_count"]
                        .as_u64()
                        .unwrap()
                        > 1_900
                );
                alone.value.len()
            })
            .sum::<usize>()
    });
    assert!(
        exploded <= value.len() + limits::OTLP_SHARED_BYTES_MAX + MIB,
        "{exploded}"
    );
    let (alone, event) = Event::all(record(value.clone())).last().unwrap();
    assert_eq!(Event::parse(&alone), event);
    // Packed for the queue it is shared, and refused by nobody but the broker.
    let packed = fair("a resource packed", 32 * MIB, || {
        otlp::pack(spans(&value).unwrap().items(), 3 * MIB).count()
    });
    assert_eq!(packed, 1);

    // A large resource above many scopes, of one span each: read again for each scope it would be 1.3 GB.
    let resource = field(1, &[0x0a, 0].repeat(32 << 10));
    let scope = field(2, &field(2, &field(5, b"name")));
    let value = Bytes::from(field(1, &[resource, scope.repeat(20_000)].concat()));
    let record_of_scopes = record(value);
    let count = fair("many scopes below a large resource", 16 * MIB, || {
        Event::all(record_of_scopes).count()
    });
    assert_eq!(count, 20_000);

    // Key and headers of 1 MiB, which 10,000 spans would repeat: 20 GB.
    let value = request(&[], &[0x12, 0].repeat(10_000));
    let headed = Record {
        key: Some(vec![b'k'; MIB].into()),
        headers: vec![("h".repeat(MIB / 2), vec![b'v'; MIB / 2].into())],
        ..record(value.clone())
    };
    let bytes: usize = fair("large headers", 16 * MIB, || {
        let alone: Vec<Record> = Event::all(headed).map(|(alone, _)| alone).collect();
        alone.iter().map(Record::bytes).sum()
    });
    assert!(bytes <= 10 * value.len(), "{bytes}");
}
