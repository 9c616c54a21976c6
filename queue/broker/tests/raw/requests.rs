//! The requests that most of these tests send, and what they look for in the answers.

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use crate::common::Running;
use crate::common::wire::Wire;

pub(crate) const FETCH: i16 = 12;
pub(crate) const PRODUCE: i16 = 9;

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

pub(crate) fn produce(partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(1000)
        .with_topic_data(vec![
            TopicProduceData::default()
                .with_name(topic("logs"))
                .with_partition_data(vec![
                    PartitionProduceData::default()
                        .with_index(partition)
                        .with_records(Some(records)),
                ]),
        ])
}

pub(crate) async fn produced(wire: &mut Wire, records: Bytes) -> PartitionProduceResponse {
    let ResponseKind::Produce(response) = wire
        .call(ApiKey::Produce, PRODUCE, produce(0, -1, records))
        .await
    else {
        panic!("not a produce answer")
    };
    response.responses[0].partition_responses[0].clone()
}

pub(crate) fn fetch(partitions: &[i32], offset: i64, wait_ms: i32, min_bytes: i32) -> FetchRequest {
    let partitions = partitions
        .iter()
        .map(|partition| {
            FetchPartition::default()
                .with_partition(*partition)
                .with_fetch_offset(offset)
                .with_partition_max_bytes(1 << 20)
        })
        .collect();
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(min_bytes)
        .with_max_bytes(1 << 20)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(topic("logs"))
                .with_partitions(partitions),
        ])
}

pub(crate) fn fetched(response: ResponseKind) -> Vec<fetch_response::PartitionData> {
    let ResponseKind::Fetch(response) = response else {
        panic!("not a fetch answer")
    };
    assert_eq!((response.error_code, response.session_id), (0, 0));
    response
        .responses
        .into_iter()
        .flat_map(|topic| topic.partitions)
        .collect()
}

/// The broker still answers others.
pub(crate) async fn assert_alive(broker: &Running) {
    let mut wire = Wire::connect(broker.address).await;
    wire.call(ApiKey::ApiVersions, 3, ApiVersionsRequest::default())
        .await;
}
