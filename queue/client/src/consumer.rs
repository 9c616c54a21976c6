//! A consumer by assignment: reads the partitions it is told to, from the offsets it is told.
//!
//! It never commits, never joins a group, and never moves by itself: an offset that is not in the
//! log is [`Error::OffsetOutOfRange`], which the owner of the checkpoint answers with
//! [`crate::resume`]. Trouble that passes by itself (a queue that restarts, a topic that does not
//! exist yet) is waited out inside.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use logboom_event::{ContextCache, Encoding, Record, origin_from_headers};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use crate::config::{ClientConfig, Isolation};
use crate::context::Context;
use crate::error::{Error, passes_by_itself};
use crate::raw::RawRecord;
use crate::{limits, metrics};

/// One partition and the offset to read next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// Reads records.
pub struct Consumer {
    config: ClientConfig,
    prefetch_bytes: usize,
    isolation: Isolation,
    inner: StreamConsumer<Context>,
    is_assigned: bool,
    decoder: Decoder,
    /// An error met behind records that were returned, for the next call.
    failed: Option<Error>,
}

impl Consumer {
    /// `agent_topics` are those whose `lb.*` headers are believed. Must be called inside a tokio
    /// runtime.
    pub fn new(config: &ClientConfig, agent_topics: &[String]) -> Result<Consumer, Error> {
        Consumer::bounded(config, agent_topics, limits::PREFETCH_BYTES)
    }

    /// As [`Consumer::new`], with less memory for what is fetched ahead where many consumers share a process. It is
    /// passed by what one fetch brings.
    pub fn bounded(
        config: &ClientConfig,
        agent_topics: &[String],
        prefetch_bytes: usize,
    ) -> Result<Consumer, Error> {
        Ok(Consumer {
            config: config.clone(),
            prefetch_bytes,
            isolation: Isolation::default(),
            inner: client(config, prefetch_bytes, Isolation::default())?,
            is_assigned: false,
            decoder: Decoder::new(agent_topics),
            failed: None,
        })
    }

    /// As [`Consumer::new`], for [`Consumer::recv_raw`].
    pub fn of_raw(config: &ClientConfig, isolation: Isolation) -> Result<Consumer, Error> {
        Ok(Consumer {
            config: config.clone(),
            prefetch_bytes: limits::PREFETCH_BYTES,
            isolation,
            inner: client(config, limits::PREFETCH_BYTES, isolation)?,
            is_assigned: false,
            decoder: Decoder::new(&[]),
            failed: None,
        })
    }

    /// Says how the values of these topics are to be read; all others hold lines.
    pub fn with_encodings(
        mut self,
        encodings: impl IntoIterator<Item = (String, Encoding)>,
    ) -> Consumer {
        self.decoder.encodings.extend(encodings);
        self
    }

    /// Replaces what is read. Records of an earlier assignment are not returned any more.
    pub fn assign(&mut self, assignments: &[Assignment]) -> Result<(), Error> {
        let list = partition_list(assignments)?;
        self.failed = None;
        // librdkafka forgets the positions of an earlier assignment a moment after it has taken the next one. Taken
        // for those of the next, records would count as read that are not.
        if std::mem::replace(&mut self.is_assigned, true) {
            self.inner = client(&self.config, self.prefetch_bytes, self.isolation)?;
        }
        self.inner.assign(&list).map_err(|source| Error::Consume {
            what: "assign partitions",
            cause: Box::new(source),
        })
    }

    /// Whether all that is before these offsets was returned since it was assigned, or is for no reader: a transaction
    /// ends with a marker, which takes an offset. So behind the last record of a partition there may be more.
    pub fn has_read_to(&self, ends: &[Assignment]) -> bool {
        // It fails for a client that is being destroyed, and no other.
        let positions = self.inner.position().unwrap_or_default();
        ends.iter().all(|end| {
            let position = positions.find_partition(&end.topic, end.partition);
            position.is_some_and(|position| match position.offset() {
                Offset::Offset(next) => next >= end.offset,
                _ => false,
            })
        })
    }

