//! The engine: events and ticks in, changes out. A state machine without I/O; time is an argument.
//!
//! For each event, in this order: its source's watermark moves, episodes that this ends are ended,
//! then it is counted by the rules that it matched. A tick moves the clock of silent sources, and looks at
//! every open group; an event looks at its own, and at those that waited for its source to come so far.
//! What is dirty since the last [`Engine::take`] is handed over for one transaction.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use logboom_event::{Encoding, Event, Record, TimestampFrom};

use crate::{
    ends::{Ends, GroupAt},
    episode::{Change, Episode},
    group_key::GroupKey,
    limits,
    rules::Rule,
    sample::Sample,
    sources::{Idle, SourceClock, SourceRef, Sources},
    state::{Group, Line, Measure},
};

/// A change to tell, or to record.
#[derive(Clone, Debug)]
pub(crate) struct Transition {
    pub(crate) rule: Arc<Rule>,
    pub(crate) key: GroupKey,
    pub(crate) change: Change,
    pub(crate) episode: Episode,
    /// The wall clock when it happened.
    pub(crate) at: i64,
}

/// What has to be written down to go on from here after a crash.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    /// Rules whose stored groups are void; before `groups`.
    pub(crate) dropped: Vec<String>,
    pub(crate) transitions: Vec<Transition>,
    /// Encoded groups, or none when the group is gone.
    pub(crate) groups: Vec<(String, GroupKey, Option<Vec<u8>>)>,
    pub(crate) sources: Vec<(SourceRef, Option<SourceClock>)>,
}

impl Dirty {
    pub(crate) fn is_empty(&self) -> bool {
        self.dropped.is_empty()
            && self.transitions.is_empty()
            && self.groups.is_empty()
            && self.sources.is_empty()
    }
}

struct RuleState {
    rule: Arc<Rule>,
    groups: HashMap<GroupKey, Group>,
    /// Keys of the groups with an open episode.
    open: HashSet<Arc<GroupKey>>,
}

impl RuleState {
    fn new(rule: &Arc<Rule>) -> RuleState {
        RuleState {
            rule: Arc::clone(rule),
            groups: HashMap::new(),
            open: HashSet::new(),
        }
    }

    /// Whether a group may go. Asked for every event that finds no room, so nothing is looked through.
    fn has_quiet(&self) -> bool {
        let overflow = self.groups.get(&GroupKey::Overflow);
        let kept = overflow.is_some_and(|group| !group.is_open());
        self.groups.len() > self.open.len() + usize::from(kept)
    }
}

/// An event with the record that it came in.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) record: &'a Record,
    pub(crate) event: &'a Event,
    /// Its place in the record.
    pub(crate) index: u32,
}

/// All rules with their state.
pub(crate) struct Engine {
    rules: Vec<RuleState>,
    sources: Sources,
    /// Every open episode is in here, under a source that has not come to its end.
    ends: Ends,
    transitions: Vec<Transition>,
    dirty: HashSet<(usize, GroupKey)>,
    dirty_sources: HashSet<SourceRef>,
    /// Rules whose stored groups are void.
    dropped: Vec<String>,
    next_sweep: i64,
}

impl Engine {
    pub(crate) fn new(rules: &[Arc<Rule>], idle: Idle) -> Engine {
        Engine {
            rules: rules.iter().map(RuleState::new).collect(),
            sources: Sources::new(idle),
            ends: Ends::default(),
            transitions: Vec::new(),
            dirty: HashSet::new(),
            dirty_sources: HashSet::new(),
            dropped: Vec::new(),
            next_sweep: i64::MIN,
        }
    }

    pub(crate) fn restore_source(&mut self, source: SourceRef, clock: SourceClock, now: i64) {
        self.sources.restore(source, clock, now);
    }

    /// Puts back a stored group. The group of a rule that is gone, or that counts something else now,
    /// is ended: open episodes resolve and its window is dropped. Call [`Engine::restored`] at last.
    pub(crate) fn restore_group(
        &mut self,
        former: &Arc<Rule>,
        key: GroupKey,
        mut group: Group,
        now: i64,
    ) {
        let same = |state: &RuleState| {
            state.rule.name == former.name && state.rule.condition == former.condition
        };
        if let Some(state) = self.rules.iter_mut().find(|state| same(state)) {
            if group.is_open() {
                state.open.insert(Arc::new(key.clone()));
            }
            state.groups.insert(key, group);
            return;
        }
        if !self.dropped.contains(&former.name) {
            self.dropped.push(former.name.clone());
        }
        for (change, episode) in group.abandon() {
            self.transitions.push(Transition {
                rule: Arc::clone(former),
                key: key.clone(),
                change,
                episode,
                at: now,
            });
        }
    }

