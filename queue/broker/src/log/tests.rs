//! Single promises of the log, one damage or fault at a time. Random mixtures are in `model_tests`.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use logboom_disk::{Disk, RealDisk, read_all};

use super::commit::{Pending, commit};
use super::limits::GROUP_BYTES_MAX;
use super::segment::DATA_FROM;
use super::testing::{BatchBuilder, Hooked, Machine, append, append_one};
use super::{AppendError, LogConfig, LogError, Logs, PartitionLog, ReadError};

const FILE_MAX: usize = 64 << 20;

fn plain(byte: u8, len: usize) -> Bytes {
    BatchBuilder::new(&[vec![byte; len]]).build()
}

fn offsets(machine: &Machine, log: &PartitionLog) -> Vec<i64> {
    machine
        .read_all(log, log.log_start())
        .unwrap()
        .iter()
        .map(|(header, _)| header.base_offset)
        .collect()
}

/// A machine with one partition, large segments, and no thread in the way.
fn one_partition(segment_bytes: u64) -> (Machine, Logs, Arc<PartitionLog>) {
    let mut machine = Machine::new(1);
    machine.config.segment_bytes = segment_bytes;
    let logs = machine.open();
    let log = logs.create("t", 0).unwrap();
    (machine, logs, log)
}

#[test]
fn torn_tail_is_truncated_on_open_wherever_it_is_torn() {
    let (machine, logs, log) = one_partition(1 << 20);
    append_one(&log, plain(1, 100)).unwrap();
    let first_end = DATA_FROM + log.size_bytes();
    append_one(&log, plain(2, 300)).unwrap();
    let second_end = DATA_FROM + log.size_bytes();
    drop(logs);
    let path = machine.segment_path(0);
    let full = read_all(&machine.disk, &path, FILE_MAX).unwrap();
    for cut in first_end..second_end {
        for tail in [None, Some(0), Some(0xff)] {
            let mut torn = full[..cut as usize].to_vec();
            if let Some(byte) = tail {
                torn.resize(full.len(), byte);
            }
            if torn == full {
                continue;
            }
            machine.disk.damage(&path, |bytes| *bytes = torn);
            let logs = machine.open();
            let log = logs.get("t", 0).unwrap();
            assert_eq!(offsets(&machine, &log), [0], "cut at {cut}, then {tail:?}");
            assert_eq!(append_one(&log, plain(3, 10)).unwrap().base_offset, 1);
            drop(logs);
            machine.disk.crash();
            let logs = machine.open();
            assert_eq!(
                offsets(&machine, &logs.get("t", 0).unwrap()),
                [0, 1],
                "cut at {cut}, then {tail:?}"
            );
        }
    }
}

#[test]
fn a_good_batch_with_another_offset_than_expected_does_not_count() {
    let (machine, logs, log) = one_partition(1 << 20);
    append_one(&log, plain(1, 100)).unwrap();
    let end = (DATA_FROM + log.size_bytes()) as usize;
    drop(logs);
    machine.disk.damage(&machine.segment_path(0), |bytes| {
        bytes.copy_within(DATA_FROM as usize..end, end)
    });
    let logs = machine.open();
    assert_eq!(offsets(&machine, &logs.get("t", 0).unwrap()), [0]);
}

#[test]
fn damage_that_had_been_synced_is_refused_and_not_cut_off() {
    let mut machine = Machine::new(1);
    (
        machine.config.segment_bytes,
        machine.config.checkpoint_bytes,
    ) = (16 << 20, 16 << 20);
    let logs = machine.open();
    let log = logs.create("t", 0).unwrap();
    for byte in 0..60 {
        append_one(&log, plain(byte, 100_000)).unwrap();
    }
    drop(logs);
    let path = machine.segment_path(0);
    machine.disk.damage(&path, |bytes| bytes[150_000] ^= 1);
    let before = read_all(&machine.disk, &path, FILE_MAX).unwrap();
    let logs = machine.open();
    let log = logs.get("t", 0).unwrap();
    let reason = log.failure().unwrap();
    assert!(
        reason.contains("00000000000000000000.log` is damaged at byte 10")
            && reason.contains("restore"),
        "{reason}"
    );
    assert!(matches!(
        append_one(&log, plain(1, 1)),
        Err(AppendError::Storage { .. })
    ));
    assert!(matches!(
        machine.read(&log, 0, 1),
        Err(ReadError::Storage { .. })
    ));
    assert_eq!(
        read_all(&machine.disk, &path, FILE_MAX).unwrap(),
        before,
        "a refused file is left as it is"
    );
}

