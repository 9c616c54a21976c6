//! Fetch: batches as they lie in the log, with a long poll over all partitions asked for.
//!
//! The answer comes when `min_bytes` are there, when a partition has an error, when `max_wait_ms` is over, or when
//! the connection is closing. Sessions are not kept: the session id is always 0. The first batch is returned whole
//! even if it is larger than every limit of the client, which could otherwise never pass it.
//!
//! A client that reads what is committed gets nothing from the first open transaction on, and with each partition the
//! aborted transactions that it has to skip. Readers of everything get everything that is synced.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::{ApiKey, FetchRequest, FetchResponse, ProducerId, TopicName};
use metrics::counter;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tracing::warn;

use super::list_offsets::{check_leader, is_read_committed};
use super::{Call, partition};
use crate::limits::{FETCH_ABORTED_MAX, FETCH_BYTES_MAX, FETCH_WAIT_MAX};
use crate::log::{Fetched, PartitionLog, ReadError};
use crate::metrics as names;

/// The answer, and the share of the memory budget that it holds until it has been written.
pub(super) struct FetchAnswer {
    pub(super) response: FetchResponse,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

pub(super) async fn fetch(call: &Call<'_>, request: FetchRequest) -> FetchAnswer {
    if request.session_id != 0 {
        // Never handed out.
        let response =
            FetchResponse::default().with_error_code(ResponseError::FetchSessionIdNotFound.code());
        return FetchAnswer {
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
            return FetchAnswer {
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
    /// Aborted transactions in `topics`.
    aborted: usize,
    has_error: bool,
    permit: Option<OwnedSemaphorePermit>,
}

async fn gather(call: &Call<'_>, request: &FetchRequest) -> Gathered {
    let bytes_max = (request.max_bytes.max(0) as usize).min(FETCH_BYTES_MAX);
    let mut gathered = Gathered {
        topics: Vec::new(),
        bytes: 0,
        aborted: 0,
        has_error: false,
        permit: None,
    };
    let committed = is_read_committed(request.isolation_level);
    for asked in &request.topics {
        let topic = call.topic(ApiKey::Fetch, &asked.topic);
        let mut rows = Vec::with_capacity(asked.partitions.len());
        for row in &asked.partitions {
            let data = match partition(&topic, row.partition) {
                Ok(log) => {
                    let wanted = Wanted {
                        topic: &asked.topic,
                        row,
                        bytes_max,
                        committed,
                    };
                    read(call, log, wanted, &mut gathered).await
                }
                Err(error) => Err(PartitionData::default()
                    .with_error_code(error.code())
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

/// What is asked of one partition.
struct Wanted<'a> {
    topic: &'a TopicName,
    row: &'a FetchPartition,
    bytes_max: usize,
    committed: bool,
}

/// One partition's row; `Err` is a row with an error code.
async fn read(
    call: &Call<'_>,
    log: &Arc<PartitionLog>,
    wanted: Wanted<'_>,
    gathered: &mut Gathered,
) -> Result<PartitionData, PartitionData> {
    let Wanted {
        topic,
        row: asked,
        bytes_max,
        committed,
    } = wanted;
    let row = || {
        PartitionData::default()
            .with_high_watermark(log.high_watermark())
            .with_last_stable_offset(log.last_stable_offset())
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
    let visible_end = if committed {
        log.last_stable_offset()
    } else {
        log.high_watermark()
    };
    if (visible_end..=log.high_watermark()).contains(&asked.fetch_offset) {
        return Ok(row());
    }
    let aborted_max = FETCH_ABORTED_MAX.saturating_sub(gathered.aborted);
    let mut room = wanted;
    let (fetched, mut permit) = loop {
        let Some(permit) = reserve(call, room.max(1), is_first).await else {
            return Ok(row());
        };
        let fetched = if committed {
            log.read_committed(asked.fetch_offset, room, aborted_max)
                .await
        } else {
            log.read(asked.fetch_offset, room).await
        };
        match fetched {
            // Whole whatever the client's limits, but nothing is read that has no reservation. This one is given
            // back before the next is waited for.
            Ok(Fetched {
                too_large: Some(bytes),
                ..
            }) if is_first => room = bytes,
            Ok(fetched) => break (fetched, permit),
            Err(ReadError::OutOfRange { .. }) => {
                return Err(failed(ResponseError::OffsetOutOfRange));
            }
            // The topic was deleted meanwhile, or the broker is stopping: asking again tells.
            Err(ReadError::Closed) => return Err(failed(ResponseError::NotLeaderOrFollower)),
            Err(error @ ReadError::Storage { .. }) => {
                warn!(topic = %topic.0, partition = asked.partition, %error, "records cannot be read");
                return Err(failed(ResponseError::KafkaStorageError));
            }
        }
    };
    // The first batch comes whatever its aborted transactions are, which is one answer's privilege as well.
    if fetched.aborted.len() > aborted_max && !is_first {
        return Ok(row());
    }
    gathered.aborted += fetched.aborted.len();
    // Gives back what was not used.
    let used = permit.split(fetched.bytes.len());
    match (&mut gathered.permit, used) {
        (Some(held), Some(used)) => held.merge(used),
        (empty @ None, used) => *empty = used,
        (Some(_), None) => {}
    }
    gathered.bytes += fetched.bytes.len();
    let aborted = fetched.aborted.iter().map(|aborted| {
        AbortedTransaction::default()
            .with_producer_id(ProducerId(aborted.producer_id))
            .with_first_offset(aborted.first_offset)
    });
    Ok(PartitionData::default()
        .with_high_watermark(fetched.high_watermark)
        .with_last_stable_offset(fetched.last_stable_offset)
        .with_log_start_offset(fetched.log_start)
        .with_aborted_transactions(committed.then(|| aborted.collect()))
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

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::fetch_request::FetchTopic;
    use kafka_protocol::protocol::StrBytes;
    use logboom_disk::SimDisk;

    use super::*;
    use crate::limits::FETCH_BYTES_IN_FLIGHT_MAX;
    use crate::log::testing::BatchBuilder;
    use crate::node::testing::{node, peer};

    #[tokio::test]
    async fn a_batch_larger_than_asked_for_counts_with_all_its_bytes() {
        let node = node(SimDisk::new(0));
        let logs = node.topics.create("t", 2).await.unwrap();
        for log in &logs.partitions {
            let batch = BatchBuilder::new(&[vec![0; 1 << 20]]).build();
            log.append(batch).await.unwrap();
        }
        let rows = [0, 1].map(|partition| {
            FetchPartition::default()
                .with_partition(partition)
                .with_partition_max_bytes(1)
        });
        let name = TopicName(StrBytes::from_static_str("t"));
        let topic = FetchTopic::default()
            .with_topic(name)
            .with_partitions(rows.to_vec());
        let request = FetchRequest::default()
            .with_max_bytes(1 << 24)
            .with_topics(vec![topic]);
        let peer = peer();
        let call = Call {
            node: &node,
            peer: &peer,
            version: 12,
            client_id: "test",
        };
        let answer = fetch(&call, request).await;
        let sizes: Vec<usize> = answer.response.responses[0]
            .partitions
            .iter()
            .map(|row| row.records.as_ref().map_or(0, bytes::Bytes::len))
            .collect();
        assert!(sizes[0] > 1 << 20 && sizes[1] == 0, "{sizes:?}");
        let left = node.fetch_budget.available_permits();
        assert_eq!(left, FETCH_BYTES_IN_FLIGHT_MAX - sizes[0]);
        drop(answer);
        let left = node.fetch_budget.available_permits();
        assert_eq!(left, FETCH_BYTES_IN_FLIGHT_MAX);
    }
}
