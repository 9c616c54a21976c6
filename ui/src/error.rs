//! Errors: why `run` ended, and what a request is told.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use logboom_indexer::RemoteError;
use serde_json::json;

use crate::time::TimeError;

/// Why the ui part ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot serve HTTP on `{address}`")]
    Serve {
        address: String,
        source: std::io::Error,
    },
    #[error("cannot tell the listener's address")]
    Address(#[source] std::io::Error),
}

/// What a request is told. The body is `{"error":{"message","from","to"}}`; `from` and `to` are
/// byte offsets into `q` and there only when the query text is at fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{message}")]
    Query {
        message: String,
        from: usize,
        to: usize,
    },
    #[error("`{name}`: {source}")]
    Time {
        name: &'static str,
        source: TimeError,
    },
    #[error("`from` is not before `to`")]
    EmptyRange,
    #[error("`{name}` is `{value}`; it can be {allowed}")]
    Parameter {
        name: &'static str,
        value: String,
        allowed: String,
    },
    #[error("{0}")]
    Parameters(String),
    #[error("nothing is at `{0}`; the API is listed at `/api/openapi.json`")]
    NotFound(String),
    #[error(
        "no span of trace `{0}` is in the index; it may be on its way, or older than what is kept"
    )]
    NoTrace(String),
    #[error("trace `{trace}` has no span `{span}` in the index")]
    NoSpan { trace: String, span: String },
    #[error(
        "this process has no alerting: set `ui.alerting_data` to the directory of a `logboom alerting`"
    )]
    NoAlerting,
    #[error("{0} live tails are open, which is the limit; close one")]
    TooManyTails(usize),
    #[error("{0}")]
    Busy(String),
    #[error("{0}")]
    Indexer(String),
    #[error("cannot read the alerts: {0}")]
    Alerting(String),
    #[error(
        "refused for the host name `{0}`: open this server by its address, or set `ui.external_url` to its name"
    )]
    ForeignHost(String),
}

impl ApiError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            ApiError::Query { .. }
            | ApiError::Time { .. }
            | ApiError::EmptyRange
            | ApiError::Parameter { .. }
            | ApiError::Parameters(_) => StatusCode::BAD_REQUEST,
            ApiError::NotFound(_)
            | ApiError::NoTrace(_)
            | ApiError::NoSpan { .. }
            | ApiError::NoAlerting => StatusCode::NOT_FOUND,
            ApiError::TooManyTails(_) | ApiError::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::Indexer(_) => StatusCode::BAD_GATEWAY,
            ApiError::Alerting(_) => StatusCode::INTERNAL_SERVER_ERROR,
            ApiError::ForeignHost(_) => StatusCode::MISDIRECTED_REQUEST,
        }
    }

    pub(crate) fn body(&self) -> serde_json::Value {
        match self {
            ApiError::Query { message, from, to } => {
                json!({"error": {"message": message, "from": from, "to": to}})
            }
            other => json!({"error": {"message": other.to_string()}}),
        }
    }
}

/// What the indexer's refusal means for the one who asked.
impl From<RemoteError> for ApiError {
    fn from(error: RemoteError) -> ApiError {
        match error {
            RemoteError::Query { message, from, to } => ApiError::Query { message, from, to },
            RemoteError::Request { message } => ApiError::Parameters(message),
            RemoteError::Busy { message } => ApiError::Busy(message),
            other => ApiError::Indexer(other.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status().is_server_error() {
            tracing::warn!(error = %self, "request failed");
        }
        (self.status(), Json(self.body())).into_response()
    }
}
