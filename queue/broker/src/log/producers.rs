//! Which batches of which idempotent producer are in the log, so that one that comes again is answered and not stored.
//!
//! The state is a function of the log's batches. It is stored with the index of each closed segment and noted with
//! that of the open one; recovery takes the newest whole copy and walks the batches after it.
//!
//! Rules, which are Kafka's: a producer that is not known may start at any sequence; the next batch of a known one
//! must follow on; a newer epoch starts at 0; one of the last five batches, come again, gets its old offset.
//!
//! Also here: where each producer's open transaction began. It opens with a transactional batch and ends with a marker;
//! a marker for a producer without one is not stored, so whoever writes markers may write them again.

use std::collections::{BTreeSet, HashMap};

use bytes::{Buf, BufMut};

use super::batch::{Header, sequence_after};
use super::error::AppendError;
use super::limits::{PRODUCER_BATCHES, PRODUCER_SILENCE_MS, PRODUCERS_MAX};
use super::marker::Marker;

/// id, epoch, last append, number of batches
const PRODUCER_BYTES: usize = 8 + 2 + 8 + 1;
/// First offset of the open transaction; not there before there were transactions.
const OPEN_BYTES: usize = 8;
const NOT_OPEN: i64 = -1;
const BATCH_BYTES: usize = 4 + 4 + 8 + 8;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    last_append_ms: i64,
    /// Oldest first. None only after a marker has raised the epoch.
    batches: Vec<Stored>,
    /// Where its open transaction began.
    open_from: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stored {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    last_offset: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Producers {
    by_id: HashMap<i64, Producer>,
    /// Every `open_from`, so that the first is found without a look at everybody. No two are equal: a batch opens one.
    open: BTreeSet<i64>,
}

/// A producer as admin tools see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    pub id: i64,
    pub epoch: i16,
    /// −1: nothing since its epoch was raised.
    pub last_sequence: i32,
    pub last_append_ms: i64,
    pub open_from: Option<i64>,
}

/// What to do with a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Store,
    /// It is in the log already.
    Duplicate {
        base_offset: i64,
    },
    /// A marker that has nothing to end.
    NothingOpen,
}

/// What [`Producers::apply`] changed, to be taken back if the batch could not be written after all.
#[derive(Debug)]
pub(super) struct Undo {
    id: i64,
    before: Option<Producer>,
}

