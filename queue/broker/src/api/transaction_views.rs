//! What admin tools ask about transactions: ListTransactions, DescribeTransactions, DescribeProducers.

use std::collections::HashSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::describe_transactions_response::{self as described, TopicData};
use kafka_protocol::messages::list_transactions_response as listed;
use kafka_protocol::messages::{
    ApiKey, DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, ListTransactionsRequest, ListTransactionsResponse, ProducerId,
    TopicName, TransactionalId,
};

use super::{Call, partition, text};
use crate::log::{ActiveProducer, Outcome};
use crate::node::now_ms;
use crate::security::{Operation, Resource};
use crate::transactions::{Entry, State};

const STATES: [State; 6] = [
    State::Empty,
    State::Ongoing,
    State::Preparing(Outcome::Commit),
    State::Preparing(Outcome::Abort),
    State::Completed(Outcome::Commit),
    State::Completed(Outcome::Abort),
];

pub(super) fn list(call: &Call<'_>, request: &ListTransactionsRequest) -> ListTransactionsResponse {
    let now_ms = now_ms();
    let wanted: HashSet<&str> = request.state_filters.iter().map(|state| &**state).collect();
    let unknown = request
        .state_filters
        .iter()
        .filter(|name| STATES.iter().all(|state| state.name() != &***name));
    let by_id: HashSet<i64> = request.producer_id_filters.iter().map(|id| id.0).collect();
    let passes = |entry: &Entry| {
        let runs_for_ms = now_ms.saturating_sub(entry.started_ms);
        (wanted.is_empty() || wanted.contains(entry.state.name()))
            && (by_id.is_empty() || by_id.contains(&entry.instance.producer_id))
            && (request.duration_filter < 0
                || entry.state.is_open() && runs_for_ms > request.duration_filter)
    };
    // Not by `may`: to be shown less is no refusal.
    let rules = &call.node.config.access;
    let sees = |id: &str| {
        let id = Resource::TransactionalId(id);
        rules.allow(&call.peer.principal, Operation::Describe, id)
    };
    let mut found = call.node.transactions.select(|id, entry| {
        (passes(entry) && sees(id))
            .then(|| (id.to_owned(), entry.instance.producer_id, entry.state))
    });
    found.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
    let states = found.into_iter().map(|(id, producer_id, state)| {
        listed::TransactionState::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(ProducerId(producer_id))
            .with_transaction_state(text(state.name()))
    });
    ListTransactionsResponse::default()
        .with_unknown_state_filters(unknown.cloned().collect())
        .with_transaction_states(states.collect())
}

pub(super) fn describe(
    call: &Call<'_>,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    // Each once: a few bytes an id must not ask for all partitions of a transaction again and again.
    let mut seen = HashSet::new();
    let mut ids = request.transactional_ids;
    ids.retain(|id| seen.insert(id.clone()));
    let states = ids.into_iter().map(|id| {
        let may = call.may(ApiKey::DescribeTransactions, Resource::TransactionalId(&id));
        let state = match call.node.transactions.get(&id) {
            _ if !may => described::TransactionState::default()
                .with_error_code(ResponseError::TransactionalIdAuthorizationFailed.code()),
            Some(entry) => describe_one(entry),
            None => described::TransactionState::default()
                .with_error_code(ResponseError::TransactionalIdNotFound.code()),
        };
        state.with_transactional_id(id)
    });
    DescribeTransactionsResponse::default().with_transaction_states(states.collect())
}

fn describe_one(entry: Entry) -> described::TransactionState {
    let topics = entry.partitions.into_iter().map(|(topic, partitions)| {
        TopicData::default()
            .with_topic(TopicName(text(topic)))
            .with_partitions(partitions.into_iter().collect())
    });
    let started_ms = if entry.state.is_open() {
        entry.started_ms
    } else {
        -1
    };
    described::TransactionState::default()
        .with_transaction_state(text(entry.state.name()))
        .with_transaction_timeout_ms(i32::try_from(entry.timeout_ms).unwrap_or(i32::MAX))
        .with_transaction_start_time_ms(started_ms)
        .with_producer_id(ProducerId(entry.instance.producer_id))
        .with_producer_epoch(entry.instance.epoch)
        .with_topics(topics.collect())
}

pub(super) async fn producers(
    call: &Call<'_>,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let mut seen = HashSet::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in request.topics {
        let topic = call.topic(ApiKey::DescribeProducers, &asked.name);
        let mut rows = Vec::new();
        for number in asked.partition_indexes {
            if !seen.insert((asked.name.clone(), number)) {
                continue;
            }
            let row = PartitionResponse::default().with_partition_index(number);
            let log = match partition(&topic, number) {
                Ok(log) => log.clone(),
                Err(error) => {
                    rows.push(row.with_error_code(error.code()));
                    continue;
                }
            };
            // It waits for the group that is being synced.
            let active = tokio::task::spawn_blocking(move || log.active_producers()).await;
            let active = match active {
                Ok(active) => active,
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            };
            rows.push(row.with_active_producers(active.iter().map(producer).collect()));
        }
        topics.push(
            TopicResponse::default()
                .with_name(asked.name)
                .with_partitions(rows),
        );
    }
    DescribeProducersResponse::default().with_topics(topics)
}

fn producer(active: &ActiveProducer) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(active.id))
        .with_producer_epoch(active.epoch.into())
        .with_last_sequence(active.last_sequence)
        .with_last_timestamp(active.last_append_ms)
        .with_coordinator_epoch(0)
        .with_current_txn_start_offset(active.open_from.unwrap_or(-1))
}
