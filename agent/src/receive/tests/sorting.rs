//! Sorting without sockets: partitions, sizes, bounds.

use std::collections::{HashMap, HashSet};

use logboom_event::otlp::{Request, Signal};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};

use super::*;
use crate::receive::limits;
use crate::receive::refusal::Refusal;
use crate::receive::sort::{self, Sorted};

const NOW: &str = "2026-01-01T00:00:00Z";

fn read(request: &ExportTraceServiceRequest) -> Request {
    Request::from_protobuf(Signal::Spans, request.encode_to_vec().into()).unwrap()
}

fn sort(request: &Request, topics: &Topics, turn: u64) -> Result<Sorted, Refusal> {
    sort::sort(request, topics, turn, NOW, |_| Ok(()))
}

fn attribute(key: &str, bytes: usize) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue("v".repeat(bytes))),
        }),
        ..KeyValue::default()
    }
}

#[test]
fn a_trace_is_in_one_partition_and_records_fit() {
    let mut spans = Vec::new();
    for number in 0..20_000 {
        let mut one = span((number % 50 + 1) as u8, number);
        one.attributes = vec![attribute("a", 100)];
        spans.push(one);
    }
    let mut whole = request(spans.clone());
    whole.resource_spans[0].resource = Some(Resource {
        attributes: vec![attribute("service.name", 1000)],
        ..Resource::default()
    });
    let sorted = sort(&read(&whole), &topics(), 7).unwrap();
    assert_eq!((sorted.items, sorted.letters.len()), (20_000, 0));
    let mut homes: HashMap<Vec<u8>, i32> = HashMap::new();
    let mut found = HashSet::new();
    let mut used = HashSet::new();
    for parcel in sorted.parcels {
        assert!(parcel.value.len() <= limits::RECORD_BYTES);
        used.insert(parcel.partition);
        let request = ExportTraceServiceRequest::decode(&*parcel.value).unwrap();
        assert_eq!(
            request.resource_spans[0].resource,
            whole.resource_spans[0].resource
        );
        for span in all_spans(request) {
            let home = homes
                .entry(span.trace_id.clone())
                .or_insert(parcel.partition);
            assert_eq!(*home, parcel.partition);
            assert!(found.insert(span.span_id.clone()));
            let number = u64::from_be_bytes(span.span_id.clone().try_into().unwrap()) - 1;
            assert_eq!(span, spans[number as usize]);
        }
    }
    assert_eq!((found.len(), used.len()), (20_000, 4));
}

#[test]
fn a_request_for_one_partition_is_not_copied() {
    let read = read(&request(vec![span(1, 1), span(1, 2)]));
    let sorted = sort(&read, &topics(), 0).unwrap();
    assert_eq!(sorted.parcels.len(), 1);
    assert_eq!(sorted.parcels[0].value.as_ptr(), read.body().as_ptr());
}

#[tokio::test]
async fn records_are_counted_in_flight_with_their_repeated_resources() {
    let mut topics = topics();
    topics.spans.partitions = 64;
    let mut whole = ExportTraceServiceRequest::default();
    for number in 0..4 {
        let mut one = request((1..=64).map(|trace| span(trace, number)).collect());
        one.resource_spans[0].resource = Some(Resource {
            attributes: vec![attribute("a", 60_000)],
            ..Resource::default()
        });
        whole.resource_spans.append(&mut one.resource_spans);
    }
    let body = whole.encode_to_vec();
    let values = sort(&read(&whole), &topics, 0).unwrap().parcels;
    let values: usize = values.iter().map(|parcel| parcel.value.len()).sum();
    assert!(values > 20 * body.len(), "{values} of {}", body.len());

    // Room for the records alone is too little: they are made while the body is there.
    let bytes = body.len() + values;
    for (bytes_max, expected) in [(bytes - 1, 503), (bytes, 200)] {
        let limits = Limits {
            in_flight_bytes_max: bytes_max,
            ..Limits::default()
        };
        let (running, intake) = start_closed(limits, None).await;
        intake.open(topics.clone());
        assert_eq!(running.post_spans(&body).await.status, expected);
    }
}

#[test]
fn a_resource_that_would_be_repeated_too_often_is_rejected() {
    let mut whole = request((0..10_000).map(|number| span(1, number)).collect());
    let bytes = limits::SHARED_BYTES_MAX;
    whole.resource_spans[0].resource = Some(Resource {
        attributes: vec![attribute("a", bytes)],
        ..Resource::default()
    });
    let sorted = sort(&read(&whole), &topics(), 0).unwrap();
    assert_eq!((sorted.items, sorted.letters.len()), (0, 10_000));
    let letters = sorted.letters.parcels(&topics().rejected, 0);
    let total: usize = letters.iter().map(|letter| letter.value.len()).sum();
    assert!(
        total < limits::LETTERS_BYTES_MAX + 4 * limits::REJECTED_BYTES_MAX,
        "{total}"
    );
    let last: serde_json::Value = serde_json::from_slice(&letters.last().unwrap().value).unwrap();
    let kept = letters.len() - 1;
    assert_eq!(
        last["reason"],
        format!("{} more of one request are not kept", 10_000 - kept)
    );
    assert_eq!(last["rejected"]["shared_too_large"], 10_000);
}

#[test]
fn resources_repeated_for_every_partition_are_bounded() {
    let mut whole = ExportTraceServiceRequest::default();
    for number in 0..300 {
        let mut one = request((1..=64).map(|trace| span(trace, number)).collect());
        one.resource_spans[0].resource = Some(Resource {
            attributes: vec![attribute("a", 60_000)],
            ..Resource::default()
        });
        whole.resource_spans.append(&mut one.resource_spans);
    }
    let mut topics = topics();
    topics.spans.partitions = 64;
    let refusal = sort(&read(&whole), &topics, 0).unwrap_err();
    assert!(
        refusal.to_string().contains("repeated for each partition"),
        "{refusal}"
    );
}
