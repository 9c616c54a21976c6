//! Transactions as the log has them: what readers of committed records see, and what a crash may do to it.

use std::path::Path;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use logboom_disk::Disk;

use super::{offsets, one_partition, plain};
use crate::log::batch::BatchError;
use crate::log::testing::{BatchBuilder, Machine, append, append_one, end_transaction};
use crate::log::{Aborted, AppendError, Outcome, PartitionLog, index, marker, segment};

fn of_producer(id: i64, epoch: i16, sequence: i32) -> Bytes {
    BatchBuilder::new(&[vec![1; 1000]])
        .attributes(0x10)
        .producer(id, epoch, sequence)
        .build()
}

fn committed(machine: &Machine, log: &PartitionLog, from: i64) -> Vec<i64> {
    let seen = machine.read_committed(log, from, 100).unwrap();
    seen.iter().map(|(header, _)| header.base_offset).collect()
}

#[test]
fn what_is_committed_shows_with_its_marker_and_what_is_aborted_never() {
    let (machine, _logs, log) = one_partition(1 << 20);
    append_one(&log, plain(0, 10)).unwrap();
    append_one(&log, of_producer(7, 0, 0)).unwrap();
    append_one(&log, of_producer(8, 0, 0)).unwrap();
    append_one(&log, plain(0, 10)).unwrap();
    assert_eq!((log.last_stable_offset(), log.high_watermark()), (1, 4));
    assert_eq!(committed(&machine, &log, 0), [0]);
    assert_eq!(offsets(&machine, &log), [0, 1, 2, 3], "others see all");

    end_transaction(&log, 8, 0, Outcome::Abort).unwrap();
    assert_eq!(
        committed(&machine, &log, 0),
        [0],
        "an older transaction is open"
    );
    end_transaction(&log, 7, 0, Outcome::Commit).unwrap();
    assert_eq!((log.last_stable_offset(), log.high_watermark()), (6, 6));
    assert_eq!(committed(&machine, &log, 0), [0, 1, 3]);
    assert_eq!(committed(&machine, &log, 2), [3]);
}

#[test]
fn a_group_with_whole_transactions_in_it_is_as_good_as_one_after_the_other() {
    let (machine, _logs, log) = one_partition(1 << 20);
    let end = |outcome| marker::build(7, 0, outcome, 0);
    let group = [
        (&log, of_producer(7, 0, 0)),
        (&log, end(Outcome::Abort)),
        (&log, of_producer(7, 0, 1)),
        (&log, end(Outcome::Commit)),
        (&log, end(Outcome::Commit)),
    ];
    let answers = append(&group);
    let answers: Vec<(i64, bool)> = answers
        .into_iter()
        .map(|answer| answer.map(|appended| (appended.base_offset, appended.duplicate)))
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        answers,
        [(0, false), (1, false), (2, false), (3, false), (-1, true)]
    );
    assert_eq!(committed(&machine, &log, 0), [2]);
}

#[test]
fn a_control_batch_is_the_logs_own_to_write() {
    let (machine, _logs, log) = one_partition(1 << 20);
    append_one(&log, of_producer(7, 0, 0)).unwrap();
    let forged = marker::build(7, 0, Outcome::Commit, 0);
    let refused = machine.block_on(log.append(forged)).unwrap_err();
    assert!(
        matches!(refused, AppendError::Invalid(BatchError::Control)),
        "{refused}"
    );
    let ended = machine.block_on(log.end_transaction(7, 0, Outcome::Commit));
    assert_eq!(ended.unwrap(), Some(1));
    let again = machine.block_on(log.end_transaction(7, 0, Outcome::Commit));
    assert_eq!(again.unwrap(), None);
    assert_eq!(committed(&machine, &log, 0), [0]);
}

