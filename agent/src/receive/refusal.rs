//! Why a request is not taken, and how each protocol says so.
//!
//! A refusal is of the whole request. Senders obey the code: those that [`Refusal::retry_after`] gives a time for
//! are sent again, all others are dropped by the sender for ever, so they are for what can never be taken.

use std::time::Duration;

use axum::http::StatusCode;
use logboom_event::otlp::OtlpError;
use tonic::Code;

use super::compression::Compression;
use super::limits;
use super::payload::Format;
use super::store::Unstored;

/// A request that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Otlp(#[from] OtlpError),

    #[error("the body is not a request with metrics in {format}: {reason}")]
    Metrics { format: Format, reason: String },

    #[error("the body is not {compression}, or is cut short: {source}")]
    Compressed {
        compression: Compression,
        source: std::io::Error,
    },

    #[error("the body is not one gRPC message: {reason}")]
    Frame { reason: &'static str },

    #[error("the body did not arrive whole: {reason}")]
    Body { reason: String },

    #[error("a token is needed: send the header `authorization: Bearer <token>`")]
    NoToken,

    #[error("the token is not the one of this receiver")]
    WrongToken,

    #[error("nothing is at `{path}`: {known}")]
    NotFound { path: String, known: &'static str },

    #[error("`{method}` is not possible here: use POST")]
    Method { method: String },

    #[error("the body did not arrive within {} s", timeout.as_secs_f32())]
    Slow { timeout: Duration },

    #[error("the {what} has more than {max} bytes: send smaller batches")]
    TooLarge { what: &'static str, max: usize },

    #[error("content type `{found}` is not taken here: send {allowed}")]
    MediaType {
        found: String,
        allowed: &'static str,
    },

    #[error("content encoding `{found}` is not taken: send gzip, zstd or identity")]
    Encoding { found: String },

    #[error("too many {what} at once, at most {max}: try again")]
    Busy { what: &'static str, max: usize },

    #[error("not everything could be stored: {0}; send the whole request again")]
    Unstored(#[from] Unstored),
}

impl Refusal {
    pub(crate) fn http(&self) -> StatusCode {
        match self {
            Refusal::Otlp(OtlpError::TooManyItems | OtlpError::TooLarge { .. })
            | Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Otlp(_)
            | Refusal::Metrics { .. }
            | Refusal::Compressed { .. }
            | Refusal::Frame { .. } => StatusCode::BAD_REQUEST,
            Refusal::NoToken | Refusal::WrongToken => StatusCode::UNAUTHORIZED,
            Refusal::NotFound { .. } => StatusCode::NOT_FOUND,
            Refusal::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::MediaType { .. } | Refusal::Encoding { .. } => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            // Not 408, which says best what `Slow` is: over HTTP only 429, 502, 503 and 504 are sent again.
            Refusal::Slow { .. }
            | Refusal::Body { .. }
            | Refusal::Busy { .. }
            | Refusal::Unstored(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// gRPC's code; also in the body of an HTTP answer. None of those that are for ever is one that OTLP
    /// senders retry (RESOURCE_EXHAUSTED only with a time to wait, OUT_OF_RANGE always: never used).
    pub(crate) fn grpc(&self) -> Code {
        match self {
            Refusal::Otlp(OtlpError::TooManyItems | OtlpError::TooLarge { .. })
            | Refusal::TooLarge { .. } => Code::ResourceExhausted,
            Refusal::Otlp(_)
            | Refusal::Metrics { .. }
            | Refusal::Compressed { .. }
            | Refusal::Frame { .. }
            | Refusal::MediaType { .. } => Code::InvalidArgument,
            Refusal::NoToken | Refusal::WrongToken => Code::Unauthenticated,
            Refusal::NotFound { .. } | Refusal::Method { .. } | Refusal::Encoding { .. } => {
                Code::Unimplemented
            }
            Refusal::Slow { .. } => Code::DeadlineExceeded,
            Refusal::Body { .. } | Refusal::Busy { .. } | Refusal::Unstored(_) => Code::Unavailable,
        }
    }

    /// How long the sender shall wait before it sends the same again; `None` when that cannot help.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Refusal::Slow { .. } | Refusal::Body { .. } | Refusal::Busy { .. } => {
                Some(limits::RETRY_BUSY)
            }
            Refusal::Unstored(_) => Some(limits::RETRY_UNSTORED),
            _ => None,
        }
    }

    /// For the metric's label: few and fixed.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Refusal::Otlp(OtlpError::TooManyItems | OtlpError::TooLarge { .. })
            | Refusal::TooLarge { .. } => "too_large",
            Refusal::Otlp(_)
            | Refusal::Metrics { .. }
            | Refusal::Compressed { .. }
            | Refusal::Frame { .. } => "malformed",
            Refusal::NoToken | Refusal::WrongToken => "unauthenticated",
            Refusal::NotFound { .. } | Refusal::Method { .. } => "not_found",
            Refusal::Slow { .. } => "slow",
            Refusal::Body { .. } => "cut_short",
            Refusal::MediaType { .. } | Refusal::Encoding { .. } => "media_type",
            Refusal::Busy { .. } => "busy",
            Refusal::Unstored(_) => "unstored",
        }
    }
}