/// Several closed segments, and where the first of them ends.
fn closed_segments() -> (Machine, Vec<i64>) {
    let (machine, logs, log) = one_partition(8 << 10);
    for byte in 0..30 {
        append_one(&log, plain(byte, 1000)).unwrap();
    }
    drop(logs);
    let names = machine.disk.list(Path::new("/queue/t-0")).unwrap();
    let bases: Vec<i64> = names
        .iter()
        .filter_map(|entry| super::segment::base_of(&entry.name))
        .collect();
    assert!(bases.len() > 3, "{bases:?}");
    (machine, bases)
}

#[test]
fn a_bad_batch_in_a_closed_segment_stops_its_reader_and_nobody_else() {
    let (machine, bases) = closed_segments();
    machine
        .disk
        .damage(&machine.segment_path(bases[1]), |bytes| {
            bytes[DATA_FROM as usize + 70] ^= 1
        });
    let logs = machine.open();
    let log = logs.get("t", 0).unwrap();
    assert_eq!(log.failure(), None);
    let error = machine.read(&log, bases[1], 100_000).unwrap_err();
    assert!(error.to_string().contains("damaged at byte 512"), "{error}");
    assert!(
        machine.read(&log, bases[0], 100_000).is_ok()
            && machine.read(&log, bases[2], 100_000).is_ok()
    );
    append_one(&log, plain(1, 1)).unwrap();
}

#[test]
fn a_bad_batch_in_a_closed_segment_without_index_refuses_the_partition() {
    let (machine, bases) = closed_segments();
    machine
        .disk
        .damage(&machine.segment_path(bases[1]), |bytes| {
            bytes[DATA_FROM as usize + 70] ^= 1
        });
    machine
        .disk
        .remove(&super::index::path(Path::new("/queue/t-0"), bases[1]))
        .unwrap();
    let reason = machine.open().get("t", 0).unwrap().failure().unwrap();
    assert!(
        reason.contains("a batch of a closed segment is bad"),
        "{reason}"
    );
}

#[test]
fn lost_indexes_are_rebuilt_and_tell_the_same() {
    let (machine, bases) = closed_segments();
    let read = |machine: &Machine| {
        let logs = machine.open();
        let log = logs.get("t", 0).unwrap();
        (
            machine.read_all(&log, 0).unwrap(),
            log.size_bytes(),
            log.max_timestamp(),
        )
    };
    let before = read(&machine);
    for (number, base) in bases.iter().enumerate() {
        let path = super::index::path(Path::new("/queue/t-0"), *base);
        if machine.disk.open(&path).is_ok() {
            match number % 2 {
                0 => machine.disk.remove(&path).unwrap(),
                _ => machine.disk.damage(&path, |bytes| bytes[90] ^= 1),
            }
        }
    }
    assert_eq!(read(&machine), before);
    assert_eq!(read(&machine), before);
}

#[test]
fn a_missing_or_shortened_segment_refuses_the_partition() {
    for missing in 0..3 {
        let (machine, bases) = closed_segments();
        machine
            .disk
            .remove(&machine.segment_path(bases[missing]))
            .unwrap();
        assert!(
            machine
                .open()
                .get("t", 0)
                .unwrap()
                .failure()
                .unwrap()
                .contains("missing")
        );
    }
    let (machine, bases) = closed_segments();
    machine
        .disk
        .damage(&machine.segment_path(bases[1]), |bytes| {
            bytes.truncate(1000)
        });
    assert!(
        machine
            .open()
            .get("t", 0)
            .unwrap()
            .failure()
            .unwrap()
            .contains("length")
    );
    let (machine, _) = closed_segments();
    machine
        .disk
        .remove(Path::new("/queue/t-0/partition.state"))
        .unwrap();
    assert!(
        machine
            .open()
            .get("t", 0)
            .unwrap()
            .failure()
            .unwrap()
            .contains("state file is missing")
    );
}

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

