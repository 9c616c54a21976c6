//! What was answered stays, what is too much is refused, and the journal does not grow for ever.

use super::memory::row_bytes;
use super::*;
use crate::limits::OFFSET_METADATA_BYTES_MAX;
use logboom_disk::SimDisk;

fn row(topic: &str, partition: i32, offset: i64) -> Row {
    let committed = Committed {
        offset,
        leader_epoch: -1,
        metadata: String::new(),
        time_ms: 5,
    };
    Row {
        topic: topic.to_owned(),
        partition,
        committed,
    }
}

#[tokio::test]
async fn offsets_of_unknown_topics_are_dropped_for_good() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(0));
    let offsets = Arc::new(Offsets::open(disk.clone(), Path::new("/")).unwrap());
    let rows = vec![row("here", 0, 1), row("gone", 0, 2)];
    offsets.commit("g", rows).await.unwrap();
    let opened = offsets.clone();
    let retain = move || opened.retain_topics(|topic| topic == "here");
    tokio::task::spawn_blocking(retain).await.unwrap().unwrap();
    offsets.close().unwrap();
    for offsets in [&*offsets, &Offsets::open(disk, Path::new("/")).unwrap()] {
        assert_eq!(offsets.all("g"), [row("here", 0, 1)]);
    }
}

fn open(disk: &SimDisk) -> Offsets {
    Offsets::open(Arc::new(disk.clone()), Path::new("/")).unwrap()
}

fn offset(offsets: &Offsets, group: &str, topic: &str, partition: i32) -> Option<i64> {
    offsets
        .get(group, topic, partition)
        .map(|committed| committed.offset)
}

#[tokio::test]
async fn what_was_answered_survives_a_crash_at_any_time() {
    for seed in 0..30 {
        let disk = SimDisk::new(seed);
        let mut answered = 0;
        for round in 0..5 {
            let offsets = open(&disk);
            let found = offset(&offsets, "g", "t", 0).unwrap_or(0);
            assert!(
                found >= answered,
                "seed {seed}: {answered} was answered, {found} is there"
            );
            disk.stop_after(3 + (seed * 7 + round * 5) % 20);
            for next in found + 1..found + 20 {
                if offsets.commit("g", vec![row("t", 0, next)]).await.is_err() {
                    break;
                }
                answered = next;
            }
            // A crash, not a close: the thread ends with its channel, its disk is dead.
            offsets.close().unwrap();
            disk.crash();
        }
    }
}

#[tokio::test]
async fn deleted_groups_and_topics_stay_deleted_through_a_snapshot() {
    let disk = SimDisk::new(1);
    let offsets = open(&disk);
    offsets
        .commit(
            "stays",
            vec![row("t", 0, 1), row("u", 0, 2), row("t", 1, 3)],
        )
        .await
        .unwrap();
    offsets.commit("goes", vec![row("t", 0, 9)]).await.unwrap();
    offsets.delete_group("goes").await.unwrap();
    offsets.delete_topic("u").await.unwrap();
    offsets.close().unwrap();
    for _ in 0..2 {
        let offsets = open(&disk);
        assert_eq!(offsets.groups(), ["stays"]);
        assert_eq!(offset(&offsets, "stays", "t", 1), Some(3));
        assert_eq!(offset(&offsets, "stays", "u", 0), None);
        assert!(offsets.has_topic("stays", "t") && !offsets.has_topic("stays", "u"));
        offsets.close().unwrap();
    }
}

#[tokio::test]
async fn the_journal_is_replaced_by_a_snapshot_before_it_grows_for_ever() {
    let disk = SimDisk::new(1);
    let offsets = open(&disk);
    let metadata = "m".repeat(4000);
    let mut written = 0;
    let mut next = 0;
    while written < 3 * OFFSETS_COMPACT_BYTES_MIN as usize {
        next += 1;
        let mut row = row("t", 0, next);
        row.committed.metadata.clone_from(&metadata);
        offsets.commit("g", vec![row; 100]).await.unwrap();
        written += 100 * metadata.len();
    }
    offsets.close().unwrap();
    let dir = Path::new("/offsets");
    let sizes = disk
        .list(dir)
        .unwrap()
        .into_iter()
        .map(|entry| disk.open(&dir.join(entry.name)).unwrap().len().unwrap());
    let total: u64 = sizes.sum();
    assert!(
        total <= OFFSETS_COMPACT_BYTES_MIN + 2 * 1024 * 1024,
        "{total} bytes"
    );
    assert_eq!(offset(&open(&disk), "g", "t", 0), Some(next));
}