    /// Returns as soon as something is there and after `wait` at the latest, then perhaps with
    /// nothing. Cancel-safe: once it has taken a record from librdkafka it does not wait again.
    pub async fn recv(
        &mut self,
        records_max: usize,
        bytes_max: usize,
        wait: Duration,
    ) -> Result<Vec<Record>, Error> {
        let decoder = &mut self.decoder;
        let room = Room {
            records_max,
            bytes_max,
            wait,
        };
        receive(&self.inner, &mut self.failed, room, |message| {
            let record = decoder.decode(message);
            let bytes = record.bytes() + RECORD_OVERHEAD_BYTES;
            (record, bytes)
        })
        .await
    }

    /// As [`Consumer::recv`], and the records come as they stand.
    pub async fn recv_raw(
        &mut self,
        records_max: usize,
        bytes_max: usize,
        wait: Duration,
    ) -> Result<Vec<RawRecord>, Error> {
        let decoder = &mut self.decoder;
        let room = Room {
            records_max,
            bytes_max,
            wait,
        };
        receive(&self.inner, &mut self.failed, room, |message| {
            let record = RawRecord::read(message, decoder.topic(message.topic()).name);
            let bytes = record.bytes();
            (record, bytes)
        })
        .await
    }

    /// Stops fetching these partitions; what was fetched ahead is dropped and fetched again.
    pub fn pause(&self, partitions: &[(&str, i32)]) -> Result<(), Error> {
        self.inner
            .pause(&plain_list(partitions))
            .map_err(|source| Error::Consume {
                what: "pause partitions",
                cause: Box::new(source),
            })
    }

    /// Fetches them again.
    pub fn resume(&self, partitions: &[(&str, i32)]) -> Result<(), Error> {
        self.inner
            .resume(&plain_list(partitions))
            .map_err(|source| Error::Consume {
                what: "resume partitions",
                cause: Box::new(source),
            })
    }
}

fn client(
    config: &ClientConfig,
    prefetch_bytes: usize,
    isolation: Isolation,
) -> Result<StreamConsumer<Context>, Error> {
    config
        .reader(&config.client_id, prefetch_bytes, isolation)
        .create_with_context(Context::new(config))
        .map_err(|source| Error::Create {
            bootstrap: config.bootstrap.clone(),
            cause: Box::new(source),
        })
}

/// What a caller has room for, and how long it waits for the first.
struct Room {
    records_max: usize,
    bytes_max: usize,
    wait: Duration,
}

