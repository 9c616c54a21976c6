//! Where a start goes on: what is committed at the source, corrected by what stands in the target.
//!
//! A kill between the target's ack and the commit leaves copies in the target that the commit does not know. They
//! carry their offset in the source, so the last of them says where to go on: no record is copied twice, whatever it is.
//! The search begins at the offset of the target that the commit's note names, and without one at most
//! [`TAIL_RECORDS_MAX`] before the end.
//!
//! Either log may have been made anew since (a topic deleted and created, a disk replaced). The note's checksum of the
//! last record, or the last copy's, proves the source; the copy before the note's place, by its offset, proves the target.

use std::collections::BTreeMap;

use logboom_client::{Bounds, ClientConfig, Isolation, Partition, RawRecord};

use crate::ends::{self, Stretch};
use crate::error::Error;
use crate::limits::TAIL_RECORDS_MAX;
use crate::origin::Clusters;
use crate::progress::{Progress, Stored};

/// One partition, from outside.
#[derive(Debug, Clone)]
pub(crate) struct Sides {
    pub(crate) stored: Option<Stored>,
    pub(crate) source: Bounds,
    pub(crate) target: Bounds,
}

/// What was read of its logs.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// CRC of the source's record where the last one was that is known to be copied.
    source_crc: Option<u32>,
    before: Before,
    last: Option<LastCopy>,
}

/// The target's record before the note's place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Before {
    /// Deleted or compacted away, so that it proves nothing.
    #[default]
    Gone,
    /// Of this offset of the source.
    Copy(i64),
    Other,
}

/// The copy of the highest offset, at the note's place or behind it.
#[derive(Debug, Clone, Copy)]
struct LastCopy {
    offset: i64,
    target_offset: i64,
    crc: u32,
}

/// Where to go on and what there is to say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) progress: Progress,
    pub(crate) finding: Finding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    GoesOn,
    /// The source has deleted so many offsets that were not copied.
    Lost(i64),
    SourceMadeAnew,
    TargetMadeAnew,
    /// Nothing is committed, no copy was found, and the target holds more than was searched.
    NotAllSearched,
}

/// Reads of both clusters what has to be read, and decides.
pub(crate) async fn starts(
    (from, to): (&ClientConfig, &ClientConfig),
    clusters: &Clusters,
    sides: &BTreeMap<Partition, Sides>,
) -> Result<BTreeMap<Partition, Start>, Error> {
    let mut seen: BTreeMap<Partition, Seen> = BTreeMap::new();

    let tails = stretches(sides, |sides| Some(sides.tail()));
    ends::read(to, Isolation::None, &tails, |record| {
        let name = name_of(record);
        let Some(noted) = sides.get(&name).map(Sides::noted) else {
            return;
        };
        let copy = clusters.copied_offset(record);
        let seen = seen.entry(name).or_default();
        match noted {
            Some(noted) if record.offset < noted.target_next => {
                seen.before = copy.map_or(Before::Other, Before::Copy);
            }
            _ => seen.see_copy(copy, record),
        }
    })
    .await?;

    // Where the note is of another log, its place means nothing, and neither does what was found from there on.
    let made_anew = |name: &Partition, sides: &Sides| {
        let before = seen.get(name).map(|seen| seen.before).unwrap_or_default();
        sides.is_target_anew(before)
    };
    let again: BTreeMap<Partition, Sides> = sides
        .iter()
        .filter(|(name, sides)| made_anew(name, sides))
        .map(|(name, sides)| (name.clone(), sides.clone()))
        .collect();
    for name in again.keys() {
        seen.entry(name.clone()).or_default().last = None;
    }
    let whole = stretches(&again, |sides| Some(sides.whole_tail()));
    ends::read(to, Isolation::None, &whole, |record| {
        let copy = clusters.copied_offset(record);
        seen.entry(name_of(record))
            .or_default()
            .see_copy(copy, record);
    })
    .await?;

    let last_read = |name: &Partition, sides: &Sides| {
        let seen = seen.get(name).copied().unwrap_or_default();
        sides.last_read(seen)
    };
    let wanted = sides
        .iter()
        .filter_map(|(name, sides)| Some((name.clone(), last_read(name, sides)?)));
    let wanted: BTreeMap<Partition, i64> = wanted.collect();
    let proofs: Vec<Stretch> = wanted
        .iter()
        .map(|(name, last)| Stretch {
            name: name.clone(),
            from: *last,
            to: *last + 1,
        })
        .collect();
    ends::read(from, Isolation::Committed, &proofs, |record| {
        let name = name_of(record);
        if wanted.get(&name) == Some(&record.offset) {
            seen.entry(name).or_default().source_crc = Some(record.crc());
        }
    })
    .await?;

    let all = sides.iter();
    Ok(all
        .map(|(name, sides)| {
            let seen = seen.get(name).copied().unwrap_or_default();
            (name.clone(), sides.decide(seen))
        })
        .collect())
}

