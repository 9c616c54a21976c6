//! What OTLP requests become, field by field.
#![allow(clippy::unwrap_used)]

mod fields;
mod requests;

use std::sync::Arc;

use bytes::Bytes;
use logboom_event::{
    Encoding, Event, Record,
    otlp::{Request, Signal},
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
