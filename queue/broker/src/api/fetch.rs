//! Fetch: batches as they lie in the log, with a long poll over all partitions asked for.
//!
//! The answer comes when `min_bytes` are there, when a partition has an error, when `max_wait_ms` is over, or when
//! the connection is closing. Sessions are not kept: the session id is always 0. The first batch is returned whole
//! even if it is larger than every limit of the client, which could otherwise never pass it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use metrics::counter;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tracing::warn;

use super::Call;
use super::list_offsets::check_leader;
use crate::limits::{FETCH_BYTES_MAX, FETCH_WAIT_MAX};
use crate::log::{PartitionLog, ReadError};
use crate::metrics as names;

/// The answer, and the share of the memory budget that it holds until it has been written.
pub(super) struct Fetched {
    pub(super) response: FetchResponse,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

pub(super) async fn fetch(call: &Call<'_>, request: FetchRequest) -> Fetched {
    if request.session_id != 0 {
        // Never handed out.
        let response =
            FetchResponse::default().with_error_code(ResponseError::FetchSessionIdNotFound.code());
        return Fetched {
            response,
            permit: None,
        };
    }
    let wait = Duration::from_millis(request.max_wait_ms.max(0) as u64).min(FETCH_WAIT_MAX);
    let deadline = Instant::now() + wait;
    loop {
        // Subscribed before reading, so that nothing that comes between is missed.
        let changes = subscribe(call, &request);
        let gathered = gather(call, &request).await;
        let enough = gathered.bytes >= request.min_bytes.max(0) as usize;
        if enough
            || gathered.has_error
            || Instant::now() >= deadline
            || call.peer.closing.is_cancelled()
        {
            counter!(names::FETCHED_BYTES).increment(gathered.bytes as u64);
            let response = FetchResponse::default().with_responses(gathered.topics);
            return Fetched {
                response,
                permit: gathered.permit,
            };
        }
        drop(gathered);
        tokio::select! {
            () = any_change(changes) => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = call.peer.closing.cancelled() => {}
        }
    }
}

fn subscribe(call: &Call<'_>, request: &FetchRequest) -> Vec<watch::Receiver<i64>> {
    let mut receivers = Vec::new();
    for asked in &request.topics {
        if let Some(topic) = call.node.topics.get(&asked.topic) {
            receivers.extend(
                asked
                    .partitions
                    .iter()
                    .filter_map(|row| topic.partition(row.partition))
                    // Nothing comes there, and its receiver is closed: that would count as a change for ever.
                    .filter(|log| !log.is_refused())
                    .map(|log| log.watch()),
            );
        }
    }
    receivers
}

/// Returns when a high watermark has moved, or a log is gone.
async fn any_change(receivers: Vec<watch::Receiver<i64>>) {
    let mut changes: FuturesUnordered<_> = receivers
        .into_iter()
        .map(|mut receiver| async move { receiver.changed().await.is_ok() })
        .collect();
    if changes.is_empty() {
        std::future::pending::<()>().await;
    }
    changes.next().await;
}

/// What could be read in one go over the partitions asked for.
struct Gathered {
    topics: Vec<FetchableTopicResponse>,
    bytes: usize,
    has_error: bool,
    permit: Option<OwnedSemaphorePermit>,
}

async fn gather(call: &Call<'_>, request: &FetchRequest) -> Gathered {
    let bytes_max = (request.max_bytes.max(0) as usize).min(FETCH_BYTES_MAX);
    let mut gathered = Gathered {
        topics: Vec::new(),
        bytes: 0,
        has_error: false,
        permit: None,
    };
    for asked in &request.topics {
        let topic = call.node.topics.get(&asked.topic);
        let mut rows = Vec::with_capacity(asked.partitions.len());
        for row in &asked.partitions {
            let log = topic
                .as_ref()
                .and_then(|topic| topic.partition(row.partition));
            let data = match log {
                Some(log) => read(call, log, &asked.topic, row, bytes_max, &mut gathered).await,
                None => Err(PartitionData::default()
                    .with_error_code(ResponseError::UnknownTopicOrPartition.code())
                    .with_high_watermark(-1)),
            };
            gathered.has_error |= data.is_err();
            let data = data.unwrap_or_else(|error| error);
            rows.push(data.with_partition_index(row.partition));
        }
        gathered.topics.push(
            FetchableTopicResponse::default()
                .with_topic(asked.topic.clone())
                .with_partitions(rows),
        );
    }
    gathered
}

/// One partition's row; `Err` is a row with an error code.
async fn read(
    call: &Call<'_>,
    log: &Arc<PartitionLog>,
    topic: &TopicName,
    asked: &FetchPartition,
    bytes_max: usize,
    gathered: &mut Gathered,
) -> Result<PartitionData, PartitionData> {
    let row = || {
        let high_watermark = log.high_watermark();
        PartitionData::default()
            .with_high_watermark(high_watermark)
            // No transactions: everything that is visible is stable.
            .with_last_stable_offset(high_watermark)
            // In error rows too: a client that is told −1 with "out of range" asks for ever (platformatic/kafka#304).
            .with_log_start_offset(log.log_start())
    };
    let failed = |error: ResponseError| row().with_error_code(error.code());
    check_leader(log, asked.current_leader_epoch).map_err(failed)?;

    let is_first = gathered.bytes == 0;
    let wanted =
        (asked.partition_max_bytes.max(0) as usize).min(bytes_max.saturating_sub(gathered.bytes));
    if wanted == 0 && !is_first {
        return Ok(row());
    }
    // What is caught up needs no memory.
    if asked.fetch_offset == log.high_watermark() {
        return Ok(row());
    }
    let Some(mut permit) = reserve(call, wanted.max(1), is_first).await else {
        return Ok(row());
    };
    let fetched = match log.read(asked.fetch_offset, wanted, is_first).await {
        Ok(fetched) => fetched,
        Err(ReadError::OutOfRange { .. }) => return Err(failed(ResponseError::OffsetOutOfRange)),
        // The topic was deleted meanwhile, or the broker is stopping: asking again tells.
        Err(ReadError::Closed) => return Err(failed(ResponseError::NotLeaderOrFollower)),
        Err(error @ ReadError::Storage { .. }) => {
            warn!(topic = %topic.0, partition = asked.partition, %error, "records cannot be read");
            return Err(failed(ResponseError::KafkaStorageError));
        }
    };
    // Gives back what was not used. A first batch larger than `wanted` goes beyond its reservation; a batch has a
    // maximum, so it is the budget's slack.
    let used = permit.split(fetched.bytes.len().min(wanted));
    match (&mut gathered.permit, used) {
        (Some(held), Some(used)) => held.merge(used),
        (empty @ None, used) => *empty = used,
        (Some(_), None) => {}
    }
    gathered.bytes += fetched.bytes.len();
    Ok(PartitionData::default()
        .with_high_watermark(fetched.high_watermark)
        .with_last_stable_offset(fetched.high_watermark)
        .with_log_start_offset(fetched.log_start)
        .with_records(Some(fetched.bytes)))
}

/// Waits for memory only while holding none, so two answers cannot wait for each other.
async fn reserve(call: &Call<'_>, bytes: usize, may_wait: bool) -> Option<OwnedSemaphorePermit> {
    let budget = call.node.fetch_budget.clone();
    if !may_wait {
        return budget.try_acquire_many_owned(bytes as u32).ok();
    }
    tokio::select! {
        permit = budget.acquire_many_owned(bytes as u32) => permit.ok(),
        () = call.peer.closing.cancelled() => None,
    }
}
