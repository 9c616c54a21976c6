use super::*;

const NOTED: Progress = Progress {
    next: 100,
    last_crc: Some(7),
    target_next: 50,
    copied: Some(99),
};

fn sides(noted: Option<Progress>, source: (i64, i64), target: (i64, i64)) -> Sides {
    Sides {
        stored: noted.map(|noted| Stored {
            next: noted.next,
            noted: Some(noted),
        }),
        source: Bounds {
            low: source.0,
            high: source.1,
        },
        target: Bounds {
            low: target.0,
            high: target.1,
        },
    }
}

fn seen(before: Before, last: Option<(i64, i64)>) -> Seen {
    Seen {
        source_crc: Some(if last.is_some() { 9 } else { 7 }),
        before,
        last: last.map(|(offset, target_offset)| LastCopy {
            offset,
            target_offset,
            crc: 9,
        }),
    }
}

#[track_caller]
fn goes_on_at(start: Start, next: i64, finding: Finding) -> Progress {
    assert_eq!((start.progress.next, start.finding), (next, finding));
    start.progress
}

#[test]
fn a_first_start_begins_with_the_oldest_record() {
    let start = sides(None, (30, 200), (0, 0)).decide(Seen::default());
    let progress = goes_on_at(start, 30, Finding::GoesOn);
    assert_eq!(progress.target_next, 0);
}

#[test]
fn a_clean_restart_goes_on_where_it_was() {
    let sides = sides(Some(NOTED), (0, 200), (0, 60));
    assert_eq!(sides.tail(), (49, 60));
    let start = sides.decide(seen(Before::Copy(99), None));
    assert_eq!(goes_on_at(start, 100, Finding::GoesOn), NOTED);
}

#[test]
fn copies_that_were_acked_after_the_commit_are_not_made_again() {
    let start =
        sides(Some(NOTED), (0, 200), (0, 60)).decide(seen(Before::Copy(99), Some((120, 58))));
    let progress = goes_on_at(start, 121, Finding::GoesOn);
    assert_eq!(
        (progress.target_next, progress.copied, progress.last_crc),
        (59, Some(120), Some(9))
    );
}

#[test]
fn a_forgotten_commit_is_made_up_for_by_the_target() {
    let sides = sides(None, (0, 200), (0, 60));
    assert_eq!(sides.tail(), (0, 60));
    goes_on_at(
        sides.decide(seen(Before::Gone, Some((120, 58)))),
        121,
        Finding::GoesOn,
    );
}

#[test]
fn a_target_too_long_to_search_is_told() {
    let sides = sides(None, (0, 200), (0, TAIL_RECORDS_MAX + 5));
    assert_eq!(sides.tail(), (5, TAIL_RECORDS_MAX + 5));
    goes_on_at(sides.decide(Seen::default()), 0, Finding::NotAllSearched);
}

#[test]
fn what_the_source_deleted_unread_is_counted() {
    let start = sides(Some(NOTED), (150, 200), (0, 60)).decide(Seen {
        source_crc: None,
        ..seen(Before::Copy(99), Some((119, 58)))
    });
    let progress = goes_on_at(start, 150, Finding::Lost(30));
    assert_eq!(
        progress.last_crc, None,
        "the record before 150 is not known"
    );
}

#[test]
fn retention_at_the_target_proves_nothing() {
    let sides = sides(Some(NOTED), (0, 200), (55, 60));
    assert_eq!(sides.tail(), (55, 60));
    goes_on_at(sides.decide(seen(Before::Gone, None)), 100, Finding::GoesOn);
}

#[test]
fn a_source_made_anew_is_copied_from_its_start() {
    for (sides, seen) in [
        // Shorter than what was copied.
        (
            sides(Some(NOTED), (3, 99), (0, 60)),
            seen(Before::Copy(99), None),
        ),
        // Another record where the last one was.
        (
            sides(Some(NOTED), (3, 200), (0, 60)),
            Seen {
                source_crc: Some(8),
                ..seen(Before::Copy(99), None)
            },
        ),
        // The same, with nothing committed: the last copy is of another.
        (
            sides(None, (3, 200), (0, 60)),
            Seen {
                source_crc: Some(8),
                ..seen(Before::Gone, Some((99, 59)))
            },
        ),
        // Nothing committed, and the target knows of a longer one.
        (
            sides(None, (3, 50), (0, 60)),
            seen(Before::Gone, Some((99, 59))),
        ),
    ] {
        let progress = goes_on_at(sides.decide(seen), 3, Finding::SourceMadeAnew);
        assert_eq!(
            (progress.target_next, progress.copied),
            (60, None),
            "older copies say nothing about the new log"
        );
    }
}

#[test]
fn a_target_made_anew_is_filled_again_from_what_it_lacks() {
    let shorter = sides(Some(NOTED), (0, 200), (0, 0));
    goes_on_at(
        shorter.decide(seen(Before::Gone, None)),
        0,
        Finding::TargetMadeAnew,
    );
    // One that lost its end, and others have written since.
    let other = sides(Some(NOTED), (0, 200), (0, 60));
    for before in [Before::Other, Before::Copy(70)] {
        goes_on_at(
            other.decide(seen(before, Some((70, 40)))),
            71,
            Finding::TargetMadeAnew,
        );
    }
}

#[test]
fn an_operators_commit_counts_unless_the_target_is_further() {
    let mut sides = sides(None, (0, 200), (0, 60));
    sides.stored = Some(Stored {
        next: 90,
        noted: None,
    });
    goes_on_at(sides.decide(seen(Before::Gone, None)), 90, Finding::GoesOn);
    goes_on_at(
        sides.decide(seen(Before::Gone, Some((120, 58)))),
        121,
        Finding::GoesOn,
    );
}
