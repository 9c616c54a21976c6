//! OTLP over HTTP: `POST /v1/{logs,traces,metrics}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Version, header};
use axum::response::Response;

use super::answer;
use super::body;
use super::compression::Compression;
use super::intake::{Intake, Taken};
use super::payload::{Format, Kind, Payload};
use super::refusal::Refusal;
use super::store::Store;

pub(crate) async fn export<S: Store>(
    intake: Arc<Intake<S>>,
    kind: Kind,
    request: Request,
) -> Response {
    let (parts, mut body) = request.into_parts();
    // A sender that speaks neither is answered in what people can read.
    let format = Format::of(&parts.headers).unwrap_or(Format::Json);
    let taken = take(&intake, kind, &parts, &mut body).await;
    super::count(kind, "http", &taken);
    match taken {
        Ok(taken) => Response::builder()
            .header(header::CONTENT_TYPE, format.content_type())
            .body(answer::taken(&taken, kind, format).into())
            .expect("its parts are valid"),
        Err(refusal) => refuse(&refusal, &parts, body).await,
    }
}

async fn take<S: Store>(
    intake: &Intake<S>,
    kind: Kind,
    parts: &Parts,
    body: &mut Body,
) -> Result<Taken, Refusal> {
    intake.gate.check(&parts.headers)?;
    let format = Format::of(&parts.headers)?;
    let compression = Compression::of(parts.headers.get(header::CONTENT_ENCODING))?;
    let mut flight = intake.gate.enter()?;
    let bytes = body::read(body, declared(parts), &mut flight, &intake.limits).await?;
    let payload = Payload {
        kind,
        format,
        compression,
        bytes,
    };
    intake.take(payload, flight).await
}

pub(crate) fn declared(parts: &Parts) -> Option<u64> {
    let length = parts.headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Answers with a refusal, after giving a sender that is still writing the time to hear it.
pub(crate) async fn refuse(refusal: &Refusal, parts: &Parts, mut body: Body) -> Response {
    // HTTP/2 resets one stream only; who waits for `100 Continue` has not begun to write.
    let may_be_writing =
        parts.version < Version::HTTP_2 && !parts.headers.contains_key(header::EXPECT);
    if may_be_writing {
        body::drain(&mut body).await;
    }
    let format = Format::of(&parts.headers).unwrap_or(Format::Json);
    let mut response = Response::builder()
        .status(refusal.http())
        .header(header::CONTENT_TYPE, format.content_type());
    if let Some(delay) = refusal.retry_after() {
        response = response.header(header::RETRY_AFTER, delay.as_secs());
    }
    let name_and_value = match refusal {
        Refusal::NoToken | Refusal::WrongToken => {
            Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
        }
        Refusal::Encoding { .. } => Some((
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("gzip, zstd, identity"),
        )),
        Refusal::Method { .. } => Some((header::ALLOW, HeaderValue::from_static("POST"))),
        _ => None,
    };
    if let Some((name, value)) = name_and_value {
        response = response.header(name, value);
    }
    response
        .body(answer::refused(refusal, format).into())
        .expect("its parts are valid")
}
