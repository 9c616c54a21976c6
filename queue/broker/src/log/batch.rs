//! The header of a Kafka record batch (magic 2), read by hand: 61 bytes in front of records that stay opaque.
//!
//! ```text
//! 0            8        12       16     17     21          23               27             35
//! base offset  length   leader   magic  crc    attributes  last offset      base           max
//! i64          i32      epoch    i8     u32    i16         delta i32        timestamp i64  timestamp i64
//! 43           51              53             57        61
//! producer id  producer epoch  base sequence  count     records …
//! i64          i16             i32            i32
//! ```
//!
//! Big endian. `length` counts what follows it; the CRC32C covers everything from `attributes` on, so base offset and
//! leader epoch can be set by the log without touching what the producer signed.

use bytes::Buf;

use super::dump::DumpedRecord;
use super::limits::BATCH_RECORDS_MAX;

/// Bytes before the records.
pub const HEADER_BYTES: usize = 61;
/// Bytes before what `length` counts.
const LENGTH_PREFIX_BYTES: usize = 12;
const CRC_FROM: usize = 21;

const COMPRESSION_MASK: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
/// none, gzip, snappy, lz4, zstd
const COMPRESSION_MAX: i16 = 4;

/// Why bytes are not a batch that a producer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("{bytes} bytes are not one whole record batch")]
    Length { bytes: usize },
    #[error("record batch has magic {found}: only 2 is stored, upgrade the client")]
    Magic { found: i8 },
    #[error("record batch has a wrong checksum")]
    Checksum,
    #[error("record batch counts {count} records up to offset delta {last_offset_delta}")]
    Count { count: i32, last_offset_delta: i32 },
    #[error("transactional record batch without a producer id")]
    Transactional,
    #[error("control record batches are not for producers")]
    Control,
    #[error("record batch has timestamp type LogAppendTime, which is not the producer's to set")]
    TimestampType,
    #[error("record batch has unknown compression {found}")]
    Compression { found: i16 },
    #[error("record batch of producer {producer_id} has epoch {epoch} and sequence {sequence}")]
    Producer {
        producer_id: i64,
        epoch: i16,
        sequence: i32,
    },
}

/// A batch's header, in the order of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub base_offset: i64,
    /// Of the whole batch, header included.
    pub total_bytes: usize,
    pub leader_epoch: i32,
    pub magic: i8,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    /// −1: not idempotent.
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub count: i32,
}