#[test]
fn a_repeated_batch_is_known_after_every_kind_of_restart() {
    let batch = |sequence| {
        BatchBuilder::new(&[vec![1_u8; 900]])
            .producer(9, 2, sequence)
            .build()
    };
    for clean in [false, true] {
        let (machine, logs, log) = one_partition(8 << 10);
        for sequence in 0..40 {
            assert_eq!(
                append_one(&log, batch(sequence)).unwrap().base_offset,
                i64::from(sequence)
            );
        }
        if clean {
            logs.close().unwrap();
        }
        drop(logs);
        machine.disk.crash();
        let logs = machine.open();
        let log = logs.get("t", 0).unwrap();
        let again = append_one(&log, batch(37)).unwrap();
        assert_eq!((again.base_offset, again.duplicate), (37, true));
        let gap = append_one(&log, batch(41));
        assert!(
            matches!(
                gap,
                Err(AppendError::OutOfOrderSequence {
                    expected: 40,
                    found: 41,
                    ..
                })
            ),
            "{gap:?}"
        );
        assert_eq!(append_one(&log, batch(40)).unwrap().base_offset, 40);
    }
}

#[test]
fn a_batch_repeated_within_a_group_is_stored_once() {
    let (machine, _logs, log) = one_partition(8 << 10);
    let batch = BatchBuilder::new(&[b"x"]).producer(1, 0, 0).build();
    let answers = append(&[(&log, batch.clone()), (&log, batch)]);
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.unwrap()).collect();
    assert_eq!((answers[0].base_offset, answers[0].duplicate), (0, false));
    assert_eq!((answers[1].base_offset, answers[1].duplicate), (0, true));
    assert_eq!(offsets(&machine, &log), [0]);
}

#[test]
fn the_leader_epoch_goes_up_at_unclean_starts_only_and_is_in_the_batches() {
    let (machine, logs, log) = one_partition(1 << 20);
    append_one(&log, plain(1, 10)).unwrap();
    logs.close().unwrap();
    drop(logs);
    let logs = machine.open();
    assert_eq!(logs.get("t", 0).unwrap().leader_epoch(), 0);
    drop(logs);
    machine.disk.crash();
    let logs = machine.open();
    let log = logs.get("t", 0).unwrap();
    append_one(&log, plain(2, 10)).unwrap();
    assert_eq!(log.leader_epoch(), 1);
    let epochs: Vec<i32> = machine
        .read_all(&log, 0)
        .unwrap()
        .iter()
        .map(|(header, _)| header.leader_epoch)
        .collect();
    assert_eq!(epochs, [0, 1]);
    assert_eq!(
        (log.epoch_end(0), log.epoch_end(1), log.epoch_end(2)),
        (Some((0, 1)), Some((1, 2)), None)
    );
}

#[test]
fn reserved_space_is_given_back_by_a_clean_close_and_the_mark_counts_once() {
    let (machine, logs, log) = one_partition(1 << 20);
    append_one(&log, plain(1, 10)).unwrap();
    let stored = DATA_FROM + log.size_bytes();
    logs.close().unwrap();
    assert!(matches!(
        append_one(&log, plain(1, 1)),
        Err(AppendError::Closed)
    ));
    drop(logs);
    machine.disk.crash();
    assert_eq!(
        machine
            .disk
            .open(&machine.segment_path(0))
            .unwrap()
            .len()
            .unwrap(),
        stored
    );
    drop(machine.open());
    assert_eq!(machine.open().get("t", 0).unwrap().leader_epoch(), 1);
}

