use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::{RealDisk, SimDisk};

const DIR: &str = "/j";

fn limits() -> JournalLimits {
    JournalLimits {
        record_bytes_max: 4096,
        file_bytes_max: 1 << 20,
        allocate_bytes: 8192,
    }
}

fn open(disk: &SimDisk) -> Result<(Journal, Vec<Vec<u8>>), Error> {
    Journal::open(Arc::new(disk.clone()), Path::new(DIR), limits())
}

fn file_of(disk: &SimDisk) -> PathBuf {
    let entries = disk.list(Path::new(DIR)).unwrap();
    assert_eq!(entries.len(), 1, "{entries:?}");
    Path::new(DIR).join(&entries[0].name)
}

#[test]
fn records_come_back_in_order_on_the_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (mut journal, found) = Journal::open(Arc::new(RealDisk), &path, limits()).unwrap();
    assert!(found.is_empty());
    let records: Vec<Vec<u8>> = vec![b"one".to_vec(), Vec::new(), vec![7; 4096]];
    for record in &records {
        journal.append(record).unwrap();
    }
    journal.sync().unwrap();
    drop(journal);
    let (mut journal, found) = Journal::open(Arc::new(RealDisk), &path, limits()).unwrap();
    assert_eq!(found, records);
    journal.compact([b"snapshot"]).unwrap();
    journal.append(b"after").unwrap();
    journal.sync().unwrap();
    drop(journal);
    let (_, found) = Journal::open(Arc::new(RealDisk), &path, limits()).unwrap();
    assert_eq!(found, vec![b"snapshot".to_vec(), b"after".to_vec()]);
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_journal_goes_on() {
    let disk = SimDisk::new(1);
    let (mut journal, _) = open(&disk).unwrap();
    journal.append(b"first").unwrap();
    journal.sync().unwrap();
    let whole_before = journal.bytes();
    journal.append(&[9; 50]).unwrap();
    let whole_after = journal.bytes();
    drop(journal);
    let path = file_of(&disk);
    let full = read_all(&disk, &path, 1 << 20).unwrap();
    for cut in whole_before..whole_after - 6 {
        for zero_tail in [false, true] {
            disk.damage(&path, |bytes| {
                bytes.clone_from(&full);
                bytes.truncate(cut as usize);
                if zero_tail {
                    bytes.resize(full.len(), 0);
                }
            });
            let (mut journal, found) = open(&disk).unwrap();
            assert_eq!(found, vec![b"first".to_vec()], "cut at {cut}");
            journal.append(b"second").unwrap();
            journal.sync().unwrap();
            drop(journal);
            assert_eq!(
                open(&disk).unwrap().1,
                vec![b"first".to_vec(), b"second".to_vec()],
                "cut at {cut}"
            );
        }
    }
}

#[test]
fn damage_in_the_middle_is_an_error_at_every_byte() {
    let disk = SimDisk::new(1);
    let (mut journal, _) = open(&disk).unwrap();
    for record in [b"first".as_slice(), &[3; 30], b"third"] {
        journal.append(record).unwrap();
        journal.sync().unwrap();
    }
    drop(journal);
    let path = file_of(&disk);
    let full = read_all(&disk, &path, 1 << 20).unwrap();
    let first_frame = HEADER_BYTES..HEADER_BYTES + FRAME_HEADER_BYTES + 5;
    for at in (0..20).chain(first_frame) {
        disk.damage(&path, |bytes| {
            bytes.clone_from(&full);
            bytes[at] ^= 0x10;
        });
        assert!(
            matches!(open(&disk), Err(Error::Damaged { .. })),
            "a flip at byte {at} went unnoticed"
        );
    }
}

#[test]
fn damage_inside_a_snapshot_is_an_error() {
    let disk = SimDisk::new(1);
    let (mut journal, _) = open(&disk).unwrap();
    journal.compact([b"first".as_slice(), b"second"]).unwrap();
    drop(journal);
    disk.damage(&file_of(&disk), |bytes| {
        bytes[HEADER_BYTES + FRAME_HEADER_BYTES] ^= 1
    });
    assert!(matches!(open(&disk), Err(Error::Damaged { .. })));
}

