//! The idempotent producer.
//!
//! Contract: records handed over by one caller for one partition arrive in that order, once, or the
//! delivery fails with [`Error::Fatal`] and the caller sends again with a new producer, letting the
//! consumers' marks drop what had arrived. A record waits for ever while the queue is away. Memory is
//! bounded by [`limits::PRODUCER_BUFFER_BYTES`]: when it is full, `send` waits.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig as Settings;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use crate::config::ClientConfig;
use crate::context::{Context, refusal};
use crate::delivery::{Ack, Delivery};
use crate::error::Error;
use crate::limits;
use crate::raw::RawRecord;

/// What the protocol says for a record without a time of its own.
const NO_TIMESTAMP: i64 = -1;

/// Sends records. Cheap to clone.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<ThreadedProducer<Context>>,
}

/// A run of records whose arrival is reported once. Dropping it closes it.
pub struct Batch {
    inner: Arc<ThreadedProducer<Context>>,
    ack: Arc<Ack>,
}

impl Producer {
    /// Does not connect yet: a queue that is away is waited for.
    pub fn new(config: &ClientConfig) -> Result<Producer, Error> {
        Producer::create(config, &config.producer())
    }

    /// A producer of copies ([`Batch::copy`]): once a record of a partition was refused, nothing more arrives, so that
    /// what stands last in a partition says up to where all was copied. Every later delivery is [`Error::Fatal`].
    pub fn of_copies(config: &ClientConfig) -> Result<Producer, Error> {
        Producer::create(config, &config.copier())
    }

    fn create(config: &ClientConfig, settings: &Settings) -> Result<Producer, Error> {
        let inner = settings
            .create_with_context(Context::new(config))
            .map_err(|source| Error::Create {
                bootstrap: config.bootstrap.clone(),
                cause: Box::new(source),
            })?;
        Ok(Producer {
            inner: Arc::new(inner),
        })
    }

    /// Hands one record over, waiting while the buffer is full. The returned delivery resolves with
    /// the queue's ack.
    #[allow(clippy::too_many_arguments)]
    pub async fn send(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: &[u8],
        timestamp_ms: i64,
        headers: &[(&str, &[u8])],
    ) -> Result<Delivery, Error> {
        let (batch, delivery) = self.batch();
        batch
            .send(topic, partition, key, value, timestamp_ms, headers)
            .await?;
        Ok(delivery)
    }

    /// Starts a run of records that are acked together.
    pub fn batch(&self) -> (Batch, Delivery) {
        let (ack, delivery) = Ack::open();
        (
            Batch {
                inner: Arc::clone(&self.inner),
                ack: Arc::new(ack),
            },
            delivery,
        )
    }

    /// Waits until everything handed over so far was reported, at most `patience`.
    pub async fn flush(&self, patience: Duration) -> Result<(), Error> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || inner.flush(patience))
            .await
            .map_err(|_| Error::Closed)?
            .map_err(|source| Error::Fatal {
                cause: Box::new(source),
            })
    }
}

impl Batch {
    /// Hands one record over, waiting while the buffer is full.
    #[allow(clippy::too_many_arguments)]
    pub async fn send(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: &[u8],
        timestamp_ms: i64,
        headers: &[(&str, &[u8])],
    ) -> Result<(), Error> {
        let mut owned = OwnedHeaders::new_with_capacity(headers.len());
        for &(key, value) in headers {
            owned = owned.insert(Header {
                key,
                value: Some(value),
            });
        }
        let mut record = BaseRecord::with_opaque_to(topic, Arc::clone(&self.ack))
            .payload(value)
            .timestamp(timestamp_ms)
            .headers(owned);
        record.partition = partition;
        record.key = key;
        self.hand_over(record).await
    }

    /// Hands a record over as it stood in another cluster, for the same topic and partition, with these headers instead
    /// of its own. librdkafka has no word for the very first millisecond of 1970: it becomes the second.
    pub async fn copy(
        &self,
        record: &RawRecord,
        headers: &[(&str, Option<&[u8]>)],
    ) -> Result<(), Error> {
        let mut owned = OwnedHeaders::new_with_capacity(headers.len());
        for &(key, value) in headers {
            owned = owned.insert(Header { key, value });
        }
        let timestamp_ms = match record.timestamp_ms {
            None => NO_TIMESTAMP,
            Some(0) => 1,
            Some(millis) => millis,
        };
        let mut copy = BaseRecord::with_opaque_to(&record.topic, Arc::clone(&self.ack))
            .partition(record.partition)
            .timestamp(timestamp_ms)
            .headers(owned);
        copy.key = record.key.as_deref();
        copy.payload = record.value.as_deref();
        self.hand_over(copy).await
    }

    async fn hand_over(
        &self,
        mut record: BaseRecord<'_, [u8], [u8], Arc<Ack>>,
    ) -> Result<(), Error> {
        let topic = record.topic;
        let bytes = record.payload.map_or(0, <[u8]>::len);
        self.ack.expect_one();
        loop {
            let freed = Arc::clone(&self.inner.context().freed);
            let notified = freed.notified();
            tokio::pin!(notified);
            // Registered before the try, so that a report between the two is not missed.
            notified.as_mut().enable();
            match self.inner.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    notified.await;
                }
                Err((error, _)) => {
                    let error = refusal(&error, topic, bytes);
                    self.ack.failed(error.clone());
                    return Err(error);
                }
            }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.ack.close();
    }
}

const _: () = assert!(limits::COPY_BUFFER_BYTES >= 2 * limits::COPIED_BYTES_MAX);
const _: () = assert!(limits::PRODUCER_BUFFER_BYTES >= 2 * limits::RECORD_BYTES_MAX);