    /// Ends a restore.
    pub(crate) fn restored(&mut self) {
        self.ends.clear();
        for open in self.open_groups() {
            let RuleState { rule, groups, .. } = &self.rules[open.rule];
            let group = &groups[&*open.key];
            await_end(&mut self.ends, &self.sources, rule, &open, group);
        }
    }

    /// Replaces the rules and keeps the state of those that still count the same.
    pub(crate) fn replace_rules(&mut self, rules: &[Arc<Rule>], now: i64) {
        let former = std::mem::replace(&mut self.rules, rules.iter().map(RuleState::new).collect());
        self.dirty.clear();
        for state in former {
            for (key, group) in state.groups {
                let at = self
                    .rules
                    .iter()
                    .position(|new| new.rule.name == state.rule.name);
                self.restore_group(&state.rule, key.clone(), group, now);
                // Indexes have changed, and the rows of a dropped rule go as a whole.
                if let Some(at) = at.filter(|at| self.rules[*at].groups.contains_key(&key)) {
                    self.dirty.insert((at, key));
                }
            }
        }
        self.restored();
    }

    /// Feeds one new event and the rules (by index) whose matcher it satisfied.
    pub(crate) fn feed(&mut self, item: Item<'_>, hits: &[usize], now: i64) {
        let Item { record, event, .. } = item;
        let source = SourceRef::of(record, event);
        let placed = self
            .sources
            .observe(source, event.arrival_ns, stamp(record, event), now);
        self.dirty_sources.insert(source);
        if placed.clamped {
            metrics::counter!(crate::metrics::TIMESTAMPS_CLAMPED).increment(1);
        }
        let passed = self.ends.take_passed(source, placed.watermark);
        self.pass_groups(passed, now);
        if hits.is_empty() {
            return;
        }
        let sample = Sample::of(item, placed.time, placed.clamped);
        let line = Line {
            time: placed.time,
            source,
            now,
            sample: &sample,
        };
        for &at in hits {
            let rule = &self.rules[at].rule;
            let measure = match &rule.quantile {
                None => Measure::Count(rule.count),
                Some(quantile) => match quantile.is_above(event) {
                    Some(above) => Measure::Value {
                        above,
                        demand: quantile.demand(rule.count),
                    },
                    // It has no such number, and so no part in the quantile.
                    None => continue,
                },
            };
            let key = GroupKey::of(rule, event);
            self.count(at, key, measure, line);
        }
    }

    fn count(&mut self, at: usize, key: GroupKey, measure: Measure, line: Line<'_>) {
        let state = &mut self.rules[at];
        if !state.groups.contains_key(&key)
            && state.groups.len() >= limits::GROUPS_MAX
            && key != GroupKey::Overflow
        {
            let admitted = self.make_room(at);
            // Told as an alert of its own: the rule is not what its author thinks it is.
            self.count(at, GroupKey::Overflow, Measure::Count(1), line);
            if !admitted {
                return;
            }
        }
        let state = &mut self.rules[at];
        let rule = Arc::clone(&state.rule);
        let group = state.groups.entry(key.clone()).or_default();
        let mut changes = Vec::new();
        group.add(&rule, measure, line, &mut changes);
        group.pass(&rule, &self.sources, line.now, &mut changes);
        if group.is_open() {
            let known = state.open.get(&key).cloned();
            let open = GroupAt {
                rule: at,
                key: known.unwrap_or_else(|| Arc::new(key.clone())),
            };
            await_end(&mut self.ends, &self.sources, &rule, &open, group);
            state.open.insert(open.key);
        } else {
            state.open.remove(&key);
        }
        self.tell(at, &key, changes, line.now);
        self.dirty.insert((at, key));
    }

    fn tell(&mut self, at: usize, key: &GroupKey, changes: Vec<(Change, Episode)>, now: i64) {
        let rule = &self.rules[at].rule;
        self.transitions
            .extend(changes.into_iter().map(|(change, episode)| Transition {
                rule: Arc::clone(rule),
                key: key.clone(),
                change,
                episode,
                at: now,
            }));
    }

    /// Drops the quiet groups that were longest without a line. Says whether there is room now.
    fn make_room(&mut self, at: usize) -> bool {
        metrics::counter!(crate::metrics::GROUPS_EVICTED).increment(1);
        let state = &mut self.rules[at];
        if !state.has_quiet() {
            return false;
        }
        let mut quiet: Vec<(i64, GroupKey)> = state
            .groups
            .iter()
            .filter(|(key, group)| !group.is_open() && **key != GroupKey::Overflow)
            .map(|(key, group)| (group.seen, key.clone()))
            .collect();
        quiet.sort();
        quiet.truncate(limits::GROUPS_EVICTED);
        for (_, key) in &quiet {
            state.groups.remove(key);
            self.dirty.insert((at, key.clone()));
        }
        true
    }

