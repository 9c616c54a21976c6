//! OpenTelemetry's protocol: export requests of logs and spans, in protobuf and in JSON.
//!
//! A request stays protobuf bytes from the socket to the stored document. It is checked and indexed once
//! ([`Request`]); cutting it into requests of one item, or of as many as fit a record, copies slices. So an
//! element costs a stranger as many bytes as it costs us, and fields that this version does not know
//! survive. Text that is not UTF-8 is let through and read with U+FFFD, as a line's is: one bad byte of one
//! span must not cost the thousand others of its batch.
//!
//! Deliberately unknown here: gRPC, HTTP, compression, topics and what becomes of an item too large.

mod attributes;
mod check;
mod id;
mod item;
mod json;
mod pack;
mod request;
mod schema;
mod share;
mod wire;

pub use id::IdFault;
pub use pack::{Packed, pack};
pub use request::{Item, Request};
pub use wire::WireError;

pub(crate) use item::{Resource, Scope};
pub(crate) use request::alone;
pub(crate) use share::{cut_resource, cut_scope};

use crate::{
    limits::{OTLP_ITEMS_MAX, OTLP_REQUEST_BYTES_MAX},
    record::Encoding,
};

/// What a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    Logs,
    Spans,
}

/// A request that cannot be taken, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    #[error("the body is not an OTLP request in protobuf: in `{message}`, {error}")]
    Protobuf {
        message: &'static str,
        error: WireError,
    },
    #[error("the body is not an OTLP request in JSON: {reason}")]
    Json { reason: String },
    #[error("the request has more than {max} items: send smaller batches", max = OTLP_ITEMS_MAX)]
    TooManyItems,
    #[error("the request has {bytes} bytes, at most {max} are allowed: send smaller batches", max = OTLP_REQUEST_BYTES_MAX)]
    TooLarge { bytes: usize },
}

impl Signal {
    /// The encoding of the records that hold requests of this signal.
    pub fn encoding(self) -> Encoding {
        match self {
            Signal::Logs => Encoding::OtlpLogs,
            Signal::Spans => Encoding::OtlpSpans,
        }
    }

    pub(crate) fn of(encoding: Encoding) -> Option<Signal> {
        match encoding {
            Encoding::Line => None,
            Encoding::OtlpLogs => Some(Signal::Logs),
            Encoding::OtlpSpans => Some(Signal::Spans),
        }
    }

    /// As OTLP's paths and senders' settings call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Logs => "logs",
            Signal::Spans => "traces",
        }
    }

    /// The field of an item that holds its attributes.
    fn attributes(self) -> u32 {
        match self {
            Signal::Logs => 6,
            Signal::Spans => 9,
        }
    }

    fn message(self) -> &'static schema::Message {
        match self {
            Signal::Logs => &schema::LOGS_REQUEST,
            Signal::Spans => &schema::SPANS_REQUEST,
        }
    }

    fn resource_message(self) -> &'static schema::Message {
        match self {
            Signal::Logs => &schema::RESOURCE_LOGS,
            Signal::Spans => &schema::RESOURCE_SPANS,
        }
    }

    fn scope_message(self) -> &'static schema::Message {
        match self {
            Signal::Logs => &schema::SCOPE_LOGS,
            Signal::Spans => &schema::SCOPE_SPANS,
        }
    }
}
