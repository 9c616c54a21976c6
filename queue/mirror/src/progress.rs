//! How far each partition is, and where that is kept: as offsets of a group at the source.
//!
//! They are committed there only after the target's ack, so that they may lag and never lead, and they show the
//! mirror's lag in whatever shows that of other groups. The note of a commit says what stood where when it was made; it is
//! what a start proves both logs by, and its bound for the search of later copies ([`crate::resume`]):
//!
//! ```text
//! lbm1 <owner> <offset after the last copy in the target> <its offset in the source | -> <CRC of the last record | ->
//! ```
//!
//! The owner is drawn at random by each life of a mirror. The last to begin owns the partitions; who finds another's name in
//! its place ends.

use std::collections::{BTreeMap, BTreeSet};

use logboom_client::{Admin, Assignment, Partition, Position};

use crate::error::Error;

const FORMAT: &str = "lbm1";

/// Where a partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The source's offset to copy next.
    pub(crate) next: i64,
    /// That of the record before it, by which the source is known again.
    pub(crate) last_crc: Option<u32>,
    /// Copies of what comes next stand at this offset of the target or behind it.
    pub(crate) target_next: i64,
    /// The offset in the source of the copy before `target_next`, by which the target is known again.
    pub(crate) copied: Option<i64>,
}

/// What a partition's commit says: its offset, and the rest where the note can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) next: i64,
    pub(crate) noted: Option<Progress>,
}

/// All partitions of a session.
pub(crate) struct Ledger {
    group: String,
    owner: String,
    partitions: BTreeMap<Partition, Progress>,
    /// Those that have moved since their commit.
    moved: BTreeSet<Partition>,
}

/// The group of all mirrors from a cluster to `target`.
pub(crate) fn group(target: &str) -> String {
    format!("logboom-mirror-{target}")
}

pub(crate) async fn read(
    from: &Admin,
    group: &str,
    partitions: &[Partition],
) -> Result<BTreeMap<Partition, Stored>, Error> {
    let positions = from.positions(group, partitions).await?.into_iter();
    Ok(positions
        .map(|Position { next, note }| {
            let noted = parse(next.offset, &note).map(|(_, progress)| progress);
            let stored = Stored {
                next: next.offset,
                noted,
            };
            ((next.topic, next.partition), stored)
        })
        .collect())
}

impl Ledger {
    /// Nothing is committed yet.
    pub(crate) fn new(
        group: String,
        owner: String,
        partitions: BTreeMap<Partition, Progress>,
    ) -> Ledger {
        Ledger {
            group,
            owner,
            moved: partitions.keys().cloned().collect(),
            partitions,
        }
    }

    pub(crate) fn partitions(&self) -> &BTreeMap<Partition, Progress> {
        &self.partitions
    }

    /// Everything before `progress.next` is acked by the target, or not for it.
    pub(crate) fn advance(&mut self, name: Partition, step: Step) {
        let Some(progress) = self.partitions.get_mut(&name) else {
            return;
        };
        assert!(
            step.next > progress.next,
            "a partition's rounds end in their order"
        );
        progress.next = step.next;
        progress.last_crc = Some(step.last_crc);
        if let Some(landed) = step.landed {
            progress.target_next = landed.target_offset + 1;
            progress.copied = Some(landed.offset);
        }
        self.moved.insert(name);
    }

    /// Makes this life the owner: the first commit, whoever had them before.
    pub(crate) async fn take(&mut self, from: &Admin) -> Result<(), Error> {
        self.store(from).await
    }

