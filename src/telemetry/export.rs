//! What leaves the process: spans and metrics by OTLP.
//!
//! The subscriber is installed before anything else, and where its spans go may be known only when our own receiver has its
//! port. So exporting begins in two steps.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use metrics_opentelemetry::{OpenTelemetryMetrics, OpenTelemetryRecorder};
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, PeriodicReader, SdkMeterProvider, Stream,
};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use tracing::{info, warn};

use super::collector::Collector;
use super::limits;
use crate::config::{Target, TelemetryConfig, connectable};

/// Bounds of the buckets of whatever is measured in seconds; the SDK's own are for milliseconds.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

pub(super) struct Exports {
    config: TelemetryConfig,
    target: Target,
    resource: Resource,
    pub(super) tracers: SdkTracerProvider,
    spans: LateExporter,
    meters: Option<SdkMeterProvider>,
    /// They go to a receiver of this process, or to one that is meant as such.
    pub(super) is_own: bool,
}

impl Exports {
    /// `None` when nothing is to be exported.
    pub(super) fn prepare(config: &TelemetryConfig, role: &str) -> Option<Exports> {
        let target = config.otlp.clone()?;
        let uname = rustix::system::uname();
        let host = uname.nodename().to_string_lossy().into_owned();
        let resource = Resource::builder()
            .with_service_name("logboom")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", format!("{role}@{host}")),
                KeyValue::new("host.name", host),
            ])
            .build();
        let spans = LateExporter::default();
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(limits::SPANS_WAITING_MAX)
            .with_max_export_batch_size(limits::SPANS_SENT_MAX)
            .with_scheduled_delay(limits::SPANS_DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(spans.clone())
            .with_batch_config(batches)
            .build();
        let tracers = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            // What is traced is the agent's choice.
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .with_span_processor(processor)
            .build();
        Some(Exports {
            is_own: target == Target::Own,
            config: config.clone(),
            target,
            resource,
            tracers,
            spans,
            meters: None,
        })
    }

    /// Begins to send. See [`super::Telemetry::connect`].
    pub(super) fn connect(
        &mut self,
        here: Option<SocketAddr>,
        elsewhere: Option<SocketAddr>,
    ) -> anyhow::Result<Option<OpenTelemetryRecorder>> {
        let url = match (&self.target, here.or(elsewhere).map(connectable)) {
            // An address is ours only if we listen there: on another host the same may be a collector's.
            (Target::At(url), _) => {
                self.is_own = here.is_some_and(|here| is_at(url, connectable(here)));
                url.clone()
            }
            (Target::Own, Some(own)) => format!("http://{own}"),
            (Target::Own, None) => {
                warn!(
                    "`telemetry.otlp: self`: no OTLP receiver over HTTP is known here (`receive.otlp.http`), so own telemetry goes nowhere"
                );
                return Ok(None);
            }
        };
        let collector = Collector::new(&url, self.is_own)
            .with_context(|| format!("`telemetry.otlp`: cannot make a client for `{url}`"))?;
        let collector = Arc::new(collector);
        let mut spans = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{url}/v1/traces"))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(limits::REQUEST_TIMEOUT)
            .with_headers(self.headers())
            .with_shared_http_client(Arc::clone(&collector) as _)
            .build()
            .with_context(|| format!("`telemetry.otlp`: cannot send spans to `{url}`"))?;
        spans.set_resource(&self.resource);
        self.spans.begin(spans);
        if self.is_own {
            info!(
                collector = url,
                "own traces are sent to our own receiver, and metrics are not: it keeps none"
            );
            return Ok(None);
        }
        info!(collector = url, "own traces and metrics are sent");
        let metrics = opentelemetry_otlp::MetricExporter::builder()
            .with_http()
            .with_endpoint(format!("{url}/v1/metrics"))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(limits::REQUEST_TIMEOUT)
            .with_headers(self.headers())
            .with_shared_http_client(collector)
            .build()
            .with_context(|| format!("`telemetry.otlp`: cannot send metrics to `{url}`"))?;
        let reader = PeriodicReader::builder(metrics)
            .with_interval(limits::METRICS_INTERVAL)
            .build();
        let meters = SdkMeterProvider::builder()
            .with_resource(self.resource.clone())
            .with_reader(reader)
            .with_view(buckets)
            .build();
        let meter = meters.meter("logboom");
        self.meters = Some(meters);
        Ok(Some(OpenTelemetryRecorder::new(OpenTelemetryMetrics::new(
            meter,
        ))))
    }

    fn headers(&self) -> HashMap<String, String> {
        let token = self.config.token.iter();
        token
            .map(|token| ("authorization".to_owned(), format!("Bearer {token}")))
            .collect()
    }

    /// Sends what is left; gives up after a moment.
    pub(super) async fn finish(self) {
        let (sent, done) = tokio::sync::oneshot::channel();
        // The SDK blocks, and for longer than a stop may: its thread is left behind then, for the process ends.
        std::thread::spawn(move || {
            let spans = self.tracers.shutdown_with_timeout(limits::STOP_WAIT);
            let metrics = self.meters.map_or(Ok(()), |meters| meters.shutdown());
            // Nobody listens any more when it took too long.
            let _gave_up = sent.send(spans.and(metrics));
        });
        match tokio::time::timeout(limits::STOP_WAIT, done).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => warn!(%error, "the last of our own telemetry was not sent"),
            Ok(Err(_)) | Err(_) => warn!(
                waited = ?limits::STOP_WAIT,
                "the last of our own telemetry was not sent in time"
            ),
        }
    }
}

/// Whether a URL is the address of our own receiver.
fn is_at(url: &str, own: SocketAddr) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_host = host.parse() == Ok(own.ip()) || (host == "localhost" && own.ip().is_loopback());
    is_host && url.port_or_known_default() == Some(own.port())
}

fn buckets(instrument: &Instrument) -> Option<Stream> {
    let boundaries = instrument
        .name()
        .ends_with("_seconds")
        .then(|| SECONDS.to_vec())?;
    Stream::builder()
        .with_aggregation(Aggregation::ExplicitBucketHistogram {
            boundaries,
            record_min_max: false,
        })
        .build()
        .ok()
}

/// Exports once it is known where to.
#[derive(Debug, Clone, Default)]
struct LateExporter(Arc<OnceLock<opentelemetry_otlp::SpanExporter>>);

impl LateExporter {
    fn begin(&self, exporter: opentelemetry_otlp::SpanExporter) {
        // A second call would change nothing, and there is none.
        let _begun = self.0.set(exporter);
    }
}

impl SpanExporter for LateExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        match self.0.get() {
            Some(exporter) => exporter.export(batch).await,
            None => Ok(()),
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match self.0.get() {
            Some(exporter) => exporter.shutdown_with_timeout(timeout),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_receiver_is_known_by_its_address() {
        let own = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(is_at("http://127.0.0.1:4318", own("127.0.0.1:4318")));
        assert!(is_at("http://localhost:4318", own("127.0.0.1:4318")));
        assert!(is_at("http://[::1]:4318", own("[::1]:4318")));
        assert!(!is_at("http://127.0.0.1:4319", own("127.0.0.1:4318")));
        assert!(!is_at("http://collector:4318", own("127.0.0.1:4318")));
    }
}
