//! The requests of a run, made before any clock starts, and what must be found of them.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use rand::RngExt;

use super::shop::{self, Call, SERVICES, Shop};

/// What SDKs send at once.
const REQUEST_SPANS: usize = 512;
/// Processes of each service. Each has a request of its own to fill, so traces come apart.
const INSTANCES: usize = 2;
/// Time that the spans' starts are spread over; it ends now.
const PERIOD: Duration = Duration::from_secs(3600);
/// Spans of the one large trace …
pub(super) const LARGE_SPANS: usize = 50_000;
/// … of which so many come with each other trace.
const LARGE_STEP: usize = 20;
/// Of how many traces the count is kept.
const SAMPLE_EVERY: usize = 500;

pub(super) struct Input {
    /// `ExportTraceServiceRequest`s in protobuf.
    pub(super) bodies: Vec<Bytes>,
    pub(super) spans: u64,
    pub(super) by_service: [u64; SERVICES.len()],
    pub(super) failed: u64,
    /// Ids of some traces, and how many spans each has.
    pub(super) traces: Vec<(String, u64)>,
    /// The same of the large one.
    pub(super) large: (String, u64),
    pub(super) begin_ns: u64,
    pub(super) end_ns: u64,
}

impl Input {
    pub(super) fn bytes(&self) -> u64 {
        self.bodies.iter().map(|body| body.len() as u64).sum()
    }
}

/// `spans` spans, the large trace's among them.
pub(super) fn generate(spans: usize) -> Input {
    let mut shop = Shop::new(11);
    let end_ns = now_ns();
    let begin_ns = end_ns - PERIOD.as_nanos() as u64;
    let large_spans = LARGE_SPANS.min(spans / 2);
    let large = shop.trace(large_spans, begin_ns, PERIOD.as_nanos() as u64 / 2);
    let mut input = Input {
        bodies: Vec::new(),
        spans: 0,
        by_service: [0; SERVICES.len()],
        failed: 0,
        traces: Vec::new(),
        large: (hex(&large[0].span.trace_id), large.len() as u64),
        begin_ns,
        end_ns,
    };
    let mut senders = Senders::default();
    let mut large = large.into_iter().peekable();
    let (mut number, mut made) = (0, 0);
    while made < spans - large_spans || large.peek().is_some() {
        let left = spans - large_spans - made;
        let length_ns = 10_f64.powf(shop.random().random_range(6.3..9.6)) as u64;
        // Traces start one after the other, as far as there are spans.
        let start_ns = begin_ns + (end_ns - begin_ns) / spans as u64 * made as u64;
        let size = shop.random().random_range(5..=35).min(left);
        if size > 0 {
            let trace = shop.trace(size, start_ns, length_ns);
            if number % SAMPLE_EVERY == 0 {
                let id = hex(&trace[0].span.trace_id);
                input.traces.push((id, trace.len() as u64));
            }
            made += size;
            number += 1;
            trace
                .into_iter()
                .for_each(|call| senders.add(call, &mut shop, &mut input));
        }
        for call in large.by_ref().take(LARGE_STEP) {
            senders.add(call, &mut shop, &mut input);
        }
    }
    senders.flush(&mut input);
    assert_eq!(input.spans, spans as u64);
    input
}

/// What each process of a service has not sent yet.
#[derive(Default)]
struct Senders(HashMap<(usize, usize), Vec<Call>>);

impl Senders {
    fn add(&mut self, call: Call, shop: &mut Shop, input: &mut Input) {
        let instance = shop.random().random_range(0..INSTANCES);
        let key = (call.service, instance);
        let calls = self.0.entry(key).or_default();
        calls.push(call);
        if calls.len() == REQUEST_SPANS {
            send(key, std::mem::take(calls), input);
        }
    }

    fn flush(self, input: &mut Input) {
        for (key, calls) in self.0 {
            send(key, calls, input);
        }
    }
}

fn send((service, instance): (usize, usize), calls: Vec<Call>, input: &mut Input) {
    input.spans += calls.len() as u64;
    input.by_service[service] += calls.len() as u64;
    input.failed += calls.iter().filter(|call| call.has_failed()).count() as u64;
    let request = ExportTraceServiceRequest {
        resource_spans: vec![shop::resource_spans(service, instance, calls)],
    };
    input.bodies.push(request.encode_to_vec().into());
}

pub(super) fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_nanos() as u64
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
