//! Merges, retention and the grace.

use std::{path::Path, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::machine::{Life, Machine, NOON_MS, dies_at, lines};
use crate::{
    hot::Mould,
    janitor::{Kept, tidy},
    kind::Kind,
    merge::merge_once,
    pipeline::Pipeline,
    recover::recover,
    retention::{delete_marked, expire},
    tables,
};

fn folders(splits: &Path) -> usize {
    std::fs::read_dir(splits).unwrap().count()
}

/// A machine with `publishes` splits of ten lines each.
async fn published(machine: &mut Machine, publishes: u64, arrival_ms: i64) -> Life {
    let mut life = machine.start().await;
    for publish in 0..publishes {
        (0..10).for_each(|number| machine.append(0, 1, publish * 10 + number, arrival_ms));
        life.consume_all(machine);
        life.publish().await.unwrap();
    }
    life
}

#[tokio::test]
async fn eight_splits_become_one_and_the_old_files_stay_for_the_grace() {
    let mut machine = Machine::new(1);
    let life = published(&mut machine, 9, NOON_MS).await;
    let before = life.snapshot();
    let expected = lines(&before);
    assert!(merge_once(&life.publisher, &before).await.unwrap());
    assert!(!merge_once(&life.publisher, &life.snapshot()).await.unwrap());
    assert_eq!(life.snapshot().splits.len(), 2);
    assert_eq!(lines(&life.snapshot()), expected);
    assert_eq!(
        folders(&life.publisher.splits_dir),
        10,
        "inputs stay while queries may read them"
    );
    let now_ms = crate::publish::now_ms();
    assert_eq!(
        delete_marked(&life.publisher, Duration::from_secs(60), now_ms)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        delete_marked(&life.publisher, Duration::from_secs(60), now_ms + 61_000)
            .await
            .unwrap(),
        8
    );
    assert_eq!(folders(&life.publisher.splits_dir), 2);
    assert_eq!(
        lines(&before),
        expected,
        "a query that still runs keeps its snapshot"
    );
    drop(life);
    let life = machine.start().await;
    assert_eq!(lines(&life.snapshot()), expected);
    assert_eq!(
        life.builder
            .position(&machine.topic, 0)
            .unwrap()
            .current()
            .next_offset,
        90,
        "merges move no checkpoint"
    );
}

#[tokio::test]
async fn an_index_that_cannot_be_merged_does_not_keep_others_from_it() {
    let mut logs = Machine::new(1);
    let mut spans = Machine::of_spans_beside(&logs, 1);
    let mut lives = Machine::start_all(&[&logs, &spans], Arc::new(|_| true)).await;
    for publish in 0..8 {
        logs.append(0, 1, publish, NOON_MS);
        spans.push_spans(0, publish..publish + 1);
        for (life, machine) in lives.iter_mut().zip([&logs, &spans]) {
            life.consume_all(machine);
            life.publish().await.unwrap();
        }
    }
    let catalogs: Vec<_> = lives.iter().map(|life| Arc::clone(&life.catalog)).collect();
    let kept = |life: Life| Kept {
        publisher: life.publisher,
        retention: Duration::from_secs(100 * 365 * 86_400),
    };
    let mut indexes: Vec<Kept> = lives.into_iter().map(kept).collect();
    indexes[0].publisher.splits_dir = logs.folder.path().join("gone");
    let stop = CancellationToken::new();
    let failed = tidy(&indexes, &Pipeline::default(), &stop).await;
    assert!(failed.unwrap_err().is_retriable(), "it is tried again");
    let splits = catalogs.iter().map(|index| index.snapshot().splits.len());
    assert_eq!(splits.collect::<Vec<_>>(), [8, 1]);
}

#[tokio::test]
async fn retention_counts_from_arrival_and_takes_whole_splits() {
    let mut machine = Machine::new(1);
    let day = 86_400_000;
    let life = published(&mut machine, 2, NOON_MS).await;
    let keep = Duration::from_millis(day as u64);
    assert_eq!(
        expire(&life.publisher, &life.snapshot(), keep, NOON_MS + day)
            .await
            .unwrap(),
        0
    );
    let held = life.snapshot();
    assert_eq!(
        expire(&life.publisher, &life.snapshot(), keep, NOON_MS + day + 1)
            .await
            .unwrap(),
        2
    );
    assert!(lines(&life.snapshot()).is_empty());
    assert_eq!(lines(&held).len(), 20);
    drop(life);
    let life = machine.start().await;
    assert!(
        lines(&life.snapshot()).is_empty(),
        "expired splits do not come back"
    );
    assert_eq!(folders(&life.publisher.splits_dir), 0);
    assert_eq!(
        tables::leftovers(&life.publisher.database, "marked", i64::MAX)
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn what_no_agent_sent_arrives_when_it_is_indexed() {
    let mut machine = Machine::new(1);
    let mut life = machine.start().await;
    // Clients that load old logs give their time, and some give none.
    let day = 86_400_000;
    machine.push(0, "loaded", None, NOON_MS - 400 * day);
    machine.push(0, "without a time", None, 0);
    machine.push(0, "ahead", None, NOON_MS + 400 * day);
    machine.append(0, 1, 0, NOON_MS);
    life.consume_all(&machine);
    life.publish().await.unwrap();
    let splits = life.snapshot().splits.clone();
    assert_eq!(splits.len(), 1, "all of them are today's");
    assert_eq!(
        splits[0].time_range,
        0..=(NOON_MS + 400 * day) * 1_000_000,
        "events keep their own times"
    );
    let keep = Duration::from_millis(day as u64);
    for (after_ms, gone) in [(0, 0), (day, 0), (day + 1, 1)] {
        let expired = expire(&life.publisher, &life.snapshot(), keep, NOON_MS + after_ms).await;
        assert_eq!(expired.unwrap(), gone, "{after_ms} ms later");
    }
}

#[tokio::test]
async fn a_producers_clock_in_the_future_does_not_keep_a_split_for_ever() {
    let mut machine = Machine::new(1);
    let life = published(&mut machine, 1, i64::MAX / 4).await;
    let in_a_minute = crate::publish::now_ms() + 60_000;
    assert_eq!(
        expire(
            &life.publisher,
            &life.snapshot(),
            Duration::from_secs(30),
            in_a_minute
        )
        .await
        .unwrap(),
        1
    );
}

#[tokio::test]
async fn a_publish_with_two_days_makes_a_split_for_each() {
    let mut machine = Machine::new(1);
    let mut life = machine.start().await;
    machine.append(0, 1, 0, NOON_MS);
    machine.append(0, 1, 1, NOON_MS + 86_400_000);
    machine.append(0, 1, 2, NOON_MS);
    life.consume_all(&machine);
    life.publish().await.unwrap();
    let mut days: Vec<(i64, u64)> = life
        .snapshot()
        .splits
        .iter()
        .map(|split| (split.meta.day, split.docs))
        .collect();
    days.sort_unstable();
    let day = NOON_MS / 86_400_000;
    assert_eq!(days, [(day, 2), (day + 1, 1)]);
}

#[tokio::test]
async fn files_that_nobody_knows_and_staged_rows_go_at_start() {
    let mut machine = Machine::new(1);
    let life = published(&mut machine, 1, NOON_MS).await;
    let orphan = life
        .publisher
        .splits_dir
        .join(ulid::Ulid::generate().to_string());
    std::fs::create_dir(&orphan).unwrap();
    let foreign = life.publisher.splits_dir.join("lost+found");
    std::fs::create_dir(&foreign).unwrap();
    life.publisher
        .stage(&[ulid::Ulid::generate()])
        .await
        .unwrap();
    drop(life);
    let life = machine.start().await;
    assert!(!orphan.exists() && foreign.exists());
    assert_eq!(
        tables::leftovers(&life.publisher.database, "staged", i64::MAX)
            .await
            .unwrap(),
        []
    );
    assert_eq!(lines(&life.snapshot()).len(), 10);
}

#[tokio::test]
async fn an_index_is_merged_and_expires_by_itself() {
    let mut logs = Machine::new(1);
    let mut spans = Machine::of_spans_beside(&logs, 1);
    let mut lives = Machine::start_all(&[&logs, &spans], dies_at(0)).await;
    for round in 0..8 {
        logs.append(0, 1, round, NOON_MS);
        spans.push_spans(0, round..round + 1);
        for (life, machine) in lives.iter_mut().zip([&logs, &spans]) {
            life.consume_all(machine);
            life.publish().await.unwrap();
        }
    }
    let [of_logs, of_spans] = &lives[..] else {
        panic!("two indexes")
    };
    assert!(
        merge_once(&of_spans.publisher, &of_spans.snapshot())
            .await
            .unwrap()
    );
    let splits = |life: &Life| life.snapshot().splits.len();
    assert_eq!((splits(of_logs), splits(of_spans)), (8, 1));
    let (keep, now_ms) = (Duration::from_secs(1), NOON_MS + 10_000);
    let gone = expire(&of_logs.publisher, &of_logs.snapshot(), keep, now_ms).await;
    assert_eq!(gone.unwrap(), 8);
    drop(lives);
    let lives = Machine::start_all(&[&logs, &spans], dies_at(0)).await;
    assert_eq!(lines(&lives[0].snapshot()).len(), 0);
    assert_eq!(lines(&lives[1].snapshot()).len(), 8);
}

#[tokio::test]
async fn an_index_that_is_not_configured_any_more_keeps_its_splits() {
    let logs = Machine::new(1);
    let mut spans = Machine::of_spans_beside(&logs, 1);
    spans.push_spans(0, 0..5);
    let mut life = spans.start().await;
    life.consume_all(&spans);
    life.publish().await.unwrap();
    let splits_dir = life.publisher.splits_dir.clone();
    drop(life);
    let without = logs.start().await;
    assert!(without.snapshot().splits.is_empty());
    assert_eq!(folders(&splits_dir), 1);
    drop(without);
    assert_eq!(lines(&spans.start().await.snapshot()).len(), 5);
}

#[tokio::test]
async fn an_index_cannot_be_opened_as_another_kind_nor_a_split_of_a_newer_format() {
    let mut machine = Machine::new(1);
    let life = published(&mut machine, 1, NOON_MS).await;
    let (database, epoch) = (life.publisher.database.clone(), life.publisher.epoch);
    let refused = tables::know_index(&database, epoch, "logs", Kind::Spans, NOON_MS).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("`logs` holds logs"), "{refused}");
    let mut write = database.begin().await.unwrap();
    sqlx::query("UPDATE splits SET format = 2")
        .execute(&mut *write)
        .await
        .unwrap();
    write.commit().await.unwrap();
    let moulds = [("logs".into(), Mould::new(Kind::Logs))].into();
    let refused = recover(&database, &life.publisher.splits_dir, &moulds).await;
    let refused = refused.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("newer logboom"), "{refused}");
}

#[tokio::test]
async fn a_look_through_finds_a_damaged_file_and_a_missing_split() {
    let mut machine = Machine::new(1);
    let life = published(&mut machine, 3, NOON_MS).await;
    let splits = life.publisher.splits_dir.clone();
    let folder = machine.folder.path();
    let found = crate::verify(folder).await.unwrap();
    assert_eq!((found.splits, found.docs, found.damages), (3, 30, vec![]));

    let mut folders: Vec<_> = std::fs::read_dir(&splits)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    let store = std::fs::read_dir(&folders[0])
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "store"))
        .unwrap();
    let mut bytes = std::fs::read(&store).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&store, bytes).unwrap();
    std::fs::remove_dir_all(&folders[1]).unwrap();
    let damages = crate::verify(folder).await.unwrap().damages;
    let paths: Vec<&Path> = damages.iter().map(|(path, _)| path.as_path()).collect();
    assert_eq!(
        paths,
        [store.as_path(), folders[1].as_path()],
        "{damages:?}"
    );
    drop(life);
}
