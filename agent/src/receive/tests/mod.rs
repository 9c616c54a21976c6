//! The receivers over real sockets, with memory in the place of the queue.

mod grpc;
mod http;
mod sorting;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::intake::Intake;
use super::sort::{Parcel, Topic, Topics};
use super::store::{Refused, Store, Unstored};
use super::{Limits, router, server};

/// The in-memory twin of the queue: acks, fails, refuses and hangs as it is told.
#[derive(Clone, Default)]
struct Twin(Arc<TwinState>);

#[derive(Default)]
struct TwinState {
    stored: Mutex<Vec<Parcel>>,
    mood: Mutex<Mood>,
    /// Woken when a request has arrived that the mood makes wait.
    waits: Notify,
    go_on: Notify,
}

#[derive(Clone, Default)]
enum Mood {
    #[default]
    Acks,
    Fails,
    /// Until told to go on.
    Waits,
    /// Refuses values larger than this for ever.
    Refuses(usize),
    /// Fails once what it is given is for this topic.
    FailsFor(&'static str),
}

impl Store for Twin {
    async fn store(&self, parcels: &[Parcel]) -> Result<Vec<Refused>, Unstored> {
        let mood = lock(&self.0.mood).clone();
        let late = Unstored::Late {
            patience: Duration::from_secs(9),
        };
        let mut refused = Vec::new();
        match mood {
            Mood::Acks => {}
            Mood::Fails => return Err(late),
            Mood::Waits => {
                self.0.waits.notify_one();
                self.0.go_on.notified().await;
            }
            Mood::FailsFor(topic) => {
                if parcels.iter().any(|parcel| &*parcel.topic == topic) {
                    return Err(late);
                }
            }
            Mood::Refuses(max) => {
                let large = parcels.iter().enumerate();
                let large = large.filter(|(_, parcel)| parcel.value.len() > max);
                refused.extend(large.map(|(parcel, _)| Refused {
                    parcel,
                    error: "message size too large".into(),
                }));
            }
        }
        let kept = parcels.iter().enumerate();
        let kept = kept.filter(|(index, _)| refused.iter().all(|one| one.parcel != *index));
        lock(&self.0.stored).extend(kept.map(|(_, parcel)| parcel.clone()));
        Ok(refused)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Twin {
    fn set(&self, mood: Mood) {
        *lock(&self.0.mood) = mood;
    }

    /// Values in a topic.
    fn values(&self, topic: &str) -> Vec<Parcel> {
        let stored = lock(&self.0.stored);
        let of_topic = stored.iter().filter(|parcel| &*parcel.topic == topic);
        of_topic.cloned().collect()
    }

    fn spans(&self) -> Vec<(i32, Span)> {
        let mut spans = Vec::new();
        for parcel in self.values("otlp_spans") {
            let request = ExportTraceServiceRequest::decode(&*parcel.value).unwrap();
            spans.extend(
                all_spans(request)
                    .into_iter()
                    .map(|span| (parcel.partition, span)),
            );
        }
        spans
    }

    fn letters(&self) -> Vec<serde_json::Value> {
        let letters = self.values("_logboom_rejected");
        let letters = letters.iter();
        letters
            .map(|letter| serde_json::from_slice(&letter.value).unwrap())
            .collect()
    }
}

fn all_spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let resources = request.resource_spans.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// Receivers that are running.
struct Running {
    address: SocketAddr,
    twin: Twin,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start(limits: Limits, token: Option<&str>) -> Running {
    let running = start_closed(limits, token).await;
    running.1.open(topics());
    running.0
}

async fn start_closed(limits: Limits, token: Option<&str>) -> (Running, Arc<Intake<Twin>>) {
    let twin = Twin::default();
    let gate = Gate::new(
        token.map(str::to_owned),
        limits.requests_max,
        limits.in_flight_bytes_max,
    );
    let connections = Arc::new(Semaphore::new(limits.connections_max));
    let timeout = limits.header_timeout;
    let intake = Arc::new(Intake::new(gate, limits, twin.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = server::serve(
        listener,
        router(&intake),
        connections,
        timeout,
        stop.clone(),
    );
    let running = Running {
        address,
        twin,
        stop,
        task: tokio::spawn(serving),
    };
    (running, intake)
}

fn topics() -> Topics {
    let topic = |name: &str, partitions| Topic {
        name: name.into(),
        partitions,
    };
    Topics {
        logs: topic("otlp_logs", 4),
        spans: topic("otlp_spans", 4),
        rejected: topic("_logboom_rejected", 1),
    }
}

/// An answer over HTTP/1.1.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Of the `google.rpc.Status` in JSON.
    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }
}

impl Running {
    async fn send(&self, head: &str, body: &[u8]) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        exchange(stream, head, body).await
    }

    async fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        self.send(&head, body).await
    }

    async fn post_spans(&self, body: &[u8]) -> Answer {
        self.post("/v1/traces", PROTOBUF, body).await
    }
}

const PROTOBUF: &str = "content-type: application/x-protobuf\r\n";
const JSON: &str = "content-type: application/json\r\n";

async fn exchange(mut stream: TcpStream, head: &str, body: &[u8]) -> Answer {
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    read_answer(&mut stream).await
}

async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut whole = Vec::new();
    let reading = stream.read_to_end(&mut whole);
    let read = tokio::time::timeout(Duration::from_secs(60), reading).await;
    read.unwrap().unwrap();
    let end = whole.windows(4).position(|four| four == b"\r\n\r\n");
    let body = whole.split_off(end.unwrap() + 4);
    let head = String::from_utf8(whole).unwrap();
    Answer {
        status: head[9..12].parse().unwrap(),
        head,
        body,
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A span of trace `trace`, which is no id when 0.
fn span(trace: u8, number: u64) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: format!("span {number}"),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_000_001_000,
        ..Span::default()
    }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource::default()),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn encoded(spans: Vec<Span>) -> Vec<u8> {
    request(spans).encode_to_vec()
}
