//! How far every source has come in event time: its watermark.
//!
//! Watermarks are per source. They never decide whether an alert fires; they only resolve, close and
//! forget. A source's watermark is the latest time seen in it. One that is silent no longer has a
//! say: its watermark is the wall clock, less the silence that is normal (so the last episode of a
//! log resolves by itself). A backfill that pauses gets more patience than a live source, because
//! nobody waits for its end.
//!
//! The wall clock enters as `clock`: "all that reached the queue before `clock` has been fed". While
//! the consumer lags behind, `clock` stands still, so a backlog is never taken for silence.

use std::{collections::HashMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::limits;

/// Names a source, or, for records without one, their partition: a hash of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct SourceRef(pub(crate) u64);

/// Where one source stands. All times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceClock {
    /// The latest event time seen, up to the wall clock.
    pub(crate) watermark: i64,
    /// The event time of the last line: what holds back forgetting, because old lines that are
    /// appended to a live log come in order too.
    pub(crate) position: i64,
    /// When its last line was fed, by the wall clock.
    pub(crate) seen: i64,
    /// Arrival and time of the last line that had a timestamp of its own.
    pub(crate) stamped: Option<(i64, i64)>,
}

impl SourceClock {
    fn idle(&self, clock: i64, timing: &Idle) -> Option<i64> {
        let patience = if self.seen - self.watermark > timing.live_max {
            timing.backfill
        } else {
            timing.live
        };
        (clock - self.seen > patience).then(|| clock - patience)
    }
}

/// The patience with silent sources, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    pub(crate) live: i64,
    pub(crate) backfill: i64,
    pub(crate) live_max: i64,
}

impl Idle {
    pub(crate) fn new(live: Duration, backfill: Duration) -> Idle {
        let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX / 4);
        Idle {
            live: nanos(live),
            backfill: nanos(backfill),
            live_max: nanos(limits::LIVE_MAX),
        }
    }
}

/// The clocks of all sources.
#[derive(Debug)]
pub(crate) struct Sources {
    clocks: HashMap<SourceRef, SourceClock>,
    idle: Idle,
    /// See the module's text. Never moves back.
    clock: i64,
}

impl Sources {
    pub(crate) fn new(idle: Idle) -> Sources {
        Sources {
            clocks: HashMap::new(),
            idle,
            clock: i64::MIN / 2,
        }
    }

    /// No source has come further than the wall clock, whatever was stored.
    pub(crate) fn restore(&mut self, source: SourceRef, mut clock: SourceClock, now: i64) {
        clock.watermark = clock.watermark.min(now);
        self.clocks.insert(source, clock);
    }

    pub(crate) fn get(&self, source: SourceRef) -> Option<&SourceClock> {
        self.clocks.get(&source)
    }

    pub(crate) fn clock(&self) -> i64 {
        self.clock
    }

    pub(crate) fn advance(&mut self, clock: i64) {
        self.clock = self.clock.max(clock);
    }

    /// Takes note of a line: its arrival, its own timestamp if it has one. Returns its event time.
    ///
    /// A line without a timestamp has the time of the stamped line that it follows closely (the rest
    /// of a stack trace), else its arrival. A timestamp from the future is replaced by the arrival.
    ///
    /// The arrival is the producer's word: it counts up to the wall clock, as does the watermark. Else
    /// one wrong clock would end all later alerts of the source as they fire.
    pub(crate) fn observe(
        &mut self,
        source: SourceRef,
        arrival: i64,
        stamp: Option<i64>,
        now: i64,
    ) -> Placed {
        let nanos = |duration: Duration| duration.as_nanos() as i64;
        let arrival = arrival.min(now);
        let known = self.clocks.get(&source);
        let mut clamped = false;
        let (time, stamped) = match stamp {
            Some(stamp) => {
                clamped = stamp > arrival.saturating_add(nanos(limits::FUTURE_MAX));
                let time = if clamped { arrival } else { stamp };
                (time, Some((arrival, time)))
            }
            None => {
                let stamped = known.and_then(|clock| clock.stamped);
                let near =
                    stamped.filter(|(at, _)| (arrival - at).abs() <= nanos(limits::CARRY_MAX));
                (near.map_or(arrival, |(_, time)| time), stamped)
            }
        };
        let watermark = known
            .map_or(time, |clock| clock.watermark.max(time))
            .min(now);
        self.clocks.insert(
            source,
            SourceClock {
                watermark,
                position: time,
                seen: now,
                stamped,
            },
        );
        Placed {
            time,
            clamped,
            watermark,
        }
    }

    /// Up to when `source` has nothing more to say. One that was forgotten is silent.
    pub(crate) fn watermark(&self, source: SourceRef) -> i64 {
        match self.clocks.get(&source) {
            Some(known) => known
                .idle(self.clock, &self.idle)
                .map_or(known.watermark, |idle| idle.max(known.watermark)),
            None => self.clock - self.idle.live,
        }
    }

