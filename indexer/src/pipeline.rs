//! What people see of the pipeline: agents, partitions and the indexer itself, as one JSON document.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use logboom_client::Assignment;
use serde_json::{Value, json};

use crate::{
    build::{Builder, Counts},
    indexes::{Indexes, Served},
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
    indexes: BTreeMap<Arc<str>, Index>,
}

#[derive(Clone, Copy, Default)]
struct Index {
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
    /// Into which it is indexed.
    index: Option<Arc<str>>,
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

    pub(crate) fn counted(&self, index: &Arc<str>, counts: Counts) {
        for (name, count) in [
            (metrics::RECORDS, counts.indexed),
            (metrics::BYTES, counts.bytes),
            (metrics::DUPLICATES, counts.duplicates),
            (metrics::PARSE_FAILED, counts.parse_failed),
            (metrics::POISONED, counts.bare + counts.left_out),
        ] {
            ::metrics::counter!(name, "index" => Arc::clone(index)).increment(count);
        }
        self.lock().index(index).totals.add(counts);
    }

    /// After a refresh or a seal.
    pub(crate) fn hot(&self, index: &Arc<str>, builder: &Builder) {
        let mut state = self.lock();
        state.index(index).hot_bytes = builder.raw_bytes();
        for ((topic, partition), position) in builder.positions() {
            let known = state.partition(topic, *partition);
            known.index = Some(Arc::clone(index));
            known.next = position.current().next_offset;
        }
        let own = |partition: &&Partition| partition.index.as_ref() == Some(index);
        let lags = state.partitions.values().filter(own);
        let lag: i64 = lags.filter_map(Partition::lag).sum();
        let label = || Arc::clone(index);
        ::metrics::gauge!(metrics::HOT_BYTES, "index" => label()).set(builder.raw_bytes() as f64);
        ::metrics::gauge!(metrics::LAG, "index" => label()).set(lag as f64);
    }

    /// Open holes; counted when something is published, for it looks at every source.
    pub(crate) fn gaps(&self, index: &Arc<str>, builder: &Builder) {
        let gaps = builder
            .positions()
            .map(|(_, position)| position.marks().gaps().count())
            .sum();
        self.lock().index(index).gaps = gaps;
        ::metrics::gauge!(metrics::GAPS, "index" => Arc::clone(index)).set(gaps as f64);
    }

    pub(crate) fn started(&self, index: &Arc<str>, offsets: &[Assignment]) {
        let mut state = self.lock();
        for Assignment {
            topic,
            partition,
            offset,
        } in offsets
        {
            let known = state.partition(topic, *partition);
            known.index = Some(Arc::clone(index));
            known.published = *offset;
            known.next = known.next.max(*offset);
        }
    }

    pub(crate) fn published(&self, index: &Arc<str>, offsets: &[Assignment], now_ms: i64) {
        self.started(index, offsets);
        self.lock().index(index).last_publish_ms = Some(now_ms);
    }

    pub(crate) fn merged(&self, index: &Arc<str>) {
        self.lock().index(index).merges += 1;
    }

    pub(crate) fn ends(&self, topic: &str, partition: i32, log_start: i64, end: i64) {
        let mut state = self.lock();
        let known = state.partition(topic, partition);
        known.log_start = Some(log_start);
        known.end = Some(end);
    }

    pub(crate) fn known_partitions(&self) -> Vec<(String, i32)> {
        self.lock().partitions.keys().cloned().collect()
    }

    /// The document that the page and the API show.
    pub(crate) fn document(&self, indexes: &Indexes) -> Value {
        let mut state = self.lock();
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
                    "topic": topic, "partition": partition, "index": known.index.as_deref(),
                    "log_start": known.log_start, "end": known.end,
                    "next": known.next, "published": known.published, "lag": known.lag(),
                })
            })
            .collect();
        let mut sum = Shown::default();
        let mut each = serde_json::Map::new();
        for served in indexes.iter() {
            let shown = Shown::of(served, *state.index(&served.name));
            ::metrics::gauge!(metrics::SPLITS, "index" => Arc::clone(&served.name))
                .set(shown.splits as f64);
            let mut one = shown.to_json();
            one["kind"] = served.kind.name().into();
            each.insert(served.name.to_string(), one);
            sum.add(shown);
        }
        let mut indexer = sum.to_json();
        indexer["indexes"] = each.into();
        json!({"agents": agents, "partitions": partitions, "indexer": indexer})
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn index(&mut self, name: &Arc<str>) -> &mut Index {
        self.indexes.entry(Arc::clone(name)).or_default()
    }

    fn partition(&mut self, topic: &str, partition: i32) -> &mut Partition {
        self.partitions
            .entry((topic.to_owned(), partition))
            .or_default()
    }
}

