//! What can go wrong between us and the queue, by what the caller can do about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// An error of the client. Each message has its cause in it, before what to do, so the cause is no
/// [`std::error::Error::source`]: a report of the whole chain would say it again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings were refused: a bad address, or a build without a needed feature.
    #[error("cannot create a client of the queue at `{bootstrap}`: {cause}")]
    Create {
        bootstrap: String,
        cause: Box<KafkaError>,
    },

    /// The position asked for is not in the log: call [`crate::resume`].
    #[error("an assigned offset is not in the log any more; the checkpoint has to be resumed")]
    OffsetOutOfRange,

    /// The queue refused a record for good; sending it again cannot help.
    #[error("the queue refused a record of {bytes} bytes for topic `{topic}`: {cause}")]
    Refused {
        topic: String,
        bytes: usize,
        cause: Box<KafkaError>,
    },

    /// The producer lost its place (for example, the queue forgot its sequence numbers): make a new
    /// one and send again what was not acked; marks drop what had arrived.
    #[error("the producer cannot go on: {cause}; a new one has to send what was not acked")]
    Fatal { cause: Box<KafkaError> },

    /// The producer was closed before the queue acked.
    #[error("the producer was closed before the queue acked the record")]
    Closed,

    /// The queue did not answer in time: try again.
    #[error("cannot {what} at the queue `{bootstrap}`: {cause}; is it running and reachable?")]
    Unavailable {
        what: String,
        bootstrap: String,
        cause: Box<KafkaError>,
    },

    /// The consumer cannot go on.
    #[error("cannot {what}: {cause}")]
    Consume {
        what: &'static str,
        cause: Box<KafkaError>,
    },
}

impl Error {
    /// Whether a record was refused for its size, and so will be until it is smaller. Rights and topics can be put
    /// right by somebody.
    pub fn is_too_large(&self) -> bool {
        use RDKafkaErrorCode as C;
        let Error::Refused { cause, .. } = self else {
            return false;
        };
        matches!(
            cause.rdkafka_error_code(),
            Some(C::MessageSizeTooLarge | C::MessageBatchTooLarge)
        )
    }

    /// Whether the same call may work later without anybody changing anything.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Error::Unavailable { .. })
    }
}

/// Whether librdkafka gets over `code` by itself.
pub(crate) fn passes_by_itself(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as C;
    matches!(
        code,
        C::AllBrokersDown
            | C::BrokerTransportFailure
            | C::BrokerDestroy
            | C::Resolve
            // Not let in: somebody may put it right on either side, and `Context` says what.
            | C::SSL
            | C::Authentication
            | C::OperationTimedOut
            | C::RequestTimedOut
            | C::TimedOutQueue
            | C::WaitingForCoordinator
            | C::CoordinatorNotAvailable
            | C::CoordinatorLoadInProgress
            | C::NotCoordinator
            | C::UnknownTopicOrPartition
            | C::UnknownTopic
            | C::UnknownPartition
            | C::LeaderNotAvailable
            | C::NotLeaderForPartition
            | C::BrokerNotAvailable
            | C::ReplicaNotAvailable
            | C::NetworkException
            | C::KafkaStorageError
            | C::FencedLeaderEpoch
            | C::UnknownLeaderEpoch
            | C::OffsetNotAvailable
            | C::Retry
            | C::UnknownMemberId
            | C::RebalanceInProgress
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::refusal;

    #[test]
    fn only_a_records_size_is_too_large() {
        use RDKafkaErrorCode as C;
        for (code, is_too_large) in [
            (C::MessageSizeTooLarge, true),
            (C::MessageBatchTooLarge, true),
            (C::TopicAuthorizationFailed, false),
            (C::InvalidTopic, false),
            (C::InvalidRecord, false),
        ] {
            let error = refusal(&KafkaError::MessageProduction(code), "t", 600 << 10);
            assert!(matches!(error, Error::Refused { .. }), "{error}");
            assert_eq!(error.is_too_large(), is_too_large, "{error}");
        }
    }
}
