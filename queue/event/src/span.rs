//! A span: one timed operation of a trace, modelled on OpenTelemetry's.
//!
//! The lines written during a span are found by its trace id, which they share. Numbers
//! of kinds and status codes are the protocol's.

use serde_json::{Map, Value};

/// What a span has beside what every [`Event`](crate::Event) has. The event's time is the span's start, its
/// message the operation's name; trace and span id, service, host and attributes are the event's.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// `None` for the root of its trace.
    pub parent_span_id: Option<[u8; 8]>,
    /// W3C `tracestate`, as it came.
    pub trace_state: Option<String>,
    pub kind: SpanKind,
    pub duration_ns: u64,
    pub events: Vec<SpanEvent>,
    pub links: Vec<SpanLink>,
    pub status: SpanStatus,
}

/// Something that happened at one moment of a span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanEvent {
    pub time_ns: i64,
    pub name: String,
    pub attributes: Map<String, Value>,
}

/// A span, often of another trace, that this one has to do with.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanLink {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub attributes: Map<String, Value>,
}

/// The side of a call that a span saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

/// How the operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanStatus {
    Unset,
    Ok,
    Error { message: String },
}

impl Span {
    /// How long an operation took. Clocks step back: one that ends before its start took no time.
    pub fn duration(start_ns: i64, end_ns: i64) -> u64 {
        u64::try_from(end_ns.saturating_sub(start_ns)).unwrap_or(0)
    }
}

impl SpanKind {
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The kind of a protocol number. 0 and numbers from the future are internal, as the protocol asks.
    pub fn from_number(number: i32) -> SpanKind {
        match number {
            2 => SpanKind::Server,
            3 => SpanKind::Client,
            4 => SpanKind::Producer,
            5 => SpanKind::Consumer,
            _ => SpanKind::Internal,
        }
    }
}

impl SpanStatus {
    pub fn code(&self) -> u8 {
        match self {
            SpanStatus::Unset => 0,
            SpanStatus::Ok => 1,
            SpanStatus::Error { .. } => 2,
        }
    }

    /// The status of a protocol code; a message belongs to errors only.
    pub fn from_code(code: i32, message: &str) -> SpanStatus {
        match code {
            1 => SpanStatus::Ok,
            2 => SpanStatus::Error {
                message: message.to_owned(),
            },
            _ => SpanStatus::Unset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_codes_survive_their_numbers() {
        for number in 1..=5 {
            assert_eq!(i32::from(SpanKind::from_number(number).number()), number);
        }
        assert_eq!(SpanKind::from_number(99), SpanKind::Internal);
        for code in 0..=2 {
            assert_eq!(i32::from(SpanStatus::from_code(code, "late").code()), code);
        }
    }

    #[test]
    fn a_span_that_ends_before_its_start_took_no_time() {
        assert_eq!(Span::duration(i64::MIN, i64::MAX), i64::MAX as u64);
        assert_eq!(Span::duration(7, 3), 0);
    }
}
