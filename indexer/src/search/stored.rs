//! The record as a split stores it. A hit is rebuilt from it by [`Event::parse`], so everything that
//! parsing reads is here; partition and offset come from the event's id.
//!
//! Layout: one byte for the layout and the value's encoding (1 a line, 2 OTLP logs, 3 OTLP spans), then postcard. The
//! encoding is kept with the record, not known by its topic: another configuration must not read old splits
//! in another way. The origin's context, which a source's lines share, is
//! a blob of its own: decoding many records builds each context once.
//!
//! [`Event::parse`]: logboom_event::Event::parse

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use logboom_event::{Context, Encoding, EventId, Format, Origin, Record, SourceId};
use serde::{Deserialize, Serialize, Serializer};

use super::limits;

const LINE: u8 = 1;
const OTLP_LOGS: u8 = 2;
const OTLP_SPANS: u8 = 3;

#[derive(Serialize, Deserialize)]
struct StoredRecord<'a> {
    timestamp_ms: i64,
    topic: &'a str,
    #[serde(borrow)]
    key: Option<Blob<'a>>,
    #[serde(borrow)]
    headers: Vec<(&'a str, Blob<'a>)>,
    #[serde(borrow)]
    origin: Option<StoredOrigin<'a>>,
    #[serde(borrow)]
    value: Blob<'a>,
}

#[derive(Serialize, Deserialize)]
struct StoredOrigin<'a> {
    source: [u8; 16],
    prev: u64,
    offset: u64,
    end: u64,
    continues: bool,
    true_len: Option<u64>,
    #[serde(borrow)]
    context: Blob<'a>,
}

#[derive(Serialize, Deserialize)]
struct StoredContext<'a> {
    host: &'a str,
    path: &'a str,
    service: Option<&'a str>,
    format: String,
    timezone: Option<&'a str>,
}

/// Bytes written at once; serde's slices go byte by byte.
#[derive(Deserialize)]
struct Blob<'a>(&'a [u8]);

impl Serialize for Blob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

pub(crate) fn encode(record: &Record) -> Vec<u8> {
    const INFALLIBLE: &str = "a record is plain data, and memory grows";
    let context = record.origin.as_ref().map(|origin| {
        let context = &origin.context;
        let stored = StoredContext {
            host: &context.host,
            path: &context.path,
            service: context.service.as_deref(),
            format: context.format.to_string(),
            timezone: context.timezone.as_deref(),
        };
        postcard::to_stdvec(&stored).expect(INFALLIBLE)
    });
    let origin = record
        .origin
        .as_ref()
        .zip(context.as_deref())
        .map(|(origin, context)| StoredOrigin {
            source: origin.source.0,
            prev: origin.prev,
            offset: origin.offset,
            end: origin.end,
            continues: origin.continues,
            true_len: origin.true_len,
            context: Blob(context),
        });
    let stored = StoredRecord {
        timestamp_ms: record.timestamp_ms,
        topic: &record.topic,
        key: record.key.as_deref().map(Blob),
        headers: record
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), Blob(value)))
            .collect(),
        origin,
        value: Blob(&record.value),
    };
    let mut bytes = Vec::with_capacity(record.value.len() + 192);
    bytes.push(match record.encoding {
        Encoding::Line => LINE,
        Encoding::OtlpLogs => OTLP_LOGS,
        Encoding::OtlpSpans => OTLP_SPANS,
    });
    postcard::to_extend(&stored, bytes).expect(INFALLIBLE)
}

