//! Members of a group that read, and commit what they were given, and remember what they were told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

const COMMIT_EVERY: usize = 50;

/// Offsets whose commit was acknowledged, over all members.
#[derive(Clone, Default)]
pub(super) struct Commits {
    told: Arc<Mutex<(HashMap<i32, i64>, usize)>>,
}

impl Commits {
    /// The last one of each partition.
    pub(super) fn told(&self) -> HashMap<i32, i64> {
        self.told.lock().unwrap().0.clone()
    }

    pub(super) fn count(&self) -> usize {
        self.told.lock().unwrap().1
    }

    fn add(&self, partition: i32, offset: i64) {
        let mut told = self.told.lock().unwrap();
        // Two members' answers may come in another order than their commits.
        let last = told.0.entry(partition).or_insert(offset);
        *last = (*last).max(offset);
        told.1 += 1;
    }

    /// Waits until the group has come to the end of the log.
    pub(super) async fn wait_for(&self, log: &[Vec<(i64, Vec<u8>)>], within: Duration) {
        let begun = Instant::now();
        let end = |partition: usize| log[partition].len() as i64;
        while (0..log.len()).any(|at| self.told().get(&(at as i32)) != Some(&end(at))) {
            assert!(
                begun.elapsed() < within,
                "the group stands at {:?}, the ends are {:?}",
                self.told(),
                (0..log.len()).map(end).collect::<Vec<_>>()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Notes that partitions were taken or given: what was read before is then no longer this member's to commit.
#[derive(Default)]
struct Rebalanced(AtomicBool);

impl ClientContext for Rebalanced {}

impl ConsumerContext for Rebalanced {
    fn pre_rebalance(&self, _: &BaseConsumer<Rebalanced>, _: &Rebalance<'_>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads until `stop`; returns what was delivered, as (partition, offset).
pub(super) async fn read(
    mut config: ClientConfig,
    commits: Commits,
    stop: CancellationToken,
) -> Vec<(i32, i64)> {
    config
        .set("group.id", super::GROUP)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", "3000")
        .set("heartbeat.interval.ms", "300")
        .set("topic.metadata.refresh.interval.ms", "500");
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer<Rebalanced> =
            config.create_with_context(Rebalanced::default()).unwrap();
        consumer.subscribe(&[super::TOPIC]).unwrap();
        let mut delivered = Vec::new();
        let mut next: HashMap<i32, i64> = HashMap::new();
        let mut since_commit = 0;
        while !stop.is_cancelled() {
            let polled = consumer.poll(Duration::from_millis(100));
            if consumer.context().0.swap(false, Ordering::Relaxed) {
                next.clear();
            }
            match polled {
                Some(Ok(message)) => {
                    delivered.push((message.partition(), message.offset()));
                    next.insert(message.partition(), message.offset() + 1);
                    since_commit += 1;
                }
                // The server is away: librdkafka goes on by itself.
                Some(Err(_)) => {}
                None => since_commit = COMMIT_EVERY,
            }
            if since_commit >= COMMIT_EVERY && !next.is_empty() {
                commit(&consumer, &mut next, &commits);
                since_commit = 0;
            }
        }
        delivered
    })
    .await
    .unwrap()
}

fn commit(consumer: &BaseConsumer<Rebalanced>, next: &mut HashMap<i32, i64>, commits: &Commits) {
    let mut offsets = TopicPartitionList::new();
    for (partition, offset) in next.iter() {
        offsets
            .add_partition_offset(super::TOPIC, *partition, Offset::Offset(*offset))
            .unwrap();
    }
    // One that fails was not promised: it is made again with what comes next.
    if consumer.commit(&offsets, CommitMode::Sync).is_ok() {
        for (partition, offset) in next.drain() {
            commits.add(partition, offset);
        }
    }
}