#[tokio::test]
async fn a_full_disk_refuses_commits_until_there_is_room() {
    let disk = SimDisk::new(1);
    let offsets = open(&disk);
    offsets.commit("g", vec![row("t", 0, 1)]).await.unwrap();
    disk.set_capacity(Some(0));
    let mut refused = false;
    for next in 2..40_000 {
        let rows = (0..100)
            .map(|partition| row("t", partition, next))
            .collect();
        if offsets.commit("g", rows).await.is_err() {
            refused = true;
            break;
        }
    }
    assert!(refused);
    disk.set_capacity(None);
    offsets.commit("g", vec![row("t", 0, 77)]).await.unwrap();
    assert_eq!(offset(&offsets, "g", "t", 0), Some(77));
    offsets.close().unwrap();
}

#[tokio::test]
async fn the_number_of_offsets_is_bounded() {
    let offsets = open(&SimDisk::new(1));
    let rows = |from: usize, to: usize| {
        (from..to)
            .map(|partition| row("t", partition as i32, 1))
            .collect()
    };
    offsets.commit("g", rows(0, OFFSETS_MAX)).await.unwrap();
    assert_eq!(
        offsets.commit("h", rows(0, 1)).await,
        Err(StoreError::TooMany)
    );
    offsets
        .commit("g", rows(0, 100))
        .await
        .expect("what is known moves on");
    offsets.delete_group("g").await.unwrap();
    offsets.commit("h", rows(0, 1)).await.unwrap();
    offsets.close().unwrap();
}

/// With the longest metadata that a commit may have.
fn long_row(partition: i32) -> Row {
    let mut row = row("t", partition, 1);
    row.committed.metadata = "m".repeat(OFFSET_METADATA_BYTES_MAX);
    row
}

#[tokio::test]
async fn the_bytes_of_offsets_are_bounded() {
    let disk = SimDisk::new(1);
    let offsets = open(&disk);
    let rows = |from: i32, to: i32| (from..to).map(long_row).collect::<Vec<_>>();
    let fit = (OFFSETS_BYTES_MAX / row_bytes("t", &long_row(0).committed)) as i32;
    offsets.commit("g", rows(0, fit - 1)).await.unwrap();
    let refused = offsets.commit("g", rows(fit, fit + 2)).await;
    assert_eq!(refused, Err(StoreError::TooLarge));
    assert_eq!(
        offsets.commit("h", rows(0, 2)).await,
        Err(StoreError::TooLarge)
    );
    offsets
        .commit("g", rows(0, 100))
        .await
        .expect("what is known moves on");
    // Shorter metadata makes room, a deleted topic all of it.
    let short = (0..10).map(|partition| row("t", partition, 2)).collect();
    offsets.commit("g", short).await.unwrap();
    offsets.commit("g", rows(fit, fit + 5)).await.unwrap();
    offsets.delete_topic("t").await.unwrap();
    offsets.commit("h", rows(0, fit - 1)).await.unwrap();
    offsets.delete_group("h").await.unwrap();
    offsets.commit("i", rows(0, fit - 1)).await.unwrap();
    offsets.close().unwrap();
    assert_eq!(open(&disk).all("i").len(), fit as usize - 1);
}

