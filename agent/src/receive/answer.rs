//! What is said back: export responses and errors, in protobuf and JSON.

use bytes::Bytes;
use prost::Message;
use serde_json::{Value, json};
use tonic_types::pb;

use super::intake::Taken;
use super::payload::{Format, Kind};
use super::refusal::Refusal;

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// `Export{Logs,Trace,Metrics}ServiceResponse`: the three are the same in protobuf.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub(crate) rejected: i64,
    #[prost(string, tag = "2")]
    pub(crate) error_message: String,
}

/// The body of a success.
pub(crate) fn taken(taken: &Taken, kind: Kind, format: Format) -> Bytes {
    let is_whole = taken.rejected == 0 && taken.message.is_empty();
    match format {
        Format::Protobuf => {
            let partial_success = (!is_whole).then(|| PartialSuccess {
                rejected: i64::try_from(taken.rejected).unwrap_or(i64::MAX),
                error_message: taken.message.clone(),
            });
            ExportResponse { partial_success }.encode_to_vec().into()
        }
        Format::Json if is_whole => Bytes::from_static(b"{}"),
        Format::Json => {
            let rejected = match kind {
                Kind::Logs => "rejectedLogRecords",
                Kind::Traces => "rejectedSpans",
                Kind::Metrics => "rejectedDataPoints",
            };
            // 64-bit numbers are strings in protobuf's JSON.
            json!({"partialSuccess": {
                rejected: taken.rejected.to_string(),
                "errorMessage": taken.message,
            }})
            .to_string()
            .into()
        }
    }
}

/// The body of a refusal over HTTP, a `google.rpc.Status`.
pub(crate) fn refused(refusal: &Refusal, format: Format) -> Bytes {
    let status = status(refusal);
    match format {
        Format::Protobuf => status.encode_to_vec().into(),
        Format::Json => {
            let details: Vec<Value> = refusal
                .retry_after()
                .map(|delay| json!({"@type": RETRY_INFO, "retryDelay": format!("{}s", delay.as_secs())}))
                .into_iter()
                .collect();
            json!({"code": status.code, "message": status.message, "details": details})
                .to_string()
                .into()
        }
    }
}

/// A refusal as gRPC has it; with a `RetryInfo` when sending again can help.
pub(crate) fn status(refusal: &Refusal) -> pb::Status {
    let retry = refusal.retry_after().map(|delay| prost_types::Any {
        type_url: RETRY_INFO.to_owned(),
        value: pb::RetryInfo {
            retry_delay: prost_types::Duration::try_from(delay).ok(),
        }
        .encode_to_vec(),
    });
    pb::Status {
        code: refusal.grpc() as i32,
        message: refusal.to_string(),
        details: retry.into_iter().collect(),
    }
}
