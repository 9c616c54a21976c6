//! The OpenTelemetry SDK for Rust as a sender, like `tests/senders/send.py` and `send.js`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::trace::{
    Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Array, Context, KeyValue, Value};
use opentelemetry_otlp::{LogExporter, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{self, SdkLoggerProvider};
use opentelemetry_sdk::trace::{self, SdkTracerProvider};
use serde_json::json;

use super::{Sent, Wire};

const SPANS_OF_A_TRACE: u64 = 5;
const KINDS: [SpanKind; 5] = [
    SpanKind::Server,
    SpanKind::Internal,
    SpanKind::Client,
    SpanKind::Producer,
    SpanKind::Consumer,
];
const SEVERITIES: [Severity; 6] = [
    Severity::Trace,
    Severity::Debug,
    Severity::Info,
    Severity::Warn,
    Severity::Error,
    Severity::Fatal,
];
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends `count` spans, and a log record in each; gives what was sent. Blocking.
pub(super) fn send(endpoint: &str, wire: Wire, count: u64) -> Vec<Sent> {
    let resource = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", format!("rust-{}", wire.name())),
            KeyValue::new("host.name", "host-7"),
            KeyValue::new("service.version", "1.2.3"),
        ])
        .build();
    let (span_exporter, log_exporter) = exporters(endpoint, wire);
    let tracing = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_span_processor(
            trace::BatchSpanProcessor::builder(span_exporter)
                .with_batch_config(
                    trace::BatchConfigBuilder::default()
                        .with_max_queue_size(4 * count as usize)
                        .with_scheduled_delay(Duration::from_millis(100))
                        .build(),
                )
                .build(),
        )
        .build();
    let logs = SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_log_processor(
            logs::BatchLogProcessor::builder(log_exporter)
                .with_batch_config(
                    logs::BatchConfigBuilder::default()
                        .with_max_queue_size(4 * count as usize)
                        .with_scheduled_delay(Duration::from_millis(100))
                        .build(),
                )
                .build(),
        )
        .build();
    let (tracer, logger) = (tracing.tracer("senders"), logs.logger("senders"));
    let mut sent = Vec::new();
    for first in (0..count).step_by(SPANS_OF_A_TRACE as usize) {
        let mut parent = Context::new();
        let mut open = Vec::new();
        for n in first..first + SPANS_OF_A_TRACE {
            let start = SystemTime::now();
            let mut span = tracer
                .span_builder(format!("step {}", n % 10))
                .with_kind(KINDS[(n % 5) as usize].clone())
                .with_start_time(start)
                .with_attributes(attributes(n))
                .start_with_context(&tracer, &parent);
            let parent_id = parent.span().span_context().span_id();
            if n.is_multiple_of(7) {
                span.add_event("retry", vec![KeyValue::new("attempt", n as i64)]);
            }
            if n.is_multiple_of(11) {
                span.set_status(Status::error(format!("no stock for {n}")));
            }
            let ids = span.span_context().clone();
            let at = SystemTime::now();
            let body = format!("step {n} of the order\nis done");
            let severity = SEVERITIES[(n % 6) as usize];
            let mut record = logger.create_log_record();
            record.set_timestamp(at);
            record.set_observed_timestamp(at);
            record.set_severity_number(severity);
            record.set_body(AnyValue::from(body.clone()));
            record.set_trace_context(ids.trace_id(), ids.span_id(), Some(ids.trace_flags()));
            for attribute in attributes(n) {
                record.add_attribute(attribute.key, any(attribute.value));
            }
            logger.emit(record);
            sent.push(log(n, &ids, at, severity, &body));
            parent = Context::new().with_remote_span_context(ids);
            open.push((n, span, start, parent_id));
        }
        while let Some((n, mut span, start, parent_id)) = open.pop() {
            let end = SystemTime::now();
            let ids = span.span_context().clone();
            span.end_with_timestamp(end);
            sent.push(span_sent(n, &ids, parent_id, start, end));
        }
        if first % 500 == 0 {
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    tracing.shutdown_with_timeout(PATIENCE).unwrap();
    logs.shutdown_with_timeout(PATIENCE).unwrap();
    sent
}

fn exporters(endpoint: &str, wire: Wire) -> (SpanExporter, LogExporter) {
    let protocol = match wire {
        Wire::Grpc => {
            let spans = SpanExporter::builder().with_tonic().with_endpoint(endpoint);
            let logs = LogExporter::builder().with_tonic().with_endpoint(endpoint);
            return (
                spans.with_timeout(PATIENCE).build().unwrap(),
                logs.with_timeout(PATIENCE).build().unwrap(),
            );
        }
        Wire::Protobuf => Protocol::HttpBinary,
        Wire::Json => Protocol::HttpJson,
    };
    let spans = SpanExporter::builder()
        .with_http()
        .with_protocol(protocol)
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .with_timeout(PATIENCE);
    let logs = LogExporter::builder()
        .with_http()
        .with_protocol(protocol)
        .with_endpoint(format!("{endpoint}/v1/logs"))
        .with_timeout(PATIENCE);
    (spans.build().unwrap(), logs.build().unwrap())
}

fn attributes(n: u64) -> Vec<KeyValue> {
    vec![
        KeyValue::new("n", n as i64),
        KeyValue::new("ratio", n as f64 / 4.0),
        KeyValue::new("even", n.is_multiple_of(2)),
        KeyValue::new("text", format!("订单 {n}")),
        KeyValue::new(
            "list",
            Value::Array(Array::I64(vec![n as i64, n as i64 + 1])),
        ),
        KeyValue::new("net.peer.name", "10.0.0.7"),
    ]
}

fn attributes_sent(n: u64) -> serde_json::Value {
    json!({"n": n, "ratio": n as f64 / 4.0, "even": n.is_multiple_of(2), "text": format!("订单 {n}"),
           "list": [n, n + 1], "net.peer.name": "10.0.0.7"})
}

fn any(value: Value) -> AnyValue {
    match value {
        Value::Bool(value) => value.into(),
        Value::I64(value) => value.into(),
        Value::F64(value) => value.into(),
        Value::String(value) => AnyValue::String(value),
        Value::Array(Array::I64(values)) => {
            AnyValue::ListAny(Box::new(values.into_iter().map(AnyValue::from).collect()))
        }
        other => panic!("`attributes` makes no {other:?}"),
    }
}

fn log(n: u64, ids: &SpanContext, at: SystemTime, severity: Severity, body: &str) -> Sent {
    Sent(
        json!({"signal": "logs", "n": n, "time_ns": ns(at), "severity": severity as i32, "body": body,
        "attributes": attributes_sent(n), "trace_id": ids.trace_id().to_string(), "span_id": ids.span_id().to_string()}),
    )
}

fn span_sent(
    n: u64,
    ids: &SpanContext,
    parent: SpanId,
    start: SystemTime,
    end: SystemTime,
) -> Sent {
    let is_error = n.is_multiple_of(11);
    let events: &[&str] = if n.is_multiple_of(7) { &["retry"] } else { &[] };
    let kind = ["server", "internal", "client", "producer", "consumer"][(n % 5) as usize];
    Sent(
        json!({"signal": "traces", "n": n, "name": format!("step {}", n % 10), "kind": kind,
        "start_ns": ns(start), "end_ns": ns(end), "status": if is_error { "error" } else { "unset" },
        "status_message": is_error.then(|| format!("no stock for {n}")),
        "parent_id": (parent != SpanId::INVALID).then(|| parent.to_string()), "events": events,
        "attributes": attributes_sent(n), "trace_id": ids.trace_id().to_string(), "span_id": ids.span_id().to_string()}),
    )
}

fn ns(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}
