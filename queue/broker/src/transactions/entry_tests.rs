//! Every step from every state.

use super::*;

const NOW: i64 = 1_000_000;

fn instance(epoch: i16) -> Instance {
    Instance {
        producer_id: 7,
        epoch,
    }
}

fn partitions(topic: &str, numbers: &[i32]) -> Partitions {
    [(topic.to_owned(), numbers.iter().copied().collect())].into()
}

fn add(entry: &Entry, by: Instance) -> Result<Option<Entry>, Refusal> {
    entry.add(by, &partitions("t", &[0]), &BTreeSet::new(), NOW)
}

fn empty() -> Entry {
    Entry::new(7, 60_000, NOW)
}

fn ongoing() -> Entry {
    add(&empty(), instance(0)).unwrap().unwrap()
}

fn preparing(outcome: Outcome) -> Entry {
    ongoing().end(instance(0), outcome, NOW).unwrap().unwrap()
}

fn completed(outcome: Outcome) -> Entry {
    preparing(outcome).complete(NOW)
}

const BOTH: [Outcome; 2] = [Outcome::Commit, Outcome::Abort];

#[test]
fn adding_opens_a_transaction_where_none_is_open_and_repeats_change_nothing() {
    for entry in [
        empty(),
        completed(Outcome::Commit),
        completed(Outcome::Abort),
    ] {
        let opened = entry
            .add(
                instance(0),
                &partitions("t", &[0]),
                &BTreeSet::new(),
                NOW + 5,
            )
            .unwrap()
            .unwrap();
        assert_eq!((opened.state, opened.started_ms), (State::Ongoing, NOW + 5));
        assert_eq!(add(&opened, instance(0)).unwrap(), None);
        let more = opened
            .add(
                instance(0),
                &partitions("t", &[1]),
                &["g".to_owned()].into(),
                NOW + 9,
            )
            .unwrap()
            .unwrap();
        assert_eq!(
            more.started_ms,
            NOW + 5,
            "the timeout counts from the first"
        );
        assert_eq!(more.partitions, partitions("t", &[0, 1]));
        assert!(more.groups.contains("g"));
    }
    for outcome in BOTH {
        let refused = add(&preparing(outcome), instance(0));
        assert_eq!(refused, Err(Refusal::Concurrent));
    }
}

#[test]
fn another_id_or_epoch_may_do_nothing() {
    let stranger = Instance {
        producer_id: 8,
        epoch: 0,
    };
    let states = [
        empty(),
        ongoing(),
        preparing(Outcome::Commit),
        completed(Outcome::Abort),
    ];
    for entry in states {
        let entry = Entry {
            instance: instance(3),
            ..entry
        };
        for (by, refusal) in [
            (stranger, Refusal::UnknownProducer),
            (instance(2), Refusal::Fenced),
            (instance(4), Refusal::Fenced),
        ] {
            assert_eq!(add(&entry, by), Err(refusal.clone()));
            assert_eq!(entry.end(by, Outcome::Commit, NOW), Err(refusal.clone()));
            assert_eq!(entry.check_partition(by, "t", 0), Err(refusal.clone()));
            assert_eq!(entry.check_group(by, "g"), Err(refusal));
        }
    }
}

#[test]
fn an_end_is_decided_once() {
    for outcome in BOTH {
        let other = BOTH.into_iter().find(|other| *other != outcome).unwrap();
        let prepared = ongoing().end(instance(0), outcome, NOW).unwrap().unwrap();
        assert_eq!(prepared.state, State::Preparing(outcome));
        assert_eq!(
            prepared.partitions,
            partitions("t", &[0]),
            "markers need them"
        );
        assert_eq!(
            prepared.end(instance(0), outcome, NOW),
            Err(Refusal::Concurrent)
        );
        assert!(matches!(
            prepared.end(instance(0), other, NOW),
            Err(Refusal::InvalidState { .. })
        ));
        let completed = prepared.complete(NOW);
        assert_eq!(completed.state, State::Completed(outcome));
        assert!(completed.partitions.is_empty() && completed.groups.is_empty());
        assert_eq!(
            completed.end(instance(0), outcome, NOW),
            Ok(None),
            "a retry"
        );
        assert!(matches!(
            completed.end(instance(0), other, NOW),
            Err(Refusal::InvalidState { .. })
        ));
        assert!(matches!(
            empty().end(instance(0), outcome, NOW),
            Err(Refusal::InvalidState { state: "Empty" })
        ));
    }
}

