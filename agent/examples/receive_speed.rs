//! How fast spans become acked records, with everything durable: senders, receivers and queue in this process.
//!
//!     cargo run --release -p logboom-agent --example receive_speed -- [SECONDS] [DIR]

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use logboom_agent::receive::{Config, run};
use logboom_client::ClientConfig;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What SDKs send at once, and how many of them.
const SPANS: u64 = 512;
const SENDERS: u64 = 8;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let parent = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = parent.join(format!("logboom-receive-speed-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let outcome = measure(&dir, Duration::from_secs(seconds)).await;
    std::fs::remove_dir_all(&dir)?;
    outcome
}

async fn measure(dir: &Path, time: Duration) -> Result<(), Box<dyn Error>> {
    let mut config = logboom_broker::Config::new(dir.join("queue"));
    config.disk_free_min_bytes = 0;
    let broker = logboom_broker::Broker::open(config).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let queue = ClientConfig::new(listener.local_addr()?.to_string(), "speed");
    let stop = CancellationToken::new();
    let serving = tokio::spawn(broker.run(listener, watch::channel(false).0, stop.clone()));
    let http = TcpListener::bind("127.0.0.1:0").await?;
    let address = http.local_addr()?;
    let (ready, mut is_ready) = watch::channel(false);
    let receivers_stop = CancellationToken::new();
    let receivers = tokio::spawn(run(
        Config::new(queue),
        None,
        Some(http),
        ready,
        receivers_stop.clone(),
    ));
    is_ready.wait_for(|ready| *ready).await?;

    let bodies: Arc<Vec<Vec<u8>>> = Arc::new((0..16).map(body).collect());
    let bytes = bodies[0].len() as u64;
    let (cpu_before, started) = (cpu_seconds(), Instant::now());
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let bodies = Arc::clone(&bodies);
        senders.spawn(async move { send(address, &bodies, sender, started + time).await });
    }
    let mut requests = 0;
    while let Some(sent) = senders.join_next().await {
        requests += sent?.map_err(|error| error.to_string())?;
    }
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
    let spans = (requests * SPANS) as f64;
    println!(
        "{spans} spans of {} B acked in {wall:.1} s: {:.0} spans/s, {:.1} MB/s, {:.2} CPU-seconds per million spans",
        bytes / SPANS,
        spans / wall,
        (requests * bytes) as f64 / wall / 1e6,
        cpu / spans * 1e6,
    );
    receivers_stop.cancel();
    receivers.await??;
    stop.cancel();
    serving.await??;
    Ok(())
}

/// Sends one request after the other until `end`; how many.
async fn send(
    address: SocketAddr,
    bodies: &[Vec<u8>],
    sender: u64,
    end: Instant,
) -> Result<u64, std::io::Error> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut requests = 0;
    let mut answer = vec![0; 4096];
    while Instant::now() < end {
        let body = &bodies[((requests + sender) % bodies.len() as u64) as usize];
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: h\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        // A success has no body, so it ends with its headers.
        let mut len = 0;
        while !answer[..len].ends_with(b"\r\n\r\n") {
            match stream.read(&mut answer[len..]).await? {
                0 => return Err(std::io::Error::other("no answer")),
                read => len += read,
            }
        }
        if !answer.starts_with(b"HTTP/1.1 200") {
            let answer = String::from_utf8_lossy(&answer[..len]).into_owned();
            return Err(std::io::Error::other(answer));
        }
        requests += 1;
    }
    Ok(requests)
}

fn attribute(key: &str, value: String) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value)),
        }),
        ..KeyValue::default()
    }
}

/// Spans of traces of eight, as an instrumented web server writes them.
fn body(number: u64) -> Vec<u8> {
    let span = |index: u64| {
        let id = number * SPANS + index + 1;
        let trace = u128::from(id / 8 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        Span {
            trace_id: trace.to_be_bytes().to_vec(),
            span_id: id.to_be_bytes().to_vec(),
            parent_span_id: (id - 1).to_be_bytes().to_vec(),
            name: format!("GET /api/v1/items/{}", index % 20),
            kind: 2,
            start_time_unix_nano: 1_764_000_000_000_000_000 + id * 1_000,
            end_time_unix_nano: 1_764_000_000_000_000_000 + id * 7_000,
            attributes: vec![
                attribute("http.request.method", "GET".into()),
                attribute("url.path", format!("/api/v1/items/{id}")),
                attribute("http.response.status_code", "200".into()),
                attribute("server.address", format!("web-{}.example.com", id % 9)),
                attribute(
                    "user_agent.original",
                    "Mozilla/5.0 (X11; Linux x86_64)".into(),
                ),
            ],
            ..Span::default()
        }
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![attribute("service.name", "shop".into())],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: (0..SPANS).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
    .encode_to_vec()
}

/// User and system time of this process and all its threads.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in parentheses, may hold anything; fields 14 and 15 are counted from behind it.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}