#[test]
fn a_full_disk_is_retriable_and_leaves_nothing_torn() {
    let disk = SimDisk::new(3);
    let (mut journal, _) = open(&disk).unwrap();
    journal.append(b"kept").unwrap();
    journal.sync().unwrap();
    disk.set_capacity(Some(disk.used_bytes() + 100));
    let mut appended = 0;
    while journal.append(&[1; 1000]).is_ok() {
        appended += 1;
    }
    assert!(journal.append(&[1; 1000]).unwrap_err().is_full());
    assert!(journal.compact([b"snapshot"]).unwrap_err().is_full());
    disk.set_capacity(None);
    journal.append(b"later").unwrap();
    journal.sync().unwrap();
    let (_, found) = open(&disk).unwrap();
    assert_eq!(found.len(), appended + 2);
    assert_eq!(found.last().unwrap(), b"later");
}

#[test]
fn a_failed_sync_is_never_tried_again_as_if_clean() {
    let disk = SimDisk::new(3);
    let (mut journal, _) = open(&disk).unwrap();
    journal.append(b"lost or not").unwrap();
    disk.fail_syncs(1000);
    assert!(matches!(journal.sync(), Err(Error::SyncFailed { .. })));
    disk.fail_syncs(0);
    assert!(matches!(journal.sync(), Err(Error::Failed { .. })));
    assert!(matches!(journal.append(b"more"), Err(Error::Failed { .. })));
}

#[test]
fn what_a_reopened_journal_returned_survives_the_next_crash_even_after_a_failed_sync() {
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let (mut journal, _) = open(&disk).unwrap();
        journal.append(&[5; 2000]).unwrap();
        disk.fail_syncs(1000);
        journal.sync().unwrap_err();
        disk.fail_syncs(0);
        // The process restarts, the machine does not: the kernel still shows the bytes it never wrote.
        let (journal, seen) = open(&disk).unwrap();
        drop(journal);
        disk.crash();
        assert_eq!(open(&disk).unwrap().1, seen, "seed {seed}");
    }
}

/// Random appends, syncs, compactions and crashes at random steps: what was synced is there, in order, followed
/// by at most what was appended since.
#[test]
fn random_histories_with_crashes_lose_nothing_that_was_synced() {
    for seed in 0..400_u64 {
        let disk = SimDisk::new(seed);
        let mut chance = StdRng::seed_from_u64(seed ^ 0x5eed);
        let mut durable: Vec<Vec<u8>> = Vec::new();
        for _life in 0..4 {
            let (mut journal, found) =
                open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(found, durable, "seed {seed}");
            disk.stop_after(chance.random_range(0..60));
            let mut pending = durable.clone();
            let mut compacting: Option<Vec<Vec<u8>>> = None;
            for _ in 0..30 {
                match chance.random_range(0..10) {
                    0..6 => {
                        let record = vec![chance.random::<u8>(); chance.random_range(0..1500)];
                        if journal.append(&record).is_err() {
                            break;
                        }
                        pending.push(record);
                    }
                    6..9 => {
                        if journal.sync().is_err() {
                            break;
                        }
                        durable.clone_from(&pending);
                    }
                    _ => {
                        let snapshot: Vec<Vec<u8>> =
                            pending.iter().rev().take(3).cloned().collect();
                        if journal.compact(&snapshot).is_err() {
                            compacting = Some(snapshot);
                            break;
                        }
                        pending = snapshot;
                        durable.clone_from(&pending);
                    }
                }
            }
            drop(journal);
            disk.crash();
            let (_, found) = open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let old = found.len() >= durable.len()
                && (pending.starts_with(&found) || found.starts_with(&pending))
                && found.starts_with(&durable);
            let new = compacting.is_some_and(|snapshot| snapshot == found);
            assert!(
                old || new,
                "seed {seed}: {} records came back, {} were synced",
                found.len(),
                durable.len()
            );
            durable = found;
        }
    }
}
