//! The steps of transactions carried out: what a request asks for, what time does, and what a restart finds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::entry::Start;
use super::{Entry, Instance, Partitions, Refusal, State};
use crate::log::{AppendError, Outcome, PartitionLog};
use crate::metrics as names;
use crate::node::{Node, now_ms};
use crate::offsets::{Row, StoreError};

/// How often timeouts are looked at, and ends that could not be finished are tried again.
const TICK: Duration = Duration::from_secs(1);

/// A producer starts, and with it all older instances end. `known`: the one that only wants a new epoch.
pub(crate) async fn start(
    node: &Node,
    id: &str,
    known: Option<Instance>,
    timeout_ms: i64,
) -> Result<Instance, Refusal> {
    // What `known` has become once its transaction was aborted: then it must not take over from a newer one.
    let mut expected = known;
    if node.transactions.get(id).is_none() {
        node.transactions.make_room(now_ms()).await;
    }
    loop {
        let locked = node.transactions.lock(id, true).await?;
        let Some(entry) = locked.entry.clone() else {
            let entry = Entry::new(fresh_id(node).await?, timeout_ms, now_ms());
            let instance = entry.instance;
            node.transactions.put(locked, entry).await?;
            return Ok(instance);
        };
        match entry.start(expected)? {
            Start::Answer => return Ok(entry.instance),
            Start::Raise => {
                let fresh_id = match entry.is_exhausted() {
                    true => Some(fresh_id(node).await?),
                    false => None,
                };
                let raised = entry.raise(known, fresh_id, timeout_ms, now_ms());
                let instance = raised.instance;
                node.transactions.put(locked, raised).await?;
                return Ok(instance);
            }
            Start::Abort => {
                let fenced = entry.fence(known, now_ms());
                expected = known.map(|_| fenced.instance);
                node.transactions.put(locked, fenced).await?;
                info!(
                    id,
                    "a new instance of the producer aborts the transaction of the last one"
                );
                if finish_or_leave(node, id).await.is_err() {
                    return Err(Refusal::Concurrent);
                }
            }
        }
    }
}

async fn fresh_id(node: &Node) -> Result<i64, Refusal> {
    let id = node.producer_ids.next().await;
    id.map_err(|error| Refusal::Storage(error.to_string()))
}

/// Takes partitions, or a group, into the transaction.
pub(crate) async fn add(
    node: &Node,
    id: &str,
    by: Instance,
    partitions: &Partitions,
    groups: &BTreeSet<String>,
) -> Result<(), Refusal> {
    let locked = node.transactions.lock(id, false).await?;
    let entry = locked.entry.as_ref().ok_or(Refusal::UnknownProducer)?;
    match entry.add(by, partitions, groups, now_ms())? {
        Some(next) => node.transactions.put(locked, next).await,
        None => Ok(()),
    }
}

/// Stores offsets that show when the transaction commits.
pub(crate) async fn commit_offsets(
    node: &Node,
    id: &str,
    by: Instance,
    group: &str,
    rows: Vec<Row>,
) -> Result<Result<(), StoreError>, Refusal> {
    let _admission = node.transactions.admit_to_group(id, by, group)?;
    Ok(node.offsets.pend(group, by.producer_id, rows).await)
}

/// The producer ends its transaction. The answer is the decision's, which is durable; that markers cannot be written at
/// the moment does not change it.
pub(crate) async fn end(
    node: &Node,
    id: &str,
    by: Instance,
    outcome: Outcome,
) -> Result<(), Refusal> {
    let locked = node.transactions.lock(id, false).await?;
    let entry = locked.entry.as_ref().ok_or(Refusal::UnknownProducer)?;
    if let Some(prepared) = entry.end(by, outcome, now_ms())? {
        node.transactions.put(locked, prepared).await?;
        let _the_clock_tries_again = finish_or_leave(node, id).await;
    }
    Ok(())
}

/// Finishes what is prepared, or leaves it to [`keep_time`].
async fn finish_or_leave(node: &Node, id: &str) -> Result<(), Refusal> {
    finish(node, id)
        .await
        .inspect_err(|error| warn!(id, %error, "a transaction cannot be finished yet"))
}

/// Does what a prepared transaction still lacks, see the module.
async fn finish(node: &Node, id: &str) -> Result<(), Refusal> {
    let locked = node.transactions.lock(id, false).await?;
    let Some(entry) = locked.entry.clone() else {
        return Ok(());
    };
    let State::Preparing(outcome) = entry.state else {
        return Ok(());
    };
    let slot = locked.slot.clone();
    let _nothing_is_let_in = slot.gate.write().await;
    mark(node, &entry, outcome).await?;
    node.transactions
        .put(locked, entry.complete(now_ms()))
        .await?;
    let outcome = match outcome {
        Outcome::Commit => "commit",
        Outcome::Abort => "abort",
    };
    counter!(names::TRANSACTIONS_ENDED, "outcome" => outcome).increment(1);
    Ok(())
}

/// Markers first: who goes on from the offsets finds the records decided. All of it is tried, so that one partition that
/// takes no writes holds back its own readers only.
async fn mark(node: &Node, entry: &Entry, outcome: Outcome) -> Result<(), Refusal> {
    let by = entry.instance;
    let partitions = entry.partitions.iter().flat_map(|(topic, partitions)| {
        partitions
            .iter()
            .map(move |partition| (topic.as_str(), *partition))
    });
    let markers =
        partitions.map(|(topic, partition)| mark_one(node, by, topic, partition, outcome));
    let marked = join_all(markers).await;
    let groups = entry.groups.iter().map(|group| async move {
        let commit = outcome == Outcome::Commit;
        let ended = node.offsets.end_pending(group, by.producer_id, commit);
        ended
            .await
            .map_err(|error| Refusal::Marker(format!("group `{group}`: {error}")))
    });
    let ended = join_all(groups).await;
    marked.into_iter().chain(ended).collect()
}

