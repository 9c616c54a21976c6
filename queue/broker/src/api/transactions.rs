//! InitProducerId and the four requests by which a producer leads a transaction.
//!
//! Version 3 of each is the highest: from the next one on they and Produce 12 belong to the second protocol of
//! transactions (KIP-890), in which every transaction has an epoch of its own.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, ApiKey, EndTxnRequest, EndTxnResponse, InitProducerIdRequest,
    InitProducerIdResponse, ProducerId, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use metrics::counter;
use tracing::{debug, warn};

use super::offsets::{check_row, store_code};
use super::{Call, partition};
use crate::limits::{GROUP_ID_BYTES_MAX, TRANSACTION_TIMEOUT_MAX, TRANSACTIONAL_ID_BYTES_MAX};
use crate::log::Outcome;
use crate::metrics as names;
use crate::node::now_ms;
use crate::offsets::{Committed, Row};
use crate::security::{Operation, Resource};
use crate::transactions::{self, Instance, Partitions, Refusal};

/// As clients know it that know of fences; see [`code_for`] for the others.
pub(super) fn code(refusal: &Refusal) -> ResponseError {
    match refusal {
        Refusal::UnknownProducer => ResponseError::InvalidProducerIdMapping,
        Refusal::Fenced => ResponseError::ProducerFenced,
        Refusal::Concurrent => ResponseError::ConcurrentTransactions,
        Refusal::InvalidState { .. } | Refusal::NotAdded { .. } => ResponseError::InvalidTxnState,
        Refusal::TooManyPartitions
        | Refusal::TooManyGroups
        | Refusal::TooManyIds
        | Refusal::TooManyOpen
        | Refusal::TooLarge => ResponseError::PolicyViolation,
        // Retriable: there may be room, or another broker, later.
        Refusal::JournalFull | Refusal::Storage(_) | Refusal::Marker(_) | Refusal::Stopping => {
            ResponseError::CoordinatorNotAvailable
        }
    }
}

/// The code in a version of a request; `fenced_from` is the first that has one for fences.
fn code_for(call: &Call<'_>, id: &str, refusal: &Refusal, fenced_from: i16) -> i16 {
    let code = match code(refusal) {
        ResponseError::ProducerFenced if call.version < fenced_from => {
            ResponseError::InvalidProducerEpoch
        }
        code => code,
    };
    // The answers have no room for words.
    match code {
        ResponseError::CoordinatorNotAvailable | ResponseError::PolicyViolation => {
            warn!(id, %refusal, "a step of a transaction was refused");
        }
        _ => debug!(id, %refusal, "a step of a transaction was refused"),
    }
    code.code()
}

/// AddPartitionsToTxn, AddOffsetsToTxn and EndTxn know fences since this version.
const FENCED_FROM: i16 = 2;
/// InitProducerId since this one.
const INIT_FENCED_FROM: i16 = 4;

fn instance(id: ProducerId, epoch: i16) -> Instance {
    Instance {
        producer_id: id.0,
        epoch,
    }
}

pub(super) async fn init_producer_id(
    call: &Call<'_>,
    request: &InitProducerIdRequest,
) -> InitProducerIdResponse {
    let started = match &request.transactional_id {
        Some(id) => match may(call, ApiKey::InitProducerId, id) {
            Ok(()) => start(call, id, request).await,
            Err(error) => Err(error.code()),
        },
        None if !may_have_producer_id(call) => {
            Err(ResponseError::ClusterAuthorizationFailed.code())
        }
        // A producer that brings its old id wants a new start, and gets one: a fresh id with epoch 0 shares no
        // sequence numbers with anything before it.
        None => match call.node.producer_ids.next().await {
            Ok(id) => Ok(instance(ProducerId(id), 0)),
            Err(error) => {
                warn!(%error, "no producer id can be reserved");
                Err(ResponseError::CoordinatorNotAvailable.code())
            }
        },
    };
    match started {
        Ok(started) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(started.producer_id))
            .with_producer_epoch(started.epoch),
        Err(code) => InitProducerIdResponse::default()
            .with_error_code(code)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    }
}