    /// Says that everything which reached the queue before `clock` (wall clock) has been fed.
    pub(crate) fn tick(&mut self, clock: i64, now: i64) {
        self.sources.advance(clock);
        self.pass(now);
        if now >= self.next_sweep {
            self.next_sweep = now + limits::SWEEP_INTERVAL.as_nanos() as i64;
            self.sweep();
        }
    }

    fn pass(&mut self, now: i64) {
        // The clock has moved silent sources, so all wait anew.
        self.ends.clear();
        self.pass_groups(self.open_groups(), now);
    }

    fn open_groups(&self) -> Vec<GroupAt> {
        let mut groups = Vec::new();
        for (rule, state) in self.rules.iter().enumerate() {
            groups.extend(state.open.iter().map(|key| GroupAt {
                rule,
                key: Arc::clone(key),
            }));
        }
        groups
    }

    fn pass_groups(&mut self, groups: Vec<GroupAt>, now: i64) {
        let mut told = Vec::new();
        for at in groups {
            let state = &mut self.rules[at.rule];
            // It may have ended with another of its sources, or by a line of its own.
            if !state.open.contains(&*at.key) {
                continue;
            }
            let group = state.groups.get_mut(&*at.key).expect("open groups exist");
            let mut changes = Vec::new();
            group.pass(&state.rule, &self.sources, now, &mut changes);
            await_end(&mut self.ends, &self.sources, &state.rule, &at, group);
            if !group.is_open() {
                state.open.remove(&*at.key);
            }
            if !changes.is_empty() {
                told.push((at, changes));
            }
        }
        // Neither a set's order nor that of their ends is one to tell them in.
        told.sort_by(|one, other| one.0.cmp(&other.0));
        for (at, changes) in told {
            self.tell(at.rule, &at.key, changes, now);
            self.dirty.insert((at.rule, GroupKey::clone(&at.key)));
        }
    }

    fn sweep(&mut self) {
        let (low, clock) = (self.sources.low(), self.sources.clock());
        for (at, state) in self.rules.iter_mut().enumerate() {
            state.groups.retain(|key, group| {
                if group.sweep(&state.rule, low, clock) {
                    self.dirty.insert((at, key.clone()));
                }
                !group.is_empty()
            });
        }
        self.dirty_sources.extend(self.sources.sweep());
        let groups: usize = self.rules.iter().map(|state| state.groups.len()).sum();
        metrics::gauge!(crate::metrics::GROUPS).set(groups as f64);
    }

    /// Whether there is something that must be committed before it may be told.
    pub(crate) fn has_transitions(&self) -> bool {
        !self.transitions.is_empty()
    }

    /// Whether any episode is open: then the clock of silent sources matters.
    pub(crate) fn has_open(&self) -> bool {
        self.rules.iter().any(|state| !state.open.is_empty())
    }

    /// Hands over all that changed since the last time.
    pub(crate) fn take(&mut self) -> Dirty {
        let groups = std::mem::take(&mut self.dirty);
        Dirty {
            dropped: std::mem::take(&mut self.dropped),
            transitions: std::mem::take(&mut self.transitions),
            groups: groups
                .into_iter()
                .map(|(at, key)| {
                    let state = &self.rules[at];
                    let encoded = state.groups.get(&key).map(crate::store::encode_group);
                    (state.rule.name.clone(), key, encoded)
                })
                .collect(),
            sources: std::mem::take(&mut self.dirty_sources)
                .into_iter()
                .map(|source| (source, self.sources.get(source).copied()))
                .collect(),
        }
    }
}

/// Notes for whom each open episode of the group waits: the first source that has not come to its end.
fn await_end(ends: &mut Ends, sources: &Sources, rule: &Rule, at: &GroupAt, group: &Group) {
    for episode in group.episodes.iter().filter(|episode| episode.is_open()) {
        let end = episode.end(rule.hold_ns);
        let mut behind = episode.sources.iter().copied();
        // With none of them it ends when it is next looked at, as just now.
        if let Some(source) = behind.find(|source| sources.watermark(*source) < end) {
            ends.wait(source, end, at);
        }
    }
}

/// When the event says that it happened.
///
/// A span happened when it ended, since that is when it could be told: by their starts, the slow ones would
/// all be late, each by its duration. Only a line without a time may belong to the one before; what came
/// over OTLP without one is as old as its arrival.
fn stamp(record: &Record, event: &Event) -> Option<i64> {
    let own = event.timestamp_from == TimestampFrom::Line;
    match &event.span {
        Some(span) if own => {
            let duration = i64::try_from(span.duration_ns).unwrap_or(i64::MAX);
            Some(event.timestamp_ns.saturating_add(duration))
        }
        _ => (own || record.encoding != Encoding::Line).then_some(event.timestamp_ns),
    }
}

#[cfg(test)]
mod tests;
