//! OTLP over gRPC: the unary `Export` of three services.
//!
//! tonic brings the status and its headers; the one message of a unary call is unframed here, because tonic's own
//! reader inflates on the thread that serves connections, takes no account of bytes in flight, and answers a message
//! that is too large with OUT_OF_RANGE, which OTLP senders send again for ever.
//!
//! ```text
//! u8 compressed (0, 1)   u32 length, big endian   message
//! ```

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use prost::Message;
use tonic::Status;

use super::answer;
use super::body;
use super::compression::Compression;
use super::http::declared;
use super::intake::{Intake, Taken};
use super::payload::{Format, Kind, Payload};
use super::refusal::Refusal;
use super::store::Store;

const FRAME_HEADER: usize = 5;

pub(crate) async fn export<S: Store>(
    intake: Arc<Intake<S>>,
    kind: Kind,
    request: Request,
) -> Response {
    let (parts, mut body) = request.into_parts();
    if !is_grpc(&parts.headers) {
        let found = parts.headers.get(header::CONTENT_TYPE);
        let found = found.map_or_else(String::new, |found| format!("{found:?}"));
        let refusal = Refusal::MediaType {
            found,
            allowed: "application/grpc",
        };
        return super::http::refuse(&refusal, &parts, body).await;
    }
    let taken = take(&intake, kind, &parts, &mut body).await;
    super::count(kind, "grpc", &taken);
    match taken {
        Ok(taken) => answer(&answer::taken(&taken, kind, Format::Protobuf)),
        Err(refusal) => refuse(&refusal),
    }
}

async fn take<S: Store>(
    intake: &Intake<S>,
    kind: Kind,
    parts: &Parts,
    body: &mut Body,
) -> Result<Taken, Refusal> {
    intake.gate.check(&parts.headers)?;
    let encoding = Compression::of(parts.headers.get("grpc-encoding"))?;
    let mut flight = intake.gate.enter()?;
    let framed = body::read(body, declared(parts), &mut flight, &intake.limits).await?;
    let (compression, bytes) = unframe(framed, encoding)?;
    let payload = Payload {
        kind,
        format: Format::Protobuf,
        compression,
        bytes,
    };
    intake.take(payload, flight).await
}

/// `application/grpc`, perhaps with `+proto` or parameters.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let found = headers.get(header::CONTENT_TYPE);
    let found = found.map_or(&b""[..], HeaderValue::as_bytes);
    match found.strip_prefix(b"application/grpc") {
        Some(rest) => {
            let rest = rest.strip_prefix(b"+proto").unwrap_or(rest);
            rest.is_empty() || rest.starts_with(b";")
        }
        None => false,
    }
}

/// The message of a unary call, and whether it is packed.
pub fn unframe(mut framed: Bytes, encoding: Compression) -> Result<(Compression, Bytes), Refusal> {
    let broken = |reason| Err(Refusal::Frame { reason });
    if framed.len() < FRAME_HEADER {
        return broken("it is cut short");
    }
    let compression = match framed.get_u8() {
        0 => Compression::Identity,
        1 if encoding == Compression::Identity => {
            return broken("it says it is packed, and no header `grpc-encoding` says how");
        }
        1 => encoding,
        _ => return broken("its first byte is neither 0 nor 1"),
    };
    let length = framed.get_u32() as usize;
    match framed.len() {
        len if len < length => broken("it is cut short"),
        len if len > length => broken("another follows it"),
        _ => Ok((compression, framed)),
    }
}

fn answer(message: &[u8]) -> Response {
    let mut framed = BytesMut::with_capacity(FRAME_HEADER + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    let trailers = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
    let body =
        Full::new(framed.freeze()).with_trailers(async { Some(Ok::<_, Infallible>(trailers)) });
    Response::builder()
        .header(header::CONTENT_TYPE, "application/grpc")
        .body(Body::new(body))
        .expect("its parts are valid")
}

/// An answer of headers only, as gRPC has it for errors.
pub(crate) fn refuse(refusal: &Refusal) -> Response {
    let status = answer::status(refusal);
    let details = match status.details.is_empty() {
        true => Bytes::new(),
        false => status.encode_to_vec().into(),
    };
    let mut response: Response =
        Status::with_details(refusal.grpc(), status.message, details).into_http();
    if matches!(refusal, Refusal::Encoding { .. }) {
        response.headers_mut().insert(
            "grpc-accept-encoding",
            HeaderValue::from_static("identity,gzip,zstd"),
        );
    }
    response
}
