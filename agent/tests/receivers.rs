//! The receivers before the built-in queue, over TCP: the queue away at first, then restarted.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use logboom_agent::receive::{Config, run};
use logboom_broker::Broker;
use logboom_client::{Assignment, ClientConfig, Consumer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Code;

struct Part {
    stop: CancellationToken,
    task: JoinHandle<()>,
    ready: watch::Receiver<bool>,
}

impl Part {
    async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(20), self.task).await;
        ended.unwrap().unwrap();
    }
}

async fn broker(dir: &Path, address: SocketAddr) -> Part {
    let mut config = logboom_broker::Config::new(dir.join("queue"));
    config.disk_free_min_bytes = 0;
    let broker = Broker::open(config).await.unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    let (ready, mut is_ready) = watch::channel(false);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(async move { broker.run(listener, ready, stopped).await.unwrap() });
    is_ready.wait_for(|ready| *ready).await.unwrap();
    let ready = is_ready;
    Part { stop, task, ready }
}

fn spans(numbers: std::ops::Range<u64>) -> ExportTraceServiceRequest {
    let spans = numbers.map(|number| Span {
        trace_id: u128::from(number / 7 + 1).to_be_bytes().to_vec(),
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: format!("span {number}"),
        ..Span::default()
    });
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: spans.collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// Sends as an SDK does: again when it is told to.
async fn send(
    client: &mut TraceServiceClient<tonic::transport::Channel>,
    numbers: std::ops::Range<u64>,
) -> u32 {
    let mut refusals = 0;
    loop {
        match client.export(spans(numbers.clone())).await {
            Ok(answer) => {
                assert_eq!(answer.into_inner().partial_success, None);
                return refusals;
            }
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
        }
        refusals += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acked_is_in_the_queue_over_its_restarts() {
    let dir = tempfile::tempdir().unwrap();
    // A port that is free until the queue takes it.
    let queue_address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let queue = ClientConfig::new(queue_address.to_string(), "test");
    let mut config = Config::new(queue.clone());
    config.limits.patience = Duration::from_secs(1);
    let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = grpc.local_addr().unwrap();
    let (ready, is_ready) = watch::channel(false);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task =
        tokio::spawn(async move { run(config, Some(grpc), None, ready, stopped).await.unwrap() });
    let mut receivers = Part {
        stop,
        task,
        ready: is_ready,
    };

    let channel = tonic::transport::Channel::from_shared(format!("http://{address}")).unwrap();
    let mut client = TraceServiceClient::new(channel.connect().await.unwrap());
    let status = client.export(spans(0..1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(!*receivers.ready.borrow());

    let first = broker(dir.path(), queue_address).await;
    receivers.ready.wait_for(|ready| *ready).await.unwrap();
    for batch in 0..20 {
        send(&mut client, batch * 100..(batch + 1) * 100).await;
    }
    first.stop().await;
    // It waits for the queue as long as its patience, is refused, and is stored once the queue is back.
    let mut waiting = client.clone();
    let waiting = tokio::spawn(async move { send(&mut waiting, 2000..2100).await });
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let second = broker(dir.path(), queue_address).await;
    assert!(waiting.await.unwrap() > 0);
    for batch in 21..40 {
        send(&mut client, batch * 100..(batch + 1) * 100).await;
    }
    receivers.stop().await;

    let mut consumer = Consumer::new(&queue, &[]).unwrap();
    let all = (0..4).map(|partition| Assignment {
        topic: "otlp_spans".into(),
        partition,
        offset: 0,
    });
    consumer.assign(&all.collect::<Vec<_>>()).unwrap();
    let mut found = BTreeSet::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while found.len() < 4000 && tokio::time::Instant::now() < deadline {
        let patience = Duration::from_millis(200);
        for record in consumer.recv(1000, 4 << 20, patience).await.unwrap() {
            let request = ExportTraceServiceRequest::decode(&*record.value).unwrap();
            let resources = request.resource_spans.into_iter();
            let scopes = resources.flat_map(|resource| resource.scope_spans);
            for span in scopes.flat_map(|scope| scope.spans) {
                // Twice is possible on this hop; missing is not.
                found.insert(span.span_id);
            }
        }
    }
    assert_eq!(found.len(), 4000);
    second.stop().await;
}
