//! Disks that are full, or fail.

use std::path::Path;

use logboom_disk::Disk;

use super::{offsets, one_partition, plain};
use crate::log::AppendError;
use crate::log::testing::{BatchBuilder, Machine, append, append_one};

#[test]
fn a_full_disk_refuses_retriably_and_goes_on_without_a_restart() {
    let (machine, logs, log) = one_partition(8 << 10);
    let sent = BatchBuilder::new(&[vec![7_u8; 3000]])
        .producer(1, 0, 0)
        .build();
    machine
        .disk
        .set_capacity(Some(machine.disk.used_bytes() + 2000));
    let mut stored = 0;
    let refused = loop {
        match append_one(&log, plain(1, 1500)) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::StorageFull), "{refused}");
    assert!(matches!(
        append_one(&log, sent.clone()),
        Err(AppendError::StorageFull)
    ));
    assert_eq!(log.high_watermark(), stored);
    assert_eq!(
        machine.read_all(&log, 0).unwrap().len(),
        stored as usize,
        "reading goes on"
    );
    machine.disk.set_capacity(None);
    let appended = append_one(&log, sent).unwrap();
    assert_eq!((appended.base_offset, appended.duplicate), (stored, false));
    drop(logs);
    machine.disk.crash();
    assert_eq!(
        offsets(&machine, &machine.open().get("t", 0).unwrap()).len(),
        stored as usize + 1
    );
}

#[test]
fn appends_stop_at_the_disk_watermark_before_the_disk_is_full() {
    let mut machine = Machine::new(1);
    machine.config.disk_free_min_bytes = 10_000;
    machine.disk.set_capacity(Some(30_000));
    let logs = machine.open();
    let log = logs.create("t", 0).unwrap();
    while append_one(&log, plain(1, 500)).is_ok() {}
    assert!(machine.disk.free_bytes(Path::new("/")).unwrap() >= 10_000);
    assert_eq!(log.failure(), None);
}

#[test]
fn a_start_on_a_full_disk_finds_the_room_it_needs() {
    let (machine, logs, log) = one_partition(8 << 10);
    append_one(&log, plain(1, 1000)).unwrap();
    machine.disk.set_capacity(Some(machine.disk.used_bytes()));
    drop(logs);
    let logs = machine.open();
    assert_eq!(logs.get("t", 0).unwrap().failure(), None);
    machine.disk.set_capacity(None);
    append_one(&logs.get("t", 0).unwrap(), plain(1, 1000)).unwrap();
}

#[test]
fn after_a_failed_sync_the_partition_takes_nothing_until_a_restart() {
    let mut machine = Machine::new(1);
    machine.config.segment_bytes = 1 << 20;
    let logs = machine.open();
    let (bad, good) = (logs.create("t", 0).unwrap(), logs.create("t", 1).unwrap());
    append_one(&bad, plain(1, 100)).unwrap();
    machine.disk.fail_syncs(1000);
    assert!(matches!(
        append_one(&bad, plain(2, 100)),
        Err(AppendError::Storage { .. })
    ));
    machine.disk.fail_syncs(0);
    let syncs = machine.disk.syncs();
    let answers = append(&[(&bad, plain(3, 100)), (&good, plain(4, 100))]);
    assert!(matches!(answers[0], Err(AppendError::Storage { .. })) && answers[1].is_ok());
    assert_eq!(
        machine.disk.syncs(),
        syncs + 1,
        "the failed file is not synced again"
    );
    assert_eq!(offsets(&machine, &bad), [0], "what is synced can be read");
    assert!(bad.failure().unwrap().contains("restart"));
    assert!(logs.close().is_err(), "not a clean end");
    drop(logs);
    let logs = machine.open();
    let log = logs.get("t", 0).unwrap();
    let seen = offsets(&machine, &log);
    drop(logs);
    machine.disk.crash();
    assert_eq!(
        offsets(&machine, &machine.open().get("t", 0).unwrap()),
        seen,
        "what a restart showed is durable"
    );
}
