//! What people see of the pipeline: agents, partitions and the indexer itself, as one JSON document.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use logboom_client::Assignment;
use serde_json::{Value, json};

use crate::{
    build::{Builder, Counts},
    catalog::Snapshot,
    limits, metrics,
};

#[derive(Default)]
pub(crate) struct Pipeline {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    agents: BTreeMap<String, Agent>,
    partitions: BTreeMap<(String, i32), Partition>,
    hot_docs: u64,
    hot_bytes: u64,
    gaps: usize,
    totals: Counts,
    last_publish_ms: Option<i64>,
    merges: u64,
}

struct Agent {
    report: Value,
    last_seen_ms: i64,
}

#[derive(Default)]
struct Partition {
    log_start: Option<i64>,
    end: Option<i64>,
    /// Next to index, and next after what is in published splits.
    next: i64,
    published: i64,
}

impl Pipeline {
    /// Takes a report of an agent, unless it is none.
    pub(crate) fn agent(&self, report: Value, seen_ms: i64) {
        let Some(id) = report["id"].as_str().map(str::to_owned) else {
            return;
        };
        let mut state = self.lock();
        if state.agents.len() >= limits::AGENTS_MAX && !state.agents.contains_key(&id) {
            return;
        }
        state.agents.insert(
            id,
            Agent {
                report,
                last_seen_ms: seen_ms,
            },
        );
        let shown = limits::AGENT_SHOWN.as_millis() as i64;
        state
            .agents
            .retain(|_, agent| agent.last_seen_ms + shown >= seen_ms);
    }

    pub(crate) fn counted(&self, counts: Counts) {
        ::metrics::counter!(metrics::RECORDS).increment(counts.indexed);
        ::metrics::counter!(metrics::BYTES).increment(counts.bytes);
        ::metrics::counter!(metrics::DUPLICATES).increment(counts.duplicates);
        ::metrics::counter!(metrics::PARSE_FAILED).increment(counts.parse_failed);
        ::metrics::counter!(metrics::POISONED).increment(counts.bare + counts.left_out);
        self.lock().totals.add(counts);
    }

    /// After a refresh or a seal.
    pub(crate) fn hot(&self, builder: &Builder) {
        let mut state = self.lock();
        state.hot_docs = builder.docs();
        state.hot_bytes = builder.raw_bytes();
        for ((topic, partition), position) in builder.positions() {
            state
                .partitions
                .entry((topic.to_string(), *partition))
                .or_default()
                .next = position.current().next_offset;
        }
        ::metrics::gauge!(metrics::HOT_BYTES).set(state.hot_bytes as f64);
        ::metrics::gauge!(metrics::LAG).set(
            state
                .partitions
                .values()
                .filter_map(Partition::lag)
                .sum::<i64>() as f64,
        );
    }

    /// Open holes; counted when something is published, for it looks at every source.
    pub(crate) fn gaps(&self, builder: &Builder) {
        let gaps = builder
            .positions()
            .map(|(_, position)| position.marks().gaps().count())
            .sum();
        self.lock().gaps = gaps;
        ::metrics::gauge!(metrics::GAPS).set(gaps as f64);
    }

    pub(crate) fn started(&self, offsets: &[Assignment]) {
        let mut state = self.lock();
        for Assignment {
            topic,
            partition,
            offset,
        } in offsets
        {
            let known = state
                .partitions
                .entry((topic.clone(), *partition))
                .or_default();
            known.published = *offset;
            known.next = known.next.max(*offset);
        }
    }

    pub(crate) fn published(&self, offsets: &[Assignment], now_ms: i64) {
        self.started(offsets);
        self.lock().last_publish_ms = Some(now_ms);
    }

    pub(crate) fn merged(&self) {
        self.lock().merges += 1;
    }