/// Why stored bytes are no record: the split is damaged, or newer than this program.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    #[error(
        "a stored record has format version {found}, this program reads {LINE} to {OTLP_SPANS}"
    )]
    Version { found: u8 },
    #[error("a stored record does not decode")]
    Decode(#[from] postcard::Error),
    #[error("a stored record names a format that this program does not know")]
    Format(#[from] logboom_event::FormatError),
    #[error("a document has no stored record")]
    Missing,
}

/// Decodes records, sharing what they share.
#[derive(Default)]
pub(crate) struct Decoder {
    contexts: HashMap<Box<[u8]>, Arc<Context>>,
    topics: HashMap<Box<str>, Arc<str>>,
}

impl Decoder {
    pub(crate) fn decode(&mut self, bytes: &Bytes, id: EventId) -> Result<Record, StoredError> {
        let (version, body) = bytes.split_first().ok_or(StoredError::Missing)?;
        let encoding = match *version {
            LINE => Encoding::Line,
            OTLP_LOGS => Encoding::OtlpLogs,
            OTLP_SPANS => Encoding::OtlpSpans,
            found => return Err(StoredError::Version { found }),
        };
        let stored: StoredRecord<'_> = postcard::from_bytes(body)?;
        let origin = match stored.origin {
            Some(origin) => Some(self.origin(&origin)?),
            None => None,
        };
        Ok(Record {
            topic: self.topic(stored.topic),
            partition: id.partition,
            offset: id.offset,
            timestamp_ms: stored.timestamp_ms,
            encoding,
            key: stored.key.map(|key| bytes.slice_ref(key.0)),
            value: bytes.slice_ref(stored.value.0),
            origin,
            headers: stored
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), bytes.slice_ref(value.0)))
                .collect(),
        })
    }

    fn origin(&mut self, stored: &StoredOrigin<'_>) -> Result<Origin, StoredError> {
        Ok(Origin {
            source: SourceId(stored.source),
            prev: stored.prev,
            offset: stored.offset,
            end: stored.end,
            continues: stored.continues,
            true_len: stored.true_len,
            context: self.context(stored.context.0)?,
        })
    }

    fn context(&mut self, blob: &[u8]) -> Result<Arc<Context>, StoredError> {
        if let Some(known) = self.contexts.get(blob) {
            return Ok(Arc::clone(known));
        }
        let stored: StoredContext<'_> = postcard::from_bytes(blob)?;
        let context = Arc::new(Context {
            host: stored.host.to_owned(),
            path: stored.path.to_owned(),
            service: stored.service.map(str::to_owned),
            format: stored.format.parse::<Format>()?,
            timezone: stored.timezone.map(str::to_owned),
        });
        if self.contexts.len() >= limits::CONTEXTS_MAX {
            self.contexts.clear();
        }
        self.contexts.insert(blob.into(), Arc::clone(&context));
        Ok(context)
    }

    fn topic(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.topics.get(name) {
            return Arc::clone(known);
        }
        let topic: Arc<str> = Arc::from(name);
        if self.topics.len() >= limits::CONTEXTS_MAX {
            self.topics.clear();
        }
        self.topics.insert(name.into(), Arc::clone(&topic));
        topic
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        let format = prop::sample::select(vec![
            "auto",
            "json",
            "logfmt",
            "syslog",
            "regex:(?<message>.*)",
        ]);
        let context = (
            "[a-z]{0,8}",
            "\\PC{0,12}",
            prop::option::of("[a-z]{1,5}"),
            format,
            prop::option::of("[A-Z]{3}"),
        );
        let origin = (
            any::<[u8; 16]>(),
            any::<[u64; 3]>(),
            any::<bool>(),
            any::<Option<u64>>(),
            context,
        );
        let encoding = prop::sample::select(vec![
            Encoding::Line,
            Encoding::OtlpLogs,
            Encoding::OtlpSpans,
        ]);
        let headers = prop::collection::vec(("[a-z]{0,6}", bytes()), 0..3);
        (
            any::<i64>(),
            encoding,
            prop::option::of(bytes()),
            bytes(),
            prop::option::of(origin),
            headers,
        )
            .prop_map(
                |(timestamp_ms, encoding, key, value, origin, headers)| Record {
                    topic: Arc::from("logs"),
                    partition: 3,
                    offset: 99,
                    timestamp_ms,
                    encoding,
                    key,
                    value,
                    origin: origin.map(
                        |(source, [prev, offset, end], continues, true_len, context)| Origin {
                            source: SourceId(source),
                            prev,
                            offset,
                            end,
                            continues,
                            true_len,
                            context: Arc::new(Context {
                                host: context.0,
                                path: context.1,
                                service: context.2,
                                format: context.3.parse().unwrap(),
                                timezone: context.4,
                            }),
                        },
                    ),
                    headers,
                },
            )
    }

    /// Items were once stored with key and headers of their request.
    #[test]
    fn an_item_that_was_stored_with_headers_still_decodes() {
        let stored = b"\x03\x0a\x01t\x01\x01k\x01\x01h\x02ab\x00\x04\x0a\x02\x12\x00";
        let id = EventId {
            incarnation: 1,
            partition: 3,
            offset: 99,
            index: 0,
        };
        let record = Decoder::default()
            .decode(&Bytes::from_static(stored), id)
            .unwrap();
        let expected = Record {
            topic: Arc::from("t"),
            partition: 3,
            offset: 99,
            timestamp_ms: 5,
            encoding: Encoding::OtlpSpans,
            key: Some(Bytes::from_static(b"k")),
            value: Bytes::from_static(b"\x0a\x02\x12\x00"),
            origin: None,
            headers: vec![("h".into(), Bytes::from_static(b"ab"))],
        };
        assert_eq!(record, expected);
    }

    proptest! {
        #[test]
        fn records_survive_storage(record in record()) {
            let id = EventId { incarnation: 1, partition: 3, offset: 99, index: 0 };
            let mut decoder = Decoder::default();
            for _ in 0..2 {
                let bytes = Bytes::from(encode(&record));
                prop_assert_eq!(decoder.decode(&bytes, id).unwrap(), record.clone());
            }
        }

        #[test]
        fn damaged_bytes_are_an_error_and_never_a_panic(record in record(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let id = EventId { incarnation: 1, partition: 3, offset: 99, index: 0 };
            let mut bytes = encode(&record);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            drop(Decoder::default().decode(&Bytes::from(bytes), id));
        }
    }
}