    /// The event time before which no source is still busy.
    pub(crate) fn low(&self) -> i64 {
        self.clocks
            .values()
            .filter(|known| known.idle(self.clock, &self.idle).is_none())
            .map(|known| known.position)
            .min()
            .unwrap_or(i64::MAX)
            .min(self.clock - self.idle.live)
    }

    /// Drops clocks of sources silent for long; returns whom.
    pub(crate) fn sweep(&mut self) -> Vec<SourceRef> {
        let before = self.clock - limits::SOURCE_KEEP.as_nanos() as i64;
        let mut gone: Vec<SourceRef> = self
            .clocks
            .iter()
            .filter(|(_, known)| known.seen < before)
            .map(|(source, _)| *source)
            .collect();
        let over = (self.clocks.len() - gone.len()).saturating_sub(limits::SOURCES_MAX);
        if over > 0 {
            let mut rest: Vec<(i64, SourceRef)> = self
                .clocks
                .iter()
                .filter(|(_, known)| known.seen >= before)
                .map(|(source, known)| (known.seen, *source))
                .collect();
            rest.sort_unstable();
            gone.extend(rest.into_iter().take(over).map(|(_, source)| source));
        }
        for source in &gone {
            self.clocks.remove(source);
        }
        gone
    }
}

/// A line put in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) time: i64,
    /// Its timestamp was in the future and was not believed.
    pub(crate) clamped: bool,
    /// Its source's watermark, this line included.
    pub(crate) watermark: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;
    const A: SourceRef = SourceRef(1);

    fn sources() -> Sources {
        Sources::new(Idle::new(Duration::from_secs(5), Duration::from_secs(30)))
    }

    #[test]
    fn a_silent_live_source_follows_the_wall_clock() {
        let mut sources = sources();
        sources.observe(A, 1000 * S, Some(999 * S), 1000 * S);
        sources.advance(1005 * S);
        assert_eq!(sources.watermark(A), 999 * S);
        sources.advance(1006 * S);
        assert_eq!(sources.watermark(A), 1001 * S);
        // It speaks again, and is believed again.
        sources.observe(A, 1007 * S, Some(1000 * S), 1007 * S);
        assert_eq!(sources.watermark(A), 1000 * S);
    }

    #[test]
    fn a_backfill_that_pauses_gets_more_patience() {
        let mut sources = sources();
        sources.observe(A, 1000 * S, Some(100 * S), 1000 * S);
        sources.advance(1029 * S);
        assert_eq!(sources.watermark(A), 100 * S);
        assert_eq!(sources.low(), 100 * S);
        sources.advance(1031 * S);
        assert_eq!(sources.watermark(A), 1001 * S);
    }

    #[test]
    fn a_timestamp_from_the_future_is_replaced_by_the_arrival() {
        let mut sources = sources();
        let placed = sources.observe(A, 1000 * S, Some(1060 * S), 1000 * S);
        assert_eq!((placed.time, placed.clamped), (1060 * S, false));
        let placed = sources.observe(A, 1000 * S, Some(1061 * S), 1000 * S);
        assert_eq!((placed.time, placed.clamped), (1000 * S, true));
    }

    #[test]
    fn a_producer_from_the_future_does_not_move_the_watermark_past_the_wall_clock() {
        let mut sources = sources();
        let (now, year) = (1000 * S, 31_536_000 * S);
        let placed = sources.observe(A, now + year, Some(now + year), now);
        assert_eq!((placed.time, placed.clamped), (now, true));
        assert_eq!(placed.watermark, now);
        let placed = sources.observe(A, now + year, None, now);
        assert_eq!((placed.time, placed.watermark), (now, now));
        let placed = sources.observe(A, now, Some(now + 30 * S), now);
        assert_eq!((placed.time, placed.watermark), (now + 30 * S, now));
    }

    #[test]
    fn a_stored_watermark_from_the_future_heals() {
        let mut sources = sources();
        let (now, year) = (1000 * S, 31_536_000 * S);
        let poisoned = SourceClock {
            watermark: now + year,
            position: now + year,
            seen: now - S,
            stamped: Some((now + year, now + year)),
        };
        sources.restore(A, poisoned, now);
        assert_eq!(sources.watermark(A), now);
        let placed = sources.observe(A, now + S, None, now + S);
        assert_eq!((placed.time, placed.watermark), (now + S, now + S));
    }

    #[test]
    fn a_stack_trace_has_the_time_of_its_first_line() {
        let mut sources = sources();
        sources.observe(A, 1000 * S, Some(10 * S), 1000 * S);
        assert_eq!(sources.observe(A, 1001 * S, None, 1001 * S).time, 10 * S);
        assert_eq!(
            sources.observe(A, 1011 * S, None, 1011 * S).time,
            1011 * S,
            "not for ever"
        );
    }

    #[test]
    fn long_silent_sources_are_forgotten() {
        let mut sources = sources();
        sources.observe(A, 0, Some(0), 0);
        sources.observe(SourceRef(2), 0, Some(0), 80_000 * S);
        sources.advance(86_401 * S);
        assert_eq!(sources.sweep(), [A]);
        assert_eq!(sources.watermark(A), 86_396 * S);
    }
}