    pub(crate) fn ends(&self, topic: &str, partition: i32, log_start: i64, end: i64) {
        let mut state = self.lock();
        let known = state
            .partitions
            .entry((topic.to_owned(), partition))
            .or_default();
        known.log_start = Some(log_start);
        known.end = Some(end);
    }

    pub(crate) fn known_partitions(&self) -> Vec<(String, i32)> {
        self.lock().partitions.keys().cloned().collect()
    }

    /// The document that the page and the API show.
    pub(crate) fn document(&self, snapshot: &Snapshot) -> Value {
        let state = self.lock();
        let agents: Vec<Value> = state
            .agents
            .values()
            .map(|agent| {
                let mut report = agent.report.clone();
                report["last_seen"] = time(agent.last_seen_ms);
                report
            })
            .collect();
        let partitions: Vec<Value> = state
            .partitions
            .iter()
            .map(|((topic, partition), known)| {
                json!({
                    "topic": topic, "partition": partition,
                    "log_start": known.log_start, "end": known.end,
                    "next": known.next, "published": known.published, "lag": known.lag(),
                })
            })
            .collect();
        let split_docs: u64 = snapshot.splits.iter().map(|split| split.docs).sum();
        let hot_docs: u64 = snapshot.hot.iter().map(tantivy::Searcher::num_docs).sum();
        ::metrics::gauge!(metrics::SPLITS).set(snapshot.splits.len() as f64);
        json!({
            "agents": agents,
            "partitions": partitions,
            "indexer": {
                "complete": snapshot.complete,
                "hot_docs": hot_docs,
                "hot_bytes": state.hot_bytes,
                "splits": snapshot.splits.len(),
                "split_bytes": snapshot.splits.iter().map(|split| split.meta.file_bytes).sum::<u64>(),
                "docs": split_docs + hot_docs,
                "indexed": state.totals.indexed,
                "last_publish": state.last_publish_ms.map(time),
                "merges": state.merges,
                "parse_failed": state.totals.parse_failed,
                "poisoned": state.totals.bare + state.totals.left_out,
                "duplicates_dropped": state.totals.duplicates,
                "gaps": state.gaps,
            },
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Partition {
    fn lag(&self) -> Option<i64> {
        self.end.map(|end| (end - self.next).max(0))
    }
}

fn time(ms: i64) -> Value {
    jiff::Timestamp::from_millisecond(ms).map_or(Value::Null, |time| time.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_shown_by_its_latest_report_until_it_is_silent_for_a_day() {
        let pipeline = Pipeline::default();
        pipeline.agent(json!({"id": "a", "lines_total": 1}), 1_000);
        pipeline.agent(json!({"id": "a", "lines_total": 2}), 2_000);
        pipeline.agent(json!({"no": "id"}), 2_000);
        let document = pipeline.document(&Snapshot::default());
        assert_eq!(document["agents"].as_array().unwrap().len(), 1);
        assert_eq!(document["agents"][0]["lines_total"], 2);
        assert_eq!(document["agents"][0]["last_seen"], "1970-01-01T00:00:02Z");
        pipeline.agent(
            json!({"id": "b"}),
            3_000 + limits::AGENT_SHOWN.as_millis() as i64,
        );
        assert_eq!(
            pipeline.document(&Snapshot::default())["agents"][0]["id"],
            "b"
        );
    }

    #[test]
    fn lag_is_what_the_queue_holds_beyond_what_is_indexed() {
        let pipeline = Pipeline::default();
        pipeline.started(&[Assignment {
            topic: "logs".into(),
            partition: 0,
            offset: 7,
        }]);
        assert_eq!(
            pipeline.document(&Snapshot::default())["partitions"][0]["lag"],
            Value::Null
        );
        pipeline.ends("logs", 0, 2, 10);
        let document = pipeline.document(&Snapshot::default());
        assert_eq!(
            document["partitions"][0],
            json!({"topic": "logs", "partition": 0, "log_start": 2, "end": 10, "next": 7, "published": 7, "lag": 3})
        );
    }
}
