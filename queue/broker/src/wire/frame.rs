//! Frames: a four-byte length, then that many bytes. Memory grows with the bytes that have arrived, never with
//! the length that was claimed.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// A request begins with key, version and correlation id.
pub(crate) const FRAME_BYTES_MIN: usize = 8;

/// Reserved at first for a frame that claims to be larger; doubled as its bytes arrive.
const CHUNK_BYTES: usize = 64 * 1024;

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("frame of `{length}` bytes where {FRAME_BYTES_MIN} to `{max}` are allowed")]
    Length { length: i64, max: usize },
    #[error("connection ended within a frame")]
    Torn,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a frame's length; `None` when the connection ended between frames.
pub(crate) async fn read_length(
    reader: &mut (impl AsyncRead + Unpin),
    max: usize,
) -> Result<Option<usize>, FrameError> {
    let mut prefix = [0; 4];
    let mut filled = 0;
    while filled < prefix.len() {
        match reader.read(&mut prefix[filled..]).await? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(FrameError::Torn),
            count => filled += count,
        }
    }
    let length = i32::from_be_bytes(prefix);
    match usize::try_from(length) {
        Ok(size) if (FRAME_BYTES_MIN..=max).contains(&size) => Ok(Some(size)),
        _ => Err(FrameError::Length {
            length: i64::from(length),
            max,
        }),
    }
}

/// Reads the `length` bytes that follow.
pub(crate) async fn read_body(
    reader: &mut (impl AsyncRead + Unpin),
    length: usize,
) -> Result<Bytes, FrameError> {
    let mut body = BytesMut::with_capacity(length.min(CHUNK_BYTES));
    while body.len() < length {
        if body.capacity() == body.len() {
            body.reserve(body.len().min(length - body.len()));
        }
        let mut limited = (&mut *reader).take((length - body.len()) as u64);
        if limited.read_buf(&mut body).await? == 0 {
            return Err(FrameError::Torn);
        }
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lengths_outside_the_bounds_are_refused_before_anything_is_read() {
        for claimed in [-1i32, 0, 7, 101, i32::MAX, i32::MIN] {
            let mut input = &claimed.to_be_bytes()[..];
            let result = read_length(&mut input, 100).await;
            assert!(
                matches!(result, Err(FrameError::Length { .. })),
                "{claimed}"
            );
        }
    }

    #[tokio::test]
    async fn an_end_between_frames_is_no_error_and_within_one_is() {
        assert!(read_length(&mut &[][..], 100).await.unwrap().is_none());
        assert!(matches!(
            read_length(&mut &[0, 0][..], 100).await,
            Err(FrameError::Torn)
        ));
        assert!(matches!(
            read_body(&mut &[1, 2, 3][..], 8).await,
            Err(FrameError::Torn)
        ));
    }

    #[tokio::test]
    async fn a_frame_larger_than_the_first_chunk_arrives_whole() {
        let sent: Vec<u8> = (0..300_001u32).map(|i| i as u8).collect();
        let mut with_more = sent.clone();
        with_more.extend([9; 10]);
        let mut input = &with_more[..];
        assert_eq!(read_body(&mut input, sent.len()).await.unwrap(), sent);
        assert_eq!(input, [9; 10]);
    }
}
