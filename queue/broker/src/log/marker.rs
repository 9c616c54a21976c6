//! Markers: the control batches that end a transaction in the log. Clients step over them.
//!
//! A marker is a record batch of attributes transactional and control, without sequence, with one record:
//!
//! ```text
//! 61      62          63         64      65       66       68       70         71       73           77            85
//! length  attributes  timestamp  offset  length   version  type     length     version  coordinator  first offset  headers
//! 24      0           delta 0    delta 0 of key 4 i16 0    i16      of value   i16 0    epoch i32    i64           0
//!                                                                   14
//! ```
//!
//! Big endian; type 0 aborts, 1 commits. All is Kafka's but the first offset, which readers of Kafka's format leave
//! unread behind the end of theirs: where the transaction began in this partition. With it the aborted transactions of
//! a segment can be had from that segment alone, however far back they began.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::batch::{self, HEADER_BYTES, Header};

/// Attributes transactional and control, no compression.
const ATTRIBUTES: i16 = 0x30;
const RECORD_BYTES: usize = 25;
const BYTES: usize = HEADER_BYTES + RECORD_BYTES;
/// Lengths as zigzag varints, and what never varies, up to the type.
const BEFORE_TYPE: [u8; 7] = [48, 0, 0, 0, 8, 0, 0];
const FIRST_OFFSET_AT: usize = 77;
/// There is one coordinator, so its epoch never moves.
const COORDINATOR_EPOCH: i32 = 0;

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    Commit,
    Abort,
}

/// What a marker says besides its producer, which its header names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) outcome: Outcome,
    /// Of the transaction's first batch in this partition.
    pub(super) first_offset: i64,
}

/// A transaction that was aborted: readers of what is committed skip the batches of this producer between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aborted {
    pub producer_id: i64,
    pub first_offset: i64,
    /// Of the marker.
    pub last_offset: i64,
}

/// A marker that lacks only its place and the transaction's first offset, see [`complete`].
pub(super) fn build(producer_id: i64, epoch: i16, outcome: Outcome, now_ms: i64) -> Bytes {
    let mut bytes = BytesMut::with_capacity(BYTES);
    bytes.put_i64(0);
    bytes.put_i32((BYTES - 12) as i32);
    bytes.put_i32(-1);
    bytes.put_i8(2);
    bytes.put_u32(0);
    bytes.put_i16(ATTRIBUTES);
    bytes.put_i32(0);
    bytes.put_i64(now_ms);
    bytes.put_i64(now_ms);
    bytes.put_i64(producer_id);
    bytes.put_i16(epoch);
    bytes.put_i32(-1);
    bytes.put_i32(1);
    bytes.put_slice(&BEFORE_TYPE);
    bytes.put_i16(match outcome {
        Outcome::Abort => 0,
        Outcome::Commit => 1,
    });
    bytes.put_u8(28);
    bytes.put_i16(0);
    bytes.put_i32(COORDINATOR_EPOCH);
    bytes.put_i64(-1);
    bytes.put_u8(0);
    debug_assert_eq!(bytes.len(), BYTES);
    batch::sign(&mut bytes);
    bytes.freeze()
}

/// Puts in where the transaction began, which only the log knows, and only when the marker's turn has come.
pub(super) fn complete(marker: &mut [u8], first_offset: i64) {
    marker[FIRST_OFFSET_AT..FIRST_OFFSET_AT + 8].copy_from_slice(&first_offset.to_be_bytes());
    batch::sign(marker);
}

/// What a control batch says; `None` if it is none that [`build`] made.
pub(super) fn read(header: &Header, bytes: &[u8]) -> Option<Marker> {
    let record = bytes.get(HEADER_BYTES..BYTES)?;
    if header.attributes != ATTRIBUTES || header.total_bytes != BYTES {
        return None;
    }
    let mut fields = record.strip_prefix(&BEFORE_TYPE)?;
    let outcome = match fields.get_i16() {
        0 => Outcome::Abort,
        1 => Outcome::Commit,
        _ => return None,
    };
    if fields.get_u8() != 28 || fields.get_i16() != 0 {
        return None;
    }
    let _coordinator_epoch = fields.get_i32();
    let first_offset = fields.get_i64();
    (fields.get_u8() == 0).then_some(Marker {
        outcome,
        first_offset,
    })
}

impl Marker {
    /// The aborted transaction that this marker, with this header, ends.
    pub(super) fn aborted(&self, header: &Header) -> Option<Aborted> {
        (self.outcome == Outcome::Abort).then_some(Aborted {
            producer_id: header.producer_id,
            first_offset: self.first_offset,
            last_offset: header.base_offset,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_back_and_no_other_bytes_are_one() {
        for outcome in [Outcome::Commit, Outcome::Abort] {
            let mut bytes = build(7, 3, outcome, 1000).to_vec();
            complete(&mut bytes, 1 << 40);
            let header = Header::parse(&bytes).unwrap();
            header.verify_fields().unwrap();
            assert!(header.has_good_crc(&bytes));
            assert_eq!((header.producer_id, header.producer_epoch), (7, 3));
            let marker = Marker {
                outcome,
                first_offset: 1 << 40,
            };
            assert_eq!(read(&header, &bytes), Some(marker));
            // The coordinator's epoch and the first offset may be anything.
            for at in (HEADER_BYTES..73).chain(85..BYTES) {
                let mut other = bytes.clone();
                other[at] ^= 4;
                assert_eq!(read(&header, &other), None, "byte {at}");
            }
            assert_eq!(read(&header, &bytes[..BYTES - 1]), None);
        }
    }

    #[test]
    fn a_marker_is_what_kafkas_own_record_codec_reads_as_one_control_record() {
        use kafka_protocol::records::RecordBatchDecoder;
        let mut bytes = build(7, 3, Outcome::Commit, 1000);
        let batch = RecordBatchDecoder::decode(&mut bytes).unwrap();
        let [record] = &batch.records[..] else {
            panic!("{batch:?}")
        };
        assert!(record.control && record.transactional);
        assert_eq!(record.key.as_deref(), Some(&[0, 0, 0, 1][..]));
        assert_eq!(record.value.as_ref().map(Bytes::len), Some(14));
    }
}
