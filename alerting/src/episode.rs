//! One pending → firing → resolved life of an alert, in event time.
//!
//! An episode spans `[start, until)`, where the condition stood, and stays open for `hold` after `until`; new
//! evidence within that time prolongs it. Once its sources' watermarks have passed `until + hold` it
//! resolves.

use serde::{Deserialize, Serialize};

use crate::{
    sample::Sample,
    sources::{SourceRef, Sources},
    values::Tally,
    window::Evidence,
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

/// One life of an alert. Times are event times in nanoseconds unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Episode {
    /// Part of the episode's identity; never changes.
    pub(crate) start: i64,
    /// Up to here the condition is known to stand.
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
    /// Of a threshold on a quantile, what the last window that stood above it held.
    pub(crate) tally: Option<Tally>,
}

impl Episode {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Pending | Phase::Firing)
    }

    /// Whether evidence continues this episode: no gap for a pending one, less than `hold` otherwise.
    pub(crate) fn takes(&self, evidence: Evidence, hold: i64) -> bool {
        match self.phase {
            Phase::Pending => evidence.from <= self.until && evidence.until >= self.start,
            _ => {
                evidence.from < self.until.saturating_add(hold)
                    && evidence.until.saturating_add(hold) > self.start
            }
        }
    }

    pub(crate) fn close(&mut self) -> (Change, Episode) {
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

    /// Whether all that gave it lines have come to `time`.
    pub(crate) fn passed(&self, time: i64, sources: &Sources) -> bool {
        self.sources
            .iter()
            .all(|source| sources.watermark(*source) >= time)
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
