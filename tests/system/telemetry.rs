//! logboom's own telemetry: a batch's way is one trace, sending it to ourselves does not go round in circles, any
//! collector gets spans and metrics, and one that is away harms nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;

use crate::process::{self, Process};

const FOUND_WITHIN: Duration = Duration::from_secs(60);

/// `up` that publishes every two seconds and tails `*.txt` and its own log.
fn up(directory: &Path, otlp: &str, filter: &str) -> Process {
    let config = directory.join("logboom.yaml");
    let here = directory.display();
    std::fs::write(
        &config,
        format!(
            "version: 1\ndata: data\nindexes: {{logs: {{hot_age_max: 2s}}, spans: {{hot_age_max: 2s}}}}\n\
             telemetry: {{token: s3cret}}\nreceive: {{otlp: {{token: s3cret}}}}\n\
             agent: {{tail: [{{glob: ['{here}/*.txt']}}, {{glob: ['{here}/log'], service: own-log}}]}}\n"
        ),
    )
    .unwrap();
    let mut command = process::command(&["up", "--config", config.to_str().unwrap()]);
    command.env("LOGBOOM_TELEMETRY_OTLP", otlp);
    command.env("LOGBOOM_LOG", filter);
    Process::start(command, &directory.join("log"))
}

fn append(directory: &Path, line: &str) {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(directory.join("app.txt"))
        .unwrap();
    writeln!(file, "{line}").unwrap();
}

async fn spans(server: &Process, query: &str) -> u64 {
    let query = format!("index:spans service:logboom {query}");
    process::total(server.url(), &query).await.unwrap_or(0)
}

/// A span of a trace in the API's columns.
struct Found {
    parent: Option<String>,
    start: u64,
    end: u64,
}

