//! OpenTelemetry's own SDKs as senders: every log record and span is found, field by field.
//!
//! Exactly once holds from the queue on. The hop from a sender to the receiver is at least once, since OTLP
//! gives a request no id: when the server dies between the queue's ack and the answer, the
//! sender's retry is a second request. So the first test counts exactly, and the second, which
//! kills the server, that nothing is missing and nothing differs.

mod sdk;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{self, Process};

/// What a sender says that it sent.
struct Sent(Value);

#[derive(Clone, Copy, PartialEq)]
enum Wire {
    Grpc,
    Protobuf,
    Json,
}

impl Wire {
    fn name(self) -> &'static str {
        match self {
            Wire::Grpc => "grpc",
            Wire::Protobuf => "protobuf",
            Wire::Json => "json",
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Language {
    Python,
    JavaScript,
    Rust,
}

impl Language {
    fn name(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::JavaScript => "javascript",
            Language::Rust => "rust",
        }
    }
}

/// Python's SDK has no JSON over HTTP.
const SENDERS: [(Language, Wire); 8] = [
    (Language::Python, Wire::Grpc),
    (Language::Python, Wire::Protobuf),
    (Language::JavaScript, Wire::Grpc),
    (Language::JavaScript, Wire::Protobuf),
    (Language::JavaScript, Wire::Json),
    (Language::Rust, Wire::Grpc),
    (Language::Rust, Wire::Protobuf),
    (Language::Rust, Wire::Json),
];
/// Of each signal and sender.
const COUNT: u64 = 10_000;
const FOUND_WITHIN: Duration = Duration::from_secs(120);

/// `up` whose receivers come back on the same ports.
struct Server {
    data: PathBuf,
    grpc: u16,
    http: u16,
    process: Process,
}

impl Server {
    fn start(data: &Path) -> Server {
        let (grpc, http) = (process::free_port(), process::free_port());
        Server {
            data: data.to_owned(),
            grpc,
            http,
            process: Server::process(data, grpc, http),
        }
    }

    fn process(data: &Path, grpc: u16, http: u16) -> Process {
        let mut command = process::command(&["up", "--data", data.to_str().unwrap()]);
        command.env("LOGBOOM_OTLP_GRPC", format!("127.0.0.1:{grpc}"));
        command.env("LOGBOOM_OTLP_HTTP", format!("127.0.0.1:{http}"));
        Process::start(command, &data.with_extension("log"))
    }

    fn kill_and_restart(self) -> Server {
        let Server {
            data,
            grpc,
            http,
            process,
        } = self;
        process.kill_9();
        let process = Server::process(&data, grpc, http);
        Server {
            data,
            grpc,
            http,
            process,
        }
    }

    fn endpoint(&self, wire: Wire) -> String {
        let port = if wire == Wire::Grpc {
            self.grpc
        } else {
            self.http
        };
        format!("http://127.0.0.1:{port}")
    }
}

/// Starts a sender; the handle gives what it sent.
fn start(server: &Server, language: Language, wire: Wire, count: u64) -> JoinHandle<Vec<Sent>> {
    let endpoint = server.endpoint(wire);
    let manifest = server
        .data
        .with_extension(format!("{}-{}", language.name(), wire.name()));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/senders");
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        let (program, script) = match language {
            Language::Rust => {
                // The SDK's gRPC client wants a runtime around it, and its HTTP client none.
                let _entered = (wire == Wire::Grpc).then(|| runtime.enter());
                return sdk::send(&endpoint, wire, count);
            }
            Language::Python => (installed(&folder.join("venv/bin/python")), "send.py"),
            Language::JavaScript => {
                installed(&folder.join("node_modules/@opentelemetry/api"));
                (PathBuf::from("node"), "send.js")
            }
        };
        let output = Command::new(program)
            .current_dir(&folder)
            .args([script, &endpoint, wire.name(), &count.to_string()])
            .arg(&manifest)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{script} over {} gave up: {}",
            wire.name(),
            String::from_utf8_lossy(&output.stderr)
        );
        let text = std::fs::read_to_string(&manifest).unwrap();
        text.lines()
            .map(|line| Sent(serde_json::from_str(line).unwrap()))
            .collect()
    })
}

