//! The bodies of the fuzz targets: each returns, whatever comes in. The same run as property tests below.

mod recovery;

use bytes::Bytes;

use crate::log::batch::Header;
use crate::wire::{codec, shape};

pub use recovery::recover;

/// Decodes any bytes as one frame.
pub fn decode(frame: &[u8]) {
    let _refused = codec::decode(Bytes::copy_from_slice(frame)).is_err();
}

/// Takes any bytes as the tokens of every SASL mechanism.
pub fn sasl(first: &[u8], second: &[u8]) {
    crate::security::fuzz_sasl(first, second);
}

/// Decodes any bytes as the body of every request in every version, behind a header that is right.
pub fn decode_body(body: &[u8]) {
    for shape in shape::SHAPES {
        for version in shape.min..=shape.max {
            decode_body_of(shape, version, body);
        }
    }
}

fn decode_body_of(shape: &shape::Shape, version: i16, body: &[u8]) {
    let mut frame = Vec::with_capacity(body.len() + 11);
    frame.extend((shape.key as i16).to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend([0, 0, 0, 1]);
    // No client id, and in flexible headers no tagged fields.
    frame.extend((-1i16).to_be_bytes());
    if shape.key.request_header_version(version) >= 2 {
        frame.push(0);
    }
    frame.extend(body);
    decode(&frame);
}

/// Judges any bytes as a batch that a producer sent: as they are, and with length and checksum made right, so that
/// the fields behind them are reached.
pub fn batch(bytes: &[u8]) {
    judge(bytes);
    let mut whole = bytes.to_vec();
    if make_whole(&mut whole) {
        judge(&whole);
    }
}

fn judge(bytes: &[u8]) {
    if let Ok(header) = Header::parse_and_verify(bytes) {
        assert_eq!(header.total_bytes, bytes.len());
        assert!(header.count > 0 && header.last_offset_delta == header.count - 1);
    }
}

/// Sets magic, length and checksum; `false` if there are not even bytes for a header.
fn make_whole(batch: &mut [u8]) -> bool {
    if batch.len() < crate::log::batch::HEADER_BYTES {
        return false;
    }
    let length = (batch.len() - 12) as i32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[16] = 2;
    let checksum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_bytes_are_a_batch_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            batch(&bytes);
        }

        #[test]
        fn any_damage_of_a_log_is_found_or_harmless(damage in prop::collection::vec(any::<u8>(), 0..60)) {
            recover(&damage);
        }
    }
}
