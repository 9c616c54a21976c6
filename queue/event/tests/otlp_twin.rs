//! Our reading and writing of OTLP against the generated types and their JSON.
#![allow(clippy::unwrap_used)]

use std::{fmt::Debug, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use logboom_event::{
    Encoding, Event, Record,
    otlp::{self, Request, Signal},
};
use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{
        AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value as Any,
    },
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Event as SpanEvent, Link},
    },
};
use proptest::{collection::vec, option, prelude::*};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        "[a-zß \"\\\\]{0,6}".prop_map(Any::StringValue),
        any::<bool>().prop_map(Any::BoolValue),
        any::<i64>().prop_map(Any::IntValue),
        (-1e300..1e300).prop_map(Any::DoubleValue),
        vec(any::<u8>(), 0..6).prop_map(Any::BytesValue),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value: Some(value) });
    leaf.prop_recursive(3, 12, 4, |inner| {
        let values = vec(inner.clone(), 0..4);
        let pairs = vec((key(), option::of(inner)), 0..4);
        prop_oneof![
            values.prop_map(|values| Any::ArrayValue(ArrayValue { values })),
            pairs.prop_map(|pairs| Any::KvlistValue(KeyValueList {
                values: pairs.into_iter().map(pair).collect()
            })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a",
        "b",
        "service.name",
        "host.name",
        "resource",
        "exception.message",
        "é",
    ])
    .prop_map(str::to_owned)
}

fn pair((key, value): (String, Option<AnyValue>)) -> KeyValue {
    KeyValue {
        key,
        value,
        ..Default::default()
    }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec((key(), any_value().prop_map(Some)).prop_map(pair), 0..4)
}

/// Mostly ids, and what hostile or careless senders write for one.
fn id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(any::<u8>(), len), 1 => Just(vec![0; len]), 1 => vec(any::<u8>(), 0..20)]
}

fn nanos() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 1_600_000_000_000_000_000..1_800_000_000_000_000_000u64, 1 => Just(0), 1 => any::<u64>()]
}

fn resource() -> impl Strategy<Value = Option<Resource>> {
    let resource =
        (attributes(), 0..3u32).prop_map(|(attributes, dropped_attributes_count)| Resource {
            attributes,
            dropped_attributes_count,
            ..Default::default()
        });
    option::of(resource)
}

fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    let scope =
        ("[a-z]{0,3}", "[0-9]{0,2}", attributes()).prop_map(|(name, version, attributes)| {
            InstrumentationScope {
                name,
                version,
                attributes,
                dropped_attributes_count: 0,
            }
        });
    option::of(scope)
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), id(8), "[a-z=]{0,3}");
    let event =
        (nanos(), "[a-z]{0,3}", attributes()).prop_map(|(time_unix_nano, name, attributes)| {
            SpanEvent {
                time_unix_nano,
                name,
                attributes,
                dropped_attributes_count: 1,
            }
        });
    let link = (id(16), id(8), attributes()).prop_map(|(trace_id, span_id, attributes)| Link {
        trace_id,
        span_id,
        attributes,
        flags: 3,
        ..Default::default()
    });
    let status =
        option::of((0..4, "[a-z]{0,3}").prop_map(|(code, message)| Status { code, message }));
    let parts = (attributes(), vec(event, 0..3), vec(link, 0..3), status);
    (ids, "[a-z/ é]{0,8}", -1..8, (nanos(), nanos()), parts).prop_map(
        |(ids, name, kind, times, parts)| Span {
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            trace_state: ids.3,
            flags: 257,
            name,
            kind,
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.1,
            attributes: parts.0,
            events: parts.1,
            links: parts.2,
            status: parts.3,
            dropped_links_count: 7,
            ..Default::default()
        },
    )
}

fn log() -> impl Strategy<Value = LogRecord> {
    let severity = (-1..27, prop::sample::select(vec!["", "INFO", "warn", "?"]));
    let parts = (option::of(any_value()), attributes(), id(16), id(8));
    ((nanos(), nanos()), severity, parts, "[a-z]{0,3}").prop_map(
        |(times, severity, parts, event_name)| LogRecord {
            time_unix_nano: times.0,
            observed_time_unix_nano: times.1,
            severity_number: severity.0,
            severity_text: severity.1.into(),
            body: parts.0,
            attributes: parts.1,
            trace_id: parts.2,
            span_id: parts.3,
            event_name,
            ..Default::default()
        },
    )
}

