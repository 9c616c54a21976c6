//! How fast OTLP is checked, cut, packed and made events of, on one core:
//! `cargo run --release -p logboom-event --example otlp_speed`.

use std::{
    error::Error,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use logboom_event::{
    Event, Record,
    otlp::{self, Request, Signal},
};
use serde_json::{Value, json};

/// Items of one request: what a collector's batch processor sends at a time.
const ITEMS: usize = 8_192;

fn main() -> Result<(), Box<dyn Error>> {
    measure(Signal::Spans, &serde_json::to_vec(&spans())?)?;
    measure(Signal::Logs, &serde_json::to_vec(&logs())?)
}

fn measure(signal: Signal, json: &[u8]) -> Result<(), Box<dyn Error>> {
    let request = Request::from_json(signal, json)?;
    let body = request.body().clone();
    println!(
        "{}: {} items of {} bytes in protobuf, {} in JSON, {} alone",
        signal.as_str(),
        request.len(),
        body.len() / request.len(),
        json.len() / request.len(),
        request.items().map(|item| item.alone_len()).sum::<usize>() / request.len(),
    );
    let record = Record {
        topic: Arc::from("otlp"),
        partition: 0,
        offset: 0,
        timestamp_ms: 1_767_225_600_000,
        encoding: signal.encoding(),
        key: None,
        value: body.clone(),
        origin: None,
        headers: Vec::new(),
    };
    rate("check", || {
        black_box(Request::from_protobuf(signal, black_box(body.clone()))).is_ok()
    })?;
    rate("check and pack by trace", || {
        let Ok(request) = Request::from_protobuf(signal, black_box(body.clone())) else {
            return false;
        };
        let mut partitions = [const { Vec::new() }; 4];
        for item in request.items() {
            let partition = item.trace_id().map_or(0, |id| usize::from(id[15] & 3));
            partitions[partition].push(item);
        }
        for items in partitions {
            otlp::pack(items, 512 * 1024).for_each(|packed| drop(black_box(packed)));
        }
        true
    })?;
    rate("JSON to protobuf", || {
        black_box(Request::from_json(signal, black_box(json))).is_ok()
    })?;
    rate("events with their records", || {
        Event::all(black_box(record.clone())).fold(true, |whole, (record, event)| {
            whole && !black_box((record, event)).1.parse_failed
        })
    })?;
    let alone: Vec<_> = Event::all(record).map(|(record, _)| record).collect();
    rate("events of stored records", || {
        alone
            .iter()
            .all(|record| !black_box(Event::parse(black_box(record))).parse_failed)
    })?;
    Ok(())
}

/// Repeats the work for a second and prints its speed, in time on a core: neighbours on the machine do not count.
fn rate(name: &str, work: impl Fn() -> bool) -> Result<(), Box<dyn Error>> {
    let (started, from) = (Instant::now(), on_core()?);
    let mut rounds = 0;
    while started.elapsed() < Duration::from_secs(1) {
        assert!(work(), "{name} failed");
        rounds += 1;
    }
    let items = (rounds * ITEMS) as f64 / (on_core()? - from).as_secs_f64();
    println!("{name:>28}  {items:>10.0} items/s");
    Ok(())
}

/// How long this thread has been running, as Linux counts it.
fn on_core() -> Result<Duration, Box<dyn Error>> {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = schedule.split(' ').next().unwrap_or_default().parse()?;
    Ok(Duration::from_nanos(nanos))
}

fn text(key: &str, value: impl Into<Value>) -> Value {
    json!({"key": key, "value": {"stringValue": value.into()}})
}

/// What the SDKs' detectors write.
fn resource() -> Value {
    json!({"attributes": [
        text("service.name", "checkout"), text("service.version", "1.14.2"), text("service.instance.id", "b7d2c9a0"),
        text("host.name", "ip-10-0-3-17"), text("telemetry.sdk.language", "java"), text("telemetry.sdk.version", "1.42.0"),
        text("k8s.pod.name", "checkout-6f7c9d-xk2lp"), text("deployment.environment", "production"),
    ]})
}

fn spans() -> Value {
    let spans = (0..ITEMS).map(|n| {
        json!({
            "traceId": format!("{:032x}", 0x5b8e_fff7_9803_8103_u128 << 64 | (n / 8) as u128), "spanId": format!("{:016x}", n + 1),
            "parentSpanId": format!("{:016x}", n / 8 + 1), "name": "POST /api/orders/{id}", "kind": 2,
            "startTimeUnixNano": (1_700_000_000_000_000_000 + n * 1_000).to_string(),
            "endTimeUnixNano": (1_700_000_000_025_000_000 + n * 1_000).to_string(),
            "attributes": [
                text("http.request.method", "POST"), text("url.path", format!("/api/orders/{n}")), text("server.address", "shop.example.org"),
                {"key": "http.response.status_code", "value": {"intValue": "200"}}, text("user_agent.original", "Mozilla/5.0 (X11; Linux)"),
                text("client.address", "203.0.113.7"), text("thread.name", "http-nio-8080-exec-4"), {"key": "thread.id", "value": {"intValue": 41}},
            ],
            "events": if n % 10 == 0 { json!([{"timeUnixNano": "1700000000010000000", "name": "exception", "attributes": [
                text("exception.type", "java.io.IOException"), text("exception.message", "connection reset by peer")]}]) } else { json!([]) },
            "status": if n % 10 == 0 { json!({"code": 2, "message": "connection reset"}) } else { json!({}) },
        })
    });
    let spans: Vec<_> = spans.collect();
    json!({"resourceSpans": [{"resource": resource(), "scopeSpans": [{"scope": {"name": "io.opentelemetry.tomcat-10.0", "version": "2.8.0"}, "spans": spans}]}]})
}

fn logs() -> Value {
    let logs = (0..ITEMS).map(|n| {
        json!({
            "timeUnixNano": (1_700_000_000_000_000_000 + n * 1_000).to_string(), "observedTimeUnixNano": "1700000000000000000",
            "severityNumber": 9, "severityText": "INFO", "body": {"stringValue": format!("order {n} placed by user u-17 in 12.5 ms")},
            "attributes": [text("code.function", "placeOrder"), text("thread.name", "http-nio-8080-exec-4"), {"key": "order", "value": {"intValue": n}}],
            "traceId": format!("{:032x}", n / 8 + 1), "spanId": format!("{:016x}", n + 1),
        })
    });
    let logs: Vec<_> = logs.collect();
    json!({"resourceLogs": [{"resource": resource(), "scopeLogs": [{"scope": {"name": "com.example.Orders"}, "logRecords": logs}]}]})
}