/// As in Kafka since 3.0: who may write anywhere may do so idempotently.
fn may_have_producer_id(call: &Call<'_>) -> bool {
    let rules = &call.node.config.access;
    rules.allow_with_some_topic(&call.peer.principal, Operation::Write)
        || call.may(ApiKey::InitProducerId, Resource::Cluster)
}

fn may(call: &Call<'_>, key: ApiKey, id: &str) -> Result<(), ResponseError> {
    match call.may(key, Resource::TransactionalId(id)) {
        true => Ok(()),
        false => Err(ResponseError::TransactionalIdAuthorizationFailed),
    }
}

fn may_read(call: &Call<'_>, key: ApiKey, group: &str) -> Result<(), ResponseError> {
    match call.may(key, Resource::Group(group)) {
        true => Ok(()),
        false => Err(ResponseError::GroupAuthorizationFailed),
    }
}

async fn start(
    call: &Call<'_>,
    id: &str,
    request: &InitProducerIdRequest,
) -> Result<Instance, i16> {
    if !(1..=TRANSACTIONAL_ID_BYTES_MAX).contains(&id.len()) {
        return Err(ResponseError::InvalidRequest.code());
    }
    let timeout_ms = i64::from(request.transaction_timeout_ms);
    let timeout = Duration::from_millis(timeout_ms.max(0) as u64);
    if timeout.is_zero() || timeout > TRANSACTION_TIMEOUT_MAX {
        return Err(ResponseError::InvalidTransactionTimeout.code());
    }
    let known = match (request.producer_id.0, request.producer_epoch) {
        (-1, -1) => None,
        (producer_id, epoch) if producer_id >= 0 && epoch >= 0 => {
            Some(Instance { producer_id, epoch })
        }
        _ => return Err(ResponseError::InvalidRequest.code()),
    };
    transactions::start(call.node, id, known, timeout_ms)
        .await
        .map_err(|refusal| code_for(call, id, &refusal, INIT_FENCED_FROM))
}

/// All partitions or none: where one is unknown, the others are not attempted.
pub(super) async fn add_partitions(
    call: &Call<'_>,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let asked = request.v3_and_below_topics;
    let key = ApiKey::AddPartitionsToTxn;
    if let Err(error) = may(call, key, &request.v3_and_below_transactional_id) {
        return answer_partitions(asked, |_, _| error.code());
    }
    let check = |topic: &str, number| partition(&call.topic(key, topic), number).map(|_| ());
    let all_known = asked
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(move |number| (topic, *number)))
        .all(|(topic, number)| check(&topic.name, number).is_ok());
    if !all_known {
        return answer_partitions(asked, |topic, number| match check(topic, number) {
            Ok(()) => ResponseError::OperationNotAttempted.code(),
            Err(error) => error.code(),
        });
    }
    let mut partitions = Partitions::new();
    for topic in &asked {
        let numbers = partitions.entry(topic.name.to_string()).or_default();
        numbers.extend(&topic.partitions);
    }
    let id = &*request.v3_and_below_transactional_id;
    let by = instance(
        request.v3_and_below_producer_id,
        request.v3_and_below_producer_epoch,
    );
    let added = transactions::add(call.node, id, by, &partitions, &BTreeSet::new()).await;
    let code = added.map_or_else(|refusal| code_for(call, id, &refusal, FENCED_FROM), |()| 0);
    answer_partitions(asked, |_, _| code)
}

fn answer_partitions(
    asked: Vec<AddPartitionsToTxnTopic>,
    code: impl Fn(&str, i32) -> i16,
) -> AddPartitionsToTxnResponse {
    let topics = asked.into_iter().map(|topic| {
        let rows = topic.partitions.iter().map(|number| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*number)
                .with_partition_error_code(code(&topic.name, *number))
        });
        let rows = rows.collect();
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name)
            .with_results_by_partition(rows)
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics.collect())
}

