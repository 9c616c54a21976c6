//! The in-memory twin of the queue: acks when told to, loses what a crash would lose.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use logboom_client::{Marks, Origin, SourceId, Verdict};
use rand::RngExt;
use rand::rngs::StdRng;
use tracing::Span;

use crate::sink::{Home, Outgoing, Report, Sink};

/// Shared between the test and the tailer it drives.
#[derive(Clone, Default)]
pub(crate) struct MemoryQueue(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Handed over, not in the log.
    waiting: VecDeque<(u64, Vec<Arrived>)>,
    reports: Vec<Report>,
    /// What a consumer with marks has let through.
    seen: Vec<Arrived>,
    marks: Marks,
    duplicates: usize,
}

/// A record that a consumer saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) origin: Origin,
    pub(crate) partition: i32,
    pub(crate) value: Vec<u8>,
}

impl Sink for MemoryQueue {
    fn send(&mut self, run: u64, home: &Home, records: &[Outgoing<'_>], _batch: &Span) {
        let arrived = records.iter().map(|record| Arrived {
            origin: Origin {
                source: home.id,
                prev: record.prev,
                offset: record.offset,
                end: record.end,
                continues: record.continues,
                true_len: record.true_len,
                context: Arc::clone(&home.context),
            },
            partition: home.partition,
            value: record.value.to_vec(),
        });
        self.with(|inner| inner.waiting.push_back((run, arrived.collect())));
    }

    fn reports(&mut self) -> Vec<Report> {
        self.with(|inner| std::mem::take(&mut inner.reports))
    }
}

impl MemoryQueue {
    fn with<T>(&self, action: impl FnOnce(&mut Inner) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes and acks up to `count` runs.
    pub(crate) fn ack(&self, count: usize) {
        self.with(|inner| {
            for _ in 0..count {
                let Some((run, records)) = inner.waiting.pop_front() else {
                    return;
                };
                inner.consume(records);
                inner.reports.push(Report { run, acked: true });
            }
        });
    }

    /// Takes a part of the next run and says that it failed.
    pub(crate) fn fail(&self, rng: &mut StdRng) {
        self.with(|inner| {
            let Some((run, mut records)) = inner.waiting.pop_front() else {
                return;
            };
            records.truncate(rng.random_range(0..=records.len()));
            inner.consume(records);
            inner.reports.push(Report { run, acked: false });
        });
    }

    /// The agent dies: a prefix of what it handed over gets into the log, of acks it hears nothing.
    pub(crate) fn crash(&self, rng: &mut StdRng) {
        self.with(|inner| {
            let kept = rng.random_range(0..=inner.waiting.len());
            for (index, (_, mut records)) in
                std::mem::take(&mut inner.waiting).into_iter().enumerate()
            {
                if index > kept {
                    break;
                }
                if index == kept {
                    records.truncate(rng.random_range(0..=records.len()));
                }
                inner.consume(records);
            }
            inner.reports.clear();
        });
    }

    pub(crate) fn waiting(&self) -> usize {
        self.with(|inner| inner.waiting.len())
    }

    pub(crate) fn duplicates(&self) -> usize {
        self.with(|inner| inner.duplicates)
    }

    pub(crate) fn gaps(&self) -> Vec<(SourceId, u64, u64)> {
        self.with(|inner| inner.marks.gaps().collect())
    }

    /// What the consumer let through, in the order of its arrival.
    pub(crate) fn seen(&self) -> Vec<Arrived> {
        self.with(|inner| inner.seen.clone())
    }

    /// Values as text, records that continue a line joined to it, sorted.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut by_source: BTreeMap<SourceId, Vec<Arrived>> = BTreeMap::new();
        for arrived in self.seen() {
            by_source
                .entry(arrived.origin.source)
                .or_default()
                .push(arrived);
        }
        let mut lines: Vec<String> = Vec::new();
        for mut records in by_source.into_values() {
            records.sort_by_key(|record| record.origin.offset);
            for record in records {
                let text = String::from_utf8_lossy(&record.value).into_owned();
                match lines.last_mut().filter(|_| record.origin.continues) {
                    Some(line) => line.push_str(&text),
                    None => lines.push(text),
                }
            }
        }
        lines.sort();
        lines
    }
}

impl Inner {
    fn consume(&mut self, records: Vec<Arrived>) {
        for record in records {
            match self.marks.observe(&record.origin, 0) {
                Verdict::New => self.seen.push(record),
                Verdict::Duplicate => self.duplicates += 1,
            }
        }
    }
}