impl Header {
    /// Reads what stands in front of `bytes` without judging it; `None` if that is less than a header or if its
    /// length can't be one.
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        let mut fields = bytes.get(..HEADER_BYTES)?;
        let base_offset = fields.get_i64();
        let length = usize::try_from(fields.get_i32()).ok()?;
        let total_bytes = length
            .checked_add(LENGTH_PREFIX_BYTES)
            .filter(|total| *total >= HEADER_BYTES)?;
        Some(Header {
            base_offset,
            total_bytes,
            leader_epoch: fields.get_i32(),
            magic: fields.get_i8(),
            crc: fields.get_u32(),
            attributes: fields.get_i16(),
            last_offset_delta: fields.get_i32(),
            base_timestamp: fields.get_i64(),
            max_timestamp: fields.get_i64(),
            producer_id: fields.get_i64(),
            producer_epoch: fields.get_i16(),
            base_sequence: fields.get_i32(),
            count: fields.get_i32(),
        })
    }

    /// Checks everything that has to hold for `batch`, exactly one batch, before it may be stored.
    pub fn parse_and_verify(batch: &[u8]) -> Result<Header, BatchError> {
        // The magic decides where all else stands: older formats must be told apart from garbage first.
        match batch.get(16) {
            Some(2) => {}
            Some(magic) => {
                return Err(BatchError::Magic {
                    found: *magic as i8,
                });
            }
            None => return Err(BatchError::Length { bytes: batch.len() }),
        }
        let header = Header::parse(batch).ok_or(BatchError::Length { bytes: batch.len() })?;
        if header.total_bytes != batch.len() {
            return Err(BatchError::Length { bytes: batch.len() });
        }
        if !header.has_good_crc(batch) {
            return Err(BatchError::Checksum);
        }
        if header.is_control() {
            return Err(BatchError::Control);
        }
        if header.is_stamped() {
            return Err(BatchError::TimestampType);
        }
        header.verify_fields()?;
        Ok(header)
    }

    /// Everything but length, magic and checksum, of a batch that may have been [stamped](Self::stamp). Control batches,
    /// which are the log's own, may pass here.
    pub(super) fn verify_fields(&self) -> Result<(), BatchError> {
        if self.is_control() {
            return self.verify_control();
        }
        if self.is_transactional() && self.producer_id < 0 {
            return Err(BatchError::Transactional);
        }
        if self.attributes & COMPRESSION_MASK > COMPRESSION_MAX {
            return Err(BatchError::Compression {
                found: self.attributes & COMPRESSION_MASK,
            });
        }
        if self.count <= 0
            || self.count > BATCH_RECORDS_MAX
            || self.last_offset_delta != self.count - 1
        {
            return Err(BatchError::Count {
                count: self.count,
                last_offset_delta: self.last_offset_delta,
            });
        }
        // An uncompressed record takes seven bytes at least. A count beyond that is a lie some consumer would
        // allocate memory for; a compressed batch has to be believed.
        let records_bytes = self.total_bytes - HEADER_BYTES;
        if self.is_uncompressed() && (self.count as usize).saturating_mul(7) > records_bytes {
            return Err(BatchError::Count {
                count: self.count,
                last_offset_delta: self.last_offset_delta,
            });
        }
        let idempotent = self.producer_id >= 0;
        if self.producer_id < -1
            || (idempotent && (self.producer_epoch < 0 || self.base_sequence < 0))
        {
            return Err(BatchError::Producer {
                producer_id: self.producer_id,
                epoch: self.producer_epoch,
                sequence: self.base_sequence,
            });
        }
        Ok(())
    }

    /// A control batch ends a transaction of its producer, and has one record but no sequence.
    fn verify_control(&self) -> Result<(), BatchError> {
        let good = self.attributes == TRANSACTIONAL | CONTROL
            && (self.count, self.last_offset_delta, self.base_sequence) == (1, 0, -1)
            && self.producer_id >= 0
            && self.producer_epoch >= 0;
        if good {
            Ok(())
        } else {
            Err(BatchError::Control)
        }
    }

    pub(super) fn has_good_crc(&self, batch: &[u8]) -> bool {
        crc32c::crc32c(&batch[CRC_FROM..self.total_bytes]) == self.crc
    }

    /// Offset of the batch's last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// Offset of the record after the batch.
    pub fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// Sequence number of the batch's last record; sequences wrap around to 0 after 2^31 − 1.
    pub fn last_sequence(&self) -> i32 {
        sequence_after(self.base_sequence, self.last_offset_delta)
    }

    /// Part of a transaction, or the end of one.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Not for readers: it ends a transaction.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether all its records have the time when the batch arrived, `max_timestamp`, whatever they say themselves.
    pub fn is_stamped(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// Gives `batch`, whose header this is, the time of its arrival, and both a checksum that fits.
    pub(super) fn stamp(&mut self, batch: &mut [u8], arrival_ms: i64) {
        self.attributes |= LOG_APPEND_TIME;
        self.max_timestamp = arrival_ms;
        batch[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        batch[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        self.crc = crc32c::crc32c(&batch[CRC_FROM..self.total_bytes]);
        batch[17..CRC_FROM].copy_from_slice(&self.crc.to_be_bytes());
    }

    /// What the records are compressed with.
    pub fn compression(&self) -> &'static str {
        let names = ["none", "gzip", "snappy", "lz4", "zstd"];
        let code = (self.attributes & COMPRESSION_MASK) as usize;
        names.get(code).copied().unwrap_or("unknown")
    }

    pub fn is_uncompressed(&self) -> bool {
        self.attributes & COMPRESSION_MASK == 0
    }
}

/// `sequence` moved on by `by`, neither negative.
pub(super) fn sequence_after(sequence: i32, by: i32) -> i32 {
    sequence.wrapping_add(by) & i32::MAX
}

/// Sets the two fields that are the log's.
pub(super) fn place(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    batch[..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Makes the checksum fit what `batch` holds now.
pub(super) fn sign(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[CRC_FROM..]);
    batch[CRC_FROM - 4..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
}

/// Splits off the whole batches in front of `bytes`: where they end.
pub(super) fn whole_batches_end(
    bytes: &[u8],
    mut visit: impl FnMut(&Header, &[u8]) -> bool,
) -> usize {
    let mut end = 0;
    while let Some(header) = Header::parse(&bytes[end..]) {
        let Some(batch) = bytes.get(end..end + header.total_bytes) else {
            break;
        };
        if header.magic != 2 || !visit(&header, batch) {
            break;
        }
        end += header.total_bytes;
    }
    end
}

/// Offset and timestamp of the first record from offset `from` on whose time is `timestamp` or later, in an
/// uncompressed batch; `None` when the records are not readable as such, or their times do not count.
pub(super) fn record_at_or_after(
    header: &Header,
    batch: &[u8],
    timestamp: i64,
    from: i64,
) -> Option<(i64, i64)> {
    if !header.is_uncompressed() || header.is_stamped() {
        return None;
    }
    let mut records = batch.get(HEADER_BYTES..)?;
    for _ in 0..header.count {
        let length = usize::try_from(varint(&mut records)?).ok()?;
        let mut record = records.get(..length)?;
        records = &records[length..];
        record = record.get(1..)?;
        let record_timestamp = header.base_timestamp.checked_add(varint(&mut record)?)?;
        let offset = header.base_offset.checked_add(varint(&mut record)?)?;
        if record_timestamp >= timestamp && offset >= from {
            return Some((offset, record_timestamp))
                .filter(|_| (header.base_offset..=header.last_offset()).contains(&offset));
        }
    }
    None
}

/// The records of an uncompressed batch; `None` when they are compressed or not readable as such.
pub(super) fn records(header: &Header, batch: &[u8]) -> Option<Vec<DumpedRecord>> {
    if !header.is_uncompressed() {
        return None;
    }
    let mut rest = batch.get(HEADER_BYTES..)?;
    // A record takes seven bytes at least: the count is believed up to that.
    let mut found = Vec::with_capacity((header.count.max(0) as usize).min(rest.len() / 7));
    for _ in 0..header.count {
        let length = usize::try_from(varint(&mut rest)?).ok()?;
        let mut fields = rest.get(1..length)?;
        rest = &rest[length..];
        let timestamp_ms = header.base_timestamp.checked_add(varint(&mut fields)?)?;
        let offset = header.base_offset.checked_add(varint(&mut fields)?)?;
        found.push(DumpedRecord {
            offset,
            timestamp_ms: if header.is_stamped() {
                header.max_timestamp
            } else {
                timestamp_ms
            },
            key: blob(&mut fields)?,
            value: blob(&mut fields)?,
        });
    }
    Some(found)
}

/// The outer `None`: there is no such thing; the inner: it is null.
fn blob(fields: &mut &[u8]) -> Option<Option<Vec<u8>>> {
    let Ok(length) = usize::try_from(varint(fields)?) else {
        return Some(None);
    };
    let (bytes, rest) = fields.split_at_checked(length)?;
    *fields = rest;
    Some(Some(bytes.to_vec()))
}

fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::testing::BatchBuilder;

    #[test]
    fn a_built_batch_is_accepted_and_every_flipped_bit_behind_the_epoch_is_not() {
        let batch = BatchBuilder::new(&[b"one", b"two"])
            .timestamp(1000)
            .producer(7, 0, 5)
            .build();
        let header = Header::parse_and_verify(&batch).unwrap();
        assert_eq!(
            (header.count, header.producer_id, header.last_sequence()),
            (2, 7, 6)
        );
        for at in (8..12).chain(16..batch.len()) {
            let mut flipped = batch.to_vec();
            flipped[at] ^= 1;
            assert!(Header::parse_and_verify(&flipped).is_err(), "byte {at}");
        }
        for len in 0..batch.len() {
            assert!(
                Header::parse_and_verify(&batch[..len]).is_err(),
                "{len} bytes"
            );
        }
    }

    #[test]
    fn what_only_a_broker_writes_and_a_transaction_without_producer_are_refused() {
        let cases: [(i16, BatchError); 5] = [
            (CONTROL, BatchError::Control),
            (CONTROL | TRANSACTIONAL, BatchError::Control),
            (TRANSACTIONAL, BatchError::Transactional),
            (LOG_APPEND_TIME, BatchError::TimestampType),
            (5, BatchError::Compression { found: 5 }),
        ];
        for (attributes, error) in cases {
            let batch = BatchBuilder::new(&[b"x"]).attributes(attributes).build();
            assert_eq!(Header::parse_and_verify(&batch), Err(error));
        }
    }

    #[test]
    fn a_count_that_lies_is_refused_although_the_checksum_holds() {
        for (count, delta) in [
            (-1, -2),
            (0, -1),
            (2, 0),
            (1, 1),
            (i32::MAX, i32::MAX - 1),
            (i32::MIN, i32::MAX),
        ] {
            let batch = BatchBuilder::new(&[b"x"]).count(count, delta).build();
            assert_eq!(
                Header::parse_and_verify(&batch),
                Err(BatchError::Count {
                    count,
                    last_offset_delta: delta
                })
            );
        }
    }

    #[test]
    fn a_compressed_batch_is_not_believed_without_bound() {
        let batch = |count| {
            BatchBuilder::new(&[b"x"])
                .attributes(4)
                .count(count, count - 1)
                .build()
        };
        assert!(Header::parse_and_verify(&batch(BATCH_RECORDS_MAX)).is_ok());
        assert!(matches!(
            Header::parse_and_verify(&batch(BATCH_RECORDS_MAX + 1)),
            Err(BatchError::Count { .. })
        ));
    }

    #[test]
    fn a_negative_producer_field_is_refused() {
        for (id, epoch, sequence) in [(-2, 0, 0), (1, -1, 0), (1, 0, -1)] {
            let batch = BatchBuilder::new(&[b"x"])
                .producer(id, epoch, sequence)
                .build();
            assert!(matches!(
                Header::parse_and_verify(&batch),
                Err(BatchError::Producer { .. })
            ));
        }
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
        assert_eq!(sequence_after(5, 1), 6);
    }

    #[test]
    fn placing_a_batch_leaves_what_the_producer_signed_alone() {
        let mut batch = BatchBuilder::new(&[b"x"]).build().to_vec();
        place(&mut batch, 1 << 40, 9);
        let header = Header::parse_and_verify(&batch).unwrap();
        assert_eq!((header.base_offset, header.leader_epoch), (1 << 40, 9));
    }

    #[test]
    fn a_stamped_batch_is_sound_but_not_for_a_producer_to_send() {
        let mut batch = BatchBuilder::new(&[b"a", b"b"])
            .timestamp(7)
            .build()
            .to_vec();
        let mut header = Header::parse_and_verify(&batch).unwrap();
        header.stamp(&mut batch, 5_000);
        assert_eq!(Header::parse(&batch), Some(header));
        assert!(header.has_good_crc(&batch) && header.verify_fields().is_ok());
        assert_eq!((header.base_timestamp, header.max_timestamp), (7, 5_000));
        assert_eq!(
            Header::parse_and_verify(&batch),
            Err(BatchError::TimestampType)
        );
    }

    #[test]
    fn the_first_record_at_a_time_is_found_inside_the_batch() {
        let batch = BatchBuilder::new(&[b"a", b"b", b"c"])
            .timestamp(1000)
            .step(10)
            .build();
        let header = Header::parse(&batch).unwrap();
        assert_eq!(record_at_or_after(&header, &batch, 0, 0), Some((0, 1000)));
        assert_eq!(
            record_at_or_after(&header, &batch, 1001, 0),
            Some((1, 1010))
        );
        assert_eq!(
            record_at_or_after(&header, &batch, 1020, 0),
            Some((2, 1020))
        );
        assert_eq!(record_at_or_after(&header, &batch, 1021, 0), None);
    }
}