/// `decode` says what a message becomes and how much of the room that takes.
async fn receive<T>(
    inner: &StreamConsumer<Context>,
    told_later: &mut Option<Error>,
    room: Room,
    mut decode: impl FnMut(&BorrowedMessage<'_>) -> (T, usize),
) -> Result<Vec<T>, Error> {
    if let Some(error) = told_later.take() {
        return Err(error);
    }
    let deadline = Instant::now() + room.wait;
    let mut stream = inner.stream();
    let mut records = Vec::new();
    let mut bytes = 0;
    while records.len() < room.records_max && bytes < room.bytes_max {
        let polled = if records.is_empty() {
            timeout_at(deadline, stream.next()).await.unwrap_or(None)
        } else {
            stream.next().now_or_never().flatten()
        };
        match polled {
            None => break,
            Some(Ok(message)) => {
                let (record, taken) = decode(&message);
                bytes += taken;
                records.push(record);
            }
            Some(Err(error)) => match weigh(&error) {
                Ok(()) => {}
                Err(error) if records.is_empty() => return Err(error),
                Err(error) => {
                    // First the records that came before it: told at the next call.
                    *told_later = Some(error);
                    break;
                }
            },
        }
    }
    Ok(records)
}

/// What an error of librdkafka means to the caller; `Ok` when it passes by itself.
fn weigh(error: &KafkaError) -> Result<(), Error> {
    match error {
        KafkaError::PartitionEOF(_) => Ok(()),
        KafkaError::MessageConsumption(
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
        ) => Err(Error::OffsetOutOfRange),
        KafkaError::MessageConsumption(code) if passes_by_itself(*code) => {
            debug!(%error, "waiting for the queue");
            Ok(())
        }
        _ => Err(Error::Consume {
            what: "read from the queue",
            cause: Box::new(error.clone()),
        }),
    }
}

/// What a record costs beside its bytes, so that a million empty lines count for something.
pub(crate) const RECORD_OVERHEAD_BYTES: usize = 128;

/// Turns messages into records.
struct Decoder {
    agent_topics: Vec<String>,
    encodings: HashMap<String, Encoding>,
    /// One name per topic instead of one per record.
    topics: HashMap<String, Topic>,
    contexts: ContextCache,
}

/// What all records of a topic have in common.
#[derive(Clone)]
struct Topic {
    name: Arc<str>,
    from_agents: bool,
    encoding: Encoding,
}

impl Decoder {
    fn new(agent_topics: &[String]) -> Decoder {
        Decoder {
            agent_topics: agent_topics.to_vec(),
            encodings: HashMap::new(),
            topics: HashMap::new(),
            contexts: ContextCache::default(),
        }
    }

    fn decode(&mut self, message: &BorrowedMessage<'_>) -> Record {
        let topic = self.topic(message.topic());
        let mut record = Record {
            topic: topic.name,
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
            encoding: topic.encoding,
            key: message.key().map(Bytes::copy_from_slice),
            value: message
                .payload()
                .map(Bytes::copy_from_slice)
                .unwrap_or_default(),
            origin: None,
            headers: Vec::new(),
        };
        let Some(headers) = message.headers() else {
            return record;
        };
        // rdkafka 0.39 panics on a header name that is not UTF-8, which any producer can send.
        let Ok(headers) = catch_unwind(AssertUnwindSafe(|| headers.iter().collect::<Vec<_>>()))
        else {
            ::metrics::counter!(metrics::HEADERS_UNREADABLE).increment(1);
            return record;
        };
        if topic.from_agents {
            let pairs = headers
                .iter()
                .filter_map(|header| header.value.map(|value| (header.key, value)));
            match origin_from_headers(pairs, &mut self.contexts) {
                Ok(origin) => record.origin = origin,
                Err(error) => {
                    ::metrics::counter!(metrics::ORIGIN_UNREADABLE).increment(1);
                    warn!(topic = &*record.topic, partition = record.partition, offset = record.offset, %error,
                        "record with unreadable origin is kept as a foreign one");
                }
            }
        }
        let honoured = record.origin.is_some();
        record.headers = headers
            .iter()
            .filter(|header| !(honoured && header.key.starts_with("lb.")))
            .map(|header| {
                (
                    header.key.to_owned(),
                    Bytes::copy_from_slice(header.value.unwrap_or_default()),
                )
            })
            .collect();
        record
    }

    fn topic(&mut self, name: &str) -> Topic {
        if let Some(known) = self.topics.get(name) {
            return known.clone();
        }
        let known = Topic {
            name: Arc::from(name),
            from_agents: self.agent_topics.iter().any(|topic| topic == name),
            encoding: self.encodings.get(name).copied().unwrap_or_default(),
        };
        self.topics.insert(name.to_owned(), known.clone());
        known
    }
}

pub(crate) fn partition_list(assignments: &[Assignment]) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::with_capacity(assignments.len());
    for Assignment {
        topic,
        partition,
        offset,
    } in assignments
    {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
            .map_err(|source| Error::Consume {
                what: "name an offset",
                cause: Box::new(source),
            })?;
    }
    Ok(list)
}

fn plain_list(partitions: &[(&str, i32)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        list.add_partition(topic, *partition);
    }
    list
}