/// What is shown of one index, or of all of them.
struct Shown {
    complete: bool,
    splits: usize,
    split_bytes: u64,
    split_docs: u64,
    hot_docs: u64,
    state: Index,
}

impl Default for Shown {
    /// Of none, all is complete.
    fn default() -> Shown {
        Shown {
            complete: true,
            splits: 0,
            split_bytes: 0,
            split_docs: 0,
            hot_docs: 0,
            state: Index::default(),
        }
    }
}

impl Shown {
    fn of(served: &Served, state: Index) -> Shown {
        let snapshot = served.catalog.snapshot();
        let splits = || snapshot.splits.iter();
        Shown {
            complete: snapshot.complete,
            splits: snapshot.splits.len(),
            split_bytes: splits().map(|split| split.meta.file_bytes).sum(),
            split_docs: splits().map(|split| split.docs).sum(),
            hot_docs: snapshot.hot.iter().map(tantivy::Searcher::num_docs).sum(),
            state,
        }
    }

    fn add(&mut self, other: Shown) {
        self.complete &= other.complete;
        self.splits += other.splits;
        self.split_bytes += other.split_bytes;
        self.split_docs += other.split_docs;
        self.hot_docs += other.hot_docs;
        self.state.hot_bytes += other.state.hot_bytes;
        self.state.gaps += other.state.gaps;
        self.state.totals.add(other.state.totals);
        self.state.last_publish_ms = self.state.last_publish_ms.max(other.state.last_publish_ms);
        self.state.merges += other.state.merges;
    }

    fn to_json(&self) -> Value {
        let totals = &self.state.totals;
        json!({
            "complete": self.complete,
            "hot_docs": self.hot_docs,
            "hot_bytes": self.state.hot_bytes,
            "splits": self.splits,
            "split_bytes": self.split_bytes,
            "docs": self.split_docs + self.hot_docs,
            "indexed": totals.indexed,
            "last_publish": self.state.last_publish_ms.map(time),
            "merges": self.state.merges,
            "parse_failed": totals.parse_failed,
            "poisoned": totals.bare + totals.left_out,
            "duplicates_dropped": totals.duplicates,
            "gaps": self.state.gaps,
        })
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
    use crate::indexes::tests::indexes;

    #[test]
    fn an_agent_is_shown_by_its_latest_report_until_it_is_silent_for_a_day() {
        let pipeline = Pipeline::default();
        pipeline.agent(json!({"id": "a", "lines_total": 1}), 1_000);
        pipeline.agent(json!({"id": "a", "lines_total": 2}), 2_000);
        pipeline.agent(json!({"no": "id"}), 2_000);
        let document = pipeline.document(&indexes());
        assert_eq!(document["agents"].as_array().unwrap().len(), 1);
        assert_eq!(document["agents"][0]["lines_total"], 2);
        assert_eq!(document["agents"][0]["last_seen"], "1970-01-01T00:00:02Z");
        pipeline.agent(
            json!({"id": "b"}),
            3_000 + limits::AGENT_SHOWN.as_millis() as i64,
        );
        assert_eq!(pipeline.document(&indexes())["agents"][0]["id"], "b");
    }

    #[test]
    fn lag_is_what_the_queue_holds_beyond_what_is_indexed() {
        let pipeline = Pipeline::default();
        let offsets = [Assignment {
            topic: "logs".into(),
            partition: 0,
            offset: 7,
        }];
        pipeline.started(&"logs".into(), &offsets);
        assert_eq!(
            pipeline.document(&indexes())["partitions"][0]["lag"],
            Value::Null
        );
        pipeline.ends("logs", 0, 2, 10);
        let document = pipeline.document(&indexes());
        assert_eq!(
            document["partitions"][0],
            json!({"topic": "logs", "partition": 0, "index": "logs", "log_start": 2, "end": 10, "next": 7, "published": 7, "lag": 3})
        );
    }

    #[test]
    fn every_index_is_shown_by_itself_and_in_the_sum() {
        let pipeline = Pipeline::default();
        let counts = |indexed| Counts {
            indexed,
            ..Counts::default()
        };
        pipeline.counted(&"logs".into(), counts(3));
        pipeline.counted(&"spans".into(), counts(4));
        let indexes = indexes();
        indexes.named("logs").unwrap().catalog.caught_up();
        let document = pipeline.document(&indexes);
        let indexer = &document["indexer"];
        assert_eq!(
            (&indexer["indexed"], &indexer["complete"]),
            (&json!(7), &json!(false))
        );
        let spans = &indexer["indexes"]["spans"];
        assert_eq!(
            (&spans["indexed"], &spans["kind"]),
            (&json!(4), &json!("spans"))
        );
        assert_eq!(indexer["indexes"]["logs"]["complete"], true);
    }
}