fn spans_request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope =
        (scope(), vec(span(), 0..3), "[a-z]{0,2}").prop_map(|(scope, spans, schema_url)| {
            ScopeSpans {
                scope,
                spans,
                schema_url,
            }
        });
    let resource = (resource(), vec(scope, 0..3), "[a-z]{0,2}");
    let resource = resource.prop_map(|(resource, scope_spans, schema_url)| ResourceSpans {
        resource,
        scope_spans,
        schema_url,
    });
    vec(resource, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn logs_request() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope =
        (scope(), vec(log(), 0..3), "[a-z]{0,2}").prop_map(|(scope, log_records, schema_url)| {
            ScopeLogs {
                scope,
                log_records,
                schema_url,
            }
        });
    let resource = (resource(), vec(scope, 0..3), "[a-z]{0,2}");
    let resource = resource.prop_map(|(resource, scope_logs, schema_url)| ResourceLogs {
        resource,
        scope_logs,
        schema_url,
    });
    vec(resource, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

/// A request cut into those of one item by the generated types.
fn single_spans(request: &ExportTraceServiceRequest) -> Vec<ExportTraceServiceRequest> {
    let mut singles = Vec::new();
    for of_resource in &request.resource_spans {
        for of_scope in &of_resource.scope_spans {
            singles.extend(of_scope.spans.iter().map(|span| {
                let of_scope = ScopeSpans {
                    spans: vec![span.clone()],
                    ..of_scope.clone()
                };
                let of_resource = ResourceSpans {
                    scope_spans: vec![of_scope],
                    ..of_resource.clone()
                };
                ExportTraceServiceRequest {
                    resource_spans: vec![of_resource],
                }
            }));
        }
    }
    singles
}

fn single_logs(request: &ExportLogsServiceRequest) -> Vec<ExportLogsServiceRequest> {
    let mut singles = Vec::new();
    for of_resource in &request.resource_logs {
        for of_scope in &of_resource.scope_logs {
            singles.extend(of_scope.log_records.iter().map(|log| {
                let of_scope = ScopeLogs {
                    log_records: vec![log.clone()],
                    ..of_scope.clone()
                };
                let of_resource = ResourceLogs {
                    scope_logs: vec![of_scope],
                    ..of_resource.clone()
                };
                ExportLogsServiceRequest {
                    resource_logs: vec![of_resource],
                }
            }));
        }
    }
    singles
}

fn record(signal: Signal, value: Bytes) -> Record {
    Record {
        topic: Arc::from("otlp"),
        partition: 0,
        offset: 0,
        timestamp_ms: 1_767_225_600_000,
        encoding: signal.encoding(),
        key: None,
        value,
        origin: None,
        headers: Vec::new(),
    }
}

/// All that must hold between a request, its JSON, its cuts and its events. Gives the events.
fn agree<R>(signal: Signal, request: &R, singles: &[R]) -> Vec<Event>
where
    R: Message + Default + PartialEq + Debug + Serialize + DeserializeOwned,
{
    let ours = Request::from_protobuf(signal, request.encode_to_vec().into()).unwrap();
    assert_eq!(ours.len(), singles.len());
    let json = Request::from_json(signal, &serde_json::to_vec(request).unwrap()).unwrap();
    assert_eq!(
        &R::decode(json.body().clone()).unwrap(),
        request,
        "their JSON, our reading"
    );
    for (item, single) in ours.items().zip(singles) {
        assert_eq!(&R::decode(item.alone()).unwrap(), single);
        assert_eq!(item.alone().len(), item.alone_len());
        let written = item.to_json(usize::MAX);
        let read: R = serde_json::from_value(written.clone())
            .unwrap_or_else(|error| panic!("{error}: {written}"));
        assert_eq!(&read, single, "our JSON, their reading");
        let read = Request::from_json(signal, written.to_string().as_bytes()).unwrap();
        assert_eq!(
            &R::decode(read.body().clone()).unwrap(),
            single,
            "our JSON, our reading"
        );
    }
    let whole = record(signal, ours.body().clone());
    let events: Vec<_> = Event::all(whole).collect();
    if singles.is_empty() && !ours.body().is_empty() {
        // Nobody but us would keep what it says.
        assert!(events.len() == 1 && events[0].1.parse_failed);
        return Vec::new();
    }
    assert_eq!(events.len(), singles.len());
    for (alone, event) in &events {
        assert_eq!(&Event::parse(alone), event);
        // What the generated types write of it, defaults left out, is the same event.
        let rewritten = R::decode(alone.value.clone()).unwrap().encode_to_vec();
        let rewritten = Record {
            value: rewritten.into(),
            ..alone.clone()
        };
        assert_eq!(&Event::parse(&rewritten), event);
    }
    for bytes_max in [0, 100, 1_000] {
        let again = otlp::pack(ours.items(), bytes_max)
            .flat_map(|packed| Event::all(record(signal, packed.value)));
        assert!(
            again
                .map(|(_, event)| event)
                .eq(events.iter().map(|(_, event)| event.clone()))
        );
    }
    events.into_iter().map(|(_, event)| event).collect()
}

fn plain(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => text.as_str().into(),
        Some(Any::BoolValue(truth)) => (*truth).into(),
        Some(Any::IntValue(number)) => (*number).into(),
        Some(Any::DoubleValue(number)) => (*number).into(),
        Some(Any::ArrayValue(array)) => array
            .values
            .iter()
            .map(|value| plain(Some(value)))
            .collect(),
        Some(Any::KvlistValue(list)) => plain_map(&list.values).into(),
        Some(Any::BytesValue(bytes)) => BASE64_STANDARD.encode(bytes).into(),
        Some(Any::StringValueStrindex(_)) | None => Value::Null,
    }
}

fn plain_map(attributes: &[KeyValue]) -> Map<String, Value> {
    let mut map = Map::new();
    for attribute in attributes {
        map.entry(&attribute.key)
            .or_insert_with(|| plain(attribute.value.as_ref()));
    }
    map
}

/// The attributes of the resource as they must be in an event.
fn resource_of(resource: Option<&Resource>) -> Map<String, Value> {
    let mut map = resource
        .map(|resource| plain_map(&resource.attributes))
        .unwrap_or_default();
    if let Some(dropped) = resource
        .map(|resource| resource.dropped_attributes_count)
        .filter(|&count| count > 0)
    {
        map.insert("otel.dropped_attributes_count".into(), dropped.into());
    }
    map
}

/// An event's own attributes, without what the model adds.
fn own(event: &Event, resource: &Map<String, Value>) -> Map<String, Value> {
    let mut attributes = event.attributes.clone();
    for added in [
        "scope",
        "otel.dropped_links_count",
        "severity_text",
        "severity_number",
        "event_name",
    ] {
        attributes.remove(added);
    }
    if !resource.is_empty() {
        match attributes.remove("resource").unwrap() {
            Value::Array(both) if both.len() == 2 && both[0] == Value::Object(resource.clone()) => {
                attributes.insert("resource".into(), both[1].clone());
            }
            alone => assert_eq!(alone, Value::Object(resource.clone())),
        }
    }
    attributes
}

/// The value of a key's first attribute, when that is text.
fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let first = attributes.iter().find(|attribute| attribute.key == key)?;
    match first.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn spans_are_what_the_generated_types_say(request in spans_request()) {
        let singles = single_spans(&request);
        let events = agree(Signal::Spans, &request, &singles);
        for (event, single) in events.iter().zip(&singles) {
            let of_resource = &single.resource_spans[0];
            let of_scope = &of_resource.scope_spans[0];
            let theirs = &of_scope.spans[0];
            let span = event.span.as_ref().unwrap();
            prop_assert_eq!(event.body(), theirs.name.as_str());
            let kind = if (1..=5).contains(&theirs.kind) { theirs.kind } else { 1 };
            prop_assert_eq!(i32::from(span.kind.number()), kind);
            prop_assert_eq!(event.trace_id.map(Vec::from), Some(&theirs.trace_id).filter(|id| id.len() == 16 && id.iter().any(|&b| b != 0)).cloned());
            prop_assert_eq!(span.parent_span_id.map(Vec::from), Some(&theirs.parent_span_id).filter(|id| id.len() == 8 && id.iter().any(|&b| b != 0)).cloned());
            prop_assert_eq!(span.trace_state.as_deref().unwrap_or_default(), theirs.trace_state.as_str());
            let resource = resource_of(of_resource.resource.as_ref());
            prop_assert_eq!(own(event, &resource), plain_map(&theirs.attributes));
            let attributes = of_resource.resource.as_ref().map(|resource| &resource.attributes[..]).unwrap_or_default();
            prop_assert_eq!(&event.service, &text(attributes, "service.name"));
            prop_assert_eq!(&event.host, &text(attributes, "host.name"));
            prop_assert_eq!(span.events.len(), theirs.events.len());
            for (ours, theirs) in span.events.iter().zip(&theirs.events) {
                prop_assert_eq!(&ours.name, &theirs.name);
                prop_assert_eq!(&ours.attributes, &plain_map(&theirs.attributes));
            }
            for (ours, theirs) in span.links.iter().zip(&theirs.links) {
                prop_assert_eq!(&ours.attributes, &plain_map(&theirs.attributes));
            }
            prop_assert_eq!(span.links.len(), theirs.links.len());
            let code = theirs.status.as_ref().map_or(0, |status| status.code);
            prop_assert_eq!(i32::from(span.status.code()), if code < 3 { code } else { 0 });
        }
    }

    #[test]
    fn logs_are_what_the_generated_types_say(request in logs_request()) {
        let singles = single_logs(&request);
        let events = agree(Signal::Logs, &request, &singles);
        for (event, single) in events.iter().zip(&singles) {
            let of_resource = &single.resource_logs[0];
            let theirs = &of_resource.scope_logs[0].log_records[0];
            let resource = resource_of(of_resource.resource.as_ref());
            prop_assert_eq!(own(event, &resource), plain_map(&theirs.attributes));
            let text = match theirs.body.as_ref().and_then(|body| body.value.as_ref()) {
                None => Vec::new(),
                Some(Any::StringValue(text)) => text.clone().into_bytes(),
                Some(Any::BytesValue(bytes)) => bytes.clone(),
                Some(_) => plain(theirs.body.as_ref()).to_string().into_bytes(),
            };
            prop_assert_eq!(&event.raw[..], &text[..]);
            prop_assert!(event.span.is_none() && !event.parse_failed);
        }
    }
}

#[test]
fn the_encodings_are_those_of_the_signals() {
    assert_eq!(Signal::Logs.encoding(), Encoding::OtlpLogs);
    assert_eq!(
        (Signal::Spans.as_str(), Signal::Spans.encoding()),
        ("traces", Encoding::OtlpSpans)
    );
}
