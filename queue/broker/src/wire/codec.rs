//! From a frame to a typed request, and from a typed response to a frame.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, RequestKind, ResponseHeader, ResponseKind,
    api_versions_response::ApiVersion,
};
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::guard::{self, GuardError};
use super::shape::{self, Shape};

/// Why a frame was refused. Each closes the connection that it came from, and nothing else.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("request is shorter than its header")]
    Header,
    #[error("API key `{key}` is not served")]
    UnknownApi { key: i16 },
    #[error("{key:?} version `{version}` is not served, `{min}` to `{max}` are")]
    UnsupportedVersion {
        key: ApiKey,
        version: i16,
        min: i16,
        max: i16,
    },
    #[error("{key:?} version `{version}`: {source}")]
    Guard {
        key: ApiKey,
        version: i16,
        source: GuardError,
    },
    #[error("{key:?} version `{version}`: {reason}")]
    Body {
        key: ApiKey,
        version: i16,
        reason: String,
    },
}

/// What names a request and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
}

/// A decoded frame.
#[derive(Debug)]
pub(crate) enum Decoded {
    Request {
        tag: Tag,
        client_id: Option<StrBytes>,
        body: Box<RequestKind>,
    },
    /// ApiVersions in a version of the future: answered with what is served (KIP-511).
    FutureApiVersions { correlation_id: i32 },
}

/// Decodes one frame. Allocates no more than the frame's own size and the guard's budget allow.
pub(crate) fn decode(frame: Bytes) -> Result<Decoded, DecodeError> {
    let (key, version, correlation_id) = fixed_header(&frame).ok_or(DecodeError::Header)?;
    let shape = shape::of(key).ok_or(DecodeError::UnknownApi { key })?;
    let key = shape.key;
    if !(shape.min..=shape.max).contains(&version) {
        if key == ApiKey::ApiVersions {
            return Ok(Decoded::FutureApiVersions { correlation_id });
        }
        return Err(DecodeError::UnsupportedVersion {
            key,
            version,
            min: shape.min,
            max: shape.max,
        });
    }
    let guarded = |source| DecodeError::Guard {
        key,
        version,
        source,
    };

    let after_fixed = frame.slice(8..);
    let flexible_header = key.request_header_version(version) >= 2;
    let header_tail_bytes =
        guard::check_header_tail(flexible_header, &after_fixed).map_err(guarded)?;
    let client_id = client_id(&after_fixed);

    let mut body = after_fixed.slice(header_tail_bytes..);
    guard::check(shape, version, &body).map_err(guarded)?;
    let body = RequestKind::decode(key, &mut body, version).map_err(|error| DecodeError::Body {
        key,
        version,
        reason: error.to_string(),
    })?;
    Ok(Decoded::Request {
        tag: Tag {
            key,
            version,
            correlation_id,
        },
        client_id,
        body: Box::new(body),
    })
}

fn fixed_header(frame: &[u8]) -> Option<(i16, i16, i32)> {
    let (key, rest) = frame.split_first_chunk()?;
    let (version, rest) = rest.split_first_chunk()?;
    let (correlation_id, _) = rest.split_first_chunk()?;
    Some((
        i16::from_be_bytes(*key),
        i16::from_be_bytes(*version),
        i32::from_be_bytes(*correlation_id),
    ))
}

/// The guard has seen that it lies within; a client id that is not UTF-8 counts as none.
fn client_id(after_fixed: &Bytes) -> Option<StrBytes> {
    let length = i16::from_be_bytes(*after_fixed.first_chunk()?);
    let length = usize::try_from(length).ok()?;
    StrBytes::from_utf8(after_fixed.slice(2..2 + length)).ok()
}

/// Encodes an answer with its length and header, ready to be written.
pub(crate) fn encode(tag: Tag, response: &ResponseKind) -> Result<Bytes, EncodeError> {
    let failed = |error: &dyn std::fmt::Display| EncodeError {
        key: tag.key,
        version: tag.version,
        reason: error.to_string(),
    };
    let mut frame = BytesMut::with_capacity(1024);
    frame.put_i32(0);
    ResponseHeader::default()
        .with_correlation_id(tag.correlation_id)
        .encode(&mut frame, response.header_version(tag.version))
        .map_err(|error| failed(&error))?;
    response
        .encode(&mut frame, tag.version)
        .map_err(|error| failed(&error))?;
    Ok(seal(frame))
}

/// A response that cannot be expressed in the version asked for: a defect of the broker.
#[derive(Debug, thiserror::Error)]
#[error("{key:?} version `{version}`: answer cannot be encoded: {reason}")]
pub(crate) struct EncodeError {
    key: ApiKey,
    version: i16,
    reason: String,
}

/// The answer to an ApiVersions request of an unknown version: body v0, error 35, and key 18 alone.
pub(crate) fn encode_future_api_versions(correlation_id: i32) -> Result<Bytes, EncodeError> {
    let response = ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(vec![api_version(
            shape::of(ApiKey::ApiVersions as i16).expect("ApiVersions has a shape"),
        )]);
    encode(
        Tag {
            key: ApiKey::ApiVersions,
            version: 0,
            correlation_id,
        },
        &ResponseKind::ApiVersions(response),
    )
}

/// A shape as ApiVersions states it.
pub(crate) fn api_version(shape: &Shape) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(shape.key as i16)
        .with_min_version(shape.declared_min)
        .with_max_version(shape.max)
}

fn seal(mut frame: BytesMut) -> Bytes {
    let length = (frame.len() - 4) as i32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.freeze()
}
