//! The indexer on a real queue: appended records are found, once, whatever dies in between.
#![allow(clippy::unwrap_used)]

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use logboom_broker::Broker;
use logboom_client::{ClientConfig, Producer};
use logboom_event::{
    Context, Origin, SourceId,
    otlp::{Request, Signal},
};
use logboom_indexer::{Config, Remote, SearchRequest, SearchResponse};
use logboom_metastore::Database;
use serde_json::json;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// One part that runs in this process.
struct Part<E> {
    task: JoinHandle<Result<(), E>>,
    stop: CancellationToken,
}

impl<E: std::fmt::Debug> Part<E> {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

async fn ready(mut ready: watch::Receiver<bool>) {
    tokio::time::timeout(Duration::from_secs(20), ready.wait_for(|ready| *ready))
        .await
        .unwrap()
        .unwrap();
}

async fn queue(folder: &TempDir) -> (Part<logboom_broker::Error>, ClientConfig) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let queue = ClientConfig::new(listener.local_addr().unwrap().to_string(), "test");
    let broker = Broker::open(logboom_broker::Config::new(folder.path().join("queue")))
        .await
        .unwrap();
    let (tell, told) = watch::channel(false);
    let stop = CancellationToken::new();
    let task = tokio::spawn(broker.run(listener, tell, stop.clone()));
    ready(told).await;
    (Part { task, stop }, queue)
}

async fn indexer(folder: &TempDir, queue: &ClientConfig) -> (Part<logboom_indexer::Error>, Remote) {
    let (part, remote, told) = starting_indexer(folder, queue).await;
    ready(told).await;
    (part, remote)
}

async fn starting_indexer(
    folder: &TempDir,
    queue: &ClientConfig,
) -> (Part<logboom_indexer::Error>, Remote, watch::Receiver<bool>) {
    let data_dir = folder.path().join("indexer");
    std::fs::create_dir_all(&data_dir).unwrap();
    let mut config = Config {
        partitions: 2,
        ..Config::new(data_dir, queue.clone())
    };
    for index in &mut config.indexes {
        // Every test passes several publishes.
        index.hot_age_max = Duration::from_millis(700);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = Remote::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (tell, told) = watch::channel(false);
    let stop = CancellationToken::new();
    let task = tokio::spawn(logboom_indexer::run(config, listener, tell, stop.clone()));
    (Part { task, stop }, remote, told)
}

/// Sends lines `numbers` of one source and waits for the acks.
async fn append(producer: &Producer, partition: i32, numbers: std::ops::Range<u64>) {
    let context = Context {
        service: Some("shop".into()),
        ..Context::new("web-1", "/var/log/app.log")
    };
    let context = Arc::new(context);
    // Retention counts from here.
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    let mut deliveries = Vec::new();
    for number in numbers {
        let origin = Origin {
            source: SourceId([partition as u8; 16]),
            prev: number * 100,
            offset: number * 100,
            end: (number + 1) * 100,
            continues: false,
            true_len: None,
            context: Arc::clone(&context),
        };
        let headers = origin.to_headers();
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_slice()))
            .collect();
        let line = format!("line {number} of partition {partition}");
        let sent = producer
            .send(
                "logs",
                Some(partition),
                None,
                line.as_bytes(),
                now_ms,
                &headers,
            )
            .await;
        deliveries.push(sent.unwrap());
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
}

async fn search(remote: &Remote, q: &str) -> SearchResponse {
    remote
        .search(&SearchRequest {
            q: q.to_owned(),
            ..SearchRequest::default()
        })
        .await
        .unwrap()
}

