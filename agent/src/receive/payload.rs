//! A body with what its headers say about it, and the way from there to a request.

use std::fmt;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use logboom_event::otlp::{Request, Signal};

use super::compression::Compression;
use super::points;
use super::refusal::Refusal;

/// What a request says it carries: its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Logs,
    Traces,
    /// Understood only as far as to say how much of it is not taken.
    Metrics,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Protobuf,
    Json,
}

/// A whole body as it came.
#[derive(Debug, Clone)]
pub struct Payload {
    pub kind: Kind,
    pub format: Format,
    pub compression: Compression,
    pub bytes: Bytes,
}

/// What was in it.
#[derive(Debug)]
pub enum Opened {
    Request(Request),
    /// Metrics: how many data points.
    Points(u64),
}

impl Payload {
    /// Unpacks and checks. `grow` is told of bytes before they are allocated; it may refuse.
    pub fn open(
        self,
        unpacked_bytes_max: usize,
        mut grow: impl FnMut(usize) -> Result<(), Refusal>,
    ) -> Result<Opened, Refusal> {
        let bytes = match self.compression {
            Compression::Identity => self.bytes,
            packed => packed
                .unpack(&self.bytes, unpacked_bytes_max, &mut grow)?
                .into(),
        };
        let signal = match self.kind {
            Kind::Logs => Signal::Logs,
            Kind::Traces => Signal::Spans,
            Kind::Metrics => return points::count(self.format, &bytes).map(Opened::Points),
        };
        let request = match self.format {
            Format::Protobuf => Request::from_protobuf(signal, bytes)?,
            Format::Json => {
                // Protobuf beside the text that it is read from; nearly always it is the shorter one.
                grow(bytes.len())?;
                Request::from_json(signal, &bytes)?
            }
        };
        Ok(Opened::Request(request))
    }
}

impl Kind {
    pub(crate) const ALL: [Kind; 3] = [Kind::Logs, Kind::Traces, Kind::Metrics];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Logs => "logs",
            Kind::Traces => "traces",
            Kind::Metrics => "metrics",
        }
    }

    /// Path of OTLP/HTTP.
    pub(crate) fn http_path(self) -> &'static str {
        match self {
            Kind::Logs => "/v1/logs",
            Kind::Traces => "/v1/traces",
            Kind::Metrics => "/v1/metrics",
        }
    }

    /// Path of OTLP/gRPC.
    pub(crate) fn grpc_path(self) -> &'static str {
        match self {
            Kind::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Kind::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Kind::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}

impl Format {
    /// Of `content-type`, over HTTP.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Format, Refusal> {
        let found = headers.get(header::CONTENT_TYPE);
        let found = found.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let name = found.as_deref().unwrap_or_default();
        let name = name.split(';').next().unwrap_or_default().trim();
        if name.eq_ignore_ascii_case("application/x-protobuf")
            || name.eq_ignore_ascii_case("application/protobuf")
        {
            Ok(Format::Protobuf)
        } else if name.eq_ignore_ascii_case("application/json") {
            Ok(Format::Json)
        } else {
            Err(Refusal::MediaType {
                found: name.chars().take(100).collect(),
                allowed: "application/x-protobuf or application/json",
            })
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Protobuf => "application/x-protobuf",
            Format::Json => "application/json",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Format::Protobuf => "protobuf",
            Format::Json => "JSON",
        })
    }
}
