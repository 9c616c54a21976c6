//! Letting go of old records.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use logboom_disk::Disk;

use super::{closed_segments, one_partition, plain};
use crate::log::testing::{Hooked, Machine, append_one};
use crate::log::{Logs, ReadError};

#[test]
fn offsets_go_on_after_retention_emptied_the_log() {
    let (machine, logs, log) = one_partition(1 << 20);
    for _ in 0..5 {
        append_one(&log, plain(1, 100)).unwrap();
    }
    let later = machine.now.load(Ordering::Relaxed) + 1001;
    assert_eq!(
        log.apply_retention(later, 4).unwrap().segments,
        0,
        "somebody has still to read offset 4"
    );
    let removed = log.apply_retention(later, 5).unwrap();
    assert_eq!((removed.segments, removed.records), (1, 5));
    assert_eq!(
        (log.log_start(), log.high_watermark(), log.size_bytes()),
        (5, 5, 0)
    );
    assert!(matches!(
        machine.read(&log, 4, 1),
        Err(ReadError::OutOfRange {
            log_start: 5,
            end: 5,
            ..
        })
    ));
    drop(logs);
    machine.disk.crash();
    let logs = machine.open();
    let log = logs.get("t", 0).unwrap();
    assert_eq!((log.log_start(), log.high_watermark()), (5, 5));
    assert_eq!(append_one(&log, plain(1, 1)).unwrap().base_offset, 5);
}

#[test]
fn appends_go_on_at_every_step_of_a_deletion() {
    const DELETING: &str = "deleting";
    let (at_step, steps) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let may_go_on = Mutex::new(may_go_on);
    let hook = move |path: &Path| {
        if std::thread::current().name() == Some(DELETING) {
            at_step.send(path.to_owned()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
        }
    };
    let machine = Machine::new(1);
    let disk = machine.disk.clone();
    let disk = Arc::new(Hooked { disk, hook });
    let logs = Logs::open(disk, Path::new("/queue"), machine.config.clone()).unwrap();
    let log = logs.create("t", 0).unwrap();
    for byte in 0..30 {
        append_one(&log, plain(byte, 1000)).unwrap();
    }
    let deleting = std::thread::Builder::new()
        .name(DELETING.to_owned())
        .spawn({
            let log = log.clone();
            move || log.delete_before(20).unwrap()
        });
    let mut seen = Vec::new();
    while !deleting.as_ref().unwrap().is_finished() {
        let Ok(path) = steps.recv_timeout(Duration::from_millis(10)) else {
            continue;
        };
        let (log, (done, is_done)) = (log.clone(), mpsc::channel());
        let appending =
            std::thread::spawn(move || done.send(append_one(&log, plain(1, 100))).unwrap());
        let appended = is_done.recv_timeout(Duration::from_secs(10));
        appended
            .unwrap_or_else(|_| panic!("an append waits for {}", path.display()))
            .unwrap();
        appending.join().unwrap();
        seen.push(path);
        go_on.send(()).unwrap();
    }
    assert_eq!(deleting.unwrap().join().unwrap(), 20);
    let is_there = |end: &str| {
        seen.iter()
            .any(|path| path.to_string_lossy().ends_with(end))
    };
    assert!(
        is_there("partition.state") && is_there(".log.deleted") && is_there("t-0"),
        "{seen:?}"
    );
    assert_eq!(log.high_watermark(), 30 + seen.len() as i64);
}

#[test]
fn retention_by_size_keeps_the_newest() {
    let (mut machine, _) = closed_segments();
    machine.config.retention_bytes = Some(10_000);
    machine.config.retention = None;
    let logs = machine.open();
    let log = logs.get("t", 0).unwrap();
    let before = log.size_bytes();
    let removed = log.apply_retention(0, i64::MAX).unwrap();
    assert!(removed.segments > 0 && log.size_bytes() == before - removed.bytes);
    assert!(
        (10_000..10_000 + 8192).contains(&log.size_bytes()),
        "{}",
        log.size_bytes()
    );
    let files = machine.disk.list(Path::new("/queue/t-0")).unwrap();
    assert!(
        files.iter().all(|entry| !entry.name.ends_with(".deleted")),
        "{files:?}"
    );
}
