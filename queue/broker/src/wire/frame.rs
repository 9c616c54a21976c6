//! Frames: a four-byte length, then that many bytes. Memory grows with the bytes that have arrived, never with
//! the length that was claimed, and what is to be large has to keep arriving.

use std::io;
use std::ops::RangeInclusive;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout, timeout_at};

use crate::limits::{FRAME_GRACE, FRAME_TIMEOUT, SMALL_FRAME_BYTES_MAX};

/// A request begins with key, version and correlation id.
pub(crate) const FRAME_BYTES_MIN: usize = 8;

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("frame of `{length}` bytes where `{allowed:?}` are allowed")]
    Length {
        length: i64,
        allowed: RangeInclusive<usize>,
    },
    #[error("connection ended within a frame")]
    Torn,
    #[error(
        "frame of `{length}` bytes stopped at `{arrived}`: it must arrive within `{FRAME_TIMEOUT:?}`, and a large one keep that pace"
    )]
    Slow { length: usize, arrived: usize },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a request's length; `None` when the connection ended between frames.
pub(crate) async fn read_length(
    reader: &mut (impl AsyncRead + Unpin),
    max: usize,
) -> Result<Option<usize>, FrameError> {
    read_length_within(reader, FRAME_BYTES_MIN..=max).await
}

/// As [`read_length`], for frames that need not be requests.
pub(crate) async fn read_length_within(
    reader: &mut (impl AsyncRead + Unpin),
    allowed: RangeInclusive<usize>,
) -> Result<Option<usize>, FrameError> {
    let mut prefix = [0; 4];
    let mut filled = 0;
    while filled < prefix.len() {
        match reader.read(&mut prefix[filled..]).await {
            Ok(0) if filled == 0 => return Ok(None),
            // Many clients end TLS without a word. Where a frame ends is known without it.
            Err(error) if filled == 0 && error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(None);
            }
            Ok(0) => return Err(FrameError::Torn),
            Ok(count) => filled += count,
            Err(error) => return Err(error.into()),
        }
    }
    let length = i32::from_be_bytes(prefix);
    match usize::try_from(length) {
        Ok(size) if allowed.contains(&size) => Ok(Some(size)),
        _ => Err(FrameError::Length {
            length: i64::from(length),
            allowed,
        }),
    }
}

/// What follows a length, as it arrives.
pub(crate) struct Body {
    length: usize,
    bytes: BytesMut,
}

impl Body {
    pub(crate) fn new(length: usize) -> Body {
        Body {
            length,
            bytes: BytesMut::with_capacity(length.min(SMALL_FRAME_BYTES_MAX)),
        }
    }

    /// Reads a small frame whole, of a larger one as much. Nobody else's memory depends on it, so it may take its time.
    pub(crate) async fn read_start(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> Result<(), FrameError> {
        let until = self.length.min(SMALL_FRAME_BYTES_MAX);
        let reading = async {
            while self.bytes.len() < until {
                self.read_some(reader, until).await?;
            }
            Ok(())
        };
        match timeout(FRAME_TIMEOUT, reading).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.slow()),
        }
    }

    /// Reads what [`Body::read_start`] has left, for which others may have to wait: at no time may it be further behind
    /// than [`FRAME_GRACE`] on an even pace that ends at [`FRAME_TIMEOUT`].
    pub(crate) async fn read_rest(
        mut self,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> Result<Bytes, FrameError> {
        let begun = Instant::now();
        let (start, length) = (self.bytes.len(), self.length);
        while self.bytes.len() < length {
            let arrived = (self.bytes.len() - start) as f64 / (length - start) as f64;
            let due = begun + FRAME_GRACE + FRAME_TIMEOUT.mul_f64(arrived);
            let due = due.min(begun + FRAME_TIMEOUT);
            match timeout_at(due, self.read_some(reader, length)).await {
                Ok(outcome) => outcome?,
                Err(_) => return Err(self.slow()),
            }
        }
        Ok(self.bytes.freeze())
    }

    async fn read_some(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        until: usize,
    ) -> Result<(), FrameError> {
        let len = self.bytes.len();
        if self.bytes.capacity() == len {
            self.bytes.reserve(len.min(until - len));
        }
        let mut limited = reader.take((until - len) as u64);
        match limited.read_buf(&mut self.bytes).await? {
            0 => Err(FrameError::Torn),
            _ => Ok(()),
        }
    }

    fn slow(&self) -> FrameError {
        FrameError::Slow {
            length: self.length,
            arrived: self.bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn read_body(
        reader: &mut (impl AsyncRead + Unpin),
        length: usize,
    ) -> Result<Bytes, FrameError> {
        let mut body = Body::new(length);
        body.read_start(reader).await?;
        body.read_rest(reader).await
    }

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

    /// Reads a body of a start and twenty more pieces, each sent after a pause; returns when it was given up, if so.
    async fn read_in_pieces(pauses: [u64; 21]) -> Option<u64> {
        const PIECE: usize = 1 << 16;
        let (mut client, mut server) = tokio::io::duplex(PIECE);
        let begun = Instant::now();
        let sending = async {
            for seconds in pauses {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                // The other side may have given up.
                let _sent = client.write_all(&[1; PIECE]).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = sending => None,
            outcome = read_body(&mut server, SMALL_FRAME_BYTES_MAX + 20 * PIECE) => match outcome {
                Ok(body) => {
                    assert_eq!(body.len(), SMALL_FRAME_BYTES_MAX + 20 * PIECE);
                    None
                }
                Err(FrameError::Slow { .. }) => Some(begun.elapsed().as_secs()),
                Err(error) => panic!("{error}"),
            },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_frame_is_given_up_as_soon_as_it_falls_behind() {
        let pauses = |start, stall_at, stall, other| {
            let mut pauses = [other; 21];
            pauses[0] = start;
            pauses[stall_at] = stall;
            pauses
        };
        // The start may take as long as a small frame; an even pace will do, and what is ahead may rest.
        assert_eq!(read_in_pieces(pauses(59, 1, 2, 2)).await, None);
        assert_eq!(read_in_pieces(pauses(0, 11, 30, 0)).await, None);
        // Nothing after the start; half the pace, twice; a long stop.
        assert_eq!(read_in_pieces(pauses(0, 1, 1000, 0)).await, Some(5));
        assert_eq!(read_in_pieces(pauses(0, 1, 6, 6)).await, Some(5));
        assert_eq!(read_in_pieces(pauses(0, 1, 4, 7)).await, Some(8));
        assert_eq!(read_in_pieces(pauses(0, 11, 36, 0)).await, Some(35));
    }
}
