//! Transactions on a simulated disk: their ends across crashes at every step, fences, timeouts, bounds.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::poll;
use logboom_disk::{Disk, JournalLimits, SimDisk};

use super::coordinate::tick;
use super::*;
use crate::limits::TRANSACTIONS_OPEN_MAX;
use crate::log::batch::Header;
use crate::log::testing::BatchBuilder;
use crate::log::{Outcome, PartitionLog};
use crate::node::testing::node;
use crate::node::{Node, now_ms};
use crate::offsets::{Committed, Row};

const TIMEOUT_MS: i64 = 60_000;

fn both() -> Partitions {
    [("t".to_owned(), [0, 1].into())].into()
}

fn groups() -> BTreeSet<String> {
    ["g".to_owned()].into()
}

fn batch(by: Instance, sequence: i32) -> Bytes {
    BatchBuilder::new(&[b"x"])
        .attributes(0x10)
        .producer(by.producer_id, by.epoch, sequence)
        .build()
}

fn log(node: &Node, partition: i32) -> Arc<PartitionLog> {
    let topic = node.topics.get("t").unwrap();
    topic.partition(partition).unwrap().clone()
}

async fn produce(node: &Node, by: Instance, partition: i32, sequence: i32) -> Result<i64, Refusal> {
    let _admission = node
        .transactions
        .admit_to_partition("id", by, "t", partition)?;
    let stored = log(node, partition).append(batch(by, sequence)).await;
    Ok(stored.unwrap().base_offset)
}

fn row(offset: i64) -> Row {
    Row {
        topic: "t".to_owned(),
        partition: 0,
        committed: Committed {
            offset,
            leader_epoch: -1,
            metadata: String::new(),
            time_ms: 0,
        },
    }
}

fn committed_offset(node: &Node) -> Option<i64> {
    let committed = node.offsets.get("g", "t", 0);
    committed.map(|committed| committed.offset)
}

/// A node with a topic of two partitions and a transaction that has a record in each and an offset of a group.
async fn with_open_transaction(disk: &SimDisk) -> (Node, Instance) {
    let node = node(disk.clone());
    node.topics.create("t", 2).await.unwrap();
    let by = start(&node, "id", None, TIMEOUT_MS).await.unwrap();
    add(&node, "id", by, &both(), &groups()).await.unwrap();
    for partition in 0..2 {
        produce(&node, by, partition, 0).await.unwrap();
    }
    let stored = commit_offsets(&node, "id", by, "g", vec![row(5)]).await;
    stored.unwrap().unwrap();
    (node, by)
}

fn close(node: &Node) {
    node.transactions.close().unwrap();
    node.offsets.close().unwrap();
}

/// Batches that readers of what is committed take, and the markers in the log.
async fn seen(log: &PartitionLog) -> (usize, usize) {
    let headers = |bytes: &[u8]| {
        let mut headers = Vec::new();
        let mut at = 0;
        while let Some(header) = Header::parse(&bytes[at..]) {
            at += header.total_bytes;
            headers.push(header);
        }
        headers
    };
    let all = log.read(0, 1 << 20).await.unwrap();
    let markers = headers(&all.bytes);
    let markers = markers.iter().filter(|header| header.is_control()).count();
    let committed = log.read_committed(0, 1 << 20, 100).await.unwrap();
    let is_taken = |header: &&Header| {
        !header.is_control()
            && committed
                .aborted
                .iter()
                .all(|aborted| aborted.producer_id != header.producer_id)
    };
    let taken = headers(&committed.bytes);
    (taken.iter().filter(is_taken).count(), markers)
}

#[tokio::test]
async fn an_end_is_all_or_nothing_across_a_crash_at_every_step() {
    let (mut undecided, mut finished_later) = (0, 0);
    for outcome in [Outcome::Commit, Outcome::Abort] {
        for steps in 0..40 {
            let disk = SimDisk::new(steps);
            let (before, by) = with_open_transaction(&disk).await;
            disk.stop_after(steps);
            let answer = end(&before, "id", by, outcome).await;
            close(&before);
            drop(before);
            disk.crash();

            let node = node(disk.clone());
            let found = node.transactions.get("id").unwrap().state;
            finish_prepared(&node).await;
            abort_orphans(&node).await;
            let state = node.transactions.get("id").unwrap().state;
            let what = format!("{outcome:?} after {steps} steps: {answer:?}, {found:?}, {state:?}");
            if state == State::Ongoing {
                assert!(answer.is_err(), "{what}");
                undecided += 1;
                assert_eq!(committed_offset(&node), None, "{what}");
                assert!(node.offsets.is_pending("g", "t", 0), "{what}");
                for partition in 0..2 {
                    assert_eq!(seen(&log(&node, partition)).await, (0, 0), "{what}");
                }
                end(&node, "id", by, outcome).await.unwrap();
            } else {
                finished_later += u64::from(matches!(found, State::Preparing(_)));
            }
            let state = node.transactions.get("id").unwrap().state;
            assert_eq!(state, State::Completed(outcome), "{what}");
            let is_committed = outcome == Outcome::Commit;
            assert_eq!(committed_offset(&node), is_committed.then_some(5), "{what}");
            assert!(!node.offsets.is_pending("g", "t", 0), "{what}");
            for partition in 0..2 {
                let log = log(&node, partition);
                assert_eq!(log.last_stable_offset(), log.high_watermark(), "{what}");
                assert_eq!(seen(&log).await, (usize::from(is_committed), 1), "{what}");
            }
            close(&node);
        }
    }
    assert!(
        undecided > 0 && finished_later > 4,
        "{undecided} {finished_later}"
    );
}