async fn trace(server: &Process, id: &str) -> BTreeMap<String, Found> {
    let answer = process::get(server.url(), &format!("traces/{id}"), &[])
        .await
        .unwrap();
    let columns = &answer["spans"];
    let number = |column: &str, row: usize| columns[column][row].as_i64().unwrap();
    let operation = |row: usize| {
        let name = &answer["operations"][number("operation", row) as usize];
        name.as_str().unwrap().to_owned()
    };
    (0..columns["id"].as_array().unwrap().len())
        .map(|row| {
            let parent = usize::try_from(number("parent", row)).ok();
            let start = number("start", row) as u64;
            let found = Found {
                parent: parent.map(operation),
                start,
                end: start + number("duration", row) as u64,
            };
            (operation(row), found)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_trace_from_its_file_to_its_split_and_nothing_goes_round() {
    let directory = tempfile::tempdir().unwrap();
    let server = up(directory.path(), "self", "info");
    let mut lines = 0;
    let path = format!("log.file.path:\"{}/app.txt\"", directory.path().display());
    let published = async {
        loop {
            let answer = process::get(
                server.url(),
                "traces",
                &[("q", &format!("service:logboom operation:batch {path}"))],
            )
            .await;
            // Each second's first batch gets a trace; what of it arrives late, or not at all where too much is going on, does not
            // matter to the others.
            let traces = answer
                .as_ref()
                .and_then(|answer| answer["traces"].as_array());
            for listed in traces.into_iter().flatten() {
                let found = trace(&server, listed["trace_id"].as_str().unwrap()).await;
                if found.contains_key("publish") && found.contains_key("evaluate") {
                    return found;
                }
            }
            append(directory.path(), "a line that may be followed");
            lines += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let found = tokio::time::timeout(FOUND_WITHIN, published)
        .await
        .unwrap_or_else(|_| panic!("no whole trace; {}", server.log_tail()));
    let parents: Vec<(&str, Option<&str>)> = found
        .iter()
        .map(|(name, span)| (&**name, span.parent.as_deref()))
        .collect();
    assert_eq!(
        parents,
        [
            ("batch", None),
            ("evaluate", Some("ship")),
            ("frame", Some("batch")),
            ("index", Some("ship")),
            ("publish", Some("ship")),
            ("ship", Some("batch")),
        ]
    );
    for (earlier, later) in [
        ("batch", "frame"),
        ("frame", "ship"),
        ("ship", "index"),
        ("ship", "evaluate"),
    ] {
        assert!(
            found[earlier].start <= found[later].start,
            "{earlier} {later}"
        );
    }
    assert!(found["frame"].end <= found["ship"].start);
    assert!(
        found["index"].end <= found["publish"].start,
        "searchable before it is published"
    );

    // The lines are what they would be without: each found once, and nothing of a trace sticks to one.
    let query = "\"a line that may be followed\"";
    process::wait_for_total(server.url(), query, lines, FOUND_WITHIN).await;
    for hit in process::all_hits(server.url(), query).await {
        assert_eq!(hit["trace_id"], serde_json::Value::Null);
        assert!(!hit.to_string().contains("traceparent"), "{hit}");
    }

    // Idle: what was sent is itself received, indexed and published, and makes nothing new.
    let settled = async {
        let mut before = (0, Instant::now());
        loop {
            let now = spans(&server, "*").await;
            if now != before.0 {
                before = (now, Instant::now());
            } else if before.1.elapsed() > Duration::from_secs(6) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(FOUND_WITHIN, settled)
        .await
        .expect("an idle logboom stops making spans");
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_never_rests_makes_a_trace_a_second() {
    let directory = tempfile::tempdir().unwrap();
    // At this level, receiving and indexing our own spans writes lines, which are tailed.
    let server = up(directory.path(), "self", "debug");
    let begun = Instant::now();
    let path = directory.path().to_owned();
    while begun.elapsed() < Duration::from_secs(8) {
        append(&path, "more");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let limit = begun.elapsed().as_secs() + 3;
    let traces = spans(&server, "operation:batch").await;
    assert!(
        (4..=limit).contains(&traces),
        "{traces} in {:?}",
        begun.elapsed()
    );
}

/// What a collector was sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    requests: usize,
    spans: Vec<ExportTraceServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
}

impl Collector {
    /// Of the spans.
    fn names(&self) -> BTreeSet<String> {
        let received = self.0.lock().unwrap();
        let requests = received.spans.iter();
        requests
            .flat_map(|request| &request.resource_spans)
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| &scope.spans)
            .map(|span| span.name.clone())
            .collect()
    }
}

/// Is overloaded at first.
async fn collect(
    State(collector): State<Collector>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> StatusCode {
    assert_eq!(headers["authorization"], "Bearer s3cret");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let mut received = collector.0.lock().unwrap();
    received.requests += 1;
    if received.requests == 1 {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    match uri.path() {
        "/otlp/v1/traces" => received.spans.push(Message::decode(body).unwrap()),
        "/otlp/v1/metrics" => received.metrics.push(Message::decode(body).unwrap()),
        other => panic!("`{other}` is asked for"),
    }
    StatusCode::OK
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_spans_and_metrics() {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/otlp", listener.local_addr().unwrap());
    let app = Router::new()
        .fallback(collect)
        .with_state(collector.clone());
    let collecting = tokio::spawn(async move { axum::serve(listener, app).await });

    let directory = tempfile::tempdir().unwrap();
    let server = up(directory.path(), &url, "info");
    let alive = ["batch", "evaluate", "frame", "index", "ship"];
    let followed = async {
        while !alive.iter().all(|name| collector.names().contains(*name)) {
            append(directory.path(), "a line");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    tokio::time::timeout(FOUND_WITHIN, followed)
        .await
        .unwrap_or_else(|_| panic!("only {:?}; {}", collector.names(), server.log_tail()));
    // What is left, the metrics and the last publish among it, goes out at the stop.
    assert!(tokio::task::block_in_place(|| server.terminate()).success());
    collecting.abort();

    assert!(collector.names().contains("publish"));
    let received = collector.0.lock().unwrap();
    let resources = received
        .metrics
        .iter()
        .flat_map(|request| &request.resource_metrics);
    let metrics: BTreeMap<&str, &Data> = resources
        .flat_map(|resource| &resource.scope_metrics)
        .flat_map(|scope| &scope.metrics)
        .filter_map(|metric| Some((&*metric.name, metric.data.as_ref()?)))
        .collect();
    match metrics["logboom_agent_lines_total"] {
        Data::Sum(sum) => assert!(sum.is_monotonic && !sum.data_points.is_empty()),
        other => panic!("{other:?}"),
    }
    match metrics["logboom_indexer_refresh_seconds"] {
        Data::Histogram(histogram) => {
            let point = &histogram.data_points[0];
            assert_eq!(point.explicit_bounds[0], 0.0005);
            assert!(point.count > 0);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        metrics["logboom_indexer_hot_bytes"],
        Data::Gauge(_)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_costs_a_line_in_the_log_and_two_seconds_of_a_stop() {
    // Takes connections and never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let server = up(directory.path(), &url, "info");
    for _ in 0..30 {
        append(directory.path(), "on and on");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    process::wait_for_total(server.url(), "\"on and on\"", 30, FOUND_WITHIN).await;
    let log = directory.path().join("log");
    let complaints = std::fs::read_to_string(&log)
        .unwrap()
        .matches("cannot be sent")
        .count();
    assert_eq!(complaints, 1, "{}", server.log_tail());
    let stopping = Instant::now();
    assert!(tokio::task::block_in_place(|| server.terminate()).success());
    assert!(
        stopping.elapsed() < Duration::from_secs(8),
        "{:?}",
        stopping.elapsed()
    );
}

#[test]
fn a_wrong_target_is_refused_before_anything_starts() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut command = process::command(&["up", "--data", data.to_str().unwrap()]);
    let output = command
        .env("LOGBOOM_TELEMETRY_OTLP", "collector:4317")
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.contains("`LOGBOOM_TELEMETRY_OTLP`"), "{error}");
    assert!(!data.exists(), "nothing was started");
}
