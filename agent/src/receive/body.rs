//! Reading a body off the connection, within bounds of bytes and time.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::Limits;
use super::gate::Flight;
use super::limits;
use super::refusal::Refusal;

/// The whole body, as packed as it comes. `declared` is its `content-length`, not believed but obeyed
/// when it says too much.
pub(crate) async fn read(
    body: &mut Body,
    declared: Option<u64>,
    flight: &mut Flight,
    bounds: &Limits,
) -> Result<Bytes, Refusal> {
    let max = bounds.body_bytes_max;
    let too_large = Refusal::TooLarge { what: "body", max };
    if declared.is_some_and(|declared| declared > max as u64) {
        return Err(too_large);
    }
    let reading = async {
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Refusal::Body {
                reason: error.to_string(),
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if whole.len() + data.len() > max {
                return Err(too_large);
            }
            flight.grow(data.len())?;
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    };
    match tokio::time::timeout(bounds.body_timeout, reading).await {
        Ok(read) => read,
        Err(_) => Err(Refusal::Slow {
            timeout: bounds.body_timeout,
        }),
    }
}

/// Reads on for a moment and forgets what it reads: a sender over HTTP/1 that is still writing when its
/// connection is closed would see a reset instead of the answer.
pub(crate) async fn drain(body: &mut Body) {
    let draining = async {
        let mut left = limits::DRAIN_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(bytes) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    // Either way there is nothing more to be done for this sender.
    let _drained = tokio::time::timeout(limits::DRAIN_TIMEOUT, draining).await;
}