#[test]
fn a_batch_that_comes_after_the_fence_is_refused() {
    let (_machine, _logs, log) = one_partition(1 << 20);
    append_one(&log, of_producer(7, 0, 0)).unwrap();
    end_transaction(&log, 7, 1, Outcome::Abort).unwrap();
    let late = append_one(&log, of_producer(7, 0, 1)).unwrap_err();
    assert!(
        matches!(
            late,
            AppendError::InvalidProducerEpoch {
                current: 1,
                found: 0,
                ..
            }
        ),
        "{late}"
    );
    assert_eq!(log.last_stable_offset(), log.high_watermark());
}

/// A transaction that began several closed segments ago, among plain records; then its end.
fn across_segments(outcome: Outcome) -> (Machine, Vec<i64>) {
    let (machine, logs, log) = one_partition(8 << 10);
    append_one(&log, plain(0, 1000)).unwrap();
    append_one(&log, of_producer(7, 0, 0)).unwrap();
    for byte in 0..20 {
        append_one(&log, plain(byte, 1000)).unwrap();
    }
    append_one(&log, of_producer(7, 0, 1)).unwrap();
    end_transaction(&log, 7, 0, outcome).unwrap();
    for byte in 0..20 {
        append_one(&log, plain(byte, 1000)).unwrap();
    }
    append_one(&log, of_producer(9, 0, 0)).unwrap();
    drop(logs);
    let names = machine.disk.list(Path::new("/queue/t-0")).unwrap();
    let bases: Vec<i64> = names
        .iter()
        .filter_map(|entry| segment::base_of(&entry.name))
        .collect();
    assert!(bases.len() > 5, "{bases:?}");
    (machine, bases)
}

#[test]
fn lost_indexes_and_notes_are_rebuilt_with_what_is_open_and_aborted() {
    for outcome in [Outcome::Commit, Outcome::Abort] {
        let (machine, bases) = across_segments(outcome);
        let see = |machine: &Machine| {
            let logs = machine.open();
            let log = logs.get("t", 0).unwrap();
            let from: Vec<Vec<i64>> = (0..44).map(|from| committed(machine, &log, from)).collect();
            (log.last_stable_offset(), log.high_watermark(), from)
        };
        let before = see(&machine);
        assert_eq!(
            (before.0, before.1),
            (44, 45),
            "the last transaction is open"
        );
        let is_seen = outcome == Outcome::Commit;
        for offset in [1, 22] {
            assert_eq!(before.2[0].contains(&offset), is_seen, "offset {offset}");
        }
        let dir = Path::new("/queue/t-0");
        // Each alone, then all.
        for lost in 0..=bases.len() {
            for (number, base) in bases.iter().enumerate() {
                if lost != number && lost != bases.len() {
                    continue;
                }
                for path in [index::path(dir, *base), index::note_path(dir, *base)] {
                    if machine.disk.open(&path).is_ok() {
                        machine.disk.remove(&path).unwrap();
                    }
                }
            }
            assert_eq!(see(&machine), before, "{outcome:?}, lost {lost}");
        }
    }
}

#[test]
fn an_index_lost_while_the_log_is_open_is_rebuilt_with_what_is_aborted() {
    let (machine, bases) = across_segments(Outcome::Abort);
    let logs = machine.open();
    let log = logs.get("t", 0).unwrap();
    for base in &bases[..bases.len() - 1] {
        let path = index::path(Path::new("/queue/t-0"), *base);
        machine.disk.remove(&path).unwrap();
    }
    assert_eq!(committed(&machine, &log, 0).len(), 41);
}