#[tokio::test]
async fn a_transaction_goes_on_after_a_crash() {
    let disk = SimDisk::new(3);
    let (before, by) = with_open_transaction(&disk).await;
    close(&before);
    drop(before);
    disk.crash();
    let node = node(disk.clone());
    abort_orphans(&node).await;
    assert_eq!(produce(&node, by, 0, 1).await, Ok(1));
    end(&node, "id", by, Outcome::Commit).await.unwrap();
    assert_eq!(seen(&log(&node, 0)).await, (2, 1));
    add(&node, "id", by, &both(), &BTreeSet::new())
        .await
        .unwrap();
    assert_eq!(
        produce(&node, by, 0, 2).await,
        Ok(3),
        "the next transaction"
    );
    close(&node);
}

#[tokio::test]
async fn an_end_waits_for_what_was_let_in_before_it() {
    let disk = SimDisk::new(1);
    let (node, by) = with_open_transaction(&disk).await;
    let admission = node
        .transactions
        .admit_to_partition("id", by, "t", 0)
        .unwrap();
    let mut ending = Box::pin(end(&node, "id", by, Outcome::Commit));
    while node.transactions.get("id").unwrap().state == State::Ongoing {
        assert!(poll!(&mut ending).is_pending());
        tokio::task::yield_now().await;
    }
    for _ in 0..10 {
        assert!(poll!(&mut ending).is_pending(), "a record is on its way");
        tokio::task::yield_now().await;
    }
    assert_eq!(
        produce(&node, by, 1, 1).await,
        Err(Refusal::Concurrent),
        "nothing more is let in"
    );
    let stored = log(&node, 0).append(batch(by, 1)).await.unwrap();
    drop(admission);
    ending.await.unwrap();
    assert_eq!(stored.base_offset, 1);
    assert_eq!(seen(&log(&node, 0)).await, (2, 1));
    close(&node);
}

#[tokio::test]
async fn a_new_instance_fences_the_old_one_and_aborts_its_transaction() {
    let disk = SimDisk::new(1);
    let (node, old) = with_open_transaction(&disk).await;
    let new = start(&node, "id", None, TIMEOUT_MS).await.unwrap();
    assert!(new.producer_id == old.producer_id && new.epoch > old.epoch);
    assert_eq!(seen(&log(&node, 0)).await, (0, 1));
    assert_eq!(committed_offset(&node), None);
    assert_eq!(produce(&node, old, 0, 1).await, Err(Refusal::Fenced));
    let ended = end(&node, "id", old, Outcome::Commit).await;
    assert_eq!(ended, Err(Refusal::Fenced));
    // Past the coordinator, the log itself knows.
    let late = log(&node, 0).append(batch(old, 1)).await;
    assert!(late.is_err());
    add(&node, "id", new, &both(), &BTreeSet::new())
        .await
        .unwrap();
    assert_eq!(produce(&node, new, 0, 0).await, Ok(2));
    end(&node, "id", new, Outcome::Commit).await.unwrap();
    close(&node);
}

#[tokio::test]
async fn who_asks_for_a_new_epoch_in_its_transaction_aborts_it_and_may_ask_again() {
    let disk = SimDisk::new(1);
    let (node, by) = with_open_transaction(&disk).await;
    let raised = start(&node, "id", Some(by), TIMEOUT_MS).await.unwrap();
    assert!(raised.epoch > by.epoch);
    let again = start(&node, "id", Some(by), TIMEOUT_MS).await;
    assert_eq!(again, Ok(raised));
    let newer = start(&node, "id", None, TIMEOUT_MS).await.unwrap();
    assert!(newer.epoch > raised.epoch);
    let fenced = start(&node, "id", Some(raised), TIMEOUT_MS).await;
    assert_eq!(fenced, Err(Refusal::Fenced));
    close(&node);
}

