//! A shop of a few services as OpenTelemetry's SDKs instrument it: what the spans of the benchmark are.
//!
//! Calls nest: a server's span has clients' spans below it, and each of those the span of the server it called, in
//! another service. Attributes follow the semantic conventions; ids are random, as SDKs make them.

mod call;

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

pub(super) const SERVICES: [&str; 8] = [
    "frontend",
    "cart",
    "checkout",
    "payment",
    "catalog",
    "shipping",
    "email",
    "inventory",
];
/// The libraries that make spans, as their scopes are called.
const SCOPES: [&str; 4] = [
    "@opentelemetry/instrumentation-http",
    "@opentelemetry/instrumentation-pg",
    "@opentelemetry/instrumentation-kafkajs",
    "shop",
];
const HTTP: usize = 0;
const DATABASE: usize = 1;
const MESSAGING: usize = 2;
const OWN: usize = 3;

/// A span and who made it.
pub(super) struct Call {
    /// Index in [`SERVICES`].
    pub(super) service: usize,
    /// Index in [`SCOPES`].
    scope: usize,
    pub(super) span: Span,
}

impl Call {
    pub(super) fn has_failed(&self) -> bool {
        self.span.status.is_some()
    }
}

pub(super) struct Shop {
    random: SmallRng,
}

impl Shop {
    pub(super) fn new(seed: u64) -> Shop {
        Shop {
            random: SmallRng::seed_from_u64(seed),
        }
    }

    pub(super) fn random(&mut self) -> &mut SmallRng {
        &mut self.random
    }

    /// A trace of so many spans, parents first, that lies within `length_ns` of its start.
    pub(super) fn trace(&mut self, spans: usize, start_ns: u64, length_ns: u64) -> Vec<Call> {
        let trace_id = self.random.random::<u128>().to_be_bytes();
        let mut root = self.server(0);
        root.span.start_time_unix_nano = start_ns;
        root.span.end_time_unix_nano = start_ns + length_ns;
        let mut calls = vec![root];
        // Spans that may get a child.
        let mut open = vec![0];
        while calls.len() < spans {
            // Work goes on where it is, or somewhere else in the trace.
            let place = match self.random.random_bool(0.5) {
                true => open.len() - 1,
                false => self.random.random_range(0..open.len()),
            };
            let parent = open[place];
            let mut call = match SpanKind::try_from(calls[parent].span.kind) {
                Ok(SpanKind::Client) => {
                    open.swap_remove(place);
                    let service = self.random.random_range(1..SERVICES.len());
                    self.server(service)
                }
                _ => self.below(calls[parent].service),
            };
            let within = &calls[parent].span;
            let left_ns = within.end_time_unix_nano - within.start_time_unix_nano;
            let start_ns = within.start_time_unix_nano + self.random.random_range(0..=left_ns / 4);
            let share = self.random.random_range(0.05..0.75);
            call.span.parent_span_id = within.span_id.clone();
            call.span.start_time_unix_nano = start_ns;
            call.span.end_time_unix_nano = start_ns + (left_ns as f64 * share) as u64;
            let is_open = call.scope == OWN || call.scope == HTTP;
            if is_open {
                open.push(calls.len());
            }
            calls.push(call);
        }
        for call in &mut calls {
            call.span.trace_id = trace_id.to_vec();
        }
        calls
    }

    fn below(&mut self, service: usize) -> Call {
        match self.random.random_range(0..10) {
            0..4 => self.client(service),
            4..7 => self.query(service),
            7 => self.message(service),
            _ => self.own(service),
        }
    }
}

/// What one process of a service sends at once.
pub(super) fn resource_spans(service: usize, instance: usize, calls: Vec<Call>) -> ResourceSpans {
    let mut scopes: [Vec<Span>; SCOPES.len()] = Default::default();
    for call in calls {
        scopes[call.scope].push(call.span);
    }
    let scopes = scopes.into_iter().zip(SCOPES);
    ResourceSpans {
        resource: Some(Resource {
            attributes: vec![
                text("service.name", SERVICES[service]),
                text("service.version", "4.12.0"),
                text(
                    "service.instance.id",
                    &format!("{}-{instance}", SERVICES[service]),
                ),
                text("host.name", &format!("node-{}", (service + instance) % 5)),
                text("k8s.namespace.name", "shop"),
                text(
                    "k8s.pod.name",
                    &format!("{}-6f7c9d-{instance:04x}", SERVICES[service]),
                ),
                text("telemetry.sdk.name", "opentelemetry"),
                text("telemetry.sdk.language", "nodejs"),
                text("telemetry.sdk.version", "2.2.0"),
                number("process.pid", 1 + instance as i64),
            ],
            ..Resource::default()
        }),
        scope_spans: scopes
            .filter(|(spans, _)| !spans.is_empty())
            .map(|(spans, name)| ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: name.to_owned(),
                    version: "0.208.0".to_owned(),
                    ..InstrumentationScope::default()
                }),
                spans,
                ..ScopeSpans::default()
            })
            .collect(),
        ..ResourceSpans::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

pub(super) fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
