//! One step of evaluation: a batch of records through marks, parser, matcher and engine.
//!
//! CPU only, no I/O: runs on a blocking thread. What it knows of partitions (next offset, last
//! record, marks) moves together with the engine's state, and is committed together with it.

use std::{collections::HashMap, sync::Arc};

use logboom_client::Verdict;
use logboom_event::{Event, Record};

use crate::{
    evaluate::Engine,
    limits,
    matcher::{self, Matcher, Scratch},
    metrics as names,
    readings::Reading,
    rules::Rule,
    sources::Idle,
    store::{Progress, Stored},
};

/// Rules, compiled for searching.
pub(crate) struct Compiled {
    rules: Vec<Arc<Rule>>,
    matcher: Matcher,
    scratch: Scratch,
    /// The rule of each pattern.
    rule_of: Vec<usize>,
    /// Rules with a query and no pattern.
    query_only: Vec<usize>,
    hits: Vec<usize>,
}

impl Compiled {
    pub(crate) fn new(rules: &[Arc<Rule>], sample: &[Vec<u8>]) -> Result<Compiled, matcher::Error> {
        let with = |regex: bool| {
            (0..rules.len())
                .filter(|at| rules[*at].regex.is_some() == regex)
                .collect::<Vec<_>>()
        };
        let rule_of = with(true);
        let patterns: Vec<&str> = rule_of
            .iter()
            .filter_map(|at| rules[*at].regex.as_deref())
            .collect();
        let matcher = Matcher::new(&patterns, sample)?;
        let scratch = matcher.scratch();
        Ok(Compiled {
            rules: rules.to_vec(),
            matcher,
            scratch,
            rule_of,
            query_only: with(false),
            hits: Vec::new(),
        })
    }

    /// The rules (ascending) that the line satisfies.
    fn hits(&mut self, event: &Event) -> &[usize] {
        self.hits.clear();
        let found = self.matcher.search(&event.raw, &mut self.scratch);
        let candidates = found
            .iter()
            .map(|pattern| self.rule_of[*pattern])
            .chain(self.query_only.iter().copied());
        for at in candidates {
            if self.rules[at]
                .query
                .as_ref()
                .is_none_or(|query| logboom_query::matches(query, event))
            {
                self.hits.push(at);
            }
        }
        self.hits.sort_unstable();
        &self.hits
    }
}

/// The state of evaluation.
pub(crate) struct Evaluator {
    pub(crate) engine: Engine,
    pub(crate) compiled: Compiled,
    pub(crate) readings: Vec<Reading>,
    /// Matches by rule since the metrics were last told.
    matches: HashMap<usize, u64>,
    /// A sample of recent lines, for the matcher.
    sample: Vec<Vec<u8>>,
    lines: u64,
    recompile_at: u64,
}

/// The matcher learns after this many lines which literals are rare, then after ten times as many.
const FIRST_SAMPLE_LINES: u64 = 20_000;

impl Evaluator {
    pub(crate) fn new(engine: Engine, compiled: Compiled, readings: Vec<Reading>) -> Evaluator {
        Evaluator {
            engine,
            compiled,
            readings,
            matches: HashMap::new(),
            sample: Vec::new(),
            lines: 0,
            recompile_at: FIRST_SAMPLE_LINES,
        }
    }

    /// Stands in while the real one works elsewhere.
    pub(crate) fn empty() -> Evaluator {
        let compiled = Compiled::new(&[], &[]).expect("no patterns compile");
        let idle = Idle::new(limits::IDLE_LIVE, limits::IDLE_BACKFILL);
        Evaluator::new(Engine::new(&[], idle), compiled, Vec::new())
    }

    /// Feeds records in their order; `now` is the wall clock in nanoseconds.
    pub(crate) fn feed(&mut self, records: Vec<Record>, now: i64) {
        metrics::counter!(names::RECORDS).increment(records.len() as u64);
        for record in records {
            let Some(at) = self
                .readings
                .iter()
                .position(|reading| reading.expects(&record))
            else {
                continue;
            };
            if self.readings[at].pass(&record) == Verdict::New {
                let event = Event::parse(&record);
                let hits = self.compiled.hits(&event);
                for at in hits {
                    *self.matches.entry(*at).or_default() += 1;
                }
                self.engine.feed(&record, &event, hits, now);
                self.learn(&record);
            } else {
                metrics::counter!(names::DUPLICATES).increment(1);
            }
            self.readings[at].keep(record);
        }
        self.tell_metrics();
    }

    /// Keeps every n-th line so that the sample spans all of what was seen since the last time.
    fn learn(&mut self, record: &Record) {
        self.lines += 1;
        let every = (self.recompile_at / limits::SAMPLE_LINES as u64).max(1);
        if self.lines.is_multiple_of(every) && self.sample.len() < limits::SAMPLE_LINES {
            self.sample
                .push(record.value[..record.value.len().min(limits::SAMPLE_BYTES_MAX)].to_vec());
        }
        if self.lines >= self.recompile_at {
            self.recompile_at = self.recompile_at.saturating_mul(10);
            let sample = std::mem::take(&mut self.sample);
            match Compiled::new(&self.compiled.rules, &sample) {
                Ok(compiled) => self.compiled = compiled,
                Err(error) => tracing::warn!(%error, "keeping the matcher as it is"),
            }
        }
    }

    fn tell_metrics(&mut self) {
        for (at, count) in self.matches.drain() {
            let name = self.compiled.rules[at].name.clone();
            metrics::counter!(names::MATCHES, "rule" => name).increment(count);
        }
        let verified = std::mem::take(&mut self.compiled.scratch.verified);
        metrics::counter!(names::CANDIDATES).increment(verified);
    }

    /// Swaps in other rules; state goes on where a rule still counts the same.
    pub(crate) fn replace_rules(
        &mut self,
        rules: &[Arc<Rule>],
        now: i64,
    ) -> Result<(), matcher::Error> {
        self.compiled = Compiled::new(rules, &self.sample)?;
        self.engine.replace_rules(rules, now);
        Ok(())
    }

    /// Progress of the partitions that moved since the last time.
    pub(crate) fn take_progress(&mut self) -> Vec<Progress> {
        self.readings
            .iter_mut()
            .filter_map(Reading::take_progress)
            .collect()
    }

    /// Drops the marks of sources that are long gone.
    pub(crate) fn forget_marks(&mut self, before_ms: i64) {
        for reading in &mut self.readings {
            reading.forget_marks(before_ms);
        }
    }
}

/// The engine as it was when its state was last committed; `now` is the wall clock.
pub(crate) fn restored(rules: &[Arc<Rule>], stored: Stored, idle: Idle, now: i64) -> Engine {
    let mut engine = Engine::new(rules, idle);
    for (source, clock) in stored.sources {
        engine.restore_source(source, clock, now);
    }
    for (name, key, group) in stored.groups {
        if let Some(former) = stored.rules.get(&name) {
            engine.restore_group(former, key, group, now);
        }
    }
    engine.restored();
    engine
}

#[cfg(test)]
mod tests;
