//! Partitions that come and go.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use logboom_disk::Disk;

use super::{one_partition, plain};
use crate::log::testing::{Machine, append_one};
use crate::log::{AppendError, LogError, PartitionLog, ReadError};

#[test]
fn a_deleted_topic_stays_deleted_and_a_new_one_of_its_name_starts_at_zero() {
    let mut machine = Machine::new(3);
    machine.config.segment_bytes = 8 << 10;
    let logs = machine.open();
    let log = logs.create("t", 0).unwrap();
    let other = logs.create("t-0", 0).unwrap();
    append_one(&log, plain(1, 5000)).unwrap();
    append_one(&other, plain(2, 10)).unwrap();
    assert!(matches!(logs.create("t", 0), Err(LogError::Exists { .. })));
    assert_eq!(logs.delete_topic("t").unwrap(), 1);
    assert!(matches!(
        append_one(&log, plain(1, 1)),
        Err(AppendError::Closed)
    ));
    assert!(matches!(machine.read(&log, 0, 1), Err(ReadError::Closed)));
    drop(logs);
    machine.disk.crash();
    let logs = machine.open();
    assert!(logs.get("t", 0).is_none() && logs.get("t-0", 0).unwrap().high_watermark() == 1);
    assert_eq!(
        append_one(&logs.create("t", 0).unwrap(), plain(1, 1))
            .unwrap()
            .base_offset,
        0
    );
    for name in ["", "..", "a/b", "ü"] {
        assert!(
            matches!(logs.create(name, 0), Err(LogError::TopicName { .. })),
            "{name}"
        );
    }
}

#[test]
fn a_new_topic_of_a_deleted_ones_name_reads_its_own_records() {
    let (machine, logs, old) = one_partition(8 << 10);
    let fill = |log: &Arc<PartitionLog>, byte| {
        for _ in 0..30 {
            append_one(log, plain(byte, 1000)).unwrap();
        }
        machine.read_all(log, 0).unwrap()
    };
    let old_batches = fill(&old, 1);
    logs.delete_topic("t").unwrap();
    let new_batches = fill(&logs.create("t", 0).unwrap(), 2);
    assert_eq!(old_batches.len(), new_batches.len());
    for ((_, old), (_, new)) in old_batches.iter().zip(&new_batches) {
        assert_ne!(old, new);
    }
}

#[test]
fn a_deleted_log_lets_go_of_nothing_in_a_new_topic_of_its_name() {
    let (machine, logs, old) = one_partition(8 << 10);
    let fill = |log: &Arc<PartitionLog>| {
        for byte in 0..30 {
            append_one(log, plain(byte, 1000)).unwrap();
        }
    };
    fill(&old);
    logs.delete_topic("t").unwrap();
    let new = logs.create("t", 0).unwrap();
    fill(&new);
    assert!(matches!(old.delete_before(30), Err(LogError::Closed)));
    let later = machine.now.load(Ordering::Relaxed) + 1001;
    assert_eq!(old.apply_retention(later, 30).unwrap().segments, 0);
    assert_eq!(machine.read_all(&new, 0).unwrap().len(), 30);
    drop(logs);
    machine.disk.crash();
    let logs = machine.open();
    let new = logs.get("t", 0).unwrap();
    assert_eq!(machine.read_all(&new, 0).unwrap().len(), 30);
}

#[test]
fn topics_with_the_longest_names_can_be_deleted() {
    let machine = Machine::new(1);
    let logs = machine.open();
    let long = ["x".repeat(246), "y".repeat(249)];
    for name in &long {
        logs.create(name, 0).unwrap();
        logs.create(name, 1023).unwrap();
        assert_eq!(logs.delete_topic(name).unwrap(), 2);
    }
    drop(logs);
    machine.disk.crash();
    assert_eq!(machine.open().list().len(), 0);
    assert_eq!(machine.disk.list(Path::new("/queue")).unwrap(), []);
}

#[test]
fn a_deletion_that_fails_at_any_step_can_be_repeated() {
    for steps in 0.. {
        let machine = Machine::new(steps);
        let logs = machine.open();
        for partition in 0..3 {
            append_one(&logs.create("t", partition).unwrap(), plain(1, 100)).unwrap();
        }
        machine.disk.stop_after(steps);
        let done = logs.delete_topic("t").is_ok();
        machine.disk.heal();
        for log in logs.list() {
            let refused = append_one(&log, plain(2, 100));
            assert!(matches!(refused, Err(AppendError::Closed)), "{refused:?}");
        }
        logs.delete_topic("t").unwrap();
        for partition in 0..3 {
            logs.create("t", partition).unwrap();
        }
        drop(logs);
        machine.disk.crash();
        let logs = machine.open();
        assert_eq!(logs.list().len(), 3);
        assert!(logs.list().iter().all(|log| log.high_watermark() == 0));
        if done {
            return;
        }
    }
}

#[test]
fn a_partition_created_at_any_step_before_a_crash_is_whole_or_not_there() {
    for seed in 0..60 {
        for steps in 0..20 {
            let machine = Machine::new(seed);
            let logs = machine.open();
            machine.disk.stop_after(steps);
            let created = logs.create("t", 0).is_ok();
            drop(logs);
            machine.disk.crash();
            let logs = machine.open();
            let log = logs
                .get("t", 0)
                .or_else(|| (!created).then(|| logs.create("t", 0).unwrap()));
            let log = log.unwrap_or_else(|| {
                panic!("seed {seed}, {steps} steps: a created partition is gone")
            });
            assert_eq!(
                append_one(&log, plain(1, 1)).unwrap().base_offset,
                0,
                "seed {seed}, {steps} steps"
            );
        }
    }
}
