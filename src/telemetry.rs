//! logboom's own log lines: to stderr, as text or JSON.

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Installs the process-wide subscriber.
pub(crate) fn install_log(config: &LogConfig, colour: bool) {
    // Validated by the configuration, so the fallback is never taken in practice.
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        // Where stderr is a file on a full disk, the library would report that with `eprintln!`,
        // which panics there: a lost log line must not stop the pipeline.
        .log_internal_errors(false)
        .with_env_filter(filter);
    match config.format {
        LogFormat::Text => builder.with_ansi(colour).with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
