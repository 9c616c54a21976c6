//! Appends and reads on a healthy disk.

use std::sync::Arc;
use std::time::Duration;

use logboom_disk::RealDisk;

use super::{offsets, one_partition, plain};
use crate::log::commit::{Pending, commit};
use crate::log::limits::{BATCH_RECORDS_MAX, GROUP_BYTES_MAX};
use crate::log::testing::{BatchBuilder, append, append_one};
use crate::log::{AppendError, LogConfig, Logs, PartitionLog, ReadError};

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

/// AutoMQ#3033: offsets that grow past 31 and 32 bits, in one segment and over many.
#[test]
fn offsets_go_on_past_what_32_bits_hold() {
    const BATCHES: i64 = 300;
    let records = i64::from(BATCH_RECORDS_MAX);
    assert!(BATCHES * records > 1 << 32);
    // A compressed batch is believed its count, so a few bytes take many offsets.
    let many = BatchBuilder::new(&[b"x"])
        .attributes(4)
        .count(BATCH_RECORDS_MAX, BATCH_RECORDS_MAX - 1)
        .build();
    for segment_bytes in [8 << 10, 1 << 20] {
        let (machine, logs, log) = one_partition(segment_bytes);
        for batch in 0..BATCHES {
            let appended = append_one(&log, many.clone()).unwrap();
            assert_eq!(appended.base_offset, batch * records);
        }
        let found_at = |log: &PartitionLog, offset: i64| {
            let fetched = machine.read(log, offset, 1).unwrap();
            i64::from_be_bytes(fetched.bytes[..8].try_into().unwrap())
        };
        let check = |log: &PartitionLog| {
            let expected: Vec<i64> = (0..BATCHES).map(|batch| batch * records).collect();
            assert_eq!(offsets(&machine, log), expected);
            for offset in [
                (1 << 31) - 1,
                1 << 31,
                (1 << 32) - 1,
                1 << 32,
                BATCHES * records - 1,
            ] {
                assert_eq!(
                    found_at(log, offset),
                    offset / records * records,
                    "{offset}"
                );
            }
        };
        check(&log);
        drop((log, logs));
        machine.disk.crash();
        let logs = machine.open();
        let log = logs.get("t", 0).unwrap();
        check(&log);
        assert_eq!(
            append_one(&log, plain(1, 1)).unwrap().base_offset,
            BATCHES * records
        );
    }
}
