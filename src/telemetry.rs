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
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
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
        subscriber(&config.log, exports.as_ref(), colour, std::io::stderr).init();
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

/// One filter stands before all layers, rather than one in each: a record of the `log` crate that those in layers refuse
/// leaves their verdict behind, by which the next event of the thread is lost (tokio-rs/tracing#2519).
fn subscriber<W>(
    config: &LogConfig,
    exports: Option<&Exports>,
    colour: bool,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Validated by the configuration, so the fallback is never taken in practice.
    let mut filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let mut layers = vec![lines(config.format, colour, writer)];
    if let Some(exports) = exports {
        let batches = filter_fn(|metadata| metadata.target() == TARGET);
        let spans = tracing_opentelemetry::layer()
            .with_tracer(exports.tracers.tracer("logboom"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(batches.with_max_level_hint(LevelFilter::INFO));
        layers.push(spans.boxed());
        let batches = format!("{TARGET}=info");
        filter = filter.add_directive(batches.parse().expect("a target and a level"));
    }
    tracing_subscriber::registry().with(layers).with(filter)
}

fn lines<W>(format: LogFormat, colour: bool, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        // Where stderr is a file on a full disk, the library would report that with `eprintln!`,
        // which panics there: a lost log line must not stop the pipeline.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => lines.with_ansi(colour).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_record_of_the_log_crate_that_is_filtered_takes_no_event_with_it() {
        let config = LogConfig {
            filter: "info,rdkafka=error".to_owned(),
            format: LogFormat::Text,
        };
        let written = Written::default();
        let writer = written.clone();
        let guard = subscriber(&config, None, false, move || writer.clone()).set_default();
        for number in 0..3 {
            log::info!(target: "rdkafka::client", "noise");
            tracing::info!(number, "heard");
        }
        log::error!(target: "rdkafka::client", "trouble");
        drop(guard);
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written.matches("heard").count(), 3, "{written}");
        assert!(
            written.contains("trouble") && !written.contains("noise"),
            "{written}"
        );
    }
}
