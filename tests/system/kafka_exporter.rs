//! What an OpenTelemetry Collector's Kafka exporter writes, into the queue and past the receivers: found, and
//! alerted on, whatever topic, encoding, key and compression it was told to use.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use prost::Message;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};

use crate::process::{self, Process};

const FOUND_WITHIN: Duration = Duration::from_secs(60);
/// Items of each record: what the Collector has batched.
const ITEMS: u64 = 20;

/// How an exporter is configured.
struct Exporter {
    logs: &'static str,
    traces: &'static str,
    encoding: Encoding,
    /// `partition_traces_by_id`: a record a trace, with the trace's id as its key.
    by_trace: bool,
    compression: &'static str,
}

#[derive(Clone, Copy)]
enum Encoding {
    Protobuf,
    Json,
}

const EXPORTERS: [Exporter; 3] = [
    // Its defaults.
    Exporter {
        logs: "otlp_logs",
        traces: "otlp_spans",
        encoding: Encoding::Protobuf,
        by_trace: false,
        compression: "none",
    },
    Exporter {
        logs: "collector-logs",
        traces: "collector-spans",
        encoding: Encoding::Protobuf,
        by_trace: true,
        compression: "gzip",
    },
    Exporter {
        logs: "collector-logs",
        traces: "collector-spans",
        encoding: Encoding::Json,
        by_trace: false,
        compression: "zstd",
    },
];
/// Traces that each exporter sends, with spans in two services.
const TRACES: u64 = 10;

