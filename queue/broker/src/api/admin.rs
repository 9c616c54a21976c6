//! DeleteRecords.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{ApiKey, DeleteRecordsRequest, DeleteRecordsResponse};
use tracing::warn;

use super::{Call, partition};
use crate::log::{LogError, PartitionLog};

pub(super) async fn delete_records(
    call: &Call<'_>,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in request.topics {
        let topic = call.topic(ApiKey::DeleteRecords, &asked.name);
        let mut rows = Vec::with_capacity(asked.partitions.len());
        for row in asked.partitions {
            let outcome = match partition(&topic, row.partition_index) {
                Ok(log) => delete_before(log, row.offset).await,
                Err(error) => Err(error),
            };
            let result =
                DeleteRecordsPartitionResult::default().with_partition_index(row.partition_index);
            rows.push(match outcome {
                Ok(low_watermark) => result.with_low_watermark(low_watermark),
                Err(error) => result.with_low_watermark(-1).with_error_code(error.code()),
            });
        }
        topics.push(
            DeleteRecordsTopicResult::default()
                .with_name(asked.name)
                .with_partitions(rows),
        );
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

/// −1 stands for everything that is there.
async fn delete_before(log: &Arc<PartitionLog>, offset: i64) -> Result<i64, ResponseError> {
    let log = log.clone();
    let offset = match offset {
        -1 => log.high_watermark(),
        offset if offset < 0 => return Err(ResponseError::OffsetOutOfRange),
        offset => offset,
    };
    let deleted = tokio::task::spawn_blocking(move || log.delete_before(offset)).await;
    match deleted {
        Ok(Ok(log_start)) => Ok(log_start),
        Ok(Err(LogError::OutOfRange { .. })) => Err(ResponseError::OffsetOutOfRange),
        // The topic was deleted meanwhile, or the broker is stopping: asking again tells.
        Ok(Err(LogError::Closed)) => Err(ResponseError::NotLeaderOrFollower),
        Ok(Err(error)) => {
            warn!(%error, "records cannot be deleted");
            Err(ResponseError::KafkaStorageError)
        }
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
