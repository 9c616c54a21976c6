//! Rules of spans: what was counted before a kill -9 counts after it, and each alert is told once.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Receiver, SECRET, serve, wait_until};
use crate::process::{self, Process};

const FAILED_MAX: u64 = 20;
const SLOW: Duration = Duration::from_millis(900);
const FAST: Duration = Duration::from_millis(5);
const TOLD_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_spans_fire_once_across_kill_9() {
    let receiver = Receiver::default();
    let (hook, server) = serve(&receiver).await;
    let directory = tempfile::tempdir().unwrap();
    write_config(directory.path(), &hook);
    let http = process::free_port();
    let start = || {
        let config = directory.path().join("logboom.yaml");
        let mut command = process::command(&["up", "--config", config.to_str().unwrap()]);
        command.env("LOGBOOM_OTLP_HTTP", format!("127.0.0.1:{http}"));
        Process::start(command, &directory.path().join("log"))
    };

    let up = start();
    let mut spans = Spans::default();
    // One failure fewer than it takes; and calls of which half, not more, are slow.
    send(http, &spans.failed(FAILED_MAX - 1)).await;
    send(http, &spans.taking("/slow", FAST, 10)).await;
    send(http, &spans.taking("/slow", SLOW, 10)).await;
    let sent = FAILED_MAX - 1 + 20;
    process::wait_for_total(up.url(), "index:spans *", sent, TOLD_WITHIN).await;
    assert_eq!(
        receiver.refused.lock().unwrap().len(),
        0,
        "nothing was told yet"
    );
    up.kill_9();

    let up = start();
    send(http, &spans.failed(1)).await;
    send(http, &spans.taking("/slow", SLOW, 1)).await;
    wait_until(TOLD_WITHIN, || receiver.bodies().len() >= 2).await;
    // Time for what must not come: a second telling, or an alert of the other services.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 2, "{bodies:?}");

    let failing = of_rule(&bodies, "failing-service");
    assert_eq!(failing["status"], "firing");
    assert_eq!(failing["alerts"][0]["labels"]["service"], "payment");
    assert_eq!(failing["logboom"]["index"], "spans");
    let slow = of_rule(&bodies, "slow-operation");
    assert_eq!(slow["alerts"][0]["labels"]["operation"], "/slow");
    let window = &slow["logboom"]["window"];
    assert_eq!(
        (&window["quantile"], &window["values"]),
        (&json!("p50"), &json!(21))
    );
    assert_eq!(window["valuesAbove"], 11);

    // What is quoted leads to its trace.
    let sample = &slow["logboom"]["samples"][0];
    assert_eq!(sample["duration_ns"], 900_000_000_u64);
    let trace = sample["trace_id"].as_str().unwrap();
    let address = sample["trace_url"].as_str().unwrap();
    assert!(address.ends_with(&format!("/traces/{trace}")), "{address}");
    let answer = process::get(up.url(), &format!("traces/{trace}"), &[]).await;
    assert_eq!(answer.unwrap()["total"], 21);
    assert!(up.terminate().success());
    server.abort();
}

fn of_rule<'a>(bodies: &'a [Value], rule: &str) -> &'a Value {
    let of_rule = |body: &&Value| body["alerts"][0]["labels"]["alertname"] == rule;
    bodies.iter().find(of_rule).unwrap()
}

fn write_config(directory: &Path, hook: &str) {
    std::fs::write(
        directory.join("rules.yaml"),
        format!(
            "version: 1\nrules:\n\
             - {{name: failing-service, index: spans, query: 'status:error', threshold: {{count: {FAILED_MAX}, within: 60s, group_by: [service]}}}}\n\
             - {{name: slow-operation, index: spans, query: 'kind:server', threshold: {{quantile: p50, field: duration, above: 100ms, within: 60s, count_min: 10, group_by: [operation]}}}}\n"
        ),
    )
    .unwrap();
    std::fs::write(
        directory.join("logboom.yaml"),
        format!(
            "version: 1\ndata: data\nalerting:\n  rules: [rules.yaml]\n  receivers: [{{name: test, webhook: {{url: '{hook}', secret: whsec_{SECRET}}}}}]\n"
        ),
    )
    .unwrap();
}

/// Spans that end now. Those of a service are one trace, so that alerting reads them in the order of their sending.
#[derive(Default)]
struct Spans {
    made: u64,
}

impl Spans {
    fn failed(&mut self, count: u64) -> Value {
        let failed = json!({"code": 2, "message": "declined"});
        self.request("payment", "/pay", Duration::from_millis(1), count, &failed)
    }

    fn taking(&mut self, operation: &str, duration: Duration, count: u64) -> Value {
        self.request("web", operation, duration, count, &json!({}))
    }

    fn request(
        &mut self,
        service: &str,
        operation: &str,
        duration: Duration,
        count: u64,
        status: &Value,
    ) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let spans: Vec<Value> = (0..count)
            .map(|_| {
                self.made += 1;
                json!({
                    "traceId": format!("{:032x}", service.len()), "spanId": format!("{:016x}", self.made),
                    "name": operation, "kind": 2, "status": status,
                    "startTimeUnixNano": (now - duration).as_nanos().to_string(),
                    "endTimeUnixNano": now.as_nanos().to_string(),
                })
            })
            .collect();
        json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"spans": spans}],
        }]})
    }
}

async fn send(http_port: u16, request: &Value) {
    let address = format!("http://127.0.0.1:{http_port}/v1/traces");
    let client = reqwest::Client::new();
    let taken = async {
        loop {
            match client.post(&address).json(request).send().await {
                Ok(response) if response.status().is_success() => return,
                other => println!("not taken: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(TOLD_WITHIN, taken).await.unwrap();
}
