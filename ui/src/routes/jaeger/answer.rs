//! The envelope that all of Jaeger's answers come in, failures included.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{Turn, send};
use crate::error::ApiError;

/// `limit` and `offset` are always 0, as Jaeger leaves them; `total` counts names only.
#[derive(Serialize)]
pub(super) struct Answer<T> {
    data: Option<T>,
    total: usize,
    limit: usize,
    offset: usize,
    /// `null` when there are none.
    errors: Option<Vec<Problem>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    msg: String,
    #[serde(rename = "traceID", skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

impl Problem {
    /// Of the whole answer, which still has data.
    pub(super) fn of_answer(msg: impl Into<String>) -> Problem {
        Problem {
            code: None,
            msg: msg.into(),
            trace_id: None,
        }
    }

    /// Of one trace, in an answer that has others.
    pub(super) fn of_trace(msg: impl Into<String>, trace_id: String) -> Problem {
        Problem {
            code: None,
            msg: msg.into(),
            trace_id: Some(trace_id),
        }
    }
}

impl<T: Serialize + Send + 'static> Answer<T> {
    pub(super) fn new(data: T, total: usize) -> Answer<T> {
        Answer {
            data: Some(data),
            total,
            limit: 0,
            offset: 0,
            errors: None,
        }
    }

    pub(super) fn with_problems(self, problems: Vec<Problem>) -> Answer<T> {
        let errors = (!problems.is_empty()).then_some(problems);
        Answer { errors, ..self }
    }

    pub(super) async fn written(self) -> Result<Response, Failure> {
        let body = self.into_json().await?;
        Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
    }

    /// For answers with whole traces. They are large, and in memory until the last of it is sent, the client is gone
    /// or does not read: then only is it another's turn.
    pub(super) async fn written_in(self, turn: Turn) -> Result<Response, Failure> {
        let answer = self.into_json().await?;
        let headers = [
            (header::CONTENT_TYPE, "application/json".to_owned()),
            (header::CONTENT_LENGTH, answer.len().to_string()),
        ];
        let body = send::body(answer, turn.permit, turn.patience);
        Ok((headers, body).into_response())
    }

    /// Writing tens of MiB takes tenths of a second, which other requests would wait for.
    async fn into_json(self) -> Result<Vec<u8>, Failure> {
        let written = tokio::task::spawn_blocking(move || serde_json::to_vec(&self)).await;
        match written {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) => Err(Failure::broken(&error)),
            Err(error) => Err(Failure::broken(&error)),
        }
    }
}

/// A request that gets no data. The code is in the body too, where Jaeger's page looks for it.
#[derive(Debug)]
pub(in crate::routes) struct Failure {
    status: StatusCode,
    msg: String,
}

impl Failure {
    pub(super) fn bad(msg: impl Into<String>) -> Failure {
        Failure {
            status: StatusCode::BAD_REQUEST,
            msg: msg.into(),
        }
    }

    /// Jaeger's own words: tools look for them.
    pub(super) fn trace_not_found() -> Failure {
        Failure {
            status: StatusCode::NOT_FOUND,
            msg: "trace not found".to_owned(),
        }
    }

    pub(super) fn broken(error: &dyn std::error::Error) -> Failure {
        Failure {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            msg: format!("the answer could not be written: {error}"),
        }
    }

    #[cfg(test)]
    pub(super) fn msg(&self) -> &str {
        &self.msg
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure {
            status: error.status(),
            msg: error.to_string(),
        }
    }
}

impl From<logboom_indexer::RemoteError> for Failure {
    fn from(error: logboom_indexer::RemoteError) -> Failure {
        ApiError::from(error).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Failure { status, msg } = self;
        if status.is_server_error() {
            tracing::warn!(error = %msg, "request in jaeger's form failed");
        }
        let problem = Problem {
            code: Some(status.as_u16()),
            msg,
            trace_id: None,
        };
        let answer = Answer::<()> {
            data: None,
            total: 0,
            limit: 0,
            offset: 0,
            errors: Some(vec![problem]),
        };
        (status, Json(answer)).into_response()
    }
}