async fn mark_one(
    node: &Node,
    by: Instance,
    topic: &str,
    partition: i32,
    outcome: Outcome,
) -> Result<(), Refusal> {
    let log = node.topics.get(topic);
    let Some(log) = log.as_ref().and_then(|topic| topic.partition(partition)) else {
        // Deleted, and the records with it.
        return Ok(());
    };
    match log.end_transaction(by.producer_id, by.epoch, outcome).await {
        Ok(_offset) => Ok(()),
        Err(AppendError::Closed) if node.topics.get(topic).is_none() => Ok(()),
        Err(AppendError::InvalidProducerEpoch { current, found, .. }) => {
            // Only a coordinator that has lost its journal gives an id out anew.
            warn!(
                topic,
                partition,
                current,
                found,
                "a newer epoch has written, its transaction is left alone"
            );
            Ok(())
        }
        Err(error) => Err(Refusal::Marker(format!("`{topic}`/{partition}: {error}"))),
    }
}

/// Finishes what a crash or a full disk left prepared.
pub(crate) async fn finish_prepared(node: &Node) {
    let is_prepared = |entry: &Entry| matches!(entry.state, State::Preparing(_));
    for id in node.transactions.ids(is_prepared) {
        let _tried_again_at_the_next_tick = finish_or_leave(node, &id).await;
    }
}

/// Aborts transactions in the logs and offsets of groups that no transactional id has: their coordinator's journal was
/// lost, and without this they would hold back readers for ever. Only right before anybody writes.
pub(crate) async fn abort_orphans(node: &Node) {
    for (group, producer_id) in node.offsets.pending() {
        let owners = node.transactions.ids(|entry| {
            entry.instance.producer_id == producer_id
                && entry.state.is_open()
                && entry.groups.contains(&group)
        });
        if owners.is_empty() {
            let ended = node.offsets.end_pending(&group, producer_id, false).await;
            warn!(
                group,
                producer = producer_id,
                ?ended,
                "offsets of a transaction that nobody coordinates were dropped"
            );
        }
    }
    let entries = node.transactions.select(|_, entry| {
        let owns = (entry.instance.producer_id, entry.partitions.clone());
        entry.state.is_open().then_some(owns)
    });
    let has_owner = |producer_id, topic: &str, partition| {
        entries.iter().any(|(owner, partitions)| {
            let added = partitions.get(topic);
            *owner == producer_id && added.is_some_and(|added| added.contains(&partition))
        })
    };
    for topic in node.topics.list() {
        let holds_back = |log: &&Arc<PartitionLog>| log.last_stable_offset() < log.high_watermark();
        for log in topic.partitions.iter().filter(holds_back) {
            let open = log
                .active_producers()
                .into_iter()
                .filter(|producer| producer.open_from.is_some());
            for producer in open.filter(|open| !has_owner(open.id, &topic.name, log.partition())) {
                let ended = log.end_transaction(producer.id, producer.epoch, Outcome::Abort);
                match ended.await {
                    Ok(_) => {
                        warn!(topic = %topic.name, partition = log.partition(), producer = producer.id,
                        "a transaction that nobody coordinates was aborted")
                    }
                    Err(error) => {
                        warn!(topic = %topic.name, partition = log.partition(), producer = producer.id, %error,
                        "a transaction that nobody coordinates cannot be aborted before the next start")
                    }
                }
            }
        }
    }
}

/// Aborts what is open for too long, finishes what could not be, forgets what is silent, until `stop`.
pub(crate) async fn keep_time(node: &Node, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        tick(node, now_ms()).await;
    }
}

pub(super) async fn tick(node: &Node, now_ms: i64) {
    for id in node.transactions.ids(|entry| entry.is_overdue(now_ms)) {
        if let Err(error) = abort_overdue(node, &id, now_ms).await {
            warn!(id, %error, "a transaction that timed out cannot be aborted yet");
        }
    }
    finish_prepared(node).await;
    node.transactions.forget_silent(now_ms).await;
    let open = node
        .transactions
        .select(|_, entry| entry.state.is_open().then_some(entry.started_ms));
    let oldest_ms = open.iter().min().map_or(0, |started| now_ms - started);
    gauge!(names::TRANSACTIONS_OPEN).set(open.len() as f64);
    gauge!(names::TRANSACTION_OLDEST_SECONDS).set(oldest_ms as f64 / 1000.0);
}

async fn abort_overdue(node: &Node, id: &str, now_ms: i64) -> Result<(), Refusal> {
    let locked = node.transactions.lock(id, false).await?;
    let Some(entry) = locked
        .entry
        .clone()
        .filter(|entry| entry.is_overdue(now_ms))
    else {
        return Ok(());
    };
    warn!(
        id,
        timeout_ms = entry.timeout_ms,
        "a transaction timed out: it is aborted and its producer fenced"
    );
    counter!(names::TRANSACTIONS_TIMED_OUT).increment(1);
    node.transactions
        .put(locked, entry.fence(None, now_ms))
        .await
}
