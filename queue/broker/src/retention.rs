//! What is done on a timer: deleting what is old or too much, watching the disk, and looking how far groups are behind.
//!
//! Retention never passes what a protected group has still to read: for a topic on which it has committed anything,
//! it stops at the group's offset of each partition, and where that partition has none, it deletes nothing. When
//! the disk is nearly full the log refuses Produce by itself; here that state is only made visible.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use logboom_disk::Disk;
use metrics::gauge;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::log::PartitionLog;
use crate::metrics as names;
use crate::node::Node;
use crate::topics::Topic;

/// How often the disk is looked at: a full one must be noticed, and its recovery too, within a breath.
const DISK_INTERVAL: Duration = Duration::from_secs(1);

/// How often groups are held against the ends of the logs.
const LAG_INTERVAL: Duration = Duration::from_secs(5);

/// Runs until `stop`; a round that has begun is finished.
pub(crate) async fn run(node: Arc<Node>, disk: Arc<dyn Disk>, stop: CancellationToken) {
    let mut disk_ticks = tokio::time::interval(DISK_INTERVAL);
    let mut retention_ticks = tokio::time::interval(node.config.retention_interval);
    let mut lag_ticks = tokio::time::interval(LAG_INTERVAL.min(node.config.retention_interval));
    for ticks in [&mut disk_ticks, &mut retention_ticks, &mut lag_ticks] {
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    loop {
        let (node, disk) = (node.clone(), disk.clone());
        let round = tokio::select! {
            () = stop.cancelled() => return,
            _ = retention_ticks.tick() => tokio::task::spawn_blocking(move || apply(&node, now_ms())),
            _ = lag_ticks.tick() => tokio::task::spawn_blocking(move || node.lag.round(&node, now_ms())),
            _ = disk_ticks.tick() => tokio::task::spawn_blocking(move || look_at_disk(&node, &*disk)),
        };
        if let Err(error) = round.await {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

fn now_ms() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

fn look_at_disk(node: &Node, disk: &dyn Disk) {
    let free = match disk.free_bytes(&node.config.data_dir) {
        Ok(free) => free,
        Err(error) => {
            warn!(%error, "free space of the queue's disk is not known");
            return;
        }
    };
    let minimum = node.config.disk_free_min_bytes;
    let is_low = free < minimum;
    let was_low = node.disk_low.swap(is_low, Ordering::Relaxed);
    gauge!(names::DISK_LOW).set(if is_low { 1.0 } else { 0.0 });
    if is_low && !was_low {
        tracing::error!(
            free,
            minimum,
            "queue's disk is nearly full: new records are refused until space is freed"
        );
    } else if was_low && !is_low {
        info!(
            free,
            minimum, "queue's disk has room again: new records are taken"
        );
    }
}

fn apply(node: &Node, now_ms: i64) {
    for topic in node.topics.list() {
        for (number, log) in topic.partitions.iter().enumerate() {
            let number = number as i32;
            let start_before = log.log_start();
            let keep_from = keep_from(node, &topic, number, log);
            if let Err(error) = log.apply_retention(now_ms, keep_from) {
                warn!(topic = %topic.name, partition = number, %error, "old records cannot be deleted");
            }
            let start = log.log_start();
            node.lag.trimmed(node, &topic, number, start_before, start);
            let labels = [
                ("topic", topic.name.to_string()),
                ("partition", number.to_string()),
            ];
            gauge!(names::LOG_START, &labels).set(log.log_start() as f64);
            gauge!(names::LOG_END, &labels).set(log.high_watermark() as f64);
            gauge!(names::LOG_BYTES, &labels).set(log.size_bytes() as f64);
        }
    }
}

/// The first offset that has to stay.
fn keep_from(node: &Node, topic: &Topic, partition: i32, log: &PartitionLog) -> i64 {
    let groups = node.config.protected_groups.iter();
    groups
        .filter(|group| node.offsets.has_topic(group, &topic.name))
        .map(
            |group| match node.offsets.get(group, &topic.name, partition) {
                Some(committed) => committed.offset,
                None => log.log_start(),
            },
        )
        .min()
        .unwrap_or(i64::MAX)
}
