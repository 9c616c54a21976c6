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
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use metrics::counter;
use tracing::{debug, warn};

use super::{Call, text};
use crate::log::batch::{BatchError, Header};
use crate::log::{AppendError, PartitionLog};
use crate::metrics as names;
use crate::node::Node;
use crate::topics::Topic;

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
    } else if request.transactional_id.is_some() {
        Some((
            ResponseError::InvalidTxnState,
            "transactions are not supported".to_owned(),
        ))
    } else {
        None
    };
    let refuse_all = &refuse_all;
    // All partitions at once: they share a group commit.
    let topics = join_all(
        request
            .topic_data
            .into_iter()
            .map(|data| topic(call, data, refuse_all)),
    )
    .await;
    (request.acks != 0).then(|| ProduceResponse::default().with_responses(topics))
}

async fn topic(
    call: &Call<'_>,
    data: TopicProduceData,
    refuse_all: &Option<(ResponseError, String)>,
) -> TopicProduceResponse {
    let topic = match refuse_all {
        Some((code, message)) => Err((*code, message.clone())),
        None => call
            .node
            .topic_or_create(&data.name, true)
            .await
            .map_err(|error| (error.code(), error.to_string())),
    };
    let topic = &topic;
    let partitions = join_all(data.partition_data.into_iter().map(|data| async move {
        let index = data.index;
        let outcome = match topic {
            Ok(topic) => partition(call, topic, data).await,
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
    append(log, data.records.unwrap_or_default(), batch_bytes_max)
        .await
        .map_err(|refusal| Refusal {
            log_start: log.log_start(),
            ..refusal
        })
}

async fn append(
    log: &Arc<PartitionLog>,
    batch: Bytes,
    batch_bytes_max: usize,
) -> Result<Stored, Refusal> {
    if batch.len() > batch_bytes_max {
        let message = format!(
            "batch of `{}` bytes, at most `{batch_bytes_max}` are taken",
            batch.len()
        );
        return Err(Refusal::new(ResponseError::MessageTooLarge, message));
    }
    let header = Header::parse_and_verify(&batch)
        .map_err(|error| Refusal::new(batch_code(error), error.to_string()))?;
    if header.is_transactional() {
        return Err(Refusal::new(
            ResponseError::InvalidTxnState,
            "transactions are not supported",
        ));
    }
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

fn batch_code(error: BatchError) -> ResponseError {
    match error {
        BatchError::Length { .. } | BatchError::Checksum => ResponseError::CorruptMessage,
        BatchError::Magic { .. } => ResponseError::UnsupportedForMessageFormat,
        BatchError::Compression { .. } => ResponseError::UnsupportedCompressionType,
        BatchError::Count { .. }
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
