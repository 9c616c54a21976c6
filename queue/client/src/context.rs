//! librdkafka's callbacks: its log lines go to `tracing`, its troubles with the address of the queue
//! become one clear line, and its delivery reports complete the waiting [`crate::Delivery`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::sync::Notify;
use tracing::{debug, error, info, warn};

use crate::config::ClientConfig;
use crate::delivery::Ack;
use crate::error::Error;
use crate::security::Security;
use crate::{limits, metrics};

/// Shared by all handles of one client.
pub(crate) struct Context {
    bootstrap: String,
    security: Security,
    /// When the last line about an unreachable queue was written, to write few of them.
    complained: Mutex<Option<Instant>>,
    /// Woken whenever the producer's buffer got room.
    pub(crate) freed: Arc<Notify>,
}

impl Context {
    pub(crate) fn new(config: &ClientConfig) -> Context {
        Context {
            bootstrap: config.bootstrap.clone(),
            security: config.security.clone(),
            complained: Mutex::new(None),
            freed: Arc::new(Notify::new()),
        }
    }

    /// Whether there has been no line about the queue for a while.
    fn may_complain(&self) -> bool {
        ::metrics::counter!(metrics::QUEUE_UNREACHABLE).increment(1);
        let mut complained = self
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if complained.is_some_and(|at| at.elapsed() < limits::UNREACHABLE_LOG_INTERVAL) {
            return false;
        }
        *complained = Some(Instant::now());
        true
    }

    /// The queue is there and does not let us in: this does not pass by itself, but may be put right on its side.
    fn locked_out(&self, reason: &str) {
        if !self.may_complain() {
            debug!(reason, "the queue still does not let us in");
            return;
        }
        error!(
            queue = self.bootstrap,
            reason,
            "the queue at `{}` does not let us in: {}; trying on",
            self.bootstrap,
            self.security.remedy(reason)
        );
    }

    fn unreachable(&self, reason: &str) {
        if !self.may_complain() {
            debug!(reason, "the queue is still unreachable");
            return;
        }
        warn!(
            queue = self.bootstrap,
            reason,
            "the queue at `{}` cannot be reached: start it (`logboom queue`) or correct the address; trying on",
            self.bootstrap
        );
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                error!(target: "librdkafka", facility, "{message}");
            }
            // A consumer's come here alone: of its errors rdkafka passes on the code and not the words.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning
                if facility == "FAIL" && Security::is_about(message) =>
            {
                self.locked_out(message);
            }
            // Failed connections come here and to `error` below, which says it better.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning
                if facility == "FAIL" || facility == "ERROR" =>
            {
                debug!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                warn!(target: "librdkafka", facility, "{message}")
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                info!(target: "librdkafka", facility, "{message}")
            }
            RDKafkaLogLevel::Debug => debug!(target: "librdkafka", facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(
                rdkafka::types::RDKafkaErrorCode::AllBrokersDown
                | rdkafka::types::RDKafkaErrorCode::BrokerTransportFailure
                | rdkafka::types::RDKafkaErrorCode::Resolve,
            ) => self.unreachable(reason),
            Some(
                rdkafka::types::RDKafkaErrorCode::SSL
                | rdkafka::types::RDKafkaErrorCode::Authentication,
            ) => self.locked_out(reason),
            // Seen by the caller of `recv`, who decides.
            Some(rdkafka::types::RDKafkaErrorCode::AutoOffsetReset) => {
                debug!(reason, "offset out of range")
            }
            _ => warn!(%error, reason, "trouble with the queue"),
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Arc<Ack>;

    fn delivery(&self, result: &DeliveryResult<'_>, ack: Arc<Ack>) {
        match result {
            Ok(message) => ack.acked(message.partition(), message.offset()),
            Err((error, message)) => {
                ack.failed(refusal(error, message.topic(), message.payload_len()))
            }
        }
        self.freed.notify_waiters();
    }
}

/// What a failed delivery means to the caller.
pub(crate) fn refusal(error: &KafkaError, topic: &str, bytes: usize) -> Error {
    use rdkafka::types::RDKafkaErrorCode as C;
    match error.rdkafka_error_code() {
        Some(C::PurgeQueue | C::PurgeInflight) => Error::Closed,
        Some(
            C::MessageSizeTooLarge
            | C::MessageBatchTooLarge
            | C::InvalidRecord
            | C::InvalidTopic
            | C::TopicAuthorizationFailed
            | C::UnsupportedForMessageFormat
            | C::InvalidTimestamp,
        ) => Error::Refused {
            topic: topic.to_owned(),
            bytes,
            cause: Box::new(error.clone()),
        },
        _ => Error::Fatal {
            cause: Box::new(error.clone()),
        },
    }
}