fn name_of(record: &RawRecord) -> Partition {
    (record.topic.to_string(), record.partition)
}

fn stretches(
    sides: &BTreeMap<Partition, Sides>,
    which: impl Fn(&Sides) -> Option<(i64, i64)>,
) -> Vec<Stretch> {
    let wanted = sides
        .iter()
        .filter_map(|(name, sides)| Some((name.clone(), which(sides)?)));
    wanted
        .map(|(name, (from, to))| Stretch { name, from, to })
        .collect()
}

impl Seen {
    fn see_copy(&mut self, copy: Option<i64>, record: &RawRecord) {
        let Some(offset) = copy else { return };
        if self.last.is_none_or(|last| offset > last.offset) {
            self.last = Some(LastCopy {
                offset,
                target_offset: record.offset,
                crc: record.crc(),
            });
        }
    }
}

impl Sides {
    fn noted(&self) -> Option<Progress> {
        self.stored.as_ref()?.noted
    }

    /// The offset of the last record that was copied, which proves the source if it is still there.
    fn last_read(&self, seen: Seen) -> Option<i64> {
        let known = self.known(seen)?;
        known.last_crc?;
        let last = known.next - 1;
        (self.source.low..self.source.high)
            .contains(&last)
            .then_some(last)
    }

    /// Where copies can stand that the commit does not know, and the record before.
    fn tail(&self) -> (i64, i64) {
        match self.noted() {
            Some(noted) if noted.target_next <= self.target.high => {
                let from = (noted.target_next - 1).max(self.target.low);
                (from, self.target.high)
            }
            _ => self.whole_tail(),
        }
    }

    fn whole_tail(&self) -> (i64, i64) {
        let Bounds { low, high } = self.target;
        (low.max(high - TAIL_RECORDS_MAX), high)
    }

    fn is_target_anew(&self, before: Before) -> bool {
        let Some(noted) = self.noted() else {
            return false;
        };
        let is_other = match (noted.copied, before) {
            (_, Before::Gone) | (None, _) => false,
            (Some(copied), Before::Copy(found)) => found != copied,
            (Some(_), Before::Other) => true,
        };
        is_other || noted.target_next > self.target.high
    }

    fn decide(&self, seen: Seen) -> Start {
        let Bounds { low, high } = self.source;
        let afresh = Progress {
            next: low,
            last_crc: None,
            target_next: self.target.high,
            copied: None,
        };
        let known = self.known(seen);
        let crcs = (known.and_then(|known| known.last_crc), seen.source_crc);
        let is_other = matches!(crcs, (Some(copied), Some(found)) if copied != found);
        if is_other || known.is_some_and(|known| known.next > high) {
            return Start {
                progress: afresh,
                finding: Finding::SourceMadeAnew,
            };
        }
        let mut finding = match known {
            _ if self.is_target_anew(seen.before) => Finding::TargetMadeAnew,
            None if self.whole_tail().0 > self.target.low => Finding::NotAllSearched,
            _ => Finding::GoesOn,
        };
        let mut progress = known.unwrap_or(afresh);
        if progress.next < low {
            finding = Finding::Lost(low - progress.next);
            progress.next = low;
            progress.last_crc = None;
        }
        Start { progress, finding }
    }

    /// The furthest of what is committed and what was found; `None` when there is neither.
    fn known(&self, seen: Seen) -> Option<Progress> {
        let committed = match self.noted() {
            Some(_) if self.is_target_anew(seen.before) => None,
            Some(noted) => Some(noted),
            // An operator's: the place in the target is not known, but where to go on is.
            None => self.stored.as_ref().map(|stored| Progress {
                next: stored.next,
                last_crc: None,
                target_next: self.target.high,
                copied: None,
            }),
        };
        let found = seen.last.map(|last| Progress {
            next: last.offset + 1,
            last_crc: Some(last.crc),
            target_next: last.target_offset + 1,
            copied: Some(last.offset),
        });
        match (committed, found) {
            (Some(committed), Some(found)) if found.next <= committed.next => Some(committed),
            (committed, found) => found.or(committed),
        }
    }
}

#[cfg(test)]
mod tests;
