//! Exactly once across deaths: whatever happens between stage and publish, every line is found once.

use std::collections::BTreeSet;

use logboom_client::{Checkpoint, Marks};
use logboom_event::Event;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio_util::sync::CancellationToken;

use super::machine::{Life, Machine, NOON_MS, dies_at, lines};
use crate::{build::Builder, error::Error, merge::merge_once, position::Position, publish::Step};

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

/// The names of all spans that the log holds.
fn expected_spans(machine: &Machine) -> Vec<String> {
    let records = machine.log.iter().flatten().cloned();
    let events = records.flat_map(|record| Event::all(record).map(|(_, event)| event));
    let mut names: Vec<String> = events.map(|event| event.body().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_request_of_many_spans_is_found_whole_or_not_at_all() {
    for death in 1..=4 {
        let mut machine = Machine::of_spans_beside(&Machine::new(1), 1);
        machine.push_spans(0, 0..1);
        machine.push_spans(0, 1..1);
        machine.push_spans(0, 1..100);
        let mut life = machine.start_with(dies_at(death)).await;
        // One without spans is kept as it is: one more event.
        assert_eq!(life.consume(&machine, 0, 2), 2);
        assert_eq!(lines(&life.snapshot()).len(), 2);
        life.consume_all(&machine);
        let all = expected_spans(&machine);
        assert_eq!(lines(&life.snapshot()), all);
        let died = life.publish().await;
        // Staged, written, answer lost (which is found out), committed.
        assert_eq!(died.is_ok(), death == 3, "{died:?}, death {death}");
        let mut life = machine.start().await;
        let survived = lines(&life.snapshot()).len();
        assert!(
            survived == 0 || survived == 101,
            "{survived}, death {death}"
        );
        life.consume_all(&machine);
        assert_eq!(lines(&life.snapshot()), all, "death {death}");
        life.publish().await.unwrap();
        assert_eq!(
            lines(&machine.start().await.snapshot()),
            all,
            "death {death}"
        );
    }
}

#[tokio::test]
async fn one_poisonous_span_harms_none_of_its_request() {
    let mut machine = Machine::of_spans_beside(&Machine::new(1), 1);
    machine.push_spans(0, 0..10);
    let mut life = machine.start().await;
    let mut mould = life.publisher.mould.clone();
    mould.document = |schema, record, event, id| {
        assert!(id.index != 4 || event.span.is_none(), "a span that panics");
        schema.document(record, event, id)
    };
    life.builder = Builder::new(mould, 64 << 20);
    let first = Checkpoint {
        incarnation: 1,
        next_offset: 0,
        last_crc: None,
    };
    let position = Position::new(first, Marks::default());
    life.builder.place(&machine.topic, 0, position);
    life.consume_all(&machine);
    let counts = life.builder.take_counts();
    assert_eq!((counts.indexed, counts.bare, counts.left_out), (10, 1, 0));
    let found = lines(&life.snapshot());
    let whole = found
        .iter()
        .filter(|name| expected_spans(&machine).contains(name));
    assert_eq!(whole.count(), 9);
    // The bytes of the tenth are found by its name.
    assert_eq!(
        found.iter().filter(|text| text.contains("span 4")).count(),
        1
    );
}

/// Two indexes on one disk, consumed, published and merged in any order, until the process dies.
async fn random_lives_of_two(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut logs = Machine::new(2);
    let mut spans = Machine::of_spans_beside(&logs, 2);
    let (mut lines_sent, mut spans_sent) = (0_u64, 0_u64);
    for _ in 0..random.random_range(2..6) {
        let passes = dies_at(random.random_range(0..30));
        let mut lives = Machine::start_all(&[&logs, &spans], passes).await;
        for _ in 0..random.random_range(1..16) {
            let partition = random.random_range(0..2);
            let which = random.random_range(0..2);
            let survived = match random.random_range(0..6) {
                0 => {
                    for _ in 0..random.random_range(1..30) {
                        logs.append(partition, 1, lines_sent, NOON_MS);
                        lines_sent += 1;
                    }
                    true
                }
                1 => {
                    let first = spans_sent;
                    spans_sent += random.random_range(0..40);
                    spans.push_spans(partition, first..spans_sent);
                    true
                }
                2 | 3 => {
                    let machine = [&logs, &spans][which];
                    lives[which].consume(machine, partition, random.random_range(1..10));
                    true
                }
                4 => lives[which].publish().await.is_ok(),
                _ => {
                    let life = &lives[which];
                    merge_once(&life.publisher, &life.snapshot()).await.is_ok()
                }
            };
            if !survived {
                break;
            }
        }
    }
    let mut lives = Machine::start_all(&[&logs, &spans], dies_at(0)).await;
    let all = [expected(&logs), expected_spans(&spans)];
    for (life, (machine, all)) in lives.iter_mut().zip([&logs, &spans].into_iter().zip(&all)) {
        life.consume_all(machine);
        assert_eq!(lines(&life.snapshot()), *all, "seed {seed}");
        life.publish().await.unwrap();
    }
    let lives = Machine::start_all(&[&logs, &spans], dies_at(0)).await;
    for (life, all) in lives.iter().zip(&all) {
        assert_eq!(lines(&life.snapshot()), *all, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_indexes_on_one_disk_never_lose_or_double_an_event() {
    let mut lives = tokio::task::JoinSet::new();
    for seed in 0..20 {
        if lives.len() >= 8 {
            lives.join_next().await.unwrap().unwrap();
        }
        lives.spawn(random_lives_of_two(seed));
    }
    while let Some(life) = lives.join_next().await {
        life.unwrap();
    }
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
