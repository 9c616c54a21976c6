//! What searches see while the ground moves under them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::machine::{Machine, NOON_MS, lines};
use crate::{catalog::Catalog, merge::merge_once};

/// Looks at the catalog without pause and says which totals it saw, in order, without repeats.
fn watch(catalog: &Arc<Catalog>, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<Vec<u64>> {
    let (catalog, stop) = (Arc::clone(catalog), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut totals = vec![0];
        while !stop.load(Ordering::Relaxed) {
            let snapshot = catalog.snapshot();
            let splits = snapshot.splits.iter().map(|split| &split.searcher);
            let total = splits
                .chain(&snapshot.hot)
                .map(tantivy::Searcher::num_docs)
                .sum();
            if totals.last() != Some(&total) {
                totals.push(total);
            }
        }
        totals
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_total_only_grows_while_splits_are_published_and_merged() {
    let mut machine = Machine::new(1);
    let mut life = machine.start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let watching = watch(&life.catalog, &stop);
    for round in 0..20_u64 {
        (0..10).for_each(|number| machine.append(0, 1, round * 10 + number, NOON_MS));
        life.consume_all(&machine);
        life.publish().await.unwrap();
        merge_once(&life.publisher, &life.snapshot()).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let totals = watching.join().unwrap();
    assert!(
        totals.windows(2).all(|pair| pair[0] < pair[1]),
        "{totals:?}"
    );
    assert!(
        totals.iter().all(|total| total % 10 == 0),
        "whole refreshes only: {totals:?}"
    );
    assert_eq!(lines(&life.snapshot()).len(), 200);
}

#[tokio::test]
async fn records_that_come_while_a_publish_runs_are_searchable_beside_it() {
    let mut machine = Machine::new(1);
    let mut life = machine.start().await;
    (0..10).for_each(|number| machine.append(0, 1, number, NOON_MS));
    life.consume_all(&machine);
    let sealed = life.seal();
    (10..15).for_each(|number| machine.append(0, 1, number, NOON_MS));
    life.consume_all(&machine);
    assert_eq!(lines(&life.snapshot()).len(), 15);
    life.publisher
        .publish_until_done(&sealed, &tokio_util::sync::CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(lines(&life.snapshot()).len(), 15);
    assert_eq!(
        (life.snapshot().splits.len(), life.snapshot().hot.len()),
        (1, 1)
    );
}

#[tokio::test]
async fn a_publish_that_fails_for_a_while_is_retried_and_nothing_is_lost_or_doubled() {
    let mut machine = Machine::new(1);
    let mut life = machine.start().await;
    (0..10).for_each(|number| machine.append(0, 1, number, NOON_MS));
    life.consume_all(&machine);
    let sealed = life.seal();
    // A file where the folder of splits should be fails every write, as a full disk does.
    let splits_dir = life.publisher.splits_dir.clone();
    std::fs::remove_dir(&splits_dir).unwrap();
    std::fs::write(&splits_dir, "").unwrap();
    let publisher = life.publisher.clone();
    let never = tokio_util::sync::CancellationToken::new();
    let publishing =
        tokio::spawn(async move { publisher.publish_until_done(&sealed, &never).await });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!publishing.is_finished());
    assert_eq!(lines(&life.snapshot()).len(), 10, "searchable meanwhile");
    std::fs::remove_file(&splits_dir).unwrap();
    std::fs::create_dir(&splits_dir).unwrap();
    publishing.await.unwrap().unwrap();
    assert_eq!(
        (life.snapshot().splits.len(), life.snapshot().hot.len()),
        (1, 0)
    );
    assert_eq!(lines(&machine.start().await.snapshot()).len(), 10);
}
