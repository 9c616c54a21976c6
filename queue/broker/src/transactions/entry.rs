//! One transactional id as its coordinator knows it, and the steps that it may take.
//!
//! ```text
//!                  add              end                  markers written
//! Empty, Completed ───► Ongoing ───────────► Preparing ──────────────────► Completed
//!                          │ timeout, or a new instance: epoch + 1      ▲
//!                          └──────────────► Preparing(Abort) ───────────┘
//! ```
//!
//! Every step is a function from what is to what will be: nothing here waits, writes or looks at a clock. From `Preparing`
//! on, which is durable before anybody is told, there is no way but forward.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Refusal;
use crate::limits::{TRANSACTION_GROUPS_MAX, TRANSACTION_PARTITIONS_MAX};
use crate::log::Outcome;

/// From here on epochs are not raised any more but for a fence: the next instance gets another producer id.
const EPOCH_EXHAUSTED: i16 = i16::MAX - 1;

/// Partitions by topic.
pub(crate) type Partitions = BTreeMap<String, BTreeSet<i32>>;

/// A producer id with an epoch of it: one instance of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// No transaction yet under this epoch.
    Empty,
    Ongoing,
    /// Decided, but markers may be missing.
    Preparing(Outcome),
    Completed(Outcome),
}

impl State {
    /// As admin tools know it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Ongoing => "Ongoing",
            State::Preparing(Outcome::Commit) => "PrepareCommit",
            State::Preparing(Outcome::Abort) => "PrepareAbort",
            State::Completed(Outcome::Commit) => "CompleteCommit",
            State::Completed(Outcome::Abort) => "CompleteAbort",
        }
    }

    /// Whether there is a transaction that holds readers back.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, State::Ongoing | State::Preparing(_))
    }
}

/// What the journal keeps of a transactional id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The one instance that may write.
    pub(crate) instance: Instance,
    /// The instance that asked for the last raise of the epoch: if its answer was lost, it asks again.
    raised_for: Option<Instance>,
    pub(crate) timeout_ms: i64,
    pub(crate) state: State,
    /// Where there may be records of the transaction.
    pub(crate) partitions: Partitions,
    /// For which the transaction may have offsets.
    pub(crate) groups: BTreeSet<String>,
    /// When the transaction was opened.
    pub(crate) started_ms: i64,
    pub(crate) changed_ms: i64,
}

/// What a new instance of a producer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// [`Entry::raise`].
    Raise,
    /// [`Entry::fence`], and once the transaction is aborted ask again.
    Abort,
    /// It has been raised for this asker already.
    Answer,
}

impl Entry {
    pub(crate) fn new(producer_id: i64, timeout_ms: i64, now_ms: i64) -> Entry {
        Entry {
            instance: Instance {
                producer_id,
                epoch: 0,
            },
            raised_for: None,
            timeout_ms,
            state: State::Empty,
            partitions: Partitions::new(),
            groups: BTreeSet::new(),
            started_ms: -1,
            changed_ms: now_ms,
        }
    }

    /// A producer starts. `known`: the instance that it is, if it only wants a new epoch; `None`: it takes over from
    /// whoever there is.
    pub(crate) fn start(&self, known: Option<Instance>) -> Result<Start, Refusal> {
        if let State::Preparing(_) = self.state {
            return Err(Refusal::Concurrent);
        }
        match known {
            Some(known) if known != self.instance && Some(known) == self.raised_for => {
                return Ok(Start::Answer);
            }
            Some(known) if known != self.instance => return Err(Refusal::Fenced),
            _ => {}
        }
        Ok(match self.state {
            State::Ongoing => Start::Abort,
            _ => Start::Raise,
        })
    }