#[test]
fn only_what_was_added_to_an_ongoing_transaction_is_let_in() {
    let entry = ongoing();
    assert_eq!(entry.check_partition(instance(0), "t", 0), Ok(()));
    for (topic, partition) in [("t", 1), ("u", 0)] {
        assert!(matches!(
            entry.check_partition(instance(0), topic, partition),
            Err(Refusal::NotAdded { .. })
        ));
    }
    assert!(matches!(
        entry.check_group(instance(0), "g"),
        Err(Refusal::NotAdded { .. })
    ));
    let prepared = preparing(Outcome::Commit);
    assert_eq!(
        prepared.check_partition(instance(0), "t", 0),
        Err(Refusal::Concurrent)
    );
    for entry in [empty(), completed(Outcome::Commit)] {
        assert!(matches!(
            entry.check_partition(instance(0), "t", 0),
            Err(Refusal::InvalidState { .. })
        ));
    }
}

#[test]
fn a_new_instance_raises_the_epoch_and_aborts_what_is_ongoing() {
    for entry in [empty(), completed(Outcome::Commit)] {
        assert_eq!(entry.start(None), Ok(Start::Raise));
        let raised = entry.raise(None, None, 5_000, NOW);
        assert_eq!(raised.instance, instance(1));
        assert_eq!((raised.state, raised.timeout_ms), (State::Empty, 5_000));
        assert_eq!(add(&raised, instance(0)), Err(Refusal::Fenced));
    }
    assert_eq!(ongoing().start(None), Ok(Start::Abort));
    let fenced = ongoing().fence(None, NOW);
    assert_eq!(fenced.instance, instance(1));
    assert_eq!(fenced.state, State::Preparing(Outcome::Abort));
    assert_eq!(fenced.partitions, partitions("t", &[0]));
    assert_eq!(fenced.start(None), Err(Refusal::Concurrent));
    assert_eq!(
        fenced.complete(NOW).start(Some(instance(0))),
        Err(Refusal::Fenced),
        "who was fenced stays so"
    );
}

#[test]
fn who_is_known_gets_its_epoch_raised_and_the_same_answer_again() {
    let known = Some(instance(0));
    assert_eq!(empty().start(known), Ok(Start::Raise));
    let raised = empty().raise(known, None, 60_000, NOW);
    assert_eq!(raised.start(known), Ok(Start::Answer));
    assert_eq!(raised.start(Some(instance(1))), Ok(Start::Raise));
    assert_eq!(raised.start(Some(instance(2))), Err(Refusal::Fenced));
    let taken_over = raised.raise(None, None, 60_000, NOW);
    assert_eq!(taken_over.start(known), Err(Refusal::Fenced));
    // Its own abort, by asking for a new epoch in the middle of a transaction.
    let fenced = ongoing().fence(known, NOW).complete(NOW);
    assert_eq!(fenced.start(known), Ok(Start::Answer));
}

#[test]
fn epochs_that_are_used_up_make_way_for_another_id() {
    let entry = Entry {
        instance: instance(i16::MAX - 1),
        ..empty()
    };
    assert!(entry.is_exhausted());
    let raised = entry.raise(Some(entry.instance), Some(99), 60_000, NOW);
    assert_eq!(
        raised.instance,
        Instance {
            producer_id: 99,
            epoch: 0
        }
    );
    assert_eq!(raised.start(Some(entry.instance)), Ok(Start::Answer));
    let last = Entry {
        instance: instance(i16::MAX),
        ..ongoing()
    };
    assert_eq!(last.fence(None, NOW).instance.epoch, i16::MAX);
}

#[test]
fn only_an_ongoing_transaction_times_out() {
    assert!(!ongoing().is_overdue(NOW + 60_000));
    assert!(ongoing().is_overdue(NOW + 60_001));
    for entry in [
        empty(),
        preparing(Outcome::Commit),
        completed(Outcome::Abort),
    ] {
        assert!(!entry.is_overdue(i64::MAX));
    }
}

#[test]
fn a_transaction_has_its_bounds() {
    let many: BTreeSet<i32> = (0..=TRANSACTION_PARTITIONS_MAX as i32).collect();
    let refused = empty().add(
        instance(0),
        &[("t".to_owned(), many)].into(),
        &BTreeSet::new(),
        NOW,
    );
    assert_eq!(refused, Err(Refusal::TooManyPartitions));
    let groups = (0..=TRANSACTION_GROUPS_MAX).map(|number| number.to_string());
    let refused = empty().add(instance(0), &Partitions::new(), &groups.collect(), NOW);
    assert_eq!(refused, Err(Refusal::TooManyGroups));
}

#[test]
fn an_open_transaction_is_never_silent() {
    let minute = Duration::from_secs(60);
    for entry in [empty(), completed(Outcome::Commit)] {
        assert!(!entry.is_silent(minute, NOW + 60_000));
        assert!(entry.is_silent(minute, NOW + 60_001));
    }
    for entry in [ongoing(), preparing(Outcome::Abort)] {
        assert!(!entry.is_silent(minute, i64::MAX));
    }
}
