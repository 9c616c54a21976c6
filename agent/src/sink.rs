//! The seam between the tailer and the queue: the producer behind it, or memory in tests.

use std::sync::Arc;

use logboom_client::{Context, Origin, SourceId};
use tracing::Span;

/// What is the same for all records of a source.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) id: SourceId,
    pub(crate) partition: i32,
    pub(crate) context: Arc<Context>,
    /// The headers that do not change from record to record.
    pub(crate) headers: Arc<Vec<(&'static str, Vec<u8>)>>,
}

impl Home {
    pub(crate) fn new(id: SourceId, partition: i32, context: Arc<Context>) -> Home {
        let origin = Origin {
            source: id,
            prev: 0,
            offset: 0,
            end: 0,
            continues: false,
            true_len: None,
            context: Arc::clone(&context),
        };
        let mut headers = origin.to_headers();
        headers.retain(|(name, _)| !matches!(*name, "lb.prev" | "lb.off" | "lb.end"));
        Home {
            id,
            partition,
            context,
            headers: Arc::new(headers),
        }
    }
}

/// One record on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) prev: u64,
    pub(crate) offset: u64,
    pub(crate) end: u64,
    pub(crate) value: &'a [u8],
    pub(crate) continues: bool,
    pub(crate) true_len: Option<u64>,
}

/// What became of a run of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) run: u64,
    /// All its records are in the queue, durably. If not, any part of them may be.
    pub(crate) acked: bool,
}

/// Takes records.
pub(crate) trait Sink {
    /// Takes over a run of records of one source, perhaps after waiting for room. Records of one
    /// partition arrive in the order of these calls, unless a report says that a run failed.
    /// `batch` is the run's span, if it is traced.
    fn send(&mut self, run: u64, home: &Home, records: &[Outgoing<'_>], batch: &Span);

    /// What became known since the last call; each run is reported once.
    fn reports(&mut self) -> Vec<Report>;
}
