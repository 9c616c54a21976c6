//! A record: what the queue holds of one line, and where an agent says that it came from.

use std::sync::Arc;

use bytes::Bytes;

use crate::{format::Format, source::SourceId};

/// One record of the queue, as a consumer hands it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// When the agent read the line: the arrival of the event.
    pub timestamp_ms: i64,
    pub encoding: Encoding,
    pub key: Option<Bytes>,
    /// The raw line without its terminator, or what `encoding` says.
    pub value: Bytes,
    /// Present when the record came through an agents' topic.
    pub origin: Option<Origin>,
    /// All headers that are not the origin's, in their order.
    pub headers: Vec<(String, Bytes)>,
}

impl Record {
    /// Bytes of what its sender chose: value, key and headers. What an agent says of a line's origin is bounded by
    /// its reader.
    pub fn bytes(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        self.value.len() + self.key.as_ref().map_or(0, Bytes::len) + headers
    }
}

/// How a record's value is to be read. The topic's, not the record's own: whoever configures a consumer says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// One raw line, of whatever format.
    #[default]
    Line,
    /// An OTLP `ExportLogsServiceRequest` in protobuf, or in JSON.
    OtlpLogs,
    /// An OTLP `ExportTraceServiceRequest` in protobuf, or in JSON.
    OtlpSpans,
}

/// Which bytes of which source a record covers: [prev, end).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub source: SourceId,
    /// End of the last record shipped before this one, so that filtered lines leave no gap.
    pub prev: u64,
    /// Where the line itself starts.
    pub offset: u64,
    /// Where the next line starts.
    pub end: u64,
    /// The line is the rest of one whose beginning had to be shipped on its own.
    pub continues: bool,
    /// Length of the line in the file, when only its beginning was shipped.
    pub true_len: Option<u64>,
    pub context: Arc<Context>,
}

/// What is the same for all lines of a source. Shared: a consumer sees the same few over and over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Context {
    pub host: String,
    pub path: String,
    pub service: Option<String>,
    pub format: Format,
    /// IANA name of the zone that times without a zone are read in.
    pub timezone: Option<String>,
}

impl Context {
    /// That of a file for which nothing is configured: no service, [`Format::Auto`], no zone. Set a field for more:
    /// `Context { service, ..Context::new(host, path) }`.
    pub fn new(host: impl Into<String>, path: impl Into<String>) -> Context {
        Context {
            host: host.into(),
            path: path.into(),
            service: None,
            format: Format::Auto,
            timezone: None,
        }
    }
}