impl Producers {
    /// Judges a batch that wants to be stored next.
    pub(super) fn check(&self, batch: &Header) -> Result<Verdict, AppendError> {
        let Some(known) = self
            .by_id
            .get(&batch.producer_id)
            .filter(|_| batch.producer_id >= 0)
        else {
            return Ok(if batch.is_control() {
                Verdict::NothingOpen
            } else {
                Verdict::Store
            });
        };
        let producer_id = batch.producer_id;
        if batch.producer_epoch < known.epoch {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id,
                current: known.epoch,
                found: batch.producer_epoch,
            });
        }
        if batch.is_control() {
            return Ok(match known.open_from {
                Some(_) => Verdict::Store,
                None => Verdict::NothingOpen,
            });
        }
        let expected = if batch.producer_epoch > known.epoch {
            0
        } else {
            let sequences = (batch.base_sequence, batch.last_sequence());
            let same = known
                .batches
                .iter()
                .find(|stored| (stored.first_sequence, stored.last_sequence) == sequences);
            if let Some(stored) = same {
                return Ok(Verdict::Duplicate {
                    base_offset: stored.base_offset,
                });
            }
            known
                .batches
                .last()
                .map_or(0, |last| sequence_after(last.last_sequence, 1))
        };
        if batch.base_sequence != expected {
            return Err(AppendError::OutOfOrderSequence {
                producer_id,
                expected,
                found: batch.base_sequence,
            });
        }
        if known.open_from.is_some() && !batch.is_transactional() {
            return Err(AppendError::OutsideTransaction { producer_id });
        }
        Ok(Verdict::Store)
    }

    /// Takes in a batch that stands in the log (its `base_offset` is the real one), with what it says if it is a marker.
    pub(super) fn apply(
        &mut self,
        batch: &Header,
        marker: Option<&Marker>,
        now_ms: i64,
    ) -> Option<Undo> {
        if batch.producer_id < 0 {
            return None;
        }
        let undo = Undo {
            id: batch.producer_id,
            before: self.by_id.get(&batch.producer_id).cloned(),
        };
        let producer = self
            .by_id
            .entry(batch.producer_id)
            .or_insert_with(|| Producer {
                epoch: batch.producer_epoch,
                last_append_ms: now_ms,
                batches: Vec::with_capacity(PRODUCER_BATCHES),
                open_from: None,
            });
        producer.last_append_ms = now_ms;
        if batch.producer_epoch != producer.epoch {
            producer.epoch = batch.producer_epoch;
            producer.batches.clear();
        }
        if marker.is_some() {
            if let Some(open_from) = producer.open_from.take() {
                self.open.remove(&open_from);
            }
            return Some(undo);
        }
        if batch.is_transactional() && producer.open_from.is_none() {
            producer.open_from = Some(batch.base_offset);
            self.open.insert(batch.base_offset);
        }
        if producer.batches.len() == PRODUCER_BATCHES {
            producer.batches.remove(0);
        }
        producer.batches.push(Stored {
            first_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            base_offset: batch.base_offset,
            last_offset: batch.last_offset(),
        });
        Some(undo)
    }

    /// Takes back what was applied, newest first.
    pub(super) fn undo(&mut self, undo: Vec<Undo>) {
        for Undo { id, before } in undo.into_iter().rev() {
            let open_before = before.as_ref().and_then(|producer| producer.open_from);
            let undone = match before {
                Some(producer) => self.by_id.insert(id, producer),
                None => self.by_id.remove(&id),
            };
            if let Some(open_from) = undone.and_then(|producer| producer.open_from) {
                self.open.remove(&open_from);
            }
            self.open.extend(open_before);
        }
    }

    /// Where the oldest open transaction began: from there on nothing is committed for sure.
    pub(super) fn first_open(&self) -> Option<i64> {
        self.open.first().copied()
    }

    /// Where this producer's open transaction began.
    pub(super) fn open_from(&self, id: i64) -> Option<i64> {
        self.by_id.get(&id)?.open_from
    }

    pub(super) fn active(&self) -> Vec<ActiveProducer> {
        let mut active: Vec<ActiveProducer> = self
            .by_id
            .iter()
            .map(|(id, producer)| ActiveProducer {
                id: *id,
                epoch: producer.epoch,
                last_sequence: producer
                    .batches
                    .last()
                    .map_or(-1, |last| last.last_sequence),
                last_append_ms: producer.last_append_ms,
                open_from: producer.open_from,
            })
            .collect();
        active.sort_unstable_by_key(|producer| producer.id);
        active
    }

    /// Forgets producers whose records are all gone and that have been silent for long, and, past the maximum, those
    /// that were silent longest. Never one whose transaction is open: readers wait for its end.
    pub(super) fn prune(&mut self, log_start: i64, now_ms: i64) {
        self.by_id.retain(|_, producer| {
            let has_records = producer
                .batches
                .last()
                .is_some_and(|last| last.last_offset >= log_start);
            has_records
                || producer.open_from.is_some()
                || now_ms.saturating_sub(producer.last_append_ms) < PRODUCER_SILENCE_MS
        });
        if self.by_id.len() > PRODUCERS_MAX {
            let mut ages: Vec<(i64, i64)> = self
                .by_id
                .iter()
                .filter(|(_, producer)| producer.open_from.is_none())
                .map(|(id, producer)| (producer.last_append_ms, *id))
                .collect();
            ages.sort_unstable();
            let excess = self.by_id.len() - PRODUCERS_MAX;
            for (_, id) in &ages[..excess.min(ages.len())] {
                self.by_id.remove(id);
            }
        }
    }

    /// Whether [`Producers::prune`] is overdue: the maximum may be passed by a quarter between two calls.
    pub(super) fn is_crowded(&self) -> bool {
        self.by_id.len() > PRODUCERS_MAX + PRODUCERS_MAX / 4
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        for (id, producer) in &self.by_id {
            bytes.put_i64_le(*id);
            bytes.put_i16_le(producer.epoch);
            bytes.put_i64_le(producer.last_append_ms);
            bytes.put_u8(producer.batches.len() as u8);
            bytes.put_i64_le(producer.open_from.unwrap_or(NOT_OPEN));
            for batch in &producer.batches {
                bytes.put_i32_le(batch.first_sequence);
                bytes.put_i32_le(batch.last_sequence);
                bytes.put_i64_le(batch.base_offset);
                bytes.put_i64_le(batch.last_offset);
            }
        }
    }

    /// `bytes` have passed a checksum; `None` means that another version wrote them. `with_open`: written since there
    /// are transactions.
    pub(super) fn decode(mut bytes: &[u8], with_open: bool) -> Option<Producers> {
        let fixed_bytes = PRODUCER_BYTES + if with_open { OPEN_BYTES } else { 0 };
        let mut by_id = HashMap::new();
        let mut open = BTreeSet::new();
        while !bytes.is_empty() {
            if bytes.len() < fixed_bytes {
                return None;
            }
            let (id, epoch, last_append_ms, count) = (
                bytes.get_i64_le(),
                bytes.get_i16_le(),
                bytes.get_i64_le(),
                bytes.get_u8(),
            );
            let open_from = with_open
                .then(|| bytes.get_i64_le())
                .filter(|offset| *offset != NOT_OPEN);
            open.extend(open_from);
            let count = usize::from(count);
            if count > PRODUCER_BATCHES || bytes.len() < count * BATCH_BYTES {
                return None;
            }
            let batches = (0..count)
                .map(|_| Stored {
                    first_sequence: bytes.get_i32_le(),
                    last_sequence: bytes.get_i32_le(),
                    base_offset: bytes.get_i64_le(),
                    last_offset: bytes.get_i64_le(),
                })
                .collect();
            by_id.insert(
                id,
                Producer {
                    epoch,
                    last_append_ms,
                    batches,
                    open_from,
                },
            );
        }
        Some(Producers { by_id, open })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(epoch: i16, sequence: i32, count: i32, offset: i64) -> Header {
        Header {
            base_offset: offset,
            total_bytes: 100,
            leader_epoch: 0,
            magic: 2,
            crc: 0,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: 7,
            producer_epoch: epoch,
            base_sequence: sequence,
            count,
        }
    }

    fn after(batches: &[Header]) -> Producers {
        let mut producers = Producers::default();
        for batch in batches {
            producers.apply(batch, None, 0);
        }
        producers
    }

    #[test]
    fn an_unknown_producer_may_start_anywhere_and_a_plain_one_always() {
        assert_eq!(
            Producers::default().check(&batch(3, 1234, 1, 0)).unwrap(),
            Verdict::Store
        );
        let plain = Header {
            producer_id: -1,
            ..batch(-1, -1, 1, 0)
        };
        let producers = after(&[plain, plain]);
        assert_eq!(producers.check(&plain).unwrap(), Verdict::Store);
        assert_eq!(producers, Producers::default());
    }

    #[test]
    fn one_of_the_last_five_batches_gets_its_old_offset_and_a_sixth_is_out_of_order() {
        let batches: Vec<Header> = (0..6)
            .map(|n| batch(0, n * 2, 2, 100 + i64::from(n) * 2))
            .collect();
        let producers = after(&batches);
        for stored in &batches[1..] {
            assert_eq!(
                producers.check(stored).unwrap(),
                Verdict::Duplicate {
                    base_offset: stored.base_offset
                }
            );
        }
        let error = producers.check(&batches[0]).unwrap_err();
        assert!(
            matches!(
                error,
                AppendError::OutOfOrderSequence {
                    expected: 12,
                    found: 0,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_gap_is_out_of_order_and_the_next_follows() {
        let producers = after(&[batch(0, 5, 3, 0)]);
        assert!(producers.check(&batch(0, 9, 1, 3)).is_err());
        assert_eq!(producers.check(&batch(0, 8, 1, 3)).unwrap(), Verdict::Store);
    }

    #[test]
    fn sequences_follow_on_across_the_wrap() {
        let wrapping = batch(0, i32::MAX - 1, 4, 0);
        assert_eq!(wrapping.last_sequence(), 1);
        let producers = after(&[wrapping]);
        assert_eq!(producers.check(&batch(0, 2, 1, 4)).unwrap(), Verdict::Store);
        assert_eq!(
            producers.check(&wrapping).unwrap(),
            Verdict::Duplicate { base_offset: 0 }
        );
        let at_the_end = after(&[batch(0, i32::MAX, 1, 0)]);
        assert_eq!(
            at_the_end.check(&batch(0, 0, 1, 1)).unwrap(),
            Verdict::Store
        );
    }

    #[test]
    fn an_older_epoch_is_fenced_and_a_newer_one_starts_at_zero() {
        let mut producers = after(&[batch(4, 0, 1, 0)]);
        assert!(matches!(
            producers.check(&batch(3, 1, 1, 1)),
            Err(AppendError::InvalidProducerEpoch {
                current: 4,
                found: 3,
                ..
            })
        ));
        assert!(matches!(
            producers.check(&batch(5, 1, 1, 1)),
            Err(AppendError::OutOfOrderSequence { expected: 0, .. })
        ));
        assert_eq!(producers.check(&batch(5, 0, 1, 1)).unwrap(), Verdict::Store);
        producers.apply(&batch(5, 0, 1, 1), None, 0);
        assert_eq!(producers.check(&batch(5, 1, 1, 2)).unwrap(), Verdict::Store);
    }

    #[test]
    fn undo_restores_what_was_there_before_a_failed_group() {
        let before = after(&[batch(0, 0, 1, 0)]);
        let mut producers = before.clone();
        let undo: Vec<Undo> = [
            batch(0, 1, 1, 1),
            batch(1, 0, 1, 2),
            Header {
                producer_id: 8,
                ..batch(0, 0, 1, 3)
            },
        ]
        .iter()
        .filter_map(|batch| producers.apply(batch, None, 1))
        .collect();
        producers.undo(undo);
        assert_eq!(producers, before);
    }

    #[test]
    fn encoding_comes_back_and_other_lengths_are_refused() {
        let producers = after(&[
            batch(0, 0, 1, 0),
            Header {
                producer_id: 9,
                ..batch(2, 5, 3, 1)
            },
        ]);
        let mut bytes = Vec::new();
        producers.encode(&mut bytes);
        assert_eq!(Producers::decode(&bytes, true), Some(producers));
        assert!(
            (1..bytes.len())
                .filter(|len| *len != bytes.len() / 2)
                .all(|len| Producers::decode(&bytes[..len], true).is_none())
        );
    }

    #[test]
    fn a_producer_with_records_is_never_forgotten_for_its_silence() {
        let mut producers = after(&[batch(0, 0, 1, 10)]);
        producers.prune(10, i64::MAX);
        assert_ne!(producers, Producers::default());
        producers.prune(11, PRODUCER_SILENCE_MS - 1);
        assert_ne!(producers, Producers::default());
        producers.prune(11, PRODUCER_SILENCE_MS);
        assert_eq!(producers, Producers::default());
    }

    #[test]
    fn the_number_of_producers_is_bounded_and_the_most_silent_go_first() {
        let mut producers = Producers::default();
        for id in 0..(PRODUCERS_MAX as i64 + 10) {
            producers.apply(
                &Header {
                    producer_id: id,
                    ..batch(0, 0, 1, id)
                },
                None,
                id,
            );
        }
        producers.prune(0, 0);
        assert_eq!(producers.by_id.len(), PRODUCERS_MAX);
        assert!(!producers.by_id.contains_key(&9) && producers.by_id.contains_key(&10));
    }

    const TRANSACTIONAL: i16 = 0x10;
    const COMMIT: Marker = Marker {
        outcome: crate::log::Outcome::Commit,
        first_offset: 0,
    };

    fn transactional(epoch: i16, sequence: i32, offset: i64) -> Header {
        Header {
            attributes: TRANSACTIONAL,
            ..batch(epoch, sequence, 1, offset)
        }
    }

    fn marker(epoch: i16, offset: i64) -> Header {
        Header {
            attributes: 0x30,
            base_sequence: -1,
            ..batch(epoch, 0, 1, offset)
        }
    }

    #[test]
    fn a_transaction_is_open_from_its_first_batch_to_its_marker() {
        let mut producers = after(&[transactional(0, 0, 10), transactional(0, 1, 11)]);
        assert_eq!(
            (producers.first_open(), producers.open_from(7)),
            (Some(10), Some(10))
        );
        assert_eq!(producers.check(&marker(0, 12)).unwrap(), Verdict::Store);
        producers.apply(&marker(0, 12), Some(&COMMIT), 0);
        assert_eq!(
            (producers.first_open(), producers.open_from(7)),
            (None, None)
        );
        assert_eq!(
            producers.check(&marker(0, 13)).unwrap(),
            Verdict::NothingOpen,
            "a marker written again"
        );
        let next = transactional(0, 2, 13);
        assert_eq!(producers.check(&next).unwrap(), Verdict::Store);
        assert_eq!(
            Producers::default().check(&marker(0, 0)).unwrap(),
            Verdict::NothingOpen
        );
    }

    #[test]
    fn a_marker_of_a_newer_epoch_fences_and_sequences_start_anew() {
        let mut producers = after(&[transactional(4, 0, 10)]);
        assert!(matches!(
            producers.check(&marker(3, 11)),
            Err(AppendError::InvalidProducerEpoch { current: 4, .. })
        ));
        producers.apply(&marker(5, 11), Some(&COMMIT), 0);
        assert!(matches!(
            producers.check(&transactional(4, 1, 12)),
            Err(AppendError::InvalidProducerEpoch { current: 5, .. })
        ));
        assert!(matches!(
            producers.check(&transactional(5, 1, 12)),
            Err(AppendError::OutOfOrderSequence { expected: 0, .. })
        ));
        let mut bytes = Vec::new();
        producers.encode(&mut bytes);
        assert_eq!(Producers::decode(&bytes, true), Some(producers));
    }

    #[test]
    fn a_plain_batch_in_an_open_transaction_is_refused_and_a_repeated_one_is_not() {
        let producers = after(&[batch(0, 0, 1, 9), transactional(0, 1, 10)]);
        assert!(matches!(
            producers.check(&batch(0, 2, 1, 11)),
            Err(AppendError::OutsideTransaction { producer_id: 7 })
        ));
        assert_eq!(
            producers.check(&batch(0, 0, 1, 11)).unwrap(),
            Verdict::Duplicate { base_offset: 9 }
        );
    }

    #[test]
    fn undo_brings_back_what_was_open() {
        let before = after(&[transactional(0, 0, 10)]);
        let mut producers = before.clone();
        let undo: Vec<Undo> = [
            producers.apply(&marker(0, 11), Some(&COMMIT), 1),
            producers.apply(&transactional(0, 1, 12), None, 1),
        ]
        .into_iter()
        .flatten()
        .collect();
        assert_eq!(producers.first_open(), Some(12));
        producers.undo(undo);
        assert_eq!(producers, before);
    }

    #[test]
    fn a_producer_with_an_open_transaction_is_never_forgotten() {
        let mut producers = after(&[transactional(0, 0, 10)]);
        for id in 100..(PRODUCERS_MAX as i64 + 110) {
            let other = Header {
                producer_id: id,
                ..batch(0, 0, 1, id)
            };
            producers.apply(&other, None, id);
        }
        producers.prune(i64::MAX, i64::MAX);
        assert_eq!(producers.first_open(), Some(10));
        assert_eq!(producers.by_id.len(), 1);
    }

    #[test]
    fn what_was_stored_before_there_were_transactions_is_read() {
        let producers = after(&[batch(2, 5, 3, 1)]);
        let mut bytes = Vec::new();
        producers.encode(&mut bytes);
        bytes.drain(PRODUCER_BYTES..PRODUCER_BYTES + OPEN_BYTES);
        assert_eq!(Producers::decode(&bytes, false), Some(producers));
    }
}
