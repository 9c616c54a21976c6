//! Transactions by hand: the code of each refusal in each version, and what no client shows.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use crate::common::wire::{Wire, batch, sign};
use crate::common::{Running, config, start};
use crate::requests::{FETCH, PRODUCE, fetch, fetched, produce, produced, topic};

const INVALID_PRODUCER_EPOCH: i16 = 47;
const INVALID_TXN_STATE: i16 = 48;
const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
const INVALID_TRANSACTION_TIMEOUT: i16 = 50;
const PRODUCER_FENCED: i16 = 90;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn id(id: &str) -> TransactionalId {
    TransactionalId(text(id))
}

/// A producer that says every byte itself.
struct Hand {
    wire: Wire,
    producer_id: i64,
    epoch: i16,
    sequence: i32,
}

impl Hand {
    async fn new(broker: &Running) -> Hand {
        let mut wire = Wire::connect(broker.address).await;
        produced(&mut wire, batch(&["plain"]).freeze()).await;
        let mut hand = Hand {
            wire,
            producer_id: -1,
            epoch: -1,
            sequence: 0,
        };
        assert_eq!(hand.init(4).await, 0);
        hand
    }

    async fn init(&mut self, version: i16) -> i16 {
        let mut request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id("id")))
            .with_transaction_timeout_ms(60_000);
        if version >= 3 {
            request = request
                .with_producer_id(ProducerId(-1))
                .with_producer_epoch(-1);
        }
        let answer = self.wire.call(ApiKey::InitProducerId, version, request);
        let ResponseKind::InitProducerId(answer) = answer.await else {
            panic!()
        };
        if answer.error_code == 0 {
            (self.producer_id, self.epoch) = (answer.producer_id.0, answer.producer_epoch);
            self.sequence = 0;
        }
        answer.error_code
    }

    async fn add(&mut self, version: i16, partitions: &[i32]) -> Vec<i16> {
        let topics = vec![
            add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
                .with_name(topic("logs"))
                .with_partitions(partitions.to_vec()),
        ];
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id("id"))
            .with_v3_and_below_producer_id(ProducerId(self.producer_id))
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(topics);
        let answer = self.wire.call(ApiKey::AddPartitionsToTxn, version, request);
        let ResponseKind::AddPartitionsToTxn(answer) = answer.await else {
            panic!()
        };
        answer
            .results_by_topic_v3_and_below
            .iter()
            .flat_map(|topic| &topic.results_by_partition)
            .map(|row| row.partition_error_code)
            .collect()
    }

    async fn add_offsets(&mut self, version: i16) -> i16 {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(id("id"))
            .with_producer_id(ProducerId(self.producer_id))
            .with_producer_epoch(self.epoch)
            .with_group_id(GroupId(text("g")));
        match self
            .wire
            .call(ApiKey::AddOffsetsToTxn, version, request)
            .await
        {
            ResponseKind::AddOffsetsToTxn(answer) => answer.error_code,
            _ => panic!(),
        }
    }

    async fn commit_offset(&mut self, version: i16, offset: i64) -> i16 {
        let rows = vec![
            txn_offset_commit_request::TxnOffsetCommitRequestPartition::default()
                .with_committed_offset(offset)
                .with_committed_metadata(Some(text("m"))),
        ];
        let topics = vec![
            txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
                .with_name(topic("logs"))
                .with_partitions(rows),
        ];
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(id("id"))
            .with_group_id(GroupId(text("g")))
            .with_producer_id(ProducerId(self.producer_id))
            .with_producer_epoch(self.epoch)
            .with_topics(topics);
        match self
            .wire
            .call(ApiKey::TxnOffsetCommit, version, request)
            .await
        {
            ResponseKind::TxnOffsetCommit(answer) => answer.topics[0].partitions[0].error_code,
            _ => panic!(),
        }
    }

    async fn end(&mut self, version: i16, committed: bool) -> i16 {
        let request = EndTxnRequest::default()
            .with_transactional_id(id("id"))
            .with_producer_id(ProducerId(self.producer_id))
            .with_producer_epoch(self.epoch)
            .with_committed(committed);
        match self.wire.call(ApiKey::EndTxn, version, request).await {
            ResponseKind::EndTxn(answer) => answer.error_code,
            _ => panic!(),
        }
    }

    /// A batch of this producer with these attributes.
    fn batch(&self, attributes: i16) -> Bytes {
        let mut bytes: BytesMut = batch(&["x"]);
        bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
        bytes[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        bytes[51..53].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[53..57].copy_from_slice(&self.sequence.to_be_bytes());
        sign(&mut bytes);
        bytes.freeze()
    }

    async fn produce(&mut self, transactional_id: Option<&str>) -> i16 {
        let request =
            produce(0, -1, self.batch(0x10)).with_transactional_id(transactional_id.map(id));
        let code = self.produce_request(request).await;
        self.sequence += i32::from(code == 0);
        code
    }

    async fn produce_request(&mut self, request: ProduceRequest) -> i16 {
        match self.wire.call(ApiKey::Produce, PRODUCE, request).await {
            ResponseKind::Produce(answer) => answer.responses[0].partition_responses[0].error_code,
            _ => panic!(),
        }
    }
}