#[tokio::test]
async fn a_transaction_that_times_out_is_aborted_and_its_producer_fenced() {
    let disk = SimDisk::new(1);
    let (node, by) = with_open_transaction(&disk).await;
    tick(&node, now_ms() + TIMEOUT_MS / 2).await;
    assert_eq!(produce(&node, by, 0, 1).await, Ok(1));
    tick(&node, now_ms() + 2 * TIMEOUT_MS).await;
    assert_eq!(seen(&log(&node, 0)).await, (0, 1));
    assert_eq!(produce(&node, by, 0, 2).await, Err(Refusal::Fenced));
    let ended = end(&node, "id", by, Outcome::Commit).await;
    assert_eq!(ended, Err(Refusal::Fenced));
    let raised = start(&node, "id", Some(by), TIMEOUT_MS).await;
    assert_eq!(raised, Err(Refusal::Fenced));
    start(&node, "id", None, TIMEOUT_MS).await.unwrap();
    close(&node);
}

#[tokio::test]
async fn an_end_on_a_full_disk_is_finished_when_there_is_room() {
    let disk = SimDisk::new(1);
    let (node, by) = with_open_transaction(&disk).await;
    let log = log(&node, 0);
    // So much that a marker does not fit into what is reserved.
    disk.set_capacity(Some(disk.used_bytes()));
    for len in [1 << 16, 1 << 12, 1 << 8, 1] {
        let filler = BatchBuilder::new(&[vec![0; len]]).build();
        while log.append(filler.clone()).await.is_ok() {}
    }
    end(&node, "id", by, Outcome::Commit).await.unwrap();
    let state = node.transactions.get("id").unwrap().state;
    assert_eq!(state, State::Preparing(Outcome::Commit), "decided");
    let next = add(&node, "id", by, &both(), &BTreeSet::new()).await;
    assert_eq!(next, Err(Refusal::Concurrent));
    assert_eq!(
        start(&node, "id", None, TIMEOUT_MS).await,
        Err(Refusal::Concurrent)
    );
    disk.set_capacity(None);
    tick(&node, now_ms()).await;
    let state = node.transactions.get("id").unwrap().state;
    assert_eq!(state, State::Completed(Outcome::Commit));
    assert_eq!(committed_offset(&node), Some(5));
    assert_eq!(log.last_stable_offset(), log.high_watermark());
    close(&node);
}

#[tokio::test]
async fn a_partition_that_takes_no_writes_holds_back_only_itself() {
    let disk = SimDisk::new(1);
    let (node, by) = with_open_transaction(&disk).await;
    disk.fail_syncs(1000);
    assert!(log(&node, 0).append(batch(by, 1)).await.is_err());
    disk.fail_syncs(0);
    end(&node, "id", by, Outcome::Commit).await.unwrap();
    let state = node.transactions.get("id").unwrap().state;
    assert_eq!(state, State::Preparing(Outcome::Commit));
    assert_eq!(seen(&log(&node, 1)).await, (1, 1));
    assert_eq!(committed_offset(&node), Some(5));
    close(&node);
}

#[tokio::test]
async fn an_end_steps_over_a_topic_that_was_deleted() {
    let disk = SimDisk::new(1);
    let (node, by) = with_open_transaction(&disk).await;
    node.topics.delete("t").await.unwrap();
    end(&node, "id", by, Outcome::Commit).await.unwrap();
    let state = node.transactions.get("id").unwrap().state;
    assert_eq!(state, State::Completed(Outcome::Commit));
    close(&node);
}

#[tokio::test]
async fn what_nobody_coordinates_is_aborted_at_start() {
    let disk = SimDisk::new(1);
    let (node, by) = with_open_transaction(&disk).await;
    let stranger = Instance {
        producer_id: 99,
        epoch: 4,
    };
    log(&node, 1).append(batch(stranger, 0)).await.unwrap();
    node.offsets.pend("h", 99, vec![row(1)]).await.unwrap();
    abort_orphans(&node).await;
    assert_eq!(node.offsets.pending(), [("g".to_owned(), by.producer_id)]);
    let open = |partition| -> Vec<i64> {
        let active = log(&node, partition).active_producers();
        let open = active.iter().filter(|active| active.open_from.is_some());
        open.map(|active| active.id).collect()
    };
    assert_eq!(
        (open(0), open(1)),
        (vec![by.producer_id], vec![by.producer_id])
    );
    close(&node);
}