pub(super) async fn add_offsets(
    call: &Call<'_>,
    request: &AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let key = ApiKey::AddOffsetsToTxn;
    let may = may(call, key, &request.transactional_id)
        .and_then(|()| may_read(call, key, &request.group_id));
    if let Err(error) = may {
        return AddOffsetsToTxnResponse::default().with_error_code(error.code());
    }
    if !(1..=GROUP_ID_BYTES_MAX).contains(&request.group_id.len()) {
        return AddOffsetsToTxnResponse::default()
            .with_error_code(ResponseError::InvalidGroupId.code());
    }
    let id = &*request.transactional_id;
    let by = instance(request.producer_id, request.producer_epoch);
    let groups = [request.group_id.to_string()].into();
    let added = transactions::add(call.node, id, by, &Partitions::new(), &groups).await;
    let code = added.map_or_else(|refusal| code_for(call, id, &refusal, FENCED_FROM), |()| 0);
    AddOffsetsToTxnResponse::default().with_error_code(code)
}

pub(super) async fn end(call: &Call<'_>, request: &EndTxnRequest) -> EndTxnResponse {
    if let Err(error) = may(call, ApiKey::EndTxn, &request.transactional_id) {
        return EndTxnResponse::default().with_error_code(error.code());
    }
    let id = &*request.transactional_id;
    let by = instance(request.producer_id, request.producer_epoch);
    let outcome = match request.committed {
        true => Outcome::Commit,
        false => Outcome::Abort,
    };
    let ended = transactions::end(call.node, id, by, outcome).await;
    let code = ended.map_or_else(|refusal| code_for(call, id, &refusal, FENCED_FROM), |()| 0);
    EndTxnResponse::default().with_error_code(code)
}

/// Rows with an error of their own are left out; the others are stored together.
pub(super) async fn commit_offsets(
    call: &Call<'_>,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let refusal = check_member(call, &request).err();
    let time_ms = now_ms();
    let mut rows = Vec::new();
    let mut topics: Vec<TxnOffsetCommitResponseTopic> = request
        .topics
        .into_iter()
        .map(|asked| {
            let topic = call.topic(ApiKey::TxnOffsetCommit, &asked.name);
            let partitions = asked.partitions.into_iter().map(|row| {
                let index = row.partition_index;
                let metadata = row.committed_metadata.unwrap_or_default();
                let error = refusal.or(check_row(&topic, index, &metadata).err());
                if error.is_none() {
                    rows.push(Row {
                        topic: asked.name.to_string(),
                        partition: index,
                        committed: Committed {
                            offset: row.committed_offset,
                            leader_epoch: row.committed_leader_epoch,
                            metadata: metadata.to_string(),
                            time_ms,
                        },
                    });
                }
                TxnOffsetCommitResponsePartition::default()
                    .with_partition_index(index)
                    .with_error_code(error.map_or(0, |error| error.code()))
            });
            let partitions = partitions.collect();
            TxnOffsetCommitResponseTopic::default()
                .with_name(asked.name)
                .with_partitions(partitions)
        })
        .collect();
    if rows.is_empty() {
        return TxnOffsetCommitResponse::default().with_topics(topics);
    }
    counter!(names::OFFSET_COMMITS).increment(rows.len() as u64);
    let by = instance(request.producer_id, request.producer_epoch);
    let (id, group): (&str, &str) = (&request.transactional_id, &request.group_id);
    let code = match transactions::commit_offsets(call.node, id, by, group, rows).await {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            warn!(group, %error, "offsets of a transaction cannot be committed");
            store_code(&error).code()
        }
        // No version of this request has a code for fences.
        Err(refusal) => code_for(call, id, &refusal, i16::MAX),
    };
    for row in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if row.error_code == 0 {
            row.error_code = code;
        }
    }
    TxnOffsetCommitResponse::default().with_topics(topics)
}

/// Since version 3 a consumer's membership comes with its offsets, which fences members of older generations. Who says
/// nothing of it relies on its transactional id alone.
fn check_member(call: &Call<'_>, request: &TxnOffsetCommitRequest) -> Result<(), ResponseError> {
    let key = ApiKey::TxnOffsetCommit;
    may(call, key, &request.transactional_id)?;
    may_read(call, key, &request.group_id)?;
    if !(1..=GROUP_ID_BYTES_MAX).contains(&request.group_id.len()) {
        return Err(ResponseError::InvalidGroupId);
    }
    if request.generation_id < 0 && request.member_id.is_empty() {
        return Ok(());
    }
    call.node.groups.may_commit(
        Instant::now(),
        &request.group_id,
        &request.member_id,
        request.group_instance_id.as_deref(),
        request.generation_id,
    )
}
