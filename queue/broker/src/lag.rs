//! How far each group is behind on each topic, and what retention took before a group had read it.
//!
//! A group counts from its committed offsets, whether it has members or not. Lag is told in records, in bytes, and as the
//! age of the oldest record that is unread; it is summed over a topic's partitions, of the age the largest counts.
//! A loss is an episode: it begins with the first record lost and ends when the group stands inside the log again on all
//! partitions of the topic. It is logged at both ends, however often retention runs in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use metrics::{counter, gauge};
use tracing::{info, warn};

use crate::limits::{LAG_LOOKUPS_MAX, LAG_SERIES_MAX};
use crate::log::PartitionLog;
use crate::metrics as names;
use crate::node::Node;
use crate::status::GroupStatus;
use crate::topics::Topic;

/// What stands in the place of a group or topic that has no series of its own.
const OTHER: &str = "(other)";

type Key = (String, Arc<str>);

/// One a broker.
#[derive(Default)]
pub(crate) struct Lag {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Where a group has lost something, until it is past that.
    episodes: BTreeMap<Key, u64>,
    /// Lost since the start, for those who look.
    lost: BTreeMap<Key, u64>,
    /// As of the last round.
    groups: Vec<GroupStatus>,
    /// What has a series: once told, a metric stays.
    series: BTreeSet<Key>,
}

impl Lag {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no round panics with the state in hand")
    }

    /// As of the last round, ordered by group and topic.
    pub(crate) fn groups(&self) -> Vec<GroupStatus> {
        self.lock().groups.clone()
    }

    /// Retention has moved the start of a partition's log: a group whose offset is before it has lost what lies between.
    pub(crate) fn trimmed(
        &self,
        node: &Node,
        topic: &Topic,
        partition: i32,
        before: i64,
        start: i64,
    ) {
        if start == before {
            return;
        }
        for group in node.offsets.groups() {
            let Some(committed) = node.offsets.get(&group, &topic.name, partition) else {
                continue;
            };
            let lost = start - committed.offset.max(before);
            if lost > 0 {
                self.lock().lose((group, topic.name.clone()), lost as u64);
            }
        }
    }

    /// Looks at all groups: series, ends of episodes, and what [`Lag::groups`] tells. Blocking.
    pub(crate) fn round(&self, node: &Node, now_ms: i64) {
        let mut lookups = LAG_LOOKUPS_MAX;
        let mut groups: BTreeMap<Key, GroupStatus> = BTreeMap::new();
        // Of those in an episode, who has not come out of it.
        let mut still_behind = BTreeSet::new();
        for group in node.offsets.groups() {
            for row in node.offsets.all(&group) {
                let Some(topic) = node.topics.get(&row.topic) else {
                    continue;
                };
                let Some(log) = topic.partition(row.partition) else {
                    continue;
                };
                let key = (group.clone(), topic.name.clone());
                if row.committed.offset < log.log_start() {
                    still_behind.insert(key.clone());
                }
                let behind = Behind::of(log, row.committed.offset, now_ms, &mut lookups);
                let status = groups.entry(key).or_insert_with(|| GroupStatus {
                    group: group.clone(),
                    topic: topic.name.to_string(),
                    ..GroupStatus::default()
                });
                status.lag_records += behind.records;
                status.lag_bytes += behind.bytes;
                status.lag_seconds = status.lag_seconds.max(behind.seconds);
            }
        }
        let mut state = self.lock();
        state.end_episodes(&still_behind);
        for (key, status) in &mut groups {
            status.lost_records = state.lost.get(key).copied().unwrap_or(0);
            status.is_losing = state.episodes.contains_key(key);
        }
        state.tell(&groups);
        state.groups = groups.into_values().collect();
    }
}

impl State {
    fn lose(&mut self, key: Key, records: u64) {
        *self.lost.entry(key.clone()).or_default() += records;
        let (group, topic) = self.labels(&key);
        counter!(names::LOST_TO_RETENTION, "group" => group, "topic" => topic).increment(records);
        let is_new = !self.episodes.contains_key(&key);
        if is_new {
            warn!(group = key.0, topic = %key.1, records, "retention deletes records that a group has not read: it is too slow, or the retention too short");
        }
        *self.episodes.entry(key).or_default() += records;
    }

    fn end_episodes(&mut self, still_behind: &BTreeSet<Key>) {
        self.episodes.retain(|key, records| {
            let goes_on = still_behind.contains(key);
            if !goes_on {
                info!(group = key.0, topic = %key.1, records, "group has passed what retention had deleted before it was read");
            }
            goes_on
        });
    }

    /// The labels of a pair: its own, as long as there are not too many.
    fn labels(&mut self, (group, topic): &Key) -> (String, String) {
        let key = (group.clone(), topic.clone());
        if self.series.contains(&key) || self.series.len() < LAG_SERIES_MAX {
            self.series.insert(key);
            (group.clone(), topic.to_string())
        } else {
            (OTHER.to_owned(), OTHER.to_owned())
        }
    }