#[test]
fn the_first_batch_comes_even_if_it_is_larger_than_asked_for() {
    let (machine, _logs, log) = one_partition(1 << 20);
    for byte in 0..3 {
        append_one(&log, plain(byte, 100_000)).unwrap();
    }
    let batch_bytes = log.size_bytes() as usize / 3;
    for (asked, found) in [
        (1, 1),
        (batch_bytes - 1, 1),
        (batch_bytes, 1),
        (2 * batch_bytes - 1, 1),
        (2 * batch_bytes, 2),
        (1 << 30, 3),
    ] {
        assert_eq!(
            machine.read(&log, 0, asked).unwrap().bytes.len(),
            found * batch_bytes,
            "asked for {asked}"
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let small = runtime.block_on(log.read(0, batch_bytes - 1)).unwrap();
    assert!(small.bytes.is_empty() && small.too_large == Some(batch_bytes));
    let end = runtime.block_on(log.read(3, 1)).unwrap();
    assert!(end.bytes.is_empty() && end.too_large.is_none());
    assert!(matches!(
        runtime.block_on(log.read(4, 1)),
        Err(ReadError::OutOfRange { end: 3, .. })
    ));
}

#[test]
fn what_was_read_holds_no_more_memory_than_it_has_bytes() {
    let (machine, _logs, log) = one_partition(1 << 20);
    for len in [100, 100_000, 100] {
        append_one(&log, plain(1, len)).unwrap();
    }
    let first = machine.read(&log, 0, 100_000).unwrap().bytes;
    let last = machine.read(&log, 2, 100_000).unwrap().bytes;
    for bytes in [first, last] {
        assert!(bytes.len() < 1000, "one small batch");
        let held = bytes.try_into_mut().unwrap().capacity();
        assert!(held < 1000, "{held} bytes");
    }
}

#[test]
fn the_memory_of_a_large_group_is_given_back() {
    let (_machine, _logs, log) = one_partition(64 << 20);
    let mut buffer = Vec::new();
    for len in [2 * GROUP_BYTES_MAX, 100] {
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        let append = Pending {
            log: log.clone(),
            batch: plain(1, len),
            reply,
            permit: None,
        };
        commit(vec![append], &mut buffer, |files| {
            files.iter().map(|file| file.sync_data()).collect()
        });
        answer.try_recv().unwrap().unwrap();
        assert!(buffer.capacity() <= GROUP_BYTES_MAX);
    }
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_producers_at_once_get_rising_offsets_through_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig {
        segment_bytes: 256 << 10,
        disk_free_min_bytes: 0,
        ..LogConfig::default()
    };
    let path = dir.path().join("queue");
    let logs = Logs::open(Arc::new(RealDisk), &path, config.clone()).unwrap();
    let partitions: Vec<_> = (0..3)
        .map(|partition| logs.create("t", partition).unwrap())
        .collect();
    let mut watch = partitions[0].watch();
    let tasks: Vec<_> = (0..24_u8)
        .map(|number| {
            let log = partitions[usize::from(number) % 3].clone();
            tokio::spawn(async move {
                let mut offsets = Vec::new();
                for _ in 0..40 {
                    let appended = log.append(plain(number, 1000)).await.unwrap();
                    assert!(
                        log.high_watermark() > appended.base_offset,
                        "acknowledged before it could be read"
                    );
                    offsets.push(appended.base_offset);
                }
                assert!(offsets.is_sorted());
                (number % 3, offsets)
            })
        })
        .collect();
    let mut all = vec![Vec::new(); 3];
    for task in tasks {
        let (partition, offsets) = task.await.unwrap();
        all[usize::from(partition)].extend(offsets);
    }
    for offsets in &mut all {
        offsets.sort_unstable();
        assert_eq!(*offsets, (0..320).collect::<Vec<i64>>());
    }
    tokio::time::timeout(Duration::from_secs(5), watch.wait_for(|end| *end == 320))
        .await
        .unwrap()
        .unwrap();
    tokio::task::spawn_blocking(move || logs.close().unwrap())
        .await
        .unwrap();
    assert!(matches!(
        partitions[0].append(plain(0, 1)).await,
        Err(AppendError::Closed)
    ));
    let logs = Logs::open(Arc::new(RealDisk), &path, config).unwrap();
    assert_eq!(
        logs.list()
            .iter()
            .map(|log| log.high_watermark())
            .collect::<Vec<_>>(),
        [320; 3]
    );
}
