//! Record batches for tests, built by hand so that every field can be wrong.

use bytes::{BufMut, Bytes, BytesMut};

use super::batch::HEADER_BYTES;

pub(crate) struct BatchBuilder {
    values: Vec<Vec<u8>>,
    attributes: i16,
    timestamp: i64,
    step: i64,
    producer: (i64, i16, i32),
    count: Option<(i32, i32)>,
}

impl BatchBuilder {
    pub(crate) fn new<V: AsRef<[u8]>>(values: &[V]) -> BatchBuilder {
        BatchBuilder {
            values: values.iter().map(|value| value.as_ref().to_vec()).collect(),
            attributes: 0,
            timestamp: 0,
            step: 0,
            producer: (-1, -1, -1),
            count: None,
        }
    }

    pub(crate) fn attributes(mut self, attributes: i16) -> BatchBuilder {
        self.attributes = attributes;
        self
    }

    pub(crate) fn timestamp(mut self, timestamp: i64) -> BatchBuilder {
        self.timestamp = timestamp;
        self
    }

    /// Between the timestamps of two records.
    pub(crate) fn step(mut self, step: i64) -> BatchBuilder {
        self.step = step;
        self
    }

    pub(crate) fn producer(mut self, id: i64, epoch: i16, sequence: i32) -> BatchBuilder {
        self.producer = (id, epoch, sequence);
        self
    }

    /// A count and last offset delta that need not fit the records.
    pub(crate) fn count(mut self, count: i32, last_offset_delta: i32) -> BatchBuilder {
        self.count = Some((count, last_offset_delta));
        self
    }

    pub(crate) fn build(&self) -> Bytes {
        let mut records = Vec::new();
        for (index, value) in self.values.iter().enumerate() {
            let mut record = vec![0];
            put_varint(&mut record, self.step * index as i64);
            put_varint(&mut record, index as i64);
            put_varint(&mut record, -1);
            put_varint(&mut record, value.len() as i64);
            record.extend_from_slice(value);
            put_varint(&mut record, 0);
            put_varint(&mut records, record.len() as i64);
            records.extend_from_slice(&record);
        }
        let len = self.values.len() as i32;
        let (count, last_offset_delta) = self.count.unwrap_or((len, len - 1));
        let mut batch = BytesMut::with_capacity(HEADER_BYTES + records.len());
        batch.put_i64(0);
        batch.put_i32((HEADER_BYTES - 12 + records.len()) as i32);
        batch.put_i32(-1);
        batch.put_i8(2);
        batch.put_u32(0);
        batch.put_i16(self.attributes);
        batch.put_i32(last_offset_delta);
        batch.put_i64(self.timestamp);
        batch.put_i64(self.timestamp + self.step * i64::from(len - 1));
        batch.put_i64(self.producer.0);
        batch.put_i16(self.producer.1);
        batch.put_i32(self.producer.2);
        batch.put_i32(count);
        batch.put_slice(&records);
        let crc = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        batch.freeze()
    }
}

fn put_varint(bytes: &mut Vec<u8>, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        bytes.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    bytes.push(zigzag as u8);
}
