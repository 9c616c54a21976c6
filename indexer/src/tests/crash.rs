//! Exactly once across deaths: whatever happens between stage and publish, every line is found once.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio_util::sync::CancellationToken;

use super::machine::{Life, Machine, NOON_MS, dies_at, lines};
use crate::{error::Error, merge::merge_once, publish::Step};

/// All distinct lines of the log, sorted: what must be found.
fn expected(machine: &Machine) -> Vec<String> {
    let distinct: BTreeSet<String> = machine
        .log
        .iter()
        .flatten()
        .map(|record| String::from_utf8(record.value.to_vec()).unwrap())
        .collect();
    distinct.into_iter().collect()
}

#[tokio::test]
async fn a_death_at_each_step_of_a_publish_neither_loses_nor_doubles() {
    // Two splits (one on time, one late): staged, written, written, answer lost (which is found out),
    // committed.
    for death in 1..=6 {
        let mut machine = Machine::new(2);
        for number in 0..50 {
            machine.append(
                (number % 2) as usize,
                (number % 2) as u8,
                number,
                NOON_MS + number as i64 % 3 * 86_400_000,
            );
        }
        let mut life = machine.start_with(dies_at(death)).await;
        life.consume_all(&machine);
        let died = life.publish().await;
        assert_eq!(
            lines(&life.snapshot()),
            expected(&machine),
            "searchable whatever happens, death {death}"
        );
        drop(life);
        let mut life = machine.start().await;
        let survived = lines(&life.snapshot()).len();
        assert!(
            survived == 0 || survived == 50,
            "all or nothing, not {survived}, death {death}"
        );
        assert_eq!(died.is_ok(), death == 4 || death > 5, "{died:?}");
        life.consume_all(&machine);
        assert_eq!(lines(&life.snapshot()), expected(&machine), "death {death}");
        life.publish().await.unwrap();
        assert_eq!(
            lines(&machine.start().await.snapshot()),
            expected(&machine),
            "death {death}"
        );
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_commit_is_resolved_by_reading_back() {
    let mut machine = Machine::new(1);
    (0..20).for_each(|number| machine.append(0, 1, number, NOON_MS));
    let mut life = machine
        .start_with(std::sync::Arc::new(|step| step != Step::AnswerLost))
        .await;
    life.consume_all(&machine);
    life.publish().await.unwrap();
    assert_eq!(
        (life.snapshot().splits.len(), life.snapshot().hot.len()),
        (1, 0)
    );
    // Nothing but duplicates: only a checkpoint moves, and is read back.
    (0..20).for_each(|number| machine.append(0, 1, number, NOON_MS));
    life.consume_all(&machine);
    life.publish().await.unwrap();
    assert_eq!(lines(&machine.start().await.snapshot()), expected(&machine));
    assert_eq!(
        machine
            .start()
            .await
            .builder
            .position(&machine.topic, 0)
            .unwrap()
            .current()
            .next_offset,
        40
    );
}

#[tokio::test]
async fn an_indexer_that_was_replaced_cannot_publish() {
    let mut machine = Machine::new(1);
    (0..20).for_each(|number| machine.append(0, 1, number, NOON_MS));
    let mut old = machine.start().await;
    old.consume_all(&machine);
    let mut new = machine.start().await;
    assert!(matches!(old.publish().await, Err(Error::Fenced)));
    new.consume_all(&machine);
    new.publish().await.unwrap();
    assert_eq!(lines(&machine.start().await.snapshot()), expected(&machine));
}

#[tokio::test]
async fn a_publish_that_does_not_start_at_the_checkpoint_is_refused_whole() {
    let mut machine = Machine::new(2);
    (0..20).for_each(|number| machine.append((number % 2) as usize, 1, number, NOON_MS));
    let mut life = machine.start().await;
    life.consume_all(&machine);
    let mut sealed = life.seal();
    sealed.progress[1].from.next_offset += 1;
    let refused = life
        .publisher
        .publish_until_done(&sealed, &CancellationToken::new())
        .await;
    assert!(
        matches!(refused, Err(Error::Inconsistent(_))),
        "{refused:?}"
    );
    assert!(lines(&machine.start().await.snapshot()).is_empty());
}

/// Appends, retries, consumes, publishes, merges and dies at random.
async fn random_life(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut machine = Machine::new(3);
    let (mut sent, mut foreign) = ([0_u64; 3], 0);
    for _ in 0..random.random_range(2..6) {
        machine.now_ms += 86_400_000;
        let mut life: Life = machine
            .start_with(dies_at(random.random_range(0..25)))
            .await;
        for _ in 0..random.random_range(1..12) {
            let partition = random.random_range(0..3);
            match random.random_range(0..11) {
                0..4 => {
                    for _ in 0..random.random_range(1..30) {
                        let day = i64::from(random.random_range(0..10) == 0) * 86_400_000;
                        machine.append(partition, partition as u8, sent[partition], NOON_MS + day);
                        sent[partition] += 1;
                    }
                }
                // The agent did not hear the ack: it sends its last lines again.
                4 => {
                    for number in sent[partition].saturating_sub(5)..sent[partition] {
                        machine.append(partition, partition as u8, number, NOON_MS);
                    }
                }
                5..7 => {
                    life.consume(&machine, partition, random.random_range(1..40));
                }
                7 => {
                    if life.publish().await.is_err() {
                        break;
                    }
                }
                // No agent's: it arrives when it is indexed, after a crash on another day.
                10 => {
                    machine.push(partition, format!("foreign {foreign}"), None, foreign);
                    foreign += 1;
                }
                _ => match merge_once(&life.publisher, &life.snapshot()).await {
                    Ok(_) => {}
                    Err(_) => break,
                },
            }
        }
        life.consume_all(&machine);
        // After an interrupted publish this process is dead; what it says does not matter.
    }
    let mut life = machine.start().await;
    life.consume_all(&machine);
    assert_eq!(lines(&life.snapshot()), expected(&machine), "seed {seed}");
    life.publish().await.unwrap();
    assert_eq!(lines(&life.snapshot()), expected(&machine), "seed {seed}");
    assert_eq!(
        lines(&machine.start().await.snapshot()),
        expected(&machine),
        "seed {seed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_deaths_never_lose_or_double_a_line() {
    let mut lives = tokio::task::JoinSet::new();
    for seed in 0..40 {
        // Side by side, because most of the time is spent waiting for the disk.
        if lives.len() >= 8 {
            lives.join_next().await.unwrap().unwrap();
        }
        lives.spawn(random_life(seed));
    }
    while let Some(life) = lives.join_next().await {
        life.unwrap();
    }
}
