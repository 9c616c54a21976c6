//! What logboom says of itself: log lines to stderr, and spans and metrics to a collector if `telemetry.otlp` names one.
//!
//! The spans are those of the ways of batches ([`logboom_client::trace`]) and no others. Their target is the only one that the
//! exporting layer sees: neither the HTTP client below it nor a receiver of ours that takes them makes a span, so
//! sending to ourselves does not feed on itself.

mod collector;
mod export;
mod limits;

use std::net::SocketAddr;

use logboom_client::trace::TARGET;
use metrics_opentelemetry::OpenTelemetryRecorder;
use opentelemetry::trace::TracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use self::export::Exports;
use crate::config::{Config, LogConfig, LogFormat};
use crate::supervise::Supervisor;

/// The exports of this process, if there are any.
pub(crate) struct Telemetry(Option<Exports>);

impl Telemetry {
    /// Installs the process-wide subscriber.
    pub(crate) fn install(config: &Config, role: &str, colour: bool) -> Telemetry {
        let exports = Exports::prepare(&config.telemetry, role);
        let mut layers = vec![lines(&config.log, colour)];
        if let Some(exports) = &exports {
            let batches = filter_fn(|metadata| metadata.target() == TARGET);
            let spans = tracing_opentelemetry::layer()
                .with_tracer(exports.tracers.tracer("logboom"))
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                .with_tracked_inactivity(false)
                .with_filter(batches.with_max_level_hint(LevelFilter::INFO));
            layers.push(spans.boxed());
        }
        tracing_subscriber::registry().with(layers).init();
        Telemetry(exports)
    }

    /// Begins to export. Where this process receives OTLP over HTTP itself, and where `self` means if it does not. The
    /// recorder, if there is one, is to hear of all metrics.
    pub(crate) fn connect(
        &mut self,
        here: Option<SocketAddr>,
        elsewhere: Option<SocketAddr>,
    ) -> anyhow::Result<Option<OpenTelemetryRecorder>> {
        match &mut self.0 {
            Some(exports) => exports.connect(here, elsewhere),
            None => Ok(None),
        }
    }

    /// Callers stop before what they call. A collector is called by all parts: before the first of them.
    pub(crate) fn start_before_parts(&mut self, supervisor: &mut Supervisor) {
        if self.0.as_ref().is_some_and(|exports| !exports.is_own) {
            self.start(supervisor);
        }
    }

    /// Our own receiver is called by this: after the last part.
    pub(crate) fn start_after_parts(&mut self, supervisor: &mut Supervisor) {
        self.start(supervisor);
    }

    fn start(&mut self, supervisor: &mut Supervisor) {
        let Some(exports) = self.0.take() else { return };
        supervisor.start("telemetry", |ready, stop| async move {
            ready.send_replace(true);
            stop.cancelled().await;
            exports.finish().await;
            drop(ready);
            anyhow::Ok(())
        });
    }
}

fn lines(config: &LogConfig, colour: bool) -> Box<dyn Layer<Registry> + Send + Sync> {
    // Validated by the configuration, so the fallback is never taken in practice.
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // Where stderr is a file on a full disk, the library would report that with `eprintln!`,
        // which panics there: a lost log line must not stop the pipeline.
        .log_internal_errors(false);
    match config.format {
        LogFormat::Text => {
            let lines = lines.with_ansi(colour).with_target(false);
            lines.with_filter(filter).boxed()
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            lines.with_filter(filter).boxed()
        }
    }
}