#[tokio::test]
async fn every_step_is_answered_in_every_version() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut hand = Hand::new(&broker).await;
    for version in 0..=4 {
        assert_eq!(hand.init(version).await, 0);
    }
    for version in 0..=3 {
        assert_eq!(hand.add(version, &[0, 1]).await, [0, 0]);
        assert_eq!(hand.produce(Some("id")).await, 0);
        assert_eq!(hand.add_offsets(version).await, 0);
        assert_eq!(hand.commit_offset(version, 7).await, 0);
        assert_eq!(hand.end(version, version % 2 == 0).await, 0);
        assert_eq!(hand.end(version, version % 2 == 0).await, 0, "a retry");
        assert_eq!(
            hand.end(version, version % 2 == 1).await,
            INVALID_TXN_STATE,
            "another end"
        );
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_transactional_batch_needs_an_open_transaction_that_has_its_partition() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut hand = Hand::new(&broker).await;
    assert_eq!(hand.produce(Some("id")).await, INVALID_TXN_STATE);
    assert_eq!(hand.add(3, &[1]).await, [0]);
    assert_eq!(hand.produce(Some("id")).await, INVALID_TXN_STATE);
    assert_eq!(hand.add(3, &[0]).await, [0]);
    assert_eq!(hand.produce(None).await, 53, "no transactional id");
    assert_eq!(
        hand.produce(Some("other")).await,
        INVALID_PRODUCER_ID_MAPPING
    );
    assert_eq!(hand.produce(Some("id")).await, 0);
    hand.epoch -= 1;
    assert_eq!(hand.produce(Some("id")).await, 87, "no epoch at all");
    hand.epoch += 2;
    assert_eq!(hand.produce(Some("id")).await, INVALID_PRODUCER_EPOCH);
    hand.epoch -= 1;
    // Markers are the broker's, and a producer does not write besides its transaction.
    let control = produce(0, -1, hand.batch(0x30)).with_transactional_id(Some(id("id")));
    assert_eq!(hand.produce_request(control).await, 87);
    let besides = produce(0, -1, hand.batch(0));
    assert_eq!(hand.produce_request(besides).await, INVALID_TXN_STATE);
    assert_eq!(hand.end(3, true).await, 0);
    assert_eq!(hand.produce(Some("id")).await, INVALID_TXN_STATE);
    assert_eq!(broker.records("logs"), 3, "plain, one record, its marker");
    broker.stop().await;
}

#[tokio::test]
async fn a_fenced_producer_is_told_in_the_words_of_its_version() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut old = Hand::new(&broker).await;
    assert_eq!(old.add(3, &[0]).await, [0]);
    let mut new = Hand::new(&broker).await;
    assert!(new.producer_id == old.producer_id && new.epoch > old.epoch);
    for version in 0..=3 {
        let code = if version < 2 {
            INVALID_PRODUCER_EPOCH
        } else {
            PRODUCER_FENCED
        };
        assert_eq!(old.add(version, &[0]).await, [code]);
        assert_eq!(old.add_offsets(version).await, code);
        assert_eq!(old.end(version, true).await, code);
        let code = old.commit_offset(version, 1).await;
        assert_eq!(code, INVALID_PRODUCER_EPOCH);
    }
    for (version, code) in [(3, INVALID_PRODUCER_EPOCH), (4, PRODUCER_FENCED)] {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id("id")))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(old.producer_id))
            .with_producer_epoch(old.epoch);
        let answer = old.wire.call(ApiKey::InitProducerId, version, request);
        let ResponseKind::InitProducerId(answer) = answer.await else {
            panic!()
        };
        assert_eq!(answer.error_code, code);
    }
    new.producer_id += 1;
    assert_eq!(new.add(3, &[0]).await, [INVALID_PRODUCER_ID_MAPPING]);
    broker.stop().await;
}

