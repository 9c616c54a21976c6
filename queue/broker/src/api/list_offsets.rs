//! ListOffsets and OffsetForLeaderEpoch: where a log begins, ends, and what lies at a time or an epoch.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{
    ApiKey, ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
};
use tracing::warn;

use super::{Call, partition};
use crate::log::PartitionLog;

/// Timestamps with a meaning of their own.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

/// The isolation level of clients that read what is committed, in Fetch and ListOffsets.
const READ_COMMITTED: i8 = 1;

/// Whether a request asks for nothing behind the first open transaction.
pub(super) fn is_read_committed(isolation_level: i8) -> bool {
    isolation_level == READ_COMMITTED
}

/// A partition that could not be opened has no offsets to tell. A client that knows of another leader epoch than the
/// log's has to ask for metadata first.
pub(super) fn check_leader(log: &PartitionLog, known_to_client: i32) -> Result<(), ResponseError> {
    if log.is_refused() {
        return Err(ResponseError::KafkaStorageError);
    }
    let current = log.leader_epoch();
    match known_to_client {
        epoch if epoch < 0 || epoch == current => Ok(()),
        epoch if epoch < current => Err(ResponseError::FencedLeaderEpoch),
        _ => Err(ResponseError::UnknownLeaderEpoch),
    }
}

pub(super) async fn list_offsets(
    call: &Call<'_>,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let committed = is_read_committed(request.isolation_level);
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in request.topics {
        let topic = call.topic(ApiKey::ListOffsets, &asked.name);
        let mut rows = Vec::with_capacity(asked.partitions.len());
        for row in &asked.partitions {
            let found = match partition(&topic, row.partition_index) {
                Ok(log) => find(log, call.version, row, committed).await,
                Err(error) => Err(error),
            };
            let response =
                ListOffsetsPartitionResponse::default().with_partition_index(row.partition_index);
            rows.push(match found {
                Ok(found) => response
                    .with_offset(found.offset)
                    .with_timestamp(found.timestamp)
                    .with_leader_epoch(found.leader_epoch),
                Err(error) => response.with_error_code(error.code()),
            });
        }
        topics.push(
            ListOffsetsTopicResponse::default()
                .with_name(asked.name)
                .with_partitions(rows),
        );
    }
    ListOffsetsResponse::default().with_topics(topics)
}

struct Found {
    offset: i64,
    timestamp: i64,
    leader_epoch: i32,
}

async fn find(
    log: &Arc<PartitionLog>,
    version: i16,
    asked: &ListOffsetsPartition,
    committed: bool,
) -> Result<Found, ResponseError> {
    check_leader(log, asked.current_leader_epoch)?;
    let stable_end = log.last_stable_offset();
    let (offset, timestamp) = match asked.timestamp {
        LATEST if committed => (stable_end, -1),
        LATEST => (log.high_watermark(), -1),
        EARLIEST => (log.log_start(), -1),
        MAX_TIMESTAMP => by_time(log, first_of_highest_time).await?,
        timestamp if timestamp >= 0 => {
            by_time(log, move |log| log.offset_for_time(timestamp)).await?
        }
        _ => return Err(ResponseError::UnsupportedVersion),
    };
    let is_record = !matches!(asked.timestamp, LATEST | EARLIEST);
    let is_hidden = committed && is_record && offset >= stable_end;
    let (offset, timestamp) = if is_hidden {
        (-1, -1)
    } else {
        (offset, timestamp)
    };
    // Nothing found has no epoch. Older versions have no place for it, and the codec refuses to write what has none.
    let leader_epoch = if version >= 4 && offset >= 0 {
        log.leader_epoch()
    } else {
        -1
    };
    Ok(Found {
        offset,
        timestamp,
        leader_epoch,
    })
}

/// The log knows the batch; the record is looked for in it.
fn first_of_highest_time(log: &PartitionLog) -> Result<Option<(i64, i64)>, crate::log::ReadError> {
    match log.max_timestamp() {
        Some((_, highest)) => log.offset_for_time(highest),
        None => Ok(None),
    }
}

/// Runs a lookup, which reads from disk, on a blocking thread. Nothing found is offset −1.
async fn by_time(
    log: &Arc<PartitionLog>,
    lookup: impl FnOnce(&PartitionLog) -> Result<Option<(i64, i64)>, crate::log::ReadError>
    + Send
    + 'static,
) -> Result<(i64, i64), ResponseError> {
    let log = log.clone();
    let found = tokio::task::spawn_blocking(move || lookup(&log)).await;
    match found {
        Ok(Ok(found)) => Ok(found.unwrap_or((-1, -1))),
        Ok(Err(error)) => {
            warn!(%error, "time index cannot be read");
            Err(ResponseError::KafkaStorageError)
        }
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Where an epoch's records end, so that a client which read further learns that they are gone.
pub(super) fn offset_for_leader_epoch(
    call: &Call<'_>,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|asked| {
        let topic = call.topic(ApiKey::OffsetForLeaderEpoch, &asked.topic);
        let rows = asked.partitions.iter().map(|row| {
            let response = EpochEndOffset::default()
                .with_partition(row.partition)
                .with_end_offset(-1);
            let log = partition(&topic, row.partition)
                .and_then(|log| check_leader(log, row.current_leader_epoch).map(|()| log));
            let log = match log {
                Ok(log) => log,
                Err(error) => return response.with_error_code(error.code()),
            };
            match log.epoch_end(row.leader_epoch) {
                Some((epoch, end)) => response.with_leader_epoch(epoch).with_end_offset(end),
                None => response,
            }
        });
        let rows = rows.collect();
        OffsetForLeaderTopicResult::default()
            .with_topic(asked.topic)
            .with_partitions(rows)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}
