//! What the agent tells about itself: one JSON record every two seconds in the status topic.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::sink::Sink;
use crate::tail::Tailer;
use crate::{limits, metrics};

/// The value of a status record; its key is `id`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    pub(crate) id: String,
    host: String,
    version: &'static str,
    /// Milliseconds since the epoch.
    started: u64,
    time: u64,
    /// The most recently active first.
    files: Vec<FileStatus>,
    files_total: usize,
    backlog_bytes: u64,
    lines_total: u64,
    bytes_total: u64,
    errors: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
struct FileStatus {
    path: String,
    source: String,
    size: u64,
    acked: u64,
    backlog: u64,
    open: bool,
}

impl<S: Sink> Tailer<S> {
    pub(crate) fn status(&self, started_ms: u64, now_ms: u64) -> Status {
        let mut sources: Vec<_> = self
            .sources
            .values()
            .filter(|source| source.is_bound())
            .collect();
        let backlog = |size: u64, acked: u64| size.saturating_sub(acked);
        let backlog_bytes = sources
            .iter()
            .map(|source| backlog(source.size, source.saved.acked))
            .sum();
        ::metrics::gauge!(metrics::BACKLOG_BYTES).set(backlog_bytes as f64);
        ::metrics::gauge!(metrics::SOURCES).set(sources.len() as f64);
        let files_total = sources.len();
        sources.sort_unstable_by_key(|source| {
            (std::cmp::Reverse(source.changed_ms), source.saved.id.0)
        });
        let files = sources
            .into_iter()
            .take(limits::STATUS_FILES_MAX)
            .map(|source| FileStatus {
                path: source.saved.path.display().to_string(),
                source: source.saved.id.to_string(),
                size: source.size,
                acked: source.saved.acked,
                backlog: backlog(source.size, source.saved.acked),
                open: source.content.is_some(),
            })
            .collect();
        Status {
            id: logboom_client::SourceId(self.checkpoints.agent_id).to_string(),
            host: self.host.clone(),
            version: env!("CARGO_PKG_VERSION"),
            started: started_ms,
            time: now_ms,
            files,
            files_total,
            backlog_bytes,
            lines_total: self.lines_total,
            bytes_total: self.bytes_total,
            errors: self.errors.iter().cloned().collect(),
        }
    }
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_millis() as u64)
}
