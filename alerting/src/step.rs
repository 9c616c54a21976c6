//! One step of evaluation: a batch of records through marks, parser, matcher and engine.
//!
//! CPU only, no I/O: runs on a blocking thread. What it knows of partitions (next offset, last
//! record, marks) moves together with the engine's state, and is committed together with it.

use std::{collections::HashMap, sync::Arc};

use logboom_client::Verdict;
use logboom_event::{Event, Record};

use crate::{
    evaluate::{Engine, Item},
    limits,
    matcher::{self, Matcher, Scratch},
    metrics as names,
    readings::Reading,
    rules::{INDEXES, Rule},
    sources::Idle,
    store::{Progress, Stored},
};

/// The rules of one index, compiled for searching.
struct Compiled {
    /// The rule of each pattern.
    rule_of: Vec<usize>,
    /// Rules with a query and no pattern.
    query_only: Vec<usize>,
    matcher: Matcher,
    scratch: Scratch,
    hits: Vec<usize>,
}

impl Compiled {
    fn new(
        rules: &[Arc<Rule>],
        index: &str,
        sample: &[Vec<u8>],
    ) -> Result<Compiled, matcher::Error> {
        let with = |regex: bool| {
            (0..rules.len())
                .filter(|at| rules[*at].index == index && rules[*at].regex.is_some() == regex)
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
            rule_of,
            query_only: with(false),
            matcher,
            scratch,
            hits: Vec::new(),
        })
    }

    /// The rules (ascending) that the event satisfies.
    fn hits(&mut self, rules: &[Arc<Rule>], event: &Event) -> &[usize] {
        self.hits.clear();
        let found = self.matcher.search(&event.raw, &mut self.scratch);
        let candidates = found
            .iter()
            .map(|pattern| self.rule_of[*pattern])
            .chain(self.query_only.iter().copied());
        for at in candidates {
            if rules[at]
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

/// The rules of one index, with what their matcher learns from the index's events.
struct Lane {
    index: &'static str,
    compiled: Compiled,
    /// Some of the recent texts, by which the matcher knows what is rare.
    sample: Vec<Vec<u8>>,
    events: u64,
    recompile_at: u64,
}

/// The matcher learns after this many events which literals are rare, then after ten times as many.
const FIRST_SAMPLE_EVENTS: u64 = 20_000;

impl Lane {
    /// Keeps every n-th text so that the sample spans all of what was seen since the last time.
    fn learn(&mut self, rules: &[Arc<Rule>], event: &Event) {
        self.events += 1;
        let every = (self.recompile_at / limits::SAMPLE_LINES as u64).max(1);
        if self.events.is_multiple_of(every) && self.sample.len() < limits::SAMPLE_LINES {
            self.sample
                .push(event.raw[..event.raw.len().min(limits::SAMPLE_BYTES_MAX)].to_vec());
        }
        if self.events >= self.recompile_at {
            self.recompile_at = self.recompile_at.saturating_mul(10);
            let sample = std::mem::take(&mut self.sample);
            match Compiled::new(rules, self.index, &sample) {
                Ok(compiled) => self.compiled = compiled,
                Err(error) => tracing::warn!(%error, "keeping the matcher as it is"),
            }
        }
    }
}

/// All rules, each in the lane of its index: an event is only searched for by rules of its own.
pub(crate) struct Lanes {
    rules: Vec<Arc<Rule>>,
    lanes: Vec<Lane>,
}

impl Lanes {
    pub(crate) fn new(rules: &[Arc<Rule>]) -> Result<Lanes, matcher::Error> {
        let lane = |index: &&'static str| {
            Ok(Lane {
                index,
                compiled: Compiled::new(rules, index, &[])?,
                sample: Vec::new(),
                events: 0,
                recompile_at: FIRST_SAMPLE_EVENTS,
            })
        };
        Ok(Lanes {
            rules: rules.to_vec(),
            lanes: INDEXES.iter().map(lane).collect::<Result<_, _>>()?,
        })
    }

    /// Other rules; what was learned of the events stays.
    fn replace(&mut self, rules: &[Arc<Rule>]) -> Result<(), matcher::Error> {
        for lane in &mut self.lanes {
            lane.compiled = Compiled::new(rules, lane.index, &lane.sample)?;
        }
        self.rules = rules.to_vec();
        Ok(())
    }
}

/// The state of evaluation.
pub(crate) struct Evaluator {
    pub(crate) engine: Engine,
    lanes: Lanes,
    pub(crate) readings: Vec<Reading>,
    /// Matches by rule since the metrics were last told.
    matches: HashMap<usize, u64>,
}

impl Evaluator {
    pub(crate) fn new(engine: Engine, lanes: Lanes, readings: Vec<Reading>) -> Evaluator {
        Evaluator {
            engine,
            lanes,
            readings,
            matches: HashMap::new(),
        }
    }

    /// Stands in while the real one works elsewhere.
    pub(crate) fn empty() -> Evaluator {
        let lanes = Lanes::new(&[]).expect("no patterns compile");
        let idle = Idle::new(limits::IDLE_LIVE, limits::IDLE_BACKFILL);
        Evaluator::new(Engine::new(&[], idle), lanes, Vec::new())
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
                self.evaluate(&Arc::clone(&self.readings[at].index), &record, now);
            } else {
                metrics::counter!(names::DUPLICATES).increment(1);
            }
            self.readings[at].keep(record);
        }
        self.tell_metrics();
    }

    /// All events of a record: a commit stands between two records and never in one.
    fn evaluate(&mut self, index: &str, record: &Record, now: i64) {
        let Lanes { rules, lanes } = &mut self.lanes;
        let lane = lanes.iter_mut().find(|lane| lane.index == index);
        let lane = lane.expect("a configuration with an index that has no lane is refused");
        for (index, (record, event)) in (0..).zip(Event::all(record.clone())) {
            let hits = lane.compiled.hits(rules, &event);
            for at in hits {
                *self.matches.entry(*at).or_default() += 1;
            }
            let item = Item {
                record: &record,
                event: &event,
                index,
            };
            self.engine.feed(item, hits, now);
            lane.learn(rules, &event);
        }
    }

    fn tell_metrics(&mut self) {
        for (at, count) in self.matches.drain() {
            let name = self.lanes.rules[at].name.clone();
            metrics::counter!(names::MATCHES, "rule" => name).increment(count);
        }
        for lane in &mut self.lanes.lanes {
            let verified = std::mem::take(&mut lane.compiled.scratch.verified);
            metrics::counter!(names::CANDIDATES).increment(verified);
        }
    }

    /// Swaps in other rules; state goes on where a rule still counts the same.
    pub(crate) fn replace_rules(
        &mut self,
        rules: &[Arc<Rule>],
        now: i64,
    ) -> Result<(), matcher::Error> {
        self.lanes.replace(rules)?;
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