    fn tell(&mut self, groups: &BTreeMap<Key, GroupStatus>) {
        let mut told: BTreeMap<(String, String), GroupStatus> = BTreeMap::new();
        for (key, status) in groups {
            let sum = told.entry(self.labels(key)).or_default();
            sum.lag_records += status.lag_records;
            sum.lag_bytes += status.lag_bytes;
            sum.lag_seconds = sum.lag_seconds.max(status.lag_seconds);
        }
        // A group or topic that is gone keeps its series, and is not behind.
        for (group, topic) in &self.series {
            told.entry((group.clone(), topic.to_string())).or_default();
        }
        for ((group, topic), status) in told {
            let labels = [("group", group), ("topic", topic)];
            gauge!(names::LAG_RECORDS, &labels).set(status.lag_records as f64);
            gauge!(names::LAG_BYTES, &labels).set(status.lag_bytes as f64);
            gauge!(names::LAG_SECONDS, &labels).set(status.lag_seconds);
        }
    }
}

/// How far one offset is behind the end of its partition.
struct Behind {
    records: u64,
    bytes: u64,
    seconds: f64,
}

impl Behind {
    /// `lookups`: how often the time of a record may still be looked up on the disk.
    fn of(log: &PartitionLog, offset: i64, now_ms: i64, lookups: &mut usize) -> Behind {
        let from = offset.max(log.log_start());
        let records = log.high_watermark().saturating_sub(from).max(0) as u64;
        if records == 0 {
            return Behind {
                records: 0,
                bytes: 0,
                seconds: 0.0,
            };
        }
        let found = match lookups.checked_sub(1) {
            Some(left) => {
                *lookups = left;
                // Damage is told, and counted, by the read itself.
                log.time_at(from).ok().flatten()
            }
            None => None,
        };
        let age_ms = found.map_or(0, |time_ms| now_ms.saturating_sub(time_ms).max(0));
        Behind {
            records,
            bytes: log.bytes_from(from),
            seconds: age_ms as f64 / 1000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logboom_disk::SimDisk;

    use crate::log::testing::BatchBuilder;
    use crate::node::testing::node;
    use crate::offsets::{Committed, Row};

    async fn commit(node: &Node, group: &str, offset: i64) {
        let committed = Committed {
            offset,
            leader_epoch: 0,
            metadata: String::new(),
            time_ms: 0,
        };
        let row = Row {
            topic: "t".to_owned(),
            partition: 0,
            committed,
        };
        node.offsets.commit(group, vec![row]).await.unwrap();
    }

    /// A node whose topic `t` has ten batches of two records, sent a second apart from 1,000 s on.
    async fn filled() -> Node {
        let node = node(SimDisk::new(0));
        let topic = node.topics.create("t", 1).await.unwrap();
        for second in 1000..1010 {
            let batch = BatchBuilder::new(&["a", "b"])
                .timestamp(second * 1000)
                .build();
            topic.partitions[0].append(batch).await.unwrap();
        }
        node
    }

    fn only(node: &Node) -> GroupStatus {
        let groups = node.lag.groups();
        let [group] = &groups[..] else {
            panic!("one group: {groups:?}")
        };
        group.clone()
    }

    #[tokio::test]
    async fn a_group_is_behind_by_records_bytes_and_the_age_of_the_oldest() {
        let node = filled().await;
        let log = node.topics.get("t").unwrap().partitions[0].clone();
        for (offset, records, seconds) in
            [(0, 20, 20.0), (5, 15, 18.0), (19, 1, 11.0), (20, 0, 0.0)]
        {
            commit(&node, "g", offset).await;
            node.lag.round(&node, 1_020_000);
            let found = only(&node);
            assert_eq!(
                (found.lag_records, found.lag_seconds),
                (records, seconds),
                "offset {offset}"
            );
            let all = log.size_bytes();
            match offset {
                0 => assert_eq!(found.lag_bytes, all),
                20 => assert_eq!(found.lag_bytes, 0),
                _ => assert!(found.lag_bytes > 0 && found.lag_bytes <= all),
            }
        }
    }

    #[tokio::test]
    async fn what_retention_took_is_lost_once_and_the_episode_ends_when_the_group_is_past_it() {
        let node = filled().await;
        let topic = node.topics.get("t").unwrap();
        let log = &topic.partitions[0];
        commit(&node, "slow", 5).await;
        for (before, to) in [(0, 4), (4, 8), (8, 12)] {
            log.delete_before(to).unwrap();
            node.lag.trimmed(&node, &topic, 0, before, to);
            node.lag.round(&node, 0);
        }
        let found = only(&node);
        assert_eq!((found.lost_records, found.is_losing), (7, true));
        assert_eq!(found.lag_records, 8, "what is lost is no lag");
        commit(&node, "slow", 13).await;
        node.lag.round(&node, 0);
        let found = only(&node);
        assert_eq!((found.lost_records, found.is_losing), (7, false));
    }

    #[test]
    fn groups_beyond_the_maximum_share_a_series() {
        let mut state = State::default();
        let key = |number: usize| (format!("g{number}"), Arc::from("t"));
        for number in 0..LAG_SERIES_MAX {
            assert_eq!(
                state.labels(&key(number)),
                (format!("g{number}"), "t".to_owned())
            );
        }
        let other = (OTHER.to_owned(), OTHER.to_owned());
        assert_eq!(state.labels(&key(LAG_SERIES_MAX)), other);
        assert_eq!(state.labels(&key(0)).0, "g0");
        assert_eq!(state.series.len(), LAG_SERIES_MAX);
    }
}