#[tokio::test]
async fn a_full_journal_makes_way_for_a_snapshot_and_loses_nothing() {
    let disk = SimDisk::new(1);
    let limits = JournalLimits {
        file_bytes_max: 64 << 10,
        ..JournalLimits::default()
    };
    let open = || Offsets::open_with(Arc::new(disk.clone()), Path::new("/"), limits).unwrap();
    let offsets = open();
    let (partitions, last) = (0..17, 30);
    let commit = async |partition, offset| {
        let mut row = row("t", partition, offset);
        row.committed.metadata = "m".repeat(1000);
        offsets.commit("g", vec![row]).await.unwrap();
    };
    for next in 0..=last {
        // Together, so that the journal gets full in the middle of a round.
        let commits = partitions.clone().map(|partition| commit(partition, next));
        futures::future::join_all(commits).await;
    }
    offsets.close().unwrap();
    for offsets in [&offsets, &open()] {
        for partition in partitions.clone() {
            assert_eq!(offset(offsets, "g", "t", partition), Some(last));
        }
    }
}

#[tokio::test]
async fn offsets_of_a_transaction_show_when_it_commits_also_after_a_crash() {
    let disk = SimDisk::new(1);
    let offsets = open(&disk);
    offsets.commit("g", vec![row("t", 0, 1)]).await.unwrap();
    let rows = vec![row("t", 0, 5), row("t", 1, 6)];
    offsets.pend("g", 7, rows).await.unwrap();
    offsets.pend("g", 8, vec![row("t", 0, 9)]).await.unwrap();
    offsets.close().unwrap();
    disk.crash();
    let offsets = open(&disk);
    assert_eq!(offset(&offsets, "g", "t", 0), Some(1));
    assert_eq!(offset(&offsets, "g", "t", 1), None);
    assert!(offsets.is_pending("g", "t", 1) && !offsets.is_pending("h", "t", 1));
    offsets.end_pending("g", 8, false).await.unwrap();
    assert!(offsets.is_pending("g", "t", 0), "of the other producer");
    offsets.end_pending("g", 7, true).await.unwrap();
    offsets
        .end_pending("g", 7, true)
        .await
        .expect("it may be said again");
    offsets.close().unwrap();
    disk.crash();
    for offsets in [&offsets, &open(&disk)] {
        assert_eq!(offset(offsets, "g", "t", 0), Some(5));
        assert_eq!(offset(offsets, "g", "t", 1), Some(6));
        assert!(!offsets.is_pending("g", "t", 0));
    }
}

#[tokio::test]
async fn what_is_pending_counts_until_it_ends_and_goes_with_its_topic_or_group() {
    let disk = SimDisk::new(1);
    let offsets = open(&disk);
    let taken = |offsets: &Offsets| {
        let memory = offsets.memory.read().unwrap();
        (memory.count, memory.bytes)
    };
    let nothing = taken(&offsets);
    let half = |topic: &str| -> Vec<Row> {
        (0..OFFSETS_MAX as i32 / 2)
            .map(|partition| row(topic, partition, 1))
            .collect()
    };
    offsets.commit("g", half("t")).await.unwrap();
    offsets.pend("g", 7, half("t")).await.unwrap();
    let more = offsets.pend("g", 8, vec![row("t", 0, 1)]).await;
    assert_eq!(more, Err(StoreError::TooMany));
    offsets.end_pending("g", 7, true).await.unwrap();
    offsets.pend("g", 8, half("u")).await.unwrap();
    offsets.delete_topic("u").await.unwrap();
    offsets.pend("g", 9, half("t")).await.unwrap();
    offsets.delete_group("g").await.unwrap();
    assert_eq!(taken(&offsets), nothing);
    offsets.close().unwrap();
}

#[tokio::test]
async fn a_snapshot_keeps_what_is_pending() {
    let disk = SimDisk::new(1);
    let limits = JournalLimits {
        file_bytes_max: 64 << 10,
        ..JournalLimits::default()
    };
    let open = || Offsets::open_with(Arc::new(disk.clone()), Path::new("/"), limits).unwrap();
    let offsets = open();
    offsets.pend("g", 7, vec![row("t", 3, 5)]).await.unwrap();
    for next in 0..100 {
        let mut row = row("t", 0, next);
        row.committed.metadata = "m".repeat(1000);
        offsets.commit("g", vec![row]).await.unwrap();
    }
    offsets.close().unwrap();
    let offsets = open();
    assert!(offsets.is_pending("g", "t", 3));
    offsets.end_pending("g", 7, true).await.unwrap();
    assert_eq!(offset(&offsets, "g", "t", 3), Some(5));
    offsets.close().unwrap();
}
