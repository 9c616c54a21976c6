//! One group of one rule: its window and its episodes.
//!
//! Lines are counted, or their values weighed; where the condition stands is evidence, which continues an
//! episode or starts one.
//!
//! A resolved episode is remembered, so that late lines which belong to it are known. They start a
//! new episode if the alert would still be open now: somebody must be told. If all of it is past,
//! they only lengthen the record. So old logs, in whatever order, give one episode where the sorted
//! log has one.

use serde::{Deserialize, Serialize};

use crate::{
    episode::{Change, Episode, Phase},
    limits,
    rules::{Demand, Rule},
    sample::Sample,
    sources::{SourceRef, Sources},
    values::{Tally, Values},
    window::{Evidence, Window},
};

/// A matching line, put in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) time: i64,
    pub(crate) source: SourceRef,
    /// The wall clock.
    pub(crate) now: i64,
    pub(crate) sample: &'a Sample,
}

/// What a line has to do with the threshold of its rule.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measure {
    /// It is one, and so many are wanted.
    Count(u32),
    /// It is a value above the limit, or one that is not.
    Value { above: bool, demand: Demand },
}

/// Where the condition stands because of a line.
#[derive(Clone, Copy)]
struct Found {
    evidence: Evidence,
    /// Lines in the window.
    lines: u64,
    tally: Option<Tally>,
    /// Nothing is later, so `until` is all that is known of what follows.
    newest: bool,
    /// The line is one to quote.
    quoted: bool,
}

/// The window and the episodes of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) window: Window,
    pub(crate) values: Values,
    /// Open and remembered ones, in the order they were started.
    pub(crate) episodes: Vec<Episode>,
    /// The last lines, to be quoted when the next one fires.
    pub(crate) recent: Vec<(SourceRef, Sample)>,
    /// When its last line was fed, by the wall clock.
    pub(crate) seen: i64,
}

impl Group {
    pub(crate) fn is_open(&self) -> bool {
        self.episodes.iter().any(Episode::is_open)
    }

