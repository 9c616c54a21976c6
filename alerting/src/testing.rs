//! What the unit tests of several modules need: rules from YAML, records, events.

use std::sync::Arc;

use logboom_event::{
    Context, Encoding, Event, Origin, Record, SourceId, TimestampFrom,
    otlp::{Request, Signal},
};
use serde_json::json;

use crate::{
    evaluate::Item,
    rules::{self, Rule, RuleSet},
};

pub(crate) const S: i64 = 1_000_000_000;

pub(crate) fn rule_set(yaml: &str) -> RuleSet {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yaml");
    std::fs::write(&file, yaml).unwrap();
    rules::load(&[file]).unwrap()
}

pub(crate) fn one_rule(rule: &str) -> Arc<Rule> {
    Arc::clone(&rule_set(&format!("version: 1\nrules:\n- {rule}\n")).rules[0])
}

/// Line `index` of `source`, as an agent sends it.
pub(crate) fn record(source: u8, index: u64, arrival_ns: i64, line: &str) -> Record {
    let context = Context::new(format!("host{source}"), format!("/var/log/{source}.log"));
    Record {
        topic: "logs".into(),
        partition: i32::from(source) % 2,
        offset: index as i64,
        timestamp_ms: arrival_ns / 1_000_000,
        encoding: logboom_event::Encoding::Line,
        key: None,
        value: line.as_bytes().to_vec().into(),
        origin: Some(Origin {
            source: SourceId([source; 16]),
            prev: index * 100,
            offset: index * 100,
            end: index * 100 + 100,
            continues: false,
            true_len: None,
            context: Arc::new(context),
        }),
        headers: Vec::new(),
    }
}

/// A request of these spans of `host`, as a collector writes it into `otlp_spans`.
pub(crate) fn spans(host: &str, offset: i64, arrival_ns: i64, spans: &[TestSpan]) -> Record {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let one = |span: &TestSpan| {
        json!({
            "traceId": format!("{:032x}", span.trace), "spanId": format!("{:016x}", span.trace), "name": span.operation, "kind": 2,
            "startTimeUnixNano": (span.end - span.duration).to_string(), "endTimeUnixNano": span.end.to_string(),
            "attributes": [text("http.route", "/cart")],
            "status": if span.failed { json!({"code": 2, "message": "boom"}) } else { json!({}) },
        })
    };
    let resource = json!({"attributes": [text("service.name", "cart"), text("host.name", host)]});
    let scopes = json!([{"spans": spans.iter().map(one).collect::<Vec<_>>()}]);
    let body = json!({"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]});
    let request = Request::from_json(Signal::Spans, &serde_json::to_vec(&body).unwrap()).unwrap();
    Record {
        topic: "otlp_spans".into(),
        partition: 0,
        offset,
        timestamp_ms: arrival_ns / 1_000_000,
        encoding: Encoding::OtlpSpans,
        key: None,
        value: request.body().clone(),
        origin: None,
        headers: Vec::new(),
    }
}

/// A span of service `cart`; times in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct TestSpan {
    pub(crate) operation: &'static str,
    pub(crate) trace: u32,
    pub(crate) end: i64,
    pub(crate) duration: i64,
    pub(crate) failed: bool,
}

impl TestSpan {
    pub(crate) fn new(end: i64, duration_ms: i64) -> TestSpan {
        TestSpan {
            operation: "GET /cart",
            trace: 1,
            end,
            duration: duration_ms * 1_000_000,
            failed: false,
        }
    }
}

/// The only event of its record.
pub(crate) fn item<'a>(record: &'a Record, event: &'a Event) -> Item<'a> {
    Item {
        record,
        event,
        index: 0,
    }
}

/// The record's event, with a timestamp given here.
pub(crate) fn event(record: &Record, time: i64) -> Event {
    let mut event = Event::parse(record);
    event.timestamp_ns = time;
    event.timestamp_from = TimestampFrom::Line;
    event
}
