//! Crashes at any point: what a receiver is told does not depend on them.

use std::{collections::BTreeSet, time::Duration};

use logboom_event::Record;
use proptest::prelude::*;

use super::*;
use crate::{
    readings::Reading,
    sources::Idle,
    stamp::now_ns,
    step::{Compiled, Evaluator, restored},
    testing::{S, record, rule_set},
};

const RULES: &str = r"
version: 1
receivers: [{name: ops, webhook: {url: 'http://127.0.0.1:9/'}}]
rules:
- {name: each, regex: bad, threshold: {count: 1, within: 10s, group_by: [path]}}
- {name: many, regex: bad, threshold: {count: 4, within: 30s, group_by: [host]}}
";

fn idle() -> Idle {
    Idle::new(Duration::from_secs(5), Duration::from_secs(30))
}

/// A process that can be killed: everything but the file is lost.
struct Process {
    store: Store,
    set: crate::rules::RuleSet,
    evaluator: Evaluator,
}

impl Process {
    async fn start(path: &Path, set: &crate::rules::RuleSet) -> Process {
        let store = Store::open(path).await.unwrap();
        let mut stored = store.load().await.unwrap();
        let readings = (0..2)
            .map(|partition| {
                let none = Checkpoint {
                    incarnation: 1,
                    next_offset: 0,
                    last_crc: None,
                };
                let (checkpoint, marks) = stored
                    .partitions
                    .remove(&("logs".to_owned(), partition))
                    .unwrap_or((none, Marks::default()));
                Reading::new("logs".into(), partition, checkpoint, marks)
            })
            .collect();
        let engine = restored(&set.rules, stored, idle(), now_ns());
        let compiled = Compiled::new(&set.rules, &[]).unwrap();
        Process {
            store,
            set: set.clone(),
            evaluator: Evaluator::new(engine, compiled, readings),
        }
    }

    async fn commit(&mut self) {
        let dirty = self.evaluator.engine.take();
        let progress = self.evaluator.take_progress();
        let commit = Commit {
            dirty: &dirty,
            progress: &progress,
            rules: Some(&self.set.rules),
            receivers: &self.set.receivers,
            external_url: "",
            now_ms: 0,
        };
        self.store.commit(&commit).await.unwrap();
    }

    /// Reads up to `count` records of `partition`, and commits if somebody is to be told.
    async fn read(&mut self, log: &[Vec<Record>; 2], partition: usize, count: usize, now: i64) {
        let next = self.evaluator.readings[partition].next_offset as usize;
        let records = log[partition]
            .iter()
            .skip(next)
            .take(count)
            .cloned()
            .collect();
        self.evaluator.feed(records, now);
        if self.evaluator.engine.has_transitions() {
            self.commit().await;
        }
    }

    async fn notifications(&self) -> BTreeSet<String> {
        let rows = sqlx::query("SELECT id, change FROM outbox")
            .fetch_all(self.store.database.read_pool())
            .await
            .unwrap();
        rows.iter()
            .map(|row| format!("{} {}", row.get::<String, _>(0), row.get::<String, _>(1)))
            .collect()
    }
}

#[derive(Clone, Debug)]
enum Act {
    Read(usize, usize),
    Checkpoint,
    Crash,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0usize..2, 1usize..12).prop_map(|(partition, count)| Act::Read(partition, count)),
        1 => Just(Act::Checkpoint),
        2 => Just(Act::Crash),
    ]
}

/// Two sources in order, one in each partition, and rules that keep them apart (across partitions
/// there is no order to be repeated); some records were sent twice by a restarting agent.
fn log(gaps: &[(i64, bool)], resent: &BTreeSet<usize>) -> [Vec<Record>; 2] {
    let mut log = [Vec::new(), Vec::new()];
    for source in 1..3u8 {
        let mut time = 1_700_000_000 + i64::from(source);
        let records = &mut log[usize::from(source) % 2];
        for (index, (gap, bad)) in gaps.iter().enumerate() {
            time += gap * i64::from(source);
            let stamp = crate::stamp::nanos(time * S);
            let line = format!("{stamp} {}", if *bad { "bad" } else { "good" });
            let mut one = record(source, index as u64, 1_800_000_000 * S, &line);
            for _ in 0..if resent.contains(&index) { 2 } else { 1 } {
                one.offset = records.len() as i64;
                records.push(one.clone());
            }
        }
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn crashes_change_nothing_that_is_told(
        gaps in prop::collection::vec((0i64..9, prop::bool::weighted(0.6)), 20..70),
        resent in prop::collection::btree_set(0usize..70, 0..10),
        acts in prop::collection::vec(act(), 0..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let now = 1_800_000_000 * S;
            let set = rule_set(RULES);
            let log = log(&gaps, &resent);
            let dir = tempfile::tempdir().unwrap();
            let mut calm = Process::start(&dir.path().join("calm.db"), &set).await;
            for partition in 0..2 {
                calm.read(&log, partition, usize::MAX, now).await;
            }
            calm.evaluator.engine.tick(now + 100 * S, now + 100 * S);
            calm.commit().await;

            let path = dir.path().join("rough.db");
            let mut rough = Process::start(&path, &set).await;
            for act in &acts {
                match act {
                    Act::Read(partition, count) => rough.read(&log, *partition, *count, now).await,
                    Act::Checkpoint => rough.commit().await,
                    Act::Crash => {
                        rough.store.database.close().await;
                        rough = Process::start(&path, &set).await;
                    }
                }
            }
            for partition in 0..2 {
                rough.read(&log, partition, usize::MAX, now).await;
            }
            rough.evaluator.engine.tick(now + 100 * S, now + 100 * S);
            rough.commit().await;
            let (calm, rough) = (calm.notifications().await, rough.notifications().await);
            prop_assert_eq!(calm.is_empty(), !gaps.iter().any(|(_, bad)| *bad));
            prop_assert_eq!(calm, rough);
            Ok(())
        })?;
    }
}