fn up(directory: &std::path::Path) -> Process {
    let config = directory.join("logboom.yaml");
    std::fs::write(
        directory.join("rules.yaml"),
        "version: 1\nrules: [{name: failed spans, index: spans, query: 'status:error', \
         threshold: {count: 1, within: 1h, group_by: [service]}}]\n",
    )
    .unwrap();
    std::fs::write(
        &config,
        "version: 1\ndata: data\nalerting: {rules: [rules.yaml]}\nindexes:\n  \
         logs: {otlp_topics: [collector-logs]}\n  spans: {otlp_topics: [collector-spans], hot_age_max: 2s}\n",
    )
    .unwrap();
    Process::start(
        process::command(&["up", "--config", config.to_str().unwrap()]),
        &directory.join("log"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_writes_into_the_queue_is_found_and_alerted_on() {
    let directory = tempfile::tempdir().unwrap();
    let server = up(directory.path());
    let ports = process::get(server.url(), "ports", &[]).await.unwrap();
    let queue = ports["kafka"].as_str().unwrap();
    for (number, exporter) in (0..).zip(&EXPORTERS) {
        exporter.send(queue, number).await;
    }
    check(&server).await;
    assert!(server.terminate().success());
    check(&up(directory.path())).await;
}

async fn check(server: &Process) {
    for number in 0..EXPORTERS.len() as u64 {
        for (query, expected) in [
            (format!("index:spans exporter:{number}"), TRACES * ITEMS),
            (
                format!("index:spans exporter:{number} status:error"),
                TRACES,
            ),
            (
                format!("index:spans service:cart-{number}"),
                TRACES * ITEMS / 2,
            ),
            (format!("exporter:{number}"), ITEMS),
            (
                format!("level:error service:cart-{number} \"item 7 of\""),
                1,
            ),
        ] {
            process::wait_for_total(server.url(), &query, expected, FOUND_WITHIN).await;
        }
        let id = trace_id(number, 3);
        let trace = process::get(server.url(), &format!("traces/{id}"), &[])
            .await
            .unwrap();
        assert_eq!(
            (&trace["total"], &trace["complete"]),
            (&json!(ITEMS), &json!(true))
        );
        let query = format!(
            "index:spans trace_id:{id} span_id:{}",
            span_id(number, 3, 4)
        );
        let hits = process::all_hits(server.url(), &query).await;
        assert_eq!(hits.len(), 1);
        let hit = &hits[0];
        assert_eq!(hit["operation"], "GET /items");
        assert_eq!(hit["parent_id"], span_id(number, 3, 3));
        assert_eq!(hit["duration_ns"], 1_500_000);
        assert_eq!(hit["kind"], "server");
        assert_eq!(
            hit["attributes"]["resource"]["service.name"],
            format!("cart-{number}")
        );
        assert_eq!(hit["attributes"]["order"], 9_007_199_254_740_993_u64);
    }
    let mut services = alerted_services(server).await;
    services.sort();
    let expected: Vec<String> = (0..EXPORTERS.len())
        .map(|number| format!("web-{number}"))
        .collect();
    assert_eq!(services, expected);
}

/// Of the rule's alerts, once there are as many as exporters.
async fn alerted_services(server: &Process) -> Vec<String> {
    let mut services = Vec::new();
    for _ in 0..100 {
        let answer = process::get(server.url(), "alerts", &[]).await.unwrap();
        let alerts = answer["alerts"].as_array().unwrap();
        let service = |alert: &Value| alert["labels"]["service"].as_str().unwrap().to_owned();
        services = alerts.iter().map(service).collect();
        if services.len() >= EXPORTERS.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    services
}

impl Exporter {
    async fn send(&self, queue: &str, number: u64) {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", queue)
            .set("client.id", "otel-collector")
            .set("acks", "1")
            .set("compression.type", self.compression)
            .create()
            .unwrap();
        let traces: Vec<Value> = (0..TRACES).map(|trace| spans(number, trace)).collect();
        let (batches, keys): (Vec<Value>, Vec<Option<String>>) = match self.by_trace {
            true => {
                let keys = (0..TRACES).map(|trace| Some(trace_id(number, trace)));
                (traces, keys.collect())
            }
            false => (vec![together(traces)], vec![None]),
        };
        for (batch, key) in batches.into_iter().zip(keys) {
            let value = match self.encoding {
                Encoding::Protobuf => protobuf::<ExportTraceServiceRequest>(batch),
                Encoding::Json => serde_json::to_vec(&batch).unwrap(),
            };
            write(&producer, self.traces, key, &value).await;
        }
        let logs = logs(number);
        let value = match self.encoding {
            Encoding::Protobuf => protobuf::<ExportLogsServiceRequest>(logs),
            Encoding::Json => serde_json::to_vec(&logs).unwrap(),
        };
        write(&producer, self.logs, None, &value).await;
    }
}

async fn write(producer: &FutureProducer, topic: &str, key: Option<String>, value: &[u8]) {
    // As `record_headers` adds them.
    let headers = OwnedHeaders::new().insert(Header {
        key: "tenant",
        value: Some("shop"),
    });
    let mut record = FutureRecord::to(topic).payload(value).headers(headers);
    if let Some(key) = &key {
        record = record.key(key);
    }
    producer.send(record, FOUND_WITHIN).await.unwrap();
}

/// By the generated types, so that nothing of ours has a part in what is written.
fn protobuf<M: Message + serde::de::DeserializeOwned>(request: Value) -> Vec<u8> {
    serde_json::from_value::<M>(request)
        .unwrap()
        .encode_to_vec()
}

/// As the Collector batches what came from several senders.
fn together(requests: Vec<Value>) -> Value {
    let mut resources = Vec::new();
    for mut request in requests {
        resources.append(request["resourceSpans"].as_array_mut().unwrap());
    }
    json!({"resourceSpans": resources})
}

fn trace_id(exporter: u64, trace: u64) -> String {
    format!(
        "{:032x}",
        u128::from(exporter + 1) << 64 | u128::from(trace + 1)
    )
}

fn span_id(exporter: u64, trace: u64, span: u64) -> String {
    format!(
        "{:016x}",
        (exporter + 1) << 32 | (trace + 1) << 16 | (span + 1)
    )
}

fn resource(service: &str, exporter: u64) -> Value {
    json!({"attributes": [{"key": "service.name", "value": {"stringValue": format!("{service}-{exporter}")}}]})
}

/// A trace: each span is the child of the one before it, by turns in the services `cart` and `web`; the last has failed.
fn spans(exporter: u64, trace: u64) -> Value {
    let start_ns = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
    let span = |at: u64| {
        json!({
            "traceId": trace_id(exporter, trace), "spanId": span_id(exporter, trace, at),
            "parentSpanId": if at == 0 { String::new() } else { span_id(exporter, trace, at - 1) },
            "name": "GET /items", "kind": 2,
            "startTimeUnixNano": start_ns.to_string(), "endTimeUnixNano": (start_ns + 1_500_000).to_string(),
            "attributes": [
                {"key": "exporter", "value": {"intValue": exporter.to_string()}},
                {"key": "order", "value": {"intValue": "9007199254740993"}},
            ],
            "status": if at == ITEMS - 1 { json!({"code": 2, "message": "no stock"}) } else { json!({}) },
        })
    };
    let of = |service: &str, first: u64| {
        let spans: Vec<Value> = (first..ITEMS).step_by(2).map(span).collect();
        json!({"resource": resource(service, exporter), "scopeSpans": [{"scope": {"name": "http"}, "spans": spans}]})
    };
    json!({"resourceSpans": [of("cart", 0), of("web", 1)]})
}

fn logs(exporter: u64) -> Value {
    let time_ns = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
    let log = |at: u64| {
        json!({
            "timeUnixNano": time_ns.to_string(), "observedTimeUnixNano": time_ns.to_string(),
            "severityNumber": 17, "body": {"stringValue": format!("item {at} of exporter {exporter}")},
            "attributes": [{"key": "exporter", "value": {"intValue": exporter.to_string()}}],
        })
    };
    let logs: Vec<Value> = (0..ITEMS).map(log).collect();
    json!({"resourceLogs": [{"resource": resource("cart", exporter), "scopeLogs": [{"scope": {"name": "http"}, "logRecords": logs}]}]})
}
