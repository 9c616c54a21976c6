//! A shop of a few services whose calls make traces, and the sending of them as OTLP/JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

const SERVICES: [&str; 6] = ["web", "cart", "stock", "payment", "mail", "database"];
const SENT_WITHIN: Duration = Duration::from_secs(30);
/// Numbers of the protocol.
const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const CONSUMER: u64 = 5;

/// One span.
pub(super) struct Call {
    trace: u128,
    span: u64,
    /// Index in its trace.
    pub(super) parent: Option<usize>,
    parent_span: Option<u64>,
    pub(super) service: &'static str,
    pub(super) operation: String,
    pub(super) kind: u64,
    pub(super) start_ns: u64,
    pub(super) duration_ns: u64,
    pub(super) failed: bool,
}

impl Call {
    pub(super) fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    pub(super) fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// What a service view counts as a request.
    pub(super) fn is_entry(&self) -> bool {
        matches!(self.kind, SERVER | CONSUMER) || self.parent.is_none()
    }

    fn to_json(&self) -> Value {
        json!({
            "traceId": self.trace_id(), "spanId": self.span_id(),
            "parentSpanId": self.parent_span.map_or_else(String::new, |id| format!("{id:016x}")),
            "name": self.operation, "kind": self.kind,
            "startTimeUnixNano": self.start_ns.to_string(),
            "endTimeUnixNano": (self.start_ns + self.duration_ns).to_string(),
            "status": if self.failed { json!({"code": 2, "message": "no stock"}) } else { json!({}) },
            "attributes": [{"key": "http.route", "value": {"stringValue": self.operation}}],
        })
    }
}

pub(super) struct Shop {
    random: SmallRng,
    pub(super) begun_ns: u64,
}

impl Shop {
    pub(super) fn new(seed: u64) -> Shop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Shop {
            random: SmallRng::seed_from_u64(seed),
            begun_ns: (now - Duration::from_secs(1800)).as_nanos() as u64,
        }
    }

    /// A trace of so many spans; the first is the root.
    pub(super) fn trace(&mut self, spans: usize) -> Vec<Call> {
        let trace = self.random.random_range(1..u128::MAX);
        let start_ns = self.begun_ns + self.random.random_range(0..1_500_000_000_000);
        let mut calls: Vec<Call> = Vec::with_capacity(spans);
        for number in 0..spans {
            let parent = (number > 0).then(|| self.random.random_range(0..number));
            let service = match parent {
                None => SERVICES[0],
                Some(_) => SERVICES[self.random.random_range(0..SERVICES.len())],
            };
            let kind = match parent {
                None => SERVER,
                Some(_) => [INTERNAL, SERVER, CLIENT, CONSUMER][self.random.random_range(0..4)],
            };
            // Durations over five decades, as real ones are.
            let duration_ns = 10f64.powf(self.random.random_range(4.0..9.0)) as u64;
            calls.push(Call {
                trace,
                span: self.random.random_range(1..u64::MAX),
                parent,
                parent_span: parent.map(|parent| calls[parent].span),
                service,
                operation: format!("{service} {}", self.random.random_range(0..4)),
                kind,
                start_ns: start_ns + number as u64 * 1_000,
                duration_ns,
                failed: self.random.random_range(0..10) == 0,
            });
        }
        calls
    }
}

/// Sends spans until they are taken, as a sender does.
pub(super) async fn send(http_port: u16, spans: &[&Call]) {
    let requests: Vec<Value> = SERVICES
        .iter()
        .map(|service| {
            let own = spans.iter().filter(|span| span.service == *service);
            json!({
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                "scopeSpans": [{"spans": own.map(|span| span.to_json()).collect::<Vec<_>>()}],
            })
        })
        .collect();
    let body = json!({"resourceSpans": requests});
    let client = reqwest::Client::new();
    let taken = async {
        loop {
            let post = client
                .post(format!("http://127.0.0.1:{http_port}/v1/traces"))
                .json(&body);
            match post.send().await {
                Ok(response) if response.status().is_success() => return,
                other => println!("not taken: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(SENT_WITHIN, taken).await.unwrap();
}