    /// Whether nothing of it matters any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.window.is_empty() && self.values.is_empty() && self.episodes.is_empty()
    }

    /// Adds a line. What changed is appended to `changes` with a copy of the episode.
    pub(crate) fn add(
        &mut self,
        rule: &Rule,
        measure: Measure,
        line: Line<'_>,
        changes: &mut Vec<(Change, Episode)>,
    ) {
        self.seen = line.now;
        let found = match measure {
            Measure::Count(count) => self.add_line(rule, count, line),
            Measure::Value { above, demand } => self.add_value(rule, above, demand, line),
        };
        let Some(found) = found else { return };
        let at = self.place(rule, found, line, changes);
        let Some(at) = at else { return };
        let episode = &mut self.episodes[at];
        note(&mut episode.sources, line.source);
        episode.seen = line.now;
        episode.last_line = episode.last_line.max(line.time);
        if found.tally.is_some() {
            episode.tally = found.tally;
        }
        // Before the latest window of the episode only the edges matter: a late line can meet there
        // with older or younger ones, and as many as the count are as good as all.
        if let Measure::Count(count) = measure {
            let (start, until) = (episode.start, episode.until);
            self.window
                .thin(start, until.saturating_sub(rule.within_ns), count);
        }
    }

    fn add_line(&mut self, rule: &Rule, count: u32, line: Line<'_>) -> Option<Found> {
        self.remember(line);
        let evidence = self.window.insert(line.time, count, rule.within_ns);
        if self.window.len() > limits::WINDOW_RUNS_MAX {
            metrics::counter!(crate::metrics::WINDOW_CUT).increment(1);
            self.window.halve();
        }
        Some(Found {
            evidence: evidence?,
            lines: u64::from(count),
            tally: None,
            newest: false,
            quoted: true,
        })
    }

    fn add_value(
        &mut self,
        rule: &Rule,
        above: bool,
        demand: Demand,
        line: Line<'_>,
    ) -> Option<Found> {
        if above {
            self.remember(line);
        }
        let finding = self.values.insert(line.time, above, demand, rule.within_ns);
        if self.values.len() > limits::VALUE_SLICES_MAX {
            metrics::counter!(crate::metrics::WINDOW_CUT).increment(1);
            self.values.halve();
        }
        let Some((evidence, tally)) = finding.evidence else {
            // A count only grows as lines come, but a quantile falls: it stood no longer than to here.
            if finding.newest {
                for episode in self.episodes.iter_mut().filter(|episode| episode.is_open()) {
                    episode.until = episode.until.min(line.time).max(episode.start);
                }
            }
            return None;
        };
        Some(Found {
            evidence,
            lines: tally.values,
            tally: Some(tally),
            newest: finding.newest,
            quoted: above,
        })
    }

    fn remember(&mut self, line: Line<'_>) {
        if self.recent.len() == limits::SAMPLES_MAX {
            self.recent.remove(0);
        }
        self.recent.push((line.source, line.sample.clone()));
    }

    /// Finds or starts the episode that the evidence belongs to; none when it tells nothing new.
    fn place(
        &mut self,
        rule: &Rule,
        found: Found,
        line: Line<'_>,
        changes: &mut Vec<(Change, Episode)>,
    ) -> Option<usize> {
        let evidence = found.evidence;
        let takes = |episode: &Episode| episode.takes(evidence, rule.hold_ns);
        let latest = |open: bool| {
            let fitting = self
                .episodes
                .iter()
                .enumerate()
                .filter(|(_, episode)| episode.is_open() == open && takes(episode));
            fitting
                .max_by_key(|(_, episode)| episode.until)
                .map(|(at, _)| at)
        };
        if let Some(at) = latest(true) {
            let episode = &mut self.episodes[at];
            episode.until = match found.newest {
                true => evidence.until.max(episode.start),
                false => evidence.until.max(episode.until),
            };
            episode.lines += 1;
            if found.quoted && episode.samples.len() < limits::SAMPLES_MAX {
                episode.samples.push(line.sample.clone());
            }
            return Some(at);
        }
        let mut start = evidence.from;
        if let Some(at) = latest(false) {
            let past = &mut self.episodes[at];
            if evidence.until <= past.until {
                return None;
            }
            if evidence.until.saturating_add(rule.hold_ns) <= line.now {
                past.until = evidence.until;
                past.lines += 1;
                past.seen = line.now;
                past.last_line = past.last_line.max(line.time);
                changes.push((Change::Lengthened, past.clone()));
                return Some(at);
            }
            // A start that no episode had before: it is part of the notification's id.
            start = start.max(past.until);
        }
        // A quantile may rise, fall and rise again at one instant.
        while self.episodes.iter().any(|past| past.start == start) {
            start += 1;
        }
        let phase = if rule.for_ns > 0 {
            Phase::Pending
        } else {
            Phase::Firing
        };
        let mut sources = Vec::new();
        let mut samples = Vec::new();
        for (source, sample) in &self.recent {
            if (sample.time - line.time).abs() < rule.within_ns {
                note(&mut sources, *source);
                samples.push(sample.clone());
            }
        }
        self.forget_resolved(limits::EPISODES_MAX - 1);
        self.episodes.push(Episode {
            start,
            until: evidence.until,
            phase,
            last_line: line.time,
            lines: found.lines,
            seen: line.now,
            sources,
            samples,
            tally: found.tally,
        });
        let change = if phase == Phase::Pending {
            Change::Pending
        } else {
            Change::Firing
        };
        changes.push((change, self.episodes[self.episodes.len() - 1].clone()));
        Some(self.episodes.len() - 1)
    }

    /// Moves open episodes on by what time has passed: `now` is the wall clock.
    pub(crate) fn pass(
        &mut self,
        rule: &Rule,
        sources: &Sources,
        now: i64,
        changes: &mut Vec<(Change, Episode)>,
    ) {
        for episode in &mut self.episodes {
            if episode.phase == Phase::Pending {
                let due = episode.start.saturating_add(rule.for_ns);
                // A value that is still to come may say that a quantile stood no longer, so what holds is
                // only known up to where the sources are.
                let held = match rule.quantile {
                    None => now >= due,
                    Some(_) => episode.passed(due, sources),
                };
                if episode.until > due && held {
                    episode.phase = Phase::Firing;
                    changes.push((Change::Firing, episode.clone()));
                }
            }
            if !episode.is_open() {
                continue;
            }
            let end = episode.end(rule.hold_ns);
            if episode.passed(end, sources) {
                changes.push(episode.close());
            }
        }
        self.episodes
            .retain(|episode| episode.phase != Phase::Cancelled);
    }

    /// Ends what is open, because nobody counts for this group any more.
    pub(crate) fn abandon(&mut self) -> Vec<(Change, Episode)> {
        self.episodes
            .iter_mut()
            .filter(|episode| episode.is_open())
            .map(Episode::close)
            .collect()
    }

    /// Forgets what lies before `low` (event time) and cannot matter any more. Says whether
    /// anything went.
    pub(crate) fn sweep(&mut self, rule: &Rule, low: i64, clock: i64) -> bool {
        let size = |group: &Group| (group.window.len(), group.values.len(), group.episodes.len());
        let before = size(self);
        self.values.forget(low, rule.within_ns);
        self.window
            .forget(i64::MIN, low.saturating_sub(rule.within_ns));
        let keep = limits::RESOLVED_KEEP.as_nanos() as i64;
        self.episodes.retain(|episode| {
            episode.is_open()
                || episode.end(rule.hold_ns) > low
                || episode.seen.saturating_add(keep) > clock
        });
        self.forget_resolved(limits::EPISODES_MAX);
        size(self) != before
    }

    /// Forgets the oldest resolved episodes until so many are left, or only open ones.
    fn forget_resolved(&mut self, most: usize) {
        let mut surplus = self.episodes.len().saturating_sub(most);
        self.episodes.retain(|episode| {
            let goes = surplus > 0 && !episode.is_open();
            surplus -= usize::from(goes);
            !goes
        });
    }
}

fn note(sources: &mut Vec<SourceRef>, source: SourceRef) {
    if !sources.contains(&source) && sources.len() < limits::EPISODE_SOURCES_MAX {
        sources.push(source);
    }
}
