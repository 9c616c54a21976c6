//! What each flush mode does with a batch before it is acknowledged, and what a power cut makes of it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use logboom_disk::{Disk, read_all};

use super::{FILE_MAX, offsets, plain};
use crate::log::testing::{Machine, append, append_one};
use crate::log::{Flush, Logs, PartitionLog};

const HOUR: Duration = Duration::from_secs(3600);

fn one_partition(flush: Flush) -> (Machine, Logs, Arc<PartitionLog>) {
    let mut machine = Machine::new(3);
    machine.config.segment_bytes = 64 << 20;
    machine.config.flush = flush;
    let logs = machine.open();
    let log = logs.create("t", 0).unwrap();
    (machine, logs, log)
}

/// Whether the partition says that more than a group may be unsynced.
fn is_lazy(machine: &Machine) -> bool {
    let path = Path::new("/queue/t-0/partition.state");
    let bytes = read_all(&machine.disk, path, FILE_MAX).unwrap();
    bytes.starts_with(b"LBPART02")
}

#[test]
fn three_batches_of_a_group_take_so_many_syncs() {
    for (flush, syncs) in [
        (Flush::Always, 3),
        (Flush::Group, 1),
        (Flush::Interval(HOUR), 0),
        (Flush::Os, 0),
    ] {
        let (machine, _logs, log) = one_partition(flush);
        let before = machine.disk.syncs();
        let group = [1, 2, 3].map(|byte| (&log, plain(byte, 100)));
        for (offset, answer) in append(&group).into_iter().enumerate() {
            assert_eq!(answer.unwrap().base_offset, offset as i64);
        }
        assert_eq!(machine.disk.syncs() - before, syncs, "{flush:?}");
        assert_eq!(
            offsets(&machine, &log),
            [0, 1, 2],
            "{flush:?}: all can be read"
        );
        assert_eq!(is_lazy(&machine), !flush.comes_first(), "{flush:?}");
    }
}

#[test]
fn a_bad_batch_before_good_ones_is_damage_only_where_it_had_been_synced() {
    for flush in [
        Flush::Group,
        Flush::Always,
        Flush::Interval(HOUR),
        Flush::Os,
    ] {
        let (machine, logs, log) = one_partition(flush);
        for byte in 0..8 {
            append_one(&log, plain(byte, 1 << 20)).unwrap();
        }
        drop((logs, log));
        let path = machine.segment_path(0);
        machine
            .disk
            .damage(&path, |bytes| bytes[(1 << 20) + 2000] ^= 1);
        // The notes of the strict modes would keep the walk from seeing it.
        for entry in machine.disk.list(Path::new("/queue/t-0")).unwrap() {
            if entry.name.ends_with(".note") {
                machine
                    .disk
                    .remove(&Path::new("/queue/t-0").join(entry.name))
                    .unwrap();
            }
        }
        let logs = machine.open();
        let log = logs.get("t", 0).unwrap();
        if flush.comes_first() {
            assert!(log.is_refused(), "{flush:?}");
        } else {
            assert_eq!(
                (log.failure(), offsets(&machine, &log)),
                (None, vec![0]),
                "{flush:?}"
            );
            assert_eq!((log.leader_epoch(), log.epoch_end(0)), (1, Some((0, 1))));
        }
    }
}

#[test]
fn what_was_flushed_survives_a_power_cut_and_a_kill_takes_nothing() {
    let (machine, logs, log) = one_partition(Flush::Interval(HOUR));
    for byte in 0..3 {
        append_one(&log, plain(byte, 5_000)).unwrap();
    }
    logs.flush();
    append_one(&log, plain(3, 100)).unwrap();
    drop((logs, log));
    machine.disk.heal();
    let logs = machine.open();
    let log = logs.get("t", 0).unwrap();
    assert_eq!(offsets(&machine, &log), [0, 1, 2, 3], "after a kill");
    append_one(&log, plain(4, 100)).unwrap();
    drop((logs, log));
    machine.disk.crash();
    let logs = machine.open();
    let left = offsets(&machine, &logs.get("t", 0).unwrap());
    assert!(
        left.starts_with(&[0, 1, 2, 3]),
        "what a start recovered is synced: {left:?}"
    );
}

#[test]
fn a_log_start_never_passes_what_is_synced() {
    for flush in [Flush::Interval(HOUR), Flush::Os] {
        for seed in 0..20 {
            let mut machine = Machine::new(seed);
            machine.config.flush = flush;
            let logs = machine.open();
            let log = logs.create("t", 0).unwrap();
            for byte in 0..5 {
                append_one(&log, plain(byte, 700)).unwrap();
            }
            log.delete_before(4).unwrap();
            drop((logs, log));
            machine.disk.crash();
            let logs = machine.open();
            let log = logs.get("t", 0).unwrap();
            assert_eq!(
                (log.failure(), offsets(&machine, &log)),
                (None, vec![4]),
                "{flush:?}"
            );
        }
    }
}

#[test]
fn a_failed_flush_takes_the_partition_out_of_service_and_is_not_tried_again() {
    let (machine, logs, log) = one_partition(Flush::Interval(HOUR));
    append_one(&log, plain(1, 100)).unwrap();
    machine.disk.fail_syncs(1000);
    logs.flush();
    machine.disk.fail_syncs(0);
    assert!(log.failure().is_some());
    let before = machine.disk.syncs();
    logs.flush();
    assert!(append_one(&log, plain(2, 100)).is_err());
    assert!(
        log.delete_before(1).is_err(),
        "nothing durable may build on it"
    );
    assert_eq!(machine.disk.syncs(), before);
    assert_eq!(offsets(&machine, &log), [0], "it can still be read");
}

#[test]
fn the_mode_changes_with_a_start_and_the_partition_says_so() {
    let (mut machine, logs, log) = one_partition(Flush::Os);
    append_one(&log, plain(1, 100)).unwrap();
    logs.close().unwrap();
    drop((logs, log));
    for flush in [Flush::Group, Flush::Os, Flush::Always] {
        machine.config.flush = flush;
        let logs = machine.open();
        assert_eq!(is_lazy(&machine), !flush.comes_first(), "{flush:?}");
        drop(logs);
        machine.disk.crash();
        let logs = machine.open();
        assert_eq!(
            offsets(&machine, &logs.get("t", 0).unwrap()),
            [0],
            "{flush:?}"
        );
        drop(logs);
        machine.disk.crash();
    }
}

#[test]
fn the_flusher_syncs_by_itself() {
    let (machine, logs, log) = one_partition(Flush::Interval(Duration::from_millis(1)));
    let before = machine.disk.syncs();
    append_one(&log, plain(1, 5_000)).unwrap();
    let patience = Instant::now() + Duration::from_secs(30);
    let note = Path::new("/queue/t-0/00000000000000000000.note");
    // It is written after the sync of what it describes.
    while machine.disk.open(note).is_err() {
        assert!(Instant::now() < patience, "never flushed");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(machine.disk.syncs() > before);
    drop((logs, log));
    machine.disk.crash();
    let logs = machine.open();
    assert_eq!(offsets(&machine, &logs.get("t", 0).unwrap()), [0]);
}