#[test]
fn a_transaction_and_its_marker_survive_a_crash_at_every_step_exactly_once() {
    let mut steps_met = 0;
    for outcome in [Outcome::Commit, Outcome::Abort] {
        for steps in 0..60 {
            // Segments are small enough that one is closed between the records and the marker.
            let (machine, logs, log) = one_partition(4 << 10);
            let prepared =
                (0..3).all(|sequence| append_one(&log, of_producer(7, 0, sequence)).is_ok());
            assert!(prepared);
            append_one(&log, plain(0, 900)).unwrap();
            machine.disk.stop_after(steps);
            let ended = end_transaction(&log, 7, 0, outcome);
            let more = append_one(&log, plain(0, 900));
            steps_met += u64::from(ended.is_err() || more.is_err());
            drop(logs);
            machine.disk.crash();
            // Who coordinates writes the marker again, since it can't know.
            let logs = machine.open();
            let log = logs.get("t", 0).unwrap();
            let stable = log.last_stable_offset();
            let open_again = stable < log.high_watermark();
            assert!(ended.is_err() || !open_again, "an answered marker is gone");
            let again = end_transaction(&log, 7, 0, outcome).unwrap();
            assert_eq!(again.duplicate, !open_again);
            let batches = machine.read_all(&log, 0).unwrap();
            let markers = batches.iter().filter(|(header, _)| header.is_control());
            assert_eq!(markers.count(), 1, "after {steps} steps");
            assert_eq!(log.last_stable_offset(), log.high_watermark());
            let seen = committed(&machine, &log, 0);
            assert_eq!(
                seen.starts_with(&[0, 1, 2]),
                outcome == Outcome::Commit,
                "{seen:?}"
            );
        }
    }
    assert!(steps_met > 4, "{steps_met}");
}

#[test]
fn a_fetch_takes_no_more_aborted_transactions_than_it_may() {
    let (machine, _logs, log) = one_partition(1 << 20);
    for id in 0..10 {
        append_one(&log, of_producer(id, 0, 0)).unwrap();
    }
    for id in 0..10 {
        end_transaction(&log, id, 0, Outcome::Abort).unwrap();
    }
    append_one(&log, plain(1, 10)).unwrap();
    for max in 1..12 {
        let read = log.read_committed(0, 1 << 20, max);
        let fetched = machine.block_on(read).unwrap();
        assert_eq!(fetched.aborted.len(), max.min(10));
        let first = Aborted {
            producer_id: 0,
            first_offset: 0,
            last_offset: 10,
        };
        assert_eq!(fetched.aborted[0], first);
        assert_eq!(
            machine.read_committed(&log, 0, max).unwrap().len(),
            1,
            "with {max}"
        );
    }
}

#[test]
fn retention_stops_at_an_open_transaction_and_an_order_to_delete_does_not() {
    let (machine, logs, log) = one_partition(4 << 10);
    for byte in 0..6 {
        append_one(&log, plain(byte, 1000)).unwrap();
    }
    append_one(&log, of_producer(7, 0, 0)).unwrap();
    for byte in 0..6 {
        append_one(&log, plain(byte, 1000)).unwrap();
    }
    let later = machine.now.load(Ordering::Relaxed) + 5000;
    log.apply_retention(later, i64::MAX).unwrap();
    assert!((3..=6).contains(&log.log_start()), "{}", log.log_start());

    log.delete_before(9).unwrap();
    assert_eq!((log.log_start(), log.last_stable_offset()), (9, 9));
    assert_eq!(committed(&machine, &log, 9), [0; 0]);
    drop(logs);
    machine.disk.crash();
    let logs = machine.open();
    let log = logs.get("t", 0).unwrap();
    assert_eq!((log.log_start(), log.last_stable_offset()), (9, 9));
    end_transaction(&log, 7, 0, Outcome::Abort).unwrap();
    assert_eq!(committed(&machine, &log, 9), [9, 10, 11, 12]);
}

#[test]
fn a_failed_group_leaves_no_transaction_open() {
    let (machine, _logs, log) = one_partition(1 << 20);
    append_one(&log, plain(1, 10)).unwrap();
    machine.disk.set_capacity(Some(machine.disk.used_bytes()));
    let big = BatchBuilder::new(&[vec![1; 2 << 20]])
        .attributes(0x10)
        .producer(7, 0, 0)
        .build();
    let refused = append_one(&log, big).unwrap_err();
    assert!(matches!(refused, AppendError::StorageFull), "{refused}");
    machine.disk.set_capacity(None);
    append_one(&log, plain(1, 10)).unwrap();
    assert_eq!((log.last_stable_offset(), log.high_watermark()), (2, 2));
}