#[tokio::test]
async fn a_silent_id_is_forgotten_and_may_come_back() {
    let disk = SimDisk::new(1);
    let node = node(disk.clone());
    let first = start(&node, "id", None, TIMEOUT_MS).await.unwrap();
    let silence_ms = TRANSACTIONAL_ID_SILENCE.as_millis() as i64;
    tick(&node, now_ms() + silence_ms / 2).await;
    assert!(node.transactions.get("id").is_some());
    tick(&node, now_ms() + silence_ms + 1000).await;
    assert!(node.transactions.get("id").is_none());
    let nothing = add(&node, "id", first, &both(), &BTreeSet::new()).await;
    assert_eq!(nothing, Err(Refusal::UnknownProducer));
    let second = start(&node, "id", None, TIMEOUT_MS).await.unwrap();
    assert_ne!(second.producer_id, first.producer_id);
    close(&node);
    let reopened = Transactions::open(Arc::new(disk.clone()), Path::new("/")).unwrap();
    assert_eq!(reopened.get("id").unwrap().instance, second);
    reopened.close().unwrap();
}

#[tokio::test]
async fn the_id_that_was_silent_longest_makes_way_for_a_new_one() {
    let node = node(SimDisk::new(1));
    let now_ms = now_ms();
    let hour_ms = TRANSACTIONAL_ID_SILENCE_MIN.as_millis() as i64;
    let put = async |id: &str, changed_ms: i64| {
        let locked = node.transactions.lock(id, true).await.unwrap();
        let entry = Entry::new(1, TIMEOUT_MS, changed_ms);
        node.transactions.put(locked, entry).await.unwrap();
    };
    put("oldest", now_ms - hour_ms - 2000).await;
    put("older", now_ms - hour_ms - 1000).await;
    for number in 2..TRANSACTIONAL_IDS_MAX {
        put(&number.to_string(), now_ms).await;
    }
    for (new, gone) in [("new", "oldest"), ("newer", "older")] {
        start(&node, new, None, TIMEOUT_MS).await.unwrap();
        assert!(node.transactions.get(gone).is_none());
    }
    let refused = start(&node, "newest", None, TIMEOUT_MS).await;
    assert_eq!(refused, Err(Refusal::TooManyIds), "the others are in use");
    start(&node, "new", None, TIMEOUT_MS)
        .await
        .expect("what is known goes on");
    close(&node);
}

#[tokio::test]
async fn open_transactions_are_bounded_and_an_end_makes_room() {
    let node = node(SimDisk::new(1));
    node.topics.create("t", 2).await.unwrap();
    let mut last = None;
    for number in 0..TRANSACTIONS_OPEN_MAX {
        let id = number.to_string();
        let by = start(&node, &id, None, TIMEOUT_MS).await.unwrap();
        add(&node, &id, by, &both(), &BTreeSet::new())
            .await
            .unwrap();
        last = Some((id, by));
    }
    let by = start(&node, "one more", None, TIMEOUT_MS).await.unwrap();
    let refused = add(&node, "one more", by, &both(), &BTreeSet::new()).await;
    assert_eq!(refused, Err(Refusal::TooManyOpen));
    let (id, done) = last.unwrap();
    end(&node, &id, done, Outcome::Abort).await.unwrap();
    add(&node, "one more", by, &both(), &BTreeSet::new())
        .await
        .unwrap();
    close(&node);
}

#[tokio::test]
async fn a_full_journal_makes_way_for_a_snapshot_and_loses_nothing() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let limits = JournalLimits {
        file_bytes_max: 16 << 10,
        allocate_bytes: 4 << 10,
        ..JournalLimits::default()
    };
    let open = || Transactions::open_with(disk.clone(), Path::new("/"), limits).unwrap();
    let transactions = open();
    for round in 0..100 {
        for id in ["one", "other"] {
            let locked = transactions.lock(id, true).await.unwrap();
            let entry = Entry::new(round, TIMEOUT_MS, round);
            transactions.put(locked, entry).await.unwrap();
        }
    }
    transactions.close().unwrap();
    for transactions in [&transactions, &open()] {
        for id in ["one", "other"] {
            assert_eq!(transactions.get(id).unwrap().instance.producer_id, 99);
        }
    }
}

#[tokio::test]
async fn a_damaged_journal_is_told_and_never_read_around() {
    let disk = SimDisk::new(1);
    let node = node(disk.clone());
    for id in ["one", "other", "third"] {
        start(&node, id, None, TIMEOUT_MS).await.unwrap();
    }
    close(&node);
    assert!(matches!(examine(&disk, Path::new("/")), Ok(false)));
    let name = &disk.list(Path::new("/transactions")).unwrap()[0].name;
    let path = Path::new("/transactions").join(name);
    disk.damage(&path, |bytes| bytes[60] ^= 1);
    assert!(examine(&disk, Path::new("/")).is_err());
    assert!(Transactions::open(Arc::new(disk.clone()), Path::new("/")).is_err());
}