#[tokio::test]
async fn bad_requests_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut hand = Hand::new(&broker).await;
    for (name, timeout_ms, code) in [
        ("", 1000, 42),
        ("id", 0, INVALID_TRANSACTION_TIMEOUT),
        ("id", 15 * 60 * 1000 + 1, INVALID_TRANSACTION_TIMEOUT),
    ] {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id(name)))
            .with_transaction_timeout_ms(timeout_ms);
        let answer = hand.wire.call(ApiKey::InitProducerId, 1, request).await;
        let ResponseKind::InitProducerId(answer) = answer else {
            panic!()
        };
        assert_eq!(answer.error_code, code, "`{name}`, {timeout_ms}");
    }
    assert_eq!(hand.add(3, &[0, 99]).await, [55, 3], "all or none");
    assert_eq!(hand.produce(Some("id")).await, INVALID_TXN_STATE);
    assert_eq!(
        hand.commit_offset(3, 1).await,
        INVALID_TXN_STATE,
        "the group was not added"
    );
    for (version, key_type, code) in [(1, 1, 0), (1, 2, 42)] {
        let request = FindCoordinatorRequest::default()
            .with_key(text("id"))
            .with_key_type(key_type);
        let answer = hand.wire.call(ApiKey::FindCoordinator, version, request);
        let ResponseKind::FindCoordinator(answer) = answer.await else {
            panic!()
        };
        assert_eq!(answer.error_code, code);
    }
    broker.stop().await;
}

#[tokio::test]
async fn readers_of_what_is_committed_are_held_at_the_last_stable_offset() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut hand = Hand::new(&broker).await;
    let mut reader = Wire::connect(broker.address).await;
    hand.add(3, &[0]).await;
    hand.produce(Some("id")).await;
    produced(&mut reader, batch(&["behind"]).freeze()).await;

    let ends = async |reader: &mut Wire, isolation: i8, timestamp: i64| {
        let rows =
            vec![list_offsets_request::ListOffsetsPartition::default().with_timestamp(timestamp)];
        let topics = vec![
            list_offsets_request::ListOffsetsTopic::default()
                .with_name(topic("logs"))
                .with_partitions(rows),
        ];
        let request = ListOffsetsRequest::default()
            .with_isolation_level(isolation)
            .with_topics(topics);
        match reader.call(ApiKey::ListOffsets, 3, request).await {
            ResponseKind::ListOffsets(answer) => answer.topics[0].partitions[0].offset,
            _ => panic!(),
        }
    };
    assert_eq!(ends(&mut reader, 0, -1).await, 3);
    assert_eq!(ends(&mut reader, 1, -1).await, 1);
    assert_eq!(ends(&mut reader, 1, -2).await, 0);
    assert_eq!(ends(&mut reader, 1, 0).await, 0);
    let read = async |reader: &mut Wire, isolation: i8, offset: i64| {
        let request = fetch(&[0], offset, 0, 0).with_isolation_level(isolation);
        let mut rows = fetched(reader.call(ApiKey::Fetch, FETCH, request).await);
        rows.remove(0)
    };
    let all = read(&mut reader, 0, 0).await;
    assert_eq!((all.high_watermark, all.last_stable_offset), (3, 1));
    assert_eq!(all.aborted_transactions, None);
    let stable = read(&mut reader, 1, 0).await;
    let bytes = |row: &fetch_response::PartitionData| row.records.as_ref().map_or(0, Bytes::len);
    assert!(0 < bytes(&stable) && bytes(&stable) < bytes(&all));
    assert_eq!(stable.aborted_transactions, Some(vec![]));
    for offset in 1..=3 {
        let nothing = read(&mut reader, 1, offset).await;
        assert_eq!((nothing.error_code, bytes(&nothing)), (0, 0), "{offset}");
    }
    assert_eq!(read(&mut reader, 1, 4).await.error_code, 1);

    // A long poll ends with the transaction.
    let waiting = fetch(&[0], 1, 20_000, 1).with_isolation_level(1);
    let sent = reader.send(ApiKey::Fetch, FETCH, waiting).await;
    assert_eq!(hand.end(3, false).await, 0);
    let (answered, response) = reader.receive(ApiKey::Fetch, FETCH).await;
    assert_eq!(answered, sent);
    let row = fetched(response).remove(0);
    assert_eq!((row.high_watermark, row.last_stable_offset), (4, 4));
    let aborted = row.aborted_transactions.unwrap();
    assert_eq!(aborted.len(), 1);
    assert_eq!(
        (aborted[0].producer_id.0, aborted[0].first_offset),
        (hand.producer_id, 1)
    );
    broker.stop().await;
}

