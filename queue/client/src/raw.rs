//! A record as it stands in the queue, nulls and all: what is copied from one cluster to another.
//!
//! [`logboom_event::Record`] is for who reads lines: it takes `lb.*` headers off and makes empty bytes of what is
//! absent. A copy must do neither, for an absent value deletes a key where topics are compacted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Headers, Message};

use crate::consumer::RECORD_OVERHEAD_BYTES;
use crate::metrics;

/// One record of any topic of any cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// `None` for a record without a time of its own.
    pub timestamp_ms: Option<i64>,
    pub key: Option<Bytes>,
    /// `None` is a tombstone.
    pub value: Option<Bytes>,
    /// In their order; names may repeat.
    pub headers: Vec<(String, Option<Bytes>)>,
}

impl RawRecord {
    /// `name` is that of the message's topic, shared by all its records.
    pub(crate) fn read(message: &BorrowedMessage<'_>, name: Arc<str>) -> RawRecord {
        // rdkafka 0.39 panics on a header name that is not UTF-8, which any producer can send.
        let headers = catch_unwind(AssertUnwindSafe(|| headers(message))).unwrap_or_else(|_| {
            ::metrics::counter!(metrics::HEADERS_UNREADABLE).increment(1);
            Vec::new()
        });
        RawRecord {
            topic: name,
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(Bytes::copy_from_slice),
            value: message.payload().map(Bytes::copy_from_slice),
            headers,
        }
    }

    /// The value of the first header of this name that has one.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .find_map(|(found, value)| value.as_deref().filter(|_| found == name))
    }

    /// What it weighs in memory.
    pub fn bytes(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter();
        let headers: usize = headers
            .map(|(name, value)| name.len() + length(value))
            .sum();
        length(&self.key) + length(&self.value) + headers + RECORD_OVERHEAD_BYTES
    }

    /// CRC32C over key and value: tells the record at an offset from another that has taken its place.
    pub fn crc(&self) -> u32 {
        let of = |crc, bytes: &Option<Bytes>| match bytes {
            Some(bytes) => crc32c::crc32c_append(crc32c::crc32c_append(crc, &[1]), bytes),
            None => crc32c::crc32c_append(crc, &[0]),
        };
        of(of(0, &self.key), &self.value)
    }
}

fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Option<Bytes>)> {
    let found = message.headers().into_iter();
    found
        .flat_map(|headers| headers.iter())
        .map(|header| {
            (
                header.key.to_owned(),
                header.value.map(Bytes::copy_from_slice),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: Option<&'static str>, value: Option<&'static str>) -> RawRecord {
        RawRecord {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: key.map(Bytes::from),
            value: value.map(Bytes::from),
            headers: vec![
                ("a".into(), None),
                ("a".into(), Some(Bytes::from_static(b"1"))),
            ],
        }
    }

    #[test]
    fn checksums_tell_absent_from_empty_and_key_from_value() {
        let all = [
            record(None, None),
            record(None, Some("")),
            record(Some(""), None),
            record(Some("ab"), Some("c")),
            record(Some("a"), Some("bc")),
        ];
        let mut sums: Vec<u32> = all.iter().map(RawRecord::crc).collect();
        sums.sort_unstable();
        sums.dedup();
        assert_eq!(sums.len(), all.len());
    }

    #[test]
    fn a_header_without_a_value_hides_none_that_has_one() {
        let record = record(None, None);
        assert_eq!(record.header("a"), Some(b"1".as_slice()));
        assert_eq!(record.header("b"), None);
    }
}
