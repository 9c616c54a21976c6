//! One group of one rule: its window and its episodes.
//!
//! An episode is one pending → firing → resolved life, in event time. It spans `[start, until)`, where
//! the count stood at N or more, and stays open for `hold` after `until`; new evidence within that
//! time prolongs it. Once its sources' watermarks have passed `until + hold` it resolves.
//!
//! A resolved episode is remembered, so that late lines which belong to it are known. They start a
//! new episode if the alert would still be open now: somebody must be told. If all of it is past,
//! they only lengthen the record. So old logs, in whatever order, give one episode where the sorted
//! log has one.

use serde::{Deserialize, Serialize};

use crate::{
    limits,
    rules::Rule,
    sources::{SourceRef, Sources},
    window::{Evidence, Window},
};

/// Where an episode stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    Pending,
    Firing,
    Resolved,
    /// Ended before it fired. Not kept.
    Cancelled,
}

/// A quoted line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) time: i64,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) line: String,
    /// Its timestamp was in the future and was replaced by its arrival.
    pub(crate) clamped: bool,
}

/// One life of an alert. Times are event times in nanoseconds unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Episode {
    /// Part of the episode's identity; never changes.
    pub(crate) start: i64,
    /// Up to here the count is known to stand at N or more.
    pub(crate) until: i64,
    pub(crate) phase: Phase,
    pub(crate) last_line: i64,
    /// Matching lines while it was open, the window that opened it included.
    pub(crate) lines: u64,
    /// When the last evidence was fed, by the wall clock.
    pub(crate) seen: i64,
    /// Whose watermarks it waits for.
    pub(crate) sources: Vec<SourceRef>,
    pub(crate) samples: Vec<Sample>,
}

impl Episode {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Pending | Phase::Firing)
    }

    /// Whether evidence continues this episode: no gap for a pending one, less than `hold` otherwise.
    fn takes(&self, evidence: Evidence, hold: i64) -> bool {
        match self.phase {
            Phase::Pending => evidence.from <= self.until && evidence.until >= self.start,
            _ => {
                evidence.from < self.until.saturating_add(hold)
                    && evidence.until.saturating_add(hold) > self.start
            }
        }
    }

    fn close(&mut self) -> (Change, Episode) {
        let change = match self.phase {
            Phase::Pending => {
                self.phase = Phase::Cancelled;
                Change::Cancelled
            }
            _ => {
                self.phase = Phase::Resolved;
                Change::Resolved
            }
        };
        (change, self.clone())
    }

    /// When it ends, if nothing more comes.
    pub(crate) fn end(&self, hold: i64) -> i64 {
        match self.phase {
            Phase::Pending => self.until,
            _ => self.until.saturating_add(hold),
        }
    }
}

/// What happened to an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Change {
    Pending,
    Firing,
    Resolved,
    /// Pending, and the condition did not hold for long enough.
    Cancelled,
    /// Late lines made a resolved episode longer; nobody is told.
    Lengthened,
}

/// A matching line, put in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) time: i64,
    pub(crate) source: SourceRef,
    /// The wall clock.
    pub(crate) now: i64,
    pub(crate) sample: &'a Sample,
}

/// The window and the episodes of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) window: Window,
    /// Open and remembered ones, in the order they were started.
    pub(crate) episodes: Vec<Episode>,
    /// The last lines, to be quoted when the next one fires.
    recent: Vec<(SourceRef, Sample)>,
    /// When its last line was fed, by the wall clock.
    pub(crate) seen: i64,
}

impl Group {
    pub(crate) fn is_open(&self) -> bool {
        self.episodes.iter().any(Episode::is_open)
    }

    /// Whether nothing of it matters any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.window.is_empty() && self.episodes.is_empty()
    }

    /// Adds a line. What changed is appended to `changes` with a copy of the episode.
    pub(crate) fn add(
        &mut self,
        rule: &Rule,
        count: u32,
        line: Line<'_>,
        changes: &mut Vec<(Change, Episode)>,
    ) {
        self.seen = line.now;
        self.remember(line);
        let evidence = self.window.insert(line.time, count, rule.within_ns);
        if self.window.len() > limits::WINDOW_RUNS_MAX {
            metrics::counter!(crate::metrics::WINDOW_CUT).increment(1);
            self.window.halve();
        }
        let Some(evidence) = evidence else { return };
        let at = self.place(rule, count, evidence, line, changes);
        let Some(at) = at else { return };
        let episode = &mut self.episodes[at];
        note(&mut episode.sources, line.source);
        episode.seen = line.now;
        episode.last_line = episode.last_line.max(line.time);
        // Before the latest window of the episode only the edges matter: a late line can meet there
        // with older or younger ones, and as many as the count are as good as all.
        let (start, until) = (episode.start, episode.until);
        self.window
            .thin(start, until.saturating_sub(rule.within_ns), count);
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
        count: u32,
        evidence: Evidence,
        line: Line<'_>,
        changes: &mut Vec<(Change, Episode)>,
    ) -> Option<usize> {
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
            episode.until = episode.until.max(evidence.until);
            episode.lines += 1;
            if episode.samples.len() < limits::SAMPLES_MAX {
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
        self.episodes.push(Episode {
            start,
            until: evidence.until,
            phase,
            last_line: line.time,
            lines: u64::from(count),
            seen: line.now,
            sources,
            samples,
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
                if episode.until > due && now >= due {
                    episode.phase = Phase::Firing;
                    changes.push((Change::Firing, episode.clone()));
                }
            }
            if !episode.is_open() {
                continue;
            }
            let end = episode.end(rule.hold_ns);
            if episode
                .sources
                .iter()
                .all(|source| sources.watermark(*source) >= end)
            {
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
        let before = (self.window.len(), self.episodes.len());
        self.window
            .forget(i64::MIN, low.saturating_sub(rule.within_ns));
        let keep = limits::RESOLVED_KEEP.as_nanos() as i64;
        self.episodes.retain(|episode| {
            episode.is_open()
                || episode.end(rule.hold_ns) > low
                || episode.seen.saturating_add(keep) > clock
        });
        if self.episodes.len() > limits::EPISODES_MAX {
            let mut surplus = self.episodes.len() - limits::EPISODES_MAX;
            self.episodes.retain(|episode| {
                let goes = surplus > 0 && !episode.is_open();
                surplus -= usize::from(goes);
                !goes
            });
        }
        (self.window.len(), self.episodes.len()) != before
    }
}

fn note(sources: &mut Vec<SourceRef>, source: SourceRef) {
    if !sources.contains(&source) && sources.len() < limits::EPISODE_SOURCES_MAX {
        sources.push(source);
    }
}
