//! Produce: hands each partition's batch to its log as it came, and answers when it is on disk.
//!
//! The records stay opaque: only the 61-byte header is read and the checksum verified, so nothing a producer sends
//! is ever decompressed or counted out here.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ApiKey, ProduceRequest, ProduceResponse};
use metrics::counter;
use tracing::{debug, warn};

use super::{Call, text};
use crate::log::batch::{BatchError, Header};
use crate::log::{AppendError, PartitionLog};
use crate::metrics as names;
use crate::node::Node;
use crate::security::Resource;
use crate::topics::Topic;
use crate::transactions::{self, Admission, Instance};

/// An error code and the words for it.
struct Refusal {
    code: ResponseError,
    message: String,
    log_start: i64,
}

impl Refusal {
    fn new(code: ResponseError, message: impl Into<String>) -> Refusal {
        Refusal {
            code,
            message: message.into(),
            log_start: -1,
        }
    }
}

pub(super) fn topics_exist(node: &Node, request: &ProduceRequest) -> bool {
    request
        .topic_data
        .iter()
        .all(|data| node.topics.get(&data.name).is_some())
}

/// `None` when the producer asked for no answer.
pub(super) async fn produce(call: &Call<'_>, request: ProduceRequest) -> Option<ProduceResponse> {
    let refuse_all = if !(-1..=1).contains(&request.acks) {
        let acks = request.acks;
        Some((
            ResponseError::InvalidRequiredAcks,
            format!("acks `{acks}`: -1, 0 and 1 are allowed"),
        ))
    } else if let Some(id) = request.transactional_id.as_deref()
        && !call.may(ApiKey::Produce, Resource::TransactionalId(id))
    {
        Some((
            ResponseError::TransactionalIdAuthorizationFailed,
            format!("not allowed to write as transactional id `{}`", &**id),
        ))
    } else {
        None
    };
    let refuse_all = &refuse_all;
    let transactional_id = request.transactional_id.as_deref().map(|id| &**id);
    // All partitions at once: they share a group commit.
    let topics = join_all(
        request
            .topic_data
            .into_iter()
            .map(|data| topic(call, data, transactional_id, refuse_all)),
    )
    .await;
    (request.acks != 0).then(|| ProduceResponse::default().with_responses(topics))
}

async fn topic(
    call: &Call<'_>,
    data: TopicProduceData,
    transactional_id: Option<&str>,
    refuse_all: &Option<(ResponseError, String)>,
) -> TopicProduceResponse {
    let topic = match refuse_all {
        Some((code, message)) => Err((*code, message.clone())),
        None if !call.may(ApiKey::Produce, Resource::Topic(&data.name)) => Err((
            ResponseError::TopicAuthorizationFailed,
            format!("not allowed to write to topic `{}`", data.name.0),
        )),
        None => call
            .node
            .topic_or_create(&data.name, call.may_create(&data.name))
            .await
            .map_err(|error| (error.code(), error.to_string())),
    };
    let topic = &topic;
    let partitions = join_all(data.partition_data.into_iter().map(|data| async move {
        let index = data.index;
        let outcome = match topic {
            Ok(topic) => partition(call, topic, data, transactional_id).await,
            Err((code, message)) => Err(Refusal::new(*code, message.clone())),
        };
        respond(call.version, index, outcome)
    }))
    .await;
    TopicProduceResponse::default()
        .with_name(data.name)
        .with_partition_responses(partitions)
}

struct Stored {
    base_offset: i64,
    stamped_ms: Option<i64>,
    log_start: i64,
}

async fn partition(
    call: &Call<'_>,
    topic: &Topic,
    data: PartitionProduceData,
    transactional_id: Option<&str>,
) -> Result<Stored, Refusal> {
    let Some(log) = topic.partition(data.index) else {
        let message = format!("topic `{}` has no partition `{}`", topic.name, data.index);
        return Err(Refusal::new(
            ResponseError::UnknownTopicOrPartition,
            message,
        ));
    };
    let batch_bytes_max = topic
        .overrides
        .batch_bytes_max()
        .unwrap_or(call.node.config.max_batch_bytes);
    let terms = Terms {
        batch_bytes_max,
        transactional_id,
    };
    append(call, log, data.records.unwrap_or_default(), terms)
        .await
        .map_err(|refusal| Refusal {
            log_start: log.log_start(),
            ..refusal
        })
}

/// What a batch has to keep to.
struct Terms<'a> {
    batch_bytes_max: usize,
    /// Of the request.
    transactional_id: Option<&'a str>,
}