fn installed(path: &Path) -> PathBuf {
    assert!(
        path.exists(),
        "`{}` is missing; deploy/senders installs the OpenTelemetry SDKs",
        path.display()
    );
    path.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn sdks_deliver_every_log_record_and_span_once() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"));
    let senders: Vec<_> = SENDERS
        .map(|(language, wire)| (language, wire, start(&server, language, wire, COUNT)))
        .into();
    for (language, wire, sender) in senders {
        let sent = tokio::task::spawn_blocking(|| sender.join().unwrap())
            .await
            .unwrap();
        let service = format!("{}-{}", language.name(), wire.name());
        for signal in ["logs", "traces"] {
            let sent = of_signal(&sent, signal);
            assert_eq!(sent.len() as u64, COUNT, "{service} {signal}");
            let query = query(&service, signal);
            process::wait_for_total(server.process.url(), &query, COUNT, FOUND_WITHIN).await;
            let hits = process::all_hits(server.process.url(), &query).await;
            assert_eq!(hits.len() as u64, COUNT, "{service} {signal}");
            compare(&sent, &hits, signal);
        }
    }
    assert!(server.process.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_carry_on_when_the_server_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(&directory.path().join("data"));
    let senders = [
        (Language::Python, Wire::Grpc),
        (Language::JavaScript, Wire::Json),
        (Language::Rust, Wire::Protobuf),
    ]
    .map(|(language, wire)| (language, wire, start(&server, language, wire, COUNT)));
    // In the middle: some thousands are in, some thousands are still to be made.
    let middle = async {
        while process::total(server.process.url(), "index:spans *")
            .await
            .is_none_or(|found| found < COUNT / 10)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(FOUND_WITHIN, middle).await.unwrap();
    assert!(
        senders.iter().any(|(_, _, sender)| !sender.is_finished()),
        "all was sent before the kill"
    );
    server = tokio::task::spawn_blocking(|| server.kill_and_restart())
        .await
        .unwrap();
    for (language, wire, sender) in senders {
        let sent = tokio::task::spawn_blocking(|| sender.join().unwrap())
            .await
            .unwrap();
        let service = format!("{}-{}", language.name(), wire.name());
        for signal in ["logs", "traces"] {
            let sent = of_signal(&sent, signal);
            let query = query(&service, signal);
            let hits = settled_hits(server.process.url(), &query, COUNT).await;
            println!(
                "{service} {signal}: {} sent, {} found",
                sent.len(),
                hits.len()
            );
            compare(&sent, &hits, signal);
        }
    }
}

fn query(service: &str, signal: &str) -> String {
    match signal {
        "logs" => format!("service:{service}"),
        _ => format!("index:spans service:{service}"),
    }
}

fn of_signal<'a>(sent: &'a [Sent], signal: &str) -> Vec<&'a Value> {
    let items = sent.iter().map(|sent| &sent.0);
    items.filter(|sent| sent["signal"] == signal).collect()
}

/// All hits, once there are `at_least` of them and no more come.
async fn settled_hits(url: &str, query: &str, at_least: u64) -> Vec<Value> {
    let settled = async {
        let mut before = None;
        loop {
            let total = process::total(url, query).await;
            if total.is_some_and(|total| total >= at_least) && total == before {
                return;
            }
            before = total;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(FOUND_WITHIN, settled)
        .await
        .unwrap_or_else(|_| panic!("`{query}` never finds {at_least}"));
    process::all_hits(url, query).await
}

/// Everything sent is found, and everything found was sent as it is found.
fn compare(sent: &[&Value], hits: &[Value], signal: &str) {
    let mut found: HashMap<u64, &Value> = HashMap::new();
    let by_number: HashMap<u64, &&Value> = sent
        .iter()
        .map(|item| (item["n"].as_u64().unwrap(), item))
        .collect();
    for hit in hits {
        let number = hit["attributes"]["n"].as_u64().unwrap();
        let expected = by_number[&number];
        assert_eq!(as_sent(hit, signal), **expected, "found as {hit}");
        found.insert(number, hit);
    }
    assert_eq!(found.len(), sent.len(), "{signal}: some are missing");
}

/// A hit in the form of what the senders write down.
fn as_sent(hit: &Value, signal: &str) -> Value {
    let attributes = hit["attributes"].as_object().unwrap();
    assert_eq!(attributes["resource"]["host.name"], "host-7");
    assert_eq!(attributes["resource"]["service.version"], "1.2.3");
    assert_eq!(attributes["scope"]["name"], "senders");
    assert_eq!(hit["host"], "host-7");
    let own: serde_json::Map<String, Value> = attributes
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "resource" | "scope"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let time: jiff::Timestamp = hit["timestamp"].as_str().unwrap().parse().unwrap();
    let time_ns = u64::try_from(time.as_nanosecond()).unwrap();
    let ids = json!({"n": own["n"], "signal": signal, "attributes": own,
                     "trace_id": hit["trace_id"], "span_id": hit["span_id"]});
    let more = match signal {
        "logs" => json!({"time_ns": time_ns, "body": hit["body"],
                         "severity": severity(hit["level"].as_str().unwrap())}),
        _ => json!({"name": hit["operation"], "kind": hit["kind"], "start_ns": time_ns,
                    "end_ns": time_ns + hit["duration_ns"].as_u64().unwrap(),
                    "status": hit["status"], "status_message": hit["status_message"],
                    "parent_id": hit["parent_id"], "events": names_of(&hit["events"])}),
    };
    let mut whole = ids.as_object().unwrap().clone();
    whole.extend(more.as_object().unwrap().clone());
    whole.into()
}

fn names_of(events: &Value) -> Value {
    let events = events.as_array().map(Vec::as_slice).unwrap_or_default();
    events.iter().map(|event| event["name"].clone()).collect()
}

fn severity(level: &str) -> u32 {
    match level {
        "trace" => 1,
        "debug" => 5,
        "info" => 9,
        "warn" => 13,
        "error" => 17,
        "fatal" => 21,
        other => panic!("`{other}` is no level"),
    }
}
