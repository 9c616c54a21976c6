//! Crashes at any point: what a receiver is told does not depend on them.

use std::{collections::BTreeSet, time::Duration};

use logboom_event::Record;
use proptest::prelude::*;

use super::*;
use crate::{
    readings::Reading,
    sources::Idle,
    stamp::now_ns,
    step::{Evaluator, Lanes, restored},
    testing::{S, TestSpan, record, rule_set, spans},
};

const RULES: &str = r"
version: 1
receivers: [{name: ops, webhook: {url: 'http://127.0.0.1:9/'}}]
rules:
- {name: each, regex: bad, threshold: {count: 1, within: 10s, group_by: [path]}}
- {name: many, regex: bad, threshold: {count: 4, within: 30s, group_by: [host]}}
- {name: slow, index: spans, query: 'kind:server', threshold: {quantile: p50, field: duration, above: 500ms, within: 30s, count_min: 3, group_by: [host]}}
- {name: failing, index: spans, regex: boom, threshold: {count: 2, within: 20s, group_by: [host, status]}}
";

/// Index, topic and partition of each log.
const LOGS: [(&str, &str, i32); 4] = [
    ("logs", "logs", 0),
    ("logs", "logs", 1),
    ("spans", "otlp_spans", 0),
    ("spans", "otlp_spans", 1),
];

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
        let readings = LOGS
            .into_iter()
            .map(|(index, topic, partition)| {
                let none = Checkpoint {
                    incarnation: 1,
                    next_offset: 0,
                    last_crc: None,
                };
                let (checkpoint, marks) = stored
                    .partitions
                    .remove(&(topic.to_owned(), partition))
                    .unwrap_or((none, Marks::default()));
                Reading::new(index.into(), topic.into(), partition, checkpoint, marks)
            })
            .collect();
        let engine = restored(&set.rules, stored, idle(), now_ns());
        let lanes = Lanes::new(&set.rules).unwrap();
        Process {
            store,
            set: set.clone(),
            evaluator: Evaluator::new(engine, lanes, readings),
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

    /// Reads up to `count` records of a log, and commits if somebody is to be told.
    async fn read(&mut self, logs: &[Vec<Record>; 4], log: usize, count: usize, now: i64) {
        let next = self.evaluator.readings[log].next_offset as usize;
        let records = logs[log].iter().skip(next).take(count).cloned().collect();
        self.evaluator.feed(records, now);
        if self.evaluator.engine.has_transitions() {
            self.commit().await;
        }
    }

    async fn notifications(&self) -> BTreeSet<String> {
        let rows = sqlx::query("SELECT id, body FROM outbox")
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
        6 => (0usize..4, 1usize..12).prop_map(|(log, count)| Act::Read(log, count)),
        1 => Just(Act::Checkpoint),
        2 => Just(Act::Crash),
    ]
}

/// Two sources of lines and two of spans in order, one in each partition, and rules that keep them apart
/// (across partitions there is no order to be repeated); some lines were sent twice by a restarting agent.
/// What is bad of spans is slow and has failed.
fn logs(gaps: &[(i64, bool)], resent: &BTreeSet<usize>) -> [Vec<Record>; 4] {
    let mut log = [const { Vec::new() }; 4];
    for partition in 0..2 {
        let mut time = 1_700_000_000;
        for few in gaps.chunks(3) {
            let one = |(gap, bad): &(i64, bool)| {
                time += gap * i64::from(partition + 1);
                let mut span = TestSpan::new(time * S, if *bad { 700 } else { 20 });
                span.failed = *bad;
                span
            };
            let few: Vec<TestSpan> = few.iter().map(one).collect();
            let records = &mut log[2 + partition as usize];
            let host = format!("host{partition}");
            let mut record = spans(&host, records.len() as i64, 1_800_000_000 * S, &few);
            record.partition = partition;
            records.push(record);
        }
    }
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
            let log = logs(&gaps, &resent);
            let dir = tempfile::tempdir().unwrap();
            let mut calm = Process::start(&dir.path().join("calm.db"), &set).await;
            for partition in 0..4 {
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
            for partition in 0..4 {
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