    /// Whether [`Entry::raise`] needs a new producer id.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.instance.epoch >= EPOCH_EXHAUSTED
    }

    /// A new instance, with the next epoch or, if they are used up, epoch 0 of `fresh_id`.
    pub(crate) fn raise(
        &self,
        known: Option<Instance>,
        fresh_id: Option<i64>,
        timeout_ms: i64,
        now_ms: i64,
    ) -> Entry {
        let instance = match fresh_id {
            Some(producer_id) => Instance {
                producer_id,
                epoch: 0,
            },
            None => self.next_epoch(),
        };
        Entry {
            instance,
            raised_for: known,
            ..Entry::new(instance.producer_id, timeout_ms, now_ms)
        }
    }

    /// Aborts the transaction against its producer's will: from now on that is of an older epoch.
    pub(crate) fn fence(&self, known: Option<Instance>, now_ms: i64) -> Entry {
        Entry {
            instance: self.next_epoch(),
            raised_for: known,
            state: State::Preparing(Outcome::Abort),
            changed_ms: now_ms,
            ..self.clone()
        }
    }

    fn next_epoch(&self) -> Instance {
        Instance {
            // Fencing at the very end leaves it where it is; the next start takes another id anyway.
            epoch: self.instance.epoch.saturating_add(1),
            ..self.instance
        }
    }

    /// Takes partitions and groups into the transaction, which opens it. `None`: they are in it.
    pub(crate) fn add(
        &self,
        by: Instance,
        partitions: &Partitions,
        groups: &BTreeSet<String>,
        now_ms: i64,
    ) -> Result<Option<Entry>, Refusal> {
        self.check_instance(by)?;
        if let State::Preparing(_) = self.state {
            return Err(Refusal::Concurrent);
        }
        let mut next = self.clone();
        if next.state != State::Ongoing {
            (next.state, next.started_ms) = (State::Ongoing, now_ms);
        }
        for (topic, added) in partitions {
            let known = next.partitions.entry(topic.clone()).or_default();
            known.extend(added);
        }
        next.groups.extend(groups.iter().cloned());
        let count: usize = next.partitions.values().map(BTreeSet::len).sum();
        if count > TRANSACTION_PARTITIONS_MAX {
            return Err(Refusal::TooManyPartitions);
        }
        if next.groups.len() > TRANSACTION_GROUPS_MAX {
            return Err(Refusal::TooManyGroups);
        }
        if next == *self {
            return Ok(None);
        }
        next.changed_ms = now_ms;
        Ok(Some(next))
    }

    /// The producer ends its transaction. `None`: it has ended like that before.
    pub(crate) fn end(
        &self,
        by: Instance,
        outcome: Outcome,
        now_ms: i64,
    ) -> Result<Option<Entry>, Refusal> {
        self.check_instance(by)?;
        match self.state {
            State::Ongoing => Ok(Some(Entry {
                state: State::Preparing(outcome),
                changed_ms: now_ms,
                ..self.clone()
            })),
            State::Completed(was) if was == outcome => Ok(None),
            State::Preparing(was) if was == outcome => Err(Refusal::Concurrent),
            State::Empty | State::Completed(_) | State::Preparing(_) => {
                Err(Refusal::InvalidState {
                    state: self.state.name(),
                })
            }
        }
    }

    /// Every marker of a prepared transaction is written.
    pub(crate) fn complete(&self, now_ms: i64) -> Entry {
        let State::Preparing(outcome) = self.state else {
            unreachable!(
                "only what is prepared is completed, not what is {:?}",
                self.state
            );
        };
        Entry {
            state: State::Completed(outcome),
            partitions: Partitions::new(),
            groups: BTreeSet::new(),
            changed_ms: now_ms,
            ..self.clone()
        }
    }

    /// Whether records of this instance may go to a partition now.
    pub(crate) fn check_partition(
        &self,
        by: Instance,
        topic: &str,
        partition: i32,
    ) -> Result<(), Refusal> {
        self.check_ongoing(by)?;
        let added = self.partitions.get(topic);
        if added.is_some_and(|added| added.contains(&partition)) {
            return Ok(());
        }
        Err(Refusal::NotAdded {
            what: format!("partition `{topic}`/{partition}"),
        })
    }

    /// Whether offsets of this instance may be committed for a group now.
    pub(crate) fn check_group(&self, by: Instance, group: &str) -> Result<(), Refusal> {
        self.check_ongoing(by)?;
        if self.groups.contains(group) {
            return Ok(());
        }
        Err(Refusal::NotAdded {
            what: format!("group `{group}`"),
        })
    }

    fn check_ongoing(&self, by: Instance) -> Result<(), Refusal> {
        self.check_instance(by)?;
        match self.state {
            State::Ongoing => Ok(()),
            State::Preparing(_) => Err(Refusal::Concurrent),
            State::Empty | State::Completed(_) => Err(Refusal::InvalidState {
                state: self.state.name(),
            }),
        }
    }

    fn check_instance(&self, by: Instance) -> Result<(), Refusal> {
        if by.producer_id != self.instance.producer_id {
            return Err(Refusal::UnknownProducer);
        }
        if by.epoch != self.instance.epoch {
            return Err(Refusal::Fenced);
        }
        Ok(())
    }

    /// Whether the transaction has been open for longer than its producer allowed.
    pub(crate) fn is_overdue(&self, now_ms: i64) -> bool {
        self.state == State::Ongoing && now_ms.saturating_sub(self.started_ms) > self.timeout_ms
    }

    /// Whether nothing happened for that long, and nothing is open.
    pub(crate) fn is_silent(&self, at_least: Duration, now_ms: i64) -> bool {
        let silent_ms = now_ms.saturating_sub(self.changed_ms);
        !self.state.is_open() && silent_ms > at_least.as_millis() as i64
    }

    /// Roughly what it takes in memory and in the journal.
    pub(crate) fn bytes(&self) -> usize {
        const FIXED: usize = 200;
        const NAME: usize = 64;
        const PARTITION: usize = 8;
        let topics = self
            .partitions
            .iter()
            .map(|(topic, partitions)| NAME + topic.len() + PARTITION * partitions.len());
        let groups = self.groups.iter().map(|group| NAME + group.len());
        FIXED + topics.sum::<usize>() + groups.sum::<usize>()
    }
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