/// Waits until everything is found, and says how long that took.
async fn found(remote: &Remote, q: &str, expected: u64) -> Duration {
    let started = Instant::now();
    loop {
        let response = search(remote, q).await;
        if response.complete && response.total == Some(expected) {
            return started.elapsed();
        }
        assert!(
            response.total.is_none_or(|total| total <= expected),
            "{q}: {:?} of {expected}",
            response.total
        );
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{q}: {:?} of {expected}",
            response.total
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appended_lines_are_found_once_across_restarts_and_retries() {
    let folder = TempDir::new().unwrap();
    let (broker, queue) = queue(&folder).await;
    let (first, remote) = indexer(&folder, &queue).await;
    let producer = Producer::new(&queue).unwrap();
    found(&remote, "*", 0).await;
    append(&producer, 0, 0..500).await;
    append(&producer, 1, 0..300).await;
    found(&remote, "*", 800).await;
    // Dies without a chance to publish what it holds.
    append(&producer, 0, 500..600).await;
    found(&remote, "*", 900).await;
    first.task.abort();
    assert!(first.task.await.unwrap_err().is_cancelled());

    // The agent sends again what it was not told of, then goes on.
    append(&producer, 0, 550..700).await;
    let (second, remote) = indexer(&folder, &queue).await;
    found(&remote, "*", 1000).await;
    let status = remote.pipeline().await.unwrap();
    assert_eq!(status["indexer"]["gaps"], 0, "{status}");
    second.stop().await;

    let (third, remote) = indexer(&folder, &queue).await;
    found(&remote, "*", 1000).await;
    found(&remote, "\"line 42 of\"", 2).await;
    third.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_is_found_within_a_fraction_of_a_second() {
    let folder = TempDir::new().unwrap();
    let (broker, queue) = queue(&folder).await;
    let (part, remote) = indexer(&folder, &queue).await;
    let producer = Producer::new(&queue).unwrap();
    append(&producer, 0, 0..1).await;
    found(&remote, "*", 1).await;
    let mut slowest = Duration::ZERO;
    for number in 1..20 {
        append(&producer, 0, number..number + 1).await;
        slowest = slowest.max(found(&remote, "*", number + 1).await);
    }
    println!("slowest of 19: {slowest:?}");
    // Generous, for a machine that compiles at the same time; the benchmark measures the promise.
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    part.stop().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_and_errors_say_what_is_going_on() {
    let folder = TempDir::new().unwrap();
    let (broker, queue) = queue(&folder).await;
    let (part, remote) = indexer(&folder, &queue).await;
    let producer = Producer::new(&queue).unwrap();
    let report = br#"{"id":"a-1","host":"web-1","lines_total":7}"#;
    producer
        .send("_logboom_agents", Some(0), Some(b"a-1"), report, 1, &[])
        .await
        .unwrap()
        .await
        .unwrap();
    append(&producer, 1, 0..10).await;
    found(&remote, "*", 10).await;
    let started = Instant::now();
    loop {
        let status = remote.pipeline().await.unwrap();
        let partitions = status["partitions"].as_array().unwrap();
        let is_done = |partition: &serde_json::Value| {
            (&partition["topic"], &partition["partition"]) == (&json!("logs"), &json!(1))
                && (&partition["lag"], &partition["published"]) == (&json!(0), &json!(10))
        };
        if status["agents"][0]["lines_total"] == 7 && partitions.iter().any(is_done) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{status:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let bad = remote
        .search(&SearchRequest {
            q: "level:".into(),
            ..SearchRequest::default()
        })
        .await
        .unwrap_err();
    assert!(
        matches!(bad, logboom_indexer::RemoteError::Query { .. }),
        "{bad}"
    );
    part.stop().await;
    let gone = remote.search(&SearchRequest::default()).await.unwrap_err();
    assert!(gone.to_string().contains("is it running"), "{gone}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_tail_hears_what_matches_and_ends_with_the_indexer() {
    use futures::StreamExt;
    let folder = TempDir::new().unwrap();
    let (broker, queue) = queue(&folder).await;
    let (part, remote) = indexer(&folder, &queue).await;
    let producer = Producer::new(&queue).unwrap();
    let mut tail = std::pin::pin!(remote.tail("\"line 3\"").await.unwrap());
    append(&producer, 0, 0..10).await;
    match tokio::time::timeout(Duration::from_secs(20), tail.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
    {
        logboom_indexer::TailItem::Hit(hit) => assert_eq!(hit.raw, "line 3 of partition 0"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        remote.tail("level:").await.err(),
        Some(logboom_indexer::RemoteError::Query { .. })
    ));
    part.stop().await;
    assert!(tail.next().await.is_none_or(|item| item.is_err()));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metastore_that_another_program_holds_delays_the_start_and_does_not_end_it() {
    let folder = TempDir::new().unwrap();
    let (broker, queue) = queue(&folder).await;
    let data_dir = folder.path().join("indexer");
    std::fs::create_dir_all(&data_dir).unwrap();
    let holder = Database::open(data_dir.join("metastore.db"), &[])
        .await
        .unwrap();
    let held = holder.begin().await.unwrap();
    let (part, remote, told) = starting_indexer(&folder, &queue).await;
    // SQLite itself waits for ten seconds.
    tokio::time::sleep(Duration::from_millis(11_500)).await;
    assert!(!part.task.is_finished() && !*told.borrow());
    drop(held);
    ready(told).await;
    found(&remote, "*", 0).await;
    part.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_one_ends_the_start_and_is_named() {
    let folder = TempDir::new().unwrap();
    let queue = ClientConfig::new("127.0.0.1:1", "test");
    std::fs::create_dir(folder.path().join("indexer")).unwrap();
    std::fs::write(folder.path().join("indexer/splits"), "not a folder").unwrap();
    let (part, ..) = starting_indexer(&folder, &queue).await;
    let ended = tokio::time::timeout(Duration::from_secs(5), part.task).await;
    let error = ended.unwrap().unwrap().unwrap_err().to_string();
    assert!(
        error.starts_with("cannot create `") && error.contains("/indexer/splits`: "),
        "{error}"
    );
}

/// Sends a request of this many spans or log records that share a number in their text.
async fn append_otlp(producer: &Producer, signal: Signal, number: u64, items: usize) {
    let item = |at: usize| match signal {
        Signal::Logs => {
            json!({"severityNumber": 9, "body": {"stringValue": format!("request {number} item {at}")}})
        }
        Signal::Spans => json!({
            "traceId": format!("{:032x}", number + 1), "spanId": format!("{:016x}", at + 1),
            "name": format!("request {number} item {at}"),
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000000000042",
        }),
    };
    let items: Vec<_> = (0..items).map(item).collect();
    let (topic, body) = match signal {
        Signal::Logs => (
            "otlp_logs",
            json!({"resourceLogs": [{"scopeLogs": [{"logRecords": items}]}]}),
        ),
        Signal::Spans => (
            "otlp_spans",
            json!({"resourceSpans": [{"scopeSpans": [{"spans": items}]}]}),
        ),
    };
    let request = Request::from_json(signal, &serde_json::to_vec(&body).unwrap()).unwrap();
    let sent = producer
        .send(topic, Some(0), None, request.body(), 1, &[])
        .await;
    sent.unwrap().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn otlp_requests_are_found_item_by_item_once_in_their_index_across_restarts() {
    use futures::StreamExt;
    let folder = TempDir::new().unwrap();
    let (broker, queue) = queue(&folder).await;
    let (first, remote) = indexer(&folder, &queue).await;
    let producer = Producer::new(&queue).unwrap();
    // The first records of both topics of `logs` stand at the same offset of the same partition.
    found(&remote, "*", 0).await;
    found(&remote, "index:spans *", 0).await;
    append(&producer, 0, 0..5).await;
    append_otlp(&producer, Signal::Logs, 0, 3).await;
    found(&remote, "*", 8).await;
    let ids: Vec<String> = search(&remote, "*")
        .await
        .hits
        .iter()
        .map(|hit| hit.id.to_string())
        .collect();
    for id in &ids {
        found(&remote, &format!("id:{id}"), 1).await;
    }
    let mut tail = std::pin::pin!(
        remote
            .tail_in(Some("spans"), "operation:*7 duration:42ns")
            .await
            .unwrap()
    );
    for number in 0..20 {
        append_otlp(&producer, Signal::Spans, number, 25).await;
    }
    found(&remote, "index:spans *", 500).await;
    match tokio::time::timeout(Duration::from_secs(20), tail.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
    {
        logboom_indexer::TailItem::Hit(hit) => {
            assert_eq!(hit.operation.as_deref(), Some("request 0 item 7"))
        }
        other => panic!("{other:?}"),
    }
    // Dies with published and unpublished requests.
    first.task.abort();
    assert!(first.task.await.unwrap_err().is_cancelled());
    append_otlp(&producer, Signal::Spans, 20, 25).await;
    let (second, remote) = indexer(&folder, &queue).await;
    found(&remote, "index:spans *", 525).await;
    found(
        &remote,
        "index:spans trace_id:00000000000000000000000000000015",
        25,
    )
    .await;
    found(&remote, "*", 8).await;
    found(&remote, "index:_rejected *", 0).await;
    let started = Instant::now();
    loop {
        let status = remote.pipeline().await.unwrap();
        let spans = &status["indexer"]["indexes"]["spans"];
        if spans["splits"].as_u64() > Some(0) && status["indexer"]["docs"] == 533 {
            assert_eq!(spans["kind"], "spans");
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{status:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for q in ["index:nothing x", "index:spans level:error"] {
        let request = SearchRequest {
            q: q.into(),
            ..SearchRequest::default()
        };
        remote.search(&request).await.unwrap_err();
    }
    second.stop().await;
    let (third, remote) = indexer(&folder, &queue).await;
    found(&remote, "index:spans *", 525).await;
    let again: Vec<String> = search(&remote, "*")
        .await
        .hits
        .iter()
        .map(|hit| hit.id.to_string())
        .collect();
    assert_eq!(ids, again, "ids stay");
    third.stop().await;
    broker.stop().await;
}

#[tokio::test]
async fn a_configuration_that_cannot_be_ends_the_start_and_says_why() {
    let folder = TempDir::new().unwrap();
    let queue = ClientConfig::new("127.0.0.1:1", "test");
    let mut config = Config::new(folder.path().join("indexer"), queue);
    config.indexes[2].name = "logs".into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (tell, _) = watch::channel(false);
    let ended = logboom_indexer::run(config, listener, tell, CancellationToken::new()).await;
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("two indexes are called `logs`"), "{error}");
}