#[tokio::test]
async fn an_offset_that_a_transaction_may_change_is_unstable_for_those_who_ask() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut hand = Hand::new(&broker).await;
    let mut reader = Wire::connect(broker.address).await;
    let committed = async |reader: &mut Wire, version: i16, stable: bool| {
        let mut request = OffsetFetchRequest::default().with_require_stable(stable);
        if version >= 8 {
            let topics = offset_fetch_request::OffsetFetchRequestTopics::default()
                .with_name(topic("logs"))
                .with_partition_indexes(vec![0]);
            let group = offset_fetch_request::OffsetFetchRequestGroup::default()
                .with_group_id(GroupId(text("g")))
                .with_topics(Some(vec![topics]));
            request = request.with_groups(vec![group]);
        } else {
            let topics = offset_fetch_request::OffsetFetchRequestTopic::default()
                .with_name(topic("logs"))
                .with_partition_indexes(vec![0]);
            request = request
                .with_group_id(GroupId(text("g")))
                .with_topics(Some(vec![topics]));
        }
        let answer = reader.call(ApiKey::OffsetFetch, version, request).await;
        let ResponseKind::OffsetFetch(answer) = answer else {
            panic!()
        };
        if version >= 8 {
            let row = &answer.groups[0].topics[0].partitions[0];
            (row.error_code, row.committed_offset)
        } else {
            let row = &answer.topics[0].partitions[0];
            (row.error_code, row.committed_offset)
        }
    };
    hand.add_offsets(3).await;
    assert_eq!(hand.commit_offset(3, 7).await, 0);
    for version in [7, 8] {
        assert_eq!(committed(&mut reader, version, true).await, (88, -1));
        assert_eq!(committed(&mut reader, version, false).await, (0, -1));
    }
    assert_eq!(hand.end(3, true).await, 0);
    for version in [7, 8] {
        assert_eq!(committed(&mut reader, version, true).await, (0, 7));
    }
    broker.stop().await;
}

#[tokio::test]
async fn admin_tools_see_what_is_open_and_where() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let mut hand = Hand::new(&broker).await;
    hand.add(3, &[0, 1]).await;
    hand.produce(Some("id")).await;
    for (version, filter, found) in [(0, "Ongoing", 1), (1, "Empty", 0), (1, "nonsense", 0)] {
        let request = ListTransactionsRequest::default().with_state_filters(vec![text(filter)]);
        let answer = hand.wire.call(ApiKey::ListTransactions, version, request);
        let ResponseKind::ListTransactions(answer) = answer.await else {
            panic!()
        };
        assert_eq!(answer.transaction_states.len(), found, "{filter}");
        let unknown = usize::from(filter == "nonsense");
        assert_eq!(answer.unknown_state_filters.len(), unknown);
    }
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![
        id("id"),
        id("nobody"),
        id("id"),
    ]);
    let answer = hand.wire.call(ApiKey::DescribeTransactions, 0, request);
    let ResponseKind::DescribeTransactions(answer) = answer.await else {
        panic!()
    };
    let [described, nobody] = &answer.transaction_states[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(nobody.error_code, 105);
    assert_eq!(&*described.transaction_state, "Ongoing");
    assert_eq!(described.transaction_timeout_ms, 60_000);
    assert_eq!(described.topics[0].partitions, [0, 1]);
    let request = DescribeProducersRequest::default().with_topics(vec![
        describe_producers_request::TopicRequest::default()
            .with_name(topic("logs"))
            .with_partition_indexes(vec![0, 99]),
    ]);
    let answer = hand.wire.call(ApiKey::DescribeProducers, 0, request);
    let ResponseKind::DescribeProducers(answer) = answer.await else {
        panic!()
    };
    let [row, unknown] = &answer.topics[0].partitions[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(unknown.error_code, 3);
    let active = &row.active_producers[0];
    assert_eq!(
        (active.producer_id.0, active.current_txn_start_offset),
        (hand.producer_id, 1)
    );
    broker.stop().await;
}
