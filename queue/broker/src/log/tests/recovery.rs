//! What a restart makes of what it finds: torn tails, damage, lost files, producers, epochs.

use std::path::Path;

use logboom_disk::{Disk, read_all};

use super::{FILE_MAX, closed_segments, offsets, one_partition, plain};
use crate::log::index;
use crate::log::segment::DATA_FROM;
use crate::log::testing::{BatchBuilder, Machine, append_one};
use crate::log::{AppendError, ReadError};

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

/// The register of a CRC32C before `bytes` were taken in, from the one after.
fn crc_before(mut register: u32, bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    for byte in bytes.iter().rev() {
        for _ in 0..8 {
            let was_odd = register >> 31 == 1;
            register = if was_odd {
                (register ^ POLYNOMIAL) << 1 | 1
            } else {
                register << 1
            };
        }
        register ^= u32::from(*byte);
    }
    register
}

/// redpanda#4114: a checksum of zero is not the mark of space that was never written.
#[test]
fn a_batch_whose_checksum_is_zero_is_a_batch() {
    let mut batch = BatchBuilder::new(&[b"value...."]).build().to_vec();
    // The last four bytes of the value bring the checksum to zero; behind them is the count of headers.
    let at = batch.len() - 5;
    let before = !crc32c::crc32c(&batch[21..at]);
    let wanted = crc_before(crc_before(!0, &batch[at + 4..]), &[0; 4]);
    batch[at..at + 4].copy_from_slice(&(before ^ wanted).to_le_bytes());
    assert_eq!(crc32c::crc32c(&batch[21..]), 0);
    batch[17..21].fill(0);

    let (machine, logs, log) = one_partition(1 << 20);
    append_one(&log, batch.into()).unwrap();
    append_one(&log, plain(1, 10)).unwrap();
    assert_eq!(offsets(&machine, &log), [0, 1]);
    drop((log, logs));
    machine.disk.crash();
    let logs = machine.open();
    assert_eq!(offsets(&machine, &logs.get("t", 0).unwrap()), [0, 1]);
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
        .remove(&index::path(Path::new("/queue/t-0"), bases[1]))
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
        let path = index::path(Path::new("/queue/t-0"), *base);
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
fn a_partition_of_which_only_indexes_are_left_is_not_made_anew() {
    let (machine, _) = closed_segments();
    let dir = Path::new("/queue/t-0");
    for entry in machine.disk.list(dir).unwrap() {
        if !entry.name.ends_with(".index") {
            machine.disk.remove(&dir.join(entry.name)).unwrap();
        }
    }
    let log = machine.open().get("t", 0).unwrap();
    assert!(log.failure().unwrap().contains("state file is missing"));
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