    /// Commits what has moved.
    ///
    /// # Errors
    /// [`Error::TakenOver`] when another has begun meanwhile; those of the client leave everything to the next try.
    pub(crate) async fn commit(&mut self, from: &Admin, ends: (&str, &str)) -> Result<(), Error> {
        let moved: Vec<Partition> = self.moved.iter().cloned().collect();
        for Position { next, note } in from.positions(&self.group, &moved).await? {
            let is_ours = |(owner, _)| owner == self.owner;
            // A note that no mirror wrote is an operator's, who may move offsets: no reason to end.
            if !parse(next.offset, &note).is_none_or(is_ours) {
                return Err(Error::TakenOver {
                    topic: next.topic,
                    from: ends.0.to_owned(),
                    to: ends.1.to_owned(),
                });
            }
        }
        self.store(from).await
    }

    async fn store(&mut self, from: &Admin) -> Result<(), Error> {
        if self.moved.is_empty() {
            return Ok(());
        }
        let moved = self.moved.iter().map(|name| {
            let progress = &self.partitions[name];
            Position {
                next: Assignment {
                    topic: name.0.clone(),
                    partition: name.1,
                    offset: progress.next,
                },
                note: write(&self.owner, progress),
            }
        });
        from.commit_positions(&self.group, moved.collect()).await?;
        self.moved.clear();
        Ok(())
    }
}

/// What a round did to a partition.
pub(crate) struct Step {
    pub(crate) next: i64,
    pub(crate) last_crc: u32,
    /// The last copy, if one was made.
    pub(crate) landed: Option<Landed>,
}

pub(crate) struct Landed {
    /// Its offset in the source.
    pub(crate) offset: i64,
    pub(crate) target_offset: i64,
}

fn write(owner: &str, progress: &Progress) -> String {
    let Progress {
        target_next,
        copied,
        last_crc,
        ..
    } = progress;
    let copied = copied.map_or("-".to_owned(), |offset| offset.to_string());
    let crc = last_crc.map_or("-".to_owned(), |crc| crc.to_string());
    format!("{FORMAT} {owner} {target_next} {copied} {crc}")
}

/// The owner and the progress; `None` for what no mirror wrote.
fn parse(next: i64, note: &str) -> Option<(&str, Progress)> {
    let mut words = note.split(' ');
    if words.next()? != FORMAT {
        return None;
    }
    let owner = words.next()?;
    let target_next = words.next()?.parse().ok()?;
    let copied: Option<i64> = optional(words.next()?)?;
    let last_crc = optional(words.next()?)?;
    let is_whole = words.next().is_none() && target_next >= 0 && next >= 0;
    let progress = Progress {
        next,
        last_crc,
        target_next,
        copied,
    };
    let is_sound = copied.is_none_or(|offset| (0..next).contains(&offset) && target_next > 0);
    (is_whole && is_sound).then_some((owner, progress))
}

/// `None` for what is neither a number nor `-`.
fn optional<T: std::str::FromStr>(word: &str) -> Option<Option<T>> {
    match word {
        "-" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn notes_are_read_as_they_were_written(
            next in 1..i64::MAX,
            target_next in 1..i64::MAX,
            copied in proptest::option::of(0..i64::MAX),
            last_crc: Option<u32>,
        ) {
            let copied = copied.map(|copied| copied % next);
            let progress = Progress { next, last_crc, target_next, copied };
            let note = write("o", &progress);
            prop_assert_eq!(parse(next, &note), Some(("o", progress)));
        }

        #[test]
        fn any_note_is_read_or_refused(next: i64, note in "(lbm1 )?[ a-z0-9-]{0,40}|.{0,40}") {
            if let Some((_, progress)) = parse(next, &note) {
                prop_assert!(progress.next >= 0 && progress.target_next >= 0);
            }
        }
    }

    #[test]
    fn what_is_no_note_is_refused() {
        for bad in [
            "",
            "lbm1",
            "lbm2 o 1 - -",
            "lbm1 o 1 -",
            "lbm1 o 1 - - -",
            "lbm1 o -1 - -",
            "lbm1 o 1 9 -",
            "lbm1 o 0 3 -",
            "lbm1 o 1 - 4294967296",
        ] {
            assert_eq!(parse(9, bad), None, "{bad}");
        }
    }
}
