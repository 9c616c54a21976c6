//! How old a span is when it can be found: 1,000 a second into `logboom up`, with publishes and merges going on.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::input::now_ns;
use super::send;
use super::shop::{self, Call, SERVICES, Shop};
use crate::fresh::{poll, quantiles};
use crate::process::{self, Process};

const SPANS_PER_SECOND: usize = 1000;
/// A trace a request: short schedules of SDKs, or a Collector in between.
const REQUEST_SPANS: usize = 25;
const TRACE: Duration = Duration::from_millis(100);

pub(super) async fn print(directory: &Path, spans: usize) {
    println!("\nfresh: {spans} spans at {SPANS_PER_SECOND} a second");
    let http = process::free_port();
    let config = directory.join("fresh-spans.yaml");
    std::fs::write(
        &config,
        "version: 1\ndata: fresh-spans-data\nqueue: {disk_free_min: 1MiB}\nindexes: {spans: {hot_age_max: 5s}}\n",
    )
    .unwrap();
    let mut command = process::command(&["up", "--config", config.to_str().unwrap()]);
    command.env("LOGBOOM_OTLP_HTTP", format!("127.0.0.1:{http}"));
    let up = Process::start(command, &directory.join("fresh-spans.log"));
    let sent: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let sender = tokio::spawn({
        let sent = Arc::clone(&sent);
        async move { send_all(http, spans, &sent).await }
    });
    let ages = poll(up.url(), "index:spans *", spans, SPANS_PER_SECOND, &sent).await;
    sender.await.unwrap();
    process::wait_for_total(
        up.url(),
        "index:spans *",
        spans as u64,
        Duration::from_secs(60),
    )
    .await;
    quantiles("send → findable", ages);
    println!(
        "{:34} {:8} MiB",
        "  largest memory",
        up.peak_rss_bytes() >> 20
    );
}

async fn send_all(http: u16, spans: usize, sent: &Mutex<Vec<Instant>>) {
    let url = format!("http://127.0.0.1:{http}/v1/traces");
    let (mut shop, client) = (Shop::new(3), reqwest::Client::new());
    let start = Instant::now();
    for first in (0..spans).step_by(REQUEST_SPANS) {
        let size = REQUEST_SPANS.min(spans - first);
        let due = start + Duration::from_secs_f64(first as f64 / SPANS_PER_SECOND as f64);
        tokio::time::sleep_until(due.into()).await;
        let mut trace = shop.trace(size, now_ns(), TRACE.as_nanos() as u64);
        for (number, call) in (first..).zip(&mut trace) {
            call.span
                .attributes
                .push(shop::number("number", number as i64));
        }
        let body = request(trace).encode_to_vec().into();
        // Noted before the send, so that what is measured can only be longer than the truth.
        sent.lock()
            .unwrap()
            .extend(std::iter::repeat_n(Instant::now(), size));
        assert!(
            send::one(&client, &url, &body).await,
            "told to wait at this rate"
        );
    }
}

fn request(trace: Vec<Call>) -> ExportTraceServiceRequest {
    let mut services: [Vec<Call>; SERVICES.len()] = Default::default();
    for call in trace {
        services[call.service].push(call);
    }
    let services = services.into_iter().enumerate();
    ExportTraceServiceRequest {
        resource_spans: services
            .filter(|(_, calls)| !calls.is_empty())
            .map(|(service, calls)| shop::resource_spans(service, 0, calls))
            .collect(),
    }
}
