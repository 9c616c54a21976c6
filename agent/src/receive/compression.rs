//! Unpacking a body, never beyond a bound.

use std::fmt;
use std::io::Read;

use axum::http::HeaderValue;
use flate2::bufread::MultiGzDecoder;

use super::limits;
use super::refusal::Refusal;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Identity,
    Gzip,
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Compression::Identity => "identity",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        })
    }
}

impl Compression {
    /// Of `content-encoding` or `grpc-encoding`.
    pub(crate) fn of(header: Option<&HeaderValue>) -> Result<Compression, Refusal> {
        let Some(header) = header else {
            return Ok(Compression::Identity);
        };
        let name = String::from_utf8_lossy(header.as_bytes());
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Compression::Identity),
            "gzip" | "x-gzip" => Ok(Compression::Gzip),
            "zstd" => Ok(Compression::Zstd),
            _ => Err(Refusal::Encoding {
                found: name.chars().take(100).collect(),
            }),
        }
    }

    /// Unpacks `packed` to at most `bytes_max` bytes; `grow` is told of every step before it is made.
    pub(crate) fn unpack(
        self,
        packed: &[u8],
        bytes_max: usize,
        grow: impl FnMut(usize) -> Result<(), Refusal>,
    ) -> Result<Vec<u8>, Refusal> {
        let failed = |source| Refusal::Compressed {
            compression: self,
            source,
        };
        match self {
            Compression::Identity => bounded(packed, self, bytes_max, grow),
            Compression::Gzip => bounded(MultiGzDecoder::new(packed), self, bytes_max, grow),
            Compression::Zstd => {
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(packed).map_err(failed)?;
                decoder
                    .window_log_max(limits::ZSTD_WINDOW_LOG_MAX)
                    .map_err(failed)?;
                bounded(decoder, self, bytes_max, grow)
            }
        }
    }
}

fn bounded(
    mut unpacked: impl Read,
    compression: Compression,
    bytes_max: usize,
    mut grow: impl FnMut(usize) -> Result<(), Refusal>,
) -> Result<Vec<u8>, Refusal> {
    let mut whole = Vec::new();
    loop {
        let from = whole.len();
        // One byte beyond the bound tells that there is more.
        let step = limits::UNPACK_STEP_BYTES.min(bytes_max + 1 - from);
        grow(step)?;
        let mut limited = (&mut unpacked).take(step as u64);
        let read = limited
            .read_to_end(&mut whole)
            .map_err(|source| Refusal::Compressed {
                compression,
                source,
            })?;
        if whole.len() > bytes_max {
            return Err(Refusal::TooLarge {
                what: "unpacked body",
                max: bytes_max,
            });
        }
        if read < step {
            return Ok(whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(compression: Compression, packed: &[u8], max: usize) -> Result<Vec<u8>, Refusal> {
        compression.unpack(packed, max, |_| Ok(()))
    }

    #[test]
    fn the_bound_is_met_exactly() {
        let plain = vec![7; 200_000];
        let packings = [
            (Compression::Gzip, gzip(&plain)),
            (Compression::Zstd, zstd::encode_all(&*plain, 1).unwrap()),
        ];
        for (compression, packed) in packings {
            assert_eq!(unpack(compression, &packed, 200_000).unwrap(), plain);
            assert!(matches!(
                unpack(compression, &packed, 199_999),
                Err(Refusal::TooLarge { max: 199_999, .. })
            ));
            for cut in [1, packed.len() / 2, packed.len() - 1] {
                let refusal = unpack(compression, &packed[..cut], 200_000).unwrap_err();
                assert!(matches!(refusal, Refusal::Compressed { .. }), "{refusal}");
            }
        }
    }

    #[test]
    fn members_one_after_the_other_are_one_body() {
        let packed = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(unpack(Compression::Gzip, &packed, 100).unwrap(), b"one two");
    }

    #[test]
    fn no_step_is_made_that_was_not_granted() {
        let packed = gzip(&vec![0; 10 << 20]);
        let mut granted = 0;
        let refusal = Compression::Gzip.unpack(&packed, 10 << 20, |bytes| {
            granted += bytes;
            match granted <= 1 << 20 {
                true => Ok(()),
                false => Err(Refusal::Busy {
                    what: "bytes",
                    max: 1 << 20,
                }),
            }
        });
        assert!(matches!(refusal, Err(Refusal::Busy { .. })));
        assert_eq!(granted, (1 << 20) + limits::UNPACK_STEP_BYTES);
    }

    #[test]
    fn a_zstd_frame_that_wants_a_huge_window_is_refused() {
        // Magic, a frame with a window of 2^31, no content size.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00];
        assert!(matches!(
            unpack(Compression::Zstd, &frame, 100),
            Err(Refusal::Compressed { .. })
        ));
    }
}