async fn append(
    call: &Call<'_>,
    log: &Arc<PartitionLog>,
    batch: Bytes,
    terms: Terms<'_>,
) -> Result<Stored, Refusal> {
    let batch_bytes_max = terms.batch_bytes_max;
    if batch.len() > batch_bytes_max {
        let message = format!(
            "batch of `{}` bytes, at most `{batch_bytes_max}` are taken",
            batch.len()
        );
        return Err(Refusal::new(ResponseError::MessageTooLarge, message));
    }
    let header = Header::parse_and_verify(&batch)
        .map_err(|error| Refusal::new(batch_code(error), error.to_string()))?;
    // Held until the batch is stored: the end of the transaction waits for it.
    let _admission = match header.is_transactional() {
        true => Some(admit(call, log, &header, terms.transactional_id)?),
        false => None,
    };
    let bytes = batch.len() as u64;
    let appended = log
        .append(batch)
        .await
        .map_err(|error| Refusal::new(append_code(&error), error.to_string()))?;
    if !appended.duplicate {
        counter!(names::PRODUCED_BYTES).increment(bytes);
        counter!(names::PRODUCED_RECORDS).increment(header.count.unsigned_abs().into());
    }
    Ok(Stored {
        base_offset: appended.base_offset,
        stamped_ms: appended.stamped_ms,
        log_start: log.log_start(),
    })
}

/// A transaction has to be open that has this partition: no record may come after its end, when nobody would write a
/// marker behind it any more.
fn admit(
    call: &Call<'_>,
    log: &PartitionLog,
    header: &Header,
    transactional_id: Option<&str>,
) -> Result<Admission, Refusal> {
    let Some(id) = transactional_id else {
        let message = "transactional batch in a request without a transactional id";
        return Err(Refusal::new(
            ResponseError::TransactionalIdAuthorizationFailed,
            message,
        ));
    };
    let by = Instance {
        producer_id: header.producer_id,
        epoch: header.producer_epoch,
    };
    call.node
        .transactions
        .admit_to_partition(id, by, log.topic(), log.partition())
        .map_err(|error| Refusal::new(admission_code(&error), error.to_string()))
}

/// What producers know from Produce: a fence is an old epoch there, and what passes by itself has to be retriable.
fn admission_code(error: &transactions::Refusal) -> ResponseError {
    match error {
        transactions::Refusal::Fenced => ResponseError::InvalidProducerEpoch,
        transactions::Refusal::Concurrent => ResponseError::NotEnoughReplicas,
        error => super::transactions::code(error),
    }
}

fn batch_code(error: BatchError) -> ResponseError {
    match error {
        // Damaged on its way: to be sent again. What follows would be as wrong the next time.
        BatchError::Checksum => ResponseError::CorruptMessage,
        BatchError::Magic { .. } => ResponseError::UnsupportedForMessageFormat,
        BatchError::Compression { .. } => ResponseError::UnsupportedCompressionType,
        BatchError::Length { .. }
        | BatchError::Count { .. }
        | BatchError::Transactional
        | BatchError::Control
        | BatchError::TimestampType
        | BatchError::Producer { .. } => ResponseError::InvalidRecord,
    }
}

fn append_code(error: &AppendError) -> ResponseError {
    match error {
        AppendError::OutOfOrderSequence { .. } => ResponseError::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ResponseError::InvalidProducerEpoch,
        AppendError::OutsideTransaction { .. } => ResponseError::InvalidTxnState,
        AppendError::StorageFull | AppendError::Storage { .. } => ResponseError::KafkaStorageError,
        AppendError::TooLarge { .. } => ResponseError::MessageTooLarge,
        AppendError::Invalid(error) => batch_code(*error),
        // The topic was deleted meanwhile, or the broker is stopping: both are found out by asking again.
        AppendError::Closed => ResponseError::NotLeaderOrFollower,
    }
}

fn respond(version: i16, index: i32, outcome: Result<Stored, Refusal>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match outcome {
        Ok(stored) => response
            .with_base_offset(stored.base_offset)
            // -1: the topic keeps the producer's times.
            .with_log_append_time_ms(stored.stamped_ms.unwrap_or(-1))
            .with_log_start_offset(stored.log_start),
        Err(refusal) => {
            counter!(names::PRODUCE_REFUSED, "error" => format!("{:?}", refusal.code)).increment(1);
            if refusal.code == ResponseError::KafkaStorageError {
                warn!(
                    partition = index,
                    reason = refusal.message,
                    "records refused for want of storage"
                );
            } else {
                debug!(
                    partition = index,
                    reason = refusal.message,
                    "records refused"
                );
            }
            // 56 is known to clients since Produce 4; before, "not leader" makes them try again.
            let code = match refusal.code {
                ResponseError::KafkaStorageError if version < 4 => {
                    ResponseError::NotLeaderOrFollower
                }
                code => code,
            };
            response
                .with_error_code(code.code())
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(refusal.log_start)
                .with_error_message(Some(text(refusal.message)))
        }
    }
}
